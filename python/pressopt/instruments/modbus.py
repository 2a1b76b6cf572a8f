"""Modbus RTU and TCP, as a client: the few lines that keep the rule no library keeps.

pymodbus and minimalmodbus credit a late RTU reply to the next question (tried with pymodbus 3.16 and minimalmodbus
2.1); they serve here as independent peers in tests.

Source: Modbus Application Protocol Specification V1.1b3 (2012); Modbus over Serial Line V1.02 (2006);
Modbus Messaging on TCP/IP Implementation Guide V1.0b (2006).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Literal

from pressopt.clock import wall_monotonic_s, wall_pause_s
from pressopt.errors import (
    ChecksumError,
    DeviceBusy,
    DeviceError,
    DeviceFault,
    DeviceRefused,
    LinkTimeout,
    PressoptError,
    ReplyError,
    ShortReply,
)
from pressopt.instruments.link import Link, unexpected

Framing = Literal["rtu", "tcp"]
BitTable = Literal["coil", "discrete"]
WordTable = Literal["holding", "input"]

_READ_BITS = {"coil": 1, "discrete": 2}
_READ_WORDS = {"holding": 3, "input": 4}
_WRITE_COIL, _WRITE_WORD, _WRITE_COILS, _WRITE_WORDS = 5, 6, 15, 16
_ON, _OFF = 0xFF00, 0x0000
_MBAP_BYTES = 7
_EXCEPTION = 0x80


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes | bytearray) -> bytes:
    """CRC of an RTU frame, low byte first (Modbus over Serial Line V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


class ModbusLink:
    """One unit on a link. Addresses are as on the wire, from 0.

    Args:
        link: May be shared by several units of one line.
        framing: ``rtu`` or ``tcp``.
        unit: Unit identifier.
        timeout_s: How long a reply may take, wall seconds.
        frame_gap_s: Silence between two RTU frames, wall seconds; see :func:`frame_gap_s`.
    """

    def __init__(
        self, link: Link, *, framing: Framing, unit: int, timeout_s: float, frame_gap_s: float = 0.0
    ) -> None:
        self.link = link
        self._framing, self._unit, self._timeout_s, self._gap_s = framing, unit, timeout_s, frame_gap_s
        self._transaction = 0

    @property
    def name(self) -> str:
        return f"{self.link.line.name} unit {self._unit}"

    def read_bits(self, table: BitTable, address: int, count: int) -> list[bool]:
        """Read ``count`` (1 to 2000) coils (FC 1) or discrete inputs (FC 2)."""
        _check_span(address, count, 2000)
        function = _READ_BITS[table]
        length = (count + 7) // 8
        data = self._ask(struct.pack(">BHH", function, address, count), 2 + length)
        self._check_count(data, length)
        return [bool(data[2 + index // 8] >> index % 8 & 1) for index in range(count)]

    def read_words(self, table: WordTable, address: int, count: int) -> list[int]:
        """Read ``count`` (1 to 125) holding (FC 3) or input (FC 4) registers."""
        _check_span(address, count, 125)
        function = _READ_WORDS[table]
        data = self._ask(struct.pack(">BHH", function, address, count), 2 + 2 * count)
        self._check_count(data, 2 * count)
        return list(struct.unpack(f">{count}H", data[2:]))

    def write_coil(self, address: int, value: bool) -> None:
        """Write one coil (FC 5)."""
        self._expect_echo(struct.pack(">BHH", _WRITE_COIL, address, _ON if value else _OFF))

    def write_word(self, address: int, word: int) -> None:
        """Write one holding register (FC 6)."""
        self._expect_echo(struct.pack(">BHH", _WRITE_WORD, address, word))

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """Write 1 to 1968 coils (FC 15)."""
        _check_span(address, len(values), 1968)
        packed = bytearray((len(values) + 7) // 8)
        for index, value in enumerate(values):
            packed[index // 8] |= value << index % 8
        head = struct.pack(">BHH", _WRITE_COILS, address, len(values))
        self._expect_echo(head + bytes([len(packed)]) + packed, head)

    def write_words(self, address: int, words: Sequence[int]) -> None:
        """Write 1 to 123 holding registers (FC 16)."""
        _check_span(address, len(words), 123)
        head = struct.pack(">BHH", _WRITE_WORDS, address, len(words))
        self._expect_echo(head + struct.pack(f">B{len(words)}H", 2 * len(words), *words), head)

    def _expect_echo(self, question: bytes, expected: bytes | None = None) -> None:
        """Write, and check that the reply repeats what was written."""
        expected = expected or question
        data = self._ask(question, len(expected))
        if data != expected:
            raise ReplyError(
                f"{self.name}: writing {expected.hex(' ')} was answered {data.hex(' ')}: "
                "the device must repeat address and value"
            )

    def _check_count(self, data: bytes, length: int) -> None:
        if data[1] != length:
            raise ReplyError(f"{self.name}: {length} bytes were asked, the reply announces {data[1]}")

    def _ask(self, question: bytes, length: int) -> bytes:
        """Return the reply's PDU of ``length`` bytes; ``question`` is a PDU without side effects when repeated."""
        once = self._ask_rtu if self._framing == "rtu" else self._ask_tcp
        return self.link.exchange(lambda: once(question, length))

    # ---- RTU

    def _ask_rtu(self, question: bytes, length: int) -> bytes:
        line = self.link.line
        frame = bytes([self._unit]) + question
        frame += crc16(frame)
        self.link.expect_quiet()
        if self._gap_s:
            wall_pause_s(max(0.0, self.link.last_s + self._gap_s - wall_monotonic_s()))
        line.write(frame)
        end_s = wall_monotonic_s() + self._timeout_s
        reply = bytearray()
        wanted = length + 3
        while len(reply) < wanted:
            data = line.read(512, timeout_s=end_s - wall_monotonic_s())
            if not data:
                raise self._broken_off(bytes(reply), wanted)
            reply += data
            if len(reply) >= 2:
                if reply[0] != self._unit or reply[1] & ~_EXCEPTION != question[0]:
                    raise unexpected(
                        line, bytes(reply), f"no reply of unit {self._unit} to function {question[0]}"
                    )
                if reply[1] & _EXCEPTION:
                    wanted = 5
            if wanted != len(frame) and reply[: len(frame)] == frame:
                raise unexpected(line, frame, "our own question came back: switch the adapter's local echo off")
        self.link.last_s = wall_monotonic_s()
        if crc16(reply[: wanted - 2]) != reply[wanted - 2 : wanted]:
            raise ChecksumError(f"{line.name}: the reply's CRC is wrong: {bytes(reply).hex(' ')}")
        if len(reply) > wanted:
            raise unexpected(line, bytes(reply[wanted:]), "bytes after the end of a reply")
        return self._meaning(question, bytes(reply[1 : wanted - 2]))

    # ---- TCP

    def _ask_tcp(self, question: bytes, length: int) -> bytes:
        line = self.link.line
        self._transaction = self._transaction % 0xFFFF + 1
        line.write(struct.pack(">HHHB", self._transaction, 0, len(question) + 1, self._unit) + question)
        end_s = wall_monotonic_s() + self._timeout_s
        received = bytearray()
        while True:
            while len(received) < _MBAP_BYTES or len(received) < _MBAP_BYTES - 1 + self._announced(received):
                data = line.read(1024, timeout_s=end_s - wall_monotonic_s())
                if not data:
                    raise self._broken_off(bytes(received), _MBAP_BYTES + length)
                received += data
            transaction, _, announced, unit = struct.unpack_from(">HHHB", received)
            pdu = bytes(received[_MBAP_BYTES : _MBAP_BYTES - 1 + announced])
            del received[: _MBAP_BYTES - 1 + announced]
            if transaction == self._transaction:
                break
            self.link.counters.stale += 1  # the answer to a question that was given up
        if received:
            raise unexpected(line, bytes(received), "bytes after the end of a reply")
        if unit != self._unit or not pdu or pdu[0] & ~_EXCEPTION != question[0]:
            raise unexpected(line, pdu, f"no reply of unit {self._unit} to function {question[0]}")
        if not pdu[0] & _EXCEPTION and len(pdu) != length:
            raise ReplyError(f"{self.name}: {length} bytes were expected, {len(pdu)} came: {pdu.hex(' ')}")
        return self._meaning(question, pdu)

    def _announced(self, received: bytearray) -> int:
        """Length field of an MBAP header; NoiseError when this is no header."""
        _, protocol, announced = struct.unpack_from(">HHH", received)
        if protocol != 0 or not 2 <= announced <= 254:
            raise unexpected(self.link.line, bytes(received), "this is no Modbus TCP header")
        return int(announced)

    # ---- both

    def _broken_off(self, reply: bytes, wanted: int) -> PressoptError:
        if reply:
            return ShortReply(f"{self.name}: {len(reply)} of {wanted} bytes came: {reply.hex(' ')}")
        return LinkTimeout(
            f"{self.name}: no reply within {self._timeout_s:g} s: is the device on, and the unit right?"
        )

    def _meaning(self, question: bytes, pdu: bytes) -> bytes:
        if not pdu[0] & _EXCEPTION:
            return pdu
        code = pdu[1] if len(pdu) > 1 else 0
        raise _exception(code, f"{self.name}: function {question[0]}, {question[1:5].hex(' ')}")


_EXCEPTIONS: dict[int, tuple[type[PressoptError], str]] = {
    1: (DeviceRefused, "function not supported"),
    2: (DeviceRefused, "no such address: the register map does not fit this device"),
    3: (DeviceRefused, "value not allowed"),
    4: (DeviceFault, "the device failed while it did this: look at the machine"),
    5: (DeviceBusy, "accepted, still working on it"),
    6: (DeviceBusy, "busy"),
    10: (DeviceRefused, "the gateway has no path to this unit"),
    11: (LinkTimeout, "the gateway got no reply from this unit"),
}


def _exception(code: int, asked: str) -> PressoptError:
    kind, words = _EXCEPTIONS.get(code, (DeviceError, "an exception that the standard does not know"))
    return kind(f"{asked}: exception {code}, {words}")


def _check_span(address: int, count: int, most: int) -> None:
    if not (1 <= count <= most and address >= 0 and address + count <= 65536):
        raise ValueError(f"{count} from address {address} is no span of Modbus: 1 to {most}, up to address 65535")


def frame_gap_s(baud: int, *, pseudo_terminal: bool) -> float:
    """Silence between two RTU frames: 3.5 characters of 11 bits, 1.75 ms above 19200 baud (V1.02, 2.5.1.1).

    A pseudo-terminal has no bit times, and a serial device server on the network keeps its own.
    """
    if pseudo_terminal:
        return 0.0
    return 0.00175 if baud > 19200 else 3.5 * 11 / baud
