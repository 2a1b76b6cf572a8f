"""State is a fold over the journal, and is built in no other way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pressopt.campaign import events as e
from pressopt.campaign.journal import Entry
from pressopt.campaign.lifecycle import (
    ASKING,
    ENDED,
    CampaignPhase,
    Phase,
    PressPhase,
    next_campaign_phase,
    next_phase,
    on_press,
)
from pressopt.errors import LifecycleError
from pressopt.optimizer.observation import Measurement, Observation


@dataclass(frozen=True, slots=True)
class TrialState:
    """One trial as the journal tells it.

    ``question`` is what a person at a manual press is asked now, ``answers`` what was answered until then.
    """

    number: int
    phase: Phase = Phase.NEW
    settings: Mapping[str, float | int | str] = field(default_factory=dict)
    reason: str = ""
    predicted: e.Intervals = field(default_factory=dict)
    feasibility: float = 1.0
    press: str = ""
    record: str = ""
    achieved: Mapping[str, float] = field(default_factory=dict)
    held_mpa: float | None = None
    held_c: float | None = None
    deviations: tuple[str, ...] = ()
    measurements: tuple[e.SpectrumRecorded, ...] = ()
    outcomes: e.Outcomes = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    blameless: tuple[str, ...] = ()
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    analysis: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    pressings: int = 0
    question: e.PersonAsked | None = None
    answers: tuple[e.PersonAnswered, ...] = ()
    attached: tuple[e.Attached, ...] = ()

    def observation(self) -> Observation:
        """Return this finished trial as the optimizer sees it."""
        return Observation(
            trial=self.number,
            settings=self.settings,
            achieved=self.achieved,
            outcomes={name: Measurement(value, sd) for name, (value, sd) in self.outcomes.items()},
            failures=frozenset(self.failures),
            blameless=frozenset(self.blameless),
        )


@dataclass(frozen=True, slots=True)
class CampaignState:
    """A whole campaign as the journal tells it.

    ``cleared``: presses of which a person said (`clear`) that their fault may be acknowledged.
    """

    phase: CampaignPhase = CampaignPhase.NEW
    opened: e.CampaignOpened | None = None
    trials: Mapping[int, TrialState] = field(default_factory=dict)
    presses: Mapping[str, PressPhase] = field(default_factory=dict)
    safe_reason: Mapping[str, str] = field(default_factory=dict)
    cleared: frozenset[str] = frozenset()
    closed: e.CampaignClosed | None = None
    last_seq: int = 0
    digest: str = ""

    @property
    def done(self) -> list[TrialState]:
        """Trials that ended with an observation, in order."""
        return [trial for trial in self.trials.values() if trial.phase is Phase.DONE]

    @property
    def in_flight(self) -> list[TrialState]:
        """Trials that have begun and not ended, in order."""
        return [trial for trial in self.trials.values() if trial.phase not in ENDED]

    @property
    def asking(self) -> list[TrialState]:
        """Trials of which a person must say what was found."""
        return [trial for trial in self.trials.values() if trial.phase in ASKING]

    def observations(self) -> list[Observation]:
        """What the optimizer learns from, in order."""
        return [trial.observation() for trial in self.done]

    def trial(self, number: int) -> TrialState:
        """Return trial ``number``, or raise LifecycleError naming those that exist."""
        if number not in self.trials:
            known = f"1 to {max(self.trials)}" if self.trials else "none yet"
            raise LifecycleError(f"there is no trial {number}: the campaign has {known}")
        return self.trials[number]


def _apply_trial(trial: TrialState, event: e.TrialEvent) -> TrialState:
    return replace(trial, phase=next_phase(trial.phase, event), **_told_by(trial, event))


def _told_by(trial: TrialState, event: e.TrialEvent) -> dict[str, Any]:
    """Return what an event changes of a trial beside its phase."""
    match event:
        case e.Proposed():
            return {
                "settings": event.settings,
                "reason": event.reason,
                "predicted": event.predicted,
                "feasibility": event.feasibility,
            }
        case e.TrialRejected():
            return {"note": event.reason}
        case e.PressingStarted():
            return {"press": event.press, "pressings": trial.pressings + 1}
        case e.PersonAsked():
            return {"question": event}
        case e.PersonAnswered():
            done = (event,) if event.action == "done" else ()
            return {"question": None, "answers": (*trial.answers, *done)}
        case e.Attached():
            return {"attached": (*trial.attached, event)}
        case e.PressingFinished():
            return {
                "record": event.record,
                "achieved": event.achieved,
                "held_mpa": event.held_mpa,
                "held_c": event.held_c,
                "deviations": event.deviations,
            }
        case e.Faulted():
            return {"note": event.reason, "record": event.record or trial.record}
        case e.Interrupted():
            return {"note": event.reason}
        case e.SpectrumRecorded():
            return {"measurements": (*trial.measurements, event)}
        case e.Measured():
            return {
                "outcomes": event.outcomes,
                "failures": event.failures,
                "blameless": event.blameless,
                "verdict": event.verdict,
                "reasons": event.reasons,
                "analysis": event.analysis,
            }
        case e.Resolved():
            return {
                "note": event.note or trial.note,
                "achieved": {**trial.achieved, **event.achieved},
                "outcomes": event.outcomes or trial.outcomes,
                "verdict": "reported by a person" if event.outcomes else trial.verdict,
            }
        case _:
            return {}


def apply(state: CampaignState, entry: Entry) -> CampaignState:
    """Return the state after one more entry; raise LifecycleError where the tables do not allow it."""
    event = entry.event
    presses = dict(state.presses)
    reasons = dict(state.safe_reason)
    cleared = state.cleared
    if isinstance(event, e.PressEvent):
        presses[event.press] = on_press(presses.get(event.press, PressPhase.IDLE), event)
        if isinstance(event, (e.PressMadeSafe, e.PressLost)):
            reasons[event.press] = event.reason
        if not isinstance(event, e.PressFound):
            cleared = cleared | {event.press} if isinstance(event, e.FaultCleared) else cleared - {event.press}
    trials = dict(state.trials)
    if isinstance(event, e.TrialEvent):
        if isinstance(event, e.Proposed) and state.phase is not CampaignPhase.OPEN:
            raise LifecycleError(f"the campaign is {state.phase.value}: nothing new is proposed")
        known = TrialState(event.trial) if isinstance(event, e.Proposed) else state.trial(event.trial)
        trial = _apply_trial(trials.get(event.trial, known), event)
        trials[event.trial] = trial
        if trial.press:
            presses[trial.press] = on_press(presses.get(trial.press, PressPhase.IDLE), event)
        if isinstance(event, e.PressingStarted):
            cleared = cleared - {event.press}
    phase, opened, closed = state.phase, state.opened, state.closed
    if isinstance(event, e.CampaignEvent):
        phase = next_campaign_phase(phase, event)
        opened = event if isinstance(event, e.CampaignOpened) else opened
        closed = event if isinstance(event, e.CampaignClosed) else closed
    return CampaignState(phase, opened, trials, presses, reasons, cleared, closed, entry.seq, entry.digest)


def check_wish(state: CampaignState, event: e.Event, *, actor: str) -> None:
    """Refuse what a person asks where it is not possible now, before it is written down.

    Raises:
        LifecycleError: The tables do not allow it, or it would end a campaign over a cell nobody has looked at.
    """
    if isinstance(event, e.CampaignClosed) and state.asking:
        numbers = ", ".join(str(trial.number) for trial in state.asking)
        raise LifecycleError(
            f"trial {numbers} waits for a person: say what was found (`pressopt resolve`), then close the campaign"
        )
    apply(state, Entry(state.last_seq + 1, "", actor, event, ""))


def replay(entries: Iterable[Entry], state: CampaignState | None = None) -> CampaignState:
    """Rebuild the state from the journal."""
    state = state or CampaignState()
    for entry in entries:
        state = apply(state, entry)
    return state


def on_restart(state: CampaignState) -> list[e.Interrupted]:
    """What must be written down when a campaign is taken up again.

    Nobody saw how an interrupted pressing ended, so a person decides; every other phase goes on by itself. Where a
    person presses, the program moves nothing: the question that was open is put again.
    """
    return [
        e.Interrupted(trial.number, "the program ended while the ram may have moved")
        for trial in state.in_flight
        if trial.phase is Phase.PRESSING and trial.question is None
    ]
