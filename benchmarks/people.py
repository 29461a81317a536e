"""People of a made-up shop, and the truth about what shows them something: seeded, week by week.

What is true of them (`Nature`) is never in the shop's files:

* every customer has a taste for every product, from hidden vectors and favourite categories, and buys at a rate of
  their own; categories have their season; what runs out is bought again when it has run out, a kettle is not;
* of the emails that reach them they open some; a row is looked at less the lower it stands, and less by `fatigue` each
  time that they were shown the product before; what they look at they click if it fits their taste or if they wanted to
  buy it anyway, and of what fits they buy a share at once. What does not fit has no effect at all;
* of what is bought at once, the share `stolen` is taken from their next purchases elsewhere in the shop.

Everybody lives twice on the same random numbers: once with the emails and once without (`Life.without`), so that the
effect on every customer is known. Who gets no email lives the same life twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

FAR = -999  # the week of a purchase that never was
QUALITIES = ("classic", "light", "family", "fresh", "dark", "mild", "strong", "fine", "plain", "old")
CATEGORIES = (
    *("coffee", "tea", "honey", "chocolate", "biscuits", "pasta", "oil", "soap", "candles", "mugs"),
    *("kettles", "spices"),
)
DURABLE = 3  # in so many of the categories things last for a year


@dataclass(frozen=True)
class Nature:
    """What is true of the people.

    Attributes:
        customers: how many.
        products: how many, spread over the categories.
        fatigue: what each further showing multiplies the chance of a click by.
        stolen: share of what is bought through a list that would have been bought elsewhere in the shop.
        effect: 1: lists sell; 0: they are clicked and sell nothing.
        seed: of everything.
    """

    customers: int = 3000
    products: int = 96
    fatigue: float = 0.8
    stolen: float = 0.0
    effect: float = 1.0
    seed: int = 16


@dataclass
class Life:
    """What happened to the customers so far.

    Attributes:
        last: int32[customers, products], the week of the last purchase.
        ever: bool[customers, products], bought before.
    """

    last: np.ndarray
    ever: np.ndarray


@dataclass(frozen=True)
class Week:
    """What one week brought.

    Attributes:
        lines: columns customer, product, minute (since Monday), order (of this customer in this week), through (an
            email's row that sold it or was clicked on the way, -1: none).
        events: columns customer, product, event_type, minute, row (of the email or page; -1: the email as a whole), kind.
        truth: a row per customer: spend and lines in both lives, what was sold through the email, and what an email was
            expected to add.
    """

    lines: pd.DataFrame
    events: pd.DataFrame
    truth: pd.DataFrame


@dataclass
class People:
    """Customers and products, and their two lives."""

    nature: Nature
    week: int = 0
    seen: np.ndarray = field(init=False)
    debt: np.ndarray = field(init=False)
    factual: Life = field(init=False)
    without: Life = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.nature.seed, 0])
        customers, products = self.nature.customers, self.nature.products
        shape = customers, products
        self.category = np.arange(products) % len(CATEGORIES)
        self.price = np.round(rng.lognormal(2.2, 0.45, products), 1) + 0.09
        self.cost = np.round(self.price * rng.uniform(0.5, 0.75, products), 2)
        lasts = self.category >= len(CATEGORIES) - DURABLE
        self.gap = np.where(lasts, 40.0, rng.uniform(3.0, 8.0, products))
        self.loyalty = np.where(lasts, 0.3, 5.0)
        self.phase = rng.uniform(0, 52, len(CATEGORIES))
        self.returned = rng.uniform(0.01, 0.08, products)
        hidden = rng.normal(size=(customers, 6)) @ rng.normal(size=(6, products)) / np.sqrt(6)
        favourite = rng.normal(size=(customers, len(CATEGORIES)))[:, self.category]
        popular = rng.normal(size=products) * 0.6
        taste = np.exp(0.8 * hidden + 0.9 * favourite + popular)
        self.taste = taste / taste.sum(axis=1, keepdims=True)
        self.rate = np.clip(rng.gamma(1.5, 0.35, customers), 0.02, 4.0)  # lines per week
        self.opens = rng.beta(2, 2, customers)
        self.visits = rng.beta(1, 4, customers)
        self.dead = rng.random(customers) < 0.01  # addresses that bounce
        # Most were there before the first week.
        self.joined = np.maximum(rng.integers(-120, 60, customers), 0)
        self.eligible = rng.random(customers) < 0.95
        self.seen = np.zeros(shape, dtype=np.int16)
        # Worth of what was bought through a list and will not be bought elsewhere.
        self.debt = np.zeros(customers)
        self.factual, self.without = (
            Life(np.full(shape, FAR, dtype=np.int32), np.zeros(shape, dtype=bool)) for _ in range(2)
        )

    # -- what they would do ------------------------------------------------------------------------------------------

    def wish(self, life: Life) -> np.ndarray:
        """float64[customers, products]: how much each is wanted this week, 1 being what is wanted at rate 1."""
        since = self.week - life.last
        again = self.loyalty * (1 - np.exp(-((since / self.gap) ** 2)))
        season = 1 + 0.4 * np.sin(2 * np.pi * (self.week - self.phase[self.category]) / 52)
        return self.taste * season * np.where(life.ever, again, 1.0)

    def appeal(self, wish: np.ndarray) -> np.ndarray:
        """The chance that a row is clicked by one who looks at it at its first showing: none for what is wanted less
        than the middle of all products."""
        middle = np.median(wish, axis=1, keepdims=True)
        return np.where(wish > middle, np.minimum(APPEAL * wish * self.nature.products, MOST_APPEAL), 0.0)

    def draw(self, purpose: int, *shape: int) -> np.ndarray:
        """Random numbers of this week for one purpose: the same whatever was sent to whom."""
        rng = np.random.default_rng([self.nature.seed, 1, self.week, purpose])
        return rng.random(shape or (self.nature.customers, self.nature.products))

    def live(self, emails: pd.DataFrame | None = None, pages: pd.DataFrame | None = None) -> Week:
        """One week.

        Args:
            emails: columns customer, product (numbers), slot, arm, held (True: their row is not sent).
            pages: columns customer, product, slot: what the home page shows.
        """
        nature = self.nature
        here = (self.joined <= self.week)[:, None]
        chance = self.draw(0)
        wish, wish_without = self.wish(self.factual), self.wish(self.without)
        wanted, base_without = (
            (chance < 1 - np.exp(-self.rate[:, None] * each)) & here for each in (wish, wish_without)
        )
        base = self._pay_debt(wanted)
        appeal = self.appeal(wish)

        lists = _number_rows(emails, pages)
        sent = lists[~lists["held"].to_numpy(bool)]
        expected = self._expect(lists, appeal, wish)
        events, bought = self._look(sent, appeal, base)

        # What the lists sell: nothing that would have been bought this week anyway.
        extra = np.zeros_like(base)
        extra[bought["customer"], bought["product"]] = True
        extra &= ~base
        steals = extra & (self.draw(1) < nature.stolen)
        self.debt += (steals * self.price).sum(axis=1)

        lines = self._place_orders(base, extra, bought)
        truth = pd.DataFrame(
            {
                "week": self.week,
                "customer": np.arange(nature.customers),
                "spend": ((base | extra) * self.price).sum(axis=1),
                "spend_without": (base_without * self.price).sum(axis=1),
                "lines": (base | extra).sum(axis=1),
                "lines_without": base_without.sum(axis=1),
                "through": (extra * self.price).sum(axis=1),
                "expected": expected,
            }
        )
        # What was not bought because something else was is not wanted any more.
        for life, done in ((self.factual, wanted | extra), (self.without, base_without)):
            life.last[done] = self.week
            life.ever |= done
        self.week += 1
        return Week(lines, events, truth)

    def _pay_debt(self, base: np.ndarray) -> np.ndarray:
        """Without what is not bought any more because something else was, as far as prices allow."""
        if not (self.debt > 0).any():
            return base
        base = base.copy()
        for product in np.argsort(self.draw(2, self.nature.products)):
            drop = base[:, product] & (self.debt >= self.price[product] / 2)
            base[drop, product] = False
            self.debt[drop] -= self.price[product]
        return base

    def _look(
        self, rows: pd.DataFrame, appeal: np.ndarray, base: np.ndarray
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """What became of the rows that were sent: events, and what was bought through them."""
        nature = self.nature
        opened = self.draw(3, nature.customers) < self.opens
        opened &= ~self.dead
        visited = self.draw(4, nature.customers) < self.visits
        at = {
            "email": OPENED_AFTER + np.minimum(-np.log1p(-self.draw(5, nature.customers)) * 480, 4 * DAY),
            "home": DAY * (1 + 5 * self.draw(6, nature.customers)),
        }
        looks, clicks, takes = self.draw(7), self.draw(8), self.draw(9)
        parts, bought = [self._receive(rows, opened, at["email"], appeal)], []
        for kind, reached in (("email", opened), ("home", visited)):
            part = rows[rows["kind"] == kind]
            part = part[reached[part["customer"].to_numpy(int)]]
            who, what, slot = (part[name].to_numpy(int) for name in ("customer", "product", "slot"))
            chance = LOOKED ** (slot - 1) * nature.fatigue ** self.seen[who, what]
            # A page and an email of one week are looked at on their own.
            looked = (looks if kind == "email" else self.draw(10))[who, what] < chance
            fits = (clicks if kind == "email" else self.draw(11))[who, what] < appeal[who, what]
            wanted = base[who, what] & (clicks[who, what] > 1 - WANTED)
            clicked = looked & (fits | wanted)
            taken = clicked & fits & (takes[who, what] < TAKEN * nature.effect) & (kind == "email")
            carted = clicked & (taken | (takes[who, what] < CARTED))
            minute = at[kind][who] + slot
            self.seen[who, what] += 1
            for event, mask, delay in (
                ("shown", np.ones(len(part), dtype=bool), 0),
                ("clicked", clicked, 2),
                ("added_to_cart", carted, 3),
                ("purchased", taken | (clicked & base[who, what]), 30),
                ("dismissed", (appeal[who, what] == 0) & (kind == "home") & (looks[who, what] < 0.01), 4),
            ):
                parts.append(
                    pd.DataFrame(
                        {
                            "customer": who[mask],
                            "product": what[mask],
                            "event_type": event,
                            "minute": (minute + delay)[mask].astype(int),
                            "row": part["row"].to_numpy(int)[mask],
                            "kind": kind,
                        }
                    )
                )
            got = taken | (clicked & base[who, what])
            bought.append(
                pd.DataFrame(
                    {
                        "customer": who[got],
                        "product": what[got],
                        "minute": (minute[got] + 30).astype(int),
                        "row": part["row"].to_numpy(int)[got],
                    }
                )
            )
        return pd.concat(parts, ignore_index=True), pd.concat(bought, ignore_index=True)

    def _receive(
        self, rows: pd.DataFrame, opened: np.ndarray, minute: np.ndarray, appeal: np.ndarray
    ) -> pd.DataFrame:
        """What became of whole emails. Who is sent what does not fit leaves sooner."""
        emails = rows[rows["kind"] == "email"]
        fits = pd.Series(appeal[emails["customer"].to_numpy(int), emails["product"].to_numpy(int)] > 0)
        useless = 1 - fits.groupby(emails["customer"].to_numpy(int)).mean()
        who = useless.index.to_numpy(int)
        leaves, complains = (
            self.draw(14, self.nature.customers)[who],
            self.draw(15, self.nature.customers)[who],
        )
        mails = [
            ("sent", np.ones(len(who), dtype=bool), np.full(len(who), SENT)),
            ("bounced", self.dead[who], np.full(len(who), SENT + 1)),
            ("delivered", ~self.dead[who], np.full(len(who), SENT + 1)),
            ("opened", opened[who], minute[who]),
            (
                "unsubscribed",
                opened[who] & (leaves < LEAVE + LEAVE_USELESS * useless.to_numpy()),
                minute[who] + 40,
            ),
            ("complained", opened[who] & (complains < COMPLAIN), minute[who] + 41),
        ]
        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "customer": who[mask],
                        "product": -1,
                        "event_type": event,
                        "minute": minutes[mask].astype(int),
                        "row": -1,
                        "kind": "email",
                    }
                )
                for event, mask, minutes in mails
            ],
            ignore_index=True,
        )

    def _place_orders(self, base: np.ndarray, extra: np.ndarray, bought: pd.DataFrame) -> pd.DataFrame:
        """Lines with their order and time: two visits a week at most, and one through what was clicked."""
        who, what = np.nonzero(base | extra)
        second = (self.draw(12)[who, what] < 0.3).astype(int)
        visit = self.draw(13, self.nature.customers, 2)[who, second]
        lines = pd.DataFrame(
            {
                "customer": who,
                "product": what,
                "order": second,
                "minute": (DAY * 0.3 + visit * DAY * 6.5).astype(int),
            }
        )
        first = bought.sort_values(["customer", "product", "minute"]).drop_duplicates(["customer", "product"])
        first = first.assign(minute=first.groupby("customer")["minute"].transform("max"))
        lines = lines.merge(first, on=["customer", "product"], how="left", suffixes=("", "_through"))
        through = lines["minute_through"].notna()
        lines.loc[through, "order"] = 2
        lines["minute"] = lines["minute_through"].fillna(lines["minute"]).astype(int)
        lines["row"] = lines["row"].fillna(-1).astype(int)
        return lines.drop(columns="minute_through")

    def _expect(self, rows: pd.DataFrame, appeal: np.ndarray, wish: np.ndarray) -> np.ndarray:
        """What an email adds to a customer's spend of this week, on average over everything that chance decides; of
        those held out, what it would have added."""
        part = rows[rows["kind"] == "email"]
        who, what, slot = (part[name].to_numpy(int) for name in ("customer", "product", "slot"))
        look = (
            self.opens[who]
            * ~self.dead[who]
            * LOOKED ** (slot - 1)
            * self.nature.fatigue ** self.seen[who, what]
        )
        take = look * appeal[who, what] * TAKEN * self.nature.effect * (1 - self.nature.stolen)
        alone = np.exp(-self.rate[who] * wish[who, what])
        return np.bincount(who, weights=take * alone * self.price[what], minlength=self.nature.customers)


APPEAL, MOST_APPEAL = 0.045, 0.35
LOOKED = 0.93  # of those who look at a slot, so many look at the next
WANTED = 0.5  # of what they would have bought anyway and see, so much is clicked
TAKEN, CARTED = 0.3, 0.45  # of what is clicked because it fits
LEAVE, LEAVE_USELESS, COMPLAIN = 0.002, 0.02, 0.0005
DAY, SENT = 24 * 60, 6 * 60  # minutes
OPENED_AFTER = SENT + 5


def _number_rows(emails: pd.DataFrame | None, pages: pd.DataFrame | None) -> pd.DataFrame:
    """All rows of the week's lists, in one frame."""
    columns = ["customer", "product", "slot", "held", "kind", "row"]
    parts = [
        part.assign(kind=kind, held=part.get("held", False), row=np.arange(len(part)))[columns]
        for kind, part in (("email", emails), ("home", pages))
        if part is not None
    ]
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype="int64") for name in columns}).astype(
            {"held": bool, "kind": str}
        )
    return pd.concat(parts, ignore_index=True)
