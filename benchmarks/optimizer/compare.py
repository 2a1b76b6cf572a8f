"""Simple regret and latency of pressopt's strategies and of peers, side by side in one run.

    python benchmarks/optimizer/compare.py --seeds 10 --budget 30 --out benchmarks/optimizer/RESULTS.md

Start points are shared (a scrambled Sobol sequence per seed), then one point at a time. Two regrets are shown: of
the best point visited, and of the point a user would take: the recommended one where a peer recommends by a model,
the best reading elsewhere. ``--recorded FILE`` adds runs of other peers on the same problems (one JSON object a
line: peer, version, problem, seed, y, f).
Run it with RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 for latencies of one thread.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from problems import Problem, problems
from scipy.stats import qmc

from pressopt.optimizer import DesignSpace, Measurement, Objective, Observation, Recommender, Settings, Variable

#: (regret of the best visited, regret of the taken point) after each trial.
Curve = list[tuple[float, float]]
STARTS = 5


def space_of(dimension: int) -> DesignSpace:
    return DesignSpace(tuple(Variable(f"x{k}", 0.0, 1.0) for k in range(dimension)))


def starts_of(problem: Problem, seed: int) -> np.ndarray:
    return qmc.Sobol(problem.dimension, scramble=True, rng=np.random.default_rng(seed)).random(8)[:STARTS]


def ours(strategy: str, problem: Problem, seed: int, budget: int) -> Curve:
    """A strategy of pressopt; the taken point is the recommended one."""
    space = space_of(problem.dimension)
    recommender = Recommender(
        space, (Objective("value"),), strategy=strategy, seed=seed, initial=0, replicates=None
    )
    noise = np.random.default_rng([seed, 1])
    history: list[Observation] = []
    curve: Curve = []
    best = np.inf
    starts = starts_of(problem, seed)
    for trial in range(budget):
        settings: Settings = (
            dict(zip(space.names, map(float, starts[trial]), strict=True))
            if trial < STARTS
            else recommender.ask(history)[0].settings
        )
        value = problem.function(space.to_unit(settings))
        best = min(best, value)
        reading = value + problem.noise_sd * float(noise.standard_normal())
        history.append(Observation(trial, settings, outcomes={"value": Measurement(reading, 0.0)}))
        taken = np.nan
        if (trial + 1) % 10 == 0:
            taken = problem.regret(problem.function(space.to_unit(recommender.recommend(history).settings)))
        curve.append((problem.regret(best), taken))
    return curve


def by_reading(ask_tell: Callable[..., tuple[Callable[[], np.ndarray], Callable[[np.ndarray, float], None]]]):
    """A peer that is asked and told; the taken point is the one of the best reading."""

    def run(problem: Problem, seed: int, budget: int) -> Curve:
        ask, tell = ask_tell(problem.dimension, seed)
        noise = np.random.default_rng([seed, 1])
        curve: Curve = []
        best, best_reading, taken = np.inf, np.inf, np.inf
        starts = starts_of(problem, seed)
        for trial in range(budget):
            u = starts[trial] if trial < STARTS else np.asarray(ask(), dtype=float)
            value = problem.function(u)
            reading = value + problem.noise_sd * float(noise.standard_normal())
            tell(u, reading)
            best = min(best, value)
            if reading < best_reading:
                best_reading, taken = reading, value
            curve.append((problem.regret(best), problem.regret(taken)))
        return curve

    return run


def skopt_peer(dimension: int, seed: int):
    import skopt

    engine = skopt.Optimizer([(0.0, 1.0)] * dimension, "GP", n_initial_points=0, acq_func="EI", random_state=seed)
    return engine.ask, lambda u, y: engine.tell(list(map(float, u)), y)


def random_peer(dimension: int, seed: int):
    rng = np.random.default_rng([seed, 2])
    return lambda: rng.random(dimension), lambda u, y: None


def sobol_peer(dimension: int, seed: int):
    net = iter(qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(seed)).random(1024)[STARTS:])
    return lambda: next(net), lambda u, y: None


def optuna_peer(dimension: int, seed: int):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=seed, n_startup_trials=0))
    box = {f"x{k}": optuna.distributions.FloatDistribution(0.0, 1.0) for k in range(dimension)}
    open_trials: list[optuna.Trial] = []

    def ask() -> np.ndarray:
        open_trials.append(study.ask(box))
        return np.array([open_trials[-1].params[name] for name in box])

    def tell(u: np.ndarray, y: float) -> None:
        if open_trials:
            study.tell(open_trials.pop(), y)
        else:
            params = dict(zip(box, map(float, u), strict=True))
            study.add_trial(optuna.trial.create_trial(params=params, distributions=box, value=y))

    return ask, tell


def peers() -> dict[str, Callable[[Problem, int, int], Curve]]:
    found: dict[str, Callable[[Problem, int, int], Curve]] = {
        "pressopt gp": lambda problem, seed, budget: ours("gp", problem, seed, budget),
        "skopt GP": by_reading(skopt_peer),
        "Sobol": by_reading(sobol_peer),
        "random": by_reading(random_peer),
    }
    if importlib.util.find_spec("optuna") and importlib.util.find_spec("torch"):
        found["Optuna GPSampler"] = by_reading(optuna_peer)
    return found


def latency(strategy: str, dimension: int, count: int, n: int = 1, repeats: int = 15) -> float:
    """Median CPU seconds of one ask with refit, at a history of ``count`` noisy readings."""
    problem = problems()[f"hartmann{dimension}"]
    space = space_of(dimension)
    recommender = Recommender(space, (Objective("value"),), strategy=strategy, initial=0)
    rng = np.random.default_rng(0)
    history = [
        Observation(
            trial,
            settings,
            outcomes={
                "value": Measurement(problem.function(space.to_unit(settings)) + 0.1 * rng.standard_normal(), 0.0)
            },
        )
        for trial, settings in enumerate(space.sample(count + repeats, seed=1))
    ]
    recommender.ask(history[:count], n=n)
    seconds = []
    for extra in range(repeats):
        start = time.process_time()
        recommender.ask(history[: count + extra], n=n)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def latencies(names: list[str]) -> list[str]:
    """The latency table."""
    lines = [
        "",
        "Latency: median CPU milliseconds of one ask, refit included, d = 6.",
        "",
        "| strategy | n = 25 | n = 50 | n = 100 | n = 200 | n = 400 | ask(8), n = 100 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        repeats = 15 if name.endswith("gp") and not name.startswith("skopt") else 2
        cells = [f"{1e3 * latency(name, 6, n, repeats=repeats):.1f}" for n in (25, 50, 100, 200, 400)]
        cells.append(f"{1e3 * latency(name, 6, 100, n=8, repeats=repeats):.1f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--problems", nargs="*", default=list(problems()))
    parser.add_argument("--peers", nargs="*", default=list(peers()))
    parser.add_argument("--recorded", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--latency-strategies", nargs="*", default=["gp"])
    parser.add_argument("--no-latency", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [
        "# Optimizers compared",
        "",
        f"Written by `compare.py` with {arguments.seeds} seeds, {arguments.budget} trials, {STARTS} of them "
        f"shared start points; Python {platform.python_version()}, {os.environ.get('RAYON_NUM_THREADS', 'all')} "
        "Rayon thread(s). Median relative regret over the seeds: **best visited / taken**, where taken is "
        "recommended by the model (pressopt) or best reading (others). Smaller is better.",
        "",
        "| problem | " + " | ".join(arguments.peers) + " |",
        "|---|" + "---|" * len(arguments.peers),
    ]
    for name in arguments.problems:
        problem = problems()[name]
        cells = []
        for peer in arguments.peers:
            last = np.array(
                [peers()[peer](problem, seed, arguments.budget)[-1] for seed in range(arguments.seeds)]
            )
            visited, taken = np.median(last, axis=0)
            cells.append(f"{visited:.4f} / {taken:.4f}")
            print(f"{name:18} {peer:18} {visited:.4f} {taken:.4f}  mean {last.mean(axis=0).round(4)}", flush=True)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if arguments.recorded is not None:
        lines += recorded(arguments.recorded, arguments.budget)
    if not arguments.no_latency:
        lines += latencies(arguments.latency_strategies)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def recorded(path: Path, budget: int) -> list[str]:
    """Median regret at the best reading of runs that were recorded elsewhere."""
    found: dict[tuple[str, str], list[float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        problem = problems().get(run["problem"])
        if problem is None or len(run["y"]) < budget:
            continue
        at = int(np.argmin(run["y"][:budget]))
        found.setdefault((run["problem"], f"{run['peer']} {run['version']}"), []).append(
            problem.regret(run["f"][at])
        )
    lines = [
        "",
        "Recorded runs of other peers, best reading.",
        "",
        "| problem | peer | runs | median regret |",
        "|---|---|---|---|",
    ]
    return lines + [
        f"| {p} | {peer} | {len(v)} | {statistics.median(v):.4f} |" for (p, peer), v in sorted(found.items())
    ]


if __name__ == "__main__":
    main()
