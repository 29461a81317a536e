"""What a run reports of a campaign, in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def list_rules(facts: Mapping[str, Any]) -> list[str]:
    """Every rule's value in force, a line each; nothing of a campaign without slots."""
    lines = [f"  {key}: {value}{' *' if default else ''}" for key, value, default in facts.get("rules", ())]
    return ["Rules in force (* is a default):", *lines] if lines else []


def list_messages(facts: Mapping[str, Any]) -> list[str]:
    """What a run says of a campaign beside its counts: why its query has no answer, who makes its lists and what
    they are worth, what its file asks for and the shop does not have, what was done otherwise than the defaults say,
    which rule leaves customers without a list."""
    warnings = list_warnings(facts)
    others = [*(facts.get(name) for name in ("verdict", "worth")), *facts.get("notes", ())]
    return [*warnings, *(text for text in others if text and text not in warnings)]


def list_warnings(facts: Mapping[str, Any]) -> list[str]:
    """Of what a run says of a campaign, what somebody should look at."""
    warnings = [f"Its query cannot be answered. {facts['problem']}"] if facts.get("problem") else []
    if not facts.get("earns", True) and facts.get("worth"):
        warnings.append(facts["worth"])
    warnings += facts.get("problems", ())
    if facts.get("shortage"):
        warnings.append(f"{facts['shortage'][:1].upper()}{facts['shortage'][1:]}.")
    return warnings
