import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from helpers.ranking import FEATURES, config, market
from recs_assets.files import seal, unseal
from recs_assets.ranking.ranker import (
    Ranker,
    choose_negative_rate,
    load_config,
    sample_negatives,
)
from recs_assets.schema import ArtefactError, NotFittedError, SettingsError

ANCHOR = date(2024, 3, 4)


@pytest.fixture(scope="module")
def fitted():
    X, y, group = market()
    return Ranker(config(), seed=7, threads=2).fit(X, y, group, FEATURES, valid=market(1))


def test_it_learns_what_decides(fitted):
    X, y, _ = market(2)
    score = fitted.score(X)
    assert score[y == 1].mean() > score[y == 0].mean() + 0.5
    assert fitted.importance()["feature"].iloc[0] == "als_score"
    assert fitted.importance()["gain_share"].sum() == pytest.approx(1)
    assert 1 <= fitted.rounds_ <= 60


def test_contributions_sum_to_the_score(fitted):
    X, _, _ = market(3)
    found = fitted.contributions(X)
    assert found.shape == (len(X), 4)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), fitted.score(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("objective", ["binary", "lambdarank"])
def test_the_same_again_bit_for_bit(objective):
    X, y, group = market()
    one, other = (
        Ranker(config(objective=objective), seed=7).fit(X, y, group, FEATURES, valid=market(1))
        for _ in range(2)
    )
    assert one.booster_.model_to_string() == other.booster_.model_to_string()
    assert one.score(X).tobytes() == other.score(X).tobytes()


@pytest.mark.parametrize("kept", [80, 1])
def test_hidden_features_stay_in_the_frame_and_out_of_the_trees(kept):
    X, y, group = market()
    hidden = config(hidden_features=["als_score"], features_kept=kept)
    ranker = Ranker(hidden, seed=7).fit(X, y, group, FEATURES, rounds=5)
    assert ranker.features_ == FEATURES
    assert "als_score" not in ranker.used_
    assert (ranker.contributions(X)[:, 1] == 0).all()
    other = X.copy()
    other[:, 1] = 0
    assert ranker.score(other).tobytes() == ranker.score(X).tobytes()


def test_a_hidden_feature_must_exist():
    with pytest.raises(ValueError, match="no such feature: als_scores"):
        config(hidden_features=["als_scores"])


def test_rounds_instead_of_stopping(fitted):
    X, y, group = market()
    again = Ranker(config(), seed=7).fit(X, y, group, FEATURES, rounds=fitted.rounds_)
    assert again.rounds_ == fitted.rounds_
    assert again.score(X).tobytes() == fitted.score(X).tobytes()


def test_blocks_change_nothing(fitted, monkeypatch):
    X, _, _ = market(3)
    whole = fitted.score(X), fitted.contributions(X)
    monkeypatch.setattr("recs_assets.ranking.ranker.BLOCK_ROWS", 333)
    assert fitted.score(X).tobytes() == whole[0].tobytes()
    assert fitted.contributions(X).tobytes() == whole[1].tobytes()


def test_saved_and_loaded(fitted, tmp_path):
    digest = fitted.save(tmp_path / "ranker", anchors=["2024-03-04"])
    again = Ranker.load(tmp_path / "ranker")
    X, _, _ = market(4)
    assert again.score(X).tobytes() == fitted.score(X).tobytes()
    assert (again.features_, again.rounds_, again.config) == (FEATURES, fitted.rounds_, fitted.config)
    stored = json.loads((tmp_path / "ranker" / "ranker.json").read_text())
    assert stored["sha256"] == digest
    assert stored["facts"] == {"anchors": ["2024-03-04"]}
    assert fitted.save(tmp_path / "ranker", anchors=["2024-03-04"]) == digest


def test_a_changed_description_is_refused(fitted, tmp_path):
    folder: Path = tmp_path / "ranker"
    fitted.save(folder, calibration=[0.25, 0.5])
    text = (folder / "ranker.json").read_text()
    (folder / "ranker.json").write_text(text.replace("0.25", "0.75"))
    with pytest.raises(ArtefactError, match="its description was changed"):
        Ranker.load(folder)


def test_a_model_of_settings_that_are_gone_is_refused(fitted, tmp_path):
    folder: Path = tmp_path / "ranker"
    fitted.save(folder)
    stored = unseal((folder / "ranker.json").read_text())
    stored["config"]["colour"] = "red"
    (folder / "ranker.json").write_text(seal(stored))
    with pytest.raises(
        ArtefactError, match="settings that are no longer known: materialise the ranker again"
    ):
        Ranker.load(folder)


def test_a_changed_model_is_refused(fitted, tmp_path):
    folder: Path = tmp_path / "ranker"
    fitted.save(folder)
    model = folder / "model.txt"
    model.write_text(model.read_text().replace("tree", "trie", 1))
    with pytest.raises(ArtefactError, match="is not what was written"):
        Ranker.load(folder)
    with pytest.raises(ArtefactError, match="cannot be read"):
        Ranker.load(tmp_path / "nothing")


def test_sampling_keeps_positives_and_the_mean_of_the_labels():
    _, y, _ = market(5, customers=3000)
    customers = np.repeat([f"c{n}" for n in range(3000)], 20)
    products = np.tile([f"p{n}" for n in range(20)], 3000)
    rows, weight = sample_negatives(y, customers, products, ANCHOR, 0.2, seed=1)
    assert y[rows].sum() == y.sum()
    assert len(rows) - y.sum() == pytest.approx(0.2 * (y == 0).sum(), rel=0.03)
    assert np.average(y[rows], weights=weight) == pytest.approx(y.mean(), rel=0.03)
    assert set(weight[y[rows] == 0]) == {np.float32(5.0)}
    assert set(weight[y[rows] == 1]) == {np.float32(1.0)}


def test_sampling_keeps_the_mean_probability():
    X, y, group = market(6, customers=2000)
    names = np.char.add("c", group.astype(str))
    rows, weight = sample_negatives(y, names, np.tile([f"p{n}" for n in range(20)], 2000), ANCHOR, 0.25, 1)
    ranker = Ranker(config()).fit(X[rows], y[rows], group[rows], FEATURES, weight=weight, rounds=40)
    probability = 1 / (1 + np.exp(-ranker.score(X)))
    assert probability.mean() == pytest.approx(y.mean(), rel=0.05)


def test_sampling_depends_on_ids_only():
    y = np.zeros(400, dtype=np.int8)
    customers = np.repeat([f"c{n}" for n in range(20)], 20)
    products = np.tile([f"p{n}" for n in range(20)], 20)
    kept = {
        (c, p)
        for c, p in zip(*(part[sample_negatives(y, customers, products, ANCHOR, 0.5, 1)[0]] for part in (customers, products)), strict=True)
    }  # fmt: skip
    back = slice(None, 100, -1)  # other rows, other order
    rows, _ = sample_negatives(y[back], customers[back], products[back], ANCHOR, 0.5, 1)
    again = set(zip(customers[back][rows], products[back][rows], strict=True))
    assert again == {pair for pair in kept if pair in set(zip(customers[back], products[back], strict=True))}
    other, _ = sample_negatives(y, customers, products, date(2024, 3, 11), 0.5, 1)
    same, _ = sample_negatives(y, customers, products, ANCHOR, 0.5, 2)
    assert {(customers[r], products[r]) for r in other} != kept
    assert {(customers[r], products[r]) for r in same} != kept


@pytest.mark.parametrize(
    ("positives", "negatives", "rows", "rate"),
    [(100, 1000, 600, 0.5), (100, 100, 600, 1.0), (0, 0, 10, 1.0), (500, 10_000, 100, 0.01)],
)
def test_negative_rate(positives, negatives, rows, rate):
    assert choose_negative_rate(positives, negatives, rows) == rate


def test_refusals(fitted):
    X, y, group = market()
    ranker = Ranker(config())
    with pytest.raises(NotFittedError, match="call fit or load"):
        ranker.score(X)
    with pytest.raises(ValueError, match="either valid"):
        ranker.fit(X, y, group, FEATURES)
    with pytest.raises(ValueError, match="nothing to learn from"):
        ranker.fit(X, np.zeros(len(y)), group, FEATURES, rounds=3)
    with pytest.raises(ValueError, match="sorted by group"):
        ranker.fit(X, y, group[::-1], FEATURES, rounds=3)
    with pytest.raises(ValueError, match="2 features"):
        ranker.fit(X, y, group, FEATURES[:2], rounds=3)
    bad = X.copy()
    bad[3, 1] = np.inf
    with pytest.raises(ValueError, match="als_score holds an infinite"):
        ranker.fit(bad, y, group, FEATURES, rounds=3)
    with pytest.raises(ValueError, match="knows 3 features"):
        fitted.score(X[:, :2])
    with pytest.raises(ValueError, match="rate is 0"):
        sample_negatives(y, group, group, ANCHOR, 0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("objective: other", "objective"),
        ("{}", "objective: Field required"),
        ("objective: binary\nshrubs: 3", "Field required|Extra inputs"),
    ],
)
def test_settings_are_checked(tmp_path, text, message):
    path = tmp_path / "ranker.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_config(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
