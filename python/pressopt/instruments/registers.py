"""Between the numbers of a profile and the words on the wire: types, word orders, and reading in few blocks."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pressopt.errors import LimitError, ReplyError
from pressopt.profiles import Register

_FORMATS = {
    "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f",
    "int64": ">q", "uint64": ">Q", "float64": ">d",
}  # fmt: skip


def decode(at: Register, words: Sequence[int], word_order: str) -> float | int:
    """Raw number from ``at.words`` words; a bit gives 0 or 1.

    Raises:
        ReplyError: A float that is not finite.
    """
    if at.type == "bool":
        return words[0] >> (at.bit or 0) & 1
    ordered = _ordered(words, at.word_order or word_order)
    number: float | int = struct.unpack(_FORMATS[at.type], struct.pack(f">{len(ordered)}H", *ordered))[0]
    if not math.isfinite(number):
        raise ReplyError(f"{at} says {number}: is type or word order of the profile wrong?")
    return number


def encode(at: Register, raw: float, word_order: str) -> list[int]:
    """Words for a raw number.

    Raises:
        LimitError: It does not fit the type.
    """
    number = float(raw) if at.type.startswith("float") else round(raw)
    try:
        packed = struct.pack(_FORMATS[at.type], number)
    except (struct.error, OverflowError) as error:
        raise LimitError(f"{raw:g} does not fit {at.type} at {at}") from error
    return _ordered(struct.unpack(f">{at.words}H", packed), at.word_order or word_order)


def _ordered(words: Sequence[int], word_order: str) -> list[int]:
    """Words of the wire with the highest first and their bytes in order, or the other way round: it is its own
    opposite.
    """
    plain = [(word & 0xFF) << 8 | word >> 8 for word in words] if word_order.endswith("-swapped") else list(words)
    return plain if word_order.startswith("high-first") else plain[::-1]


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring addresses of one table, read with one question."""

    table: str
    start: int
    count: int


def plan_blocks(registers: Iterable[Register], *, most_words: int, gap: int = 0) -> tuple[Block, ...]:
    """Few blocks that cover ``registers``; up to ``gap`` unused addresses between two are read along.

    A gap of 0 never asks for an address that the profile does not name: many PLCs refuse those.
    """
    blocks: list[Block] = []
    for at in sorted(registers, key=lambda at: (at.table, at.address)):
        end = at.address + at.words
        last = blocks[-1] if blocks else None
        if (
            last is not None
            and last.table == at.table
            and at.address <= last.start + last.count + gap
            and end - last.start <= most_words
        ):
            blocks[-1] = Block(at.table, last.start, max(last.count, end - last.start))
        else:
            blocks.append(Block(at.table, at.address, at.words))
    return tuple(blocks)


def pick(at: Register, blocks: Mapping[Block, Sequence[int]]) -> Sequence[int]:
    """The words of ``at`` out of what was read."""
    for block, words in blocks.items():
        if (
            block.table == at.table
            and block.start <= at.address
            and at.address + at.words <= block.start + block.count
        ):
            return words[at.address - block.start : at.address - block.start + at.words]
    raise KeyError(f"{at} was not read")
