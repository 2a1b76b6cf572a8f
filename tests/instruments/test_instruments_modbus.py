"""The Modbus engine: bytes from the specification, every way a reply can be wrong, and peers written by others."""

from __future__ import annotations

import asyncio
import os
import select
import struct
import threading
import tty
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.clock import wall_monotonic_s, wall_pause_s
from pressopt.errors import (
    ChecksumError,
    DeviceBusy,
    DeviceError,
    DeviceFault,
    DeviceRefused,
    LinkTimeout,
    LinkVanished,
    NoiseError,
    PressoptError,
    ReplyError,
    ShortReply,
)
from pressopt.instruments.line import Line, open_line
from pressopt.instruments.link import Link
from pressopt.instruments.modbus import Framing, ModbusLink, crc16, frame_gap_s
from pressopt.instruments.registers import Block, decode, encode, plan_blocks
from pressopt.profiles import Register

SILENCE_S = 0.08
TIMEOUT_S = 0.05


class ScriptedLine:
    """A line whose far end follows a script: for each write, the chunks that come back."""

    def __init__(self, *replies: Sequence[bytes]) -> None:
        self.name, self.is_open = "script", True
        self.replies = list(replies)
        self.written: list[bytes] = []
        self.waiting: list[bytes] = []
        self.drained = 0

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.waiting += list(self.replies.pop(0)) if self.replies else []

    def read(self, limit: int, *, timeout_s: float) -> bytes:
        del timeout_s
        return self.waiting.pop(0)[:limit] if self.waiting else b""

    def drain(self, *, silence_s: float, limit_s: float) -> bytes:
        del silence_s, limit_s
        self.drained += 1
        thrown, self.waiting = b"".join(self.waiting), []
        return thrown


def over(line: Line, framing: Framing = "rtu", *, retries: int = 0, unit: int = 17) -> ModbusLink:
    return ModbusLink(
        Link(line, retries=retries, silence_s=SILENCE_S), framing=framing, unit=unit, timeout_s=TIMEOUT_S
    )


def framed(hexadecimal: str) -> bytes:
    data = bytes.fromhex(hexadecimal)
    return data + crc16(data)


# ---------------------------------------------------------------------- bytes of the specification


def test_crc_of_a_known_frame() -> None:
    """The CRC of 02 07 is 41 12 on the wire (Modbus over Serial Line V1.02, appendix B)."""
    assert crc16(b"\x02\x07") == b"\x41\x12"


TRANSCRIPTS = [
    # call, question, answer (examples of the Application Protocol Specification V1.1b3, 6.1 to 6.12), result
    (lambda m: m.read_bits("coil", 0x13, 19), "01 0013 0013", "01 03 CD6B05",
     [c == "1" for c in "1011001111010110101"]),
    (lambda m: m.read_bits("discrete", 0xC4, 22), "02 00C4 0016", "02 03 ACDB35",
     [c == "1" for c in "0011010111011011101011"]),
    (lambda m: m.read_words("holding", 0x6B, 3), "03 006B 0003", "03 06 022B 0000 0064", [555, 0, 100]),
    (lambda m: m.read_words("input", 8, 1), "04 0008 0001", "04 02 000A", [10]),
    (lambda m: m.write_coil(0xAC, True), "05 00AC FF00", "05 00AC FF00", None),
    (lambda m: m.write_word(1, 3), "06 0001 0003", "06 0001 0003", None),
    (lambda m: m.write_coils(0x13, [c == "1" for c in "1011001110"]),
     "0F 0013 000A 02 CD01", "0F 0013 000A", None),
    (lambda m: m.write_words(1, [10, 258]), "10 0001 0002 04 000A 0102", "10 0001 0002", None),
]  # fmt: skip


@pytest.mark.parametrize(("call", "question", "answer", "result"), TRANSCRIPTS)
def test_rtu_frames_are_those_of_the_specification(call: Any, question: str, answer: str, result: object) -> None:
    """Each function sends the specification's bytes and understands its answer."""
    line = ScriptedLine([framed("11" + answer)])
    assert call(over(line)) == result
    assert line.written == [framed("11" + question)]


@pytest.mark.parametrize(("call", "question", "answer", "result"), TRANSCRIPTS)
def test_tcp_frames_are_those_of_the_specification(call: Any, question: str, answer: str, result: object) -> None:
    """The same PDUs behind an MBAP header with the transaction's number."""
    asked, told = bytes.fromhex(question), bytes.fromhex(answer)
    line = ScriptedLine([struct.pack(">HHHB", 1, 0, len(told) + 1, 17) + told])
    assert call(over(line, "tcp")) == result
    assert line.written == [struct.pack(">HHHB", 1, 0, len(asked) + 1, 17) + asked]


def test_a_reply_byte_by_byte_is_a_reply() -> None:
    """Gaps inside a frame do not matter within the time-out."""
    reply = framed("11 03 02 00 6F")
    assert over(ScriptedLine([reply[i : i + 1] for i in range(len(reply))])).read_words("holding", 0, 1) == [111]


# ---------------------------------------------------------------------- what can be wrong

GOOD = framed("11 03 02 00 6F")
WRONG: list[tuple[str, list[bytes], type[PressoptError], str]] = [
    ("nothing", [], LinkTimeout, "no reply"),
    ("half", [GOOD[:4]], ShortReply, "4 of 7 bytes"),
    ("crc", [GOOD[:-1] + b"\x00"], ChecksumError, "CRC is wrong"),
    ("bit in the value", [GOOD[:4] + b"\x6e" + GOOD[5:]], ChecksumError, "CRC is wrong"),
    ("noise before", [b"\xff\x00" + GOOD], NoiseError, "no reply of unit 17"),
    ("noise after", [GOOD + b"\x00"], NoiseError, "after the end"),
    ("other unit", [framed("12 03 02 00 6F")], NoiseError, "no reply of unit 17"),
    ("other function", [framed("11 04 02 00 6F")], NoiseError, "no reply of unit 17 to function 3"),
    ("echo", [framed("11 03 0000 0002")], NoiseError, "local echo"),
    ("other length", [framed("11 03 04 00 6F 00 00")[:9]], ReplyError, "announces 6"),
]


@pytest.mark.parametrize(("name", "chunks", "kind", "words"), WRONG, ids=[row[0] for row in WRONG])
def test_each_failure_has_its_own_name(
    name: str, chunks: list[bytes], kind: type[PressoptError], words: str
) -> None:
    """Time-out, short, checksum and noise are told apart."""
    count = 1
    if name == "echo":
        count = 2
    if name == "other length":
        chunks, count = [framed("11 03 06 00 6F 00 00")], 2
    with pytest.raises(kind, match=words) as told:
        over(ScriptedLine(chunks)).read_words("holding", 0, count)
    assert told.type is kind


def test_a_failed_exchange_is_repeated_after_silence() -> None:
    """One dropped reply costs a drain and a repetition, and no wrong value."""
    line = ScriptedLine([], [framed("11 03 02 00 DE")])
    modbus = over(line, retries=1)
    assert modbus.read_words("holding", 0, 1) == [222]
    assert (line.drained, modbus.link.counters.repeated, len(line.written)) == (1, 1, 2)


def test_retries_end() -> None:
    """After the last retry the failure is told."""
    line = ScriptedLine()
    with pytest.raises(LinkTimeout):
        over(line, retries=2).read_words("holding", 0, 1)
    assert len(line.written) == 3


EXCEPTIONS = [
    (1, DeviceRefused, "function not supported"),
    (2, DeviceRefused, "no such address"),
    (3, DeviceRefused, "value not allowed"),
    (4, DeviceFault, "the device failed"),
    (10, DeviceRefused, "no path"),
    (11, LinkTimeout, "got no reply"),
    (99, DeviceError, "does not know"),
]


@pytest.mark.parametrize(("code", "kind", "words"), EXCEPTIONS)
@pytest.mark.parametrize("framing", ["rtu", "tcp"])
def test_exception_codes_become_errors(code: int, kind: type[PressoptError], words: str, framing: Framing) -> None:
    """A device that says no is not a line that failed."""
    pdu = bytes([0x83, code])
    reply = framed("11" + pdu.hex()) if framing == "rtu" else struct.pack(">HHHB", 1, 0, 3, 17) + pdu
    with pytest.raises(kind, match=words) as told:
        over(ScriptedLine([reply]), framing).read_words("holding", 0, 1)
    assert told.type is kind


@pytest.mark.parametrize("code", [5, 6])
def test_a_busy_device_is_asked_again(code: int) -> None:
    """Exceptions 5 and 6 are waited out."""
    busy = framed(f"11 83 {code:02x}")
    modbus = over(ScriptedLine([busy], [busy], [GOOD]))
    assert modbus.read_words("holding", 0, 1) == [111]
    assert modbus.link.counters.busy == 2


def test_a_device_that_stays_busy_is_told() -> None:
    """Asking ends after about a second and a half."""
    line = ScriptedLine(*[[framed("11 83 06")]] * 10)
    with pytest.raises(DeviceBusy):
        over(line).read_words("holding", 0, 1)
    assert len(line.written) == 6


def test_a_write_that_is_answered_with_another_value_is_refused() -> None:
    """The reply to a write must repeat address and value."""
    with pytest.raises(ReplyError, match="must repeat"):
        over(ScriptedLine([framed("11 06 0001 0004")])).write_word(1, 3)


def test_bytes_that_nobody_asked_for_are_no_answer() -> None:
    """What lies in the line before a question is thrown away after silence."""
    line = ScriptedLine([framed("11 03 02 00 DE")])
    line.waiting = [GOOD]
    assert over(line).read_words("holding", 0, 1) == [222]
    assert line.drained == 1


def test_an_old_tcp_answer_is_skipped() -> None:
    """On TCP the transaction's number decides: the answer to an abandoned question is passed over."""
    old, new = struct.pack(">HHHB", 1, 0, 5, 17), struct.pack(">HHHB", 2, 0, 5, 17)
    line = ScriptedLine([], [old + b"\x03\x02\x00\x6f" + new + b"\x03\x02\x00\xde"])
    modbus = over(line, "tcp", retries=1)
    assert modbus.read_words("holding", 0, 1) == [222]
    assert modbus.link.counters.stale == 1


def test_a_broken_tcp_header_is_noise() -> None:
    """A stream that lost its step is told, not interpreted."""
    with pytest.raises(NoiseError, match="no Modbus TCP header"):
        over(ScriptedLine([b"HTTP/1.1 400"]), "tcp").read_words("holding", 0, 1)


@given(reply=st.binary(max_size=40))
def test_no_bytes_at_all_become_a_wrong_value(reply: bytes) -> None:
    """Whatever comes back on RTU, it is the right frame or one of our errors."""
    try:
        words = over(ScriptedLine([reply])).read_words("holding", 0, 1)
    except PressoptError:
        return
    assert reply[:3] == bytes.fromhex("11 03 02")
    assert len(words) == 1


def test_frame_gap_is_the_specifications() -> None:
    """3.5 characters up to 19200 baud, 1.75 ms above, none on a pseudo-terminal."""
    assert frame_gap_s(9600, pseudo_terminal=False) == pytest.approx(0.00401, abs=1e-5)
    assert frame_gap_s(115200, pseudo_terminal=False) == 0.00175
    assert frame_gap_s(9600, pseudo_terminal=True) == 0.0


# ---------------------------------------------------------------------- a late reply, on a real pseudo-terminal


class LateSlave(threading.Thread):
    """Answers register 10 with 111 and register 20 with 222, the first question late."""

    def __init__(self, late_s: float) -> None:
        super().__init__(daemon=True)
        self._master, slave = os.openpty()
        tty.setraw(self._master)
        self.url = os.ttyname(slave)
        self._slave, self._late_s = slave, late_s
        self._wake = os.pipe()
        self.start()

    def run(self) -> None:
        held = bytearray()
        while True:
            ready, _, _ = select.select([self._master, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            held += os.read(self._master, 256)
            while len(held) >= 8:
                question = bytes(held[:8])
                del held[:8]
                wall_pause_s(self._late_s)
                self._late_s = 0.0
                value = {10: 111, 20: 222}[int.from_bytes(question[2:4], "big")]
                body = bytes([question[0], 3, 2]) + value.to_bytes(2, "big")
                os.write(self._master, body + crc16(body))

    def close(self) -> None:
        """Hang up; twice is harmless."""
        if self.is_alive():
            os.write(self._wake[1], b"x")
            self.join()
            for descriptor in (self._slave, self._master, *self._wake):
                os.close(descriptor)


@pytest.fixture
def late() -> Iterator[LateSlave]:
    slave = LateSlave(0.12)
    yield slave
    slave.close()


def test_a_late_reply_is_never_credited_to_the_next_question(late: LateSlave) -> None:
    """Register 10 is answered late; what is read next from register 20 is its own 222."""
    line = open_line(late.url)
    modbus = ModbusLink(Link(line, retries=0, silence_s=0.2), framing="rtu", unit=1, timeout_s=0.05)
    with pytest.raises(LinkTimeout):
        modbus.read_words("holding", 10, 1)
    assert modbus.read_words("holding", 20, 1) == [222]
    assert modbus.link.counters.thrown_away_bytes == 7
    line.close()


def test_a_library_credits_the_late_reply(late: LateSlave) -> None:
    """Why the engine is ours: minimalmodbus returns register 10's 111 for register 20."""
    import minimalmodbus

    instrument = minimalmodbus.Instrument(late.url, 1)
    instrument.serial.timeout = 0.05
    instrument.clear_buffers_before_each_transaction = False
    with pytest.raises(minimalmodbus.NoResponseError):
        instrument.read_register(10)
    wall_pause_s(0.15)
    assert instrument.read_register(20) == 111
    instrument.serial.close()


def test_a_vanished_line_is_told_at_once(late: LateSlave) -> None:
    """No retries on a line that is gone."""
    line = open_line(late.url)
    modbus = ModbusLink(Link(line, retries=5, silence_s=0.2), framing="rtu", unit=1, timeout_s=1.0)
    start_s = wall_monotonic_s()
    late.close()
    with pytest.raises(LinkVanished):
        modbus.read_words("holding", 20, 1)
    assert wall_monotonic_s() - start_s < 1.0


# ---------------------------------------------------------------------- numbers


@pytest.mark.parametrize("order", ["high-first", "low-first"])
@pytest.mark.parametrize("kind", ["int16", "uint16", "int32", "uint32", "float32"])
@given(data=st.data())
def test_numbers_survive_the_wire(data: st.DataObject, kind: Any, order: str) -> None:
    """What is encoded is decoded, for every type and word order."""
    at = Register("holding", 0, kind)
    spans = {"int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1), "int32": (-(2**31), 2**31 - 1),
             "uint32": (0, 2**32 - 1)}  # fmt: skip
    number = data.draw(st.floats(width=32, allow_nan=False, allow_infinity=False) if kind == "float32"
                       else st.integers(*spans[kind]))  # fmt: skip
    words = encode(at, number, order)
    assert decode(at, words, order) == number
    assert len(words) == at.words


def test_word_order_is_visible() -> None:
    """1.0 as float32 is 3F80 0000; low word first swaps the two."""
    at = Register("holding", 0, "float32")
    assert encode(at, 1.0, "high-first") == [0x3F80, 0]
    assert encode(at, 1.0, "low-first") == [0, 0x3F80]
    assert encode(Register("holding", 0, "float32", None, "high-first"), 1.0, "low-first") == [0x3F80, 0]


def test_a_float_that_is_none_is_refused() -> None:
    """NaN on the wire is a wrong profile or a broken sensor, not a number."""
    with pytest.raises(ReplyError, match="word order"):
        decode(Register("input", 0, "float32"), [0x7FC0, 0], "high-first")


def test_neighbours_are_read_together_and_holes_are_not() -> None:
    """One question per run of neighbours, no address that nobody named, none longer than allowed."""
    at = [
        Register("input", 10, "int32"),
        Register("input", 12),
        Register("input", 14),
        Register("coil", 0, "bool"),
    ]
    assert plan_blocks(at, most_words=60) == (Block("coil", 0, 1), Block("input", 10, 3), Block("input", 14, 1))
    assert plan_blocks(at[:2], most_words=2) == (Block("input", 10, 2), Block("input", 12, 1))


# ---------------------------------------------------------------------- an independent server: pymodbus


class PymodbusServer:
    """pymodbus serves one bank of each table, over TCP or over a bridged pair of pseudo-terminals."""

    def __init__(self, framing: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._framing = framing
        self._descriptors: list[int] = []
        self.url = ""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        from pymodbus import FramerType
        from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
        from pymodbus.server import ModbusSerialServer, ModbusTcpServer

        bits = [True, False, True, True] * 16
        device = ModbusDeviceContext(
            di=ModbusSequentialDataBlock(1, bits),
            co=ModbusSequentialDataBlock(1, [False] * 64),
            hr=ModbusSequentialDataBlock(1, list(range(100))),
            ir=ModbusSequentialDataBlock(1, list(range(1000, 1100))),
        )
        context = ModbusServerContext(devices={17: device}, single=False)
        if self._framing == "tcp":
            self.server: Any = ModbusTcpServer(context, address=("127.0.0.1", 0))
            await self.server.serve_forever(background=True)
            port = self.server.transport.sockets[0].getsockname()[1]
            self.url = f"tcp://127.0.0.1:{port}"
            return
        ours, ours_slave = os.openpty()
        theirs, theirs_slave = os.openpty()
        for descriptor in (ours, theirs, ours_slave, theirs_slave):
            tty.setraw(descriptor)
        self._loop.add_reader(ours, lambda: os.write(theirs, os.read(ours, 512)))
        self._loop.add_reader(theirs, lambda: os.write(ours, os.read(theirs, 512)))
        self._descriptors = [ours, ours_slave, theirs, theirs_slave]
        self.server = ModbusSerialServer(
            context, framer=FramerType.RTU, port=os.ttyname(theirs_slave), baudrate=115200
        )
        await self.server.serve_forever(background=True)
        self.url = os.ttyname(ours_slave)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.shutdown(), self._loop).result(5)
        for descriptor in (self._descriptors or [])[::2]:
            self._loop.call_soon_threadsafe(self._loop.remove_reader, descriptor)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        for descriptor in self._descriptors:
            os.close(descriptor)


@pytest.fixture(params=["tcp", "rtu"])
def peer(request: pytest.FixtureRequest) -> Iterator[ModbusLink]:
    server = PymodbusServer(request.param)
    line = open_line(server.url)
    yield ModbusLink(
        Link(line, retries=1, silence_s=0.3), framing=request.param, unit=17, timeout_s=1.0, frame_gap_s=0.002
    )
    line.close()
    server.close()


def test_every_function_against_pymodbus(peer: ModbusLink) -> None:
    """A server that nobody here wrote understands all eight functions, and we understand it."""
    assert peer.read_words("holding", 5, 3) == [5, 6, 7]
    assert peer.read_words("input", 0, 2) == [1000, 1001]
    assert peer.read_bits("discrete", 0, 10) == [True, False, True, True, True, False, True, True, True, False]
    peer.write_word(9, 4711)
    peer.write_words(20, [1, 65535, 3])
    assert peer.read_words("holding", 9, 1) == [4711]
    assert peer.read_words("holding", 20, 3) == [1, 65535, 3]
    peer.write_coil(3, True)
    peer.write_coils(8, [True, False, True])
    assert peer.read_bits("coil", 0, 12) == [False] * 3 + [True] + [False] * 4 + [True, False, True, False]
    with pytest.raises(DeviceRefused, match="no such address"):
        peer.read_words("holding", 5000, 1)
