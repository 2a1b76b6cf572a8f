"""How close the lines of the sheet's first page must stand, from an estimate of what they need; and whole numbers.

HTML that prints cannot ask how high it has become. The estimate follows sheet.css, a little too high;
a test lays pages out and compares.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pressopt.export.instructions import Instructions, Step

#: Between the band at the head and the footer, mm.
ROOM_MM = 267.0
#: Titles longer than this are set smaller.
LONG_TITLE = 46
_LINE_MM = 4.2
_PROGRAMME_MM = 39.1
#: Characters that a line of each holds.
_TITLE, _GOAL, _CELL, _STATUS, _CHECK, _WHEN, _DO = 60, 82, 58, 95, 50, 20, 36


@dataclass(frozen=True, slots=True)
class Layout:
    """What page one gives up for room, in this order.

    Attributes:
        dense: Steps are set smaller and closer.
        drawn: The programme is drawn below the steps.
        apart: Checks and troubles stand on page two.
    """

    dense: bool = False
    drawn: bool = True
    apart: bool = False


def layout_of(words: Instructions, *, drawable: bool) -> Layout:
    """Return the most generous layout in which everything fits; ``drawable``: the programme can be drawn."""
    head, columns = _head_mm(words), _columns_mm(words)
    tries = (
        Layout(drawn=drawable),
        Layout(dense=True, drawn=drawable),
        Layout(dense=True, drawn=False),
        Layout(drawn=drawable, apart=True),
        Layout(dense=True, drawn=drawable, apart=True),
    )
    for layout in tries:
        needed = head + _steps_mm(words, dense=layout.dense)
        needed += (_PROGRAMME_MM if layout.drawn else 0.0) + (0.0 if layout.apart else columns)
        if needed <= ROOM_MM:
            return layout
    return Layout(dense=True, drawn=False, apart=True)


def _lines(text: str, width: int) -> int:
    return max(1, math.ceil(len(text) / width))


def _head_mm(words: Instructions) -> float:
    title = 5.9 * _lines(words.title, _TITLE) if len(words.title) > LONG_TITLE else 7.9
    head = 6.0 + max(29.2, title + 1.8 + 4.6 * _lines(words.goal, _GOAL))
    ribbon = 7.0 + _LINE_MM * _lines(words.status, _STATUS) if words.status else 0.0
    facts = 13.0 + 5.0 * _lines(words.cell, _CELL - (12 if words.ram else 0))
    return head + ribbon + facts


def _steps_mm(words: Instructions, *, dense: bool) -> float:
    return 6.0 + sum(_step_mm(step, dense=dense) for step in words.steps)


def _step_mm(step: Step, *, dense: bool) -> float:
    also = len(step.also)
    if dense:
        return max(15.8 if not step.minor else 14.4, 5.6 + 3.5 * also)
    return max(21.6, 8.4 + 4.2 * also if step.minor else 10.5 + 4.7 * also)


def _columns_mm(words: Instructions) -> float:
    checks = sum(_LINE_MM * _lines(check, _CHECK) + 1.7 for check in words.checks)
    troubles = sum(
        _LINE_MM * max(_lines(when.removeprefix("STOP "), _WHEN), _lines(do, _DO)) + 2.4
        for when, do in words.troubles
    )
    return 13.0 + max(checks, troubles)


# ---------------------------------------------------------------------- numbers and their units

_UNITS = (
    "MPa/s", "MPa", "kN/s", "kN", "tf", "bar", "N/mm", "mm/s", "mm", "µm", "cm²", "°C", "kΩ", "mΩ", "Ω", "mA/cm²",
    "mV", "kHz", "MHz", "Hz", "min", "h", "s", "%",
)  # fmt: skip
_APART = re.compile(rf"(?<=\d) (?=(?:{'|'.join(map(re.escape, _UNITS))})(?!\w))|(?<=Ω) (?=cm²)|(?<=\bmin) (?=\d)")
_MARKUP = re.compile(r"(<style.*?</style>|<svg.*?</svg>|<[^>]*>)", re.DOTALL)


def unbroken(html: str) -> str:
    """Return a page on which no line ends between a number and its unit."""
    parts = _MARKUP.split(html)
    return "".join(
        part if place % 2 else _APART.sub("\N{NO-BREAK SPACE}", part) for place, part in enumerate(parts)
    )
