"""The research bundle: an ``.eln`` file as electronic notebooks import it, RO-Crate 1.1 in one folder of a ZIP."""

from __future__ import annotations

import hashlib
import io
import json
import mimetypes
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pressopt.campaign.events import to_json
from pressopt.campaign.journal import Journal
from pressopt.campaign.replay import TrialState
from pressopt.errors import PressoptError
from pressopt.export.answer import Answer
from pressopt.export.as_run import as_run_csv, as_run_document, recorded_press
from pressopt.export.batch_recipe import batchml
from pressopt.export.battery_data import press_bdf, spectrum_bdf
from pressopt.export.document import document_bytes, protocol_document
from pressopt.export.frames import extra
from pressopt.export.linked_data import linked_data_bytes
from pressopt.export.recipes import setpoint_csv
from pressopt.export.report import campaign_report
from pressopt.export.sheet import operator_sheet
from pressopt.export.sheet_text import operator_text
from pressopt.export.tables import trials_csv
from pressopt.impedance import spectrum_from_bytes
from pressopt.optimizer import Recommender

METADATA = "ro-crate-metadata.json"
#: ZIP knows no earlier time; files of one campaign have the time of its last journal entry instead of today's.
_FIRST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_TYPES = {".jsonl": "application/jsonlines", ".jsonld": "application/ld+json", ".toml": "application/toml",
          ".csv": "text/csv", ".md": "text/markdown"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the bundle: where, what it is, its bytes."""

    path: str
    title: str
    data: bytes


def eln_bytes(
    answer: Answer,
    journal: Journal,
    *,
    ram_area_cm2: float | None = None,
    recommender: Recommender | None = None,
    licence: str = "",
    report: str | None = None,
) -> bytes:
    """Return the ``.eln`` file of a campaign; the same journal gives the same bytes.

    Args:
        answer: What the campaign has found, finished or not; the description says which.
        journal: All raw curves and spectra come from it.
        ram_area_cm2: Area of the press's ram, cm², for oil pressures.
        recommender: The campaign's engine, for the report.
        licence: SPDX identifier (``CC-BY-4.0``) or address of the licence; empty: none is granted, and it says so.
        report: The campaign's report where it is made already.

    Raises:
        ExtraMissing: rocrate is not installed.
    """
    report = report or campaign_report(answer, journal, recommender=recommender)
    found = list(_parts(answer, journal, report, ram_area_cm2=ram_area_cm2, recommender=recommender))
    checksums = "".join(f"{hashlib.sha256(part.data).hexdigest()}  {part.path}\n" for part in found)
    found.append(Part("SHA256SUMS", "Checksums: `sha256sum -c SHA256SUMS`", checksums.encode()))
    stamp = _last_entry(answer, journal)
    metadata = _metadata(answer, found, stamp, licence)
    root = f"{answer.experiment.name}.eln"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in [(METADATA, metadata), *((part.path, part.data) for part in found)]:
            info = zipfile.ZipInfo(f"{root}/{path}", _zip_time(stamp))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return out.getvalue()


def _parts(
    answer: Answer, journal: Journal, report: str, *, ram_area_cm2: float | None, recommender: Recommender | None
) -> Iterator[Part]:
    """All files of the bundle, in the order in which people look at them."""
    document = protocol_document(answer, journal, ram_area_cm2=ram_area_cm2)
    state, experiment = answer.state, answer.experiment
    yield Part("README.md", "What is in this bundle", _readme(answer).encode())
    yield Part("report.html", "Report of the campaign", report.encode())
    yield Part("protocol.json", "Protocol file, pressopt/protocol/1", document_bytes(document))
    yield Part("protocol.jsonld", "Cell and protocol in EMMO terms", linked_data_bytes(answer, document))
    sheet = operator_sheet(answer, journal, ram_area_cm2=ram_area_cm2)
    yield Part("operator-sheet.html", "Operator's sheet, prints on two A4 pages", sheet.encode())
    yield Part("operator-sheet.txt", "Operator's sheet for a terminal",
               operator_text(answer, ram_area_cm2=ram_area_cm2).encode())  # fmt: skip
    if answer.protocol is not None:
        die, early = experiment.cell.die, "preliminary-" if answer.open_because else ""
        if not answer.protocol.rolled:
            programme = setpoint_csv(answer.protocol, die).encode()
            yield Part(f"recipes/{early}setpoints.csv", "Set points over time", programme)
        xml = batchml(answer, document).encode()
        yield Part(f"recipes/{early}recipe.batchml.xml", "ISA-88 master recipe", xml)
    yield Part("trials.csv", "All trials", trials_csv(experiment, state).encode())
    yield Part("as-run.json", "As-run record", document_bytes(as_run_document(answer, journal)))
    yield Part("as-run.csv", "As-run record, one row per stage", as_run_csv(answer, journal).encode())
    if state.opened is not None:
        yield Part("experiment.toml", "What was asked, word for word", state.opened.experiment_text.encode())
        environment = {"software": dict(state.opened.software), "seed": state.opened.seed}
        yield Part("environment.json", "Versions of what computed", document_bytes(environment))
    yield Part("journal.jsonl", "Everything that happened, one entry a line", _journal_lines(answer, journal))
    yield from _plots(answer, journal, recommender)
    for trial in state.trials.values():
        yield from _cell(answer, trial, journal)


def _plots(answer: Answer, journal: Journal, recommender: Recommender | None) -> Iterator[Part]:
    from pressopt.export.files import drawable, drawn
    from pressopt.export.pictures import picture_bytes

    for picture in drawable(answer):
        if picture == "surface" and recommender is None:
            continue
        try:
            data = picture_bytes(drawn(answer, journal, picture, recommender=recommender), "svg")
        except PressoptError:
            continue  # nothing to draw; the report says why
        yield Part(f"plots/{picture}.svg", f"Plot: {picture}", data)


def _cell(answer: Answer, trial: TrialState, journal: Journal) -> Iterator[Part]:
    folder = f"cells/{trial.number:03d}"
    record = recorded_press(trial, journal)
    if record is not None:
        name = f"Cell {trial.number}: pressing"
        yield Part(f"{folder}/press.json", f"{name}, as recorded", journal.blob(trial.record))
        yield Part(f"{folder}/press.bdf.csv", f"{name}, Battery Data Format",
                   press_bdf(record, answer.experiment.cell.die).encode())  # fmt: skip
    for place, taken in enumerate(trial.measurements, 1):
        raw = journal.blob(taken.measurement)
        name = f"Cell {trial.number}: {taken.kind} {place}"
        yield Part(f"{folder}/{taken.kind}-{place}.json", f"{name}, as recorded by {taken.instrument}", raw)
        if taken.kind == "spectrum":
            spectrum = spectrum_from_bytes(raw)
            yield Part(f"{folder}/spectrum-{place}.bdf.csv", f"{name}, Battery Data Format",
                       spectrum_bdf(spectrum).encode())  # fmt: skip
    if trial.verdict:
        fit = {
            "trial": trial.number,
            "verdict": trial.verdict,
            "reasons": list(trial.reasons),
            "failures": list(trial.failures),
            "outcomes": {name: {"value": value, "sd": sd} for name, (value, sd) in trial.outcomes.items()},
            "analysis": dict(trial.analysis),
        }
        yield Part(f"{folder}/result.json", f"Cell {trial.number}: verdict, fit and values", document_bytes(fit))


def _journal_lines(answer: Answer, journal: Journal) -> bytes:
    """The journal, entry by entry, with the chain of digests: what cannot be changed unseen."""
    lines = []
    for entry in journal.entries():
        if entry.seq > answer.state.last_seq:
            break
        line = {
            "seq": entry.seq, "at": entry.at, "actor": entry.actor, "kind": type(entry.event).__name__,
            "version": entry.event.version, "body": json.loads(to_json(entry.event)), "digest": entry.digest,
        }  # fmt: skip
        lines.append(json.dumps(line, ensure_ascii=False, sort_keys=True))
    return ("\n".join(lines) + "\n").encode() if lines else b""


def _readme(answer: Answer) -> str:
    state = answer.status or "The campaign is finished."
    return (
        f"# {answer.experiment.title}\n\n{answer.experiment.goal.strip()}\n\n{state}\n\n"
        "Begin with `report.html`. `protocol.json` is what to press: `pressopt run --protocol protocol.json`\n"
        "presses it again. `operator-sheet.html` is for a person at a press. `cells/` has every raw curve and\n"
        "spectrum with its Battery Data Format twin, `journal.jsonl` everything that happened, in order.\n"
    )


# ---------------------------------------------------------------------- RO-Crate


def _metadata(answer: Answer, found: list[Part], stamp: str, licence: str) -> bytes:
    """The crate's description, made by the reference library and checked against nothing but its own rules."""
    rocrate = extra("rocrate.rocrate", "bundle")
    entities = extra("rocrate.model", "bundle")
    crate = rocrate.ROCrate(version="1.1")
    root = crate.root_dataset
    root["name"] = answer.experiment.title
    root["description"] = (
        " ".join(f"{answer.experiment.goal.strip()} {answer.status}".split()) or "Pressing campaign"
    )
    root["datePublished"] = stamp[:10] or "1970-01-01"
    root["keywords"] = "solid-state battery, pressing, interface, impedance spectroscopy"
    root["identifier"] = f"journal sha256 {answer.state.digest}" if answer.state.digest else answer.experiment.name
    root["license"] = crate.add(entities.ContextEntity(crate, *_licence(licence)))
    publisher = crate.add(
        entities.ContextEntity(crate, "#pressopt", {"@type": "Organization", "name": "pressopt"})
    )
    root["publisher"] = publisher
    crate.metadata["sdPublisher"] = publisher
    crate.metadata["version"] = "1.0"
    crate.metadata["dateCreated"] = stamp
    if answer.approved_by:
        person = {"@type": "Person", "name": answer.approved_by}
        root["author"] = crate.add(entities.ContextEntity(crate, "#released-by", person))
    folders = sorted({str(Path(part.path).parent) for part in found} - {"."})
    for folder in folders:
        names = {"recipes": "Controller recipes", "plots": "Plots"}
        title = names.get(folder) or f"Cell {folder.removeprefix('cells/').lstrip('0')}"
        crate.add_dataset(dest_path=f"{folder}/", properties={"name": title, "description": title})
    for part in found:
        crate.add_file(
            io.BytesIO(part.data),
            dest_path=part.path,
            properties={
                "name": Path(part.path).name,
                "description": part.title,
                "encodingFormat": _type(part.path),
                "contentSize": str(len(part.data)),
                "sha256": hashlib.sha256(part.data).hexdigest(),
            },
        )
    with tempfile.TemporaryDirectory() as folder:
        crate.metadata.write(folder)
        plain = json.loads((Path(folder) / METADATA).read_text(encoding="utf-8"))
    return _nested(plain)


def _nested(plain: dict[str, Any]) -> bytes:
    """Put the files of a folder under that folder, as notebooks show them, and write the description."""
    nodes = {node["@id"]: node for node in plain["@graph"]}
    root = nodes["./"]
    top = []
    for part in root["hasPart"]:
        home = next((i for i in nodes if i != "./" and i.endswith("/") and part["@id"].startswith(i)
                     and part["@id"] != i), None)  # fmt: skip
        if home is None:
            top.append(part)
        else:
            nodes[home].setdefault("hasPart", []).append(part)
    root["hasPart"] = top
    return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()


def _licence(licence: str) -> tuple[str, dict[str, str]]:
    if not licence:
        text = "No licence is granted: ask the people who made these data before you use them."
        return "#no-licence", {"@type": "CreativeWork", "name": "All rights reserved", "description": text}
    address = licence if "://" in licence else f"https://spdx.org/licenses/{licence}"
    return address, {"@type": "CreativeWork", "name": licence, "identifier": licence}


def _type(path: str) -> str:
    ending = Path(path).suffix
    return _TYPES.get(ending) or mimetypes.types_map.get(ending, "text/plain")


def _last_entry(answer: Answer, journal: Journal) -> str:
    last = ""
    for entry in journal.entries():
        if entry.seq > answer.state.last_seq:
            break
        last = entry.at
    return last


def _zip_time(stamp: str) -> tuple[int, int, int, int, int, int]:
    if not stamp:
        return _FIRST_ZIP_TIME
    at = datetime.fromisoformat(stamp)
    return at.year, at.month, at.day, at.hour, at.minute, at.second
