"""Driver of four-wire (Kelvin) milliohm meters over SCPI."""

from __future__ import annotations

import math
import re

from pressopt.clock import Clock, wall_monotonic_s
from pressopt.errors import (
    DeviceRefused,
    LinkError,
    LinkTimeout,
    LinkVanished,
    ReplyError,
    ShortReply,
    WrongDeviceError,
)
from pressopt.impedance.ports import ResistanceReading
from pressopt.instruments.line import Line, Tap
from pressopt.instruments.opening import open_device
from pressopt.profiles import DeviceProfile

_READING_S = (
    0.1  # laboratory time between two readings, so that mains hum averages out (assumed: 5 periods of 50 Hz)
)
_STALE_S = 0.02  # wall time
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
        self._line, self._clock, self._profile = line, clock, profile
        self._machine = profile.meter
        self._end = self._machine.terminator.encode("ascii")
        self._in_step = False
        self._failed = False
        self._ready = False

    def identify(self) -> str:
        """The answer to ``*IDN?``; raises WrongDeviceError when it does not fit the profile."""
        identity = self._profile.identity
        said = self._ask(identity.ask or "*IDN?")
        if identity.answers and re.search(identity.answers, said) is None:
            raise WrongDeviceError(
                f"{self._line.name} answers as {said!r}, profile '{self._profile.name}' expects "
                f"{identity.answers!r}: another device sits on this line, or the profile is the wrong one"
            )
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
        self._in_step = self._ready = False
        self._line.close()

    def _set_up(self) -> None:
        if self._ready and self._line.is_open:
            return
        self.identify()
        for command in self._machine.setup:
            self._line.write(command.encode("ascii") + self._end)
        self._check_errors()
        self._ready = True

    def _reading_ohm(self) -> float:
        reply = self._ask(self._machine.ask_reading)
        if _NUMBER.fullmatch(reply) is None:
            raise ReplyError(
                f"{self._name} answered {self._machine.ask_reading!r} with {reply!r}: expected a number"
            )
        return float(reply)

    def _check_errors(self) -> None:
        errors = []
        for _ in range(_ERROR_LIMIT):
            reply = self._ask(":SYSTem:ERRor?")
            if re.match(r"[+-]?0\b", reply):
                break
            errors.append(reply)
        if errors:
            self._ready = False
            raise DeviceRefused(
                f"{self._name} reports: {'; '.join(errors)}. Look at link and setup in its profile"
            )

    # ---- questions and answers

    @property
    def _name(self) -> str:
        return f"meter '{self._profile.name}' on {self._line.name}"

    def _ask(self, question: str) -> str:
        """Ask, and return the answer; a failed exchange leaves a silent line behind before the next question."""
        link = self._profile.link
        failure: LinkError | None = None
        for _ in range(link.retries + 1):
            try:
                self._get_in_step()
                self._line.write(question.encode("ascii") + self._end)
                return self._answer(question)
            except LinkVanished:
                self._in_step = self._ready = False
                raise
            except LinkError as error:
                self._in_step, self._failed = False, True
                failure = error
        assert failure is not None
        raise failure

    def _get_in_step(self) -> None:
        self._line.open()
        if not self._in_step:
            link = self._profile.link
            # A line that failed must fall silent; one that is new may hold what an earlier program did not read.
            silence_s = link.silence_s if self._failed else _STALE_S
            self._line.drain(silence_s=silence_s, limit_s=10 * link.silence_s)
        self._in_step, self._failed = True, False

    def _answer(self, question: str) -> str:
        timeout_s = self._profile.link.timeout_s
        end_s = wall_monotonic_s() + timeout_s
        got = b""
        while not got.endswith(self._end):
            left_s = end_s - wall_monotonic_s()
            data = self._line.read(4096, timeout_s=left_s) if left_s > 0 else b""
            if not data:
                if got:
                    raise ShortReply(f"{self._name} began to answer {question!r} with {got!r} and did not end it")
                raise LinkTimeout(f"{self._name} did not answer {question!r} within {timeout_s:g} s")
            got += data
        text = got.removesuffix(self._end).decode("ascii", errors="replace").strip()
        if self._end in got[: -len(self._end)]:
            self._in_step, self._failed = False, True  # more than one answer: an earlier one came late
            raise ReplyError(f"{self._name} answered {question!r} with {got!r}: expected one line")
        return text


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
