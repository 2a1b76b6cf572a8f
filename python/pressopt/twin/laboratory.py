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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pressopt.clock import Clock
from pressopt.pressing import Cell
from pressopt.twin.bench import PlantReading, RollReading
from pressopt.twin.chance import normal, normal_pair
from pressopt.twin.laws import CellState, extrusion, resistances
from pressopt.twin.machine import CONTACT_KN, FAULT_CODES, FAULTS, BenchRefusal, Machine, MachineState
from pressopt.twin.plant import Force, Heat, PressSpec, RollSpec
from pressopt.twin.population import laboratory
from pressopt.twin.response import condition
from pressopt.twin.sample import Sample, SampleState
from pressopt.twin.truth import in_service

__all__ = ["FAULTS", "FAULT_CODES", "BenchRefusal", "VirtualBench", "kept_time_s"]

_STATE_VERSION = 1
_DC_OFFSET_OHM = 2e-6
_DC_NOISE = 0.005
_CELLS = 65535
_ENDURANCE_SD = 0.05
_LOOKS = 4096


class VirtualBench:
    """A virtual laboratory; see :class:`pressopt.twin.bench.Bench`. Cells are numbered from 1; 0 means none.

    Every method may be called from several threads. A refusal is a :class:`BenchRefusal`, a ``ValueError``.

    Args:
        cell: Layers and area of every cell that is loaded.
        seed: Of everything hidden.
        clock: Laboratory time.
        press: The machine.
        roll: The laminator.
        state_path: File that keeps the physical world over a killed process; a new process goes on from there, and
            the time in between counts as none. A second file beside it, ``.time``, keeps how far time had come.
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
        self.rolls = roll or RollSpec()
        self._seed = seed
        self._clock = clock
        self._lock = threading.RLock()
        self._path = state_path
        self._lab = laboratory(cell, seed)
        self._machine = Machine(
            self.press, self.rolls, rolled=rolled, seed=seed, before=self._commit, fractured=self._fracture
        )
        self._sample = Sample(cell, self._lab, self._machine)
        self._looks: dict[tuple[int, int, str, float], int] = {}
        self._offset_s = 0.0  # from the clock's time to the bench's, which goes on over restarts
        self._time_file: int | None = None
        kept_s = self._restore(state_path) if state_path is not None else 0.0
        self._offset_s = kept_s - clock.now_s()

    def _commit(self, time_s: float) -> None:
        self._sample.commit(time_s)

    def _fracture(self) -> None:
        self._sample.fracture()

    # ------------------------------------------------------------------ time

    def _enter(self) -> float:
        """Bring the machine up to now, and return the bench time, s, which goes on over restarts."""
        now_s = self._clock.now_s() + self._offset_s
        if self._machine.live(now_s):
            self._save(now_s)
        if self._time_file is not None:
            os.pwrite(self._time_file, struct.pack("<d", now_s), 0)
        return now_s

    @contextmanager
    def _command(self) -> Iterator[float]:
        """A command: at the present bench time, alone, and saved once it was accepted."""
        with self._lock:
            now_s = self._enter()
            yield now_s
            self._save(now_s)

    # ------------------------------------------------------------------ press

    def plant(self) -> PlantReading:
        """What the machine's sensors show now."""
        with self._lock:
            return self._machine.read_press(self._enter())

    def set_force(self, force_kn: float) -> None:
        """Force set point, kN; acts at the next :meth:`start`."""
        with self._command():
            self._machine.state.setpoint_kn = _checked(force_kn, (0.0, self.press.limit_kn), "force", "kN")

    def set_ramp(self, ramp_kn_s: float) -> None:
        """Ramp rate, kN/s; acts at the next :meth:`start`."""
        with self._command():
            allowed = (1e-4, self.press.limit_ramp_kn_s)
            self._machine.state.ramp_kn_s = _checked(ramp_kn_s, allowed, "ramp rate", "kN/s")

    def set_temperature(self, temperature_c: float) -> None:
        """Set point of the platens, °C; acts at once. Below ambient they stay at ambient."""
        self._heat(temperature_c, self.press.limit_c)

    def _heat(self, temperature_c: float, limit_c: float) -> None:
        with self._command() as now_s:
            self._machine.state.setpoint_c = _checked(temperature_c, (0.0, limit_c), "temperature", "°C")
            self._machine.set_heat(now_s, temperature_c)

    def start(self) -> None:
        """Ramp to the force set point and hold it."""
        with self._command() as now_s:
            self._machine.refuse_unless_ready()
            self._sample.commit(now_s)
            self._sample.put_metal_in(now_s)
            self._machine.start(now_s)

    def stop(self) -> None:
        """Release at the machine's own rate, heater off, rolls still; allowed in every state."""
        with self._command() as now_s:
            self._machine.stop(now_s)

    def acknowledge(self) -> None:
        """Clear the fault if its cause is gone; nothing starts to move by that."""
        with self._command() as now_s:
            self._machine.acknowledge(now_s)

    def heartbeat(self, value: int) -> None:
        """A sign of life; the machine watches from the first one on. The value itself does not matter."""
        del value
        with self._lock:
            self._machine.beat(self._enter())

    def load_cell(self, number: int) -> None:
        """Put cell ``number`` under the press; refused under force. Loading the loaded one changes nothing."""
        with self._lock:
            now_s = self._enter()
            state = self._machine.state
            if number == state.loaded:
                return
            if not 0 <= number <= _CELLS:
                raise BenchRefusal(f"cell {number} does not exist: give 1 to {_CELLS}, or 0 to take the cell out")
            force_kn = self._machine.force_kn(now_s)
            if force_kn > CONTACT_KN:
                raise BenchRefusal(f"cells are not exchanged under {force_kn:.2f} kN: release first")
            self._machine.refuse_while_rolling(now_s)
            self._sample.load(number, now_s)
            state.epoch += 1
            state.slip_mm = 0.0
            state.passes_done = 0
            self._save(now_s)

    # ------------------------------------------------------------------ laminator

    def roll(self) -> RollReading:
        """What the laminator's sensors show now."""
        with self._lock:
            return self._machine.read_rolls(self._enter())

    def set_line_force(self, line_force_n_mm: float) -> None:
        """Line force, N/mm; acts at the next :meth:`start_rolling`."""
        with self._command() as now_s:
            self._machine.refuse_while_rolling(now_s)
            allowed = (0.0, self.rolls.limit_n_mm)
            self._machine.state.line_force_n_mm = _checked(line_force_n_mm, allowed, "line force", "N/mm")

    def set_speed(self, speed_mm_s: float) -> None:
        """Speed of the web, mm/s."""
        with self._command() as now_s:
            self._machine.refuse_while_rolling(now_s)
            allowed = (0.01, self.rolls.limit_speed_mm_s)
            self._machine.state.speed_mm_s = _checked(speed_mm_s, allowed, "speed", "mm/s")

    def set_passes(self, passes: int) -> None:
        """How often the cell goes through."""
        with self._command() as now_s:
            self._machine.refuse_while_rolling(now_s)
            self._machine.state.passes = int(_checked(passes, (1, 1000), "number of passes", ""))

    def set_roll_temperature(self, temperature_c: float) -> None:
        """Set point of the rolls, °C; acts at once."""
        self._heat(temperature_c, self.rolls.limit_c)

    def start_rolling(self) -> None:
        """Close the rolls and run the passes."""
        with self._command() as now_s:
            self._machine.start_rolling(now_s)
            self._sample.now.rolled = 0

    # ------------------------------------------------------------------ electrical

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex:
        """Impedance as an analyser sees it at laboratory time ``at_s`` (s, on the clock that was handed in), Ω.

        The noise depends on the cell, on the commands it has seen, on the frequency and on how often it was asked
        for since, so that a repeated sweep differs and a repeated campaign does not.
        """
        with self._lock:
            self._enter()
            frequency = float(frequency_hz)
            if not (math.isfinite(frequency) and frequency > 0):
                raise BenchRefusal(f"{frequency} Hz is no frequency: give a positive number")
            found = self._sample.circuit_at(max(at_s + self._offset_s, self._sample.now.done_s))
            lab = self._lab
            band = np.array([frequency])
            exact = complex(found.impedance_ohm(band, inductance_h=lab.inductance_h, lead_ohm=lab.lead_ohm)[0])
            real, imaginary = normal_pair(self._seed, "impedance", *self._look("impedance", frequency), frequency)
            return exact + abs(exact) * lab.noise * complex(real, imaginary)

    def dc_resistance_ohm(self) -> float:
        """One four-wire reading, Ω; infinite when no current flows."""
        with self._lock:
            exact = self._sample.circuit_at(self._enter()).direct_ohm
            if not math.isfinite(exact):
                return math.inf
            noise = normal(self._seed, "four-wire", *self._look("four-wire", 0.0))
            return exact * (1 + _DC_NOISE * noise) + _DC_OFFSET_OHM

    def endurance(self) -> tuple[float, float]:
        """Critical current density (mA/cm²) and life (cycles) of the loaded cell as it lies there now."""
        with self._lock:
            now_s = self._enter()
            hidden = self._sample.hidden
            if hidden is None:
                raise BenchRefusal("there is no cell: load one")
            state = self._sample.at(now_s)
            force_kn = max(0.0, self._machine.force_kn(now_s))
            held = np.array([[self.cell.die.pressure_mpa(force_kn) * hidden.gain]])
            heat = np.array([[self._machine.heat.at(now_s, self._machine.heater)]])
            parts = resistances(hidden.law, state, held, heat)
            found = in_service(hidden.law, state, parts.contact, parts.hot_spot, held)
            # Cells differ by more than they are measured: where the first filament grows is chance (assumed 5 %).
            chance = math.exp(_ENDURANCE_SD * normal(self._seed, "endurance", self._machine.state.loaded))
            critical = float(found["critical_current_density_ma_cm2"].item()) * chance
            return critical, float(found["cycle_life_cycles"].item()) * chance

    @property
    def cell_state(self) -> tuple[int, int]:
        """The loaded cell and how many commands it has seen: changes when it is pressed on or exchanged."""
        with self._lock:
            return self._machine.state.loaded, self._machine.state.epoch

    @property
    def area_cm2(self) -> float:
        """Area of the loaded cell's electrode, cm²."""
        return self.cell.area_cm2

    def _look(self, what: str, frequency_hz: float) -> tuple[int, int, int]:
        """Key of one look at the loaded cell: cell, its commands so far, and which look since then it is."""
        state = self._machine.state
        key = (state.loaded, state.epoch, what, frequency_hz)
        count = self._looks.get(key, 0)
        if len(self._looks) > _LOOKS:
            self._looks = {known: n for known, n in self._looks.items() if known[:2] == key[:2]}
        self._looks[key] = count + 1
        return state.loaded, state.epoch, count

    # ------------------------------------------------------------------ for tests

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
        with self._lock:
            now_s = self._enter()
            self._machine.plan(fault, now_s + max(0.0, after_s), dict(values))
            self._enter()

    def autopsy(self) -> dict[str, Any]:
        """What somebody who could see everything would find in the loaded cell now; for tests alone."""
        with self._lock:
            time_s = self._enter()
            if self._sample.hidden is None:
                return {}
            state = self._sample.at(time_s)
            found = condition(self._sample.hidden, state)
            return {
                "failures": found.failures,
                "spoilt": found.spoilt,
                "peak_mpa": float(state.peak.max()),
                "formed_mpa": float(state.compact.max()),
                "extrusion_fraction": float(extrusion(state)[0, 0]),
                "metal": state.metal,
            }

    # ------------------------------------------------------------------ memory

    def _save(self, time_s: float) -> None:
        """Write the physical world down; a kill at any moment leaves the old file or the new one."""
        if self._path is None:
            return
        now = self._sample.now
        world = {
            "version": _STATE_VERSION,
            "seed": self._seed,
            "time_s": time_s,
            "machine": asdict(self._machine.state),
            "force": asdict(self._machine.force),
            "heat": asdict(self._machine.heat),
            "sample": {
                "cell": now.cell.to_json(),
                "done_s": now.done_s,
                "formed_kn": now.formed_kn,
                "metal_from_s": now.metal_from_s,
                "rolled": now.rolled,
            },
            "others": {str(number): cell.to_json() for number, cell in self._sample.others.items()},
        }
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps(world))
        fresh.replace(self._path)

    def _restore(self, path: Path) -> float:
        """Take up the world that ``path`` keeps, if any; return how far its time had come, s."""
        path.parent.mkdir(parents=True, exist_ok=True)
        world = _kept_world(path)
        if world is not None:
            if world.get("version") != _STATE_VERSION or world.get("seed") != self._seed:
                raise BenchRefusal(
                    f"{path} keeps another virtual laboratory (version {world.get('version')}, seed "
                    f"{world.get('seed')}; wanted {_STATE_VERSION} and {self._seed}): give another file"
                )
            self._machine.state = MachineState(**world["machine"])
            self._machine.force, self._machine.heat = Force(**world["force"]), Heat(**world["heat"])
            saved = world["sample"] | {"cell": CellState.from_json(world["sample"]["cell"])}
            others = {int(number): CellState.from_json(cell) for number, cell in world["others"].items()}
            self._sample.restore(self._machine.state.loaded, SampleState(**saved), others)
        self._time_file = os.open(_time_path(path), os.O_RDWR | os.O_CREAT, 0o644)
        return kept_time_s(path)

    def close(self) -> None:
        """Let go of the file that keeps the time; the world can be taken up again by another bench."""
        with self._lock:
            if self._time_file is not None:
                os.close(self._time_file)
                self._time_file = None


def kept_time_s(path: Path) -> float:
    """How far time had come in the world that ``path`` keeps, s; 0 where there is none.

    A clock that begins there goes on to the last bit where the killed one ended.

    Raises:
        BenchRefusal: The file is damaged.
    """
    world = _kept_world(path)
    if world is None:
        return 0.0
    time_path, time_s = _time_path(path), float(world["time_s"])
    if time_path.exists() and len(seen := time_path.read_bytes()) == 8:
        time_s = max(time_s, struct.unpack("<d", seen)[0])
    return time_s


def _time_path(path: Path) -> Path:
    return path.with_name(path.name + ".time")


def _kept_world(path: Path) -> dict[str, Any] | None:
    """Read a world, or return None where there is none."""
    try:
        world = json.loads(path.read_bytes())
        float(world["time_s"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise BenchRefusal(
            f"{path} is damaged ({error}): delete it to go on in a new virtual laboratory, without the cell "
            f"that lay under this press"
        ) from error
    found: dict[str, Any] = world
    return found


def _checked(value: float, allowed: tuple[float, float], label: str, unit: str) -> float:
    low, high = allowed
    if not (math.isfinite(value) and low <= value <= high):
        raise BenchRefusal(f"{label} {value:g} {unit} is not allowed: {low:g} to {high:g} {unit}")
    return value
