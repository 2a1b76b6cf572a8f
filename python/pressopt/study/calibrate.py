"""Surrogate parameters from data: a posterior, what the data cannot tell, predictions before and after.

A block is one independent run of the sampler of :mod:`pressopt.surrogate.calibration`; several runs tell whether
another run would say the same. The catalogue is never touched: what is found is a file that predictions may use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.assembly import surrogate_of
from pressopt.campaign.experiment import Experiment
from pressopt.errors import InputError, Violation
from pressopt.materials import Catalogue
from pressopt.pressing import QUANTITIES
from pressopt.study.engines import Engine
from pressopt.study.job import digest_of_arrays, told_of
from pressopt.study.posterior import Posterior
from pressopt.study.published import DWELL_S, RAMP_MPA_S, TEMPERATURE_C, Point, points_of
from pressopt.study.reanalyse import read_campaigns
from pressopt.study.running import compute_all
from pressopt.study.settings import Settings, read_sheet
from pressopt.surrogate import ParameterDraws, ProtocolTable, Surrogate

Real = npt.NDArray[np.float64]

#: Half the width of a published range in standard deviations: its ends are taken as those of 95 %.
_HALF = 1.96
#: Quantities whose errors are even on the logarithm, which is what the sampler takes.
CALIBRATED = tuple(name for name, quantity in QUANTITIES.items() if quantity.log and name != "press_time_s")


@dataclass(frozen=True)
class Data:
    """What was measured on n cells of one kind.

    Attributes:
        surrogate: The physics of the cell that was measured.
        table: What was done to each cell.
        labels: Each cell in a few words.
        measured: Per quantity, values in its unit and standard deviations of their logarithms, shape (n,) each;
            NaN where it was not measured.
    """

    surrogate: Surrogate
    table: ProtocolTable
    labels: tuple[str, ...]
    measured: dict[str, tuple[Real, Real]]

    @property
    def points(self) -> int:
        """How many values there are."""
        return sum(int(np.isfinite(values).sum()) for values, _ in self.measured.values())


def data_from_table(experiment: Experiment, path: Path, given: dict[str, float], *, scatter: float) -> Data:
    """Own cells from a table: settings, and a column per measured quantity, maybe with ``_sd`` beside it.

    Args:
        experiment: The cell.
        path: CSV or Parquet.
        given: Settings that are the same for all cells.
        scatter: How far cells of one protocol differ, relative: added to each reading's own error.

    Raises:
        InputError: Everything that is wrong, with lines.
    """
    settings, surrogate = Settings.of(experiment), surrogate_of(experiment)
    names = [name for quantity in CALIBRATED for name in (quantity, f"{quantity}_sd")]
    sheet = read_sheet(path, settings, given, others=names)
    settings.checked(sheet.settings, surrogate, sheet.lines)
    known = [name for name in CALIBRATED if name in sheet.columns]
    if not known:
        wanted = ", ".join(CALIBRATED)
        raise InputError(
            (Violation("", f"no column holds a measured quantity: give one or more of {wanted}"),),
            source=str(path),
        )
    measured, wrong = {}, []
    for name in known:
        values = sheet.numbers(name)
        sd = sheet.numbers(f"{name}_sd") if f"{name}_sd" in sheet.columns else np.zeros(len(values))
        wrong += [
            Violation(
                name,
                f"{values[row]:g} is not allowed: give more than 0, or leave the cell empty",
                sheet.lines[int(row)],
            )
            for row in np.flatnonzero(values <= 0)
        ]
        measured[name] = values, np.hypot(np.nan_to_num(sd) / np.abs(np.where(values == 0, 1, values)), scatter)
    if wrong:
        raise InputError(wrong, source=str(path))
    label = next((sheet.columns[n] for n in sheet.columns if n.lower() in {"cell", "label", "name", "id"}), None)
    labels = tuple(str(text) for text in label) if label is not None else tuple(f"line {n}" for n in sheet.lines)
    return Data(surrogate, settings.table({**given, **sheet.settings}), labels, measured)


def data_from_campaign(folder: Path, *, scatter: float) -> tuple[Experiment, Data]:
    """Cells of a campaign, at the settings that they got, not at those that were asked."""
    (old,) = read_campaigns([folder])
    trials = [trial for trial in old.state.done if trial.outcomes and not trial.failures]
    if not trials:
        raise InputError((Violation("--campaign", f"{folder} has no valid cell yet"),))
    settings, surrogate = Settings.of(old.experiment), surrogate_of(old.experiment)
    varied = {
        name: np.array([float(trial.achieved.get(name, float(trial.settings[name]))) for trial in trials])
        for name in old.experiment.space.names
    }
    measured = {}
    for name in CALIBRATED:
        pairs = [trial.outcomes.get(name, (np.nan, np.nan)) for trial in trials]
        values = np.array([value if value > 0 else np.nan for value, _ in pairs])
        if np.isfinite(values).any():
            sd = np.array([sd for _, sd in pairs])
            measured[name] = values, np.hypot(np.nan_to_num(sd / values), scatter)
    labels = tuple(f"trial {trial.number}" for trial in trials)
    return old.experiment, Data(surrogate, settings.table(varied), labels, measured)


def data_from_published(experiment: Experiment, catalogue: Catalogue, *, scatter: float) -> Data:
    """Published points of the experiment's materials, in the cell of their sources.

    Points of several stages, lower bounds and probabilities are left out: the sampler takes values.
    """
    points = [point for point in points_of(experiment.cell, catalogue) if _usable(point)]
    if not points:
        raise InputError(
            (Violation("--published", "no published value of these materials comes with pressopt: give a table"),)
        )
    surrogate = Surrogate(points[0].cell(), catalogue)
    table = ProtocolTable.platen(
        pressure_mpa=np.array([[point.pressures_mpa[0]] for point in points]),
        ramp_mpa_s=RAMP_MPA_S,
        dwell_s=DWELL_S,
        temperature_c=TEMPERATURE_C,
        measure_at_mpa=np.array([point.held_mpa for point in points]),
    )
    measured = {}
    for name in dict.fromkeys(point.quantity for point in points):
        values = np.array([point.value if point.quantity == name else np.nan for point in points])
        spread = np.array([np.log(point.high / point.low) / (2 * _HALF) for point in points])
        measured[name] = values, np.hypot(spread, scatter)
    return Data(surrogate, table, tuple(point.label for point in points), measured)


def _usable(point: Point) -> bool:
    return not point.formed and point.quantity in CALIBRATED and 0 < point.low <= point.high < np.inf


@dataclass(frozen=True)
class ChainBlock:
    """One independent run of the sampler; see :class:`pressopt.study.job.Block`."""

    data: Data
    draws: int
    seed: int

    def __call__(self) -> bytes:
        found = self.data.surrogate.calibrate(
            self.data.table, self.data.measured, draws=self.draws, seed=self.seed
        )
        standard = Posterior.of(self.data.surrogate, found).standard
        left = list(found.identified.values())
        return np.concatenate([[found.misfit], left, standard.ravel()]).tobytes()


@dataclass(frozen=True)
class Calibrate:
    """A job: some independent runs on the same data; see :class:`pressopt.study.job.Job`."""

    data: Data
    draws: int = 512
    chains: int = 4
    seed: int = 0

    kind = "calibrate"
    unit = "runs"

    @property
    def identity(self) -> dict[str, Any]:
        data = self.data
        measured = {name: digest_of_arrays(values, np.asarray(sd)) for name, (values, sd) in data.measured.items()}
        return {
            **told_of(data.surrogate),
            "protocols": digest_of_arrays(data.table.stages, data.table.measured),
            "measured": measured,
            "draws": self.draws,
            "chains": self.chains,
            "seed": self.seed,
        }

    @property
    def sizes(self) -> Sequence[int]:
        return [1] * self.chains

    def block(self, index: int) -> ChainBlock:
        return ChainBlock(self.data, self.draws, self.seed + index)


@dataclass(frozen=True)
class Calibrated:
    """What the data say.

    Attributes:
        data: What was measured.
        posterior: Draws of all runs together.
        between: Per parameter: spread of the runs' means relative to the posterior's own standard deviation; a few
            tenths at most, or more draws are needed.
        before, after: Per quantity: low end, median and high end of the 95 % interval, shape (3, n), by the prior
            and by the posterior.
    """

    data: Data
    posterior: Posterior
    between: dict[str, float]
    before: dict[str, Real]
    after: dict[str, Real]


def calibrate(job: Calibrate, engine: Engine) -> Calibrated:
    """Run the sampler, and predict the data before and after."""
    return calibrated_of(job, compute_all(job, engine))


def calibrated_of(job: Calibrate, blocks: Sequence[bytes]) -> Calibrated:
    """What these blocks, all runs of the job in order, say together."""
    surrogate = job.data.surrogate
    names = tuple(p.name for p in surrogate.parameters)
    runs = [np.frombuffer(data) for data in blocks]
    chains = np.stack([run[1 + len(names) :].reshape(job.draws, len(names)) for run in runs])
    standard = chains.reshape(-1, len(names))
    # What no run has moved is the prior, to the draw.
    kept = np.all([run[1 : 1 + len(names)] == 1.0 for run in runs], axis=0)
    sd = np.where(kept, 1.0, standard.std(axis=0))
    posterior = Posterior(
        tuple(layer.material for layer in surrogate.cell.layers),
        names,
        standard,
        dict(zip(names, sd.tolist(), strict=True)),
        float(np.median([run[0] for run in runs])),
    )
    between = chains.mean(axis=1).std(axis=0, ddof=1 if job.chains > 1 else 0) / np.maximum(sd, 1e-12)
    return Calibrated(
        job.data,
        posterior,
        dict(zip(names, between.tolist(), strict=True)),
        _intervals(job.data, surrogate.prior(standard.shape[0], job.seed)),
        _intervals(job.data, posterior.draws_for(surrogate)),
    )


def _intervals(data: Data, parameters: ParameterDraws) -> dict[str, Real]:
    prediction = data.surrogate.predict(data.table, parameters=parameters)
    return {name: np.stack(prediction.interval(name)) for name in data.measured}
