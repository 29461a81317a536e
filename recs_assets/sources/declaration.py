"""What a shop says of its own data beside the columns of its files: the optional keys of `source.toml`.

A folder of SQL has the file among its SQL; a canonical folder may hold one beside its tables.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from recs_assets.schema import RAW_TABLES, SettingsError

Text = Annotated[str, Field(min_length=1)]


def _fold(phrase: str) -> str:
    """In lower case and without accents, as names are compared with it."""
    folded = "".join(
        letter
        for letter in unicodedata.normalize("NFKD", phrase.lower())
        if not unicodedata.combining(letter)
    )
    if not re.search(r"[^\W_]", folded):
        raise ValueError(f"{phrase!r} holds no letter")
    return folded


Phrase = Annotated[str, AfterValidator(_fold)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NotProducts(_Model):
    """What stands in the catalogue and is no product: postage, fees, deposits, vouchers."""

    products: tuple[Text, ...] = Field((), description="Product ids.")
    categories: tuple[Text, ...] = Field((), description="Categories, whole, in any case.")
    name_patterns: tuple[Phrase, ...] = Field(
        (), description="Words of a name, in any case and without accents; `*` stands for any letters."
    )


class Wholesale(_Model):
    """Who buys as no person does: a reseller, an office, a till. A customer of whom two of units_per_line,
    spend_per_order and lines_per_order hold is one; none is learned from, none gets an email for people."""

    detect: bool = Field(True, description="False: nobody but those in `customers`.")
    units_per_line: Annotated[float, Field(gt=1)] = Field(
        5.0, description="Times the shop's usual: median over the lines of a customer, over customers."
    )
    least_units: Annotated[float, Field(gt=0)] = Field(
        6.0, description="Units per line below which none is too many, whatever is usual."
    )
    spend_per_order: Annotated[float, Field(gt=1)] = Field(
        10.0, description="Times the shop's usual: median over the orders of a customer, over customers."
    )
    lines_per_order: Annotated[float, Field(gt=1)] = Field(10.0, description="Likewise.")
    least_customers: Annotated[int, Field(ge=1)] = Field(
        20, description="Customers with orders below which nothing is usual yet."
    )
    orders: Annotated[int, Field(ge=1)] = Field(
        5000, description="More orders than this are no person's, whatever is in them."
    )
    order_lines: Annotated[int, Field(ge=1)] = Field(
        1000, description="An order of more lines is learned from in nobody's history."
    )
    customers: tuple[Text, ...] = Field((), description="Customer ids that are wholesale.")
    people: tuple[Text, ...] = Field((), description="Customer ids that are people, however they buy.")


Share = Annotated[float, Field(gt=0, lt=1)]


class Identity(_Model):
    """Which profiles of `customers` are one person."""

    match: bool = Field(True, description="False: nobody but those in `same`.")
    accept: Share = Field(0.95, description="Probability from which a pair is one person.")
    suggest: Share = Field(0.8, description="Probability from which a pair waits for review.")
    same: tuple[Annotated[tuple[Text, ...], Field(min_length=2)], ...] = Field(
        (), description="Lists of ids that are one person, whatever else says."
    )
    different: tuple[Annotated[tuple[Text, ...], Field(min_length=2)], ...] = Field(
        (), description="Lists of ids of which no two are one person."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.suggest > self.accept:
            raise ValueError(f"suggest ({self.suggest}) is above accept ({self.accept})")
        groups: list[set[str]] = []
        for ids in map(set, self.same):
            joined = [group for group in groups if group & ids]
            groups = [*(group for group in groups if not group & ids), ids.union(*joined)]
        for ids in self.different:
            for group in groups:
                if len(both := sorted(group & set(ids))) > 1:
                    raise ValueError(f"{both[0]!r} and {both[1]!r} are the same and different")
        return self


class ShopWords(_Model):
    """The shop's own words and limits."""

    order_statuses: dict[str, Literal["purchase", "not_a_purchase"]] = Field(
        {}, description="State of an order, in any case -> whether such an order is a purchase."
    )
    guest_ids: tuple[Text, ...] = Field(
        (),
        description="What stands for the customer in the orders of guests, in any case; an empty id always does.",
    )
    not_products: NotProducts | None = Field(
        None, description="What is no product; none: the shop has not said."
    )
    wholesale: Wholesale = Field(Wholesale(), description="Who buys as no person does.")
    identity: Identity = Field(Identity(), description="Which profiles are one person.")
    ignored_files: tuple[Text, ...] = Field(
        (), description="Names or patterns (`*.pdf`) of what lies in the folder and is not read."
    )
    ignored_columns: dict[Literal[tuple(RAW_TABLES)], tuple[Text, ...]] = Field(
        {}, description="Canonical table -> names or patterns of columns that its file has and nobody reads."
    )
    unmatched_withdrawals: Annotated[int, Field(ge=0)] = Field(
        0, description="Withdrawals that match no customer, up to which a run goes on."
    )
    locale: Text | None = Field(
        None,
        description="Language of sentences for customers without a locale that has texts, such as de or de-AT.",
    )
    price_promotions: tuple[Text, ...] = Field(
        (), description="Kinds of promotions that are a price advantage, beside those whose name says so."
    )


KEYS = frozenset(ShopWords.model_fields)


def shop_words(declared: Mapping[str, Any], where: str) -> ShopWords:
    """The optional keys of a `source.toml`.

    Args:
        declared: the whole file; other keys are left alone.
        where: names the file in errors.

    Raises:
        SettingsError: a key holds something else than it may.
    """
    try:
        return ShopWords.model_validate({key: declared[key] for key in KEYS & set(declared)})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{where}: {key}: {first['msg']}.") from None


def read_horizon(value: object, where: str) -> int:
    """The label window, as RECS_HORIZON_DAYS has it.

    Raises:
        SettingsError: it is none.
    """
    if not isinstance(value, int) or value % 7 or not 7 <= value <= 364:
        raise SettingsError(f"{where}: horizon_days is {value!r}; write whole weeks in days, from 7 to 364.")
    return value


def read_currency(value: object, where: str) -> str:
    """The shop's currency.

    Raises:
        SettingsError: it is no code.
    """
    if not isinstance(value, str) or re.fullmatch("[A-Z]{3}", value) is None:
        raise SettingsError(f"{where}: currency is {value!r}; write an ISO 4217 code like EUR.")
    return value
