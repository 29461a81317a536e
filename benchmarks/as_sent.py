"""The email as sent, at weeks whose future is known: `python -m benchmarks.as_sent HOME:WEEK[:test] ...`.

Every HOME holds a finished run of its WEEK (`RECS_HOME=HOME python -m recs_assets run --as-of WEEK`); the shop's files go
on for the campaign's window after it. With `:test` it is looked at at the week's test anchor, as its run does. The email is chosen as the run chose it, by the code as it is now, and counted
against the raw orders of the window beside the query's raw ranking, the customer's own frequent products (all of them, and
under the email's rules, which is what a shop could send) and user_knn, for the customers who get an email. Purchases are distinct products; MAP@12 is over those who bought
something. "Turned" is the email after simulated earlier sends (`rules.rehearsal`), which a first week has not.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from recs_assets.arrays import is_stored
from recs_assets.campaigns.email import Email
from recs_assets.campaigns.lists import FREQUENCY, QUERY
from recs_assets.campaigns.make import DEPTH
from recs_assets.campaigns.sending import count_days_between_sends
from recs_assets.defs.deployment import Deployment
from recs_assets.evaluation.bootstrap import compare_pairs
from recs_assets.evaluation.metrics import measure_customers
from recs_assets.rules.pipeline import select
from recs_assets.rules.price_tags import price_rules
from recs_assets.rules.rehearsal import rehearse
from recs_assets.rules.selection import Selection
from recs_assets.settings import Settings
from recs_assets.training import answer_task, prepare_query
from recs_assets.training.plans import window_days
from recs_assets.week.week import Week

BOUGHT = """
    select distinct orders.customer_id, items.product_id
    from raw.orders as orders join raw.order_items as items using (order_id)
    where orders.ordered_at >= ? and orders.ordered_at < ?
"""


def email_at(
    home: Path, as_of: date, name: str, at_test: bool, prices: bool, k: int = 12
) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """One week, or its test anchor: a row per list (hits, MAP@12), the price tags on the true future, and MAP@12 by customer id."""
    shop = Deployment.from_settings(Settings(home=home))
    week, campaign = Week(shop, shop.warehouse(), as_of), shop.campaigns.campaigns[name]
    found, task = prepare_query(campaign.target, week, campaign.view)
    email = Email(campaign, week, found, task, answer_task(found, task, DEPTH), DEPTH)
    anchor, rules = found.test if at_test else as_of, campaign.rule_set
    known = week.known(anchor)
    with week.build.read() as connection:
        end = anchor + timedelta(days=int(window_days(found.query, as_of)))
        rows = connection.execute(BOUGHT, [anchor, end]).df()
    customer = pd.Index(known.customers["customer_id"]).get_indexer(rows["customer_id"])
    product = pd.Index(known.products["product_id"]).get_indexer(rows["product_id"])
    both = (customer >= 0) & (product >= 0)
    shape = (known.n_customers, known.n_products)
    truth = sparse.csr_matrix((np.ones(both.sum()), (customer[both], product[both])), shape=shape)
    ranked, context = email.rank_products(anchor), email.build_context(anchor)
    turned = rehearse(ranked, context, rules, every=count_days_between_sends(campaign, shop, anchor))
    sent = select(ranked, context, rules)
    frequent = week.lists(FREQUENCY, anchor, "all")
    lists = {
        "as sent": _ranks(sent),
        "as sent, turned": _ranks(select(ranked, turned, rules)),
        "raw ranker": email.predicted.tested if at_test else email.predicted.rows,
        "personal frequency": frequent,
        "frequency, same rules": _ranks(select(frequent, context, rules)),
        "user_knn": week.lists("user_knn", anchor, "all"),
    }
    reached = np.unique(sent.rows["customer"])
    some = reached[np.diff(truth.indptr)[reached] > 0]
    values, lines = {}, []
    for label, rows in lists.items():
        rows = rows[(rows["rank"] <= k).to_numpy() & np.isin(rows["customer"].to_numpy(), reached)]
        values[label] = measure_customers(rows[["customer", "product", "rank"]], truth, some, [k])["map", k]
        hits = int(is_stored(truth, rows["customer"].to_numpy(), rows["product"].to_numpy()).sum())
        lines.append((anchor, label, hits, values[label].mean()))
    table = pd.DataFrame(lines, columns=["anchor", "list", "hits", "map@12"])
    for label in ("as sent", "as sent, turned"):
        against = compare_pairs(values[label], values["personal frequency"], shop.settings.seed)
        table.loc[table["list"] == label, ["less_frequency", "low", "high"]] = against
    table["against_raw"] = table["hits"] / int(table.loc[table["list"] == "raw ranker", "hits"].iloc[0]) - 1
    ids = known.customers["customer_id"].to_numpy(dtype=object)[some]
    table["made_by"] = email.chosen if email.chosen != QUERY else "ranker"
    tags = price_rules(ranked, turned, rules, truth) if prices else pd.DataFrame()
    return table, tags, {label: (ids, v) for label, v in values.items()}


def _ranks(selection: Selection) -> pd.DataFrame:
    return selection.rows.rename(columns={"slot": "rank"})[["customer", "product", "rank"]]


def pooled(weeks: list[dict], label: str, other: str, seed: int = 0) -> tuple[float, float, float]:
    """The mean difference of two lists over all weeks, every customer's mean counted once, with its interval."""
    frames = [pd.DataFrame({"id": week[label][0], "gain": week[label][1] - week[other][1]}) for week in weeks]
    mean = pd.concat(frames).groupby("id")["gain"].mean().to_numpy()
    return compare_pairs(mean, np.zeros(len(mean)), seed)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.as_sent", description=__doc__)
    parser.add_argument("weeks", nargs="+", metavar="HOME:WEEK[:test]")
    parser.add_argument("--campaign", default="weekly_email")
    parser.add_argument("--prices", action="store_true", help="what each rule costs on the true future, too")
    parsed = parser.parse_args(arguments)
    tables, every = [], []
    for text in parsed.weeks:
        at_test = text.endswith(":test")
        home, _, week = text.removesuffix(":test").rpartition(":")
        table, tags, values = email_at(
            Path(home), date.fromisoformat(week), parsed.campaign, at_test, parsed.prices
        )
        tables.append(table)
        every.append(values)
        if parsed.prices:
            shown = tags[(tags["customers_changed"] > 0) | (tags["alone_gained"] != 0)]
            columns = ["rule", "customers_changed", "purchases", "purchases_without", "purchases_gained", "alone_gained"]  # fmt: skip
            sys.stdout.write(f"{week}\n{shown[columns].to_string(index=False)}\n")
    sys.stdout.write(pd.concat(tables).to_string(index=False, float_format="{:.4f}".format) + "\n")
    for label in ("as sent", "as sent, turned"):
        for other in ("personal frequency", "frequency, same rules", "user_knn"):
            gain, low, high = pooled(every, label, other)
            sys.stdout.write(f"{label} less {other}, all weeks: {gain:+.4f} ({low:+.4f} to {high:+.4f})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
