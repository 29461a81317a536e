"""The command `init`: from a folder of exported files to the folder of a shop."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def add_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare the commands of this module."""
    command = add("init", help="look at exported files and write the folder of a shop that reads them")
    command.add_argument("folder", type=Path, nargs="?", help="folder with the files; none: databases alone")
    command.add_argument("--name", help="of the shop; default: the folder's")
    command.add_argument(
        "--to", type=Path, default=Path("shops"), help="folder of shops (RECS_SHOPS); default: shops"
    )
    command.add_argument(
        "--database",
        action="append",
        default=[],
        metavar="NAME",
        help="look at its tables, too (RECS_DATABASE_<NAME>)",
    )
    command.set_defaults(execute=init)


def init(parsed: argparse.Namespace) -> int:
    """Write a shop for a folder, and print what each file was taken for, what is unsure, and what to do next."""
    import time
    from shlex import quote

    from recs_assets.discovery.shop import make_shop

    begun = time.perf_counter()
    report = make_shop(parsed.folder, parsed.to, parsed.name, parsed.database, say=print)
    data = "" if parsed.folder is None else f"RECS_DATA={quote(str(parsed.folder.resolve()))} "
    print()
    for sentence in report.taken:
        print(f"  {sentence}")
    for sentence in report.figures:
        print(f"  {sentence}")
    if report.folder is None:
        print(f"\nNext:\n  {data}python -m recs_assets run")
        return 0
    if report.unsure:
        print("\nNot sure; the answers go into the files, at the same words:")
        for sentence in report.unsure:
            print(f"  - {sentence}")
    print(f"\n{report.folder}/ was written in {time.perf_counter() - begun:.0f} s.")
    if report.problem is not None:
        print(
            f"It does not land yet: {report.problem}\nCorrect that in the folder; every run says what is wrong."
        )
        return 1
    print(
        f"\nNext:\n  RECS_SHOPS={quote(str(parsed.to.resolve()))} RECS_SOURCE={report.name} {data}python -m recs_assets run"
    )
    return 0
