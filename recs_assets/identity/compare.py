"""When two profiles agree and when they contradict each other, as SQL over `<column>_l` and `<column>_r`.

The columns are those of `match.COMPARED`; a value that is missing agrees with nothing and contradicts nothing.
"""

from __future__ import annotations


def _is_ending(longer: str, shorter: str) -> str:
    """`longer` is `shorter` with an ending that makes a name another person's: Paul and Paula, Simon and Simone."""
    return f"{longer} in ({shorter} || 'a', {shorter} || 'e', {shorter} || 'in')"


def _is_alike(one: str, other: str) -> str:
    """Two names may be spellings of one: alike letters, an initial, or one is the beginning of the other."""
    return (
        f"({one} = {other} or ((jaro_winkler_similarity({one}, {other}) >= 0.88"
        f" or starts_with({one}, {other}) or starts_with({other}, {one}))"
        f" and not {_is_ending(one, other)} and not {_is_ending(other, one)}))"
    )


SWAPPED = "(first_name_l = last_name_r and last_name_l = first_name_r)"
FIRST_ALIKE = f"({_is_alike('first_name_l', 'first_name_r')} or coalesce({SWAPPED}, false))"
LAST_ALIKE = f"({_is_alike('last_name_l', 'last_name_r')} or coalesce({SWAPPED}, false))"
# One of day, month and year differs, or day and month stand in each other's place.
BIRTH_ALIKE = (
    "((year(birth_date_l) = year(birth_date_r))::int + (month(birth_date_l) = month(birth_date_r))::int"
    " + (day(birth_date_l) = day(birth_date_r))::int >= 2"
    " or (year(birth_date_l) = year(birth_date_r) and month(birth_date_l) = day(birth_date_r)"
    " and day(birth_date_l) = month(birth_date_r)))"
)
# No pair is one person by what it holds. The same address and the same birthday outweigh a first name: nicknames.
CONTRADICTION = (
    f"(not coalesce({BIRTH_ALIKE}, true)"
    f" or (not coalesce({FIRST_ALIKE}, true)"
    " and not coalesce(email_l = email_r and birth_date_l = birth_date_r, false)))"
)
# A name alone is everybody's who is called so, and an address alone everybody's who lives there: what tells a person is a first
# name or a birthday, with one thing more.
OWN = (
    f"coalesce({FIRST_ALIKE} or {BIRTH_ALIKE}, false) and (coalesce({FIRST_ALIKE}, false)::int + coalesce({BIRTH_ALIKE}, false)::int"
    " + coalesce(email_local_l = email_local_r, false)::int + coalesce(phone_l = phone_r, false)::int"
    " + coalesce(postcode_l = postcode_r, false)::int >= 2)"
)
SAME_EMAIL = "coalesce(email_l = email_r, false)"
SAME_PHONE = f"coalesce(phone_l = phone_r and ({FIRST_ALIKE} or birth_date_l = birth_date_r), false)"

# What reviewers are shown, in words -> when it agrees.
AGREEMENTS = {
    "email": "email_l = email_r",
    "phone": "phone_l = phone_r",
    "first name": FIRST_ALIKE,
    "last name": LAST_ALIKE,
    "postcode": "postcode_l = postcode_r",
    "birth date": BIRTH_ALIKE,
}


def list_words(agree: bool) -> str:
    """SQL: the words of what agrees, or of what is there on both sides and does not; null for nothing."""
    words = ", ".join(
        f"case when {condition if agree else f'not {condition}'} then '{word}' end"
        for word, condition in AGREEMENTS.items()
    )
    return f"nullif(concat_ws(', ', {words}), '')"
