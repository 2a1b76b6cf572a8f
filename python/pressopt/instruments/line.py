"""A line: bytes out, bytes in, silence; serial ports, pseudo-terminals and TCP look the same from above.

A line knows nothing of requests and replies. Time here is wall time: what a cable does does not depend on how
fast the laboratory's clock runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from pressopt.clock import wall_monotonic_s
from pressopt.errors import LinkRefused, NoiseError

Parity = Literal["N", "E", "O"]

#: Sees every byte that crosses a line, as ``(direction, data)``; for journals and replay.
Tap = Callable[[Literal["tx", "rx"], bytes], None]


class Line(Protocol):
    """Every line keeps these promises.

    - ``open`` on an open line and ``close`` on a closed one change nothing.
    - Every foreign error leaves as LinkRefused (cannot be opened), LinkVanished (was there, is gone) or
      LinkTimeout (does not take our bytes). A line that vanished is closed and may be opened again.
    """

    @property
    def name(self) -> str:
        """What people call it: ``/dev/ttyUSB0 19200 8E1`` or ``tcp://10.0.0.5:502``."""
        ...

    @property
    def is_open(self) -> bool: ...

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        """Return once all of ``data`` has been handed to the system."""
        ...

    def read(self, limit: int, *, timeout_s: float) -> bytes:
        """Return at most ``limit`` bytes as soon as one is there; ``b""`` after ``timeout_s`` wall seconds."""
        ...

    def drain(self, *, silence_s: float, limit_s: float) -> bytes:
        """Read away what comes until nothing came for ``silence_s``; raises NoiseError after ``limit_s``."""
        ...


def drain_line(line: Line, *, silence_s: float, limit_s: float) -> bytes:
    """Read ``line`` until it was silent for ``silence_s`` wall seconds, and return what was thrown away.

    Raises:
        NoiseError: It still talked after ``limit_s`` wall seconds.
    """
    end_s = wall_monotonic_s() + limit_s
    thrown_away = bytearray()
    while data := line.read(4096, timeout_s=silence_s):
        thrown_away += data
        if wall_monotonic_s() > end_s:
            raise NoiseError(
                f"{line.name} was not silent for {silence_s:g} s within {limit_s:g} s "
                f"({len(thrown_away)} bytes came): is there another master, or is the device still streaming?"
            )
    return bytes(thrown_away)


def open_line(  # one door for every kind of wire
    url: str,
    *,
    baud: int = 19200,
    parity: Parity = "N",
    stop_bits: Literal[1, 2] = 1,
    exclusive: bool = True,
    connect_timeout_s: float = 3.0,
    tap: Tap | None = None,
) -> Line:
    """Open the line that ``url`` names.

    Args:
        url: ``tcp://host:port``; or what pyserial takes: a path (best ``/dev/serial/by-id/...``),
            ``socket://host:port`` or ``rfc2217://host:port``.
        baud: Bits per second; of no meaning on TCP.
        parity: N, E or O.
        stop_bits: 1 or 2.
        exclusive: Refuse a port that another process has locked.
        connect_timeout_s: How long a TCP connection may take, wall seconds.
        tap: Sees every byte.

    Raises:
        LinkRefused: It cannot be opened.
    """
    line: Line
    if url.startswith("tcp://"):
        from pressopt.instruments.tcp_line import TcpLine

        host, _, port = url.removeprefix("tcp://").rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise LinkRefused(
                f"{url!r} names no TCP line: write tcp://host:port, for example tcp://192.168.0.10:502"
            )
        line = TcpLine(host.strip("[]"), int(port), connect_timeout_s=connect_timeout_s, tap=tap)
    else:
        from pressopt.instruments.serial_line import SerialLine

        line = SerialLine(url, baud=baud, parity=parity, stop_bits=stop_bits, exclusive=exclusive, tap=tap)
    line.open()
    return line
