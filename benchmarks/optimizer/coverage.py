"""How often the 95 % interval of the recommendation holds the truth, on the experiment files and the twin.

    python benchmarks/optimizer/coverage.py run --seeds 10 --runs benchmarks/optimizer/runs/coverage.jsonl
    python benchmarks/optimizer/coverage.py table --runs benchmarks/optimizer/runs/coverage.jsonl

After 10, 20 and 30 cells the strategy of the file recommends a protocol and says between which values its true
result lies. The truth is that of the virtual laboratory: the mean over cells and foils, without noise of the
reading.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from pressopt.assembly import recommender_of
from pressopt.optimizer import Observation
from virtual_campaigns import FILES, experiment, merit, press

CHECKPOINTS = (10, 20, 30)


def campaign(file: str, seed: int) -> list[dict]:
    """What was promised and what is true, at the checkpoints of one campaign."""
    of = experiment(file, seed)
    engine = recommender_of(of)
    (objective,) = of.objectives
    history: list[Observation] = []
    found = []
    for number in range(1, max(CHECKPOINTS) + 1):
        (proposal,) = engine.ask(history)
        history.append(press(of, number, proposal.settings))
        if number in CHECKPOINTS:
            answer = engine.recommend(history)
            promised = answer.expected[objective.quantity]
            truth = float(merit(of, [answer.settings]).value[0])
            found.append(
                {
                    "file": file,
                    "seed": seed,
                    "cells": number,
                    "low": promised.low,
                    "median": promised.median,
                    "high": promised.high,
                    "truth": truth,
                    "physics_weight": answer.model.get("physics_weight"),
                }
            )
    return found


def table(lines: Sequence[dict]) -> list[str]:
    """Share of intervals that hold the truth, by file and number of cells; and how wide they are."""
    text = [
        "# The 95 % interval of the recommendation",
        "",
        f"Written by `coverage.py table` from {len(lines) // len(CHECKPOINTS)} campaigns on the twin: share of "
        "recommendations whose interval holds the true value, and the median half width.",
        "",
        "| experiment | " + " | ".join(f"{cells} cells" for cells in CHECKPOINTS) + " |",
        "|---|" + "---|" * len(CHECKPOINTS),
    ]
    for file in (*sorted({one["file"] for one in lines}), ""):
        cells = []
        for count in CHECKPOINTS:
            here = [one for one in lines if one["cells"] == count and file in {"", one["file"]}]
            held = [one["low"] <= one["truth"] <= one["high"] for one in here]
            width = np.median([0.5 * math.log(one["high"] / one["low"]) for one in here])
            cells.append(f"{np.mean(held):.0%} of {len(held)}, ±{width:.0%}")
        text.append(f"| {file or '**all**'} | " + " | ".join(cells) + " |")
    return text


def main() -> None:
    """Run campaigns, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=201)
    parser.add_argument("--files", nargs="*", default=FILES)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    kept = arguments.runs.read_text(encoding="utf-8").splitlines() if arguments.runs.exists() else []
    lines = [json.loads(line) for line in kept]
    if arguments.what == "run":
        done = {(one["file"], one["seed"]) for one in lines}
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            for file in arguments.files:
                if (file, seed) in done:
                    continue
                found = campaign(file, seed)
                with arguments.runs.open("a", encoding="utf-8") as stream:
                    stream.writelines(json.dumps(one) + "\n" for one in found)
                held = [one["low"] <= one["truth"] <= one["high"] for one in found]
                print(f"{file:34} {seed} {held}", flush=True)
        return
    text = table(lines)
    print("\n".join(text))
    if arguments.out is not None:
        arguments.out.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
