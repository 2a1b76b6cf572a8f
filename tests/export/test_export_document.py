"""Protocol files: they fit the shipped schema, say where they come from, and give the protocol back exactly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pressopt.campaign import events as e
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import replay
from pressopt.errors import InputError
from pressopt.export.answer import Answer, gather
from pressopt.export.document import (
    document_bytes,
    document_digest,
    protocol_document,
    protocol_from_document,
    read_document,
)
from pressopt.export.protocol_format import SCHEMA_FILE, schema_text
from pressopt.pressing import PressingProtocol, RollStage, SafeState, Stage
from pressopt.store import SqliteJournal

positive = st.floats(1e-6, 1e6)
warm = st.floats(-200, 1999)
stages = st.lists(
    st.builds(
        Stage, name=st.text(min_size=1, max_size=8), pressure_mpa=positive, ramp_mpa_s=positive,
        dwell_s=st.floats(0, 1e6), temperature_c=warm, on_abort=st.sampled_from(SafeState),
    ), min_size=1, max_size=4,
)  # fmt: skip
rolls = st.lists(
    st.builds(
        RollStage, name=st.text(min_size=1, max_size=8), line_force_n_mm=positive, speed_mm_s=positive,
        passes=st.integers(1, 99), temperature_c=warm,
    ), min_size=1, max_size=4,
)  # fmt: skip
protocols = st.builds(
    PressingProtocol, stages=(stages | rolls).map(tuple), measure_at_mpa=st.floats(0, 500), measure_at_c=warm,
    settle_s=st.floats(0, 1e5), release_mpa_s=positive,
)  # fmt: skip


@given(protocol=protocols)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_protocol_comes_back_exactly(protocol: PressingProtocol, answer: Answer, journal: SqliteJournal) -> None:
    """Whatever the protocol, writing it to a file and reading it gives the same bits."""
    document = protocol_document(replace(answer, protocol=protocol), journal)
    assert protocol_from_document(read_document(document_bytes(document))) == protocol


def test_the_shipped_schema_is_the_one_that_is_generated() -> None:
    """Nobody edits the schema file by hand: `python -m pressopt.export.protocol_format` writes it."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize(("trials", "closed"), [(12, True), (5, False), (0, False)])
def test_every_document_fits_the_shipped_schema(
    experiment: Experiment, fill: Any, trials: int, closed: bool
) -> None:
    """Finished, half finished and empty campaigns write files that the schema accepts."""
    jsonschema = pytest.importorskip("jsonschema")

    journal = fill(trials, closed=closed)
    document = protocol_document(gather(experiment, replay(journal.entries())), journal)
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(document_bytes(document)), schema)


def test_the_same_journal_gives_the_same_bytes(experiment: Experiment, journal: SqliteJournal) -> None:
    """A file is reproducible byte for byte, and its digest is what sha256sum prints."""
    first, second = (
        document_bytes(protocol_document(gather(experiment, replay(journal.entries())), journal)) for _ in range(2)
    )
    assert first == second
    assert hashlib.sha256(first).hexdigest() == document_digest(json.loads(first))


def test_a_document_says_what_stands_behind_it(answer: Answer, journal: SqliteJournal) -> None:
    """Journal head, number of entries, cells by kind of failure, replicates, what was only predicted."""
    document = protocol_document(answer, journal)
    assert document["complete"] is True
    assert document["provenance"]["journal_head_sha256"] == list(journal.entries())[-1].digest
    assert document["provenance"]["journal_entries"] == 74
    assert document["provenance"]["started_at"] == "2026-03-02T08:00:00.000+00:00"
    assert document["evidence"] == {
        "trials_proposed": 12,
        "cells_pressed": 12,
        "cells_valid": 9,
        "cells_failed": {"shorted": 2, "spoilt": 1},
        "blameless_failures": ["spoilt"],
        "trials_rejected": 0,
        "replicates": 1,
        "trials_in_flight": [],
        "readings_set_aside": [],
        "assumed_inputs": [],
    }
    assert document["predicted_only"] == ["critical_current_density_ma_cm2"]


def test_gauges_belong_to_this_die_and_ram(answer: Answer, journal: SqliteJournal) -> None:
    """35 MPa on a die of 10 mm are 2.749 kN and 0.2803 tf; on a ram of 20 cm² that takes 13.7 bar of oil."""
    gauge = protocol_document(answer, journal, ram_area_cm2=20.0)["stages"][1]["gauge"]
    assert gauge["force_kn"] == pytest.approx(2.7489, abs=1e-4)
    assert gauge["force_tf"] == pytest.approx(0.28031, abs=1e-5)
    assert gauge["oil_bar"] == pytest.approx(13.744, abs=1e-3)


def test_comparisons_say_who_knows_them(answer: Answer, journal: SqliteJournal) -> None:
    """The untouched cell is predicted by physics, the best cell of the initial design was measured."""
    untouched, initial, best = protocol_document(answer, journal)["results"][0]["compared_with"]
    assert (untouched["name"], untouched["source"], untouched["trial"]) == ("untouched", "predicted", None)
    assert untouched["times_better"] == pytest.approx(208.0 / 4.31)
    assert (initial["name"], initial["source"], initial["trial"]) == ("initial design", "measured", 3)
    assert (best["name"], best["source"], best["trial"]) == ("best cell", "measured", 6)


def test_a_half_finished_campaign_says_so(experiment: Experiment, fill: Any) -> None:
    """Five cells of twelve: not complete, with the reason."""
    journal = fill(5, closed=False)
    document = protocol_document(gather(experiment, replay(journal.entries())), journal)
    assert document["complete"] is False
    assert document["incomplete_because"] == "the campaign is not finished: 5 of 12 trials are done"


def test_a_campaign_that_waits_for_a_person_says_so(experiment: Experiment, fill: Any) -> None:
    """After an interrupted pressing the file names the trial and the command."""
    journal = fill(3, closed=False, cut=3, more=(e.Interrupted(3, "the program ended"),))
    document = protocol_document(gather(experiment, replay(journal.entries())), journal)
    assert document["incomplete_because"] == (
        "trial 3 waits for a person to say what was found (`pressopt resolve`)"
    )


def test_a_failed_campaign_has_no_protocol(experiment: Experiment, fill: Any) -> None:
    """Closed without a valid cell: the file says why, and no protocol can be read from it."""
    journal = fill(0, recommendation=None)
    document = protocol_document(gather(experiment, replay(journal.entries())), journal)
    assert document["complete"] is False
    assert document["stages"] == []
    with pytest.raises(InputError, match="ended without a valid measurement"):
        protocol_from_document(document)


def test_every_mistake_of_a_file_is_named(answer: Answer, journal: SqliteJournal) -> None:
    """Two broken keys give two violations, each with its place."""
    document = json.loads(document_bytes(protocol_document(answer, journal)))
    document["stages"][0]["pressure_mpa"] = -1
    document["colour"] = "blue"
    with pytest.raises(InputError) as refused:
        read_document(json.dumps(document), source="p.json")
    assert [violation.where for violation in refused.value.violations] == ["stages.0.press.pressure_mpa", "colour"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "pressopt/protocol/2"}'])
def test_what_is_no_protocol_file_is_refused(text: str) -> None:
    """Empty, foreign or newer files are refused in words."""
    with pytest.raises(InputError):
        read_document(text)
