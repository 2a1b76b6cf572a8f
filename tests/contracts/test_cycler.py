"""The port Cycler: the same promises on every cycler there is, and what its tables say of a cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.clock import FastClock
from pressopt.errors import InputError, LimitError, LinkRefused, LinkTimeout, ReplyError
from pressopt.impedance.cycling import (
    CurrentStep,
    CyclingPlan,
    CyclingRecord,
    cycling_from_bytes,
    cycling_to_bytes,
    find_end,
    ramp_plan,
)
from pressopt.instruments.cycler import REQUEST, FolderCycler
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.twin.cycler import CyclerProgram
from pressopt.twin.laboratory import VirtualBench

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


class Bench:
    """A pressed cell on a cycler that is driven through a folder."""

    def __init__(self, folder: Path, *, cell: int = 1) -> None:
        self.clock = FastClock()
        self.virtual = VirtualBench(CELL, seed=3, clock=self.clock)
        self.virtual.load_cell(cell)
        self.virtual.set_force(CELL.die.force_kn(20.0))
        self.virtual.set_ramp(1.0)
        self.virtual.start()
        self.clock.sleep_s(600.0)
        self.program = CyclerProgram(self.virtual, self.clock, folder, request=REQUEST)
        self.program.__enter__()
        self.cycler = FolderCycler(folder, self.clock, settle_s=0.2, wait_s=60.0)

    def close(self) -> None:
        self.program.__exit__(None, None, None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_the_critical_current_of_a_cell_is_found_by_a_ramp(bench: Bench) -> None:
    """What the ramp says is what the virtual cell bears, within one step."""
    truth, _ = bench.virtual.endurance()
    found = find_end(bench.cycler.cycle(RAMP), RAMP)
    assert found.critical_ma_cm2 is not None
    value, sd = found.critical_ma_cm2
    assert (found.ended_by, found.censored) == ("short", False)
    assert abs(value - truth) <= 0.1
    assert sd == pytest.approx(0.1 / np.sqrt(12))
    assert not bench.program.current_is_on
    assert not (bench.cycler._folder / REQUEST).exists()


def test_life_is_found_by_cycling(bench: Bench) -> None:
    """At two thirds of its critical current the cell lives as long as the virtual cell does, but for its creep."""
    critical, life = bench.virtual.endurance()
    current = critical / 1.5
    expected = life * 1.5**1.5
    plan = CyclingPlan((CurrentStep(current, 60.0, int(2 * expected) + 5),), AREA, 5.0)
    found = find_end(bench.cycler.cycle(plan), plan)
    assert found.life_cycles is not None
    assert found.life_cycles[0] == pytest.approx(expected, rel=0.15)


def test_a_cell_that_outlives_the_plan_gives_a_lower_bound(bench: Bench) -> None:
    """Nothing short is made up: the plan's end is told as a bound."""
    plan = CyclingPlan((CurrentStep(0.05, 60.0, 3),), AREA, 5.0)
    found = find_end(bench.cycler.cycle(plan), plan)
    assert (found.censored, found.life_cycles) == (True, (3.0, 1.0))
    assert "lower bounds" in found.reasons[0]


def test_progress_is_told_in_cycles(bench: Bench) -> None:
    """on_point counts cycles up to the plan's."""
    seen: list[tuple[int, int]] = []
    bench.cycler.cycle(
        CyclingPlan((CurrentStep(0.05, 600.0, 4),), AREA, 5.0), on_point=lambda *at: seen.append(at)
    )
    assert seen == sorted(seen)
    assert seen[-1][1] == 4


def test_beyond_its_limits_nothing_is_asked(bench: Bench) -> None:
    """Current and voltage above what the cycler may do are refused together, and no request is written."""
    small = FolderCycler(bench.cycler._folder, bench.clock, limit_a=1e-4, limit_v=0.5)
    with pytest.raises(LimitError) as told:
        small.cycle(RAMP)
    assert len(told.value.violations) == 2
    assert not (bench.cycler._folder / REQUEST).exists()


def test_a_table_that_never_comes_is_a_time_out(bench: Bench) -> None:
    """Nobody started it: after plan and patience it is said, and the request is taken back."""
    bench.program.faults.idle = True
    with pytest.raises(LinkTimeout, match="was it started"):
        bench.cycler.cycle(CyclingPlan((CurrentStep(0.05, 60.0),), AREA))
    assert not (bench.cycler._folder / REQUEST).exists()


@pytest.mark.parametrize(("fault", "told"), [("rubbish", "lacks"), ("break_after", "were asked")])
def test_a_table_that_is_none_or_half_is_no_result(bench: Bench, fault: str, told: str) -> None:
    """Rubbish, and a table that ends early while the cell still works, are errors in words."""
    setattr(bench.program.faults, fault, "a,b\n1,2\n" if fault == "rubbish" else 1)
    with pytest.raises(ReplyError, match=told):
        bench.cycler.cycle(CyclingPlan((CurrentStep(0.05, 60.0, 5),), AREA))
    assert not bench.program.current_is_on


def test_make_safe_stops_the_other_program_and_twice_is_harmless(bench: Bench) -> None:
    """The request is gone, and the program lets go of the cell."""
    bench.cycler._ask(RAMP)
    bench.cycler.make_safe()
    bench.cycler.make_safe()
    assert not (bench.cycler._folder / REQUEST).exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A drive that is not mounted is said before anything is asked."""
    with pytest.raises(LinkRefused, match="mounted"):
        FolderCycler(tmp_path / "nowhere", FastClock()).identify()


def test_the_request_says_what_to_run(bench: Bench) -> None:
    """Steps, area and voltage limit are written for people and scripts."""
    bench.cycler._ask(RAMP)
    asked = json.loads((bench.cycler._folder / REQUEST).read_text())
    assert asked["schema"] == "pressopt/cycling-request/1"
    assert len(asked["steps"]) == 60
    assert asked["steps"][9]["current_ma_cm2"] == pytest.approx(1.0)
    bench.cycler.make_safe()


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
