"""The as-run record: asked beside achieved for each stage of each cell, exactly as the journal has it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from export_campaign import agreed, one_trial, press_record
from pressopt.campaign import events as e
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import replay
from pressopt.export.answer import Answer, gather
from pressopt.export.as_run import as_run_csv, as_run_document, runs
from pressopt.store import SqliteJournal


def test_every_pressed_cell_is_there_with_what_it_got(answer: Answer, journal: SqliteJournal) -> None:
    """Twelve cells; the third was asked 25 MPa for 30 min and got 24.75 MPa for a second more, with one refill."""
    document = as_run_document(answer, journal)
    assert [trial["trial"] for trial in document["trials"]] == list(range(1, 13))
    third = document["trials"][2]
    stage = third["stages"][1]
    assert stage["asked"] == {"pressure_mpa": 25.0, "dwell_s": 1800.0, "temperature_c": 30.0}
    assert stage["achieved"] == {"pressure_mpa": 24.75, "dwell_s": 1801.0, "temperature_c": 30.4}
    assert (third["refills"], third["dose_mpa_s"]) == (1, 300.0 + 25.0 * 1800.0)
    assert third["loaded_by"] == "sample changer"
    assert third["started_at"] < third["finished_at"]


def test_the_table_reads_back_exactly(answer: Answer, journal: SqliteJournal) -> None:
    """Two rows a cell; every number is the record's to the bit, and every column has its unit."""
    rows = list(csv.DictReader(io.StringIO(as_run_csv(answer, journal))))
    assert len(rows) == 24
    record = press_record(answer.state.trials[7].settings)
    row = rows[13]
    assert float(row["pressure achieved [MPa]"]) == record.stages[1].achieved["pressure_mpa"]
    assert float(row["overshoot [MPa]"]) == record.stages[1].overshoot_mpa
    assert float(row["dose [MPa s]"]) == record.stages[1].dose_mpa_s


def test_the_table_is_as_agreed(answer: Answer, journal: SqliteJournal) -> None:
    """The whole CSV, word for word."""
    agreed("as-run.csv", as_run_csv(answer, journal))


def test_a_half_finished_campaign_says_so_and_keeps_its_faulted_cell(
    experiment: Experiment, fill: Callable[..., SqliteJournal]
) -> None:
    """A cell whose pressing failed is there with the curves until then, and the record is not complete."""
    record = one_trial(3)[3][1][0]
    from pressopt.campaign.journal import digest_of

    journal = fill(3, closed=False, cut=3)
    journal.append(e.Faulted(3, "the force fell", digest_of(record)), actor="runner", blobs=(record,))
    answer = gather(experiment, replay(journal.entries()))
    document = as_run_document(answer, journal)
    assert document["complete"] is False
    assert "waits for a person" in document["incomplete_because"]
    assert [trial["trial"] for trial in document["trials"]] == [1, 2, 3]


@pytest.mark.parametrize("trials", [0])
def test_nothing_pressed_is_an_empty_record(
    experiment: Experiment, fill: Callable[..., SqliteJournal], trials: int
) -> None:
    """No cell: no row and no invention, only the header."""
    journal = fill(trials, closed=False)
    answer = gather(experiment, replay(journal.entries()))
    assert runs(answer, journal) == []
    assert as_run_csv(answer, journal).count("\r\n") == 1
