"""What the monitor says of the tiny shop's two weeks, and what it leaves behind."""

from __future__ import annotations

from helpers.shops import Home

FIRST, SECOND = "2025-05-05", "2025-06-30"


def test_the_first_week_has_nothing_to_compare_with_and_says_so(weekly: Home) -> None:
    verdicts = weekly.query(
        f"select distinct verdict from recs.monitor where as_of = '{FIRST}' and area in ('data', 'lists')"
    )
    assert verdicts == [("unknown",)]
    [(verdict, advice, sentence)] = weekly.query(
        f"select verdict, advice, sentence from recs.monitor where as_of = '{FIRST}' and area = 'all'"
    )
    assert (verdict, advice) == ("unknown", "nothing to do")
    assert sentence.startswith("Too early to say that all is well")


def test_the_second_week_is_compared_with_the_first(weekly: Home) -> None:
    [(drifts, measured)] = weekly.query(
        f"select count(*), count(value) from recs.monitor where as_of = '{SECOND}' and metric = 'drift'"
    )
    assert drifts > 100
    assert measured > 50
    [(reference, weeks)] = weekly.query(
        f"select reference, reference_weeks from recs.monitor where as_of = '{SECOND}' and metric = 'rows' "
        "and subject = 'orders'"
    )
    [(before,)] = weekly.query(
        f"select value from recs.gates where as_of = '{FIRST}' and gate = 'volume' and subject = 'orders'"
    )
    assert (reference, weeks) == (before, 1)
    # Lists of 5 May, of which the window of 14 days is over.
    [(buyers, hits)] = weekly.query(
        f"select counted, value from recs.monitor where as_of = '{SECOND}' and metric = 'hits' and subject = 'all'"
    )
    assert buyers > 5
    assert 0 < hits <= 1
    assert weekly.query(
        f"select distinct subject from recs.monitor where as_of = '{SECOND}' and metric = 'churn' order by all"
    ) == [("customer_recommendations",), ("weekly_email",)]


def test_what_is_kept_for_the_next_week_names_nobody(weekly: Home) -> None:
    rows = weekly.query("select subject, bin, rows from recs.monitor_distributions")
    assert len(rows) > 500
    people = {who for (who,) in weekly.query("select customer_id from recs.customers")}
    assert not people & {name for _, name, _ in rows}
    assert min(count for *_, count in rows if count) >= 10
    assert not [subject for subject, *_ in rows if subject.endswith(("_id", ".email", ".body", ".query"))]
