"""How likely two profiles are one person: Splink (Fellegi and Sunter, 1969) with weights that are declared, not learned.

How often two profiles of one person agree is declared here; how often two people do by chance is the share of the
value among the shop's own profiles (term frequencies). Nothing is fitted, so a score means the same in a shop of a hundred
profiles and of a million, does not change with the seed, and two runs give the same bits.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from recs_assets.identity.compare import BIRTH_ALIKE, FIRST_ALIKE, LAST_ALIKE, SWAPPED

if TYPE_CHECKING:
    import duckdb

# Per comparison its levels, the first that holds counts: SQL, probability among pairs of one person, probability
# among pairs of two people (of an equal value: replaced by the share of the value), column of that share.
Level = tuple[str, float, float, str | None]
LEVELS: dict[str, tuple[tuple[str, ...], list[Level]]] = {
    "name": (
        ("first_name", "last_name"),
        [
            (f"name_key_l = name_key_r or coalesce({SWAPPED}, false)", 0.70, 1e-4, "name_key"),
            (f"{FIRST_ALIKE} and {LAST_ALIKE}", 0.17, 5e-5, None),
            ("first_name_l = first_name_r", 0.06, 5e-3, "first_name"),
            ("last_name_l = last_name_r", 0.05, 2e-3, "last_name"),
            ("ELSE", 0.02, 0.99, None),
        ],
    ),
    "email": (
        ("email",),
        [
            ("email_l = email_r", 0.50, 1e-5, "email"),
            ("email_local_l = email_local_r", 0.15, 1e-4, "email_local"),
            ("ELSE", 0.35, 0.999, None),
        ],
    ),
    "phone": (("phone",), [("phone_l = phone_r", 0.60, 1e-5, "phone"), ("ELSE", 0.40, 0.999, None)]),
    "postcode": (
        ("postcode",),
        [
            ("postcode_l = postcode_r", 0.72, 1e-3, "postcode"),
            ("damerau_levenshtein(postcode_l, postcode_r) = 1", 0.04, 5e-3, None),
            ("ELSE", 0.24, 0.99, None),
        ],
    ),
    "birth_date": (
        ("birth_date",),
        [
            ("birth_date_l = birth_date_r", 0.93, 5e-5, "birth_date"),
            (BIRTH_ALIKE, 0.05, 5e-3, None),
            ("ELSE", 0.02, 0.995, None),
        ],
    ),
}
# The declared probability counts like the values of so many other profiles: in a small shop a rare name is rare, too.
PSEUDO_PROFILES = 1000
# Pairs that are looked at agree in all columns of one of these.
BLOCKS = (
    ("email",),
    ("phone",),
    ("name_key",),
    ("email_local",),
    ("last_name", "birth_date"),
    ("first_name", "birth_date"),
    ("postcode", "birth_date"),
    ("last_name", "postcode", "substr(first_name, 1, 1)"),
)


def score_pairs(connection: duckdb.DuckDBPyConnection, profiles: str, matches: float, least: float) -> None:
    """Create the table `scored` of pairs: profile_id_l, profile_id_r (the larger id), probability.

    Args:
        connection: to a database in memory, with one thread: sums of floats depend on how they are split.
        profiles: table with profile_id and the columns of `LEVELS`; null where nothing is known.
        matches: pairs of one person that are expected among all pairs.
        least: probability below which a pair is left out.
    """
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on
    from splink.comparison_level_library import CustomLevel, NullLevel
    from splink.comparison_library import CustomComparison

    logging.getLogger("splink").setLevel(logging.ERROR)
    count = connection.execute(f"select count(*) from {profiles}").fetchall()[0][0]
    comparisons = []
    for name, (columns, levels) in LEVELS.items():
        known = [NullLevel(columns[0])]
        if len(columns) > 1:
            missing = " and ".join(f"({column}_l is null or {column}_r is null)" for column in columns)
            known = [CustomLevel(missing).configure(is_null_level=True)]
        declared = [
            CustomLevel(sql).configure(
                m_probability=m,
                u_probability=u,
                **(
                    {"tf_adjustment_column": column, "disable_tf_exact_match_detection": True}
                    if column
                    else {}
                ),
            )
            for sql, m, u, column in levels
        ]
        comparisons.append(CustomComparison([*known, *declared], output_column_name=name))
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="profile_id",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[block_on(*columns) for columns in BLOCKS],
        probability_two_random_records_match=min(0.5, matches / max(1.0, count * (count - 1) / 2)),
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=False,
    )
    database = DuckDBAPI(connection=connection)
    linker = Linker(database.register(profiles), settings, log_level=logging.ERROR)
    for _, levels in LEVELS.values():
        for _, _, u, column in levels:
            if column:
                shares = database.register(_create_shares(connection, profiles, column, u))
                linker.table_management.register_term_frequency_lookup(shares, column)
    found = linker.inference.predict(threshold_match_probability=least, warning_mode="never")
    connection.execute(
        "create or replace table scored as select least(profile_id_l, profile_id_r) as profile_id_l, "
        "greatest(profile_id_l, profile_id_r) as profile_id_r, round(match_probability, 6) as probability "
        f"from {found.physical_name} order by all"
    )


def _create_shares(connection: duckdb.DuckDBPyConnection, profiles: str, column: str, u: float) -> str:
    """Create the table of how many other profiles have a value of a column; its name."""
    name = f"shares_of_{column}"
    connection.execute(
        f"""
        create or replace table {name} as
        select {column}, (greatest(count(*), 2) - 1 + {PSEUDO_PROFILES * u})
            / ((select count({column}) from {profiles}) + {PSEUDO_PROFILES}) as tf_{column}
        from {profiles} where {column} is not null group by {column}
        """
    )
    return name
