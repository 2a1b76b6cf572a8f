"""A device profile as frozen data: how to reach one device, what it says, what it does, what it may not.

The names of signals and actions are fixed for each kind of device (:mod:`pressopt.profiles.checks` lists them) and
carry the unit in which the driver speaks. ``unit`` and ``scale`` say how the machine counts.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from pressopt.profiles.line_template import line_template
from pressopt.profiles.machine_units import UNITS
from pressopt.profiles.places import STRICT, OfParts, Place, Register, TextLine, WordOrder

Kind = Literal[
    "press",
    "laminator",
    "impedance-analyzer",
    "resistance-meter",
    "temperature-controller",
    "force-indicator",
    "cycler",
]
Engine = Literal[
    "modbus-tcp",
    "modbus-rtu",
    "ascii-line",
    "parts",
    "person",
    "methodscript",
    "scpi",
    "zahner-remote2",
    "folder",
]
Trust = Literal["documented", "twin", "bench"]
SafeStateName = Literal["release", "hold_and_cool", "hold"]
Terminator = Literal["\n", "\r\n", "\r"]

Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Gt(0), Le(1)]


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

    __pydantic_config__ = STRICT

    at: Place
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

    __pydantic_config__ = STRICT

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

    __pydantic_config__ = STRICT

    at: Place
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
        word_order: Of values longer than one word.
        most_words: Longest block to read at once (Modbus allows 125).
        terminator: Ends each line that we send, for text protocols.
        reply_terminator: Ends each line that the device sends; ``None``: the same.
        record: Write every byte that crosses the line into ``wires.jsonl`` of the campaign.
    """

    __pydantic_config__ = STRICT

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
    most_words: Annotated[int, Ge(1), Le(125)] = 60
    terminator: Terminator = "\n"
    reply_terminator: Terminator | None = None
    record: bool = False


@dataclass(frozen=True, slots=True)
class IdentityMark:
    """A number that tells this device from others: read and compared before anything is written."""

    __pydantic_config__ = STRICT

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
        example: An answer that fits, with which the twin introduces itself.
    """

    __pydantic_config__ = STRICT

    model: IdentityMark | None = None
    serial_number: IdentityMark | None = None
    ask: str = ""
    answers: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A counter that we write, and the machine's own watchdog over it. Times are wall time.

    Attributes:
        at: Where the counter is written.
        period_s: How often at least.
        plc_timeout_s: After how long without it the machine acts.
        plc_does: What it does then.
    """

    __pydantic_config__ = STRICT

    at: Place
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
        temperature_sd_c: Standard deviation of the platen temperature by the class of its sensor, K; default: a
            type K thermocouple of class 1, within 1.5 K (IEC 60584-1:2013), taken as evenly spread.
        gauge_unit: Engine person: the unit on the gauge (``kN``, ``tf``, ``oil bar`` ...).
        gauge_step: Engine person: the smallest difference that can be read on it, in that unit.
    """

    __pydantic_config__ = STRICT

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
    temperature_sd_c: Positive = 1.5 / math.sqrt(3)
    gauge_unit: str = ""
    gauge_step: Positive = 1.0


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
        temperature_sd_c: As for a press.
        heated: Whether the rolls can be heated.
    """

    __pydantic_config__ = STRICT

    capacity_n_mm: Positive
    min_n_mm: Positive
    capacity_mm_s: Positive
    min_mm_s: Positive
    roll_radius_mm: Positive
    web_width_mm: Positive
    force_sd_rel: Share
    min_c: float = 20.0
    capacity_c: float = 200.0
    temperature_sd_c: Positive = 1.5 / math.sqrt(3)
    heated: bool = True


@dataclass(frozen=True, slots=True)
class HeaterMachine:
    """What a panel temperature controller heats: lowest and highest temperature, °C.

    Attributes:
        min_c, capacity_c: Lowest and highest temperature that the controller itself accepts, °C.
        on_silence: What the controller does when nobody asks it any more: most keep heating.
    """

    __pydantic_config__ = STRICT

    min_c: float = 20.0
    capacity_c: float = 250.0
    on_silence: Literal["keeps heating", "stops"] = "keeps heating"


@dataclass(frozen=True, slots=True)
class IndicatorMachine:
    """What a load indicator shows.

    Attributes:
        capacity_kn: Highest force of its cell, kN.
        resolution_kn: One step of its display, kN.
        force_sd_rel: Relative standard deviation of a reading.
        compression_sign: 1 when a pushing force is shown positive, -1 when it is negative.
    """

    __pydantic_config__ = STRICT

    capacity_kn: Positive
    resolution_kn: Positive
    force_sd_rel: Share
    compression_sign: Literal[1, -1] = 1


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """Soft limits, inside the machine's: checked before every write. Units as in the names."""

    __pydantic_config__ = STRICT

    force_kn: Positive | None = None
    ramp_kn_s: Positive | None = None
    temperature_c: Positive | None = None
    line_force_n_mm: Positive | None = None
    speed_mm_s: Positive | None = None


@dataclass(frozen=True, slots=True)
class ScpiSweep:
    """How an SCPI analyser is made to measure, command by command.

    Commands and answers are line templates. Fields of commands: ``frequency_hz``, ``amplitude_v`` (rms) and
    ``bias_v``; of ``list_start`` also ``frequencies_hz`` (joined by commas) and ``points``. Fields of ``point``:
    ``real`` and ``imaginary`` (Ω), or ``modulus`` (Ω) and ``phase_deg``; ``status`` where there is one.

    Attributes:
        setup: Sent before each sweep.
        set_amplitude, set_frequency, set_bias: Sent before a sweep, before each point, and where a bias is asked.
        trigger: Starts one point; empty: the question does.
        ask_point: Asks for the point.
        point: What comes back.
        status: Status number to what is wrong; ``"no data"`` means: not yet, ask again.
        not_a_number: Numbers of this size and above are no numbers.
        ask_error: Asks for the next entry of the error queue.
        no_error: Template of its answer when there is none.
        switch_off: Sent after each sweep and to make the cell safe.
        list_start: Commands of a list sweep; empty: point by point.
        list_ask: Asks for all its points.
        list_point: Template of one point of the answer; empty: as ``point``.
        most_list_points: Longest list.
    """

    __pydantic_config__ = STRICT

    set_amplitude: str
    set_frequency: str
    ask_point: str
    point: str
    setup: tuple[str, ...] = ()
    set_bias: str = ""
    trigger: str = ""
    status: Mapping[int, str] = field(default_factory=dict)
    not_a_number: Positive = 9.0e37
    ask_error: str = ""
    no_error: str = "{code:+d},{other}"
    switch_off: tuple[str, ...] = ()
    list_start: tuple[str, ...] = ()
    list_ask: str = ""
    list_point: str = ""
    most_list_points: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True, slots=True)
class FolderDrop:
    """Spectra that another program writes into a folder (``link.url``).

    Attributes:
        pattern: Which files; a program's temporary files must not match.
        settle_s: How long size and time of a file must stay as they are before it counts as whole, wall seconds.
        wait_s: How long a spectrum may take beyond its own plan, laboratory s: a person may have to start it.
        request: A file of this name says what is to be measured now, for people and scripts; empty: none.
    """

    __pydantic_config__ = STRICT

    pattern: Annotated[str, MinLen(1)] = "*"
    settle_s: Positive = 2.0
    wait_s: Positive = 3600.0
    request: str = "pressopt-request.json"


@dataclass(frozen=True, slots=True)
class AnalyzerMachine:
    """What the impedance analyser is.

    Attributes:
        low_hz, high_hz: Band, Hz.
        limit_amplitude_mv: Highest amplitude (rms), mV.
        low_range_a, high_range_a: Lowest and highest current range, A.
        imaginary_sign: 1 when it sends Z'' (negative for a capacitor), -1 when it sends -Z''.
        scpi: How an SCPI analyser is driven (engine scpi).
        folder: Where another program leaves its files (engine folder).
    """

    __pydantic_config__ = STRICT

    low_hz: Positive
    high_hz: Positive
    limit_amplitude_mv: Positive
    low_range_a: Positive = 1e-7
    high_range_a: Positive = 1e-2
    imaginary_sign: Literal[1, -1] = 1
    scpi: ScpiSweep | None = None
    folder: FolderDrop | None = None


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

    __pydantic_config__ = STRICT

    low_ohm: Positive
    high_ohm: Positive
    accuracy_rel: NotNegative
    accuracy_ohm: NotNegative
    ask_reading: str
    setup: tuple[str, ...] = ()
    overload_ohm: Positive = 9.0e37
    terminator: Literal["\n", "\r\n", "\r"] = "\n"


@dataclass(frozen=True, slots=True)
class BenchSignature:
    """What ``pressopt commission`` writes under a profile that it verified: who, when, what, for which content.

    Attributes:
        by: Who compared display and reading.
        date: Day, ISO 8601.
        digest: Of the content that was verified; another content voids the signature.
        device: What answered.
        checked: What was compared, one sentence each.
    """

    __pydantic_config__ = STRICT

    by: Annotated[str, MinLen(1)]
    date: Annotated[str, MinLen(1)]
    digest: Annotated[str, MinLen(1)]
    device: str = ""
    checked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CyclerMachine:
    """What a cycler may be asked, and how its tables are waited for (engine folder).

    Attributes:
        limit_a, limit_v: Highest current, A, and voltage, V.
        settle_s: How long a table must stay as it is before it counts as whole, wall seconds.
        wait_s: How long a table may take beyond its plan, laboratory s: a person may have to start it.
    """

    __pydantic_config__ = STRICT

    limit_a: Positive
    limit_v: Positive
    settle_s: Positive = 2.0
    wait_s: Positive = 3600.0


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
        press, roll, analyzer, meter, heater, indicator: What the machine is; exactly the one of its kind.
        parts: The devices of which a joined one consists (engine parts), or the ``indicator`` beside a person.
        bench: Signature of a verification on the real device.
    """

    __pydantic_config__ = STRICT

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
    cycler: CyclerMachine | None = None
    heater: HeaterMachine | None = None
    indicator: IndicatorMachine | None = None
    parts: Mapping[str, DeviceProfile] = field(default_factory=dict)
    bench: BenchSignature | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of everything that matters to the wire and to the limits; not of title, source and trust."""
        content = asdict(self)
        for words in ("title", "source", "trust", "bench"):
            del content[words]
        for link in (content["link"], *(part["link"] for part in content["parts"].values())):
            del link["record"]  # to write bytes down changes none
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()

    @property
    def interlocks(self) -> tuple[str, ...]:
        """Names of the interlock signals."""
        return tuple(name for name, signal in self.signals.items() if signal.interlock)

    @property
    def heartbeats(self) -> tuple[Heartbeat, ...]:
        """The heartbeats that must be kept: its own, or those of its parts."""
        return tuple(one.heartbeat for one in (self, *self.parts.values()) if one.heartbeat is not None)

    @property
    def recorded(self) -> bool:
        """Whether bytes of this device, or of a part of it, are to be written down."""
        return self.link.record or any(part.link.record for part in self.parts.values())

    def linear(self, item: Signal | Action) -> tuple[float, float]:
        """Gain and offset: ``value = raw * gain + offset``, in the unit of the name (kN, °C, mm, ...)."""
        if isinstance(item.at, OfParts):
            return 1.0, 0.0  # the parts speak in the unit of the name
        unit = UNITS[item.unit]
        gain, offset = item.scale * unit.factor, item.offset * unit.factor + unit.offset
        if unit.dimension == "oil pressure" and self.press is not None and self.press.ram_diameter_mm is not None:
            kn_per_mpa = self.kn_per(item.unit) / unit.factor
            gain, offset = gain * kn_per_mpa, offset * kn_per_mpa
        return gain, offset

    def kn_per(self, unit: str) -> float:
        """Force on the sample for one ``unit`` of force or of oil pressure, kN.

        Raises:
            ValueError: It is another unit, or oil pressure without the ram.
        """
        known = UNITS[unit]
        if known.dimension == "force":
            return known.factor
        if known.dimension != "oil pressure" or self.press is None or self.press.ram_diameter_mm is None:
            raise ValueError(f"{unit!r} is no force on the sample of '{self.name}'")
        # 1 MPa on 1 mm² is 1 N
        return known.factor * math.pi / 4 * self.press.ram_diameter_mm**2 * self.press.efficiency / 1000

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
        if isinstance(action.at, Register):
            step = 0.0 if action.at.type.startswith("float") else 1.0
        else:
            step = line_template(action.at.send).step("value") if isinstance(action.at, TextLine) else 0.0
        if not step:
            return raw
        raw /= step
        if _rounds_to_nearest(name):
            return round(raw) * step
        return (math.floor(raw + 1e-6) if raw >= 0 else math.ceil(raw - 1e-6)) * step


def _rounds_to_nearest(name: str) -> bool:
    """Whether a set point is rounded to the nearest step (temperatures, numbers) instead of towards zero."""
    return not name.endswith(("_kn", "_kn_s", "_n_mm"))
