"""Precision and recall of matching profiles, on made-up people whose duplicates are known, and the time that it takes.

    python -m benchmarks.identity --people 20000
    python -m benchmarks.identity --people 75000 --time

A person has one to four profiles, made at different channels. Each further profile differs as those of real shops do: another
address, no address, a new phone, a move, a marriage, a typing error, a nickname, umlauts spelt out, first and last name in each
other's place, a birthday with day and month in each other's place or missing. Beside them live those who are somebody else and look
alike: partners and children with one phone and one postcode, some with one address; twins; father and son of one name;
namesakes in one town. The seed fixes everything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd

from recs_assets.identity.match import match_profiles
from recs_assets.identity.normalise import normalise_email, normalise_phones
from recs_assets.sources.declaration import Identity

FIRST_NAMES = (
    "Anna Ben Clara David Emma Finn Greta Hannah Ida Jakob Katharina Lukas Mia Noah Olivia Paul Paula Robert Sophie Thomas "
    "Ulrike Valentin Werner Yasmin Zoe Jürgen Jörg Käthe Günther Björn Maximilian Alexander Alexandra Elisabeth Michael Andreas "
    "Stefan Stefanie Peter Petra Martin Martina Christian Christiane Daniel Daniela Simon Simone Julian Julia"
)
FIRST = FIRST_NAMES.split()
NICKNAMES = {
    "Robert": "Bob", "Maximilian": "Max", "Alexander": "Alex", "Alexandra": "Sandra", "Elisabeth": "Lisa", "Katharina": "Kathi",
    "Thomas": "Tom", "Michael": "Michi", "Andreas": "Andi", "Hannah": "Hanni", "Valentin": "Vali",
}  # fmt: skip
ROOT_WORDS = (
    "Müll Schmid Schneid Fisch Web Mey Wagn Beck Schulz Hoffmann Schäf Koch Bau Richt Klein Wolf Schröd Neumann Schwarz Zimm Braun "
    "Krüg Hofmann Hartmann Lang Wern Krause Lehmann Köhl Herrmann König Walt Mai Huber Kais Fuchs Peters Scholz Möll Weiß Jung Hahn"
)
ROOTS = ROOT_WORDS.split()
ENDINGS = ("er", "ert", "mann", "ing", "s", "el", "ke", "bach", "feld", "stein", "berg", "hof", "")
DOMAINS = ("gmx.de", "web.de", "gmail.com", "t-online.de", "outlook.com")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Town:
    """Draws people, one seed for all."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.rows: list[dict[str, object]] = []
        self.people = 0
        self.addresses: set[str] = set()
        # Few names are frequent and many rare, as everywhere.
        names = [root + ending for root in ROOTS for ending in ENDINGS]
        self.last_names = self.rng.permutation(names)
        self.share = 1 / np.arange(5, len(names) + 5)
        self.share /= self.share.sum()

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def draw_last_name(self) -> str:
        return str(self.rng.choice(self.last_names, p=self.share))

    def draw_phone(self) -> str:
        return f"0{self.rng.integers(150, 180)}{self.rng.integers(1_000_000, 10_000_000)}"

    def draw_postcode(self) -> str:
        return f"{self.rng.integers(1, 100):02}{self.rng.integers(0, 80):03}"

    def draw_birth_date(self, first: int = 1940, last: int = 2006) -> pd.Timestamp:
        return pd.Timestamp(first, 1, 1) + pd.Timedelta(days=int(self.rng.integers(0, 365 * (last - first))))

    def draw_email(self, first: str, last: str, birth: pd.Timestamp) -> str:
        local = {
            0: f"{first}.{last}", 1: f"{first[0]}.{last}{birth.year % 100}", 2: f"{first}{self.rng.integers(1, 9999)}",
            3: f"{last}.{first}{self.rng.integers(1, 99)}",
        }[int(self.rng.integers(0, 4))]  # fmt: skip
        for umlaut, spelt in {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}.items():
            local = local.lower().replace(umlaut, spelt)
        address = f"{local}@{self.rng.choice(DOMAINS)}"
        while address in self.addresses:  # taken by somebody
            address = f"{local}{self.rng.integers(1, 9999)}@{self.rng.choice(DOMAINS)}"
        self.addresses.add(address)
        return address

    def misspell(self, text: str) -> str:
        """One letter changed, doubled, left out or swapped with the next."""
        at, kind = int(self.rng.integers(1, len(text))), int(self.rng.integers(0, 4))
        if kind == 0:
            return text[:at] + str(self.rng.choice(list(LETTERS))) + text[at + 1 :]
        if kind == 1:
            return text[:at] + text[at - 1 :]
        if kind == 2:
            return text[:at] + text[at + 1 :]
        return text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :]

    def add_person(self, **known: object) -> dict[str, object]:
        """Somebody new with their profiles; what is `known` of them is not drawn."""
        first, last = (
            str(known.get("first_name") or self.rng.choice(FIRST)),
            str(known.get("last_name") or self.draw_last_name()),
        )
        birth = known.get("birth_date") or self.draw_birth_date()
        person = {
            "first_name": first, "last_name": last, "birth_date": birth, "postcode": known.get("postcode") or self.draw_postcode(),
            "phone": known.get("phone") or self.draw_phone(), "email": known.get("email") or self.draw_email(first, last, birth),
        }  # fmt: skip
        self.people += 1
        self.add_profile(person)
        for _ in range(int(self.rng.choice([0, 1, 2, 3], p=[0.75, 0.19, 0.05, 0.01]))):
            self.add_profile(self.change(dict(person)))
        return person

    def add_profile(self, profile: dict[str, object]) -> None:
        """A profile as a channel has it: some ask for little."""
        for column, share in {"phone": 0.35, "birth_date": 0.4, "postcode": 0.15}.items():
            if self.chance(share):
                profile = {**profile, column: None}
        self.rows.append({**profile, "person": self.people})

    def change(self, person: dict) -> dict:
        """What may differ the next time somebody signs up."""
        if self.chance(0.45):
            person["email"] = self.draw_email(person["first_name"], person["last_name"], person["birth_date"])
        elif self.chance(0.15):
            person["email"] = None
        elif self.chance(0.1):
            person["email"] = person["email"].upper()
        if self.chance(0.25):
            person["phone"] = self.draw_phone()
        elif person["phone"] and self.chance(0.4):
            person["phone"] = f"+49 {person['phone'][1:4]} / {person['phone'][4:]}"
        if self.chance(0.2):
            person["postcode"] = self.draw_postcode()
        if self.chance(0.06):
            person["last_name"] = self.draw_last_name()
        if self.chance(0.12):
            person["first_name"] = NICKNAMES.get(person["first_name"], person["first_name"][0] + ".")
        if self.chance(0.08):
            column = str(self.rng.choice(["first_name", "last_name"]))
            person[column] = self.misspell(person[column])
        if self.chance(0.1):
            for umlaut, spelt in {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}.items():
                person["last_name"] = person["last_name"].replace(umlaut, spelt)
                person["first_name"] = person["first_name"].replace(umlaut, spelt)
        if self.chance(0.03):
            person["first_name"], person["last_name"] = person["last_name"], person["first_name"]
        birth = person["birth_date"]
        if self.chance(0.04) and birth.day <= 12:
            person["birth_date"] = pd.Timestamp(birth.year, birth.day, birth.month)
        elif self.chance(0.02):
            person["birth_date"] = birth.replace(year=birth.year - 1, day=min(birth.day, 28))
        return person

    def add_household(self) -> None:
        one = self.add_person()
        shared = {"last_name": one["last_name"], "postcode": one["postcode"], "phone": one["phone"]}
        if self.chance(0.25):
            shared["email"] = one["email"]
        for _ in range(int(self.rng.integers(1, 3))):
            others = [name for name in FIRST if name != one["first_name"]]
            self.add_person(first_name=self.rng.choice(others), **shared)

    def add_twins(self) -> None:
        one, other = self.rng.choice(FIRST, 2, replace=False)
        first = self.add_person(first_name=one)
        same = {name: first[name] for name in ("last_name", "postcode", "phone", "birth_date")}
        self.add_person(first_name=other, **same)

    def add_father_and_son(self) -> None:
        father = self.add_person(birth_date=self.draw_birth_date(1940, 1970))
        same = {name: father[name] for name in ("first_name", "last_name", "postcode", "phone")}
        self.add_person(birth_date=self.draw_birth_date(1975, 2006), **same)

    def add_namesake(self) -> None:
        one = self.add_person()
        self.add_person(first_name=one["first_name"], last_name=one["last_name"], postcode=one["postcode"])


def make_town(people: int, seed: int) -> pd.DataFrame:
    """Profiles with the number of their person, by id; a fifth of the people live with somebody who looks alike."""
    town = Town(seed)
    kinds: list[Callable[[], object]] = [
        town.add_person,
        town.add_household,
        town.add_twins,
        town.add_father_and_son,
        town.add_namesake,
    ]
    while town.people < people:
        kinds[int(town.rng.choice(len(kinds), p=[0.895, 0.08, 0.005, 0.01, 0.01]))]()
    frame = pd.DataFrame(town.rows).sample(frac=1.0, random_state=seed, ignore_index=True)
    frame.insert(0, "profile_id", [f"k{number:07}" for number in range(len(frame))])
    joined = pd.Timestamp(2015, 1, 1) + pd.to_timedelta(town.rng.integers(0, 3650, len(frame)), unit="D")
    return frame.assign(joined_at=joined, country="DE")


def count_pairs(profiles: pd.DataFrame, columns: list[str]) -> int:
    """Pairs of profiles alike in all of these."""
    sizes = profiles.groupby(columns).size()
    return int((sizes * (sizes - 1) // 2).sum())


def measure(profiles: pd.DataFrame, group: pd.Series) -> tuple[float, float, float]:
    """Precision, recall and F1 of pairs within a group, whatever brought them together."""
    judged = profiles.assign(group=group)
    right, joined, true = (count_pairs(judged, c) for c in (["person", "group"], ["group"], ["person"]))
    precision, recall = right / max(1, joined), right / true
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def join_by(profiles: pd.DataFrame, columns: list[str]) -> pd.Series:
    """The baseline: everything alike in one of the columns is one person, over any number of steps."""
    from recs_assets.identity.groups import find_components

    pairs = []
    for column in columns:
        for _, ids in profiles.dropna(subset=[column]).groupby(column)["profile_id"]:
            pairs += [(ids.iloc[0], other) for other in ids.iloc[1:]]
    components = find_components(pairs)
    return profiles["profile_id"].map(lambda profile: components.get(profile, profile))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--time", action="store_true", help="only the time of the whole matching")
    options = parser.parse_args()
    profiles = make_town(options.people, options.seed)
    true = count_pairs(profiles, ["person"])
    print(
        f"{len(profiles):,} profiles of {profiles['person'].nunique():,} people, {true:,} pairs of one person"
    )
    if not options.time:
        texts = profiles[["email", "phone"]].astype(object).where(profiles[["email", "phone"]].notna(), None)
        known = profiles.assign(
            email=[normalise_email(text) for text in texts["email"]],
            phone=normalise_phones(texts["phone"].tolist(), profiles["country"].tolist()),
        )
        for name, columns in {"exact email": ["email"], "exact email or phone": ["email", "phone"]}.items():
            print(
                "{:40} precision {:.4f} recall {:.4f} F1 {:.4f}".format(
                    name, *measure(known, join_by(known, columns))
                )
            )
    rules = {"shipped": Identity()}
    if not options.time:
        rules = {
            "exact, contradictions left out": Identity(accept=0.999999999, suggest=0.99999999),
            **{
                f"with scores from {accept}": Identity(accept=accept, suggest=min(accept, 0.8))
                for accept in (0.9, 0.95, 0.99, 0.999)
            },
        }
    for name, rule in rules.items():
        begun = time.perf_counter()
        with duckdb.connect() as connection:
            matched = match_profiles(connection, profiles.drop(columns="person"), rule)
        seconds = time.perf_counter() - begun
        person = matched.identities.set_index("profile_id")["customer_id"]
        group = profiles["profile_id"].map(person).fillna(profiles["profile_id"])
        review = matched.pairs[matched.pairs["status"] == "review"]
        owner = profiles.set_index("profile_id")["person"]
        right = (
            (review["profile_id"].map(owner) == review["other_profile_id"].map(owner)).mean()
            if len(review)
            else 0.0
        )
        figures = "precision {:.4f} recall {:.4f} F1 {:.4f}".format(*measure(profiles, group))
        print(
            f"{name:40} {figures}; review {len(review):,} pairs, {right:.0%} of them one person; {seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
