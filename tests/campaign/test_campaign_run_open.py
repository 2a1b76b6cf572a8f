"""However a run ends, no press stays loaded, and who watches cannot hurt what is watched."""

from __future__ import annotations

from pathlib import Path

import pytest

from pressopt.assembly import Campaign, SilentWatcher, begin_campaign, continue_campaign
from pressopt.campaign import events as e
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.campaign.watching import StopRequest
from pressopt.pressing import PressReading, PressState

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "li-lpscl-symmetric.toml"


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return begin_campaign(EXPERIMENT, store=tmp_path / "campaign", trials=2)


def _is_open(campaign: Campaign) -> bool:
    press = campaign.laboratory.press
    assert press is not None
    reading: PressReading = press.read()
    return reading.state is PressState.IDLE and reading.force_kn <= press.capability.min_kn


class _StopsAfter(SilentWatcher):
    def __init__(self, kind: type[e.Event], stop: StopRequest) -> None:
        self._kind, self._stop = kind, stop

    def on_entry(self, event: object, state: CampaignState) -> None:
        if isinstance(event, self._kind):
            self._stop.ask()


@pytest.mark.parametrize("kind", [e.Proposed, e.PressingFinished, e.SpectrumRecorded, e.Measured])
def test_a_stopped_run_leaves_the_press_open(campaign: Campaign, kind: type[e.Event]) -> None:
    """After Ctrl-C in any phase the trial in flight ends and nothing stays under force."""
    with campaign:
        stop = StopRequest()
        state = campaign.run(_StopsAfter(kind, stop), stop=stop)
        assert len(state.done) <= 1
        assert _is_open(campaign)


class _Breaks(SilentWatcher):
    """Fails at the first point of a sweep, as a closed pipe does."""

    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        raise BrokenPipeError("nobody reads")


def test_a_watcher_that_fails_costs_no_cell(campaign: Campaign, tmp_path: Path) -> None:
    """The trial in flight ends with its measurement, the press is open, and only then is the failure raised."""
    with campaign:
        with pytest.raises(BrokenPipeError):
            campaign.run(_Breaks())
        assert [trial.phase for trial in campaign.state.trials.values()] == [Phase.DONE]
        assert _is_open(campaign)
    with continue_campaign(tmp_path / "campaign") as again:
        assert len(again.run().done) == 2


class _Interrupts(SilentWatcher):
    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_without_a_handler_makes_safe(campaign: Campaign) -> None:
    """From Python, where nobody handles Ctrl-C, the press is released before the interrupt goes on."""
    with campaign:
        with pytest.raises(KeyboardInterrupt):
            campaign.run(_Interrupts())
        press = campaign.laboratory.press
        assert press is not None
        campaign.laboratory.clock.sleep_s(120.0)
        assert _is_open(campaign)


def test_a_cell_measured_in_another_state_is_not_compared(campaign: Campaign, tmp_path: Path) -> None:
    """Killed under full force and resolved by `measure`: the number is kept and never taught to the model."""

    class Left(BaseException):
        pass

    class Leaves(SilentWatcher):
        def on_reading(self, trial: TrialState, reading: object) -> None:
            assert isinstance(reading, PressReading)
            if reading.state is PressState.HOLD and reading.force_kn > 0.1:
                raise Left

    with campaign:
        # As after a kill: nothing made safe, nothing written down.
        campaign.laboratory.press.make_safe = lambda: None  # type: ignore[union-attr,method-assign]
        campaign.laboratory.make_safe = lambda: None  # type: ignore[method-assign]
        with pytest.raises(Left):
            campaign.run(Leaves())
    with continue_campaign(tmp_path / "campaign") as again:
        again._journal.append(e.Interrupted(1, "killed"), e.Resolved(1, "measure", by="t"), actor="t")
        state = again.run()
    trial = state.trial(1)
    assert trial.phase is Phase.DONE
    assert trial.outcomes == {}
    assert trial.observation().feasible is None
    assert "the protocol says 5 MPa: not comparable" in trial.reasons[0]
