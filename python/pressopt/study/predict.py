"""Predictions of many protocols with their uncertainty, in blocks of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.study.axes import cut
from pressopt.study.engines import Engine
from pressopt.study.job import digest_of_arrays, told_of
from pressopt.study.running import compute_all
from pressopt.surrogate import ParameterDraws, ProtocolTable, Surrogate

Real = npt.NDArray[np.float64]

#: Evaluations (rows times draws) in a block: some 50 MB of arrays.
_EVALUATIONS = 500_000


@dataclass(frozen=True)
class Expected:
    """What is expected of n protocols, one array of shape (n,) per quantity.

    Attributes:
        nominal: At the median of the parameters; after calibration the median over the draws.
        low, high: Ends of the central interval over the draws.
        probability: Of that interval.
    """

    nominal: dict[str, Real]
    low: dict[str, Real]
    high: dict[str, Real]
    probability: float


@dataclass(frozen=True)
class PredictBlock:
    """Some rows of a table; see :class:`pressopt.study.job.Block`."""

    surrogate: Surrogate
    table: ProtocolTable
    draws: int
    seed: int
    parameters: ParameterDraws | None
    probability: float

    def __call__(self) -> bytes:
        prediction = self.surrogate.predict(
            self.table, draws=self.draws, seed=self.seed, parameters=self.parameters
        )
        rows = []
        for name in prediction.quantities:
            low, _, high = prediction.interval(name, self.probability)
            rows += [prediction.nominal[name], low, high]
        return np.stack(rows).tobytes()


@dataclass(frozen=True)
class Predict:
    """A job: a table of protocols of one cell; see :class:`pressopt.study.job.Job`."""

    surrogate: Surrogate
    table: ProtocolTable
    draws: int = 256
    seed: int = 0
    parameters: ParameterDraws | None = None
    probability: float = 0.95

    kind = "predict"
    unit = "protocols"

    @property
    def identity(self) -> dict[str, Any]:
        parameters = self.parameters
        return {
            **told_of(self.surrogate),
            "protocols": digest_of_arrays(self.table.stages, self.table.measured),
            "draws": self.draws,
            "seed": self.seed,
            "probability": self.probability,
            "calibration": None
            if parameters is None
            else digest_of_arrays(parameters.values, parameters.log_weight),
        }

    @cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        draws = self.draws if self.parameters is None else len(self.parameters.values)
        return list(cut(len(self.table), max(1, _EVALUATIONS // max(1, draws))))

    @property
    def sizes(self) -> Sequence[int]:
        return [stop - start for start, stop in self._ranges]

    def block(self, index: int) -> PredictBlock:
        start, stop = self._ranges[index]
        rows = ProtocolTable(self.table.stages[start:stop], self.table.measured[start:stop], self.table.rolled)
        return PredictBlock(self.surrogate, rows, self.draws, self.seed, self.parameters, self.probability)


def predict(job: Predict, engine: Engine) -> Expected:
    """Compute a prediction: the same bits wherever its blocks are computed."""
    return expected_of(job, compute_all(job, engine))


def expected_of(job: Predict, blocks: Sequence[bytes]) -> Expected:
    """The prediction that these blocks, all of the job in order, make up."""
    first = ProtocolTable(job.table.stages[:1], job.table.measured[:1], job.table.rolled)
    names = job.surrogate.predict(first).quantities
    parts = [np.frombuffer(data).reshape(len(names), 3, -1) for data in blocks]
    values = np.concatenate(parts, axis=2)

    def of(place: int) -> dict[str, Real]:
        return {name: values[index, place] for index, name in enumerate(names)}

    return Expected(of(0), of(1), of(2), job.probability)
