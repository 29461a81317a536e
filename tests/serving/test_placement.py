"""Files of placements: what is shipped, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from recs_assets.schema import RecsError
from recs_assets.serving.placement import FOLDER, PlacementError, find_nearest, load, load_folder

GOOD = """name: shelf
description: A shelf.
blend:
  personal: 1
"""


def test_the_shipped_placements() -> None:
    assert list(load_folder()) == ["cart", "checkout", "email_open", "home", "product"]


MISTAKES = {
    "an unknown key": (GOOD + "rulez: {}\n", "line 5: there is no key rulez; did you mean rules?"),
    "a rule of campaigns that looks at customers": (
        GOOD + "rules:\n  not_in_cart: true\n", "line 6: there is no rule rules.not_in_cart; "
    ),
    "no name": (GOOD.replace("name: shelf\n", ""), "line 1: the key name is missing; add it."),
    "another name": (GOOD.replace("shelf", "board"), "line 1: name: board is in shelf.yaml; "),
    "no list": (GOOD.replace("personal: 1", "personal: 0"), "line 3: blend: no list counts; give one a weight"),
    "a weight that is none": (GOOD.replace("personal: 1", "personal: x"), "line 4: blend.personal: "),
    "a pin beyond the list": (
        GOOD + "n: 3\npinned:\n- {product: p, slot: 4}\n", "line 6: pinned: slot 4 is beyond n = 3"
    ),
    "a ladder that ends early": (GOOD + "ladder: [segment]\n", "line 5: ladder: the last level must be global"),
    "arms without an experiment": (
        GOOD + "arms: {a: 0.5, b: 0.5}\n", "experiment: an experiment has a name and arms; give both, or neither"
    ),
    "arms that are not one": (GOOD + "arms: {a: 0.5, b: 0.4}\n", "line 5: arms: the shares add up to 0.9"),
    "stock of less than one": (GOOD + "rules:\n  min_stock: 0\n", "line 6: rules.min_stock: "),
    "a strength without a goal": (
        GOOD + "goal: {purchase: 0.5}\ngoal_strength: 2\n",
        "line 6: goal_strength: it has no effect while goal is purchase; set goal, or remove the key; correct it.",
    ),
    "a floor of no discovery": (
        GOOD + "discovery_floor: 0.5\n",
        "line 5: discovery_floor: it has no effect while discovery_share is 0; set discovery_share, or remove the key; correct it.",
    ),
    "a boost that is none": (
        GOOD + "boosts: [{brand: Acme, factor: 1}]\n",
        "line 5: boosts.0: a factor of 1 changes nothing; give another one, or remove it.",
    ),
    "no YAML": ("name: [", "this is not YAML"),
    "a list": ("- name", "a placement is a list of keys and values (docs/api.md); write name: first."),
}  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "shelf.yaml"
    path.write_text(text)
    with pytest.raises(PlacementError) as caught:
        load(path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f"{path}, line ")


def test_a_server_does_not_start_with_half_of_its_placements(tmp_path: Path) -> None:
    (tmp_path / "shelf.yaml").write_text(GOOD)
    (tmp_path / "wrong.yaml").write_text("name: wrong\n")
    with pytest.raises(PlacementError, match=r"wrong\.yaml"):
        load_folder(tmp_path)
    with pytest.raises(RecsError, match="There is no folder of placements"):
        load_folder(tmp_path / "none")
    with pytest.raises(RecsError, match="holds no placement"):
        load_folder(FOLDER.parent)


def test_the_nearest_placement_is_named() -> None:
    placements = load_folder()
    assert find_nearest("homepage", placements) == "did you mean home?"
    assert find_nearest("x", placements).startswith("the placements are cart, checkout, ")
