"""All protocols of a screen by number: a grid, or an even sequence, over settings of stages and measurement."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pressopt.campaign.experiment import STACK
from pressopt.surrogate import ProtocolTable
from pressopt.surrogate.table import MEASURED_FIELDS, PLATEN_FIELDS, ROLL_FIELDS

Real = npt.NDArray[np.float64]

#: What a setting of the measurement is called, beside those of the stages: as experiment files do.
STACK_FIELDS = {
    f"{STACK}.pressure_mpa": "measure_at_mpa",
    f"{STACK}.temperature_c": "measure_at_c",
    f"{STACK}.settle_s": "settle_s",
    f"{STACK}.release_mpa_s": "release_mpa_s",
}


@dataclass(frozen=True, slots=True)
class Axis:
    """The values of one setting.

    Attributes:
        name: ``stage.setting`` with its unit: ``lamination.pressure_mpa``; ``stack.pressure_mpa``.
        values: On a grid all of them; in a sequence with ``low`` and ``high`` the two ends.
        scale: How a sequence is spread between two ends; ``listed`` for values that are given one by one.
    """

    name: str
    values: tuple[float, ...]
    scale: Literal["listed", "linear", "log"] = "listed"

    def at(self, place: Real) -> Real:
        """Values at places in [0, 1), any shape: those of a sequence."""
        if self.scale == "listed":
            return np.array(self.values)[
                np.minimum((place * len(self.values)).astype(np.int64), len(self.values) - 1)
            ]
        low, high = self.values[0], self.values[-1]
        if self.scale == "log":
            return np.asarray(low * np.exp(place * math.log(high / low)))
        return np.asarray(low + place * (high - low))


@dataclass(frozen=True)
class Protocols:
    """Protocols by number, from 0: nothing is stored but the axes.

    Attributes:
        stages: Names of the stages, in order.
        rolled: Whether they are passes through rolls.
        axes: One per setting of each stage and of the measurement; on a grid the last varies fastest.
        points: How many protocols of the even sequence; ``None``: the full grid.

    Source:
        The sequence: Roberts, The unreasonable effectiveness of quasirandom sequences (2018): multiples of the
        powers of the inverse of the generalised golden ratio, modulo one.
    """

    stages: tuple[str, ...]
    rolled: bool
    axes: tuple[Axis, ...]
    points: int | None = None

    def __len__(self) -> int:
        return self.points if self.points is not None else math.prod(len(axis.values) for axis in self.axes)

    @property
    def varied(self) -> tuple[Axis, ...]:
        """Axes with more than one value, in order."""
        return tuple(axis for axis in self.axes if len(axis.values) > 1)

    def settings(self, start: int, stop: int) -> dict[str, Real]:
        """Shape (stop - start,) for each axis: the settings of the protocols with these numbers."""
        found: dict[str, Real] = {}
        if self.points is None:
            stride = 1
            for axis in reversed(self.varied):
                found[axis.name] = _digits(np.array(axis.values), stride, start, stop)
                stride *= len(axis.values)
        else:
            numbers = np.arange(start + 1, stop + 1, dtype=np.float64)
            for axis, step in zip(self.varied, golden_steps(len(self.varied)), strict=True):
                turns = 0.5 + numbers * step
                found[axis.name] = axis.at(turns - np.floor(turns))  # the remainder would cost ten times as much
        return {
            axis.name: found[axis.name] if axis.name in found else np.full(stop - start, axis.values[0])
            for axis in self.axes
        }

    def table(self, settings: Mapping[str, Real]) -> ProtocolTable:
        """Settings of n protocols, shape (n,) each, as the surrogate takes them."""
        return table_of(self.stages, settings, rolled=self.rolled)

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        axes = {axis.name: {"values": list(axis.values), "scale": axis.scale} for axis in self.axes}
        return {"stages": list(self.stages), "rolled": self.rolled, "axes": axes, "points": self.points}


def names_of(stages: Sequence[str], *, rolled: bool) -> tuple[str, ...]:
    """Names of all settings of protocols with these stages, the measurement's last."""
    fields = ROLL_FIELDS if rolled else PLATEN_FIELDS
    return (*(f"{stage}.{field}" for stage in stages for field in fields), *STACK_FIELDS)


def table_of(stages: Sequence[str], settings: Mapping[str, Real], *, rolled: bool) -> ProtocolTable:
    """Settings of n protocols by name, shape (n,) each, as the surrogate takes them."""
    count = len(next(iter(settings.values())))
    fields = ROLL_FIELDS if rolled else PLATEN_FIELDS
    pressed = np.empty((count, len(stages), len(fields)))
    for s, stage in enumerate(stages):
        for f, field in enumerate(fields):
            pressed[:, s, f] = settings[f"{stage}.{field}"]
    measured = np.empty((count, len(MEASURED_FIELDS)))
    for name, field in STACK_FIELDS.items():
        measured[:, MEASURED_FIELDS.index(field)] = settings[name]
    return ProtocolTable(pressed, measured, rolled)


def _digits(values: Real, stride: int, start: int, stop: int) -> Real:
    """What ``values[numbers // stride % len(values)]`` is for consecutive numbers, without the slow divisions."""
    period = stride * len(values)
    if period <= stop - start:
        offset = start % period
        return np.tile(np.repeat(values, stride), (offset + stop - start) // period + 1)[
            offset : offset + stop - start
        ]
    first = start // stride
    turns = np.arange(first, (stop - 1) // stride + 1) % len(values)
    edges = np.clip(np.arange(first, first + len(turns) + 1) * stride, start, stop)
    return np.repeat(values[turns], np.diff(edges))


def golden_steps(dimension: int) -> list[float]:
    """The steps of the even sequence in so many dimensions: powers of 1/g with g^(d+1) = g + 1."""
    golden = 2.0
    for _ in range(64):
        golden = (1.0 + golden) ** (1.0 / (dimension + 1))
    return [golden ** -(j + 1) % 1.0 for j in range(dimension)]


def cut(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) of at most ``size`` that cover ``total``."""
    for start in range(0, total, size):
        yield start, min(start + size, total)
