"""What a campaign file would have earned in the slots that were drawn by lot, from what became of them.

Of every kept week whose window is over the file is asked again what it would have put into the drawn slots, with the
models and the data of that week; `experiments.off_policy` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

import pandas as pd

from recs_assets.campaigns.email import Email
from recs_assets.campaigns.file import Campaign
from recs_assets.campaigns.made import find_folder
from recs_assets.campaigns.make import answer_query, find_depth
from recs_assets.experiments.off_policy import Estimate, estimate, match_policies
from recs_assets.files import read_sql
from recs_assets.rules.pipeline import select
from recs_assets.rules.selection import DRAWS
from recs_assets.schema import RecsError
from recs_assets.shop import Shop
from recs_assets.store.warehouse import Warehouse
from recs_assets.week.week import Week

if TYPE_CHECKING:
    import duckdb

Reward = Literal["click", "purchase", "revenue"]
REWARDS: dict[Reward, str] = {"click": "clicks", "purchase": "purchases", "revenue": "revenue"}
LABELS = {"logged": "as sent", "ips": "this file, IPS", "snips": "this file, SNIPS", "dr": "this file, doubly robust"}  # fmt: skip
KEY = ["customer_id", "slot"]


@dataclass(frozen=True)
class Log:
    """The drawn slots of one week.

    Attributes:
        week: whose.
        slots: how many slots its emails had.
        rows: customer_id, slot, product_id, propensity, click, purchase, revenue.
        draws: what could have stood there (`Made.tables["draws"]`).
    """

    week: Week
    slots: int
    rows: pd.DataFrame
    draws: pd.DataFrame


@dataclass(frozen=True)
class Judgement:
    """What a campaign file would have earned.

    Attributes:
        campaign: whose log.
        reward: of what.
        estimate: per drawn slot.
        weeks: that have drawn slots, ascending.
        slots: of the emails of these weeks.
        drawn: of them.
        customers: who have them.
    """

    campaign: str
    reward: Reward
    estimate: Estimate
    weeks: tuple[date, ...]
    slots: int
    drawn: int
    customers: int

    def tabulate(self) -> tuple[list[str], list[tuple[object, ...]]]:
        """Header and rows of the table for people."""
        names = ["value", "low", "high", "gained", "gained_low", "gained_high"]
        header = [f"{REWARDS[self.reward]} per drawn slot", "estimate", "from", "to", "less as sent", "from", "to"]  # fmt: skip
        rows = [
            (
                LABELS[row["method"]],
                *(round(row[name], 5) for name in (names[:3] if row["method"] == "logged" else names)),
            )
            for row in self.estimate.rows.to_dict("records")
        ]
        return header, [(*row, *[None] * (len(header) - len(row))) for row in rows]

    def describe(self) -> list[str]:
        """What the table says, and what it cannot say, in sentences."""
        found = self.estimate
        weeks = " and ".join(map(str, dict.fromkeys([self.weeks[0], self.weeks[-1]])))
        which = f"the week {weeks}" if len(self.weeks) == 1 else f"{len(self.weeks)} weeks between {weeks}"
        lines = [
            f"It speaks of {found.decisions:,} drawn slots of {self.customers:,} customers, of {self.slots:,} slots that "
            f"{self.campaign} sent in {which}. Of the others nothing was drawn, and nothing is said.",
        ]
        if found.refusal:
            return [f"The log cannot say what this file would have earned: {found.refusal}", *lines]
        row = found.rows.set_index("method").loc["dr"]
        low, high = row["gained_low"], row["gained_high"]
        between = f"per drawn slot between {low:+.4f} and {high:+.4f} {REWARDS[self.reward]}"
        verdict = (
            f"This file would have earned more than what was sent: {between}."
            if low > 0
            else f"This file would have earned less than what was sent: {between}."
            if high < 0
            else f"No difference to what was sent is proven: {between}."
        )
        lines.append(f"For this file they are worth {found.effective:,.0f} slots (effective sample size).")
        if found.unsupported > 0:
            lines.append(
                f"{found.unsupported:.1%} of what this file would put there could not have been drawn and is left out."
            )
        return [verdict, *lines]


def list_weeks(shop: Shop, warehouse: Warehouse) -> list[Week]:
    """The weeks whose files are kept, ascending."""
    folders = sorted(path.parent for path in (warehouse.home / "weeks").glob("*/build.duckdb"))
    return [Week(shop, warehouse, date.fromisoformat(path.name)) for path in folders]


def load_logs(
    connection: duckdb.DuckDBPyConnection, weeks: Sequence[Week], campaign: str, until: date
) -> tuple[list[Log], int]:
    """The drawn slots of every week that has some and whose window was over by `until`, and how many clicks on the
    campaign are known at all.

    Args:
        connection: to the published snapshot.
        weeks: with their files.
        campaign: its name.
        until: what is known was before it.
    """
    _name_people(connection)
    logs = []
    for week in weeks:
        (slots, days), *_ = connection.execute(
            "select count(*), max(window_days) from recs.email_recommendations where campaign = ? and as_of = ?",
            [campaign, week.as_of],
        ).fetchall()
        path = find_folder(week, campaign) / f"{DRAWS}.parquet"
        if not slots or not path.exists() or week.as_of + timedelta(days=days) > until:
            continue
        draws = pd.read_parquet(path)
        end = week.as_of + timedelta(days=days)
        values = {"campaign": campaign, "week": week.as_of, "until": end}
        rows = connection.execute(read_sql(__file__, "sql/drawn_slots"), values).df()
        if len(draws) and len(rows):
            draws = draws.astype({"customer_id": str, "product_id": str})
            logs.append(Log(week, slots, rows, draws))
    (clicks,) = connection.execute(
        """
        select count(*) from recs.campaign_events
        where event_type = 'clicked' and placement is null and (
            campaign = $campaign
            or recommendation_id in (
                select recommendation_id from recs.email_recommendations where campaign = $campaign
            )
        )
        """,
        {"campaign": campaign},
    ).fetchone()
    return logs, clicks


def _name_people(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the temporary view `people`: whose the profiles are by the newest week; empty in a snapshot of an earlier version."""
    there = connection.execute(
        "select 1 from information_schema.tables where table_schema = 'recs' and table_name = 'customer_identities'"
    ).fetchall()
    rows = "from recs.customer_identities" if there else "where false"
    columns = "profile_id, customer_id" if there else "'' as profile_id, '' as customer_id"
    connection.execute(f"create or replace temp view people as select {columns} {rows}")


def judge_policy(
    campaign: Campaign,
    logs: Sequence[Log],
    reward: Reward,
    say: Callable[[str], None] = lambda message: None,
) -> Judgement:
    """What a campaign would have earned per drawn slot of its log.

    Args:
        campaign: with the name under which the log was sent.
        logs: of the weeks; one at least.
        reward: of what.
        say: is told about the progress.

    Raises:
        RecsError: the campaign fills no slots, or the shop cannot answer its query.
    """
    if not campaign.lists_products:
        raise RecsError(
            f"{campaign.name} ranks no products, so it fills no slots: name the file of an email."
        )
    decisions, logged, target, first = [], [], [], 0
    for log in logs:
        kept = log.rows.merge(log.draws, on=[*KEY, "product_id"])
        # A list that was made again since is another one than the one that was sent.
        kept = kept[(kept["probability"] - kept["propensity"]).abs() < 1e-9]
        kept = kept.assign(decision=range(first, first + len(kept)))
        first += len(kept)
        keys = kept[[*KEY, "decision"]]
        decisions.append(kept)
        logged.append(log.draws.merge(keys, on=KEY))
        say(f"Week {log.week.as_of}: asking the file what it would have put into {len(kept):,} drawn slots.")
        target.append(list_wanted(campaign, log.week, keys, say).merge(keys, on=KEY))
    names = {"product_id": "action", "customer_id": "customer", "p_purchase": "value", reward: "reward"}
    all_decisions = pd.concat(decisions, ignore_index=True)
    found = estimate(
        match_policies(
            all_decisions.rename(columns=names),
            pd.concat(logged, ignore_index=True).rename(columns=names),
            pd.concat(target, ignore_index=True).rename(columns=names),
        )
    )
    return Judgement(
        campaign.name,
        reward,
        found,
        tuple(log.week.as_of for log in logs),
        sum(log.slots for log in logs),
        len(all_decisions),
        all_decisions["customer_id"].nunique(),
    )


def list_wanted(
    campaign: Campaign, week: Week, keys: pd.DataFrame, say: Callable[[str], None]
) -> pd.DataFrame:
    """What a campaign would put into these slots of a week: customer_id, slot, product_id, probability; no row where
    it would write nothing."""
    plan, task, predicted, problem = answer_query(campaign, week, say)
    if task is None:
        raise RecsError(
            f"The query of {campaign.name} cannot be answered in the week {week.as_of}: {problem}"
        )
    email = Email(campaign, week, plan, task, predicted, find_depth(campaign))
    codes = pd.Index(email.known.customers["customer_id"]).get_indexer(keys["customer_id"])
    choice = select(
        email.rank_products(week.as_of),
        email.build_context(week.as_of),
        email.rules,
        codes[codes >= 0],
        threads=week.settings.threads,
    )
    drawn, rows = choice.draws, choice.rows.assign(probability=1.0)
    # Where nothing would be drawn, the product that would stand there has all of it.
    rest = rows.merge(drawn[["customer", "slot"]].drop_duplicates(), how="left", indicator=True)
    rest = rest[(rest["_merge"] == "left_only").to_numpy()]
    columns = ["customer", "slot", "product", "probability"]
    wanted = email.name_codes(pd.concat([drawn[columns], rest[columns]], ignore_index=True))
    return wanted.astype({"customer_id": str, "product_id": str})
