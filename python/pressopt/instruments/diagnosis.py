"""Why does a signal not say what the display shows? The neighbouring registers, read in every usual way, tell.

A wrong profile differs from the right one in one thing, rarely two: the order of the words, an address off by one,
the type, the scale, the unit. Each is tried on what was really read; what gives the number of the display is the
cause.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from pressopt.errors import DeviceError, LimitError, ReplyError
from pressopt.instruments.device import RegisterDevice
from pressopt.instruments.registers import Block, decode
from pressopt.profiles import DeviceProfile, Register, Signal
from pressopt.profiles.machine_units import UNITS, dimension_of

_REACH = 2  # registers looked at on each side
_CLOSE = 0.02  # how near a guess must come to the display, relative
_TYPES = ("int16", "uint16", "int32", "uint32", "float32")
_ORDERS = ("high-first", "low-first", "high-first-swapped", "low-first-swapped")
_SCALES = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)
_MOST = 3


@dataclass(frozen=True, slots=True)
class Cause:
    """One explanation: what the profile should say, and how many things differ."""

    words: str
    changes: int
    miss: float


def causes(
    profile: DeviceProfile, name: str, shown: float, words: Mapping[int, int] | None, raw: float | None = None
) -> tuple[str, ...]:
    """What the profile should say about signal ``name`` so that it reads ``shown``; the likeliest first.

    Args:
        profile: The profile of the device itself, not of one that joins it.
        name: The signal.
        shown: What the display shows, in the unit of the name, well away from zero.
        words: Registers near the signal's, by address; None where it lives in no register.
        raw: The raw number that was read, where it lives in no register.
    """
    signal = profile.signals[name]
    found: list[Cause] = []
    for changes, text, value in _readings(profile, name, signal, words, raw):
        if changes and math.isfinite(value) and abs(value - shown) <= _CLOSE * abs(shown):
            found.append(Cause(text, changes, abs(value / shown - 1)))
    if not found:
        return ()
    least = min(cause.changes for cause in found)
    likely = sorted((cause for cause in found if cause.changes == least), key=lambda cause: cause.miss)
    return tuple(dict.fromkeys(cause.words for cause in likely))[:_MOST]


def written_causes(name: str, asked: float, shown: float, unit: str) -> tuple[str, ...]:
    """What may be wrong with set point ``name`` when ``asked`` was written and the display shows ``shown``."""
    if not asked or not shown:
        return ("the set point went to another address, or the display shows another thing",) if asked else ()
    found = []
    for scale in _SCALES:
        if abs(shown / asked * scale - 1) < _CLOSE:
            found.append(f"actions.{name}.scale is {1 / scale:g} times what the profile says")
    for other, factor in _other_units(name, unit):
        if abs(asked * factor / UNITS[unit].factor / shown - 1) < _CLOSE:
            found.append(f"actions.{name}.unit is '{other}', not '{unit}'")
    return tuple(found[:_MOST])


def near_words(device: RegisterDevice, at: Register) -> dict[int, int]:
    """The registers around ``at``, each asked for by itself; those that the device refuses are left out."""
    found = {}
    for address in range(max(0, at.address - _REACH), min(65535, at.address + at.words + _REACH) + 1):
        try:
            found[address] = device.read_block(Block(at.table, address, 1))[0]
        except DeviceError:
            continue
    return found


def _readings(
    profile: DeviceProfile, name: str, signal: Signal, words: Mapping[int, int] | None, raw: float | None
) -> Iterator[tuple[int, str, float]]:
    """Number of changes, what they are, and what the signal would read with them."""
    if words is None or not isinstance(signal.at, Register):
        for changes, text, changed in _countings(name, signal):
            gain, offset = profile.linear(changed)
            if raw is not None:
                yield changes, text, raw * gain + offset
        return
    order = signal.at.word_order or profile.link.word_order
    for placed, where, at, its_order in _places(name, signal.at, order):
        needed = [words.get(at.address + index) for index in range(at.words)]
        if any(word is None for word in needed):
            continue
        try:
            number = decode(at, [word for word in needed if word is not None], its_order)
        except (ReplyError, LimitError):
            continue
        for changes, text, changed in _countings(name, signal):
            if placed + changes > 2:
                continue
            gain, offset = profile.linear(changed)
            yield placed + changes, ", ".join(filter(None, (where, text))), number * gain + offset


def _places(name: str, at: Register, order: str) -> Iterator[tuple[int, str, Register, str]]:
    """The register as it is, and with one or two things about it changed."""
    options: list[tuple[str, dict[str, object], str]] = []
    for shift in (-1, 1, -2, 2):
        if 0 <= at.address + shift <= 65535:
            place = at.address + shift
            options.append((f"signals.{name}.at.address is {place}, not {at.address}", {"address": place}, ""))
    options += [
        (f"signals.{name}.at.type is {kind}, not {at.type}", {"type": kind}, "")
        for kind in _TYPES
        if kind != at.type
    ]
    if at.words > 1:
        options += [(f"the words are {other}, not {order}", {}, other) for other in _ORDERS if other != order]
    yield 0, "", at, order
    for text, fields, other in options:
        yield 1, text, replace(at, word_order=None, **fields), other or order  # type: ignore[arg-type]
    for one, two in combinations(options, 2):
        if set(one[1]) & set(two[1]) or (one[2] and two[2]):
            continue
        both = {**one[1], **two[1]}
        yield 2, f"{one[0]}, {two[0]}", replace(at, word_order=None, **both), one[2] or two[2] or order  # type: ignore[arg-type]


def _countings(name: str, signal: Signal) -> Iterator[tuple[int, str, Signal]]:
    """The signal as it is, and with another scale or unit."""
    yield 0, "", signal
    for factor in _SCALES:
        scale = signal.scale * factor
        yield 1, f"signals.{name}.scale is {scale:g}, not {signal.scale:g}", replace(signal, scale=scale)
    for unit, _ in _other_units(name, signal.unit):
        yield 1, f"signals.{name}.unit is '{unit}', not '{signal.unit}'", replace(signal, unit=unit)


def _other_units(name: str, unit: str) -> Iterator[tuple[str, float]]:
    """Units of the same dimension that are no plain power of ten away: those are told as scales."""
    wanted = dimension_of(name.removeprefix("set_"))
    for other, known in UNITS.items():
        if known.dimension != wanted or other == unit or unit not in UNITS:
            continue
        ratio = known.factor / UNITS[unit].factor
        power = math.log10(ratio) if ratio > 0 else 0.5
        same_zero = known.offset == UNITS[unit].offset
        if not (same_zero and abs(power - round(power)) < 1e-9 and round(power) != 0):
            yield other, known.factor
