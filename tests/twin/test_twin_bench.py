"""The virtual bench: time, memory, interlocks, noise and speed."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pressopt.clock import FastClock
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.twin import sample
from pressopt.twin.bench import Bench
from pressopt.twin.laboratory import FAULTS, BenchRefusal, VirtualBench
from pressopt.twin.laws import CellState, advance
from pressopt.twin.plant import PressSpec

CELL = Cell(
    (
        Layer("Li", Role.ELECTRODE, 100.0),
        Layer("Li6PS5Cl", Role.ELECTROLYTE, 1000.0),
        Layer("Li", Role.ELECTRODE, 100.0),
    ),
    Die(12.7),
    12.7,
)


def bench(
    seed: int = 3, *, spec: PressSpec | None = None, path: Path | None = None, start_s: float = 0.0
) -> tuple[VirtualBench, FastClock]:
    clock = FastClock(start_s)
    return VirtualBench(CELL, seed=seed, clock=clock, press=spec, state_path=path), clock


def press(lab: VirtualBench, force_kn: float, *, ramp_kn_s: float = 0.5, temperature_c: float = 25.0) -> None:
    lab.set_force(force_kn)
    lab.set_ramp(ramp_kn_s)
    lab.set_temperature(temperature_c)
    lab.start()


def real_ohm(lab: VirtualBench, clock: FastClock, frequency_hz: float = 1.0) -> float:
    return lab.impedance_ohm(frequency_hz, at_s=clock.now_s()).real


def test_the_bench_keeps_the_port() -> None:
    """A virtual bench can stand wherever the wire servers want a bench."""
    port: Bench = bench()[0]
    assert port.plant().state == "idle"


def test_a_press_ramps_swings_over_and_holds() -> None:
    """Force rises at the asked rate, swings over a little, and is then kept within the refill band."""
    lab, clock = bench()
    lab.load_cell(1)
    press(lab, 4.0, ramp_kn_s=1.0)
    clock.sleep_s(2.0)
    assert lab.plant().state == "ramp"
    assert lab.plant().force_kn == pytest.approx(2.0, abs=0.02)
    clock.sleep_s(2.0)
    assert lab.plant().force_kn > 4.0
    seen = []
    for _ in range(600):
        clock.sleep_s(6.0)
        seen.append(lab.plant().force_kn)
    assert lab.plant().state == "hold"
    assert min(seen[5:]) > 4.0 * 0.98
    assert max(seen[5:]) < 4.0 * 1.01
    assert lab.plant().refills == pytest.approx(24, abs=1)


def test_looking_changes_nothing() -> None:
    """A cell that was watched all the time ends exactly like one that nobody looked at."""
    ends = []
    for looks in (1, 500):
        lab, clock = bench()
        lab.load_cell(2)
        press(lab, 3.0, temperature_c=70.0)
        for _ in range(500):
            clock.sleep_s(1.0)
            if looks > 1:
                lab.plant()
                lab.heartbeat(1)
        press(lab, 0.6)
        clock.sleep_s(300.0)
        ends.append(lab.impedance_ohm(10.0, at_s=clock.now_s()))
    assert ends[0] == ends[1]


def test_a_killed_world_goes_on_exactly(tmp_path: Path) -> None:
    """A new bench on the same file, with a clock of its own, measures what the killed one would have measured."""
    ends = []
    for kill in (False, True):
        path = tmp_path / f"world-{kill}.json"
        lab, clock = bench(path=path)
        lab.load_cell(2)
        press(lab, 3.0, temperature_c=70.0)
        clock.sleep_s(300.0)
        lab.plant()
        if kill:
            lab, clock = bench(path=path, start_s=0.0)
        clock.sleep_s(200.0)
        press(lab, 0.6)
        clock.sleep_s(120.0)
        lab.plant()
        if kill:
            lab, clock = bench(path=path, start_s=1e4)
            assert lab.plant().loaded_cell == 2
        ends.append([lab.impedance_ohm(f, at_s=clock.now_s()) for f in (1e5, 1e3, 1.0)])
    assert ends[0] == pytest.approx(ends[1], rel=1e-12)


def test_every_command_is_saved(tmp_path: Path) -> None:
    """After each command a new bench on the same file shows what was commanded."""
    path = tmp_path / "world.json"
    lab, _ = bench(path=path)
    lab.load_cell(7)
    assert bench(path=path)[0].plant().loaded_cell == 7
    lab.set_force(2.5)
    assert bench(path=path)[0].plant().setpoint_kn == 2.5
    lab.set_ramp(0.3)
    assert bench(path=path)[0].plant().ramp_kn_s == 0.3
    lab.set_temperature(60.0)
    assert bench(path=path)[0].plant().setpoint_c == 60.0
    lab.start()
    assert bench(path=path)[0].plant().state == "ramp"
    lab.stop()
    assert bench(path=path)[0].plant().setpoint_kn == 0.0


def test_a_file_of_another_laboratory_is_refused(tmp_path: Path) -> None:
    """A file that keeps another seed's world is not taken for this one."""
    path = tmp_path / "world.json"
    bench(3, path=path)[0].load_cell(1)
    with pytest.raises(BenchRefusal, match="another virtual laboratory"):
        bench(4, path=path)


def test_loading_twice_is_once_and_refused_under_force() -> None:
    """The loaded cell keeps its history when it is loaded again; no cell is exchanged under force."""
    lab, clock = bench()
    lab.load_cell(1)
    press(lab, 3.0)
    clock.sleep_s(60.0)
    before = real_ohm(lab, clock)
    lab.load_cell(1)
    assert real_ohm(lab, clock) == pytest.approx(before, rel=0.03)
    with pytest.raises(BenchRefusal, match="release first"):
        lab.load_cell(2)
    lab.stop()
    clock.sleep_s(60.0)
    lab.load_cell(2)
    press(lab, 0.13)
    clock.sleep_s(60.0)
    assert real_ohm(lab, clock) > 5 * before


def test_a_cell_that_comes_back_remembers() -> None:
    """A cell that was pressed, taken out and put back is not a new cell."""
    lab, clock = bench()
    lab.load_cell(1)
    press(lab, 3.0)
    clock.sleep_s(120.0)
    lab.stop()
    clock.sleep_s(60.0)
    lab.load_cell(2)
    lab.load_cell(1)
    assert lab.autopsy()["peak_mpa"] > 20.0


def test_the_metal_goes_in_after_formation() -> None:
    """Heating under the force of formation, or asking for it twice, is no assembly; less force than it is."""
    layers = (
        Layer("Li", Role.ELECTRODE, 100.0),
        Layer("Li6PS5Cl", Role.ELECTROLYTE, 1000.0, powder=True),
        Layer("Li", Role.ELECTRODE, 100.0),
    )
    clock = FastClock()
    lab = VirtualBench(Cell(layers, Die(10.0), 10.0), seed=3, clock=clock)
    lab.load_cell(1)
    press(lab, 0.2, ramp_kn_s=1.0)  # a first touch
    clock.sleep_s(20.0)
    for _ in range(2):
        press(lab, 23.6, ramp_kn_s=1.0, temperature_c=40.0)
        clock.sleep_s(120.0)
        assert lab.autopsy()["metal"] is False
        assert abs(lab.impedance_ohm(1.0, at_s=clock.now_s())) > 1e6
    press(lab, 2.0, ramp_kn_s=1.0)
    clock.sleep_s(10.0)
    assert lab.autopsy()["metal"] is False
    clock.sleep_s(60.0)
    seen = lab.autopsy()
    assert seen["metal"] is True
    assert seen["formed_mpa"] > 290.0
    assert seen["peak_mpa"] < 40.0
    assert seen["failures"] == ()


def test_no_heartbeat_no_force() -> None:
    """When the heartbeat stops, the machine holds or releases, as built, at its time-out and not before."""
    for releases in (False, True):
        lab, clock = bench(spec=PressSpec(watchdog_s=10.0, watchdog_releases=releases))
        lab.load_cell(1)
        lab.heartbeat(1)
        press(lab, 5.0, ramp_kn_s=0.1)
        clock.sleep_s(9.0)
        assert lab.plant().state == "ramp"
        clock.sleep_s(41.0)
        reading = lab.plant()
        assert reading.state == "fault"
        assert reading.fault_code == 4
        assert reading.force_kn == pytest.approx(0.0 if releases else 1.0, abs=0.02)
        with pytest.raises(BenchRefusal, match="not acknowledged"):
            lab.start()
        lab.acknowledge()
        assert lab.plant().state == ("idle" if releases else "hold")


def test_without_a_first_heartbeat_nobody_watches() -> None:
    """A host that never sends a heartbeat is not punished for it."""
    lab, clock = bench(spec=PressSpec(watchdog_s=10.0))
    lab.load_cell(1)
    press(lab, 2.0)
    clock.sleep_s(100.0)
    assert lab.plant().state == "hold"


@pytest.mark.parametrize(
    ("fault", "code"), [("guard_open", 1), ("estop", 2), ("power_fail", 6), ("die_fracture", 7)]
)
def test_a_fault_stops_the_machine_until_it_is_acknowledged(fault: str, code: int) -> None:
    """After each of these nothing moves until it is put right and acknowledged, and that starts nothing."""
    lab, clock = bench()
    lab.load_cell(1)
    press(lab, 5.0, ramp_kn_s=0.2)
    lab.inject(fault, after_s=5.0)
    clock.sleep_s(20.0)
    reading = lab.plant()
    assert reading.state == "fault"
    assert reading.fault_code == code
    assert reading.force_kn < 1.05
    with pytest.raises(BenchRefusal):
        lab.start()
    lab.inject("guard_closed")
    lab.inject("estop_reset")
    lab.acknowledge()
    settled = lab.plant().force_kn
    clock.sleep_s(5.0)
    assert lab.plant().force_kn <= settled + 0.02


def test_every_fault_can_be_injected() -> None:
    """Each named fault happens at its time and leaves a machine that can still be stopped."""
    for fault in FAULTS:
        lab, clock = bench()
        lab.load_cell(1)
        press(lab, 3.0)
        values = {"force_kn": 4.0} if fault == "panel_setpoint" else {}
        lab.inject(fault, after_s=30.0, **values)
        clock.sleep_s(60.0)
        lab.plant()
        lab.inject("sensors_good")
        lab.stop()
        clock.sleep_s(200.0)
        assert abs(lab.plant().force_kn) < 0.02, fault
    with pytest.raises(ValueError, match="no fault 'gremlin'"):
        bench()[0].inject("gremlin")


def test_physical_faults_show_on_the_sensors() -> None:
    """A leak costs refills, a runaway passes the set point up to the relief valve, a knob turned is seen."""
    lab, clock = bench()
    lab.load_cell(1)
    press(lab, 3.0)
    clock.sleep_s(60.0)
    few = lab.plant().refills
    lab.inject("leak", per_min=0.05)
    clock.sleep_s(600.0)
    assert lab.plant().refills > few + 40
    lab.inject("panel_setpoint", force_kn=3.5)
    clock.sleep_s(20.0)
    assert lab.plant().setpoint_kn == 3.5
    assert lab.plant().force_kn == pytest.approx(3.5, rel=0.03)
    lab.inject("runaway", rate_kn_s=5.0)
    clock.sleep_s(60.0)
    assert lab.plant().force_kn == pytest.approx(lab.press.relief_kn, rel=0.01)
    lab.inject("stuck_thermocouple")
    lab.set_temperature(80.0)
    clock.sleep_s(600.0)
    assert lab.plant().temperature_c < 30.0
    lab.inject("open_thermocouple")
    assert lab.plant().temperature_c > 900.0


def test_out_of_range_is_refused_with_the_range() -> None:
    """A set point that the machine cannot take is refused, with what it can."""
    lab, _ = bench()
    with pytest.raises(BenchRefusal, match=r"force 80 kN is not allowed: 0 to 60 kN"):
        lab.set_force(80.0)
    with pytest.raises(BenchRefusal, match="temperature"):
        lab.set_temperature(float("nan"))
    with pytest.raises(BenchRefusal, match="ramp rate"):
        lab.set_ramp(0.0)


def test_an_empty_press_is_an_open_circuit() -> None:
    """Without a cell the analyser sees the fixture alone."""
    lab, clock = bench()
    assert abs(lab.impedance_ohm(1e3, at_s=clock.now_s())) > 1e6
    assert lab.dc_resistance_ohm() == float("inf")


def test_noise_has_the_size_it_claims_and_returns_with_the_seed() -> None:
    """Repeated looks differ by 0.3 to 0.5 %; another bench with the same seed sees the same noise."""
    first, clock = bench()
    again, other = bench()
    values = []
    for lab, now in ((first, clock), (again, other)):
        lab.load_cell(1)
        press(lab, 3.0)
        now.sleep_s(5000.0)
        values.append(np.array([lab.impedance_ohm(1e4, at_s=now.now_s()) for _ in range(2000)]))
    assert np.array_equal(values[0], values[1])
    spread = np.std(values[0].real) / abs(np.mean(values[0]))
    assert 0.0028 < spread < 0.0053
    assert abs(np.corrcoef(values[0].real, values[0].imag)[0, 1]) < 0.1


def test_an_hour_costs_about_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour's hold, ramp and heating included, takes a few steps of the laws; a look at the machine none."""
    lab, clock = bench()
    lab.load_cell(1)
    steps: list[float] = []

    def counted(*args: Any) -> CellState:
        steps.append(float(args[4]))
        return advance(*args)

    monkeypatch.setattr(sample, "advance", counted)
    best_hour = best_look = math.inf
    for k in range(20):
        press(lab, 3.0 + 0.01 * k, temperature_c=60.0 + k)
        steps.clear()
        clock.sleep_s(3600.0)
        begin = time.thread_time()
        lab.impedance_ohm(1e3, at_s=clock.now_s())
        best_hour = min(best_hour, time.thread_time() - begin)
        assert len(steps) <= 12
        assert sum(steps) == pytest.approx(3600.0)
        begin = time.thread_time()
        for _ in range(20):
            lab.plant()
        best_look = min(best_look, (time.thread_time() - begin) / 20)
        assert len(steps) <= 12
    assert best_hour < 5e-3  # about 1 ms on a core of one's own
    assert best_look < 5e-4
