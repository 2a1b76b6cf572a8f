"""The virtual bench: one hidden cell, a press (or laminator) that works on it, an analyser that sees it.

The wire servers (press, laminator, analyser, meter) are faces of one :class:`Bench`: what the press did is what
the analyser sees. The bench reads laboratory time from the clock that is handed in and integrates its plant and
its cell up to *now* whenever it is asked; it never sleeps. All methods may be called from several threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class PlantReading:
    """The true state of the virtual machine, with sensor noise already on the values a sensor would show."""

    force_kn: float
    temperature_c: float
    setpoint_kn: float
    setpoint_c: float
    ramp_kn_s: float
    state: str  # idle | ramp | hold | release | fault
    refills: int
    position_mm: float
    fault_code: int
    guard_closed: bool
    estop_ok: bool
    remote_enabled: bool
    loaded_cell: int


@dataclass(frozen=True, slots=True)
class RollReading:
    """The true state of the virtual laminator."""

    line_force_n_mm: float
    speed_mm_s: float
    temperature_c: float
    passes_done: int
    passes_asked: int
    state: str  # idle | ramp | hold (rolling) | fault
    fault_code: int
    guard_closed: bool
    estop_ok: bool
    remote_enabled: bool
    loaded_cell: int


class Bench(Protocol):
    """What the wire servers need of the virtual laboratory."""

    # press
    def plant(self) -> PlantReading: ...
    def set_force(self, force_kn: float) -> None: ...
    def set_ramp(self, ramp_kn_s: float) -> None: ...
    def set_temperature(self, temperature_c: float) -> None: ...
    def start(self) -> None:
        """Ramp to the force set point and hold it (a set point below the present force lowers it)."""
        ...

    def stop(self) -> None:
        """Ordinary stop: release at the machine's own rate, heater off."""
        ...

    def acknowledge(self) -> None: ...
    def heartbeat(self, value: int) -> None: ...
    def load_cell(self, number: int) -> None:
        """Put cell ``number`` under the press (idempotent); refused with ValueError while force is on."""
        ...

    # laminator
    def roll(self) -> RollReading: ...
    def set_line_force(self, line_force_n_mm: float) -> None: ...
    def set_speed(self, speed_mm_s: float) -> None: ...
    def set_passes(self, passes: int) -> None: ...
    def set_roll_temperature(self, temperature_c: float) -> None: ...
    def start_rolling(self) -> None: ...

    # electrical
    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex:
        """Impedance of the cell with lead, noise and drift as an analyser sees it at laboratory time ``at_s``."""
        ...

    def dc_resistance_ohm(self) -> float:
        """One four-wire reading with noise."""
        ...

    @property
    def cell_state(self) -> tuple[int, int]:
        """Changes when another cell is loaded, or this one is pressed on."""
        ...

    @property
    def area_cm2(self) -> float:
        """Area of the electrode, cm²."""
        ...

    def endurance(self) -> tuple[float, float]:
        """Critical current density (mA/cm²) and life (cycles) of the loaded cell."""
        ...


Real = npt.NDArray[np.float64]
