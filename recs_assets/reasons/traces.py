"""Listed rows with probability, reason and trace: why a row is there, and how a ranker came to its score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recs_assets.known.interactions import Known
from recs_assets.ranking.calibration import Calibrator
from recs_assets.ranking.candidates import Candidates
from recs_assets.ranking.features import list_families
from recs_assets.ranking.ranker import Ranker
from recs_assets.ranking.strata import find_strata
from recs_assets.reasons.attribution import TOP_FEATURES, Attribution, attribute
from recs_assets.reasons.evidence import Citable, Offers
from recs_assets.reasons.explain import explain_by_family, explain_by_source
from recs_assets.reasons.sentences import Sentences
from recs_assets.recommenders.base import Recommender


@dataclass(frozen=True)
class Scorer:
    """A ranker, and what it takes to explain its scores.

    Attributes:
        ranker: fitted.
        calibrator: its own.
        build_frames: pairs of customer and product -> the same as candidates with the ranker's features, in blocks,
            in order.
        made_lists: whether the rows are its list: their reasons then come from its contributions, otherwise from their
            sources.
    """

    ranker: Ranker
    calibrator: Calibrator
    build_frames: Callable[[pd.DataFrame], Iterable[tuple[Any, Candidates, np.ndarray]]]
    made_lists: bool


@dataclass(frozen=True)
class Wording:
    """What sentences may say, and in which words.

    Attributes:
        citable: what may be named; None: everything.
        offers: price advantages within the window; None: nothing is called an offer.
        sentences: of the shop; None: the shipped ones.
    """

    citable: Citable | None = None
    offers: Offers | None = None
    sentences: Sentences | None = None


def explain_rows(
    rows: pd.DataFrame,
    known: Known,
    fitted: Mapping[str, Recommender],
    scorer: Scorer | None,
    wording: Wording,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Listed rows with probability and reason, and their traces with ids.

    Args:
        rows: customer, product (codes of `known`), source; unique pairs; others but p_purchase are kept.
        known: of the week.
        fitted: recommenders, for evidence.
        scorer: what scored, or would score, the rows, also where another list or a rule put them there; None where
            nothing was learned: there is no probability, and the reason is that of the row's source.
        wording: what may be said.

    Returns:
        The rows with p_purchase and the columns that `explain.explain_by_family` adds; and per row as_of, customer_id,
        product_id, ranker_score, base_score, p_purchase, rank_<recommender>, family_<family>, feature_<n> and
        feature_contribution_<n>, by customer and product, or no columns without a scorer.
    """
    pairs = rows[["customer", "product", "source"]].astype({"source": object})
    pairs = pairs.sort_values(["customer", "product"], ignore_index=True)
    if scorer is None or pairs.empty:
        explained, traces = (
            _explain_by_source(pairs, known, fitted, wording).assign(p_purchase=np.nan),
            pd.DataFrame(),
        )
    else:
        explained, traces = _explain_scores(pairs, known, fitted, scorer, wording)
        traces = add_ids(traces, known)
    merged = rows.drop(columns="p_purchase", errors="ignore").merge(
        explained.drop(columns="source"), on=["customer", "product"], how="left"
    )
    return merged, traces


def _explain_by_source(
    pairs: pd.DataFrame, known: Known, fitted: Mapping[str, Recommender], wording: Wording
) -> pd.DataFrame:
    """Each pair with the reason of its source alone; columns as `explain.explain_by_family`."""
    rows = explain_by_source(pairs, known, fitted, wording.citable, wording.offers, wording.sentences)
    return rows.assign(reason_family="", support=np.nan, confidence=np.nan)


def _explain_scores(
    pairs: pd.DataFrame, known: Known, fitted: Mapping[str, Recommender], scorer: Scorer, wording: Wording
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each pair (at least one) with probability and reason, and its trace."""
    parts, places = [], []
    for _, candidates, X in scorer.build_frames(pairs):
        parts.append(attribute(scorer.ranker, X))
        places.append(candidates.rank_by_source())
    pulled, families = Attribution.concat(parts), list_families(scorer.ranker.features_)
    if scorer.made_lists:
        rows = explain_by_family(
            pairs,
            known,
            fitted,
            pulled.order,
            pulled.contribution,
            families,
            wording.citable,
            wording.offers,
            wording.sentences,
        )
    else:
        rows = _explain_by_source(pairs, known, fitted, wording)
    strata = find_strata(known, pairs["customer"].to_numpy(), pairs["product"].to_numpy())
    rows["p_purchase"] = scorer.calibrator.probability(pulled.score, strata)
    names = np.array([*scorer.ranker.features_, None], dtype=object)
    traces = pd.DataFrame(
        {
            "customer": pairs["customer"],
            "product": pairs["product"],
            "ranker_score": pulled.score,
            "base_score": pulled.base,
            "p_purchase": rows["p_purchase"],
            **{f"rank_{name}": np.concatenate([part[name] for part in places]) for name in places[0]},
            **{f"family_{name}": pulled.contribution[:, place] for place, name in enumerate(families)},
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


def add_ids(rows: pd.DataFrame, known: Known) -> pd.DataFrame:
    """Rows with as_of, ids in place of codes, dates in place of day numbers, nothing in place of ""."""
    products = known.products["product_id"].to_numpy()
    named = rows.drop(columns=["customer", "product", "because_product", "because_day"], errors="ignore")
    named.insert(0, "as_of", known.as_of)
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


def type_traces(traces: pd.DataFrame) -> dict[str, str]:
    """Types in the database of the columns that a trace has per recommender and per family."""
    return {
        name: "double" if name.startswith("family_") else "smallint"
        for name in traces
        if name.startswith(("family_", "rank_"))
    }
