"""What a campaign would have sent before a past anchor, for rules that look at earlier sends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from recs_assets.rules.config import Rules
from recs_assets.rules.context import Context, Sends
from recs_assets.rules.pipeline import select


def admit_everybody(context: Context) -> Context:
    """The context as if everybody could be written to: for comparing lists over all customers."""
    known = context.known
    return replace(
        context,
        known=replace(known, customers=known.customers.assign(email_eligible=True)),
        **dict.fromkeys(
            ("audience", "consent_state", "no_address", "unusable_address", "address", "bounced", "test_account",
             "wholesale", "contacts")
        ),
    )  # fmt: skip


def rehearse(
    candidates: pd.DataFrame,
    context: Context,
    rules: Rules,
    customers: np.ndarray | None = None,
    every: int = 7,
    threads: int = 1,
) -> Context:
    """The context with simulated sends, where the campaign sent nothing before the anchor.

    The same campaign fills its slots as often as its rules look back (`repeat_sends`, `sent_within_sends`), one send
    every `every` days up to the anchor, each knowing the sends before it and, as evidence, what happened since.
    Candidates and scores are the anchor's own at all of them: how lists turn under the rules is simulated, not how
    the shop changed meanwhile.

    Args:
        candidates: as for `select`, at the anchor.
        context: of the anchor.
        rules: the campaign's.
        customers: as for `select`.
        every: days between two sends.
        threads: as for `select`.

    Returns:
        The context itself where it has sends or no rule looks at them.
    """
    parts = (rules, *(rules.of_segment(name) for name in rules.segments))
    times = max(
        max(
            part.slots.repeat_sends if part.slots.max_repeat is not None or part.slots.discovery_slots else 0,
            part.items.sent_within_sends or 0,
        )
        for part in parts
    )
    if times == 0 or (context.sends is not None and len(context.sends.customer)):
        return context
    sent = [Sends(*(np.empty(0, dtype=np.int64) for _ in range(3)))]
    context = _add_sends(context, sent)
    for ago in range(times, 0, -1):
        rows = select(candidates, context, rules, customers, threads=threads).rows
        day = np.full(len(rows), context.known.anchor_day - ago * every)
        sent.append(Sends(rows["customer"].to_numpy(), rows["product"].to_numpy(), day))
        # Out of the context of the send before, which has worked out what they share.
        context = _add_sends(context, sent)
    return context


def _add_sends(context: Context, sent: list[Sends]) -> Context:
    parts = {
        name: np.concatenate([getattr(send, name) for send in sent])
        for name in ("customer", "product", "day")
    }
    return context.replace_sends(Sends(**parts))
