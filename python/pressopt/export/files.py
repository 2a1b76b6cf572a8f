"""The files that a campaign leaves: one writer per kind, each a pure function of experiment, state and journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pressopt.campaign.journal import Journal
from pressopt.campaign.replay import replay
from pressopt.errors import PressoptError
from pressopt.export.answer import Answer, gather
from pressopt.export.document import document_bytes, effective_ram_area_cm2, protocol_document
from pressopt.export.sheet import operator_sheet
from pressopt.export.sheet_text import operator_text
from pressopt.export.tables import trials_csv
from pressopt.optimizer import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pressopt.campaign.experiment import Experiment
    from pressopt.optimizer import Recommender
    from pressopt.surrogate import Prediction

Format = Literal["json", "html", "csv", "text"]
Picture = Literal["convergence", "surface", "nyquist"]

#: Format -> name of its file in a campaign's folder.
FORMATS: Mapping[Format, str] = {
    "json": "protocol.json",
    "html": "operator-sheet.html",
    "text": "operator-sheet.txt",
    "csv": "trials.csv",
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
