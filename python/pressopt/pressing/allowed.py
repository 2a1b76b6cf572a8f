"""What may be asked: a protocol against press, die and limits; and what of a range a press can set."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

from pressopt.errors import LimitError, Violation
from pressopt.pressing.cell import Cell
from pressopt.pressing.limits import Limits
from pressopt.pressing.press import LaminatorCapability, PressCapability
from pressopt.pressing.protocol import Die, PressingProtocol, RollStage, Stage

_SLACK = 1 + 1e-9  # a limit itself is allowed, whatever rounding did to it
_NO_LIMITS = Limits()


def check_protocol(
    protocol: PressingProtocol,
    cell: Cell | Die,
    limits: Limits | None,
    capability: PressCapability | LaminatorCapability,
) -> None:
    """Refuse a protocol that asks more than machine, die or experiment allow.

    Args:
        protocol: What is to be done.
        cell: The cell, or its die: the area over which force becomes pressure.
        limits: Of the experiment; ``None``: the machine's alone.
        capability: Of the machine.

    Raises:
        LimitError: Everything that is too much (or too little to be controlled), at once.
    """
    die = cell.die if isinstance(cell, Cell) else cell
    wrong = list(_violations(protocol, die, limits or _NO_LIMITS, capability))
    if wrong:
        raise LimitError(wrong)


def _violations(
    protocol: PressingProtocol, die: Die, limits: Limits, capability: PressCapability | LaminatorCapability
) -> Iterator[Violation]:
    if isinstance(capability, LaminatorCapability):
        if not protocol.rolled:
            yield Violation("stages", f"the protocol presses between platens, '{capability.name}' is a laminator")
            return
        for number, stage in enumerate(protocol.stages, start=1):
            yield from _too_much_rolling(number, cast(RollStage, stage), limits, capability)
        return
    if protocol.rolled:
        yield Violation("stages", f"the protocol rolls, '{capability.name}' is a press: name a laminator")
        return
    for number, stage in enumerate(protocol.stages, start=1):
        yield from _too_much_pressing(number, cast(Stage, stage), die, limits, capability)
    if protocol.measure_at_mpa > 0:
        yield from _pressure("the measurement", "measure_at_mpa", protocol.measure_at_mpa, die, limits, capability)
    yield from _heat("the measurement", "measure_at_c", protocol.measure_at_c, limits, capability)
    yield from _rate("releasing", "release_mpa_s", protocol.release_mpa_s, die, limits, capability)


def _too_much_pressing(
    number: int, stage: Stage, die: Die, limits: Limits, capability: PressCapability
) -> Iterator[Violation]:
    who, key = f"stage {number}", f"stages.{stage.name}"
    yield from _pressure(who, f"{key}.pressure_mpa", stage.pressure_mpa, die, limits, capability)
    yield from _rate(who, f"{key}.ramp_mpa_s", stage.ramp_mpa_s, die, limits, capability)
    yield from _heat(who, f"{key}.temperature_c", stage.temperature_c, limits, capability)


def _pressure(
    who: str, key: str, pressure_mpa: float, die: Die, limits: Limits, capability: PressCapability
) -> Iterator[Violation]:
    force_kn = die.force_kn(pressure_mpa)
    asks = f"{who} asks for {force_kn:.3g} kN ({pressure_mpa:.4g} MPa on a {die.diameter_mm:g} mm die)"
    machine = f"press '{capability.name}'"
    most = [(capability.limit_kn, f"{machine} allows {capability.limit_kn:.4g} kN")]
    if limits.force_kn is not None:
        most.append((limits.force_kn, f"the experiment allows {limits.force_kn:.4g} kN"))
    if limits.pressure_mpa is not None:
        most.append((die.force_kn(limits.pressure_mpa), f"the experiment allows {limits.pressure_mpa:.4g} MPa"))
    limit_kn, allows = min(most)
    if not force_kn <= limit_kn * _SLACK:
        yield Violation(key, f"{asks}, {allows}: stay at or below {_down(die.pressure_mpa(limit_kn))} MPa")
    elif force_kn < capability.min_kn / _SLACK:
        least = die.pressure_mpa(capability.min_kn)
        yield Violation(
            key,
            f"{asks}, {machine} holds {capability.min_kn:g} kN at the least: stay at or above {_up(least)} MPa",
        )


def _rate(
    who: str, key: str, rate_mpa_s: float, die: Die, limits: Limits, capability: PressCapability
) -> Iterator[Violation]:
    machine = die.pressure_mpa(capability.limit_ramp_kn_s)
    limit, allows = machine, f"press '{capability.name}' allows {capability.limit_ramp_kn_s:g} kN/s"
    if limits.ramp_mpa_s is not None and limits.ramp_mpa_s < machine:
        limit, allows = limits.ramp_mpa_s, f"the experiment allows {limits.ramp_mpa_s:g} MPa/s"
    if not rate_mpa_s <= limit * _SLACK:
        yield Violation(
            key,
            f"{who} asks for {rate_mpa_s:g} MPa/s ({die.force_kn(rate_mpa_s):.3g} kN/s on this die), "
            f"{allows}: stay at or below {_down(limit)} MPa/s",
        )


def _heat(
    who: str, key: str, temperature_c: float, limits: Limits, capability: PressCapability | LaminatorCapability
) -> Iterator[Violation]:
    if isinstance(capability, PressCapability) and not capability.heated:
        return
    high, whose = capability.limit_c, f"'{capability.name}'"
    if limits.temperature_c is not None and limits.temperature_c < high:
        high, whose = limits.temperature_c, "the experiment"
    if not capability.min_c / _SLACK <= temperature_c <= high * _SLACK:
        yield Violation(
            key,
            f"{who} asks for {temperature_c:g} °C, {whose} allows {capability.min_c:g} to {high:g} °C",
        )


def _too_much_rolling(
    number: int, stage: RollStage, limits: Limits, capability: LaminatorCapability
) -> Iterator[Violation]:
    who, key = f"stage {number}", f"stages.{stage.name}"
    high, whose = capability.limit_n_mm, f"laminator '{capability.name}'"
    if limits.line_force_n_mm is not None and limits.line_force_n_mm < high:
        high, whose = limits.line_force_n_mm, "the experiment"
    for name, value, low, most, unit, allows in (
        ("line_force_n_mm", stage.line_force_n_mm, capability.min_n_mm, high, "N/mm", whose),
        ("speed_mm_s", stage.speed_mm_s, capability.min_speed_mm_s, capability.limit_speed_mm_s, "mm/s",
         f"laminator '{capability.name}'"),
    ):  # fmt: skip
        if not low / _SLACK <= value <= most * _SLACK:
            yield Violation(
                f"{key}.{name}",
                f"{who} asks for {value:g} {unit}, {allows} allows {low:g} to {most:g} {unit}",
            )
    yield from _heat(who, f"{key}.temperature_c", stage.temperature_c, limits, capability)


def _down(value: float) -> str:
    """Three to four digits, never more than ``value``."""
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{math.floor(value * 10**digits * _SLACK) / 10**digits:.{digits}f}"


def _up(value: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{math.ceil(value * 10**digits / _SLACK) / 10**digits:.{digits}f}"


def most_kn(capability: PressCapability, die: Die, limits: Limits | None) -> float:
    """The highest force that machine and experiment allow, kN."""
    limits = limits or _NO_LIMITS
    force_kn = limits.force_kn if limits.force_kn is not None else math.inf
    by_pressure_kn = die.force_kn(limits.pressure_mpa) if limits.pressure_mpa is not None else math.inf
    return min(capability.limit_kn, force_kn, by_pressure_kn)


@dataclass(frozen=True, slots=True)
class PressureRange:
    """What one press can set on one die: lowest, highest and step, MPa."""

    low_mpa: float
    high_mpa: float
    step_mpa: float


def pressure_range(capability: PressCapability, die: Die, limits: Limits | None = None) -> PressureRange:
    """Range and step of the pressure on the sample that ``capability`` can set on ``die`` within ``limits``.

    Raises:
        LimitError: Nothing is left.
    """
    limits = limits or _NO_LIMITS
    step = die.pressure_mpa(capability.resolution_kn)
    high = die.pressure_mpa(most_kn(capability, die, limits))
    low = die.pressure_mpa(capability.min_kn)
    if low > high:
        raise LimitError(
            f"press '{capability.name}' holds {low:.4g} MPa at the least on a {die.diameter_mm:g} mm die, "
            f"allowed are {high:.4g} MPa: take a larger die or a smaller press"
        )
    return PressureRange(low, high, step)


class _Variable(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class _Space(Protocol):
    @property
    def variables(self) -> Sequence[_Variable]: ...


SpaceT = TypeVar("SpaceT", bound=_Space)


def settable(space: SpaceT, capability: PressCapability, die: Die, limits: Limits | None = None) -> SpaceT:
    """Clip a space to what the press can do on this die: ranges of pressure, rate and temperature.

    Args:
        space: A frozen dataclass with ``variables``, whose names end in ``pressure_mpa``, ``ramp_mpa_s`` or
            ``temperature_c``; others stay as they are.
        capability: Of the press.
        die: The area.
        limits: Of the experiment.

    Raises:
        LimitError: Nothing of a range is left; all of them at once.
    """
    limits = limits or _NO_LIMITS
    pressure = pressure_range(capability, die, limits)
    rate = die.pressure_mpa(capability.limit_ramp_kn_s)
    bounds = {
        "pressure_mpa": (pressure.low_mpa, pressure.high_mpa),
        "ramp_mpa_s": (0.0, min(rate, limits.ramp_mpa_s if limits.ramp_mpa_s is not None else math.inf)),
    }
    if capability.heated:
        hottest = limits.temperature_c if limits.temperature_c is not None else math.inf
        bounds["temperature_c"] = (capability.min_c, min(capability.limit_c, hottest))
    wrong, variables = [], []
    for variable in space.variables:
        low, high = bounds.get(variable.name.rpartition(".")[2], (-math.inf, math.inf))
        if variable.high < low or variable.low > high:
            wrong.append(
                Violation(
                    variable.name,
                    f"{variable.low:g} to {variable.high:g} is searched, press '{capability.name}' can set "
                    f"{low:.4g} to {high:.4g} on a {die.diameter_mm:g} mm die: nothing is left",
                )
            )
            continue
        clipped: dict[str, Any] = {}
        if variable.low < low:
            clipped["low"] = low
        if variable.high > high:
            clipped["high"] = high
        variables.append(replace(cast(Any, variable), **clipped) if clipped else variable)
    if wrong:
        raise LimitError(wrong)
    return cast(SpaceT, replace(cast(Any, space), variables=tuple(variables)))
