"""The research bundle and linked data: accepted by their validators, whole, and nothing lost on the way."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export_campaign import press_record, spectrum
from pressopt.campaign.events import from_json
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import replay
from pressopt.export.answer import Answer, gather
from pressopt.export.bundle import METADATA, eln_bytes
from pressopt.export.document import document_bytes, document_digest, protocol_document, read_document
from pressopt.export.files import Wanted, exported_more
from pressopt.export.linked_data import CONTEXT, linked_data, linked_data_bytes
from pressopt.impedance import spectrum_from_bytes
from pressopt.pressing.record import record_from_bytes
from pressopt.store import SqliteJournal

Filling = Callable[[str], AbstractContextManager[Callable[..., SqliteJournal]]]
#: What of the RO-Crate 1.1 context our crate uses: the tests run without a network.
_WORDS = (
    "about", "author", "contentSize", "dateCreated", "datePublished", "description", "encodingFormat", "hasPart",
    "identifier", "keywords", "license", "name", "publisher", "sdPublisher", "version",
    "CreativeWork", "Dataset", "Organization", "Person",
)  # fmt: skip
RO_CRATE_TERMS = {
    "@context": {
        **{word: f"http://schema.org/{word}" for word in _WORDS},
        "File": "http://schema.org/MediaObject",
        "conformsTo": "http://purl.org/dc/terms/conformsTo",
        "sha256": "https://w3id.org/ro/terms/workflow-run#sha256",
    }
}


@pytest.fixture(scope="session")
def small(experiment: Experiment, filling: Filling) -> Iterator[tuple[Answer, SqliteJournal]]:
    """A finished campaign of two cells: to be read only."""
    with filling("small") as fill:
        journal = fill(2)
        yield gather(experiment, replay(journal.entries())), journal


@pytest.fixture(scope="session")
def bundle(small: tuple[Answer, SqliteJournal]) -> bytes:
    """The bundle of the small campaign: the same for every test, and seconds to make."""
    pytest.importorskip("rocrate", reason="the extra bundle is not installed")
    return eln_bytes(*small, licence="CC-BY-4.0")


@pytest.fixture
def archive(bundle: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(bundle))


def read(archive: zipfile.ZipFile, name: str) -> bytes:
    return archive.read(f"li-lpscl-symmetric.eln/{name}")


def test_the_archive_is_one_folder_as_notebooks_ask(archive: zipfile.ZipFile) -> None:
    """Exactly one folder at the root, with the description in it; the ZIP is whole."""
    assert archive.testzip() is None
    assert {name.split("/")[0] for name in archive.namelist()} == {"li-lpscl-symmetric.eln"}
    assert f"li-lpscl-symmetric.eln/{METADATA}" in archive.namelist()


def test_the_description_keeps_the_rules_of_the_eln_consortium(archive: zipfile.ZipFile) -> None:
    """Every node once, every part there, names on all, publisher and version, keywords as a text."""
    graph = json.loads(read(archive, METADATA))["@graph"]
    nodes = {node["@id"]: node for node in graph}
    assert max(Counter(node["@id"] for node in graph).values()) == 1
    descriptor = nodes[METADATA]
    assert descriptor["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert descriptor["version"]
    assert descriptor["sdPublisher"]["@id"] in nodes

    def walk(identifier: str) -> list[str]:
        node = nodes[identifier]
        assert node["name"]
        assert isinstance(node.get("keywords", ""), str)
        return [identifier, *(found for part in node.get("hasPart", []) for found in walk(part["@id"]))]

    told = walk("./")
    files = {name.removeprefix("li-lpscl-symmetric.eln/") for name in archive.namelist()} - {METADATA}
    assert {one for one in told if not one.endswith("/")} == files
    assert nodes["./"]["license"]["@id"] == "https://spdx.org/licenses/CC-BY-4.0"


def test_the_public_validator_finds_nothing(
    archive: zipfile.ZipFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rocrate-validator, profile RO-Crate 1.1, all that is required: no issue."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        services = pytest.importorskip("rocrate_validator.services", reason="roc-validator is not installed")
        from requests import PreparedRequest, Response
        from requests.adapters import HTTPAdapter
        from rocrate_validator import models

        def answered(_: HTTPAdapter, request: PreparedRequest, **__: Any) -> Response:
            assert str(request.url).startswith("https://w3id.org/ro/crate/1.1/context")
            response = Response()
            response.status_code = 200
            response.headers["Content-Type"] = "application/ld+json"
            response._content = json.dumps(RO_CRATE_TERMS).encode()
            response.raw = io.BytesIO(response._content)
            response.url = str(request.url)
            response.request = request
            return response

        monkeypatch.setattr(HTTPAdapter, "send", answered)
        archive.extractall(tmp_path)
        found = services.validate(
            services.ValidationSettings(
                rocrate_uri=tmp_path / "li-lpscl-symmetric.eln",
                profile_identifier="ro-crate-1.1",
                requirement_severity=models.Severity.REQUIRED,
                no_cache=True,
            )
        )
    assert [f"{issue.check.identifier}: {issue.message}" for issue in found.get_issues()] == []


def test_the_reference_library_opens_it_again(archive: zipfile.ZipFile, tmp_path: Path) -> None:
    """rocrate reads the crate back with every file."""
    rocrate = pytest.importorskip("rocrate.rocrate", reason="the extra bundle is not installed")
    archive.extractall(tmp_path)
    crate = rocrate.ROCrate(tmp_path / "li-lpscl-symmetric.eln")
    assert crate.root_dataset["name"] == "Li | Li6PS5Cl | Li, symmetric cell"
    assert crate.get("protocol.json")["sha256"] == hashlib.sha256(read(archive, "protocol.json")).hexdigest()


def test_everything_is_in_it_and_comes_back_exactly(
    small: tuple[Answer, SqliteJournal], bundle: bytes, archive: zipfile.ZipFile
) -> None:
    """Protocol, journal, raw curves and spectra: the same bits as in the journal; checksums agree.

    And the same journal gives the same bundle: no date of today is in it.
    """
    answer, journal = small
    assert eln_bytes(answer, journal, licence="CC-BY-4.0") == bundle
    document = read_document(read(archive, "protocol.json"))
    assert document == json.loads(document_bytes(protocol_document(answer, journal)))
    events = [json.loads(line) for line in read(archive, "journal.jsonl").splitlines()]
    rebuilt = [from_json(one["kind"], one["version"], json.dumps(one["body"])) for one in events]
    assert rebuilt == [entry.event for entry in journal.entries()]
    first = answer.state.trials[1]
    record = record_from_bytes(read(archive, "cells/001/press.json"))
    assert record.force_kn.tolist() == press_record(first.settings).force_kn.tolist()
    back = spectrum_from_bytes(read(archive, "cells/001/spectrum-1.json"))
    assert back.impedance_ohm.tolist() == spectrum(first.settings).impedance_ohm.tolist()
    for line in read(archive, "SHA256SUMS").decode().splitlines():
        digest, path = line.split("  ")
        assert hashlib.sha256(read(archive, path)).hexdigest() == digest
    for name in ("report.html", "operator-sheet.html", "as-run.csv", "trials.csv", "environment.json",
                 "plots/convergence.svg", "cells/002/spectrum-1.bdf.csv", "cells/002/result.json"):  # fmt: skip
        assert read(archive, name)


def test_formats_that_hold_the_report_hold_the_same(small: tuple[Answer, SqliteJournal]) -> None:
    """It is made once for page and bundle, and anew for another answer."""
    pytest.importorskip("rocrate", reason="the extra bundle is not installed")
    answer, journal = small
    wanted = Wanted()
    (page,) = exported_more(answer, journal, "report", wanted).values()
    (data,) = exported_more(answer, journal, "eln", wanted).values()
    assert read(zipfile.ZipFile(io.BytesIO(data)), "report.html") == page
    released = replace(answer, approved_by="the group")
    (other,) = exported_more(released, journal, "report", wanted).values()
    assert (b"nobody yet" in page, b"nobody yet" in other) == (True, False)


def test_failed_campaigns_are_bundled_and_say_so(
    experiment: Experiment, fill: Callable[..., SqliteJournal]
) -> None:
    """Nothing valid: no recipe, and README and description tell why; without a licence none is granted."""
    pytest.importorskip("rocrate", reason="the extra bundle is not installed")
    journal = fill(0, recommendation=None)
    data = eln_bytes(gather(experiment, replay(journal.entries())), journal)
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert not [name for name in archive.namelist() if "recipes" in name]
    assert "No protocol: the campaign ended without a valid measurement" in read(archive, "README.md").decode()
    graph = json.loads(read(archive, METADATA))["@graph"]
    root = next(node for node in graph if node["@id"] == "./")
    assert "No protocol" in root["description"]
    assert root["license"]["@id"] == "#no-licence"


# ---------------------------------------------------------------------- JSON-LD


def test_the_json_ld_expands_without_a_network(answer: Answer, journal: SqliteJournal) -> None:
    """PyLD maps every key and type to an IRI; nothing is dropped, nothing is loaded."""
    jsonld = pytest.importorskip("pyld.jsonld", reason="the test extra is not installed")
    plain = linked_data(answer, protocol_document(answer, journal))

    def refuse(url: str, _: Any) -> Any:
        raise AssertionError(f"{url} was asked for")

    expanded = jsonld.expand(plain, {"documentLoader": refuse})
    told = json.dumps(expanded)
    assert len(expanded) == len(plain["@graph"])
    for term in (
        "Pressing",
        "HotPressing",
        "SolidElectrolyte",
        "Pressure",
        "ElectrochemicalImpedanceSpectroscopy",
    ):
        assert str(CONTEXT[term]) in told
    compacted = jsonld.compact(expanded, CONTEXT, {"documentLoader": refuse})
    assert jsonld.expand(compacted, {"documentLoader": refuse}) == expanded


def test_the_graph_answers_questions(answer: Answer, journal: SqliteJournal) -> None:
    """rdflib loads it, and SPARQL finds the pressure of the lamination in MPa and what it acts on."""
    rdflib = pytest.importorskip("rdflib", reason="the test extra is not installed")
    document = protocol_document(answer, journal)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = rdflib.Graph().parse(data=linked_data_bytes(answer, document), format="json-ld")
    emmo = "https://w3id.org/emmo#"
    rows = graph.query(
        f"""SELECT ?value ?unit WHERE {{
          ?stage <https://schema.org/name> "lamination" ; <{emmo}EMMO_08bd340b_9d49_4d60_8ac5_b89f2f442169> ?p .
          ?p a <{emmo}EMMO_50a44256_9dc5_434b_bad4_74a4d9a29989> ;
             <{emmo}EMMO_8ef3cd6d_ae58_4a8d_9fc0_ad8f49015cd0> ?part ;
             <{emmo}EMMO_bed1d005_b04e_4a90_94cf_02bc678a8569> ?unit .
          ?part <{emmo}EMMO_faf79f53_749d_40b2_807c_d34244c192f4> ?value . }}"""
    )
    assert [(float(value), str(unit)) for value, unit in rows] == [(35.0, f"{emmo}MegaPascal")]
    assert (rdflib.URIRef(f"urn:sha256:{document_digest(document)}#protocol"), None, None) in graph


def test_without_a_protocol_only_the_cell_is_told(
    experiment: Experiment, fill: Callable[..., SqliteJournal]
) -> None:
    """A failed campaign has a cell with its layers, and says that there is no protocol."""
    journal = fill(0, recommendation=None)
    answer = gather(experiment, replay(journal.entries()))
    graph = linked_data(answer, protocol_document(answer, journal))["@graph"]
    assert [node["@type"] for node in graph] == [
        "ElectrochemicalCell",
        "Electrode",
        "SolidElectrolyte",
        "Electrode",
    ]
    assert graph[0]["description"].startswith("No protocol")
