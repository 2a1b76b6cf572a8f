"""The virtual press and the virtual laminator as a PLC shows them: the register map of a profile over a bench.

The same profile that the driver reads says here which number lies where. What the PLC refuses, it refuses as a PLC
does: exception 2 for an address it lacks, 3 for a number out of the machine's range, 4 for a command that an
interlock, a fault or the machine itself forbids.
"""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pressopt.profiles import Action, DeviceProfile, Register, Signal
from pressopt.twin.bench import Bench, PlantReading, RollReading
from pressopt.twin.laboratory import FAULT_CODES
from pressopt.twin.modbus import ExceptionCode, Refusal, Slave, Table

#: Numbers with which the twin introduces itself where the profile expects none.
MODEL, SERIAL_NUMBER = 20557, 24001
_FORMATS = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f"}
_BITS = (Table.COIL, Table.DISCRETE)
_FAULT_BLOCKS = frozenset({"start", "load_cell"})
#: What profiles call the faults of the bench, where they use another word.
_FAULT_WORDS = {
    "guard open": "guard opened",
    "remote disabled": "remote control switched off",
    "over-temperature": "over temperature",
    "power failed": "power came back",
}
_FAULTS = {code: _FAULT_WORDS.get(meaning, meaning) for meaning, code in FAULT_CODES.items()}


@dataclass
class MachineFaults:
    """What can go wrong inside the PLC; each is left until a test changes it.

    Attributes:
        ignored: Actions that are accepted and not done.
        frozen: Raw numbers shown for signals instead of the truth (a sensor code, a stuck value).
        model, serial_number: What it says it is, when it is another machine than expected.
    """

    ignored: set[str] = field(default_factory=set)
    frozen: dict[str, int] = field(default_factory=dict)
    model: int | None = None
    serial_number: int | None = None


class MachineBank:
    """The registers of one machine; a :class:`~pressopt.twin.modbus.RegisterBank`.

    Args:
        bench: The machine behind the registers.
        profile: Its map; ``kind`` press or laminator.
    """

    def __init__(self, bench: Bench, profile: DeviceProfile) -> None:
        self._bench, self._profile = bench, profile
        pressing = profile.kind == "press"
        self._look: Callable[[], PlantReading | RollReading] = bench.plant if pressing else bench.roll
        self._do = _press_actions(bench) if pressing else _roll_actions(bench)
        self._limits = _capacities(profile)
        self._memory: dict[tuple[Table, int], int] = {}
        self._lock = threading.Lock()
        self.faults = MachineFaults()
        self._spans = _spans(profile)

    def read(self, table: Table, address: int, count: int) -> Sequence[int]:
        span = self._spans.get(table)
        if span is None or address < span[0] or address + count > span[1]:
            raise Refusal(ExceptionCode.ILLEGAL_ADDRESS)
        shown = self._image(table, self._look())
        return [shown.get(index, 0) for index in range(address, address + count)]

    def write(self, table: Table, address: int, values: Sequence[int]) -> None:
        given = dict(enumerate(values, start=address))
        beat = self._profile.heartbeat
        orders: list[tuple[str, Action, float]] = []
        beats: list[int] = []
        left = set(given)
        for name, action in self._profile.actions.items():
            place = range(action.at.address, action.at.address + action.at.words)
            if action.at.table == table and place.start in given and place[-1] in given:
                orders.append((name, action, self._number(action.at, [given[index] for index in place])))
                left -= set(place)
        if beat is not None and beat.at.table == table and beat.at.address in given:
            beats.append(given[beat.at.address])
            left.discard(beat.at.address)
        if left:  # nothing is written when one address is wrong, or when half a number is
            raise Refusal(ExceptionCode.ILLEGAL_ADDRESS)
        looked = self._look()
        for name, action, raw in orders:
            self._check(name, action, raw, looked)
        with self._lock:
            for name, action, raw in orders:
                if name not in self.faults.ignored:
                    self._apply(name, action, raw)
            for value in beats:
                self._bench.heartbeat(value)
            if table == Table.HOLDING:
                done = {index for name, action, _ in orders for index in _addresses(action.at)
                        if name not in self.faults.ignored}  # fmt: skip
                self._memory.update({(table, index): given[index] for index in given if index in done or beats})

    # ---- what is shown

    def _image(self, table: Table, looked: PlantReading | RollReading) -> dict[int, int]:
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
            if signal.at.table == table:
                self._put(image, signal.at, self._raw(name, signal, looked))
        return image

    def _raw(self, name: str, signal: Signal, looked: PlantReading | RollReading) -> float:
        if name in self.faults.frozen:
            return self.faults.frozen[name]
        value = getattr(looked, name)
        if name == "fault_code":
            unlisted = max(signal.values, default=0) + 1
            return _raw_of(signal.values, _FAULTS.get(value, "not known"), or_else=unlisted)
        if name == "loaded_cell" and value <= 0:
            return _raw_of(signal.invalid, "no cell", or_else=0)
        if isinstance(value, str):  # a machine that shows no ramp shows that it holds
            return _raw_of(signal.values, value, or_else=_raw_of(signal.values, "hold", or_else=0))
        if isinstance(value, bool):
            return int(value)
        gain, offset = self._profile.linear(signal)
        return float((value - offset) / gain)

    def _put(self, image: dict[int, int], at: Register, raw: float) -> None:
        if at.type == "bool":
            word = image.get(at.address, 0)
            image[at.address] = int(raw) if at.bit is None else word & ~(1 << at.bit) | int(raw) << at.bit
            return
        letter = _FORMATS[at.type]
        if letter == "f":
            data = struct.pack(">f", raw)
        else:
            size = 8 * struct.calcsize(">" + letter)
            low, high = (-(1 << size - 1), (1 << size - 1) - 1) if letter.islower() else (0, (1 << size) - 1)
            data = struct.pack(">" + letter, min(high, max(low, round(raw))))
        words = [int.from_bytes(data[index : index + 2], "big") for index in range(0, len(data), 2)]
        if self._order(at) == "low-first":
            words.reverse()
        image.update(enumerate(words, start=at.address))

    # ---- what is done

    def _check(self, name: str, action: Action, raw: float, looked: PlantReading | RollReading) -> None:
        if action.value is None:
            low, high = self._limits.get(name, (-math.inf, math.inf))
            if not low <= self._value(action, raw) <= high:
                raise Refusal(ExceptionCode.ILLEGAL_VALUE)
        elif raw != action.value:
            return
        if action.always_allowed:
            return
        if any(not getattr(looked, interlock) for interlock in action.requires):
            raise Refusal(ExceptionCode.DEVICE_FAILURE)
        if name in _FAULT_BLOCKS and looked.state == "fault":
            raise Refusal(ExceptionCode.DEVICE_FAILURE)

    def _apply(self, name: str, action: Action, raw: float) -> None:
        if action.value is not None and raw != action.value:
            return  # a command coil that is written off
        try:
            self._do[name](self._value(action, raw))
        except ValueError as refused:  # the machine itself says no
            raise Refusal(ExceptionCode.DEVICE_FAILURE) from refused

    def _value(self, action: Action, raw: float) -> float:
        gain, offset = self._profile.linear(action)
        return raw * gain + offset

    def _number(self, at: Register, words: Sequence[int]) -> float:
        if at.type == "bool":
            return words[0]
        ordered = list(reversed(words)) if self._order(at) == "low-first" else list(words)
        data = b"".join(word.to_bytes(2, "big") for word in ordered)
        number: float = struct.unpack(">" + _FORMATS[at.type], data)[0]
        return number

    def _order(self, at: Register) -> str:
        return at.word_order or self._profile.link.word_order


def machine_slave(bench: Bench, profile: DeviceProfile) -> tuple[Slave, MachineBank]:
    """The press or laminator of ``profile`` as a device for a port, and its registers (for faults)."""
    bank = MachineBank(bench, profile)
    return Slave(bank, unit=profile.link.unit, rtu=profile.link.engine == "modbus-rtu"), bank


def _press_actions(bench: Bench) -> Mapping[str, Callable[[float], None]]:
    return {
        "set_force_kn": bench.set_force,
        "set_ramp_kn_s": bench.set_ramp,
        "set_temperature_c": bench.set_temperature,
        "start": lambda _: bench.start(),
        "stop": lambda _: bench.stop(),
        "acknowledge": lambda _: bench.acknowledge(),
        "load_cell": lambda number: bench.load_cell(round(number)),
    }


def _roll_actions(bench: Bench) -> Mapping[str, Callable[[float], None]]:
    return {
        "set_line_force_n_mm": bench.set_line_force,
        "set_speed_mm_s": bench.set_speed,
        "set_passes": lambda passes: bench.set_passes(round(passes)),
        "set_temperature_c": bench.set_roll_temperature,
        "start": lambda _: bench.start_rolling(),
        "stop": lambda _: bench.stop(),
        "acknowledge": lambda _: bench.acknowledge(),
        "load_cell": lambda number: bench.load_cell(round(number)),
    }


def _capacities(profile: DeviceProfile) -> dict[str, tuple[float, float]]:
    """What the machine itself takes, by action: beyond it the PLC answers with exception 3."""
    if profile.press is not None:
        press = profile.press
        return {
            "set_force_kn": (0.0, press.capacity_kn),
            "set_ramp_kn_s": (0.0, press.capacity_kn),
            "set_temperature_c": (-50.0, press.capacity_c),
        }
    roll = profile.roll
    assert roll is not None  # the profile was checked when it was loaded
    return {
        "set_line_force_n_mm": (0.0, roll.capacity_n_mm),
        "set_speed_mm_s": (0.0, roll.capacity_mm_s),
        "set_passes": (0, 10000),
        "set_temperature_c": (-50.0, roll.capacity_c),
    }


def _raw_of(meanings: Mapping[int, str], word: str, *, or_else: int) -> int:
    return next((raw for raw, meaning in meanings.items() if meaning == word), or_else)


def _addresses(at: Register) -> range:
    return range(at.address, at.address + at.words)


def _spans(profile: DeviceProfile) -> dict[Table, tuple[int, int]]:
    """For each table, first address and the one after the last; gaps within read as 0, as in a data block."""
    places = [signal.at for signal in profile.signals.values()]
    places += [action.at for action in profile.actions.values()]
    places += [mark.at for mark in (profile.identity.model, profile.identity.serial_number) if mark is not None]
    if profile.heartbeat is not None:
        places.append(profile.heartbeat.at)
    spans: dict[Table, tuple[int, int]] = {}
    for at in places:
        table = Table(at.table)
        first, end = spans.get(table, (at.address, at.address))
        spans[table] = min(first, at.address), max(end, at.address + at.words)
    return spans
