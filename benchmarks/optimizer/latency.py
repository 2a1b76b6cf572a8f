"""Processor time of an ask, of predictions and of the import; and how fits, growth and predictions grow with n.

    RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/optimizer/latency.py \
        --out benchmarks/optimizer/LATENCY.md --plot benchmarks/optimizer/growth.svg

One ask is what happens between a reading and the next proposal: tell, refit, search. Peers that are installed are
measured in the same process, on the same readings of the Hartmann function in six dimensions with noise.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from peers import installed
from problems import problems

from pressopt._core import GaussianProcess
from pressopt.optimizer import DesignSpace, Measurement, Objective, Observation, Recommender, Variable

DIMENSION = 6
#: What was asked for, in milliseconds; 99th percentiles in brackets.
ASKED = {
    ("gp", 100, 1): "10 (25)",
    ("physics-gp", 100, 1): "20",
    ("gp", 400, 1): "60",
    ("gp", 100, 8): "80",
    ("two objectives", 100, 1): "60",
}
#: Asks with slightly different histories, of which median and percentile are taken.
REPEATS = 60


class CheapPhysics:
    """A prior of the size of the built-in physics (128 draws), cheap to ask: what is timed is the engine."""

    def draws(self, quantity: str, settings: object) -> np.ndarray:
        """Shape (128, n): bowls with different bottoms."""
        if quantity != "value":
            raise KeyError(quantity)
        places = np.array([list(one.values()) for one in settings])  # type: ignore[attr-defined]
        bottoms = np.random.default_rng(3).random((128, DIMENSION))
        found: np.ndarray = ((places[None, :, :] - bottoms[:, None, :]) ** 2).sum(axis=2) - 2.0
        return found


def readings(count: int) -> list[Observation]:
    """Noisy values of Hartmann's function, the second one of two for two objectives."""
    space = space_of()
    problem = problems()["hartmann6-noisy"]
    rng = np.random.default_rng(0)
    found = []
    for trial, settings in enumerate(space.sample(count, seed=1)):
        u = space.to_unit(settings)
        value = problem.function(u) + problem.noise_sd * float(rng.standard_normal())
        other = float(((u - 0.7) ** 2).sum()) + 0.02 * float(rng.standard_normal())
        outcomes = {"value": Measurement(value, 0.0), "other": Measurement(other, 0.0)}
        found.append(Observation(trial, settings, outcomes=outcomes))
    return found


def space_of() -> DesignSpace:
    """Six settings between 0 and 1."""
    return DesignSpace(tuple(Variable(f"x{k}", 0.0, 1.0) for k in range(DIMENSION)))


def seconds(call: Callable[[], object]) -> float:
    """Processor seconds of all threads for one call."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def ours(kind: str, count: int, n: int) -> tuple[float, float]:
    """Median and 99th percentile of one ask, in milliseconds."""
    objectives = (Objective("value"), Objective("other")) if kind == "two objectives" else (Objective("value"),)
    engine = Recommender(
        space_of(),
        objectives,
        strategy="physics-gp" if kind == "physics-gp" else "gp",
        initial=0,
        prior=CheapPhysics() if kind == "physics-gp" else None,
    )
    repeats = REPEATS if n == 1 and count <= 100 else REPEATS // 4
    history = readings(count + repeats)
    engine.ask(history[:count], n=n)
    times = [seconds(lambda k=k: engine.ask(history[k : k + count], n=n)) for k in range(repeats)]
    return 1e3 * float(np.median(times)), 1e3 * float(np.quantile(times, 0.99))


def theirs(name: str, count: int) -> float:
    """Median milliseconds of one tell and ask of a peer."""
    peer = installed()[name](DIMENSION, 0)
    history = readings(count + 4)
    points = [np.array(list(one.settings.values())) for one in history]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for point, one in zip(points[:count], history, strict=False):
            if refits_when_told(peer):
                peer._engine.tell(list(map(float, point)), one.outcomes["value"].value, fit=False)
            else:
                peer.tell(point, one.outcomes["value"].value)
        times = []
        for k in range(count, count + 3):

            def once(k: int = k) -> None:
                peer.tell(points[k], history[k].outcomes["value"].value)
                peer.ask()

            times.append(seconds(once))
    return 1e3 * float(np.median(times))


def refits_when_told(peer: object) -> bool:
    """Whether a peer refits at every tell unless asked not to."""
    return type(peer).__name__ == "SkoptGp"


def imported() -> tuple[float, float]:
    """Processor seconds and peak resident megabytes of a process that imports pressopt, best of five."""
    script = (
        "import time; t = time.process_time(); import pressopt; print(time.process_time() - t);"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    found = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        time_s, kilobytes = map(float, done.stdout.split())
        found.append((time_s, kilobytes / 1024))
    return min(time_s for time_s, _ in found), max(memory for _, memory in found)


def predicting() -> float:
    """Milliseconds for 100,000 predictions at n = 200."""
    rng = np.random.default_rng(0)
    x = rng.random((200, DIMENSION))
    process = GaussianProcess.fit(x, np.sin(3 * x.sum(axis=1))[None, :], np.full(200, 0.01))
    points = rng.random((100_000, DIMENSION))
    return 1e3 * min(seconds(lambda: process.predict(points)) for _ in range(3))


def growth(largest: int) -> dict[str, list[tuple[int, float]]]:
    """Processor seconds of conditioning, of adding one observation, and of 1,000 predictions, by n."""
    rng = np.random.default_rng(0)
    x = rng.random((largest + 1, DIMENSION))
    y = np.sin(3 * x.sum(axis=1))
    parameters = {"length_scales": [0.7] * 6, "signal_variance": 1.0, "noise_variance": 0.01, "mean_variance": 1.0}
    points = rng.random((1_000, DIMENSION))
    found: dict[str, list[tuple[int, float]]] = {"fit": [], "grow": [], "1,000 predictions": []}
    for n in (50, 100, 200, 400, 800, 1200, 2000):
        if n > largest:
            break

        def fit(n: int = n) -> GaussianProcess:
            return GaussianProcess.with_parameters(x[:n], y[None, :n], np.zeros(n), **parameters)

        process = fit()
        calls: dict[str, Callable[[], object]] = {
            "fit": fit,
            "grow": lambda n=n, process=process: process.grown(x[n], y[n : n + 1], 0.0),
            "1,000 predictions": lambda process=process: process.predict(points),
        }
        for name, call in calls.items():
            # Short calls are repeated until they can be told from the clock.
            repeats = max(1, round(0.02 / max(seconds(call), 1e-5)))
            best = min(
                seconds(lambda call=call, r=repeats: [call() for _ in range(r)]) / repeats for _ in range(3)
            )
            found[name].append((n, best))
    return found


def exponent(points: list[tuple[int, float]]) -> float:
    """Slope of log time over log n for n of 400 and more."""
    large = np.log([(n, t) for n, t in points if n >= 400])
    return float(np.polyfit(large[:, 0], large[:, 1], 1)[0])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--peers", nargs="*", default=[name for name in installed() if name not in {"Sobol", "random"}]
    )
    parser.add_argument("--largest", type=int, default=2000, help="largest n of the growth")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    threads = os.environ.get("RAYON_NUM_THREADS", "all")
    text = [
        "# What an answer costs",
        "",
        f"Written by `latency.py`: processor milliseconds, Python {platform.python_version()}, {threads} Rayon "
        f"thread(s), {os.getloadavg()[1]:.0f} processes wanted to run on {os.cpu_count()} cores meanwhile (more "
        f"than one a core doubles these times). d = {DIMENSION}; one ask is tell, refit and search. Medians, 99th "
        "percentiles in brackets.",
        "",
        "| what | n | measured | asked for |",
        "|---|---|---|---|",
    ]
    mine = {}
    for (kind, count, n), asked in ASKED.items():
        median, tail = ours(kind, count, n)
        mine[kind, count, n] = median
        what = f"ask({n})" if n > 1 else "ask"
        text.append(f"| {what}, {kind} | {count} | {median:.1f} ({tail:.1f}) | {asked} |")
        print(text[-1], flush=True)
    text.append(f"| predict 100,000 points, all cores together | 200 | {predicting():.0f} | 100 on 2 cores |")
    time_s, memory = imported()
    text.append(f"| `import pressopt` | | {1e3 * time_s:.0f}, {memory:.0f} MB | 300, 80 MB |")
    print("\n".join(text[-2:]), flush=True)
    if arguments.peers:
        text += ["", "| one tell and ask, n = 100 | milliseconds | times pressopt `gp` |", "|---|---|---|"]
        for name in arguments.peers:
            theirs_ms = theirs(name, 100)
            text.append(f"| {name} | {theirs_ms:.0f} | {theirs_ms / mine['gp', 100, 1]:.0f} |")
            print(text[-1], flush=True)
    grown = growth(arguments.largest)
    text += ["", "How cost grows (exponents of n from 400 on; the algorithm says 3, 2 and at most 2):", ""]
    text += ["| n | " + " | ".join(f"{name}, ms" for name in grown) + " |", "|---|" + "---|" * len(grown)]
    for row, (n, _) in enumerate(grown["fit"]):
        text.append(f"| {n} | " + " | ".join(f"{1e3 * grown[name][row][1]:.3g}" for name in grown) + " |")
    if len(grown["fit"]) > 4:
        text.append("| exponent | " + " | ".join(f"{exponent(points):.2f}" for points in grown.values()) + " |")
    print("\n".join(text[-8:]))
    if arguments.out is not None:
        arguments.out.write_text("\n".join(text) + "\n", encoding="utf-8")
    if arguments.plot is not None:
        _plot(grown, arguments.plot)


def _plot(grown: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Time over n on logarithmic axes, with lines of the slopes that the algorithm has."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.0, 4.2), layout="constrained")
    for (name, points), power in zip(grown.items(), (3, 2, 2), strict=True):
        n, times = np.array(points).T
        (line,) = axes.loglog(n, times, marker="o", label=name)
        axes.loglog(
            n, times[-1] * (n / n[-1]) ** power, "--", linewidth=1, color=line.get_color(), label=f"n^{power}"
        )
    axes.set(xlabel="observations n", ylabel="processor seconds")
    axes.legend(frameon=False, ncols=2)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
