"""Watching a press while it works: every reading is kept, and judged against limits and tolerances."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from pressopt.clock import Clock, FastClock
from pressopt.errors import InstrumentError, StageFailedError
from pressopt.pressing.press import Laminator, LaminatorReading, Press, PressCapability, PressReading, PressState
from pressopt.pressing.record import PressRecord, StageRecord

_AT_TEMPERATURE_C = 1.0  # a ramp begins when the temperature is this near (assumed; controllers hold 0.5 °C)
_NEARER_C = 0.2  # what counts as progress towards a temperature
_STRETCH = 1.3  # growth of the period of a wait of unknown length, where time leaps
_LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a stage may stray before it is broken off. All figures are assumed: sensible, not measured.

    Attributes:
        pressure_rel: Band around the set point during the dwell, relative; at least a
            quarter of the lowest force that the press holds.
        temperature_c: Band around the set temperature during the dwell, °C.
        overshoot_rel: How far a reading of the dwell may lie above the set point; beyond it the press runs away.
        over_limit_rel: How far a reading may lie above the force limit (overshoot of a set point at the limit).
        locked_rel: Share of its force that a press with a locked valve may lose in a hold; beyond it leaks.
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
    locked_rel: float = 0.3
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
    """How often a machine is read, laboratory time.

    Attributes:
        ramp_s: Period while force changes, s.
        hold_s: Period otherwise, s.
        per_phase: Stretch periods such that one ramp or hold takes at most about so many readings; 0: never.
        longest_s: However much it is stretched: the machine's own watchdog wants a sign of life this often, s.
    """

    ramp_s: float = 0.1
    hold_s: float = 1.0
    per_phase: int = 0
    longest_s: float = math.inf

    @classmethod
    def on(cls, clock: Clock, longest_s: float = math.inf) -> Poll:
        """10 Hz in ramps and 1 Hz else; fewer where time leaps and nothing can happen unseen while nobody asks."""
        if not isinstance(clock, FastClock):
            return cls()
        return cls(ramp_s=0.1, hold_s=1.0, per_phase=40, longest_s=longest_s)

    def period_s(self, base_s: float, phase_s: float) -> float:
        """Period for a phase that lasts ``phase_s``."""
        return max(base_s, min(phase_s / self.per_phase, self.longest_s)) if self.per_phase else base_s

    def stretched_s(self, period_s: float) -> float:
        """The next period of a wait of unknown length, after ``period_s``."""
        return min(_STRETCH * period_s, _LONGEST_WAIT_S, self.longest_s) if self.per_phase else period_s


ReadingT = TypeVar("ReadingT", PressReading, LaminatorReading)


class _Capable(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def heated(self) -> bool: ...


_SeenT_co = TypeVar("_SeenT_co", covariant=True)


class _Readable(Protocol[_SeenT_co]):
    @property
    def capability(self) -> _Capable: ...
    def read(self) -> _SeenT_co: ...


class Watch(ABC, Generic[ReadingT]):
    """The readings of one pressing or rolling, and what they must keep; lives as long as that.

    Args:
        machine: What is watched.
        clock: Laboratory time.
        limit_c: Highest temperature that machine and experiment allow, °C.
        tolerance: How far a stage may stray.
        on_reading: Called with every reading.
        should_stop: Asked at every reading; True breaks off.

    Attributes:
        stage: Index of the stage that runs, -1 between stages.
        readings, stage_of: All readings, and the stage each belongs to.
        stages: What was done, stage by stage.
        deviations: What is to be told, in words.
        held: Pressure and temperature in which the cell is measured, MPa and °C.
    """

    #: What is heated, in messages.
    heats = "platens"

    def __init__(
        self,
        machine: _Readable[ReadingT],
        clock: Clock,
        *,
        limit_c: float,
        tolerance: Tolerance,
        on_reading: Callable[[ReadingT], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.machine: _Readable[ReadingT] = machine
        self.clock, self.limit_c, self.tolerance = clock, limit_c, tolerance
        self._on_reading: Callable[[ReadingT], None] | None = on_reading
        self._should_stop = should_stop
        self.stage = -1
        self.readings: list[ReadingT] = []
        self.stage_of: list[int] = []
        self.stages: list[StageRecord] = []
        self.deviations: list[str] = []
        self.held = (math.nan, math.nan)

    # ---- what each machine says for itself

    @abstractmethod
    def force_kn(self, reading: ReadingT) -> float:
        """Force on the cell, kN."""

    @abstractmethod
    def over_limit(self, reading: ReadingT) -> str:
        """Say that force is above what is allowed; empty when it is not."""

    # ---- looking

    def look(self) -> ReadingT:
        """Read once, keep it, and judge what must hold at any time.

        Raises:
            StageFailedError: It does not hold. (Its record is filled in by whoever catches it.)
        """
        reading = self.machine.read()
        self.readings.append(reading)
        self.stage_of.append(self.stage)
        if self._on_reading is not None:
            self._on_reading(reading)
        if self._should_stop is not None and self._should_stop():
            raise StageFailedError("broken off on request")
        self._judge(reading)
        return reading

    def _judge(self, reading: ReadingT) -> None:
        name = self.machine.capability.name
        over = self.over_limit(reading)
        if over:
            raise StageFailedError(f"{over}: '{name}' ran over its limit")
        if reading.fault or reading.state is PressState.FAULT:
            raise StageFailedError(f"'{name}' reports a fault: {reading.fault or 'no reason given'}")
        opened = [interlock for interlock, closed in reading.interlocks.items() if not closed]
        if opened:
            raise StageFailedError(f"'{name}' lost {', '.join(opened)} while it worked")
        blind = math.isnan(self.force_kn(reading))
        if blind or (self.machine.capability.heated and math.isnan(reading.temperature_c)):
            raise StageFailedError(f"'{name}' gives no value for force or temperature: look at its sensors")
        if reading.temperature_c > self.limit_c + self.tolerance.temperature_c:
            raise StageFailedError(
                f"the {self.heats} are at {reading.temperature_c:.1f} °C, {self.limit_c:g} °C are allowed: "
                "does the heater stick?"
            )

    def check_heat(self, temperature_c: float) -> None:
        """Refuse a set point above the limit, before it is written."""
        if self.machine.capability.heated and temperature_c > self.limit_c:
            raise StageFailedError(f"{temperature_c:g} °C would be asked, {self.limit_c:g} °C are allowed")

    # ---- waiting

    def wait(self, seconds: float, poll: Poll) -> None:
        """Look on for ``seconds``."""
        end_s = self.clock.now_s() + seconds
        period_s = poll.period_s(poll.hold_s, seconds)
        while self.clock.now_s() < end_s - 1e-9:
            self.clock.sleep_s(min(period_s, end_s - self.clock.now_s()))
            self.look()

    def wait_for_temperature(self, poll: Poll, goal_c: float, *, missed_by_c: float = 0.0) -> None:
        """Poll until ``goal_c`` is there; a stall within ``missed_by_c`` of it is noted only."""
        period_s = poll.hold_s
        gap_c, nearer_s = math.inf, self.clock.now_s()
        while True:
            reading = self.look()
            now_gap_c = abs(reading.temperature_c - goal_c)
            if now_gap_c <= _AT_TEMPERATURE_C:
                return
            if now_gap_c < gap_c - _NEARER_C:
                gap_c, nearer_s = now_gap_c, reading.time_s
            elif reading.time_s - nearer_s > self.tolerance.heat_stalled_s:
                if now_gap_c <= missed_by_c:
                    self.note(f"measured at {reading.temperature_c:.1f} °C instead of {goal_c:g} °C")
                    return
                raise StageFailedError(
                    f"the {self.heats} stay at {reading.temperature_c:.1f} °C, {goal_c:g} °C were asked: "
                    "look at heater, cooling and thermocouple"
                )
            self.clock.sleep_s(period_s)
            period_s = poll.stretched_s(period_s)

    # ---- telling

    def note(self, deviation: str) -> None:
        """Write a deviation down once."""
        if deviation not in self.deviations:
            self.deviations.append(deviation)

    def record(self) -> PressRecord:
        """What the cell got until now."""
        start_s = self.readings[0].time_s if self.readings else 0.0
        return PressRecord(
            press=self.machine.capability.name,
            time_s=np.array([reading.time_s - start_s for reading in self.readings], dtype=np.float64),
            force_kn=np.array([self.force_kn(reading) for reading in self.readings], dtype=np.float64),
            temperature_c=np.array([reading.temperature_c for reading in self.readings], dtype=np.float64),
            stage=np.array(self.stage_of, dtype=np.int64),
            stages=tuple(self.stages),
            held_mpa=self.held[0],
            held_c=self.held[1],
            deviations=tuple(self.deviations),
        )


def watched(machine: Press | Laminator, *, limit_kn: float = math.inf, limit_c: float = math.inf) -> None:
    """Look at a machine while something goes on beside it: keeps its heartbeat, and sees what goes wrong.

    Args:
        machine: What holds the cell.
        limit_kn, limit_c: The most that the experiment allows, kN and °C, inside the machine's own limits.

    Raises:
        StageFailedError: It reports a fault, an interlock opened, the heat is above the limit, or the force runs
            away: above the limit, or far above what it is to hold.
    """
    reading, capability = machine.read(), machine.capability
    if reading.fault or reading.state is PressState.FAULT:
        raise StageFailedError(f"'{capability.name}' reports a fault: {reading.fault or 'no reason given'}")
    opened = [interlock for interlock, closed in reading.interlocks.items() if not closed]
    if opened and reading.state is not PressState.IDLE:
        raise StageFailedError(f"'{capability.name}' lost {', '.join(opened)} while it held a cell")
    tolerance = Tolerance()
    allowed_c = min(capability.limit_c, limit_c)
    if reading.temperature_c > allowed_c + tolerance.temperature_c:
        raise StageFailedError(
            f"{reading.temperature_c:.1f} °C are at the cell, {allowed_c:g} °C are allowed: does the heater stick?"
        )
    if isinstance(reading, PressReading) and isinstance(capability, PressCapability):
        allowed_kn = min(capability.limit_kn, limit_kn)
        if reading.force_kn > allowed_kn * (1 + tolerance.over_limit_rel):
            raise StageFailedError(
                f"{reading.force_kn:.3f} kN are on the cell, {allowed_kn:g} kN are allowed: "
                f"'{capability.name}' ran over its limit"
            )
        if reading.state is PressState.HOLD and runs_away(reading.force_kn, reading.setpoint_kn, capability):
            raise StageFailedError(
                f"{reading.force_kn:.3f} kN instead of {reading.setpoint_kn:.3f} kN: '{capability.name}' runs away"
            )


def runs_away(force_kn: float, goal_kn: float, capability: PressCapability, rel: float | None = None) -> bool:
    """Whether a force held at ``goal_kn`` lies so far above that the press cannot be holding it."""
    rel = Tolerance().overshoot_rel if rel is None else rel
    return force_kn > goal_kn + max(rel * goal_kn, 2 * capability.min_kn)


def made_safe(make_safe: Callable[[], None], leaving: BaseException) -> None:
    """Make safe while ``leaving`` is on its way up; what fails in it is noted there and does not hide it."""
    try:
        make_safe()
    except InstrumentError as unsafe:
        leaving.add_note(f"making the machine safe failed too ({unsafe}): use the emergency stop")
