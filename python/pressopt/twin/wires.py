"""Real wires for virtual devices: a thread behind a pseudo-terminal or a loopback socket, with faults on demand.

A :class:`Device` speaks bytes; a port carries them. Every port has one thread, which alone touches its file
descriptors and sleeps in ``poll`` while nothing happens. What a device sends passes through
:class:`~pressopt.twin.faults.LineFaults`, so that a test can drop, delay, damage or echo it, and a port can vanish
and come back as a USB adapter does. Pseudo-terminals know neither baud rate nor parity: a wrong baud rate is
modelled by damaging everything.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import math
import os
import select
import socket
import threading
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pressopt.clock import wall_monotonic_s
from pressopt.twin.faults import LineFaults

#: Bytes kept for a host that does not read; beyond it they are lost, as on a serial line (assumed).
PENDING_LIMIT = 65536
_CHUNK = 4096
_HUNG_UP = frozenset({errno.EIO, errno.ECONNRESET, errno.EPIPE})


class Conversation(Protocol):
    """One host at the other end of the wire. ``receive`` is called by the port's thread and must not block."""

    def receive(self, data: bytes) -> None:
        """Bytes from the host, cut anywhere."""
        ...

    def close(self) -> None:
        """The host hung up, or the port is being closed."""
        ...


class Device(Protocol):
    """Anything that can sit behind a port."""

    def converse(self, send: Callable[[bytes], None]) -> Conversation:
        """Begin to talk with a host; ``send`` may be called from any thread and never blocks."""
        ...

    def stop(self) -> None:
        """End every thread of the device; twice is harmless."""
        ...


class _Peer:
    """One open descriptor with what waits to be written to it."""

    def __init__(self, port: Port, descriptor: int, device: Device) -> None:
        self.descriptor = descriptor
        self.pending = bytearray()
        self.lost = 0
        self._port = port
        self.conversation = device.converse(self.send)

    def send(self, data: bytes) -> None:
        self._port._outgoing(self, data)

    def accept(self, data: bytes) -> None:
        room = PENDING_LIMIT - len(self.pending)
        self.pending += data[:room]
        self.lost += max(0, len(data) - room)


class Port(ABC):
    """What pseudo-terminal and socket share: the thread, the queue of delayed bytes, start and stop.

    Use as a context manager, or call :meth:`start` and :meth:`stop`.
    """

    def __init__(self, device: Device, *, name: str, faults: LineFaults | None = None) -> None:
        self.name = name
        self.device = device
        self.faults = faults if faults is not None else LineFaults()
        self._lock = threading.Lock()
        self._queue: list[tuple[float, int, _Peer, bytes]] = []
        self._order = 0
        self._away_until_s: float | None = None
        self._vanish_s: float | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._wake_read = self._wake_write = -1
        self._peers: dict[int, _Peer] = {}

    @property
    @abstractmethod
    def url(self) -> str:
        """What a driver opens."""

    def start(self) -> Self:
        """Open the wire and serve it; returns once a host may open it."""
        if self._thread is not None:
            raise RuntimeError(f"port {self.name!r} is already served")
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        try:
            self._open()
        except OSError:
            self._close()
            self._close_wake()
            raise
        self._thread = threading.Thread(target=self._serve, name=f"twin {self.name}", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Hang up, end the thread and close every descriptor; twice is harmless."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._lock:
            self._stopping = True
        self._wake()
        thread.join()
        self.device.stop()
        self._close_wake()
        self._queue.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def vanish(self, for_s: float) -> None:
        """Disappear at once, as an adapter that is pulled, and come back after ``for_s`` (wall seconds).

        Called again meanwhile, the new time counts: with ``math.inf`` the port stays away until then.
        """
        with self._lock:
            self._vanish_s = for_s
        self._wake()

    # ---- for the peers, from any thread

    def _outgoing(self, peer: _Peer, data: bytes) -> None:
        now_s = wall_monotonic_s()
        with self._lock:
            if self._stopping:
                return
            for delay_s, piece in self.faults.outgoing(data):
                self._order += 1
                heapq.heappush(self._queue, (now_s + delay_s, self._order, peer, piece))
        if threading.current_thread() is not self._thread:
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes just as well
            os.write(self._wake_write, b"!")

    # ---- the thread

    def _close_wake(self) -> None:
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _serve(self) -> None:
        try:
            while not self._stopping:
                self._come_and_go()
                for descriptor, event in self._wait():
                    if descriptor == self._wake_read:
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._wake_read, _CHUNK)
                        continue
                    if event & ~select.POLLOUT:
                        self._on_readable(descriptor)
                    if event & select.POLLOUT:
                        self._on_writable(descriptor)
        finally:
            self._close()

    def _wait(self) -> list[tuple[int, int]]:
        now_s = wall_monotonic_s()
        with self._lock:
            while self._queue and self._queue[0][0] <= now_s:
                _, _, peer, piece = heapq.heappop(self._queue)
                if self._peers.get(peer.descriptor) is peer:
                    peer.accept(piece)
            due_s = [self._queue[0][0]] if self._queue else []
        if self._away_until_s is not None:
            due_s.append(self._away_until_s)
        poll = select.poll()
        for descriptor in (self._wake_read, *self._listening()):
            poll.register(descriptor, select.POLLIN)
        for descriptor, peer in self._peers.items():
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if peer.pending else 0))
        wait_s = min(due_s, default=math.inf) - now_s
        return poll.poll(None if math.isinf(wait_s) else 1000 * max(0.0, wait_s))

    def _listening(self) -> list[int]:
        return []

    def _on_readable(self, descriptor: int) -> None:
        peer = self._peers.get(descriptor)
        if peer is None:
            return
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in _HUNG_UP:
                raise
            data = b""
        if not data:
            self._drop(peer)
            return
        heard = self.faults.incoming(data)
        if heard.local_echo:
            peer.accept(data)
        if heard.passed:
            peer.conversation.receive(heard.passed)

    def _on_writable(self, descriptor: int) -> None:
        peer = self._peers.get(descriptor)
        if peer is None:
            return
        try:
            written = os.write(descriptor, peer.pending)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in _HUNG_UP:
                raise
            self._drop(peer)
            return
        del peer.pending[:written]

    def _come_and_go(self) -> None:
        with self._lock:
            for_s, self._vanish_s = self._vanish_s, None
        now_s = wall_monotonic_s()
        if for_s is not None:
            self._close()
            self._away_until_s = now_s + for_s
        elif self._away_until_s is not None and now_s >= self._away_until_s:
            self._away_until_s = None
            self._open()

    def _drop(self, peer: _Peer) -> None:
        self._peers.pop(peer.descriptor, None)
        peer.conversation.close()
        self._shut(peer.descriptor)

    def _shut(self, descriptor: int) -> None:
        os.close(descriptor)

    @abstractmethod
    def _open(self) -> None: ...

    def _close(self) -> None:
        for peer in list(self._peers.values()):
            self._drop(peer)


class PtyPort(Port):
    """A serial line: a pseudo-terminal in raw mode.

    Args:
        device: What answers.
        link: A symbolic link to keep pointed at the terminal, as ``/dev/serial/by-id`` does, so that the port is
            found again when it comes back under another name. ``None``: the url is the terminal itself.
    """

    def __init__(
        self,
        device: Device,
        *,
        name: str = "serial line",
        link: Path | None = None,
        faults: LineFaults | None = None,
    ) -> None:
        super().__init__(device, name=name, faults=faults)
        self._link = link
        self._terminal = ""
        self._slave = -1

    @property
    def terminal(self) -> str:
        """The present name of the terminal (``/dev/pts/N``)."""
        return self._terminal

    @property
    def url(self) -> str:
        return str(self._link) if self._link is not None else self._terminal

    def _open(self) -> None:
        master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(master, False)
        self._terminal = os.ttyname(self._slave)
        # The slave stays open here: a serial device does not notice that nobody listens.
        self._peers[master] = _Peer(self, master, self.device)
        if self._link is not None:
            fresh = self._link.with_name(self._link.name + ".new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self._terminal)
            fresh.replace(self._link)

    def _close(self) -> None:
        super()._close()
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1
        if self._link is not None:
            self._link.unlink(missing_ok=True)


class TcpPort(Port):
    """A TCP server on the loopback interface; several hosts may connect, each with its own conversation.

    Args:
        device: What answers.
        port: TCP port; 0 takes a free one, which is kept when the port vanishes and comes back.
        host: Address to listen on; the twin is not meant to be reached from other machines.
    """

    def __init__(
        self,
        device: Device,
        *,
        name: str = "socket",
        port: int = 0,
        host: str = "127.0.0.1",
        faults: LineFaults | None = None,
    ) -> None:
        super().__init__(device, name=name, faults=faults)
        self.host = host
        self.port = port
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    def _open(self) -> None:
        listener = socket.create_server((self.host, self.port), backlog=8)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener

    def _listening(self) -> list[int]:
        return [] if self._listener is None else [self._listener.fileno()]

    def _on_readable(self, descriptor: int) -> None:
        if self._listener is None or descriptor != self._listener.fileno():
            super()._on_readable(descriptor)
            return
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = connection.detach()
            self._peers[number] = _Peer(self, number, self.device)

    def _close(self) -> None:
        # First the door, then the guests: whoever sees its connection end finds the address closed.
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        super()._close()
