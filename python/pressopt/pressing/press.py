"""Ports: what a press, a laminator and a sample changer promise, and what they report."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pressopt.pressing.protocol import SafeState

#: Type K thermocouple of class 1: within 1.5 K (IEC 60584-1:2013), taken as evenly spread.
SENSOR_SD_C = 1.5 / math.sqrt(3)


class PressState(StrEnum):
    """The machine's own word for what it does."""

    IDLE = "idle"
    RAMP = "ramp"
    HOLD = "hold"
    RELEASE = "release"
    FAULT = "fault"


class HoldKind(StrEnum):
    """How a press keeps its force in a hold."""

    SERVO = "servo"  # what leaks is made up at once
    REFILL = "refill"  # the pump restarts below a band: a saw-tooth
    LOCKED = "locked"  # the valve is shut: the force decays by leaks and by what the sample gives way


@dataclass(frozen=True, slots=True)
class PressReading:
    """One look at a press.

    Attributes:
        time_s: Laboratory time of the reading, s.
        force_kn: Measured force, kN.
        temperature_c: Measured platen temperature, °C.
        state: What the machine says it does.
        setpoint_kn: Force set point as the machine holds it, kN: a person at the panel may have changed it.
        refills: How often the pump has restarted to keep the force, since power-on.
        position_mm: Ram position, mm, where the machine has one.
        interlocks: Name to closed (True: motion is allowed).
        fault: The machine's own fault text; empty: none.
    """

    time_s: float
    force_kn: float
    temperature_c: float
    state: PressState
    setpoint_kn: float
    refills: int = 0
    position_mm: float | None = None
    interlocks: dict[str, bool] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PressCapability:
    """What a machine can do, from its profile. Software limits lie inside the machine's.

    Attributes:
        name: Identity of the machine.
        limit_kn: Highest force that software may ask, kN.
        min_kn: Lowest force that the machine controls, kN.
        resolution_kn: Step in which force can be set, kN.
        limit_ramp_kn_s: Highest ramp rate, kN/s.
        limit_c: Highest temperature that software may ask, °C.
        min_c: Lowest temperature that it can keep, °C (ambient where there is no cooling).
        force_sd_rel: Standard deviation of the force on the sample relative to the reading (load cell, friction).
        safe_state: Where ``make_safe`` leads.
        heated: Whether the platens can be heated.
        temperature_sd_c: Standard deviation of a temperature by the class of its sensor, K.
        attend_s: It is to be looked at this often while it works, s: beyond, its own watchdog may act.
        hold: How it keeps its force; behind a locked valve a slow fall is recorded, and no failure.
    """

    name: str
    limit_kn: float
    min_kn: float
    resolution_kn: float
    limit_ramp_kn_s: float
    limit_c: float
    min_c: float
    force_sd_rel: float
    safe_state: SafeState
    heated: bool
    temperature_sd_c: float = SENSOR_SD_C
    attend_s: float = math.inf
    hold: HoldKind = HoldKind.REFILL


class Press(Protocol):
    """Every driver of a press keeps these promises.

    - ``command`` returns once the set points are accepted (read back), not once they are reached.
    - Limits and interlocks are checked before every moving write; nothing moves without them.
    - ``make_safe`` reaches the safe state that the profile declares, from any state; twice is harmless.
    - After a fault nothing moves until ``clear_fault``.
    """

    @property
    def capability(self) -> PressCapability: ...

    def identify(self) -> str:
        """Who answers on the line; raises WrongDeviceError if it is not the profile's device."""
        ...

    def command(self, *, force_kn: float, ramp_kn_s: float, temperature_c: float) -> None:
        """Ramp to ``force_kn`` (kN; 0 releases) at ``ramp_kn_s`` (kN/s) with platens at ``temperature_c`` (°C)."""
        ...

    def read(self) -> PressReading: ...

    def make_safe(self) -> None: ...

    def clear_fault(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LaminatorReading:
    """One look at a laminator: line force in N/mm, speed in mm/s, temperature in °C, passes done."""

    time_s: float
    line_force_n_mm: float
    speed_mm_s: float
    temperature_c: float
    passes_done: int
    state: PressState
    interlocks: dict[str, bool] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class LaminatorCapability:
    """What a laminator can do, from its profile; ``roll_radius_mm`` turns line force into nip pressure."""

    name: str
    limit_n_mm: float
    min_n_mm: float
    limit_speed_mm_s: float
    min_speed_mm_s: float
    limit_c: float
    min_c: float
    roll_radius_mm: float
    web_width_mm: float
    force_sd_rel: float
    safe_state: SafeState
    temperature_sd_c: float = SENSOR_SD_C
    heated: bool = True
    attend_s: float = math.inf


class Laminator(Protocol):
    """Like :class:`Press`, for rolls: ``run`` starts the passes and returns once they are accepted."""

    @property
    def capability(self) -> LaminatorCapability: ...

    def identify(self) -> str: ...

    def warm(self, *, temperature_c: float) -> None:
        """Bring the rolls towards ``temperature_c`` (°C) without rolling; return once that is accepted."""
        ...

    def run(self, *, line_force_n_mm: float, speed_mm_s: float, passes: int, temperature_c: float) -> None: ...

    def read(self) -> LaminatorReading: ...

    def make_safe(self) -> None: ...

    def clear_fault(self) -> None: ...

    def close(self) -> None: ...


class SampleChanger(Protocol):
    """Puts the cell of a trial under the press: a robot, a turntable, or a person who confirms."""

    def load(self, trial: int) -> None:
        """Return once cell number ``trial`` lies under the press; loading the loaded cell changes nothing."""
        ...

    def loaded(self) -> int | None:
        """Number of the cell under the press, or None."""
        ...
