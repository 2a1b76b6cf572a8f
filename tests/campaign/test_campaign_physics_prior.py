"""The surrogate as the optimizer's prior: what it remembers changes no answer, whoever else asks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pressopt.assembly import surrogate_of
from pressopt.campaign.experiment_file import load_experiment
from pressopt.campaign.physics_prior import SurrogatePrior

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
QUANTITY = "interfacial_resistance_ohm_cm2"


def test_campaigns_of_one_file_share_their_prior() -> None:
    """Several threads that let it remember the same settings get the answers of one that is alone."""
    experiment = load_experiment(EXPERIMENTS / "li-lpscl-symmetric.toml")
    surrogate = surrogate_of(experiment)
    batches = [tuple(experiment.space.sample(40, seed=seed)) for seed in range(4)]
    alone = SurrogatePrior(experiment, surrogate, draws=8)
    expected = [alone.draws(QUANTITY, batch) for batch in batches]
    shared, together = SurrogatePrior(experiment, surrogate, draws=8), threading.Barrier(4)

    def ask(first: int) -> list[np.ndarray]:
        found = []
        for step in range(12):
            batch = batches[(first * (step // 6) + step) % 4]
            together.wait(60)
            shared.remember(batch)
            found.append(shared.draws(QUANTITY, [*batch]))
        return found

    with ThreadPoolExecutor(4) as threads:
        for first, answers in enumerate(threads.map(ask, range(4))):
            for step, answer in enumerate(answers):
                np.testing.assert_array_equal(answer, expected[(first * (step // 6) + step) % 4])
