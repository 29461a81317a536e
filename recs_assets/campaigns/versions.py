"""Which version of a campaign a week's tables hold: the one made last, unless a gate refused it.

Below `weeks/<as_of>/campaigns` a campaign has one folder, which everything reads. While a newer version of a campaign that is
published waits for its gates, the published one stands aside in `.before`; `.refused` marks versions that a gate refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from recs_assets.campaigns.made import find_folder, list_folders
from recs_assets.evaluation.facts import load_published_campaigns
from recs_assets.evaluation.verdict import Verdict
from recs_assets.week.week import Week

BEFORE, REFUSED = ".before", ".refused"


def list_published(week: Week) -> set[str]:
    """The campaigns of the week that the snapshot holds."""
    if not week.warehouse.snapshot_path.exists():
        return set()
    with week.warehouse.snapshot() as connection:
        return load_published_campaigns(connection, week.as_of)


def make_room(folder: Path) -> None:
    """Put the version of a campaign aside that a new one is about to replace; one that was refused is not kept."""
    before, refused = _find_before(folder), _find_mark(folder)
    if refused.exists():
        refused.unlink()
    elif folder.exists() and not before.exists():
        before.parent.mkdir(exist_ok=True)
        folder.rename(before)


def take(folder: Path, files: Collection[str], published: Collection[str]) -> list[Path]:
    """The folders of the campaigns that belong into a week's tables; of what was refused since, the published version is put
    back.

    Args:
        folder: with one folder per campaign.
        files: names of the campaigns that have a file.
        published: names of those that were published of the week: somebody may have sent them.
    """
    for name in published:
        path = folder / name
        if _find_before(path).exists() and (_find_mark(path).exists() or not path.exists()):
            shutil.rmtree(path, ignore_errors=True)
            _find_before(path).rename(path)
            _find_mark(path).unlink(missing_ok=True)
    return [
        path
        for path in list_folders(folder)
        if path.name in published or (path.name in files and not _find_mark(path).exists())
    ]


def list_taken(week: Week) -> list[Path]:
    """The folders of the campaigns that the week's tables hold."""
    names = set(week.table("campaign_outcomes")["campaign"])
    return [path for path in list_folders(find_folder(week, "")) if path.name in names]


def is_published_version(folder: Path, published: Collection[str]) -> bool:
    """Whether a campaign was not made again since it was published."""
    return folder.name in published and not _find_before(folder).exists()


def mark(week: Week, names: Iterable[str], verdicts: Sequence[Verdict]) -> None:
    """Mark the campaigns that a gate refused, and no others of the names."""
    refused = {verdict.subject for verdict in verdicts if verdict.blocks}
    for name in names:
        path = _find_mark(find_folder(week, name))
        if name in refused:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        else:
            path.unlink(missing_ok=True)


def drop_before(week: Week) -> None:
    """Forget what stood aside: the week's tables are published."""
    shutil.rmtree(find_folder(week, BEFORE), ignore_errors=True)


def _find_before(folder: Path) -> Path:
    return folder.parent / BEFORE / folder.name


def _find_mark(folder: Path) -> Path:
    return folder.parent / REFUSED / folder.name
