"""Ports: what an impedance analyser, a four-wire meter and a cycler promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pressopt.impedance.cycling import CyclingPlan, CyclingRecord
from pressopt.impedance.spectrum import ImpedanceSpectrum, Sweep


@dataclass(frozen=True, slots=True)
class AnalyzerCapability:
    """Band in Hz, amplitude in mV and name of an impedance analyser, from its profile."""

    name: str
    low_hz: float
    high_hz: float
    limit_amplitude_mv: float


class ImpedanceAnalyzer(Protocol):
    """Every driver of an analyser keeps these promises.

    - ``measure`` returns all points measured, bad ones flagged, or raises; a partial sweep is never passed off
      as a whole one.
    - Whatever happens in ``measure``, the cell is off afterwards (``make_safe`` has been sent).
    """

    @property
    def capability(self) -> AnalyzerCapability: ...

    def identify(self) -> str: ...

    def measure(self, sweep: Sweep, *, on_point: Callable[[int, int], None] | None = None) -> ImpedanceSpectrum:
        """Measure one spectrum; ``on_point(done, planned)`` is called as points arrive."""
        ...

    def make_safe(self) -> None:
        """Break off what runs and switch the cell off; twice is harmless."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ResistanceReading:
    """Resistance in Ω with its standard deviation, and whether the meter trusts it (no overload)."""

    resistance_ohm: float
    sd_ohm: float
    valid: bool
    readings: int


class ResistanceMeter(Protocol):
    """A four-wire (Kelvin) milliohm meter."""

    def identify(self) -> str: ...

    def measure(self, readings: int) -> ResistanceReading:
        """Mean and standard deviation of ``readings`` (at least 2) single readings."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CyclerCapability:
    """Name, highest current (A) and highest voltage (V) of a cycler."""

    name: str
    limit_a: float
    limit_v: float


class Cycler(Protocol):
    """Galvanostatic steps; every driver of a cycler keeps these promises.

    - ``cycle`` returns what was measured up to the end of the plan or of the cell, or raises; what does not cover
      the plan and shows no end of the cell is never passed off as whole.
    - Whatever happens in ``cycle``, the current is off afterwards, or the program that owns it was told to stop.
    """

    @property
    def capability(self) -> CyclerCapability: ...

    def identify(self) -> str: ...

    def cycle(self, plan: CyclingPlan, *, on_point: Callable[[int, int], None] | None = None) -> CyclingRecord:
        """Run ``plan``; ``on_point(cycles done, cycles planned)`` is called as time passes."""
        ...

    def make_safe(self) -> None:
        """Break off what runs; twice is harmless."""
        ...

    def close(self) -> None: ...
