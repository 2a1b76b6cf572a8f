"""A program of another maker in a shared folder: it reads requests there, and saves tables as such programs do.

It writes a file in two pieces with a pause between them, under its final name, as the worst of them do.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pressopt.clock import Clock

_LOOK_S = 0.02  # wall time between two looks into the folder


@dataclass
class ProgramFaults:
    """What can go wrong with every such program; each is left until a test changes it.

    Attributes:
        idle: Nobody starts the measurement.
        rubbish: What is saved instead of a table.
        write_pause_s: Wall time between the two pieces of a file.
    """

    idle: bool = False
    rubbish: str = ""
    write_pause_s: float = 0.05


class RequestedProgram(ABC):
    """One program; use as a context manager.

    Args:
        clock: Laboratory time.
        folder: Where it saves; made where it is missing.
        request: Name of the file that says what to do.
    """

    #: What its files and its thread are called.
    saves: str
    faults: ProgramFaults

    def __init__(self, clock: Clock, folder: Path, *, request: str) -> None:
        self._clock, self.folder, self._request = clock, folder, request
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._done = ""
        self._saved = 0

    @abstractmethod
    def _measure(self, asked: dict[str, Any]) -> str | None:
        """Do what is asked; return the table to save, or None when it was called off."""

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._serve, name=f"twin {self.saves}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def reach(self, time_s: float) -> bool:
        """Wait for laboratory time; False when the request was taken back meanwhile, or the program is ended."""
        while not self._clock.wait_until_s(time_s, wall_timeout_s=_LOOK_S):
            if self._stopping.is_set() or not (self.folder / self._request).exists():
                return False
        return True

    def _serve(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            try:
                text = (self.folder / self._request).read_text(encoding="utf-8")
            except FileNotFoundError:
                self._done = ""
                continue
            if text != self._done and not self.faults.idle:
                self._done = text
                table = self._measure(json.loads(text))
                if table is not None:
                    self._save(table)

    def _save(self, table: str) -> None:
        self._saved += 1
        data = (self.faults.rubbish or table).encode("utf-8")
        with (self.folder / f"{self.saves}-{self._saved:04d}.csv").open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            self._stopping.wait(self.faults.write_pause_s)
            file.write(data[len(data) // 2 :])
