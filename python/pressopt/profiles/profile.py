"""A device profile as frozen data: how to reach one device, what it says, what it does, what it may not.

The names of signals and actions are fixed for each kind of device (:mod:`pressopt.profiles.checks` lists them) and
carry the unit in which the driver speaks. ``unit`` and ``scale`` say how the machine counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from pressopt.profiles.machine_units import UNITS

Kind = Literal["press", "laminator", "impedance-analyzer", "resistance-meter"]
Engine = Literal["modbus-tcp", "modbus-rtu", "methodscript", "scpi"]
Trust = Literal["documented", "twin", "bench"]
SafeStateName = Literal["release", "hold_and_cool", "hold"]
RegisterType = Literal["bool", "int16", "uint16", "int32", "uint32", "float32"]
TableName = Literal["coil", "discrete", "input", "holding"]
WordOrder = Literal["high-first", "low-first"]

Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Gt(0), Le(1)]

#: Read by pydantic when a file is loaded: no unknown key, no NaN, no infinity.
_STRICT: dict[str, object] = {"extra": "forbid", "allow_inf_nan": False}

#: Words of 16 bits and the range of the raw number, for each type.
WORDS: dict[str, int] = {"bool": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2}
RANGES: dict[str, tuple[float, float]] = {
    "bool": (0, 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "float32": (-3.4028235e38, 3.4028235e38),
}


@dataclass(frozen=True, slots=True)
class Register:
    """Where a raw number lives.

    Attributes:
        table: Modbus table.
        address: As on the wire, from 0.
        type: How the words are read; ``bool`` for coils, discrete inputs and single bits.
        bit: Bit of an input or holding register, 0 is the lowest; ``None``: the whole register.
        word_order: Order of the two words of a 32-bit value; ``None``: as ``link.word_order`` says.
    """

    __pydantic_config__ = _STRICT

    table: TableName
    address: Annotated[int, Ge(0), Le(65535)]
    type: RegisterType = "uint16"
    bit: Annotated[int, Ge(0), Le(15)] | None = None
    word_order: WordOrder | None = None

    @property
    def words(self) -> int:
        """How many registers (or coils) it takes."""
        return WORDS[self.type]

    def __str__(self) -> str:
        last = f"-{self.address + self.words - 1}" if self.words > 1 else ""
        return f"{self.table} {self.address}{last}" + (f" bit {self.bit}" if self.bit is not None else "")


@dataclass(frozen=True, slots=True)
class Signal:
    """Something the machine says.

    Attributes:
        at: Where.
        unit: Unit of ``raw * scale + offset``; see :data:`pressopt.profiles.machine_units.UNITS`.
        scale, offset: From the raw number to ``unit``.
        values: Raw number to word, for states and faults.
        invalid: Raw number to what it means instead of a value (``32771 = "sensor open"``).
        valid: Lowest and highest believable value, in the unit of the signal's name.
        interlock: Whether True is needed for motion.
    """

    __pydantic_config__ = _STRICT

    at: Register
    unit: str = "1"
    scale: float = 1.0
    offset: float = 0.0
    values: Mapping[int, str] = field(default_factory=dict)
    invalid: Mapping[int, str] = field(default_factory=dict)
    valid: tuple[float, float] | None = None
    interlock: bool = False


@dataclass(frozen=True, slots=True)
class Confirm:
    """What must be seen after an action: ``signal`` becomes one of ``becomes``, or the number that was written.

    Attributes:
        signal: Name of the signal to watch.
        becomes: Words it may become; empty: the number that was written.
        within_s: Laboratory time allowed, s.
    """

    __pydantic_config__ = _STRICT

    signal: str
    becomes: tuple[str, ...] = ()
    within_s: Positive = 2.0


@dataclass(frozen=True, slots=True)
class Action:
    """Something the machine is told.

    Attributes:
        at: Where it is written.
        value: The raw number to write; ``None``: a set point that the driver gives.
        unit, scale, offset: As for signals.
        readback: Read the same register back and compare.
        requires: Interlock signals that must be True.
        confirm: What must be seen afterwards.
        always_allowed: Never refused by limits or interlocks (``stop``).
    """

    __pydantic_config__ = _STRICT

    at: Register
    value: int | None = None
    unit: str = "1"
    scale: float = 1.0
    offset: float = 0.0
    readback: bool = False
    requires: tuple[str, ...] = ()
    confirm: Confirm | None = None
    always_allowed: bool = False


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """How to reach the device. Times here are wall time.

    Attributes:
        engine: What is spoken.
        url: ``tcp://host:port``, a path (``/dev/serial/by-id/...``), ``socket://...`` or ``rfc2217://...``.
        baud, parity, stop_bits: Of a serial line.
        unit: Modbus unit identifier, 1 to 247 (0 or 255 on TCP where the device wants it).
        timeout_s: How long a reply may take.
        retries: How often a failed exchange is repeated.
        silence_s: How long the line must be silent after a failed exchange.
        word_order: Of 32-bit values.
        most_words: Longest block to read at once (Modbus allows 125).
    """

    __pydantic_config__ = _STRICT

    engine: Engine
    url: str = ""
    baud: Annotated[int, Gt(0)] = 19200
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    unit: Annotated[int, Ge(0), Le(255)] = 1
    timeout_s: Positive = 0.5
    retries: Annotated[int, Ge(0), Le(10)] = 2
    silence_s: Positive = 0.6
    word_order: WordOrder = "high-first"
    most_words: Annotated[int, Ge(2), Le(125)] = 60


@dataclass(frozen=True, slots=True)
class IdentityMark:
    """A number that tells this device from others: read and compared before anything is written."""

    __pydantic_config__ = _STRICT

    at: Register
    expect: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who must answer.

    Attributes:
        model: Number of the register map or model.
        serial_number: Number of the single machine; without ``expect`` it is read and reported only.
        answers: For text protocols: a regular expression that the answer to ``ask`` must match.
        ask: For text protocols: the question.
    """

    __pydantic_config__ = _STRICT

    model: IdentityMark | None = None
    serial_number: IdentityMark | None = None
    ask: str = ""
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A counter that we write, and the machine's own watchdog over it. Times are wall time.

    Attributes:
        at: Where the counter is written.
        period_s: How often at least.
        plc_timeout_s: After how long without it the machine acts.
        plc_does: What it does then.
    """

    __pydantic_config__ = _STRICT

    at: Register
    period_s: Positive
    plc_timeout_s: Positive
    plc_does: SafeStateName


@dataclass(frozen=True, slots=True)
class PressMachine:
    """What the press is.

    Attributes:
        capacity_kn: Hard limit of the machine, kN.
        min_controllable_kn: Lowest force that it holds steadily, kN.
        resolution_kn: Step in which force can be set, kN.
        force_sd_rel: Relative standard deviation of force on the sample (load-cell class, friction).
        hold: How it keeps force: servo, refill (pump restarts below a band), or locked (valve shut, force decays).
        heated: Whether the platens can be heated.
        min_c, capacity_c: Lowest and highest platen temperature of the machine, °C.
        ram_diameter_mm: Diameter of the ram, where force is counted as oil pressure, mm.
        efficiency: Share of oil pressure times ram area that reaches the sample.
        stroke: Direction of pressing: an up-stroke press opens by its own weight when power fails.
    """

    __pydantic_config__ = _STRICT

    capacity_kn: Positive
    min_controllable_kn: Positive
    resolution_kn: Positive
    force_sd_rel: Share
    hold: Literal["servo", "refill", "locked"] = "servo"
    heated: bool = True
    min_c: float = 20.0
    capacity_c: float = 250.0
    ram_diameter_mm: Positive | None = None
    efficiency: Share = 1.0
    stroke: Literal["up", "down"] = "up"


@dataclass(frozen=True, slots=True)
class RollMachine:
    """What the laminator is.

    Attributes:
        capacity_n_mm, min_n_mm: Highest and lowest line force, N/mm.
        capacity_mm_s, min_mm_s: Highest and lowest web speed, mm/s.
        min_c, capacity_c: Lowest and highest roll temperature, °C.
        roll_radius_mm: Radius of the rolls, mm.
        web_width_mm: Width over which the force is spread, mm.
        force_sd_rel: Relative standard deviation of line force.
    """

    __pydantic_config__ = _STRICT

    capacity_n_mm: Positive
    min_n_mm: Positive
    capacity_mm_s: Positive
    min_mm_s: Positive
    roll_radius_mm: Positive
    web_width_mm: Positive
    force_sd_rel: Share
    min_c: float = 20.0
    capacity_c: float = 200.0


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """Soft limits, inside the machine's: checked before every write. Units as in the names."""

    __pydantic_config__ = _STRICT

    force_kn: Positive | None = None
    ramp_kn_s: Positive | None = None
    temperature_c: Positive | None = None
    line_force_n_mm: Positive | None = None
    speed_mm_s: Positive | None = None


@dataclass(frozen=True, slots=True)
class AnalyzerMachine:
    """What the impedance analyser is.

    Attributes:
        low_hz, high_hz: Band, Hz.
        limit_amplitude_mv: Highest amplitude (rms), mV.
        low_range_a, high_range_a: Lowest and highest current range, A.
        imaginary_sign: 1 when it sends Z'' (negative for a capacitor), -1 when it sends -Z''.
    """

    __pydantic_config__ = _STRICT

    low_hz: Positive
    high_hz: Positive
    limit_amplitude_mv: Positive
    low_range_a: Positive = 1e-7
    high_range_a: Positive = 1e-2
    imaginary_sign: Literal[1, -1] = 1


@dataclass(frozen=True, slots=True)
class MeterMachine:
    """What the four-wire meter is.

    Attributes:
        low_ohm, high_ohm: Range, Ω.
        accuracy_rel, accuracy_ohm: Standard deviation: relative to the reading, and in Ω.
        setup: Commands sent once.
        ask_reading: The question for one reading.
        overload_ohm: Readings at or above this mean overload, Ω.
        terminator: Ends each line, both ways.
    """

    __pydantic_config__ = _STRICT

    low_ohm: Positive
    high_ohm: Positive
    accuracy_rel: NotNegative
    accuracy_ohm: NotNegative
    ask_reading: str
    setup: tuple[str, ...] = ()
    overload_ohm: Positive = 9.0e37
    terminator: Literal["\n", "\r\n", "\r"] = "\n"


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One device, as its file describes it; made by :func:`pressopt.profiles.load_profile` only.

    Attributes:
        name: Identity in messages and journals.
        kind: What it is.
        title: One line for people.
        link: How it is reached.
        trust: documented, tried on the twin, or verified on a bench.
        source: Where the map comes from.
        safe_state: Where ``make_safe`` leads (press and laminator).
        signals, actions: By name.
        press, roll, analyzer, meter: What the machine is; exactly the one of its kind.
    """

    __pydantic_config__ = _STRICT

    name: Annotated[str, MinLen(1)]
    kind: Kind
    title: Annotated[str, MinLen(1)]
    link: LinkProfile
    trust: Trust = "documented"
    source: str = ""
    safe_state: SafeStateName = "release"
    identity: Identity = field(default_factory=Identity)
    signals: Mapping[str, Signal] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    limits: MachineLimits = field(default_factory=MachineLimits)
    heartbeat: Heartbeat | None = None
    press: PressMachine | None = None
    roll: RollMachine | None = None
    analyzer: AnalyzerMachine | None = None
    meter: MeterMachine | None = None

    @property
    def interlocks(self) -> tuple[str, ...]:
        """Names of the interlock signals."""
        return tuple(name for name, signal in self.signals.items() if signal.interlock)

    def linear(self, item: Signal | Action) -> tuple[float, float]:
        """Gain and offset: ``value = raw * gain + offset``, in the unit of the name (kN, °C, mm, ...)."""
        unit = UNITS[item.unit]
        gain, offset = item.scale * unit.factor, item.offset * unit.factor + unit.offset
        if unit.dimension == "oil pressure" and self.press is not None and self.press.ram_diameter_mm is not None:
            # 1 MPa on 1 mm² is 1 N
            kn_per_mpa = math.pi / 4 * self.press.ram_diameter_mm**2 * self.press.efficiency / 1000
            gain, offset = gain * kn_per_mpa, offset * kn_per_mpa
        return gain, offset

    def value_of(self, name: str, raw: float) -> float:
        """Value of signal ``name``, in the unit of its name, from the raw number."""
        gain, offset = self.linear(self.signals[name])
        return raw * gain + offset

    def raw_of(self, name: str, value: float) -> float:
        """Raw number that action ``name`` writes for ``value``: for integers the step that asks no more than it.

        The size is rounded towards zero (a force is never more than was asked) within 1e-6 of a step.
        """
        action = self.actions[name]
        gain, offset = self.linear(action)
        raw = (value - offset) / gain
        if action.at.type == "float32":
            return raw
        if _rounds_to_nearest(name):
            return float(round(raw))
        return float(math.floor(raw + 1e-6) if raw >= 0 else math.ceil(raw - 1e-6))


def _rounds_to_nearest(name: str) -> bool:
    """Whether a set point is rounded to the nearest step (temperatures, numbers) instead of towards zero."""
    return not name.endswith(("_kn", "_kn_s", "_n_mm"))
