"""What every implementation of the port ImpedanceAnalyzer promises, tried on each over its own wire."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pytest

from pressopt.clock import Clock, FastClock
from pressopt.errors import InstrumentError, LimitError
from pressopt.impedance.ports import ImpedanceAnalyzer
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments import connect_analyzer
from pressopt.profiles import FolderDrop, load_profile
from pressopt.twin.folder_program import FolderProgram
from pressopt.twin.methodscript_server import MethodScriptDevice
from pressopt.twin.scpi_analyzer_server import ScpiAnalyzerDevice
from pressopt.twin.wires import PtyPort, TcpPort
from pressopt.twin.zahner_server import ZahnerDevice

SWEEP = Sweep(high_hz=1e5, low_hz=20, points_per_decade=4)


class DummyCell:
    """50 Ω in series with 200 Ω parallel to 1 µF."""

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex:
        return 50 + 200 / (1 + 2j * math.pi * frequency_hz * 2e-4)


@dataclass
class Subject:
    """One implementation under test.

    Attributes:
        analyzer: The driver.
        again: Another driver to the same instrument.
        cell_is_on: Whether the instrument drives the cell.
        break_at: Let the instrument break the next sweep off at this point.
        clock: Laboratory time.
    """

    analyzer: ImpedanceAnalyzer
    again: Callable[[], ImpedanceAnalyzer]
    cell_is_on: Callable[[], bool]
    break_at: Callable[[int], None]
    clock: Clock


@contextmanager
def methodscript(kind: type[PtyPort] | type[TcpPort]) -> Iterator[Subject]:
    clock = FastClock()
    device = MethodScriptDevice(DummyCell(), clock)
    with kind(device) as port:
        url = port.url.replace("tcp://", "socket://") if kind is TcpPort else port.url

        def connect() -> ImpedanceAnalyzer:
            return connect_analyzer("generic-methodscript-analyzer", clock, url)

        analyzer = connect()
        yield Subject(
            analyzer, connect, lambda: device.cell_is_on, lambda at: setattr(device.faults, "break_at", at), clock
        )
        analyzer.close()


@contextmanager
def scpi(name: str, kind: type[PtyPort] | type[TcpPort], sign: Literal[1, -1] = 1) -> Iterator[Subject]:
    clock = FastClock()
    profile = load_profile(name)
    assert profile.analyzer is not None
    profile = replace(profile, analyzer=replace(profile.analyzer, imaginary_sign=sign))
    device = ScpiAnalyzerDevice(DummyCell(), clock, profile)
    with kind(device) as port:

        def connect() -> ImpedanceAnalyzer:
            return connect_analyzer(profile, clock, port.url)

        analyzer = connect()
        yield Subject(
            analyzer, connect, lambda: device.cell_is_on, lambda at: setattr(device.faults, "break_at", at), clock
        )
        analyzer.close()


@contextmanager
def zahner() -> Iterator[Subject]:
    clock = FastClock()
    device = ZahnerDevice(DummyCell(), clock, low_hz=1e-5, high_hz=4e6, limit_amplitude_mv=1000)
    with TcpPort(device) as port:

        def connect() -> ImpedanceAnalyzer:
            return connect_analyzer("zahner-zennium", clock, port.url)

        analyzer = connect()
        yield Subject(
            analyzer, connect, lambda: device.cell_is_on, lambda at: setattr(device.faults, "break_at", at), clock
        )
        analyzer.close()


@contextmanager
def folder() -> Iterator[Subject]:
    clock = FastClock()
    profile = load_profile("folder-drop-analyzer")
    assert profile.analyzer is not None
    drop = FolderDrop(pattern="*.csv", settle_s=0.2)
    profile = replace(profile, analyzer=replace(profile.analyzer, folder=drop))
    with (
        TemporaryDirectory() as place,
        FolderProgram(DummyCell(), clock, Path(place), request=drop.request) as program,
    ):
        program.faults.write_pause_s = 0.0  # half-written files have a test of their own

        def connect() -> ImpedanceAnalyzer:
            return connect_analyzer(profile, clock, place)

        analyzer = connect()
        yield Subject(
            analyzer,
            connect,
            lambda: program.cell_is_on,
            lambda at: setattr(program.faults, "break_at", at),
            clock,
        )
        analyzer.close()


IMPLEMENTATIONS = {
    "MethodSCRIPT on a pseudo-terminal": lambda: methodscript(PtyPort),
    "MethodSCRIPT behind a serial device server": lambda: methodscript(TcpPort),
    "Keysight E4980A point by point": lambda: scpi("keysight-e4980a", TcpPort),
    "Keysight E4980A list sweep": lambda: scpi("keysight-e4980a-list", TcpPort),
    "Hioki IM3590 on a serial line": lambda: scpi("hioki-im3590", PtyPort),
    "Hioki IM3536 that sends -Z''": lambda: scpi("hioki-im3536", TcpPort, -1),
    "Zahner Remote2": zahner,
    "files that another program saves": folder,
}


@pytest.fixture(params=IMPLEMENTATIONS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with IMPLEMENTATIONS[request.param]() as subject:
        yield subject


def test_it_says_who_it_is_and_what_it_can(subject: Subject) -> None:
    """The identity is a text that stays the same; the band and the amplitude are positive."""
    assert subject.analyzer.identify() == subject.analyzer.identify() != ""
    capability = subject.analyzer.capability
    assert 0 < capability.low_hz < capability.high_hz
    assert capability.limit_amplitude_mv > 0


def test_a_spectrum_is_whole_in_order_and_right(subject: Subject) -> None:
    """All points asked for, from high to low frequency, with the cell's impedance, its sign and its times."""
    spectrum = subject.analyzer.measure(SWEEP)
    assert np.allclose(spectrum.frequency_hz, SWEEP.frequencies_hz(), rtol=0.02)
    exact = np.array([DummyCell().impedance_ohm(hz, at_s=0.0) for hz in spectrum.frequency_hz.tolist()])
    assert np.allclose(spectrum.impedance_ohm, exact, rtol=1e-3)
    assert spectrum.good.all()
    assert spectrum.time_s is not None
    assert (np.diff(spectrum.time_s) > 0).all()
    assert spectrum.metadata["amplitude_mv"] == SWEEP.amplitude_mv


def test_progress_is_told_for_every_point(subject: Subject) -> None:
    """``on_point`` counts up to the number planned."""
    told: list[tuple[int, int]] = []
    subject.analyzer.measure(SWEEP, on_point=lambda done, planned: told.append((done, planned)))
    assert told == [(done, SWEEP.points) for done in range(1, SWEEP.points + 1)]


def test_a_sweep_takes_laboratory_time(subject: Subject) -> None:
    """At least one period of every frequency passes."""
    before_s = subject.clock.now_s()
    subject.analyzer.measure(SWEEP)
    assert subject.clock.now_s() - before_s > float(np.sum(1 / SWEEP.frequencies_hz()))


def test_the_cell_is_off_after_a_sweep_and_after_a_failure(subject: Subject) -> None:
    """Whole or broken off, the cell is off; a partial sweep is never returned; the next one is whole."""
    subject.analyzer.measure(SWEEP)
    assert not subject.cell_is_on()
    subject.break_at(5)
    with pytest.raises(InstrumentError):
        subject.analyzer.measure(SWEEP)
    assert not subject.cell_is_on()
    assert subject.analyzer.measure(SWEEP).frequency_hz.size == SWEEP.points


def test_a_failing_listener_does_not_leave_the_cell_on(subject: Subject) -> None:
    """When whoever listens to the progress raises, the cell is off and the error arrives."""

    def fail(done: int, planned: int) -> None:
        raise RuntimeError("the display is gone")

    with pytest.raises(RuntimeError, match="display"):
        subject.analyzer.measure(SWEEP, on_point=fail)
    assert not subject.cell_is_on()


def test_what_it_cannot_do_is_refused_before_anything_is_switched_on(subject: Subject) -> None:
    """Band and amplitude are checked first."""
    capability = subject.analyzer.capability
    for sweep in (
        Sweep(high_hz=10 * capability.high_hz, low_hz=capability.high_hz),
        Sweep(high_hz=capability.high_hz, low_hz=capability.low_hz / 10),
        Sweep(high_hz=capability.high_hz, low_hz=capability.high_hz / 10, amplitude_mv=1000.0),
    ):
        if sweep.amplitude_mv == capability.limit_amplitude_mv:
            continue  # this one can do the most that a sweep may ask
        with pytest.raises(LimitError):
            subject.analyzer.measure(sweep)
    assert not subject.cell_is_on()


def test_make_safe_twice_is_harmless(subject: Subject) -> None:
    """It may be asked at any time, and measuring goes on afterwards."""
    subject.analyzer.make_safe()
    subject.analyzer.make_safe()
    assert not subject.cell_is_on()
    assert subject.analyzer.measure(SWEEP).good.all()


def test_a_closed_instrument_can_be_taken_by_another(subject: Subject) -> None:
    """Closing twice is harmless, and gives the line free."""
    subject.analyzer.close()
    subject.analyzer.close()
    other = subject.again()
    assert other.measure(SWEEP).good.all()
    other.close()
