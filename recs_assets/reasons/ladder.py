"""Why this product: one true, natural sentence per row, in the customer's language.

A sentence is written only where the events say so, and nothing is named that the rules forbid (`Citable`).
Of what holds for a row the strongest is said:

1. what the customer did with this product: bought it, put it into the cart, wished for it, looked at it;
2. a product that led to it: bought together, also bought, similar, viewed;
3. what suits them or is worth knowing: on offer, new, a brand or a category they buy from, similar customers;
4. what everybody does: popular, popular in its category.

The first holds whatever moved the ranker. Within the others a row of the ranker (`explain_families`) takes the
family of features with the largest contribution to its score that has a true sentence, and a row of a list
(`explain`) its source's. What is left takes what is true of it anyway (`_Claims.fallback`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache

import numpy as np
import pandas as pd

from recs_assets.arrays import PairIndex
from recs_assets.known.interactions import Known
from recs_assets.ranking.features import family_of_source
from recs_assets.reasons.evidence import SEVERAL, Citable, Evidence, Offers
from recs_assets.reasons.sentences import FALLBACK, PLACEHOLDERS, Sentences
from recs_assets.recommenders.base import Recommender

__all__ = [
    "CODES",
    "OWN",
    "Citable",
    "Offers",
    "explain",
    "explain_again",
    "explain_families",
    "slot_reasons",
]

CODES = tuple(PLACEHOLDERS)

# What customers did themselves, by the family it belongs to.
OWN = {
    "bought_often": "bought_before", "bought_once": "bought_before", "bought_before": "bought_before",
    "in_cart": "viewed_or_wished", "wished": "viewed_or_wished", "viewed": "viewed_or_wished",
}  # fmt: skip
SEEN = {"add_to_cart": "in_cart", "add_to_wishlist": "wished", "view": "viewed"}

# Family -> recommenders whose evidence a sentence may cite, the more specific first. item_knn, transition and
# ease count customers in common, not baskets, so "often bought with" would claim too much for them.
LED: dict[str, tuple[tuple[str, str], ...]] = {
    "bought_with": (("rules", "bought_together"), ("transition", "also_bought"), ("item_knn", "also_bought")),
    "similar": (("content", "similar_product"),),
    "customers_like_you": (("ease", "also_bought"),),
    "new_arrival": (("new_arrivals", "new_for_your_taste"),),
    "viewed_or_wished": (("recently_viewed", "viewed_related"),),
}

# Beside a product: so many baskets with it, and with both, make a share that is worth saying.
FEWEST_BASKETS, FEWEST_COMMON = 20, 5

# Rows explained at once; some 200 bytes each are alive meanwhile.
BLOCK_ROWS = 1_000_000


def explain(
    rows: pd.DataFrame,
    known: Known,
    recommenders: Mapping[str, Recommender],
    citable: Citable | None = None,
    offers: Offers | None = None,
    sentences: Sentences | None = None,
) -> pd.DataFrame:
    """Add to every row the reason that its source supports.

    Args:
        rows: columns customer, product (codes of `known`) and source (recommender's name); others
            are kept. Any order.
        known: what the recommenders were fitted on.
        recommenders: name -> fitted; a source that is absent gives no evidence of its own.
        citable: what may be named; None: everything.
        offers: price advantages within the window; None: nothing is called an offer.
        sentences: of the shop; None: the shipped ones, English by default.

    Returns:
        `rows` with a fresh index and reason_code (category, one of `CODES`), reason_text (str),
        because_product (int32 code, -1 where no single product is the reason) and because_day
        (int32, days since 1970-01-01 of the customer's last purchase of that product, or of the view, cart or
        wish that the sentence dates; -1 with it).
    """
    source = rows["source"].astype("category")
    families = [family_of_source(name) for name in source.cat.categories] or [""]
    # A row without a source has none of the families' reasons.
    number = source.cat.codes.to_numpy(dtype=np.int64)[:, None]
    found = explain_families(
        rows,
        known,
        recommenders,
        np.maximum(number, 0),
        (number == np.arange(len(families))).astype(float),
        families,
        citable,
        offers,
        sentences,
    )
    return found.drop(columns=["reason_family", "support", "confidence"])


def explain_families(
    rows: pd.DataFrame,
    known: Known,
    recommenders: Mapping[str, Recommender],
    order: np.ndarray,
    contribution: np.ndarray,
    families: Sequence[str],
    citable: Citable | None = None,
    offers: Offers | None = None,
    sentences: Sentences | None = None,
) -> pd.DataFrame:
    """Add to every row the strongest reason, which after the customer's own dealings with the product is one
    that the ranker's own contributions support.

    Price and context have no sentence.

    Args:
        rows: columns customer, product (codes of `known`); others are kept. Any order.
        known: the week's, on which the recommenders were fitted.
        recommenders: name -> fitted, for evidence; any may be absent.
        order: int[n, places], columns of `contribution` by size, largest first.
        contribution: float[n, families]; only positive ones are cited.
        families: names of these columns.
        citable: as `explain`.
        offers: as `explain`.
        sentences: as `explain`.

    Returns:
        As `explain`, and reason_family (category): the family the sentence speaks for, "" for a
        fallback; support and confidence (float64): share of baskets with both products, and of
        those with the cited one that hold this; NaN where the sentence cites no rule.

    Raises:
        ValueError: arrays of another length than `rows`.
    """
    if not len(rows) == len(order) == len(contribution):
        raise ValueError(f"{len(rows)} rows, but {len(order)} orders and {len(contribution)} contributions.")
    evidence, sentences = Evidence(known, citable), sentences or _load_shipped()
    parts = []
    for start in range(0, max(1, len(rows)), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        claims = _Claims(evidence, rows.iloc[block], offers)
        family = claims.by_family(recommenders, order[block], contribution[block], list(families))
        parts.append((claims, family, *_rule_of(claims, recommenders)))
    names = list(dict.fromkeys([*families, *OWN.values(), ""]))
    result = _with_reasons(rows, [claims for claims, *_ in parts], sentences)
    family = np.concatenate([part[1] for part in parts])
    result["reason_family"] = pd.Categorical(family, categories=names)
    result["support"], result["confidence"] = (
        np.concatenate([part[number] for part in parts]) for number in (2, 3)
    )
    return result


def explain_again(
    rows: pd.DataFrame, known: Known, citable: Citable | None = None, sentences: Sentences | None = None
) -> pd.DataFrame:
    """Add the reason to rows of `rules.cadence.due_again`.

    "About every n days" is the customer's own mean gap, said from two gaps on, where it is two days or
    more and she has not been silent for more than twice as long. A product that stands for another one
    says so, and names it. What may not be counted, or a cause that may not be named, leaves "You bought
    this before", or what is true of the product for anybody.

    Args:
        rows: columns customer, product, replaces, kind, order_days, last_day, usual_gap; others are kept.
        known: what the rows were made from.
        citable: as `explain`.
        sentences: as `explain`.

    Returns:
        `rows` with a fresh index, reason_code (category, one of `CODES`) and reason_text (str).
    """
    evidence = Evidence(known, citable)
    claims, here = _Claims(evidence, rows, None), np.arange(len(rows))
    product, replaces = claims.products, rows["replaces"].to_numpy()
    days, last, gap = (rows[name].to_numpy() for name in ("order_days", "last_day", "usual_gap"))
    every = np.rint(np.nan_to_num(gap)).astype(np.int64)
    regular = (every >= 2) & (known.anchor_day - last <= 2 * np.nan_to_num(gap))
    because = np.where(replaces >= 0, replaces, product)
    dated = evidence.may_date(claims.customers, because)
    # An id is not said to customers, so a cause needs a title.
    cited = dated & (evidence.title[0][because] >= 0)
    own = replaces < 0
    claims.days = np.where(regular & own, every, days)
    for name, holds in (
        ("replaces_variant", cited & (rows["kind"] == "variant").to_numpy()),
        ("replaces_same_brand", cited & (rows["kind"] == "same_brand").to_numpy()),
        ("bought_regularly", dated & own & regular),
        ("bought_often", dated & own & (days > 1)),
        ("bought_once", dated & own & (days <= 1)),
        ("bought_before", own & evidence.may_name(claims.customers, product)),
    ):
        claims.claim(name, here, holds, because, last)
    claims.fallback()
    return _with_reasons(rows, [claims], sentences or _load_shipped()).drop(
        columns=["because_product", "because_day"]
    )


def slot_reasons(
    rows: pd.DataFrame,
    known: Known,
    citable: Citable | None = None,
    sentences: Sentences | None = None,
    recommenders: Mapping[str, Recommender] | None = None,
) -> pd.DataFrame:
    """The reasons of products that a campaign's rules, not a model, put into a slot.

    What the customer did with the product is the better reason, except that the shop picked it or that it is
    new to them; and what few bought is not called popular.

    Args:
        rows: columns customer, product (codes of `known`), slot_type and fallback_level
            (`rules.pipeline.Selection.rows`), and reason_code as `explain` gave it; any index.
        known: what the codes come from.
        citable: as `explain`.
        sentences: as `explain`.
        recommenders: as `explain`; what a discovery is close to is named where two customers or more bought both, or
            the texts of two products without a category are alike.

    Returns:
        reason_code and reason_text (str), because_product and because_day (int32, -1 none) by the same index: "" where
        the row's own reason holds, which is every personal slot.
    """
    evidence, sentences = Evidence(known, citable), sentences or _load_shipped()
    claims = _Claims(evidence, rows, None)
    kind, level = (rows[name].astype(str).to_numpy() for name in ("slot_type", "fallback_level"))
    fill = (kind == "fill") & ~rows["reason_code"].astype(str).isin(OWN).to_numpy()
    here, none = np.arange(len(rows)), np.full(len(rows), -1, dtype=np.int32)
    several = evidence.recent_buyers[claims.products] >= evidence.enough_buyers
    claims.close_to(np.flatnonzero(kind == "discovery"), recommenders or {})
    holds = {
        "picked_by_shop": kind == "pinned",
        "new_for_you": kind == "discovery",
        "popular_in_your_category": fill & (level == "category") & claims.shelf_bought & several,
        "popular_in_shop": fill & (level == "global") & several,
    }
    if (fill & (level == "segment")).any():
        alike = evidence.popular_in_segment(claims.customers, claims.products)
        holds["popular_in_segment"] = fill & (level == "segment") & alike
    for name, true in holds.items():
        claims.claim(name, here, true, none, none)
    code = np.array([*CODES, ""], dtype=object)[claims.code]
    return pd.DataFrame(
        {"reason_code": code, "reason_text": _texts([claims], sentences).to_numpy()},
        index=rows.index,
        dtype="str",
    ).assign(because_product=claims.because, because_day=np.where(claims.because < 0, -1, claims.day))


def neighbour_reasons(found: pd.DataFrame, known: Known, sentences: Sentences) -> list[str]:
    """The reasons of products beside a product, in the shop's language.

    A share of baskets is said where the product was in 20 at least, of which 5 held both.

    Args:
        found: product, neighbour (codes of `known`), and of products bought together baskets (with both) and
            confidence (share of the product's baskets); NaN, or no such columns, where they are similar.
        known: what the codes come from.
        sentences: of the shop.
    """
    number, title = Evidence(known).title
    tag, texts = sentences.default, []
    together = "baskets" in found and found["baskets"].notna().any()
    shares = zip(found["baskets"], found["confidence"], strict=True) if together else [(0, 0.0)] * len(found)
    for product, (baskets, confidence) in zip(found["product"], shares, strict=True):
        total = round(baskets / confidence) if together else 0
        if number[product] < 0:
            texts.append(sentences.sentence("together" if together else "similar", tag))
        elif total >= FEWEST_BASKETS and baskets >= FEWEST_COMMON:
            counts = {"baskets": sentences.number(int(baskets), tag), "total": sentences.number(total, tag)}
            share = sentences.percent(confidence, tag)
            texts.append(
                sentences.sentence("share_of_baskets", tag, product=title[product], share=share, **counts)
            )
        else:
            name = "together_with" if together else "similar_to"
            texts.append(sentences.sentence(name, tag, product=title[product]))
    return texts


class _Claims:
    """Reasons of some rows; a row keeps the first that is claimed for it.

    Attributes:
        code: int8[n], position in `CODES`, -1 while nothing is claimed.
        because: int32[n], product code, -1 none. day: int32[n], what the sentence dates, -1 none.
        days: int64[n], what it counts.
    """

    def __init__(self, evidence: Evidence, rows: pd.DataFrame, offers: Offers | None) -> None:
        self.evidence, self.offers = evidence, offers
        self.customers, self.products = (
            rows[name].to_numpy(dtype=np.int32) for name in ("customer", "product")
        )
        self.code = np.full(len(rows), -1, dtype=np.int8)
        self.because, self.day = np.full((2, len(rows)), -1, dtype=np.int32)
        self.days, self.last = evidence.bought(self.customers, self.products)
        self.shelf_bought = evidence.buys_from("shelf", self.customers, self.products)

    def claim(
        self, name: str, here: np.ndarray, holds: np.ndarray, because: np.ndarray, day: np.ndarray
    ) -> None:
        place = np.flatnonzero(holds & (self.code[here] < 0))
        rows = here[place]
        self.code[rows] = CODES.index(name)
        self.because[rows], self.day[rows] = because[place], day[place]

    def by_family(
        self,
        recommenders: Mapping[str, Recommender],
        order: np.ndarray,
        contribution: np.ndarray,
        families: list[str],
    ) -> np.ndarray:
        """Claim from the strongest down; object[n]: the family each sentence speaks for, "" for a fallback."""
        self.own()
        names = np.array([*(OWN.get(code, "") for code in CODES), ""], dtype=object)
        family = names[self.code]
        for strength in (self.led, self.suiting, self.crowd):
            for place in range(order.shape[1]):
                column = order[:, place].astype(np.int64)
                open_ = (self.code < 0) & (contribution[np.arange(len(order)), column] > 0)
                for number in np.unique(column[open_]):
                    here = np.flatnonzero(open_ & (column == number))
                    strength(families[number], here, recommenders)
                    family[here[self.code[here] >= 0]] = families[number]
        self.fallback()
        return family

    def own(self) -> None:
        """What the customer did with this product. What may not be counted or dated is said without either;
        what may not be named at all is not said."""
        here, products = np.arange(len(self.code)), self.products
        dated = self.evidence.may_date(self.customers, products)
        named = self.evidence.may_name(self.customers, products)
        self.claim("bought_often", here, dated & (self.days > 1), products, self.last)
        self.claim("bought_once", here, dated & (self.days == 1), products, self.last)
        self.claim("bought_before", here, named & (self.days > 0), products, self.last)
        for kind, name in SEEN.items():
            when = self.evidence.latest(kind, self.customers, products)
            self.claim(name, here, dated & (when >= 0), products, when)

    def led(self, family: str, here: np.ndarray, recommenders: Mapping[str, Recommender]) -> None:
        """The product that led to it, according to the family's recommenders."""
        evidence, customers, products = self.evidence, self.customers[here], self.products[here]
        for source, name in LED.get(family, ()):
            if source not in recommenders:
                continue
            led = recommenders[source].because(customers, products)
            cause = np.maximum(led, 0)
            # Evidence may be a view or a wish: only a purchase is called one.
            if name == "viewed_related":
                when = evidence.latest("view", customers, cause)
            else:
                _, when = evidence.bought(customers, cause)
            true = evidence.leads(customers, led, products) & (when >= 0)
            if name in ("similar_product", "new_for_your_taste"):
                # The strongest of weak contributions led from cat litter to eggs (same brand and price band).
                shelf, other = evidence.category[products], evidence.category[cause]
                true &= (shelf == other) | (shelf < 0) | (other < 0)
            if name == "new_for_your_taste":
                true &= evidence.new[products]
            if name == "also_bought":
                at = np.flatnonzero(true)
                true[at] = evidence.buyers_of_both(cause[at], products[at]) >= SEVERAL
            self.claim(name, here, true, led, when)

    def close_to(self, here: np.ndarray, recommenders: Mapping[str, Recommender]) -> None:
        """What a product of a category that is new to the customer is close to."""
        evidence, customers, products = self.evidence, self.customers[here], self.products[here]
        for source in ("item_knn", "content"):
            if source not in recommenders or len(here) == 0:
                continue
            led = recommenders[source].because(customers, products)
            cause = np.maximum(led, 0)
            _, when = evidence.bought(customers, cause)
            true = evidence.leads(customers, led, products) & (when >= 0)
            at = np.flatnonzero(true)
            if source == "item_knn":
                true[at] = evidence.buyers_of_both(cause[at], products[at]) >= SEVERAL
            else:
                # Across categories texts are alike by their brand and price alone.
                true &= (evidence.category[products] < 0) & (evidence.category[cause] < 0)
            self.claim("new_for_you_close_to", here, true, led, when)

    def suiting(self, family: str, here: np.ndarray, recommenders: Mapping[str, Recommender]) -> None:
        """What suits the customer, or is worth knowing."""
        evidence, customers, products = self.evidence, self.customers[here], self.products[here]
        none = np.full(len(here), -1, dtype=np.int32)
        if family == "promotion":
            self._on_offer(here)
        if family == "new_arrival":
            self.claim("new_arrival", here, evidence.new[products], none, none)
        if family == "brand":
            bought = evidence.buys_from("label", customers, products)
            self.claim("brand_you_buy", here, bought, none, none)
        if family == "customers_like_you":
            alike = evidence.has_history[customers] & (evidence.buyers[products] >= SEVERAL)
            self.claim("similar_customers", here, alike, none, none)
        if family == "popular_in_category":
            yours = self.shelf_bought[here]
            popular = evidence.popular[1][products]
            self.claim("popular_in_your_category", here, yours & popular, none, none)
            self.claim("from_your_category", here, yours, none, none)

    def crowd(self, family: str, here: np.ndarray, recommenders: Mapping[str, Recommender]) -> None:
        """What everybody does."""
        popular, within = (part[self.products[here]] for part in self.evidence.popular)
        none = np.full(len(here), -1, dtype=np.int32)
        if family == "popular":
            self.claim("popular", here, popular, none, none)
        if family == "popular_in_category":
            self.claim("popular_in_category", here, within, none, none)

    def fallback(self) -> None:
        """What is true of a row whatever mattered to the ranker; every row gets a reason here."""
        here = np.flatnonzero(self.code < 0)
        evidence, products = self.evidence, self.products[here]
        popular, within = (part[products] for part in evidence.popular)
        none, yours = np.full(len(here), -1, dtype=np.int32), self.shelf_bought[here]
        self._on_offer(here)
        for name, holds in (
            ("popular_in_your_category", yours & within),
            ("from_your_category", yours),
            ("popular", popular),
            ("popular_in_category", within),
            ("bought_by_others", evidence.recent_buyers[products] >= evidence.enough_buyers),
            ("from_category", evidence.shelf[products] >= 0),
            ("bought_by_others", evidence.buyers[products] - (self.days[here] > 0) >= SEVERAL),
            ("first_buyers", self.days[here] == 0),
            ("picked_by_shop", np.ones(len(here), dtype=bool)),
        ):
            self.claim(name, here, holds, none, none)

    def _on_offer(self, here: np.ndarray) -> None:
        if self.offers is None:
            return
        first, last = self.offers.first[self.products[here]], self.offers.last[self.products[here]]
        none = np.full(len(here), -1, dtype=np.int32)
        self.claim("on_offer", here, (first >= 0) & (first <= self.offers.sent), none, last)
        self.claim("on_offer_from", here, first > self.offers.sent, none, first)


def _rule_of(claims: _Claims, recommenders: Mapping[str, Recommender]) -> tuple[np.ndarray, np.ndarray]:
    """Support and confidence of the association rule that a sentence cites; NaN where it cites none."""
    support, confidence = np.full((2, len(claims.code)), np.nan)
    together = np.flatnonzero(claims.code == CODES.index("bought_together"))
    rules = recommenders.get("rules")
    if len(together) and hasattr(rules, "pair_baskets_"):
        because, products = claims.because[together], claims.products[together]
        at = PairIndex.of(rules.pair_baskets_).find(because, products)
        baskets = np.where(at >= 0, rules.pair_baskets_.data[at], 0)
        support[together] = baskets / rules.total_baskets_
        confidence[together] = baskets / rules.product_baskets_[because]
    return support, confidence


def _with_reasons(rows: pd.DataFrame, parts: list[_Claims], sentences: Sentences) -> pd.DataFrame:
    """The rows with a fresh index and reason_code, reason_text, because_product, because_day."""
    result = rows.reset_index(drop=True)
    code, because, day = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("code", "because", "day")
    )
    result["reason_code"] = pd.Categorical.from_codes(code, categories=list(CODES))
    result["reason_text"] = _texts(parts, sentences)
    result["because_product"], result["because_day"] = (
        because,
        np.where(because < 0, -1, day).astype(np.int32),
    )
    return result


def _texts(parts: list[_Claims], sentences: Sentences) -> pd.Series:
    """Each distinct sentence is written once and then taken by row; "" where nothing is claimed."""
    evidence = parts[0].evidence
    code, because, day, days, products, customers = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("code", "because", "day", "days", "products", "customers")
    )
    locale = evidence.known.customers.get("locale")
    language, tags = sentences.tags(locale, evidence.known.n_customers)
    subject = np.full(len(code), -1, dtype=np.int64)  # what the sentence names
    when, count = np.full(len(code), -1, dtype=np.int64), np.zeros(len(code), dtype=np.int64)
    for position in np.unique(code[code >= 0]):
        here, named = np.flatnonzero(code == position), PLACEHOLDERS[CODES[position]]
        if "product" in named:
            subject[here] = because[here]
        elif "category" in named or "brand" in named:
            subject[here] = getattr(evidence, "category" if "category" in named else "brand")[products[here]]
        if "date" in named:
            when[here] = day[here]
        if "days" in named:
            count[here] = days[here]
    spoken = language[customers]
    frame = pd.DataFrame({"code": code, "subject": subject, "when": when, "count": count, "tag": spoken})
    group = frame.groupby(list(frame), sort=False).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    texts = [
        _text(evidence, sentences, tags[spoken[row]], CODES[code[row]], products[row], because[row],
              int(when[row]), int(count[row])) if code[row] >= 0 else ""
        for row in first
    ]  # fmt: skip
    return pd.Series(pd.array(texts, dtype="str").take(group))


def _text(
    evidence: Evidence,
    sentences: Sentences,
    tag: str,
    name: str,
    product: int,
    because: int,
    day: int,
    days: int,
) -> str:
    named = PLACEHOLDERS[name]
    known = evidence.known
    values = {}
    if "product" in named:
        values["product"] = evidence.title[1][because]
    for column in ("category", "brand"):
        if column in named:
            values[column] = known.products[column].iloc[product]
    if "date" in named:
        values["date"] = sentences.day(day, known.as_of, tag)
    if "days" in named:
        values["days"] = sentences.number(days, tag)
    return sentences.sentence(name, tag, **values)


@cache
def _load_shipped() -> Sentences:
    return Sentences.load()


def day_text(day: int, as_of: date) -> str:
    """A day (since 1970-01-01) in English; with its year where that is not the anchor's.

    >>> day_text(17168, date(2017, 1, 16)), day_text(17147, date(2017, 1, 2))
    ('2 Jan', '12 Dec 2016')
    """
    return _load_shipped().day(day, as_of, FALLBACK)
