"""Watching a press while it works: every reading is kept, and judged against limits and tolerances."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pressopt.clock import Clock, FastClock
from pressopt.errors import InstrumentError, StageFailedError
from pressopt.pressing.press import Laminator, Press, PressCapability, PressReading, PressState
from pressopt.pressing.protocol import Die
from pressopt.pressing.record import PressRecord, StageRecord


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a stage may stray before it is broken off. All figures are assumed: sensible, not measured.

    Attributes:
        pressure_rel: Band around the set point during the dwell, relative; at least a
            quarter of the lowest force that the press holds.
        temperature_c: Band around the set temperature during the dwell, °C.
        overshoot_rel: How far a reading of the dwell may lie above the set point; beyond it the press runs away.
        over_limit_rel: How far a reading may lie above the force limit (overshoot of a set point at the limit).
        out_of_band_s: How long pressure or temperature may be out of its band, s.
        slow_rel, slow_s: A ramp may last this share longer than it should, plus so many seconds.
        heat_stalled_s: A temperature that did not come nearer for so long does not arrive, s.
        measure_c: How far the measuring temperature may be missed; noted as a deviation, °C.
        refills_per_min: More pump restarts per minute than this are noted as a leak.
        run_away_mm: The ram advancing by more than this in a hold means that the sample gives way, mm.
        drop_rel: Force lost between two readings of a hold that means a fracture, relative.
    """

    pressure_rel: float = 0.05
    temperature_c: float = 3.0
    overshoot_rel: float = 0.15
    over_limit_rel: float = 0.03
    out_of_band_s: float = 15.0
    slow_rel: float = 0.5
    slow_s: float = 20.0
    heat_stalled_s: float = 600.0
    measure_c: float = 5.0
    refills_per_min: float = 2.0
    run_away_mm: float = 0.5
    drop_rel: float = 0.25


@dataclass(frozen=True, slots=True)
class Poll:
    """How often the press is read, laboratory time.

    Attributes:
        ramp_s: Period while force changes, s.
        hold_s: Period otherwise, s.
        per_phase: Stretch periods such that one ramp or hold takes at most about so many readings; 0: never.
    """

    ramp_s: float = 0.1
    hold_s: float = 1.0
    per_phase: int = 0

    @classmethod
    def on(cls, clock: Clock) -> Poll:
        """10 Hz in ramps and 1 Hz else; fewer where time leaps and nothing can happen unseen while nobody asks."""
        return cls(ramp_s=0.1, hold_s=1.0, per_phase=40) if isinstance(clock, FastClock) else cls()

    def period_s(self, base_s: float, phase_s: float) -> float:
        """Period for a phase that lasts ``phase_s``."""
        return max(base_s, phase_s / self.per_phase) if self.per_phase else base_s


@dataclass
class Watch:
    """The readings of one pressing, and what they must keep. Mutable; lives as long as one pressing."""

    press: Press
    clock: Clock
    die: Die
    limit_kn: float
    limit_c: float
    tolerance: Tolerance
    on_reading: Callable[[PressReading], None] | None
    should_stop: Callable[[], bool] | None
    stage: int = -1
    asked_kn: float | None = None
    readings: list[PressReading] = field(default_factory=list)
    stage_of: list[int] = field(default_factory=list)
    stages: list[StageRecord] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)
    held: tuple[float, float] = (math.nan, math.nan)

    def look(self) -> PressReading:
        """Read once, keep it, and judge what must hold at any time.

        Raises:
            StageFailedError: It does not hold. (Its record is filled in by whoever catches it.)
        """
        reading = self.press.read()
        self.readings.append(reading)
        self.stage_of.append(self.stage)
        if self.on_reading is not None:
            self.on_reading(reading)
        if self.should_stop is not None and self.should_stop():
            raise StageFailedError("broken off on request")
        self._judge(reading)
        return reading

    def sleep_s(self, seconds: float) -> None:
        self.clock.sleep_s(seconds)

    def note(self, deviation: str) -> None:
        """Write a deviation down once."""
        if deviation not in self.deviations:
            self.deviations.append(deviation)

    def record(self) -> PressRecord:
        """What the cell got until now."""
        start_s = self.readings[0].time_s if self.readings else 0.0
        return PressRecord(
            press=self.press.capability.name,
            time_s=np.array([reading.time_s - start_s for reading in self.readings], dtype=np.float64),
            force_kn=np.array([reading.force_kn for reading in self.readings], dtype=np.float64),
            temperature_c=np.array([reading.temperature_c for reading in self.readings], dtype=np.float64),
            stage=np.array(self.stage_of, dtype=np.int64),
            stages=tuple(self.stages),
            held_mpa=self.held[0],
            held_c=self.held[1],
            deviations=tuple(self.deviations),
        )

    def band_kn(self, force_kn: float) -> float:
        """Half width of the band around a force set point, kN."""
        return max(self.tolerance.pressure_rel * force_kn, self.press.capability.min_kn / 4)

    def _judge(self, reading: PressReading) -> None:
        name = self.press.capability.name
        most_kn = self.limit_kn * (1 + self.tolerance.over_limit_rel)
        if reading.force_kn > most_kn:
            raise StageFailedError(
                f"{reading.force_kn:.3f} kN are on the cell, {self.limit_kn:g} kN are allowed: "
                f"'{name}' ran over its limit"
            )
        if reading.fault or reading.state is PressState.FAULT:
            raise StageFailedError(f"'{name}' reports a fault: {reading.fault or 'no reason given'}")
        opened = [interlock for interlock, closed in reading.interlocks.items() if not closed]
        if opened:
            raise StageFailedError(f"'{name}' lost {', '.join(opened)} while it worked")
        if math.isnan(reading.temperature_c) or math.isnan(reading.force_kn):
            raise StageFailedError(f"'{name}' gives no value for force or temperature: look at its sensors")
        if reading.temperature_c > self.limit_c + self.tolerance.temperature_c:
            raise StageFailedError(
                f"the platens are at {reading.temperature_c:.1f} °C, {self.limit_c:g} °C are allowed: "
                "does the heater stick?"
            )
        step_kn = max(self.press.capability.resolution_kn, 1e-6)
        if self.asked_kn is not None and abs(reading.setpoint_kn - self.asked_kn) > 1.01 * step_kn:
            raise StageFailedError(
                f"the force set point is {reading.setpoint_kn:.3f} kN, {self.asked_kn:.3f} kN were asked: "
                f"somebody changed it at the panel of '{name}'"
            )


def watched(machine: Press | Laminator) -> None:
    """Look at a machine while something goes on beside it: keeps its heartbeat, and sees what goes wrong.

    Raises:
        StageFailedError: It reports a fault, an interlock opened, or the force ran over the machine's soft limit.
    """
    reading, capability = machine.read(), machine.capability
    if reading.fault or reading.state is PressState.FAULT:
        raise StageFailedError(f"'{capability.name}' reports a fault: {reading.fault or 'no reason given'}")
    opened = [interlock for interlock, closed in reading.interlocks.items() if not closed]
    if opened and reading.state is not PressState.IDLE:
        raise StageFailedError(f"'{capability.name}' lost {', '.join(opened)} while it held a cell")
    if isinstance(reading, PressReading) and isinstance(capability, PressCapability):
        most_kn = capability.limit_kn * (1 + Tolerance().over_limit_rel)
        if reading.force_kn > most_kn:
            raise StageFailedError(
                f"{reading.force_kn:.3f} kN are on the cell, {capability.limit_kn:g} kN are allowed: "
                f"'{capability.name}' ran over its limit"
            )


def made_safe(make_safe: Callable[[], None], leaving: BaseException) -> None:
    """Make safe while ``leaving`` is on its way up; what fails in it is noted there and does not hide it."""
    try:
        make_safe()
    except InstrumentError as unsafe:
        leaving.add_note(f"making the machine safe failed too ({unsafe}): use the emergency stop")
