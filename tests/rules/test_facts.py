"""What the rules look at, read of build file and snapshot."""

from __future__ import annotations

from datetime import date

from helpers.warehouse import FIRST, SECOND, THIRD, build, create_identities, load_beside_snapshot, publish
from recs_assets.rules.facts import load_facts
from recs_assets.store.warehouse import Warehouse


def test_what_the_rules_look_at_is_known_before_the_anchor(house: Warehouse) -> None:
    """Every row dated at the anchor would change an answer."""
    build(house, FIRST)
    with house.build(FIRST).write() as connection:
        for sql in (
            "alter table recs.email_recommendations add column campaign varchar default 'mail'",
            "alter table recs.email_recommendations add column window_days integer default 14",
            "alter table recs.email_recommendations add column p_purchase double default 0.5",
            "alter table recs.email_recommendations add column price double default 1",
        ):
            connection.execute(sql)
    publish(house, FIRST)
    with house.build(THIRD).write() as connection:
        create_identities(connection)
        for sql in (
            "create schema marts; create schema staging; create schema intermediate",
            """create table marts.products as select * from (values
                ('p1', 'https://shop/p1', null, 1.5, null, 'm1', '{"countries": ["NL", "DE"]}'),
                ('p2', null, 'x.png', null, 'p1', null, 'blue; small')
            ) t(product_id, url, image_url, cost, parent_id, merchant_id, attributes)""",
            """create table marts.customers as select * from (values
                ('c1', 'subscribed', 'Test ', null), ('c2', 'objected', null, 'objected'),
                ('c3', 'subscribed', 'regular', 'wholesale')
            ) t(customer_id, consent_state, segment, not_learned_from_reason)""",
            """create table intermediate.int_customer_addresses as select * from (values
                ('c1', 'usable', 1), ('c2', 'usable', 1), ('c3', 'unusable', null)
            ) t(customer_id, address_kind, address_group)""",
            """create table staging.stg_campaign_events as select * from (values
                ('mail', 'c1', null, 'bounced', timestamp '2024-03-01 10:00'),
                ('mail', 'c2', null, 'bounced', timestamp '2024-03-01 10:00'),
                ('mail', 'c2', null, 'opened', timestamp '2024-03-02 10:00'),
                ('mail', 'c3', null, 'bounced', timestamp '2024-03-18 00:00'),
                ('mail', 'c1', 'p1', 'sent', timestamp '2024-03-05 10:00'),
                ('mail', 'c3', 'p2', 'sent', timestamp '2024-03-13 10:00'),
                ('other', 'c3', 'p1', 'sent', timestamp '2024-03-14 10:00'),
                ('mail', 'c3', 'p1', 'sent', timestamp '2024-03-18 00:00')
            ) t(campaign, customer_id, product_id, event_type, occurred_at)""",
            "alter table staging.stg_campaign_events add column placement varchar",
            # On the shop's own pages nothing is sent, and a click there is no sign of life of an address.
            """insert into staging.stg_campaign_events values
                ('mail', 'c1', 'p2', 'sent', timestamp '2024-03-05 10:00', 'home'),
                ('mail', 'c1', 'p2', 'clicked', timestamp '2024-03-05 10:00', 'home'),
                ('mail', null, 'p2', 'sent', timestamp '2024-03-05 10:00', null)""",
            """create table intermediate.int_recommendation_pairs_anchored as select * from (values
                (date '2024-03-18', 'c1', 'p2', timestamp '2024-03-10 10:00'), (date '2024-03-18', 'c1', 'p1', null),
                (date '2024-02-19', 'c2', 'p1', timestamp '2024-02-10 10:00')
            ) t(as_of, customer_id, product_id, dismissed_at)""",
            """create table intermediate.int_interactions_anchored as select date '2024-03-18' as as_of, * from (values
                ('c1', 'p1', 'add_to_cart', timestamp '2024-03-10 10:00', null),
                ('c1', 'p2', 'add_to_cart', timestamp '2024-03-10 10:00', null),
                ('c1', 'p2', 'purchase', timestamp '2024-03-11 10:00', null),
                ('c2', 'p1', 'add_to_cart', timestamp '2024-02-01 10:00', null),
                ('c3', 'p1', 'review', timestamp '2024-03-01 10:00', 1.0),
                ('c3', 'p1', 'review', timestamp '2024-03-02 10:00', 4.0),
                ('c3', 'p2', 'review', timestamp '2024-03-02 10:00', 2.0)
            ) t(customer_id, product_id, event_type, occurred_at, rating)""",
            """create table intermediate.int_returns_allocated_to_lines as select * from (values
                ('c1', 'p1', timestamp '2024-03-17 23:59', 'return'), ('c1', 'p2', timestamp '2024-03-18 00:00', 'return'),
                ('c1', 'p3', timestamp '2024-03-17 23:59', 'correction'), (null, 'p3', timestamp '2024-03-17 23:59', 'credit'),
                ('c2', 'p1', timestamp '2024-03-01 10:00', 'return') -- objected: shapes no list
            ) t(customer_id, product_id, returned_at, kind)""",
            """create table marts.order_lines as select *, amount > 0 as learned_from from (values
                ('p1', timestamp '2024-03-11 10:00', 0.0, 0.1, 1.0), ('p1', timestamp '2024-02-01 10:00', 10.0, 0.0, 1.0), ('p1', timestamp '2024-02-02 10:00', 5.0, 0.0, 1.0),
                ('p1', timestamp '2024-03-05 10:00', 9.4, 0.0, 1.0), ('p2', timestamp '2024-03-05 10:00', 10.0, 0.0, 1.0),
                ('p3', timestamp '2024-03-05 10:00', 2.0, 0.0, 1.0), ('p3', timestamp '2024-03-12 10:00', 1.0, 0.0, 1.0),
                ('p2', timestamp '2024-03-12 10:00', 5.0, 4.6, 1.0), ('p2', timestamp '2024-03-18 00:00', 1.0, 0.0, 1.0)
            ) t(product_id, ordered_at, amount, discount, quantity)""",
            # A price that varies drops every week.
            """create table intermediate.int_product_prices_anchored as select date '2024-03-18' as as_of, * from (values
                ('p1', 'catalogue'), ('p2', null), ('p3', 'varies')
            ) t(product_id, price_kind)""",
            """create table staging.stg_promotions as select * from (values
                ('p2', 'price', timestamp '2024-03-01', timestamp '2024-03-15'),
                ('p1', 'mailer', timestamp '2024-03-01', timestamp '2024-03-15'),
                ('p1', 'price', timestamp '2024-03-01', timestamp '2024-03-18')
            ) t(product_id, kind, announced_at, start_at)""",
        ):
            connection.execute(sql)
    facts = load_beside_snapshot(load_facts, house, THIRD, THIRD, "mail")

    def rows(name: str) -> list[tuple]:
        frame = facts[name]
        days = {column: frame[column].dt.date for column in frame if column == "day"}
        return list(frame.assign(**days).itertuples(index=False, name=None))

    assert facts["products"]["countries"].str.split().tolist()[0] == ["NL", "DE"]
    assert facts["products"]["countries"].isna().tolist() == [False, True]
    reached = ["no_address", "unusable_address", "address"]
    assert facts["customers"][reached].astype(object).where(
        facts["customers"][reached].notna(), None
    ).to_numpy().tolist() == [
        [False, False, 1],
        [False, False, 1],
        [False, True, None],
    ]
    facts["customers"] = facts["customers"].drop(columns=reached)
    assert rows("customers") == [
        ("c1", "subscribed", True, True, False),
        ("c2", "objected", False, False, False),
        ("c3", "subscribed", False, False, True),
    ]
    assert rows("carts") == [("c1", "p1")]
    assert rows("rejected") == [("c1", "p1"), ("c3", "p2")]
    assert rows("dismissed") == [("c1", "p2", date(2024, 3, 10))]
    assert set(load_beside_snapshot(load_facts, house, THIRD, THIRD, "", ("products", "rejected"))) == {
        "products",
        "rejected",
    }
    # The published week and the shop's own events of that week are one send.
    assert rows("sends") == [
        ("c1", "p1", FIRST), ("c1", "p2", FIRST), ("c2", "p2", FIRST), ("c3", "p2", SECOND),
    ]  # fmt: skip
    assert rows("contacts") == [
        ("c1", FIRST), ("c2", FIRST), ("c3", date(2024, 3, 13)), ("c3", date(2024, 3, 14)),
    ]  # fmt: skip
    # 9.4 is 6 % below 10, the week's highest; 9.6 is 4 % below, discount or not.
    assert rows("price_drops") == [("p1", FIRST), ("p2", date(2024, 3, 15))]
    # To its own holdout a campaign counts as sent, so that the arms stay alike; other campaigns did not write there.
    with house.build(FIRST).write() as connection:
        connection.execute(
            "create table recs.email_holdout as select * replace ('c4' as customer_id) "
            "from recs.email_recommendations where customer_id = 'c1'"
        )
    publish(house, FIRST)
    for name, seen in (("mail", True), ("other", False)):
        facts = load_beside_snapshot(load_facts, house, THIRD, THIRD, name)
        assert (("c4", FIRST) in rows("contacts"), ("c4", "p1", FIRST) in rows("sends")) == (seen, seen)
