"""The virtual measuring program: it reads requests in a folder, and saves spectra there as such programs do.

It writes a file in two pieces with a pause between them, under its final name, as the worst of them do.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pressopt.clock import Clock
from pressopt.twin.methodscript_server import POINT_OVERHEAD_S, POINT_PERIODS

_LOOK_S = 0.02  # wall time between two looks into the folder


class SeenCell(Protocol):
    """The side of a bench that an analyser sees."""

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex: ...


@dataclass
class FolderFaults:
    """What can go wrong; each is left until a test changes it.

    Attributes:
        break_at: Number of points after which the sweep is left, once; what was measured is saved.
        idle: Nobody starts the measurement.
        rubbish: What is saved instead of a spectrum.
        write_pause_s: Wall time between the two pieces of a file.
    """

    break_at: int | None = None
    idle: bool = False
    rubbish: str = ""
    write_pause_s: float = 0.05


class FolderProgram:
    """One measuring program; use as a context manager.

    Args:
        cell: What it measures; a :class:`~pressopt.twin.bench.Bench`, or one cell alone.
        clock: Laboratory time.
        folder: Where it saves; made where it is missing.
        request: Name of the file that says what to measure.
    """

    def __init__(self, cell: SeenCell, clock: Clock, folder: Path, *, request: str) -> None:
        self._cell, self._clock, self.folder, self._request = cell, clock, folder, request
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._done = ""
        self._saved = 0
        self.faults = FolderFaults()
        self.cell_is_on = False

    def __enter__(self) -> FolderProgram:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._serve, name="twin measuring program", daemon=True)
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
                self._measure(json.loads(text))

    def _measure(self, asked: dict[str, float]) -> None:
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
                while not self._clock.wait_until_s(now_s, wall_timeout_s=_LOOK_S):
                    if self._stopping.is_set() or not (self.folder / self._request).exists():
                        return
                seen = self._cell.impedance_ohm(frequency_hz, at_s=now_s)
                rows.append(f"{frequency_hz:.9g},{seen.real:.9g},{seen.imag:.9g},{now_s - start_s:.6f}")
        finally:
            self.cell_is_on = False
        self._save("frequency/Hz,Re(Z)/Ohm,Im(Z)/Ohm,time/s\n" + "\n".join(rows) + "\n")

    def _save(self, text: str) -> None:
        self._saved += 1
        data = (self.faults.rubbish or text).encode("utf-8")
        with (self.folder / f"spectrum-{self._saved:04d}.csv").open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            self._stopping.wait(self.faults.write_pause_s)
            file.write(data[len(data) // 2 :])
