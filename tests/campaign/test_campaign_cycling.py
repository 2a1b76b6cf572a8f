"""Critical current and life as measured objectives: cycled on the twin, after the spectrum, in the same trial."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from pressopt.assembly import SilentWatcher, begin_campaign, continue_campaign
from pressopt.campaign import events as e
from pressopt.campaign.experiment_file import load_experiment
from pressopt.campaign.replay import CampaignState
from pressopt.errors import ExperimentError
from pressopt.impedance.cycling import cycling_from_bytes, find_end
from pressopt.store import SqliteJournal
from pressopt.store.places import journal_of
from processes import experiment_file

RAMP = '[cycling]\nlow_ma_cm2 = 0.2\nhigh_ma_cm2 = 8.0\nstep_ma_cm2 = 0.2\nhalf_cycle = "30 s"\nlimit_v = 5.0\n'
AIM = {
    'quantity = "interfacial_resistance_ohm_cm2"     # of one interface, from the impedance spectrum\n'
    'direction = "minimize"': 'quantity = "critical_current_density_ma_cm2"\ndirection = "maximize"',
}


def cycled(folder: Path, *, table: str = RAMP, changes: dict[str, str] | None = None) -> Path:
    return experiment_file(folder, trials=1, changes={"[budget]": f"{table}\n[budget]", **(changes or AIM)})


def test_the_critical_current_is_measured_and_not_predicted(tmp_path: Path) -> None:
    """A trial records its spectrum and its cycling, and the objective is what the cycler found."""
    folder = tmp_path / "campaign"
    with begin_campaign(cycled(tmp_path), store=folder) as campaign:
        state = campaign.run()
        plan = campaign.experiment.cycling
    assert plan is not None
    trial = state.trial(1)
    assert [taken.kind for taken in trial.measurements] == ["spectrum", "cycling"]
    value, sd = trial.outcomes["critical_current_density_ma_cm2"]
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        record = cycling_from_bytes(journal.blob(trial.measurements[1].measurement))
    found = find_end(record, plan)
    assert (value, sd) == found.critical_ma_cm2
    assert found.ended_by == "short"
    assert 0.2 < value < 8.0
    assert "interfacial_resistance_ohm_cm2" in trial.outcomes
    assert state.observations()[0].outcomes["critical_current_density_ma_cm2"].value == value


class LeftError(BaseException):
    """The program ended here."""


class Leaves(SilentWatcher):
    """The program ends after the n-th raw measurement is written down."""

    def __init__(self, number: int) -> None:
        self._left = number

    def on_entry(self, event: object, state: CampaignState) -> None:
        if isinstance(event, e.SpectrumRecorded):
            self._left -= 1
            if self._left == 0:
                raise LeftError


def test_a_cell_is_not_cycled_twice_by_recovery(tmp_path: Path) -> None:
    """Ended after the cycling was written down, resume judges it and cycles nothing again."""
    folder = tmp_path / "campaign"
    with begin_campaign(cycled(tmp_path), store=folder) as campaign, pytest.raises(LeftError):
        campaign.run(Leaves(2))
    with continue_campaign(folder) as campaign:
        state = campaign.run()
    assert [taken.kind for taken in state.trial(1).measurements] == ["spectrum", "cycling"]
    assert "critical_current_density_ma_cm2" in state.trial(1).outcomes


@pytest.mark.parametrize(
    ("table", "changes", "told"),
    [
        (
            "[cycling]\nlow_ma_cm2 = 2.0\nhigh_ma_cm2 = 1.0\nstep_ma_cm2 = 0.1\n",
            None,
            "give low_ma_cm2 < high_ma_cm2",
        ),
        ("[cycling]\ncurrent_ma_cm2 = 1.0\ncycles = 100\n", None, "is measured with low_ma_cm2 to high_ma_cm2"),
        ("", None, "no configured instrument measures critical_current_density_ma_cm2"),
    ],
    ids=["falling ramp", "life instead of a ramp", "no table"],
)
def test_a_cycling_that_does_not_fit_is_refused(
    tmp_path: Path, table: str, changes: dict[str, str] | None, told: str
) -> None:
    """A ramp that falls, a life test for a critical current, and a measured aim without cycling are named."""
    with pytest.raises(ExperimentError) as refused:
        load_experiment(cycled(tmp_path, table=table, changes=changes))
    assert told in str(refused.value)


def test_life_is_an_aim_of_its_own(tmp_path: Path) -> None:
    """current_ma_cm2 and cycles make a life test of one step."""
    changes = {
        old: new.replace("critical_current_density_ma_cm2", "cycle_life_cycles") for old, new in AIM.items()
    }
    loaded = load_experiment(
        cycled(tmp_path, table="[cycling]\ncurrent_ma_cm2 = 1.0\ncycles = 100\n", changes=changes)
    )
    assert loaded.cycling is not None
    assert (loaded.cycling.constant, loaded.cycling.cycles) == (True, 100)
