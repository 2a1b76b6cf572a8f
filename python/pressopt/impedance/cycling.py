"""Galvanostatic steps and cycling: what is asked of a cycler, what it measured, and what that says of the cell.

The critical current density is where a cell shorts (its voltage falls) or polarises (its voltage runs away) while
the current is raised step by step; its life is the number of cycles until it does. That a cell may end either way
is Kasemchainan, Nat. Mater. 18 (2019) 1105; the shares of resistance below, by which they are told, are assumed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, Violation

Real = npt.NDArray[np.float64]

#: A short: resistance (voltage over current) below this share of the lowest before. Assumed.
SHORT_REL = 0.5
#: Polarised: resistance above this multiple of the lowest before. Assumed.
POLARISED_REL = 3.0
#: Columns of the Battery Data Format (Battery Data Alliance) and names that cyclers give them.
COLUMNS = {
    "time_s": ("Test Time / s", "test_time_second", "time/s", "Test_Time(s)", "t/s"),
    "voltage_v": ("Voltage / V", "voltage_volt", "Ewe/V", "Voltage(V)", "U/V"),
    "current_a": ("Current / A", "current_ampere", "I/A", "Current(A)"),
    "cycle": ("Cycle Count / 1", "cycle_count", "cycle number", "Cycle_Index", "cycle"),
}
_MILLI = {"I/mA": "current_a", "<I>/mA": "current_a", "Current / mA": "current_a"}


@dataclass(frozen=True, slots=True)
class CurrentStep:
    """Some cycles at one current density: plating, then stripping, each for ``half_cycle_s``."""

    current_ma_cm2: float
    half_cycle_s: float
    cycles: int = 1


@dataclass(frozen=True, slots=True)
class CyclingPlan:
    """What a cycler is asked.

    Attributes:
        steps: In order.
        area_cm2: Area of the electrode, cm².
        limit_v: The cycler stops beyond this voltage, V.
    """

    steps: tuple[CurrentStep, ...]
    area_cm2: float
    limit_v: float = 1.0

    def __post_init__(self) -> None:
        wrong = []
        if not self.steps:
            wrong.append(Violation("steps", "a plan needs at least one step"))
        for number, step in enumerate(self.steps, start=1):
            if not (step.current_ma_cm2 > 0 and step.half_cycle_s > 0 and step.cycles >= 1):
                wrong.append(Violation(f"steps.{number}", f"{step} is not possible: give positive numbers"))
        if not (self.area_cm2 > 0 and self.limit_v > 0):
            wrong.append(
                Violation("area_cm2", f"{self.area_cm2} cm² up to {self.limit_v} V: give positive numbers")
            )
        if wrong:
            raise InputError(wrong)

    @property
    def cycles(self) -> int:
        """How many cycles in all."""
        return sum(step.cycles for step in self.steps)

    @property
    def constant(self) -> bool:
        """Whether all cycles have one current: for life, not for the critical current."""
        return len(self.steps) == 1

    @property
    def duration_s(self) -> float:
        """How long all of it takes, s."""
        return sum(2 * step.cycles * step.half_cycle_s for step in self.steps)

    @property
    def highest_a(self) -> float:
        """Highest current, A."""
        return max(step.current_ma_cm2 for step in self.steps) * self.area_cm2 / 1000

    def currents_ma_cm2(self) -> list[float]:
        """Current density of each cycle, in order."""
        return [step.current_ma_cm2 for step in self.steps for _ in range(step.cycles)]


def ramp_plan(
    *, low_ma_cm2: float, high_ma_cm2: float, step_ma_cm2: float, half_cycle_s: float, area_cm2: float,
    limit_v: float = 1.0,
) -> CyclingPlan:  # fmt: skip
    """One cycle each at rising current densities, for the critical one."""
    if not 0 < low_ma_cm2 < high_ma_cm2 or not step_ma_cm2 > 0:
        raise InputError(f"{low_ma_cm2} to {high_ma_cm2} mA/cm² by {step_ma_cm2}: give a rising ramp")
    count = math.floor((high_ma_cm2 - low_ma_cm2) / step_ma_cm2 + 1e-9) + 1
    steps = tuple(CurrentStep(low_ma_cm2 + index * step_ma_cm2, half_cycle_s) for index in range(count))
    return CyclingPlan(steps, area_cm2, limit_v)


@dataclass(frozen=True)
class CyclingRecord:
    """What a cycler measured, shape (n,) each: time (s), voltage (V), current (A), cycle (from 1)."""

    time_s: Real
    voltage_v: Real
    current_a: Real
    cycle: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CyclingFinding:
    """What cycling says of a cell.

    Attributes:
        critical_ma_cm2: Critical current density and its standard deviation, mA/cm²; ``None``: not found.
        life_cycles: Cycles until the end and their standard deviation; ``None``: not found.
        ended_by: ``short``, ``polarised``, or empty: the plan was done and the cell still worked.
        censored: Whether the cell might have gone on: the values are lower bounds.
        reasons: In words.
    """

    critical_ma_cm2: tuple[float, float] | None
    life_cycles: tuple[float, float] | None
    ended_by: str
    censored: bool
    reasons: tuple[str, ...]


class EndWatch:
    """Watches a cell for its end, half cycle by half cycle, as they come.

    Args:
        plan: What it is cycled by.
    """

    def __init__(self, plan: CyclingPlan) -> None:
        self._currents, self._limit_v = plan.currents_ma_cm2(), plan.limit_v
        self._lowest_ohm = math.inf
        self._done = 0

    def add(self, cycle: int, half: CyclingRecord) -> CyclingFinding | None:
        """Judge one more half cycle of number ``cycle`` (from 1); return the end if it is one, else None."""
        ratio_ohm = np.abs(half.voltage_v) / np.maximum(np.abs(half.current_a), 1e-12)
        head_ohm = float(np.median(ratio_ohm[: max(1, len(ratio_ohm) // 4)]))
        best = self._lowest_ohm if math.isfinite(self._lowest_ohm) else head_ohm
        tail_ohm = float(np.median(ratio_ohm[-max(1, len(ratio_ohm) // 4) :]))
        short, polarised = tail_ohm < SHORT_REL * best, tail_ohm > POLARISED_REL * best
        if short or polarised or float(np.abs(half.voltage_v).max()) >= self._limit_v:
            return _ended(self._currents, cycle, "short" if short else "polarised")
        self._lowest_ohm = min(best, head_ohm, tail_ohm)
        self._done = max(self._done, cycle)
        return None

    def lower_bound(self) -> CyclingFinding:
        """What is known of a cell that has not ended; raises InputError when it was not cycled at all."""
        if self._done == 0:
            raise InputError("the record holds no cycle of what was asked: is it another file?")
        top = self._currents[self._done - 1]
        reason = f"no short up to {top:g} mA/cm² and {self._done} cycles: the values are lower bounds"
        return CyclingFinding(
            (top, _step(self._currents, self._done)), (float(self._done), 1.0), "", True, (reason,)
        )


def find_end(record: CyclingRecord, plan: CyclingPlan) -> CyclingFinding:
    """Where the cell shorted or polarised, read off voltage over current of each half cycle.

    Raises:
        InputError: The record holds no cycle of the plan.
    """
    watch = EndWatch(plan)
    for number, half in _halves(record):
        if number > plan.cycles:
            break
        found = watch.add(number, half)
        if found is not None:
            return found
    return watch.lower_bound()


def _ended(currents: list[float], number: int, how: str) -> CyclingFinding:
    """The end came in cycle ``number``, from 1: between the last good current and this one."""
    step = _step(currents, number)
    before = currents[number - 2] if number > 1 else max(0.0, currents[0] - step)
    critical = 0.5 * (before + currents[number - 1])
    sd = max(currents[number - 1] - before, 1e-3 * critical) / math.sqrt(12)
    where = f"{how} in cycle {number} at {currents[number - 1]:g} mA/cm²"
    return CyclingFinding((critical, sd), (number - 0.5, 1 / math.sqrt(12)), how, False, (where,))


def _step(currents: list[float], number: int) -> float:
    steps = [abs(b - a) for a, b in pairwise(currents) if b != a]
    return steps[min(number, len(steps)) - 1] if steps else currents[0]


def _halves(record: CyclingRecord) -> Iterator[tuple[int, CyclingRecord]]:
    """Half cycles in order, with the number of their cycle; rest (no current) is left out."""
    sign = np.sign(record.current_a)
    keys = record.cycle * 4 + sign.astype(np.int64)
    edges = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), len(keys)]
    for first, last in pairwise(edges):
        if last > first and sign[first] != 0:
            part = slice(first, last)
            yield (
                int(record.cycle[first]),
                CyclingRecord(
                    record.time_s[part], record.voltage_v[part], record.current_a[part], record.cycle[part]
                ),
            )


def cycling_to_bytes(record: CyclingRecord) -> bytes:
    """A record as CSV with the columns of the Battery Data Format; floats are read back bit for bit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([names[0] for names in COLUMNS.values()])
    columns = (record.time_s, record.voltage_v, record.current_a, record.cycle)
    writer.writerows(zip(*(column.tolist() for column in columns), strict=True))
    return out.getvalue().encode()


def cycling_from_bytes(data: bytes) -> CyclingRecord:
    """Read a table of cycling from any cycler: comma, semicolon or tab; columns as in :data:`COLUMNS`.

    Raises:
        InputError: It is no such table; says what is missing.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    lines = text.splitlines()
    if len(lines) < 2:
        raise InputError("the file holds no table of cycling: it needs a header and rows")
    delimiter = max(("\t", ";", ","), key=lines[0].count)
    header = [name.strip().strip('"') for name in lines[0].split(delimiter)]
    place, factor = {}, {}
    for name, known in COLUMNS.items():
        found = [index for index, each in enumerate(header) if each in known]
        milli = [index for index, each in enumerate(header) if _MILLI.get(each) == name]
        if found or milli:
            place[name], factor[name] = (found or milli)[0], 1.0 if found else 1e-3
    missing = [names[0] for name, names in COLUMNS.items() if name not in place]
    if missing:
        raise InputError(f"the table lacks {', '.join(missing)}; it has {', '.join(header)}")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split(delimiter)
        try:
            texts = [cells[place[name]].strip() for name in COLUMNS]
            values = [float(one if delimiter == "," else one.replace(",", ".")) for one in texts]
        except (ValueError, IndexError) as error:
            raise InputError(f"line {number} of the table is no row of numbers: {error}") from error
        rows.append([value * factor[name] for name, value in zip(COLUMNS, values, strict=True)])
    if not rows or not np.isfinite(rows).all():
        raise InputError("the table holds no rows, or numbers that are not finite")
    table = np.array(rows, dtype=np.float64)
    if (np.diff(table[:, 0]) < 0).any():
        raise InputError("time goes back in the table: are these several measurements?")
    return CyclingRecord(table[:, 0], table[:, 1], table[:, 2], np.rint(table[:, 3]).astype(np.int64))


__all__ = [
    "COLUMNS",
    "CurrentStep",
    "CyclingFinding",
    "CyclingPlan",
    "CyclingRecord",
    "EndWatch",
    "cycling_from_bytes",
    "cycling_to_bytes",
    "find_end",
    "ramp_plan",
]
