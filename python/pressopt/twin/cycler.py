"""A virtual cell under current, and the virtual program of a cycler that works through a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pressopt.clock import Clock
from pressopt.twin.requested_program import ProgramFaults, RequestedProgram

#: The file by which the program is told what to run.
CYCLING_REQUEST = "pressopt-cycling.json"
_POINTS = 16  # rows of a half cycle
_SHORTED = 0.05  # share of its resistance that a shorted cell keeps (assumed)
_SOFTENING = 0.2  # how much the resistance grows towards the critical current (assumed: loss of contact)


class CycledCell(Protocol):
    """The side of a bench that a cycler sees."""

    @property
    def cell_state(self) -> tuple[int, int]:
        """Changes when another cell is loaded, or this one is pressed on."""
        ...

    @property
    def area_cm2(self) -> float:
        """Area of the electrode, cm²."""
        ...

    def dc_resistance_ohm(self) -> float: ...

    def endurance(self) -> tuple[float, float]:
        """Critical current density (mA/cm²) and life (cycles) of the loaded cell."""
        ...


class GalvanostaticCell:
    """The voltage of the loaded cell under current, half cycle after half cycle, until it shorts and stays so.

    Args:
        cell: The cell; a bench.
    """

    def __init__(self, cell: CycledCell) -> None:
        self._cell = cell
        self._state = (-1, -1)
        self._critical = self._life = self._ohm = 0.0
        self._cycle, self._shorted = 0, False

    def begin(self, current_a: float) -> None:
        """A half cycle begins; a positive current begins a cycle."""
        state = self._cell.cell_state
        if state != self._state:
            self._critical, self._life = self._cell.endurance()
            self._ohm = self._cell.dc_resistance_ohm()
            self._state, self._cycle, self._shorted = state, 0, False
        self._cycle += current_a > 0

    def voltage_v(self, current_a: float, share: float) -> float:
        """Voltage at ``share`` (0 to 1) of the half cycle, V; it shorts in the second half of one."""
        density = 1000 * abs(current_a) / self._cell.area_cm2
        worn = self._cycle > self._life * (self._critical / density) ** 1.5
        self._shorted = self._shorted or (share > 0.5 and (density >= self._critical or worn))
        kept = _SHORTED if self._shorted else 1 + _SOFTENING * min(1.0, density / self._critical) ** 2
        return current_a * self._ohm * kept

    @property
    def shorted(self) -> bool:
        """Whether it has shorted."""
        return self._shorted


@dataclass
class CyclerFaults(ProgramFaults):
    """What can go wrong besides what may with every program.

    Attributes:
        break_after: Number of cycles after which the program ends by itself.
    """

    break_after: int | None = None


class CyclerProgram(RequestedProgram):
    """One cycler's program; use as a context manager.

    Args:
        cell: What it cycles; a bench.
        clock: Laboratory time.
        folder: Where it saves; made where it is missing.
        request: Name of the file that says what to run.
    """

    saves = "cycling"

    def __init__(self, cell: CycledCell, clock: Clock, folder: Path, *, request: str) -> None:
        super().__init__(clock, folder, request=request)
        self._cell = GalvanostaticCell(cell)
        self.faults: CyclerFaults = CyclerFaults()
        self.current_is_on = False

    def _measure(self, asked: dict[str, Any]) -> str | None:
        start_s = self._clock.now_s()
        rows, time_s = [], 0.0
        plan = [step for step in asked["steps"] for _ in range(int(step["cycles"]))]
        self.current_is_on = True
        try:
            for cycle, step in enumerate(plan, start=1):
                for sign in (1, -1):
                    current_a = sign * float(step["current_ma_cm2"]) * float(asked["area_cm2"]) / 1000
                    self._cell.begin(current_a)
                    for point in range(1, _POINTS + 1):
                        time_s += float(step["half_cycle_s"]) / _POINTS
                        voltage_v = self._cell.voltage_v(current_a, point / _POINTS)
                        rows.append(f"{time_s:.3f},{voltage_v:.9g},{current_a:.9g},{cycle}")
                if not self.reach(start_s + time_s):
                    return None
                if self._cell.shorted or self.faults.break_after == cycle:
                    break
        finally:
            self.current_is_on = False
        return "Test Time / s,Voltage / V,Current / A,Cycle Count / 1\n" + "\n".join(rows) + "\n"
