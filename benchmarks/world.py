"""A shop of made-up people, week by week: publish, let them live with what was published, publish again.

    python -m benchmarks.world --weeks 8

The shop is written as raw files with a year of history. Then, every Monday, `python -m recs_assets run` publishes a week
as its user would; the people (benchmarks/people.py) are shown what it published and answer with a week of events and
orders, which are written beside the raw files. What is true of them, and what every customer would have spent without
the emails, goes to a folder that the platform never reads. Started again, it goes on where it stopped: the same people
are shown the same lists.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from benchmarks.people import CATEGORIES, QUALITIES, Nature, People, Week
from benchmarks.world_report import describe, draw, read_report

HISTORY = 52  # weeks before the first that is published
FIRST = date(2026, 1, 5)
CAMPAIGN = "weekly_email"
PAGE_ROWS = 6
ROOT = Path(__file__).resolve().parent.parent

EXPERIMENT = "ranker_first"
FILES = {
    f"campaigns/{CAMPAIGN}.yaml": """name: weekly_email
description: Twelve products that each customer will most probably buy in the next two weeks.
owner: team:crm
query: |
  PREDICT LIST_DISTINCT(order_lines.product_id, 0, 14, days) RANK TOP 12
  FOR EACH customers.customer_id
  WHERE customers.email_eligible = true
schedule:
  cron: "0 6 * * 1"
model: blend
shadows:
  bestsellers: {model: popularity}
exports: [long]
""",
    f"experiments/{EXPERIMENT}.yaml": f"""name: ranker_first
hypothesis: The ranker sells more than the blend, because it knows when coffee runs out.
campaign: {CAMPAIGN}
starts: {FIRST}
weeks: 8
primary: revenue
guardrails: {{unsubscribes: 0, returns: 0.02}}
detectable: 0.05
control: today
arms:
  today: {{share: 0.35}}
  ranker:
    share: 0.35
    change: {{model: ranker}}
  holdout: {{share: 0.3}}
""",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the loop, then print what was true beside what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.world", description=__doc__)
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument(
        "--folder", type=Path, default=Path(".loop"), help="of the shop, its home and the truth"
    )
    parser.add_argument("--picture", type=Path, help="where to draw it")
    parser.add_argument("--customers", type=int, default=Nature.customers)
    parser.add_argument("--fatigue", type=float, default=Nature.fatigue)
    parser.add_argument("--stolen", type=float, default=Nature.stolen)
    parser.add_argument("--effect", type=float, default=Nature.effect)
    parser.add_argument("--seed", type=int, default=Nature.seed)
    parsed = parser.parse_args(arguments)
    nature = Nature(
        customers=parsed.customers,
        fatigue=parsed.fatigue,
        stolen=parsed.stolen,
        effect=parsed.effect,
        seed=parsed.seed,
    )
    world = World(nature, parsed.folder.resolve())
    world.begin()
    for number in range(parsed.weeks + 1):
        monday = FIRST + timedelta(weeks=number)
        if not world.publish(monday):
            return 1
        if number < parsed.weeks:
            world.answer(monday)
    report = read_report(world)
    sys.stdout.write(describe(report, world))
    if parsed.picture is not None:
        draw(report, world, parsed.picture)
    return 0


@dataclass
class World:
    """The files of the shop, and its people.

    Attributes:
        nature: of the people.
        folder: `data`, `home`, `campaigns` and `experiments` for the platform, and `truth` for nobody but this module.
    """

    nature: Nature
    folder: Path

    def begin(self) -> None:
        """Let the people live until the first Monday, and write the shop as it is then."""
        self.people = People(self.nature)
        self.codes = {
            "customer": np.array([f"c{number:05d}" for number in range(self.nature.customers)], dtype=object),
            "product": np.array([f"p{number:03d}" for number in range(self.nature.products)], dtype=object),
        }
        self.number = {
            name: {code: place for place, code in enumerate(codes)} for name, codes in self.codes.items()
        }
        for name in ("data", "home", "campaigns", "experiments", "truth"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            (self.folder / name).write_text(text)
        self._write("customers", "all", self._list_customers())
        self._write("products", "all", self._list_products())
        self.last: pd.DataFrame | None = None
        past = []
        for _ in range(HISTORY):
            monday = FIRST + timedelta(weeks=self.people.week - HISTORY)
            past.append(self._list_rows(monday, self.people.live()))
        for table in past[-1]:
            rows = [week[table] for week in past if table in week]
            self._write(table, "history", pd.concat(rows, ignore_index=True))

    def publish(self, monday: date) -> bool:
        """Run the week as its user does, unless it is published already."""
        if self._is_published(monday):
            return True
        begun, spent = time.monotonic(), _count_seconds()
        log = self.folder / f"run-{monday}.log"
        with log.open("w") as file:
            done = subprocess.run(  # noqa: S603 - our own command
                [sys.executable, "-m", "recs_assets", "run", "--as-of", monday.isoformat()],
                env={**os.environ, **self.environment},
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        sys.stderr.write(
            f"published {monday} in {time.monotonic() - begun:.0f} s, {_count_seconds() - spent:.0f} s of processor time\n"
        )
        if done.returncode != 0:
            sys.stderr.write(f"The week {monday} failed: see {log}.\n{log.read_text()[-2000:]}\n")
        return done.returncode == 0

    @property
    def environment(self) -> dict[str, str]:
        """Of the platform."""
        return {
            "RECS_DATA": str(self.folder / "data"),
            "RECS_HOME": str(self.folder / "home"),
            "RECS_CAMPAIGNS": str(self.folder / "campaigns"),
            "RECS_EXPERIMENTS": str(self.folder / "experiments"),
            "RECS_CANDIDATES": "40",
            "RECS_RETENTION_WEEKS": "60",
        }

    @property
    def snapshot(self) -> Path:
        return self.folder / "home" / "published" / "analytics.duckdb"

    def answer(self, monday: date) -> None:
        """Show the people what was published, and write what they did."""
        emails, pages = self._read_lists(monday)
        known = emails["customer_id"].map(self.number["customer"])
        week = self.people.live(
            pd.DataFrame(
                {
                    "customer": known,
                    "product": emails["product_id"].map(self.number["product"]),
                    "slot": emails["slot"],
                    "held": emails["held"],
                }
            ),
            pd.DataFrame(
                {
                    "customer": pages["customer_id"].map(self.number["customer"]),
                    "product": pages["product_id"].map(self.number["product"]),
                    "slot": pages["rank"],
                }
            ),
        )
        rows = self._list_rows(monday, week)
        rows["campaign_events"] = self._list_events(monday, week, emails, pages)
        gone = rows["campaign_events"].query("event_type == 'unsubscribed'")
        if len(gone):
            rows["consents"] = gone[["customer_id", "occurred_at"]].rename(
                columns={"occurred_at": "effective_at"}
            )
            rows["consents"].insert(1, "state", "unsubscribed")
        for table, part in rows.items():
            self._write(table, monday, part)

    # -- what was published ----------------------------------------------------------------------------------------

    def _is_published(self, monday: date) -> bool:
        if not self.snapshot.exists():
            return False
        with duckdb.connect(str(self.snapshot), read_only=True) as connection:
            (count,) = connection.execute(
                "select count(*) from recs.email_recommendations where as_of = ?", [monday]
            ).fetchone() or (0,)
        return count > 0

    def _read_lists(self, monday: date) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Emails and pages of a week, kept so that a new start shows the same."""
        frames = []
        for name, query in (
            (
                "emails",
                """
                select customer_id, product_id, slot, arm, p_purchase, recommendation_id, false as held
                from recs.email_recommendations where as_of = $monday and campaign = $campaign
                union all
                select customer_id, product_id, slot, arm, p_purchase, recommendation_id, true
                from recs.email_holdout where as_of = $monday and campaign = $campaign
                order by customer_id, slot
                """,
            ),
            (
                "pages",
                """
                select customer_id, product_id, rank, p_purchase, recommendation_id
                from recs.customer_recommendations
                where as_of = $monday and rank <= $rows and $campaign is not null order by customer_id, rank
                """,
            ),
        ):
            kept = self.folder / "truth" / f"{name}-{monday}.parquet"
            if not kept.exists():
                with duckdb.connect(str(self.snapshot), read_only=True) as connection:
                    values = {"monday": monday, "campaign": CAMPAIGN}
                    if name == "pages":
                        values["rows"] = PAGE_ROWS
                    _write_parquet(connection.execute(query, values).df(), kept)
            frames.append(pd.read_parquet(kept))
        return frames[0], frames[1]

    # -- the shop's files ------------------------------------------------------------------------------------------

    def _list_rows(self, monday: date, week: Week) -> dict[str, pd.DataFrame]:
        """Table -> what a week brought to it, without what came of emails and pages."""
        start = pd.Timestamp(monday)
        lines = week.lines.sort_values(["customer", "order", "product"], ignore_index=True)
        customer, product = (self.codes[name][lines[name]] for name in ("customer", "product"))
        order = [
            f"o{monday:%y%m%d}-{who}-{visit}" for who, visit in zip(customer, lines["order"], strict=True)
        ]
        at = start + pd.to_timedelta(lines["minute"], unit="min")
        placed = pd.DataFrame(
            {"order_id": order, "customer_id": customer, "ordered_at": at, "status": "completed"}
        )
        rng = self._draw_files(monday)
        stock = 40.0 + rng.poisson(80, self.nature.products)
        rows = {
            "orders": placed.drop_duplicates("order_id"),
            "order_items": pd.DataFrame(
                {
                    "order_id": order,
                    "line_id": product,
                    "product_id": product,
                    "quantity": 1.0,
                    "amount": self.people.price[lines["product"]],
                }
            ),
            "browsing_events": self._list_views(monday, lines, week),
            "inventory": pd.DataFrame(
                {
                    "product_id": self.codes["product"],
                    "counted_at": start + pd.Timedelta(hours=5),
                    "stock": stock,
                }
            ),
            "truth": week.truth.assign(as_of=monday, customer_id=self.codes["customer"]),
        }
        if self.last is not None:
            back = self.last[rng.random(len(self.last)) < self.people.returned[self.last["product"]]]
            minute = rng.integers(0, 7 * 24 * 60, len(back))
            rows["returns"] = pd.DataFrame(
                {
                    "return_id": "r" + back["order_id"] + back["product_id"],
                    "order_id": back["order_id"],
                    "product_id": back["product_id"],
                    "quantity": 1.0,
                    "returned_at": start + pd.to_timedelta(minute, unit="min"),
                    "reason": "changed mind",
                }
            )
        self.last = lines.assign(order_id=order, product_id=product)
        return rows

    def _list_customers(self) -> pd.DataFrame:
        people = self.people
        began = pd.Timestamp(FIRST - timedelta(weeks=HISTORY))
        return pd.DataFrame(
            {
                "customer_id": self.codes["customer"],
                "joined_at": began + pd.to_timedelta(people.joined * 7, unit="D"),
                "email": [f"{code}@example.com" for code in self.codes["customer"]],
                "email_eligible": people.eligible,
                "country": np.where(np.arange(self.nature.customers) % 3 == 0, "AT", "DE"),
                "locale": "de-DE",
                "currency": "EUR",
                "segment": np.where(people.rate > np.median(people.rate), "often", "seldom"),
            }
        )

    def _list_products(self) -> pd.DataFrame:
        people = self.people
        names = [CATEGORIES[category] for category in people.category]
        return pd.DataFrame(
            {
                "product_id": self.codes["product"],
                "name": [
                    f"{QUALITIES[place // len(CATEGORIES) % len(QUALITIES)].title()} {name} {place // len(CATEGORIES) + 1}"
                    for place, name in enumerate(names)
                ],
                "brand": [f"Brand {place % 7}" for place in range(self.nature.products)],
                "category": names,
                "vertical": ["home" if name in CATEGORIES[7:11] else "food" for name in names],
                "price": people.price,
                "cost": people.cost,
                "url": [f"https://shop.example/{code}" for code in self.codes["product"]],
                "image_url": [f"https://shop.example/{code}.jpg" for code in self.codes["product"]],
            }
        )

    def _list_views(self, monday: date, lines: pd.DataFrame, week: Week) -> pd.DataFrame:
        """Most of what is bought was looked at shortly before, and so was what was clicked."""
        rng = self._draw_files(monday, 1)
        seen = lines[rng.random(len(lines)) < 0.7]
        clicks = week.events[week.events["event_type"] == "clicked"]
        parts = [
            seen.assign(minute=(seen["minute"] - 15).clip(lower=0), event_type="view", referrer="shop"),
            seen[rng.random(len(seen)) < 0.5].assign(
                minute=lambda rows: (rows["minute"] - 5).clip(lower=0),
                event_type="add_to_cart",
                referrer="shop",
            ),
            clicks.assign(event_type="view", referrer="newsletter"),
        ]
        views = pd.concat(parts, ignore_index=True)
        return pd.DataFrame(
            {
                "event_id": [f"v{monday:%y%m%d}-{place}" for place in range(len(views))],
                "customer_id": self.codes["customer"][views["customer"]],
                "product_id": self.codes["product"][views["product"]],
                "event_type": views["event_type"],
                "occurred_at": pd.Timestamp(monday) + pd.to_timedelta(views["minute"], unit="min"),
                "duration_seconds": np.round(rng.gamma(2.0, 20.0, len(views)), 1),
                "referrer": views["referrer"],
                "device": "mobile",
            }
        )

    def _list_events(
        self, monday: date, week: Week, emails: pd.DataFrame, pages: pd.DataFrame
    ) -> pd.DataFrame:
        events = week.events[week.events["minute"] < 7 * 24 * 60].sort_values(
            ["minute", "customer", "product", "event_type"], ignore_index=True
        )
        page = (events["kind"] == "home").to_numpy()
        row = events["row"].to_numpy()
        about = (row >= 0) & (events["product"].to_numpy() >= 0)
        arm = emails.drop_duplicates("customer_id").set_index("customer_id")["arm"]
        customer = self.codes["customer"][events["customer"]]
        ids = np.full(len(events), None, dtype=object)
        for mask, rows in ((about & ~page, emails), (about & page, pages)):
            ids[mask] = rows["recommendation_id"].to_numpy()[row[mask]]
        return pd.DataFrame(
            {
                "event_id": [f"e{monday:%y%m%d}-{place}" for place in range(len(events))],
                "campaign": np.where(page, None, CAMPAIGN),
                "customer_id": customer,
                "product_id": np.where(about, self.codes["product"][events["product"]], None),
                "event_type": events["event_type"],
                "occurred_at": pd.Timestamp(monday) + pd.to_timedelta(events["minute"], unit="min"),
                "arm": np.where(page, None, arm.reindex(customer).to_numpy()),
                "recommendation_id": ids,
                "placement": np.where(page, "home", None),
                "experiment": np.where(page, None, EXPERIMENT),
            }
        )

    def _draw_files(self, monday: date, purpose: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.nature.seed, 2, monday.toordinal(), purpose])

    def _write(self, table: str, part: date | str, rows: pd.DataFrame) -> None:
        if table == "truth":
            path = self.folder / "truth" / f"truth-{part}.parquet"
        else:
            path = self.folder / "data" / table / f"{part}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_parquet(rows.reset_index(drop=True), path)


def _count_seconds() -> float:
    """Processor time of all runs so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _write_parquet(rows: pd.DataFrame, path: Path) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f".{path.name}")
    rows.to_parquet(unfinished, index=False)
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main())
