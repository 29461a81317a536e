"""Which reason a row gets: rungs, and one way down them.

A reason is given only where the events say so, and nothing is named that the rules forbid (`Citable`). Of what
holds for a row the strongest is taken:

1. what the customer did with this product: bought it, put it into the cart, wished for it, looked at it;
2. a product that led to it: bought together, also bought, similar, viewed;
3. what they answered that they like: its brand, its category;
4. what suits them or is worth knowing: on offer, new, a brand or a category they buy from, similar customers;
5. what everybody does: popular, popular in its category;
6. what is true of the row in any case, so that every row has a reason.

The first, the third and the last hold whatever moved the ranker. Within the others a row takes the family of features with the
largest contribution to its score that has a true reason.

A step maps a family to its rungs, from the strongest down; a rung is a reason code and a check, which says where the
reason holds. To let a recommender's evidence in, list the codes in its `Recommender.reasons`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from recs_assets.ranking.features import family_of_source
from recs_assets.reasons.evidence import SEVERAL, Evidence, Offers
from recs_assets.reasons.sentences import OWN_TABLE, PLACEHOLDERS
from recs_assets.recommenders import REGISTRY
from recs_assets.recommenders.base import Recommender

CODES = (*PLACEHOLDERS, OWN_TABLE)
NONE = -1

# What customers did themselves, by the family it belongs to.
OWN = {
    "bought_often": "bought_before", "bought_once": "bought_before", "bought_before": "bought_before",
    "back_in_cart": "viewed_or_wished", "back_wished": "viewed_or_wished", "back_viewed": "viewed_or_wished",
    "back_searched": "viewed_or_wished", "back_variant": "viewed_or_wished", "in_cart": "viewed_or_wished", "wished": "viewed_or_wished", "viewed": "viewed_or_wished",
}  # fmt: skip


class Claim(NamedTuple):
    """What a check says of some rows.

    Attributes:
        holds: bool[n].
        because: int[n], the product that led there; NONE without one.
        day: int[n], the day that the sentence names; NONE with it.
        support: float[n], of the association rule that is cited, NaN without one.
        confidence: float[n], with it.
        table: int, place among `Known.own_tables` of the table that says it; NONE without one.
        days: int[n], what the sentence counts where that is no count of the product's purchases; None elsewhere.
    """

    holds: np.ndarray
    because: np.ndarray | int = NONE
    day: np.ndarray | int = NONE
    support: np.ndarray | float = np.nan
    confidence: np.ndarray | float = np.nan
    table: int = NONE
    days: np.ndarray | None = None


@dataclass(frozen=True)
class Open:
    """Rows that a check looks at.

    Attributes:
        here: int64[n], their positions.
        customers: int32[n], codes.
        products: int32[n], codes.
        days: int64[n], on which the customer bought the product.
        last: int32[n], the latest of them; NONE without one.
        shelf_bought: bool[n], the customer buys from the product's category.
        evidence: of the shop.
        offers: price advantages.
    """

    here: np.ndarray
    customers: np.ndarray
    products: np.ndarray
    days: np.ndarray
    last: np.ndarray
    shelf_bought: np.ndarray
    evidence: Evidence
    offers: Offers


Check = Callable[[Open], Claim]


class Rung(NamedTuple):
    """A reason, and what says where it holds."""

    code: str
    check: Check


# Family of features -> its rungs; under `ANY` those that hold whatever moved the ranker.
Step = Mapping[str, Sequence[Rung]]
ANY = ""


class Rows:
    """Rows on their way down the ladder; each keeps the first reason that holds.

    Attributes:
        code: int8[n], position in `CODES`, NONE while no reason holds.
        because: int32[n], product code. day: int32[n], what the sentence dates.
        days: int64[n], what it counts.
        support: float64[n], share of baskets with both products, where an association rule is cited, NaN elsewhere.
        confidence: float64[n], of those with the cited product, with it.
        table: int8[n], place among `Known.own_tables` of the table that says it, NONE elsewhere.
    """

    def __init__(self, evidence: Evidence, rows: pd.DataFrame, offers: Offers | None = None) -> None:
        none = np.full(evidence.known.n_products, NONE)
        self.evidence, self.offers = evidence, offers or Offers(none, none, sent=0)
        self.customers, self.products = (
            rows[name].to_numpy(dtype=np.int32) for name in ("customer", "product")
        )
        self.code, self.table = np.full((2, len(rows)), NONE, dtype=np.int8)
        self.because, self.day = np.full((2, len(rows)), NONE, dtype=np.int32)
        self.support, self.confidence = np.full((2, len(rows)), np.nan)
        self.days, self.last = evidence.bought(self.customers, self.products)
        self.shelf_bought = evidence.buys_from("shelf", self.customers, self.products)

    def descend(
        self,
        steps: Sequence[Step],
        order: np.ndarray | None = None,
        contribution: np.ndarray | None = None,
        families: Sequence[str] = (),
    ) -> np.ndarray:
        """Give every row its first reason, from the strongest step down.

        Args:
            steps: of the ladder.
            order: int[n, places], columns of `contribution` by size, largest first.
            contribution: float[n, families]; only positive ones let a family speak.
            families: names of these columns.

        Returns:
            object[n], the family that each reason speaks for; "" for none.
        """
        spoken = np.full(len(self.code), ANY, dtype=object)
        for step in steps:
            for family, here in self._find_open(step, order, contribution, families):
                for rung in step[family]:
                    here = here[self.code[here] == NONE]
                    if len(here) == 0:
                        break
                    given = self._give(rung, here)
                    spoken[given] = family if family != ANY else OWN.get(rung.code, ANY)
        return spoken

    def _find_open(
        self,
        step: Step,
        order: np.ndarray | None,
        contribution: np.ndarray | None,
        families: Sequence[str],
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Families of the step and the positions that are theirs, by the size of the contribution."""
        if ANY in step:
            yield ANY, np.arange(len(self.code))
            return
        for place in range(order.shape[1]):
            column = order[:, place].astype(np.int64)
            open_ = (self.code == NONE) & (contribution[np.arange(len(order)), column] > 0)
            for number in np.unique(column[open_]):
                if families[number] in step:
                    yield families[number], np.flatnonzero(open_ & (column == number))

    def _give(self, rung: Rung, here: np.ndarray) -> np.ndarray:
        """The positions among `here` where the rung holds; it is their reason now."""
        own = (
            getattr(self, name)[here] for name in ("customers", "products", "days", "last", "shelf_bought")
        )
        claim = rung.check(Open(here, *own, self.evidence, self.offers))
        rows = here[claim.holds]
        self.code[rows] = CODES.index(rung.code)
        for name in Claim._fields[1:]:
            if getattr(claim, name) is None:
                continue
            getattr(self, name)[rows] = np.broadcast_to(getattr(claim, name), len(here))[claim.holds]
        return rows


def build_ladder(recommenders: Mapping[str, Recommender], own_tables: Sequence[str] = ()) -> tuple[Step, ...]:
    """The ladder of the rows of a list.

    Args:
        recommenders: name -> fitted, for evidence; any may be absent.
        own_tables: names of `Known.own_tables`.
    """
    leads = {**build_leads(recommenders), **build_table_rungs(own_tables)}
    return OWN_DEALINGS, leads, ANSWERS, build_suits(recommenders), EVERYBODY, ANYWAY


# -- 1. what the customer did with the product ------------------------------------------------


def _check_bought(*, dated: bool, counts: Callable[[np.ndarray], np.ndarray]) -> Check:
    """A check of the days on which the product was bought. What may not be counted or dated is named without
    either; what may not be named at all is not."""

    def check(some: Open) -> Claim:
        may = some.evidence.may_date if dated else some.evidence.may_name
        return Claim(may(some.customers, some.products) & counts(some.days), some.products, some.last)

    return check


def _check_seen(event: str) -> Check:
    def check(some: Open) -> Claim:
        when = some.evidence.latest(event, some.customers, some.products)
        return Claim(some.evidence.may_date(some.customers, some.products) & (when >= 0), some.products, when)

    return check


# What customers wanted while it was sold out, as in `WANTING`, and the reason that says so.
BACK = ("back_in_cart", "back_wished", "back_viewed", "back_searched")


def _check_back(kind: int) -> Check:
    def check(some: Open) -> Claim:
        wanted, of_kind, when = some.evidence.find_back(some.customers, some.products)
        holds = (wanted == some.products) & (of_kind == kind)
        return Claim(holds & some.evidence.may_date(some.customers, some.products), some.products, when)

    return check


def _check_back_variant(some: Open) -> Claim:
    wanted, _, when = some.evidence.find_back(some.customers, some.products)
    cause = np.maximum(wanted, 0)
    holds = (wanted >= 0) & (wanted != some.products) & (some.evidence.title[0][cause] >= 0)
    holds &= some.evidence.may_date(some.customers, cause)
    return Claim(holds, cause, when)


OWN_DEALINGS: Step = {
    ANY: (
        *(Rung(code, _check_back(kind)) for kind, code in enumerate(BACK)),
        Rung("back_variant", _check_back_variant),
        Rung("bought_often", _check_bought(dated=True, counts=lambda days: days > 1)),
        Rung("bought_once", _check_bought(dated=True, counts=lambda days: days == 1)),
        Rung("bought_before", _check_bought(dated=False, counts=lambda days: days > 0)),
        Rung("in_cart", _check_seen("add_to_cart")),
        Rung("wished", _check_seen("add_to_wishlist")),
        Rung("viewed", _check_seen("view")),
    )
}


# -- 2. a product that led to it --------------------------------------------------------------

# What recommenders may cite the product of `Recommender.because` for, the more specific first.
LEADS = (
    "bought_together", "late_follow_up", "follow_up", "also_bought", "similar_product", "new_for_your_taste", "viewed_related",
)  # fmt: skip
# Their sentences count days or months, in the plural.
FEWEST_DAYS = 2
LATER = ("follow_up", "late_follow_up")
CLOSE = "new_for_you_close_to"


def build_leads(recommenders: Mapping[str, Recommender]) -> Step:
    """Family -> the rungs of the recommenders whose lists are evidence of it."""
    step: dict[str, list[Rung]] = {}
    for code in LEADS:
        for name, model in _list_citing(recommenders, code):
            step.setdefault(family_of_source(name), []).append(Rung(code, _check_lead(model, code)))
    return step


def build_close_rungs(recommenders: Mapping[str, Recommender], discovery: np.ndarray) -> tuple[Rung, ...]:
    """What a product of a category that is new to the customer is close to, where `discovery` (bool[n])."""
    models = [model for _, model in _list_citing(recommenders, CLOSE)]
    return tuple(Rung(CLOSE, _check_close(model, discovery)) for model in models)


def build_table_rungs(own_tables: Sequence[str]) -> Step:
    """Table of the shop's own, which is its family of features -> what its own sentence says."""
    return {name: [Rung(OWN_TABLE, _check_table(name, place))] for place, name in enumerate(own_tables)}


def _check_table(name: str, place: int) -> Check:
    def check(some: Open) -> Claim:
        holds, day = some.evidence.find_in_table(name, some.customers, some.products)
        return Claim(holds & some.evidence.may_date(some.customers, some.products), day=day, table=place)

    return check


def _list_citing(recommenders: Mapping[str, Recommender], code: str) -> list[tuple[str, Recommender]]:
    """The recommenders whose evidence the code's sentence may cite, in the order of the registry."""
    names = [name for name in REGISTRY if name in recommenders]
    return [(name, recommenders[name]) for name in names if code in recommenders[name].reasons]


def _check_lead(model: Recommender, code: str) -> Check:
    def check(some: Open) -> Claim:
        evidence, customers, products = some.evidence, some.customers, some.products
        led = model.because(customers, products)
        cause = np.maximum(led, 0)
        # Evidence may be a view or a wish: only a purchase is called one.
        if code == "viewed_related":
            when = evidence.latest("view", customers, cause)
        else:
            _, when = evidence.bought(customers, cause)
        holds = evidence.leads(customers, led, products) & (when >= 0)
        if code in ("similar_product", "new_for_your_taste"):
            # The strongest of weak contributions led from cat litter to eggs (same brand and price band).
            shelf, other = evidence.category[products], evidence.category[cause]
            holds &= (shelf == other) | (shelf < 0) | (other < 0)
        if code == "new_for_your_taste":
            holds &= evidence.new[products]
        if code == "also_bought":
            holds = _keep_where(evidence.go_together, holds, cause, products)
        if code == "viewed_related":
            # One customer who looked at both is enough to be listed, and not to be called close.
            shelf = evidence.category[products]
            same = holds & (shelf >= 0) & (shelf == evidence.category[cause])
            holds = same | _keep_where(evidence.go_together, holds & ~same, cause, products)
        holds = _keep_where(model.bears_out, holds, cause, products)
        days = None
        if code in LATER:
            between = model.days_between(cause, products)
            holds &= np.isfinite(between) & (np.rint(between) >= FEWEST_DAYS)
            days = np.rint(np.nan_to_num(between)).astype(np.int64)
        support, confidence = np.full((2, len(products)), np.nan)
        support[holds], confidence[holds] = model.shares(cause[holds], products[holds])
        return Claim(holds, led, when, support, confidence, days=days)

    return check


def _check_close(model: Recommender, discovery: np.ndarray) -> Check:
    def check(some: Open) -> Claim:
        holds = discovery[some.here]
        at = np.flatnonzero(holds)
        because, day = np.full((2, len(holds)), NONE, dtype=np.int32)
        if len(at):
            evidence, customers, products = some.evidence, some.customers[at], some.products[at]
            led = model.because(customers, products)
            cause = np.maximum(led, 0)
            _, when = evidence.bought(customers, cause)
            close = evidence.leads(customers, led, products) & (when >= 0)
            if "also_bought" in model.reasons:
                close = _keep_where(evidence.go_together, close, cause, products)
            else:
                # Across categories texts are alike by their brand and price alone.
                close &= (evidence.category[products] < 0) & (evidence.category[cause] < 0)
            holds[at], because[at], day[at] = close, led, when
        return Claim(holds, because, day)

    return check


def _keep_where(
    proof: Callable[[np.ndarray, np.ndarray], np.ndarray],
    holds: np.ndarray,
    left: np.ndarray,
    products: np.ndarray,
) -> np.ndarray:
    """bool[n]: of the pairs that hold, those that the proof, which asks for no others, holds of."""
    at = np.flatnonzero(holds)
    holds[at] = proof(left[at], products[at])
    return holds


# -- 3. what the customer answered ------------------------------------------------------------


def _check_liked(facet: str) -> Check:
    return lambda some: Claim(some.evidence.likes(facet, some.customers, some.products))


ANSWERS: Step = {
    ANY: (Rung("brand_you_like", _check_liked("brand")), Rung("category_you_like", _check_liked("category")))
}


# -- 4. what suits the customer, or is worth knowing ------------------------------------------


def _check_offer(some: Open) -> Claim:
    first = some.offers.first[some.products]
    return Claim((first >= 0) & (first <= some.offers.sent), day=some.offers.last[some.products])


def _check_coming_offer(some: Open) -> Claim:
    first = some.offers.first[some.products]
    return Claim(first > some.offers.sent, day=first)


def _check_similar_customers(model: Recommender) -> Check:
    def check(some: Open) -> Claim:
        return Claim(model.count_similar_buyers(some.customers, some.products) >= SEVERAL)

    return check


OFFERS = (Rung("on_offer", _check_offer), Rung("on_offer_from", _check_coming_offer))
YOUR_CATEGORY = (
    Rung(
        "popular_in_your_category",
        lambda some: Claim(some.shelf_bought & some.evidence.popular[1][some.products]),
    ),
    Rung("from_your_category", lambda some: Claim(some.shelf_bought)),
)


def build_suits(recommenders: Mapping[str, Recommender]) -> Step:
    """Family -> what suits the customer; who is like them says a recommender that knows."""
    similar = [model for _, model in _list_citing(recommenders, "similar_customers")]
    return {
        "promotion": OFFERS,
        "new_arrival": (Rung("new_arrival", lambda some: Claim(some.evidence.new[some.products])),),
        "brand": (
            Rung(
                "brand_you_buy",
                lambda some: Claim(some.evidence.buys_from("label", some.customers, some.products)),
            ),
        ),
        "customers_like_you": tuple(
            Rung("similar_customers", _check_similar_customers(model)) for model in similar
        ),
        "popular_in_category": YOUR_CATEGORY,
    }


# -- 5. what everybody does -------------------------------------------------------------------

POPULAR = Rung("popular", lambda some: Claim(some.evidence.popular[0][some.products]))
POPULAR_IN_CATEGORY = Rung("popular_in_category", lambda some: Claim(some.evidence.popular[1][some.products]))
EVERYBODY: Step = {"popular": (POPULAR,), "popular_in_category": (POPULAR_IN_CATEGORY,)}


# -- 6. what is true in any case --------------------------------------------------------------


def _check_bought_lately(some: Open) -> Claim:
    evidence = some.evidence
    return Claim(evidence.recent_buyers[some.products] >= evidence.enough_buyers)


def _check_other_buyers(some: Open) -> Claim:
    return Claim(some.evidence.buyers[some.products] - (some.days > 0) >= SEVERAL)


ANYWAY: Step = {
    ANY: (
        *OFFERS,
        *YOUR_CATEGORY,
        POPULAR,
        POPULAR_IN_CATEGORY,
        Rung("bought_by_others", _check_bought_lately),
        Rung("from_category", lambda some: Claim(some.evidence.shelf[some.products] >= 0)),
        Rung("bought_by_others", _check_other_buyers),
        Rung("first_buyers", lambda some: Claim(some.days == 0)),
        Rung("picked_by_shop", lambda some: Claim(np.ones(len(some.here), dtype=bool))),
    )
}
