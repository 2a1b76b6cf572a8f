"""What is done to a cell: stages of pressing or rolling, then the state in which it is measured.

Pressure always means pressure on the sample, in MPa: force over the area of the die.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum

from pressopt.errors import InputError, Violation


class SafeState(StrEnum):
    """Where a press goes when something fails."""

    RELEASE = "release"
    HOLD_AND_COOL = "hold_and_cool"
    HOLD = "hold"


def _check_positive(owner: object, *, allow_zero: frozenset[str] = frozenset()) -> None:
    """Raise one InputError naming every numeric field that is not finite and positive."""
    wrong = []
    for field in fields(owner):  # type: ignore[arg-type]
        value = getattr(owner, field.name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or field.name.endswith("_c"):
            continue
        low_ok = value >= 0 if field.name in allow_zero else value > 0
        if not (math.isfinite(value) and low_ok):
            least = "zero or positive" if field.name in allow_zero else "positive"
            wrong.append(Violation(field.name, f"{value} is not allowed: give a finite, {least} number"))
    for field in fields(owner):  # type: ignore[arg-type]
        value = getattr(owner, field.name)
        if field.name.endswith("_c") and not (isinstance(value, (int, float)) and -273.15 < value < 2000):
            wrong.append(Violation(field.name, f"{value} °C is not a temperature: give -273.15 to 2000 °C"))
    if wrong:
        raise InputError(wrong)


@dataclass(frozen=True, slots=True)
class Die:
    """The area over which force becomes pressure on the sample.

    Attributes:
        diameter_mm: Diameter of the die (or of the pressed stack), mm.
    """

    diameter_mm: float

    def __post_init__(self) -> None:
        _check_positive(self)

    @property
    def area_mm2(self) -> float:
        return math.pi / 4 * self.diameter_mm**2

    @property
    def area_cm2(self) -> float:
        return self.area_mm2 / 100

    def force_kn(self, pressure_mpa: float) -> float:
        """Force in kN that puts ``pressure_mpa`` (MPa) on the sample."""
        return pressure_mpa * self.area_mm2 / 1000

    def pressure_mpa(self, force_kn: float) -> float:
        """Pressure on the sample in MPa under ``force_kn`` (kN)."""
        return force_kn * 1000 / self.area_mm2


@dataclass(frozen=True, slots=True)
class Stage:
    """One ramp and hold between platens.

    Attributes:
        name: As in the experiment file.
        pressure_mpa: Pressure on the sample during the hold, MPa.
        ramp_mpa_s: Rate of the ramp, MPa/s.
        dwell_s: Time at pressure and temperature, s.
        temperature_c: Temperature of the platens during the hold, °C.
        on_abort: What the press does when this stage is broken off.
    """

    name: str
    pressure_mpa: float
    ramp_mpa_s: float
    dwell_s: float
    temperature_c: float
    on_abort: SafeState = SafeState.RELEASE

    def __post_init__(self) -> None:
        _check_positive(self, allow_zero=frozenset({"dwell_s"}))


@dataclass(frozen=True, slots=True)
class RollStage:
    """Passes through a roller nip.

    Attributes:
        name: As in the experiment file.
        line_force_n_mm: Force per width of the web, N/mm.
        speed_mm_s: Speed of the web, mm/s.
        passes: How often the cell goes through.
        temperature_c: Temperature of the rolls, °C.
    """

    name: str
    line_force_n_mm: float
    speed_mm_s: float
    passes: int
    temperature_c: float

    def __post_init__(self) -> None:
        _check_positive(self)


@dataclass(frozen=True, slots=True)
class PressingProtocol:
    """The pressing programme of one cell.

    Attributes:
        stages: At least one; either all pressed between platens or all rolled.
        measure_at_mpa: Pressure on the sample while it is measured, MPa; 0: released.
        measure_at_c: Temperature while it is measured, °C.
        settle_s: Waiting time at that state before the measurement, s.
        release_mpa_s: Rate at which pressure is taken off, MPa/s.
    """

    stages: tuple[Stage | RollStage, ...]
    measure_at_mpa: float
    measure_at_c: float = 25.0
    settle_s: float = 60.0
    release_mpa_s: float = 1.0

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError((Violation("stages", "a protocol needs at least one stage"),))
        if len({type(stage) for stage in self.stages}) > 1:
            raise InputError((Violation("stages", "platen and roller stages do not mix in one protocol"),))
        _check_positive(self, allow_zero=frozenset({"measure_at_mpa", "settle_s"}))

    @property
    def rolled(self) -> bool:
        """Whether this goes through a laminator instead of a press."""
        return isinstance(self.stages[0], RollStage)
