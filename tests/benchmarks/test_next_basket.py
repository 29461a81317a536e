import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from benchmarks import baskets, next_basket
from benchmarks.tifu_knn import tifu_knn, tifu_vectors
from recs_assets.week.lessons import Lesson

AS_OF = date(2024, 1, 1)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "keyset").mkdir()
    history = {
        "7": [[-1], [0, 1], [1], [-1]],
        "8": [[-1], [2], [-1]],
        "9": [[-1], [0], [0, 2, 2], [1], [-1]],
    }
    future = {"7": [[-1], [1, 3], [-1]], "8": [[-1], [0], [-1]], "9": [[-1], [0], [-1]]}
    (tmp_path / "tiny_history.json").write_text(json.dumps(history))
    (tmp_path / "tiny_future.json").write_text(json.dumps(future))
    for fold, (train, test) in enumerate(((["8", "9"], ["7"]), (["7", "8"], ["9"]))):
        keyset = {"item_num": 4, "train": train, "val": [], "test": test}
        (tmp_path / "keyset" / f"tiny_keyset_{fold}.json").write_text(json.dumps(keyset))
    return tmp_path


def test_reads_the_layout(folder):
    data = baskets.read_dataset(folder)
    assert data.history == {"7": [[0, 1], [1]], "8": [[2]], "9": [[0], [0, 2], [1]]}
    assert data.future == {"7": [1, 3], "8": [0], "9": [0]}
    assert (data.n_items, [fold.test for fold in data.folds]) == (4, [["7"], ["9"]])
    (folder / "tiny_future.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"0 files \*_future.json"):
        baskets.read_dataset(folder)


def test_baskets_are_aligned_at_the_right(folder, tmp_path):
    baskets.convert(baskets.read_dataset(folder), tmp_path / "shop", AS_OF)
    tables = {path.stem: pd.read_parquet(path) for path in (tmp_path / "shop").iterdir()}
    assert set(tables) == {"customers", "products", "orders", "order_items"}
    orders = tables["orders"].set_index("order_id")
    lines = tables["order_items"].groupby("order_id")["product_id"].apply(list)
    weeks = ((pd.Timestamp(AS_OF) - orders["ordered_at"]).dt.days // 7 + 1).to_dict()
    # The future in the last week, the latest known basket in the one before, whoever the user.
    assert weeks == {
        "7-0003": 1, "7-0002": 2, "7-0001": 3,
        "8-0002": 1, "8-0001": 2,
        "9-0004": 1, "9-0003": 2, "9-0002": 3, "9-0001": 4,
    }  # fmt: skip
    assert lines["7-0003"] == ["1", "3"]
    assert lines["9-0002"] == ["0", "2"]
    assert tables["products"]["product_id"].tolist() == ["0", "1", "2", "3"]


def test_in_the_second_regime_training_users_are_a_week_earlier(folder, tmp_path):
    data = baskets.read_dataset(folder)
    baskets.convert(data, tmp_path / "shop", AS_OF, data.folds[0].train)
    orders = pd.read_parquet(tmp_path / "shop" / "orders.parquet").set_index("order_id")
    weeks = ((pd.Timestamp(AS_OF) - orders["ordered_at"]).dt.days // 7 + 1).to_dict()
    # 8 and 9 train: their futures (8-0002, 9-0004) fall in the last known week. Nobody knows that of 7, who tests.
    assert weeks == {
        "7-0003": 1, "7-0002": 2, "7-0001": 3,
        "8-0002": 2, "8-0001": 3,
        "9-0004": 2, "9-0003": 3, "9-0002": 4, "9-0001": 5,
    }  # fmt: skip


def test_rows_regrown_learn_from_the_kept_anchor_and_its_teachers():
    def lesson(group):
        n = len(group)
        frame = np.arange(n, dtype=np.float32)[:, None]
        return Lesson(np.array(group), np.zeros(n), np.ones(n), frame, ("rrf",))

    before, kept = lesson([0, 1]), lesson([0, 0, 1, 2])
    ids = np.array(["7", "8", "9"], dtype=object)
    assert list(next_basket.regrown_lessons([before], kept, ids, ())) == ["regrown", "regrown_latest"]
    found = next_basket.regrown_lessons([before], kept, ids, {"7", "9"})
    assert found["regrown"] == [before, kept]
    assert found["regrown_latest"] == [kept]
    (theirs,) = found["regrown_teachers"]
    assert (theirs.group.tolist(), theirs.frame[:, 0].tolist()) == ([0, 0, 2], [0.0, 1.0, 3.0])


def test_a_sample_keeps_its_users_in_their_parts(folder):
    data = baskets.sample(baskets.read_dataset(folder), 2)
    assert len(data.history) == len(data.future) == 2
    for fold in data.folds:
        assert sorted([*fold.train, *fold.validation, *fold.test]) == sorted(data.history)


def test_the_shop_is_canonical(folder, tmp_path):
    """Names and types are those that landing declares, so the pipeline accepts the folder."""
    from recs_assets.schema import RAW_TABLES

    baskets.convert(baskets.read_dataset(folder), tmp_path / "shop", AS_OF)
    for path in (tmp_path / "shop").iterdir():
        columns, table = set(pd.read_parquet(path).columns), RAW_TABLES[path.stem]
        assert columns <= set(table.column_names)
        assert {column.name for column in table.columns if column.required} <= columns


def test_tifu_vectors_by_hand():
    # Three baskets, three runs of one: weights 0.5 ** (0.5's after it) * 0.1 ** (6 - run) / 3.
    short = tifu_vectors([[[0], [1], [0]]], 2, within_decay=0.5, group_decay=0.1, groups=7)
    np.testing.assert_allclose(short.toarray(), [[(0.25 * 1e-6 + 1e-4) / 3, 0.5 * 1e-5 / 3]], rtol=1e-12)
    # Five baskets, two runs: lengths 2 and 3 (the later run takes the rest).
    long = tifu_vectors([[[0], [1], [2], [3], [4]]], 5, within_decay=0.5, group_decay=0.1, groups=2)
    expected = [0.1 * 0.0625 / 2, 0.1 * 0.125 / 2, 0.25 / 3, 0.5 / 3, 1 / 3]
    np.testing.assert_allclose(long.toarray(), [[value / 2 for value in expected]], rtol=1e-12)


def test_tifu_lists_by_hand():
    train = sparse.csr_matrix(np.array([[1.0, 0, 0, 0], [0, 1, 0, 0.5], [0, 0, 4, 0]]))
    test = sparse.csr_matrix(np.array([[0, 0.9, 0, 0]]))
    lists = tifu_knn(test, train, k=3, neighbours=1, own_share=0.5)
    assert lists[["customer", "product", "rank"]].to_numpy().tolist() == [[0, 1, 1], [0, 3, 2]]
    lists = tifu_knn(test, train, k=3, neighbours=2, own_share=0.5)  # and the first, at 1.35
    assert lists["product"].tolist() == [1, 0, 3]


def test_ndcg_has_the_ideal_of_the_whole_basket():
    lists = pd.DataFrame({"customer": [0] * 10, "product": range(10), "rank": range(1, 11)})
    truth = sparse.csr_matrix(np.r_[np.ones(12), 0][None, :])
    row = next_basket.score(lists, truth, np.array([0])).iloc[0]
    discount = 1 / np.log2(np.arange(2, 14))
    assert row["recall@10"] == pytest.approx(10 / 12)
    assert row["ndcg@10"] == pytest.approx(discount[:10].sum() / discount.sum())
    assert row["phr@10"] == 1


def test_folds_and_ratios(folder):
    data = baskets.read_dataset(folder)
    users, items = np.array(["7", "8", "9"], dtype=object), np.array(["0", "1", "2", "3"], dtype=object)
    # Code 0 is user 7 (buys 1, 3), code 2 is user 9 (buys 0).
    oracle = pd.DataFrame({"customer": [0, 0, 2], "product": [1, 3, 0], "rank": [1, 2, 1]})
    results = next_basket.evaluate(data, {"oracle": oracle}, users, items)
    assert results["oracle"]["user"].tolist() == ["7", "9"]
    table = next_basket.summary(results)
    assert table.loc["oracle", next_basket.COLUMNS].tolist() == [1] * 6
    # TIFU-KNN: user 7 gets 1, then what 8 and 9 bought; item 3 nobody knows. User 9 gets 0 somewhere.
    assert table.loc["tifu_knn", "recall@10"] == pytest.approx((1 / 2 + 1) / 2)
    assert table.loc["oracle", "ratio recall@10"] == pytest.approx(4 / 3)
    assert table.loc["tifu_knn", ["ratio recall@10 low", "ratio recall@10 high"]].tolist() == [1, 1]
    assert "| oracle | 1.0000 |" in next_basket.markdown(table)
