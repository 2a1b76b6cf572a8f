"""One campaign as the service holds it in memory: what was decided, and what of it is on disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pressopt.campaign.events import Event
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.journal import START, Entry, Wish
from pressopt.campaign.ledger import Ledger, Row, row_of
from pressopt.campaign.lifecycle import ASKING, Phase
from pressopt.campaign.replay import CampaignState, TrialState, apply
from pressopt.clock import utc_now
from pressopt.errors import JournalError
from pressopt.service.acts import Placement


def now_text() -> str:
    """Date and time as journals write it."""
    return utc_now().isoformat(timespec="milliseconds")


@dataclass
class Hosted:
    """A campaign under its lock.

    Attributes:
        id: Its name in addresses.
        experiment: What its first entry says.
        decided: State with everything that was decided, some of which may still be on its way to the disk:
            further decisions stand on it.
        shown: State as it is on disk: what anybody gets to see.
        lock: Held while something is decided.
    """

    id: str
    experiment: Experiment
    decided: CampaignState
    shown: CampaignState
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def decide(
        self, events: Sequence[Event], actor: str, origins: Sequence[tuple[str, str]] = ()
    ) -> tuple[tuple[Row, ...], CampaignState]:
        """Return the rows that ``events`` add and the state after them; nothing is changed yet.

        Args:
            events: What happens.
            actor: Who causes it.
            origins: For each event who caused it and when, where it was written down elsewhere first.

        Raises:
            LifecycleError: The tables do not allow one of them.
        """
        state, rows, now = self.decided, [], now_text()
        causes = origins or [(actor, now)] * len(events)
        for event, (who, at) in zip(events, causes, strict=True):
            row = row_of(self.id, state.digest or START, state.last_seq + 1, at, who, event)
            state = apply(state, Entry(row.seq, at, who, event, row.digest))
            rows.append(row)
        return tuple(rows), state


def summary_of(
    campaign: str, experiment: Experiment, state: CampaignState, placement: Placement, created_at: str
) -> dict[str, Any]:
    """Return what lists of campaigns show of one."""
    phases = [trial.phase for trial in state.trials.values()]
    return {
        "id": campaign,
        "name": experiment.name,
        "title": experiment.title,
        "phase": state.phase.value,
        "closed_because": state.closed.reason if state.closed is not None else None,
        "budget": experiment.budget.trials,
        "trials": len(phases),
        "done": phases.count(Phase.DONE),
        "in_flight": [trial.number for trial in state.in_flight],
        "asking": [trial.number for trial in state.asking],
        "waiting": [trial.number for trial in state.in_flight if _waits(trial, experiment)],
        "presses": list(placement.presses),
        "priority": placement.priority,
        "created_at": created_at,
        "last_seq": state.last_seq,
    }


def _waits(trial: TrialState, experiment: Experiment) -> bool:
    """Whether a trial waits for a person: to load its cell, to answer a question, to say what was found."""
    if trial.phase is Phase.PROPOSED:
        return experiment.laboratory.loading == "person"
    return trial.phase in ASKING or (trial.phase is Phase.PRESSING and trial.question is not None)


class LedgerJournal:
    """One stream of a ledger as a journal, for looking: what exports and pictures read."""

    def __init__(self, ledger: Ledger, stream: str) -> None:
        self._ledger = ledger
        self._stream = stream

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Entries after number ``after``, in order."""
        for row in self._ledger.rows(self._stream, after):
            yield row.entry()

    def blob(self, digest: str) -> bytes:
        """Raw data by digest."""
        return self._ledger.blob(digest)

    def append(self, *events: Event, actor: str, blobs: Sequence[bytes] = (), settles: Sequence[int] = ()) -> None:
        """Refused: under a service its one writer writes."""
        raise JournalError(f"'{self._stream}' was opened for reading: the service writes it")

    def wishes(self) -> list[Wish]:
        """None: wishes go to runners."""
        return []

    def close(self) -> None:
        """Nothing is to be closed: the ledger stays open."""


def dumped(document: Any) -> str:
    """Return a document as the JSON that answers and views are written in."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
