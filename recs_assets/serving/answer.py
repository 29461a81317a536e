"""From a question of the shop's pages to an answer: candidates, filters, blend, rules, fallback ladder. No input or output.

The filters hold for every product on every path: stock and price now, sale window now, country, bought since the build, in
the cart, dismissed, excluded, category, one variant and one product of a title. docs/api.md has the formula of the blend.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from math import inf
from operator import itemgetter
from typing import Any

import orjson

from recs_assets.delivery import HOLDOUT, assign_arms, derive_recommendation_id, join_parts
from recs_assets.rules.single import OneList, Row
from recs_assets.serving.placement import Blend, Placement
from recs_assets.serving.state import (
    BOUGHT,
    CART,
    CART_SECONDS,
    DISMISSED,
    SEEN,
    SESSION_PRODUCTS,
    SESSION_SECONDS,
    State,
)
from recs_assets.serving.store import Customer
from recs_assets.serving.version import Version

# Categories that the ladder's second step looks at, and products of each, as in `rules.pools`.
PERSONAL, CONTEXT = "personal", "context"
FILL_CATEGORIES = 5
FILL_DEPTH = 12
# New categories that compete for discovery, as in `rules.filling`.
NEW_DEPTH = 12
# Products of a floor of exposure that compete for its places, beside as many as the answer has.
FLOOR_DEPTH = 12
MOST_CONTEXT = 20
DAY = 86_400.0
SIMILAR, TOGETHER, POPULAR, PINNED = "similar", "bought_together", "popularity", "pinned"


@dataclass(frozen=True, slots=True)
class Question:
    """What a page asks.

    Attributes:
        placement: its name.
        n: products; None: the placement's.
        customer_id: as the shop signed them in.
        visitor_id: of the browser.
        session_id: of the visit.
        context: ids of the products that the page is about.
        cart: ids in the cart; None: what the events say.
        categories: names; only products of these.
        exclude: ids that the page shows elsewhere.
        country: where the visitor is; None: the customer's own.
        added: ids put into the cart in this visit, the newest last; beside what the events say, where `cart` is None.
        seen: ids that were looked at in this visit, the newest last.
        blend: in place of the placement's.
    """

    placement: str
    n: int | None = None
    customer_id: str | None = None
    visitor_id: str | None = None
    session_id: str | None = None
    context: Sequence[str] = ()
    cart: Sequence[str] | None = None
    categories: Sequence[str] = ()
    exclude: Sequence[str] = ()
    country: str | None = None
    added: Sequence[str] = ()
    seen: Sequence[str] = ()
    blend: Blend | None = None


@dataclass(slots=True)
class _Reader:
    """Who looks, and what keeps a product from them.

    Attributes:
        known: what the store has of the customer; None of a stranger, and of whoever is held out.
        who: their id for arms and recommendation ids; "" for nobody.
        arm: of the placement's experiment.
        gone: variants that are not offered.
        titles: groups of one title that stand on the page already.
        context: code and weight of the products that the answer is about.
        cart: codes.
        liked: numbers of the categories that they answered they like, while they have no list of their own.
    """

    known: Customer | None
    who: str
    arm: str | None
    gone: set[int] = field(default_factory=set)
    titles: set[int] = field(default_factory=set)
    context: list[tuple[int, float]] = field(default_factory=list)
    liked: frozenset[int] = frozenset()


def answer(version: Version, state: State, question: Question, now: float) -> bytes:
    """The answer as JSON (`app.models.Recommendations`).

    Args:
        version: from which everything published comes.
        state: what changed since.
        question: of the page.
        now: seconds since 1970.
    """
    reader, may = _look(version, state, question, now)
    placement, shelf = version.placements[question.placement], version.shelf
    screen = shelf.screens[placement.name]
    n = question.n or placement.n
    blend = question.blend or placement.blend
    day = version.find_day(now)
    given = [part for part in (screen.worth, screen.find_factors(day)) if part is not None]
    ranked = _rank_candidates(version, reader, blend, given)
    mine = ranked.mine
    chosen = OneList(n, screen.within_category if question.categories else screen.limits)
    for code, slot in screen.pins:
        if slot <= n and may(code, False):
            listed = next((ranked.make(*pair) for pair in ranked.order if pair[0] == code), None)
            chosen.pin(listed or Row(code, 0.0, None, (PINNED, None, None, None, None), level="global"), slot)
    # Most of what is proposed is never looked at.
    chosen.take(ranked.make(*pair) for pair in ranked.order if may(pair[0], pair[0] in mine))
    if placement.discovery_share and reader.known is not None:
        quota = min(int(placement.discovery_share * n + 0.5 + 1e-9), n - len(chosen.pinned))
        bought = dict(_load(reader.known.tastes))
        # Whose probability is not known is below any floor.
        below = placement.discovery_floor > 0 and any(row.chance for row in chosen.rows)
        new: dict[int, Row] = {}  # the first of each category
        for pair in ranked.order if quota > 0 else ():
            label = shelf.category[pair[0]]
            if label < 0 or label in bought or label in new or (below and pair[0] not in mine):
                continue
            if may(pair[0], pair[0] in mine):
                new[label] = ranked.make(*pair)
                if len(new) == NEW_DEPTH:
                    break
        chosen.discover(list(new.values()), shelf.category, bought, quota, placement.discovery_floor)
    for level in placement.ladder:
        if not chosen.open:
            break
        products = _climb(version, reader, question, level)
        chosen.fill(
            (code for code in products if may(code, False)),
            lambda code, level=level: Row(code, 0.0, None, (POPULAR, None, None, None, None), "fill", level),
        )
    for number, (inside, share) in enumerate(screen.floors):
        # The lot has what an answer's places are too few for: of twelve, a tenth is one, and another in one answer of five.
        need = int(share * n + _draw(placement.name, "exposure", number, reader.who, day) + 1e-9)
        of_floor = (pair for pair in ranked.order if inside[pair[0]] and may(pair[0], pair[0] in mine))
        if need:
            rows = [ranked.make(*pair) for pair in islice(of_floor, n + FLOOR_DEPTH)]
            chosen.raise_floor(rows, inside, screen.counted, need)
    return _write(version, question, reader, placement, blend, chosen.order())


def _draw(*parts: object) -> float:
    """A number from 0 to below 1 that is always the same of the same parts."""
    digest = hashlib.sha256(join_parts(tuple(map(str, parts)))).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def answer_again(version: Version, state: State, question: Question, now: float) -> bytes:
    """What is due again, in the published order; no ladder: what is popular is not due."""
    reader, may = _look(version, state, question, now)
    placement = version.placements[question.placement]
    screen = version.shelf.screens[placement.name]
    rows = []
    if reader.known is not None and question.customer_id is not None:
        for code, score, chance, reason_code, text, identifier in _load(
            version.store.read_again(question.customer_id)
        ):
            if may(code, True):
                rows.append(Row(code, score, chance, ("buy_it_again", reason_code, text, None, identifier)))
    chosen = OneList(question.n or placement.n, screen.within_category)
    chosen.take(rows)
    return _write(version, question, reader, placement, placement.blend, chosen.rows)


def describe_product(version: Version, product_id: str, country: str | None, now: float) -> bytes | None:
    """A product as JSON (`app.models.Product`); None where there is no such product."""
    code = version.shelf.codes.get(product_id)
    if code is None:
        return None
    available = version.shelf.is_in_stock(code) and version.shelf.is_sold(
        code, now, country and country.upper()
    )
    card = orjson.Fragment(version.read_card(code))
    return orjson.dumps({"product_id": product_id, "available": available, "card": card})


def _look(version: Version, state: State, question: Question, now: float) -> tuple[_Reader, Any]:
    """Who asks, and which products they may be offered."""
    placement, shelf = version.placements[question.placement], version.shelf
    customer_id = question.customer_id
    if customer_id is not None and state.is_withdrawn(customer_id):
        customer_id = None
    known = None if customer_id is None else version.store.read_customer(customer_id)
    if known is not None and known.withdrawn:
        customer_id = known = None
    who = customer_id or question.visitor_id or question.session_id or ""
    arm = None
    if placement.arms and who:
        arm = str(assign_arms([who], placement.experiment, placement.arms)[0])
    reader = _Reader(known, who, arm)
    ids = (customer_id, question.visitor_id, question.session_id)
    codes, variant = shelf.codes, shelf.variant

    def encode(products: Iterable[str]) -> list[int]:
        return [codes[product] for product in products if product in codes]

    context = encode(question.context)
    people = state.find_people(*ids)
    if question.cart is None:
        cart = encode((*people.find(CART, now - CART_SECONDS), *question.added))
    else:
        cart = encode(question.cart)
    bought = encode(people.find(BOUGHT, version.begins_at))
    dismissed = ()
    if placement.dismissed_days:
        dismissed = encode(people.find(DISMISSED, now - placement.dismissed_days * DAY))
    for group in (context, cart, bought, dismissed, encode(question.exclude)):
        reader.gone.update(variant[code] for code in group)
    reader.titles.update(shelf.title[code] for code in (*context, *cart) if shelf.title[code] >= 0)
    if arm == HOLDOUT:
        reader.known = None
    else:
        if customer_id is not None and not (known and _load(known.list)):
            reader.liked = shelf.find_categories(state.find_answers(customer_id, "category"))
        reader.context = [(code, 1.0) for code in dict.fromkeys((*context, *cart[-MOST_CONTEXT:]))]
        if placement.session_context:
            seen = people.find(SEEN, now - SESSION_SECONDS)
            newest = [*sorted(seen, key=lambda product: (seen[product], product)), *question.seen]
            there = {code for code, _ in reader.context}
            weight = 1.0
            for code in dict.fromkeys(reversed(encode(newest)[-SESSION_PRODUCTS:])):
                weight /= 2
                if code not in there:
                    reader.context.append((code, weight))
    country = question.country or (known.country if known else None)
    categories = shelf.find_categories(question.categories)
    wanted = bool(question.categories)
    gone, titles, passed = reader.gone, reader.titles, shelf.screens[placement.name].passed
    title, category, quiet = shelf.title, shelf.category, shelf.never_discover

    def may(code: int, personal: bool) -> bool:
        return (
            passed[code] == 1
            and variant[code] not in gone
            and title[code] not in titles
            and (not wanted or category[code] in categories)
            and (personal or not quiet[code])
            and shelf.is_sold(code, now, country)
        )

    return reader, may


def _load(text: bytes | str | None) -> list[Any]:
    return [] if text is None else orjson.loads(text)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """What the lists propose, whether it may be offered or not.

    Attributes:
        order: code and worth, the largest worth first; equals in the order of the lists, the customer's own first.
        mine: the rows of the customer's own list by code.
    """

    order: list[tuple[int, float]]
    mine: dict[int, list[Any]]

    def make(self, code: int, worth: float) -> Row:
        line = self.mine.get(code)
        if line is None:
            return Row(code, worth, None, None, level=CONTEXT)
        return Row(code, worth, line[2], line[3:])


def _rank_candidates(
    version: Version, reader: _Reader, blend: Blend, factors: Iterable[Sequence[float]]
) -> _Ranked:
    own = _load(reader.known.list) if reader.known is not None and blend.personal else []
    worth: dict[int, float] = {}
    if own:
        chances = [row[2] for row in own]
        by_chance = None not in chances and max(chances) > 0
        scale = blend.personal / max(chances) if by_chance else blend.personal / len(own)
        least = inf
        for place, row in enumerate(own):
            # The list keeps its order: the ranker's, which the calibrated probabilities need not follow.
            least = min(least, row[2] if by_chance else len(own) - place)
            worth[row[0]] = scale * least
    for kind, counts in ((1, blend.together), (0, blend.similar)):
        if not counts or not reader.context:
            continue
        apart: dict[int, float] = {}
        for code, weight in reader.context:
            for other, (score, _, _) in version.read_neighbours(code)[kind].items():
                apart[other] = apart.get(other, 1.0) * (1.0 - weight * score)
        for other, value in apart.items():
            worth[other] = worth.get(other, 0.0) + counts * (1.0 - value)
    for values in factors:
        worth = {code: chance * values[code] for code, chance in worth.items()}
    order = sorted(worth.items(), key=itemgetter(1), reverse=True)  # equals stay as the lists have them
    return _Ranked(order, {row[0]: row for row in own})


def _find_words(version: Version, reader: _Reader, blend: Blend, row: Row) -> tuple[Any, ...]:
    """Source, reason, its sentence, the product that it names, and the row's id: of the neighbour that counts most."""
    best: tuple[float, tuple[Any, ...]] = (-1.0, (POPULAR, None, None, None, None))
    for code, weight in reader.context:
        similar, together = version.read_neighbours(code)
        for name, near, counts in ((TOGETHER, together, blend.together), (SIMILAR, similar, blend.similar)):
            if counts and row.product in near:
                score, text, identifier = near[row.product]
                if counts * weight * score > best[0]:
                    best = counts * weight * score, (name, name, text, version.shelf.ids[code], identifier)
    return best[1]


def _climb(version: Version, reader: _Reader, question: Question, level: str) -> Iterable[int]:
    """Codes of a level of the ladder, the most popular first."""
    shelf = version.shelf
    if level != "global":
        segment = reader.known.segment if reader.known else None
        if level == "category":
            products = _rank_own_categories(version, reader)
        else:
            products = version.read_segment(segment) if segment else []
        if not question.categories:
            return products
        wanted = shelf.find_categories(question.categories)
        return [code for code in products if shelf.category[code] in wanted]
    if question.categories:
        places = (shelf.by_category[number] for number in sorted(shelf.find_categories(question.categories)))
        return merge(*places, key=shelf.order.__getitem__)
    return shelf.popular


def _rank_own_categories(version: Version, reader: _Reader) -> list[int]:
    """Popular products of the categories that the customer buys most, or answered that they like, or that the answer is about
    (`rules.pools`)."""
    shelf = version.shelf
    shares: dict[int, float] = dict.fromkeys(sorted(reader.liked), 1.0)
    for code, weight in reader.context:
        if shelf.category[code] >= 0:
            shares[shelf.category[code]] = max(weight, shares.get(shelf.category[code], 0.0))
    if reader.known is not None:
        for number, share in _load(reader.known.tastes)[:FILL_CATEGORIES]:
            shares.setdefault(number, share)
    largest = sorted(shares, key=lambda number: (-shares[number], number))[:FILL_CATEGORIES]

    def weigh() -> Iterator[tuple[float, int]]:
        for number in largest:
            sold = shelf.sold[number]
            for code in shelf.by_category[number][:FILL_DEPTH]:
                yield -shares[number] * shelf.popularity[code] / (sold or 1.0), code

    return [code for _, code in sorted(weigh())]


def _write(
    version: Version,
    question: Question,
    reader: _Reader,
    placement: Placement,
    blend: Blend,
    rows: Sequence[Row],
) -> bytes:
    as_of, shelf = version.as_of, version.shelf
    items = []
    for rank, row in enumerate(rows, 1):
        product_id = shelf.ids[row.product]
        about = row.about or _find_words(version, reader, blend, row)
        source, reason_code, reason_text, because, identifier = about
        items.append(
            {
                "rank": rank,
                "product_id": product_id,
                "recommendation_id": identifier
                or derive_recommendation_id(placement.name, as_of, reader.who, rank, product_id),
                "score": round(row.worth, 6),
                "p_purchase": row.chance,
                "reason_code": reason_code,
                "reason_text": reason_text,
                "because_product_id": because,
                "source": source,
                "slot_type": row.slot_type,
                "fallback_level": row.level,
                "card": orjson.Fragment(version.read_card(row.product)),
            }
        )
    parts = (placement.name, version.name, reader.who, *(item["product_id"] for item in items))
    return orjson.dumps(
        {
            "recommendation_id": hashlib.sha256(join_parts(parts)).hexdigest()[:20],
            "as_of": as_of.isoformat(),
            "model_version": version.model_version,
            "placement": placement.name,
            "experiment": placement.experiment,
            "arm": reader.arm,
            "items": items,
        }
    )
