"""Driver of Zahner Zennium and IM6 over Remote2: the script channel of the Thales software, on TCP.

Point by point: each point is a command of its own, so that drift is seen while it happens and a sweep can be left
at any point. Replies carry no number of their question: after any failure the connection is closed and registered
anew.

Source: Zahner's public Remote2 description (doc.zahner.de, Thales Remote, TCP/IP protocol).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat

from pressopt.clock import Clock, wall_monotonic_s
from pressopt.errors import (
    DeviceRefused,
    LinkError,
    LinkTimeout,
    NoiseError,
    ReplyError,
    ShortReply,
)
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments.line import Line
from pressopt.instruments.opening import refuse_stranger
from pressopt.instruments.sweeping import Point, SweepingAnalyzer, insist, point_s
from pressopt.profiles import DeviceProfile

_SCRIPT, _TERM = 2, 128
_NAME = b"ScriptRemote"
_REGISTER_MARK = bytes.fromhex("12 D0 FF FF FF FF")
_LONGEST = 60000
#: Wall time of one look for a reply; longer each time, so that a busy computer changes nothing.
_LOOKS_S = (0.005, 0.05, 0.2, 1.0)
_IMPEDANCE = re.compile(r"impedance=\s*([^,\s]+)\s*,\s*([^,\s]+)", re.IGNORECASE)
_ERROR = re.compile(r"ERROR;?\s*(\S*)", re.IGNORECASE)
_PERIODS = 3


class ZahnerAnalyzer(SweepingAnalyzer):
    """One Thales workstation on one connection.

    Args:
        line: TCP, usually port 260 of the computer that runs Thales.
        clock: Laboratory time: the sweep takes it.
        profile: Of engine zahner-remote2.
    """

    def __init__(self, line: Line, clock: Clock, profile: DeviceProfile) -> None:
        super().__init__(clock, profile)
        self._line = line
        self._buffer = bytearray()
        self._registered = False

    @property
    def place(self) -> str:
        return self._line.name

    def make_safe(self) -> None:
        """Switch the potentiostat off, on a new connection where the old one failed; twice is harmless."""
        insist(self._switch_off, retries=self.profile.link.retries, hang_up=self._hang_up)

    def close(self) -> None:
        """Give the script channel back; the cell is off between measurements."""
        self._who = ""
        if self._registered and self._line.is_open:
            self._line.write(_telegram(_TERM, "3,ScriptRemote,0,RS"))
        self._hang_up()

    # ---- the sweep

    def _ask_who(self) -> str:
        said = self._command("SENDVERSION")
        refuse_stranger(self.profile, said, self.place)
        return said

    def _begin(self, sweep: Sweep) -> None:
        self._command("Pot=0")
        self._command("Gal=0:GAL=0")
        self._command(f"Pset={sweep.bias_v:.6g}")
        self._command(f"Ampl={sweep.amplitude_mv:.6g}")
        self._command(f"Nw={_PERIODS}")
        self._command("Pot=-1")

    def _points(self, sweep: Sweep, take: Callable[[Point], None]) -> None:
        for frequency_hz in sweep.frequencies_hz().tolist():
            self._command(f"Frq={frequency_hz:.9g}")
            self._send(_SCRIPT, "1:IMPEDANCE:")
            looks_s = chain(_LOOKS_S, repeat(_LOOKS_S[-1]))
            # Nothing acknowledges the command: a short look lets Thales begin before laboratory time goes on.
            point = self._point(frequency_hz, next(looks_s))
            take(point or self.await_reply(point_s(frequency_hz), partial(self._due, frequency_hz, looks_s)))

    def _due(self, frequency_hz: float, looks_s: Iterator[float]) -> Point | None:
        return self._point(frequency_hz, next(looks_s))

    def _point(self, frequency_hz: float, look_s: float) -> Point | None:
        """The answer to IMPEDANCE; None when it has not come within ``look_s`` (wall)."""
        try:
            said = self._receive(_SCRIPT, look_s)
        except LinkTimeout:
            return None
        self._refuse_error("IMPEDANCE", said)
        found = _IMPEDANCE.search(said)
        if found is None:
            raise ReplyError(f"{self.name} answered IMPEDANCE with {said!r}: expected impedance=<re>,<im>")
        try:
            return Point(frequency_hz, complex(float(found[1]), float(found[2])))
        except ValueError as error:
            raise ReplyError(f"{self.name} answered IMPEDANCE with {said!r}: these are no numbers") from error

    def _switch_off(self) -> None:
        self._command("Pot=0")

    # ---- telegrams

    def _command(self, command: str) -> str:
        """One script command and its answer.

        Raises:
            DeviceRefused: Thales answers with an error.
            LinkError: After a failure the connection is closed, so that no late answer is taken for another's.
        """
        self._register()
        try:
            self._send(_SCRIPT, f"1:{command}:")
            said = self._receive(_SCRIPT, self.profile.link.timeout_s)
        except LinkError:
            self._hang_up()
            raise
        self._refuse_error(command, said)
        return said

    def _refuse_error(self, command: str, said: str) -> None:
        error = _ERROR.search(said)
        if error is not None:
            raise DeviceRefused(
                f"{self.name} refused {command!r}: {said.strip()}. Look at the Thales software: is remote control "
                "enabled there?"
            )

    def _register(self) -> None:
        """Open the connection, register as the script client, and put Thales into remote control."""
        if self._registered and self._line.is_open:
            return
        self._hang_up()
        self._line.open()
        self._line.write(struct.pack(">H", len(_NAME)) + _REGISTER_MARK + _NAME)
        for text in ("3,ScriptRemote,0,OFF", "2,ScriptRemote"):
            self._send(_TERM, text)
        self._registered = True

    def _hang_up(self) -> None:
        self._registered = False
        self._buffer.clear()
        self._line.close()

    def _send(self, kind: int, text: str) -> None:
        self._line.write(_telegram(kind, text))

    def _receive(self, kind: int, timeout_s: float) -> str:
        """The next telegram of ``kind``; those of other kinds (heart beats, acknowledgements) are passed over."""
        end_s = wall_monotonic_s() + timeout_s
        while True:
            length = struct.unpack_from("<H", self._buffer)[0] if len(self._buffer) >= 2 else None
            if length is not None and length > _LONGEST:
                raise NoiseError(f"{self.name} announces {length} bytes: this is no Remote2")
            if length is not None and len(self._buffer) >= 3 + length:
                found, payload = self._buffer[2], bytes(self._buffer[3 : 3 + length])
                del self._buffer[: 3 + length]
                if found == kind:
                    return payload.decode("ascii", errors="replace").strip("\r\n\0 ")
                continue
            left_s = end_s - wall_monotonic_s()
            data = self._line.read(4096, timeout_s=left_s) if left_s > 0 else b""
            if data:
                self._buffer += data
            elif self._buffer:
                raise ShortReply(
                    f"{self.name} began a telegram and did not end it: {bytes(self._buffer[:20]).hex(' ')}"
                )
            else:
                raise LinkTimeout(f"{self.name} did not answer within {timeout_s:g} s: is Thales running?")


def _telegram(kind: int, text: str) -> bytes:
    payload = text.encode("ascii")
    return struct.pack("<HB", len(payload), kind) + payload
