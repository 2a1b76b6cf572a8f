"""What impedance analysers do alike: check the sweep, keep what was measured, leave the cell switched off."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pressopt.clock import Clock, utc_now, wall_monotonic_s, wall_pause_s
from pressopt.errors import (
    LimitError,
    LinkError,
    LinkRefused,
    LinkTimeout,
    LinkVanished,
    PressoptError,
    ReplyError,
    Violation,
)
from pressopt.impedance.ports import AnalyzerCapability
from pressopt.impedance.spectrum import ImpedanceSpectrum, Sweep
from pressopt.instruments.causality import sign_complaint
from pressopt.profiles import AnalyzerMachine, DeviceProfile

#: Flags of :class:`~pressopt.impedance.spectrum.ImpedanceSpectrum`.
GOOD, OVERLOAD, UNDERLOAD, NOT_FINITE, TIMING = 0, 1, 2, 3, 4
#: First guess of the laboratory time of one point: settling and evaluation, and the periods measured (assumed).
POINT_OVERHEAD_S = 0.05
POINT_PERIODS = 3.0
#: A point may take this many times its first guess and this much more (laboratory s) before it counts as lost.
_PATIENCE, _PATIENCE_S = 10.0, 5.0
_MARGIN, _MARGIN_S = 0.001, 0.001  # so that an instrument that takes exactly the guess has ended
_RECONNECT_S = 10.0  # wall time in which a line may come back so that its cell can be switched off
_PLACE_TOLERANCE = 0.1  # how far an applied frequency may lie from the planned one


@dataclass(frozen=True, slots=True)
class Point:
    """One measured point.

    Attributes:
        frequency_hz: As applied, Hz; NaN when the instrument does not say.
        impedance_ohm: As the instrument sends it, Ω: Z' with Z'' or -Z''.
        flag: As in :class:`~pressopt.impedance.spectrum.ImpedanceSpectrum`.
        at_s: When it was measured, laboratory s; None: just now.
        warned: The instrument warned of an overload to come; the point is good.
    """

    frequency_hz: float
    impedance_ohm: complex
    flag: int = GOOD
    at_s: float | None = None
    warned: bool = False


def refuse_beyond(machine: AnalyzerMachine, name: str, sweep: Sweep, *, bias_possible: bool = True) -> None:
    """Raise LimitError with everything that a sweep asks beyond the instrument ``name``."""
    wrong = []
    if sweep.low_hz < machine.low_hz * (1 - 1e-9) or sweep.high_hz > machine.high_hz * (1 + 1e-9):
        wrong.append(
            Violation(
                "low_hz, high_hz",
                f"the sweep asks for {sweep.low_hz:g} to {sweep.high_hz:g} Hz, '{name}' "
                f"measures {machine.low_hz:g} to {machine.high_hz:g} Hz: stay inside",
            )
        )
    if sweep.amplitude_mv > machine.limit_amplitude_mv:
        wrong.append(
            Violation(
                "amplitude_mv",
                f"the sweep asks for {sweep.amplitude_mv:g} mV, '{name}' allows "
                f"{machine.limit_amplitude_mv:g} mV: give less",
            )
        )
    if sweep.bias_v and not bias_possible:
        wrong.append(Violation("bias_v", f"the sweep asks for {sweep.bias_v:g} V, '{name}' sets no bias: write 0"))
    if wrong:
        raise LimitError(wrong)


def capability_of(profile: DeviceProfile, machine: AnalyzerMachine) -> AnalyzerCapability:
    """What an analyser can do, from its profile."""
    return AnalyzerCapability(profile.name, machine.low_hz, machine.high_hz, machine.limit_amplitude_mv)


def point_s(frequency_hz: float) -> float:
    """Laboratory time that one point is expected to take, s."""
    return POINT_OVERHEAD_S + POINT_PERIODS / frequency_hz


class SweepingAnalyzer(ABC):
    """An analyser that is led through a sweep; an :class:`~pressopt.impedance.ports.ImpedanceAnalyzer`.

    Args:
        clock: Laboratory time: the sweep takes it.
        profile: Its profile, of kind ``impedance-analyzer``.

    Attributes:
        partial: What was measured of the last sweep that was broken off, or None. It is never returned by
            :meth:`measure`, and its metadata say ``partial``.
    """

    def __init__(self, clock: Clock, profile: DeviceProfile) -> None:
        if profile.analyzer is None:
            raise ValueError(f"profile {profile.name!r} is a {profile.kind}, not an impedance analyser")
        self.clock, self.profile, self.machine = clock, profile, profile.analyzer
        self.partial: ImpedanceSpectrum | None = None
        self._who = ""

    # ---- what an engine does

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people."""

    @property
    def bias_possible(self) -> bool:
        """Whether it can hold a DC level."""
        return True

    @abstractmethod
    def _ask_who(self) -> str:
        """Ask who answers; raises WrongDeviceError."""

    @abstractmethod
    def _begin(self, sweep: Sweep) -> None:
        """Set up and switch the cell on."""

    @abstractmethod
    def _points(self, sweep: Sweep, take: Callable[[Point], None]) -> None:
        """Measure every point of the sweep, in order, and hand each over."""

    @abstractmethod
    def _switch_off(self) -> None:
        """Switch the cell off."""

    @abstractmethod
    def make_safe(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    # ---- what every engine shares

    @property
    def name(self) -> str:
        """What people call it, for messages."""
        return f"analyser '{self.profile.name}' on {self.place}"

    @property
    def capability(self) -> AnalyzerCapability:
        return capability_of(self.profile, self.machine)

    def identify(self) -> str:
        """Who answers; raises WrongDeviceError when that does not fit the profile."""
        self._who = self._ask_who()
        return self._who

    def measure(self, sweep: Sweep, *, on_point: Callable[[int, int], None] | None = None) -> ImpedanceSpectrum:
        """Measure one spectrum; the cell is off afterwards, whatever happens.

        Args:
            sweep: What to measure.
            on_point: Called with (points done, points planned) as each point arrives.

        Raises:
            LimitError: The sweep is beyond the instrument; nothing was switched on.
            DeviceError: The device refused or broke off.
            LinkError: The line failed, or a point did not come in time.
            ReplyError: The sweep ended early, or its sign is not that of any passive cell.
        """
        self._refuse_beyond(sweep)
        self.partial = None
        if not self._who:
            self.identify()
        points: list[Point] = []
        times_s: list[float] = []
        start_s = self.clock.now_s()
        began = utc_now().isoformat(timespec="seconds")

        def take(point: Point) -> None:
            points.append(point)
            times_s.append((self.clock.now_s() if point.at_s is None else point.at_s) - start_s)
            if on_point is not None and len(points) <= sweep.points:
                on_point(len(points), sweep.points)

        try:
            self._begin(sweep)
            self._points(sweep, take)
            self._switch_off()
        except BaseException as error:
            self._keep_partial(sweep, points, times_s, began)
            leave_off(self.make_safe, error)
            raise
        if len(points) != sweep.points:
            self._keep_partial(sweep, points, times_s, began)
            raise ReplyError(
                f"{self.name} ended the sweep without an error, and {len(points)} of {sweep.points} points came: "
                "someone aborted it, or points were lost; measure again"
            )
        spectrum = self._spectrum(sweep, points, times_s, began)
        complaint = sign_complaint(spectrum)
        if complaint:
            self._keep_partial(sweep, points, times_s, began)
            raise ReplyError(f"{self.name}: {complaint}")
        return spectrum

    def _refuse_beyond(self, sweep: Sweep) -> None:
        """Raise LimitError with everything that the sweep asks beyond the instrument."""
        refuse_beyond(self.machine, self.profile.name, sweep, bias_possible=self.bias_possible)

    def await_reply(self, guess_s: float, ready: Callable[[], Point | None]) -> Point:
        """Let laboratory time pass until ``ready`` gives the point, at most with the profile's patience.

        Raises:
            LinkTimeout: It did not come.
        """
        waited_s = guess_s * (1 + _MARGIN) + _MARGIN_S
        self.clock.sleep_s(waited_s)
        while (point := ready()) is None:
            if waited_s > _PATIENCE * guess_s + _PATIENCE_S:
                raise LinkTimeout(
                    f"{self.name} gave no point for {waited_s:.1f} s (it takes about {guess_s:.2g} s): "
                    "is it still measuring?"
                )
            more_s = max(guess_s / 2, POINT_OVERHEAD_S)
            self.clock.sleep_s(more_s)
            waited_s += more_s
        return point

    def _spectrum(self, sweep: Sweep, points: list[Point], times_s: list[float], began: str) -> ImpedanceSpectrum:
        planned_hz = np.resize(sweep.frequencies_hz(), len(points))
        applied_hz = np.array([point.frequency_hz for point in points])
        impedance_ohm = np.array([point.impedance_ohm for point in points], dtype=np.complex128)
        flag = np.array([point.flag for point in points], dtype=np.int64)
        # A frequency that was not asked for comes of a damaged answer: few instruments send a checksum.
        misplaced = ~(np.abs(applied_hz / planned_hz - 1) < _PLACE_TOLERANCE)
        applied_hz[misplaced] = planned_hz[misplaced]
        flag[misplaced] = NOT_FINITE
        if self.machine.imaginary_sign < 0:
            impedance_ohm = impedance_ohm.conj()
        return ImpedanceSpectrum(
            frequency_hz=applied_hz,
            impedance_ohm=impedance_ohm,
            flag=flag,
            time_s=np.array(times_s),
            metadata={
                "instrument": self._who,
                "profile": self.profile.name,
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


def leave_off(make_safe: Callable[[], None], error: BaseException) -> None:
    """Whatever broke a measurement, the cell must be off; where it may be on, ``error`` says so."""
    try:
        make_safe()
    except PressoptError as worse:
        error.add_note(
            f"the cell could not be switched off afterwards ({worse}): it may be on; disconnect it by hand"
        )


def insist(attempt: Callable[[], None], *, retries: int, hang_up: Callable[[], None]) -> None:
    """Do what must be done, such as switching a cell off, also when the line is gone for a few seconds.

    Args:
        attempt: Opens the line where it is closed; harmless when it is repeated.
        retries: How often a damaged exchange is repeated.
        hang_up: Called after each failure.

    Raises:
        LinkError, ReplyError: The last failure.
    """
    end_s = wall_monotonic_s() + _RECONNECT_S
    pause_s, left = 0.05, retries + 1
    while True:
        try:
            attempt()
        except (LinkVanished, LinkRefused):
            hang_up()
            if wall_monotonic_s() + pause_s > end_s:
                raise
            wall_pause_s(pause_s)
            pause_s = min(2 * pause_s, 1.0)
        except (LinkError, ReplyError):
            hang_up()
            left -= 1
            if left < 0:
                raise
        else:
            return
