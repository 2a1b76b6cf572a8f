"""The cells of the virtual bench: which one lies under the press, what it has lived through, what it shows.

A cell is integrated along the closed-form motions of the machine, on a grid that hangs on those motions alone, and
only up to the moment a command ends a motion. Asking for the present changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pressopt.pressing import Cell
from pressopt.twin.laws import CellState, advance
from pressopt.twin.machine import CLOSING_S, CONTACT_KN, Machine
from pressopt.twin.plant import AMBIENT_C
from pressopt.twin.population import HiddenCell, Laboratory, hidden_cell
from pressopt.twin.response import Circuit, circuit
from pressopt.twin.rolling import roll_pass

FORMED_MPA = 50.0
"""A powder that was held at this pressure is a pellet; below, it may have been a first touch (assumed)."""

_EMPTY = Circuit(0.0, 0.0, 0.0, 0.0, (), 0.0, 0.0, math.inf, math.inf, open=True)


@dataclass
class SampleState:
    """The loaded cell between two looks.

    Attributes:
        cell: What it remembers, at ``done_s``.
        done_s: Bench time up to which it was integrated, s.
        formed_kn: Highest force on powder before the metal was put in.
        metal_from_s: When the metal lies on the pellet, bench time, s.
        rolled: Passes of the present run that ``cell`` contains.
    """

    cell: CellState
    done_s: float = 0.0
    formed_kn: float = 0.0
    metal_from_s: float = math.inf
    rolled: int = 0


class Sample:
    """All cells of one laboratory, one of them under the machine."""

    def __init__(self, cell: Cell, lab: Laboratory, machine: Machine) -> None:
        self._cell = cell
        self._lab = lab
        self._machine = machine
        self.hidden: HiddenCell | None = None
        self.now = SampleState(CellState.fresh())
        self.others: dict[int, CellState] = {}
        self._circuit: tuple[tuple[float, int, int], Circuit] | None = None

    def load(self, number: int, time_s: float) -> None:
        """Take the loaded cell out and put ``number`` in; a cell that was there before remembers."""
        self.commit(time_s)
        if self._machine.state.loaded:
            self.others[self._machine.state.loaded] = self.now.cell
        self._machine.state.loaded = number
        self.hidden = hidden_cell(self._lab, number) if number else None
        fresh = CellState.fresh(metal=self.hidden is None or not self.hidden.law.powder)
        self.now = SampleState(self.others.pop(number, fresh), done_s=time_s)

    def restore(self, number: int, now: SampleState, others: dict[int, CellState]) -> None:
        """Take up what was saved."""
        self.hidden = hidden_cell(self._lab, number) if number else None
        self.now, self.others = now, others

    def fracture(self) -> None:
        """The cell breaks, whatever it could bear."""
        self.now.cell = replace(self.now.cell, drive_crack=np.full((1, 1), np.inf))

    def put_metal_in(self, time_s: float) -> None:
        """Before a start: powder is formed first; the metal goes in when a formed pellet lies in the die."""
        if self.hidden is None or self.now.cell.metal:
            return
        state = self._machine.state
        here_kn = self._machine.force_kn(time_s)
        self.now.formed_kn = max(self.now.formed_kn, here_kn)
        lower = here_kn <= CONTACT_KN or state.setpoint_kn < 0.98 * self.now.formed_kn
        pellet = self._cell.die.pressure_mpa(self.now.formed_kn) >= FORMED_MPA
        higher = pellet and state.setpoint_kn > 1.02 * self.now.formed_kn
        if self.now.formed_kn > CONTACT_KN and (lower or higher):
            self.now.metal_from_s = time_s + max(0.0, here_kn - state.setpoint_kn) / state.ramp_kn_s

    def commit(self, time_s: float) -> None:
        """Bring the cell up to ``time_s``, along the present motion."""
        if time_s <= self.now.done_s:
            return
        cell = self.at(time_s)
        if not cell.metal:
            self.now.formed_kn = max(self.now.formed_kn, self._machine.force_kn(time_s))
        self.now.rolled = self._machine.passes_at(time_s) if self._machine.state.rolling_from_s is not None else 0
        self.now.cell, self.now.done_s = cell, time_s

    def at(self, time_s: float) -> CellState:
        """The cell as it will be at ``time_s`` if nobody gives a command."""
        hidden, cell = self.hidden, self.now.cell
        if hidden is None or time_s <= self.now.done_s:
            return cell
        if self._machine.rolled:
            return self._rolled(hidden, cell, time_s)
        machine, spec = self._machine, self._machine.press
        steady_s = machine.force.steady_s(spec)
        for begin_s, end_s in pairwise(self._edges(self.now.done_s, time_s)):
            middle_s = 0.5 * (begin_s + end_s)
            if not cell.metal and middle_s >= self.now.metal_from_s:
                cell = replace(cell, metal=True)
            force_kn = (
                machine.force.mean_hold_kn(spec) if begin_s >= steady_s else machine.force.at(middle_s, spec)
            )
            pressure_mpa = self._cell.die.pressure_mpa(max(force_kn, 0.0)) * hidden.gain
            heat_c = machine.heat.at(middle_s, machine.heater)
            cell = advance(hidden.law, cell, np.array([[pressure_mpa]]), np.array([[heat_c]]), end_s - begin_s)
        return cell

    def _edges(self, begin_s: float, end_s: float) -> list[float]:
        """Times between which force and temperature count as constant; the grid hangs on the motions alone."""
        machine, spec = self._machine, self._machine.press
        force, heat = machine.force, machine.heat
        grid: list[float] = []
        if force.kind == "drive" and force.arrival_s > force.start_s:
            span_s = force.arrival_s - force.start_s
            grid += [force.start_s + span_s * share for share in (0.5, 0.85, 1.0)]
        if force.kind == "drive" and force.overshoot_kn > 0:
            grid += [force.arrival_s + share * spec.overshoot_s for share in (0.3, 3.0)]
        if force.kind in {"locked", "runaway"} or spec.hold == "locked":
            grid += [force.arrival_s + 2.0**k for k in range(1, 14)]
        settled_s = heat.settled_s(machine.heater)
        if settled_s > heat.start_s:
            span_s = settled_s - heat.start_s
            grid += [heat.start_s + span_s * share for share in (0.15, 0.3, 0.5, 0.75, 1.0)]
        return [begin_s, *sorted({edge for edge in grid if begin_s < edge < end_s}), end_s]

    def _rolled(self, hidden: HiddenCell, cell: CellState, time_s: float) -> CellState:
        machine, state, spec = self._machine, self._machine.state, self._machine.rolls
        if state.rolling_from_s is None:
            return cell
        one = np.ones((1, 1))
        for count in range(self.now.rolled, machine.passes_at(time_s)):
            when_s = state.rolling_from_s + CLOSING_S + (count + 0.5) * machine.pass_s()
            cell = roll_pass(
                hidden.law,
                cell,
                spec,
                line_force_n_mm=one * state.line_force_n_mm * hidden.gain,
                speed_mm_s=one * state.speed_mm_s,
                temperature_c=one * machine.heat.at(when_s, machine.heater),
                done=one,
            )
        return cell

    def circuit_at(self, time_s: float) -> Circuit:
        """What an instrument is connected to at ``time_s``."""
        machine, hidden = self._machine, self.hidden
        if hidden is None:
            return _EMPTY
        key = (time_s, machine.state.loaded, machine.state.epoch)
        if self._circuit is not None and self._circuit[0] == key:
            return self._circuit[1]
        force, rolled = machine.force, machine.rolled
        steady = time_s >= force.steady_s(machine.press)
        force_kn = force.mean_hold_kn(machine.press) if steady else machine.force_kn(time_s)
        found = circuit(
            self._cell,
            hidden,
            self.at(time_s),
            pressure_mpa=self._cell.die.pressure_mpa(max(force_kn, 0.0)) * hidden.gain,
            temperature_c=AMBIENT_C if rolled else machine.heat.at(time_s, machine.heater),
            since_s=time_s - max(machine.state.changed_s, machine.state.changed_s if rolled else force.arrival_s),
        )
        self._circuit = (key, found)
        return found
