"""`pressopt diff`: every difference that changes the work is told in gauge numbers, and nothing else is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export_campaign import agreed
from pressopt.cli import main
from pressopt.export.answer import Answer
from pressopt.export.difference import HANDLING, differences, verdict
from pressopt.export.document import document_bytes, protocol_document
from pressopt.store import SqliteJournal


@pytest.fixture
def document(answer: Answer, journal: SqliteJournal) -> dict[str, Any]:
    return protocol_document(answer, journal)


def test_a_file_does_not_differ_from_itself(document: dict[str, Any]) -> None:
    """The same file twice: nothing, in one sentence."""
    assert differences(document, copy.deepcopy(document)) == []
    assert verdict([]) == "The two protocols are the same in everything."


def test_differences_are_told_in_the_words_of_the_laboratory(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forces on this die, timers, dies, layers, results: word for word as agreed in the golden file."""
    other = copy.deepcopy(document)
    other["stages"][1] |= {"pressure_mpa": 25.0, "dwell_s": 600.0, "temperature_c": 63.5, "on_abort": "hold"}
    other["cell"] |= {"die_diameter_mm": 13.0}
    other["cell"]["layers"][1]["thickness_um"] = 500.0
    other["measurement"]["settle_s"] = 120.0
    other["results"][0]["expected"] |= {"median": 6.0, "low": 5.5, "high": 6.6}
    other["limits"]["temperature_c"] = 90.0
    other["evidence"]["cells_valid"] = 8
    other["provenance"]["approved_by"] = "the night shift"
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, content in zip(paths, (document, other), strict=True):
        path.write_bytes(document_bytes(content))
    with pytest.raises(SystemExit) as left:
        main(["diff", *map(str, paths), "--exit-code"])
    assert left.value.code == 3
    agreed("diff.txt", capsys.readouterr().out)


def _add_stage(document: dict[str, Any]) -> None:
    document["stages"].append({**document["stages"][1], "name": "third"})


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pressing": _add_stage,
    "cell": lambda d: d["cell"]["layers"][0].update(material="Na"),
    "measurement": lambda d: d["measurement"]["instrument"].update(amplitude_mv=5.0),
    "result": lambda d: d["results"][0].update(target=4.0),
    "limits": lambda d: d["limits"].update(force_kn=None),
    "evidence": lambda d: d.update(incomplete_because="the campaign is not finished", complete=False),
    "origin": lambda d: d["provenance"].update(seed=8),
}


@pytest.mark.parametrize("matter", CHANGES)
def test_each_matter_is_seen(document: dict[str, Any], matter: str) -> None:
    """One change of each kind is found, alone, under its own heading; handling is told from knowledge."""
    other = copy.deepcopy(document)
    CHANGES[matter](other)
    found = differences(document, other)
    assert {one.matter for one in found} == {matter}
    assert ("handled differently" in verdict(found)) == (matter in HANDLING)


def test_machines_get_the_same_as_one_object(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--json: one object with a schema, whether it is the same, and each difference."""
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    paths[0].write_bytes(document_bytes(document))
    document["stages"][0]["dwell_s"] = 90.0
    paths[1].write_bytes(document_bytes(document))
    with pytest.raises(SystemExit) as left:
        main(["diff", *map(str, paths), "--json"])
    assert left.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["same"]) == ("pressopt/diff/1", False)
    assert [one["where"] for one in told["differences"]] == ["seat dwell"]
