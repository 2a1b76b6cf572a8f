"""Where a signal or an action of a device lives: in a register, in a line of text, or in a part of the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

RegisterType = Literal["bool", "int16", "uint16", "int32", "uint32", "float32", "int64", "uint64", "float64"]
TableName = Literal["coil", "discrete", "input", "holding"]
#: Order of the words of a value, and whether the two bytes of each word are swapped as well. With A the highest
#: byte: ABCD, CDAB, BADC, DCBA.
WordOrder = Literal["high-first", "low-first", "high-first-swapped", "low-first-swapped"]
Join = Literal["mean", "highest", "lowest", "first"]

#: Read by pydantic when a file is loaded: no unknown key, no NaN, no infinity.
STRICT: dict[str, object] = {"extra": "forbid", "allow_inf_nan": False}

#: Words of 16 bits and the range of the raw number, for each type.
WORDS: dict[str, int] = {
    "bool": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4,
    "float64": 4,
}  # fmt: skip
RANGES: dict[str, tuple[float, float]] = {
    "bool": (0, 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "float32": (-3.4028235e38, 3.4028235e38),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
    "float64": (-1.7976931348623157e308, 1.7976931348623157e308),
}


@dataclass(frozen=True, slots=True)
class Register:
    """Where a raw number lives in a Modbus device.

    Attributes:
        table: Modbus table.
        address: As on the wire, from 0.
        type: How the words are read; ``bool`` for coils, discrete inputs and single bits.
        bit: Bit of an input or holding register, 0 is the lowest; ``None``: the whole register.
        word_order: Order of the words of a longer value; ``None``: as ``link.word_order`` says.
    """

    __pydantic_config__ = STRICT

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
class TextLine:
    """A question and its answer, a command and its acknowledgement, as templates of one line each.

    See :class:`pressopt.profiles.line_template.LineTemplate` for what a template may hold. ``{value}`` is the
    number of this signal or action, ``{word}`` one of ``words``, ``{other}`` anything else on the line.

    Attributes:
        ask: The question for a signal; for a set point, the one that reads it back.
        reply: Template of the answer to ``ask``.
        send: Template of the command, for an action.
        accepted: Template of the answer to ``send``; empty: the device answers nothing.
        words: What the device says to our word, for states (``U = "release"``).
    """

    __pydantic_config__ = STRICT

    ask: str = ""
    reply: str = ""
    send: str = ""
    accepted: str = ""
    words: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return repr(self.send or self.ask)


@dataclass(frozen=True, slots=True)
class OfParts:
    """A signal or action that parts of a joined device have: ``of = ["top.temperature_c", "low.temperature_c"]``.

    Attributes:
        of: ``part.name`` of each; an action is done on all of them.
        join: What becomes of several numbers. An interlock is given only where every part gives it.
    """

    __pydantic_config__ = STRICT

    of: Annotated[tuple[str, ...], MinLen(1)]
    join: Join = "first"

    def targets(self) -> tuple[tuple[str, str], ...]:
        """Part and name of each."""
        return tuple((part, name) for part, _, name in (one.partition(".") for one in self.of))

    def __str__(self) -> str:
        return ", ".join(self.of)


Place = Register | TextLine | OfParts


def register(place: Place) -> Register:
    """``place`` as the register that a Modbus profile has been checked to give."""
    if not isinstance(place, Register):
        raise TypeError(f"{place} is no register")
    return place


def text_line(place: Place) -> TextLine:
    """``place`` as the line that a text profile has been checked to give."""
    if not isinstance(place, TextLine):
        raise TypeError(f"{place} is no line of text")
    return place


def of_parts(place: Place) -> OfParts:
    """``place`` as what the profile of a joined device has been checked to give."""
    if not isinstance(place, OfParts):
        raise TypeError(f"{place} is of no part")
    return place
