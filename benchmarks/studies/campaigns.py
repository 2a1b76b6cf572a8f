"""Virtual campaigns of 30 trials without wires: how long 500 of them take on all cores.

Run: python benchmarks/studies/campaigns.py [--campaigns 500] [--strategy gp]; some four minutes on two free cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measured import Measured

from pressopt.campaign.experiment_file import load_experiment
from pressopt.study.engines import Processes
from pressopt.study.folder import StudyFolder
from pressopt.study.running import run_job
from pressopt.study.simulate import gather, plan_simulation, summarize

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "li-lpscl-symmetric.toml"
#: What the issue asks: so many campaigns of so many trials in so many minutes.
TRIALS, WANTED, WITHIN_MIN = 30, 500, 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=WANTED)
    parser.add_argument("--strategy", default="gp")
    arguments = parser.parse_args()
    job = plan_simulation(
        load_experiment(EXPERIMENT),
        strategies=[arguments.strategy],
        trials=TRIALS,
        every=TRIALS,
        twins=arguments.campaigns,
    )
    engine = Processes()
    print(f"{engine.workers} processes, load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as folder, StudyFolder(Path(folder), job) as kept, Measured() as measured:
        progress = run_job(job, kept, engine)
        curves, _ = gather(job, (data for _, data in kept.read()))
    (told,) = summarize(job, curves)["arms"]
    each_s = measured.processor_s / arguments.campaigns
    print(
        f"{arguments.campaigns} campaigns of {TRIALS} trials, strategy {arguments.strategy}, twin without wires: "
        f"{progress.elapsed_s:.0f} s by the clock, {each_s:.2f} s of processor time each\n"
        f"{WANTED} of them: {each_s * WANTED / engine.workers / 60:.1f} min of processor time on each of "
        f"{engine.workers} cores (wanted: under {WITHIN_MIN:.0f}); "
        f"median gap to the twin's optimum {told['median_gap']:.1%}; "
        f"peak memory {measured.peak_mb:.0f} MB"
    )


if __name__ == "__main__":
    main()
