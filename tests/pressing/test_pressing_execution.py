"""Execution over the real wire and the twin's hydraulics: what is recorded, and what breaks a stage off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pressopt.clock import FastClock, WallClock
from pressopt.errors import InputError, LimitError, LinkTimeout, StageFailedError
from pressopt.instruments import ProfilePress, connect_changer, connect_press
from pressopt.pressing import (
    Cell,
    Die,
    Layer,
    Limits,
    PressingProtocol,
    PressReading,
    PressRecord,
    PressState,
    Role,
    SafeState,
    Stage,
)
from pressopt.pressing.execution import Poll, Tolerance, execute, finish
from pressopt.pressing.record import record_from_bytes, record_to_bytes
from pressopt.pressing.watch import watched
from pressopt.profiles import DeviceProfile, load_profile
from pressopt.twin.faults import Fault
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.server import TwinServer, press_spec

CELL = Cell(
    (
        Layer("lithium", Role.ELECTRODE, 100.0),
        Layer("Li6PS5Cl", Role.ELECTROLYTE, 700.0, relative_density=0.85),
        Layer("lithium", Role.ELECTRODE, 100.0),
    ),
    Die(10.0),
    10.0,
)
PROFILE = load_profile("generic-plc-press-tcp")


class Bench:
    """One press behind its wire, with a loaded cell."""

    def __init__(self, profile: DeviceProfile = PROFILE) -> None:
        self.clock = FastClock()
        self.virtual = VirtualBench(CELL, seed=5, clock=self.clock, press=press_spec(profile))
        self.server = TwinServer(self.virtual, {"press": profile}, self.clock)
        self.server.__enter__()
        self.press: ProfilePress = connect_press(profile, self.clock, self.server.urls["press"])
        changer = connect_changer(self.press)
        assert changer is not None
        changer.load(1)

    def run(self, protocol: PressingProtocol, limits: Limits | None = None, **more: Any) -> PressRecord:
        return execute(self.press, self.clock, protocol, CELL, limits, **more)

    def close(self) -> None:
        self.press.close()
        self.server.__exit__(None, None, None)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def one_stage(dwell_s: float = 300.0, on_abort: SafeState = SafeState.RELEASE) -> PressingProtocol:
    return PressingProtocol(
        (Stage("lamination", 25.0, 1.0, dwell_s, 60.0, on_abort),), measure_at_mpa=5.0, measure_at_c=30.0
    )


def test_the_record_tells_what_the_cell_got(bench: Bench) -> None:
    """Means over the dwell, their spread, dose, the held state, and curves that agree with them."""
    record = bench.run(one_stage())
    stage = record.stages[0]
    assert stage.achieved["pressure_mpa"] == pytest.approx(25.0, rel=0.01)
    assert stage.achieved["temperature_c"] == pytest.approx(60.0, abs=1.0)
    assert stage.achieved["dwell_s"] == pytest.approx(300.0, abs=1.5)
    assert stage.achieved["ramp_mpa_s"] == pytest.approx(1.0, rel=0.1)
    assert stage.achieved_sd["pressure_mpa"] >= 0.01 * 25
    assert stage.dose_mpa_s == pytest.approx(25.0 * 300 + 25 * 25 / 2, rel=0.03)
    assert 0 <= stage.overshoot_mpa < 1.0
    assert record.held_mpa == pytest.approx(5.0, rel=0.02)
    assert record.held_c == pytest.approx(30.0, abs=1.5)
    assert record.deviations == ()
    held = CELL.die.pressure_mpa(1.0) * record.force_kn[record.stage == 0]
    assert held.max() == pytest.approx(25.0 + stage.overshoot_mpa)
    assert (np.diff(record.time_s) >= 0).all()
    assert record.time_s.shape == record.force_kn.shape == record.temperature_c.shape == record.stage.shape


def test_the_press_stays_at_the_measuring_state_until_finish(bench: Bench) -> None:
    """After execute the cell is held; finish opens the press and returns when it is idle."""
    bench.run(one_stage())
    held = bench.press.read()
    assert held.state is PressState.HOLD
    finish(bench.press, bench.clock)
    done = bench.press.read()
    assert (done.state, done.setpoint_kn) == (PressState.IDLE, 0.0)
    assert abs(done.force_kn) < 0.02
    finish(bench.press, bench.clock)


def test_stages_follow_each_other_under_pressure(bench: Bench) -> None:
    """Between two stages the force never comes off."""
    stages = (Stage("first", 10.0, 1.0, 30.0, 25.0), Stage("second", 40.0, 1.0, 30.0, 60.0))
    record = bench.run(PressingProtocol(stages, measure_at_mpa=0.0))
    assert [stage.name for stage in record.stages] == ["first", "second"]
    reached = int(np.argmax(record.stage == 0)) + int(np.argmax(record.force_kn[record.stage == 0] > 0.75))
    last = int(np.flatnonzero(record.stage == 1)[-1])
    assert record.force_kn[reached:last].min() > 0.7
    assert record.held_mpa == 0.0
    assert bench.press.read().state is PressState.IDLE


def test_an_hour_under_the_press_is_few_readings_where_time_leaps(bench: Bench) -> None:
    """On the fast clock an hour's hold is read as often as the heartbeat asks for, and no more."""
    record = bench.run(one_stage(dwell_s=3600.0))
    assert PROFILE.heartbeat is not None
    assert bench.press.capability.attend_s == PROFILE.heartbeat.plc_timeout_s / 2.5
    assert 900 <= np.count_nonzero(record.stage == 0) < 900 + 70
    assert np.diff(record.time_s).max() <= bench.press.capability.attend_s + 0.5


def test_real_time_is_polled_at_ten_and_one_hertz() -> None:
    """Where time is real, ramps are read at 10 Hz and holds at 1 Hz, however long they last."""
    poll = Poll.on(WallClock())
    assert (poll.period_s(poll.ramp_s, 500.0), poll.period_s(poll.hold_s, 36000.0)) == (0.1, 1.0)


def test_limits_are_checked_before_anything_moves(bench: Bench) -> None:
    """A protocol above the experiment's limit never reaches the wire."""
    with pytest.raises(LimitError, match=r"stay at or below 20\.0 MPa"):
        bench.run(one_stage(), Limits(pressure_mpa=20.0))
    assert bench.press.read().setpoint_kn == 0.0


FAULTS: list[tuple[str, float, dict[str, float], str]] = [
    ("guard_open", 45.0, {}, "guard"),
    ("guard_open", 150.0, {}, "guard"),
    ("estop", 100.0, {}, "emergency stop|estop_ok"),
    ("remote_off", 150.0, {}, "remote"),
    ("power_fail", 150.0, {}, "power"),
    ("panel_setpoint", 150.0, {"force_kn": 3.0}, "at the panel"),
    ("runaway", 150.0, {"rate_kn_s": 0.2}, "runs away|over its limit"),
    ("open_thermocouple", 150.0, {}, "sensor|believable|fault|°C"),
    ("die_fracture", 150.0, {}, "sample|fell from|ran"),
    ("heater_stuck", 150.0, {}, "°C instead of|are allowed|fault|over"),
]


@pytest.mark.parametrize(("fault", "after_s", "values", "words"), FAULTS, ids=[f"{f[0]}@{f[1]:g}" for f in FAULTS])
def test_a_fault_breaks_the_stage_off_and_the_press_ends_safe(
    bench: Bench, fault: str, after_s: float, values: dict[str, float], words: str
) -> None:
    """Whatever fails in ramp or hold: StageFailedError with the record until then, and no force stays on."""
    bench.virtual.inject(fault, after_s=after_s, **values)
    with pytest.raises(StageFailedError, match=words) as told:
        bench.run(one_stage(dwell_s=900.0), Limits(pressure_mpa=60.0, temperature_c=80.0), poll=Poll())
    record = told.value.record
    assert isinstance(record, PressRecord)
    assert len(record.time_s) > 3
    assert record.stages == ()
    assert any(str(told.value) in deviation for deviation in record.deviations)
    assert record.force_kn.max() <= CELL.die.force_kn(60.0) * 1.05
    bench.clock.sleep_s(120.0)
    assert bench.virtual.plant().force_kn < 0.05


def test_a_leak_is_noted_with_its_refills(bench: Bench) -> None:
    """A press that must pump again and again holds its force, and the record says how often."""
    bench.virtual.inject("leak", per_min=0.1)
    record = bench.run(one_stage())
    assert record.stages[0].refills > 20
    assert any("does it leak?" in deviation for deviation in record.deviations)


def held(kind: str, leak_per_min: float) -> PressRecord:
    """300 s at 25 MPa on a press that holds like that, and leaks."""
    assert PROFILE.press is not None
    kept = Bench(replace(PROFILE, press=replace(PROFILE.press, hold=kind)))  # type: ignore[arg-type]
    try:
        kept.virtual.inject("leak", per_min=leak_per_min)
        return kept.run(one_stage())
    finally:
        kept.close()


def test_a_servo_makes_a_leak_up_at_once() -> None:
    """2 %/min are lost and given back: no restart of the pump, the set point all the time."""
    stage = held("servo", 0.02).stages[0]
    assert stage.refills == 0
    assert stage.achieved["pressure_mpa"] == pytest.approx(25.0, rel=0.005)


def test_a_refilling_pump_is_counted() -> None:
    """2 %/min within a band of 1 % are a restart every half minute, and a saw-tooth half the band below."""
    stage = held("refill", 0.02).stages[0]
    assert stage.refills == 10
    assert stage.achieved["pressure_mpa"] == pytest.approx(25.0 * 0.995, rel=0.005)


def test_behind_a_locked_valve_the_decay_is_recorded() -> None:
    """2 %/min for 300 s are 9.5 % less at the end: no failure, but what the cell got, with its spread."""
    record = held("locked", 0.02)
    stage = record.stages[0]
    assert stage.refills == 0
    assert stage.achieved["pressure_mpa"] == pytest.approx(25.0 * (1 - math.exp(-0.1)) / 0.1, rel=0.01)
    assert stage.achieved_sd["pressure_mpa"] > 0.6
    assert any("behind the locked valve 2.3" in deviation for deviation in record.deviations)
    course = record.force_kn[record.stage == 0]
    assert course[-1] / course.max() == pytest.approx(math.exp(-0.1), rel=0.03)


def test_a_locked_valve_that_loses_too_much_leaks() -> None:
    """12 %/min are 45 % in 300 s: beyond what a locked valve may lose, the stage fails."""
    with pytest.raises(StageFailedError, match=r"MPa instead of 25\.00 MPa"):
        held("locked", 0.12)


def test_a_ramp_is_limited_and_refused_beyond_the_experiment_s_limit(bench: Bench) -> None:
    """A ramp above the experiment's limit is refused with the others; one above the machine's own goes at that."""
    steep = PressingProtocol((Stage("lamination", 25.0, 4.0, 30.0, 25.0),), measure_at_mpa=5.0)
    with pytest.raises(LimitError, match="ramp"):
        bench.run(steep, Limits(ramp_mpa_s=2.0))
    assert bench.virtual.plant().setpoint_kn == 0.0
    stage = bench.run(steep, Limits(ramp_mpa_s=4.0)).stages[0]
    assert stage.achieved["ramp_mpa_s"] <= 4.0 * 1.05


@pytest.mark.parametrize("measure_at_mpa", [5.0, 0.0], ids=["under pressure", "released"])
def test_a_cell_cools_as_the_protocol_says(bench: Bench, measure_at_mpa: float) -> None:
    """Under the measuring pressure all the way down to its temperature, or without any."""
    record = bench.run(
        PressingProtocol(
            (Stage("lamination", 25.0, 1.0, 30.0, 60.0),), measure_at_mpa=measure_at_mpa, measure_at_c=30.0
        )
    )
    after = np.flatnonzero(record.stage == 0)[-1] + 1
    cooling = (record.temperature_c < 55.0) & (np.arange(record.stage.size) > after)
    pressure = CELL.die.pressure_mpa(1.0) * record.force_kn[cooling]
    assert cooling.sum() > 5
    assert pressure[-5:] == pytest.approx(np.full(5, measure_at_mpa), abs=0.15)
    assert record.held_c == pytest.approx(30.0, abs=1.5)


def test_over_the_limit_is_stopped_within_one_period(bench: Bench) -> None:
    """A valve that sticks open at 10 Hz: between the limit and the stop lies one period."""
    forces: list[PressReading] = []
    bench.virtual.inject("runaway", after_s=150.0, rate_kn_s=1.0)
    limits = Limits(pressure_mpa=30.0)
    with pytest.raises(StageFailedError, match="over its limit"):
        bench.run(
            one_stage(dwell_s=900.0),
            limits,
            poll=Poll(ramp_s=0.1, hold_s=0.1),
            tolerance=Tolerance(overshoot_rel=0.5, over_limit_rel=0.03),
            on_reading=forces.append,
        )
    over = [reading.force_kn for reading in forces if reading.force_kn > CELL.die.force_kn(30.0) * 1.03]
    assert len(over) == 1
    assert over[0] <= CELL.die.force_kn(30.0) * 1.03 + 1.0 * 0.1 + 0.01


def test_an_overshoot_within_limits_is_recorded_not_failed(bench: Bench) -> None:
    """Overshoot is told in MPa above what was asked."""
    bench.virtual.inject("overshoot", rel=0.08)
    record = bench.run(one_stage(), tolerance=Tolerance(out_of_band_s=30.0))
    assert record.stages[0].overshoot_mpa == pytest.approx(0.08 * 25.0, rel=0.5)


def test_what_goes_on_beside_a_measurement_is_watched(bench: Bench) -> None:
    """Heat and force above the experiment's limits are noticed while an analyser sweeps."""
    bench.run(one_stage())
    watched(bench.press, limit_kn=CELL.die.force_kn(30.0), limit_c=60.0)
    with pytest.raises(StageFailedError, match="does the heater stick"):
        watched(bench.press, limit_c=20.0)
    with pytest.raises(StageFailedError, match="ran over its limit"):
        watched(bench.press, limit_kn=CELL.die.force_kn(3.0))


def test_a_person_breaks_off(bench: Bench) -> None:
    """should_stop is asked at every reading; the press ends released."""
    readings: list[PressReading] = []
    with pytest.raises(StageFailedError, match="broken off on request"):
        bench.run(one_stage(), on_reading=readings.append, should_stop=lambda: len(readings) > 50)
    assert len(readings) == 51
    assert bench.press.read().state in (PressState.RELEASE, PressState.IDLE)


def test_ctrl_c_makes_safe(bench: Bench) -> None:
    """A keyboard interrupt leaves as itself, with the press released."""

    def interrupt(reading: PressReading) -> None:
        if reading.state is PressState.HOLD:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(one_stage(), on_reading=interrupt)
    assert bench.press.read().state in (PressState.RELEASE, PressState.IDLE)


def test_ctrl_c_is_not_hidden_by_a_press_that_cannot_be_made_safe(bench: Bench) -> None:
    """The interrupt leaves with a note that calls for the emergency stop."""

    def interrupt(reading: PressReading) -> None:
        if reading.state is PressState.HOLD:
            bench.server.banks["press"].faults.ignored.add("stop")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as told:
        bench.run(one_stage(), on_reading=interrupt)
    assert "use the emergency stop" in told.value.__notes__[0]


def test_a_stage_may_be_held_and_cooled_when_it_is_broken_off(bench: Bench) -> None:
    """on_abort = hold_and_cool keeps the force and takes the heat away while somebody looks; else the PLC acts."""
    seen: list[PressReading] = []
    with pytest.raises(StageFailedError):
        bench.run(
            one_stage(on_abort=SafeState.HOLD_AND_COOL),
            on_reading=seen.append,
            should_stop=lambda: seen[-1].state is PressState.HOLD and seen[-1].force_kn > 1.9,
        )
    for _ in range(150):
        bench.clock.sleep_s(4.0)
        reading = bench.press.read()
    assert reading.force_kn == pytest.approx(CELL.die.force_kn(25.0), rel=0.03)
    assert reading.temperature_c < 30.0
    bench.clock.sleep_s(60.0)  # nobody looks: the machine's own watchdog releases
    reading = bench.press.read()
    assert (reading.fault, round(reading.force_kn, 1)) == ("heartbeat lost", 0.0)


@pytest.mark.parametrize(
    ("on_abort", "force_rel", "hot"), [(SafeState.HOLD, 1.0, True), (SafeState.RELEASE, 0.0, False)]
)
def test_each_stage_has_its_own_way_of_being_broken_off(
    bench: Bench, on_abort: SafeState, force_rel: float, hot: bool
) -> None:
    """The first stage would be released; the second is broken off, and its own action is what happens."""
    stages = (Stage("first", 10.0, 1.0, 20.0, 60.0), Stage("second", 25.0, 1.0, 300.0, 60.0, on_abort))
    seen: list[PressReading] = []
    with pytest.raises(StageFailedError, match="stage 'second'"):
        bench.run(
            PressingProtocol(stages, measure_at_mpa=5.0),
            on_reading=seen.append,
            should_stop=lambda: seen[-1].state is PressState.HOLD and seen[-1].force_kn > 1.9,
        )
    for _ in range(60):
        bench.clock.sleep_s(4.0)
        reading = bench.press.read()
    assert reading.force_kn == pytest.approx(force_rel * CELL.die.force_kn(25.0), abs=0.05)
    assert (reading.temperature_c > 55.0) is hot


def test_a_lost_reply_is_repeated_and_does_not_show(bench: Bench) -> None:
    """One dropped reply costs a repetition; the record is whole."""
    bench.server.ports["press"].faults.plan(Fault.DROP)
    record = bench.run(one_stage())
    assert bench.press.device.links[0].counters.repeated >= 1
    assert record.stages[0].achieved["pressure_mpa"] == pytest.approx(25.0, rel=0.01)


def test_a_dead_line_says_that_it_could_not_be_made_safe(bench: Bench) -> None:
    """When nothing answers any more, the error says so, names its cause and carries the record."""

    def cut(reading: PressReading) -> None:
        if reading.state is PressState.HOLD:
            bench.server.ports["press"].faults.plan(Fault.DROP, times=100)

    with pytest.raises(StageFailedError, match="use the emergency stop") as told:
        bench.run(one_stage(), on_reading=cut)
    assert isinstance(told.value.__cause__, LinkTimeout)
    assert isinstance(told.value.record, PressRecord)


def test_a_record_survives_the_disk_bit_for_bit(bench: Bench) -> None:
    """record_from_bytes undoes record_to_bytes, NaN included."""
    record = bench.run(one_stage(dwell_s=10.0))
    again = record_from_bytes(record_to_bytes(record))
    assert record_to_bytes(again) == record_to_bytes(record)
    assert again.time_s.tolist() == record.time_s.tolist()
    assert again.stages == record.stages
    none = np.empty(0)
    partial = PressRecord("x", none, none, none, np.empty(0, np.int64), (), math.nan, math.nan)
    assert math.isnan(record_from_bytes(record_to_bytes(partial)).held_mpa)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "no press record"), (b"{}", "no press record"), (b'{"format":"x"}', "its format is"),
     (b'{"format":"pressopt press record","version":2}', "newer"), (b"\xff\xfe", "no press record")],
)  # fmt: skip
def test_what_is_no_record_is_refused(data: bytes, words: str) -> None:
    """Anything else is an InputError in words."""
    with pytest.raises(InputError, match=words):
        record_from_bytes(data)


def test_the_same_seed_gives_the_same_record() -> None:
    """Nothing of the wall clock enters a record."""
    records = []
    for _ in range(2):
        made = Bench()
        records.append(record_to_bytes(made.run(one_stage(dwell_s=60.0))))
        made.close()
    first, second = next(pairwise(records))
    assert first == second
