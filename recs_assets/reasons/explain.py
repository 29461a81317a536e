"""Why this product: one true, natural sentence per row, in the customer's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from recs_assets.known.interactions import Known
from recs_assets.ranking.features import family_of_source
from recs_assets.reasons.evidence import Citable, Evidence, Offers
from recs_assets.reasons.ladder import (
    ANY,
    ANYWAY,
    CODES,
    NONE,
    OWN,
    Claim,
    Rows,
    Rung,
    build_close_rungs,
    build_ladder,
)
from recs_assets.reasons.sentences import Sentences
from recs_assets.reasons.wording import load_shipped_sentences, write_reasons, write_sentences
from recs_assets.recommenders.base import Recommender

# Beside a product: so many baskets with it, and with both, make a share that is worth saying.
FEWEST_BASKETS, FEWEST_COMMON = 20, 5

# Rows explained at once; some 200 bytes each are alive meanwhile.
BLOCK_ROWS = 1_000_000


def explain_by_source(
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
        `rows` with a fresh index and reason_code (category, one of `ladder.CODES`), reason_text (str),
        because_product (int32 code, -1 where no single product is the reason) and because_day
        (int32, days since 1970-01-01 of the customer's last purchase of that product, or of the view, cart or
        wish that the sentence dates; -1 with it).
    """
    source = rows["source"].astype("category")
    families = [family_of_source(name) for name in source.cat.categories] or [""]
    # A row without a source has none of the families' reasons.
    number = source.cat.codes.to_numpy(dtype=np.int64)[:, None]
    explained = explain_by_family(
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
    return explained.drop(columns=["reason_family", "support", "confidence"])


def explain_by_family(
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
        citable: as `explain_by_source`.
        offers: as `explain_by_source`.
        sentences: as `explain_by_source`.

    Returns:
        As `explain_by_source`, and reason_family (category): the family the sentence speaks for, "" for a
        fallback; support and confidence (float64): share of baskets with both products, and of
        those with the cited one that hold this; NaN where the sentence cites no association rule.

    Raises:
        ValueError: arrays of another length than `rows`.
    """
    if not len(rows) == len(order) == len(contribution):
        raise ValueError(f"{len(rows)} rows, but {len(order)} orders and {len(contribution)} contributions.")
    evidence, ladder = Evidence(known, citable), build_ladder(recommenders, tuple(known.own_tables))
    parts, spoken = [], []
    for start in range(0, max(1, len(rows)), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        part = Rows(evidence, rows.iloc[block], offers)
        spoken.append(part.descend(ladder, order[block], contribution[block], families))
        parts.append(part)
    names = list(dict.fromkeys([*families, *OWN.values(), ""]))
    result = write_reasons(rows, parts, sentences or load_shipped_sentences())
    result["reason_family"] = pd.Categorical(np.concatenate(spoken), categories=names)
    for name in ("support", "confidence"):
        result[name] = np.concatenate([getattr(part, name) for part in parts])
    return result


def explain_again(
    rows: pd.DataFrame, known: Known, citable: Citable | None = None, sentences: Sentences | None = None
) -> pd.DataFrame:
    """Add the reason to rows of `repeats.cadence.due_again`.

    "About every n days" is the customer's own mean gap. It is given from two gaps on, where it is two days or
    more and the last purchase is no more than two of them ago. A product that stands for another one
    says so, and names it. What may not be counted, or a cause that may not be named, leaves "You bought
    this before", or what is true of the product for anybody.

    Args:
        rows: columns customer, product, replaces, kind, order_days, last_day, usual_gap; others are kept.
        known: what the rows were made from.
        citable: as `explain_by_source`.
        sentences: as `explain_by_source`.

    Returns:
        `rows` with a fresh index, reason_code (category, one of `ladder.CODES`) and reason_text (str).
    """
    evidence = Evidence(known, citable)
    part = Rows(evidence, rows)
    product, replaces = part.products, rows["replaces"].to_numpy()
    days, last, gap = (rows[name].to_numpy() for name in ("order_days", "last_day", "usual_gap"))
    every = np.rint(np.nan_to_num(gap)).astype(np.int64)
    regular = (every >= 2) & (known.anchor_day - last <= 2 * np.nan_to_num(gap))
    because = np.where(replaces >= 0, replaces, product)
    dated = evidence.may_date(part.customers, because)
    # An id means nothing to customers, so a cause needs a title.
    cited = dated & (evidence.title[0][because] >= 0)
    own = replaces < 0
    part.days = np.where(regular & own, every, days)
    holds = {
        "replaces_variant": cited & (rows["kind"] == "variant").to_numpy(),
        "replaces_same_brand": cited & (rows["kind"] == "same_brand").to_numpy(),
        "bought_regularly": dated & own & regular,
        "bought_often": dated & own & (days > 1),
        "bought_once": dated & own & (days <= 1),
        "bought_before": own & evidence.may_name(part.customers, product),
    }
    part.descend(({ANY: [_make_rung(code, true, because, last) for code, true in holds.items()]}, ANYWAY))
    result = write_reasons(rows, [part], sentences or load_shipped_sentences())
    return result.drop(columns=["because_product", "because_day"])


def explain_slots(
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
            (`rules.selection.Selection.rows`), and reason_code as `explain_by_source` gave it; any index.
        known: what the codes come from.
        citable: as `explain_by_source`.
        sentences: as `explain_by_source`.
        recommenders: as `explain_by_source`; what a discovery is close to is named where two customers or more bought
            both, or the texts of two products without a category are alike.

    Returns:
        reason_code and reason_text (str), because_product and because_day (int32, -1 none) by the same index: "" where
        the row's own reason holds, which is every personal slot.
    """
    part = Rows(Evidence(known, citable), rows)
    evidence = part.evidence
    kind, level = (rows[name].astype(str).to_numpy() for name in ("slot_type", "fallback_level"))
    fill = (kind == "fill") & ~rows["reason_code"].astype(str).isin(OWN).to_numpy()
    several = evidence.recent_buyers[part.products] >= evidence.enough_buyers
    holds = {
        "picked_by_shop": kind == "pinned",
        "new_for_you": kind == "discovery",
        "popular_in_your_category": fill & (level == "category") & part.shelf_bought & several,
        "popular_in_shop": fill & (level == "global") & several,
    }
    if (fill & (level == "segment")).any():
        alike = evidence.popular_in_segment(part.customers, part.products)
        holds["popular_in_segment"] = fill & (level == "segment") & alike
    rungs = [
        *build_close_rungs(recommenders or {}, kind == "discovery"),
        *(_make_rung(code, true) for code, true in holds.items()),
    ]
    part.descend(({ANY: rungs},))
    code = np.array([*CODES, ""], dtype=object)[part.code]
    texts = write_sentences([part], sentences or load_shipped_sentences())
    return pd.DataFrame(
        {"reason_code": code, "reason_text": texts.to_numpy()}, index=rows.index, dtype="str"
    ).assign(because_product=part.because, because_day=np.where(part.because < 0, NONE, part.day))


def _make_rung(
    code: str, holds: np.ndarray, because: np.ndarray | None = None, day: np.ndarray | None = None
) -> Rung:
    """A rung whose answer is known for all rows before anybody asks."""
    because, day = (np.full(len(holds), NONE) if values is None else values for values in (because, day))
    return Rung(code, lambda some: Claim(holds[some.here], because[some.here], day[some.here]))


def explain_neighbours(neighbours: pd.DataFrame, known: Known, sentences: Sentences) -> list[str]:
    """The reasons of products beside a product, in the shop's language.

    A share of baskets is named where the product was in 20 at least, of which 5 held both.

    Args:
        neighbours: product, neighbour (codes of `known`), and of products bought together baskets (with both) and
            confidence (share of the product's baskets); NaN, or no such columns, where they are similar.
        known: what the codes come from.
        sentences: of the shop.
    """
    number, title = Evidence(known).title
    tag, texts = sentences.default, []
    together = "baskets" in neighbours and neighbours["baskets"].notna().any()
    shares = (
        zip(neighbours["baskets"], neighbours["confidence"], strict=True)
        if together
        else [(0, 0.0)] * len(neighbours)
    )
    for product, (baskets, confidence) in zip(neighbours["product"], shares, strict=True):
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
            code = "together_with" if together else "similar_to"
            texts.append(sentences.sentence(code, tag, product=title[product]))
    return texts
