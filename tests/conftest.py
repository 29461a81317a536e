"""Shops for every test."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

from helpers.known import ORDERS, make_known
from helpers.servers import mariadb_server, postgres_server, redis_server  # noqa: F401 - fixtures of every folder
from recs_assets.known.interactions import Known
from recs_assets.store.warehouse import Warehouse

# No way out, here and in every process that a test starts.
OFFLINE = Path(__file__).parent / "offline"
if str(OFFLINE) not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))
    runpy.run_path(str(OFFLINE / "sitecustomize.py"))


# The same examples in every run; a search for new ones is HYPOTHESIS_PROFILE=search.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def build_known() -> Callable[..., Known]:
    """`make_known`, for tests that need another shop."""
    return make_known


@pytest.fixture(scope="session")
def shop() -> Known:
    """The shop of helpers/known.py: few customers, products and orders, all literals."""
    return make_known(ORDERS)


@pytest.fixture(scope="session")
def random_shop() -> Known:
    """40 customers, 60 products, 400 baskets of 1 to 8 products, drawn with a fixed seed."""
    rng = np.random.default_rng(20240304)
    products = [
        (f"p{n:02d}", f"thing {n % 7} model{n}", f"brand {n % 5}", f"kind {n % 6}", f"floor {n % 2}",
         float(1 + n), n % 11 != 0)
        for n in range(60)
    ]  # fmt: skip
    customers = [(f"c{n:02d}", ("young", "old")[n % 2], ("DE", "FR", None)[n % 3]) for n in range(40)]
    popularity = 1 / np.arange(1, 61)
    orders = [
        (
            f"o{n:03d}",
            f"c{rng.integers(38):02d}",  # the last two never order
            int(rng.integers(1, 200)),
            [f"p{p:02d}" for p in rng.choice(60, rng.integers(1, 9), replace=False, p=popularity / popularity.sum())],
        )
        for n in range(400)
    ]  # fmt: skip
    return make_known(orders, customers, products)


@pytest.fixture
def house(tmp_path: Path) -> Warehouse:
    """An empty one, for the build files and snapshots of helpers/warehouse.py."""
    return Warehouse(tmp_path / "home", threads=1, memory_limit="512MB", retention=3)


SERVERS = {"redis_server", "postgres_server"}


def runs_dbt(item: pytest.Item) -> bool:
    return item.path.parent.name == "dbt" and "raw" in item.fixturenames


def is_slow(item: pytest.Item) -> bool:
    """Whether `make quick` leaves a test out: one of whole weeks, of dbt, of servers, or of generated examples."""
    return (
        bool({"weekly", *SERVERS} & set(item.fixturenames))
        or item.get_closest_marker("own_week") is not None
        or runs_dbt(item)
        or getattr(item.obj, "is_hypothesis_test", False)
    )


def order_of(item: pytest.Item) -> int:
    """What takes longest begins first, so that no process is left with it alone at the end."""
    if item.path.name == "test_weekly_run.py":
        return 0  # its process makes the weeks that others wait for
    if "survivor" in item.fixturenames:
        return 2
    if item.get_closest_marker("own_week"):
        return 3 if "weekly" in item.fixturenames else 1
    if runs_dbt(item):
        return 2
    # Whoever says of themselves that they are slow runs dbt, servers or processes of their own.
    return 4 if "weekly" in item.fixturenames or item.get_closest_marker("slow") else 5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=order_of)
    for item in items:
        if is_slow(item):
            item.add_marker("slow")


class Scheduling(LoadScopeScheduling):
    """With -n: the tests of a file share one process, and with it what the file builds once, and so do those of dbt
    and of servers; the tests of test_weekly_again.py share nothing, each takes minutes and goes wherever there is room.

    xdist's own loadgroup does not see groups from pytest 9.2 on.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.split("::")[0])
        if file.parent.name == "dbt":
            return "dbt"
        if file.name.startswith("test_server_"):
            return "servers"
        return nodeid if file.name == "test_weekly_again.py" else str(file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    return Scheduling(config, log)
