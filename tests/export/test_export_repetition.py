"""A protocol file pressed again: exactly as it says, only where that can be done, beside what it promised."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export_campaign import RESISTANCE
from pressopt.assembly import begin_repetition, continue_campaign
from pressopt.campaign.experiment import Device, Experiment, LaboratoryPlan
from pressopt.campaign.experiment_file import read_experiment
from pressopt.campaign.replay import replay
from pressopt.cli import main
from pressopt.errors import InputError, LimitError
from pressopt.export.answer import Answer, gather
from pressopt.export.document import document_bytes, document_digest, protocol_document, protocol_from_document
from pressopt.export.repetition import (
    REPEATED,
    check_geometry,
    compare,
    experiment_text,
)
from pressopt.optimizer import Interval
from pressopt.pressing import Cell, Die, PressingProtocol, RollStage, SafeState, Stage
from pressopt.service.press_plan import PressPlan
from pressopt.store import SqliteJournal
from service_on_a_port import served

names = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True)
warm = st.floats(25.0, 100.0)
presses = st.builds(
    Stage, name=names, pressure_mpa=st.floats(2.0, 60.0), ramp_mpa_s=st.floats(0.01, 2.0),
    dwell_s=st.floats(1.0, 1e5), temperature_c=warm, on_abort=st.sampled_from(SafeState),
)  # fmt: skip
protocols = st.builds(
    PressingProtocol, stages=st.lists(presses, min_size=1, max_size=3, unique_by=lambda s: s.name).map(tuple),
    measure_at_mpa=st.floats(2.0, 60.0), measure_at_c=warm, settle_s=st.floats(0.0, 1e4),
    release_mpa_s=st.floats(0.01, 2.0),
)  # fmt: skip


@pytest.fixture
def document(answer: Answer, journal: SqliteJournal) -> dict[str, Any]:
    return protocol_document(answer, journal)


def gentle(document: dict[str, Any], file: Path) -> Path:
    """Write the file with little pressure: the made-up optimum would short the twin's cells."""
    document["stages"][1] |= {"pressure_mpa": 12.0, "dwell_s": 60.0, "temperature_c": 25.0}
    file.write_bytes(document_bytes(document))
    return file


@given(protocol=protocols)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_experiment_of_a_file_presses_exactly_its_protocol(
    protocol: PressingProtocol, answer: Answer, journal: SqliteJournal
) -> None:
    """Protocol, file, experiment text and protocol again: the same bits."""
    document = protocol_document(replace(answer, protocol=protocol), journal)
    experiment = read_experiment(experiment_text(document), Path("again.toml"))
    assert experiment.protocol({}) == protocol == protocol_from_document(document)


def test_what_surrounds_the_protocol_goes_along(document: dict[str, Any], experiment: Experiment) -> None:
    """Cell, sweep, limits and seed of the repetition are those of the file; the text names the file's digest."""
    text = experiment_text(document, cells=4)
    again = read_experiment(text, Path("again.toml"))
    assert (again.cell, again.sweep, again.limits) == (experiment.cell, experiment.sweep, experiment.limits)
    assert (again.seed, again.budget.trials, again.strategy.name) == (7, 4, "repeat")
    assert [goal.quantity for goal in again.objectives] == [RESISTANCE]
    assert document_digest(document) in text


def test_a_repetition_runs_with_a_journal_of_its_own_and_is_compared(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell on the twin: pressed with the file's protocol, journalled, and set beside the promise."""
    file = gentle(document, tmp_path / "theirs.json")
    with pytest.raises(SystemExit) as left:
        main(["run", "--protocol", str(file), "--cells", "1", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    summary = lines[-1]
    assert summary["cells_pressed"] == 1
    (found,) = summary["repetition"]
    assert found["expected"]["median"] == 4.31
    assert found["cells"] == 1
    # The made-up promise of 4.31 Ω cm² is not the twin's truth: the verdict follows from the two intervals.
    overlap = found["found"]["low"] <= 4.74 and found["found"]["high"] >= 3.92
    assert found["verdict"] == ("agrees" if overlap else "worse" if found["found"]["low"] > 4.74 else "better")
    assert left.value.code == (3 if found["verdict"] == "worse" else 0)
    folder = tmp_path / "theirs-repeat"
    assert (folder / REPEATED).read_bytes() == file.read_bytes()
    assert json.loads((folder / "repetition.json").read_text())["protocol_sha256"] == document_digest(document)
    with continue_campaign(folder) as campaign:
        started = [trial.settings for trial in campaign.state.trials.values()]
        assert started == [{}]
        assert campaign.experiment.protocol({}) == protocol_from_document(document)
    _exports_everything(folder, tmp_path / "all", capsys)


def _exports_everything(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every format of a finished campaign is written, or left out with its reason; none ends the others."""
    with pytest.raises(SystemExit) as left:
        main(["export", str(folder), "--format", "all", "--out", str(out), "--licence", "CC-BY-4.0", "--json"])
    assert left.value.code == 0
    told = json.loads(capsys.readouterr().out)
    names = {Path(path).relative_to(out).parts[0] for path in told["files"]}
    assert {"protocol.json", "report.html", "as-run.csv", "setpoints.csv", "recipe-table.csv", "bdf"} <= names
    assert {"recipe.batchml.xml", "protocol.jsonld", "trials.ax.json", "contact-resistance.pybamm.json"} <= names
    assert all("pip install" in why for why in told["left_out"].values())
    assert all(Path(path).stat().st_size > 0 for path in told["files"])
    with pytest.raises(SystemExit) as refused:
        main(["export", str(folder), "--format", "plc", "--profile", "generic-roll-laminator-tcp"])
    assert refused.value.code == 2
    assert "needs a press" in capsys.readouterr().err


def test_a_service_presses_it_again_and_the_promise_stands_beside(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --server: the same cell on a press of the service, the same comparison and exit code."""
    monkeypatch.chdir(tmp_path)
    file = gentle(document, tmp_path / "theirs.json")
    with served(tmp_path / "store", presses=(PressPlan("left"),)) as service:
        try:
            with pytest.raises(SystemExit) as left:
                main(["--server", service.url, "run", "--protocol", str(file), "--json"])
        finally:  # a runner outlives its service by design; not its test
            for lock in tmp_path.glob("**/runner.lock"):
                with contextlib.suppress(ProcessLookupError, ValueError):
                    os.kill(int(lock.read_text()), signal.SIGKILL)
    summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()][-1]
    (found,) = summary["repetition"]
    assert (summary["cells_pressed"], found["cells"], found["expected"]["median"]) == (1, 1, 4.31)
    assert left.value.code == (3 if found["verdict"] == "worse" else 0)
    (told,) = [json.loads(Path(name).read_text()) for name in summary["files"] if name.endswith("repetition.json")]
    assert told["protocol_sha256"] == document_digest(document)
    assert told["results"] == [found]


def test_a_service_without_such_a_press_is_not_asked_to_wait_for_one(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that has no twin refuses at once and opens no campaign."""
    file = gentle(document, tmp_path / "theirs.json")
    with served(tmp_path / "store") as service:
        with pytest.raises(SystemExit) as left:
            main(["--server", service.url, "run", "--protocol", str(file)])
        assert service.http.get("/campaigns").json()["campaigns"] == []
    assert left.value.code == 4
    assert "needs a twin" in " ".join(capsys.readouterr().err.split())


def test_a_bench_that_cannot_do_it_refuses_with_all_limits(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too much force, too hot, too fast for the press of a bench: all limits are named, nothing is begun."""
    devices = {"press": Device("generic-plc-press-tcp", "tcp://192.0.2.1:502"),
               "analyzer": Device("generic-methodscript-analyzer", "serial:///dev/null")}  # fmt: skip
    bench = tmp_path / "bench.toml"
    bench.write_text(experiment_text(document, laboratory=LaboratoryPlan("bench", 1, "person", **devices)))
    document["limits"] = dict.fromkeys(document["limits"])
    document["stages"][1] |= {"pressure_mpa": 4000.0, "temperature_c": 590.0, "ramp_mpa_s": 900.0}
    file = tmp_path / "hot.json"
    file.write_bytes(document_bytes(document))
    with pytest.raises(SystemExit) as left:
        main(["run", "--protocol", str(file), "--on", str(bench)])
    assert left.value.code == 4
    told = " ".join(capsys.readouterr().err.split())
    for limit in (
        "is 4000 MPa, 'generic-plc-press-tcp' does at most 763.9 MPa (60 kN over the die)",
        "is 900 MPa/s, 'generic-plc-press-tcp' does at most 63.66 MPa/s (5 kN/s over the die)",
        "is 590 °C, 'generic-plc-press-tcp' does at most 200 °C",
    ):
        assert limit in told
    assert {path.name for path in tmp_path.iterdir()} == {"bench.toml", "hot.json"}
    with pytest.raises(LimitError, match=r"63\.66"):  # and so does another press by its profile alone
        begin_repetition(file, press="generic-plc-press-tcp")


def test_a_laboratory_with_another_die_is_refused(document: dict[str, Any], experiment: Experiment) -> None:
    """A die of 13 mm instead of 10 mm would make other pressures of the forces: refused, with both numbers."""
    other = replace(experiment, cell=Cell(experiment.cell.layers, Die(13.0), 13.0))
    with pytest.raises(LimitError) as refused:
        check_geometry(document, other)
    assert [violation.where for violation in refused.value.violations] == [
        "cell.die_diameter",
        "cell.electrode_diameter",
    ]
    assert "10 mm" in str(refused.value)
    assert "13 mm" in str(refused.value)
    check_geometry(document, experiment)


def test_a_file_without_a_protocol_cannot_be_repeated(
    experiment: Experiment, fill: Callable[..., SqliteJournal]
) -> None:
    """A campaign that found nothing says so instead of pressing anything."""
    journal = fill(0, recommendation=None)
    document = protocol_document(gather(experiment, replay(journal.entries())), journal)
    with pytest.raises(InputError, match="ended without a valid measurement"):
        experiment_text(document)


@pytest.mark.parametrize(
    ("promise", "verdict"),
    [((4.3, 4.0, 5.0), "agrees"), ((1.0, 0.9, 1.1), "worse"), ((90.0, 80.0, 100.0), "better")],
)
def test_the_verdict_follows_the_intervals(
    document: dict[str, Any],
    answer: Answer,
    promise: tuple[float, float, float],
    verdict: str,
) -> None:
    """Overlapping intervals agree; a resistance wholly above what was promised is worse, wholly below better."""
    document["results"][0]["expected"] = {
        "median": promise[0], "low": promise[1], "high": promise[2], "probability": 0.95,
    }  # fmt: skip
    # Cells 11 and 12 of the made-up campaign were pressed alike.
    state = replace(answer.state, trials={n: answer.state.trials[n] for n in (11, 12)})
    found = compare(document, answer.experiment, state)[0]
    assert isinstance(found.found, Interval)
    assert found.found.low < 4.0 < found.found.high
    assert found.verdict == verdict


def test_rolls_are_repeated_on_rolls(document: dict[str, Any]) -> None:
    """A rolled protocol becomes an experiment with roller stages, exactly."""
    protocol = PressingProtocol((RollStage("roll", 31.3, 4.2, 3, 61.0),), 0.0)
    stage = protocol.stages[0]
    assert isinstance(stage, RollStage)
    document["stages"] = [
        {"kind": "roll", "name": "roll", "line_force_n_mm": 31.3, "speed_mm_s": 4.2, "passes": 3,
         "temperature_c": 61.0, "window": {}}
    ]  # fmt: skip
    document["cell"]["layers"] = [
        {"material": "Cu", "role": "collector", "thickness_um": 10.0, "roughness_um": None,
         "relative_density": None, "powder": False},
        {"material": "Li", "role": "electrode", "thickness_um": 50.0, "roughness_um": None,
         "relative_density": None, "powder": False},
    ]  # fmt: skip
    document["results"][0]["quantity"] = "contact_resistance_mohm_cm2"
    document["measurement"] |= {"pressure_mpa": 0.0, "settle_s": 60.0, "temperature_c": 25.0, "release_mpa_s": 1.0}
    document["measurement"]["instrument"] = {"kind": "four-wire", "readings": 10}
    document["limits"] = dict.fromkeys(document["limits"])
    experiment = read_experiment(experiment_text(document), Path("again.toml"))
    assert experiment.protocol({}) == protocol
