"""The virtual four-wire milliohm meter: a small SCPI-1999 instrument with an error queue."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

#: What SCPI-1999 (volume 1, 7.2.1.4) sends for "infinite": the driver must never take it for a resistance.
OVERLOAD_OHM = 9.9e37
_QUEUE = 20
_NO_ERROR = '0,"No error"'
_UNDEFINED = '-113,"Undefined header"'
_STALE = '-230,"Data corrupt or stale"'
_BAD_PARAMETER = '-224,"Illegal parameter value"'
_OVERFLOW = '-350,"Queue overflow"'


class MeasuredCell(Protocol):
    """The side of a bench that a meter sees."""

    def dc_resistance_ohm(self) -> float: ...


@dataclass
class MeterFaults:
    """What can go wrong inside the meter; each is left until a test changes it.

    Attributes:
        overload: How many of the next readings are overloads.
        muted: Nothing is answered.
    """

    overload: int = 0
    muted: bool = False


def _header(pattern: str) -> re.Pattern[str]:
    """Long and short form of a header, as SCPI writes it: ``SENSe:FUNCtion`` also takes ``sens:func``."""
    parts = []
    for word in pattern.split(":"):
        short = "".join(letter for letter in word if not letter.islower())
        parts.append(f"(?:{re.escape(word)}|{re.escape(short)})")
    return re.compile(":?" + ":".join(parts), re.IGNORECASE)


class ScpiMeter:
    """One meter; a :class:`~pressopt.twin.wires.Device`.

    Args:
        cell: What it measures; a :class:`~pressopt.twin.bench.Bench`, or one cell alone.
        high_ohm: Above it a reading is an overload.
        identity: Answer to ``*IDN?``: maker, model, serial number, firmware.
        terminator: Ends each answer; questions may end in LF, CR or both.
    """

    def __init__(
        self,
        cell: MeasuredCell,
        *,
        high_ohm: float = 100.0,
        identity: str = "pressopt,twin milliohm meter,TWIN00000002,1.0",
        terminator: str = "\n",
    ) -> None:
        self._cell, self._high_ohm, self._identity, self._end = cell, high_ohm, identity, terminator
        self._errors: deque[str] = deque()
        self._last_ohm: float | None = None
        self.faults = MeterFaults()
        self._commands: tuple[tuple[re.Pattern[str], Callable[[str], str | None]], ...] = (
            (re.compile(r"\*IDN\?", re.IGNORECASE), lambda _: self._identity),
            (re.compile(r"\*OPC\?", re.IGNORECASE), lambda _: "1"),
            (re.compile(r"\*(?:CLS|RST)", re.IGNORECASE), lambda _: self._clear()),
            (_header("SENSe:FUNCtion"), self._function),
            (_header("INITiate"), lambda _: self._take()),
            (_header("FETCh?"), lambda _: self._fetch()),
            (_header("READ?"), lambda _: self._read()),
            (_header("MEASure:FRESistance?"), lambda _: self._read()),
            (_header("SYSTem:ERRor?"), lambda _: self._next_error()),
            (_header("SYSTem:ERRor:NEXT?"), lambda _: self._next_error()),
        )

    def converse(self, send: Callable[[bytes], None]) -> _ScpiConversation:
        return _ScpiConversation(self, send)

    def stop(self) -> None:
        """Nothing runs here."""

    def answer(self, message: str) -> str:
        """Answer one message; several commands are joined by ``;``. ``""`` where nothing is asked."""
        if self.faults.muted:
            return ""
        answers: list[str] = []
        for command in filter(None, (part.strip() for part in message.split(";"))):
            header, _, parameter = command.partition(" ")
            for pattern, act in self._commands:
                if pattern.fullmatch(header):
                    said = act(parameter.strip())
                    if said is not None:
                        answers.append(said)
                    break
            else:
                self._error(_UNDEFINED)
        return ";".join(answers) + self._end if answers else ""

    def _error(self, text: str) -> None:
        if len(self._errors) < _QUEUE:
            self._errors.append(text)
        else:
            self._errors[-1] = _OVERFLOW

    def _next_error(self) -> str:
        return self._errors.popleft() if self._errors else _NO_ERROR

    def _clear(self) -> None:
        self._errors.clear()
        self._last_ohm = None

    def _function(self, parameter: str) -> None:
        if parameter.strip("\"'").upper() not in ("FRESISTANCE", "FRES"):
            self._error(_BAD_PARAMETER)

    def _take(self) -> None:
        reading_ohm = self._cell.dc_resistance_ohm()
        over = self.faults.overload > 0
        self.faults.overload -= over
        inside = math.isfinite(reading_ohm) and abs(reading_ohm) <= self._high_ohm
        self._last_ohm = reading_ohm if inside and not over else OVERLOAD_OHM

    def _fetch(self) -> str | None:
        if self._last_ohm is None:
            self._error(_STALE)
            return None
        return f"{self._last_ohm:+.8E}"

    def _read(self) -> str | None:
        self._take()
        return self._fetch()


class _ScpiConversation:
    """Cuts bytes into messages at LF or CR."""

    def __init__(self, meter: ScpiMeter, send: Callable[[bytes], None]) -> None:
        self._meter, self._send = meter, send
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        self._buffer += data.replace(b"\r", b"\n")
        *messages, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        for message in messages:
            reply = self._meter.answer(message.decode("ascii", errors="replace"))
            if reply:
                self._send(reply.encode("ascii"))

    def close(self) -> None:
        self._buffer.clear()
