"""Listed products with probability, reason and trace: how a ranker came to each score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import numpy as np
import pandas as pd

from recs_assets.known.interactions import Known
from recs_assets.ranking.calibration import Calibrator
from recs_assets.ranking.candidates import Candidates
from recs_assets.ranking.ranker import Ranker
from recs_assets.ranking.strata import strata_of
from recs_assets.reasons.attribution import FAMILY_NAMES, TOP_FEATURES, Attribution, attribute
from recs_assets.reasons.evidence import Citable, Offers
from recs_assets.reasons.explain import explain_by_family, explain_by_source
from recs_assets.reasons.sentences import Sentences
from recs_assets.recommenders.base import Recommender


def pairs_of(rows: pd.DataFrame) -> pd.DataFrame:
    """customer, product and source of listed rows, as `explained` takes them."""
    pairs = rows[["customer", "product", "source"]].astype({"source": object})
    return pairs.sort_values(["customer", "product"], ignore_index=True)


def explained_by_source(
    pairs: pd.DataFrame,
    known: Known,
    fitted: Mapping[str, Recommender],
    citable: Citable | None = None,
    offers: Offers | None = None,
    sentences: Sentences | None = None,
) -> pd.DataFrame:
    """Each pair with the reason of its source alone, where no ranker's contributions speak; columns as
    `explain.explain_by_family`."""
    rows = explain_by_source(pairs, known, fitted, citable, offers, sentences)
    return rows.assign(reason_family="", support=np.nan, confidence=np.nan)


def explained(
    pairs: pd.DataFrame,
    known: Known,
    fitted: Mapping[str, Recommender],
    ranker: Ranker,
    calibrator: Calibrator,
    frames: Iterable[tuple[Candidates, np.ndarray]],
    by_families: bool,
    citable: Citable | None = None,
    offers: Offers | None = None,
    sentences: Sentences | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each (customer, product) with probability and reason, and its trace.

    Args:
        pairs: customer, product (codes), source; unique, sorted by customer, product; at least one.
        known: of the week.
        fitted: recommenders, for evidence.
        ranker: what scored, or would score, the pairs.
        calibrator: its own.
        frames: the pairs as candidates with their features (`ranker.features_`), in blocks, in order.
        by_families: the reason comes from the ranker's contributions, because it made the list;
            otherwise from the row's source.
        citable: what may be named; None: everything.
        offers: price advantages within the window; None: nothing is called an offer.
        sentences: of the shop; None: the shipped ones.

    Returns:
        The pairs as `explain.explain_by_family` returns them, with p_purchase; and per pair customer,
        product, ranker_score, base_score, p_purchase, rank_<recommender>, family_<family>, feature_<n>
        and feature_contribution_<n>.
    """
    parts, places = [], []
    for found, X in frames:
        parts.append(attribute(ranker, X))
        places.append(found.source_ranks())
    pulled = Attribution.concat(parts)
    if by_families:
        rows = explain_by_family(
            pairs,
            known,
            fitted,
            pulled.order,
            pulled.contribution,
            FAMILY_NAMES,
            citable,
            offers,
            sentences,
        )
    else:
        rows = explained_by_source(pairs, known, fitted, citable, offers, sentences)
    strata = strata_of(known, pairs["customer"].to_numpy(), pairs["product"].to_numpy())
    rows["p_purchase"] = calibrator.probability(pulled.score, strata)
    names = np.array([*ranker.features_, None], dtype=object)
    traces = pd.DataFrame(
        {
            "customer": pairs["customer"],
            "product": pairs["product"],
            "ranker_score": pulled.score,
            "base_score": pulled.base,
            "p_purchase": rows["p_purchase"],
            **{f"rank_{name}": np.concatenate([part[name] for part in places]) for name in places[0]},
            **{f"family_{name}": pulled.contribution[:, place] for place, name in enumerate(FAMILY_NAMES)},
            **{f"feature_{place + 1}": names[pulled.feature[:, place]] for place in range(TOP_FEATURES)},
            **{
                f"feature_contribution_{place + 1}": np.where(
                    pulled.feature[:, place] >= 0, pulled.feature_contribution[:, place], np.nan
                )
                for place in range(TOP_FEATURES)
            },
        }
    )
    return rows, traces


def with_ids(rows: pd.DataFrame, known: Known, week: date) -> pd.DataFrame:
    """Rows with as_of, and ids in place of codes, dates in place of day numbers, nothing in place of ""."""
    products = known.products["product_id"].to_numpy()
    named = rows.drop(columns=["customer", "product", "because_product", "because_day"], errors="ignore")
    named.insert(0, "as_of", week)
    named.insert(1, "customer_id", known.customers["customer_id"].to_numpy()[rows["customer"].to_numpy()])
    named.insert(2, "product_id", products[rows["product"].to_numpy()])
    if "because_product" in rows:
        because = rows["because_product"].to_numpy()
        present = because >= 0
        named["because_product_id"] = pd.Series(
            np.where(present, products[np.maximum(because, 0)], None), index=named.index, dtype="object"
        )
        days = pd.to_datetime(rows["because_day"].to_numpy(), unit="D")
        named["because_at"] = pd.Series(days, index=named.index).where(present)
    for column in ("source", "reason_code", "reason_family"):
        if column in named:
            named[column] = named[column].astype(str).replace("", None)
    return named
