"""Earlier campaigns and published points, named in the experiment file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pressopt.assembly import recommender_of
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import load_experiment, read_experiment
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.errors import ExperimentError
from pressopt.export import trials_csv

FILE = Path(__file__).parents[2] / "experiments" / "li-copper-lamination.toml"
QUANTITY = "contact_resistance_mohm_cm2"


def experiment_with(folder: Path, sources: str, strategy: str = "physics-gp") -> Experiment:
    """The shipped experiment, in a folder of its own and with sources."""
    text = FILE.read_text(encoding="utf-8").replace('name = "physics-gp"', f'name = "{strategy}"')
    return read_experiment(f"{text}\n{sources}", folder / FILE.name)


def earlier(experiment: Experiment) -> CampaignState:
    """Five cells of another campaign; the fourth tore, and the press missed what was asked by a tenth."""
    trials = {}
    for number, settings in enumerate(experiment.space.sample(5, seed=3), 1):
        torn = number == 4
        trials[number] = TrialState(
            number,
            Phase.DONE,
            settings=settings,
            achieved={"lamination.pressure_mpa": 0.9 * float(settings["lamination.pressure_mpa"])},
            outcomes={} if torn else {QUANTITY: (10.0 + number, 0.5)},
            failures=("torn",) if torn else (),
        )
    return CampaignState(trials=trials)


def test_the_exported_table_of_a_campaign_is_a_source(tmp_path: Path) -> None:
    """What `pressopt export` wrote is read back as it was: achieved settings, results, their errors, failures."""
    before = load_experiment(FILE)
    state = earlier(before)
    (tmp_path / "trials.csv").write_text(trials_csv(before, state), encoding="utf-8", newline="")
    loaded = experiment_with(tmp_path, '[[sources]]\nfile = "trials.csv"\nname = "last year"\ntrust = 0.5\n')
    (source,) = loaded.sources
    assert (source.name, source.trust) == ("last year", 0.5)
    for told, trial in zip(source.observations, state.trials.values(), strict=True):
        assert told.settings == {**trial.settings, **trial.achieved}
        assert {name: (one.value, one.sd) for name, one in told.outcomes.items()} == trial.outcomes
        assert told.feasible is not bool(trial.failures)


def test_the_engine_asks_the_sources(tmp_path: Path) -> None:
    """Beside the draws of the physics there are those of the source, and the first cells differ for them."""
    before = load_experiment(FILE)
    (tmp_path / "trials.csv").write_text(trials_csv(before, earlier(before)), encoding="utf-8", newline="")
    after = experiment_with(tmp_path, '[[sources]]\nfile = "trials.csv"\n')
    settings = before.space.sample(6, seed=1)
    plain, informed = recommender_of(before).prior, recommender_of(after).prior
    assert plain is not None
    assert informed is not None
    draws, more = plain.draws(QUANTITY, settings), informed.draws(QUANTITY, settings)
    np.testing.assert_array_equal(more[: len(draws)], draws)
    assert len(more) > len(draws)
    assert recommender_of(after).ask([]) == recommender_of(after).ask([])


def test_published_points_are_typed_in_any_spelling_of_a_table(tmp_path: Path) -> None:
    """Plain headings, a byte order mark, empty cells and columns of one's own; an untold error is a tenth."""
    (tmp_path / "points.csv").write_text(
        "\ufeffdoi,lamination.pressure_mpa,lamination.dwell_s,lamination.temperature_c,contact_resistance_mohm_cm2\n"
        "10.1000/x,5,60,60,40\n,50,60,60,\n,20,60,80,20\n",
        encoding="utf-8",
    )
    (source,) = experiment_with(tmp_path, '[[sources]]\nfile = "points.csv"\n').sources
    assert source.name == "points"
    assert [one.outcomes[QUANTITY].value for one in source.observations] == [40.0, 20.0]
    assert source.observations[0].outcomes[QUANTITY].sd == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "cannot be read"),
        ("lamination.dwell_s,lamination.temperature_c\n1,2\n", "lamination.pressure_mpa has no column"),
        (
            "lamination.pressure_mpa,lamination.dwell_s,lamination.temperature_c,contact_resistance_mohm_cm2\n"
            "5,60,60,40\n5,60,about 60,40\n",
            "line 3, lamination.temperature_c 'about 60' is no number",
        ),
        (
            "lamination.pressure_mpa,lamination.dwell_s,lamination.temperature_c\n5,60,60\n",
            "no row with all settings and a result",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_a_mistake_of_the_file(
    tmp_path: Path, table: str | None, message: str
) -> None:
    """Missing, without a setting, with a word for a number, without results: said before anything runs."""
    if table is not None:
        (tmp_path / "points.csv").write_text(table, encoding="utf-8")
    with pytest.raises(ExperimentError, match=message):
        experiment_with(tmp_path, '[[sources]]\nfile = "points.csv"\n')


def test_an_engine_that_cannot_learn_from_elsewhere_says_so(tmp_path: Path) -> None:
    """Sources and a strategy without a prior exclude each other."""
    with pytest.raises(ExperimentError, match='"gp" learns from its own cells only'):
        experiment_with(tmp_path, '[[sources]]\nfile = "points.csv"\n', strategy="gp")
