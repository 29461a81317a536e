"""The documents must say what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from helpers.dbt_build import properties
from recs_assets import __version__
from recs_assets.recommenders import REGISTRY
from recs_assets.settings import describe

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    if path.name != "DESIGN.md"
)
RESEARCH = sorted(ROOT.glob("docs/research/*.md"))
README = (ROOT / "README.md").read_text("utf-8")
PUBLISH_LOG = "publish_log"  # written by the warehouse, not by dbt


def published_tables() -> set[str]:
    models = properties("models", "published")
    names = {model.get("config", {}).get("alias", model["name"]) for model in models}
    return names | {PUBLISH_LOG}


def test_commands_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    commands = set(re.findall(r"\bmake ([a-z]+)", README))
    assert {"demo", "test", "dev"} <= commands
    assert commands <= targets


def test_readme_starts_with_one_sentence_and_two_commands():
    first = README.split("## ")[0]
    commands = re.findall(r"^    (make \w+)", first, re.MULTILINE)
    assert commands == ["make demo", "make test"]


def test_settings_page_is_generated():
    assert (ROOT / "docs/settings.md").read_text("utf-8") == describe(), "see the head of docs/settings.md"


def test_every_recommender_is_described():
    text = (ROOT / "docs/recommenders.md").read_text("utf-8")
    assert [name for name in REGISTRY if not re.search(rf"^\| {name} \|", text, re.MULTILINE)] == []


def test_the_page_lists_exactly_the_published_tables():
    page = (ROOT / "docs/tables.md").read_text("utf-8")
    cells = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == published_tables()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_named_in_the_pages_are_published(page):
    named = set(re.findall(r"\brecs\.([a-z_]+)\b", page.read_text("utf-8"))) - {"duckdb", "js"}
    assert named <= published_tables()


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_every_page_of_docs_is_linked_from_the_readme_or_from_another_page():
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert [page.name for page in PAGES if page.parent.name == "docs" and f"{page.name}" not in text] == []


def test_pictures_are_small():
    assert [path.name for path in ROOT.glob("docs/images/*") if path.stat().st_size >= 400_000] == []


def test_changelog_starts_with_the_version():
    top = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert top is not None
    assert top[1] == __version__


def test_every_table_of_figures_carries_its_command():
    command = re.compile(r"^    .*(make \w+|python -m )|no command", re.MULTILINE)
    sections = [
        (page.name, section)
        for page in RESEARCH
        for section in page.read_text("utf-8").split("\n## ")[1:]
        if re.search(r"^\|[ :|-]+\|$", section, re.MULTILINE)
    ]
    assert len(sections) > 20
    assert [(page, text.splitlines()[0]) for page, text in sections if not command.search(text)] == []


def test_users_read_of_no_target_and_no_note():
    words = re.compile(r"\bDESIGN\b|(?i:\b(target|goal)s?\b[^.|]*\b(missed|reached|met)\b)")
    user_pages = [page for page in PAGES if page not in RESEARCH and page.name != "CHANGELOG.md"]
    assert [page.name for page in user_pages if words.search(page.read_text("utf-8"))] == []


def test_customers_are_they():
    assert [
        page.name for page in PAGES if re.search(r"\b(she|her|hers|herself)\b", page.read_text("utf-8"))
    ] == []


def test_the_site_has_every_page():
    nav = re.findall(r'"([\w/]+\.md)"', (ROOT / "zensical.toml").read_text("utf-8"))
    assert sorted(nav) == sorted(str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md"))


def test_the_site_loads_nothing_from_elsewhere():
    project = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
    assert project["theme"]["font"] is False
    assert "plugins" not in project  # "offline" loads a script from a CDN


def _tests_named(text):
    """The tests that a text names, all of which exist."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not re.search(rf"^def {test}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]
    assert missing == []
    return named


def test_every_claim_about_security_names_tests_that_exist():
    claims = (ROOT / "docs/security.md").read_text("utf-8").split("## Claims")[1].split("## ")[0]
    rows = [line for line in claims.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        assert _tests_named(row), row


def test_every_promise_names_tests_that_exist():
    sections = (ROOT / "docs/promises.md").read_text("utf-8").split("\n## ")[1:]
    assert len(sections) == 12
    for section in sections:
        promises = section.split("\n- ")[1:]
        assert promises, section.splitlines()[0]
        for promise in promises:
            assert _tests_named(promise), promise


def test_test_files_have_names_of_their_own():
    # Without packages pytest cannot hold two modules of one name in one run.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
