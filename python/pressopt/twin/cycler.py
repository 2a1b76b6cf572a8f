"""The virtual cycler: a program that reads requests in a folder, cycles the cell, and saves a table."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pressopt.clock import Clock

#: The file by which this program is told what to run.
CYCLING_REQUEST = "pressopt-cycling.json"
_LOOK_S = 0.02  # wall time between two looks into the folder
_POINTS = 16  # rows of a half cycle
_SHORTED = 0.05  # share of its resistance that a shorted cell keeps (assumed)
_SOFTENING = 0.2  # how much the resistance grows towards the critical current (assumed: loss of contact)


class CycledCell(Protocol):
    """The side of a bench that a cycler sees."""

    def dc_resistance_ohm(self) -> float: ...

    def endurance(self) -> tuple[float, float]:
        """Critical current density (mA/cm²) and life (cycles) of the loaded cell."""
        ...


@dataclass
class CyclerFaults:
    """What can go wrong; each is left until a test changes it.

    Attributes:
        idle: Nobody starts the measurement.
        rubbish: What is saved instead of a table.
        break_after: Number of cycles after which the program ends by itself.
    """

    idle: bool = False
    rubbish: str = ""
    break_after: int | None = None


class CyclerProgram:
    """One cycler's program; use as a context manager.

    Args:
        cell: What it cycles; a bench.
        clock: Laboratory time.
        folder: Where it saves; made where it is missing.
        request: Name of the file that says what to run.
    """

    def __init__(self, cell: CycledCell, clock: Clock, folder: Path, *, request: str) -> None:
        self._cell, self._clock, self.folder, self._request = cell, clock, folder, request
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._done, self._saved = "", 0
        self.faults = CyclerFaults()
        self.current_is_on = False

    def __enter__(self) -> CyclerProgram:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._serve, name="twin cycler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            try:
                text = (self.folder / self._request).read_text(encoding="utf-8")
            except FileNotFoundError:
                self._done = ""
                continue
            if text != self._done and not self.faults.idle:
                self._done = text
                self._run(json.loads(text))

    def _run(self, asked: dict[str, Any]) -> None:
        critical, life = self._cell.endurance()
        ohm = self._cell.dc_resistance_ohm()
        start_s = self._clock.now_s()
        rows, time_s, cycle, shorted = [], 0.0, 0, False
        plan = [step for step in asked["steps"] for _ in range(int(step["cycles"]))]
        self.current_is_on = True
        try:
            for step in plan:
                cycle += 1
                density = float(step["current_ma_cm2"])
                for sign in (1, -1):
                    current_a = sign * density * float(asked["area_cm2"]) / 1000
                    for point in range(1, _POINTS + 1):
                        time_s += float(step["half_cycle_s"]) / _POINTS
                        shorted = shorted or (
                            point > _POINTS // 2
                            and (density >= critical or cycle > life * (critical / density) ** 1.5)
                        )
                        share = _SHORTED if shorted else 1 + _SOFTENING * min(1.0, density / critical) ** 2
                        rows.append(f"{time_s:.3f},{current_a * ohm * share:.9g},{current_a:.9g},{cycle}")
                while not self._clock.wait_until_s(start_s + time_s, wall_timeout_s=_LOOK_S):
                    if self._stopping.is_set() or not (self.folder / self._request).exists():
                        return
                if shorted or self.faults.break_after == cycle:
                    break
        finally:
            self.current_is_on = False
        self._save("Test Time / s,Voltage / V,Current / A,Cycle Count / 1\n" + "\n".join(rows) + "\n")

    def _save(self, text: str) -> None:
        self._saved += 1
        data = (self.faults.rubbish or text).encode("utf-8")
        with (self.folder / f"cycling-{self._saved:04d}.csv").open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            self._stopping.wait(0.05)
            file.write(data[len(data) // 2 :])
