"""What the process of dbt answers where a build ends with an error that is not dbt's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from helpers.shops import ROOT

FORKED = """
import os, sys
from recs_assets import dbt_process

def build(*_):
    raise ValueError("sc://127.0.0.1:9/;token=" + "SECRET")

dbt_process._build = build
read, write = os.pipe()
os.environ["RECS_DBT_ENGINE"] = "sc://127.0.0.1:9/;token=" + "SECRET"
print(dbt_process._fork(None, {"arguments": [], "target": sys.argv[1]}, read, []))
"""


def test_any_error_of_a_build_is_one_sentence_that_quotes_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert json.loads(done.stdout) == {
        "error": f"it ended with an error of the kind ValueError: {tmp_path / 'dbt.log'} says where, and the engine's own "
        "log why; run the week again."
    }
    log = (tmp_path / "dbt.log").read_text()
    assert log.startswith("ValueError raised at\n")
    assert "in build" in log
    assert "SECRET" not in done.stderr
