"""What the rules look at, in the codes of the shop."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers.rules import ANCHOR, N, make_known
from recs_assets.rules.context import Context, RulesError
from recs_assets.rules.frames import assemble_context


def test_assemble_context():
    known = make_known(customers=2)
    known.customers["country"] = ["de", None]
    context = assemble_context(
        known,
        products=pd.DataFrame(
            {
                "product_id": ["p003", "p001", "p000", "p999"],
                "stock": [4.0, 1.0, None, 1.0],
                "parent_id": [None, "p000", None, None],
                "url": ["/3", " ", None, "/9"],
                "countries": ["DE, AT", "FR", None, None],
            }
        ),
        customers=pd.DataFrame({"customer_id": ["c001"], "consent_state": ["objected"], "bounced": [True]}),
        carts=pd.DataFrame({"customer_id": ["c001", "c777"], "product_id": ["p002", "p002"]}),
        sends=pd.DataFrame({"customer_id": ["c000"], "product_id": ["p001"], "day": [date(2024, 2, 26)]}),
        contacts=pd.DataFrame({"customer_id": ["c000", "c000"], "day": [ANCHOR - 1, ANCHOR - 2]}),
        price_drops=pd.DataFrame({"product_id": ["p001", "p001"], "day": [ANCHOR - 9, ANCHOR - 3]}),
    )
    np.testing.assert_array_equal(context.stock, [np.nan, 1, np.nan, 4, np.nan, np.nan])
    assert context.parent.tolist() == [0, 0, -1, -1, -1, -1]
    assert context.present["url"].tolist() == [False, False, False, True, False, False]
    assert context.present["name"].all()
    assert context.country.tolist() == [0, -1]
    assert context.sellable.tolist() == [
        [True, False, True, True, True, True],
        [True, False, True, False, True, True],
    ]
    assert context.consent_state.tolist() == ["", "objected"]
    assert context.bounced.tolist() == [False, True]
    assert context.carts.toarray().tolist() == [[0] * 6, [0, 0, 1, 0, 0, 0]]
    assert (context.sends.customer.tolist(), context.sends.product.tolist()) == ([0], [1])
    assert context.sends.day.tolist() == [ANCHOR - 7]
    assert context.contacts.day.tolist() == [ANCHOR - 1, ANCHOR - 2]
    assert context.price_drop_day.tolist() == [-1, ANCHOR - 3, -1, -1, -1, -1]
    assert assemble_context(make_known()).sellable is None


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"stock": np.ones(5)}, "stock has shape"),
        ({"present": {"url": np.ones(5, bool)}}, "present url has shape"),
        ({"country": np.zeros(1, int)}, "country and sellable"),
        ({"factors": np.ones((5, 2))}, "factors must have one row"),
        ({"copurchase": sparse.csr_matrix(([2.0], ([0], [1])), shape=(N, N))}, "within 0..1"),
    ],
)
def test_refused_context(facts, message):
    with pytest.raises(RulesError, match=message):
        Context(make_known(), **facts)
