"""What a goal trades at the test anchor of a week that was run: the table of `recs.goal_frontier`, without running it again.

    RECS_HOME=.recs python -m benchmarks.goals --as-of 2018-01-01
    RECS_HOME=.recs python -m benchmarks.goals --as-of 2018-01-01 --goal "{purchase: 0.5, revenue: 0.5}" --segments

The week's build is only read; `as_said` is the campaign with the goal that is given here, or that of its file.
"""

from __future__ import annotations

import argparse
from datetime import date

import yaml

from benchmarks.weekly import say
from recs_assets.campaigns.email import Email
from recs_assets.campaigns.file import load_folder
from recs_assets.campaigns.make import answer_query, find_depth
from recs_assets.campaigns.measure import rehearse_test
from recs_assets.rules.config import Goal
from recs_assets.rules.frontier import EVERYBODY, MEASURES, measure_frontier, set_goal
from recs_assets.settings import Settings
from recs_assets.shop import Shop
from recs_assets.week.week import Week


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.goals", description=__doc__)
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--campaign", default="weekly_email")
    parser.add_argument("--goal", type=yaml.safe_load, help="in place of the file's, as YAML")
    parser.add_argument("--strength", type=float, default=1.0, help="of that goal")
    parser.add_argument("--segment-by", choices=["shop", "rfm"], help="in place of the file's")
    parser.add_argument("--segments", action="store_true", help="print each segment, too")
    parsed = parser.parse_args()
    shop = Shop.from_settings(Settings())
    week = Week(shop, shop.warehouse(), parsed.as_of)
    campaign = load_folder(shop.path("campaigns"), shop.catalogue).campaigns[parsed.campaign]
    if parsed.segment_by:
        campaign = campaign.change({"segment_by": parsed.segment_by})
    plan, task, predicted, problem = answer_query(campaign, week, lambda message: None)
    if predicted is None:
        raise SystemExit(f"The query of {campaign.name} cannot be answered: {problem}")
    email = Email(campaign, week, plan, task, predicted, find_depth(campaign))
    ranked, context, asked = rehearse_test(email)
    rules = email.rules
    if parsed.goal is not None:
        rules = set_goal(rules, Goal.model_validate(parsed.goal), parsed.strength)
    table = measure_frontier(ranked, context, rules, predicted.truth, asked, week.settings.threads)
    say(f"Lists by {email.chosen}, test anchor {plan.test}, {len(asked):,} customers asked for.\n")
    known = [name for name in MEASURES if table[name].notna().any()]
    say(f"| goal | strength | segment | recipients | {' | '.join(known)} |")
    say(f"|---|---:|---|---:|{'---:|' * len(known)}")
    for row in table.itertuples():
        if row.segment != EVERYBODY and not parsed.segments:
            continue
        cells = []
        for name in known:
            value, gained, low, high = (
                getattr(row, f"{name}{end}") for end in ("", "_gained", "_low", "_high")
            )
            cells.append(f"{value:.3f} ({gained:+.3f}, {low:+.3f} to {high:+.3f})")
        strength = "" if row.strength != row.strength else f"{row.strength:g}{' (knee)' if row.knee else ''}"
        say(f"| {row.goal} | {strength} | {row.segment} | {row.recipients:,} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
