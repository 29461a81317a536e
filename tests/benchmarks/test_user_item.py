import numpy as np
import pytest

from benchmarks import user_item


@pytest.fixture
def folder(tmp_path):
    """Two camps of 12 users: items 0 to 9 and 10 to 19. Everybody trains on six of hers and is tested on two more."""
    rng = np.random.default_rng(1)
    train, test = [], []
    for user in range(24):
        items = rng.permutation(10)[:8] + 10 * (user % 2)
        train.append(f"{user} " + " ".join(map(str, items[:6])))
        test.append(f"{user} " + " ".join(map(str, items[6:])))
    test[3] = "3"  # a user without test items, as LightGCN's files have them
    (tmp_path / "train.txt").write_text("\n".join(train) + "\n")
    (tmp_path / "test.txt").write_text("\n".join(test) + "\n\n")
    return tmp_path


def test_reads_pairs(folder):
    known, truth = user_item.read_split(folder)
    assert (known.n_customers, known.n_products) == (24, 20)
    assert np.diff(known.history.indptr).tolist() == [6] * 24
    assert np.diff(truth.indptr).tolist() == [2, 2, 2, 0] + [2] * 20
    assert known.history.multiply(truth).nnz == 0


def test_camps_are_found(folder):
    # Four items of the own camp are left after training, two of them true: a list of 20 has room for all.
    table = user_item.run(folder, ("popularity", "item_knn", "user_knn", "ease"), threads=1)
    assert (table["users"] == 23).all()
    assert (table["recall@20"] == 1).all()
    assert table.loc["item_knn", "ndcg@20"] > table.loc["popularity", "ndcg@20"]
    assert user_item.markdown(table).count("\n") == 5


def test_metrics_by_hand(tmp_path):
    # Items 0 and 1 by two users, 2 by one. User 0 lacks 1 and 2, popularity shows 1 then 2; she bought 2.
    (tmp_path / "train.txt").write_text("0 0\n1 0 1\n2 1 2\n")
    (tmp_path / "test.txt").write_text("0 2\n")
    table = user_item.run(tmp_path, ("popularity",), threads=1)
    assert table.loc["popularity", "recall@20"] == 1
    assert table.loc["popularity", "ndcg@20"] == pytest.approx(1 / np.log2(3))


def test_command(folder, capsys):
    assert user_item.main(["--data", str(folder), "--only", "popularity"]) == 0
    assert "23 test users" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        user_item.main(["--data", str(folder), "--only", "magic"])


def test_settings_are_searched_among_the_training_pairs(folder, capsys):
    # The best that a list of 20 can do is to have everything, and every setting of user_knn has: nothing is proven.
    table = user_item.run(folder, ("user_knn",), threads=1, settings="search", trials=2)
    assert table.loc["user_knn", "recall@20"] == 1
    assert "user_knn: none of 2 settings is proven better than {'own_share': 0.7, 'neighbours': 100}" in (
        capsys.readouterr().out
    )


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / "train.txt").write_text("0 1 2\n1 x\n")
    with pytest.raises(ValueError, match=r"train.txt, line 2: .*'x'"):
        user_item.read_pairs(tmp_path / "train.txt")
