"""Ports: real pseudo-terminals and sockets that start, stop, vanish and leave nothing behind."""

from __future__ import annotations

import math
import os
import socket
import statistics
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import serial

from pressopt.clock import wall_monotonic_s, wall_pause_s
from pressopt.twin.faults import Fault, LineFaults
from pressopt.twin.wires import PENDING_LIMIT, Port, PtyPort, TcpPort


class Shouter:
    """Answers in capitals, and says whether it was stopped and how many hosts it had."""

    def __init__(self) -> None:
        self.hosts = 0
        self.hung_up = 0
        self.stopped = 0
        self.send: Callable[[bytes], None] = lambda _: None

    def converse(self, send: Callable[[bytes], None]) -> _Shouting:
        self.hosts += 1
        self.send = send
        return _Shouting(self, send)

    def stop(self) -> None:
        self.stopped += 1


class _Shouting:
    def __init__(self, owner: Shouter, send: Callable[[bytes], None]) -> None:
        self._owner, self._send = owner, send

    def receive(self, data: bytes) -> None:
        self._send(data.upper())

    def close(self) -> None:
        self._owner.hung_up += 1


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def accepts(port: TcpPort) -> bool:
    try:
        socket.create_connection((port.host, port.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def until(condition: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    end_s = wall_monotonic_s() + within_s
    while not condition() and wall_monotonic_s() < end_s:
        wall_pause_s(0.005)
    return condition()


@pytest.mark.parametrize("kind", [PtyPort, TcpPort])
def test_a_stopped_port_leaves_no_descriptor_and_no_thread(kind: type[PtyPort] | type[TcpPort]) -> None:
    """After twenty starts with a host connected, descriptors and threads are as many as before."""
    before = open_descriptors(), threading.active_count()
    for _ in range(20):
        device = Shouter()
        with kind(device) as port:
            if isinstance(port, TcpPort):
                with socket.create_connection((port.host, port.port), timeout=2) as host:
                    host.sendall(b"ab")
                    assert host.recv(9) == b"AB"
            else:
                with serial.Serial(port.url, timeout=2) as line:
                    line.write(b"ab")
                    assert line.read(2) == b"AB"
        assert device.stopped == 1
        assert device.hung_up == device.hosts == 1
    assert (open_descriptors(), threading.active_count()) == before


def test_starting_twice_is_refused_and_stopping_twice_is_harmless() -> None:
    """A served port is not started again; stopping a stopped one changes nothing."""
    port = TcpPort(Shouter()).start()
    with pytest.raises(RuntimeError, match="already served"):
        port.start()
    port.stop()
    port.stop()


def test_a_port_that_cannot_be_opened_leaves_nothing_behind() -> None:
    """When the TCP port is taken, starting fails with the system's error and closes what it had opened."""
    with TcpPort(Shouter()) as taken:
        before = open_descriptors(), threading.active_count()
        with pytest.raises(OSError, match="in use"):
            TcpPort(Shouter(), port=taken.port).start()
        assert (open_descriptors(), threading.active_count()) == before


def test_an_answer_waits_for_no_poll() -> None:
    """Bytes wake the port: the median round trip stays below any polling period that would be worth having."""
    with PtyPort(Shouter()) as port, serial.Serial(port.url, timeout=2) as line:
        trips_s = []
        for _ in range(200):
            start_s = wall_monotonic_s()
            line.write(b"x")
            assert line.read(1) == b"X"
            trips_s.append(wall_monotonic_s() - start_s)
    assert statistics.median(trips_s) < 0.02  # 0.1 ms on an idle machine


def test_an_idle_port_uses_no_processor_time() -> None:
    """A port that nobody talks to sleeps: under 1 ms of processor time in 0.2 s for ten ports."""
    ports: list[Port] = [PtyPort(Shouter()).start() for _ in range(5)]
    ports += [TcpPort(Shouter()).start() for _ in range(5)]
    try:
        wall_pause_s(0.05)
        before_s = sum(os.times()[:2])
        wall_pause_s(0.2)
        assert sum(os.times()[:2]) - before_s <= 0.02  # the resolution of os.times is 0.01 s
    finally:
        for port in ports:
            port.stop()


def test_several_hosts_talk_over_one_socket_without_mixing() -> None:
    """Two connections each get their own answers."""
    with TcpPort(Shouter()) as port:
        one, two = (socket.create_connection((port.host, port.port), timeout=2) for _ in range(2))
        with one, two:
            one.sendall(b"one")
            two.sendall(b"two")
            assert (one.recv(9), two.recv(9)) == (b"ONE", b"TWO")


def test_a_terminal_that_vanishes_comes_back_under_its_link(tmp_path: Path) -> None:
    """The host sees its terminal die; after a while the link leads to a new one that answers."""
    link = tmp_path / "usb-analyser"
    with PtyPort(Shouter(), link=link) as port:
        assert port.url == str(link)
        line = serial.Serial(port.url, timeout=0.5)
        port.vanish(math.inf)
        assert until(lambda: not link.exists())
        with pytest.raises((serial.SerialException, OSError)):
            line.read(1)
        line.close()
        port.vanish(0)
        assert until(link.exists)
        with serial.Serial(port.url, timeout=2) as again:
            again.write(b"back")
            assert again.read(4) == b"BACK"
    assert not link.is_symlink()


def test_a_socket_that_vanishes_comes_back_at_the_same_address() -> None:
    """Connections end, connecting is refused for a while, then the same address answers again."""
    with TcpPort(Shouter()) as port:
        with socket.create_connection((port.host, port.port), timeout=2) as host:
            port.vanish(math.inf)
            assert host.recv(1) == b""
            assert not accepts(port)
        port.vanish(0)
        assert until(lambda: accepts(port))
        with socket.create_connection((port.host, port.port), timeout=5) as again:
            again.sendall(b"x")
            assert again.recv(1) == b"X"


def test_what_nobody_reads_is_lost_beyond_a_limit_and_does_not_block() -> None:
    """A device may stream for ever to a host that does not read; the port stays alive."""
    device = Shouter()
    with PtyPort(device) as port:
        for _ in range(3 * PENDING_LIMIT // 1000):
            device.send(b"." * 1000)
        with serial.Serial(port.url, timeout=1) as line:
            line.reset_input_buffer()
            received = 0
            while data := line.read(1 << 16):
                received += len(data)
            assert received <= 2 * PENDING_LIMIT
            line.write(b"alive")
            assert line.read(5) == b"ALIVE"


def test_random_faults_are_the_same_for_the_same_seed() -> None:
    """Two wires with one seed damage the same replies in the same way; another seed damages others."""
    rates = {Fault.DROP: 0.2, Fault.CORRUPT: 0.2, Fault.NOISE: 0.2, Fault.HALF: 0.2}

    def fate(seed: int) -> list[list[tuple[float, bytes]]]:
        faults = LineFaults(seed, rates=rates)
        return [faults.outgoing(b"0123456789") for _ in range(50)]

    assert fate(1) == fate(1)
    assert fate(1) != fate(2)


def test_impossible_fault_rates_are_refused() -> None:
    """Probabilities must lie between 0 and 1, and add up to at most 1."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        LineFaults(rates={Fault.DROP: 0.7, Fault.DELAY: 0.7})
    with pytest.raises(ValueError, match="between 0 and 1"):
        LineFaults(rates={Fault.ECHO: -0.1})
    with pytest.raises(ValueError, match="negative"):
        LineFaults(delay_s=-1.0)


def test_cleared_faults_leave_the_wire_clean() -> None:
    """After clear nothing planned and nothing random happens any more."""
    faults = LineFaults(rates={Fault.DROP: 1.0})
    faults.plan(Fault.CORRUPT, times=3)
    faults.clear()
    assert faults.outgoing(b"x") == [(0.0, b"x")]
