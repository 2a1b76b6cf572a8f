"""The whole virtual laboratory behind real wires, driven by the production drivers and by strangers' libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pressopt.clock import AttendedClock, FastClock, ScaledClock
from pressopt.errors import DeviceError, InterlockError, LinkError, WrongDeviceError
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments import (
    connect_analyzer,
    connect_changer,
    connect_laminator,
    connect_meter,
    connect_press,
)
from pressopt.pressing import Cell, Die, Layer, PressState, Role
from pressopt.profiles import DeviceProfile, load_profile
from pressopt.twin.faults import Fault
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.modbus import ExceptionCode
from pressopt.twin.server import TwinServer, press_spec, roll_spec, serve_forever

METAL = Layer("Li", Role.ELECTRODE, 100.0)
PELLET = Cell((METAL, Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0), METAL), Die(10.0), 10.0)
FOIL = Cell((Layer("Cu", Role.COLLECTOR, 10.0), METAL), Die(20.0), 20.0)


def profiles_with(press: str) -> dict[str, DeviceProfile]:
    return {
        "press": load_profile(press),
        "analyzer": load_profile("generic-methodscript-analyzer"),
        "meter": load_profile("generic-scpi-milliohm-meter"),
    }


@pytest.fixture(params=["generic-plc-press-tcp", "generic-plc-press-rtu"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[TwinServer, FastClock, dict[str, DeviceProfile]]]:
    clock, profiles = FastClock(), profiles_with(request.param)
    bench = VirtualBench(PELLET, seed=1, clock=clock, press=press_spec(profiles["press"]))
    with TwinServer(bench, profiles, clock) as server:
        yield server, clock, profiles


Served = tuple[TwinServer, FastClock, dict[str, DeviceProfile]]


def test_what_the_press_did_is_what_the_analyser_sees(server: Served) -> None:
    """Pressed at 25 MPa through the wires, the cell's impedance falls below that at 1 MPa, by the same drivers."""
    twin, clock, profiles = server
    press = connect_press(profiles["press"], clock, twin.urls["press"])
    # whoever presses looks: the machine's watchdog lets go after 10 s without a heartbeat
    attended = AttendedClock(clock, period_s=5, attend=press.read)
    analyzer = connect_analyzer(profiles["analyzer"], attended, twin.urls["analyzer"])
    meter = connect_meter(profiles["meter"], attended, twin.urls["meter"])
    changer = connect_changer(press)
    assert changer is not None
    changer.load(5)
    assert changer.loaded() == 5
    total_ohm = []
    for pressure_mpa in (1.0, 25.0):
        press.command(force_kn=PELLET.die.force_kn(pressure_mpa), ramp_kn_s=0.5, temperature_c=25.0)
        attended.sleep_s(600)
        reading = press.read()
        assert reading.state is PressState.HOLD
        assert reading.force_kn == pytest.approx(PELLET.die.force_kn(pressure_mpa), rel=0.05)
        spectrum = analyzer.measure(Sweep())
        assert spectrum.good.all()
        total_ohm.append(spectrum.impedance_ohm.real.max())
    assert total_ohm[1] < 0.5 * total_ohm[0]
    assert meter.measure(3).resistance_ohm == pytest.approx(total_ohm[1], rel=0.2)
    press.make_safe()
    clock.sleep_s(300)
    assert press.read().force_kn == pytest.approx(0.0, abs=0.02)
    for driver in (press, analyzer, meter):
        driver.close()


def test_the_wires_change_nothing_of_the_measurement(server: Served) -> None:
    """A spectrum through driver, pseudo-terminal and device is the bench's own, but for rounding on the wire."""
    twin, clock, profiles = server
    seen: dict[float, complex] = {}
    bench = twin.bench
    through = bench.impedance_ohm

    def noted(frequency_hz: float, *, at_s: float) -> complex:
        seen[frequency_hz] = through(frequency_hz, at_s=at_s)
        return seen[frequency_hz]

    bench.load_cell(1)
    bench.impedance_ohm = noted  # type: ignore[method-assign]
    analyzer = connect_analyzer(profiles["analyzer"], clock, twin.urls["analyzer"])
    spectrum = analyzer.measure(Sweep(high_hz=1e5, low_hz=1e2))
    analyzer.close()
    assert np.allclose(spectrum.impedance_ohm, list(seen.values()), rtol=1e-5)


def test_an_open_guard_reaches_the_driver(server: Served) -> None:
    """Neither load nor motion: the driver refuses by itself, before the PLC would."""
    twin, clock, profiles = server
    press = connect_press(profiles["press"], clock, twin.urls["press"])
    assert isinstance(twin.bench, VirtualBench)
    twin.bench.inject("guard_open")
    with pytest.raises(InterlockError):
        press.command(force_kn=1.0, ramp_kn_s=0.1, temperature_c=25.0)
    press.close()


def test_a_write_that_is_not_applied_is_noticed(server: Served) -> None:
    """The set point reads back as it was, and the driver says so instead of pressing."""
    twin, clock, profiles = server
    press = connect_press(profiles["press"], clock, twin.urls["press"])
    twin.banks["press"].faults.ignored = {"set_force_kn"}
    with pytest.raises((DeviceError, LinkError)):
        press.command(force_kn=1.0, ramp_kn_s=0.1, temperature_c=25.0)
    assert twin.bench.plant().setpoint_kn == 0
    press.close()


def test_a_busy_plc_is_asked_again_and_a_strange_one_is_refused(server: Served) -> None:
    """Exception 6 is only a delay; another model number is another machine."""
    twin, clock, profiles = server
    press = connect_press(profiles["press"], clock, twin.urls["press"])
    twin.slaves["press"].refuse_next(ExceptionCode.DEVICE_BUSY, times=2)
    assert press.read().state is PressState.IDLE
    press.close()
    twin.banks["press"].faults.model = 1
    with pytest.raises(WrongDeviceError):
        connect_press(profiles["press"], clock, twin.urls["press"])


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.CORRUPT, Fault.HALF, Fault.NOISE])
def test_damaged_replies_are_asked_for_again(server: Served, fault: Fault) -> None:
    """One damaged reply costs time and nothing else."""
    twin, clock, profiles = server
    if fault is Fault.CORRUPT and profiles["press"].link.engine == "modbus-tcp":
        pytest.skip("Modbus TCP has no checksum of its own: TCP keeps bits from flipping")
    press = connect_press(profiles["press"], clock, twin.urls["press"])
    before = press.read()
    twin.ports["press"].faults.plan(fault)
    after = press.read()
    assert twin.ports["press"].faults.injected[fault] == 1
    assert (after.state, after.setpoint_kn, after.interlocks) == (
        before.state,
        before.setpoint_kn,
        before.interlocks,
    )
    press.close()


def test_a_laminator_is_driven_through_its_own_wire() -> None:
    """Copper foil and lithium through the rolls twice, then four-wire resistance: lower than before."""
    clock = FastClock()
    profiles = {
        "laminator": load_profile("generic-roll-laminator-tcp"),
        "meter": load_profile("generic-scpi-milliohm-meter"),
    }
    bench = VirtualBench(FOIL, seed=1, clock=clock, roll=roll_spec(profiles["laminator"]), rolled=True)
    bench.load_cell(1)
    with TwinServer(bench, profiles, clock) as twin:
        rolls = connect_laminator(profiles["laminator"], clock, twin.urls["laminator"])
        meter = connect_meter(profiles["meter"], clock, twin.urls["meter"])
        rolls.run(line_force_n_mm=20.0, speed_mm_s=10.0, passes=2, temperature_c=25.0)
        clock.sleep_s(300)
        assert rolls.read().passes_done == 2
        assert meter.measure(3).valid
        rolls.close()
        meter.close()


def test_a_server_leaves_nothing_behind() -> None:
    """Ten laboratories later descriptors and threads are as many as before, also with a script still running."""
    clock, profiles = FastClock(), profiles_with("generic-plc-press-rtu")
    bench = VirtualBench(PELLET, seed=1, clock=clock)
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(10):
        with TwinServer(bench, profiles, clock) as twin:
            assert set(twin.urls) == {"press", "analyzer", "meter"}
            twin.analyzers["analyzer"].start_streaming("cell_on\nwait 1000\n")
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    assert twin.urls == {}


def test_a_server_that_cannot_open_one_port_opens_none(tmp_path: Path) -> None:
    """When a link's folder is missing the ports opened before are closed again."""
    clock, profiles = FastClock(), profiles_with("generic-plc-press-tcp")
    bench = VirtualBench(PELLET, seed=1, clock=clock)
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    with pytest.raises(OSError, match="missing"), TwinServer(bench, profiles, clock, links=tmp_path / "missing"):
        pass
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_serving_announces_where_each_instrument_answers(tmp_path: Path) -> None:
    """In scaled wall time each role is announced with its url, and a driver can use it until it is stopped."""
    clock, profiles = ScaledClock(60.0), profiles_with("generic-plc-press-rtu")
    bench = VirtualBench(PELLET, seed=1, clock=clock)
    stop, said = threading.Event(), list[str]()
    ready = threading.Event()

    def announce(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            ready.set()

    thread = threading.Thread(
        target=serve_forever,
        args=(bench, profiles, clock),
        kwargs={"announce": announce, "stop": stop, "links": tmp_path},
    )
    thread.start()
    try:
        assert ready.wait(5)
        urls = dict(line.split() for line in said)
        assert urls["press"] == str(tmp_path / "press")
        press = connect_press(profiles["press"], clock, urls["press"])
        assert press.read().state is PressState.IDLE
        press.close()
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive()


def test_the_command_serves_until_it_is_interrupted() -> None:
    """``pressopt twin serve`` prints urls as lines, answers on them, and ends well at Ctrl-C."""
    import signal

    command = [sys.executable, "-c", "from pressopt.cli import main; main()", "twin", "serve", "--speed", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        urls = dict(process.stdout.readline().split(maxsplit=1) for _ in range(2))
        try:
            press = connect_press(load_profile("generic-plc-press-tcp"), ScaledClock(100.0), urls["press"].strip())
            assert press.read().state is PressState.IDLE
            press.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()  # else a failure would wait for it for ever
