"""Read the arguments, run the command, and turn an error into one sentence."""

from __future__ import annotations

import argparse
import os
import sys

from recs_assets.cli import ask, audit, experiments, init, maintain, send, serve, setup, weeks
from recs_assets.schema import RecsError

# Each module has `add_commands`, and imports what its commands need when they run: `sql` starts in a
# fraction of the time that Dagster takes to import.
GROUPS = (init, weeks, send, audit, ask, experiments, serve, maintain, setup)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m recs_assets",
        description="Run a week and look at what it published, without opening the Dagster UI.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for group in GROUPS:
        group.add_commands(commands.add_parser)
    parsed = parser.parse_args(arguments)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    try:
        return parsed.execute(parsed)
    except RecsError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        what = error.filename or "A file"
        print(
            f"Error: {what} cannot be used ({error.strerror}): choose another place, or repair it.",
            file=sys.stderr,
        )
        return 1
