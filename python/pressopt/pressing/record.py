"""What the cell really got: the time series of a pressing and what is read off it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError

Real = npt.NDArray[np.float64]

_FORMAT = "pressopt press record"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage as done.

    Attributes:
        name: Name of the stage.
        asked: What was asked: ``pressure_mpa``, ``dwell_s``, ``temperature_c`` (or the roller's settings).
        achieved: The same keys as read off the curves: mean pressure and temperature over the dwell, time in band.
        achieved_sd: Standard deviation of each, from load-cell class, resolution and fluctuation.
        refills: Pump restarts during the hold.
        overshoot_mpa: Highest pressure above the set point, MPa.
        dose_mpa_s: Integral of pressure over time, MPa s.
    """

    name: str
    asked: dict[str, float]
    achieved: dict[str, float]
    achieved_sd: dict[str, float]
    refills: int = 0
    overshoot_mpa: float = 0.0
    dose_mpa_s: float = 0.0


@dataclass(frozen=True)
class PressRecord:
    """A whole pressing.

    Attributes:
        press: Identity of the machine.
        time_s, force_kn, temperature_c: Shape (n,) each: laboratory time from the start (s), force (kN),
            platen temperature (°C), as read.
        stage: Shape (n,): index of the stage each reading belongs to; -1 between stages.
        stages: One :class:`StageRecord` each, in order.
        held_mpa: Pressure on the sample at the end, in which the cell is measured, MPa.
        held_c: Temperature at the end, °C.
        deviations: What a person or the watch wrote down, in words.
    """

    press: str
    time_s: Real
    force_kn: Real
    temperature_c: Real
    stage: npt.NDArray[np.int64]
    stages: tuple[StageRecord, ...]
    held_mpa: float
    held_c: float
    deviations: tuple[str, ...] = ()


def record_to_bytes(record: PressRecord) -> bytes:
    """Return a record as JSON bytes; floats are written such that they are read back bit for bit."""
    plain: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "press": record.press,
        **{name: getattr(record, name).tolist() for name in ("time_s", "force_kn", "temperature_c", "stage")},
        "stages": [asdict(stage) for stage in record.stages],
        "held_mpa": record.held_mpa,
        "held_c": record.held_c,
        "deviations": list(record.deviations),
    }
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


def record_from_bytes(data: bytes) -> PressRecord:
    """Return the record that :func:`record_to_bytes` wrote.

    Raises:
        InputError: This is no record, or a newer pressopt wrote it.
    """
    try:
        plain = json.loads(data)
        if plain["format"] != _FORMAT:
            raise InputError(f"this is no press record: its format is {plain['format']!r}")
        if plain["version"] > _VERSION:
            raise InputError(
                f"this press record is of version {plain['version']}, this pressopt reads up to {_VERSION}: "
                "read it with a newer one"
            )
        return PressRecord(
            press=plain["press"],
            time_s=np.array(plain["time_s"], dtype=np.float64),
            force_kn=np.array(plain["force_kn"], dtype=np.float64),
            temperature_c=np.array(plain["temperature_c"], dtype=np.float64),
            stage=np.array(plain["stage"], dtype=np.int64),
            stages=tuple(StageRecord(**stage) for stage in plain["stages"]),
            held_mpa=plain["held_mpa"],
            held_c=plain["held_c"],
            deviations=tuple(plain["deviations"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"this is no press record: {error}") from error
