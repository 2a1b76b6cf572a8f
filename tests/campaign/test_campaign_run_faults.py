"""Instruments that fail in a run: the journal ends with fault and safe press, a person answers, it goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pressopt.twin.server as served
from pressopt.assembly import Campaign, SilentWatcher, begin_campaign, continue_campaign
from pressopt.campaign import events as e
from pressopt.campaign.lifecycle import CampaignPhase, Phase, PressPhase
from pressopt.campaign.replay import CampaignState, TrialState, replay
from pressopt.errors import InstrumentError, InterlockError, NeedsPersonError
from pressopt.pressing import PressReading
from pressopt.store import SqliteJournal
from pressopt.store.places import journal_of
from pressopt.twin.server import TwinServer
from processes import experiment_file


class Laboratory:
    """A campaign's folder, its experiment, and the twin that is served at present."""

    def __init__(self, experiment: Path, folder: Path) -> None:
        self.experiment, self.folder = experiment, folder
        self.twin: TwinServer | None = None

    @property
    def server(self) -> TwinServer:
        assert self.twin is not None, "no twin is served at present"
        return self.twin

    def inject(self, fault: str, **values: float) -> None:
        bench: Any = self.server.bench
        bench.inject(fault, **values)

    def begin(self, watcher: SilentWatcher | None = None) -> CampaignState:
        with begin_campaign(self.experiment, store=self.folder) as campaign:
            return campaign.run(watcher)

    def resume(self, before: Callable[[Campaign], None] = lambda _: None) -> CampaignState:
        with continue_campaign(self.folder) as campaign:
            before(campaign)
            return campaign.run()

    def say(self, *events: e.Event) -> None:
        with contextlib.closing(SqliteJournal.open(journal_of(self.folder))) as journal:
            for event in events:
                journal.append(event, actor="tester")

    def events(self) -> list[e.Event]:
        with contextlib.closing(SqliteJournal.read(journal_of(self.folder))) as journal:
            journal.verify()
            return [entry.event for entry in journal.entries()]

    def state(self) -> CampaignState:
        with contextlib.closing(SqliteJournal.read(journal_of(self.folder))) as journal:
            return replay(journal.entries())

    def machine(self) -> Any:
        import json

        return json.loads((self.folder / "twin-world.json").read_text())


@pytest.fixture
def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    found = Laboratory(experiment_file(tmp_path, trials=1), tmp_path / "campaign")

    class Watched(TwinServer):
        def __enter__(self) -> Watched:
            super().__enter__()
            found.twin = self
            return self

    monkeypatch.setattr(served, "TwinServer", Watched)
    return found


class LeftError(BaseException):
    """The program ended here."""


class Hits(SilentWatcher):
    """Does something once: at a reading of the press in a state, at a point of a sweep, or after a record."""

    def __init__(
        self, act: Callable[[], None], *, state: str = "", point: int = 0, after: type[e.Event] | None = None
    ) -> None:
        self._act, self._state, self._point, self._after = act, state, point, after
        self._done = False

    def on_reading(self, trial: TrialState, reading: object) -> None:
        assert isinstance(reading, PressReading)
        if reading.state.value == self._state and not self._done:
            self._done = True
            self._act()

    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        if done == self._point:
            self._act()

    def on_entry(self, event: object, state: CampaignState) -> None:
        if self._after is not None and isinstance(event, self._after):
            self._act()


def answered_and_ended(laboratory: Laboratory, press: str, *, clear: bool) -> None:
    """Clear and resolve as a person does, then resume to the end: one further cell, each pressed once."""
    if clear:
        laboratory.say(e.FaultCleared(press, by="tester"))
    laboratory.say(e.Resolved(1, "discard", by="tester"))
    state = laboratory.resume()
    assert state.phase is CampaignPhase.CLOSED
    assert [trial.phase for trial in state.trials.values()] == [Phase.REJECTED, Phase.DONE]
    assert all(trial.pressings == 1 for trial in state.trials.values())
    assert state.presses == {press: PressPhase.IDLE}


PRESS = "generic-plc-press-tcp"


@pytest.mark.parametrize("state", ["ramp", "hold"])
def test_a_guard_opened_in_pressing_asks_and_goes_on_once_cleared(laboratory: Laboratory, state: str) -> None:
    """Guard opened in pressing: Faulted, PressMadeSafe; nothing moves until clear and resolve, then it goes on."""
    with pytest.raises(NeedsPersonError) as asked:
        laboratory.begin(Hits(lambda: laboratory.inject("guard_open"), state=state))
    assert "pressopt resolve 1 discard" in str(asked.value)
    assert "pressopt clear" in str(asked.value)
    fault, safe = laboratory.events()[-2:]
    assert isinstance(fault, e.Faulted)
    assert fault.record, "what the cell got until then is kept"
    assert "guard" in fault.reason
    assert isinstance(safe, e.PressMadeSafe)
    with pytest.raises(NeedsPersonError):
        laboratory.resume()
    # Cleared while the guard is still open: the machine refuses, and it is asked again.
    laboratory.say(e.FaultCleared(PRESS, by="tester"), e.Resolved(1, "discard", by="tester"))
    with pytest.raises((NeedsPersonError, InterlockError), match="guard"):
        laboratory.resume()
    laboratory.say(e.FaultCleared(PRESS, by="tester"))
    ended = laboratory.resume(lambda _: laboratory.inject("guard_closed"))
    assert ended.phase is CampaignPhase.CLOSED
    assert [trial.phase for trial in ended.trials.values()] == [Phase.REJECTED, Phase.DONE]


@pytest.mark.parametrize("fault", ["die_fracture", "power_fail", "estop"])
def test_a_press_that_fails_asks_and_goes_on_once_cleared(laboratory: Laboratory, fault: str) -> None:
    """A press that reports a fault of its own is acknowledged only after a person said clear."""
    with pytest.raises(NeedsPersonError):
        laboratory.begin(Hits(lambda: laboratory.inject(fault), state="hold"))
    assert [type(event) for event in laboratory.events()[-2:]] == [e.Faulted, e.PressMadeSafe]
    laboratory.say(e.FaultCleared(PRESS, by="tester"), e.Resolved(1, "discard", by="tester"))
    mend = (lambda _: laboratory.inject("estop_reset")) if fault == "estop" else (lambda _: None)
    state = laboratory.resume(mend)
    assert [trial.phase for trial in state.trials.values()] == [Phase.REJECTED, Phase.DONE]


@pytest.mark.parametrize("place", [{"state": "hold"}, {"point": 9}], ids=["pressing", "measuring"])
def test_a_lost_link_is_found_again(
    laboratory: Laboratory, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Link to the press lost: Faulted and PressLost; found again, it goes on once the trial is resolved."""
    monkeypatch.setattr("pressopt.instruments.machine._RECONNECT_S", 0.2)  # it does not come back in this process
    with pytest.raises((NeedsPersonError, InstrumentError)):
        laboratory.begin(Hits(lambda: laboratory.server.ports["press"].__exit__(None, None, None), **place))
    fault, lost = laboratory.events()[-2:]
    assert isinstance(fault, e.Faulted)
    assert isinstance(lost, e.PressLost), lost
    assert laboratory.state().presses == {PRESS: PressPhase.GONE}
    answered_and_ended(laboratory, PRESS, clear=False)
    assert any(isinstance(event, e.PressFound) for event in laboratory.events()[3:])


def test_an_analyser_that_breaks_off_faults_the_trial(laboratory: Laboratory) -> None:
    """A script that breaks off in the sweep: Faulted and PressMadeSafe; discarded, the campaign goes on."""

    def spoil() -> None:
        laboratory.server.analyzers["analyzer"].faults.break_at = 5

    with pytest.raises(NeedsPersonError):
        laboratory.begin(Hits(spoil, after=e.PressingFinished))
    assert [type(event) for event in laboratory.events()[-2:]] == [e.Faulted, e.PressMadeSafe]
    answered_and_ended(laboratory, PRESS, clear=True)


def test_overloaded_points_are_no_fault(laboratory: Laboratory) -> None:
    """Points that overload are flagged in the spectrum, never numbers, and the trial ends with a verdict."""

    def spoil() -> None:
        laboratory.server.analyzers["analyzer"].faults.overload_points.update(range(20, 24))

    state = laboratory.begin(Hits(spoil, after=e.PressingFinished))
    assert state.trial(1).phase is Phase.DONE
    assert state.trial(1).verdict


def test_the_guard_open_between_two_acts_makes_the_press_safe(laboratory: Laboratory) -> None:
    """A guard open when pressing is to begin: the trial waits untouched or asks; after clear it is pressed."""
    with pytest.raises((InterlockError, NeedsPersonError)):
        laboratory.begin(Hits(lambda: laboratory.inject("guard_open"), after=e.Proposed))
    assert any(isinstance(event, e.PressMadeSafe) for event in laboratory.events())
    assert laboratory.state().trial(1).pressings == 0
    laboratory.say(e.FaultCleared(PRESS, by="tester"))
    state = laboratory.resume(lambda _: laboratory.inject("guard_closed"))
    assert state.trial(1).phase is Phase.DONE
    assert state.trial(1).pressings == 1


def test_a_press_that_no_longer_holds_faults_the_trial(laboratory: Laboratory) -> None:
    """Taken up in measuring after the hold was lost: the trial is faulted and a person is asked."""

    def leave() -> None:
        raise LeftError

    with pytest.raises(LeftError):
        laboratory.begin(Hits(leave, after=e.PressingFinished))

    def let_go(campaign: Campaign) -> None:
        campaign.laboratory.make_safe()

    with pytest.raises(NeedsPersonError, match="no longer holds"):
        laboratory.resume(let_go)
    assert laboratory.state().trial(1).phase is Phase.FAULTED
    answered_and_ended(laboratory, PRESS, clear=True)


@pytest.mark.parametrize("failure", [ValueError("the kernel is not positive"), ArithmeticError("overflow")])
def test_an_optimizer_that_raises_pauses_the_campaign(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """An optimizer that raises pauses the campaign; nothing moves, and it goes on once it is opened again."""
    from pressopt.optimizer import Recommender

    def ask(*_: object, **__: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(Recommender, "ask", ask)
        with pytest.raises(type(failure)):
            laboratory.begin()
    paused = laboratory.events()[-1]
    assert isinstance(paused, e.CampaignPaused)
    assert str(failure) in paused.reason
    assert not any(isinstance(event, e.PressingStarted) for event in laboratory.events())
    assert laboratory.resume().phase is CampaignPhase.PAUSED
    laboratory.say(e.CampaignContinued())
    assert laboratory.resume().phase is CampaignPhase.CLOSED


def test_a_torn_twin_world_is_told_and_a_missing_one_is_a_lost_cell(laboratory: Laboratory) -> None:
    """A damaged twin file is refused with what to do; without it the cell is gone and the trial asks."""

    def leave() -> None:
        raise LeftError

    with pytest.raises(LeftError):
        laboratory.begin(Hits(leave, after=e.PressingFinished))
    world = laboratory.folder / "twin-world.json"
    world.write_bytes(world.read_bytes()[:200])
    with pytest.raises(InstrumentError, match=r"is damaged.*delete it"):
        laboratory.resume()
    world.unlink()
    with pytest.raises(NeedsPersonError):
        laboratory.resume()
    answered_and_ended(laboratory, PRESS, clear=True)
