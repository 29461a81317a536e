"""Experiments as files and as models."""

from __future__ import annotations

from pathlib import Path

import yaml

from recs_assets.experiments.file import Experiment

GOOD = """\
name: ranker_first
hypothesis: The ranker sells more than the blend.
campaign: weekly_email
starts: 2026-01-05
weeks: 8
primary: revenue
guardrails:
  unsubscribes: 0
  returns: 0.02
detectable: 0.05
control: today
arms:
  today: {share: 0.7}
  ranker:
    share: 0.2
    change: {model: ranker}
  holdout: {share: 0.1}
"""


def make(**changed) -> Experiment:
    """`GOOD` with other keys; None takes a key away."""
    data = {**yaml.safe_load(GOOD), **changed}
    return Experiment.model_validate({key: value for key, value in data.items() if value is not None})


def write(folder: Path, old: str = "", new: str = "", name: str = "ranker_first") -> Path:
    """`GOOD` as a file, with one text in place of another."""
    assert old in GOOD
    path = folder / f"{name}.yaml"
    path.write_text(GOOD.replace(old, new, 1).replace("ranker_first", name, 1), encoding="utf-8")
    return path
