"""Which campaigns, and which version of each, belong into the tables of a week."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from recs_assets.campaigns.made import Made, read_slots
from recs_assets.campaigns.versions import (
    drop_before,
    is_published_version,
    list_taken,
    make_room,
    mark,
    take,
)
from recs_assets.evaluation.facts import load_published_campaigns, load_published_verdicts
from recs_assets.evaluation.verdict import Verdict


class Week:
    """Of a week, the folder and the table of what was taken."""

    def __init__(self, folder: Path) -> None:
        self.build, self.taken = self, []
        self.folder = folder

    def table(self, name: str) -> pd.DataFrame:
        assert name == "campaign_outcomes"
        return pd.DataFrame({"campaign": [*self.taken, *self.taken]})


class Shop:
    """Makes, judges and publishes campaigns of a week as its runs do; a version has a number, in place of its slots."""

    def __init__(self, home: Path) -> None:
        self.week, self.published = Week(home), {}
        self.folder = home / "campaigns"

    def make(self, name: str, version: int) -> None:
        make_room(self.folder / name)
        Made({"outcomes": pd.DataFrame()}, {"slots": version}).write(self.folder / name)

    def collect(self, *files: str) -> dict[str, int]:
        paths = take(self.folder, files, set(self.published))
        self.week.taken = [path.name for path in paths]
        return self.read()

    def read(self) -> dict[str, int]:
        return {path.name: read_slots(path) for path in list_taken(self.week)}

    def judge(self, *refused: str) -> list[str]:
        names = [
            name
            for name in self.week.taken
            if not is_published_version(self.folder / name, set(self.published))
        ]
        verdicts = [Verdict("fill", name, 0.1, 0.5, 1, name not in refused, name) for name in names]
        mark(self.week, names, verdicts)
        return names

    def publish(self) -> None:
        self.published = self.read()
        drop_before(self.week)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.make("weekly", 1)
    shop.make("monthly", 1)
    assert shop.collect("weekly", "monthly") == {"monthly": 1, "weekly": 1}
    assert shop.judge() == ["monthly", "weekly"]
    shop.publish()
    return shop


def test_what_was_refused_stops_no_other_campaign(shop: Shop) -> None:
    shop.make("refills", 1)
    assert shop.collect("weekly", "monthly", "refills") == {"monthly": 1, "refills": 1, "weekly": 1}
    assert shop.judge("refills") == ["refills"]
    shop.make("monthly", 2)
    assert shop.collect("weekly", "monthly", "refills") == {"monthly": 2, "weekly": 1}
    assert shop.judge() == ["monthly"]
    shop.publish()
    # Made again it is judged again, and then it is a campaign like the others.
    shop.make("refills", 2)
    assert shop.collect("weekly", "monthly", "refills") == {"monthly": 2, "refills": 2, "weekly": 1}
    assert shop.judge() == ["refills"]


def test_of_what_was_refused_the_published_version_comes_back(shop: Shop) -> None:
    shop.make("weekly", 2)
    assert shop.collect("weekly", "monthly") == {"monthly": 1, "weekly": 2}
    assert shop.judge("weekly") == ["weekly"]
    shop.make("weekly", 3)
    assert shop.collect("weekly", "monthly") == {"monthly": 1, "weekly": 3}
    assert shop.judge("weekly") == ["weekly"]
    assert shop.collect("weekly", "monthly") == {"monthly": 1, "weekly": 1}
    assert shop.judge() == []
    shop.publish()
    assert sorted(path.name for path in shop.folder.iterdir() if any(path.iterdir())) == ["monthly", "weekly"]


def test_the_step_that_judges_done_again_with_a_reason(shop: Shop) -> None:
    """The tables are those of the version that was refused, and now it passes."""
    shop.make("weekly", 2)
    shop.collect("weekly", "monthly")
    shop.judge("weekly")
    assert shop.judge() == ["weekly"]
    shop.publish()
    assert shop.collect("weekly", "monthly") == {"monthly": 1, "weekly": 2}


def test_a_file_that_is_gone(shop: Shop) -> None:
    """What was published may have been sent, and stays; what was not is no campaign any more."""
    shop.make("refills", 1)
    shop.collect("weekly", "monthly", "refills")
    assert shop.collect("monthly") == {"monthly": 1, "weekly": 1}
    assert shop.judge() == []


def test_a_run_that_was_killed_while_it_wrote(shop: Shop) -> None:
    make_room(shop.folder / "weekly")
    assert not (shop.folder / "weekly").exists()
    assert shop.collect("weekly", "monthly") == {"monthly": 1, "weekly": 1}


def test_what_a_run_made_that_was_killed_is_judged_by_the_next(shop: Shop) -> None:
    shop.make("weekly", 2)
    shop.make("weekly", 3)
    assert shop.collect("weekly", "monthly") == {"monthly": 1, "weekly": 3}
    assert shop.judge("weekly") == ["weekly"]
    assert shop.collect("weekly", "monthly") == {"monthly": 1, "weekly": 1}


def test_what_the_snapshot_says_of_a_week() -> None:
    with duckdb.connect() as snapshot:
        assert load_published_campaigns(snapshot, "2025-06-30") == set()
        assert load_published_verdicts(snapshot, "2025-06-30", ["fill"], ["weekly"]) == []
        snapshot.execute(
            """
            create schema recs;
            create table recs.campaign_outcomes as
            from (values (date '2025-06-30', 'weekly'), (date '2025-06-30', 'weekly'), (date '2025-06-23', 'old'))
                as rows (as_of, campaign);
            create table recs.gates as
            select as_of, gate, subject, value::double as value, 0.5::double as limit_low, 1.0::double as limit_high, value >= 0.5 as passed,
                'Few.' as sentence, value < 0.5 as overridden, if(value < 0.5, 'sale', null) as reason
            from (values
                (date '2025-06-30', 'fill', 'weekly', 0.1), (date '2025-06-30', 'forecast', 'weekly', 1.0),
                (date '2025-06-30', 'fill', 'other', 1.0), (date '2025-06-23', 'fill', 'weekly', 1.0)
            ) as rows (as_of, gate, subject, value)
            """
        )
        assert load_published_campaigns(snapshot, "2025-06-30") == {"weekly"}
        [found] = load_published_verdicts(snapshot, "2025-06-30", ["fill", "finite"], ["weekly"])
    assert (found.value, found.passed, found.reason, found.sentence) == (0.1, False, "sale", "Few.")
    assert not found.blocks
