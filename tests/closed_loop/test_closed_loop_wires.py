"""What many-seed tests measure without wires is what a campaign measures through them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pressopt.assembly import begin_campaign
from pressopt.clock import FastClock
from pressopt.study.virtual import press
from virtual_campaigns import experiment

TRIALS = 6


@pytest.mark.parametrize("name", ["li-lpscl-symmetric", "li-copper-lamination"])
def test_wires_change_nothing(name: str, tmp_path: Path) -> None:
    """The same cells through press, analyser, spectrum and fit fail and read alike, within a few per cent."""
    of = experiment(name, seed=1, strategy="sobol")
    of = replace(of, budget=replace(of.budget, trials=TRIALS))
    with begin_campaign(of, store=tmp_path / "campaign", clock=FastClock()) as campaign:
        campaign.run()
        through_wires = campaign.state.observations()
    assert len(through_wires) == TRIALS
    (objective,) = of.objectives
    differences = []
    for seen in through_wires:
        direct = press(of, seen.trial, seen.settings)
        assert seen.failures == direct.failures
        assert (objective.quantity in seen.outcomes) == (objective.quantity in direct.outcomes)
        if seen.feasible:
            read = seen.outcomes[objective.quantity].value
            differences.append(read / direct.outcomes[objective.quantity].value - 1.0)
    assert len(differences) >= TRIALS // 2
    # Two readings of one cell: 1.5 % of noise in one of them, and the press's own error of force in the other.
    assert np.median(np.abs(differences)) <= 0.03
    assert np.max(np.abs(differences)) <= 0.08
