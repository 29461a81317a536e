"""What became of drawn slots, and what another campaign file would have earned in them."""

from datetime import date
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest

from recs_assets.campaigns import policy
from recs_assets.campaigns.policy import Log, judge_policy, load_logs

WEEK, OVER = date(2024, 3, 4), date(2024, 3, 18)


@pytest.fixture
def snapshot():
    """Five drawn slots of a campaign whose window is 14 days, and one slot that was not drawn."""
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema recs;
            create table recs.email_recommendations as
            select 'mail' as campaign, date '2024-03-04' as as_of, customer_id, slot, product_id, 14 as window_days,
                propensity, customer_id || slot as recommendation_id
            from (values ('ann', 1, 'tea', 1.0), ('ann', 2, 'mug', 0.5), ('bob', 2, 'pot', 0.25), ('cay', 2, 'mug', 0.5),
                ('dan', 2, 'mug', 0.5), ('eve', 2, 'jam', 0.125)) as rows(customer_id, slot, product_id, propensity);
            create table recs.campaign_events as
            select event_type, customer_id, product_id, recommendation_id, moment::timestamp as occurred_at, 'mail' as campaign,
                null as placement
            from (values
                ('clicked', 'ann', null, 'ann2', '2024-03-05'),
                ('clicked', 'ann', null, 'ann1', '2024-03-05'),
                ('clicked', 'bob', 'pot', null, '2024-03-17 23:59:59'),
                ('clicked', 'cay', 'mug', null, '2024-03-18'),
                ('clicked', 'dan', 'mug', null, '2024-03-03'),
                ('clicked', 'eve', 'tea', null, '2024-03-05')
            ) as rows(event_type, customer_id, product_id, recommendation_id, moment);
            create table recs.order_lines as
            select customer_id, product_id, net_amount, moment::timestamp as ordered_at, back::timestamp as fully_returned_at
            from (values
                ('ann', 'mug', 5.0, '2024-03-06', null), ('ann', 'mug', 5.5, '2024-03-07', null),
                ('bob', 'tea', 3.0, '2024-03-06', null), ('cay', 'mug', 4.0, '2024-03-06', '2024-03-10'),
                ('dan', 'mug', 4.0, '2024-03-06', '2024-03-18'), ('eve', 'jam', 2.0, '2024-03-18', null)
            ) as rows(customer_id, product_id, net_amount, moment, back);
            """
        )
        yield connection


@pytest.fixture
def week(tmp_path):
    folder = tmp_path / "campaigns" / "mail"
    folder.mkdir(parents=True)
    pd.DataFrame({"customer_id": ["ann"], "slot": [2], "product_id": ["mug"], "p_purchase": [0.1], "probability": [0.5]}).to_parquet(folder / "draws.parquet")  # fmt: skip
    return SimpleNamespace(as_of=WEEK, build=SimpleNamespace(folder=tmp_path))


def test_drawn_slots_earn_what_the_person_did(snapshot, week):
    """Bob and eve are ann by now: what ann bought and clicked since is theirs, too."""
    snapshot.execute(
        "create table recs.customer_identities as select unnest(['ann', 'bob', 'eve']) as profile_id, 'ann' as customer_id; "
        "update recs.campaign_events set customer_id = 'ann' where customer_id in ('bob', 'eve'); "
        "update recs.order_lines set customer_id = 'ann' where customer_id in ('bob', 'eve')"
    )
    (log,), _ = load_logs(snapshot, [week], "mail", OVER)
    found = log.rows.set_index("customer_id")[["product_id", "click", "purchase", "revenue"]]
    assert found.loc[["ann", "bob", "eve"]].to_numpy().tolist() == [
        ["mug", 1, 1, 10.5], ["pot", 1, 0, 0.0], ["jam", 0, 0, 0.0]
    ]  # fmt: skip


def test_what_drawn_slots_earned(snapshot, week):
    (log,), clicks = load_logs(snapshot, [week], "mail", OVER)
    assert clicks == 6
    assert log.slots == 6
    rows = log.rows.set_index("customer_id")
    assert list(rows.index) == ["ann", "bob", "cay", "dan", "eve"]
    # Within the window: of the row, or of its product where the event names no row.
    assert rows["click"].tolist() == [1, 1, 0, 0, 0]
    # What was sent back within the window was not bought.
    assert rows["purchase"].tolist() == [1, 0, 0, 1, 0]
    assert rows["revenue"].tolist() == [10.5, 0, 0, 4, 0]
    assert log.draws["product_id"].tolist() == ["mug"]


def test_a_slot_that_was_given_away_is_none_where_the_shop_says_what_it_sent(snapshot, week):
    snapshot.execute(
        """
        insert into recs.campaign_events values
            ('sent', 'ann', null, 'ann2', '2024-03-04 08:00:00', 'mail', null),
            ('sent', 'eve', null, 'eve2', '2024-03-04 08:00:00', 'mail', null),
            ('sent', 'bob', null, 'another', '2024-03-04 08:00:00', 'mail', null)
        """
    )
    (log,), _ = load_logs(snapshot, [week], "mail", OVER)
    assert log.rows["customer_id"].tolist() == ["ann", "eve"]


def test_weeks_whose_window_is_not_over_say_nothing_yet(snapshot, week):
    assert load_logs(snapshot, [week], "mail", date(2024, 3, 17)) == ([], 6)
    assert load_logs(snapshot, [week], "other", OVER) == ([], 0)
    (week.build.folder / "campaigns" / "mail" / "draws.parquet").unlink()
    assert load_logs(snapshot, [week], "mail", OVER) == ([], 6)


def make_log(customers=400):
    """Everybody may get a or b, drawn with 0.75 and 0.25; of a one in ten is clicked, of b one in two."""
    ids = [f"c{number:03d}" for number in range(customers)]
    drawn = ["b" if number % 4 == 0 else "a" for number in range(customers)]
    clicks = [
        int(number % 8 == 0) if product == "b" else int(number % 10 == 1)
        for number, product in enumerate(drawn)
    ]
    rows = pd.DataFrame({"customer_id": ids, "slot": 12, "product_id": drawn, "click": clicks})
    rows["propensity"] = rows["product_id"].map({"a": 0.75, "b": 0.25})
    draws = pd.DataFrame(
        [(c, 12, p, 0.1, q) for c in ids for p, q in (("a", 0.75), ("b", 0.25))],
        columns=["customer_id", "slot", "product_id", "p_purchase", "probability"],
    )
    return Log(SimpleNamespace(as_of=WEEK), 12 * customers, rows, draws)


def judge(monkeypatch, wanted, log=None):
    """What a file earns that puts these products (probability by id) into everybody's slot."""
    frame = pd.DataFrame({"product_id": list(wanted), "probability": list(wanted.values())})
    monkeypatch.setattr(
        policy, "list_wanted", lambda campaign, week, keys, say: keys[["customer_id", "slot"]].merge(frame, how="cross")
    )  # fmt: skip
    campaign = SimpleNamespace(name="mail", lists_products=True)
    return judge_policy(campaign, [log or make_log()], "click")


def test_a_file_that_puts_the_better_product_there(monkeypatch):
    found = judge(monkeypatch, {"b": 1.0})
    rows = found.estimate.rows.set_index("method")["value"]
    # 40 clicks on 300 a, every tenth customer whose number ends with 1, and 50 on 100 b.
    assert rows.to_dict() == pytest.approx({"logged": 90 / 400, "ips": 0.5, "snips": 0.5, "dr": 0.5})
    assert found.estimate.effective == 100
    header, table = found.tabulate()
    assert header[0] == "clicks per drawn slot"
    assert table[0] == ("as sent", 0.225, 0.1839, 0.2661, None, None, None)
    assert [row[0] for row in table[1:]] == ["this file, IPS", "this file, SNIPS", "this file, doubly robust"]
    first, second, third = found.describe()
    assert first.startswith(
        "This file would have earned more than what was sent: per drawn slot between +0.1"
    )
    assert second == (
        "It speaks of 400 drawn slots of 400 customers, of 4,800 slots that mail sent in the week 2024-03-04. Of the others "
        "nothing was drawn, and nothing is said."
    )
    assert third == "For this file they are worth 100 slots (effective sample size)."


def test_the_log_says_nothing_of_what_it_could_not_draw(monkeypatch):
    found = judge(monkeypatch, {"a": 0.9, "c": 0.1})
    assert found.describe()[0] == (
        "The log cannot say what this file would have earned: 10.0% of what this policy would put into the drawn slots could "
        "not have been drawn there, and the log can bear 5%: compare the two in an experiment."
    )
    assert len(found.tabulate()[1]) == 1
    little = judge(monkeypatch, {"a": 0.72, "b": 0.24, "c": 0.04})
    assert little.describe()[-1] == (
        "4.0% of what this file would put there could not have been drawn and is left out."
    )
    assert little.estimate.rows["value"].tolist() == pytest.approx([0.225] * 4)


def test_a_list_that_was_made_again_is_not_the_one_that_was_sent(monkeypatch):
    log = make_log()
    log.rows.loc[:99, "propensity"] = 0.4
    assert judge(monkeypatch, {"b": 0.25, "a": 0.75}, log).drawn == 300
