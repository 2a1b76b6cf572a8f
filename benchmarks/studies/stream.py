"""Protocols streamed through the surrogate: rate, memory, scaling over processes and over Dask workers.

Run: python benchmarks/studies/stream.py [--most 8] [--dask] [--out FILE]
The clock of a shared machine says little, so processor time stands beside every rate.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
#: Protocols of one run where engines are compared.
COMPARED = 1_000_000


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


def scaling() -> Iterator[str]:
    """One worker process against two, in turns: the clock's ratio, and processor time per protocol."""
    yield "\n| workers | run | million/s | µs of processor time per protocol |\n|---|---|---|---|"
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(REPEATS):
        for workers in (1, 2):
            progress, since_s, measured = run(COMPARED, Inline() if workers == 1 else Processes(2))
            rates[workers].append((COMPARED - screen(COMPARED).sizes[0]) / since_s)
            own = measured.processor_s / COMPARED * 1e6
            yield f"| {workers} | {turn + 1} | {rates[workers][-1] / 1e6:.2f} | {own:.2f} |"
            assert progress.finished
    ratio = max(rates[2]) / max(rates[1])
    yield f"\nTwo processes against one, best of {REPEATS} turns: {ratio:.2f} times ({ratio / 2:.0%} efficient)."


def dask_scaling() -> Iterator[str]:
    """The same over a real scheduler."""
    yield "\n| Dask workers | run | million/s | µs of the workers' processor time each |\n|---|---|---|---|"
    best: dict[int, float] = {}
    with dask_workers(1) as one, dask_workers(2) as two:
        for turn in range(REPEATS):
            for count, (address, workers) in ((1, one), (2, two)):
                before_s = processor_s(workers)
                _, since_s, _ = run(COMPARED, Dask(address))
                rate = (COMPARED - screen(COMPARED).sizes[0]) / since_s
                best[count] = max(best.get(count, 0.0), rate)
                own = (processor_s(workers) - before_s) / COMPARED * 1e6
                yield f"| {count} | {turn + 1} | {rate / 1e6:.2f} | {own:.2f} |"
    yield f"\nTwo Dask workers against one, best of {REPEATS} turns: {best[2] / best[1]:.2f} times."


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
    yield from scaling()
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
