"""Pressing one cell: stage by stage to the state in which it is measured, watched all the way.

The order of a stage: platens to temperature under the force that is on, then the ramp, then the dwell, which
counts from the first reading at which pressure and temperature are both in their bands. After the last stage
force and temperature go together to those of the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np

from pressopt.clock import Clock
from pressopt.errors import InstrumentError, LinkError, PressoptError, StageFailedError
from pressopt.pressing.allowed import PressureRange, check_protocol, pressure_range, settable
from pressopt.pressing.cell import Cell
from pressopt.pressing.limits import Limits
from pressopt.pressing.press import Press, PressReading, PressState
from pressopt.pressing.protocol import Die, PressingProtocol, SafeState, Stage
from pressopt.pressing.record import PressRecord, Real, StageRecord
from pressopt.pressing.rolling import execute_rolling
from pressopt.pressing.watch import Poll, Tolerance, Watch, made_safe

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

_AT_TEMPERATURE_C = 1.0  # the ramp begins when the platens are this near (assumed; controllers hold 0.5 °C)
_NEARER_C = 0.2  # what counts as progress towards a temperature
_STRETCH = 1.3  # growth of the period while platens settle, where time leaps
_LONGEST_HEAT_S = 30.0


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
    watch = _watch(press, clock, die, limits, tolerance or Tolerance(), on_reading, should_stop)
    poll = poll or Poll.on(clock)
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
    poll = Poll.on(clock)
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


def _do_stage(watch: Watch, poll: Poll, number: int, stage: Stage) -> None:
    capability = watch.press.capability
    force_kn = watch.die.force_kn(stage.pressure_mpa)
    rate_kn_s = min(watch.die.force_kn(stage.ramp_mpa_s), capability.limit_ramp_kn_s)
    watch.stage = -1
    before_kn = watch.asked_kn or 0.0
    if capability.heated:
        _command(watch, before_kn, rate_kn_s, stage.temperature_c)
        _wait_for_temperature(watch, poll, stage.temperature_c)
    watch.stage = number
    first = len(watch.readings)
    began_s = watch.clock.now_s()
    _command(watch, force_kn, rate_kn_s, stage.temperature_c)
    watch.look()
    _wait_for_force(watch, poll, abs(force_kn - before_kn) / rate_kn_s)
    reached = len(watch.readings) - 1
    ramp_s = max(watch.readings[reached].time_s - began_s, 1e-9)
    ramp_mpa_s = watch.die.pressure_mpa(abs(force_kn - before_kn)) / ramp_s
    _dwell(watch, poll, stage)
    watch.stages.append(_stage_record(watch, stage, first, reached, ramp_mpa_s=ramp_mpa_s))


def _command(watch: Watch, force_kn: float, rate_kn_s: float, temperature_c: float) -> None:
    if force_kn > watch.limit_kn * (1 + 1e-9):  # checked at the start; and again before every write
        raise StageFailedError(f"{force_kn:g} kN would be asked, {watch.limit_kn:g} kN are allowed")
    if watch.press.capability.heated and temperature_c > watch.limit_c:
        raise StageFailedError(f"{temperature_c:g} °C would be asked, {watch.limit_c:g} °C are allowed")
    watch.asked_kn = None
    watch.press.command(force_kn=force_kn, ramp_kn_s=rate_kn_s, temperature_c=temperature_c)
    watch.asked_kn = force_kn


def _wait_for_force(watch: Watch, poll: Poll, expected_s: float) -> None:
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
        watch.sleep_s(min(period_s, left_s) if left_s > poll.ramp_s else max(poll.ramp_s, period_s / 10))
        watch.look()


def _wait_for_temperature(watch: Watch, poll: Poll, goal_c: float, *, missed_by_c: float = 0.0) -> None:
    """Poll until the platens are at ``goal_c``; a stall within ``missed_by_c`` of it is noted only."""
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
            if now_gap_c <= missed_by_c:
                watch.note(f"measured at {reading.temperature_c:.1f} °C instead of {goal_c:g} °C")
                return
            raise StageFailedError(
                f"the platens stay at {reading.temperature_c:.1f} °C, {goal_c:g} °C were asked: "
                "look at heater, cooling and thermocouple"
            )
        watch.sleep_s(period_s)
        if poll.per_phase:
            period_s = min(_STRETCH * period_s, _LONGEST_HEAT_S)


def _dwell(watch: Watch, poll: Poll, stage: Stage) -> None:
    """Hold for the dwell; every reading must be in band, or be back in it soon."""
    assert watch.asked_kn is not None
    tolerance, goal_kn = watch.tolerance, watch.asked_kn
    first = watch.readings[-1]
    end_s = first.time_s + stage.dwell_s
    period_s = poll.period_s(poll.hold_s, stage.dwell_s)
    out_since_s: float | None = None
    before = first
    while watch.clock.now_s() < end_s - 1e-9:
        watch.sleep_s(min(period_s, end_s - watch.clock.now_s()))
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
    refills = before.refills - first.refills
    if stage.dwell_s >= 60 and refills / (stage.dwell_s / 60) > tolerance.refills_per_min:
        watch.note(
            f"stage '{stage.name}': the pump restarted {refills} times in {stage.dwell_s:.0f} s: does it leak?"
        )


def _out_of_band(watch: Watch, reading: PressReading, goal_kn: float, goal_c: float) -> str:
    """Say what is out of its band; empty when nothing is."""
    if abs(reading.force_kn - goal_kn) > watch.band_kn(goal_kn):
        got_mpa, wanted_mpa = watch.die.pressure_mpa(reading.force_kn), watch.die.pressure_mpa(goal_kn)
        return f"{got_mpa:.2f} MPa instead of {wanted_mpa:.2f} MPa"
    if watch.press.capability.heated and abs(reading.temperature_c - goal_c) > watch.tolerance.temperature_c:
        return f"{reading.temperature_c:.1f} °C instead of {goal_c:g} °C"
    return ""


def _runs_away(watch: Watch, reading: PressReading, goal_kn: float) -> None:
    """Raise at once for a force far above its set point: a cell that was pressed too hard stays so."""
    most_kn = goal_kn + max(watch.tolerance.overshoot_rel * goal_kn, 2 * watch.press.capability.min_kn)
    if reading.force_kn > most_kn:
        raise StageFailedError(
            f"{watch.die.pressure_mpa(reading.force_kn):.2f} MPa instead of "
            f"{watch.die.pressure_mpa(goal_kn):.2f} MPa: the press runs away"
        )


def _gives_way(watch: Watch, first: PressReading, before: PressReading, reading: PressReading) -> None:
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


def _stage_record(watch: Watch, stage: Stage, first: int, reached: int, *, ramp_mpa_s: float) -> StageRecord:
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
            "temperature_c": float(np.std(temperature)),
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


def _to_measurement(watch: Watch, poll: Poll, protocol: PressingProtocol) -> None:
    """Bring the cell to the pressure and temperature of its measurement, and let it settle there."""
    capability, die = watch.press.capability, watch.die
    goal_kn = die.force_kn(protocol.measure_at_mpa)
    before_kn = watch.asked_kn or 0.0
    rate_kn_s = min(die.force_kn(protocol.release_mpa_s), capability.limit_ramp_kn_s)
    watch.stage = -1
    _command(watch, goal_kn, rate_kn_s, protocol.measure_at_c)
    watch.look()
    _wait_for_force(watch, poll, abs(goal_kn - before_kn) / rate_kn_s)
    if capability.heated:
        _wait_for_temperature(watch, poll, protocol.measure_at_c, missed_by_c=watch.tolerance.measure_c)
    first = len(watch.readings) - 1
    end_s = watch.clock.now_s() + protocol.settle_s
    period_s = poll.period_s(poll.hold_s, protocol.settle_s)
    while watch.clock.now_s() < end_s - 1e-9:
        watch.sleep_s(min(period_s, end_s - watch.clock.now_s()))
        watch.look()
    settled = watch.readings[first:]
    held_mpa = die.pressure_mpa(float(np.mean([reading.force_kn for reading in settled]))) if goal_kn else 0.0
    watch.held = (held_mpa, float(np.mean([reading.temperature_c for reading in settled])))


def _watch(
    press: Press,
    clock: Clock,
    die: Die,
    limits: Limits | None,
    tolerance: Tolerance,
    on_reading: Callable[[PressReading], None] | None,
    should_stop: Callable[[], bool] | None,
) -> Watch:
    capability = press.capability
    wanted = limits or Limits()
    forces = [capability.limit_kn]
    if wanted.force_kn is not None:
        forces.append(wanted.force_kn)
    if wanted.pressure_mpa is not None:
        forces.append(die.force_kn(wanted.pressure_mpa))
    hottest = min(capability.limit_c, wanted.temperature_c if wanted.temperature_c is not None else math.inf)
    return Watch(
        press=press,
        clock=clock,
        die=die,
        limit_kn=min(forces),
        limit_c=hottest,
        tolerance=tolerance,
        on_reading=on_reading,
        should_stop=should_stop,
    )


def _broken_off(watch: Watch, stage: Stage | None, where: str, error: PressoptError) -> StageFailedError:
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


def _abort(watch: Watch, stage: Stage | None, error: PressoptError) -> None:
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
            ramp_kn_s=capability.limit_ramp_kn_s / 10,
            temperature_c=min(max(temperature_c, capability.min_c), capability.limit_c),
        )
    except PressoptError:
        watch.press.make_safe()
