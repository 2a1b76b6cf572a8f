"""How `show`, `plot` and `export` look at a campaign: read only, whoever runs it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pressopt.export.answer import Answer
    from pressopt.optimizer import Recommender
    from pressopt.store import SqliteJournal
    from pressopt.surrogate import Prediction


@dataclass(frozen=True)
class Look:
    """An open look at a campaign.

    Attributes:
        folder: Of the campaign; for one of a service the folder of its id here, which need not exist.
        journal: Open for reading.
        answer: What it has found so far.
        recommender: Its engine, where one was asked for.
        untouched: What the physics expects of the untouched cell, where it was asked.
    """

    folder: Path
    journal: SqliteJournal
    answer: Answer
    recommender: Recommender | None
    untouched: Prediction | None = None


@contextlib.contextmanager
def look_at(where: Path | None, *, think: bool, approved_by: str | None = None) -> Iterator[Look]:
    """Open a campaign for looking.

    Args:
        where: Its folder or experiment file; None: the newest below the working folder. With ``--server`` its id
            or name there; None: the newest there.
        think: Whether to ask the engine: for the recommendation of an unfinished campaign, for the untouched cell,
            for a response surface. Without, only what the journal says.
        approved_by: Who releases the protocol, for what is exported.

    Raises:
        JournalError: There is none, or it cannot be read.
    """
    from pressopt.assembly import experiment_of
    from pressopt.campaign.replay import replay
    from pressopt.export.answer import gather
    from pressopt.store import SqliteJournal

    with located(where) as (folder, path), contextlib.closing(SqliteJournal.read(path)) as journal:
        experiment = experiment_of(journal)
        state = replay(journal.entries())
        recommender = recommendation = untouched = None
        if think:
            from pressopt.assembly import recommender_of, surrogate_of

            recommender = recommender_of(experiment)
            history = state.observations()
            if state.closed is None and any(one.outcomes for one in history):
                recommendation = recommender.recommend(history)
            untouched = surrogate_of(experiment).predict(
                experiment.untouched_protocol(), draws=256, seed=experiment.seed
            )
        answer = gather(
            experiment,
            state,
            recommendation=recommendation,
            untouched=untouched,
            recommender=recommender,
            approved_by=approved_by,
        )
        yield Look(folder, journal, answer, recommender, untouched)


@contextlib.contextmanager
def located(where: Path | None) -> Iterator[tuple[Path, Path]]:
    """Yield the folder of a campaign and its journal: the one that lies here, or a copy of the service's."""
    from pressopt.cli.remote import campaign_there, client_of
    from pressopt.store.places import find_campaign, journal_of

    with client_of() as client:
        if client is None:
            folder = find_campaign(where)
            yield folder, journal_of(folder)
            return
        campaign = campaign_there(client, where)
        with tempfile.TemporaryDirectory(prefix="pressopt-") as copied:
            path = Path(copied) / "journal.sqlite"
            path.write_bytes(client.journal(campaign))
            yield Path(campaign), path
