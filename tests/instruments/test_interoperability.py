"""Twins and drivers against implementations that nobody here wrote.

pyModbusTCP, pymodbus, minimalmodbus, modbus-tk, pyvisa-py, pyserial's RFC 2217 server, and Debian's mbpoll
(libmodbus).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pressopt.clock import FastClock
from pressopt.errors import DeviceRefused, LinkVanished
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments import connect_analyzer, connect_press
from pressopt.instruments.line import open_line
from pressopt.instruments.link import Link
from pressopt.instruments.modbus import Framing, ModbusLink
from pressopt.pressing import Cell, Die, Layer, PressState, Role
from pressopt.profiles import load_profile
from pressopt.twin.face import face_of
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.modbus import Slave
from pressopt.twin.modbus_server import MachineBank, machine_slave
from pressopt.twin.scpi_analyzer_server import ScpiAnalyzerDevice
from pressopt.twin.scpi_server import ScpiMeter
from pressopt.twin.server import TwinServer
from pressopt.twin.wires import PtyPort, TcpPort

METAL = Layer("Li", Role.ELECTRODE, 100.0)
CELL = Cell((METAL, Layer("Li6PS5Cl", Role.ELECTROLYTE, 500.0), METAL), Die(10.0), 10.0)
PRESS, RTU = load_profile("generic-plc-press-tcp"), load_profile("generic-plc-press-rtu")
MODEL = 20557


@pytest.fixture
def bench() -> VirtualBench:
    """A press under 5 kN at rest in time."""
    clock = FastClock()
    bench = VirtualBench(CELL, seed=3, clock=clock)
    bench.set_force(5.0)
    bench.start()
    clock.sleep_s(60.0)
    return bench


class Nothing:
    """A register bank that is never asked."""

    def read(self, table: object, address: int, count: int) -> list[int]:
        return [0] * count

    def write(self, table: object, address: int, values: object) -> None: ...


class Shunt:
    """50 mΩ."""

    def dc_resistance_ohm(self) -> float:
        return 0.05


def newtons(high: int, low: int) -> int:
    number: int = struct.unpack(">i", struct.pack(">2H", high, low))[0]
    return number


# ---------------------------------------------------------------------- pyModbusTCP


def test_pymodbustcp_reads_and_drives_the_twin(bench: VirtualBench) -> None:
    """Model, force and interlocks are read; a set point is written, read back, and refused out of range."""
    client_module = pytest.importorskip("pyModbusTCP.client")
    with TwinServer(bench, {"press": PRESS}, FastClock()) as server:
        port: Any = server.ports["press"]
        client = client_module.ModbusClient(host="127.0.0.1", port=port.port, unit_id=1, timeout=20)
        assert client.read_input_registers(0, 1) == [MODEL]
        assert newtons(*client.read_input_registers(10, 2)) == pytest.approx(5000, abs=60)
        assert client.read_input_registers(18, 1)[0] & 0b111 == 0b111
        assert client.write_multiple_registers(100, [0, 2500]) is True
        assert client.read_holding_registers(100, 2) == [0, 2500]
        assert bench.plant().setpoint_kn == 2.5
        assert not client.write_multiple_registers(100, [1, 60000])
        assert client.last_except == 3
        assert client.write_single_coil(1, True) is True
        assert bench.plant().state == "release"
        assert not client.read_input_registers(900, 1)
        assert client.last_except == 2
        client.close()


def test_our_master_drives_pymodbustcp() -> None:
    """Every function that a profile can need, against a server of another make, with its exceptions."""
    server_module = pytest.importorskip("pyModbusTCP.server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    bank = server_module.DataBank(coils_size=100, d_inputs_size=100, h_regs_size=100, i_regs_size=100)
    server = server_module.ModbusServer(host="127.0.0.1", port=number, no_block=True, data_bank=bank)
    server.start()
    try:
        bank.set_input_registers(10, [0x0102, 0x0304])
        bank.set_discrete_inputs(3, [True, False, True])
        line = open_line(f"tcp://127.0.0.1:{number}")
        link = ModbusLink(Link(line, retries=1, silence_s=0.1), framing="tcp", unit=1, timeout_s=20)
        assert link.read_words("input", 10, 2) == [0x0102, 0x0304]
        assert link.read_bits("discrete", 3, 3) == [True, False, True]
        link.write_word(5, 4711)
        link.write_words(6, [1, 2, 3])
        assert link.read_words("holding", 5, 4) == [4711, 1, 2, 3]
        link.write_coil(7, True)
        link.write_coils(8, [False, True])
        assert link.read_bits("coil", 7, 3) == [True, False, True]
        with pytest.raises(Exception, match="exception 2"):
            link.read_words("holding", 99, 10)
        line.close()
    finally:
        server.stop()


# ---------------------------------------------------------------------- RTU over TCP


def test_pymodbus_reads_the_twin_over_rtu_over_tcp(bench: VirtualBench) -> None:
    """RTU frames through a serial device server: pymodbus is the master, the twin the slave."""
    client_module = pytest.importorskip("pymodbus.client")
    pymodbus = pytest.importorskip("pymodbus")
    slave, _ = machine_slave(bench, RTU)

    async def work(port: TcpPort) -> tuple[list[int], list[int]]:
        client = client_module.AsyncModbusTcpClient(
            "127.0.0.1", port=port.port, framer=pymodbus.FramerType.RTU, timeout=20
        )
        assert await client.connect()
        model = await client.read_input_registers(0, count=1, device_id=1)
        force = await client.read_input_registers(10, count=2, device_id=1)
        client.close()
        return list(model.registers), list(force.registers)

    with TcpPort(slave) as port:
        model, force = asyncio.run(work(port))
    assert model == [MODEL]
    assert newtons(*force) == pytest.approx(5000, abs=60)


def test_our_master_drives_pymodbus_over_rtu_over_tcp() -> None:
    """RTU frames through a serial device server: pymodbus is the slave, ours the master."""
    pytest.importorskip("pymodbus")
    from pymodbus import FramerType
    from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
    from pymodbus.server import ModbusTcpServer

    started = threading.Event()
    held: dict[str, Any] = {}

    async def serve() -> None:
        block = ModbusSequentialDataBlock(1, list(range(100, 150)))
        context = ModbusServerContext(ModbusDeviceContext(hr=block), single=True)
        server = held["server"] = ModbusTcpServer(context, framer=FramerType.RTU, address=("127.0.0.1", number))
        held["loop"] = asyncio.get_running_loop()
        await server.serve_forever(background=True)
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await held.setdefault("end", asyncio.Event()).wait()
        await server.shutdown()

    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(30)
        line = open_line(f"socket://127.0.0.1:{number}")
        link = ModbusLink(Link(line, retries=2, silence_s=0.2), framing="rtu", unit=1, timeout_s=20)
        assert link.read_words("holding", 5, 3) == [105, 106, 107]
        link.write_words(5, [7, 8])
        assert link.read_words("holding", 5, 3) == [7, 8, 107]
        line.close()
    finally:
        held["loop"].call_soon_threadsafe(held["end"].set)
        thread.join(30)


# ---------------------------------------------------------------------- minimalmodbus


def test_minimalmodbus_reads_the_twin_on_a_serial_line(bench: VirtualBench) -> None:
    """A second independent RTU master on a pseudo-terminal."""
    minimalmodbus = pytest.importorskip("minimalmodbus")
    slave, _ = machine_slave(bench, RTU)
    with PtyPort(slave) as port:
        instrument = minimalmodbus.Instrument(port.url, 1)
        instrument.serial.baudrate, instrument.serial.timeout = 115200, 20
        assert instrument.read_register(0, functioncode=4) == MODEL
        assert instrument.read_long(10, functioncode=4, signed=True) == pytest.approx(5000, abs=60)
        instrument.write_long(100, 1500, signed=True)
        assert instrument.read_long(100, signed=True) == 1500
        instrument.serial.close()


def test_minimalmodbus_reads_the_twin_over_rtu_over_tcp(bench: VirtualBench) -> None:
    """A second independent RTU master, through a serial device server."""
    minimalmodbus = pytest.importorskip("minimalmodbus")
    import serial

    slave, _ = machine_slave(bench, RTU)
    with TcpPort(slave) as port, serial.serial_for_url(f"socket://127.0.0.1:{port.port}", timeout=20) as line:
        instrument = minimalmodbus.Instrument(line, 1)
        assert instrument.read_register(0, functioncode=4) == MODEL
        assert instrument.read_long(10, functioncode=4, signed=True) == pytest.approx(5000, abs=60)


# ---------------------------------------------------------------------- modbus-tk: a second stack that serves RTU


def _copied(left: int, right: int, stopping: threading.Event) -> None:
    """Carry bytes both ways between two descriptors: a null modem, or a serial device server."""
    while not stopping.is_set():
        for ready in select.select([left, right], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):
                data = os.read(ready, 512)
                if not data:
                    return
                os.write(right if ready == left else left, data)


@contextmanager
def modbus_tk_server(wire: str) -> Iterator[str]:
    """modbus-tk serves holding registers 0 to 49 (100, 101, ...) of unit 1 over RTU; yields where, by ``wire``."""
    pytest.importorskip("modbus_tk")
    import serial
    from modbus_tk import defines, modbus_rtu

    near, near_slave = os.openpty()
    far, far_slave = os.openpty()
    for descriptor in (near, near_slave, far, far_slave):
        tty.setraw(descriptor)
    line = serial.Serial(os.ttyname(far_slave), baudrate=115200)
    server = modbus_rtu.RtuServer(line)
    block = server.add_slave(1)
    block.add_block("registers", defines.HOLDING_REGISTERS, 0, 50)
    block.set_values("registers", 0, list(range(100, 150)))
    server.start()
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            if wire == "serial line":
                _copied(near, far, stopping)
                return
            listener.settimeout(20)
            connection, _ = listener.accept()
            with connection:
                _copied(connection.fileno(), far, stopping)

        carrier = threading.Thread(target=serve)
        carrier.start()
        try:
            is_serial = wire == "serial line"
            yield os.ttyname(near_slave) if is_serial else f"socket://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopping.set()
            carrier.join(30)
            server.stop()
            line.close()
            for descriptor in (near, near_slave, far, far_slave):
                os.close(descriptor)


@pytest.mark.filterwarnings("ignore:(set(Daemon|Name)|isSet):DeprecationWarning")  # modbus-tk 1.1.5 calls them
@pytest.mark.parametrize("wire", ["serial line", "serial device server"])
def test_our_master_drives_modbus_tk(wire: str) -> None:
    """A second slave that nobody here wrote, over RTU and over RTU through TCP: reads, writes and a refusal."""
    with modbus_tk_server(wire) as url:
        line = open_line(url, baud=115200)
        link = ModbusLink(Link(line, retries=2, silence_s=0.2), framing="rtu", unit=1, timeout_s=20)
        assert link.read_words("holding", 5, 3) == [105, 106, 107]
        link.write_words(5, [7, 8])
        link.write_word(7, 9)
        assert link.read_words("holding", 5, 3) == [7, 8, 9]
        with pytest.raises(DeviceRefused):
            link.read_words("holding", 200, 1)
        line.close()


# ---------------------------------------------------------------------- mbpoll

needs_mbpoll = pytest.mark.skipif(
    shutil.which("mbpoll") is None, reason="mbpoll is not installed (apt-get install mbpoll)"
)


def mbpoll(*arguments: str) -> dict[int, int]:
    """Run Debian's mbpoll once and return what it read, by its own numbers (from 1)."""
    done = subprocess.run(
        ["mbpoll", "-1", "-q", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^\[(\d+)\]:\s+(-?\d+)", done.stdout, re.MULTILINE)
    return {int(number): int(value) for number, value in found}


@needs_mbpoll
def test_mbpoll_reads_and_writes_the_twin_over_tcp(bench: VirtualBench) -> None:
    """The manual's numbers begin at 1: input register 1 is address 0."""
    with TwinServer(bench, {"press": PRESS}, FastClock()) as server:
        port: Any = server.ports["press"]
        where = ("-m", "tcp", "-p", str(port.port), "-a", "1", "-o", "10")
        assert mbpoll(*where, "-t", "3", "-r", "1", "-c", "1", "127.0.0.1") == {1: MODEL}
        force = mbpoll(*where, "-t", "3:int", "-B", "-r", "11", "-c", "1", "127.0.0.1")
        assert force[11] == pytest.approx(5000, abs=60)
        subprocess.run(
            ["mbpoll", "-1", "-q", *where, "-t", "4", "-r", "105", "127.0.0.1", "800"],
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        assert bench.plant().setpoint_c == 80.0


@needs_mbpoll
def test_mbpoll_reads_the_twin_on_a_serial_line(bench: VirtualBench) -> None:
    """libmodbus as RTU master on a pseudo-terminal."""
    slave, _ = machine_slave(bench, RTU)
    with PtyPort(slave) as port:
        read = mbpoll("-m", "rtu", "-b", "115200", "-P", "none", "-a", "1", "-o", "10",
                      "-t", "3", "-r", "1", "-c", "1", port.url)  # fmt: skip
    assert read == {1: MODEL}


# ---------------------------------------------------------------------- pyvisa-py


@contextmanager
def visa(resource: str, end: str) -> Iterator[Any]:
    """A pyvisa resource of the pure Python backend."""
    pyvisa = pytest.importorskip("pyvisa")
    pytest.importorskip("pyvisa_py")
    manager = pyvisa.ResourceManager("@py")
    device = manager.open_resource(resource, read_termination=end, write_termination=end, timeout=20000)
    try:
        yield device
    finally:
        device.close()
        manager.close()


@pytest.mark.filterwarnings("ignore::Warning")  # of the library's own: it looks for USB and GPIB
@pytest.mark.parametrize("name", ["generic-scpi-milliohm-meter", "keysight-e4980a", "hioki-im3590"])
@pytest.mark.parametrize("kind", [TcpPort, PtyPort])
def test_pyvisa_talks_to_the_scpi_twins(
    bench: VirtualBench, name: str, kind: type[TcpPort] | type[PtyPort]
) -> None:
    """Identity, a reading and the error queue through a VISA of another make, on a socket and a serial line."""
    profile = load_profile(name)
    clock = FastClock()
    bench.stop()
    device = _scpi_twin(bench, clock, name)
    with kind(device) as port:
        is_tcp = isinstance(port, TcpPort)
        resource = f"TCPIP::127.0.0.1::{port.port}::SOCKET" if is_tcp else f"ASRL{port.url}::INSTR"  # type: ignore[union-attr]
        with visa(resource, profile.link.terminator if profile.analyzer else "\n") as meter:
            assert re.search(profile.identity.answers, meter.query("*IDN?"))
            if profile.meter is not None:
                assert float(meter.query(":MEASure:FRESistance?")) == 0.05
                assert meter.query(":SYSTem:ERRor?").startswith("0,")
                return
            assert profile.analyzer is not None
            assert profile.analyzer.scpi is not None
            scpi = profile.analyzer.scpi
            for command in (*scpi.setup, ":FREQ:CW 1e5" if "keysight" in name else ":FREQuency 100000"):
                meter.write(command)
            meter.write(scpi.trigger)
            meter.query("*IDN?")
            clock.sleep_s(1.0)
            fields = [float(word) for word in meter.query(scpi.ask_point).split(",")]
            assert 0 < abs(fields[0]) < 1e6
            meter.write("NONSENSE")
            assert not meter.query(scpi.ask_error).startswith(("+0", "0"))


def _scpi_twin(bench: VirtualBench, clock: FastClock, name: str) -> Any:
    profile = load_profile(name)
    return ScpiMeter(Shunt()) if profile.meter is not None else ScpiAnalyzerDevice(bench, clock, profile)


# ---------------------------------------------------------------------- RFC 2217


class PlainPort:
    """The port of a device server, as far as pyserial's manager uses it: a pseudo-terminal has no modem lines."""

    baudrate, bytesize, parity, stopbits, timeout = 9600, 8, "N", 1, 0
    rtscts = xonxoff = dsrdtr = rts = dtr = break_condition = False
    cts = dsr = cd = True
    ri = False

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def read(self, limit: int) -> bytes:
        try:
            return os.read(self._descriptor, limit)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        os.write(self._descriptor, data)

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None: ...

    def close(self) -> None:
        os.close(self._descriptor)


@contextmanager
def rfc2217_server(path: str) -> Iterator[str]:
    """A serial device server: pyserial's own RFC 2217 manager before a pseudo-terminal."""
    rfc2217 = pytest.importorskip("serial.rfc2217")
    port = PlainPort(path)
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    class Peer:
        def __init__(self, connection: socket.socket) -> None:
            self.connection = connection
            self.lock = threading.Lock()

        def write(self, data: bytes) -> None:
            with self.lock, contextlib.suppress(OSError):
                self.connection.sendall(data)

    def serve() -> None:
        listener.settimeout(0.1)
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(0.005)
                peer = Peer(connection)
                manager = rfc2217.PortManager(port, peer)
                while not stopping.is_set():
                    try:
                        data = connection.recv(1024)
                        if not data:
                            break
                        port.write(b"".join(manager.filter(data)))
                    except TimeoutError:
                        pass
                    except OSError:
                        break
                    got = port.read(1024)
                    if got:
                        peer.write(b"".join(manager.escape(got)))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"rfc2217://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        thread.join(30)
        listener.close()
        port.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial 3.5 calls them
def test_a_press_is_driven_through_an_rfc2217_server(tmp_path: Path) -> None:
    """Telnet options and all: identity, a command and the reading after it."""
    clock = FastClock()
    virtual = VirtualBench(CELL, seed=3, clock=clock)
    profile = load_profile("generic-line-press")
    with TwinServer(virtual, {"press": profile}, clock) as server, rfc2217_server(server.urls["press"]) as url:
        press = connect_press(profile, clock, url)
        press.command(force_kn=2.0, ramp_kn_s=1.0, temperature_c=25.0)
        clock.sleep_s(30.0)
        reading = press.read()
        assert (reading.state, round(reading.force_kn, 1)) == (PressState.HOLD, 2.0)
        press.make_safe()
        press.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
def test_a_device_server_that_goes_away_has_vanished() -> None:
    """A closed connection is told as such, and not as a device that does not answer."""
    with PtyPort(Slave(Nothing(), unit=1, rtu=True)) as port:
        with rfc2217_server(port.url) as url:
            line = open_line(url)
            assert line.read(10, timeout_s=0.0) == b""
        with pytest.raises(LinkVanished):
            line.drain(silence_s=60.0, limit_s=60.0)  # reads until it was silent, or gone
        assert not line.is_open


# ---------------------------------------------------------------------- by identity, not by name


def test_a_serial_analyzer_is_found_by_its_lasting_name(tmp_path: Path) -> None:
    """A link like /dev/serial/by-id is followed, and the port is owned by one process alone."""
    clock = FastClock()
    bench = VirtualBench(CELL, seed=3, clock=clock)
    bench.load_cell(1)
    name = "generic-methodscript-analyzer"
    with TwinServer(bench, {"analyzer": load_profile(name)}, clock, links=tmp_path) as server:
        url = server.urls["analyzer"]
        assert Path(url).is_symlink()
        analyzer = connect_analyzer(name, clock, url)
        with pytest.raises(Exception, match="has it open"):
            connect_analyzer(name, clock, url)
        assert analyzer.measure(Sweep(1e5, 1e4, 2)).good.all()
        analyzer.close()


def test_a_unit_that_is_not_addressed_is_silent(bench: VirtualBench) -> None:
    """A slave answers its own number only: what another master asks of unit 9 stays unanswered."""
    bank = MachineBank(face_of(bench, RTU))
    framing: Framing = "rtu"
    with PtyPort(Slave(bank, unit=3, rtu=True)) as port:
        line = open_line(port.url)
        link = Link(line, retries=0, silence_s=0.1)
        with pytest.raises(TimeoutError):
            ModbusLink(link, framing=framing, unit=9, timeout_s=0.3).read_words("input", 0, 1)
        assert ModbusLink(link, framing=framing, unit=3, timeout_s=20).read_words("input", 0, 1) == [MODEL]
        line.close()
