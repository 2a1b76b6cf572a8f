"""A TCP connection as a line."""

from __future__ import annotations

import select
import socket

from pressopt.errors import LinkRefused, LinkTimeout, LinkVanished
from pressopt.instruments.line import Tap, drain_line


class TcpLine:
    """One TCP connection to ``host:port``.

    Args:
        host: Name or address.
        port: Port number.
        connect_timeout_s: How long connecting may take, wall seconds.
        write_timeout_s: How long the peer may take our bytes, wall seconds.
        tap: Sees every byte.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connect_timeout_s: float = 3.0,
        write_timeout_s: float = 2.0,
        tap: Tap | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._connect_timeout_s, self._write_timeout_s, self._tap = connect_timeout_s, write_timeout_s, tap
        self._socket: socket.socket | None = None

    @property
    def name(self) -> str:
        return f"tcp://{self._host}:{self._port}"

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def open(self) -> None:
        if self._socket is not None:
            return
        try:
            connection = socket.create_connection((self._host, self._port), timeout=self._connect_timeout_s)
        except OSError as error:
            raise LinkRefused(
                f"{self.name} cannot be opened: {error}. Is the device on, and are address and port right?"
            ) from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.settimeout(self._write_timeout_s)
        self._socket = connection

    def close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def write(self, data: bytes) -> None:
        connection = self._opened()
        if self._tap is not None:
            self._tap("tx", data)
        try:
            connection.sendall(data)
        except TimeoutError as error:
            raise LinkTimeout(
                f"{self.name} did not take {len(data)} bytes within {self._write_timeout_s:g} s: "
                "is the device stuck?"
            ) from error
        except OSError as error:
            raise self._vanished(str(error)) from error

    def read(self, limit: int, *, timeout_s: float) -> bytes:
        connection = self._opened()
        try:
            ready, _, _ = select.select([connection], [], [], max(0.0, timeout_s))
            if not ready:
                return b""
            data = connection.recv(limit)
        except OSError as error:
            raise self._vanished(str(error)) from error
        if not data:
            raise self._vanished("the other side closed the connection")
        if self._tap is not None:
            self._tap("rx", data)
        return data

    def drain(self, *, silence_s: float, limit_s: float) -> bytes:
        return drain_line(self, silence_s=silence_s, limit_s=limit_s)

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise LinkVanished(f"{self.name} is not open: open it, and ask again who answers there")
        return self._socket

    def _vanished(self, why: str) -> LinkVanished:
        self.close()
        return LinkVanished(f"{self.name} is gone: {why}. Check cable and device, then open the line again")
