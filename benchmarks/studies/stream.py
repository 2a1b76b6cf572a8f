"""Protocols streamed through the surrogate: rate, memory, scaling over processes and over Dask workers.

Run: python benchmarks/studies/stream.py [--most 8] [--dask] [--out FILE]; some three minutes on two free cores.
The clock of a shared machine says little, so processor time stands beside every rate. What the machine itself
gives to two processes that only compute is measured in the same minute: no engine can scale better.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "surrogate"))

import numpy as np
from measured import Measured, processor_s
from speed import cell, table

from pressopt.study.axes import Axis, Protocols
from pressopt.study.engines import Dask, Engine, Inline, Processes
from pressopt.study.folder import StudyFolder
from pressopt.study.job import Progress
from pressopt.study.running import run_job
from pressopt.study.screen import Bound, Goal, Screen, System, Wanted
from pressopt.surrogate import Surrogate

REPEATS = 3
#: Protocols of one run where engines are compared, and how often the yardstick computes its table.
COMPARED, COMPUTED = 3_000_000, 20
#: What the issue asks: share of the ideal on two cores, and two processes against one.
WANTED_EFFICIENCY, WANTED_TIMES = 0.9, 1.8


def screen(points: int) -> Screen:
    """Three stages, all twelve settings varied: resistance against time, no likely short."""
    axes = []
    for stage in ("first", "second", "third"):
        axes += [
            Axis(f"{stage}.pressure_mpa", (1.0, 60.0), "linear"),
            Axis(f"{stage}.ramp_mpa_s", (0.1, 2.0), "linear"),
            Axis(f"{stage}.dwell_s", (1.0, 3600.0), "linear"),
            Axis(f"{stage}.temperature_c", (20.0, 120.0), "linear"),
        ]
    stack = {"pressure_mpa": 5.0, "temperature_c": 25.0, "settle_s": 60.0, "release_mpa_s": 1.0}
    axes += [Axis(f"stack.{name}", (value,)) for name, value in stack.items()]
    wanted = Wanted(
        (Goal("interfacial_resistance_ohm_cm2", "minimize"), Goal("press_time_s", "minimize")),
        (Bound("short_probability", None, 0.1),),
    )
    protocols = Protocols(("first", "second", "third"), False, tuple(axes), points)
    return Screen("stream", (System("Li | Li6PS5Cl", Surrogate(cell())),), protocols, wanted)


def kernel_us() -> float:
    """Processor time of the surrogate alone for one protocol, µs: the figure of its own benchmark."""
    surrogate, protocols = Surrogate(cell()), table()
    rows = surrogate.rows_at(np.zeros((1, len(surrogate.parameters))))
    best = np.inf
    for _ in range(2 * REPEATS):
        before_s = time.process_time()
        surrogate.outcomes(rows, protocols, threads=1)
        best = min(best, time.process_time() - before_s)
    return float(best / len(protocols) * 1e6)


def run(points: int, engine: Engine) -> tuple[Progress, float, Measured]:
    """One whole screen into a folder of its own; returns also the seconds from its first finished block."""
    job, first_s = screen(points), 0.0

    def tell(progress: Progress) -> None:
        nonlocal first_s
        if progress.fresh and not first_s:
            first_s = time.monotonic()

    with tempfile.TemporaryDirectory() as folder, StudyFolder(Path(folder), job) as kept, Measured() as measured:
        progress = run_job(job, kept, engine, tell=tell)
        since_first_s = time.monotonic() - first_s
    assert progress.finished
    return progress, since_first_s, measured


def line(points: int, name: str, engine: Engine, start_s: float) -> str:
    """One row; small runs are repeated, and what starting the workers costs once is left out."""
    repeats = max(1, 200_000 // points)
    used_s = []
    for _ in range(repeats):
        progress, since_s, measured = run(points, engine)
        used_s.append(measured.processor_s - start_s)
    own = f"{sum(used_s) / len(used_s) / points * 1e6:.2f}"
    steady = (points - screen(points).sizes[0]) / since_s if points > 200_000 else progress.rate
    return (
        f"| {points:,} | {name} | {own} | {progress.elapsed_s:.1f} | {steady / 1e6:.2f} | {measured.peak_mb:.0f} |"
    )


@contextlib.contextmanager
def dask_workers(count: int) -> Iterator[tuple[str, list[int]]]:
    """A real scheduler with so many worker processes; yields its address and their process numbers."""
    with contextlib.ExitStack() as all_, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        environment = {**os.environ, "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments, "--no-dashboard"], env=environment,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            all_.callback(lambda: (process.kill(), process.wait()))
            return process

        start("distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(file))
        while not (file.exists() and file.stat().st_size):
            time.sleep(0.1)
        workers = [
            start("distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny",
                  "--local-directory", folder)
            for _ in range(count)
        ]  # fmt: skip
        from distributed import Client

        with Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(count)
            address = client.scheduler.address
        yield address, [worker.pid for worker in workers]


def compute_only(times: int) -> tuple[float, float, float]:
    """The surrogate alone in this process: when it began and ended by the clock, and its processor time, s."""
    surrogate, protocols = Surrogate(cell()), table()
    rows = surrogate.rows_at(np.zeros((1, len(surrogate.parameters))))
    surrogate.outcomes(rows, protocols, threads=1)
    began_s, before_s = time.monotonic(), time.process_time()
    for _ in range(times):
        surrogate.outcomes(rows, protocols, threads=1)
    return began_s, time.monotonic(), time.process_time() - before_s


def yardstick() -> Iterator[str]:
    """What two processes that share nothing and only compute reach beside one: the machine's own limit."""
    best: dict[int, float] = {}
    used: dict[int, float] = {}
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(compute_only, (1, 1)))
        for _ in range(REPEATS):
            for count in (1, 2):
                found = list(pool.map(compute_only, (COMPUTED,) * count))
                took_s = max(end for _, end, _ in found) - min(start for start, _, _ in found)
                best[count] = max(best.get(count, 0.0), count / took_s)
                used[count] = min(used.get(count, np.inf), max(own for _, _, own in found))
    yield (
        f"\nThe machine: two processes that only compute do {best[2] / best[1]:.2f} times the work of one by the "
        f"clock, and each needs {used[2] / used[1]:.2f} times the processor time that it needs alone."
    )


def compared(
    name: str,
    engines: Mapping[int, Engine],
    used_s: Mapping[int, Callable[[], float]] | None = None,
    start_s: float = 0.0,
) -> Iterator[str]:
    """One worker against two, in turns: the clock's ratio, and processor time for each protocol.

    Args:
        name: Of the workers.
        engines: By number of workers.
        used_s: Processor time of workers that are no children of this process; ``None``: they are.
        start_s: Processor time of starting two workers, which is left out.
    """
    yield f"\n| {name} | run | million/s | µs of processor time each |\n|---|---|---|---|"
    best: dict[int, float] = {}
    own: dict[int, float] = {}
    first = screen(COMPARED).sizes[0]
    for turn in range(REPEATS):
        for count, engine in engines.items():
            before_s = used_s[count]() if used_s else 0.0
            _, since_s, measured = run(COMPARED, engine)
            spent_s = used_s[count]() - before_s if used_s else measured.processor_s - (count > 1) * start_s
            rate, each_us = (COMPARED - first) / since_s, spent_s / COMPARED * 1e6
            best[count], own[count] = max(best.get(count, 0.0), rate), min(own.get(count, np.inf), each_us)
            yield f"| {count} | {turn + 1} | {rate / 1e6:.2f} | {each_us:.2f} |"
    times = best[2] / best[1]
    yield (
        f"\nTwo {name} against one, best of {REPEATS} turns: {times:.2f} times by the clock "
        f"({times / 2:.0%} efficient; wanted: {WANTED_TIMES} times, {WANTED_EFFICIENCY:.0%}); "
        f"processor time {own[1]:.2f} and {own[2]:.2f} µs each."
    )


def dask_scaling() -> Iterator[str]:
    """The same over a real scheduler."""
    with dask_workers(1) as one, dask_workers(2) as two:
        engines: dict[int, Engine] = {1: Dask(one[0]), 2: Dask(two[0])}
        used = {1: partial(processor_s, one[1]), 2: partial(processor_s, two[1])}
        yield from compared("Dask workers", engines, used)


def report(most: int, *, with_dask: bool) -> Iterator[str]:
    """The tables, line by line."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    yield f"{cores} cores, load {load:.1f} at the start; the surrogate alone: {kernel_us():.2f} µs a protocol"
    yield "\n| protocols | engine | µs of processor time each | s | million/s, steady | peak memory, MB |"
    yield "|---|---|---|---|---|---|"
    run(1000, Inline())  # what is imported late is there
    for power in range(4, min(most, 7) + 1):
        yield line(10**power, "this process", Inline(), 0.0)
    _, _, started = run(100_002, Processes(2))
    start_s = started.processor_s - 100_002 * kernel_us() * 1e-6
    for power in range(6, most + 1):
        yield line(10**power, "2 processes", Processes(2), start_s)
    yield f"\nStarting two workers costs {start_s:.1f} s of processor time once; it is not in the rows above."
    yield from yardstick()
    yield from compared("processes", {1: Inline(), 2: Processes(2)}, start_s=start_s)
    if with_dask:
        yield from dask_scaling()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=8, help="10 to this power are the most protocols")
    parser.add_argument("--dask", action="store_true", help="also compare one Dask worker with two")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    arguments = parser.parse_args()
    said = []
    for text in report(arguments.most, with_dask=arguments.dask):
        print(text, flush=True)
        said.append(text)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text("\n".join(said) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
