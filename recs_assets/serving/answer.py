"""From a question of the shop's pages to an answer: candidates, filters, blend, rules, fallback ladder. No input or output.

The filters hold for every product on every path: stock and price now, sale window now, country, bought since the build, in
the cart, dismissed, excluded, category, one variant and one product of a title. docs/api.md has the formula of the blend.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

import orjson

from recs_assets.delivery import HOLDOUT, assign_arms, derive_recommendation_id, join_parts
from recs_assets.rules.single import OneList, Row
from recs_assets.serving.placement import Blend
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
CONTEXT = "context"
FILL_CATEGORIES = 5
FILL_DEPTH = 12
MOST_CONTEXT = 20
WEEK = 7 * 86_400.0
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
    """

    known: Customer | None
    who: str
    arm: str | None
    gone: set[int] = field(default_factory=set)
    titles: set[int] = field(default_factory=set)
    context: list[tuple[int, float]] = field(default_factory=list)


@dataclass(slots=True)
class _Candidate:
    """What lists say of one product: worth by list, and the words of the one that counts most."""

    personal: float = 0.0
    apart_together: float = 1.0
    apart_similar: float = 1.0
    chance: float | None = None
    weight: float = -1.0
    words: tuple[Any, ...] = ()
    level: str = CONTEXT


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
    rows = _rank_candidates(version, reader, blend, screen.boost, may)
    chosen = OneList(n, screen.within_category if question.categories else screen.limits)
    by_code = {row.product: row for row in rows}
    for code, slot in screen.pins:
        if slot <= n and may(code, False):
            chosen.pin(
                by_code.get(code) or Row(code, 0.0, None, (PINNED, None, None, None, None), level="global"),
                slot,
            )
    chosen.take(rows)
    if placement.discovery_share and reader.known is not None:
        quota = min(int(placement.discovery_share * n + 0.5 + 1e-9), n - len(chosen.pinned))
        if quota:
            bought = dict(_load(reader.known.tastes))
            chosen.discover(rows, shelf.category, bought, quota, placement.discovery_floor)
    for level in placement.ladder:
        if not chosen.open:
            break
        products = _climb(version, reader, question, level)
        chosen.fill(
            (code for code in products if may(code, False)),
            lambda code, level=level: Row(code, 0.0, None, (POPULAR, None, None, None, None), "fill", level),
        )
    return _write(version, question, reader, placement, chosen.order())


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
    return _write(version, question, reader, placement, chosen.rows)


def _look(version: Version, state: State, question: Question, now: float) -> tuple[_Reader, Any]:
    """Who asks, and which products they may be offered."""
    placement, shelf = version.placements[question.placement], version.shelf
    customer_id = question.customer_id
    if customer_id is not None and state.is_withdrawn(customer_id):
        customer_id = None
    known = None if customer_id is None else version.store.read_customer(customer_id)
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
    cart = encode(
        state.find_products(CART, now - CART_SECONDS, *ids) if question.cart is None else question.cart
    )
    bought = encode(state.find_products(BOUGHT, version.begins_at, *ids))
    dismissed = ()
    if placement.dismissed_weeks:
        dismissed = encode(state.find_products(DISMISSED, now - placement.dismissed_weeks * WEEK, *ids))
    for group in (context, cart, bought, dismissed, encode(question.exclude)):
        reader.gone.update(variant[code] for code in group)
    reader.titles.update(shelf.title[code] for code in (*context, *cart) if shelf.title[code] >= 0)
    if arm == HOLDOUT:
        reader.known = None
    else:
        reader.context = [(code, 1.0) for code in dict.fromkeys((*context, *cart[-MOST_CONTEXT:]))]
        if placement.session_context:
            seen = state.find_products(SEEN, now - SESSION_SECONDS, *ids)
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


def _rank_candidates(
    version: Version, reader: _Reader, blend: Blend, boost: Sequence[float] | None, may: Any
) -> list[Row]:
    """What the lists propose and the reader may be offered, best first."""
    found: dict[int, _Candidate] = {}
    mine = _load(reader.known.list) if reader.known is not None and blend.personal else []
    if mine:
        chances = [row[2] for row in mine]
        best = max((chance for chance in chances if chance is not None), default=None)
        by_chance = None not in chances and bool(best)
        for place, (code, _, chance, *words) in enumerate(mine):
            if may(code, True):
                value = chance / best if by_chance else 1 - place / len(mine)
                found[code] = _Candidate(
                    value, 1.0, 1.0, chance, blend.personal * value, tuple(words), "personal"
                )
    for code, weight in reader.context if blend.together or blend.similar else ():
        similar, together = version.read_neighbours(code)
        for kind, rows, counts in ((TOGETHER, together, blend.together), (SIMILAR, similar, blend.similar)):
            if not counts:
                continue
            for other, score, text, identifier in rows:
                candidate = found.get(other)
                if candidate is None:
                    if not may(other, False):
                        continue
                    candidate = found[other] = _Candidate()
                value = min(1.0, max(0.0, weight * score))
                if kind is TOGETHER:
                    candidate.apart_together *= 1 - value
                else:
                    candidate.apart_similar *= 1 - value
                if counts * value > candidate.weight:
                    candidate.weight = counts * value
                    candidate.words = (kind, kind, text, version.shelf.ids[code], identifier)
    rows = []
    for code, candidate in found.items():
        worth = (
            blend.personal * candidate.personal
            + blend.together * (1 - candidate.apart_together)
            + blend.similar * (1 - candidate.apart_similar)
        )
        if boost is not None:
            worth *= boost[code]
        rows.append(Row(code, worth, candidate.chance, candidate.words, level=candidate.level))
    rows.sort(key=lambda row: (-row.worth, row.product))
    return rows


def _climb(version: Version, reader: _Reader, question: Question, level: str) -> Iterable[int]:
    """Codes of a level of the ladder, the most popular first."""
    shelf = version.shelf
    if level == "segment":
        return version.read_segment(reader.known.segment) if reader.known and reader.known.segment else ()
    if level == "category":
        return _rank_own_categories(version, reader)
    if question.categories:
        places = (shelf.by_category[number] for number in sorted(shelf.find_categories(question.categories)))
        return merge(*places, key=shelf.order.__getitem__)
    return shelf.popular


def _rank_own_categories(version: Version, reader: _Reader) -> list[int]:
    """Popular products of the categories that the customer buys most, or that the answer is about (`rules.pools`)."""
    shelf = version.shelf
    shares: dict[int, float] = {}
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
    version: Version, question: Question, reader: _Reader, placement: Any, rows: Sequence[Row]
) -> bytes:
    as_of, shelf = version.as_of, version.shelf
    items = []
    for rank, row in enumerate(rows, 1):
        product_id = shelf.ids[row.product]
        source, reason_code, reason_text, because, identifier = row.about
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
