"""The arithmetic of the benchmark by hand, and that it asks what the server answers."""

from __future__ import annotations

import random

import numpy as np
import pytest
from fastapi.testclient import TestClient

from benchmarks import complete_the_basket as benchmark
from benchmarks.complete_the_basket import Basket
from benchmarks.simple_lists import rank_hidden, rank_in_simple_lists
from helpers.known import make_known
from helpers.serving import BEGINS, NOW, make_product, write_version
from recs_assets.app.guard import Limits
from recs_assets.app.server import create_app
from recs_assets.serving.placement import Blend, load_folder
from recs_assets.serving.service import open_service
from recs_assets.serving.state import State
from recs_assets.serving.store import FILE, FileStore
from recs_assets.serving.version import Version

PRODUCTS = [(f"p{n}", f"Product {n}", None, "Tea", None, 2.0, n != 4) for n in range(5)]


def test_the_hidden_line_depends_on_the_order_and_not_on_how_it_was_written() -> None:
    assert benchmark.hide_line("o1", ["a", "b", "c"]) == benchmark.hide_line("o1", ["c", "a", "b"])
    assert [benchmark.hide_line(f"o{n}", "abc") for n in range(4)] == [
        ("a", ("c", "b")), ("a", ("b", "c")), ("c", ("a", "b")), ("b", ("c", "a")),
    ]  # fmt: skip


def test_places_and_what_they_are_worth() -> None:
    assert [benchmark.place(["a", "b"], hidden) for hidden in "abc"] == [1, 2, 0]
    found = benchmark.measure(np.array([1, 8, 9, 12, 0]), 8)
    assert found[:, :2].tolist() == [[1, 1], [1, 1], [0, 1], [0, 1], [0, 0]]
    assert found[:, 2] == pytest.approx([1, 1 / 8, 1 / 9, 1 / 12, 0])


def test_a_customer_is_drawn_with_all_baskets() -> None:
    values = np.array([[1.0], [0.0], [0.0], [0.0]])
    drawn = benchmark.draw(values, ["ada", "bob", "bob", "bob"], seed=0)
    # Ada twice, bob twice, or both: one hit in four baskets.
    assert set(drawn[:, 0].tolist()) == {1.0, 0.0, 0.25}


def test_a_table_compares_with_the_shipped_weights() -> None:
    baskets = [Basket(name, 0.0, "a", ("b",)) for name in ("ada", "bob")]
    places = {"none": np.array([0, 0]), benchmark.SHIPPED: np.array([2, 9])}
    lines = benchmark.tabulate(places, baskets, 8, seed=0)
    assert lines[2:] == [
        "| none | 0.000 (0.000–0.000) | 0.000 (0.000–0.000) | 0.000 (0.000–0.000) "
        "| -0.5000 (-1.0000 to +0.0000) | -0.3056 (-0.5000 to -0.1111) |",
        "| both, as shipped | 0.500 (0.000–1.000) | 1.000 (1.000–1.000) | 0.306 (0.111–0.500) |  |  |",
    ]


def test_the_rank_of_a_hidden_product_counts_what_is_offered_before_it() -> None:
    values, every = np.array([[3.0, 2.0, 2.0, 1.0]] * 4), np.ones((4, 4), dtype=bool)
    each = np.arange(4)
    assert rank_hidden(values, every, each, 12).tolist() == [1, 2, 3, 4]  # of equals, the smaller code
    assert rank_hidden(values, every, each, 2).tolist() == [1, 2, 0, 0]
    assert rank_hidden(values, every & (each != 0), each, 12).tolist() == [0, 1, 2, 3]


def test_simple_lists_by_hand() -> None:
    known = make_known(
        [
            ("1", "ada", 9, ["p0", "p1"]), ("2", "ada", 8, ["p1"]), ("3", "bob", 7, ["p2", "p3"]),
            ("4", "bob", 6, ["p2", "p3"]), ("5", "bob", 5, ["p2", "p0"]), ("6", None, 4, ["p2", "p4"]),
        ],
        customers=[("ada", "s", None), ("bob", "s", None)],
        products=PRODUCTS,
    )  # fmt: skip
    baskets = [
        Basket("ada", 0.0, "p1", ("p2",)),
        Basket("ada", 0.0, "p3", ("p2",)),
        Basket("bob", 0.0, "p4", ("p2",)),  # may not be sold
        Basket("bob", 0.0, "p0", ("p2", "p3")),
        Basket("bob", 0.0, "p0", ("p1",)),
    ]
    customer, hidden = benchmark.find_codes(known, baskets)
    carts = benchmark.make_carts(known, "cart", baskets)
    ranks = rank_in_simple_lists(known, customer, carts, hidden, largest=200, longest=12, block=3)
    assert {name: found.tolist() for name, found in ranks.items()} == {
        # p2 four times, then p3, p0 and p1 twice each, the later ones first.
        "popular products": [3, 1, 0, 1, 3],
        "own products, by days bought": [1, 3, 0, 1, 3],
        "own products, by days bought, decayed": [1, 3, 0, 1, 3],
        # Of four baskets with p2, two have p3 and one p0; of two with p1, one has p0.
        "co-purchase, by summed confidence": [3, 1, 0, 1, 1],
        # The last: p2 3/3, p0 1/3 + 1/2, p3 2/3.
        "own share of orders + mean confidence": [1, 3, 0, 1, 2],
    }
    assert benchmark.make_carts(known, "product", baskets).toarray()[3].tolist() == [0, 0, 1, 0, 0]


def test_weights_are_chosen_one_after_the_other() -> None:
    def find(blend: Blend) -> float:
        return -abs(blend.personal - 0.75) - abs(blend.similar - 0.2)

    best, tried = benchmark.choose_weights(find)
    assert best == Blend(personal=0.75, together=1, similar=0.2)
    assert len(tried) == len(benchmark.PERSONAL) + len(benchmark.SIMILAR) - 1


def test_it_asks_what_the_server_answers(tmp_path) -> None:
    rng = random.Random(7)
    ids = [f"p{n}" for n in range(40)]
    products = [make_product(name, popularity=rng.random(), category=f"c{rng.randrange(6)}") for name in ids]

    def draw_pairs(k: int) -> list[tuple[str, float]]:
        return [(name, round(rng.random(), 3)) for name in rng.sample(ids, k)]

    near = {name: (draw_pairs(6), draw_pairs(6)) for name in ids}
    people = [(f"c{n}", {"list": draw_pairs(15), "tastes": [("c1", 1.0)]}) for n in range(4)]
    write_version(tmp_path, "v1", products, people, near)
    placements = load_folder()
    version = Version("v1", FileStore(tmp_path / "serving" / "versions" / "v1" / FILE), placements, State())
    service = open_service(tmp_path, placements, lambda: lambda name: False, 8, clock=lambda: NOW)
    with TestClient(create_app(service, Limits({})), base_url="http://127.0.0.1") as client:
        for _ in range(60):
            rest = tuple(rng.sample(ids, rng.randint(1, 12)))
            basket = Basket(f"c{rng.randrange(5)}", NOW.timestamp() - BEGINS, "none", rest)
            for placement in benchmark.PLACEMENTS:
                page = (
                    {"context": rest[0], "cart": ""} if placement == "product" else {"cart": ",".join(rest)}
                )
                answer = client.get(
                    f"/v1/customers/{basket.customer}/recommendations",
                    params={"placement": placement, "n": 12, **page},
                ).json()
                expected = [item["product_id"] for item in answer["items"]]
                assert len(expected) > 0
                assert benchmark.ask(version, placement, basket, None) == expected
