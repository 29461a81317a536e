"""Which campaigns of a folder are what."""

from __future__ import annotations

from recs_assets.campaigns.file import Folder, load_folder


def test_the_main_email_is_the_first_that_fills_slots_every_monday() -> None:
    folder = load_folder()
    # back_in_stock and buy_it_again come first by name and go out on other days; category_affinity fills no slots.
    assert list(folder.campaigns)[:3] == ["back_in_stock", "buy_it_again", "category_affinity"]
    assert folder.main is not None
    assert folder.main.name == "weekly_email"
    others = {name: campaign for name, campaign in folder.campaigns.items() if name != "weekly_email"}
    assert Folder(others, ()).main is None
