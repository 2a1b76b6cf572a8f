"""Many protocols side by side as arrays, and what a cell lives through when each is done exactly as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pressopt.errors import InputError, Violation
from pressopt.pressing import PressingProtocol, RollStage, Stage
from pressopt.twin.laws import CellState, Law, Real, advance
from pressopt.twin.plant import AMBIENT_C, PressSpec, RollSpec
from pressopt.twin.rolling import roll_pass


@dataclass(frozen=True, slots=True)
class Programme:
    """Protocols with the same number of stages; arrays of shape (N, K) for K stages, (N,) for the measurement.

    ``pressure_mpa, ramp_mpa_s, dwell_s, temperature_c`` for platens; with ``rolled``, ``pressure_mpa`` is the line
    force in N/mm, ``ramp_mpa_s`` the speed in mm/s and ``dwell_s`` the number of passes.
    """

    pressure_mpa: Real
    ramp_mpa_s: Real
    dwell_s: Real
    temperature_c: Real
    measure_mpa: Real
    measure_c: Real
    settle_s: Real
    release_mpa_s: Real
    rolled: bool = False

    @property
    def count(self) -> int:
        """How many protocols."""
        return int(self.pressure_mpa.shape[0])

    @classmethod
    def of(cls, protocols: Sequence[PressingProtocol]) -> Programme:
        """Turn protocols into arrays.

        Raises:
            InputError: There are none, or they differ in the number or kind of their stages.
        """
        kinds = {(protocol.rolled, len(protocol.stages)) for protocol in protocols}
        if len(kinds) != 1:
            raise InputError(
                (Violation("protocols", f"{len(kinds)} kinds of protocol: give one kind, same stages"),)
            )
        rolled = protocols[0].rolled

        def row(stage: Stage | RollStage) -> tuple[float, float, float, float]:
            if isinstance(stage, RollStage):
                return stage.line_force_n_mm, stage.speed_mm_s, float(stage.passes), stage.temperature_c
            return stage.pressure_mpa, stage.ramp_mpa_s, stage.dwell_s, stage.temperature_c

        table = np.array([[row(stage) for stage in protocol.stages] for protocol in protocols])
        held = np.array([(p.measure_at_mpa, p.measure_at_c, p.settle_s, p.release_mpa_s) for p in protocols])
        return cls(*np.moveaxis(table, 2, 0), *held.T, rolled=rolled)  # type: ignore[misc]


_RAMP_STEPS = 4


def live(law: Law, programme: Programme, *, gain: float | Real, spec: PressSpec, roll: RollSpec) -> CellState:
    """Cells after their protocols, each at the end of its settling.

    Platens are hot before the force goes on; after the last dwell force and temperature go to those of the
    measurement together, as fast as the machine can.

    Args:
        law: Hidden parameters, the same for all or arrays of shape (N, 1).
        programme: N protocols.
        gain: True pressure over indicated pressure.
        spec, roll: The machine.
    """
    if programme.rolled:
        return _rolled(law, programme, gain=gain, roll=roll)
    state = CellState.fresh(programme.count, metal=not law.powder)
    stages = programme.pressure_mpa.shape[1]
    before = np.zeros((programme.count, 1))
    for k in range(stages):
        opened = k > 0 and not state.metal
        if opened:  # the die is opened and the metal put in: it never sees the pressure of formation
            state = replace(state, metal=True)
            before = np.minimum(before, programme.pressure_mpa[:, k : k + 1] * gain)
        goal = programme.pressure_mpa[:, k : k + 1] * gain
        heat = np.maximum(programme.temperature_c[:, k : k + 1], AMBIENT_C)
        rate = programme.ramp_mpa_s[:, k : k + 1]
        step_s = np.abs(goal - before) / rate / _RAMP_STEPS
        for share in (np.arange(_RAMP_STEPS) + 0.5) / _RAMP_STEPS:
            state = advance(law, state, before + (goal - before) * share, heat, step_s)
        state = advance(law, state, goal, heat, programme.dwell_s[:, k : k + 1])
        before = goal
    held = programme.measure_mpa[:, None] * gain
    if not state.metal:
        state, before = replace(state, metal=True), np.minimum(before, held)
    heat = np.maximum(programme.temperature_c[:, -1:], AMBIENT_C)
    cool = np.maximum(programme.measure_c[:, None], AMBIENT_C)
    ramp_s = np.abs(before - held) / programme.release_mpa_s[:, None]
    wait_s = np.maximum(_settled_s(heat, cool, spec) - ramp_s, 0.0)
    for middle in (0.125, 0.375, 0.625, 0.875):
        warm = _approach_c(middle * ramp_s, heat, cool, spec)
        state = advance(law, state, before + (held - before) * middle, warm, 0.25 * ramp_s)
    for begin, end in ((0.0, 0.3), (0.3, 1.0)):
        warm = _approach_c(ramp_s + 0.5 * (begin + end) * wait_s, heat, cool, spec)
        state = advance(law, state, held, warm, (end - begin) * wait_s)
    return advance(law, state, held, cool, programme.settle_s[:, None])


def _rates(from_c: Real, to_c: Real, spec: PressSpec) -> tuple[Real, Real]:
    rising = to_c > from_c
    return np.where(rising, spec.heat_c_s, spec.cool_c_s), np.where(rising, spec.heat_s, spec.cool_s)


def _approach_c(gone_s: Real, from_c: Real, to_c: Real, spec: PressSpec) -> Real:
    """:func:`pressopt.twin.plant.approach_c` over arrays."""
    rate, lag_s = _rates(from_c, to_c, spec)
    gap = np.abs(to_c - from_c)
    linear_s = np.maximum(0.0, gap / rate - lag_s)
    left = (gap - rate * linear_s) * np.exp(-np.maximum(gone_s - linear_s, 0.0) / lag_s)
    left = np.where(gone_s <= linear_s, gap - rate * gone_s, left)
    return np.asarray(to_c - np.sign(to_c - from_c) * left)


def _settled_s(from_c: Real, to_c: Real, spec: PressSpec) -> Real:
    """When the platens are within 1 °C of where they go, s."""
    rate, lag_s = _rates(from_c, to_c, spec)
    gap = np.abs(to_c - from_c)
    near = np.minimum(gap, rate * lag_s)
    return np.asarray((gap - near) / rate + lag_s * np.log(np.maximum(near, 1.0)))


def _rolled(law: Law, programme: Programme, *, gain: float | Real, roll: RollSpec) -> CellState:
    state = CellState.fresh(programme.count)
    for k in range(programme.pressure_mpa.shape[1]):
        passes = programme.dwell_s[:, k : k + 1]
        for number in range(int(passes.max())):
            state = roll_pass(
                law,
                state,
                roll,
                line_force_n_mm=programme.pressure_mpa[:, k : k + 1] * gain,
                speed_mm_s=programme.ramp_mpa_s[:, k : k + 1],
                temperature_c=np.maximum(programme.temperature_c[:, k : k + 1], AMBIENT_C),
                done=(number < passes).astype(np.float64),
            )
    return state
