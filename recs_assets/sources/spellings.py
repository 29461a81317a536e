"""What a person may be called in a file beside their id: other spellings of the id, and their address.

dbt matches withdrawals to customers (dbt_project/macros/consent.sql). Of somebody who was forgotten there is no customer left
to match, only hashes; so what is hashed and compared is made here: keys, of which a person has some and a spelling means some.
"""

from __future__ import annotations

import re
import unicodedata

# Words that any shop may write before an id; those of the macro words_before_ids (a test compares).
WORDS_BEFORE_IDS = frozenset(
    [
        "customer",
        "customers",
        "cust",
        "customerid",
        "customernumber",
        "customerno",
        "custid",
        "client",
        "clientid",
        "user",
        "userid",
        "member",
        "memberid",
        "account",
        "accountid",
        "acct",
        "contact",
        "contactid",
        "subscriber",
        "profile",
        "shopper",
        "buyer",
        "person",
        "people",
        "id",
        "no",
        "nr",
        "number",
        "kunde",
        "kundennummer",
        "kundennr",
        "kdnr",
        "klant",
        "cliente",
        "recipient",
    ]
)


def id_core(customer_id: str) -> str:
    """What is left of an id without case, signs, a trailing .0 and zeros before a number.

    >>> id_core(" C-034.0"), id_core("17850.0")
    ('c34', '17850')
    """
    text = unicodedata.normalize("NFC", customer_id).strip().casefold()
    signless = re.sub(r"[\W_]", "", re.sub(r"\.0+$", "", text))
    return re.sub(r"(?<!\d)0+(?=\d)", "", signless)


def normalise_address(text: str) -> str:
    """An address as it is compared, out of what a file may write around it; '' where there is none.

    >>> normalise_address("Ina <Ina@Example.com>;"), normalise_address("mailto:ina@example.com?subject=no"), normalise_address("n/a")
    ('ina@example.com', 'ina@example.com', '')
    """
    text = unicodedata.normalize("NFC", text).casefold()
    found = re.search(r"[^\s<>\"'()\[\],;:?@]+@[^\s<>\"'()\[\],;:?@]+", text)
    return found.group().rstrip(".") if found else ""


def list_person_keys(customer_id: str, address: str | None = None) -> set[str]:
    """The keys by which a person is found."""
    core = id_core(customer_id)
    letters, digits = _split_letters(core)
    keys = {core, f"#{digits}" if letters else "", normalise_address(address or "")}
    return keys - {""}


def list_spelling_keys(spelling: str) -> set[str]:
    """The keys that a spelling may mean: a person is meant where one of theirs is among them.

    >>> sorted(list_spelling_keys("customer 034")), sorted(list_spelling_keys("34")), sorted(list_spelling_keys("K34"))
    (['#34', '34', 'customer34'], ['#34', '34'], ['34', 'k34'])
    """
    if "@" in spelling:
        return {normalise_address(spelling)} - {""}
    core = id_core(spelling)
    letters, digits = _split_letters(core)
    keys = {core, digits}
    if digits and (not letters or letters in WORDS_BEFORE_IDS):
        keys.add(f"#{digits}")
    return keys - {""}


def _split_letters(core: str) -> tuple[str, str]:
    parts = re.fullmatch(r"([^\W\d_]*)(\d+)", core)
    return parts.groups() if parts else ("", "")
