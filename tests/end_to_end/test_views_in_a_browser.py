"""A person clicks through every view in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from helpers import shops
from helpers.browser import Tab, open_browser, open_tab
from helpers.views import make_app, serve

VIEWS = (
    "Playground", "Journey", "Email preview", "Purchase timeline", "Bought together", "Similarity", "Rules explorer",
    "Data audit", "Data and models", "Results",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(weekly: shops.Home) -> Iterator[str]:
    with serve(make_app(weekly.path, hash_key="a secret of the tests of views", threads=1)) as address:
        yield address


def state(tab: Tab) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(tab.page.url).query).items()}


def check(tab: Tab) -> None:
    """No violation of accessibility, in light and dark, and nothing wider than a phone."""
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        assert tab.list_violations() == []
    wide = tab.page.viewport_size
    tab.page.set_viewport_size({"width": 390, "height": 800})
    width = tab.page.evaluate("document.scrollingElement.scrollWidth")
    tab.page.set_viewport_size(wide)
    assert width <= 390, tab.page.url


def test_every_view_is_clicked_through(browser, address: str, weekly: shops.Home):
    customer = weekly.query(
        "select customer_id from recs.email_recommendations where as_of = '2025-06-30' order by all limit 1"
    )[0][0]
    with open_tab(browser, address, viewport={"width": 1280, "height": 900}) as tab:
        page, seen = tab.page, set()

        def visit(title: str) -> None:
            page.get_by_role("navigation", name="Views").get_by_role("link", name=title, exact=True).click()
            page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
            page.wait_for_load_state()  # the script that changes pages in place has begun
            seen.add(title)

        tab.open("/ui")
        check(tab)

        visit("Playground")
        page.get_by_role("button", name="Draw a customer").click()
        page.get_by_role("heading", name="Lists side by side").wait_for()
        page.wait_for_load_state()
        assert state(tab)["customer"].startswith("~")
        page.get_by_label("Products").select_option("new")
        page.wait_for_url("**view=new**")
        assert page.locator(".list h3").first.text_content() == "ranker"
        page.get_by_label("Pseudonym or customer id").fill(customer)
        page.get_by_role("button", name="Find", exact=True).click()
        page.wait_for_load_state()
        assert customer not in page.url
        assert state(tab)["view"] == "new"
        check(tab)

        page.locator(".list .product").first.click()
        page.get_by_role("heading", name="What the rules said").wait_for()
        page.wait_for_load_state()
        seen.add("Journey")
        removed = page.locator("optgroup[label='Removed by a rule'] option").first
        if removed.count():
            page.locator("#field-product").select_option(removed.get_attribute("value"))
            page.get_by_text("took it out: what passes it").wait_for()
        check(tab)

        visit("Email preview")
        page.frame_locator("iframe[title='The email on a phone']").get_by_role("heading").first.wait_for()
        page.get_by_label("Fetch pictures from the shop").check()
        page.wait_for_url("**pictures=1**")
        page.wait_for_load_state("networkidle")  # each picture was asked for, and did not come
        page.get_by_label("Fetch pictures from the shop").uncheck()
        page.wait_for_url(lambda url: "pictures" not in url)
        page.frame_locator("iframe[title='The email on a phone']").get_by_role("heading").first.wait_for()
        tab.foreign.clear()  # the shop's pictures were asked for, and did not come
        tab.complaints.clear()
        check(tab)

        visit("Purchase timeline")
        page.locator(".card").first.click()
        page.get_by_role("heading", name="How the list evolved").wait_for()
        page.wait_for_load_state()
        page.get_by_label("Lists of").select_option("user_knn")
        page.wait_for_url("**model=user_knn**")
        check(tab)

        visit("Bought together")
        page.locator("main table a").first.click()
        page.get_by_role("heading", name="The cart").wait_for()
        assert len(state(tab)["cart"].split(",")) == 2
        check(tab)

        visit("Similarity")
        page.get_by_label("Alike because it").select_option("bought by the same customers")
        page.wait_for_url("**kind=bought**")
        page.get_by_role("img", name="How alike").wait_for()
        check(tab)

        visit("Rules explorer")
        shown = page.locator(".facts dd").first.inner_text()
        page.get_by_label("Lift from").fill("2")
        page.keyboard.press("Enter")
        page.wait_for_url("**lift=2**")
        assert page.locator(".facts dd").first.inner_text() != shown
        page.locator("svg a").first.dispatch_event("click")
        page.wait_for_url("**most_support**")
        check(tab)

        visit("Data audit")
        page.locator("#field-verdict").select_option("look")
        page.wait_for_url("**verdict=look**")
        assert set(page.locator("#findings + ul .chip").all_inner_texts()) == {"look"}
        check(tab)
        page.get_by_role("link", name="The whole audit as one page").click()
        page.get_by_role("heading", name="Audit of the week 2025-06-30").wait_for()
        page.go_back()

        visit("Data and models")
        for part in (
            "Gates",
            "Data",
            "Recall waterfall",
            "Price of rules",
            "Forecasts and calibration",
            "Models",
        ):
            page.get_by_role("navigation", name="Parts").get_by_role("link", name=part, exact=True).click()
            page.locator("[aria-current=page]", has_text=part).last.wait_for()
            check(tab)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download CSV").click()
        assert download.value.suggested_filename == "data-2025-06-30.csv"

        visit("Results")
        check(tab)
        page.locator("#field-area").select_option("lists")
        page.wait_for_url("**area=lists**")
        check(tab)

        assert seen == set(VIEWS)
        assert tab.foreign == []
        assert tab.complaints == []


def test_the_pages_work_from_the_keyboard_and_without_scripts(browser, address: str):
    with open_tab(browser, address, java_script_enabled=False) as tab:
        page = tab.page
        tab.open("/ui/playground")
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "Skip to the view"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.locator(":focus").get_attribute("id") == "field-segment"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Lists side by side").wait_for()
        assert tab.complaints == []
