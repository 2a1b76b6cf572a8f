"""Simple regret of the strategy ``gp`` and of peers after 10, 20, 30 and 50 trials, from shared start points.

    python benchmarks/optimizer/regret.py run --seeds 10 --runs benchmarks/optimizer/runs/regret.jsonl
    python benchmarks/optimizer/regret.py table --runs benchmarks/optimizer/runs/regret.jsonl \
        --out benchmarks/optimizer/REGRET.md --plot benchmarks/optimizer/regret.svg

Five start points of a scrambled Sobol sequence per seed, then one point at a time. Two regrets are kept: of the
best point *visited*, and of the point *taken*, which is what a user would go on with: the recommended one of
pressopt, the best reading of the others (they do not recommend). ``record`` adds runs that were made elsewhere on
the same problems and start points (one JSON object a line: peer, version, problem, seed, y, f); the table says so.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from peers import installed
from problems import Problem, problems
from scipy.stats import qmc

#: Trials after which regrets are compared.
CHECKPOINTS = (10, 20, 30, 50)
STARTS = 5
OURS = "pressopt gp"
#: Names of peers in recorded runs, as they are called here.
RECORDED = {
    "ax": "Ax",
    "botorch": "BoTorch qLogNEI",
    "baybe": "BayBE",
    "skopt-ei": "skopt GP",
    "optuna-gp": "Optuna GPSampler",
    "optuna-tpe": "Optuna TPE",
    "egobox": "egobox",
    "bayes-opt": "bayesian-optimization",
    "sobol": "Sobol",
    "random": "random",
}
#: What asks for a point of the cube and is told a reading.
Asked = tuple[Callable[[], np.ndarray], Callable[[np.ndarray, float], None]]


def starts_of(problem: Problem, seed: int) -> np.ndarray:
    """Shape (5, d): the start points of a seed, those of the recorded runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = qmc.Sobol(problem.dimension, scramble=True, seed=seed).random(8)
    return np.asarray(net[:STARTS])


def campaign(
    problem: Problem,
    seed: int,
    budget: int,
    ask: Callable[[], np.ndarray],
    tell: Callable[[np.ndarray, float], None],
) -> tuple[list[float], list[float], list[int], float]:
    """True values and readings of all trials, which trial had the best reading so far, and processor seconds."""
    noise = np.random.default_rng([seed, 1])
    starts = starts_of(problem, seed)
    values: list[float] = []
    readings: list[float] = []
    luckiest: list[int] = []
    seconds = 0.0
    for trial in range(budget):
        begun = time.process_time()
        u = starts[trial] if trial < STARTS else np.clip(np.asarray(ask(), dtype=float), 0.0, 1.0)
        seconds += time.process_time() - begun
        values.append(problem.function(u))
        readings.append(values[-1] + problem.noise_sd * float(noise.standard_normal()))
        luckiest.append(int(np.argmin(readings)))
        begun = time.process_time()
        tell(u, readings[-1])
        seconds += time.process_time() - begun
    return values, readings, luckiest, seconds


def line_of(
    problem: Problem, peer: str, seed: int, values: Sequence[float], taken: dict[int, float], **more: object
) -> dict:
    """One run as it is kept: relative regrets at the checkpoints."""
    visited = np.minimum.accumulate(values)
    at = [count for count in CHECKPOINTS if count <= len(values)]
    return {
        "problem": problem.name,
        "peer": peer,
        "seed": seed,
        "visited": {str(count): float(f"{problem.regret(visited[count - 1]):.4g}") for count in at},
        "taken": {str(count): float(f"{problem.regret(taken[count]):.4g}") for count in at},
        **more,
    }


def ours(problem: Problem, seed: int, budget: int) -> dict:
    """A campaign of the strategy ``gp``, with what it recommends at the checkpoints."""
    from pressopt.optimizer import DesignSpace, Measurement, Objective, Observation, Recommender, Variable

    space = DesignSpace(tuple(Variable(f"x{k}", 0.0, 1.0) for k in range(problem.dimension)))
    engine = Recommender(space, (Objective("value"),), strategy="gp", seed=seed, initial=0)
    history: list[Observation] = []
    taken: dict[int, float] = {}

    def ask() -> np.ndarray:
        return space.to_unit(engine.ask(history)[0].settings)

    def tell(u: np.ndarray, reading: float) -> None:
        settings = dict(zip(space.names, map(float, u), strict=True))
        history.append(Observation(len(history), settings, outcomes={"value": Measurement(reading, 0.0)}))
        if len(history) in CHECKPOINTS:
            taken[len(history)] = problem.function(space.to_unit(engine.recommend(history).settings))

    values, _, _, seconds = campaign(problem, seed, budget, ask, tell)
    return line_of(problem, OURS, seed, values, taken, seconds=round(seconds, 3))


def theirs(name: str, problem: Problem, seed: int, budget: int) -> dict:
    """A campaign of a peer; it takes its best reading."""
    peer = installed()[name](problem.dimension, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values, _, luckiest, seconds = campaign(problem, seed, budget, peer.ask, peer.tell)
    taken = {count: values[luckiest[count - 1]] for count in CHECKPOINTS if count <= budget}
    return line_of(problem, name, seed, values, taken, seconds=round(seconds, 3))


def run(arguments: argparse.Namespace) -> None:
    """Run what is missing, seed by seed, and append one line per campaign."""
    done = {(one["problem"], one["peer"], one["seed"]) for one in lines(arguments.runs)}
    arguments.runs.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for name in arguments.problems:
            for peer in arguments.peers:
                if (name, peer, seed) in done:
                    continue
                problem = problems()[name]
                line = (
                    ours(problem, seed, arguments.budget)
                    if peer == OURS
                    else theirs(peer, problem, seed, arguments.budget)
                )
                with arguments.runs.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line) + "\n")
                last = max(line["taken"], key=int)
                print(
                    f"{name:18} {peer:22} {seed:3d} {line['visited'][last]:.4f} {line['taken'][last]:.4f} "
                    f"{line['seconds']:.1f} s",
                    flush=True,
                )


def record(arguments: argparse.Namespace) -> None:
    """Take over recorded runs of peers; what was run here stays beside them."""
    kept = [one for one in lines(arguments.runs) if "version" not in one]
    for text in arguments.recorded.read_text(encoding="utf-8").splitlines():
        one = json.loads(text)
        problem = problems().get(one["problem"])
        if problem is None or one["peer"] not in RECORDED:
            continue
        taken = {
            count: one["f"][int(np.argmin(one["y"][:count]))] for count in CHECKPOINTS if count <= len(one["f"])
        }
        peer = RECORDED[one["peer"]]
        kept.append(line_of(problem, peer, one["seed"], one["f"], taken, version=one["version"]))
    arguments.runs.write_text("".join(json.dumps(one) + "\n" for one in kept), encoding="utf-8")


def lines(path: Path) -> list[dict]:
    """The runs kept in a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


class Runs:
    """Regrets by problem, peer and seed; where a run was both made here and recorded, the one made here."""

    def __init__(self, kept: Sequence[dict]) -> None:
        self._found: dict[tuple[str, str, int], dict] = {}
        for one in sorted(kept, key=lambda one: "version" not in one):
            self._found[one["problem"], one["peer"], one["seed"]] = one
        have = {(problem, peer) for problem, peer, _ in self._found}
        self.problems = [name for name in problems() if any(problem == name for problem, _ in have)]
        self.peers = sorted({peer for _, peer in have}, key=lambda peer: (peer != OURS, list(_ORDER).index(peer)))

    def regrets(self, kind: str, problem: str, peer: str, count: int) -> dict[int, float]:
        """Regret by seed after so many trials; ``kind``: ``visited`` or ``taken``."""
        return {
            seed: one[kind][str(count)]
            for (of, who, seed), one in self._found.items()
            if (of, who) == (problem, peer) and str(count) in one[kind]
        }

    def recorded(self, problem: str, peer: str) -> bool:
        """Whether runs of that peer were recorded elsewhere."""
        return any("version" in one for (of, who, _), one in self._found.items() if (of, who) == (problem, peer))


_ORDER = (OURS, *RECORDED.values())
#: Regrets below this are the same: rounding of points in recorded runs is larger.
_SAME = 1e-4
#: Two columns of paired regrets are tied when a signed-rank test does not part them at this level.
_LEVEL = 0.05
#: Medians of fewer seeds say so.
_FEW = 4


def paired(ours: dict[int, float], theirs: dict[int, float]) -> np.ndarray:
    """Differences of log regret on the seeds that both have: negative where ours is less."""
    seeds = sorted(ours.keys() & theirs.keys())
    return np.array([math.log(max(ours[seed], _SAME)) - math.log(max(theirs[seed], _SAME)) for seed in seeds])


def tied_or_better(differences: np.ndarray) -> bool:
    """Whether ours is not shown to be worse: Wilcoxon's signed-rank test, one-sided."""
    from scipy.stats import wilcoxon

    moved = differences[np.abs(differences) > 1e-9]
    if len(moved) == 0 or float(np.median(differences)) <= 0.0:
        return True
    return float(wilcoxon(moved, alternative="greater").pvalue) > _LEVEL


def standing(runs: Runs, problem: str, count: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median regret of the best visited point, and the mean rank over the seeds, by peer.

    Ranked seed by seed among the peers that have this seed, so that peers with fewer seeds are compared on them.
    """
    from scipy.stats import rankdata

    found = {peer: runs.regrets("visited", problem, peer, count) for peer in runs.peers}
    medians = {peer: float(np.median(list(values.values()))) for peer, values in found.items() if values}
    places: dict[str, list[float]] = {peer: [] for peer in medians}
    for seed in sorted(set().union(*found.values())):
        here = [peer for peer in medians if seed in found[peer]]
        if len(here) < 3:
            continue
        ranks = rankdata([max(found[peer][seed], _SAME) for peer in here])
        for peer, rank in zip(here, ranks, strict=True):
            # As a share of those that ran, so that fewer peers on a seed do not make a better rank.
            places[peer].append(float((rank - 0.5) / len(here)))
    return medians, {peer: float(np.mean(values)) for peer, values in places.items() if values}


def table(arguments: argparse.Namespace) -> None:
    """Write what the runs say."""
    kept = lines(arguments.runs)
    runs = Runs(kept)
    counts = {peer: sum(one["peer"] == peer for one in kept) for peer in runs.peers}
    text = [
        "# Regret of the strategy `gp` and of its peers",
        "",
        "Written by `regret.py table`. Relative regret (1: the median point of the cube) of noise-free values; "
        "medians over seeds. Five start points of a seed are shared, then one point at a time. `-noisy`: 2 % of "
        "the spread of values; `agnp` and `autoam`: emulators of real experiments with the noise of their "
        "readings. Runs: "
        + ", ".join(f"{peer} {counts[peer]}" for peer in runs.peers)
        + ". Medians with † hold runs recorded once on the same problem and start points (at most 8 seeds, 4 of "
        "the peers that need torch); (1): so few seeds were run here.",
        "",
    ]
    shares: dict[str, list[float]] = {peer: [] for peer in runs.peers}
    best_or_tied, worse_half, cases = 0, 0, 0
    for count in CHECKPOINTS:
        text += [
            f"## Best point visited after {count} trials",
            "",
            "| problem | " + " | ".join(runs.peers) + " |",
            "|---|" + "---|" * len(runs.peers),
        ]
        for problem in runs.problems:
            medians, ranks = standing(runs, problem, count)
            for peer, share in ranks.items():
                shares[peer].append(share)
            cells = []
            for peer in runs.peers:
                value = f"{medians[peer]:.4f}" if peer in medians else "-"
                seeds = len(runs.regrets("visited", problem, peer, count))
                value += f" ({seeds})" if 0 < seeds < _FEW else ""
                value += " †" if peer in medians and runs.recorded(problem, peer) else ""
                cells.append(
                    f"**{value}**" if peer in medians and medians[peer] == min(medians.values()) else value
                )
            text.append(f"| {problem} | " + " | ".join(cells) + " |")
            if OURS in medians and len(medians) > 1:
                cases += 1
                others = {peer: value for peer, value in medians.items() if peer != OURS}
                leader = min(others, key=lambda peer: others[peer])
                differences = paired(
                    runs.regrets("visited", problem, OURS, count), runs.regrets("visited", problem, leader, count)
                )
                best_or_tied += medians[OURS] <= others[leader] + _SAME or tied_or_better(differences)
                place = 1 + sum(value < medians[OURS] - _SAME for value in others.values())
                worse_half += place > (len(medians) + 1) / 2
        text.append("")
    text += _summary(runs, shares, best_or_tied, worse_half, cases)
    print("\n".join(text[-60:]))
    if arguments.out is not None:
        arguments.out.write_text("\n".join(text) + "\n", encoding="utf-8")
    if arguments.plot is not None:
        _plot(runs, arguments.plot)


def _summary(
    runs: Runs, shares: dict[str, list[float]], best_or_tied: int, worse_half: int, cases: int
) -> list[str]:
    """Over all problems: mean rank, best or tied, and what a user takes."""
    means = {peer: float(np.mean(values)) for peer, values in shares.items() if values}
    order = sorted(means, key=lambda peer: means[peer])
    text = [
        "## Over all problems and numbers of trials",
        "",
        "pressopt is best, or not shown to be worse than the best of the others (signed-rank test over shared "
        f"seeds, 5 %), in {best_or_tied} of {cases} rows above, and in the worse half in {worse_half}.",
        "",
        "Mean rank, 0 (always first) to 1 (always last):",
        "",
        "| " + " | ".join(order) + " |",
        "|" + "---|" * len(order),
        "| " + " | ".join(f"{means[peer]:.2f}" for peer in order) + " |",
        "",
        "Mean ranks of peers that ran on few problems say little. On the same problem, seed and number of trials "
        "the best point visited by pressopt is better / the same / worse than that of the peer in:",
        "",
        "| " + " | ".join(peer for peer in order if peer != OURS) + " |",
        "|" + "---|" * (len(order) - 1),
        "| " + " | ".join(_duel(runs, peer) for peer in order if peer != OURS) + " |",
        "",
        "## What a user goes on with",
        "",
        "Regret of the point that pressopt recommends, divided by that of the peer's best reading: geometric mean "
        "over problems and shared seeds (regrets below 0.0001 count as that).",
        "",
        "| trials | " + " | ".join(peer for peer in order if peer != OURS) + " |",
        "|---|" + "---|" * (len(order) - 1),
    ]
    for noisy in (False, True):
        for count in CHECKPOINTS:
            cells = []
            for peer in (peer for peer in order if peer != OURS):
                logs = [
                    paired(
                        runs.regrets("taken", problem, OURS, count), runs.regrets("taken", problem, peer, count)
                    )
                    for problem in runs.problems
                    if (problems()[problem].noise_sd > 0.0) is noisy
                ]
                each = [float(one.mean()) for one in logs if len(one)]
                cells.append(f"{math.exp(np.mean(each)):.2f}" if each else "-")
            text.append(f"| {count}, {'noisy' if noisy else 'no noise'} | " + " | ".join(cells) + " |")
    return text


def _duel(runs: Runs, peer: str) -> str:
    """Wins, ties and losses against a peer, and the share of wins with ties counted half."""
    found = [
        paired(runs.regrets("visited", problem, OURS, count), runs.regrets("visited", problem, peer, count))
        for problem in runs.problems
        for count in CHECKPOINTS
    ]
    differences = np.concatenate(found)
    won, lost = int((differences < 0.0).sum()), int((differences > 0.0).sum())
    same = len(differences) - won - lost
    return f"{won} / {same} / {lost} ({(won + 0.5 * same) / max(len(differences), 1):.0%})"


def _plot(runs: Runs, path: Path) -> None:
    """Median regret of what a user takes, by trials: one panel for each problem."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = 4
    rows = math.ceil(len(runs.problems) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(12.0, 2.6 * rows), layout="constrained", sharex=True)
    colours = plt.get_cmap("tab10")
    for panel, problem in zip(axes.flat, runs.problems, strict=False):
        for index, peer in enumerate(runs.peers):
            found = [(count, runs.regrets("taken", problem, peer, count)) for count in CHECKPOINTS]
            points = [
                (count, max(float(np.median(list(values.values()))), _SAME)) for count, values in found if values
            ]
            if not points:
                continue
            style = {"color": "black", "linewidth": 2.5} if peer == OURS else {"color": colours(index % 10)}
            panel.plot(*zip(*points, strict=True), label=peer, marker="o", markersize=3, **style)
        panel.set(title=problem, yscale="log", xticks=CHECKPOINTS)
    for panel in axes.flat[len(runs.problems) :]:
        panel.set_axis_off()
    figure.supxlabel("trials, 5 start points among them")
    figure.supylabel("median relative regret of what a user takes")
    handles = {
        label: handle
        for panel in axes.flat
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=6, frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "record", "table"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--budget", type=int, default=50)
    parser.add_argument("--problems", nargs="*", default=list(problems()))
    parser.add_argument("--peers", nargs="*", default=[OURS, *installed()])
    parser.add_argument(
        "--runs", type=Path, required=True, help="one JSON object a line; runs in it are not repeated"
    )
    parser.add_argument("--recorded", type=Path, help="for record: runs that were made elsewhere")
    parser.add_argument("--out", type=Path, help="where the table goes")
    parser.add_argument("--plot", type=Path, help="where the figure goes")
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments)
    elif arguments.what == "record":
        record(arguments)
    else:
        table(arguments)


if __name__ == "__main__":
    main()
