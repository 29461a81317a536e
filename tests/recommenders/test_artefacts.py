"""What is stored of a recommender comes back bit for bit, and nothing else is let in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recs_assets.files import seal, unseal
from recs_assets.known.interactions import Known
from recs_assets.recommenders import REGISTRY, artefacts
from recs_assets.recommenders.artefacts import (
    append_lists,
    load_model,
    read_lists,
    read_parameters,
    save_model,
    write_ids,
    write_lists,
)
from recs_assets.recommenders.base import Recommender
from recs_assets.recommenders.popularity import Popularity
from recs_assets.schema import ArtefactError

EVERY = pytest.mark.parametrize("name", REGISTRY)
VIEWS = ("all", "new", "repeat")


def make(name: str) -> Recommender:
    return REGISTRY[name].make(7, 200, 1)


def everybody(known: Known) -> np.ndarray:
    return np.arange(known.n_customers, dtype=np.int32)


def rewrite(folder: Path, **changes: np.ndarray) -> None:
    """Replace arrays and the checksum with them, as somebody with write access can."""
    import hashlib

    with np.load(folder / "arrays.npz") as stored:
        arrays = {name: stored[name] for name in stored.files} | changes
    np.savez(folder / "arrays.npz", **arrays)
    description = unseal((folder / "model.json").read_text())
    description["sha256"] = hashlib.sha256((folder / "arrays.npz").read_bytes()).hexdigest()
    (folder / "model.json").write_text(seal(description))


def test_a_stored_model_brings_its_parameters(shop: Known, tmp_path: Path) -> None:
    save_model(make("user_knn").set_params(own_share=0.25).fit(shop), tmp_path / "user_knn")
    loaded = load_model(make("user_knn"), tmp_path / "user_knn", shop)
    assert loaded.own_share == 0.25
    assert read_parameters(tmp_path / "user_knn")["own_share"] == 0.25
    with pytest.raises(ArtefactError, match="materialise recommenders/als again"):
        read_parameters(tmp_path / "als")
    description = unseal((tmp_path / "user_knn" / "model.json").read_text())
    description["parameters"] = {"gone": 1}
    (tmp_path / "user_knn" / "model.json").write_text(seal(description))
    with pytest.raises(ArtefactError, match="made by another version"):
        load_model(make("user_knn"), tmp_path / "user_knn", shop)


@EVERY
def test_a_loaded_recommender_answers_bit_for_bit(name: str, shop: Known, tmp_path: Path) -> None:
    fitted = make(name).fit(shop)
    save_model(fitted, tmp_path / name)
    loaded = load_model(make(name), tmp_path / name, shop)
    for view in VIEWS:
        before = fitted.recommend(everybody(shop), 8, view)
        after = loaded.recommend(everybody(shop), 8, view)
        pd.testing.assert_frame_equal(before, after, check_exact=True)
    listed = fitted.recommend(everybody(shop), 8)
    pair = listed["customer"].to_numpy(), listed["product"].to_numpy()
    np.testing.assert_array_equal(fitted.because(*pair), loaded.because(*pair))
    if callable(getattr(fitted, "neighbours", None)):
        pd.testing.assert_frame_equal(fitted.neighbours(3), loaded.neighbours(3), check_exact=True)


@EVERY
def test_equal_fits_are_equal_files(name: str, shop: Known, tmp_path: Path) -> None:
    digests = {save_model(make(name).fit(shop), tmp_path / place) for place in ("one", "two")}
    assert len(digests) == 1


@EVERY
def test_every_file_loads_without_pickle(name: str, shop: Known, tmp_path: Path) -> None:
    save_model(make(name).fit(shop), tmp_path / name)
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["arrays.npz", "model.json"]
    with np.load(tmp_path / name / "arrays.npz", allow_pickle=False) as arrays:
        assert all(arrays[key].dtype != object for key in arrays.files)


@pytest.fixture
def stored(shop: Known, tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "popularity"
    save_model(Popularity().fit(shop), folder)
    return folder


def test_the_description_says_what_it_was_fitted_on(stored: Path, shop: Known) -> None:
    description = json.loads((stored / "model.json").read_text())
    assert description["recommender"] == "popularity"
    assert description["as_of"] == "2024-03-04"
    assert description["fingerprint"] == shop.fingerprint
    assert description["events"] == 29
    # Days since 1970-01-01: 112 and 28 days before 2024-03-04, which is day 19786.
    assert (description["first_day"], description["last_day"]) == (19674, 19758)


def test_saving_again_replaces_the_model(stored: Path, shop: Known) -> None:
    (stored / "stray.txt").write_text("of another version")
    save_model(Popularity().fit(shop), stored)
    assert sorted(path.name for path in stored.parent.rglob("*")) == [
        "arrays.npz",
        "model.json",
        "popularity",
    ]


def test_a_changed_file_is_refused(stored: Path, shop: Known) -> None:
    data = bytearray((stored / "arrays.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (stored / "arrays.npz").write_bytes(data)
    with pytest.raises(
        ArtefactError, match="changed or cut short; materialise recommenders/popularity again"
    ):
        load_model(Popularity(), stored, shop)


def test_a_truncated_file_is_refused(stored: Path, shop: Known) -> None:
    data = (stored / "arrays.npz").read_bytes()
    (stored / "arrays.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtefactError, match="changed or cut short"):
        load_model(Popularity(), stored, shop)


@pytest.mark.parametrize("name", ["arrays.npz", "model.json"])
def test_a_missing_file_is_refused(stored: Path, shop: Known, name: str) -> None:
    (stored / name).unlink()
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_model(Popularity(), stored, shop)


def test_a_half_written_description_is_refused(stored: Path, shop: Known) -> None:
    text = (stored / "model.json").read_text()
    (stored / "model.json").write_text(text[: len(text) // 2])
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_model(Popularity(), stored, shop)


def test_a_changed_description_is_refused(stored: Path, shop: Known) -> None:
    text = (stored / "model.json").read_text()
    (stored / "model.json").write_text(text.replace('"events": 29', '"events": 30'))
    with pytest.raises(ArtefactError, match="its description was changed"):
        load_model(Popularity(), stored, shop)


def test_another_format_is_refused(stored: Path, shop: Known) -> None:
    description = unseal((stored / "model.json").read_text())
    (stored / "model.json").write_text(seal(description | {"format": 0}))
    with pytest.raises(ArtefactError, match="not what was written"):
        load_model(Popularity(), stored, shop)


def test_a_model_of_other_customers_is_refused(stored: Path, build_known, shop: Known) -> None:
    other = build_known([("o1", "x1", 28, ["p1"])], customers=[("x1", "single", "DE")])
    assert other.fingerprint != shop.fingerprint
    with pytest.raises(ArtefactError, match="fitted on other customers or products"):
        load_model(Popularity(), stored, other)


def test_a_model_of_another_recommender_is_refused(stored: Path, shop: Known) -> None:
    with pytest.raises(ArtefactError, match="materialise recommenders/repurchase again"):
        load_model(make("repurchase"), stored, shop)


class Trap:
    """Unpickling it would be noticed."""

    def __reduce__(self) -> tuple:
        return pytest.fail, ("the file ran code",)


def test_no_pickle_is_opened(stored: Path, shop: Known) -> None:
    rewrite(stored, scores_=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        load_model(Popularity(), stored, shop)


@pytest.mark.parametrize(
    ("value", "match"),
    [(np.array([{}], dtype=object), "holds Python objects"), ({"a": 1}, "is a dict"), ([1], "is a list")],
)
def test_fitted_state_that_is_no_array_is_not_stored(
    shop: Known, tmp_path: Path, value: object, match: str
) -> None:
    fitted = Popularity().fit(shop)
    fitted.extra_ = value
    with pytest.raises(ArtefactError, match=match):
        save_model(fitted, tmp_path / "model")
    assert not (tmp_path / "model").exists()


# -- candidate lists ------------------------------------------------------------------------


@pytest.fixture
def lists(shop: Known, tmp_path: Path) -> Path:
    path = tmp_path / "popularity-2024-03-04-all.parquet"
    write_lists(Popularity().fit(shop).recommend(everybody(shop), 3), shop, path)
    return path


def test_lists_come_back_as_they_were(lists: Path, shop: Known) -> None:
    whole = Popularity().fit(shop).recommend(everybody(shop), 3)
    pd.testing.assert_frame_equal(read_lists(lists, shop), whole)
    block = read_lists(lists, shop, 2, 4)
    assert block["customer"].tolist() == [2, 2, 2, 3, 3, 3]
    assert list(lists.parent.iterdir()) == [lists]


@pytest.mark.parametrize(
    "sizes", [(0,), (9,), (0, 25, 0), (3, 0, 17, 1), (20, 20), (8, 13, 40, 2), (10, 10, 10)]
)
def test_lists_in_parts_are_the_file_of_all(
    shop: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]
) -> None:
    monkeypatch.setattr(artefacts, "LIST_ROWS", 10)
    customer = np.arange(sum(sizes), dtype=np.int32)
    whole = pd.DataFrame(
        {"customer": customer, "source": pd.Categorical.from_codes(customer % 2, ("a", "b", ""))}
    )
    table = pa.Table.from_pandas(whole, preserve_index=False)
    expected = tmp_path / "expected.parquet"
    pq.write_table(
        table.replace_schema_metadata({"fingerprint": shop.fingerprint}),
        expected,
        compression="zstd",
        row_group_size=10,
    )
    ends = np.cumsum(sizes)
    with append_lists(shop, tmp_path / "lists.parquet") as append:
        for first, last in zip([0, *ends[:-1]], ends, strict=True):
            append(whole.iloc[first:last])
        assert not (tmp_path / "lists.parquet").exists()
    assert (tmp_path / "lists.parquet").read_bytes() == expected.read_bytes()
    assert not (tmp_path / "lists.next").exists()


def test_lists_that_are_not_complete_leave_the_file_before(lists: Path, shop: Known) -> None:
    def write_half() -> None:
        with append_lists(shop, lists) as append:
            append(pd.DataFrame({"customer": np.arange(250_000, dtype=np.int32)}))
            raise OSError("gone")

    before = lists.read_bytes()
    with pytest.raises(OSError, match="gone"):
        write_half()
    assert lists.read_bytes() == before
    assert list(lists.parent.iterdir()) == [lists]


def test_lists_carry_the_fingerprint(lists: Path, shop: Known, build_known) -> None:
    assert pq.read_schema(lists).metadata[b"fingerprint"].decode() == shop.fingerprint
    other = build_known([("o1", "c1", 28, ["p1"])], customers=[("c1", "single", "DE")])
    with pytest.raises(
        ArtefactError, match=r"other customers or products .* materialise recommenders/popularity"
    ):
        read_lists(lists, other)


def test_lists_that_are_gone_or_cut_short_are_refused(lists: Path, shop: Known) -> None:
    data = lists.read_bytes()
    lists.write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtefactError, match="cannot be read"):
        read_lists(lists, shop)
    lists.unlink()
    with pytest.raises(ArtefactError, match="cannot be read"):
        read_lists(lists, shop)


def test_the_ids_of_an_anchor_are_kept_by_code(shop: Known, tmp_path: Path) -> None:
    write_ids(shop, tmp_path)
    customers, products = (tmp_path / f"{kind}s-{shop.as_of}.parquet" for kind in ("customer", "product"))
    assert pq.read_table(customers)["customer_id"].to_pylist() == shop.customers["customer_id"].tolist()
    assert pq.read_table(products)["product_id"].to_pylist() == shop.products["product_id"].tolist()
    before = [path.stat().st_mtime_ns for path in (customers, products)]
    write_ids(shop, tmp_path)
    assert [path.stat().st_mtime_ns for path in (customers, products)] == before
    assert sorted(tmp_path.iterdir()) == [customers, products]


def test_ids_of_other_customers_are_written_again(shop: Known, build_known, tmp_path: Path) -> None:
    other = build_known([("o1", "anna", 1, ["p1"])], customers=[("anna", None, None)])
    write_ids(other, tmp_path)
    write_ids(shop, tmp_path)
    customers = pq.read_table(tmp_path / f"customers-{shop.as_of}.parquet")["customer_id"].to_pylist()
    assert customers == shop.customers["customer_id"].tolist() != ["anna"]
