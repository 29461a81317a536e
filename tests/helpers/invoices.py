"""A made-up file of invoice lines, of the shape of UCI's Online Retail: one flat table and nothing beside it.

Its traps: cancellations are invoices with a C before the number and negative quantities; a quarter of the lines has no
customer; one code has several descriptions, some of them remarks ("damaged"); postage, samples and bank charges are
booked like products; a few customers buy by the pallet.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from helpers.spreadsheets import write_xlsx

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
GERMAN = (
    "Rechnungsnr",
    "Artikelnr",
    "Bezeichnung",
    "Menge",
    "Rechnungsdatum",
    "Einzelpreis",
    "Kundennr",
    "Land",
)
COUNTRIES = (
    "United Kingdom",
    "Germany",
    "France",
    "EIRE",
    "Spain",
    "Netherlands",
    "Belgium",
    "Switzerland",
    "Portugal",
)
GERMAN_COUNTRIES = (
    "Deutschland",
    "Österreich",
    "Frankreich",
    "Schweiz",
    "Niederlande",
    "Belgien",
    "Polen",
    "Italien",
    "Spanien",
)
_THINGS = ("HEART T-LIGHT HOLDER", "LUNCH BAG", "CAKE STAND", "BUNTING", "TEA TOWEL", "NIGHT LIGHT", "JAM MAKING SET", "CLOCK", "MUG",
           "DOORMAT", "GIFT WRAP", "PARASOL", "WICKER BASKET", "PHOTO FRAME", "HOT WATER BOTTLE", "ALARM CLOCK", "CAFÉ SIGN")  # fmt: skip
_LOOKS = ("WHITE HANGING", "RED RETROSPOT", "PINK POLKADOT", "VINTAGE", "ENGLISH ROSE", "BLUE PAISLEY", "WOODEN", "JUMBO", "SET OF 6",
          "PACK OF 12", "REGENCY", "FELTCRAFT", "GLASS", "METAL", "IVORY", "CHRISTMAS")  # fmt: skip
_REMARKS = ("damaged", "?", "wrongly coded", "found", "check")
# Code, description, price from, price to, share of invoices.
NO_PRODUCTS = (
    ("POST", "POSTAGE", 5, 40, 0.04),
    ("DOT", "DOTCOM POSTAGE", 20, 300, 0.02),
    ("M", "Manual", 1, 400, 0.012),
    ("D", "Discount", 5, 100, 0.003),
    ("BANK CHARGES", "Bank Charges", 10, 60, 0.002),
    ("AMAZONFEE", "AMAZON FEE", 100, 900, 0.001),
)


def list_lines(count: int, seed: int = 0, countries: tuple[str, ...] = COUNTRIES) -> list[tuple[Any, ...]]:
    """Lines as (invoice, code, description, quantity, time, unit price, customer or None, country), in order of time.

    Args:
        count: of the lines.
        seed: of the chance.
        countries: names of countries, the most frequent first.
    """
    chance = np.random.default_rng(seed)
    products = max(40, min(4000, count // 130))
    customers = max(30, count // 125)
    codes = [
        f"{code}{'' if n % 5 else 'AB'[n % 2]}"
        for n, code in enumerate(range(20000, 20000 + 17 * products, 17))
    ]
    names = [
        f"{_LOOKS[chance.integers(len(_LOOKS))]} {_THINGS[chance.integers(len(_THINGS))]} {n % 97 or ''}".strip()
        for n in range(products)
    ]
    prices = np.round(np.exp(chance.normal(0.9, 0.8, products)), 2) + 0.05
    groups = chance.integers(0, 12, products)
    popularity = 1 / (1 + np.arange(products)) ** 0.8
    chance.shuffle(popularity)
    weights = {}
    for group in range(12):
        weight = popularity * np.where(groups == group, 8.0, 1.0)
        weights[group] = np.cumsum(weight / weight.sum())
    tastes = chance.integers(0, 12, customers)
    homes = np.where(chance.random(customers) < 0.85, 0, chance.integers(1, len(countries), customers))
    rates = chance.gamma(1.0, 1.0, customers) + 0.05
    rates = np.cumsum(rates / rates.sum())
    pallets = chance.random(customers) < 0.01
    begin, span = datetime(2010, 12, 1, 8, 0), timedelta(days=373)
    invoices = max(20, count // 20)
    lines: list[tuple[Any, ...]] = []
    number = 536365
    past: list[tuple[Any, ...]] = []
    for place in range(invoices * 3):
        if len(lines) >= count:
            break
        day = begin + timedelta(days=int(span.days * min(place / invoices, 0.999)))
        when = day.replace(hour=int(chance.integers(8, 19)), minute=int(chance.integers(60)))
        if when.weekday() == 5:
            when += timedelta(days=1)
        guest = chance.random() < 0.08
        buyer = int(np.searchsorted(rates, chance.random()))
        customer = None if guest else 12346 + buyer
        country = countries[0 if guest else int(homes[buyer])]
        if past and chance.random() < 0.12:
            _, code, name, units, _, price, customer, country = past[int(chance.integers(len(past)))]
            lines.append(
                (
                    f"C{number}",
                    code,
                    name,
                    -int(chance.integers(1, units + 1)),
                    when,
                    price,
                    customer,
                    country,
                )
            )
            number += 1
            continue
        size = min(int(chance.geometric(1 / (45 if guest else 19))), 200, products)
        drawn = chance.random(size)
        chosen = dict.fromkeys(np.searchsorted(weights[int(tastes[buyer])], drawn).tolist())
        for product in chosen:
            product = min(product, products - 1)
            units = int(chance.choice((1, 1, 2, 3, 6, 6, 12, 24))) * (
                40 if pallets[buyer] and not guest else 1
            )
            name = names[product]
            line = (
                str(number),
                codes[product],
                name,
                units,
                when,
                float(round(prices[product], 2)),
                customer,
                country,
            )
            lines.append(line)
            if not guest and chance.random() < 0.05:
                past.append(line)
        if chance.random() < 0.01:
            code = codes[int(chance.integers(products))]
            lines.append(
                (
                    str(number + 1),
                    code,
                    _REMARKS[int(chance.integers(len(_REMARKS)))],
                    -int(chance.integers(1, 30)),
                    when,
                    0.0,
                    None,
                    countries[0],
                )
            )
            number += 1
        for code, name, low, high, share in NO_PRODUCTS:
            if chance.random() < share:
                lines.append(
                    (
                        str(number),
                        code,
                        name,
                        1,
                        when,
                        round(float(chance.uniform(low, high)), 2),
                        customer,
                        country,
                    )
                )
        number += 1
    return sorted(lines[:count], key=lambda line: line[4])


def write_csv(path: Path, count: int, seed: int = 0) -> Path:
    """As UCI's CSV is: commas, Windows-1252, `12/1/2010 8:26`, customers as 17850.0."""
    with path.open("w", encoding="cp1252", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for invoice, code, name, units, when, price, customer, country in list_lines(count, seed):
            moment = f"{when.month}/{when.day}/{when.year} {when.hour}:{when.minute:02}"
            writer.writerow(
                (
                    invoice,
                    code,
                    name,
                    units,
                    moment,
                    f"{price:.2f}",
                    "" if customer is None else f"{customer}.0",
                    country,
                )
            )
    return path


def write_german_csv(path: Path, count: int, seed: int = 0) -> Path:
    """The same renamed: semicolons, decimal commas, `01.12.2010 08:26`, thousands with a point."""
    with path.open("w", encoding="cp1252", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\r\n")
        writer.writerow(GERMAN)
        for invoice, code, name, units, when, price, customer, country in list_lines(
            count, seed, GERMAN_COUNTRIES
        ):
            money = f"{price:,.2f}".replace(",", "\0").replace(".", ",").replace("\0", ".")
            writer.writerow(
                (
                    invoice,
                    code,
                    name,
                    units,
                    f"{when:%d.%m.%Y %H:%M}",
                    money,
                    "" if customer is None else customer,
                    country,
                )
            )
    return path


def write_spreadsheet(path: Path, count: int, seed: int = 0) -> Path:
    """As UCI's .xlsx is: numbers where there are digits alone, dates as Excel keeps them."""

    def rows() -> Iterator[tuple[Any, ...]]:
        yield COLUMNS
        for invoice, code, *rest in list_lines(count, seed):
            yield (
                int(invoice) if invoice.isdigit() else invoice,
                int(code) if code.isdigit() else code,
                *rest,
            )

    return write_xlsx(path, {"Online Retail": rows()})
