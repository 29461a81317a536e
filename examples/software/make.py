"""Write `examples/software/data/`, sixteen months of a made-up software company that sells features of one product.

    python examples/software/make.py [folder]

Same bytes on every run: one seed, and only `Random.random()`, whose stream Python promises to keep.
"""

from __future__ import annotations

import csv
import sys
from datetime import date, timedelta
from pathlib import Path
from random import Random

SEED = 20260106
AS_OF = date(2026, 1, 5)  # a Monday; nothing is later
DAYS = 70 * 7
ACCOUNTS = 260

# code, name, area, price of a month, plans that may switch it on, first day
FEATURES = [
    ("sso", "Single sign-on", "Security", 60, "team business", None),
    ("audit-log", "Audit log", "Security", 40, "business", None),
    ("roles", "Roles and permissions", "Security", 25, "team business", None),
    ("two-factor", "Enforced two-factor login", "Security", 15, "starter team business", None),
    ("api", "API access", "Automation", 45, "team business", None),
    ("webhooks", "Webhooks", "Automation", 20, "team business", None),
    ("workflows", "Workflows", "Automation", 35, "starter team business", None),
    ("scheduler", "Scheduled jobs", "Automation", 15, "starter team business", None),
    ("dashboards", "Dashboards", "Reporting", 30, "starter team business", None),
    ("exports", "Exports to spreadsheets", "Reporting", 10, "starter team business", None),
    ("forecast", "Forecasts", "Reporting", 50, "business", None),
    ("alerts", "Alerts on figures", "Reporting", 15, "starter team business", None),
    ("guests", "Guest access", "Teamwork", 20, "team business", None),
    ("comments", "Comments and mentions", "Teamwork", 10, "starter team business", None),
    ("templates", "Shared templates", "Teamwork", 12, "starter team business", None),
    ("branding", "Your own branding", "Teamwork", 30, "team business", None),
    ("chat", "Chat integration", "Integrations", 15, "starter team business", None),
    ("crm", "CRM integration", "Integrations", 40, "team business", None),
    ("warehouse", "Data warehouse sync", "Integrations", 70, "business", None),
    ("calendar", "Calendar integration", "Integrations", 8, "starter team business", None),
    ("summaries", "Written summaries", "Reporting", 20, "starter team business", date(2025, 12, 1)),
]
# What a team works at -> how likely it takes a feature up.
TEAMS = {
    "engineering": {"api": 0.8, "webhooks": 0.7, "sso": 0.5, "audit-log": 0.4, "warehouse": 0.4, "scheduler": 0.6,
                    "two-factor": 0.6, "chat": 0.6, "alerts": 0.4, "roles": 0.4},
    "sales": {"crm": 0.8, "calendar": 0.7, "templates": 0.6, "dashboards": 0.6, "forecast": 0.5, "chat": 0.5,
              "workflows": 0.5, "exports": 0.5, "comments": 0.3},
    "agency": {"guests": 0.8, "branding": 0.7, "comments": 0.7, "templates": 0.7, "calendar": 0.5, "exports": 0.4,
               "workflows": 0.4, "two-factor": 0.2},
    "finance": {"exports": 0.8, "dashboards": 0.7, "alerts": 0.7, "audit-log": 0.6, "roles": 0.6, "sso": 0.5,
                "two-factor": 0.6, "forecast": 0.6, "scheduler": 0.4},
}  # fmt: skip
LEADS_TO = {
    "api": "webhooks",
    "dashboards": "alerts",
    "guests": "branding",
    "sso": "roles",
    "crm": "calendar",
}
PLANS = ("starter", "team", "business")


class Draw:
    """A seeded stream that uses nothing but `random()`."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311

    def below(self, n: int) -> int:
        return int(self._random.random() * n)

    def chance(self, share: float) -> bool:
        return self._random.random() < share


def make(draw: Draw) -> dict[str, list[dict]]:
    """Rows of every file."""
    about = {row[0]: row for row in FEATURES}
    first = AS_OF - timedelta(days=DAYS)
    accounts, switched, events = [], [], []
    for number in range(1, ACCOUNTS + 1):
        account, team, plan = f"acc-{number:04d}", list(TEAMS)[draw.below(len(TEAMS))], PLANS[draw.below(3)]
        since = first + timedelta(days=draw.below(DAYS - 7))
        accounts.append(
            {
                "account": account,
                "opened_on": since,
                "plan": plan,
                "product_news": "false" if draw.chance(0.1) else "true",
            }
        )
        on: dict[str, date] = {}
        for feature, likely in TEAMS[team].items():
            allowed, begins = about[feature][4].split(), about[feature][5]
            if plan not in allowed or feature in on or not draw.chance(likely):
                continue
            day = max(since, begins or since) + timedelta(days=draw.below((AS_OF - since).days))
            if draw.chance(0.6):  # its page is read, or it is tried, some days before
                kind = "trial_started" if draw.chance(0.4) else "page_read"
                events.append((max(since, day - timedelta(days=1 + draw.below(14))), account, feature, kind))
            on[feature] = day
            other = LEADS_TO.get(feature)
            if other and other not in on and plan in about[other][4].split() and draw.chance(0.6):
                on[other] = day + timedelta(days=5 + draw.below(40))
        if since < AS_OF and draw.chance(0.25):
            on["summaries"] = max(since, date(2025, 12, 1)) + timedelta(days=draw.below(35))
        for feature in TEAMS[team]:
            if feature not in on and plan in about[feature][4].split() and draw.chance(0.25):
                events.append((since + timedelta(days=draw.below(DAYS)), account, feature, "page_read"))
        for feature, day in on.items():
            off = day + timedelta(days=20 + draw.below(200)) if draw.chance(0.12) else None
            switched.append((day, account, feature, "on"))
            if off:
                switched.append((off, account, feature, "off"))
            week = day + timedelta(days=7)
            while week < min(off or AS_OF, AS_OF):
                if draw.chance(0.08):
                    events.append((week, account, feature, "used"))
                week += timedelta(days=7)
    return {
        "accounts": accounts,
        "features": [
            {
                "feature": row[0],
                "name": row[1],
                "area": row[2],
                "monthly_price": row[3],
                "plans": row[4],
                "since": row[5] or "",
            }
            for row in FEATURES
        ],
        "switches": [
            {"switch": f"s{number:05d}", "day": day, "account": account, "feature": feature, "state": state}
            for number, (day, account, feature, state) in enumerate(sorted(switched), start=1)
            if day < AS_OF
        ],
        "events": [
            {"event": f"e{number:05d}", "day": day, "account": account, "feature": feature, "kind": kind}
            for number, (day, account, feature, kind) in enumerate(sorted(events), start=1)
            if first <= day < AS_OF
        ],
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in make(Draw(SEED)).items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data")
