"""The port Laminator: the same promises on every laminator there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pressopt.clock import FastClock
from pressopt.errors import DeviceFault, InterlockError, LimitError, StageFailedError
from pressopt.instruments import ProfileLaminator, connect_changer, connect_laminator
from pressopt.pressing import Cell, Die, Layer, Limits, PressingProtocol, PressRecord, PressState, Role, RollStage
from pressopt.pressing.execution import execute_rolling
from pressopt.profiles import load_profile
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.server import TwinServer

CELL = Cell(
    (Layer("copper", Role.COLLECTOR, 10.0), Layer("lithium", Role.ELECTRODE, 50.0)),
    Die(16.0),
    16.0,
)
PROFILE = load_profile("generic-roll-laminator-tcp")


class Bench:
    """One laminator behind its wire."""

    def __init__(self) -> None:
        self.clock = FastClock()
        self.virtual = VirtualBench(CELL, seed=3, clock=self.clock, rolled=True)
        self.server = TwinServer(self.virtual, {"laminator": PROFILE}, self.clock)
        self.server.__enter__()
        self.laminator: ProfileLaminator = connect_laminator(PROFILE, self.clock, self.server.urls["laminator"])
        changer = connect_changer(self.laminator)
        assert changer is not None
        changer.load(1)

    def close(self) -> None:
        self.laminator.close()
        self.server.__exit__(None, None, None)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_passes_start_and_end(bench: Bench) -> None:
    """run returns once the rolls turn; after the passes they stand."""
    bench.laminator.run(line_force_n_mm=20.0, speed_mm_s=10.0, passes=2, temperature_c=25.0)
    assert bench.laminator.read().state in (PressState.RAMP, PressState.HOLD)
    bench.clock.sleep_s(5.0)
    rolling = bench.laminator.read()
    assert rolling.line_force_n_mm == pytest.approx(20.0, abs=1.0)
    assert rolling.speed_mm_s == pytest.approx(10.0)
    bench.clock.sleep_s(120.0)
    end = bench.laminator.read()
    assert (end.state, end.passes_done) == (PressState.IDLE, 2)


def test_rolls_warm_up_without_turning(bench: Bench) -> None:
    """warm heats, and nothing rolls."""
    bench.laminator.warm(temperature_c=60.0)
    bench.clock.sleep_s(300.0)
    reading = bench.laminator.read()
    assert reading.temperature_c == pytest.approx(60.0, abs=1.0)
    assert reading.state is PressState.IDLE


def test_make_safe_opens_the_nip_and_twice_is_harmless(bench: Bench) -> None:
    """In the middle of a pass the rolls stop and the heater goes off."""
    bench.laminator.run(line_force_n_mm=20.0, speed_mm_s=1.0, passes=5, temperature_c=60.0)
    bench.clock.sleep_s(20.0)
    bench.laminator.make_safe()
    bench.laminator.make_safe()
    reading = bench.laminator.read()
    assert (reading.state, reading.speed_mm_s) == (PressState.IDLE, 0.0)


def test_all_limits_are_checked_at_once(bench: Bench) -> None:
    """Four limits broken are four violations, and nothing turns."""
    with pytest.raises(LimitError) as told:
        bench.laminator.run(line_force_n_mm=999.0, speed_mm_s=0.01, passes=0, temperature_c=500.0)
    assert len(told.value.violations) == 4
    assert bench.laminator.read().state is PressState.IDLE


def test_an_open_guard_forbids_rolling(bench: Bench) -> None:
    """Interlocks are read before the rolls turn."""
    bench.virtual.inject("guard_open")
    with pytest.raises((InterlockError, DeviceFault)):
        bench.laminator.run(line_force_n_mm=20.0, speed_mm_s=10.0, passes=1, temperature_c=25.0)


def protocol(force_n_mm: float = 30.0) -> PressingProtocol:
    return PressingProtocol((RollStage("lamination", force_n_mm, 10.0, 3, 60.0),), measure_at_mpa=0.0)


def test_a_rolled_protocol_is_recorded(bench: Bench) -> None:
    """The record tells force, speed, passes and temperature as they were, with their spread."""
    record: PressRecord = execute_rolling(bench.laminator, bench.clock, protocol(), CELL)
    stage = record.stages[0]
    assert stage.achieved["line_force_n_mm"] == pytest.approx(30.0, rel=0.02)
    assert stage.achieved["speed_mm_s"] == pytest.approx(10.0)
    assert stage.achieved["passes"] == 3
    assert stage.achieved["temperature_c"] == pytest.approx(60.0, abs=1.5)
    assert stage.achieved_sd["line_force_n_mm"] >= 0.02 * 30
    assert bench.laminator.read().state is PressState.IDLE


def test_a_guard_that_opens_while_rolling_breaks_off(bench: Bench) -> None:
    """The rolls stand, and the error carries the record until then."""
    bench.virtual.inject("guard_open", after_s=70.0)
    with pytest.raises(StageFailedError, match="stage 'lamination'") as told:
        execute_rolling(bench.laminator, bench.clock, protocol(), CELL)
    assert isinstance(told.value.record, PressRecord)
    assert len(told.value.record.time_s) > 3
    assert bench.laminator.read().speed_mm_s == 0.0


def test_limits_of_the_experiment_are_kept(bench: Bench) -> None:
    """A lower limit in the experiment is the one that counts."""
    with pytest.raises(LimitError, match="the experiment allows"):
        execute_rolling(bench.laminator, bench.clock, protocol(), CELL, Limits(line_force_n_mm=25.0))
