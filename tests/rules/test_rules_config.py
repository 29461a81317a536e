"""Rules as they are written."""

import pytest
from pydantic import ValidationError

from recs_assets.rules.config import Rules


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slots": {"kk": 3}}, "slots.kk"),
        ({"items": {"min_stok": 3}}, "items.min_stok"),
        ({"segments": {"vip": {"items": {"max_per_brand": 0}}}}, "segments.vip.items.max_per_brand"),
        ({"segments": {"vip": {"slots": {"k": 5}}}}, "segments.vip.slots.k: the number of slots"),
        (
            {"segments": {"vip": {"items": {"due_within_days": 5}}}},
            "segments.vip: due_within_days is the same",
        ),
        ({"slots": {"discovery_floor": True}}, "discovery_floor"),
        ({"slots": {"mmr_lambda": "0.5"}}, "mmr_lambda"),
        (
            {"slots": {"k": 3}, "segments": {"vip": {"slots": {"pinned": [{"product": "p", "slot": 4}]}}}},
            "segments.vip: Value error, pinned: slot 4 is beyond k = 3",
        ),
        ({"slots": {"pinned": [{"product": "p", "slot": 1}, {"product": "q", "slot": 1}]}}, "named twice"),
        ({"slots": {"ladder": ["global", "global"]}}, "named twice"),
        ({"slots": {"ladder": ["world"]}}, "slots.ladder.0"),
        ({"items": {"max_per_category": 0}}, "items.max_per_category"),
        (
            {"slots": {"boosts": [{"factor": 2}]}},
            "it names none; name one of category, brand, product, merchant",
        ),
        (
            {"slots": {"boosts": [{"brand": "x", "product": "p", "factor": 2}]}},
            "it names brand and product; name one of",
        ),
        ({"slots": {"boosts": [{"brand": "x", "factor": 0}]}}, "factor"),
        *(
            ({"slots": {"boosts": [{"brand": "x", "factor": factor}]}}, "boosts.0.factor")
            for factor in (0.0009, 1001, 1e39, 1e308, True, "2")
        ),
        *(
            ({"slots": {"goal": "margin", "goal_strength": n}}, "goal_strength")
            for n in (4.1, 30, 1e6, True, "1")
        ),
        *(({"slots": {"goal": {"margin": n}}}, "slots.goal.margin") for n in (1001, 1e300, True, "1")),
        *(
            (
                {"slots": {"boosts": [{"brand": "x", "factor": 2, key: 0}]}},
                f"{key}\n.*0 is no day; write one like",
            )
            for key in ("starts", "ends")
        ),
        ({"slots": {"exposure": [{"brand": "x", "share": True}]}}, "exposure.0.share"),
        *(({"items": {key: True}}, f"items.{key}") for key in ("min_stock", "min_price")),
        ({"items": {"min_margin": "0.5"}}, "items.min_margin"),
        (
            {
                "slots": {
                    "boosts": [{"brand": "x", "factor": 2, "starts": "2026-12-02", "ends": "2026-12-01"}]
                }
            },
            "it ends on 2026-12-01, before it starts on 2026-12-02",
        ),
        (
            {"segments": {"VIP": {}, "vip ": {}}},
            "segments.vip : the name is that of VIP but for case and blanks",
        ),
        ({"slots": {"mmr_lambda": 1.5}}, "slots.mmr_lambda"),
        ({"items": {"min_price": float("nan")}}, "items.min_price"),
    ],
)
def test_refused_config(values, message):
    with pytest.raises(ValidationError, match=message):
        Rules.model_validate(values)
