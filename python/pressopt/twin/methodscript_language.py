"""The part of PalmSens MethodSCRIPT that the virtual analyser understands: scripts in, packages out.

From the public MethodSCRIPT documentation and examples (PalmSens BV); error codes 0003 to 4018 as far as they are
published. This is the device's side; the driver has its own, so that each checks the other.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PREFIXES = {
    "a": 1e-18, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0,
    "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
}  # fmt: skip
#: What ``if`` understands.
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_LITERAL = re.compile(r"([+-]?\d+)([afpnumkMGTPEi]?)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_OFFSET = 0x8000000

UNKNOWN_COMMAND = 0x0003
NOT_NOW = 0x0006
OUT_OF_RANGE_POTENTIAL = 0x000F
OUT_OF_RANGE_FREQUENCY = 0x0011
OUT_OF_RANGE_AMPLITUDE = 0x0012
WRONG_MODE = 0x0023
SEVERE_OVERLOAD = 0x0032
NO_SUCH_COMMAND = 0x4001
BAD_ARGUMENT = 0x4004
UNTERMINATED_BLOCK = 0x4018
CELL_NOT_ON = 0x4027
UNDECLARED = 0x420B

#: Arguments of each command: d declares a variable, o is one, v a value, i an integer, t a type, s a string, c a
#: comparison.
_COMMANDS = {
    "var": "d", "set_pgstat_chan": "i", "set_pgstat_mode": "i", "set_max_bandwidth": "v", "set_range": "tv",
    "set_autoranging": "tvv", "set_range_minmax": "tvv", "set_e": "v", "cell_on": "", "cell_off": "", "wait": "v",
    "meas_loop_eis": "ooovvvvv", "meas_loop_cp": "oovvv", "endloop": "", "if": "ocv", "endif": "", "breakloop": "",
    "pck_start": "", "pck_add": "o", "pck_end": "", "send_string": "s",
}  # fmt: skip


class ScriptError(Exception):
    """A script that the device does not take, or breaks off: code, line from 1 and, for syntax, column from 1."""

    def __init__(self, code: int, line: int, column: int | None = None) -> None:
        super().__init__(f"!{code:04X}: Line {line}" + (f", Col {column}" if column is not None else ""))
        self.code, self.line, self.column = code, line, column


@dataclass(frozen=True, slots=True)
class Statement:
    """One command with its arguments and its line number (from 1, the line after ``e``)."""

    line: int
    command: str
    arguments: tuple[str, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """Statements to run, and those to run when it ends or is aborted."""

    body: tuple[Statement, ...]
    on_finished: tuple[Statement, ...]


def literal(text: str) -> float:
    """Number of an SI literal: ``10m`` is 0.01, ``200k`` is 200000, ``5i`` is 5; raises ValueError."""
    match = _LITERAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no SI literal")
    number, prefix = match.groups()
    return int(number) * (1.0 if prefix == "i" else PREFIXES[prefix])


def parse_script(lines: Sequence[str]) -> Script:
    """Check a whole script before it runs; raises :class:`ScriptError` for its first mistake."""
    statements: list[Statement] = []
    finished_at: int | None = None
    declared: set[str] = set()
    blocks: list[str] = []  # what is open, the innermost last
    for number, raw in enumerate(lines, start=1):
        text = raw.split("#", 1)[0]
        if text.strip() == "on_finished:":
            if finished_at is not None or blocks:
                raise ScriptError(UNTERMINATED_BLOCK, number, 1)
            finished_at = len(statements)
            continue
        tokens = list(re.finditer(r'"[^"]*"|\S+', text))
        if not tokens:
            continue
        words, columns = [token.group() for token in tokens], [token.start() + 1 for token in tokens]
        command, arguments = words[0], words[1:]
        if command not in _COMMANDS:
            raise ScriptError(NO_SUCH_COMMAND, number, columns[0])
        kinds = _COMMANDS[command]
        if len(arguments) != len(kinds):
            raise ScriptError(BAD_ARGUMENT, number, len(text.rstrip()) + 1)
        for kind, argument, column in zip(kinds, arguments, columns[1:], strict=True):
            _check_argument(kind, argument, declared, number, column)
        _open_or_close(blocks, command, number)
        statements.append(Statement(number, command, tuple(arguments), tuple(columns[1:])))
    if blocks:
        raise ScriptError(UNTERMINATED_BLOCK, len(lines), 1)
    cut = len(statements) if finished_at is None else finished_at
    return Script(tuple(statements[:cut]), tuple(statements[cut:]))


def _open_or_close(blocks: list[str], command: str, line: int) -> None:
    """Keep ``blocks``: measurement loops do not nest, and what ends must have begun."""
    if command.startswith("meas_loop_"):
        if blocks:
            raise ScriptError(UNTERMINATED_BLOCK, line, 1)
        blocks.append("endloop")
    elif command == "if":
        blocks.append("endif")
    elif command in ("endloop", "endif"):
        if not blocks or blocks.pop() != command:
            raise ScriptError(UNTERMINATED_BLOCK, line, 1)
    elif command == "breakloop" and "endloop" not in blocks:
        raise ScriptError(UNTERMINATED_BLOCK, line, 1)


def _check_argument(kind: str, argument: str, declared: set[str], line: int, column: int) -> None:
    is_name = _NAME.fullmatch(argument) is not None
    if kind == "d":
        if not is_name:
            raise ScriptError(BAD_ARGUMENT, line, column)
        declared.add(argument)
    elif kind == "o":
        if argument not in declared:
            raise ScriptError(UNDECLARED, line, column)
    elif kind == "i":
        if re.fullmatch(r"\d+i?", argument) is None:
            raise ScriptError(BAD_ARGUMENT, line, column)
    elif kind == "v":
        if _LITERAL.fullmatch(argument) is None:
            raise ScriptError(BAD_ARGUMENT, line, column)
    elif kind == "c":
        if argument not in COMPARISONS:
            raise ScriptError(BAD_ARGUMENT, line, column)
    elif kind == "t":
        if re.fullmatch(r"[a-z]{2}", argument) is None:
            raise ScriptError(BAD_ARGUMENT, line, column)
    elif not (argument.startswith('"') and argument.endswith('"')):
        raise ScriptError(BAD_ARGUMENT, line, column)


def encode(kind: str, value: float, *, status: int | None = None, current_range: int | None = None) -> str:
    """Write one variable of a package with the finest prefix that its 28 bits hold.

    ``kind`` is the two-letter type (``dc`` frequency, ``cc`` Z', ``cd`` Z''); NaN is written as the device does.
    """
    if math.isnan(value):
        number = "     nan"
    else:
        for prefix, factor in PREFIXES.items():  # from atto up
            raw = round(value / factor)
            if value != 0 and -_OFFSET <= raw < _OFFSET:
                number = f"{raw + _OFFSET:07X}{prefix or ' '}"
                break
        else:
            saturated = 0 if value == 0 else (_OFFSET - 1 if value > 0 else -_OFFSET)
            number = f"{saturated + _OFFSET:07X}{' ' if value == 0 else 'E'}"
    metadata = "" if status is None else f",1{status:X}"
    return f"{kind}{number}{metadata}" + ("" if current_range is None else f",2{current_range:02X}")
