"""Lines: the same promises over a pseudo-terminal, a TCP connection and pyserial's socket://."""

from __future__ import annotations

import os
import socket
import threading
import tty
from collections.abc import Iterator
from typing import Literal

import pytest

from pressopt.clock import wall_monotonic_s
from pressopt.errors import LinkRefused, LinkVanished, NoiseError
from pressopt.instruments.line import Line, open_line


class FarEnd:
    """The other end of a line, in the hands of the test."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.seen: list[tuple[Literal["tx", "rx"], bytes]] = []
        if kind == "pty":
            self._master, slave = os.openpty()
            tty.setraw(self._master)
            self.url = os.ttyname(slave)
            self.line = open_line(self.url, tap=lambda *what: self.seen.append(what))
            os.close(slave)
        else:
            listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"{kind}://127.0.0.1:{listener.getsockname()[1]}"
            self.line = open_line(self.url, tap=lambda *what: self.seen.append(what))
            self._peer, _ = listener.accept()
            listener.close()

    def send(self, data: bytes) -> None:
        if self.kind == "pty":
            os.write(self._master, data)
        else:
            self._peer.sendall(data)

    def receive(self, limit: int) -> bytes:
        return os.read(self._master, limit) if self.kind == "pty" else self._peer.recv(limit)

    def hang_up(self) -> None:
        if self.kind == "pty":
            os.close(self._master)
        else:
            self._peer.close()
        self.kind = "gone"


@pytest.fixture(params=["pty", "tcp", "socket"])
def far(request: pytest.FixtureRequest) -> Iterator[FarEnd]:
    end = FarEnd(request.param)
    yield end
    end.line.close()
    if end.kind != "gone":
        end.hang_up()


def test_bytes_go_both_ways_and_the_tap_sees_them(far: FarEnd) -> None:
    """What is written arrives whole, what comes is read whole, and the tap has seen both."""
    far.line.write(b"\x00\xffask\n")
    assert far.receive(100) == b"\x00\xffask\n"
    far.send(b"\x11\x13\x00answer\r")
    assert far.line.read(100, timeout_s=1.0) == b"\x11\x13\x00answer\r"
    assert far.seen == [("tx", b"\x00\xffask\n"), ("rx", b"\x11\x13\x00answer\r")]


def test_read_does_not_wait_for_more_than_one_byte(far: FarEnd) -> None:
    """A read returns with what is there, although more was allowed."""
    far.send(b"x")
    start_s = wall_monotonic_s()
    assert far.line.read(100, timeout_s=2.0) == b"x"
    assert wall_monotonic_s() - start_s < 1.5


def test_silence_is_an_empty_read(far: FarEnd) -> None:
    """Nothing within the time-out is b"", after the time-out and not before."""
    start_s = wall_monotonic_s()
    assert far.line.read(1, timeout_s=0.05) == b""
    assert wall_monotonic_s() - start_s >= 0.049


def test_a_hang_up_is_told_and_closes_the_line(far: FarEnd) -> None:
    """A line that goes away says so on the next read, and is closed."""
    far.hang_up()
    with pytest.raises(LinkVanished, match="is gone"):
        far.line.read(1, timeout_s=0.5)
    assert not far.line.is_open
    with pytest.raises(LinkVanished, match="is not open"):
        far.line.write(b"x")


def test_drain_waits_for_silence(far: FarEnd) -> None:
    """Draining throws away a reply that trickles in, and returns only after the silence."""
    sender = threading.Thread(target=_trickle, args=(far, 5, 0.02))
    sender.start()
    far.line.read(1, timeout_s=1.0)
    thrown = far.line.drain(silence_s=0.1, limit_s=5.0)
    sender.join()
    assert thrown == b"1234"
    assert far.line.read(1, timeout_s=0.0) == b""


def test_a_line_that_never_falls_silent_is_noise(far: FarEnd) -> None:
    """Draining gives up on a device that streams for ever."""
    sender = threading.Thread(target=_trickle, args=(far, 30, 0.01))
    sender.start()
    with pytest.raises(NoiseError, match="another master"):
        far.line.drain(silence_s=0.1, limit_s=0.1)
    sender.join()


def _trickle(far: FarEnd, count: int, pause_s: float) -> None:
    pause = threading.Event()
    for number in range(count):
        far.send(b"%d" % (number % 10))
        pause.wait(pause_s)


def test_opening_twice_and_closing_twice_is_harmless(far: FarEnd) -> None:
    """open() on an open line and close() on a closed one change nothing."""
    far.line.open()
    far.line.write(b"x")
    assert far.receive(10) == b"x"
    far.line.close()
    far.line.close()
    assert not far.line.is_open


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/dev/no-such-port", "does not exist"),
        ("/etc/hostname", "cannot be opened"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("socket://127.0.0.1:1", "Connection refused"),
        ("rfc2217://127.0.0.1:1", "Connection refused"),
        ("tcp://nowhere", "write tcp://host:port"),
        ("tcp://:99999", "write tcp://host:port"),
        ("telepathy://x", "not known"),
    ],
)
def test_a_line_that_cannot_be_opened_says_why(url: str, says: str) -> None:
    """Every way of not opening a line is LinkRefused, with the reason in words."""
    with pytest.raises(LinkRefused, match=says):
        open_line(url)


def test_a_port_has_one_owner() -> None:
    """The second who opens a port is refused, and told who holds it."""
    master, slave = os.openpty()
    first: Line = open_line(os.ttyname(slave))
    try:
        with pytest.raises(LinkRefused, match=r"another process .*has it open"):
            open_line(os.ttyname(slave))
    finally:
        first.close()
        os.close(master)
        os.close(slave)
