"""The lifecycle tables: what may follow what, and what a restart asks of people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.campaign import events as e
from pressopt.campaign.journal import Entry
from pressopt.campaign.lifecycle import (
    ASKING,
    ENDED,
    TRIAL,
    CampaignPhase,
    Phase,
    PressPhase,
    next_phase,
    trial_table,
)
from pressopt.campaign.replay import CampaignState, on_restart, replay
from pressopt.errors import LifecycleError

OPENED = e.CampaignOpened("c", "c.toml", "text", "0" * 64, 1, {"pressopt": "0"})
ONE_TRIAL: tuple[e.Event, ...] = (
    OPENED,
    e.PressFound("press-1", "press-1 serial 7"),
    e.Proposed(1, {"a.pressure_mpa": 5.0}, "initial design", "sobol"),
    e.Loaded(1, by="sample changer"),
    e.PressingStarted(1, "press-1", {}),
    e.PressingFinished(1, "d" * 64, {"a.pressure_mpa": 5.1}, 5.0, 25.0),
    e.SpectrumRecorded(1, "e" * 64, "spectrum", 1, "analyser"),
    e.Measured(1, {"interfacial_resistance_ohm_cm2": (12.0, 0.3)}, "valid"),
)


def _fold(*events: e.Event) -> CampaignState:
    return replay(Entry(seq, "", "test", event, "") for seq, event in enumerate(events, 1))


@given(stop=st.integers(0, len(ONE_TRIAL)))
def test_only_an_interrupted_pressing_asks_for_a_person(stop: int) -> None:
    """Wherever the power goes, nothing but a pressing in progress becomes uncertain."""
    state = _fold(*ONE_TRIAL[:stop])
    pressing = any(trial.phase is Phase.PRESSING for trial in state.trials.values())
    assert bool(on_restart(state)) == pressing


def test_a_whole_trial_ends_as_an_observation() -> None:
    """Asked and achieved settings, outcome and phase are read off the journal alone."""
    state = _fold(*ONE_TRIAL)
    (observation,) = state.observations()
    assert observation.settings == {"a.pressure_mpa": 5.0}
    assert observation.achieved == {"a.pressure_mpa": 5.1}
    assert observation.outcomes["interfacial_resistance_ohm_cm2"].value == 12.0
    assert observation.feasible is True
    assert state.presses == {"press-1": PressPhase.IDLE}


@pytest.mark.parametrize(
    ("action", "phase"), [("discard", Phase.REJECTED), ("measure", Phase.MEASURING), ("done", Phase.DONE)]
)
def test_a_person_resolves_an_uncertain_trial(action: str, phase: Phase) -> None:
    """What a person found decides how an uncertain trial goes on, and the press is free again."""
    state = _fold(*ONE_TRIAL[:5], e.Interrupted(1, "kill"), e.Resolved(1, action, by="operator"))
    assert state.trial(1).phase is phase
    assert state.presses == {"press-1": PressPhase.IDLE}


def test_a_resolution_that_does_not_exist_names_those_that_do() -> None:
    """A typo in `resolve` is answered with the words that are possible."""
    with pytest.raises(LifecycleError, match=r"cannot be resolved by 'throw': say one of discard, measure, done"):
        _fold(*ONE_TRIAL[:5], e.Interrupted(1, "kill"), e.Resolved(1, "throw"))


def test_no_cell_is_pressed_twice() -> None:
    """After a pressing has begun no second one is possible, whatever happened in between."""
    for then in ((), (e.Interrupted(1, "kill"),), (e.PressingFinished(1, "d" * 64, {}, 5.0, 25.0),)):
        with pytest.raises(LifecycleError):
            _fold(*ONE_TRIAL[:5], *then, e.PressingStarted(1, "press-1", {}))


def test_every_phase_but_the_ended_ones_leads_somewhere() -> None:
    """No trial can get stuck: each phase has a row, except those that have ended or ask a person."""
    for phase in Phase:
        rows = [to for (at, _), to in TRIAL.items() if at is phase]
        assert bool(rows) != (phase in ENDED | ASKING)


@given(phase=st.sampled_from(list(Phase)), kind=st.sampled_from(sorted(e.EVENTS)))
def test_what_the_table_does_not_hold_is_refused(phase: Phase, kind: str) -> None:
    """Any pair outside the table raises and says what is possible instead."""
    cls = e.EVENTS[kind]
    if not issubclass(cls, e.TrialEvent) or cls is e.Resolved or (phase, cls) in TRIAL:
        return
    event = next((item for item in ONE_TRIAL if type(item) is cls), None)
    if isinstance(event, e.TrialEvent):
        with pytest.raises(LifecycleError, match=f"trial 1 is {phase.value}"):
            next_phase(phase, event)


def test_a_press_that_was_made_safe_stays_so_until_cleared() -> None:
    """Neither a measurement nor a resolution frees a press that was made safe; a person does."""
    faulted = (*ONE_TRIAL[:5], e.Faulted(1, "guard opened"), e.PressMadeSafe("press-1", "guard opened"))
    assert _fold(*faulted, e.Resolved(1, "discard")).presses == {"press-1": PressPhase.SAFE}
    assert _fold(*faulted, e.FaultCleared("press-1", by="operator")).presses == {"press-1": PressPhase.IDLE}


def test_a_closed_or_paused_campaign_proposes_nothing() -> None:
    """After `pause` nothing new begins; after `close` nothing at all."""
    proposed = e.Proposed(1, {}, "", "")
    with pytest.raises(LifecycleError, match="campaign is paused"):
        _fold(OPENED, e.CampaignPaused(), proposed)
    with pytest.raises(LifecycleError, match="campaign is closed"):
        _fold(OPENED, e.CampaignClosed("budget"), proposed)
    assert _fold(OPENED, e.CampaignPaused(), e.CampaignContinued(), proposed).phase is CampaignPhase.OPEN


def test_the_printed_table_has_a_row_for_each_phase_that_goes_on() -> None:
    """The table in the README is the one that runs."""
    rows = trial_table()
    assert ("loaded", "Loaded / PressingStarted / TrialRejected", "loaded / pressing / rejected") in rows
    assert rows[-1] == (
        "uncertain, faulted",
        "Resolved (`resolve`: discard, measure, done)",
        "rejected / measuring / done",
    )
