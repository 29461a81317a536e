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


def address_key(text: str) -> str:
    """An address as it is compared, out of what a file may write around it; '' where there is none.

    >>> address_key("Ina <Ina@Example.com>;"), address_key("mailto:ina@example.com?subject=no"), address_key("n/a")
    ('ina@example.com', 'ina@example.com', '')
    """
    text = unicodedata.normalize("NFC", text).casefold()
    found = re.search(r"[^\s<>\"'()\[\],;:?@]+@[^\s<>\"'()\[\],;:?@]+", text)
    return found.group().rstrip(".") if found else ""


def keys_of_person(customer_id: str, address: str | None = None) -> set[str]:
    """The keys by which a person is found."""
    core = id_core(customer_id)
    letters, digits = _letters_and_number(core)
    keys = {core, f"#{digits}" if letters else "", address_key(address or "")}
    return keys - {""}


def keys_of_spelling(spelling: str) -> set[str]:
    """The keys that a spelling may mean: a person is meant where one of theirs is among them.

    >>> sorted(keys_of_spelling("customer 034")), sorted(keys_of_spelling("34")), sorted(keys_of_spelling("K34"))
    (['#34', '34', 'customer34'], ['#34', '34'], ['34', 'k34'])
    """
    if "@" in spelling:
        return {address_key(spelling)} - {""}
    core = id_core(spelling)
    letters, digits = _letters_and_number(core)
    keys = {core, digits}
    if digits and (not letters or letters in WORDS_BEFORE_IDS):
        keys.add(f"#{digits}")
    return keys - {""}


def _letters_and_number(core: str) -> tuple[str, str]:
    parts = re.fullmatch(r"([^\W\d_]*)(\d+)", core)
    return parts.groups() if parts else ("", "")
