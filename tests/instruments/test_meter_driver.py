"""The meter's driver against the virtual meter over real wires."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle

import pytest

from pressopt.clock import FastClock
from pressopt.errors import DeviceRefused, LinkError, ReplyError, WrongDeviceError
from pressopt.instruments.line import open_line
from pressopt.instruments.meter import ScpiResistanceMeter
from pressopt.profiles import DeviceProfile, Identity, load_profile
from pressopt.twin.faults import Fault
from pressopt.twin.scpi_server import ScpiMeter
from pressopt.twin.wires import Port, PtyPort, TcpPort


class Shunt:
    """A resistor whose readings go round a list."""

    def __init__(self, *values_ohm: float) -> None:
        self._values = cycle(values_ohm)

    def dc_resistance_ohm(self) -> float:
        return next(self._values)


@dataclass
class Bench:
    """A driver, the meter behind it, and what lies between."""

    driver: ScpiResistanceMeter
    meter: ScpiMeter
    port: Port


@pytest.fixture(scope="module")
def profile() -> DeviceProfile:
    shipped = load_profile("generic-scpi-milliohm-meter")
    return replace(shipped, link=replace(shipped.link, timeout_s=0.1, silence_s=0.15))


@pytest.fixture(params=[TcpPort, PtyPort])
def bench(request: pytest.FixtureRequest, profile: DeviceProfile) -> Iterator[Bench]:
    meter = ScpiMeter(Shunt(0.99e-3, 1.0e-3, 1.01e-3))
    port = request.param(meter)
    with port:
        driver = ScpiResistanceMeter(open_line(port.url), FastClock(), profile)
        yield Bench(driver, meter, port)
        driver.close()


def test_a_measurement_is_mean_and_standard_deviation(bench: Bench) -> None:
    """Three readings of 0.99, 1.00 and 1.01 mΩ are 1.00 mΩ with 0.01 mΩ and the meter's own accuracy."""
    reading = bench.driver.measure(3)
    assert reading.resistance_ohm == pytest.approx(1e-3)
    assert reading.sd_ohm == pytest.approx(math.hypot(1e-5, 5e-7, 1e-7), rel=1e-6)
    assert reading.valid
    assert reading.readings == 3


def test_one_overload_makes_a_measurement_invalid(bench: Bench) -> None:
    """9.9E37 never becomes a resistance: the reading is infinite and not valid; the next one is good."""
    bench.driver.measure(2)
    bench.meter.faults.overload = 1
    reading = bench.driver.measure(3)
    assert not reading.valid
    assert math.isinf(reading.resistance_ohm)
    assert bench.driver.measure(3).valid


def test_an_open_cell_is_an_overload(profile: DeviceProfile) -> None:
    """Infinite resistance, and more than the meter's range, read as overload."""
    for value_ohm in (math.inf, 1e6):
        with TcpPort(ScpiMeter(Shunt(value_ohm))) as port:
            driver = ScpiResistanceMeter(open_line(port.url), FastClock(), profile)
            assert not driver.measure(2).valid
            driver.close()


def test_a_resistance_below_the_range_is_not_trusted(profile: DeviceProfile) -> None:
    """A negative or too small mean is given as read, and marked."""
    with TcpPort(ScpiMeter(Shunt(-1e-6))) as port:
        driver = ScpiResistanceMeter(open_line(port.url), FastClock(), profile)
        reading = driver.measure(2)
        assert reading.resistance_ohm == pytest.approx(-1e-6)
        assert not reading.valid
        driver.close()


def test_identity_is_checked_before_anything_is_measured(bench: Bench, profile: DeviceProfile) -> None:
    """Another maker's meter is refused by its answer to *IDN?."""
    assert "milliohm meter" in bench.driver.identify()
    stranger = replace(profile, identity=Identity(ask="*IDN?", answers="^KEITHLEY"))
    driver = ScpiResistanceMeter(bench.driver._link.line, FastClock(), stranger)
    with pytest.raises(WrongDeviceError, match="KEITHLEY"):
        driver.measure(2)


def test_errors_in_the_meters_queue_are_passed_on(bench: Bench, profile: DeviceProfile) -> None:
    """A setup command that the meter does not know is an error in its own words, and nothing is measured."""
    assert profile.meter is not None
    wrong = replace(profile, meter=replace(profile.meter, setup=(":SENSe:NOISe 1", ":SENSe:FUNCtion 'VOLTage'")))
    driver = ScpiResistanceMeter(bench.driver._link.line, FastClock(), wrong)
    with pytest.raises(DeviceRefused, match=r"Undefined header.*Illegal parameter value"):
        driver.measure(2)


def test_fewer_than_two_readings_are_refused(bench: Bench) -> None:
    """One reading has no standard deviation."""
    with pytest.raises(ValueError, match="at least 2"):
        bench.driver.measure(1)


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.HALF, Fault.DEAF, Fault.TRICKLE])
def test_one_damaged_exchange_is_repeated(bench: Bench, fault: Fault) -> None:
    """After a lost or half answer the line is silent, the question is asked again, and the result is right."""
    bench.driver.measure(2)
    bench.port.faults.plan(fault)
    assert bench.driver.measure(3).resistance_ohm == pytest.approx(1e-3, rel=2e-2)
    assert bench.port.faults.injected[fault] == 1


def test_a_late_answer_is_never_credited_to_the_next_question(bench: Bench) -> None:
    """The answer to *IDN? that comes after its time-out is thrown away; the reading is a reading."""
    bench.driver.measure(2)
    bench.port.faults.delay_s = 0.15
    bench.port.faults.plan(Fault.DELAY, times=2)
    with pytest.raises(LinkError):
        bench.driver.identify()
    assert bench.driver.measure(3).resistance_ohm == pytest.approx(1e-3, rel=2e-2)


def test_a_silent_meter_is_a_time_out(bench: Bench) -> None:
    """A meter that answers nothing is a LinkError that names the question."""
    bench.meter.faults.muted = True
    with pytest.raises(LinkError, match="IDN"):
        bench.driver.measure(2)


def test_an_answer_that_is_no_number_is_refused(bench: Bench, profile: DeviceProfile) -> None:
    """What the manual does not allow is a ReplyError that shows it."""
    assert profile.meter is not None
    odd = replace(profile, meter=replace(profile.meter, ask_reading="*IDN?"))
    driver = ScpiResistanceMeter(bench.driver._link.line, FastClock(), odd)
    with pytest.raises(ReplyError, match="expected a number"):
        driver.measure(2)
