"""Pressing one cell: stage by stage to the state in which it is measured, watched all the way.

The order of a stage: platens to temperature under the force that is on, then the ramp, then the dwell, which
counts from the first reading at which pressure and temperature are both in their bands. After the last stage
force and temperature go together to those of the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from pressopt.clock import Clock
from pressopt.errors import InstrumentError, LinkError, PressoptError, StageFailedError
from pressopt.pressing.allowed import PressureRange, check_protocol, most_kn, pressure_range, settable
from pressopt.pressing.cell import Cell
from pressopt.pressing.limits import Limits
from pressopt.pressing.press import HoldKind, Press, PressReading, PressState
from pressopt.pressing.protocol import Die, PressingProtocol, SafeState, Stage
from pressopt.pressing.record import PressRecord, Real, StageRecord
from pressopt.pressing.rolling import execute_rolling
from pressopt.pressing.watch import Poll, Tolerance, Watch, made_safe, runs_away

__all__ = [
    "Poll",
    "PressureRange",
    "Tolerance",
    "check_protocol",
    "execute",
    "execute_rolling",
    "finish",
    "pressure_range",
    "settable",
]

_SLACK = 1 + 1e-9  # a limit itself is allowed, whatever rounding did to it


class PressWatch(Watch[PressReading]):
    """Watches a press, and keeps what was last asked of it.

    Attributes:
        limit_kn, limit_ramp_kn_s: The most that machine and experiment allow, kN and kN/s.
        asked_kn: The force set point that it must hold, kN; ``None`` while one is being written.
    """

    def __init__(self, press: Press, clock: Clock, die: Die, limits: Limits, **more: Any) -> None:
        capability = press.capability
        hottest = limits.temperature_c if limits.temperature_c is not None else math.inf
        super().__init__(press, clock, limit_c=min(capability.limit_c, hottest), **more)
        self.press, self.die = press, die
        self.limit_kn = most_kn(capability, die, limits)
        steepest = die.force_kn(limits.ramp_mpa_s) if limits.ramp_mpa_s is not None else math.inf
        self.limit_ramp_kn_s = min(capability.limit_ramp_kn_s, steepest)
        self.asked_kn: float | None = None

    def force_kn(self, reading: PressReading) -> float:
        return reading.force_kn

    def over_limit(self, reading: PressReading) -> str:
        if not reading.force_kn > self.limit_kn * (1 + self.tolerance.over_limit_rel):
            return ""
        return f"{reading.force_kn:.3f} kN are on the cell, {self.limit_kn:g} kN are allowed"

    def _judge(self, reading: PressReading) -> None:
        super()._judge(reading)
        step_kn = max(self.press.capability.resolution_kn, 1e-6)
        if self.asked_kn is not None and abs(reading.setpoint_kn - self.asked_kn) > 1.01 * step_kn:
            raise StageFailedError(
                f"the force set point is {reading.setpoint_kn:.3f} kN, {self.asked_kn:.3f} kN were asked: "
                f"somebody changed it at the panel of '{self.press.capability.name}'"
            )

    def band_kn(self, force_kn: float) -> float:
        """Half width of the band around a force set point, kN."""
        return max(self.tolerance.pressure_rel * force_kn, self.press.capability.min_kn / 4)

    def command(self, force_kn: float, rate_kn_s: float, temperature_c: float) -> None:
        """Write set points; limits were checked at the start, and are again before every write.

        Raises:
            StageFailedError: One of them is above its limit; nothing was written.
        """
        if not force_kn <= self.limit_kn * _SLACK:
            raise StageFailedError(f"{force_kn:g} kN would be asked, {self.limit_kn:g} kN are allowed")
        if not rate_kn_s <= self.limit_ramp_kn_s * _SLACK:
            raise StageFailedError(f"{rate_kn_s:g} kN/s would be asked, {self.limit_ramp_kn_s:g} kN/s are allowed")
        self.check_heat(temperature_c)
        self.asked_kn = None
        self.press.command(force_kn=force_kn, ramp_kn_s=rate_kn_s, temperature_c=temperature_c)
        self.asked_kn = force_kn


def execute(
    press: Press,
    clock: Clock,
    protocol: PressingProtocol,
    cell: Cell | Die,
    limits: Limits | None = None,
    *,
    tolerance: Tolerance | None = None,
    poll: Poll | None = None,
    on_reading: Callable[[PressReading], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> PressRecord:
    """Press one cell and leave it in the state in which it is measured; :func:`finish` opens the press later.

    Args:
        press: Any press.
        clock: Laboratory time.
        protocol: Platen stages.
        cell: The cell, or its die.
        limits: Of the experiment, inside the machine's.
        tolerance: How far a stage may stray.
        poll: How often the press is read; default: as the clock asks for.
        on_reading: Called with every reading.
        should_stop: Asked at every reading; True breaks off.

    Returns:
        What the cell really got.

    Raises:
        LimitError: The protocol asks too much; nothing moved.
        StageFailedError: A stage left its tolerances, or the press failed; the press has been made safe, and the
            error carries the record until then. Its cause is the instrument's error, where there is one.
    """
    check_protocol(protocol, cell, limits, press.capability)
    die = cell.die if isinstance(cell, Cell) else cell
    watch = PressWatch(
        press,
        clock,
        die,
        limits or Limits(),
        tolerance=tolerance or Tolerance(),
        on_reading=on_reading,
        should_stop=should_stop,
    )
    poll = poll or Poll.on(clock, press.capability.attend_s)
    stage: Stage | None = None
    try:
        watch.look()
        for number, each in enumerate(protocol.stages):
            stage = cast(Stage, each)
            _do_stage(watch, poll, number, stage)
        stage = None
        _to_measurement(watch, poll, protocol)
    except PressoptError as error:
        where = f"stage '{stage.name}'" if stage is not None else "on the way to the measurement"
        raise _broken_off(watch, stage, where, error) from error
    except BaseException as leaving:  # a person's Ctrl-C, or a mistake of ours: the press must not stay as it is
        made_safe(press.make_safe, leaving)
        raise
    return watch.record()


def finish(press: Press, clock: Clock, *, ramp_kn_s: float | None = None) -> None:
    """Release the cell after its measurement, heaters to the lowest, and return once the press is idle.

    Raises:
        StageFailedError: The force does not come off; the press has been made safe.
    """
    capability = press.capability
    reading = press.read()
    if reading.state is PressState.IDLE and abs(reading.force_kn) <= capability.min_kn:
        if capability.heated and reading.temperature_c > capability.min_c + 10:
            press.command(force_kn=0.0, ramp_kn_s=capability.limit_ramp_kn_s, temperature_c=capability.min_c)
        return
    rate = ramp_kn_s or min(capability.limit_ramp_kn_s, max(0.05 * reading.force_kn, capability.min_kn))
    press.command(force_kn=0.0, ramp_kn_s=rate, temperature_c=capability.min_c)
    expected_s = reading.force_kn / rate
    poll = Poll.on(clock, capability.attend_s)
    period_s = poll.period_s(poll.hold_s, expected_s)
    end_s = clock.now_s() + 2 * expected_s + 60
    while reading.state is not PressState.IDLE or not reading.force_kn <= capability.min_kn:  # NaN is not open
        if clock.now_s() > end_s:
            press.make_safe()
            raise StageFailedError(
                f"'{capability.name}' was released and still has {reading.force_kn:.3f} kN on: look at the machine"
            )
        clock.sleep_s(period_s)
        reading = press.read()


# ---------------------------------------------------------------------- one stage


def _do_stage(watch: PressWatch, poll: Poll, number: int, stage: Stage) -> None:
    capability = watch.press.capability
    force_kn = watch.die.force_kn(stage.pressure_mpa)
    rate_kn_s = min(watch.die.force_kn(stage.ramp_mpa_s), watch.limit_ramp_kn_s)
    watch.stage = -1
    before_kn = watch.asked_kn or 0.0
    if capability.heated:
        watch.command(before_kn, rate_kn_s, stage.temperature_c)
        watch.wait_for_temperature(poll, stage.temperature_c)
    watch.stage = number
    first = len(watch.readings)
    began_s = watch.clock.now_s()
    watch.command(force_kn, rate_kn_s, stage.temperature_c)
    watch.look()
    _wait_for_force(watch, poll, abs(force_kn - before_kn) / rate_kn_s)
    reached = len(watch.readings) - 1
    ramp_s = max(watch.readings[reached].time_s - began_s, 1e-9)
    ramp_mpa_s = watch.die.pressure_mpa(abs(force_kn - before_kn)) / ramp_s
    _dwell(watch, poll, stage)
    watch.stages.append(_stage_record(watch, stage, first, reached, ramp_mpa_s=ramp_mpa_s))


def _wait_for_force(watch: PressWatch, poll: Poll, expected_s: float) -> None:
    """Poll until the force is in the band of its set point."""
    assert watch.asked_kn is not None
    goal_kn = watch.asked_kn
    tolerance, clock = watch.tolerance, watch.clock
    began_s = clock.now_s()
    latest_s = began_s + expected_s * (1 + tolerance.slow_rel) + tolerance.slow_s
    period_s = poll.period_s(poll.ramp_s, expected_s)
    while True:
        reading = watch.readings[-1]
        near = abs(reading.force_kn - goal_kn) <= watch.band_kn(goal_kn)
        if near and reading.state is (PressState.HOLD if goal_kn else PressState.IDLE):
            return
        if reading.time_s >= latest_s:
            raise StageFailedError(
                f"{goal_kn:.3f} kN should be on after {expected_s:.0f} s, {reading.force_kn:.3f} kN are on after "
                f"{reading.time_s - began_s:.0f} s (the press says '{reading.state}'): does the pump run?"
            )
        left_s = began_s + expected_s - clock.now_s()
        watch.clock.sleep_s(min(period_s, left_s) if left_s > poll.ramp_s else max(poll.ramp_s, period_s / 10))
        watch.look()


def _dwell(watch: PressWatch, poll: Poll, stage: Stage) -> None:
    """Hold for the dwell; every reading must be in band, or be back in it soon."""
    assert watch.asked_kn is not None
    tolerance, goal_kn = watch.tolerance, watch.asked_kn
    first = watch.readings[-1]
    end_s = first.time_s + stage.dwell_s
    period_s = poll.period_s(poll.hold_s, stage.dwell_s)
    out_since_s: float | None = None
    before = first
    while watch.clock.now_s() < end_s - 1e-9:
        watch.clock.sleep_s(min(period_s, end_s - watch.clock.now_s()))
        reading = watch.look()
        _runs_away(watch, reading, goal_kn)
        _gives_way(watch, first, before, reading)
        why = _out_of_band(watch, reading, goal_kn, stage.temperature_c)
        if not why:
            out_since_s = None
        elif out_since_s is None:
            out_since_s = reading.time_s
            watch.note(f"stage '{stage.name}': {why} at {reading.time_s - first.time_s:.0f} s of the dwell")
        elif reading.time_s - out_since_s > tolerance.out_of_band_s:
            raise StageFailedError(f"{why}, for longer than {tolerance.out_of_band_s:g} s")
        before = reading
    fell_kn = first.force_kn - before.force_kn
    if watch.press.capability.hold is HoldKind.LOCKED and fell_kn > watch.band_kn(goal_kn):
        watch.note(
            f"stage '{stage.name}': behind the locked valve {watch.die.pressure_mpa(fell_kn):.2f} MPa were lost "
            f"in {before.time_s - first.time_s:.0f} s"
        )
    refills = before.refills - first.refills
    if stage.dwell_s >= 60 and refills / (stage.dwell_s / 60) > tolerance.refills_per_min:
        watch.note(
            f"stage '{stage.name}': the pump restarted {refills} times in {stage.dwell_s:.0f} s: does it leak?"
        )


def _out_of_band(watch: PressWatch, reading: PressReading, goal_kn: float, goal_c: float) -> str:
    """Say what is out of its band; empty when nothing is."""
    above_kn, most_kn_below = reading.force_kn - goal_kn, watch.band_kn(goal_kn)
    if watch.press.capability.hold is HoldKind.LOCKED:
        most_kn_below = max(most_kn_below, watch.tolerance.locked_rel * goal_kn)
    if not -most_kn_below <= above_kn <= watch.band_kn(goal_kn):
        got_mpa, wanted_mpa = watch.die.pressure_mpa(reading.force_kn), watch.die.pressure_mpa(goal_kn)
        return f"{got_mpa:.2f} MPa instead of {wanted_mpa:.2f} MPa"
    if watch.press.capability.heated and abs(reading.temperature_c - goal_c) > watch.tolerance.temperature_c:
        return f"{reading.temperature_c:.1f} °C instead of {goal_c:g} °C"
    return ""


def _runs_away(watch: PressWatch, reading: PressReading, goal_kn: float) -> None:
    """Raise at once for a force far above its set point: a cell that was pressed too hard stays so."""
    if runs_away(reading.force_kn, goal_kn, watch.press.capability, watch.tolerance.overshoot_rel):
        raise StageFailedError(
            f"{watch.die.pressure_mpa(reading.force_kn):.2f} MPa instead of "
            f"{watch.die.pressure_mpa(goal_kn):.2f} MPa: the press runs away"
        )


def _gives_way(watch: PressWatch, first: PressReading, before: PressReading, reading: PressReading) -> None:
    """Raise for the signatures of a sample that is squeezed out or breaks."""
    tolerance = watch.tolerance
    if first.position_mm is not None and reading.position_mm is not None:
        run_mm = abs(reading.position_mm - first.position_mm)
        if run_mm > tolerance.run_away_mm:
            raise StageFailedError(f"the ram ran {run_mm:.2f} mm in the hold: the sample is squeezed out")
    lost = (before.force_kn - reading.force_kn) / max(before.force_kn, 1e-9)
    if lost > tolerance.drop_rel and before.force_kn > 2 * watch.press.capability.min_kn:
        raise StageFailedError(
            f"the force fell from {before.force_kn:.3f} to {reading.force_kn:.3f} kN between two readings: "
            "die or pellet broke"
        )


def _stage_record(watch: PressWatch, stage: Stage, first: int, reached: int, *, ramp_mpa_s: float) -> StageRecord:
    """Read off the curves what the cell got in one stage."""
    capability, die = watch.press.capability, watch.die
    whole, held = watch.readings[first:], watch.readings[reached:]
    time_s = np.array([reading.time_s for reading in held])
    pressure = np.array([die.pressure_mpa(reading.force_kn) for reading in held])
    temperature = np.array([reading.temperature_c for reading in held])
    mean_mpa, mean_c = _mean(time_s, pressure), _mean(time_s, temperature)
    all_s = np.array([reading.time_s for reading in whole])
    all_mpa = np.array([die.pressure_mpa(reading.force_kn) for reading in whole])
    step_mpa = die.pressure_mpa(capability.resolution_kn)
    # load-cell class and friction are one draw for the whole dwell; resolution and fluctuation come on top
    sd_mpa = math.sqrt((capability.force_sd_rel * mean_mpa) ** 2 + step_mpa**2 / 12 + float(np.var(pressure)))
    poll_s = float(np.diff(all_s).max()) if len(all_s) > 1 else 0.0
    return StageRecord(
        name=stage.name,
        asked={
            "pressure_mpa": stage.pressure_mpa,
            "ramp_mpa_s": stage.ramp_mpa_s,
            "dwell_s": stage.dwell_s,
            "temperature_c": stage.temperature_c,
        },
        achieved={
            "pressure_mpa": mean_mpa,
            "ramp_mpa_s": ramp_mpa_s,
            "dwell_s": float(time_s[-1] - time_s[0]),
            "temperature_c": mean_c,
        },
        achieved_sd={
            "pressure_mpa": sd_mpa,
            "ramp_mpa_s": ramp_mpa_s * capability.force_sd_rel,
            "dwell_s": min(poll_s, 1.0) / math.sqrt(12),
            "temperature_c": math.hypot(capability.temperature_sd_c, float(np.std(temperature))),
        },
        refills=held[-1].refills - held[0].refills,
        overshoot_mpa=max(0.0, float(all_mpa.max()) - stage.pressure_mpa),
        dose_mpa_s=float(np.trapezoid(all_mpa, all_s)),
    )


def _mean(time_s: Real, values: Real) -> float:
    """Mean over time; the plain mean of a moment."""
    span_s = float(time_s[-1] - time_s[0])
    return float(np.trapezoid(values, time_s)) / span_s if span_s > 0 else float(values.mean())


# ---------------------------------------------------------------------- the end, good and bad


def _to_measurement(watch: PressWatch, poll: Poll, protocol: PressingProtocol) -> None:
    """Bring the cell to the pressure and temperature of its measurement, and let it settle there."""
    capability, die = watch.press.capability, watch.die
    goal_kn = die.force_kn(protocol.measure_at_mpa)
    before_kn = watch.asked_kn or 0.0
    rate_kn_s = min(die.force_kn(protocol.release_mpa_s), watch.limit_ramp_kn_s)
    watch.stage = -1
    watch.command(goal_kn, rate_kn_s, protocol.measure_at_c)
    watch.look()
    _wait_for_force(watch, poll, abs(goal_kn - before_kn) / rate_kn_s)
    if capability.heated:
        watch.wait_for_temperature(poll, protocol.measure_at_c, missed_by_c=watch.tolerance.measure_c)
    first = len(watch.readings) - 1
    watch.wait(protocol.settle_s, poll)
    settled = watch.readings[first:]
    held_mpa = die.pressure_mpa(float(np.mean([reading.force_kn for reading in settled]))) if goal_kn else 0.0
    watch.held = (held_mpa, float(np.mean([reading.temperature_c for reading in settled])))


def _broken_off(watch: PressWatch, stage: Stage | None, where: str, error: PressoptError) -> StageFailedError:
    """Make the press safe and say what happened, with the record until now."""
    words = f"{where}: {error}"
    aborted = True
    try:
        _abort(watch, stage, error)
    except InstrumentError as unsafe:
        aborted = False
        words += f"; making it safe failed too ({unsafe}): use the emergency stop"
    watch.note(words)
    return StageFailedError(words, watch.record(), aborted=aborted)


def _abort(watch: PressWatch, stage: Stage | None, error: PressoptError) -> None:
    """The stage's own abort action where it can be trusted; else the safe state of the machine."""
    wanted = stage.on_abort if stage is not None else SafeState.RELEASE
    last = watch.readings[-1] if watch.readings else None
    trusted = (
        wanted is not SafeState.RELEASE
        and not isinstance(error, LinkError)
        and last is not None
        and not last.fault
        and all(last.interlocks.values())
        and last.force_kn <= watch.limit_kn * (1 + watch.tolerance.over_limit_rel)
    )
    if not trusted or last is None:
        watch.press.make_safe()
        return
    capability = watch.press.capability
    temperature_c = capability.min_c if wanted is SafeState.HOLD_AND_COOL else last.temperature_c
    try:
        watch.press.command(
            force_kn=last.setpoint_kn if last.state is PressState.HOLD else max(0.0, last.force_kn),
            ramp_kn_s=watch.limit_ramp_kn_s / 10,
            temperature_c=min(max(temperature_c, capability.min_c), capability.limit_c),
        )
    except PressoptError:
        watch.press.make_safe()
