"""The port Press: the same promises over TCP and over a serial line, on every press there is."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pressopt.clock import FastClock, wall_pause_s
from pressopt.errors import DeviceFault, InterlockError, LimitError, ProfileError, WrongDeviceError
from pressopt.instruments import ProfilePress, connect_press
from pressopt.pressing import Cell, Die, Layer, PressState, Role
from pressopt.profiles import load_profile
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.plant import PressSpec
from pressopt.twin.server import TwinServer

CELL = Cell(
    (
        Layer("lithium", Role.ELECTRODE, 100.0),
        Layer("Li6PS5Cl", Role.ELECTROLYTE, 700.0, relative_density=0.85),
        Layer("lithium", Role.ELECTRODE, 100.0),
    ),
    Die(10.0),
    10.0,
)


PRESSES = ("generic-plc-press-tcp", "generic-plc-press-rtu", "generic-line-press", "generic-joined-press")


class Bench:
    """One press behind its wire, with the means of a test to disturb it."""

    def __init__(self, profile_name: str, links: Path, *, watchdog_s: float = math.inf) -> None:
        self.clock = FastClock()
        self.profile = load_profile(profile_name)
        self.virtual = VirtualBench(
            CELL, seed=3, clock=self.clock, press=PressSpec(watchdog_s=watchdog_s, watchdog_releases=True)
        )
        self.server = TwinServer(self.virtual, {"press": self.profile}, self.clock, links=links)
        self.server.__enter__()
        main = "press.plc" if self.profile.parts else "press"
        self.faults, self.port = self.server.faces[main].faults, self.server.ports[main]
        self.sent: list[bytes] = []
        self.press: ProfilePress = connect_press(
            self.profile, self.clock, self.server.urls["press"], tap=self._keep
        )

    def _keep(self, direction: str, data: bytes) -> None:
        if direction == "tx":
            self.sent.append(data)

    def forces_written_kn(self) -> list[float]:
        """Every force set point that went over the wire: FC 16 to holding 100, two words, newtons; or a line."""
        lines = [data.decode("ascii") for data in self.sent if data.startswith(b"S ")]
        if lines:
            return [float(line.split()[1]) / 1000 for line in lines]
        head = bytes.fromhex("10 0064 0002 04")
        return [
            int.from_bytes(data[at + 6 : at + 10], "big", signed=True) / 1000
            for data in self.sent
            if (at := data.find(head)) >= 0
        ]

    def break_sensor(self) -> None:
        """Let a thermocouple come off, as this machine shows it."""
        part, raw = ("press.top", 32771) if self.profile.parts else ("press", 32766)
        if self.profile.link.engine == "ascii-line":
            raw = -999
        self.server.faces[part].faults.frozen["temperature_c"] = raw

    def close(self) -> None:
        self.press.close()
        self.server.__exit__(None, None, None)


@pytest.fixture(params=PRESSES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path)
    yield made
    made.close()


def test_who_answers_is_told(bench: Bench) -> None:
    """identify names profile and serial number, and model where the machine has one."""
    said = bench.press.identify()
    assert said.startswith(f"{bench.profile.name} (")
    assert "24001" in said
    assert bench.profile.identity.model is None or "model 20557" in said


def test_a_profile_of_another_kind_is_refused() -> None:
    """A laminator is not opened as a press."""
    with pytest.raises(ProfileError, match="is a laminator, a press is wanted"):
        connect_press("generic-roll-laminator-tcp", FastClock())


def test_another_machine_is_refused_before_anything_is_written(bench: Bench) -> None:
    """A wrong model number ends in WrongDeviceError."""
    bench.faults.model = 4711
    with pytest.raises(WrongDeviceError, match=r"4711.*nothing was written"):
        bench.press.identify()


def test_a_command_returns_when_accepted_and_is_reached_later(bench: Bench) -> None:
    """The set point is there at once, the force after its ramp."""
    bench.press.command(force_kn=2.0, ramp_kn_s=0.1, temperature_c=25.0)
    at_once = bench.press.read()
    assert (at_once.state, at_once.setpoint_kn) == (PressState.RAMP, 2.0)
    assert at_once.force_kn < 0.1
    bench.clock.sleep_s(30.0)
    later = bench.press.read()
    assert later.state is PressState.HOLD
    assert later.force_kn == pytest.approx(2.0, abs=0.05)


def test_platens_follow_their_set_point(bench: Bench) -> None:
    """Heat goes on with a command, also without force."""
    bench.press.command(force_kn=0.0, ramp_kn_s=0.1, temperature_c=80.0)
    bench.clock.sleep_s(300.0)
    assert bench.press.read().temperature_c == pytest.approx(80.0, abs=1.0)


def test_make_safe_releases_from_any_state_and_twice_is_harmless(bench: Bench) -> None:
    """However hard and hot the press was driven, it ends released and cooling, as its profile declares."""
    bench.press.make_safe()
    bench.press.command(force_kn=20.0, ramp_kn_s=1.0, temperature_c=120.0)
    bench.clock.sleep_s(600.0)
    bench.press.make_safe()
    bench.press.make_safe()
    bench.clock.sleep_s(600.0)
    end = bench.press.read()
    assert end.state is PressState.IDLE
    assert abs(end.force_kn) < 0.02
    assert end.temperature_c < 40.0


def test_all_limits_are_checked_before_anything_moves(bench: Bench) -> None:
    """Three limits broken are three violations, and nothing was written."""
    with pytest.raises(LimitError) as told:
        bench.press.command(force_kn=61.0, ramp_kn_s=50.0, temperature_c=900.0)
    assert [violation.where for violation in told.value.violations] == ["force_kn", "ramp_kn_s", "temperature_c"]
    reading = bench.press.read()
    assert (reading.state, reading.setpoint_kn) == (PressState.IDLE, 0.0)


def test_no_command_at_all_writes_a_force_above_the_limit(bench: Bench) -> None:
    """Seen on the wire: of 300 random commands no set point above the limit, and none above what was asked."""
    draw = random.Random(7)
    for _ in range(300):
        asked = draw.choice([draw.uniform(-5, 200), draw.uniform(0, 0.1), draw.uniform(55, 61), 60.0, math.inf])
        written = len(bench.forces_written_kn())
        try:
            bench.press.command(
                force_kn=asked, ramp_kn_s=draw.uniform(0.01, 6), temperature_c=draw.uniform(0, 250)
            )
        except LimitError:
            assert len(bench.forces_written_kn()) == written
            continue
        assert asked - 0.001 <= bench.forces_written_kn()[-1] <= asked + 1e-9
        bench.clock.sleep_s(1.0)
    forces = bench.forces_written_kn()
    assert len(forces) > 30
    assert 0 <= min(forces) <= max(forces) <= 60.0


@pytest.mark.parametrize("force_kn", [-1.0, 0.001, math.nan, math.inf])
def test_a_force_that_is_none_is_refused(bench: Bench, force_kn: float) -> None:
    """Negative, uncontrollably small, NaN and infinite forces never reach the wire."""
    with pytest.raises(LimitError):
        bench.press.command(force_kn=force_kn, ramp_kn_s=1.0, temperature_c=25.0)
    assert bench.press.read().setpoint_kn == 0.0


@pytest.mark.parametrize(("fault", "name"), [("guard_open", "guard_closed"), ("remote_off", "remote_enabled")])
def test_an_open_interlock_forbids_motion(bench: Bench, fault: str, name: str) -> None:
    """The interlock is read before every moving write, and named."""
    bench.virtual.inject(fault)
    with pytest.raises((InterlockError, DeviceFault)):
        bench.press.command(force_kn=2.0, ramp_kn_s=1.0, temperature_c=25.0)
    reading = bench.press.read()
    assert reading.interlocks[name] is False
    assert reading.setpoint_kn == 0.0


def test_after_a_fault_nothing_moves_until_it_is_cleared(bench: Bench) -> None:
    """An emergency stop under force: no command, then released and cleared by a person, then again."""
    bench.press.command(force_kn=5.0, ramp_kn_s=1.0, temperature_c=25.0)
    bench.clock.sleep_s(20.0)
    bench.virtual.inject("estop")
    with pytest.raises((DeviceFault, InterlockError)):
        bench.press.command(force_kn=6.0, ramp_kn_s=1.0, temperature_c=25.0)
    bench.virtual.inject("estop_reset")
    with pytest.raises(DeviceFault, match="clear the fault"):
        bench.press.command(force_kn=6.0, ramp_kn_s=1.0, temperature_c=25.0)
    bench.press.clear_fault()
    bench.press.command(force_kn=2.0, ramp_kn_s=1.0, temperature_c=25.0)


def test_a_write_that_is_not_applied_is_found(bench: Bench) -> None:
    """A set point that the PLC accepts and forgets is a fault, before the ram starts."""
    bench.faults.ignored.add("set_force_kn")
    with pytest.raises(DeviceFault, match="accepted set_force_kn"):
        bench.press.command(force_kn=2.0, ramp_kn_s=1.0, temperature_c=25.0)


def test_a_start_that_is_not_done_is_found(bench: Bench) -> None:
    """A start that the PLC accepts and does not do is a fault within the profile's time."""
    bench.faults.ignored.add("start")
    with pytest.raises(DeviceFault, match="accepted 'start', but state is still idle"):
        bench.press.command(force_kn=2.0, ramp_kn_s=1.0, temperature_c=25.0)


def test_a_stop_that_is_not_done_calls_for_the_emergency_stop(bench: Bench) -> None:
    """make_safe looks whether the press stopped, and says so when it did not."""
    bench.press.command(force_kn=2.0, ramp_kn_s=0.01, temperature_c=25.0)
    bench.faults.ignored.add("stop")
    with pytest.raises(DeviceFault, match="use the emergency stop"):
        bench.press.make_safe()


def test_a_broken_sensor_is_a_fault_and_no_value(bench: Bench) -> None:
    """The number for an open thermocouple becomes words, never 3276.6 °C."""
    bench.break_sensor()
    reading = bench.press.read()
    assert math.isnan(reading.temperature_c)
    assert reading.fault.startswith("temperature_c: ")
    assert reading.fault.endswith("sensor open")


def test_a_line_that_vanishes_and_comes_back_is_taken_up_again(bench: Bench) -> None:
    """The next reading after a short hang-up finds the line by its link, identifies the machine and reads on."""
    bench.press.read()
    bench.port.vanish(0.2)
    wall_pause_s(0.05)
    assert bench.press.read().state is PressState.IDLE


def test_another_machine_on_the_line_that_came_back_is_refused(bench: Bench) -> None:
    """A line that comes back with another machine behind it is not trusted because of its name."""
    bench.press.read()
    bench.faults.model = 4711
    bench.port.vanish(0.1)
    wall_pause_s(0.05)
    with pytest.raises(WrongDeviceError):
        bench.press.command(force_kn=2.0, ramp_kn_s=1.0, temperature_c=25.0)


def test_the_heartbeat_is_kept_by_reading(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look writes the counter when its period has passed."""
    beats: list[int] = []
    monkeypatch.setattr(bench.virtual, "heartbeat", beats.append)
    for _ in range(5):
        bench.press.read()
        bench.clock.sleep_s(1.0)
    assert len(beats) >= 4
    assert len(set(beats)) == len(beats)


def test_the_machines_watchdog_acts_when_reading_stops(tmp_path: Path) -> None:
    """While the press is read at 1 Hz its watchdog is quiet; when nobody reads, it releases by itself."""
    bench = Bench("generic-plc-press-tcp", tmp_path, watchdog_s=10.0)
    try:
        bench.press.command(force_kn=5.0, ramp_kn_s=1.0, temperature_c=25.0)
        for _ in range(60):
            bench.clock.sleep_s(1.0)
            assert bench.press.read().fault == ""
        bench.clock.sleep_s(60.0)
        reading = bench.press.read()
        assert (reading.state, reading.fault) == (PressState.FAULT, "heartbeat lost")
        assert abs(reading.force_kn) < 0.02
    finally:
        bench.close()
