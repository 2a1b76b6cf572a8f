"""A Dask scheduler with worker processes, for the tests of studies."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

#: How long a test waits for a condition on a busy computer, s.
PATIENCE_S = 120


class Cluster:
    """A real scheduler with two worker processes of their own, started as people start them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scheduler_file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._all = contextlib.ExitStack()
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(self._scheduler_file)
        )
        self._until(lambda: self._scheduler_file.exists() and self._scheduler_file.stat().st_size > 0)
        self.address: str = json.loads(self._scheduler_file.read_text())["address"]

    def add_worker(self) -> None:
        self.workers.append(
            self._start("worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
                        "--local-directory", str(self._folder))
        )  # fmt: skip

    def __enter__(self) -> Cluster:
        self.add_worker()
        self.add_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.close()

    def _start(self, *what: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent),
            "RAYON_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
        }
        with (self._folder / f"{what[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + what[0], *what[1:]],
                env=environment, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

        def end() -> None:
            process.kill()
            process.wait(PATIENCE_S)

        self._all.callback(end)
        return process

    @staticmethod
    def _until(condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
