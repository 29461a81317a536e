"""The learned ranker: which candidate will be bought within the horizon, and why it thinks so.

LightGBM on one row per (customer, product) candidate. The binary objective is the default: level
with lambdarank or better in the backtest (docs/research/ranker.md), and its score is a log-odds that can be
calibrated into a probability.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, field_validator

from recs_assets.arrays import find_runs, hash_strings, mix_bits
from recs_assets.config import read_yaml
from recs_assets.files import replace_folder, seal, unseal
from recs_assets.ranking.features import BY_NAME
from recs_assets.ranking.shapley import Shapley
from recs_assets.schema import ArtefactError, NotFittedError

if TYPE_CHECKING:
    import lightgbm

DEFAULT = Path(__file__).with_name("ranker.yaml")
FORMAT = 3

# Rows scored or explained at once: 100,000 rows x 100 contributions in float64 are 80 MB.
BLOCK_ROWS = 100_000

# Rows that keep one thread of LightGBM busy: while it grows trees, where the threads meet at every split, and while it
# scores, where they meet once.
ROWS_PER_THREAD = 300_000
ROWS_SCORED_PER_THREAD = 50_000

# min_data_in_leaf is never more than this part of the training rows.
LEAVES = 400


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pool(_Model):
    """How many candidates of each kind a customer keeps."""

    own: Annotated[int, Field(ge=0, le=1000)]
    new: Annotated[int, Field(ge=0, le=1000)]


class Trees(_Model):
    """LightGBM's parameters, by its own names."""

    learning_rate: Annotated[float, Field(gt=0, le=1)]
    num_leaves: Annotated[int, Field(ge=2, le=1024)]
    min_data_in_leaf: Annotated[int, Field(ge=1)]
    lambda_l2: Annotated[float, Field(ge=0)]
    feature_fraction: Annotated[float, Field(gt=0, le=1)]
    bagging_fraction: Annotated[float, Field(gt=0, le=1)]
    bagging_freq: Annotated[int, Field(ge=0)]
    max_bin: Annotated[int, Field(ge=3, le=255)]


class RankerConfig(_Model):
    """The ranker's settings; `ranker.yaml` documents each key and holds the defaults."""

    objective: Literal["binary", "lambdarank"]
    pool: Pool
    without_sources: tuple[str, ...]
    without_features: tuple[str, ...]
    hidden_features: tuple[str, ...]
    train_anchors: Annotated[int, Field(ge=2)]
    training_customers: Annotated[int, Field(ge=1)]
    training_rows: Annotated[int, Field(ge=1000)]
    features_kept: Annotated[int, Field(ge=1)]
    pilot_rounds: Annotated[int, Field(ge=1)]
    max_rounds: Annotated[int, Field(ge=1)]
    patience: Annotated[int, Field(ge=1)]
    trees: Trees

    @field_validator("hidden_features")
    @classmethod
    def _check_hidden(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(BY_NAME)):
            raise ValueError(f"no such feature: {', '.join(unknown)}")
        return names


def load_config(path: Path = DEFAULT) -> RankerConfig:
    """Read the ranker's settings. Raises `SettingsError` as `read_yaml` does."""
    return read_yaml(path, RankerConfig, "The ranker's settings")


def sample_negatives(
    label: np.ndarray,
    customer_ids: np.ndarray,
    product_ids: np.ndarray,
    anchor: date,
    rate: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Keep every positive and a share of the negatives.

    Whether a negative stays is decided by a hash of (seed, anchor, customer, product): neither the
    order of the rows nor the presence of other customers changes it.

    Args:
        label: int[n], 1 where the candidate was bought.
        customer_ids: object[n].
        product_ids: object[n].
        anchor: of the candidates.
        rate: share of negatives to keep, within (0, 1].
        seed: another seed, another sample.

    Returns:
        (rows int64[m] ascending, weight float32[m]): a kept negative weighs 1 / rate, a positive
        1, so that the weighted mean of the labels stays, in expectation, what it was, and with it
        the probabilities.

    Raises:
        ValueError: rate is not within (0, 1].
    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate is {rate}; it must be within (0, 1].")
    key = hashlib.sha256(f"{seed}:{anchor.isoformat()}".encode()).hexdigest()
    customer = hash_strings(np.asarray(customer_ids, dtype=object), key[:16])
    product = hash_strings(np.asarray(product_ids, dtype=object), key[16:32])
    draw = (mix_bits(customer ^ mix_bits(product)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    positive = np.asarray(label) > 0
    rows = np.flatnonzero(positive | (draw < rate))
    return rows, np.where(positive[rows], 1.0, 1.0 / rate).astype(np.float32)


def choose_negative_rate(positives: int, negatives: int, rows: int) -> float:
    """The share of negatives that brings the training rows to about `rows`; never below 0.01."""
    if negatives == 0:
        return 1.0
    return float(min(1.0, max(0.01, (rows - positives) / negatives)))


def choose_threads(rows: int, threads: int, rows_per_thread: int = ROWS_PER_THREAD) -> int:
    """How many of the threads LightGBM gets for so many rows; the bits are the same.

    Threads that wait for each other at every split cost more than few rows do: on a busy machine of two cores, 60
    trees on 2,452 rows took 3.3 s with two threads and 0.1 s with one, on 100,000 rows 19 s and 1.4 s.
    """
    return max(1, min(threads, rows // rows_per_thread))


class Ranker:
    """Gradient-boosted trees over the candidate frame; Ke et al. 2017, "LightGBM".

    The same rows, seed and number of threads give the same model bit for bit.

    Args:
        config: settings.
        seed: of LightGBM's own draws.
        threads: of LightGBM; another number may round sums differently.

    Raises:
        NotFittedError: from `score`, `contributions` and `save` before `fit` or `load`.
    """

    def __init__(self, config: RankerConfig, seed: int = 0, threads: int = 2) -> None:
        self.config = config
        self.seed = seed
        self.threads = threads
        self.facts_: dict[str, Any] = {}

    def parameters(self, rows: int) -> dict[str, object]:
        """What LightGBM is given for so many training rows."""
        ranking = {"lambdarank_truncation_level": 20, "metric": "map", "eval_at": [12]}
        return {
            "objective": self.config.objective,
            **({"metric": "binary_logloss"} if self.config.objective == "binary" else ranking),
            **self.config.trees.model_dump(),
            # A bound made for a million rows would leave a small shop's trees without a split.
            "min_data_in_leaf": min(self.config.trees.min_data_in_leaf, max(20, rows // LEAVES)),
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": choose_threads(rows, self.threads),
            "feature_pre_filter": False,
            "verbosity": -1,
        }

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        group: np.ndarray,
        features: Sequence[str],
        *,
        weight: np.ndarray | None = None,
        valid: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
        valid_weight: np.ndarray | None = None,
        rounds: int | None = None,
        used: Sequence[str] | None = None,
    ) -> Self:
        """Learn; either with `valid` until it no longer improves, or for exactly `rounds` rounds.

        A pilot of `pilot_rounds` trees first picks the `features_kept` features that gain most: in a
        shop without browsing or offers most columns are noise, which costs time and accuracy.

        Args:
            X: float32[n, f], NaN where unknown.
            y: int8[n], 1 where bought within the label window.
            group: int[n], ascending: rows of one (anchor, customer) share a number.
            features: f names, in the order of the columns.
            weight: float32[n], see `sample_negatives`; None for ones.
            valid: (X, y, group) of a later anchor, for early stopping.
            valid_weight: as `weight`, where that anchor was sampled too: judging every row after
                every tree can cost more than growing it.
            rounds: number of trees instead of `valid`.
            used: names of the features to use, instead of a pilot; a refit gives those of the
                model it repeats.

        Returns:
            self, with `booster_`, `features_`, `used_` (the names the trees saw, in the order of
            `features`) and `rounds_`.

        Raises:
            ValueError: shapes that do not fit, an infinite value, no positive or no negative, or
                not exactly one of `valid` and `rounds`.
        """
        import lightgbm as lgb

        if (valid is None) == (rounds is None):
            raise ValueError("Give either valid, to stop early, or rounds.")
        self._check(X, y, group, features)
        if valid is not None:
            self._check(valid[0], valid[1], valid[2], features)
        self.features_ = tuple(features)
        if used is None:
            used = [name for name in features if name not in self.config.hidden_features]
            if len(used) > self.config.features_kept:
                seen = [column for column, name in enumerate(features) if name in set(used)]
                pilot = self._train(X[:, seen], y, group, weight, None, None, self.config.pilot_rounds, used)
                gain = pilot.feature_importance("gain")
                best = np.argsort(-gain, kind="stable")[: self.config.features_kept]
                used = [used[column] for column in best if gain[column] > 0] or used
        self.used_ = tuple(name for name in features if name in set(used))
        if unknown := set(used) - set(features):
            raise ValueError(f"Features to use that are not in the frame: {sorted(unknown)}.")
        columns = self._find_used_columns()
        if valid is not None:
            valid = (valid[0][:, columns], valid[1], valid[2])
        booster = self._train(X[:, columns], y, group, weight, valid, valid_weight, rounds, self.used_)
        self.rounds_ = int(booster.best_iteration) if valid is not None else int(rounds or 0)
        # Text keeps the trees that count and nothing of the training data.
        self.booster_ = lgb.Booster(model_str=booster.model_to_string(num_iteration=self.rounds_))
        self.__dict__.pop("_shapley", None)  # of an earlier fit
        return self

    def _train(
        self,
        X: np.ndarray,
        y: np.ndarray,
        group: np.ndarray,
        weight: np.ndarray | None,
        valid: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
        valid_weight: np.ndarray | None,
        rounds: int | None,
        features: Sequence[str],
    ) -> lightgbm.Booster:
        """LightGBM on these columns; stops at `valid` where there is one."""
        import lightgbm as lgb

        names = [f"f{number}" for number in range(len(features))]  # LightGBM refuses some characters
        by_group = self.config.objective == "lambdarank"
        data = lgb.Dataset(
            X,
            label=y,
            weight=None if by_group else weight,
            group=find_runs(group)[1] if by_group else None,
            feature_name=names,
            params=self.parameters(len(y)),
            free_raw_data=True,
        )
        callbacks, valid_sets = [], []
        if valid is not None:
            valid_sets = [
                data.create_valid(
                    valid[0],
                    label=valid[1],
                    weight=None if by_group else valid_weight,
                    group=find_runs(valid[2])[1] if by_group else None,
                )
            ]
            callbacks = [lgb.early_stopping(self.config.patience, verbose=False)]
        return lgb.train(
            self.parameters(len(y)),
            data,
            num_boost_round=self.config.max_rounds if rounds is None else rounds,
            valid_sets=valid_sets,
            callbacks=callbacks,
        )

    def _find_used_columns(self) -> np.ndarray:
        """int64: columns of the frame that the trees saw."""
        place = {name: column for column, name in enumerate(self.features_)}
        return np.array([place[name] for name in self.used_], dtype=np.int64)

    def _check(self, X: np.ndarray, y: np.ndarray, group: np.ndarray, features: Sequence[str]) -> None:
        if X.shape != (len(y), len(features)) or len(group) != len(y):
            raise ValueError(
                f"The frame is {X.shape}, with {len(y)} labels, {len(group)} groups and {len(features)} features."
            )
        if np.isinf(X).any():
            at = np.flatnonzero(np.isinf(X).any(axis=0))[0]
            raise ValueError(f"The feature {features[at]} holds an infinite number.")
        if (np.diff(group) < 0).any():
            raise ValueError("Rows must be sorted by group.")
        bought = int((np.asarray(y) > 0).sum())
        if bought in (0, len(y)):
            raise ValueError(
                f"{bought} of {len(y)} candidates were bought: there is nothing to learn from. "
                "Check the label window, or publish the blend."
            )

    def _require_fitted(self) -> lightgbm.Booster:
        if not hasattr(self, "booster_"):
            raise NotFittedError("The ranker is not fitted: call fit or load first.")
        return self.booster_

    def score(self, X: np.ndarray) -> np.ndarray:
        """float64[n] raw scores: log-odds of a purchase for "binary", ranks' utility for "lambdarank"."""
        booster = self._require_fitted()
        columns = self._select_columns(X)
        threads = choose_threads(len(X), self.threads, ROWS_SCORED_PER_THREAD)
        parts = [
            np.asarray(
                booster.predict(X[start : start + BLOCK_ROWS, columns], raw_score=True, num_threads=threads)
            )
            for start in range(0, len(X), BLOCK_ROWS)
        ]
        return np.concatenate([np.empty(0), *parts])

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """SHAP values (Lundberg et al. 2020, TreeSHAP): float64[n, f + 1], the last column the base.

        A row sums to `score` of that row but for rounding. The first call prepares the tables of
        `shapley`, a second or so; then a row costs some ten times what scoring does.
        """
        columns = self._select_columns(X)
        contributions = np.zeros((len(X), X.shape[1] + 1))
        # What the trees never saw contributes nothing.
        for start in range(0, len(X), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            contributions[block, columns] = self._shapley.contributions(X[block, columns], self.threads)
        contributions[:, -1] = self._shapley.base
        return contributions

    @cached_property
    def _shapley(self) -> Shapley:
        return Shapley(self._require_fitted())

    def _select_columns(self, X: np.ndarray) -> np.ndarray:
        """Columns that the trees saw, of a frame that has all."""
        if X.ndim != 2 or X.shape[1] != len(self.features_):
            raise ValueError(f"The frame is {X.shape}; the ranker knows {len(self.features_)} features.")
        return self._find_used_columns()

    def importance(self) -> pd.DataFrame:
        """Feature and share of the total gain, largest first, ties by name."""
        gain = np.zeros(len(self.features_))
        gain[self._find_used_columns()] = self._require_fitted().feature_importance("gain")
        total = float(gain.sum())
        table = pd.DataFrame(
            {"feature": self.features_, "gain_share": gain / total if total > 0 else np.zeros(len(gain))}
        )
        return table.sort_values(["gain_share", "feature"], ascending=[False, True], ignore_index=True)

    def save(self, folder: Path, **facts: object) -> str:
        """Write LightGBM's text and a description to `folder`; returns the sha256 of the text.

        Replaced in whole (`files.replace_folder`).

        Args:
            folder: replaced if it exists.
            **facts: put into the description (anchors, data window, metrics); JSON values.
        """
        text = self._require_fitted().model_to_string().encode()
        digest = hashlib.sha256(text).hexdigest()
        description = {
            "format": FORMAT,
            "features": list(self.features_),
            "used": list(self.used_),
            "rounds": self.rounds_,
            "seed": self.seed,
            "config": self.config.model_dump(mode="json"),
            "facts": facts,
            "sha256": digest,
        }
        with replace_folder(folder) as aside:
            (aside / "model.txt").write_bytes(text)
            (aside / "ranker.json").write_text(seal(description))
        return digest

    @classmethod
    def load(cls, folder: Path, threads: int = 2) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: the files are missing, were changed, or are of another format.
        """
        import lightgbm as lgb

        again = "materialise the ranker again."
        try:
            description = unseal((folder / "ranker.json").read_text())
            text = (folder / "model.txt").read_bytes()
        except (OSError, ValueError) as error:
            raise ArtefactError(f"The ranker in {folder} cannot be read ({error}): {again}") from error
        digest = hashlib.sha256(text).hexdigest()
        if description.get("format") != FORMAT or description.get("sha256") != digest:
            raise ArtefactError(
                f"The ranker in {folder} is not what was written (sha256 {digest[:12]}...): {again}"
            )
        try:
            config = RankerConfig.model_validate(description["config"])
        except ValueError as error:
            raise ArtefactError(
                f"The ranker in {folder} was trained with settings that are no longer known: {again}"
            ) from error
        ranker = cls(config, seed=description["seed"], threads=threads)
        ranker.booster_ = lgb.Booster(model_str=text.decode())
        ranker.features_ = tuple(description["features"])
        ranker.used_ = tuple(description["used"])
        ranker.rounds_ = description["rounds"]
        ranker.facts_ = description["facts"]
        return ranker
