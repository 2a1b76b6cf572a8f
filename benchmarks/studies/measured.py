"""Processor time and memory of this process and of those that it started."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from types import TracebackType


def descendants() -> list[int]:
    """Numbers of this process and of all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = [os.getpid()]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def memory_mb() -> float:
    """Memory of all of them, MB; what they share counts once (proportional set size)."""
    total_kb = 0
    for process in descendants():
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total_kb += next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total_kb / 1024


def processor_s(processes: list[int]) -> float:
    """Processor time that running processes have used, s."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Measured:
    """While it is open: processor time (children that ended included) and the peak of memory."""

    def __init__(self, every_s: float = 2.0) -> None:
        self._every_s = every_s
        self._done = threading.Event()
        self.peak_mb = 0.0
        self.processor_s = 0.0

    def __enter__(self) -> Measured:
        self._before_s = self._used_s()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.processor_s = self._used_s() - self._before_s  # before the last look at memory, which costs some
        self._done.set()
        self._thread.join()
        self.peak_mb = max(self.peak_mb, memory_mb())

    def _watch(self) -> None:
        while not self._done.wait(self._every_s):
            self.peak_mb = max(self.peak_mb, memory_mb())

    @staticmethod
    def _used_s() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)
