"""How `show`, `plot` and `export` look at a campaign: read only, whoever runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pressopt.export.answer import Answer
    from pressopt.optimizer import Recommender
    from pressopt.store import SqliteJournal


@dataclass(frozen=True)
class Look:
    """An open look at a campaign.

    Attributes:
        folder: Of the campaign.
        journal: Open for reading.
        answer: What it has found so far.
        recommender: Its engine, where one was asked for.
    """

    folder: Path
    journal: SqliteJournal
    answer: Answer
    recommender: Recommender | None


@contextlib.contextmanager
def look_at(where: Path | None, *, think: bool, approved_by: str | None = None) -> Iterator[Look]:
    """Open a campaign for looking.

    Args:
        where: Its folder or experiment file; None: the newest below the working folder.
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
    from pressopt.store.places import find_campaign, journal_of

    folder = find_campaign(where)
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
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
        yield Look(folder, journal, answer, recommender)
