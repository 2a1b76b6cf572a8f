"""A machine as its profile names it: signals, actions, interlocks, confirmation; whatever wire is behind it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pressopt.clock import Clock, wall_monotonic_s, wall_pause_s
from pressopt.errors import (
    DeviceFault,
    InterlockError,
    LimitError,
    LinkRefused,
    LinkVanished,
    ReplyError,
    Violation,
)
from pressopt.instruments.link import Link
from pressopt.profiles import DeviceProfile, Signal

Result = TypeVar("Result")

_CONFIRM_PERIOD_S = 0.1  # laboratory time between two looks at what must confirm an action
_RECONNECT_S = 5.0  # wall time in which a line may come back under the same name
_LIMIT_SLACK = 1e-6  # relative: what rounding to a register's step may add


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


class Machine(Protocol):
    """Signals and actions of one profile: what presses, laminators, heaters and indicators are driven through."""

    profile: DeviceProfile
    clock: Clock

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that it uses, for telemetry."""
        ...

    def identify(self) -> str:
        """Who answers; raises WrongDeviceError when it is another device than the profile's."""
        ...

    def look(self, names: Iterable[str]) -> dict[str, Seen]:
        """Read signals; raises LinkError, DeviceError, ReplyError."""
        ...

    def require(self, action: str, seen: dict[str, Seen]) -> None:
        """Raise InterlockError unless every interlock that ``action`` requires was seen closed."""
        ...

    def act(self, action: str, value: float | None = None) -> float:
        """Do ``action``; returns the value that was really written."""
        ...

    def confirm(self, action: str, done: Callable[[dict[str, Seen]], bool]) -> None:
        """Wait until ``done`` sees the action confirmed; raises DeviceFault when it is not in time."""
        ...

    def ready(self) -> None:
        """Open what is closed and check who answers, before anything is written."""
        ...

    def patiently(self, attempt: Callable[[], Result]) -> Result:
        """Do what may be repeated, also when the line vanishes and comes back within a few seconds."""
        ...

    def let_beat(self, allowed: bool) -> None:
        """Whether looking keeps the heartbeat: a profile that nobody has verified must not write anything."""
        ...

    def close(self) -> None: ...


class Interlocked(ABC):
    """What every machine does alike, over its own :meth:`look`."""

    def __init__(self, profile: DeviceProfile, clock: Clock) -> None:
        self.profile, self.clock = profile, clock

    @abstractmethod
    def look(self, names: Iterable[str]) -> dict[str, Seen]: ...

    def require(self, action: str, seen: dict[str, Seen]) -> None:
        """Raise InterlockError unless every interlock that ``action`` requires was seen closed."""
        opened = [name for name in self.profile.actions[action].requires if not seen[name].value]
        if opened:
            raise InterlockError(
                f"{self.profile.name} does not move: {', '.join(opened)} not given. "
                "Look at the machine; it moves again only after the interlocks are closed and the fault is cleared"
            )

    def confirm(self, action: str, done: Callable[[dict[str, Seen]], bool]) -> None:
        """Wait until ``done`` sees the action confirmed, at most the profile's time.

        Raises:
            DeviceFault: It was not.
        """
        what = self.profile.actions[action].confirm
        assert what is not None  # checked when the profile was loaded
        names = {what.signal} | ({"fault_code"} & set(self.profile.signals))
        end_s = self.clock.now_s() + what.within_s
        while True:
            seen = self.look(names)
            if done(seen):
                return
            if self.clock.now_s() >= end_s:
                now = seen[what.signal]
                fault = seen["fault_code"].word if "fault_code" in seen else ""
                raise DeviceFault(
                    f"{self.profile.name} accepted '{action}', but {what.signal} is still {now.word or now.value} "
                    f"after {what.within_s:g} s{f' (fault: {fault})' if fault else ''}: look at the machine"
                )
            self.clock.sleep_s(_CONFIRM_PERIOD_S)

    def check_believable(self, name: str, signal: Signal, value: float) -> None:
        """Raise ReplyError for a value outside the signal's ``valid``."""
        if signal.valid is not None and not signal.valid[0] <= value <= signal.valid[1]:
            raise ReplyError(
                f"'{name}' of {self.profile.name} says {value:g}, believable is {signal.valid[0]:g} to "
                f"{signal.valid[1]:g}: is the sensor broken, or is scale, type or word order wrong?"
            )

    def check_limit(self, action: str, value: float) -> None:
        """Raise LimitError for a set point above the soft limit of its name, the last look before the wire."""
        name = action.removeprefix("set_")
        limit: float | None = getattr(self.profile.limits, name, None)
        if math.isnan(value) or (limit is not None and value > limit * (1 + _LIMIT_SLACK)):
            allowed = "a number" if limit is None else f"at most {limit:g}"
            raise LimitError(
                [
                    Violation(
                        action, f"{value:g} is asked, '{self.profile.name}' allows {allowed}: nothing was written"
                    )
                ]
            )


class SignalDevice(Interlocked):
    """One device on one link; subclasses say how a signal is asked and an action sent. Owned by one thread.

    Args:
        profile: Its profile.
        clock: Laboratory time, for confirmations.
        link: The line it is on; may be shared with other devices of an RS-485 line.
    """

    def __init__(self, profile: DeviceProfile, clock: Clock, link: Link) -> None:
        super().__init__(profile, clock)
        self.link = link
        self._holds = True  # whether this device counts as a user of the link
        self._known_since = -1  # number of the link's opening after which it was checked who answers
        self._beats = True
        self._beat = 0
        self._beat_wall_s = self._beat_lab_s = -math.inf

    # ---- what an engine does

    @abstractmethod
    def _who(self) -> str:
        """Ask who answers, and describe it; empty where the device cannot tell."""

    @abstractmethod
    def _read(self, names: frozenset[str]) -> dict[str, Seen]:
        """Ask for signals, once."""

    @abstractmethod
    def _write(self, action: str, raw: float) -> float:
        """Send an action, check its readback where the profile asks for it, and return the raw number written."""

    @abstractmethod
    def _send_beat(self, number: int) -> None:
        """Write the heartbeat."""

    # ---- what every engine shares

    @property
    def links(self) -> tuple[Link, ...]:
        return (self.link,)

    def identify(self) -> str:
        """Read and compare who answers.

        Raises:
            WrongDeviceError: Another device answers.
        """
        self._open()
        found = self._who()
        self._known_since = self.link.openings
        return f"{self.profile.name} ({found})" if found else self.profile.name

    def look(self, names: Iterable[str]) -> dict[str, Seen]:
        """Read signals.

        Raises:
            LinkError, DeviceError: The exchange failed, after retries and reconnection.
            ReplyError: A value outside ``valid``, or a number that has no word.
        """
        wanted = frozenset(names)
        return self.patiently(lambda: self._look(wanted))

    def _look(self, wanted: frozenset[str]) -> dict[str, Seen]:
        self.ready()
        seen = self._read(wanted)
        self.keep_beating()
        return seen

    def meaning(self, name: str, raw: float) -> Seen:
        """What the raw number of a signal means.

        Raises:
            ReplyError: It is not believable, or no word belongs to it.
        """
        signal = self.profile.signals[name]
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
        self.check_believable(name, signal, value)
        return Seen(value)

    def act(self, action: str, value: float | None = None) -> float:
        """Write ``action`` and check its readback; returns the value that was really written.

        Raises:
            LimitError: A set point above the profile's soft limit; nothing was written.
            DeviceFault: The machine accepted the write and holds something else.
        """
        what = self.profile.actions[action]
        if value is None:
            raw = float(what.value or 0)
        else:
            self.check_limit(action, value)
            raw = self.profile.raw_of(action, value)
        raw = self._write(action, raw)
        gain, offset = self.profile.linear(what)
        return raw * gain + offset

    def differs(self, action: str, raw: float, held: float) -> DeviceFault:
        """The error for a set point that was accepted and not taken over."""
        return DeviceFault(
            f"{self.profile.name} accepted {action} = {raw:g} (raw) and holds {held:g}: "
            "is remote control on, or does somebody work at the panel?"
        )

    def ready(self) -> None:
        """Open the line if it is closed and check who answers, before anything is written."""
        self._open()
        if self._known_since != self.link.openings:
            self.identify()

    def patiently(self, attempt: Callable[[], Result]) -> Result:
        """Do what may be repeated, also when the line vanishes and comes back within a few seconds."""
        end_s = wall_monotonic_s() + _RECONNECT_S
        pause_s = 0.05
        while True:
            try:
                return attempt()
            except (LinkVanished, LinkRefused):
                self._known_since = -1
                if wall_monotonic_s() + pause_s > end_s:
                    raise
            wall_pause_s(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    def keep_beating(self) -> None:
        """Write the heartbeat when it is due, by wall or laboratory time, whichever runs faster."""
        heart = self.profile.heartbeat
        if heart is None or not self._beats:
            return
        wall_s, lab_s = wall_monotonic_s(), self.clock.now_s()
        if wall_s - self._beat_wall_s < heart.period_s and lab_s - self._beat_lab_s < heart.period_s:
            return
        self._beat = self._beat % 0x7FFF + 1
        self._send_beat(self._beat)
        self._beat_wall_s, self._beat_lab_s = wall_s, lab_s

    def let_beat(self, allowed: bool) -> None:
        """Whether looking keeps the heartbeat."""
        self._beats = allowed

    def _open(self) -> None:
        if not self._holds:
            self.link.join(silence_s=self.profile.link.silence_s)
            self._holds = True
        self.link.open()

    def close(self) -> None:
        self._known_since = -1
        if self._holds:
            self._holds = False
            self.link.close()
