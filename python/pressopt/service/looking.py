"""What can be looked at: campaigns, trials, curves, spectra, files, exports; and campaigns as one file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from pressopt.campaign.events import CampaignOpened
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.ledger import Row
from pressopt.campaign.replay import CampaignState, replay
from pressopt.campaign.runner import recommendation_to_json
from pressopt.errors import ExperimentError, InputError, JournalError, LifecycleError
from pressopt.export.answer import Answer, gather
from pressopt.export.files import FORMATS, Format, Picture, drawable, drawn, exported
from pressopt.export.overview import campaign_overview, trial_overview
from pressopt.export.spectra import recorded_spectrum
from pressopt.impedance import analyse, spectrum_from_bytes
from pressopt.impedance.spectrum import ImpedanceSpectrum
from pressopt.optimizer import Settings
from pressopt.pressing.record import record_from_bytes
from pressopt.service.acts import SERVICE, CampaignPlaced
from pressopt.service.campaigns import checked_experiment, slug, trial_of
from pressopt.service.host import ID, By, Host, NotFound
from pressopt.service.hosted import Hosted
from pressopt.store import SqliteJournal
from pressopt.surrogate import Surrogate

T = TypeVar("T")
#: Answers and pictures that are kept for whoever looks next.
_THOUGHT = 64
_MEDIA = {"json": "application/json", "html": "text/html", "text": "text/plain", "csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class Download:
    """A file to be sent."""

    name: str
    media_type: str
    data: bytes


class Looking:
    """Looks at what is on disk; heavy work goes to threads."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._thought: OrderedDict[tuple[object, ...], asyncio.Task[Any]] = OrderedDict()

    async def _once(self, key: tuple[object, ...], think: Callable[[], Awaitable[T]]) -> T:
        """Return what was thought before of the same state, for everybody who watches; think of it once."""
        task = self._thought.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._thought[key] = asyncio.ensure_future(think())
            while len(self._thought) > _THOUGHT:
                self._thought.popitem(last=False)
        self._thought.move_to_end(key)
        found: T = await asyncio.shield(task)
        return found

    # ------------------------------------------------------------------ campaigns

    async def campaign(self, campaign: str) -> dict[str, Any]:
        """Return one campaign with a row for each trial."""
        hosted = await self._host.hosted(campaign)
        overview = campaign_overview(gather(hosted.experiment, hosted.shown))
        row = self._host.summaries[campaign]
        names = ("id", "presses", "priority", "created_at", "last_seq", "in_flight", "asking", "done")
        assigned = {
            str(number): press for (of, number), press in self._host.state.assigned.items() if of == campaign
        }
        return {
            **overview,
            **{name: row[name] for name in names},
            "assigned": assigned,
            **_described(hosted.experiment),
        }

    async def recommendation(self, campaign: str) -> dict[str, Any]:
        """Return the recommended protocol as plain data.

        Raises:
            LifecycleError: Nothing valid was measured yet.
        """
        hosted = await self._host.hosted(campaign)
        answer = await self._answer(hosted)
        if answer.recommendation is None or answer.protocol is None:
            raise LifecycleError("nothing valid has been measured yet: there is nothing to recommend")
        return {
            "campaign": campaign,
            "complete": answer.complete,
            "incomplete_because": answer.open_because,
            "recommendation": recommendation_to_json(answer.recommendation),
            "protocol": asdict(answer.protocol),
        }

    async def export(self, campaign: str, kind: Format) -> Download:
        """Return an export as it lies in a file."""
        hosted = await self._host.hosted(campaign)
        answer = await self._answer(hosted)
        data = await self._host.think(exported, answer, self._host.journal(campaign), kind)
        return Download(f"{campaign}-{FORMATS[kind]}", _MEDIA[kind], data)

    async def picture(self, campaign: str, picture: Picture, kind: Literal["png", "svg"]) -> Download:
        """Return a picture.

        Raises:
            LifecycleError: There is nothing to draw yet.
        """
        from pressopt.export.pictures import picture_bytes

        hosted = await self._host.hosted(campaign)
        answer = await self._answer(hosted)
        if picture not in drawable(answer):
            raise LifecycleError(f"there is nothing to draw for '{picture}' yet")
        _, recommender = await self._host.engine(hosted.experiment)

        def draw() -> bytes:
            figure = drawn(answer, self._host.journal(campaign), picture, recommender=recommender)
            return picture_bytes(figure, kind)

        media_type = "image/png" if kind == "png" else "image/svg+xml"
        key = (campaign, answer.state.last_seq, picture, kind)
        data = await self._once(key, lambda: self._host.think(draw))
        return Download(f"{campaign}-{picture}.{kind}", media_type, data)

    async def _answer(self, hosted: Hosted) -> Answer:
        """Gather what a campaign has found, with the engine asked where it is not closed."""
        state = hosted.shown
        return await self._once((hosted.id, state.last_seq), lambda: self._found(hosted, state))

    async def _found(self, hosted: Hosted, state: CampaignState) -> Answer:
        surrogate, recommender = await self._host.engine(hosted.experiment)

        def answer() -> Answer:
            history = state.observations()
            recommendation = None
            if state.closed is None and any(one.outcomes for one in history):
                recommendation = recommender.recommend(history)
            return gather(
                hosted.experiment,
                state,
                recommendation=recommendation,
                untouched=_untouched(surrogate, hosted),
                recommender=recommender,
            )

        return await self._host.think(answer)

    # ------------------------------------------------------------------ trials

    async def trial(self, campaign: str, number: int) -> dict[str, Any]:
        """Return one trial in full."""
        hosted = await self._host.hosted(campaign)
        trial = trial_of(hosted.shown, number)
        answer = gather(hosted.experiment, hosted.shown)
        document = await self._host.think(trial_overview, answer, number, self._host.journal(campaign))
        document["question"] = trial.question.question if trial.question is not None else None
        document["files"] = _files(trial.attached)
        document["assigned"] = self._host.state.assigned.get((campaign, number))
        document["steps"] = _steps(hosted.experiment, trial.settings)
        return dict(document)

    async def record(self, campaign: str, number: int) -> dict[str, Any]:
        """Return the curves of a pressing."""
        hosted = await self._host.hosted(campaign)
        trial = trial_of(hosted.shown, number)
        if not trial.record:
            raise NotFound(f"trial {number} has no record: it was not pressed, or on a press of somebody's own")
        record = await self._host.think(lambda: record_from_bytes(self._host.ledger.blob(trial.record)))
        curves = ("time_s", "force_kn", "temperature_c", "stage")
        die = hosted.experiment.cell.die
        return {
            "campaign": campaign,
            "trial": number,
            "press": record.press,
            **{name: getattr(record, name).tolist() for name in curves},
            "pressure_mpa": [die.pressure_mpa(float(force)) for force in record.force_kn],
            "stages": [asdict(stage) for stage in record.stages],
            "held_mpa": record.held_mpa,
            "held_c": record.held_c,
            "deviations": list(record.deviations),
        }

    async def spectra(self, campaign: str, number: int) -> dict[str, Any]:
        """Return every spectrum of a trial."""
        hosted = await self._host.hosted(campaign)
        trial = trial_of(hosted.shown, number)

        def read() -> list[dict[str, Any]]:
            return [
                {
                    "attempt": one.attempt,
                    "instrument": one.instrument,
                    "sha256": one.measurement,
                    **_points(spectrum_from_bytes(self._host.ledger.blob(one.measurement))),
                }
                for one in trial.measurements
                if one.kind == "spectrum"
            ]

        def fitted() -> dict[str, Any] | None:
            spectrum = recorded_spectrum(trial, self._host.journal(campaign))
            return _fit(spectrum, hosted.experiment) if spectrum is not None else None

        spectra, fit = await self._host.think(read), await self._host.think(fitted)
        return {"campaign": campaign, "trial": number, "spectra": spectra, "fit": fit}

    async def files(self, campaign: str, number: int) -> dict[str, Any]:
        """Return the names of the files kept with a trial."""
        hosted = await self._host.hosted(campaign)
        return {"campaign": campaign, "trial": number, "files": _files(trial_of(hosted.shown, number).attached)}

    async def file(self, campaign: str, number: int, sha256: str) -> Download:
        """Return a file kept with a trial."""
        hosted = await self._host.hosted(campaign)
        for one in trial_of(hosted.shown, number).attached:
            if one.data == sha256:
                data = await self._host.think(self._host.ledger.blob, sha256)
                name = "".join(letter if letter.isascii() and letter not in '"\\' else "_" for letter in one.name)
                return Download(name, "application/octet-stream", data)
        raise NotFound(f"trial {number} has no file {sha256[:12]}…")

    # ------------------------------------------------------------------ whole campaigns as files

    async def journal_file(self, campaign: str) -> Download:
        """Return a campaign as one file: its journal, as a campaign run alone keeps it."""
        await self._host.hosted(campaign)

        def write() -> bytes:
            with tempfile.TemporaryDirectory(prefix="pressopt-export-") as folder:
                path = Path(folder) / "journal.sqlite"
                ledger = self._host.ledger
                with contextlib.closing(SqliteJournal.create(path)) as journal:
                    journal.take_in(ledger.rows(campaign), ledger.blobs_of(campaign))
                return path.read_bytes()

        data = await self._host.think(write)
        return Download(f"{campaign}.sqlite", "application/vnd.sqlite3", data)

    async def take_in(self, data: bytes, presses: Sequence[str], by: By) -> dict[str, Any]:
        """Take in a campaign from one file; the same file twice is one campaign.

        Raises:
            InputError: The file is no whole journal, or its experiment cannot be read here.
        """
        rows, blobs, state, opened = await self._host.think(_rows_of, data)
        try:
            await self._host.think(checked_experiment, opened.experiment_text, opened.name)
            experiment = self._host.experiment(opened)
        except ExperimentError as error:
            raise InputError(error.violations, source="journal") from error
        campaign = _id_of(opened.name, rows[0].digest)
        document = {"id": campaign, "name": opened.name, "entries": len(rows)}
        async with self._host.service_lock:
            if campaign in self._host.summaries:
                known = await self._host.hosted(campaign)
                if known.shown.digest == state.digest:
                    return document
                raise LifecycleError(
                    f"the campaign is here already as '{campaign}' and has gone another way: "
                    f"{known.shown.last_seq} entries here, {len(rows)} in the file"
                )
            hosted = Hosted(campaign, experiment, state, state)
            wait = await self._host.commit(
                hosted,
                (),
                by,
                document,
                status=201,
                blobs=blobs,
                acts=(CampaignPlaced(campaign, tuple(presses), 0),),
                taken_in=tuple(_moved(row, campaign) for row in rows),
            )
            await wait()
            self._host.keep(hosted)
        return document

    # ------------------------------------------------------------------ the service

    def acts(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Return what happened to the service itself."""
        rows = self._host.ledger.rows(SERVICE, after)[:limit]
        return [
            {"seq": row.seq, "at": row.at, "actor": row.actor, "event": row.kind, "data": json.loads(row.body)}
            for row in rows
        ]

    def tokens(self) -> list[dict[str, Any]]:
        """Return who may use the service."""
        return [
            {
                "name": one.name,
                "role": one.role,
                "created_at": one.created_at,
                "revoked_at": one.revoked_at or None,
            }
            for one in self._host.state.tokens.values()
        ]


def _untouched(surrogate: Surrogate, hosted: Hosted) -> Any:
    return surrogate.predict(hosted.experiment.untouched_protocol(), draws=256, seed=hosted.experiment.seed)


def _files(files: Sequence[Any]) -> list[dict[str, str]]:
    return [{"name": one.name, "sha256": one.data, "note": one.note, "by": one.by} for one in files]


def _points(spectrum: ImpedanceSpectrum) -> dict[str, Any]:
    """Points of a spectrum; what is not finite becomes None."""

    def column(values: Any) -> list[float | None]:
        return [float(value) if abs(value) < float("inf") else None for value in values]

    return {
        "frequency_hz": column(spectrum.frequency_hz),
        "real_ohm": column(spectrum.impedance_ohm.real),
        "imaginary_ohm": column(spectrum.impedance_ohm.imag),
        "good": spectrum.good.tolist(),
        "metadata": {name: value for name, value in spectrum.metadata.items() if value == value},  # noqa: PLR0124
    }


def _described(experiment: Experiment) -> dict[str, Any]:
    """What a campaign is after, and on which cell."""
    cell = experiment.cell
    return {
        "objectives": [
            {"quantity": one.quantity, "direction": one.direction, "target": one.target, "source": one.source}
            for one in experiment.objectives
        ],
        "cell": {
            "layers": [
                {"material": layer.material, "role": layer.role.value, "thickness_um": layer.thickness_um}
                for layer in cell.layers
            ],
            "die_diameter_mm": cell.die.diameter_mm,
            "electrode_diameter_mm": cell.electrode_diameter_mm,
        },
        "loading": experiment.laboratory.loading,
    }


def _steps(experiment: Experiment, settings: Settings) -> list[dict[str, Any]]:
    """The stages of a trial as they are asked, with the force for this die."""
    die = experiment.cell.die
    steps = []
    for stage in experiment.protocol(settings).stages:
        plain = asdict(stage)
        if "pressure_mpa" in plain:
            plain["force_kn"] = die.force_kn(plain["pressure_mpa"])
        steps.append(plain)
    return steps


def _fit(spectrum: ImpedanceSpectrum, experiment: Experiment) -> dict[str, Any] | None:
    """Points of the fit to a spectrum, densely, high frequency first; None where nothing could be fitted."""
    cell = experiment.cell
    analysis = analyse(spectrum, area_cm2=cell.area_cm2, interfaces=max(1, cell.interfaces))
    if analysis.fit is None:
        return None
    used = spectrum.frequency_hz[analysis.verdict.use]
    frequency_hz = np.geomspace(used.max(), used.min(), 200)
    impedance_ohm = analysis.fit.impedance(frequency_hz)
    return {
        "frequency_hz": frequency_hz.tolist(),
        "real_ohm": impedance_ohm.real.tolist(),
        "imaginary_ohm": impedance_ohm.imag.tolist(),
    }


def _rows_of(data: bytes) -> tuple[list[Row], list[bytes], CampaignState, CampaignOpened]:
    """Read an uploaded journal: its rows, raw data and state.

    Raises:
        InputError: It is damaged, empty, or was changed after it was written.
    """
    with tempfile.TemporaryDirectory(prefix="pressopt-import-") as folder:
        path = Path(folder) / "journal.sqlite"
        path.write_bytes(data)
        try:
            with contextlib.closing(SqliteJournal.read(path)) as journal:
                journal.verify()
                rows = journal.rows()
                blobs = list(journal.blobs())
                state = replay(row.entry() for row in rows)
        except (JournalError, LifecycleError) as error:
            told = str(error).replace(str(path), "the file")
            raise InputError(f"this is no whole journal of pressopt: {told}") from error
    if state.opened is None:
        raise InputError("this journal holds no campaign: nothing was ever written into it")
    return rows, blobs, state, state.opened


def _id_of(name: str, digest: str) -> str:
    """Return the id of a campaign that came from a file: the same for the same first entry."""
    campaign = f"{slug(name)}-{digest[:8]}"
    assert ID.match(campaign)
    return campaign


def _moved(row: Row, campaign: str) -> Row:
    return Row(campaign, row.seq, row.at, row.actor, row.kind, row.version, row.body, row.digest)
