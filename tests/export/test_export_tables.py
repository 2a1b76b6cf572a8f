"""Tables, the summary and what `show` prints: nothing rounded away in files, nothing hidden from people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from export_campaign import RESISTANCE, UNTOUCHED
from pressopt.campaign import events as e
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import CampaignState, replay
from pressopt.export import ExportError, write_all
from pressopt.export.files import write_file
from pressopt.export.summary import final_summary
from pressopt.export.tables import trials_csv
from pressopt.export.wording import duration, number, with_sd
from pressopt.store import SqliteJournal

Fill = Callable[..., SqliteJournal]


def printed(renderable: Any) -> str:
    """What a terminal of 100 columns shows."""
    out = io.StringIO()
    Console(file=out, width=100).print(renderable)
    return out.getvalue()


def test_numbers_of_the_table_read_back_exactly(experiment: Experiment, state: CampaignState) -> None:
    """Every measured value in the CSV is the journal's, to the bit; failures have none."""
    rows = list(csv.DictReader(io.StringIO(trials_csv(experiment, state))))
    column = f"{RESISTANCE} [Ω cm²]"
    assert len(rows) == 12
    for row, trial in zip(rows, state.trials.values(), strict=True):
        if trial.outcomes:
            assert float(row[column]) == trial.outcomes[RESISTANCE][0]
        else:
            assert row[column] == ""
    assert rows[3]["failures"] == "shorted"
    assert float(rows[0]["lamination.pressure_mpa achieved [MPa]"]) == 12.0 * 0.99


def test_the_header_of_the_table_names_every_unit(experiment: Experiment, state: CampaignState) -> None:
    """Who opens the table sees MPa, s, °C and Ω cm² without another file."""
    header = trials_csv(experiment, state).splitlines()[0]
    for unit in ("asked [MPa]", "achieved [s]", "asked [°C]", "standard deviation [Ω cm²]", "held at [MPa]"):
        assert unit in header


def test_the_summary_says_what_was_found_and_who_knows_it(experiment: Experiment, state: CampaignState) -> None:
    """Settings with window and force, the interval, comparisons marked predicted or measured, the files."""
    words, document = final_summary(experiment, state, UNTOUCHED, [Path("/data/run/protocol.json")])
    text = printed(words)
    for part in (
        "35 MPa = 2.75 kN",
        "29 to 40.5 MPa",
        "4.31 Ω cm²  (3.92 to 4.74 Ω cm², 95 % interval)",
        "48 times lower than the untouched cell (208 Ω cm², predicted)",
        "23 % lower than the best of the initial design (5.62 Ω cm², measured, cell 3)",
        "predicted, not measured",
        "12 cells pressed: 9 valid, 2 shorted, 1 spoilt.",
        "/data/run/",
    ):
        assert part in text
    assert document["schema"] == "pressopt/summary/1"
    assert json.loads(json.dumps(document))["results"][0]["expected"]["low"] == 3.92


def test_the_summary_of_a_failed_campaign(experiment: Experiment, fill: Fill) -> None:
    """No settings are named where nothing valid was measured."""
    words, document = final_summary(experiment, replay(fill(0, recommendation=None).entries()))
    assert "No protocol: the campaign ended without a valid measurement" in printed(words)
    assert document["settings"] is None
    assert document["complete"] is False


def test_everything_is_written_twice_the_same(
    experiment: Experiment, journal: SqliteJournal, tmp_path: Path
) -> None:
    """Two folders from one journal hold the same files with the same bytes."""
    one, two = (write_all(experiment, journal, tmp_path / name, untouched=UNTOUCHED) for name in ("one", "two"))
    assert [path.name for path in one] == [
        "protocol.json", "operator-sheet.html", "operator-sheet.txt", "trials.csv",
        "convergence.png", "convergence.svg", "nyquist.png", "nyquist.svg",
    ]  # fmt: skip
    for first, second in zip(one, two, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder that is a file: one sentence with the path and the way out."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(ExportError, match=r"taken/a\.csv could not be written .* --out"):
        write_file(tmp_path / "taken" / "a.csv", b"")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (45, "45 s"),
        (90, "90 s"),
        (120, "2 min"),
        (630, "10 min 30 s"),
        (3600, "1 h"),
        (3900, "1 h 05 min"),
        (7199, "2 h"),
    ],
)
def test_times_are_written_as_on_a_timer(seconds: float, text: str) -> None:
    """Seconds below two minutes, then minutes, then hours."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "sd", "text"), [(31.42, 0.83, "31.42 ± 0.83"), (520.0, 31.0, "520 ± 31"), (3.2, 0.0, "3.2")]
)
def test_values_are_cut_where_their_uncertainty_cuts_them(value: float, sd: float, text: str) -> None:
    """Two digits of the standard deviation, the value to the same place."""
    assert with_sd(value, sd) == text


@pytest.mark.parametrize(
    ("value", "text"), [(72.0, "72"), (0.00123, "0.00123"), (12345.6, "12346"), (9.999, "10")]
)
def test_numbers_are_written_without_needless_digits(value: float, text: str) -> None:
    """Three significant digits, no trailing zeros, no exponent where people would not write one."""
    assert number(value) == text


# ---------------------------------------------------------------------- the commands


@pytest.fixture
def campaign(experiment: Experiment, journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the finished campaign, as the commands find it."""
    monkeypatch.setattr("pressopt.assembly.experiment_of", lambda _: experiment)
    return journal.path.parent


def test_show_lists_every_trial_within_100_columns(campaign: Path) -> None:
    """Twelve trials, asked and got, value or failure, in a pipe as on a terminal."""
    from pressopt.cli.show import show

    found = CliRunner().invoke(show, [str(campaign)])
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.strip()[:2].strip().isdigit() and " done " in line for line in lines) == 12
    assert "closed, 12 of 12 trials done" in found.output
    assert "12 → 11.9" in found.output


def test_show_tells_a_failed_trial_in_full(campaign: Path) -> None:
    """Trial 4 shorted: the verdict with its reason, and each of its six events."""
    from pressopt.cli.show import show

    found = CliRunner().invoke(show, [str(campaign), "4"])
    assert found.exit_code == 0, found.output
    assert "verdict: shorted; failed: shorted" in found.output
    assert "because the DC resistance is 0.3 Ω, below that of the electrolyte alone" in found.output
    for event in ("Proposed", "Loaded", "PressingStarted", "PressingFinished", "SpectrumRecorded", "Measured"):
        assert event in found.output


def test_show_speaks_json(campaign: Path) -> None:
    """One object each, with its schema."""
    from pressopt.cli.show import show

    whole = json.loads(CliRunner().invoke(show, [str(campaign), "--json"]).output)
    assert whole["schema"] == "pressopt/campaign/1"
    assert len(whole["trials"]) == 12
    one = json.loads(CliRunner().invoke(show, [str(campaign), "12", "--json"]).output)
    assert one["schema"] == "pressopt/trial/1"
    assert [event["event"] for event in one["events"]][-1] == "Measured"


def test_show_says_that_a_person_must_look(
    experiment: Experiment, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted pressing stands at the head of the overview with the command that answers it."""
    from pressopt.cli.show import show

    monkeypatch.setattr("pressopt.assembly.experiment_of", lambda _: experiment)
    journal = fill(3, closed=False, cut=3, more=(e.Interrupted(3, "the program ended"),))
    found = CliRunner().invoke(show, [str(journal.path.parent)])
    assert "trial 3 waits for a person to say what was found (`pressopt resolve`)" in found.output
