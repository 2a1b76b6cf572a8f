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
from collections.abc import Sequence
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
OURS = {"pressopt physics-gp": "physics-gp", "pressopt gp": "gp"}
#: Proposals of a peer that may be refused before one is pressed all the same.
REFUSALS = 20


def ours(
    of: Experiment, strategy: str, seed: int, budget: int
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
    return taken, history, seconds


def _recommended(engine: Recommender, history: Sequence[Observation]) -> Settings | None:
    measured = any(one.feasible for one in history)
    return engine.recommend(history).settings if measured or engine.strategy == "physics-gp" else None


def theirs(
    of: Experiment, peer: Peer, seed: int, budget: int
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
    return taken, history, seconds


def run(arguments: argparse.Namespace) -> None:
    """Run what is asked for and append one line per campaign."""
    done = {(one["file"], one["peer"], one["seed"]) for one in _lines(arguments.runs)}
    makers = installed()
    arguments.runs.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for file in arguments.files:
            of = experiment(file, seed)
            best, _ = optimum(of)
            for name in arguments.peers:
                if (file, name, seed) in done:
                    continue
                if name in OURS:
                    taken, history, seconds = ours(of, OURS[name], seed, arguments.budget)
                elif name in makers:
                    peer = makers[name](len(of.space.variables), seed)
                    taken, history, seconds = theirs(of, peer, seed, arguments.budget)
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
                print(
                    f"{file:32} {name:22} {seed:3d} {cells_to(line['taken'])} {cells_to(line['pressed'])}",
                    flush=True,
                )


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def cells_to(ratios: Sequence[float | None]) -> int:
    """Cells until the ratio to the optimum is first within the bound; one more than there were when never."""
    return next((k for k, r in enumerate(ratios, 1) if r is not None and r <= WITHIN), len(ratios) + 1)


def cells_for_good(ratios: Sequence[float | None]) -> int:
    """Cells until the ratio is within the bound and stays there."""
    outside = [k for k, r in enumerate(ratios, 1) if r is None or r > WITHIN]
    return (outside[-1] if outside else 0) + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--files", nargs="*", default=FILES)
    parser.add_argument("--peers", nargs="*", default=[*OURS, *installed()])
    parser.add_argument("--runs", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments)
    else:
        table(_lines(arguments.runs))


def table(lines: list[dict]) -> None:
    peers = list(dict.fromkeys(one["peer"] for one in lines))
    for measure in (
        lambda one: cells_to(one["taken"]),
        lambda one: cells_for_good(one["taken"]),
        lambda one: cells_to(one["pressed"]),
    ):
        for file in sorted({one["file"] for one in lines}):
            cells = []
            for peer in peers:
                found = [measure(one) for one in lines if one["file"] == file and one["peer"] == peer]
                cells.append(f"{np.median(found):5.1f} ({len(found)})" if found else "-")
            print(f"{file:32}", "  ".join(f"{c:12}" for c in cells))
        print()
    print(" " * 32, "  ".join(f"{p[-12:]:12}" for p in peers))


if __name__ == "__main__":
    main()
