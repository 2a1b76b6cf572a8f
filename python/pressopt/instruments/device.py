"""A machine behind a register map: reads signals, takes actions, keeps the heartbeat, knows who answers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar, cast

from pressopt.clock import Clock, wall_monotonic_s, wall_pause_s
from pressopt.errors import (
    DeviceFault,
    InterlockError,
    LinkRefused,
    LinkVanished,
    ReplyError,
    WrongDeviceError,
)
from pressopt.instruments.line import Line, Tap
from pressopt.instruments.link import Link
from pressopt.instruments.modbus import Framing, ModbusLink, frame_gap_s
from pressopt.instruments.opening import open_device
from pressopt.instruments.registers import Block, decode, encode, pick, plan_blocks
from pressopt.profiles import DeviceProfile, IdentityMark, Kind, Register, Signal

Result = TypeVar("Result")

_CONFIRM_PERIOD_S = 0.1  # laboratory time between two looks at what must confirm an action
_RECONNECT_S = 5.0  # wall time in which a line may come back under the same name


@dataclass(frozen=True, slots=True)
class Seen:
    """What a signal said: a number in the unit of its name, and its word or trouble.

    Attributes:
        value: Number; NaN when the machine said that it has none.
        word: Word of ``values`` for this number; empty without.
        trouble: Why there is no value (``sensor open``); empty when there is one.
    """

    value: float
    word: str = ""
    trouble: str = ""


class RegisterDevice:
    """Signals and actions of one profile over Modbus. Owned by one thread.

    Args:
        profile: Of engine modbus-tcp or modbus-rtu.
        clock: Laboratory time, for confirmations.
        line: Where the device is.
    """

    def __init__(self, profile: DeviceProfile, clock: Clock, line: Line) -> None:
        self.profile, self.clock = profile, clock
        wanted = profile.link
        self.link = Link(line, retries=wanted.retries, silence_s=wanted.silence_s)
        framing: Framing = "tcp" if wanted.engine == "modbus-tcp" else "rtu"
        place = os.path.realpath(line.name.split(" ")[0])
        no_bit_times = place.startswith("/dev/pts/") or "://" in line.name
        self._modbus = ModbusLink(
            self.link,
            framing=framing,
            unit=wanted.unit,
            timeout_s=wanted.timeout_s,
            frame_gap_s=frame_gap_s(wanted.baud, pseudo_terminal=no_bit_times),
        )
        self._plans: dict[frozenset[str], tuple[Block, ...]] = {}
        self._known = False  # who answers has been checked since the line was opened
        self._beat = 0
        self._beat_wall_s = self._beat_lab_s = -math.inf

    # ---- who answers

    def identify(self) -> str:
        """Read and compare model and serial number.

        Raises:
            WrongDeviceError: Another device answers.
        """
        self.link.open()
        found = []
        for name in ("model", "serial_number"):
            mark: IdentityMark | None = getattr(self.profile.identity, name)
            if mark is None:
                continue
            number = round(self._raw(mark.at))
            words = name.replace("_", " ")
            if mark.expect is not None and number != mark.expect:
                raise WrongDeviceError(
                    f"{self._modbus.name}: {words} {number} answers, '{self.profile.name}' has {mark.expect}: "
                    "check cable, address and profile; nothing was written"
                )
            found.append(f"{words} {number}")
        self._known = True
        return f"{self.profile.name} ({', '.join(found)})" if found else self.profile.name

    # ---- signals

    def look(self, names: Iterable[str]) -> dict[str, Seen]:
        """Read signals in as few questions as their addresses allow.

        Raises:
            LinkError, DeviceError: The exchange failed, after retries and reconnection.
            ReplyError: A value outside ``valid``, or a number that has no word.
        """
        wanted = frozenset(names)
        return self._patiently(lambda: self._look(wanted))

    def _look(self, wanted: frozenset[str]) -> dict[str, Seen]:
        self._ready()
        plan = self._plans.get(wanted)
        if plan is None:
            registers = [self.profile.signals[name].at for name in wanted]
            plan = self._plans[wanted] = plan_blocks(registers, most_words=self.profile.link.most_words)
        words = {block: self._read_block(block) for block in plan}
        order = self.profile.link.word_order
        seen = {}
        for name in wanted:
            signal = self.profile.signals[name]
            seen[name] = self._meaning(name, signal, decode(signal.at, pick(signal.at, words), order))
        self._keep_beating()
        return seen

    def _meaning(self, name: str, signal: Signal, raw: float) -> Seen:
        number = round(raw)
        if number in signal.invalid and number == raw:
            return Seen(math.nan, trouble=signal.invalid[number])
        if signal.values:
            word = signal.values.get(number)
            if word is None and name != "fault_code":
                raise ReplyError(f"'{name}' of {self.profile.name} says {number}, which its profile does not know")
            return Seen(float(number), word=f"fault {number}" if word is None else word)
        gain, offset = self.profile.linear(signal)
        value = raw * gain + offset
        if signal.valid is not None and not signal.valid[0] <= value <= signal.valid[1]:
            raise ReplyError(
                f"'{name}' of {self.profile.name} says {value:g}, believable is {signal.valid[0]:g} to "
                f"{signal.valid[1]:g}: is the sensor broken, or is scale, type or word order wrong?"
            )
        return Seen(value)

    def _read_block(self, block: Block) -> list[int]:
        if block.table in ("coil", "discrete"):
            return [int(bit) for bit in self._modbus.read_bits(block.table, block.start, block.count)]  # type: ignore[arg-type]
        return self._modbus.read_words(block.table, block.start, block.count)  # type: ignore[arg-type]

    def _raw(self, at: Register) -> float:
        return decode(at, self._read_block(Block(at.table, at.address, at.words)), self.profile.link.word_order)

    # ---- actions

    def require(self, action: str, seen: dict[str, Seen]) -> None:
        """Raise InterlockError unless every interlock that ``action`` requires was seen closed."""
        opened = [name for name in self.profile.actions[action].requires if not seen[name].value]
        if opened:
            raise InterlockError(
                f"{self.profile.name} does not move: {', '.join(opened)} not given. "
                "Look at the machine; it moves again only after the interlocks are closed and the fault is cleared"
            )

    def act(self, action: str, value: float | None = None) -> float:
        """Write ``action`` and check its readback; returns the value that was really written.

        Raises:
            DeviceFault: The machine accepted the write and holds something else.
        """
        what = self.profile.actions[action]
        raw = float(what.value) if what.value is not None else self.profile.raw_of(action, cast(float, value))
        order = self.profile.link.word_order
        if what.at.table == "coil":
            self._modbus.write_coil(what.at.address, bool(raw))
        else:
            words = encode(what.at, raw, order)
            if len(words) == 1:
                self._modbus.write_word(what.at.address, words[0])
            else:
                self._modbus.write_words(what.at.address, words)
            raw = decode(what.at, words, order)
        if what.readback:
            held = self._raw(what.at)
            if held != raw:
                raise DeviceFault(
                    f"{self.profile.name} accepted {action} = {raw:g} (raw) and holds {held:g}: "
                    "is remote control on, or does somebody work at the panel?"
                )
        gain, offset = self.profile.linear(what)
        return raw * gain + offset

    def confirm(self, action: str, done: Callable[[dict[str, Seen]], bool]) -> None:
        """Wait until ``done`` sees the action confirmed, at most the profile's time.

        Raises:
            DeviceFault: It was not.
        """
        what = self.profile.actions[action].confirm
        assert what is not None  # checked when the profile was loaded
        names = {what.signal, "fault_code"}
        end_s = self.clock.now_s() + what.within_s
        while True:
            seen = self.look(names)
            if done(seen):
                return
            if self.clock.now_s() >= end_s:
                now = seen[what.signal]
                fault = seen["fault_code"].word
                raise DeviceFault(
                    f"{self.profile.name} accepted '{action}', but {what.signal} is still {now.word or now.value} "
                    f"after {what.within_s:g} s{f' (fault: {fault})' if fault else ''}: look at the machine"
                )
            self.clock.sleep_s(_CONFIRM_PERIOD_S)

    def ready(self) -> None:
        """Open the line if it is closed and check who answers, before anything is written."""
        self._ready()

    def patiently(self, attempt: Callable[[], Result]) -> Result:
        """Do what may be repeated, also when the line vanishes and comes back within a few seconds."""
        return self._patiently(attempt)

    def close(self) -> None:
        self._known = False
        self.link.close()

    # ---- inside

    def _ready(self) -> None:
        if not self.link.line.is_open:
            self._known = False
            self.link.open()
        if not self._known:
            self.identify()

    def _patiently(self, attempt: Callable[[], Result]) -> Result:
        end_s = wall_monotonic_s() + _RECONNECT_S
        pause_s = 0.05
        while True:
            try:
                return attempt()
            except (LinkVanished, LinkRefused):
                self._known = False
                if wall_monotonic_s() + pause_s > end_s:
                    raise
            wall_pause_s(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    def _keep_beating(self) -> None:
        """Write the heartbeat when it is due, by wall or laboratory time, whichever runs faster."""
        heart = self.profile.heartbeat
        if heart is None:
            return
        wall_s, lab_s = wall_monotonic_s(), self.clock.now_s()
        if wall_s - self._beat_wall_s < heart.period_s and lab_s - self._beat_lab_s < heart.period_s:
            return
        self._beat = self._beat % 0x7FFF + 1
        self._modbus.write_word(heart.at.address, self._beat)
        self._beat_wall_s, self._beat_lab_s = wall_s, lab_s


def connect(
    profile: DeviceProfile | str, clock: Clock, url: str | None = None, *, kind: Kind, tap: Tap | None = None
) -> RegisterDevice:
    """Open the line of ``profile`` and check who answers; arguments and errors as in :func:`open_device`."""
    return open_device(
        lambda loaded, line: RegisterDevice(loaded, clock, line), profile, kind=kind, url=url, tap=tap
    )
