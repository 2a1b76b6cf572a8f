"""Where campaigns lie: a folder named after the experiment, with one journal in it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pressopt.campaign.events import CampaignClosed, Event
from pressopt.errors import JournalError, JournalMissing
from pressopt.store.sqlite_journal import SqliteJournal

#: Name of the journal in a campaign's folder.
JOURNAL = "journal.sqlite"


def journal_of(folder: Path) -> Path:
    """Return the journal of the campaign in ``folder``."""
    return folder / JOURNAL


def campaign_folder(experiment: Path, store: Path | None = None, *, unfinished_is_taken: bool = False) -> Path:
    """Return the folder for a new campaign: ``store``, or one named after the experiment beside its file.

    A finished campaign there is left alone: the next free number is appended (``name-2``, ``name-3``, ...). A
    journal into which nothing was ever written is no campaign: its folder is free.

    Args:
        experiment: The experiment file.
        store: A folder chosen by the user.
        unfinished_is_taken: Leave an unfinished campaign alone as well, instead of refusing.

    Raises:
        JournalError: An unfinished campaign lies there: it is to be resumed.
    """
    first = store if store is not None else experiment.parent / experiment.stem
    number, folder = 1, first
    while journal_of(folder).exists():
        events = _events(journal_of(folder))
        if not events:
            break
        if not (unfinished_is_taken or any(isinstance(event, CampaignClosed) for event in events)):
            raise JournalError(
                f"an unfinished campaign lies in {folder}: go on with `pressopt resume {folder}`, "
                f"or begin another one beside it with --new"
            )
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder


def find_campaign(where: Path | None = None) -> Path:
    """Return the folder of the campaign that a person means.

    Args:
        where: Its folder, its journal, or its experiment file (the newest campaign of it); None: the campaign
            below the working folder whose journal was written last.

    Raises:
        JournalMissing: There is none; the message says where it was looked for.
    """
    if where is None:
        here = Path.cwd()
        found = [*here.glob(JOURNAL), *here.glob(f"*/{JOURNAL}"), *here.glob(f"*/*/{JOURNAL}")]
        if not found:
            raise JournalMissing(
                f"there is no campaign in {here} or two folders below: name its folder, or start one with "
                f"`pressopt run EXPERIMENT.toml`"
            )
        return max(found, key=_written).parent
    if where.is_dir() and journal_of(where).exists():
        return where
    if where.is_file() and where.name == JOURNAL:
        return where.parent
    if where.suffix == ".toml":
        beside = [
            journal_of(folder)
            for folder in where.parent.glob(f"{where.stem}*")
            if folder.name == where.stem or folder.name.removeprefix(f"{where.stem}-").isdigit()
        ]
        found = [path for path in beside if path.exists()]
        if found:
            return max(found, key=_written).parent
        raise JournalMissing(f"{where} has no campaign yet: start one with `pressopt run {where}`")
    raise JournalMissing(
        f"{where} is no campaign: give a folder with a {JOURNAL} in it, or an experiment file that was run"
    )


def _written(path: Path) -> float:
    """When a journal was written last: SQLite writes into the log beside it first."""
    log = path.with_name(path.name + "-wal")
    return max(item.stat().st_mtime for item in (path, log) if item.exists())


def _events(path: Path) -> list[Event]:
    with contextlib.closing(SqliteJournal.read(path)) as journal:
        return [entry.event for entry in journal.entries()]
