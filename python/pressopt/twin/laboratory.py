"""The virtual bench: one press (or laminator), one hidden cell under it, and what an analyser sees of that cell.

Nothing here sleeps or polls. The machine's motion is a closed form of time since its last command; the cell is
integrated along it only when a command ends that motion or somebody measures. So a look changes nothing, and two
runs that give the same commands at the same times get the same cell, however often they looked.
"""

from __future__ import annotations

import json
import math
import os
import struct
import threading
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pressopt.clock import Clock
from pressopt.pressing import Cell
from pressopt.twin.bench import PlantReading, RollReading
from pressopt.twin.chance import normal, normal_pair
from pressopt.twin.laws import CellState, advance, extrusion
from pressopt.twin.plant import AMBIENT_C, Force, Heat, PressSpec, RollSpec
from pressopt.twin.population import HiddenCell, contacts, hidden_cell, laboratory, laminated
from pressopt.twin.response import Circuit, circuit, condition
from pressopt.twin.rolling import roll_pass

FAULT_CODES: dict[str, int] = {
    "": 0,
    "guard open": 1,
    "emergency stop": 2,
    "remote disabled": 3,
    "heartbeat lost": 4,
    "over-temperature": 5,
    "power failed": 6,
    "sample gave way": 7,
}
"""What the machine's fault code means."""

FAULTS = (
    "guard_open", "guard_closed", "estop", "estop_reset", "remote_off", "remote_on", "leak", "overshoot",
    "runaway",
    "stuck_thermocouple", "open_thermocouple", "heater_stuck", "frozen_force", "die_fracture", "power_fail",
    "panel_setpoint", "sensors_good",
)  # fmt: skip
"""What :meth:`VirtualBench.inject` knows."""

FORMED_MPA = 50.0
"""A powder that was held at this pressure is a pellet; below, it may have been a first touch (assumed)."""

_STATE_VERSION = 1
_CONTACT_KN = 0.02  # below this a cell can be exchanged
_BURN_OUT_C = 999.9  # an open thermocouple reads up-scale
_CLOSING_S = 2.0  # the rolls close before the first pass
_DC_OFFSET_OHM = 2e-6
_DC_NOISE = 0.005


class BenchRefusal(ValueError):  # noqa: N818 - the machine's own word
    """The machine says no: an interlock is open, a value is out of range, force is on."""


@dataclass
class _Machine:
    """Everything about the machine that a kill must not lose, apart from its motions."""

    setpoint_kn: float = 0.0
    setpoint_c: float = AMBIENT_C
    ramp_kn_s: float = 1.0
    guard_closed: bool = True
    estop_ok: bool = True
    remote_enabled: bool = True
    fault_code: int = 0
    leak_per_min: float = 0.0
    overshoot_rel: float = -1.0  # of the next ramp only; negative: the machine's own
    frozen_c: float | None = None
    frozen_kn: float | None = None
    slip_mm: float = 0.0
    metal_from_s: float = math.inf  # when the metal lies on the pellet
    formed_kn: float = 0.0  # highest force on powder before the metal was put in
    loaded: int = 0
    epoch: int = 0  # how many commands the loaded cell has seen: part of the key of its noise
    changed_s: float = 0.0  # when the pressure last began to change
    line_force_n_mm: float = 0.0
    speed_mm_s: float = 10.0
    passes: int = 1
    rolling_from_s: float | None = None
    rolled: int = 0  # passes that the committed state of the cell contains


class VirtualBench:
    """A virtual laboratory; see :class:`pressopt.twin.bench.Bench`. Cells are numbered from 1; 0 means none.

    Args:
        cell: Layers and area of every cell that is loaded.
        seed: Of everything hidden.
        clock: Laboratory time.
        press: The machine.
        roll: The laminator.
        state_path: File that keeps the physical world over a killed process; a new process goes on from there, and
            the time in between counts as none.
        rolled: Whether the laminator is the machine; the press then refuses to start, and the other way round.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        seed: int,
        clock: Clock,
        press: PressSpec | None = None,
        roll: RollSpec | None = None,
        state_path: Path | None = None,
        rolled: bool = False,
    ) -> None:
        self.cell = cell
        self.press = press or PressSpec()
        self.roll_spec = roll or RollSpec()
        self._seed = seed
        self._clock = clock
        self._lock = threading.RLock()
        self._path = state_path
        self._rolled = rolled
        self._lab = laboratory(cell, seed)
        self._machine = _Machine(leak_per_min=self.press.leak_per_min)
        self._force = Force("drive", 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0, "idle", "idle")
        self._heat = Heat(0.0, AMBIENT_C, AMBIENT_C)
        self._cells: dict[int, CellState] = {}
        self._hidden: HiddenCell | None = None
        self._state = CellState.fresh()
        self._done_s = 0.0
        self._beat_s: float | None = None
        self._planned: list[tuple[float, str, dict[str, float]]] = []
        self._looks: dict[tuple[int, int, str, float], int] = {}
        self._circuit: tuple[tuple[float, int, int], Circuit] | None = None
        self._base_s = 0.0
        self._time_file: int | None = None
        if state_path is not None:
            self._restore(state_path)
        self._start_s = clock.now_s()

    # ------------------------------------------------------------------ time

    def _now_s(self) -> float:
        """Bench time, s: goes on over restarts."""
        return self._clock.now_s() - self._start_s + self._base_s

    def _enter(self) -> float:
        """Bring the machine up to now: planned faults and the watchdog act at their own times."""
        now_s = self._now_s()
        while True:
            due: list[tuple[float, int]] = [
                (when, k) for k, (when, _, _) in enumerate(self._planned) if when <= now_s
            ]
            trip_s = self._trip_s()
            if trip_s is not None and trip_s <= now_s and not any(when <= trip_s for when, _ in due):
                self._trip(trip_s)
                continue
            self._finish_rolling(now_s)
            if not due:
                break
            when, index = min(due)
            _, fault, values = self._planned.pop(index)
            self._happen(fault, max(when, self._done_s), values)
            self._save(when)
        if self._time_file is not None:
            os.pwrite(self._time_file, struct.pack("<d", now_s), 0)
        return now_s

    def _trip_s(self) -> float | None:
        if self._beat_s is None or not math.isfinite(self.press.watchdog_s) or self._machine.fault_code:
            return None
        trip_s = self._beat_s + self.press.watchdog_s
        busy = self._force.state_at(trip_s) in {"ramp", "hold"} or self._rolling_at(trip_s)
        return trip_s if busy else None

    def _trip(self, time_s: float) -> None:
        self._beat_s = None
        self._machine.fault_code = FAULT_CODES["heartbeat lost"]
        if self.press.watchdog_releases:
            self._release(time_s, self.press.release_kn_s)
        else:
            self._lock_valve(time_s)
        self._set_heat(time_s, AMBIENT_C)
        self._stop_rolls(time_s)
        self._save(time_s)

    # ------------------------------------------------------------------ press

    def plant(self) -> PlantReading:
        """What the machine's sensors show now."""
        with self._lock:
            now_s = self._enter()
            machine, spec = self._machine, self.press
            force_kn = self._force.at(now_s, spec)
            shown_kn = machine.frozen_kn
            if shown_kn is None:
                shown_kn = force_kn + spec.noise_kn * normal(self._seed, "load cell", now_s)
            shown_c = machine.frozen_c
            if shown_c is None:
                shown_c = self._heat.at(now_s, spec) + spec.noise_c * normal(self._seed, "thermocouple", now_s)
            return PlantReading(
                force_kn=shown_kn,
                temperature_c=shown_c,
                setpoint_kn=machine.setpoint_kn,
                setpoint_c=machine.setpoint_c,
                ramp_kn_s=machine.ramp_kn_s,
                state="fault" if machine.fault_code else self._force.state_at(now_s),
                refills=self._force.refills_at(now_s, spec),
                position_mm=spec.stroke_mm + spec.compliance_mm_kn * force_kn + machine.slip_mm,
                fault_code=machine.fault_code,
                guard_closed=machine.guard_closed,
                estop_ok=machine.estop_ok,
                remote_enabled=machine.remote_enabled,
                loaded_cell=machine.loaded,
            )

    def set_force(self, force_kn: float) -> None:
        """Force set point, kN; acts at the next :meth:`start`."""
        self._set("setpoint_kn", force_kn, (0.0, self.press.limit_kn), "force", "kN")

    def set_ramp(self, ramp_kn_s: float) -> None:
        """Ramp rate, kN/s; acts at the next :meth:`start`."""
        self._set("ramp_kn_s", ramp_kn_s, (1e-4, self.press.limit_ramp_kn_s), "ramp rate", "kN/s")

    def set_temperature(self, temperature_c: float) -> None:
        """Set point of the platens, °C; acts at once. Below ambient they stay at ambient."""
        with self._lock:
            now_s = self._enter()
            self._check(temperature_c, (0.0, self.press.limit_c), "temperature", "°C")
            self._machine.setpoint_c = temperature_c
            self._set_heat(now_s, temperature_c)
            self._save(now_s)

    def start(self) -> None:
        """Ramp to the force set point and hold it."""
        with self._lock:
            now_s = self._enter()
            self._refuse_unless_ready()
            if self._rolled:
                raise BenchRefusal("this machine is a laminator: it has no ram to start")
            machine, spec = self._machine, self.press
            self._commit(now_s)
            self._put_metal_in(now_s)
            here_kn, goal_kn = self._force.at(now_s, spec), machine.setpoint_kn
            rate = machine.ramp_kn_s
            swing = machine.overshoot_rel
            if swing < 0:
                swing = spec.overshoot_rel * min(1.0, rate / spec.limit_ramp_kn_s)
            machine.overshoot_rel = -1.0
            up = goal_kn > here_kn
            self._move(
                now_s,
                Force(
                    kind="drive",
                    start_s=now_s,
                    from_kn=here_kn,
                    to_kn=goal_kn,
                    rate_kn_s=rate,
                    overshoot_kn=swing * goal_kn if up else 0.0,
                    leak_per_min=machine.leak_per_min,
                    refills=self._force.refills_at(now_s, spec),
                    moving="ramp" if goal_kn > 0 else "release",
                    ending="hold" if goal_kn > 0 else "idle",
                ),
            )
            self._save(now_s)

    def stop(self) -> None:
        """Release at the machine's own rate, heater off, rolls still; allowed in every state."""
        with self._lock:
            now_s = self._enter()
            self._machine.setpoint_kn = 0.0
            self._release(now_s, self.press.release_kn_s)
            self._machine.setpoint_c = AMBIENT_C
            self._set_heat(now_s, AMBIENT_C)
            self._stop_rolls(now_s)
            self._save(now_s)

    def acknowledge(self) -> None:
        """Clear the fault if its cause is gone; nothing starts to move by that."""
        with self._lock:
            now_s = self._enter()
            machine = self._machine
            if not (machine.guard_closed and machine.estop_ok):
                raise BenchRefusal("a guard is open or the emergency stop is pressed: close and release it first")
            machine.fault_code = 0
            self._beat_s = None
            if self._force.kind == "locked":
                self._move(now_s, replace(self._force, start_s=now_s, from_kn=self._force.at(now_s, self.press),
                                          ending="hold"))  # fmt: skip
            self._save(now_s)

    def heartbeat(self, value: int) -> None:
        """A sign of life; the machine watches from the first one on. The value itself does not matter."""
        del value
        with self._lock:
            self._beat_s = self._enter()

    def load_cell(self, number: int) -> None:
        """Put cell ``number`` under the press; refused under force. Loading the loaded one changes nothing."""
        with self._lock:
            now_s = self._enter()
            machine = self._machine
            if number == machine.loaded:
                return
            if not 0 <= number <= 65535:
                raise BenchRefusal(f"cell {number} does not exist: give 1 to 65535, or 0 to take the cell out")
            force_kn = self._force.at(now_s, self.press)
            if force_kn > _CONTACT_KN or self._rolling_at(now_s):
                raise BenchRefusal(f"cells are not exchanged under {force_kn:.2f} kN: release first")
            self._commit(now_s)
            if machine.loaded:
                self._cells[machine.loaded] = self._state
            machine.loaded = number
            machine.epoch += 1
            machine.slip_mm = 0.0
            machine.formed_kn = 0.0
            machine.metal_from_s = math.inf
            machine.rolled = 0
            machine.rolling_from_s = None
            self._take(number)
            self._save(now_s)

    # ------------------------------------------------------------------ laminator

    def roll(self) -> RollReading:
        """What the laminator's sensors show now."""
        with self._lock:
            now_s = self._enter()
            machine, spec = self._machine, self.roll_spec
            done = self._passes_at(now_s)
            rolling = self._rolling_at(now_s)
            shown = 0.0
            if rolling:
                shown = machine.line_force_n_mm + spec.noise_n_mm * normal(self._seed, "line force", now_s)
            state = "idle"
            if machine.fault_code:
                state = "fault"
            elif rolling:
                assert machine.rolling_from_s is not None
                state = "ramp" if now_s < machine.rolling_from_s + _CLOSING_S else "hold"
            heat_c = self._heat.at(now_s, spec.as_heater())
            return RollReading(
                line_force_n_mm=shown,
                speed_mm_s=machine.speed_mm_s if rolling else 0.0,
                temperature_c=heat_c + self.press.noise_c * normal(self._seed, "roll thermocouple", now_s),
                passes_done=done,
                passes_asked=machine.passes,
                state=state,
                fault_code=machine.fault_code,
                guard_closed=machine.guard_closed,
                estop_ok=machine.estop_ok,
                remote_enabled=machine.remote_enabled,
                loaded_cell=machine.loaded,
            )

    def set_line_force(self, line_force_n_mm: float) -> None:
        """Line force, N/mm; acts at the next :meth:`start_rolling`."""
        self._refuse_while_rolling()
        self._set("line_force_n_mm", line_force_n_mm, (0.0, self.roll_spec.limit_n_mm), "line force", "N/mm")

    def set_speed(self, speed_mm_s: float) -> None:
        """Speed of the web, mm/s."""
        self._refuse_while_rolling()
        self._set("speed_mm_s", speed_mm_s, (0.01, self.roll_spec.limit_speed_mm_s), "speed", "mm/s")

    def set_passes(self, passes: int) -> None:
        """How often the cell goes through."""
        self._refuse_while_rolling()
        self._set("passes", passes, (1, 1000), "number of passes", "")

    def set_roll_temperature(self, temperature_c: float) -> None:
        """Set point of the rolls, °C; acts at once."""
        with self._lock:
            now_s = self._enter()
            self._check(temperature_c, (0.0, self.roll_spec.limit_c), "temperature", "°C")
            self._machine.setpoint_c = temperature_c
            self._set_heat(now_s, temperature_c)
            self._save(now_s)

    def start_rolling(self) -> None:
        """Close the rolls and run the passes."""
        with self._lock:
            now_s = self._enter()
            self._refuse_unless_ready()
            if not self._rolled:
                raise BenchRefusal("this machine is a press: it has no rolls to start")
            if self._rolling_at(now_s):
                raise BenchRefusal("the rolls are running: wait, or stop them first")
            self._commit(now_s)
            self._machine.rolling_from_s = now_s
            self._machine.rolled = 0
            self._machine.epoch += 1
            self._machine.changed_s = now_s
            self._save(now_s)

    # ------------------------------------------------------------------ electrical

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex:
        """Impedance as an analyser sees it at laboratory time ``at_s`` (s, on the clock that was handed in), Ω."""
        with self._lock:
            now_s = self._enter()
            time_s = max(at_s - self._start_s + self._base_s, self._done_s)
            frequency = float(frequency_hz)
            if not (math.isfinite(frequency) and frequency > 0):
                raise BenchRefusal(f"{frequency} Hz is no frequency: give a positive number")
            del now_s
            found = self._circuit_at(time_s)
            lab = self._lab
            exact = complex(
                found.impedance_ohm(np.array([frequency]), inductance_h=lab.inductance_h, lead_ohm=lab.lead_ohm)[0]
            )
            real, imaginary = normal_pair(self._seed, "impedance", *self._look("impedance", frequency), frequency)
            return exact + abs(exact) * lab.noise * complex(real, imaginary)

    def dc_resistance_ohm(self) -> float:
        """One four-wire reading, Ω; infinite when no current flows."""
        with self._lock:
            exact = self._circuit_at(self._enter()).direct_ohm
            if not math.isfinite(exact):
                return math.inf
            noise = normal(self._seed, "four-wire", *self._look("four-wire", 0.0))
            return exact * (1 + _DC_NOISE * noise) + _DC_OFFSET_OHM

    def _look(self, what: str, frequency_hz: float) -> tuple[int, int, int]:
        """Key of one look at the loaded cell: cell, its commands so far, and which look since then it is."""
        key = (self._machine.loaded, self._machine.epoch, what, frequency_hz)
        count = self._looks.get(key, 0)
        if len(self._looks) > 4096:
            self._looks.clear()
        self._looks[key] = count + 1
        return self._machine.loaded, self._machine.epoch, count

    def _circuit_at(self, time_s: float) -> Circuit:
        machine = self._machine
        key = (time_s, machine.loaded, machine.epoch)
        if self._circuit is not None and self._circuit[0] == key:
            return self._circuit[1]
        if self._hidden is None:
            found = Circuit(0.0, 0.0, 0.0, 0.0, (), 0.0, 0.0, math.inf, math.inf, open=True)
        else:
            force_kn = self._force.at(time_s, self.press)
            if force_kn >= self._force.to_kn > 0 and self._force.kind == "drive":
                force_kn = min(force_kn, self._force.mean_hold_kn(self.press))
            state = self._cell_at(time_s)
            found = circuit(
                self.cell,
                self._hidden,
                state,
                pressure_mpa=self.cell.die.pressure_mpa(max(force_kn, 0.0)) * self._hidden.gain,
                temperature_c=AMBIENT_C if self._rolled else self._heat.at(time_s, self.press),
                since_s=time_s - max(machine.changed_s, self._settling_s()),
            )
        self._circuit = (key, found)
        return found

    def _settling_s(self) -> float:
        if self._rolled:
            return self._machine.changed_s
        return self._force.arrival_s

    # ------------------------------------------------------------------ faults

    def inject(self, fault: str, *, after_s: float = 0.0, **values: float) -> None:
        """Let something go wrong ``after_s`` (s) from now.

        Args:
            fault: One of :data:`FAULTS`. ``leak`` takes ``per_min`` (share of force lost a minute), ``overshoot``
                ``rel`` (of the next ramp), ``runaway`` ``rate_kn_s``, ``panel_setpoint`` ``force_kn``,
                ``sensors_good`` undoes stuck and open sensors.
            after_s: When, s from now.
            **values: As above.

        Raises:
            ValueError: There is no such fault.
        """
        if fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}: one of {', '.join(FAULTS)}")
        with self._lock:
            now_s = self._enter()
            self._planned.append((now_s + max(0.0, after_s), fault, dict(values)))
            self._enter()

    def _happen(self, fault: str, time_s: float, values: dict[str, float]) -> None:  # noqa: PLR0912, PLR0915 - one case each
        machine, spec = self._machine, self.press
        match fault:
            case "guard_open":
                machine.guard_closed = False
                self._interrupt(time_s, "guard open")
            case "guard_closed":
                machine.guard_closed = True
            case "estop":
                machine.estop_ok = False
                machine.fault_code = FAULT_CODES["emergency stop"]
                self._release(time_s, 10 * spec.release_kn_s)
                self._set_heat(time_s, AMBIENT_C)
                self._stop_rolls(time_s)
            case "estop_reset":
                machine.estop_ok = True
            case "remote_off":
                machine.remote_enabled = False
            case "remote_on":
                machine.remote_enabled = True
            case "leak":
                machine.leak_per_min = values.get("per_min", 0.05)
                if self._force.kind == "drive" and self._force.to_kn > 0:
                    moved = replace(self._force, start_s=time_s, from_kn=self._force.at(time_s, spec),
                                    refills=self._force.refills_at(time_s, spec), overshoot_kn=0.0,
                                    leak_per_min=machine.leak_per_min)  # fmt: skip
                    self._move(time_s, moved)
            case "overshoot":
                machine.overshoot_rel = values.get("rel", 0.2)
            case "runaway":
                here_kn = self._force.at(time_s, spec)
                moved = replace(self._force, kind="runaway", start_s=time_s, from_kn=here_kn,
                                rate_kn_s=values.get("rate_kn_s", 1.0))  # fmt: skip
                self._move(time_s, moved)
            case "stuck_thermocouple":
                machine.frozen_c = self._heat.at(time_s, spec)
            case "open_thermocouple":
                machine.frozen_c = _BURN_OUT_C
            case "frozen_force":
                machine.frozen_kn = self._force.at(time_s, spec)
            case "sensors_good":
                machine.frozen_c = machine.frozen_kn = None
            case "heater_stuck":
                self._set_heat(time_s, spec.limit_c + 20.0)
            case "die_fracture":
                here_kn = self._force.at(time_s, spec)
                machine.slip_mm += 1.5
                machine.fault_code = FAULT_CODES["sample gave way"]
                self._lock_valve(time_s, 0.4 * here_kn)
                broken = np.full((1, 1), np.inf)
                self._state = replace(self._state, drive_crack=broken)
            case "power_fail":
                machine.fault_code = FAULT_CODES["power failed"]
                machine.setpoint_kn, machine.setpoint_c = 0.0, AMBIENT_C
                self._lock_valve(time_s)
                self._set_heat(time_s, AMBIENT_C)
                self._stop_rolls(time_s)
            case _:  # panel_setpoint: somebody turns the knob while the press holds
                machine.setpoint_kn = values["force_kn"]
                here_kn = self._force.at(time_s, spec)
                moved = replace(self._force, start_s=time_s, from_kn=here_kn, to_kn=machine.setpoint_kn,
                                refills=self._force.refills_at(time_s, spec))  # fmt: skip
                if here_kn > _CONTACT_KN:
                    self._move(time_s, moved)

    def _interrupt(self, time_s: float, why: str) -> None:
        """An interlock opens: if anything moves or is under force, the valve locks and there is a fault."""
        if self._force.state_at(time_s) != "idle" or self._rolling_at(time_s):
            self._machine.fault_code = FAULT_CODES[why]
            self._lock_valve(time_s)
            self._stop_rolls(time_s)

    # ------------------------------------------------------------------ motion

    def _set(self, name: str, value: float, allowed: tuple[float, float], label: str, unit: str) -> None:
        with self._lock:
            now_s = self._enter()
            self._check(value, allowed, label, unit)
            setattr(self._machine, name, value)
            self._save(now_s)

    @staticmethod
    def _check(value: float, allowed: tuple[float, float], label: str, unit: str) -> None:
        low, high = allowed
        if not (math.isfinite(value) and low <= value <= high):
            raise BenchRefusal(f"{label} {value:g} {unit} is not allowed: {low:g} to {high:g} {unit}")

    def _refuse_unless_ready(self) -> None:
        machine = self._machine
        open_ = [
            text
            for text, ready in (
                ("the guard is open", machine.guard_closed),
                ("the emergency stop is pressed", machine.estop_ok),
                ("remote control is off", machine.remote_enabled),
                (f"fault {machine.fault_code} is not acknowledged", machine.fault_code == 0),
            )
            if not ready
        ]
        if open_:
            raise BenchRefusal(f"nothing moves: {', '.join(open_)}")

    def _move(self, time_s: float, force: Force) -> None:
        """Let ``force`` be the motion from ``time_s`` on, after the cell has lived through the last one."""
        self._commit(time_s)
        self._force = force
        self._machine.changed_s = time_s
        self._machine.epoch += 1

    def _release(self, time_s: float, rate_kn_s: float) -> None:
        here_kn = self._force.at(time_s, self.press)
        refills = self._force.refills_at(time_s, self.press)
        self._move(time_s, Force("drive", time_s, here_kn, 0.0, rate_kn_s, 0.0, 0.0, refills, "release", "idle"))

    def _lock_valve(self, time_s: float, force_kn: float | None = None) -> None:
        here_kn = self._force.at(time_s, self.press) if force_kn is None else force_kn
        refills = self._force.refills_at(time_s, self.press)
        ending = "hold" if here_kn > _CONTACT_KN else "idle"
        leak = self._machine.leak_per_min
        self._move(time_s, Force("locked", time_s, here_kn, here_kn, 1.0, 0.0, leak, refills, ending, ending))

    def _set_heat(self, time_s: float, temperature_c: float) -> None:
        self._commit(time_s)
        spec = self.roll_spec.as_heater() if self._rolled else self.press
        self._heat = Heat(time_s, self._heat.at(time_s, spec), max(temperature_c, AMBIENT_C))

    def _put_metal_in(self, now_s: float) -> None:
        """Powder is formed first; the metal goes in when the press starts anew with a formed pellet in the die."""
        if self._hidden is None or self._state.metal:
            return
        machine = self._machine
        here_kn = self._force.at(now_s, self.press)
        machine.formed_kn = max(machine.formed_kn, here_kn)
        released = here_kn <= _CONTACT_KN
        formed = self.cell.die.pressure_mpa(machine.formed_kn) >= FORMED_MPA
        lower = machine.setpoint_kn < 0.98 * machine.formed_kn
        if machine.formed_kn > _CONTACT_KN and (released or lower or formed):
            machine.metal_from_s = now_s + max(0.0, here_kn - machine.setpoint_kn) / machine.ramp_kn_s

    # ------------------------------------------------------------------ rolls

    def _refuse_while_rolling(self) -> None:
        with self._lock:
            if self._rolling_at(self._enter()):
                raise BenchRefusal("the rolls are running: wait, or stop them first")

    def _pass_s(self) -> float:
        return self.roll_spec.length_mm / self._machine.speed_mm_s

    def _passes_at(self, time_s: float) -> int:
        start_s = self._machine.rolling_from_s
        if start_s is None:
            return self._machine.rolled
        return min(self._machine.passes, max(0, int((time_s - start_s - _CLOSING_S + 1e-9) / self._pass_s())))

    def _rolling_at(self, time_s: float) -> bool:
        return self._machine.rolling_from_s is not None and self._passes_at(time_s) < self._machine.passes

    def _finish_rolling(self, now_s: float) -> None:
        """After the last pass the rolls open and new settings may be given."""
        machine = self._machine
        if machine.rolling_from_s is not None and not self._rolling_at(now_s):
            self._commit(now_s)
            machine.rolling_from_s = None
            self._save(now_s)

    def _stop_rolls(self, time_s: float) -> None:
        self._commit(time_s)
        self._machine.rolling_from_s = None

    # ------------------------------------------------------------------ the cell

    def _take(self, number: int) -> None:
        """Put cell ``number`` under the press: a new one, or one that has been there before."""
        if number == 0:
            self._hidden, self._state = None, CellState.fresh()
            return
        self._hidden = hidden_cell(self._lab, number)
        known = self._cells.pop(number, None)
        self._state = known if known is not None else CellState.fresh(metal=not self._hidden.law.powder)

    def _commit(self, time_s: float) -> None:
        if time_s <= self._done_s:
            return
        self._state = self._cell_at(time_s)
        if self._machine.rolling_from_s is not None:
            self._machine.rolled = self._passes_at(time_s)
        if not self._state.metal:
            self._machine.formed_kn = max(self._machine.formed_kn, self._force.at(time_s, self.press))
        self._done_s = time_s

    def _cell_at(self, time_s: float) -> CellState:
        """The cell as it will be at ``time_s`` if nobody gives a command; nothing is changed by asking."""
        hidden, state = self._hidden, self._state
        if hidden is None or time_s <= self._done_s:
            return state
        if self._rolled:
            return self._rolled_at(hidden, state, time_s)
        area = self.cell.die
        edges = self._edges(self._done_s, time_s)
        for begin_s, end_s in pairwise(edges):
            middle_s = 0.5 * (begin_s + end_s)
            if not state.metal and middle_s >= self._machine.metal_from_s:
                state = replace(state, metal=True)
            if self._force.kind == "drive" and begin_s >= self._force.arrival_s + 3 * self.press.overshoot_s:
                force_kn = self._force.mean_hold_kn(self.press)
            else:
                force_kn = self._force.at(middle_s, self.press)
            pressure_mpa = area.pressure_mpa(max(force_kn, 0.0)) * hidden.gain
            heat_c = self._heat.at(middle_s, self.press)
            state = advance(hidden.law, state, np.array([[pressure_mpa]]), np.array([[heat_c]]), end_s - begin_s)
        return state

    def _edges(self, begin_s: float, end_s: float) -> list[float]:
        """Times between which force and temperature count as constant; the grid hangs on the motions alone."""
        grid: list[float] = []
        force, heat = self._force, self._heat
        if force.kind == "drive" and force.arrival_s > force.start_s:
            span_s = force.arrival_s - force.start_s
            grid += [force.start_s + span_s * share for share in (0.25, 0.5, 0.75, 0.9, 1.0)]
        if force.kind == "drive" and force.overshoot_kn > 0:
            grid += [force.arrival_s + share * self.press.overshoot_s for share in (0.3, 3.0)]
        if force.kind in {"locked", "runaway"}:
            grid += [force.start_s + 2.0**k for k in range(1, 14)]
        settled_s = heat.settled_s(self.press)
        if settled_s > heat.start_s:
            span_s = settled_s - heat.start_s
            grid += [heat.start_s + span_s * share for share in (0.15, 0.3, 0.5, 0.75, 1.0)]
        return [begin_s, *sorted(edge for edge in set(grid) if begin_s < edge < end_s), end_s]

    def _rolled_at(self, hidden: HiddenCell, state: CellState, time_s: float) -> CellState:
        machine, spec = self._machine, self.roll_spec
        one = np.ones((1, 1))
        for count in range(machine.rolled, self._passes_at(time_s)):
            assert machine.rolling_from_s is not None
            when_s = machine.rolling_from_s + _CLOSING_S + (count + 0.5) * self._pass_s()
            state = roll_pass(
                hidden.law,
                state,
                spec,
                line_force_n_mm=one * machine.line_force_n_mm * hidden.gain,
                speed_mm_s=one * machine.speed_mm_s,
                temperature_c=one * self._heat.at(when_s, spec.as_heater()),
                done=one,
            )
        return state

    def autopsy(self) -> dict[str, Any]:
        """What somebody who could see everything would find in the loaded cell now; for tests alone."""
        with self._lock:
            time_s = self._enter()
            if self._hidden is None:
                return {}
            state = self._cell_at(time_s)
            found = condition(self._hidden, state)
            return {
                "failures": found.failures,
                "spoilt": found.spoilt,
                "peak_mpa": float(state.peak.max()),
                "extrusion_fraction": float(extrusion(state)[0, 0]),
                "metal": state.metal,
                "contacts": contacts(self.cell),
                "laminated": laminated(self.cell),
            }

    # ------------------------------------------------------------------ memory

    def _save(self, time_s: float) -> None:
        """Write the physical world down; a kill at any moment leaves the old file or the new one."""
        if self._path is None:
            return
        world = {
            "version": _STATE_VERSION,
            "seed": self._seed,
            "time_s": max(time_s, self._done_s),
            "done_s": self._done_s,
            "machine": asdict(self._machine),
            "force": asdict(self._force),
            "heat": asdict(self._heat),
            "state": self._state.to_json(),
            "cells": {str(number): state.to_json() for number, state in self._cells.items()},
        }
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps(world))
        fresh.replace(self._path)

    def _restore(self, path: Path) -> None:
        clock_path = path.with_name(path.name + ".time")
        if path.exists():
            world = json.loads(path.read_text())
            if world.get("version") != _STATE_VERSION or world.get("seed") != self._seed:
                raise BenchRefusal(
                    f"{path} keeps another virtual laboratory (version {world.get('version')}, seed "
                    f"{world.get('seed')}; wanted {_STATE_VERSION} and {self._seed}): give another file"
                )
            self._machine = _Machine(**world["machine"])
            self._force, self._heat = Force(**world["force"]), Heat(**world["heat"])
            self._cells = {int(number): CellState.from_json(state) for number, state in world["cells"].items()}
            self._base_s, self._done_s = world["time_s"], world["done_s"]
            if self._machine.loaded:
                self._hidden = hidden_cell(self._lab, self._machine.loaded)
            self._state = CellState.from_json(world["state"])
            if clock_path.exists() and len(seen := clock_path.read_bytes()) == 8:
                self._base_s = max(self._base_s, struct.unpack("<d", seen)[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._time_file is None:
            self._time_file = os.open(clock_path, os.O_RDWR | os.O_CREAT, 0o644)

    def close(self) -> None:
        """Let go of the file that keeps the time; the world can be taken up again by another bench."""
        with self._lock:
            if self._time_file is not None:
                os.close(self._time_file)
                self._time_file = None
