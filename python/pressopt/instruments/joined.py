"""One machine made of several devices: a PLC, heaters on a shared line, a load indicator.

A part that is lost fails the whole look, so that whoever presses stops. Stopping itself never gives up because of
one part: every other part is told, and what could not be reached is said at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from pressopt.clock import Clock
from pressopt.errors import DeviceFault, InstrumentError, LinkError, LinkRefused
from pressopt.instruments.link import Link
from pressopt.instruments.machine import Interlocked, Machine, Seen, SignalDevice
from pressopt.profiles import DeviceProfile, of_parts

Result = TypeVar("Result")


class JoinedDevice(Interlocked):
    """Signals and actions of a profile with ``[parts]``, spread over their machines. Owned by one thread.

    Args:
        profile: Of engine parts.
        clock: Laboratory time, for confirmations.
        parts: The machine of each part.
    """

    def __init__(self, profile: DeviceProfile, clock: Clock, parts: Mapping[str, Machine]) -> None:
        super().__init__(profile, clock)
        self.parts = dict(parts)

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(dict.fromkeys(link for part in self.parts.values() for link in part.links))

    def identify(self) -> str:
        """Who answers, of every part; raises WrongDeviceError when one is another device."""
        found = [f"{name}: {self._told(name, part.identify)}" for name, part in self.parts.items()]
        return f"{self.profile.name} ({'; '.join(found)})"

    def ready(self) -> None:
        """Open what can be opened and check who answers there; a lost part is told by whoever needs it.

        Raises:
            InstrumentError: No part at all is there.
        """
        lost: list[InstrumentError] = []
        for name, part in self.parts.items():
            try:
                self._told(name, part.ready)
            except LinkError as error:
                lost.append(error)
        if len(lost) == len(self.parts):
            raise lost[0]

    # ---- signals

    def look(self, names: Iterable[str]) -> dict[str, Seen]:
        """Read signals, each part asked once.

        Raises:
            LinkError, DeviceError, ReplyError: A part could not be read; its name is in the message.
        """
        wanted = list(names)
        of: dict[str, set[str]] = {}
        for name in wanted:
            for part, signal in of_parts(self.profile.signals[name].at).targets():
                of.setdefault(part, set()).add(signal)
        seen = {part: self._told(part, partial(self.parts[part].look, signals)) for part, signals in of.items()}
        for name, machine in self.parts.items():
            if name not in of and isinstance(machine, SignalDevice) and machine.profile.heartbeat is not None:
                self._told(name, machine.keep_beating)
        return {name: self._joined(name, seen) for name in wanted}

    def _joined(self, name: str, seen: Mapping[str, Mapping[str, Seen]]) -> Seen:
        signal = self.profile.signals[name]
        at = of_parts(signal.at)
        found = [(part, seen[part][its]) for part, its in at.targets()]
        trouble = "; ".join(f"{part}: {one.trouble}" for part, one in found if one.trouble)
        if trouble:
            return Seen(math.nan, trouble=trouble)
        values = [one.value for _, one in found]
        if signal.interlock:
            return Seen(min(values))
        if found[0][1].word or len(found) == 1:
            said = next((one for _, one in found if one.word), found[0][1])
            value, word = said.value, said.word
        else:
            value, word = _JOINS[at.join](values), ""
        self.check_believable(name, signal, value)
        return Seen(value, word=word)

    # ---- actions

    def act(self, action: str, value: float | None = None) -> float:
        """Do ``action`` on every part that it names; returns what the first one really wrote.

        ``stop`` is told to every part that can be reached, heaters included, before an error is raised.

        Raises:
            LimitError: A set point above the soft limit; nothing was written.
            DeviceFault: A part holds something else than was written, or could not be stopped.
        """
        if value is not None:
            self.check_limit(action, value)
        targets = of_parts(self.profile.actions[action].at).targets()
        if self.profile.actions[action].always_allowed:
            return self._act_on_all(action, targets, value)
        written = [self._told(part, partial(self._act, part, name, value)) for part, name in targets]
        return written[0]

    def _act(self, part: str, name: str, value: float | None) -> float:
        machine = self.parts[part]
        machine.ready()
        return machine.act(name, value)

    def _act_on_all(self, action: str, targets: tuple[tuple[str, str], ...], value: float | None) -> float:
        failed: dict[str, InstrumentError] = {}
        orders: list[tuple[str, str, float | None]] = [(part, name, value) for part, name in targets]
        orders += [order for order in self._heaters_off() if order[:2] not in targets]
        for part, name, number in orders:
            try:
                self.parts[part].patiently(partial(self._act, part, name, number))
            except InstrumentError as error:
                failed[part] = error
        if failed:
            names = ", ".join(f"'{part}' ({error})" for part, error in failed.items())
            rest = [part for part in self.parts if part not in failed]
            told = f"{', '.join(rest)} did it" if rest else "no part did it"
            raise DeviceFault(
                f"{self.profile.name}: '{action}' did not reach {names}; {told}. Go to the machine and switch off "
                "by hand what was not reached"
            )
        return value or 0.0

    def _heaters_off(self) -> list[tuple[str, str, float | None]]:
        """What cools each panel controller: its own stop, or the lowest set point that it takes."""
        orders: list[tuple[str, str, float | None]] = []
        for part, machine in self.parts.items():
            heater = machine.profile.heater
            if heater is None:
                continue
            if "stop" in machine.profile.actions:
                orders.append((part, "stop", None))
            else:
                orders.append((part, "set_temperature_c", heater.min_c))
        return orders

    # ---- all

    def patiently(self, attempt: Callable[[], Result]) -> Result:
        """Every part is patient by itself."""
        return attempt()

    def let_beat(self, allowed: bool) -> None:
        """Whether looking keeps the heartbeats of the parts."""
        for part in self.parts.values():
            part.let_beat(allowed)

    def close(self) -> None:
        for part in self.parts.values():
            part.close()

    def _told(self, part: str, attempt: Callable[[], Result]) -> Result:
        """Do it, and name the part in whatever goes wrong."""
        try:
            return attempt()
        except InstrumentError as error:
            raise type(error)(f"part '{part}' of {self.profile.name}: {error}") from error


_JOINS: Mapping[str, Callable[[list[float]], float]] = {
    "mean": lambda values: math.fsum(values) / len(values),
    "highest": max,
    "lowest": min,
    "first": lambda values: values[0],
}


def split_urls(profile: DeviceProfile, url: str | None) -> dict[str, str]:
    """The url of each part, from ``part=url,part=url``.

    Raises:
        LinkRefused: A word of it names no part.
    """
    urls: dict[str, str] = {}
    for word in filter(None, (url or "").split(",")):
        part, is_there, address = word.strip().partition("=")
        if not is_there or part not in profile.parts:
            raise LinkRefused(
                f"{word!r} names no part of '{profile.name}': write part=url,part=url with the parts "
                f"{', '.join(profile.parts)}"
            )
        urls[part] = address
    return urls


def join_urls(urls: Mapping[str, str]) -> str:
    """The opposite of :func:`split_urls`."""
    return ",".join(f"{part}={url}" for part, url in urls.items())
