"""Every shipped temperature controller and load indicator, driven against the twin of its own profile."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pressopt.clock import FastClock
from pressopt.errors import LimitError, LinkTimeout, ReplyError
from pressopt.instruments import connect_indicator
from pressopt.instruments.device import connect, machine_of
from pressopt.instruments.joined import JoinedDevice
from pressopt.instruments.link import Link
from pressopt.instruments.registers import decode, encode
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.profiles import Register, load_profile, shipped_profiles
from pressopt.twin.face import face_of
from pressopt.twin.faults import Fault
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.modbus import SharedLine
from pressopt.twin.modbus_server import machine_slave
from pressopt.twin.server import TwinServer
from pressopt.twin.wires import PtyPort

METAL = Layer("Li", Role.ELECTRODE, 100.0)
CELL = Cell((METAL, Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0), METAL), Die(10.0), 10.0)
HEATERS = [name for name in shipped_profiles() if load_profile(name).kind == "temperature-controller"]
INDICATORS = [name for name in shipped_profiles() if load_profile(name).kind == "force-indicator"]


@contextmanager
def served(name: str, links: Path) -> Iterator[tuple[TwinServer, FastClock]]:
    clock = FastClock()
    bench = VirtualBench(CELL, seed=3, clock=clock)
    with TwinServer(bench, {"device": load_profile(name)}, clock, links=links) as server:
        yield server, clock


def test_the_five_panel_controllers_are_shipped() -> None:
    """Eurotherm, Omron, Watlow, Delta and Pixsys."""
    assert HEATERS == ["delta-dtb", "eurotherm-3216", "omron-e5cc", "pixsys-atr141", "watlow-ez-zone-pm"]


@pytest.mark.parametrize("name", HEATERS)
def test_a_controller_heats_and_shows_it(name: str, tmp_path: Path) -> None:
    """Set point and temperature agree in °C, whatever unit, type and word order are on the wire."""
    with served(name, tmp_path) as (server, clock):
        heater = connect(name, clock, server.urls["device"], kind="temperature-controller")
        assert heater.act("set_temperature_c", 80.0) == pytest.approx(80.0, abs=0.01)
        clock.sleep_s(600.0)
        seen = heater.look(("temperature_c", "setpoint_c"))
        assert seen["setpoint_c"].value == pytest.approx(80.0, abs=0.06)
        assert seen["temperature_c"].value == pytest.approx(80.0, abs=0.6)
        with pytest.raises(LimitError):
            heater.act("set_temperature_c", 201.0)
        assert heater.look(("setpoint_c",))["setpoint_c"].value == pytest.approx(80.0, abs=0.06)
        heater.close()


def test_a_sensor_code_of_the_delta_is_no_temperature(tmp_path: Path) -> None:
    """8003h is an open sensor, not 3277.1 degrees."""
    with served("delta-dtb", tmp_path) as (server, clock):
        server.faces["device"].faults.frozen["temperature_c"] = 0x8003
        heater = connect("delta-dtb", clock, server.urls["device"], kind="temperature-controller")
        seen = heater.look(("temperature_c",))["temperature_c"]
        assert (math.isnan(seen.value), seen.trouble) == (True, "sensor open")
        heater.close()


def test_five_controllers_share_one_line() -> None:
    """Five makes on one RS-485 line, each with its unit: each gets its own set point and no other's."""
    clock = FastClock()
    bench = VirtualBench(CELL, seed=3, clock=clock)
    profiles = {unit: load_profile(name) for unit, name in enumerate(HEATERS, start=1)}
    slaves = []
    for unit, profile in profiles.items():
        slave, _ = machine_slave(bench, profile, face_of(bench, profile, name=str(unit)))
        slave.unit = unit
        slaves.append(slave)
    with PtyPort(SharedLine(slaves)) as port:
        shared: dict[str, Link] = {}
        heaters = {
            unit: machine_of(
                replace(profile, link=replace(profile.link, unit=unit)), clock, port.url, shared=shared
            )
            for unit, profile in profiles.items()
        }
        assert len(shared) == 1
        for unit, heater in heaters.items():
            heater.ready()
            heater.act("set_temperature_c", 50.0 + 10 * unit)
        for unit, heater in heaters.items():
            assert heater.look(("setpoint_c",))["setpoint_c"].value == pytest.approx(50.0 + 10 * unit, abs=0.06)
        slaves[2].deaf = True  # one that is switched off does not take the answers of the others
        with pytest.raises(LinkTimeout):
            heaters[3].look(("setpoint_c",))
        assert heaters[4].look(("setpoint_c",))["setpoint_c"].value == pytest.approx(90.0, abs=0.06)
        for heater in heaters.values():
            heater.close()


def test_a_late_answer_of_one_heater_is_never_the_others(tmp_path: Path) -> None:
    """On one RS-485 line the silence after a failure belongs to the line, not to the device that failed."""
    clock = FastClock()
    bench = VirtualBench(CELL, seed=3, clock=clock)
    profile = load_profile("generic-joined-press")
    with TwinServer(bench, {"press": profile}, clock, links=tmp_path) as server:
        press = connect("generic-joined-press", clock, server.urls["press"], kind="press")
        assert isinstance(press, JoinedDevice)
        top, bottom = press.parts["top"], press.parts["bottom"]
        top.act("set_temperature_c", 60.0)
        bottom.act("set_temperature_c", 90.0)
        faults = server.ports["press.top"].faults
        faults.delay_s = 0.55  # longer than the time-out of 0.5 s, shorter than the silence
        for _ in range(3):
            faults.plan(Fault.DELAY)
            assert top.look(("setpoint_c",))["setpoint_c"].value == 60.0
            assert bottom.look(("setpoint_c",))["setpoint_c"].value == 90.0
        assert top.links[0].counters.thrown_away_bytes > 0
        press.close()


@pytest.mark.parametrize("name", INDICATORS)
def test_an_indicator_shows_the_force_of_the_press(name: str, tmp_path: Path) -> None:
    """Kilograms in two registers or newtons in a line of text: the same kN, with its standard deviation."""
    with served(name, tmp_path) as (server, clock):
        bench = server.bench
        bench.set_force(1.2)
        bench.set_ramp(1.0)
        bench.start()
        clock.sleep_s(60.0)
        indicator = connect_indicator(name, clock, server.urls["device"])
        reading = indicator.read()
        assert reading.force_kn == pytest.approx(1.2, abs=0.03)
        assert 0 < reading.sd_kn < 0.05
        assert not reading.overload
        indicator.close()


@pytest.mark.parametrize("said", ["0.28 lbF", "1.2345", "-- N", ""])
def test_a_gauge_in_another_unit_is_not_believed(said: str, tmp_path: Path) -> None:
    """A gauge that somebody switched to lbF does not fit the template and is refused, not taken for newtons."""
    with served("mark10-series5-indicator", tmp_path) as (server, clock):
        indicator = connect_indicator("mark10-series5-indicator", clock, server.urls["device"])
        server.texts["device"].text_faults.says["?C"] = said
        with pytest.raises(ReplyError, match="other units"):
            indicator.read()
        indicator.close()


def test_a_line_that_was_damaged_is_asked_for_again(tmp_path: Path) -> None:
    """A late, halved or lost answer is never credited to the next question."""
    with served("mark10-esm303", tmp_path) as (server, clock):
        indicator = connect_indicator("mark10-esm303", clock, server.urls["device"])
        for fault in (Fault.DROP, Fault.HALF, Fault.DELAY):
            server.ports["device"].faults.plan(fault)
            reading = indicator.read()
            assert reading.force_kn == pytest.approx(0.0, abs=0.02)
            assert reading.position_mm == pytest.approx(20.0, abs=0.1)
        indicator.close()


@pytest.mark.parametrize(
    ("order", "data"),
    [
        ("high-first", "0102 0304"),  # ABCD
        ("low-first", "0304 0102"),  # CDAB
        ("high-first-swapped", "0201 0403"),  # BADC
        ("low-first-swapped", "0403 0201"),  # DCBA
    ],
)
def test_four_orders_of_two_words(order: str, data: str) -> None:
    """The bytes 01 02 03 04 in each order that devices use, both ways."""
    at = Register("holding", 0, "uint32")
    words = list(struct.unpack(">2H", bytes.fromhex(data)))
    assert decode(at, words, order) == 0x01020304
    assert encode(at, 0x01020304, order) == words


@pytest.mark.parametrize(
    ("kind", "number"), [("int64", -(2**40)), ("uint64", 2**63), ("float64", -1234.5), ("float32", 0.5)]
)
def test_long_types_survive_every_order(kind: str, number: float) -> None:
    """What is encoded is decoded, in each order."""
    at = Register("holding", 0, kind)  # type: ignore[arg-type]
    for order in ("high-first", "low-first", "high-first-swapped", "low-first-swapped"):
        assert decode(at, encode(at, number, order), order) == number
