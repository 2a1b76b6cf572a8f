"""The files that a campaign leaves: one writer per kind, each a pure function of experiment, state and journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pressopt.campaign.journal import Journal
from pressopt.campaign.replay import replay
from pressopt.errors import InputError, PressoptError
from pressopt.export.answer import Answer, gather
from pressopt.export.as_run import as_run_csv, as_run_document, recorded_press
from pressopt.export.batch_recipe import batchml
from pressopt.export.battery_data import press_bdf, spectrum_bdf
from pressopt.export.bundle import eln_bytes
from pressopt.export.document import document_bytes, effective_ram_area_cm2, press_profile, protocol_document
from pressopt.export.exchange import pybamm_parameters, to_ax, to_baybe
from pressopt.export.frames import trials_parquet
from pressopt.export.linked_data import linked_data_bytes
from pressopt.export.pdf import pdf_bytes
from pressopt.export.recipes import DIALECTS, recipe_table_csv, setpoint_csv
from pressopt.export.report import campaign_report
from pressopt.export.sheet import operator_sheet
from pressopt.export.sheet_text import operator_text
from pressopt.export.tables import trials_csv
from pressopt.impedance import spectrum_from_bytes
from pressopt.optimizer import Interval
from pressopt.pressing import PressingProtocol
from pressopt.profiles import DeviceProfile, load_profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pressopt.campaign.experiment import Experiment
    from pressopt.optimizer import Recommender
    from pressopt.surrogate import Prediction

Format = Literal["json", "html", "text", "csv"]
More = Literal[
    "pdf", "report", "report-pdf", "as-run", "as-run-csv", "setpoints", "plc", "batchml", "bdf", "parquet", "eln",
    "jsonld", "ax", "baybe", "pybamm",
]  # fmt: skip
Picture = Literal["convergence", "surface", "nyquist"]

#: Format -> name of its file in a campaign's folder.
FORMATS: Mapping[Format, str] = {
    "json": "protocol.json",
    "html": "operator-sheet.html",
    "text": "operator-sheet.txt",
    "csv": "trials.csv",
}
#: Further formats -> name of the file. ``bdf`` writes a folder of them.
MORE_FORMATS: Mapping[More, str] = {
    "pdf": "operator-sheet.pdf",
    "report": "report.html",
    "report-pdf": "report.pdf",
    "as-run": "as-run.json",
    "as-run-csv": "as-run.csv",
    "setpoints": "setpoints.csv",
    "plc": "recipe-table.csv",
    "batchml": "recipe.batchml.xml",
    "bdf": "bdf",
    "parquet": "trials.parquet",
    "eln": "campaign.eln",
    "jsonld": "protocol.jsonld",
    "ax": "trials.ax.json",
    "baybe": "trials.baybe.json",
    "pybamm": "contact-resistance.pybamm.json",
}
PICTURES: tuple[Picture, ...] = ("convergence", "surface", "nyquist")
PICTURE_KINDS: tuple[Literal["png", "svg"], ...] = ("png", "svg")


class ExportError(PressoptError):
    """A file could not be written."""


def exported(answer: Answer, journal: Journal, kind: Format) -> bytes:
    """Return one export as it lies in a file."""
    ram_area_cm2 = effective_ram_area_cm2(answer.experiment)
    match kind:
        case "json":
            return document_bytes(protocol_document(answer, journal, ram_area_cm2=ram_area_cm2))
        case "html":
            return operator_sheet(answer, journal, ram_area_cm2=ram_area_cm2).encode()
        case "text":
            return operator_text(answer, ram_area_cm2=ram_area_cm2).encode()
        case "csv":
            return trials_csv(answer.experiment, answer.state).encode()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person chose for the further formats.

    Attributes:
        recommender: The campaign's engine: for the report's surface, physics and next trial.
        profile: Of the press whose registers a recipe table is for; None: the experiment's press.
        dialect: How the panel reads CSV: ``comma`` or ``semicolon``.
        licence: Of a research bundle, SPDX; empty: none is granted.
    """

    recommender: Recommender | None = None
    profile: str | None = None
    dialect: str = "comma"
    licence: str = ""
    _reports: list[tuple[Answer, str]] = field(default_factory=list, repr=False, compare=False)

    def report(self, answer: Answer, journal: Journal) -> str:
        """Return the report; three formats hold it, and its pictures take seconds: it is made once an answer."""
        for known, html in self._reports:
            if known is answer:
                return html
        html = campaign_report(answer, journal, recommender=self.recommender)
        self._reports.append((answer, html))
        return html


def exported_more(answer: Answer, journal: Journal, kind: More, wanted: Wanted | None = None) -> dict[str, bytes]:
    """Return the files of one of the further formats by name, mostly one.

    Raises:
        PressoptError: An optional library is missing, or the campaign has nothing for this format; says which.
    """
    wanted, name = wanted or Wanted(), MORE_FORMATS[kind]
    if answer.open_because and kind in {"setpoints", "plc", "batchml"}:
        name = f"preliminary-{name}"  # a panel's CSV has no place for words: the name of the file says it
    ram_area_cm2 = effective_ram_area_cm2(answer.experiment)
    experiment, state = answer.experiment, answer.state
    match kind:
        case "pdf":
            return {name: pdf_bytes(operator_sheet(answer, journal, ram_area_cm2=ram_area_cm2))}
        case "report":
            return {name: wanted.report(answer, journal).encode()}
        case "report-pdf":
            return {name: pdf_bytes(wanted.report(answer, journal))}
        case "as-run":
            return {name: document_bytes(as_run_document(answer, journal))}
        case "as-run-csv":
            return {name: as_run_csv(answer, journal).encode()}
        case "setpoints":
            dialect = DIALECTS[wanted.dialect]
            return {name: setpoint_csv(_protocol(answer), experiment.cell.die, dialect).encode()}
        case "plc":
            profile, dialect = _press_profile(answer, wanted.profile), DIALECTS[wanted.dialect]
            return {name: recipe_table_csv(_protocol(answer), experiment.cell.die, profile, dialect).encode()}
        case "batchml":
            document = protocol_document(answer, journal, ram_area_cm2=ram_area_cm2)
            return {name: batchml(answer, document).encode()}
        case "bdf":
            return bdf_files(answer, journal)
        case "parquet":
            return {name: trials_parquet(experiment, state)}
        case "eln":
            data = eln_bytes(
                answer, journal, ram_area_cm2=ram_area_cm2, recommender=wanted.recommender,
                licence=wanted.licence, report=wanted.report(answer, journal),
            )  # fmt: skip
            return {f"{experiment.name}.eln": data}
        case "jsonld":
            document = protocol_document(answer, journal, ram_area_cm2=ram_area_cm2)
            return {name: linked_data_bytes(answer, document)}
        case "ax":
            return {name: document_bytes(to_ax(experiment.space, state.observations(), experiment.objectives))}
        case "baybe":
            return {name: document_bytes(to_baybe(experiment.space, state.observations(), experiment.objectives))}
        case "pybamm":
            return {name: document_bytes(_contact_resistance(answer))}


def bdf_files(answer: Answer, journal: Journal) -> dict[str, bytes]:
    """Return every press log and spectrum in the Battery Data Format, by name."""
    found: dict[str, bytes] = {}
    for trial in answer.state.trials.values():
        record = recorded_press(trial, journal)
        if record is not None:
            log = press_bdf(record, answer.experiment.cell.die)
            found[f"bdf/cell-{trial.number:03d}-press.bdf.csv"] = log.encode()
        for place, taken in enumerate(trial.measurements, 1):
            if taken.kind == "spectrum":
                text = spectrum_bdf(spectrum_from_bytes(journal.blob(taken.measurement)))
                found[f"bdf/cell-{trial.number:03d}-spectrum-{place}.bdf.csv"] = text.encode()
    if not found:
        raise InputError("there is nothing in the Battery Data Format to write: no cell has been pressed")
    return found


def _protocol(answer: Answer) -> PressingProtocol:
    if answer.protocol is None:
        raise InputError(f"there is no recipe to write: {answer.open_because}")
    return answer.protocol


def _press_profile(answer: Answer, chosen: str | None) -> DeviceProfile:
    profile = press_profile(answer.experiment) if chosen is None else load_profile(chosen)
    if profile is None:
        raise InputError("a recipe table needs a press: name its profile with --profile")
    return profile


def _contact_resistance(answer: Answer) -> dict[str, Any]:
    quantity = "interfacial_resistance_ohm_cm2"
    result = next((one for one in answer.results if one.quantity == quantity and one.expected is not None), None)
    if result is None or result.expected is None:
        raise InputError(f"this campaign expects no {quantity}: PyBaMM's contact resistance is made of that")
    cell, expected = answer.experiment.cell, result.expected
    plain = pybamm_parameters(
        (expected.median, expected.low, expected.high),
        area_cm2=cell.area_cm2,
        interfaces=cell.interfaces,
        source=result.source,
    )
    return {**plain, "complete": answer.complete, "incomplete_because": answer.open_because}


def drawn(
    answer: Answer,
    journal: Journal,
    picture: Picture,
    *,
    recommender: Recommender | None = None,
    trials: Sequence[int] = (),
) -> Figure:
    """Return one picture.

    Args:
        answer: What the campaign has found.
        journal: Where the spectra are.
        picture: Which.
        recommender: The campaign's engine; needed for the surface.
        trials: Whose spectra are drawn; none: the telling ones.

    Raises:
        InputError: There is nothing to draw; says why.
    """
    from pressopt.export.pictures import CampaignModel, draw_convergence, draw_nyquist_of_trials, draw_surface

    match picture:
        case "convergence":
            return draw_convergence(answer)
        case "nyquist":
            return draw_nyquist_of_trials(answer, journal, trials)
        case "surface":
            if recommender is None:
                raise ExportError("a surface needs the campaign's engine: give its recommender")
            return draw_surface(answer, CampaignModel(recommender, answer.state.observations()))


def drawable(answer: Answer) -> Iterator[Picture]:
    """The pictures that there is something to draw for."""
    yield "convergence"
    searched = any(variable.numeric for variable in answer.experiment.space.variables)
    if answer.recommendation is not None and searched:
        yield "surface"
    if any(taken.kind == "spectrum" for trial in answer.state.done for taken in trial.measurements):
        yield "nyquist"


def write_exports(
    answer: Answer, journal: Journal, folder: Path, formats: Sequence[Format] = tuple(FORMATS)
) -> list[Path]:
    """Write exports into ``folder`` and return their paths, in the order of ``formats``."""
    return [write_file(folder / FORMATS[kind], exported(answer, journal, kind)) for kind in formats]


def write_more(
    answer: Answer, journal: Journal, folder: Path, kind: More, wanted: Wanted | None = None
) -> list[Path]:
    """Write one of the further formats into ``folder`` and return the paths of its files.

    Raises:
        PressoptError: As :func:`exported_more`, or a file could not be written.
    """
    files = exported_more(answer, journal, kind, wanted)
    return [write_file(folder / name, data) for name, data in files.items()]


def write_pictures(
    answer: Answer,
    journal: Journal,
    folder: Path,
    *,
    recommender: Recommender | None = None,
    pictures: Sequence[Picture] = PICTURES,
    trials: Sequence[int] = (),
) -> list[Path]:
    """Draw pictures into ``folder`` as PNG and SVG and return their paths.

    Raises:
        InputError: There is nothing to draw for one of them; says why.
    """
    from pressopt.export.pictures import picture_bytes

    written = []
    for picture in pictures:
        figure = drawn(answer, journal, picture, recommender=recommender, trials=trials)
        written += [
            write_file(folder / f"{picture}.{kind}", picture_bytes(figure, kind)) for kind in PICTURE_KINDS
        ]
    return written


def write_all(
    experiment: Experiment,
    journal: Journal,
    folder: Path,
    *,
    untouched: Prediction | Mapping[str, Interval] | None = None,
    recommender: Recommender | None = None,
) -> list[Path]:
    """Write everything that can be said of a campaign into ``folder``: protocol, sheet, table, pictures.

    Args:
        experiment: What was asked.
        journal: The campaign, finished or not.
        folder: Where to.
        untouched: What the physics expects of the untouched cell.
        recommender: The campaign's engine: answers for an unfinished campaign, and draws the surface.

    Raises:
        ExportError: A file could not be written.
    """
    state = replay(journal.entries())
    history = state.observations()
    recommendation = None
    if recommender is not None and state.closed is None and any(one.outcomes for one in history):
        recommendation = recommender.recommend(history)
    answer = gather(experiment, state, recommendation=recommendation, untouched=untouched, recommender=recommender)
    written = write_exports(answer, journal, folder)
    pictures = [one for one in drawable(answer) if one != "surface" or recommender is not None]
    return written + write_pictures(answer, journal, folder, recommender=recommender, pictures=pictures)


def write_file(path: Path, data: bytes) -> Path:
    """Write a whole file or none: readers never see half of one.

    Raises:
        ExportError: It could not be written (no such folder, no permission, disk full).
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise ExportError(
            f"{path} could not be written ({error.strerror}): choose another folder with --out"
        ) from error
    return path
