"""The virtual press and the virtual laminator as a PLC shows them: the register map of a profile over a bench.

The same profile that the driver reads says here which number lies where. What the PLC refuses, it refuses as a PLC
does: exception 2 for an address it lacks, 3 for a number out of the machine's range, 4 for a command that an
interlock, a fault or the machine itself forbids.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping, Sequence

from pressopt.profiles import Action, DeviceProfile, Register, register
from pressopt.twin.bench import Bench
from pressopt.twin.face import MachineFace, MachineFaults, MachineRefusal, RangeRefusal, Shown, face_of
from pressopt.twin.modbus import ExceptionCode, Refusal, Slave, Table

__all__ = ["MODEL", "SERIAL_NUMBER", "MachineBank", "MachineFaults", "machine_slave"]

#: Numbers with which the twin introduces itself where the profile expects none.
MODEL, SERIAL_NUMBER = 20557, 24001
_FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f",
    "int64": "q", "uint64": "Q", "float64": "d",
}  # fmt: skip


class MachineBank:
    """The registers of one machine; a :class:`~pressopt.twin.modbus.RegisterBank`.

    Args:
        face: The machine behind the registers, with its map.
    """

    def __init__(self, face: MachineFace) -> None:
        self.face, self._profile = face, face.profile
        self._memory: dict[tuple[Table, int], int] = {}
        self._lock = threading.Lock()
        self._spans = _spans(face.profile)

    @property
    def faults(self) -> MachineFaults:
        """What can go wrong inside the machine."""
        return self.face.faults

    def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        span = self._spans.get(table)
        if span is None or address < span[0] or address + count > span[1]:
            raise Refusal(ExceptionCode.ILLEGAL_ADDRESS)
        shown = self._image(table, self.face.look())
        return [shown.get(index, 0) for index in range(address, address + count)]

    def write(self, table: Table, address: int, values: Sequence[int]) -> None:
        given = dict(enumerate(values, start=address))
        beat = self._profile.heartbeat
        orders: list[tuple[str, Action, float]] = []
        beats: list[int] = []
        left = set(given)
        for name, action in self._profile.actions.items():
            at = register(action.at)
            place = _addresses(at)
            if at.table == table and place.start in given and place[-1] in given:
                orders.append((name, action, self._number(at, [given[index] for index in place])))
                left -= set(place)
        if beat is not None:
            at = register(beat.at)
            if at.table == table and at.address in given:
                beats.append(given[at.address])
                left.discard(at.address)
        if left:  # nothing is written when one address is wrong, or when half a number is
            raise Refusal(ExceptionCode.ILLEGAL_ADDRESS)
        # A command coil that is written off does nothing.
        orders = [order for order in orders if order[1].value is None or order[2] == order[1].value]
        looked = self.face.look()
        try:
            for name, action, raw in orders:
                self.face.check(name, action, raw, looked)
            with self._lock:
                for name, action, raw in orders:
                    self.face.do(name, action, raw)
                for value in beats:
                    self.face.beat(value)
                self._keep(table, given, orders, beats)
        except RangeRefusal as refused:
            raise Refusal(ExceptionCode.ILLEGAL_VALUE) from refused
        except MachineRefusal as refused:
            raise Refusal(ExceptionCode.DEVICE_FAILURE) from refused

    def _keep(
        self, table: Table, given: Mapping[int, int], orders: list[tuple[str, Action, float]], beats: list[int]
    ) -> None:
        """What was written is what is read back, unless the machine swallowed it."""
        if table != Table.HOLDING:
            return
        done = {
            index
            for name, action, _ in orders
            if name not in self.faults.ignored
            for index in _addresses(register(action.at))
        }
        self._memory.update({(table, index): given[index] for index in given if index in done or beats})

    # ---- what is shown

    def _image(self, table: Table, looked: Shown) -> dict[int, int]:
        """Every address of ``table`` that shows something, with its word or bit."""
        with self._lock:
            image = {index: word for (kept, index), word in self._memory.items() if kept == table}
        for mark, own, shown in (
            (self._profile.identity.model, MODEL, self.faults.model),
            (self._profile.identity.serial_number, SERIAL_NUMBER, self.faults.serial_number),
        ):
            if mark is not None and mark.at.table == table:
                number = shown if shown is not None else (mark.expect if mark.expect is not None else own)
                self._put(image, mark.at, number)
        for name, signal in self._profile.signals.items():
            at = register(signal.at)
            if at.table == table:
                self._put(image, at, self.face.raw(name, signal, looked))
        return image

    def _put(self, image: dict[int, int], at: Register, raw: float) -> None:
        if at.type == "bool":
            word = image.get(at.address, 0)
            image[at.address] = int(raw) if at.bit is None else word & ~(1 << at.bit) | int(raw) << at.bit
            return
        letter = _FORMATS[at.type]
        if letter in "fd":
            data = struct.pack(">" + letter, raw)
        else:
            size = 8 * struct.calcsize(">" + letter)
            low, high = (-(1 << size - 1), (1 << size - 1) - 1) if letter.islower() else (0, (1 << size) - 1)
            data = struct.pack(">" + letter, min(high, max(low, round(raw))))
        words = [int.from_bytes(data[index : index + 2], "big") for index in range(0, len(data), 2)]
        image.update(enumerate(_wired(words, self._order(at)), start=at.address))

    def _number(self, at: Register, words: Sequence[int]) -> float:
        if at.type == "bool":
            return words[0]
        data = b"".join(word.to_bytes(2, "big") for word in _wired(words, self._order(at)))
        number: float = struct.unpack(">" + _FORMATS[at.type], data)[0]
        return number

    def _order(self, at: Register) -> str:
        return at.word_order or self._profile.link.word_order


def machine_slave(
    bench: Bench, profile: DeviceProfile, face: MachineFace | None = None
) -> tuple[Slave, MachineBank]:
    """The machine of ``profile`` as a device for a port, and its registers (for faults)."""
    bank = MachineBank(face or face_of(bench, profile))
    return Slave(bank, unit=profile.link.unit, rtu=profile.link.engine == "modbus-rtu"), bank


def _wired(words: Sequence[int], order: str) -> list[int]:
    """Words, highest first, as they are on the wire; doing it twice gives the words back."""
    turned = list(reversed(words)) if order.startswith("low-first") else list(words)
    if order.endswith("swapped"):
        turned = [int.from_bytes(word.to_bytes(2, "big"), "little") for word in turned]
    return turned


def _addresses(at: Register) -> range:
    return range(at.address, at.address + at.words)


def _spans(profile: DeviceProfile) -> dict[Table, tuple[int, int]]:
    """For each table, first address and the one after the last; gaps within read as 0, as in a data block."""
    places = [register(signal.at) for signal in profile.signals.values()]
    places += [register(action.at) for action in profile.actions.values()]
    places += [mark.at for mark in (profile.identity.model, profile.identity.serial_number) if mark is not None]
    if profile.heartbeat is not None:
        places.append(register(profile.heartbeat.at))
    spans: dict[Table, tuple[int, int]] = {}
    for at in places:
        table = Table(at.table)
        first, end = spans.get(table, (at.address, at.address))
        spans[table] = min(first, at.address), max(end, at.address + at.words)
    return spans
