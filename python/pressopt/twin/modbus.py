"""The slave's side of Modbus: frames over RTU and TCP, and the functions 1 to 6, 15 and 16 over a register bank.

Written from the public specification (Modbus Application Protocol V1.1b3; Modbus over Serial Line V1.02; Modbus
Messaging on TCP/IP V1.0b) and apart from the drivers' master, so that each checks the other.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from enum import IntEnum, StrEnum
from typing import Protocol

from pressopt.clock import wall_monotonic_s

#: Wall seconds without a byte after which half a request is forgotten. On a real line it is 3.5 characters; a
#: pseudo-terminal has no baud rate and a busy computer leaves gaps (assumed).
FRAME_GAP_S = 0.1
_LONGEST_RTU = 256


class Table(StrEnum):
    """The four kinds of data a slave holds."""

    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"


class ExceptionCode(IntEnum):
    """Exception codes of the specification (section 7)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    DEVICE_BUSY = 6


class Refusal(Exception):  # noqa: N818 - a slave's answer, not an error of ours
    """The slave answers with an exception code."""

    def __init__(self, code: ExceptionCode) -> None:
        super().__init__(code.name.lower().replace("_", " "))
        self.code = code


class RegisterBank(Protocol):
    """What the functions read and write. Addresses as on the wire, from 0; raises :class:`Refusal`."""

    def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        """``count`` bits (0 or 1) or words (0 to 65535)."""
        ...

    def write(self, table: Table, address: int, values: Sequence[int]) -> None:
        """Write coils or holding registers, in one go."""
        ...


class Slave:
    """One slave: a unit number and a bank, whatever line it sits on. It is a :class:`~pressopt.twin.wires.Device`.

    Args:
        bank: Its data.
        unit: Its number on the line, 1 to 247.
        rtu: Frames of a serial line with CRC; otherwise frames of Modbus TCP.

    Faults of the device itself: ``refuse_next`` answers the next requests with an exception code; ``deaf`` leaves
    every request unanswered, as a device whose program has stopped.
    """

    def __init__(self, bank: RegisterBank, *, unit: int, rtu: bool) -> None:
        self._bank = bank
        self.unit = unit
        self._rtu = rtu
        self._lock = threading.Lock()
        self._refusals: list[ExceptionCode] = []
        self.deaf = False
        self.requests = 0

    def converse(self, send: Callable[[bytes], None]) -> _RtuConversation | _TcpConversation:
        return _RtuConversation(self, send) if self._rtu else _TcpConversation(self, send)

    def stop(self) -> None:
        """Nothing runs here."""

    def refuse_next(self, code: ExceptionCode, *, times: int = 1) -> None:
        """Answer the next ``times`` requests with ``code``, whatever they ask."""
        with self._lock:
            self._refusals += [code] * times

    def addressed(self, unit: int) -> bool:
        """Whether a request for ``unit`` is for this slave; 0 is everyone, and 255 the device itself on TCP."""
        return unit in ((self.unit, 0) if self._rtu else (self.unit, 0, 255))

    def answer(self, request: bytes) -> bytes:
        """Answer one protocol data unit (function code and data) with another; ``b""`` is silence."""
        with self._lock:
            self.requests += 1
            if self.deaf:
                return b""
            forced = self._refusals.pop(0) if self._refusals else None
        function = request[0]
        try:
            if forced is not None:
                raise Refusal(forced)
            return _execute(self._bank, function, request[1:])
        except Refusal as refusal:
            return bytes((function | 0x80, refusal.code))


class SharedLine:
    """Several slaves on one RS-485 line: each hears everything, and answers what is addressed to it.

    It is a :class:`~pressopt.twin.wires.Device`.
    """

    def __init__(self, slaves: Sequence[Slave]) -> None:
        self.slaves = tuple(slaves)

    def converse(self, send: Callable[[bytes], None]) -> _SharedConversation:
        return _SharedConversation([slave.converse(send) for slave in self.slaves])

    def stop(self) -> None:
        """Nothing runs here."""


class _SharedConversation:
    def __init__(self, conversations: Sequence[_RtuConversation | _TcpConversation]) -> None:
        self._conversations = conversations

    def receive(self, data: bytes) -> None:
        for conversation in self._conversations:
            conversation.receive(data)

    def close(self) -> None:
        for conversation in self._conversations:
            conversation.close()


def _execute(bank: RegisterBank, function: int, data: bytes) -> bytes:
    if function in _READ_BITS or function in _READ_WORDS:
        address, count = _two_words(data)
        if function in _READ_BITS:
            _check_span(address, count, most=2000)
            payload = _pack_bits(bank.read(_READ_BITS[function], address, count))
        else:
            _check_span(address, count, most=125)
            payload = struct.pack(f">{count}H", *bank.read(_READ_WORDS[function], address, count))
        return bytes((function, len(payload))) + payload
    if function == 5:
        address, value = _two_words(data)
        if value not in (0x0000, 0xFF00):
            raise Refusal(ExceptionCode.ILLEGAL_VALUE)
        bank.write(Table.COIL, address, (int(value == 0xFF00),))
        return bytes((function,)) + data[:4]
    if function == 6:
        address, value = _two_words(data)
        bank.write(Table.HOLDING, address, (value,))
        return bytes((function,)) + data[:4]
    if function in (15, 16):
        if len(data) < 5 or len(data) != 5 + data[4]:
            raise Refusal(ExceptionCode.ILLEGAL_VALUE)
        address, count = _two_words(data[:4])
        payload = data[5:]
        if function == 15:
            _check_span(address, count, most=1968, payload_bytes=len(payload), wanted_bytes=(count + 7) // 8)
            bits = [payload[index // 8] >> (index % 8) & 1 for index in range(count)]
            bank.write(Table.COIL, address, bits)
        else:
            _check_span(address, count, most=123, payload_bytes=len(payload), wanted_bytes=2 * count)
            bank.write(Table.HOLDING, address, struct.unpack(f">{count}H", payload))
        return bytes((function,)) + data[:4]
    raise Refusal(ExceptionCode.ILLEGAL_FUNCTION)


_READ_BITS = {1: Table.COIL, 2: Table.DISCRETE}
_READ_WORDS = {3: Table.HOLDING, 4: Table.INPUT}


def _two_words(data: bytes) -> tuple[int, int]:
    if len(data) != 4:
        raise Refusal(ExceptionCode.ILLEGAL_VALUE)
    first, second = struct.unpack(">HH", data)
    return first, second


def _check_span(address: int, count: int, *, most: int, payload_bytes: int = 0, wanted_bytes: int = 0) -> None:
    if not 1 <= count <= most or payload_bytes != wanted_bytes:
        raise Refusal(ExceptionCode.ILLEGAL_VALUE)
    if address + count > 0x10000:
        raise Refusal(ExceptionCode.ILLEGAL_ADDRESS)


def _pack_bits(bits: Sequence[int]) -> bytes:
    packed = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        packed[index // 8] |= (bit & 1) << (index % 8)
    return bytes(packed)


def crc16(data: bytes) -> bytes:
    """CRC-16 of the serial line specification (polynomial 0xA001 reflected, start 0xFFFF), low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


class _RtuConversation:
    """Cuts bytes into requests. A damaged request is never answered, and neither is one for another slave.

    Bytes that make no request spoil the line until it was silent for :data:`FRAME_GAP_S`, as on a real one.
    """

    def __init__(self, slave: Slave, send: Callable[[bytes], None]) -> None:
        self._slave = slave
        self._send = send
        self._buffer = bytearray()
        self._last_s = wall_monotonic_s()
        self._spoilt = False

    def receive(self, data: bytes) -> None:
        now_s = wall_monotonic_s()
        if now_s - self._last_s > FRAME_GAP_S:
            self._buffer.clear()
            self._spoilt = False
        self._last_s = now_s
        if self._spoilt:
            return
        self._buffer += data
        while (length := _rtu_request_length(self._buffer)) is not None and len(self._buffer) >= length:
            frame = bytes(self._buffer[:length])
            del self._buffer[:length]
            if length == 0 or crc16(frame[:-2]) != frame[-2:]:
                self._buffer.clear()
                self._spoilt = True
                return
            unit = frame[0]
            if self._slave.addressed(unit):
                reply = self._slave.answer(frame[1:-2])
                if reply and unit != 0:  # a broadcast is obeyed and not answered
                    body = bytes((unit,)) + reply
                    self._send(body + crc16(body))

    def close(self) -> None:
        self._buffer.clear()


def _rtu_request_length(buffer: bytes | bytearray) -> int | None:
    """Length of the request that starts here; None while it cannot be known; 0 when it cannot be one."""
    if len(buffer) < 2:
        return None
    function = buffer[1]
    if function in (15, 16):
        if len(buffer) < 7:
            return None
        return 9 + buffer[6] if 9 + buffer[6] <= _LONGEST_RTU else 0
    if 1 <= function <= 6:
        return 8
    # A function this slave lacks has no length it could know: the shortest frame (no data) is tried, and the
    # common one with four bytes of data.
    if len(buffer) >= 4 and crc16(bytes(buffer[:2])) == buffer[2:4]:
        return 4
    return 8


class _TcpConversation:
    """Cuts a stream into requests by the length in their header (MBAP)."""

    def __init__(self, slave: Slave, send: Callable[[bytes], None]) -> None:
        self._slave = slave
        self._send = send
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 8:
            transaction, protocol, length, unit = struct.unpack(">HHHB", self._buffer[:7])
            if protocol != 0 or not 2 <= length <= 254:
                self._buffer.clear()  # no Modbus: nothing after it can be trusted
                return
            if len(self._buffer) < 6 + length:
                return
            request = bytes(self._buffer[7 : 6 + length])
            del self._buffer[: 6 + length]
            if not self._slave.addressed(unit):
                continue
            reply = self._slave.answer(request)
            if reply:
                self._send(struct.pack(">HHHB", transaction, 0, 1 + len(reply), unit) + reply)

    def close(self) -> None:
        self._buffer.clear()
