"""Run the benchmarks one after another: ``python -m benchmarks [--quick] [NAME ...]``.

Each runs in a process of its own, with one thread for each library. What it prints also goes to
``.bench/NAME.txt``; tables that belong to the documentation are written where they belong, and said so at the end.
Peers that are not installed are left out; the extra ``bench`` brings optuna.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE.parent / ".bench"


@dataclass(frozen=True)
class Benchmark:
    """One script: what it answers, its arguments, those of a quick look, and the page that it writes."""

    script: str
    answers: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    writes: str = ""


BENCHMARKS = {
    "surrogate-speed": Benchmark("surrogate/speed.py", "time of one predicted protocol"),
    "boundary-elements": Benchmark(
        "surrogate/boundary_elements.py",
        "contact of a rough face, beside numpy and tamaas",
        quick=("--sides", "256"),
    ),
    "surrogate-validation": Benchmark(
        "surrogate/validate.py", "published points beside the prediction", writes="docs/validation/surrogate.md"
    ),
    "studies-stream": Benchmark(
        "studies/stream.py",
        "protocols streamed from Python: rate, memory, scaling, Dask workers",
        ("--dask", "--out", str(RESULTS / "studies-stream.md")),
        ("--most", "6"),
        ".bench/studies-stream.md",
    ),
    "studies-campaigns": Benchmark(
        "studies/campaigns.py", "500 virtual campaigns of 30 trials", quick=("--campaigns", "8")
    ),
    "impedance": Benchmark(
        "impedance/run.py",
        "fits and validity of spectra, beside peers",
        ("--json", str(RESULTS / "impedance.json")),
        ("--seconds-per-peer", "3", "--random", "50", "--many", "500"),
        ".bench/impedance.json",
    ),
    "instruments": Benchmark(
        "instruments/poll.py", "what polling a press costs, beside pymodbus", quick=("--seconds", "3")
    ),
    "service": Benchmark("service/ask_tell.py", "ask and tell over HTTP, beside Optuna", quick=("--seconds", "3")),
    "optimizer-latency": Benchmark(
        "optimizer/latency.py",
        "what an ask costs, beside peers; how cost grows with n",
        ("--out", str(RESULTS / "optimizer-latency.md")),
        ("--peers", "--largest", "400"),
        ".bench/optimizer-latency.md",
    ),
    "optimizer-regret": Benchmark(
        "optimizer/regret.py",
        "regret on test functions and real experiments, beside peers (hours with all peers)",
        ("run", "--runs", str(RESULTS / "optimizer-regret.jsonl")),
        ("--seeds", "2", "--budget", "20", "--peers", "pressopt gp", "random"),
        ".bench/optimizer-regret.jsonl",
    ),
}


def run(name: str, *, quick: bool) -> int:
    """Run one benchmark, show what it prints and keep it; return its exit code."""
    benchmark = BENCHMARKS[name]
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
    )
    command = [sys.executable, "-u", str(HERE / benchmark.script), *benchmark.arguments]
    print(f"\n== {name}: {benchmark.answers}", flush=True)
    started_s = time.monotonic()
    with (
        (RESULTS / f"{name}.txt").open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            [*command, *(benchmark.quick if quick else ())],
            env=threads | dict(os.environ),
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        for line in process.stdout or ():
            print(line, end="", flush=True)
            kept.write(line)
    print(f"== {name}: {time.monotonic() - started_s:.0f} s, exit code {process.returncode}", flush=True)
    return process.returncode


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of {', '.join(BENCHMARKS)}")
    parser.add_argument(
        "--quick", action="store_true", help="a look of about a minute or two: fewer seeds and spectra"
    )
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}")
    RESULTS.mkdir(exist_ok=True)
    names = arguments.names or list(BENCHMARKS)
    codes = {name: run(name, quick=arguments.quick) for name in names}
    print("\nWhere the figures are:")
    for name in names:
        also = f", {BENCHMARKS[name].writes}" if BENCHMARKS[name].writes else ""
        print(f"  {name:22} .bench/{name}.txt{also}{'' if codes[name] == 0 else '   FAILED'}")
    raise SystemExit(max(codes.values()))


if __name__ == "__main__":
    main()
