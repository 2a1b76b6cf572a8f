"""Driver of MethodSCRIPT impedance analysers (PalmSens EmStat, Sensit, Nexus) over a serial line.

What it guards against: a device that still streams from an earlier, crashed program; an error that leaves the cell
switched on; a sweep that ended early; an imaginary part with the wrong sign.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from pressopt.clock import Clock, utc_now, wall_monotonic_s
from pressopt.errors import (
    DeviceError,
    LimitError,
    LinkError,
    LinkTimeout,
    LinkVanished,
    PressoptError,
    ReplyError,
    Violation,
    WrongDeviceError,
)
from pressopt.impedance.ports import AnalyzerCapability
from pressopt.impedance.spectrum import ImpedanceSpectrum, Sweep
from pressopt.instruments.causality import sign_complaint
from pressopt.instruments.line import Line, Tap
from pressopt.instruments.methodscript_text import (
    CELL_OFF_SCRIPT,
    Point,
    parse_package,
    refusal,
    si_literal,
    sweep_script,
)
from pressopt.instruments.opening import open_device
from pressopt.instruments.sweeping import POINT_OVERHEAD_S, capability_of, point_s, refuse_beyond
from pressopt.profiles import DeviceProfile

_GUESS_MARGIN_S = 0.001
_SETTLING_POINTS = 3  # a delay before these is taken as the device's start, not as its pace
_MOST_STRETCH = 10.0
_PLACE_TOLERANCE = 0.1  # how far an applied frequency may lie from the planned one
#: A point may take this many times its first guess and this much more (laboratory s) before it counts as lost.
_PATIENCE, _PATIENCE_S = 10.0, 5.0
_LOOK_S = 1.0  # wall time given to a package that should be there; long, so that a busy computer changes nothing
_AFTER_REFUSAL_S = 0.06  # the device ignores commands for 50 ms after a failed one
_SCRIPT_END_POINTS = 2  # an aborted sweep still ends the point it is at
_FLAG_NOT_FINITE = 3


class MethodScriptAnalyzer:
    """One analyser on one line; an :class:`~pressopt.impedance.ports.ImpedanceAnalyzer`.

    Args:
        line: Where it answers; opened when first needed.
        clock: Laboratory time: the sweep takes it.
        profile: Its profile, of kind ``impedance-analyzer``.

    Attributes:
        partial: What was measured of the last sweep that was broken off, or None. It is never returned by
            :meth:`measure`, and its metadata say ``partial``.
    """

    def __init__(self, line: Line, clock: Clock, profile: DeviceProfile) -> None:
        if profile.analyzer is None:
            raise ValueError(f"profile {profile.name!r} is a {profile.kind}, not an impedance analyser")
        self._line, self._clock, self._profile = line, clock, profile
        self._machine = profile.analyzer
        self._buffer = bytearray()
        self._in_step = False
        self._identity = ""
        self.partial: ImpedanceSpectrum | None = None

    @property
    def capability(self) -> AnalyzerCapability:
        return capability_of(self._profile, self._machine)

    def identify(self) -> str:
        """Firmware and serial number; raises WrongDeviceError when they do not fit the profile."""
        self._get_in_step()
        self._write("t\n")
        first, second = self._next_line(), self._next_line()
        if not (first.startswith("t") and second.endswith("*")):
            raise ReplyError(
                f"{self._name} answered 't' with {first!r}, {second!r}: expected 't<firmware>', '...*'"
            )
        self._write("i\n")
        serial = self._next_line()
        if not serial.startswith("i"):
            raise ReplyError(f"{self._name} answered 'i' with {serial!r}: expected 'i<serial number>'")
        said = f"{first[1:]} {second} serial number {serial[1:]}"
        wanted = self._profile.identity.answers
        if wanted and re.search(wanted, said) is None:
            raise WrongDeviceError(
                f"{self._line.name} answers as {said!r}, profile '{self._profile.name}' expects {wanted!r}: "
                "another device sits on this line, or the profile is the wrong one"
            )
        self._identity = said
        return said

    def measure(self, sweep: Sweep, *, on_point: Callable[[int, int], None] | None = None) -> ImpedanceSpectrum:
        """Measure one spectrum; the cell is off afterwards, whatever happens.

        Args:
            sweep: What to measure.
            on_point: Called with (points done, points planned) as each point arrives.

        Raises:
            LimitError: The sweep is beyond the instrument; nothing was switched on.
            DeviceError: The device refused the script or broke it off.
            LinkError: The line failed, or a point did not come in time.
            ReplyError: The sweep ended early, or its sign is not that of any passive cell.
        """
        self._check(sweep)
        self.partial = None
        if not self._identity:
            self.identify()
        self._get_in_step()
        points: list[Point] = []
        times_s: list[float] = []
        began = utc_now().isoformat(timespec="seconds")
        try:
            script = sweep_script(
                sweep, low_range_a=self._machine.low_range_a, high_range_a=self._machine.high_range_a
            )
            self._start(script)
            self._collect(sweep, points, times_s, on_point)
            self._switch_off()
        except BaseException as error:
            self._keep_partial(sweep, points, times_s, began)
            self._after_failure(error)
            raise
        if len(points) != sweep.points:
            self._keep_partial(sweep, points, times_s, began)
            raise ReplyError(
                f"{self._name} ended the sweep without an error, and {len(points)} of {sweep.points} points came: "
                "someone aborted it, or packages were lost; measure again"
            )
        spectrum = self._spectrum(sweep, points, times_s, began)
        complaint = sign_complaint(spectrum)
        if complaint:
            self._keep_partial(sweep, points, times_s, began)
            raise ReplyError(f"{self._name}: {complaint}")
        return spectrum

    def make_safe(self) -> None:
        """Break off what runs and switch the cell off; twice is harmless. A damaged exchange is repeated."""
        for left in reversed(range(self._profile.link.retries + 2)):
            self._in_step = False
            try:
                self._get_in_step()
                self._switch_off()
            except LinkVanished:
                raise
            except (LinkError, ReplyError):
                if not left:
                    raise
            else:
                return

    def close(self) -> None:
        """Close the line; the cell is off between measurements."""
        self._in_step = False
        self._line.close()

    # ---- the sweep

    def _check(self, sweep: Sweep) -> None:
        refuse_beyond(self._machine, self._profile.name, sweep)
        wrong = []
        for name in ("low_hz", "high_hz", "amplitude_mv", "bias_v"):
            try:
                si_literal(getattr(sweep, name))
            except ValueError as error:
                wrong.append(Violation(name, f"{error}: round it"))
        if wrong:
            raise LimitError(wrong)

    def _start(self, script: str) -> None:
        self._write(script)
        answer = self._next_line()
        error = refusal(answer, device=self._name)
        if error is not None:
            raise error
        if answer != "e":
            self._in_step = False
            raise ReplyError(f"{self._name} answered a script with {answer!r}: expected 'e'")

    def _collect(
        self,
        sweep: Sweep,
        points: list[Point],
        times_s: list[float],
        on_point: Callable[[int, int], None] | None,
    ) -> None:
        """Read packages until the script ends, letting laboratory time pass for each."""
        start_s = self._clock.now_s()
        guesses_s = list(map(point_s, sweep.frequencies_hz().tolist()))
        pace = _Pace(guesses_s)
        broken: DeviceError | None = None
        while True:
            if len(points) < sweep.points and broken is None:
                line = self._await_point(pace, len(points), start_s)
            else:
                line = self._next_line()
            if line == "":
                if broken is not None:
                    raise broken
                return
            error = refusal(line, device=self._name)
            if error is not None:
                broken = error  # its empty line follows
            elif line.startswith("P"):
                points.append(_read_point(line))
                times_s.append(self._clock.now_s() - start_s)
                if on_point is not None and len(points) <= sweep.points:
                    on_point(len(points), sweep.points)

    def _await_point(self, pace: _Pace, index: int, start_s: float) -> str:
        """The next line, once laboratory time has gone on to where the point is due."""
        line = self._line_at_hand()
        if line is not None:
            return line
        guess_s = pace.guesses_s[index]
        waited_s = 0.0
        pause_s = pace.due_s(index) - (self._clock.now_s() - start_s)
        while True:
            if pause_s > 0:
                self._clock.sleep_s(pause_s)
                waited_s += pause_s
            try:
                return self._next_line(timeout_s=_LOOK_S)
            except LinkTimeout:
                if waited_s > _PATIENCE * guess_s + _PATIENCE_S:
                    raise LinkTimeout(
                        f"{self._name} sent nothing for {waited_s:.1f} s of the sweep (a point takes about "
                        f"{guess_s:.2g} s): is it still connected and powered?"
                    ) from None
                pause_s = pace.late(index, waited_s)

    def _spectrum(self, sweep: Sweep, points: list[Point], times_s: list[float], began: str) -> ImpedanceSpectrum:
        planned_hz = np.resize(sweep.frequencies_hz(), len(points))
        applied_hz = np.array([point.frequency_hz for point in points])
        flag = np.array([point.flag for point in points], dtype=np.int64)
        # Packages carry no checksum: a frequency that was not asked for is a damaged package.
        misplaced = ~(np.abs(applied_hz / planned_hz - 1) < _PLACE_TOLERANCE)
        applied_hz[misplaced] = planned_hz[misplaced]
        flag[misplaced] = _FLAG_NOT_FINITE
        real_ohm = np.array([point.real_ohm for point in points])
        imaginary_ohm = np.array([point.imaginary_ohm for point in points])
        return ImpedanceSpectrum(
            frequency_hz=applied_hz,
            impedance_ohm=real_ohm + 1j * self._machine.imaginary_sign * imaginary_ohm,
            flag=flag,
            time_s=np.array(times_s),
            metadata={
                "instrument": self._identity,
                "profile": self._profile.name,
                "date": began,
                "amplitude_mv": sweep.amplitude_mv,
                "bias_v": sweep.bias_v,
                "planned_points": float(sweep.points),
                "overload_warnings": float(sum(point.warned for point in points)),
            },
        )

    def _keep_partial(self, sweep: Sweep, points: list[Point], times_s: list[float], began: str) -> None:
        if points:
            spectrum = self._spectrum(sweep, points[: len(times_s)], times_s, began)
            spectrum.metadata["partial"] = f"{len(points)} of {sweep.points} points"
            self.partial = spectrum

    def _after_failure(self, error: BaseException) -> None:
        """Whatever broke the sweep, the cell must be off: a run-time error leaves it on."""
        try:
            self.make_safe()
        except PressoptError as worse:
            error.add_note(
                f"the cell could not be switched off afterwards ({worse}): it may be on; disconnect it by hand"
            )

    # ---- commands

    def _switch_off(self) -> None:
        self._start(CELL_OFF_SCRIPT)
        while (line := self._next_line()) != "":
            error = refusal(line, device=self._name)
            if error is not None:
                raise error

    def _get_in_step(self) -> None:
        """Open the line and make sure that nothing is running and nothing is left to read."""
        if self._in_step and self._line.is_open:
            return
        self._line.open()
        self._buffer.clear()
        link = self._profile.link
        for attempt in range(link.retries + 1):
            # A script that a crashed program was sending ends at the first empty line; then Z aborts what runs.
            self._write("\n")
            self._write("Z\n")
            try:
                self._await_abort()
            except LinkTimeout:
                if attempt == link.retries:
                    raise
                self._line.drain(silence_s=min(link.silence_s, link.timeout_s), limit_s=10 * link.silence_s)
                self._buffer.clear()
            else:
                break
        self._in_step = True

    def _await_abort(self) -> None:
        end_s = wall_monotonic_s() + 30 * self._profile.link.timeout_s
        while not (answer := self._next_line()).startswith("Z"):
            if wall_monotonic_s() > end_s:
                raise LinkTimeout(
                    f"{self._name} streams on and does not answer an abort (Z): switch it off and on"
                )
        if answer == "Z":
            self._await_script_end()
        # Also the pause that the device needs after a refusal (nothing ran); an end that was noise shows here.
        self._line.drain(silence_s=_AFTER_REFUSAL_S, limit_s=10 * self._profile.link.silence_s)
        self._buffer.clear()

    def _await_script_end(self) -> None:
        # It ends the point it is at, runs on_finished, and closes with an empty line.
        slowest_s = point_s(self._machine.low_hz)
        for _ in range(_SCRIPT_END_POINTS + 1):
            try:
                while self._next_line(timeout_s=self._profile.link.timeout_s):
                    pass
            except LinkTimeout:
                self._clock.sleep_s(slowest_s)
            else:
                return
        raise LinkTimeout(f"{self._name} was aborted and does not end its script: switch it off and on")

    # ---- lines of text

    @property
    def _name(self) -> str:
        return f"analyser '{self._profile.name}' on {self._line.name}"

    def _write(self, text: str) -> None:
        self._line.write(text.encode("ascii"))

    def _line_at_hand(self) -> str | None:
        """The next whole line if it has already come."""
        if b"\n" not in self._buffer:
            self._buffer += self._line.read(4096, timeout_s=0.0)
        if b"\n" not in self._buffer:
            return None
        raw, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        # XON and XOFF of a device with flow control are no text.
        return raw.translate(None, b"\x11\x13\r").decode("ascii", errors="replace")

    def _next_line(self, *, timeout_s: float | None = None) -> str:
        """The next line; raises LinkTimeout when none came within the link's time-out (wall time)."""
        patience_s = self._profile.link.timeout_s if timeout_s is None else timeout_s
        end_s = wall_monotonic_s() + patience_s
        while (line := self._line_at_hand()) is None:
            left_s = end_s - wall_monotonic_s()
            if left_s <= 0:
                raise LinkTimeout(f"{self._name} did not answer within {patience_s:g} s")
            self._buffer += self._line.read(4096, timeout_s=left_s)
        return line


class _Pace:
    """When each point of a sweep is due, in laboratory seconds from its start; learns from late points."""

    def __init__(self, guesses_s: list[float]) -> None:
        self.guesses_s = guesses_s
        self._stretch = 1.001
        self._due_s = 0.0
        self._counted = -1

    def due_s(self, index: int) -> float:
        """Due time of point ``index``."""
        while self._counted < index:
            self._counted += 1
            self._due_s += self.guesses_s[self._counted] * self._stretch + _GUESS_MARGIN_S
        return self._due_s

    def late(self, index: int, waited_s: float) -> float:
        """Point ``index`` did not come: how much longer to wait, laboratory s; grows with what was waited."""
        more_s = max(self.guesses_s[index] / 2, POINT_OVERHEAD_S, waited_s)
        self._due_s += more_s
        if index >= _SETTLING_POINTS:
            self._stretch = min(1.25 * self._stretch, _MOST_STRETCH)
        return more_s


def _read_point(line: str) -> Point:
    """A point; a damaged package is a point that may not be used, so that the others keep their places."""
    try:
        return parse_package(line)
    except ReplyError:
        return Point(math.nan, math.nan, math.nan, _FLAG_NOT_FINITE, warned=False)


def connect_methodscript(
    profile: DeviceProfile | str, clock: Clock, url: str | None = None, *, tap: Tap | None = None
) -> MethodScriptAnalyzer:
    """Open the analyser of ``profile`` and check who answers; arguments and errors as in :func:`open_device`."""
    return open_device(
        lambda loaded, line: MethodScriptAnalyzer(line, clock, loaded),
        profile,
        kind="impedance-analyzer",
        url=url,
        tap=tap,
    )
