"""How many cells each optimizer needs to come within 10 % of the optimum, on the experiment files and the twin.

    python benchmarks/optimizer/cells.py run --seeds 10 --runs benchmarks/optimizer/runs/cells.jsonl
    python benchmarks/optimizer/cells.py table --runs benchmarks/optimizer/runs/cells.jsonl

All optimizers press the same virtual cells: cell number ``k`` of a seed has the same hidden properties, foil
batch, noise and chance to be spoilt for each of them. What counts is the *cost per good cell* (true value over
the share of cells that neither short nor crack nor tear) of the protocol that a user would take after each cell:
the recommended one of pressopt, the best reading of the others. The optimum is that of the twin's truth within
the file's limits.

- Start cells count. The peers share five points of a scrambled Sobol sequence; ``physics-gp`` begins by itself.
- Peers are told the natural logarithm of the reading, and the worst reading so far for a cell that failed.
- A proposal that breaks a rule between settings, or a bound that physics predicts (extrusion, cracks), is told to
  a peer as a failure without a cell: its user would not press it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from peers import Peer, installed, start_points

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from pressopt.assembly import recommender_of
from pressopt.campaign.experiment import Experiment
from pressopt.optimizer import Observation, Recommender, Settings
from virtual_campaigns import FILES, experiment, merit, optimum, press

#: How close is close enough.
WITHIN = 1.1
#: From this seed on nobody looked while the engine was made.
FRESH = 101
OURS = {"pressopt physics-gp": "physics-gp", "pressopt gp": "gp"}
#: Proposals of a peer that may be refused before one is pressed all the same.
REFUSALS = 20


def ours(
    of: Experiment, strategy: str, seed: int, budget: int, enough: Callable[[Settings], bool]
) -> tuple[list[Settings | None], list[Observation], float]:
    """The protocol recommended after each cell, the cells, and the processor seconds of all asks."""
    engine = recommender_of(replace(of, strategy=replace(of.strategy, name=strategy)))
    engine = replace(engine, initial=None, seed=seed)
    history: list[Observation] = []
    taken: list[Settings | None] = []
    seconds = 0.0
    for number in range(1, budget + 1):
        begun = time.process_time()
        (proposal,) = engine.ask(history)
        seconds += time.process_time() - begun
        history.append(press(of, number, proposal.settings))
        taken.append(_recommended(engine, history))
        if taken[-1] is not None and enough(taken[-1]):
            break
    return taken, history, seconds


def _recommended(engine: Recommender, history: Sequence[Observation]) -> Settings | None:
    measured = any(one.feasible for one in history)
    return engine.recommend(history).settings if measured or engine.strategy == "physics-gp" else None


def theirs(
    of: Experiment, peer: Peer, seed: int, budget: int, enough: Callable[[Settings], bool]
) -> tuple[list[Settings | None], list[Observation], float]:
    """The same for a peer: what it takes is the protocol of its best reading."""
    space = of.space
    prior = recommender_of(of).prior
    (objective,) = of.objectives
    history: list[Observation] = []
    taken: list[Settings | None] = []
    readings: list[float] = []
    best: tuple[float, Settings | None] = (math.inf, None)
    start = list(start_points(len(space.variables), seed))
    seconds = 0.0
    refused: list[np.ndarray] = []

    def forbidden(settings: Settings | None) -> bool:
        if settings is None:
            return True
        for bound in of.constraints:
            if bound.source == "predicted" and bound.upper is not None and prior is not None:
                expected = float(np.median(prior.draws(bound.quantity, [settings])))
                if expected > bound.upper:
                    return True
        return False

    while len(history) < budget:
        for _ in range(REFUSALS + 1):
            begun = time.process_time()
            place = start.pop(0) if start else peer.ask()
            seconds += time.process_time() - begun
            point = space.encode(np.clip(place, 0.0, 1.0)[None, :])[0]
            settings = space.settable(space.from_unit(point))
            if not forbidden(settings):
                break
            refused.append(place)
            if readings:
                peer.tell(place, max(readings))
        if settings is None:
            settings = space.sample(1, seed=seed, skip=len(history))[0]
        history.append(press(of, len(history) + 1, settings))
        seen = history[-1]
        if seen.feasible and objective.quantity in seen.outcomes:
            value = math.log(max(seen.outcomes[objective.quantity].value, 1e-12))
            if not readings:
                for one in refused:
                    peer.tell(one, value)
            readings.append(value)
            if value < best[0]:
                best = (value, settings)
        else:
            value = max(readings) if readings else 0.0
        begun = time.process_time()
        peer.tell(place, value)
        seconds += time.process_time() - begun
        taken.append(best[1])
        if best[1] is not None and enough(best[1]):
            break
    return taken, history, seconds


def run(arguments: argparse.Namespace) -> None:
    """Run what is asked for and append one line per campaign."""
    done = {(one["file"], one["peer"], one["seed"]) for one in _lines(arguments.runs)}
    makers = installed()
    arguments.runs.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for file in arguments.files:
            of = experiment(file, seed)
            wanted = [name for name in arguments.peers if (file, name, seed) not in done]
            if not wanted:
                continue
            best, _ = optimum(of)

            def enough(settings: Settings, of: Experiment = of, best: float = best) -> bool:
                return arguments.until_found and float(merit(of, [settings]).cost[0]) <= WITHIN * best

            for name in wanted:
                if name in OURS:
                    taken, history, seconds = ours(of, OURS[name], seed, arguments.budget, enough)
                elif name in makers:
                    peer = makers[name](len(of.space.variables), seed)
                    taken, history, seconds = theirs(of, peer, seed, arguments.budget, enough)
                else:
                    continue
                costs = [math.inf if one is None else float(merit(of, [one]).cost[0]) for one in taken]
                pressed = merit(of, [one.settings for one in history]).cost
                line = {
                    "file": file,
                    "peer": name,
                    "seed": seed,
                    "taken": [round(cost / best, 4) if math.isfinite(cost) else None for cost in costs],
                    "pressed": [round(float(c) / best, 4) if math.isfinite(c) else None for c in pressed],
                    "seconds": round(seconds, 3),
                }
                with arguments.runs.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line) + "\n")
                print(f"{file:32} {name:22} {seed:3d} {cells_to(line['taken'])}", flush=True)


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def cells_to(ratios: Sequence[float | None]) -> int:
    """Cells until the ratio to the optimum is first within the bound; one more than there were when never."""
    return next((k for k, r in enumerate(ratios, 1) if r is not None and r <= WITHIN), len(ratios) + 1)


def table(lines: list[dict], out: Path | None, plot: Path | None) -> None:
    """Medians over the seeds, ours against the best peer; and the share of campaigns that are there, by cells."""
    fresh = [one for one in lines if one["seed"] >= FRESH]
    lines = [one for one in lines if one["seed"] < FRESH]
    peers = list(dict.fromkeys(one["peer"] for one in sorted(lines, key=lambda one: one["peer"] not in OURS)))
    others = [peer for peer in peers if peer not in OURS]
    seeds = len({one["seed"] for one in lines})
    text = [
        f"# Cells to come within {WITHIN - 1:.0%} of the optimum on the twin",
        "",
        f"Written by `cells.py table` from {len(lines)} campaigns, up to {seeds} seeds each and 30 cells. Start "
        "cells count. Medians over the seeds (31: more than half were not there after 30). What counts is the "
        "protocol that a user would take: the recommended one of pressopt, the best reading of the others.",
        "",
        "| experiment | " + " | ".join(peers) + " | ours / best peer |",
        "|---|" + "---|" * (len(peers) + 1),
    ]
    for file in sorted({one["file"] for one in lines}):
        found = {
            peer: [cells_to(one["taken"]) for one in lines if one["file"] == file and one["peer"] == peer]
            for peer in peers
        }
        medians = {peer: float(np.median(values)) for peer, values in found.items() if values}
        best = min((medians[peer] for peer in others if peer in medians), default=math.nan)
        own = medians.get("pressopt physics-gp", math.nan)
        cells = [f"{medians[peer]:g}" if peer in medians else "-" for peer in peers]
        text.append(f"| {file} | " + " | ".join(cells) + f" | {own / best:.2f} |")
    if fresh:
        text += _on_fresh_seeds(fresh, lines)
    print("\n".join(text))
    if out is not None:
        out.write_text("\n".join(text) + "\n", encoding="utf-8")
    if plot is not None:
        _plot(lines, peers, plot)


def _on_fresh_seeds(fresh: list[dict], first: list[dict]) -> list[str]:
    """The same for seeds that nobody looked at while the engine was made."""
    text = [
        "",
        f"## Fresh seeds, from {FRESH} on",
        "",
        "The engine was made while looking at some of the seeds above; at these nobody looked before. Medians of "
        "so many campaigns. Peers were made for neither: their medians above stand beside those run here.",
        "",
        "| experiment | pressopt physics-gp | peers on the same seeds | best peer above | ours / that |",
        "|---|---|---|---|---|",
    ]
    for file in sorted({one["file"] for one in fresh}):
        found: dict[str, list[int]] = {}
        for one in fresh:
            if one["file"] == file:
                found.setdefault(one["peer"], []).append(cells_to(one["taken"]))
        own = found.pop("pressopt physics-gp", [])
        others = [f"{peer} {np.median(values):g} ({len(values)})" for peer, values in found.items()]
        above: dict[str, list[int]] = {}
        for one in first:
            if one["file"] == file and one["peer"] not in OURS:
                above.setdefault(one["peer"], []).append(cells_to(one["taken"]))
        best = min((float(np.median(values)) for values in above.values()), default=math.nan)
        text.append(
            f"| {file} | {np.median(own):g} ({len(own)}) | {', '.join(others) or '-'} | {best:g} "
            f"| {np.median(own) / best:.2f} |"
        )
    return text


def _plot(lines: list[dict], peers: list[str], path: Path) -> None:
    """Share of campaigns, over all files and seeds, that are within the bound after so many cells."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    cells = np.arange(1, 31)
    for peer in peers:
        needed = np.array([cells_to(one["taken"]) for one in lines if one["peer"] == peer])
        share = [(needed <= count).mean() for count in cells]
        axes.step(cells, share, where="post", label=peer, linewidth=2.5 if peer in OURS else 1.2)
    axes.set(
        xlabel="cells pressed", ylabel="share of campaigns within 10 % of the optimum", ylim=(0, 1), xlim=(1, 30)
    )
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--until-found", action="store_true", help="end campaigns once they are there")
    parser.add_argument("--files", nargs="*", default=FILES)
    parser.add_argument("--peers", nargs="*", default=["pressopt physics-gp", *installed()])
    parser.add_argument(
        "--runs", type=Path, required=True, help="one JSON object a line; runs in it are not repeated"
    )
    parser.add_argument("--out", type=Path, help="where the table goes")
    parser.add_argument("--plot", type=Path, help="where the figure goes")
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments)
    else:
        table(_lines(arguments.runs), arguments.out, arguments.plot)


if __name__ == "__main__":
    main()
