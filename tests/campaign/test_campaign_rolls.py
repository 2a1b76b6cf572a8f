"""A laminator whose cells a person puts in: its rolls cool while hands are near them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pressopt.assembly import SilentWatcher, begin_campaign
from pressopt.campaign.experiment_file import load_experiment
from pressopt.campaign.replay import TrialState
from pressopt.campaign.watching import StopRequest
from processes import EXPERIMENTS


def test_rolls_cool_while_a_person_loads(tmp_path: Path) -> None:
    """Hot from the first cell, the rolls are told to cool before the second one is asked for."""
    loaded = load_experiment(EXPERIMENTS / "li-copper-roll-lamination.toml")
    plan = replace(loaded.laboratory, loading="person")
    of = replace(
        loaded,
        laboratory=plan,
        budget=replace(loaded.budget, trials=2),
        strategy=replace(loaded.strategy, name="sobol"),
    )
    stop, seen_c = StopRequest(), list[float]()
    with begin_campaign(of, store=tmp_path / "campaign") as campaign:
        rolls = campaign.laboratory.laminator
        assert rolls is not None

        def confirm(trial: TrialState) -> str | None:
            if trial.number == 2:
                before_c = rolls.read().temperature_c
                campaign.laboratory.clock.sleep_s(300.0)
                seen_c.extend((before_c, rolls.read().temperature_c))
                stop.ask(now=True)
            return "Ada"

        campaign.run(SilentWatcher(), stop=stop, confirm=confirm)
    before_c, after_c = seen_c
    assert after_c <= max(rolls.capability.min_c + 5.0, before_c - 1.0)
    assert after_c < 30.0
