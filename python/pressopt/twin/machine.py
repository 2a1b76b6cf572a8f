"""The machine of the virtual bench: set points, motions, interlocks, watchdog, rolls, and what can go wrong.

Everything happens at a time that is handed in; nothing here reads a clock. Before a motion changes, whoever lives
under it (the sample) is told through ``before``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from pressopt.twin.bench import PlantReading, RollReading
from pressopt.twin.chance import normal
from pressopt.twin.plant import AMBIENT_C, Force, Heat, PressSpec, RollSpec

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
    "runaway", "stuck_thermocouple", "open_thermocouple", "heater_stuck", "frozen_force", "die_fracture",
    "extrusion", "power_fail", "panel_setpoint", "sensors_good",
)  # fmt: skip
"""What :meth:`Machine.inject` knows."""

CONTACT_KN = 0.02
"""Below this force a cell can be exchanged, kN."""

CLOSING_S = 2.0
"""Time that the rolls take to close before the first pass, s."""

_BURN_OUT_C = 999.9  # an open thermocouple reads up-scale
_OVER_C = 10.0  # so far above its limit the machine trips its heater


class BenchRefusal(ValueError):  # noqa: N818 - the machine's own word
    """The machine says no: an interlock is open, a value is out of range, force is on."""


@dataclass
class MachineState:
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
    loaded: int = 0
    epoch: int = 0  # how many commands the loaded cell has seen: part of the key of its noise
    changed_s: float = 0.0  # when the pressure last began to change
    line_force_n_mm: float = 0.0
    speed_mm_s: float = 10.0
    passes: int = 1
    passes_done: int = 0  # of the last run
    rolling_from_s: float | None = None


class Machine:
    """A heated press, or a laminator.

    Args:
        press, roll: How they are built.
        rolled: Whether this is the laminator.
        seed: Of the sensors' noise.
        before: Called with the bench time (s) before a motion changes.
        fractured: Called when the sample breaks.
    """

    def __init__(
        self,
        press: PressSpec,
        roll: RollSpec,
        *,
        rolled: bool,
        seed: int,
        before: Callable[[float], None],
        fractured: Callable[[], None],
    ) -> None:
        self.press = press
        self.rolls = roll
        self.rolled = rolled
        self.state = MachineState(leak_per_min=press.leak_per_min)
        self.force = Force("drive", 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0, "idle", "idle")
        self.heat = Heat(0.0, AMBIENT_C, AMBIENT_C)
        self.heater = roll.as_heater() if rolled else press
        self._seed = seed
        self._before = before
        self._fractured = fractured
        self._beat_s: float | None = None
        self._planned: list[tuple[float, str, dict[str, float]]] = []

    # ------------------------------------------------------------------ time

    def live(self, now_s: float) -> bool:
        """Let planned faults, the watchdog and the last pass happen at their own times; return whether any did."""
        happened = False
        while True:
            due = [(when, index) for index, (when, _, _) in enumerate(self._planned) if when <= now_s]
            trip_s = self._trip_s()
            if trip_s is not None and trip_s <= now_s and not any(when <= trip_s for when, _ in due):
                self._trip(trip_s)
            elif due:
                when, index = min(due)
                _, fault, values = self._planned.pop(index)
                self._happen(fault, when, values)
            elif self.state.rolling_from_s is not None and not self.rolling_at(now_s):
                self.stop_rolls(now_s)
            else:
                return happened
            happened = True

    def beat(self, now_s: float) -> None:
        """A sign of life of the host."""
        self._beat_s = now_s

    def _trip_s(self) -> float | None:
        if self._beat_s is None or not math.isfinite(self.press.watchdog_s) or self.state.fault_code:
            return None
        trip_s = self._beat_s + self.press.watchdog_s
        busy = self.force.state_at(trip_s) in {"ramp", "hold"} or self.rolling_at(trip_s)
        return trip_s if busy else None

    def _trip(self, time_s: float) -> None:
        self._beat_s = None
        self.state.fault_code = FAULT_CODES["heartbeat lost"]
        if self.press.watchdog_releases:
            self.release(time_s, self.press.release_kn_s)
        else:
            self._lock_valve(time_s)
        self.set_heat(time_s, AMBIENT_C)
        self.stop_rolls(time_s)

    # ------------------------------------------------------------------ sensors

    def force_kn(self, time_s: float) -> float:
        """Indicated force without the noise of a reading, kN."""
        return self.force.at(time_s, self.press)

    def read_press(self, now_s: float) -> PlantReading:
        """What the sensors of the press show."""
        state, spec = self.state, self.press
        force_kn = self.force_kn(now_s)
        shown_kn, shown_c = state.frozen_kn, state.frozen_c
        if shown_kn is None:
            shown_kn = force_kn + spec.noise_kn * normal(self._seed, "load cell", now_s)
        if shown_c is None:
            shown_c = self.heat.at(now_s, self.heater) + spec.noise_c * normal(self._seed, "thermocouple", now_s)
        return PlantReading(
            force_kn=shown_kn,
            temperature_c=shown_c,
            setpoint_kn=state.setpoint_kn,
            setpoint_c=state.setpoint_c,
            ramp_kn_s=state.ramp_kn_s,
            state="fault" if state.fault_code else self.force.state_at(now_s),
            refills=self.force.refills_at(now_s, spec),
            position_mm=spec.stroke_mm + spec.compliance_mm_kn * force_kn + state.slip_mm,
            fault_code=state.fault_code,
            guard_closed=state.guard_closed,
            estop_ok=state.estop_ok,
            remote_enabled=state.remote_enabled,
            loaded_cell=state.loaded,
        )

    def read_rolls(self, now_s: float) -> RollReading:
        """What the sensors of the laminator show."""
        state, spec = self.state, self.rolls
        rolling = self.rolling_at(now_s)
        shown, word = 0.0, "idle"
        if rolling:
            assert state.rolling_from_s is not None
            shown = state.line_force_n_mm + spec.noise_n_mm * normal(self._seed, "line force", now_s)
            word = "ramp" if now_s < state.rolling_from_s + CLOSING_S else "hold"
        shown_c = state.frozen_c
        if shown_c is None:
            noise_c = self.press.noise_c * normal(self._seed, "roll thermocouple", now_s)
            shown_c = self.heat.at(now_s, self.heater) + noise_c
        return RollReading(
            line_force_n_mm=shown,
            speed_mm_s=state.speed_mm_s if rolling else 0.0,
            temperature_c=shown_c,
            passes_done=self.passes_at(now_s),
            passes_asked=state.passes,
            state="fault" if state.fault_code else word,
            fault_code=state.fault_code,
            guard_closed=state.guard_closed,
            estop_ok=state.estop_ok,
            remote_enabled=state.remote_enabled,
            loaded_cell=state.loaded,
        )

    # ------------------------------------------------------------------ commands

    def start(self, now_s: float) -> None:
        """Ramp to the force set point and hold it."""
        self.refuse_unless_ready()
        if self.rolled:
            raise BenchRefusal("this machine is a laminator: it has no ram to start")
        state, spec = self.state, self.press
        here_kn, goal_kn, rate = self.force_kn(now_s), state.setpoint_kn, state.ramp_kn_s
        swing = state.overshoot_rel
        if swing < 0:
            swing = spec.overshoot_rel * min(1.0, rate / spec.limit_ramp_kn_s)
        state.overshoot_rel = -1.0
        self._move(
            now_s,
            Force(
                kind="drive",
                start_s=now_s,
                from_kn=here_kn,
                to_kn=goal_kn,
                rate_kn_s=rate,
                overshoot_kn=swing * goal_kn if goal_kn > here_kn else 0.0,
                leak_per_min=state.leak_per_min,
                refills=self.force.refills_at(now_s, spec),
                moving="ramp" if goal_kn > 0 else "release",
                ending="hold" if goal_kn > 0 else "idle",
            ),
        )

    def stop(self, now_s: float) -> None:
        """Release at the machine's own rate, heater off, rolls still."""
        self.state.setpoint_kn, self.state.setpoint_c = 0.0, AMBIENT_C
        self.release(now_s, self.press.release_kn_s)
        self.set_heat(now_s, AMBIENT_C)
        self.stop_rolls(now_s)

    def acknowledge(self, now_s: float) -> None:
        """Clear the fault if its cause is gone; what is locked stays locked."""
        state = self.state
        if not (state.guard_closed and state.estop_ok):
            raise BenchRefusal("a guard is open or the emergency stop is pressed: close and release it first")
        state.fault_code = 0
        self._beat_s = None
        if self.force.kind == "locked":
            self._lock_valve(now_s)

    def set_heat(self, time_s: float, temperature_c: float) -> None:
        """Let the platens (or rolls) go towards ``temperature_c``, never below ambient."""
        self._before(time_s)
        self.heat = Heat(time_s, self.heat.at(time_s, self.heater), max(temperature_c, AMBIENT_C))

    def refuse_unless_ready(self) -> None:
        """Raise unless every interlock allows motion."""
        state = self.state
        open_ = [
            text
            for text, ready in (
                ("the guard is open", state.guard_closed),
                ("the emergency stop is pressed", state.estop_ok),
                ("remote control is off", state.remote_enabled),
                (f"fault {state.fault_code} is not acknowledged", state.fault_code == 0),
            )
            if not ready
        ]
        if open_:
            raise BenchRefusal(f"nothing moves: {', '.join(open_)}")

    # ------------------------------------------------------------------ motion

    def release(self, time_s: float, rate_kn_s: float) -> None:
        """Take the force off."""
        here_kn = self.force_kn(time_s)
        refills = self.force.refills_at(time_s, self.press)
        self._move(time_s, Force("drive", time_s, here_kn, 0.0, rate_kn_s, 0.0, 0.0, refills, "release", "idle"))

    def _move(self, time_s: float, force: Force) -> None:
        """Let ``force`` be the motion from ``time_s`` on."""
        self._before(time_s)
        self.force = force
        self.state.changed_s = time_s
        self.state.epoch += 1

    def _change(self, time_s: float, **what: object) -> None:
        """Go on with the present motion from the present force, with ``what`` changed."""
        here_kn, refills = self.force_kn(time_s), self.force.refills_at(time_s, self.press)
        moved = replace(self.force, start_s=time_s, from_kn=here_kn, refills=refills, overshoot_kn=0.0)
        self._move(time_s, replace(moved, **what))  # type: ignore[arg-type]

    def _lock_valve(self, time_s: float, force_kn: float | None = None) -> None:
        here_kn = self.force_kn(time_s) if force_kn is None else force_kn
        refills = self.force.refills_at(time_s, self.press)
        ending = "hold" if here_kn > CONTACT_KN else "idle"
        leak = self.state.leak_per_min
        self._move(time_s, Force("locked", time_s, here_kn, here_kn, 1.0, 0.0, leak, refills, ending, ending))

    # ------------------------------------------------------------------ rolls

    def start_rolling(self, now_s: float) -> None:
        """Close the rolls and run the passes."""
        self.refuse_unless_ready()
        if not self.rolled:
            raise BenchRefusal("this machine is a press: it has no rolls to start")
        self.refuse_while_rolling(now_s)
        self._before(now_s)
        self.state.rolling_from_s = self.state.changed_s = now_s
        self.state.passes_done = 0
        self.state.epoch += 1

    def stop_rolls(self, time_s: float) -> None:
        """Open the rolls; a pass that had begun does not count."""
        if self.state.rolling_from_s is None:
            return
        self._before(time_s)
        self.state.passes_done = self.passes_at(time_s)
        self.state.rolling_from_s = None

    def refuse_while_rolling(self, now_s: float) -> None:
        """Raise while the rolls run."""
        if self.rolling_at(now_s):
            raise BenchRefusal("the rolls are running: wait, or stop them first")

    def pass_s(self) -> float:
        """Duration of one pass, s."""
        return self.rolls.length_mm / self.state.speed_mm_s

    def passes_at(self, time_s: float) -> int:
        """Passes done of the present or last run."""
        start_s = self.state.rolling_from_s
        if start_s is None:
            return self.state.passes_done
        return min(self.state.passes, max(0, int((time_s - start_s - CLOSING_S + 1e-9) / self.pass_s())))

    def rolling_at(self, time_s: float) -> bool:
        """Whether the rolls run."""
        return self.state.rolling_from_s is not None and self.passes_at(time_s) < self.state.passes

    # ------------------------------------------------------------------ faults

    def plan(self, fault: str, time_s: float, values: dict[str, float]) -> None:
        """Let ``fault`` happen at ``time_s``."""
        if fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}: one of {', '.join(FAULTS)}")
        self._planned.append((time_s, fault, values))

    def _happen(self, fault: str, time_s: float, values: dict[str, float]) -> None:
        state, spec = self.state, self.press
        match fault:
            case "guard_open" | "estop" | "power_fail" | "die_fracture":
                self._break_off(fault, time_s)
            case "guard_closed":
                state.guard_closed = True
            case "estop_reset":
                state.estop_ok = True
            case "remote_off" | "remote_on":
                state.remote_enabled = fault == "remote_on"
            case "leak":
                state.leak_per_min = values.get("per_min", 0.05)
                if self.force.kind == "drive" and self.force.to_kn > 0:
                    self._change(time_s, leak_per_min=state.leak_per_min)
            case "overshoot":
                state.overshoot_rel = values.get("rel", 0.2)
            case "runaway":
                self._change(time_s, kind="runaway", rate_kn_s=values.get("rate_kn_s", 1.0))
            case "stuck_thermocouple":
                state.frozen_c = self.heat.at(time_s, self.heater)
            case "open_thermocouple":
                state.frozen_c = _BURN_OUT_C
            case "frozen_force":
                state.frozen_kn = self.force_kn(time_s)
            case "extrusion":  # the ram runs on, the pump keeps the force
                state.slip_mm += values.get("mm", 0.8)
            case "sensors_good":
                state.frozen_c = state.frozen_kn = None
            case "heater_stuck":
                limit_c = self.rolls.limit_c if self.rolled else spec.limit_c
                self.set_heat(time_s, limit_c + _OVER_C)
            case _:  # panel_setpoint: somebody turns the knob
                state.setpoint_kn = values["force_kn"]
                if self.force_kn(time_s) > CONTACT_KN:
                    self._change(time_s, to_kn=state.setpoint_kn)

    def _break_off(self, fault: str, time_s: float) -> None:
        """What ends every motion: an open guard, the emergency stop, no power, a broken sample."""
        state = self.state
        match fault:
            case "guard_open":
                state.guard_closed = False
                if self.force.state_at(time_s) == "idle" and not self.rolling_at(time_s):
                    return
                state.fault_code = FAULT_CODES["guard open"]
                self._lock_valve(time_s)
            case "estop":
                state.estop_ok = False
                state.fault_code = FAULT_CODES["emergency stop"]
                self.release(time_s, 10 * self.press.release_kn_s)
                self.set_heat(time_s, AMBIENT_C)
            case "power_fail":
                state.fault_code = FAULT_CODES["power failed"]
                state.setpoint_kn, state.setpoint_c = 0.0, AMBIENT_C
                self._lock_valve(time_s)
                self.set_heat(time_s, AMBIENT_C)
            case _:  # die_fracture: the force falls, the ram drops
                state.fault_code = FAULT_CODES["sample gave way"]
                state.slip_mm += 1.5
                self._lock_valve(time_s, 0.4 * self.force_kn(time_s))
                self._fractured()
        self.stop_rolls(time_s)
