"""The virtual measuring program: it sweeps the cell by request, and saves spectra into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pressopt.clock import Clock
from pressopt.twin.methodscript_server import POINT_OVERHEAD_S, POINT_PERIODS
from pressopt.twin.requested_program import ProgramFaults, RequestedProgram


class SeenCell(Protocol):
    """The side of a bench that an analyser sees."""

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex: ...


@dataclass
class FolderFaults(ProgramFaults):
    """What can go wrong besides what may with every program.

    Attributes:
        break_at: Number of points after which the sweep is left, once; what was measured is saved.
    """

    break_at: int | None = None


class FolderProgram(RequestedProgram):
    """One measuring program; use as a context manager.

    Args:
        cell: What it measures; a :class:`~pressopt.twin.bench.Bench`, or one cell alone.
        clock: Laboratory time.
        folder: Where it saves; made where it is missing.
        request: Name of the file that says what to measure.
    """

    saves = "spectrum"

    def __init__(self, cell: SeenCell, clock: Clock, folder: Path, *, request: str) -> None:
        super().__init__(clock, folder, request=request)
        self._cell = cell
        self.faults: FolderFaults = FolderFaults()
        self.cell_is_on = False

    def _measure(self, asked: dict[str, Any]) -> str | None:
        frequencies_hz = np.geomspace(asked["high_hz"], asked["low_hz"], int(asked["points"])).tolist()
        now_s = start_s = self._clock.now_s()
        rows = []
        self.cell_is_on = True
        try:
            for index, frequency_hz in enumerate(frequencies_hz):
                if self.faults.break_at == index:
                    self.faults.break_at = None
                    break
                now_s += POINT_OVERHEAD_S + POINT_PERIODS / frequency_hz
                if not self.reach(now_s):
                    return None
                seen = self._cell.impedance_ohm(frequency_hz, at_s=now_s)
                rows.append(f"{frequency_hz:.9g},{seen.real:.9g},{seen.imag:.9g},{now_s - start_s:.6f}")
        finally:
            self.cell_is_on = False
        return "frequency/Hz,Re(Z)/Ohm,Im(Z)/Ohm,time/s\n" + "\n".join(rows) + "\n"
