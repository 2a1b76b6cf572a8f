"""What every implementation of the port ResistanceMeter promises, tried on each over its own wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import pytest

from pressopt.clock import FastClock
from pressopt.impedance.ports import ResistanceMeter
from pressopt.instruments import connect_meter
from pressopt.profiles import load_profile
from pressopt.twin.scpi_server import ScpiMeter
from pressopt.twin.wires import PtyPort, TcpPort


class Shunt:
    """2 mΩ with readings that scatter by 1 %."""

    def __init__(self) -> None:
        self._values = cycle((1.98e-3, 2.0e-3, 2.02e-3))

    def dc_resistance_ohm(self) -> float:
        return next(self._values)


@dataclass
class Subject:
    """One implementation under test, and how to make its next reading an overload."""

    meter: ResistanceMeter
    overload: Callable[[], None]


@contextmanager
def scpi(kind: type[PtyPort] | type[TcpPort]) -> Iterator[Subject]:
    device = ScpiMeter(Shunt())
    with kind(device) as port:
        meter = connect_meter(load_profile("generic-scpi-milliohm-meter"), FastClock(), port.url)
        yield Subject(meter, lambda: setattr(device.faults, "overload", 1))
        meter.close()


IMPLEMENTATIONS = {"SCPI on TCP": lambda: scpi(TcpPort), "SCPI on a serial line": lambda: scpi(PtyPort)}


@pytest.fixture(params=IMPLEMENTATIONS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with IMPLEMENTATIONS[request.param]() as subject:
        yield subject


def test_it_says_who_it_is(subject: Subject) -> None:
    """The identity is a text that stays the same."""
    assert subject.meter.identify() == subject.meter.identify() != ""


def test_a_reading_is_the_resistance_with_its_scatter(subject: Subject) -> None:
    """Mean, a standard deviation not below the scatter, and the number of readings asked for."""
    reading = subject.meter.measure(6)
    assert reading.resistance_ohm == pytest.approx(2e-3, rel=1e-3)
    assert 1.7e-5 < reading.sd_ohm < 3e-5
    assert reading.valid
    assert reading.readings == 6


def test_an_overload_is_not_a_resistance(subject: Subject) -> None:
    """It is marked invalid, and the next measurement is good again."""
    subject.overload()
    assert not subject.meter.measure(3).valid
    assert subject.meter.measure(3).valid


def test_one_reading_is_refused(subject: Subject) -> None:
    """There is no standard deviation of one reading."""
    with pytest.raises(ValueError, match="at least 2"):
        subject.meter.measure(1)


def test_closing_twice_is_harmless(subject: Subject) -> None:
    """A closed meter may be closed again."""
    subject.meter.close()
    subject.meter.close()
