"""Names in the rules of pages."""

from __future__ import annotations

from types import SimpleNamespace

from recs_assets.campaigns.context import list_unknown_storefront_names
from recs_assets.rules.storefront import Storefront


def test_names_in_the_rules_of_pages_that_the_shop_lacks_are_said(build_known, tmp_path):
    known = build_known([], [("c1", None, None)], [("p1", "Decaf", "Acme", "Coffee", None, 1.0, True)])
    shop = SimpleNamespace(
        storefront=Storefront.model_validate(
            {"rules": {"excluded_categories": ["Cofee"], "excluded_brands": ["ACME"]}}
        ),
        path=lambda setting: tmp_path / "pages.yaml",
    )
    build = tmp_path / "build.duckdb"
    week = SimpleNamespace(known=lambda: known, build=SimpleNamespace(path=build), shop=shop)
    assert list_unknown_storefront_names(week) == []
    build.touch()
    assert list_unknown_storefront_names(week) == [
        "pages.yaml: excluded_categories: the shop has no 'Cofee'; did you mean 'Coffee'?",
        "pages.yaml: excluded_brands: the shop has no 'ACME'; 'Acme' is taken for it.",
    ]
