"""Serial lines over pyserial: ports, pseudo-terminals, ``socket://`` and ``rfc2217://``."""

from __future__ import annotations

import errno
import io
import os
import select
import termios
from typing import TYPE_CHECKING, Literal

from pressopt.clock import wall_monotonic_s, wall_pause_s
from pressopt.errors import LinkRefused, LinkTimeout, LinkVanished
from pressopt.instruments.line import Parity, Tap, drain_line

if TYPE_CHECKING:
    import serial

_POLL_S = 0.001  # how often a port without a file descriptor (rfc2217) is asked, wall time


class SerialLine:
    """One serial port, owned by one process.

    Args:
        url: A path, ``socket://host:port`` or ``rfc2217://host:port``.
        baud: Bits per second.
        parity: N, E or O.
        stop_bits: 1 or 2.
        exclusive: Lock the port against other processes.
        write_timeout_s: How long the system may take our bytes, wall seconds.
        tap: Sees every byte.
    """

    def __init__(
        self,
        url: str,
        *,
        baud: int = 19200,
        parity: Parity = "N",
        stop_bits: Literal[1, 2] = 1,
        exclusive: bool = True,
        write_timeout_s: float = 2.0,
        tap: Tap | None = None,
    ) -> None:
        self._url, self._baud, self._parity, self._stop_bits = url, baud, parity, stop_bits
        self._exclusive, self._write_timeout_s, self._tap = exclusive, write_timeout_s, tap
        self._port: serial.Serial | None = None
        self._descriptor: int | None = None

    @property
    def name(self) -> str:
        return f"{self._url} {self._baud} 8{self._parity}{self._stop_bits}"

    @property
    def is_open(self) -> bool:
        return self._port is not None

    def open(self) -> None:
        if self._port is not None:
            return
        import serial

        try:
            # time-out 0: pyserial never waits; waiting is done here, on the descriptor
            self._port = serial.serial_for_url(
                self._url,
                baudrate=self._baud,
                # a pseudo-terminal has no parity, and the system refuses to set it a second time
                parity="N" if _is_pseudo_terminal(self._url) else self._parity,
                stopbits=self._stop_bits,
                timeout=0,
                # pyserial cannot limit how long a device server takes bytes; the answer's time-out tells
                write_timeout=None if self._url.startswith("rfc2217://") else self._write_timeout_s,
                exclusive=True if self._exclusive and "://" not in self._url else None,
            )
        except (serial.SerialException, OSError, ValueError, NotImplementedError, termios.error) as error:
            raise LinkRefused(f"{self.name} cannot be opened: {_advice(self._url, error)}") from error
        try:
            self._descriptor = self._port.fileno()
        except (AttributeError, io.UnsupportedOperation):
            self._descriptor = None

    def close(self) -> None:
        port, self._port, self._descriptor = self._port, None, None
        if port is not None:
            import serial

            try:
                port.close()
            except (serial.SerialException, OSError) as error:
                raise LinkVanished(f"{self.name} was gone when it was closed: {error}") from error

    def write(self, data: bytes) -> None:
        import serial

        port = self._opened()
        if self._tap is not None:
            self._tap("tx", data)
        try:
            port.write(data)
        except serial.SerialTimeoutException as error:
            raise LinkTimeout(
                f"{self.name} did not take {len(data)} bytes within {self._write_timeout_s:g} s: "
                "is flow control holding the line?"
            ) from error
        except (serial.SerialException, OSError) as error:
            raise self._vanished(error) from error

    def read(self, limit: int, *, timeout_s: float) -> bytes:
        import serial

        port = self._opened()
        try:
            if not self._wait(port, timeout_s):
                return b""
            data = bytes(port.read(limit))
        except (serial.SerialException, OSError, ValueError) as error:
            raise self._vanished(error) from error
        if self._tap is not None and data:
            self._tap("rx", data)
        return data

    def drain(self, *, silence_s: float, limit_s: float) -> bytes:
        return drain_line(self, silence_s=silence_s, limit_s=limit_s)

    def _wait(self, port: serial.Serial, timeout_s: float) -> bool:
        """Wait at most ``timeout_s`` wall seconds for one byte."""
        if self._descriptor is not None:
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, timeout_s))
            return bool(ready)
        end_s = wall_monotonic_s() + timeout_s
        while not port.in_waiting:
            if wall_monotonic_s() >= end_s:
                break  # only reading tells whether the connection is still there
            wall_pause_s(_POLL_S)
        return True

    def _opened(self) -> serial.Serial:
        if self._port is None:
            raise LinkVanished(f"{self.name} is not open: open it, and ask again who answers there")
        return self._port

    def _vanished(self, error: Exception) -> LinkVanished:
        port, self._port, self._descriptor = self._port, None, None
        if port is not None:
            _close_quietly(port)
        return LinkVanished(f"{self.name} is gone: {error}. Check cable and adapter, then open the line again")


def _is_pseudo_terminal(url: str) -> bool:
    return os.path.realpath(url).startswith("/dev/pts/")


def _close_quietly(port: serial.Serial) -> None:
    """Give the descriptor of a dead port back; that closing fails as well is no news."""
    import contextlib

    import serial

    with contextlib.suppress(serial.SerialException, OSError):
        port.close()


def _advice(url: str, error: Exception) -> str:
    code = getattr(error, "errno", None)
    if code == errno.ENOENT:
        return f"{url} does not exist. Is the adapter plugged in? Look under /dev/serial/by-id/"
    if code in (errno.EACCES, errno.EPERM):
        return f"{url} is not permitted for this user: join the group that owns it (often 'dialout')"
    if code in (errno.EAGAIN, errno.EBUSY):
        holder = _holder(url)
        return f"another process {f'({holder}) ' if holder else ''}has it open: end that one first"
    return str(error)


def _holder(path: str) -> str:
    """Name the process that has locked ``path``, as far as this user may see; empty when unknown."""
    try:
        inode = os.stat(path).st_ino
        with open("/proc/locks", encoding="ascii") as locks:
            for lock in locks:
                fields = lock.split()
                if "FLOCK" in fields and any(field.endswith(f":{inode}") for field in fields):
                    pid = fields[fields.index("FLOCK") + 3]
                    with open(f"/proc/{pid}/comm", encoding="utf-8") as name:
                        return f"{name.read().strip()}, process {pid}"
    except (OSError, ValueError, IndexError):
        return ""
    return ""
