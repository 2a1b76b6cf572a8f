"""Many pressing protocols as arrays: what the Rust physics takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, Violation
from pressopt.pressing import PressingProtocol, RollStage, Stage

Real = npt.NDArray[np.float64]

PLATEN_FIELDS = ("pressure_mpa", "ramp_mpa_s", "dwell_s", "temperature_c")
ROLL_FIELDS = ("line_force_n_mm", "speed_mm_s", "passes", "temperature_c")
MEASURED_FIELDS = ("measure_at_mpa", "measure_at_c", "settle_s", "release_mpa_s")


@dataclass(frozen=True, eq=False)
class ProtocolTable:
    """``n`` protocols of ``s`` stages each. Build it with :meth:`platen`, :meth:`roll` or :meth:`from_protocols`.

    Attributes:
        stages: Shape (n, s, 4): per stage pressure (MPa), ramp (MPa/s), dwell (s), temperature (°C); or for rolls
            line force (N/mm), speed (mm/s), passes, temperature (°C).
        measured: Shape (n, 4): pressure (MPa) and temperature (°C) while measured, waiting time there (s), rate of
            the way there (MPa/s).
        rolled: Whether the stages are passes through rolls.
    """

    stages: Real
    measured: Real
    rolled: bool = False

    def __post_init__(self) -> None:
        stages = np.ascontiguousarray(self.stages, dtype=np.float64)
        measured = np.ascontiguousarray(self.measured, dtype=np.float64)
        if stages.ndim != 3 or stages.shape[2] != 4 or stages.shape[1] < 1:
            raise InputError(
                (Violation("stages", f"shape {stages.shape} is not allowed: give (n, s, 4), s from 1"),)
            )
        if measured.shape != (stages.shape[0], 4):
            raise InputError(
                (Violation("measured", f"shape {measured.shape} is not allowed: give ({stages.shape[0]}, 4)"),)
            )
        for name, array in (("stages", stages), ("measured", measured)):
            frozen = array.copy() if array is getattr(self, name) else array
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)

    @classmethod
    def platen(
        cls,
        *,
        pressure_mpa: npt.ArrayLike,
        ramp_mpa_s: npt.ArrayLike,
        dwell_s: npt.ArrayLike,
        temperature_c: npt.ArrayLike,
        measure_at_mpa: npt.ArrayLike,
        measure_at_c: npt.ArrayLike = 25.0,
        settle_s: npt.ArrayLike = 60.0,
        release_mpa_s: npt.ArrayLike = 1.0,
    ) -> ProtocolTable:
        """Stages between platens; each of the first four broadcasts to (n, s), the rest to (n,)."""
        stages = _stack("pressure_mpa", pressure_mpa, ramp_mpa_s, dwell_s, temperature_c)
        return cls(*_align(stages, measure_at_mpa, measure_at_c, settle_s, release_mpa_s))

    @classmethod
    def roll(
        cls,
        *,
        line_force_n_mm: npt.ArrayLike,
        speed_mm_s: npt.ArrayLike,
        passes: npt.ArrayLike,
        temperature_c: npt.ArrayLike,
        measure_at_mpa: npt.ArrayLike = 0.0,
        measure_at_c: npt.ArrayLike = 25.0,
        settle_s: npt.ArrayLike = 60.0,
        release_mpa_s: npt.ArrayLike = 1.0,
    ) -> ProtocolTable:
        """Passes through rolls; each of the first four broadcasts to (n, s), the rest to (n,)."""
        stages = _stack("line_force_n_mm", line_force_n_mm, speed_mm_s, passes, temperature_c)
        return cls(*_align(stages, measure_at_mpa, measure_at_c, settle_s, release_mpa_s), rolled=True)

    @classmethod
    def from_protocols(cls, protocols: Sequence[PressingProtocol]) -> ProtocolTable:
        """Protocols of equal shape (all rolled or none, equally many stages) as one table."""
        if not protocols:
            raise InputError((Violation("protocols", "none given: give at least one"),))
        shapes = {(protocol.rolled, len(protocol.stages)) for protocol in protocols}
        if len(shapes) > 1:
            raise InputError(
                (
                    Violation(
                        "protocols", "give protocols of one kind and equal number of stages, or ask separately"
                    ),
                )
            )
        stages = [[_row(stage) for stage in protocol.stages] for protocol in protocols]
        measured = [[getattr(protocol, name) for name in MEASURED_FIELDS] for protocol in protocols]
        return cls(np.array(stages, dtype=np.float64), np.array(measured, dtype=np.float64), protocols[0].rolled)

    def __len__(self) -> int:
        return int(self.stages.shape[0])

    @property
    def stage_fields(self) -> tuple[str, ...]:
        """What the last axis of ``stages`` holds."""
        return ROLL_FIELDS if self.rolled else PLATEN_FIELDS

    def column(self, name: str) -> Real:
        """One setting by name: shape (n, s) for a stage's, (n,) for the measurement's."""
        if name in MEASURED_FIELDS:
            return self.measured[:, MEASURED_FIELDS.index(name)]
        if name in self.stage_fields:
            return self.stages[:, :, self.stage_fields.index(name)]
        allowed = ", ".join((*self.stage_fields, *MEASURED_FIELDS))
        raise InputError((Violation(name, f"no such setting: allowed are {allowed}"),))

    def press_time_s(self, web_mm: float) -> Real:
        """Shape (n,): time under the press from first touch to the state of measurement, s.

        Ramps, dwells and the way to the state of measurement; for rolls, ``web_mm`` of web per pass.
        """
        if self.rolled:
            return np.asarray((self.column("passes") * web_mm / self.column("speed_mm_s")).sum(axis=1))
        pressure = self.column("pressure_mpa")
        before = np.concatenate([np.zeros((len(self), 1)), pressure[:, :-1]], axis=1)
        ramps = (np.abs(pressure - before) / self.column("ramp_mpa_s")).sum(axis=1)
        release = np.abs(pressure[:, -1] - self.column("measure_at_mpa")) / self.column("release_mpa_s")
        return np.asarray(ramps + self.column("dwell_s").sum(axis=1) + release)


def _row(stage: Stage | RollStage) -> list[float]:
    names = ROLL_FIELDS if isinstance(stage, RollStage) else PLATEN_FIELDS
    return [float(getattr(stage, name)) for name in names]


def _stack(first: str, *columns: npt.ArrayLike) -> Real:
    arrays = [np.atleast_2d(np.asarray(column, dtype=np.float64)) for column in columns]
    try:
        return np.stack(np.broadcast_arrays(*arrays), axis=-1)
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise InputError(
            (Violation(first, f"the settings do not fit together (shapes {shapes}): give (n, s)"),)
        ) from None


def _align(stages: Real, *columns: npt.ArrayLike) -> tuple[Real, Real]:
    """Stages and measurement with equally many protocols; one of either serves all of the other."""
    try:
        measured = np.stack(
            np.broadcast_arrays(*(np.atleast_1d(np.asarray(c, np.float64)) for c in columns)), axis=-1
        )
        count = np.broadcast_shapes((len(stages),), (len(measured),))[0]
        return np.broadcast_to(stages, (count, *stages.shape[1:])), np.broadcast_to(measured, (count, 4))
    except ValueError:
        raise InputError(
            (Violation("measure_at_mpa", f"the state of measurement needs one value or {len(stages)} of them"),)
        ) from None
