"""Controller recipes of a protocol: set points over time, and the registers of a device profile."""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pressopt.errors import InputError, Violation
from pressopt.export.wording import duration
from pressopt.pressing import Die, PressingProtocol, Stage
from pressopt.profiles.places import RANGES, Register

if TYPE_CHECKING:
    from pressopt.profiles import DeviceProfile

_FORMATS = {"bool": ">H", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f",
            "int64": ">q", "uint64": ">Q", "float64": ">d"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a panel reads CSV: ``comma`` and point, or ``semicolon`` and decimal comma."""

    delimiter: str = ","
    decimal: str = "."

    def number(self, value: float) -> str:
        """Return a number as this panel reads it; it is read back exactly."""
        return repr(float(value)).replace(".", self.decimal)


DIALECTS = {"comma": Dialect(), "semicolon": Dialect(";", ",")}


# ---------------------------------------------------------------------- set points over time


@dataclass(frozen=True, slots=True)
class Setpoint:
    """One corner of the programme: what is set from here on straight to the next corner."""

    segment: str
    time_s: float
    force_kn: float
    temperature_c: float


def setpoints(protocol: PressingProtocol, die: Die) -> list[Setpoint]:
    """Return the corners of the programme, with the time that ramps and dwells take as set.

    Time runs from the start of the first ramp, platens at temperature; a controller that holds until the platens
    are there adds its own waiting time.

    Raises:
        InputError: The protocol is rolled: a roller has no force over time.
    """
    if protocol.rolled:
        raise InputError("a rolled protocol has no force over time: use json or batchml")
    found: list[Setpoint] = []
    time_s, pressure = 0.0, 0.0
    for stage in protocol.stages:
        assert isinstance(stage, Stage)  # a protocol is rolled as a whole, or not at all
        heat = stage.temperature_c
        found.append(Setpoint(f"{stage.name}: ramp", time_s, die.force_kn(pressure), heat))
        time_s += abs(stage.pressure_mpa - pressure) / stage.ramp_mpa_s
        pressure = stage.pressure_mpa
        found.append(Setpoint(f"{stage.name}: hold", time_s, die.force_kn(pressure), heat))
        time_s += stage.dwell_s
    held, heat = protocol.measure_at_mpa, protocol.measure_at_c
    found.append(Setpoint("to measurement", time_s, die.force_kn(pressure), heat))
    time_s += abs(pressure - held) / protocol.release_mpa_s
    found.append(Setpoint("settle, measure", time_s, die.force_kn(held), heat))
    time_s += protocol.settle_s
    found.append(Setpoint("release", time_s, die.force_kn(held), heat))
    time_s += held / protocol.release_mpa_s
    found.append(Setpoint("end", time_s, 0.0, heat))
    return found


def setpoint_csv(protocol: PressingProtocol, die: Die, dialect: Dialect | None = None) -> str:
    """Return the programme as CSV: segment, time, force, temperature; numbers read back exactly."""
    dialect = dialect or Dialect()
    rows = [
        (corner.segment, *(dialect.number(v) for v in (corner.time_s, corner.force_kn, corner.temperature_c)))
        for corner in setpoints(protocol, die)
    ]
    return _csv(("segment", "time [s]", "force [kN]", "temperature [°C]"), rows, dialect)


# ---------------------------------------------------------------------- registers


@dataclass(frozen=True, slots=True)
class Write:
    """One line of a recipe table: a register to write, or (without one) something to wait for.

    Attributes:
        step: Number of the step, from 1.
        what: In words.
        register: Where; None: a wait.
        words: 16-bit words in the order of the wire.
        value: In the unit of ``unit``, as the machine gets it.
        unit: Of the value.
        wait_s: How long the next write waits after this one's goal is reached, s.
    """

    step: int
    what: str
    register: Register | None
    words: tuple[int, ...]
    value: float | None
    unit: str
    wait_s: float = 0.0


def register_writes(protocol: PressingProtocol, die: Die, profile: DeviceProfile) -> list[Write]:
    """Return all writes that make a press with this profile do the protocol, in the order of the driver.

    Raises:
        InputError: The profile is no press with registers, or a value does not fit; all at once.
    """
    wrong: list[Violation] = []
    if profile.kind != "press" or protocol.rolled:
        wrong.append(
            Violation(
                "profile.kind", f"'{profile.name}' is a {profile.kind}: a recipe table needs a press and platens"
            )
        )
    for name in ("set_force_kn", "set_ramp_kn_s", "start"):
        action = profile.actions.get(name)
        if action is None or not isinstance(action.at, Register):
            wrong.append(Violation(f"actions.{name}", f"'{profile.name}' has no register for it"))
    if wrong:
        raise InputError(wrong)
    found: list[Write] = []

    def write(step: int, name: str, value: float | None, what: str, wait_s: float = 0.0) -> None:
        action = profile.actions.get(name)
        if action is None:
            return  # a press without heaters has no temperature to set
        assert isinstance(action.at, Register)  # registers throughout, as checked above
        raw = float(action.value or 0) if value is None else profile.raw_of(name, value)
        low, high = RANGES[action.at.type]
        if not low <= raw <= high:
            wrong.append(
                Violation(f"actions.{name}", f"{what}: {raw:g} does not fit {action.at.type} at {action.at}")
            )
            return
        gain, offset = profile.linear(action)
        exact = None if value is None else raw * gain + offset
        unit = "" if value is None else {"set_force_kn": "kN", "set_ramp_kn_s": "kN/s"}.get(name, "°C")
        order = action.at.word_order or profile.link.word_order
        found.append(Write(step, what, action.at, _words(action.at, raw, order), exact, unit, wait_s))

    for step, stage in enumerate(protocol.stages, 1):
        assert isinstance(stage, Stage)  # platens, as checked above
        write(step, "set_temperature_c", stage.temperature_c, f"{stage.name}: platens")
        write(step, "set_ramp_kn_s", die.force_kn(stage.ramp_mpa_s), f"{stage.name}: rate")
        write(step, "set_force_kn", die.force_kn(stage.pressure_mpa), f"{stage.name}: force")
        write(step, "start", None, f"{stage.name}: go, then hold {duration(stage.dwell_s)}", stage.dwell_s)
    last, rate = len(protocol.stages) + 1, die.force_kn(protocol.release_mpa_s)
    write(last, "set_temperature_c", protocol.measure_at_c, "measurement: platens")
    write(last, "set_ramp_kn_s", rate, "measurement: rate")
    write(last, "set_force_kn", die.force_kn(protocol.measure_at_mpa), "measurement: force")
    write(
        last, "start", None, f"measurement: go, settle {duration(protocol.settle_s)}, measure", protocol.settle_s
    )
    if protocol.measure_at_mpa > 0:
        write(last + 1, "set_force_kn", 0.0, "release: force")
        write(last + 1, "start", None, "release: go")
    if wrong:
        raise InputError(wrong)
    return found


def recipe_table_csv(
    protocol: PressingProtocol, die: Die, profile: DeviceProfile, dialect: Dialect | None = None
) -> str:
    """Return :func:`register_writes` as CSV, for a PLC's recipe table or by hand at its panel."""
    dialect = dialect or Dialect()
    rows = []
    for one in register_writes(protocol, die, profile):
        assert one.register is not None  # waits are columns of the write before
        rows.append(
            (
                str(one.step), one.what, one.register.table, str(one.register.address), one.register.type,
                " ".join(f"{word:04X}" for word in one.words),
                "" if one.value is None else dialect.number(one.value), one.unit,
                dialect.number(one.wait_s) if one.wait_s else "",
            )
        )  # fmt: skip
    header = ("step", "what", "table", "address", "type", "words [hex]", "value", "unit", "then wait [s]")
    return _csv(header, rows, dialect)


def _words(register: Register, raw: float, word_order: str) -> tuple[int, ...]:
    """The 16-bit words on the wire; big-endian bytes, words in the order of the profile."""
    packed = struct.pack(_FORMATS[register.type], raw if register.type.startswith("float") else round(raw))
    words = list(struct.unpack(f">{register.words}H", packed))
    if word_order.endswith("-swapped"):
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return tuple(words if word_order.startswith("high-first") else words[::-1])


def _csv(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], dialect: Dialect) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=dialect.delimiter, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
