"""The virtual Thales workstation: Remote2 telegrams over the cell of the bench.

Written from the public description of the protocol, apart from the driver. An impedance is answered once
laboratory time has come to its end, and commands are worked on one after another, as Thales does.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pressopt.clock import Clock
from pressopt.twin.methodscript_server import POINT_OVERHEAD_S, POINT_PERIODS

_SCRIPT, _TERM = 2, 128
_LOOK_S = 0.02  # wall time between two looks at whether the host went away


class SeenCell(Protocol):
    """The side of a bench that an analyser sees."""

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex: ...


@dataclass
class ZahnerFaults:
    """What can go wrong in the workstation; each is left until a test changes it.

    Attributes:
        break_at: Index of the point that is answered with an error, once.
        muted: Nothing is answered.
        version: What it says it is.
    """

    break_at: int | None = None
    muted: bool = False
    version: str = "Thales Z 3.0 twin"


class ZahnerDevice:
    """One workstation; a :class:`~pressopt.twin.wires.Device`.

    Args:
        cell: What it measures; a :class:`~pressopt.twin.bench.Bench`, or one cell alone.
        clock: Laboratory time.
        low_hz, high_hz: Its band, Hz.
        limit_amplitude_mv: Its highest amplitude, mV.
    """

    def __init__(
        self, cell: SeenCell, clock: Clock, *, low_hz: float, high_hz: float, limit_amplitude_mv: float
    ) -> None:
        self._cell, self._clock = cell, clock
        self._low_hz, self._high_hz, self._limit_mv = low_hz, high_hz, limit_amplitude_mv
        self._conversations: list[_Conversation] = []
        self.faults = ZahnerFaults()
        self.cell_is_on = False
        self.frequency_hz = 1000.0
        self.points = 0

    def converse(self, send: Callable[[bytes], None]) -> _Conversation:
        conversation = _Conversation(self, send)
        self._conversations.append(conversation)
        return conversation

    def stop(self) -> None:
        for conversation in self._conversations:
            conversation.close()

    def command(self, text: str, gone: Callable[[], bool]) -> str | None:
        """Do one script command and answer; ``None`` is silence. Waits for the end of an impedance."""
        if self.faults.muted:
            return None
        said = "OK"
        for word in filter(None, text.split(":")):
            name, _, value = word.partition("=")
            try:
                match name.upper():
                    case "SENDVERSION":
                        said = self.faults.version
                    case "FRQ":
                        self.frequency_hz = self._inside(float(value), self._low_hz, self._high_hz)
                    case "AMPL":
                        self._inside(float(value), 0.0, self._limit_mv)
                    case "POT":
                        self.cell_is_on = float(value) != 0
                        self.points = 0
                    case "PSET" | "GAL" | "NW":
                        float(value)
                    case "IMPEDANCE":
                        return self._impedance(gone)
                    case _:
                        return f"ERROR;4;{word} is not known"
            except ValueError:
                return f"ERROR;8;{word} is out of range"
        return said

    @staticmethod
    def _inside(value: float, low: float, high: float) -> float:
        if not low * 0.999 <= value <= high * 1.001:
            raise ValueError
        return value

    def _impedance(self, gone: Callable[[], bool]) -> str | None:
        if not self.cell_is_on:
            return "ERROR;42;potentiostat is off"
        index, self.points = self.points, self.points + 1
        if self.faults.break_at == index:
            self.faults.break_at = None
            return "ERROR;17;overload"
        done_s = self._clock.now_s() + POINT_OVERHEAD_S + POINT_PERIODS / self.frequency_hz
        while not self._clock.wait_until_s(done_s, wall_timeout_s=_LOOK_S):
            if gone():
                return None
        seen = self._cell.impedance_ohm(self.frequency_hz, at_s=done_s)
        return f"impedance={seen.real:.9e}, {seen.imag:.9e}"


class _Conversation:
    """One client; its commands are done one after another by a thread of their own."""

    def __init__(self, device: ZahnerDevice, send: Callable[[bytes], None]) -> None:
        self._device, self._send = device, send
        self._buffer = bytearray()
        self._waiting: list[str] = []
        self._changed = threading.Condition()
        self._registered = self._closed = False
        self._thread = threading.Thread(target=self._work, name="twin Thales", daemon=True)
        self._thread.start()

    def receive(self, data: bytes) -> None:
        self._buffer += data
        if not self._registered:
            if len(self._buffer) < 2:
                return
            length = 2 + 6 + struct.unpack_from(">H", self._buffer)[0]
            if len(self._buffer) < length:
                return
            self._registered = self._buffer[8:length] == b"ScriptRemote"
            del self._buffer[:length]
        while len(self._buffer) >= 3:
            length, kind = struct.unpack_from("<HB", self._buffer)
            if len(self._buffer) < 3 + length:
                return
            text = self._buffer[3 : 3 + length].decode("ascii", errors="replace")
            del self._buffer[: 3 + length]
            if kind == _SCRIPT and self._registered and text.startswith("1:"):
                with self._changed:
                    self._waiting.append(text[2:])
                    self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    return
                text = self._waiting.pop(0)
            said = self._device.command(text, lambda: self._closed)
            if said is not None and not self._closed:
                payload = said.encode("ascii")
                self._send(struct.pack("<HB", len(payload), _SCRIPT) + payload)
