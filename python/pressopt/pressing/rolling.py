"""Rolling one cell through a laminator, stage by stage, watched like pressing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from pressopt.clock import Clock
from pressopt.errors import InstrumentError, PressoptError, StageFailedError
from pressopt.pressing.allowed import check_protocol
from pressopt.pressing.cell import Cell
from pressopt.pressing.limits import Limits
from pressopt.pressing.press import Laminator, LaminatorReading, PressState
from pressopt.pressing.protocol import Die, PressingProtocol, RollStage
from pressopt.pressing.record import PressRecord, StageRecord
from pressopt.pressing.watch import Poll, Tolerance, Watch, made_safe

_PASS_STALLED_S = 600.0  # a pass that takes longer than this does not come (assumed)


class RollWatch(Watch[LaminatorReading]):
    """Watches rolls; ``limit_n_mm`` is the highest line force that machine and experiment allow."""

    heats = "rolls"

    def __init__(self, laminator: Laminator, clock: Clock, limits: Limits, **more: Any) -> None:
        capability = laminator.capability
        super().__init__(laminator, clock, limit_c=min(capability.limit_c, _or_none(limits.temperature_c)), **more)
        self.laminator = laminator
        self.limit_n_mm = min(capability.limit_n_mm, _or_none(limits.line_force_n_mm))

    def force_kn(self, reading: LaminatorReading) -> float:
        """Line force times the width of the web, kN."""
        return reading.line_force_n_mm * self.laminator.capability.web_width_mm / 1000

    def over_limit(self, reading: LaminatorReading) -> str:
        if not reading.line_force_n_mm > self.limit_n_mm * (1 + self.tolerance.over_limit_rel):
            return ""
        return f"{reading.line_force_n_mm:.1f} N/mm are on the cell, {self.limit_n_mm:g} N/mm are allowed"


def _or_none(limit: float | None) -> float:
    return math.inf if limit is None else limit


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
    watch = RollWatch(
        laminator,
        clock,
        limits or Limits(),
        tolerance=tolerance or Tolerance(),
        on_reading=on_reading,
        should_stop=should_stop,
    )
    poll = poll or Poll.on(clock, laminator.capability.attend_s)
    where = "before the first stage"
    try:
        watch.look()
        for number, each in enumerate(protocol.stages):
            stage = cast(RollStage, each)
            where = f"stage '{stage.name}'"
            _roll(watch, poll, number, stage)
        where = "after the last stage"
        watch.stage = -1
        watch.wait(protocol.settle_s, poll)
        watch.held = (0.0, protocol.measure_at_c)
    except PressoptError as error:
        words = f"{where}: {error}"
        try:
            laminator.make_safe()
        except InstrumentError as unsafe:
            words += f"; making it safe failed too ({unsafe}): use the emergency stop"
        watch.note(words)
        raise StageFailedError(words, watch.record()) from error
    except BaseException as leaving:  # a person's Ctrl-C, or a mistake of ours: the rolls must not go on
        made_safe(laminator.make_safe, leaving)
        raise
    return watch.record()


def _roll(watch: RollWatch, poll: Poll, number: int, stage: RollStage) -> None:
    watch.stage = -1
    watch.check_heat(stage.temperature_c)
    watch.laminator.warm(temperature_c=stage.temperature_c)
    watch.wait_for_temperature(poll, stage.temperature_c)
    if stage.line_force_n_mm > watch.limit_n_mm * (1 + 1e-9):  # checked at the start, and again before the write
        raise StageFailedError(
            f"{stage.line_force_n_mm:g} N/mm would be asked, {watch.limit_n_mm:g} N/mm are allowed"
        )
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


def _roll_record(watch: RollWatch, stage: RollStage, readings: list[LaminatorReading]) -> StageRecord:
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
            "temperature_c": math.hypot(watch.laminator.capability.temperature_sd_c, float(heat.std())),
        },
    )
