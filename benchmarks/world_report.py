"""What was true of the made-up people beside what the platform found out: tables, and one picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd

from recs_assets.experiments.fatigue import Fatigue, measure_fatigue

if TYPE_CHECKING:
    from benchmarks.world import World

INK, TRUE, FOUND, OTHER, GRID = "#1f2933", "#d1495b", "#2f6f9f", "#9aa5b1", "#e4e7eb"


@dataclass(frozen=True)
class Report:
    """Frames, a row per week where not said otherwise.

    Attributes:
        lifts: per pair of arms: true lift and the one that was found, with its interval, since the start.
        money: attributed and incremental revenue of the week's email, and what is true.
        fatigue: the factor that was found with the events up to the week.
        clicks: clicks by number of showings, of the last week.
        verdicts: of the experiment.
        shadows: of the newest week.
        monitor: the verdicts on the weeks; of the newest, rows that are not ok, and those about fatigue.
    """

    lifts: pd.DataFrame
    money: pd.DataFrame
    fatigue: pd.DataFrame
    clicks: pd.DataFrame
    verdicts: pd.DataFrame
    shadows: pd.DataFrame
    monitor: pd.DataFrame


def read_report(world: World) -> Report:
    """All of it from the snapshot and the truth."""
    paths = sorted((world.folder / "truth").glob("truth-*.parquet"))
    truth = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    with duckdb.connect(str(world.snapshot), read_only=True) as connection:
        return Report(
            _compare_lifts(connection, truth),
            _compare_money(connection, truth),
            *_compare_fatigue(connection),
            connection.execute(
                "select as_of, arm, verdict, sentence from recs.experiments where role = 'challenger' order by as_of, arm"
            ).df(),
            _read_if_there(
                connection,
                "shadow_results",
                """
                select shadow, shown_to, metric, customers, mean_shadow, mean_sent, difference, difference_low, difference_high
                from recs.shadow_results where as_of = (select max(as_of) from recs.shadow_results) and list_week = 'all'
                order by all
                """,
            ),
            _read_if_there(
                connection,
                "monitor",
                """
                select as_of, area, metric, subject, verdict, sentence from recs.monitor
                where metric = 'fatigue' or area = 'all'
                    or (verdict in ('watch', 'alert') and as_of = (select max(as_of) from recs.monitor))
                order by as_of, area, metric, subject
                """,
            ),
        )


def _read_if_there(connection: duckdb.DuckDBPyConnection, table: str, query: str) -> pd.DataFrame:
    """Weeks that were published by an older version lack what a newer one publishes."""
    found = connection.execute(
        "select count(*) from information_schema.tables where table_schema = 'recs' and table_name = ?",
        [table],
    ).fetchone()
    return connection.execute(query).df() if found and found[0] else pd.DataFrame()


# -- lifts -------------------------------------------------------------------------------------------------------------


def _compare_lifts(connection: duckdb.DuckDBPyConnection, truth: pd.DataFrame) -> pd.DataFrame:
    """Of revenue per customer since the start. A customer counts with at most the cap of the published row in the truth,
    too: it is the same metric."""
    assigned = connection.execute("select customer_id, arm, assigned_at from recs.assignments").df()
    found = connection.execute(
        """
        select week, arm, control, n, n_control, lift, lift_low, lift_high, cap, proven
        from recs.experiment_results
        where metric = 'revenue' and as_of = (select max(as_of) from recs.experiment_results)
        order by arm, control, week
        """
    ).df()
    began = assigned["assigned_at"].min()
    since = truth[truth["as_of"] >= began.date()].merge(assigned, on="customer_id")
    since = since[pd.to_datetime(since["as_of"]) >= since["assigned_at"]]
    since = since.assign(week=(pd.to_datetime(since["as_of"]) - began).dt.days // 7 + 1)
    rows = []
    for row in found.to_dict("records"):
        lifts = {}
        for arm in (row["arm"], row["control"]):
            of_arm = since[(since["arm"] == arm) & (since["week"] <= row["week"])]
            sums = of_arm.groupby("customer_id")[["spend", "spend_without"]].sum()
            for name, frame in (("capped", sums.clip(upper=row["cap"])), ("all", sums)):
                lifts[arm, name] = frame["spend"].sum() / frame["spend_without"].sum()
        rows.append(
            {
                **row,
                **{
                    name: lifts[row["arm"], kind] / lifts[row["control"], kind] - 1
                    for name, kind in (("true_lift", "capped"), ("true_lift_uncapped", "all"))
                },
            }
        )
    return pd.DataFrame(rows)


# -- money -------------------------------------------------------------------------------------------------------------


def _compare_money(connection: duckdb.DuckDBPyConnection, truth: pd.DataFrame) -> pd.DataFrame:
    """Of all customers who were sent the week's email: what they spent more than they would have without any."""
    found = connection.execute(
        """
        select as_of, emails, clicks, purchases, revenue as attributed, incremental_revenue as incremental,
            incremental_revenue_low as incremental_low, incremental_revenue_high as incremental_high
        from recs.recommendation_results where channel = 'email' and dimension = 'all' order by as_of
        """
    ).df()
    sent = connection.execute("select distinct as_of, customer_id from recs.email_recommendations").df()
    truth = truth.assign(as_of=pd.to_datetime(truth["as_of"])).merge(sent, on=["as_of", "customer_id"])
    truth = truth.assign(more=truth["spend"] - truth["spend_without"])
    sums = truth.groupby("as_of")[["more", "through"]].sum()
    found["true_incremental"] = found["as_of"].map(sums["more"])
    found["sold_through_it"] = found["as_of"].map(sums["through"])
    return found


# -- fatigue -----------------------------------------------------------------------------------------------------------


def _compare_fatigue(connection: duckdb.DuckDBPyConnection) -> tuple[pd.DataFrame, pd.DataFrame]:
    shown = connection.execute(
        """
        with shown as (
            select recommendation_id, min(occurred_at) as shown_at,
                min(occurred_at) filter (where event_type = 'clicked') is not null as clicked
            from recs.campaign_events
            where recommendation_id is not null and event_type in ('shown', 'clicked') group by all
        ),
        rows as (
            select as_of, customer_id, product_id, slot, p_purchase, recommendation_id, true as is_email
            from recs.email_recommendations
            union all
            select as_of, customer_id, product_id, rank, p_purchase, recommendation_id, false
            from recs.customer_recommendations
        )
        select rows.customer_id as customer, rows.product_id as product, rows.as_of as week, rows.slot, rows.p_purchase,
            rows.is_email, shown.clicked, row_number() over (
                partition by rows.customer_id, rows.product_id order by rows.as_of, rows.is_email desc
            )::integer as times
        from shown inner join rows using (recommendation_id)
        order by customer, week, is_email desc, slot
        """
    ).df()
    weeks, found = [], Fatigue(np.nan, np.nan, np.nan, "", pd.DataFrame())
    emails = shown[shown["is_email"]]
    for week in sorted(emails["week"].unique()):
        found = measure_fatigue(emails[emails["week"] <= week])
        weeks.append(
            {
                "as_of": week,
                "factor": found.factor,
                "low": found.low,
                "high": found.high,
                "sentence": found.sentence,
            }
        )
    return pd.DataFrame(weeks), found.clicks_by_times


# -- on paper ----------------------------------------------------------------------------------------------------------


def describe(report: Report, world: World) -> str:
    """The report as Markdown."""
    nature = world.nature
    lifts, money, fatigue = report.lifts, report.money, report.fatigue
    parts = ["### Lift of revenue per customer since the start", _tabulate(_show_lifts(lifts))]
    inside = (lifts["lift_low"] <= lifts["true_lift"]) & (lifts["true_lift"] <= lifts["lift_high"])
    parts.append(f"The true lift is in {inside.sum()} of {len(lifts)} intervals.")
    parts += ["### Verdicts", _tabulate(report.verdicts.assign(as_of=_day(report.verdicts["as_of"])))]
    parts += ["### What the week's email earned", _tabulate(_show_money(money))]
    known = money.dropna(subset=["incremental", "true_incremental"])
    total = known["true_incremental"].sum()
    parts.append(
        f"In all: attributed {known['attributed'].sum():,.0f}, estimated incremental {known['incremental'].sum():,.0f}, true "
        f"{total:,.0f}."
    )
    parts += [f"### Fatigue: the true factor is {nature.fatigue:g}", _tabulate(_show_fatigue(fatigue))]
    parts += ["As the clicks are, without taking anything out:", _tabulate(_show_clicks(report.clicks))]
    if len(report.shadows):
        parts += ["### Shadows", _tabulate(report.shadows.round(4))]
    if len(report.monitor):
        monitor = report.monitor.assign(as_of=_day(report.monitor["as_of"]))
        parts += ["### Monitor", _tabulate(monitor[monitor["as_of"] == monitor["as_of"].max()])]
    return "\n\n".join(parts) + "\n"


def _show_lifts(lifts: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": lifts["arm"] + " / " + lifts["control"],
            "weeks": lifts["week"],
            "customers": lifts["n"].astype(str) + " / " + lifts["n_control"].astype(str),
            "true lift": _percent(lifts["true_lift"]),
            "found": _percent(lifts["lift"]),
            "from": _percent(lifts["lift_low"]),
            "to": _percent(lifts["lift_high"]),
            "proven": lifts["proven"].fillna(""),
            "true lift, uncapped": _percent(lifts["true_lift_uncapped"]),
        }
    )


def _show_money(money: pd.DataFrame) -> pd.DataFrame:
    shown = pd.DataFrame({"week": _day(money["as_of"]), "emails": money["emails"], "clicks": money["clicks"]})
    for name, column in (
        ("attributed", "attributed"),
        ("incremental", "incremental"),
        ("from", "incremental_low"),
        ("to", "incremental_high"),
        ("true", "true_incremental"),
        ("sold through a click", "sold_through_it"),
    ):
        shown[name] = [f"{value:,.0f}" for value in money[column]]
    return shown


def _show_fatigue(fatigue: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "events until the week after": _day(fatigue["as_of"]),
            **{name: [f"{value:.3f}" for value in fatigue[name]] for name in ("factor", "low", "high")},
            "sentence": fatigue["sentence"],
        }
    )


def _show_clicks(clicks: pd.DataFrame) -> pd.DataFrame:
    return clicks.assign(click_rate=_percent(clicks["click_rate"]))


def _day(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values).dt.strftime("%Y-%m-%d")


def _percent(values: pd.Series) -> list[str]:
    return ["" if np.isnan(value) else f"{100 * value:.1f} %" for value in values]


def _tabulate(frame: pd.DataFrame) -> str:
    head = f"| {' | '.join(frame.columns)} |\n|{'---|' * len(frame.columns)}"
    cells = frame.astype(object).where(frame.notna(), "")
    return "\n".join([head, *(f"| {' | '.join(map(str, row))} |" for row in cells.itertuples(index=False))])


# -- in a picture ------------------------------------------------------------------------------------------------------


def draw(report: Report, world: World, path: Path) -> None:
    """Three panels: lift, money, fatigue; the same bytes for the same figures."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    mpl.rcParams.update({"font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GRID})
    figure, (lift, money, tired) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for axes in (lift, money, tired):
        axes.grid(axis="y", color=GRID)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
    rows = report.lifts[(report.lifts["arm"] == "ranker") & (report.lifts["control"] == "holdout")]
    _draw_interval(
        lift, rows["week"], *(100 * rows[name] for name in ("lift", "lift_low", "lift_high")), "found"
    )
    lift.plot(rows["week"], 100 * rows["true_lift"], color=TRUE, marker="o", label="true")
    lift.axhline(0, color=OTHER, linewidth=0.8)
    lift.set(title="Lift of revenue against the holdout", xlabel="weeks since the start", ylabel="%")

    earned = report.money.dropna(subset=["true_incremental"])
    week = np.arange(1, len(earned) + 1)
    money.bar(week - 0.28, earned["attributed"], 0.27, color=OTHER, label="attributed")
    money.bar(week, earned["incremental"], 0.27, color=FOUND, label="incremental, estimated")
    bars = np.abs(
        earned[["incremental_low", "incremental_high"]].to_numpy().T - earned["incremental"].to_numpy()
    )
    money.errorbar(week, earned["incremental"], bars, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    money.bar(week + 0.28, earned["true_incremental"], 0.27, color=TRUE, label="incremental, true")
    money.set(title="What each week's email earned", xlabel="week", ylabel="EUR")

    known = report.fatigue.dropna(subset=["factor"])
    place = np.searchsorted(np.sort(report.fatigue["as_of"].unique()), known["as_of"]) + 1
    _draw_interval(tired, place, known["factor"], known["low"], known["high"], "found")
    tired.axhline(world.nature.fatigue, color=TRUE, label="true")
    tired.axhline(1, color=OTHER, linewidth=0.8)
    tired.set(
        title="What a further showing multiplies clicks by", xlabel="weeks since the start", ylabel="factor"
    )
    for axes in (lift, money, tired):
        axes.legend(frameon=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _draw_interval(axes, place, middle, low, high, label) -> None:
    axes.errorbar(
        place,
        middle,
        np.abs(np.array([middle - low, high - middle])),
        fmt="o-",
        color=FOUND,
        ecolor=FOUND,
        capsize=3,
        label=label,
    )
