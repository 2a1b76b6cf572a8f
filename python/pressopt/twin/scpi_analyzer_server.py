"""The virtual SCPI analyser: understands the commands of a profile's [analyzer.scpi] and sees the bench's cell.

A point is there once laboratory time has come to its end; until then the instrument says "no data" where its
profile has a status for it. One without such a status answers once it has measured.
"""

from __future__ import annotations

import cmath
import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pressopt.clock import Clock
from pressopt.profiles import DeviceProfile, line_template
from pressopt.twin.methodscript_server import POINT_OVERHEAD_S, POINT_PERIODS
from pressopt.twin.text_server import LineConversation

NOT_A_NUMBER = 9.9e37
_QUEUE = 20


class SeenCell(Protocol):
    """The side of a bench that an analyser sees."""

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex: ...


@dataclass
class ScpiAnalyzerFaults:
    """What can go wrong inside the instrument; each is left until a test changes it.

    Attributes:
        overload_points: Indices of points that are overloaded.
        break_at: Index of the point that is never measured, once.
        muted: Nothing is answered.
        identity: Who it says it is instead.
    """

    overload_points: set[int] = field(default_factory=set)
    break_at: int | None = None
    muted: bool = False
    identity: str = ""


@dataclass
class _Taken:
    """A point that is being measured, or was."""

    index: int
    frequency_hz: float
    done_s: float


class ScpiAnalyzerDevice:
    """One analyser; a :class:`~pressopt.twin.wires.Device`.

    Args:
        cell: What it measures; a :class:`~pressopt.twin.bench.Bench`, or one cell alone.
        clock: Laboratory time.
        profile: Of engine scpi.
    """

    def __init__(self, cell: SeenCell, clock: Clock, profile: DeviceProfile) -> None:
        machine = profile.analyzer
        assert machine is not None
        assert machine.scpi is not None
        self._cell, self._clock, self._profile = cell, clock, profile
        self._machine, self._scpi = machine, machine.scpi
        self._lock = threading.Lock()
        self._errors: deque[str] = deque()
        self._frequency_hz = machine.high_hz
        self._list_hz: list[float] = []
        self._taken: list[_Taken] = []
        self._count = 0
        self._broken = False
        self.faults = ScpiAnalyzerFaults()
        self.cell_is_on = False

    def converse(self, send: Callable[[bytes], None]) -> LineConversation:
        link = self._profile.link
        return LineConversation(self.answer, send, (link.reply_terminator or link.terminator).encode("ascii"))

    def stop(self) -> None:
        """Nothing runs here."""

    def answer(self, line: str) -> str | None:
        """Answer one line; ``None`` is silence."""
        if not line or self.faults.muted:
            return None
        scpi = self._scpi
        with self._lock:
            if line == (self._profile.identity.ask or "*IDN?"):
                return self.faults.identity or self._profile.identity.example
            if line == "*OPC?":
                return "1"
            if scpi.ask_error and line == scpi.ask_error:
                return self._next_error()
            if scpi.list_ask and self._list_hz and line == scpi.list_ask:
                return ",".join(self._said(scpi.list_point or scpi.point, taken) for taken in self._taken)
            if line == scpi.ask_point:
                if not self._taken:
                    self._trigger([self._frequency_hz])
                return self._said(scpi.point, self._taken[-1])
            if not self._command(line):
                self._error('-113,"Undefined header"')
            return None

    # ---- commands

    def _command(self, line: str) -> bool:
        """Do what ``line`` says; False when it says nothing that is known."""
        scpi = self._scpi
        known = False
        if line in scpi.switch_off:
            self.cell_is_on = False
            known = True
        elif (fields := line_template(scpi.set_amplitude).parse(line)) is not None:
            amplitude_v = float(fields["amplitude_v"])
            if amplitude_v * 1000 > self._machine.limit_amplitude_mv * (1 + 1e-9):
                self._error('-222,"Data out of range"')
            self.cell_is_on = amplitude_v > 0
            known = True
        if line in scpi.setup:
            self._taken, self._list_hz, self._count, self._broken = [], [], 0, False
            if line == "*CLS":
                self._errors.clear()
            known = True
        if (fields := line_template(scpi.set_frequency).parse(line)) is not None:
            self._frequency_hz = float(fields["frequency_hz"])
            if not self._machine.low_hz * 0.999 <= self._frequency_hz <= self._machine.high_hz * 1.001:
                self._error('-222,"Data out of range"')
            self._taken = []
            known = True
        for template in scpi.list_start:
            text = line_template(template)
            if "frequencies_hz" in text.fields:
                head = template.partition("{")[0]
                if line.startswith(head):
                    self._list_hz = [float(word) for word in line.removeprefix(head).split(",")]
                    known = True
            elif text.parse(line) is not None:
                known = True
        if scpi.set_bias and line_template(scpi.set_bias).parse(line) is not None:
            known = True
        triggers = {scpi.trigger, *(scpi.list_start[-1:] if self._list_hz else ())}
        if line in triggers and line:
            self._trigger(self._list_hz or [self._frequency_hz])
            known = True
        return known

    def _trigger(self, all_hz: list[float]) -> None:
        self._taken = []
        done_s = self._clock.now_s()
        for frequency_hz in all_hz:
            done_s += POINT_OVERHEAD_S + POINT_PERIODS / frequency_hz
            self._taken.append(_Taken(self._count, frequency_hz, done_s))
            self._count += 1

    # ---- answers

    def _said(self, template: str, taken: _Taken) -> str:
        faults = self.faults
        if faults.break_at == taken.index:
            faults.break_at, self._broken = None, True
        unready = self._status("no data")
        number, status = NOT_A_NUMBER + 0j, 0
        if self._broken or (unready and self._clock.now_s() < taken.done_s - 1e-9):
            status = unready
            if not unready:
                self._error('-230,"Data corrupt or stale"')
        elif taken.index in faults.overload_points:
            status = self._status("overload")
        else:
            number = self._cell.impedance_ohm(taken.frequency_hz, at_s=taken.done_s)
        if self._machine.imaginary_sign < 0:
            number = number.conjugate()
        spoilt = number.real >= NOT_A_NUMBER
        values: dict[str, float | str] = {
            "real": number.real,
            "imaginary": NOT_A_NUMBER if spoilt else number.imag,
            "modulus": abs(number),
            "phase_deg": NOT_A_NUMBER if spoilt else math.degrees(cmath.phase(number)),
            "status": float(status),
        }
        fields = line_template(template).fields
        return line_template(template).render(**{name: values.get(name, 0.0) for name in fields})

    def _status(self, wanted: str) -> int:
        return next((number for number, word in self._scpi.status.items() if word == wanted), 0)

    def _error(self, text: str) -> None:
        if len(self._errors) < _QUEUE:
            self._errors.append(text)

    def _next_error(self) -> str:
        if self._errors:
            said = self._errors.popleft()
            return said if "other" in line_template(self._scpi.no_error).fields else "32"
        return line_template(self._scpi.no_error).render(code=0.0) + self._no_error_words()

    def _no_error_words(self) -> str:
        return '"No error"' if "other" in line_template(self._scpi.no_error).fields else ""
