from datetime import date

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recs_assets.interactions import Events, Known
from recs_assets.recommenders.popularity import decayed_purchase_days
from recs_assets.rules import email as mailing
from recs_assets.rules.availability import keep_offerable
from recs_assets.rules.eligibility import email_recipients
from recs_assets.rules.email import EmailRules, load_rules, rejected, select_email
from recs_assets.rules.selection import cap_per_group, drop_recently_bought, first_per_customer
from recs_assets.schema import SettingsError

AS_OF = date(2017, 1, 2)


def shop(categories, purchases, eligible, unavailable=(), prices=None):
    """`purchases`: (customer, product, days before the anchor)."""
    customer, product, age = (np.array(column, dtype=np.int32) for column in zip(*purchases, strict=True))
    n = len(purchases)
    return Known(
        as_of=AS_OF,
        customers=pd.DataFrame(
            {"customer_id": [f"c{number}" for number in range(len(eligible))], "email_eligible": eligible}
        ),
        products=pd.DataFrame(
            {
                "product_id": [f"p{number}" for number in range(len(categories))],
                "category": pd.Series(categories, dtype="str"),
                "price": pd.Series(prices or [1.0] * len(categories), dtype="float64"),
                "available": [number not in unavailable for number in range(len(categories))],
            }
        ),
        events=Events(
            customer=customer,
            product=product,
            basket=np.arange(n, dtype=np.int32),
            day=((AS_OF - date(1970, 1, 1)).days - age).astype(np.int32),
            kind=np.zeros(n, dtype=np.int8),
            quantity=np.ones(n, dtype=np.float32),
            weight=np.ones(n, dtype=np.float32),
        ),
    )


def ranked(products_by_customer, source="als"):
    rows = [
        (customer, product, 1.0 / rank, rank, source)
        for customer, products in products_by_customer.items()
        for rank, product in enumerate(products, 1)
    ]
    table = pd.DataFrame(rows, columns=["customer", "product", "score", "rank", "source"])
    types = {"customer": np.int32, "product": np.int32, "score": np.float32, "rank": np.int16}
    return table.astype(types | {"source": "category"})


def test_recipients_reconcile():
    customers = pd.DataFrame(
        {
            "email_eligible": pd.array([True, False, None, True, True, False], dtype="boolean"),
            "consent_state": ["subscribed", "subscribed", None, "unsubscribed", None, "objected"],
        }
    )
    eligible, excluded = email_recipients(customers)
    assert eligible.tolist() == [True, False, False, False, True, False]
    assert excluded.to_dict() == {
        1: "not_email_eligible",
        2: "not_email_eligible",
        3: "unsubscribed",
        5: "objected",
    }
    assert eligible.sum() + len(excluded) == len(customers)


def test_recipients_without_consent_column():
    eligible, excluded = email_recipients(pd.DataFrame({"email_eligible": [False, True]}))
    assert (eligible.tolist(), excluded.to_dict()) == ([False, True], {0: "not_email_eligible"})


def test_unavailable_goes():
    known = shop(["A"] * 3, [(0, 0, 5)], [True], unavailable={1})
    assert keep_offerable(ranked({0: [2, 1, 0]}), known)["product"].tolist() == [2, 0]


def test_what_prints_as_zero_is_not_offered():
    known = shop(["A"] * 4, [(0, 0, 5)], [True], prices=[0.0, 0.004, 0.005, None])
    assert keep_offerable(ranked({0: [0, 1, 2, 3]}), known)["product"].tolist() == [2, 3]


def test_excluded_categories_go():
    known = shop(["A", "FUEL", None], [(0, 0, 5)], [True])
    assert keep_offerable(ranked({0: [0, 1, 2]}), known, ["FUEL"])["product"].tolist() == [0, 2]


def test_bought_within_days():
    # Customer 0 bought p0 yesterday, p1 two days before, p2 three days before; customer 1 nothing.
    known = shop(["A"] * 3, [(0, 0, 1), (0, 1, 2), (0, 2, 3)], [True, True])
    rows = ranked({0: [0, 1, 2], 1: [0, 1, 2]})

    def left(days):
        kept = drop_recently_bought(rows, known, days)
        return kept.groupby("customer")["product"].apply(list).to_dict()

    assert left(0) == {0: [0, 1, 2], 1: [0, 1, 2]}
    assert left(1) == {0: [1, 2], 1: [0, 1, 2]}
    assert left(2) == {0: [2], 1: [0, 1, 2]}
    assert left(3) == {1: [0, 1, 2]}


def test_cap_per_group_keeps_the_first():
    rows = ranked({0: [5, 4, 3, 2, 1], 1: [5, 4]})
    group = np.array([0, 0, 1, 0, -1, 0, 0])
    assert cap_per_group(rows, group, 1)["product"].tolist() == [5, 3, 1, 5]
    assert cap_per_group(rows, group, 2)["product"].tolist() == [5, 4, 3, 1, 5, 4]
    assert len(cap_per_group(rows, np.full(7, -1), 1)) == 7
    assert len(cap_per_group(rows.iloc[:0], group[:0], 1)) == 0


def test_first_per_customer():
    assert first_per_customer(ranked({0: [5, 4, 3], 1: [2]}), 2)["product"].tolist() == [5, 4, 2]


RULES = EmailRules(slots=3, recently_bought_days=2, max_per_category=2)
# p0-p3: A, p4 and p5: B, p6: none. Sold (decayed alike, 10 days ago): p5 three times, p4 two, p1 one.
CATEGORIES = ["A", "A", "A", "A", "B", "B", None]
SOLD = [(0, 5, 10), (1, 5, 10), (2, 5, 10), (0, 4, 10), (1, 4, 10), (0, 1, 10)]


def slots(selection, customer):
    mine = selection[selection["customer"] == customer]
    assert mine["slot"].tolist() == list(range(1, len(mine) + 1))
    return list(zip(mine["product"], mine["source"], strict=True))


def test_select_email():
    known = shop(CATEGORIES, [*SOLD, (1, 5, 1)], [True, True, True, False], unavailable={3})
    rows = ranked({0: [3, 0, 1, 2, 6, 4], 1: [5, 0], 3: [0, 4, 6]})
    selection, suppressed = select_email(rows, known, RULES)
    # 0: p3 is sold out, p2 the third of A.
    assert slots(selection, 0) == [(0, "als"), (1, "als"), (6, "als")]
    # 1: p5 was bought yesterday; filled from what sells: p4, p1.
    assert slots(selection, 1) == [(0, "als"), (4, "popularity"), (1, "popularity")]
    assert selection["score"].tolist()[3:6] == [1 / 2, 0, 0]
    # 2: nothing of her own.
    assert slots(selection, 2) == [(5, "popularity"), (4, "popularity"), (1, "popularity")]
    assert suppressed.to_dict("list") == {"customer": [3], "reason": ["not_email_eligible"]}
    assert selection.columns.tolist() == ["customer", "slot", "product", "score", "source"]
    assert [str(selection[c].dtype) for c in ("customer", "slot", "product", "score", "source")] == [
        "int32",
        "int16",
        "int32",
        "float32",
        "category",
    ]


def test_rejected_names_the_first_rule_that_refuses():
    """p0 is off sale, p1 bought yesterday, p2 to p4 one category with room for two; p4 comes third."""
    known = shop(["a", "a", "b", "b", "b", "c"], [(0, 1, 1)], [True], unavailable=[0])
    gone = rejected(ranked({0: [0, 1, 2, 3, 4, 5]}), known, EmailRules(max_per_category=2))
    assert gone.to_dict("list") == {
        "customer": [0, 0, 0],
        "product": [0, 1, 4],
        "rule": ["offerable", "not_bought_recently", "category_cap"],
    }


def test_too_few_products_suppress():
    known = shop(["A", "A", "A"], [(0, 0, 10), (0, 1, 10), (0, 2, 10)], [True, False])
    selection, suppressed = select_email(ranked({0: [0, 1, 2], 1: [0, 1, 2]}), known, RULES)
    assert len(selection) == 0
    assert suppressed.to_dict("list") == {
        "customer": [0, 1],
        "reason": ["too_few_products", "not_email_eligible"],
    }


def test_without_categories_nothing_is_capped():
    known = shop([None] * 3, [(0, 0, 10)], [True])
    selection, suppressed = select_email(ranked({0: [2, 1, 0]}), known, RULES)
    assert slots(selection, 0) == [(2, "als"), (1, "als"), (0, "als")]
    assert len(suppressed) == 0


@st.composite
def shops(draw):
    n_products, n_customers = draw(st.integers(3, 14)), draw(st.integers(1, 5))
    product, customer = st.integers(0, n_products - 1), st.integers(0, n_customers - 1)
    return (
        draw(st.lists(st.sampled_from(["A", "B", "C", None]), min_size=n_products, max_size=n_products)),
        draw(st.lists(st.tuples(customer, product, st.integers(1, 4)), min_size=1, max_size=30)),
        draw(st.lists(st.booleans(), min_size=n_customers, max_size=n_customers)),
        draw(st.sets(product, max_size=3)),
        {number: draw(st.lists(product, unique=True, max_size=8)) for number in range(n_customers)},
    )


@settings(max_examples=60, deadline=None)
@given(shops(), st.integers(1, 3), st.integers(1, 5))
def test_equals_the_loop(made, cap, n_slots):
    categories, purchases, eligible, unavailable, own = made
    known = shop(categories, purchases, eligible, unavailable)
    rules = EmailRules(slots=n_slots, recently_bought_days=2, max_per_category=cap)
    selection, suppressed = select_email(ranked(own), known, rules)

    weight = decayed_purchase_days(known, 28)  # NaN: never sold
    popular = sorted(np.flatnonzero(weight > 0).tolist(), key=lambda product: (-weight[product], product))
    out = {}
    for customer, may in enumerate(eligible):
        recent = {p for c, p, age in purchases if c == customer and age <= 2}
        taken = []
        for product in [*own[customer], *popular]:
            category = categories[product]
            full = category is not None and sum(categories[p] == category for p in taken) >= cap
            if product in taken or product in unavailable or product in recent or full:
                continue
            taken.append(product)
        if may and len(taken) >= n_slots:
            out[customer] = taken[:n_slots]
    found = selection.groupby("customer")["product"].apply(list).to_dict() if len(selection) else {}
    assert found == out
    assert sorted([*out, *suppressed["customer"]]) == list(range(len(eligible)))


def test_filling_in_blocks_changes_nothing(monkeypatch):
    known = shop(CATEGORIES, [*SOLD, (1, 5, 1)], [True] * 6)
    rows = ranked({0: [0], 1: [5, 0], 4: [6]})
    whole, _ = select_email(rows, known, RULES)
    monkeypatch.setattr(mailing, "BLOCK_VALUES", 1)
    blocks, _ = select_email(rows, known, RULES)
    pd.testing.assert_frame_equal(blocks, whole)
    assert len(whole) == 18


def test_defaults():
    assert load_rules() == EmailRules(
        slots=12, recently_bought_days=2, max_per_category=4, excluded_categories=("COUPON/MISC ITEMS",)
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"slot": 12}, "slot: Extra inputs"),
        ({"slots": 0}, "slots: Input should be greater"),
        ({"max_per_category": 1.5}, "valid integer"),
    ],
)
def test_refused_rules(tmp_path, content, message):
    path = tmp_path / "email.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=message):
        load_rules(path)
