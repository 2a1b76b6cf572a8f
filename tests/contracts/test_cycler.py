"""The port Cycler: the same promises on every cycler there is, and what its tables say of a cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.clock import FastClock, wall_monotonic_s, wall_pause_s
from pressopt.errors import (
    DeviceFault,
    DeviceRefused,
    InputError,
    LimitError,
    LinkRefused,
    LinkTimeout,
    ReplyError,
)
from pressopt.impedance.cycling import (
    CurrentStep,
    CyclingPlan,
    CyclingRecord,
    cycling_from_bytes,
    cycling_to_bytes,
    find_end,
    ramp_plan,
)
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments import connect_analyzer, connect_cycler
from pressopt.instruments.cycler import REQUEST, FolderCycler
from pressopt.instruments.methodscript_link import MethodScriptLink
from pressopt.instruments.methodscript_text import half_cycle_script
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.profiles import load_profile
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.server import TwinServer

CELL = Cell(
    (
        Layer("Li", Role.ELECTRODE, 100.0),
        Layer("Li6PS5Cl", Role.ELECTROLYTE, 700.0, relative_density=0.9),
        Layer("Li", Role.ELECTRODE, 100.0),
    ),
    Die(10.0),
    10.0,
)
AREA = CELL.area_cm2
RAMP = ramp_plan(low_ma_cm2=0.1, high_ma_cm2=6.0, step_ma_cm2=0.1, half_cycle_s=600.0, area_cm2=AREA, limit_v=5.0)


def pressed(clock: FastClock) -> VirtualBench:
    """A cell that has been under the press for ten minutes."""
    virtual = VirtualBench(CELL, seed=3, clock=clock)
    virtual.load_cell(1)
    virtual.set_force(CELL.die.force_kn(20.0))
    virtual.set_ramp(1.0)
    virtual.start()
    clock.sleep_s(600.0)
    return virtual


class Bench:
    """A pressed cell on a cycler: one that is driven through a folder, or one that runs MethodSCRIPT."""

    def __init__(self, kind: str, folder: Path, *, limit_a: float = 0.03) -> None:
        self.clock = FastClock()
        self.virtual = pressed(self.clock)
        shipped = load_profile({"folder": "folder-drop-cycler", "wire": "generic-methodscript-cycler"}[kind])
        machine = shipped.cycler
        assert machine is not None
        machine = replace(machine, limit_a=limit_a, limit_v=5.0, settle_s=0.2, wait_s=60.0)
        quick = replace(shipped.link, timeout_s=0.3, silence_s=0.3)
        self.profile = replace(shipped, cycler=machine, link=quick)
        self.server = TwinServer(self.virtual, {"cycler": self.profile}, self.clock, links=folder)
        self.server.__enter__()
        self.cycler = connect_cycler(self.profile, self.clock, self.server.urls["cycler"])

    @property
    def current_is_on(self) -> bool:
        """What the device itself says."""
        programs = [program.current_is_on for program in self.server.cyclers.values()]
        return any([*programs, *(device.cell_is_on for device in self.server.galvanostats.values())])

    def close(self) -> None:
        self.cycler.close()
        self.server.__exit__(None, None, None)


@pytest.fixture(params=["folder", "wire"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture
def folder_bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench("folder", tmp_path)
    yield made
    made.close()


@pytest.fixture
def wire_bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench("wire", tmp_path)
    yield made
    made.close()


SHORT_PLAN = CyclingPlan((CurrentStep(0.05, 60.0, 4),), AREA, 3.0)


def test_who_answers_is_told(bench: Bench) -> None:
    """The folder, or firmware and serial number; capability is the profile's."""
    assert bench.cycler.identify()
    assert bench.cycler.capability.name == bench.profile.name
    assert bench.cycler.capability.limit_a == 0.03


def test_the_critical_current_of_a_cell_is_found_by_a_ramp(bench: Bench) -> None:
    """What the ramp says is what the virtual cell bears, within one step; the cell is off afterwards."""
    truth, _ = bench.virtual.endurance()
    found = find_end(bench.cycler.cycle(RAMP), RAMP)
    assert found.critical_ma_cm2 is not None
    value, sd = found.critical_ma_cm2
    assert (found.ended_by, found.censored) == ("short", False)
    assert abs(value - truth) <= 0.1
    assert sd == pytest.approx(0.1 / np.sqrt(12))
    assert not bench.current_is_on


def test_life_is_found_by_cycling(folder_bench: Bench) -> None:
    """Near its critical current the cell lives as long as the virtual cell does, but for its creep."""
    critical, life = folder_bench.virtual.endurance()
    share = 0.9
    expected = life * share**-1.5
    plan = CyclingPlan((CurrentStep(share * critical, 60.0, int(2 * expected) + 5),), AREA, 5.0)
    found = find_end(folder_bench.cycler.cycle(plan), plan)
    assert found.life_cycles is not None
    assert found.life_cycles[0] == pytest.approx(expected, rel=0.15)


def test_a_cell_that_outlives_the_plan_gives_a_lower_bound(bench: Bench) -> None:
    """Nothing short is made up: the plan's end is told as a bound, and the whole plan is in the record."""
    record = bench.cycler.cycle(SHORT_PLAN)
    found = find_end(record, SHORT_PLAN)
    assert (found.censored, found.life_cycles) == (True, (4.0, 1.0))
    assert "lower bounds" in found.reasons[0]
    assert record.time_s[-1] - record.time_s[0] > 0.95 * SHORT_PLAN.duration_s
    assert np.abs(record.current_a) == pytest.approx(SHORT_PLAN.highest_a, rel=1e-4)


def test_progress_is_told_in_cycles(bench: Bench) -> None:
    """on_point counts cycles up to the plan's."""
    seen: list[tuple[int, int]] = []
    bench.cycler.cycle(SHORT_PLAN, on_point=lambda *at: seen.append(at))
    assert seen == sorted(seen)
    assert seen[-1][1] == 4


def test_beyond_its_limits_nothing_is_asked(bench: Bench) -> None:
    """Current and voltage above what the cycler may do are refused together, and no current flows."""
    beyond = CyclingPlan((CurrentStep(100.0, 60.0),), AREA, 6.0)
    with pytest.raises(LimitError) as told:
        bench.cycler.cycle(beyond)
    assert len(told.value.violations) == 2
    assert not bench.current_is_on
    assert not list(Path(bench.server.urls["cycler"]).glob("*.json"))
    assert all(device.runs == 0 for device in bench.server.galvanostats.values())


def test_make_safe_twice_is_harmless(bench: Bench) -> None:
    """No current afterwards, and the next plan runs."""
    bench.cycler.make_safe()
    bench.cycler.make_safe()
    assert not bench.current_is_on
    assert find_end(bench.cycler.cycle(SHORT_PLAN), SHORT_PLAN).censored


def test_a_person_who_breaks_off_leaves_no_current(bench: Bench) -> None:
    """Whatever leaves a cycling (Ctrl-C, a mistake of ours), the current is off."""

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.cycler.cycle(SHORT_PLAN, on_point=leave)
    end_s = wall_monotonic_s() + 20.0
    while bench.current_is_on and wall_monotonic_s() < end_s:
        wall_pause_s(0.01)
    assert not bench.current_is_on


# ---------------------------------------------------------------------- the folder


def test_a_table_that_never_comes_is_a_time_out(folder_bench: Bench) -> None:
    """Nobody started it: after plan and patience it is said, and the request is taken back."""
    folder_bench.server.cyclers["cycler"].faults.idle = True
    with pytest.raises(LinkTimeout, match="was it started"):
        folder_bench.cycler.cycle(CyclingPlan((CurrentStep(0.05, 60.0),), AREA))
    assert not (Path(folder_bench.server.urls["cycler"]) / REQUEST).exists()


@pytest.mark.parametrize(("fault", "told"), [("rubbish", "lacks"), ("break_after", "were asked")])
def test_a_table_that_is_none_or_half_is_no_result(folder_bench: Bench, fault: str, told: str) -> None:
    """Rubbish, and a table that ends early while the cell still works, are errors in words."""
    program = folder_bench.server.cyclers["cycler"]
    setattr(program.faults, fault, "a,b\n1,2\n" if fault == "rubbish" else 1)
    with pytest.raises(ReplyError, match=told):
        folder_bench.cycler.cycle(CyclingPlan((CurrentStep(0.05, 60.0, 5),), AREA))
    assert not folder_bench.current_is_on


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A drive that is not mounted is said before anything is asked."""
    with pytest.raises(LinkRefused, match="mounted"):
        FolderCycler(tmp_path / "nowhere", FastClock()).identify()


def test_the_request_says_what_to_run(folder_bench: Bench) -> None:
    """Steps, area and voltage limit are written for people and scripts, and taken back by make_safe."""
    assert isinstance(folder_bench.cycler, FolderCycler)
    folder_bench.cycler._ask(RAMP)
    request = Path(folder_bench.server.urls["cycler"]) / REQUEST
    asked = json.loads(request.read_text())
    assert asked["schema"] == "pressopt/cycling-request/1"
    assert len(asked["steps"]) == 60
    assert asked["steps"][9]["current_ma_cm2"] == pytest.approx(1.0)
    folder_bench.cycler.make_safe()
    assert not request.exists()


# ---------------------------------------------------------------------- MethodSCRIPT


@pytest.mark.parametrize(
    ("fault", "value", "error", "told"),
    [
        ("refuse_script", 0x4004, DeviceRefused, "wrong argument"),
        ("break_at", 5, DeviceFault, "severe overload"),
        ("abort_at", 5, ReplyError, "5 of 16 points"),
        ("mute_at", 5, LinkTimeout, "sent nothing"),
        ("overload_points", {3}, ReplyError, "overloaded"),
        ("open_leads", True, ReplyError, "are the leads connected"),
    ],
)
def test_what_breaks_a_half_cycle_is_no_result_and_leaves_no_current(
    wire_bench: Bench,
    fault: str,
    value: object,
    error: type[Exception],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refused script, a run-time error, an abort, silence, an overload and open leads are errors in words."""
    monkeypatch.setattr("pressopt.instruments.methodscript_link._LOOK_S", 0.05)
    device = wire_bench.server.galvanostats["cycler"]
    setattr(device.faults, fault, value)
    with pytest.raises(error, match=told):
        wire_bench.cycler.cycle(SHORT_PLAN)
    assert not device.cell_is_on
    device.faults = type(device.faults)()
    assert find_end(wire_bench.cycler.cycle(SHORT_PLAN), SHORT_PLAN).censored


def test_the_device_itself_ends_a_half_cycle_beyond_the_voltage(wire_bench: Bench) -> None:
    """A cell that polarises is left by the script, before the half cycle is over, and that is its end."""
    ohm = wire_bench.virtual.dc_resistance_ohm()
    plan = CyclingPlan((CurrentStep(2.0, 600.0),), AREA, round(0.5 * 2.0e-3 * AREA * ohm, 3))
    record = wire_bench.cycler.cycle(plan)
    assert len(record.time_s) == 1
    assert (find_end(record, plan).ended_by, find_end(record, plan).censored) == ("polarised", False)


def test_no_current_outlives_the_program_by_more_than_a_half_cycle(wire_bench: Bench) -> None:
    """The script that a killed program leaves behind ends by itself."""
    device = wire_bench.server.galvanostats["cycler"]
    script = half_cycle_script(1e-4, seconds=60.0, interval_s=1.0, limit_v=1.0)
    device.start_streaming(script.removeprefix("e\n"))
    wire_bench.clock.sleep_s(1.0)
    end_s = wall_monotonic_s() + 20.0
    while not device.cell_is_on and wall_monotonic_s() < end_s:
        wall_pause_s(0.01)
    assert device.cell_is_on
    wire_bench.clock.sleep_s(60.0)
    while device.cell_is_on and wall_monotonic_s() < end_s:
        wall_pause_s(0.01)
    assert not device.cell_is_on


def test_one_potentiostat_measures_and_cycles_over_one_line() -> None:
    """Analyser and cycler at one place share the line that only one may own, and take turns on it."""
    clock = FastClock()
    virtual = pressed(clock)
    profiles = {
        "analyzer": replace(
            load_profile("generic-methodscript-analyzer"), link=load_profile("generic-methodscript-cycler").link
        ),
        "cycler": load_profile("generic-methodscript-cycler"),
    }
    with TwinServer(virtual, profiles, clock) as server:
        assert server.urls["analyzer"] == server.urls["cycler"]
        shared: dict[str, MethodScriptLink] = {}
        analyzer = connect_analyzer(profiles["analyzer"], clock, server.urls["analyzer"], shared=shared)
        cycler = connect_cycler(profiles["cycler"], clock, server.urls["cycler"], shared=shared)
        assert analyzer.measure(Sweep(high_hz=1e5, low_hz=100.0)).good.all()
        assert find_end(cycler.cycle(SHORT_PLAN), SHORT_PLAN).censored
        analyzer.close()
        assert find_end(cycler.cycle(SHORT_PLAN), SHORT_PLAN).censored  # the line is open while one still uses it
        cycler.close()


# ---------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    "text",
    [
        "Test Time / s,Voltage / V,Current / A,Cycle Count / 1\n1,0.01,0.001,1\n2,0.01,0.001,1\n",
        "time/s;Ewe/V;I/mA;cycle number\n1,0;0,01;1,0;1\n2,0;0,01;1,0;1\n",
        "Test_Time(s)\tVoltage(V)\tCurrent(A)\tCycle_Index\n1\t0.01\t0.001\t1\n2\t0.01\t0.001\t1\n",
    ],
    ids=["bdf", "biologic with decimal comma", "arbin"],
)
def test_tables_of_any_cycler_are_read(text: str) -> None:
    """Column names, milliampere, separators and decimal commas of common programs."""
    record = cycling_from_bytes(text.encode())
    assert record.time_s.tolist() == [1.0, 2.0]
    assert record.current_a.tolist() == [0.001, 0.001]
    assert record.voltage_v.tolist() == [0.01, 0.01]


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "no table"), ("a,b\n1,2\n", "lacks Test Time / s"),
     ("time/s,Ewe/V,I/A,cycle\n1,x,0.1,1\n", "line 2"),
     ("time/s,Ewe/V,I/A,cycle\n2,1,1,1\n1,1,1,1\n", "time goes back"),
     ("time/s,Ewe/V,I/A,cycle\n1,nan,1,1\n", "not finite")],
)  # fmt: skip
def test_what_is_no_table_is_refused(text: str, told: str) -> None:
    """Each with what is wrong."""
    with pytest.raises(InputError, match=told):
        cycling_from_bytes(text.encode())


@given(st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=20))
def test_a_record_survives_the_disk(values: list[float]) -> None:
    """Floats are read back bit for bit."""
    column = np.array(values)
    record = CyclingRecord(
        np.arange(len(values), dtype=float), column, column, np.ones(len(values), dtype=np.int64)
    )
    again = cycling_from_bytes(cycling_to_bytes(record))
    assert again.voltage_v.tolist() == values
    assert again.current_a.tolist() == values


def made_up(ratios: list[float], plan: CyclingPlan) -> CyclingRecord:
    """A record whose resistance in each half cycle is one of ``ratios`` (Ω), constant."""
    rows = []
    time_s = 0.0
    currents = plan.currents_ma_cm2()
    for index, ohm in enumerate(ratios):
        current = currents[index // 2] * plan.area_cm2 / 1000 * (1 if index % 2 == 0 else -1)
        for _ in range(8):
            time_s += 1.0
            rows.append((time_s, current * ohm, current, index // 2 + 1))
    columns = np.array(rows).T
    return CyclingRecord(columns[0], columns[1], columns[2], columns[3].astype(np.int64))


@given(bad=st.integers(1, 9), how=st.sampled_from(["short", "polarised"]))
def test_the_end_is_found_wherever_it_comes(bad: int, how: str) -> None:
    """A fall below half, or a rise above three times the lowest resistance ends the cell in that very cycle."""
    plan = CyclingPlan(tuple(CurrentStep(0.5 * k, 60.0) for k in range(1, 11)), 1.0, 100.0)
    ratios = [50.0] * (2 * bad) + [10.0 if how == "short" else 200.0] + [50.0] * (19 - 2 * bad)
    found = find_end(made_up(ratios, plan), plan)
    assert found.ended_by == how
    assert found.critical_ma_cm2 is not None
    assert found.critical_ma_cm2[0] == pytest.approx(0.5 * (bad + 1) - 0.25)
    assert found.life_cycles is not None
    assert found.life_cycles[0] == bad + 0.5
