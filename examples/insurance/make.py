"""Write `examples/insurance/data/`, three years of a made-up insurer.

    python examples/insurance/make.py [folder]

Same bytes on every run: one seed, and only `Random.random()`, whose stream Python promises to keep.
"""

from __future__ import annotations

import csv
import sys
from datetime import date, timedelta
from pathlib import Path
from random import Random

SEED = 20260105
AS_OF = date(2026, 1, 5)  # a Monday; nothing is later
DAYS = 3 * 364
CLIENTS = 270

# code, name, line of business, premium of a year, signed anew every year
POLICIES = [
    ("car-liability", "Car liability", "Motor", 310, False),
    ("car-full", "Car fully comprehensive", "Motor", 540, False),
    ("breakdown", "Breakdown cover", "Motor", 60, False),
    ("motorbike", "Motorbike", "Motor", 140, False),
    ("contents", "Home contents", "Home", 95, False),
    ("building", "Building", "Home", 420, False),
    ("glass", "Glass", "Home", 45, False),
    ("bicycle", "Bicycle theft", "Home", 70, True),
    ("liability", "Personal liability", "Liability", 60, False),
    ("dog", "Dog owner's liability", "Liability", 55, False),
    ("legal", "Legal expenses", "Liability", 210, False),
    ("travel-year", "Travel for a year", "Travel", 65, True),
    ("cancellation", "Trip cancellation", "Travel", 38, True),
    ("term-life", "Term life", "Life and income", 180, False),
    ("disability", "Occupational disability", "Life and income", 690, False),
    ("accident", "Accident", "Life and income", 120, False),
    ("child-accident", "Accident of a child", "Life and income", 48, False),
    ("dental", "Dental", "Health", 230, False),
]
# Household -> share of the clients, and how likely each of them needs a policy within the three years.
HOUSEHOLDS = {
    "single, renting": (0.35, {"liability": 0.8, "contents": 0.7, "bicycle": 0.5, "travel-year": 0.4, "legal": 0.3,
                               "disability": 0.35, "dental": 0.3, "cancellation": 0.3}),
    "family, renting": (0.25, {"liability": 0.85, "contents": 0.8, "car-liability": 0.7, "child-accident": 0.6,
                               "term-life": 0.4, "legal": 0.4, "travel-year": 0.4, "breakdown": 0.35, "glass": 0.3}),
    "family, owning": (0.25, {"building": 0.9, "contents": 0.85, "car-full": 0.7, "term-life": 0.6, "glass": 0.5,
                              "child-accident": 0.5, "breakdown": 0.5, "liability": 0.8, "dog": 0.3, "accident": 0.3}),
    "couple, no children": (0.15, {"car-full": 0.6, "travel-year": 0.7, "cancellation": 0.6, "contents": 0.7, "dental": 0.5,
                                   "motorbike": 0.3, "dog": 0.3, "legal": 0.4, "liability": 0.7}),
}  # fmt: skip
# Who signs one signs the other with it, in one application.
TOGETHER = {
    "car-liability": "breakdown",
    "car-full": "breakdown",
    "building": "glass",
    "contents": "liability",
}


class Draw:
    """A seeded stream that uses nothing but `random()`."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311

    def below(self, n: int) -> int:
        return int(self._random.random() * n)

    def chance(self, share: float) -> bool:
        return self._random.random() < share


def draw_household(draw: Draw) -> str:
    left = draw.below(1000) / 1000
    for household, (share, _) in HOUSEHOLDS.items():
        left -= share
        if left < 0:
            return household
    return household


def make(draw: Draw) -> dict[str, list[dict]]:
    """Rows of every file."""
    premium, again = {row[0]: row[3] for row in POLICIES}, {row[0] for row in POLICIES if row[4]}
    first = AS_OF - timedelta(days=DAYS)
    clients, signed, quotes = [], [], []
    for number in range(1, CLIENTS + 1):
        client, household = f"{40_000 + number}", draw_household(draw)
        needs = HOUSEHOLDS[household][1]
        clients.append(
            {
                "client_no": client,
                "client_since": first - timedelta(days=draw.below(2000)),
                "household": household,
                "marketing_consent": "no" if draw.chance(0.12) else "yes",
            }
        )
        has: set[str] = set()
        for policy, need in needs.items():
            if policy in has or not draw.chance(need):
                continue
            on = first + timedelta(days=draw.below(DAYS))
            basket = [policy]
            other = TOGETHER.get(policy)
            if other and other not in has and draw.chance(0.6):
                basket.append(other)
            has.update(basket)
            signed.append((on, client, basket))
            if draw.chance(0.5):
                quotes.append((on - timedelta(days=1 + draw.below(20)), client, policy))
            while policy in again:
                on += timedelta(days=355 + draw.below(20))
                if on >= AS_OF or draw.chance(0.15):
                    break
                signed.append((on, client, [policy]))
        for policy in needs:
            if policy not in has and draw.chance(0.3):
                quotes.append((first + timedelta(days=draw.below(DAYS)), client, policy))
    contracts = []
    for application, (on, client, basket) in enumerate(sorted(signed), start=1):
        for place, policy in enumerate(basket, start=1):
            withdrawn = draw.chance(0.03)
            contracts.append(
                {
                    "contract_no": f"V{application:05d}-{place}",
                    "application_no": f"A{application:05d}",
                    "client_no": client,
                    "policy": policy,
                    "signed_on": on,
                    "yearly_premium": round(premium[policy] * (0.9 + draw.below(30) / 100), 2),
                    "withdrawn_on": on + timedelta(days=1 + draw.below(13)) if withdrawn else "",
                    "prolongs": "",
                }
            )
            # What nobody ends goes on for another year, by itself.
            year = on + timedelta(days=364)
            before = contracts[-1]["contract_no"]
            while policy not in again and not withdrawn and year < AS_OF:
                contracts.append(
                    {**contracts[-1], "contract_no": f"{before.rsplit('/', 1)[0]}/{year.year}", "signed_on": year,
                     "prolongs": before}
                )  # fmt: skip
                before, year = contracts[-1]["contract_no"], year + timedelta(days=364)
    return {
        "clients": clients,
        "policies": [dict(zip(("policy", "name", "line", "yearly_premium", "signed_every_year"), row, strict=True)) for row in POLICIES],
        "contracts": [row for row in contracts if not row["withdrawn_on"] or row["withdrawn_on"] < AS_OF],
        "quotes": [
            {"quote_no": f"Q{number:05d}", "asked_on": on, "client_no": client, "policy": policy}
            for number, (on, client, policy) in enumerate(sorted(quotes), start=1)
            if on < AS_OF
        ],
    }  # fmt: skip


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in make(Draw(SEED)).items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data")
