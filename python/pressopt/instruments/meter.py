"""Driver of four-wire (Kelvin) milliohm meters over SCPI."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from pressopt.clock import Clock
from pressopt.errors import DeviceRefused, ReplyError
from pressopt.impedance.ports import ResistanceReading
from pressopt.instruments.line import Line, Tap
from pressopt.instruments.link import Link
from pressopt.instruments.opening import open_device, refuse_stranger
from pressopt.instruments.text_link import TextLink
from pressopt.profiles import DeviceProfile

_READING_S = (
    0.1  # laboratory time between two readings, so that mains hum averages out (assumed: 5 periods of 50 Hz)
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_ERROR_LIMIT = 30  # longest error queue that is read out


class ScpiResistanceMeter:
    """One meter on one line; a :class:`~pressopt.impedance.ports.ResistanceMeter`.

    Args:
        line: Where it answers; opened when first needed.
        clock: Laboratory time: readings take it.
        profile: Its profile, of kind ``resistance-meter``.
    """

    def __init__(self, line: Line, clock: Clock, profile: DeviceProfile) -> None:
        if profile.meter is None:
            raise ValueError(f"profile {profile.name!r} is a {profile.kind}, not a resistance meter")
        self._clock, self._profile, self._machine = clock, profile, profile.meter
        wanted = replace(profile.link, terminator=profile.meter.terminator, reply_terminator=None)
        self._link = Link(line, retries=wanted.retries, silence_s=wanted.silence_s)
        self._text = TextLink(self._link, wanted, name=self._name)
        self._ready_since = -1

    def identify(self) -> str:
        """The answer to ``*IDN?``; raises WrongDeviceError when it does not fit the profile."""
        self._link.open()
        said = self._text.ask(self._profile.identity.ask or "*IDN?")
        refuse_stranger(self._profile, said, self._link.line.name)
        return said

    def measure(self, readings: int) -> ResistanceReading:
        """Mean of ``readings`` single readings, with the standard deviation of one.

        The standard deviation joins the scatter of the readings and the meter's accuracy from its profile. One
        overload makes the whole measurement invalid: its resistance is infinite, and no number is made up.

        Raises:
            ValueError: Fewer than 2 readings were asked.
            DeviceRefused: The meter reports errors.
            LinkError: The line failed.
        """
        if readings < 2:
            raise ValueError(f"{readings} readings have no standard deviation: ask for at least 2")
        self._set_up()
        values_ohm = []
        for _ in range(readings):
            self._clock.sleep_s(_READING_S)
            values_ohm.append(self._reading_ohm())
        self._check_errors()
        machine = self._machine
        if any(abs(value) >= machine.overload_ohm or not math.isfinite(value) for value in values_ohm):
            return ResistanceReading(math.inf, math.inf, valid=False, readings=readings)
        mean_ohm = math.fsum(values_ohm) / readings
        scatter_ohm = math.sqrt(math.fsum((value - mean_ohm) ** 2 for value in values_ohm) / (readings - 1))
        sd_ohm = math.hypot(scatter_ohm, machine.accuracy_rel * mean_ohm, machine.accuracy_ohm)
        inside = machine.low_ohm <= mean_ohm <= machine.high_ohm
        return ResistanceReading(mean_ohm, sd_ohm, valid=inside, readings=readings)

    def close(self) -> None:
        self._ready_since = -1
        self._link.close()

    def _set_up(self) -> None:
        self._link.open()
        if self._ready_since == self._link.openings:
            return
        self.identify()
        for command in self._machine.setup:
            self._text.tell(command)
        self._check_errors()
        self._ready_since = self._link.openings

    def _reading_ohm(self) -> float:
        reply = self._text.ask(self._machine.ask_reading)
        if _NUMBER.fullmatch(reply) is None:
            raise ReplyError(
                f"{self._name} answered {self._machine.ask_reading!r} with {reply!r}: expected a number"
            )
        return float(reply)

    def _check_errors(self) -> None:
        errors = []
        for _ in range(_ERROR_LIMIT):
            reply = self._text.ask(":SYSTem:ERRor?")
            if re.match(r"[+-]?0\b", reply):
                break
            errors.append(reply)
        if errors:
            self._ready_since = -1
            raise DeviceRefused(
                f"{self._name} reports: {'; '.join(errors)}. Look at link and setup in its profile"
            )

    @property
    def _name(self) -> str:
        return f"meter '{self._profile.name}' on {self._link.line.name}"


def connect_meter(
    profile: DeviceProfile | str, clock: Clock, url: str | None = None, *, tap: Tap | None = None
) -> ScpiResistanceMeter:
    """Open the meter of ``profile`` and check who answers; arguments and errors as in :func:`open_device`."""
    return open_device(
        lambda loaded, line: ScpiResistanceMeter(line, clock, loaded),
        profile,
        kind="resistance-meter",
        url=url,
        tap=tap,
    )
