"""Who may be written to."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Why a customer is left out, in the order in which the reasons are tried.
REASONS = ("objected", "unsubscribed", "not_email_eligible")


def email_recipients(customers: pd.DataFrame) -> tuple[np.ndarray, pd.Series]:
    """Which customers may get marketing email, and why the others may not.

    Only a flag that is true counts; a missing one does not. The flag decides; consent_state, where
    the frame has it, excludes as well and names the reason.

    Args:
        customers: columns email_eligible (bool, may hold nulls) and, optionally, consent_state.

    Returns:
        bool[len(customers)], and a series over the positions of the excluded with their reason,
        one of `REASONS`; its length plus the number of eligible is the number of customers.
    """
    flag = customers["email_eligible"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    reason = np.where(flag, "", "not_email_eligible").astype(object)
    if "consent_state" in customers:
        state = customers["consent_state"].astype("string").fillna("").to_numpy(dtype=object)
        for name in ("unsubscribed", "objected"):
            reason[state == name] = name
    excluded = np.flatnonzero(reason != "")
    return reason == "", pd.Series(reason[excluded], index=excluded, name="reason", dtype="str")
