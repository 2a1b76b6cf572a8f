"""Rolling one cell through a laminator, stage by stage, watched like pressing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np

from pressopt.clock import Clock
from pressopt.errors import InstrumentError, PressoptError, StageFailedError
from pressopt.pressing.allowed import check_protocol
from pressopt.pressing.cell import Cell
from pressopt.pressing.limits import Limits
from pressopt.pressing.press import Laminator, LaminatorReading, PressState
from pressopt.pressing.protocol import Die, PressingProtocol, RollStage
from pressopt.pressing.record import PressRecord, StageRecord
from pressopt.pressing.watch import Poll, Tolerance, made_safe

_AT_TEMPERATURE_C = 1.0  # as for platens (assumed)
_NEARER_C = 0.2
_PASS_STALLED_S = 600.0  # a pass that takes longer than this does not come (assumed)
_STRETCH, _LONGEST_S = 1.3, 30.0


class _RollWatch:
    """The readings of one rolling, and what they must keep."""

    def __init__(
        self,
        laminator: Laminator,
        clock: Clock,
        limits: Limits,
        tolerance: Tolerance,
        on_reading: Callable[[LaminatorReading], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.laminator, self.clock, self.tolerance = laminator, clock, tolerance
        self._on_reading, self._should_stop = on_reading, should_stop
        capability = laminator.capability
        self.limit_n_mm = min(capability.limit_n_mm, limits.line_force_n_mm or math.inf)
        self.limit_c = min(capability.limit_c, limits.temperature_c or math.inf)
        self.stage = -1
        self.readings: list[LaminatorReading] = []
        self.stage_of: list[int] = []
        self.stages: list[StageRecord] = []
        self.deviations: list[str] = []
        self.held_c = math.nan

    def look(self) -> LaminatorReading:
        reading = self.laminator.read()
        self.readings.append(reading)
        self.stage_of.append(self.stage)
        if self._on_reading is not None:
            self._on_reading(reading)
        if self._should_stop is not None and self._should_stop():
            raise StageFailedError("broken off on request")
        name = self.laminator.capability.name
        if reading.line_force_n_mm > self.limit_n_mm * (1 + self.tolerance.over_limit_rel):
            raise StageFailedError(
                f"{reading.line_force_n_mm:.1f} N/mm are on the cell, {self.limit_n_mm:g} N/mm are allowed: "
                f"'{name}' ran over its limit"
            )
        if reading.fault or reading.state is PressState.FAULT:
            raise StageFailedError(f"'{name}' reports a fault: {reading.fault or 'no reason given'}")
        opened = [interlock for interlock, closed in reading.interlocks.items() if not closed]
        if opened:
            raise StageFailedError(f"'{name}' lost {', '.join(opened)} while it worked")
        if math.isnan(reading.temperature_c) or math.isnan(reading.line_force_n_mm):
            raise StageFailedError(f"'{name}' gives no value for force or temperature: look at its sensors")
        if reading.temperature_c > self.limit_c + self.tolerance.temperature_c:
            raise StageFailedError(
                f"the rolls are at {reading.temperature_c:.1f} °C, {self.limit_c:g} °C are allowed"
            )
        return reading

    def record(self) -> PressRecord:
        """Force is line force times the width of the web, kN."""
        width_mm = self.laminator.capability.web_width_mm
        start_s = self.readings[0].time_s if self.readings else 0.0
        return PressRecord(
            press=self.laminator.capability.name,
            time_s=np.array([reading.time_s - start_s for reading in self.readings], dtype=np.float64),
            force_kn=np.array([r.line_force_n_mm * width_mm / 1000 for r in self.readings], dtype=np.float64),
            temperature_c=np.array([reading.temperature_c for reading in self.readings], dtype=np.float64),
            stage=np.array(self.stage_of, dtype=np.int64),
            stages=tuple(self.stages),
            held_mpa=0.0,
            held_c=self.held_c,
            deviations=tuple(self.deviations),
        )


def execute_rolling(
    laminator: Laminator,
    clock: Clock,
    protocol: PressingProtocol,
    cell: Cell | Die,
    limits: Limits | None = None,
    *,
    tolerance: Tolerance | None = None,
    poll: Poll | None = None,
    on_reading: Callable[[LaminatorReading], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PressRecord:
    """Roll one cell; afterwards it lies outside the nip and has settled for ``settle_s``.

    The laminator has no sensor on the cell: ``held_c`` is the temperature the protocol measures at, which the cell
    is taken to have after settling (assumed).

    Args:
        laminator: Any laminator.
        clock: Laboratory time.
        protocol: Roller stages.
        cell: The cell, or its die (of no effect on line force).
        limits: Of the experiment.
        tolerance, poll, on_reading, should_stop: As for :func:`pressopt.pressing.execution.execute`.

    Raises:
        LimitError: The protocol asks too much; nothing moved.
        StageFailedError: As for pressing; the laminator has been made safe.
    """
    check_protocol(protocol, cell, limits, laminator.capability)
    watch = _RollWatch(laminator, clock, limits or Limits(), tolerance or Tolerance(), on_reading, should_stop)
    poll = poll or Poll.on(clock)
    where = "before the first stage"
    try:
        watch.look()
        for number, each in enumerate(protocol.stages):
            stage = cast(RollStage, each)
            where = f"stage '{stage.name}'"
            _roll(watch, poll, number, stage)
        where = "after the last stage"
        _settle(watch, poll, protocol)
    except PressoptError as error:
        words = f"{where}: {error}"
        try:
            laminator.make_safe()
        except InstrumentError as unsafe:
            words += f"; making it safe failed too ({unsafe}): use the emergency stop"
        watch.deviations.append(words)
        raise StageFailedError(words, watch.record()) from error
    except BaseException as leaving:  # a person's Ctrl-C, or a mistake of ours: the rolls must not go on
        made_safe(laminator.make_safe, leaving)
        raise
    return watch.record()


def _roll(watch: _RollWatch, poll: Poll, number: int, stage: RollStage) -> None:
    watch.stage = -1
    watch.laminator.warm(temperature_c=stage.temperature_c)
    _wait_for_temperature(watch, poll, stage.temperature_c)
    watch.stage = number
    first = len(watch.readings)
    watch.laminator.run(
        line_force_n_mm=stage.line_force_n_mm,
        speed_mm_s=stage.speed_mm_s,
        passes=stage.passes,
        temperature_c=stage.temperature_c,
    )
    began_s, done, nearer_s = watch.clock.now_s(), 0, watch.clock.now_s()
    reading = watch.look()
    while reading.state is not PressState.IDLE or reading.passes_done < stage.passes:
        if reading.passes_done > done:
            done, nearer_s = reading.passes_done, reading.time_s
        if reading.state is PressState.IDLE and reading.time_s > began_s + 5:
            raise StageFailedError(f"the rolls stopped after {reading.passes_done} of {stage.passes} passes")
        if reading.time_s - nearer_s > _PASS_STALLED_S:
            raise StageFailedError(f"pass {done + 1} of {stage.passes} did not end within {_PASS_STALLED_S:g} s")
        watch.clock.sleep_s(poll.hold_s)
        reading = watch.look()
    watch.stages.append(_roll_record(watch, stage, watch.readings[first:]))


def _roll_record(watch: _RollWatch, stage: RollStage, readings: list[LaminatorReading]) -> StageRecord:
    """Read off the curves what the cell got: force and speed while the rolls held it."""
    rolling = [r for r in readings if r.state is PressState.HOLD] or readings
    force = np.array([reading.line_force_n_mm for reading in rolling])
    speed = np.array([reading.speed_mm_s for reading in rolling])
    heat = np.array([reading.temperature_c for reading in rolling])
    force_sd = math.hypot(watch.laminator.capability.force_sd_rel * float(force.mean()), float(force.std()))
    return StageRecord(
        name=stage.name,
        asked={
            "line_force_n_mm": stage.line_force_n_mm,
            "speed_mm_s": stage.speed_mm_s,
            "passes": float(stage.passes),
            "temperature_c": stage.temperature_c,
        },
        achieved={
            "line_force_n_mm": float(force.mean()),
            "speed_mm_s": float(speed.mean()),
            "passes": float(readings[-1].passes_done),
            "temperature_c": float(heat.mean()),
        },
        achieved_sd={
            "line_force_n_mm": force_sd,
            "speed_mm_s": float(speed.std()),
            "passes": 0.0,
            "temperature_c": float(heat.std()),
        },
    )


def _wait_for_temperature(watch: _RollWatch, poll: Poll, goal_c: float) -> None:
    period_s = poll.hold_s
    gap_c, nearer_s = math.inf, watch.clock.now_s()
    while True:
        reading = watch.look()
        now_gap_c = abs(reading.temperature_c - goal_c)
        if now_gap_c <= _AT_TEMPERATURE_C:
            return
        if now_gap_c < gap_c - _NEARER_C:
            gap_c, nearer_s = now_gap_c, reading.time_s
        elif reading.time_s - nearer_s > watch.tolerance.heat_stalled_s:
            raise StageFailedError(
                f"the rolls stay at {reading.temperature_c:.1f} °C, {goal_c:g} °C were asked: look at the heater"
            )
        watch.clock.sleep_s(period_s)
        if poll.per_phase:
            period_s = min(_STRETCH * period_s, _LONGEST_S)


def _settle(watch: _RollWatch, poll: Poll, protocol: PressingProtocol) -> None:
    watch.stage = -1
    end_s = watch.clock.now_s() + protocol.settle_s
    period_s = poll.period_s(poll.hold_s, protocol.settle_s)
    while watch.clock.now_s() < end_s - 1e-9:
        watch.clock.sleep_s(min(period_s, end_s - watch.clock.now_s()))
        watch.look()
    watch.held_c = protocol.measure_at_c
