"""What is installed is what was locked, and nothing that is read can run code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


LOCKS = ("requirements.lock", "audit.lock")


def requirements(lock: str) -> list[str]:
    """The lock's entries, each on one line."""
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_and_hashed(lock: str):
    lines = requirements(lock)
    assert len(lines) > 40
    wrong = [
        line.split()[0]
        for line in lines
        if not re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==\S+ ", line)
        or not re.search(r"--hash=sha256:[0-9a-f]{64}", line)
    ]
    assert wrong == []


@pytest.mark.parametrize("lock", LOCKS)
def test_the_locks_name_no_index_and_setup_checks_the_hashes(lock: str):
    assert not [line for line in requirements(lock) if re.match(r"--|.*://", line)]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert f"install --quiet --disable-pip-version-check --require-hashes -r {lock}" in makefile


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\n",
        "from pickle import loads\n",
        "import joblib\n",
        "import pandas as pd\n\npd.read_pickle('x')\n",
    ],
)
def test_the_linter_refuses_pickle(code: str):
    ruff = Path(sys.executable).parent / "ruff"
    done = subprocess.run(
        [ruff, "check", "--select", "TID251", "--stdin-filename", "recs_assets/x.py", "-"],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "TID251" in done.stdout
    assert "No pickle" in done.stdout


def test_an_audit_that_cannot_look_a_package_up_fails(tmp_path: Path):
    """With tools that answer as pip-audit does without its advisories: exit 1, one sentence."""
    for name, code in {
        "cyclonedx-py": 'printf \'"bom-ref": "requirements-L3"\\n\' > sbom.json',
        "pip-audit": 'case " $* " in *" --strict "*) echo "agate could not be audited" >&2; exit 1;; esac',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{code}\n")
        (tmp_path / name).chmod(0o755)
    audit = tmp_path / "tree" / ".ci" / "audit"
    audit.parent.mkdir(parents=True)
    audit.write_bytes((ROOT / ".ci" / "audit").read_bytes())
    environment = {"PATH": os.environ["PATH"], "BIN": str(tmp_path)}
    done = subprocess.run(["bash", audit], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Error: the audit is not passed" in done.stderr
    assert done.stdout == "sbom.json: 1 components, CycloneDX.\n"
    (tmp_path / "pip-audit").write_text("#!/bin/sh\nexit 0\n")
    assert subprocess.run(["bash", audit], env=environment, capture_output=True).returncode == 0
    (tmp_path / "pip-audit").unlink()
    missing = subprocess.run(["bash", audit], env=environment, capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr.startswith(f"Error: {tmp_path}/pip-audit is not installed: ")


def test_the_hooks_before_a_commit_are_the_commands_of_make_lint():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = re.search(r"^lint: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    commands = [
        line.strip().removeprefix("@").replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()
    ]
    assert len(commands) >= 4
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == commands
