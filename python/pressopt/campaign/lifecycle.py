"""The lifecycle tables of a trial, a press and a campaign: the specification, as data.

The README prints these tables; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pressopt.campaign import events as e
from pressopt.errors import LifecycleError


class Phase(StrEnum):
    """Where a trial stands."""

    NEW = "-"
    PROPOSED = "proposed"
    LOADED = "loaded"
    PRESSING = "pressing"
    MEASURING = "measuring"
    UNCERTAIN = "uncertain"
    FAULTED = "faulted"
    DONE = "done"
    REJECTED = "rejected"


#: Phases in which a trial needs nothing more.
ENDED = frozenset({Phase.DONE, Phase.REJECTED})
#: Phases in which only a person can say how it goes on.
ASKING = frozenset({Phase.UNCERTAIN, Phase.FAULTED})

TRIAL: Mapping[tuple[Phase, type[e.TrialEvent]], Phase] = {
    (Phase.NEW, e.Proposed): Phase.PROPOSED,
    (Phase.PROPOSED, e.Loaded): Phase.LOADED,
    (Phase.PROPOSED, e.TrialRejected): Phase.REJECTED,
    (Phase.LOADED, e.Loaded): Phase.LOADED,
    (Phase.LOADED, e.PressingStarted): Phase.PRESSING,
    (Phase.LOADED, e.TrialRejected): Phase.REJECTED,
    (Phase.PRESSING, e.PersonAsked): Phase.PRESSING,
    (Phase.PRESSING, e.PersonAnswered): Phase.PRESSING,
    (Phase.PRESSING, e.PressingFinished): Phase.MEASURING,
    (Phase.PRESSING, e.Faulted): Phase.FAULTED,
    (Phase.PRESSING, e.Interrupted): Phase.UNCERTAIN,
    (Phase.MEASURING, e.SpectrumRecorded): Phase.MEASURING,
    (Phase.MEASURING, e.Measured): Phase.DONE,
    (Phase.MEASURING, e.TrialRejected): Phase.REJECTED,
    (Phase.MEASURING, e.Faulted): Phase.FAULTED,
}

#: What ``resolve`` can say of an uncertain or faulted trial, and where it leads.
RESOLUTIONS: Mapping[str, Phase] = {
    "discard": Phase.REJECTED,
    "measure": Phase.MEASURING,
    "done": Phase.DONE,
}


class PressPhase(StrEnum):
    """Where a press stands."""

    IDLE = "idle"
    BUSY = "busy"
    SAFE = "safe"
    GONE = "gone"


class CampaignPhase(StrEnum):
    """Where a campaign stands."""

    NEW = "-"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


CAMPAIGN: Mapping[tuple[CampaignPhase, type[e.CampaignEvent]], CampaignPhase] = {
    (CampaignPhase.NEW, e.CampaignOpened): CampaignPhase.OPEN,
    (CampaignPhase.OPEN, e.CampaignPaused): CampaignPhase.PAUSED,
    (CampaignPhase.PAUSED, e.CampaignContinued): CampaignPhase.OPEN,
    (CampaignPhase.OPEN, e.CampaignClosed): CampaignPhase.CLOSED,
    (CampaignPhase.PAUSED, e.CampaignClosed): CampaignPhase.CLOSED,
}


def next_phase(phase: Phase, event: e.TrialEvent) -> Phase:
    """Return where ``event`` leads a trial in ``phase``.

    Raises:
        LifecycleError: The table has no such row; the message lists what is possible instead.
    """
    if isinstance(event, e.Resolved) and phase in ASKING:
        found = RESOLUTIONS.get(event.action)
        if found is None:
            raise LifecycleError(
                f"trial {event.trial} cannot be resolved by {event.action!r}: say one of {', '.join(RESOLUTIONS)}"
            )
        return found
    if isinstance(event, e.Attached) and phase is not Phase.NEW:
        return phase  # a photograph may come at any time
    found = TRIAL.get((phase, type(event)))
    if found is None:
        possible = sorted(kind.__name__ for at, kind in TRIAL if at is phase)
        if phase in ASKING:
            possible = ["Resolved (pressopt resolve)"]
        raise LifecycleError(
            f"trial {event.trial} is {phase.value}: {type(event).__name__} is not possible there, "
            f"{' or '.join(possible) if possible else 'nothing more is'}"
        )
    return found


def next_campaign_phase(phase: CampaignPhase, event: e.CampaignEvent) -> CampaignPhase:
    """Return where ``event`` leads a campaign in ``phase``; raise LifecycleError where the table has no row."""
    found = CAMPAIGN.get((phase, type(event)))
    if found is None:
        raise LifecycleError(f"the campaign is {phase.value}: {type(event).__name__} is not possible there")
    return found


def on_press(phase: PressPhase, event: e.Event) -> PressPhase:
    """Return where ``event`` leads the press that it concerns."""
    match event:
        case e.PressMadeSafe():
            return PressPhase.SAFE
        case e.FaultCleared():
            return PressPhase.IDLE
        case e.PressLost():
            return PressPhase.GONE
        case e.PressFound():
            return PressPhase.IDLE if phase is PressPhase.GONE else phase
        case e.PressingStarted():
            return PressPhase.BUSY
        case e.Measured() | e.TrialRejected() | e.Resolved():
            return PressPhase.IDLE if phase is PressPhase.BUSY else phase
        case _:
            return phase


def trial_table() -> list[tuple[str, str, str]]:
    """Rows (from, event, to) of the trial's table, as the README prints them."""
    rows: dict[Phase, list[tuple[str, str]]] = {}
    for (phase, kind), to in TRIAL.items():
        rows.setdefault(phase, []).append((kind.__name__, to.value))
    table = [
        (phase.value, " / ".join(name for name, _ in row), " / ".join(to for _, to in row))
        for phase, row in rows.items()
    ]
    asking = ", ".join(phase.value for phase in sorted(ASKING, reverse=True))
    words = ", ".join(RESOLUTIONS)
    return [
        *table,
        (asking, f"Resolved (`resolve`: {words})", " / ".join(to.value for to in RESOLUTIONS.values())),
    ]
