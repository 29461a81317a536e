"""A small seeded search of the recommenders' telling settings at one training anchor."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
from scipy import sparse

from recs_assets.evaluation import bootstrap, metrics
from recs_assets.evaluation.evaluate import split_views
from recs_assets.known.interactions import Known
from recs_assets.recommenders.base import Recommender, View
from recs_assets.recommenders.shape import Parameters, Shape
from recs_assets.schema import ArtefactError

MAP_AT = 12
HALF_LIVES = (14.0, 30.0, 90.0, 180.0, 365.0)


@dataclass(frozen=True)
class Space:
    """What is tried of a recommender.

    Attributes:
        view: the lists it is there for: what it is judged by.
        grid: parameter -> values.
    """

    view: View
    grid: Mapping[str, tuple[float, ...]]


# The recommenders whose settings decide; of the others none was seen to matter (docs/research/recommenders.md).
SPACES: dict[str, Space] = {
    "popularity": Space("all", {"half_life_days": (7.0, 14.0, 28.0, 56.0, 112.0)}),
    "repurchase": Space("all", {"half_life_days": HALF_LIVES}),
    "user_knn": Space(
        "all",
        {"own_share": (0.0, 0.3, 0.5, 0.7, 0.9), "neighbours": (100, 300), "half_life_days": HALF_LIVES},
    ),
    "item_knn": Space(
        "new",
        {
            "k1": (0.6, 1.2, 10.0, 100.0),
            "b": (0.0, 0.1, 0.2, 0.3, 0.5, 0.75),
            "neighbours": (50, 200),
            "half_life_days": HALF_LIVES,
        },
    ),
    "als": Space(
        "new",
        {
            "alpha": (1.0, 10.0, 40.0),
            "regularization": (3.0, 10.0, 30.0, 100.0, 300.0),
            "factors": (64, 128, 256),
            "half_life_days": HALF_LIVES,
        },
    ),
    "ease": Space(
        "new",
        {
            "regularization": (30.0, 100.0, 200.0, 500.0, 1000.0, 3000.0),
            "head": (4000, 8000),
            "half_life_days": HALF_LIVES,
        },
    ),
    "graph_filter": Space(
        "new",
        {
            "factors": (64, 128, 256),
            "smooth": (0.0, 0.1, 0.3, 1.0, 3.0),
            "popularity_power": (0.0, 0.25, 0.5),
            "half_life_days": HALF_LIVES,
        },
    ),
}


@dataclass(frozen=True)
class Trial:
    """One setting of a recommender, and MAP@12 of its view: over the half that chooses, and over the other."""

    recommender: str
    parameters: dict[str, float]
    chooses: float
    confirms: float


@dataclass(frozen=True)
class Search:
    """What a search chose.

    Attributes:
        anchor: at which the recommenders were fitted.
        until: end of the label window that judged them; nothing later was looked at.
        shape: of the shop at the anchor.
        parameters: what replaces the defaults, of every recommender.
        trials: in the order made; the first of a recommender is what held before.
    """

    anchor: date
    until: date
    shape: Shape
    parameters: Parameters
    trials: tuple[Trial, ...] = ()

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        content = asdict(self) | {"anchor": self.anchor.isoformat(), "until": self.until.isoformat()}
        return json.dumps(content, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, path: Path) -> Self:
        """What was written to a path.

        Raises:
            ArtefactError: it is no search.
        """
        try:
            content = json.loads(text)
            return cls(
                date.fromisoformat(content["anchor"]),
                date.fromisoformat(content["until"]),
                Shape(**content["shape"]),
                content["parameters"],
                tuple(Trial(**trial) for trial in content["trials"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ArtefactError(
                f"The search {path} cannot be read ({error}): delete it, or run the job `research` again."
            ) from error


def search(
    make: Callable[[str, Mapping[str, float]], Recommender],
    known: Known,
    truth: sparse.csr_matrix,
    customers: np.ndarray,
    until: date,
    held: Parameters,
    *,
    trials: int = 12,
    seed: int = 0,
    spaces: Mapping[str, Space] = SPACES,
    sample: Known | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Search:
    """Try settings drawn from each space; the best takes the place of what held if it is proven better.

    One half of the customers chooses among the settings, the other confirms: the paired bootstrap
    interval of the difference to what held lies above 0 there, in the recommender's own view, and not below 0 in
    view "all". So the best of many by chance does not pass, and nothing that works is given up for it.

    Args:
        make: name and parameters -> an unfitted recommender.
        known: at a training anchor.
        truth: csr[n_customers, n_products], bought in the label window.
        customers: codes to judge by; those without a purchase of the view drop out.
        until: end of the label window.
        held: the settings that hold today; missing ones are the defaults.
        trials: settings tried of a recommender beside what holds.
        seed: of the draws, the halves and the bootstrap.
        spaces: what is tried of which recommender.
        sample: of the customers of `known`, those who teach; None: all.
        say: told what came out, a sentence per recommender.
    """
    true = split_views(truth, known.history)
    mixed = np.random.default_rng(seed).permutation(np.sort(np.asarray(customers)))
    halves = [np.sort(mixed[part::2]) for part in range(2)]
    found, record = {name: dict(parameters) for name, parameters in held.items()}, []
    for name, space in spaces.items():
        today = {key: getattr(make(name, held.get(name, {})), key) for key in space.grid}
        tried = [today, *_draw_settings(space, today, trials, seed)]
        values = [
            _measure(make(name, parameters), sample or known, known, true, space.view, halves)
            for parameters in tried
        ]
        record += [
            Trial(name, parameters, *(float(half[space.view].mean()) if len(half[space.view]) else 0.0 for half in one))
            for parameters, one in zip(tried, values, strict=True)
        ]  # fmt: skip
        # The first of equals: what holds, then the earlier draw.
        best = max(range(len(tried)), key=lambda number: (record[number - len(tried)].chooses, -number))
        if best and _is_proven(values[best][1], values[0][1], space.view, seed):
            found[name] = found.get(name, {}) | tried[best]
            say(f"{name}: {tried[best]} takes the place of {today}.")
        else:
            say(f"{name}: none of {len(tried) - 1} settings is proven better than {today}.")
    return Search(known.as_of, until, Shape.of(known), found, tuple(record))


def _draw_settings(
    space: Space, today: Mapping[str, float], trials: int, seed: int
) -> list[dict[str, float]]:
    """Distinct settings of a space other than today's, in a seeded order."""
    every = [dict(zip(space.grid, one, strict=True)) for one in itertools.product(*space.grid.values())]
    others = [one for one in every if one != today]
    order = np.random.default_rng(seed).permutation(len(others))[:trials]
    return [others[number] for number in order]


def _measure(
    model: Recommender,
    sample: Known,
    known: Known,
    true: Mapping[str, sparse.csr_matrix],
    view: View,
    halves: list[np.ndarray],
) -> list[dict[View, np.ndarray]]:
    """Per half and view: float64 MAP@12 of every customer with a true product."""
    views: tuple[View, ...] = tuple(dict.fromkeys((view, "all")))
    model.fit_sample(sample, known)
    lists = model.recommend_known(known, np.sort(np.concatenate(halves)), MAP_AT, views)
    return [
        {
            one: metrics.measure_customers(
                lists[one], true[one], half[np.diff(true[one].indptr)[half] > 0], (MAP_AT,)
            )["map", MAP_AT]
            for one in views
        }
        for half in halves
    ]


def _is_proven(new: dict[View, np.ndarray], old: dict[View, np.ndarray], view: View, seed: int) -> bool:
    if len(new[view]) == 0:
        return False
    _, low, _ = bootstrap.compare_pairs(new[view], old[view], seed)
    _, _, high = bootstrap.compare_pairs(new["all"], old["all"], seed)
    return low > 0 and high >= 0
