"""The twin's Modbus slave against the specification's bytes and against a master that nobody here wrote."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.clock import wall_pause_s
from pressopt.twin.faults import Fault, LineFaults
from pressopt.twin.modbus import FRAME_GAP_S, ExceptionCode, Refusal, Slave, Table, crc16
from pressopt.twin.wires import PtyPort, TcpPort


class PlainBank:
    """A hundred of everything; 90 is out of reach, 40 must not be written."""

    def __init__(self) -> None:
        self.tables = {table: [0] * 100 for table in Table}

    def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        if address + count > 100 or address <= 90 < address + count:
            raise Refusal(ExceptionCode.ILLEGAL_ADDRESS)
        return self.tables[table][address : address + count]

    def write(self, table: Table, address: int, values: Sequence[int]) -> None:
        self.read(table, address, len(values))
        if address <= 40 < address + len(values):
            raise Refusal(ExceptionCode.DEVICE_FAILURE)
        self.tables[table][address : address + len(values)] = list(values)


@pytest.fixture
def bank() -> PlainBank:
    bank = PlainBank()
    bank.tables[Table.HOLDING][0x6B - 0x60 : 0x6E - 0x60] = [0x022B, 0x0000, 0x0064]
    return bank


def ask(slave: Slave, frame: bytes) -> bytes:
    """What the slave sends for these bytes, without a wire."""
    sent: list[bytes] = []
    slave.converse(sent.append).receive(frame)
    return b"".join(sent)


def rtu(body: str) -> bytes:
    return bytes.fromhex(body) + crc16(bytes.fromhex(body))


def test_the_checksum_is_the_one_of_the_specification() -> None:
    """The example of the serial line specification (slave 2, function 7) has the checksum 41 12."""
    assert crc16(bytes.fromhex("0207")) == bytes.fromhex("4112")


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("01 03 000B 0003", "01 03 06 022B 0000 0064"),  # the specification's example, 0x60 lower
        ("01 01 0000 000A", "01 01 02 0000"),
        ("01 06 0001 0003", "01 06 0001 0003"),
        ("01 10 0001 0002 04 000A 0102", "01 10 0001 0002"),
        ("01 05 0014 FF00", "01 05 0014 FF00"),
        ("01 0F 0014 000A 02 CD01", "01 0F 0014 000A"),
        ("01 03 005A 0001", "01 83 02"),  # no such register
        ("01 03 0000 007E", "01 83 03"),  # 126 registers are one too many
        ("01 05 0014 1234", "01 85 03"),  # neither on nor off
        ("01 06 0028 0001", "01 86 04"),  # the machine refuses
        ("01 10 0001 0002 02 000A", "01 90 03"),  # announced two words, sent one
        ("01 2B 0E01 0000", "01 AB 01"),  # a function it lacks
        ("01 07", "01 87 01"),
        ("02 03 000B 0003", ""),  # for another slave
        ("00 06 0001 0003", ""),  # broadcast: obeyed in silence
    ],
)
def test_requests_are_answered_byte_for_byte(bank: PlainBank, request_hex: str, reply_hex: str) -> None:
    """Each request over RTU gets exactly the reply that the specification lays down."""
    reply = ask(Slave(bank, unit=1, rtu=True), rtu(request_hex))
    assert reply == (rtu(reply_hex) if reply_hex else b"")


def test_a_damaged_request_is_not_answered_and_spoils_only_itself(bank: PlainBank) -> None:
    """After a wrong checksum the slave keeps silent, and answers the next request once the line was quiet."""
    sent: list[bytes] = []
    conversation = Slave(bank, unit=1, rtu=True).converse(sent.append)
    good = rtu("01 03 000B 0003")
    conversation.receive(good[:-1] + b"\x00")
    conversation.receive(good)
    assert sent == []
    wall_pause_s(1.5 * FRAME_GAP_S)
    conversation.receive(good)
    assert len(sent) == 1


@given(cuts=st.lists(st.integers(1, 7), max_size=7), rtu_frames=st.booleans())
def test_requests_may_arrive_in_any_pieces(cuts: list[int], rtu_frames: bool) -> None:
    """However the wire cuts two requests, both are answered, in order."""
    bank = PlainBank()
    bank.tables[Table.HOLDING][1:3] = [7, 8]
    slave = Slave(bank, unit=1, rtu=rtu_frames)
    if rtu_frames:
        stream = rtu("01 03 0001 0001") + rtu("01 03 0002 0001")
        wanted = rtu("01 03 02 0007") + rtu("01 03 02 0008")
    else:
        stream = bytes.fromhex("0001 0000 0006 01 03 0001 0001 0002 0000 0006 01 03 0002 0001")
        wanted = bytes.fromhex("0001 0000 0005 01 03 02 0007 0002 0000 0005 01 03 02 0008")
    sent: list[bytes] = []
    conversation = slave.converse(sent.append)
    start = 0
    for cut in [*cuts, len(stream)]:
        conversation.receive(stream[start : start + cut])
        start += cut
    assert b"".join(sent) == wanted


@given(st.binary(max_size=300))
def test_no_bytes_from_a_stranger_upset_a_slave(noise: bytes) -> None:
    """Random bytes never raise, over RTU and over TCP."""
    for rtu_frames in (True, False):
        ask(Slave(PlainBank(), unit=1, rtu=rtu_frames), noise)


def test_a_device_can_be_told_to_refuse_and_to_fall_silent(bank: PlainBank) -> None:
    """Forced exception codes come as often as asked; a deaf device answers nothing."""
    slave = Slave(bank, unit=1, rtu=True)
    slave.refuse_next(ExceptionCode.DEVICE_BUSY, times=2)
    replies = [ask(slave, rtu("01 03 000B 0001")) for _ in range(3)]
    assert replies == [rtu("01 83 06"), rtu("01 83 06"), rtu("01 03 02 022B")]
    slave.deaf = True
    assert ask(slave, rtu("01 03 000B 0001")) == b""


def test_a_wrong_unit_and_a_wrong_protocol_get_no_answer_over_tcp(bank: PlainBank) -> None:
    """Over TCP the slave answers for its own number, 0 and 255, and only to Modbus."""
    slave = Slave(bank, unit=5, rtu=False)
    replies = [ask(slave, bytes.fromhex(f"0001 0000 0006 {unit:02x} 03 0001 0001")) for unit in (5, 0, 255, 6)]
    assert [bool(reply) for reply in replies] == [True, True, True, False]
    assert ask(slave, bytes.fromhex("0001 0001 0006 05 03 0001 0001")) == b""


Session = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["tcp", "rtu"])
def with_pymodbus(request: pytest.FixtureRequest, bank: PlainBank) -> Iterator[Session]:
    """Run a coroutine with a pymodbus client that is connected to the slave over a real wire."""
    pymodbus = pytest.importorskip("pymodbus.client")
    slave = Slave(bank, unit=1, rtu=request.param == "rtu")
    port = PtyPort(slave) if request.param == "rtu" else TcpPort(slave)
    with port:

        def session(work: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
            async def whole() -> None:
                if isinstance(port, TcpPort):
                    client = pymodbus.AsyncModbusTcpClient(port.host, port=port.port, timeout=2)
                else:
                    client = pymodbus.AsyncModbusSerialClient(port.url, baudrate=115200, timeout=2)
                assert await client.connect()
                try:
                    await work(client)
                finally:
                    client.close()

            asyncio.run(whole())

        yield session


def test_pymodbus_reads_and_writes_every_table(with_pymodbus: Session, bank: PlainBank) -> None:
    """An independent master reads and writes bits, words and a float, over TCP and over RTU."""

    async def work(client: Any) -> None:
        assert (await client.write_coil(20, True, device_id=1)).isError() is False
        await client.write_coils(21, [True, False, True], device_id=1)
        assert (await client.read_coils(20, count=4, device_id=1)).bits[:4] == [True, True, False, True]
        await client.write_register(50, 0xBEEF, device_id=1)
        words = client.convert_to_registers(2.5, client.DATATYPE.FLOAT32)
        await client.write_registers(51, words, device_id=1)
        read = (await client.read_holding_registers(50, count=3, device_id=1)).registers
        assert read[0] == 0xBEEF
        assert client.convert_from_registers(read[1:], client.DATATYPE.FLOAT32) == 2.5
        bank.tables[Table.INPUT][3] = 0x8003
        assert (await client.read_input_registers(3, count=1, device_id=1)).registers == [0x8003]
        bank.tables[Table.DISCRETE][2] = 1
        assert (await client.read_discrete_inputs(2, count=1, device_id=1)).bits[0] is True

    with_pymodbus(work)


def test_pymodbus_understands_our_refusals(with_pymodbus: Session) -> None:
    """An independent master reads the exception codes 2, 3 and 4 as what they are."""

    async def work(client: Any) -> None:
        assert (await client.read_holding_registers(90, count=1, device_id=1)).exception_code == 2
        assert (await client.read_holding_registers(0, count=125, device_id=1)).exception_code == 2
        assert (await client.write_register(40, 1, device_id=1)).exception_code == 4

    with_pymodbus(work)


def test_minimalmodbus_reads_and_writes_over_a_serial_line(bank: PlainBank) -> None:
    """A second independent master, which checks lengths and checksums strictly, agrees with the slave."""
    minimalmodbus = pytest.importorskip("minimalmodbus")
    with PtyPort(Slave(bank, unit=7, rtu=True)) as port:
        master = minimalmodbus.Instrument(port.url, 7, close_port_after_each_call=False)
        try:
            master.serial.timeout = 1.0
            master.write_long(50, -123456, signed=True)
            assert master.read_long(50, signed=True) == -123456
            master.write_float(52, 0.25)
            assert master.read_float(52) == 0.25
            master.write_bit(3, 1)
            assert master.read_bit(3, functioncode=1) == 1
            with pytest.raises(minimalmodbus.IllegalRequestError):
                master.read_register(90)
        finally:
            master.serial.close()


def test_line_faults_reach_the_master_as_damage(bank: PlainBank) -> None:
    """Over a socket each kind of damage shows in the bytes, and the next reply is whole again."""
    faults = LineFaults(seed=3, delay_s=0.05)
    with TcpPort(Slave(bank, unit=1, rtu=False), faults=faults) as port:
        request = bytes.fromhex("0001 0000 0006 01 03 000B 0001")
        whole = bytes.fromhex("0001 0000 0005 01 03 02 022B")

        def exchange() -> bytes:
            with socket.create_connection((port.host, port.port), timeout=0.3) as connection:
                connection.sendall(request)
                got = b""
                try:
                    while len(got) < len(whole):
                        got += connection.recv(100)
                except TimeoutError:
                    pass
                return got

        assert exchange() == whole
        faults.plan(Fault.DROP)
        assert exchange() == b""
        faults.plan(Fault.HALF)
        assert exchange() == whole[: len(whole) // 2]
        faults.plan(Fault.CORRUPT)
        damaged = exchange()
        assert sum((a ^ b).bit_count() for a, b in zip(damaged, whole, strict=True)) == 1
        faults.plan(Fault.NOISE)
        assert exchange() != whole
        faults.plan(Fault.TRICKLE)
        assert exchange() == whole
        faults.plan(Fault.DELAY)
        assert exchange() == whole
        faults.plan(Fault.DEAF)
        assert exchange() == b""
        faults.plan(Fault.ECHO)
        assert exchange().startswith(request[: len(whole)])
        assert exchange() == whole
        assert sum(faults.injected.values()) == 8


def test_word_values_are_big_endian_on_the_wire(bank: PlainBank) -> None:
    """0x1234 in a register travels as 12 34."""
    bank.tables[Table.HOLDING][60] = 0x1234
    reply = ask(Slave(bank, unit=1, rtu=True), rtu("01 03 003C 0001"))
    assert reply[3:5] == struct.pack(">H", 0x1234)
