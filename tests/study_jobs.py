"""Jobs and screens that the tests of studies share."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pressopt.study.axes import Axis, Protocols
from pressopt.study.screen import Bound, Goal, Screen, System, Tolerance, Wanted
from pressopt.surrogate import Surrogate
from surrogate_cells import symmetric

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
RESISTANCE, TIME, SHORT = "interfacial_resistance_ohm_cm2", "press_time_s", "short_probability"


@dataclass(frozen=True)
class Square:
    """A number squared; with ``killer`` the worker dies of SIGKILL over it: once, or without ``mercy`` always.

    ``killer`` is the file that says that it has happened.
    """

    number: int
    killer: Path | None = None
    mercy: bool = True

    def __call__(self) -> bytes:
        if self.killer is not None and not (self.mercy and self.killer.exists()):
            self.killer.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return str(self.number**2).encode()


@dataclass(frozen=True)
class Squares:
    """A job of small blocks, of which number 5 may be deadly."""

    count: int = 12
    killer: Path | None = None
    mercy: bool = True

    kind = "test"
    unit = "numbers"

    @property
    def identity(self) -> dict[str, Any]:
        return {"numbers": self.count}

    @cached_property
    def sizes(self) -> list[int]:
        return [1] * self.count

    def block(self, index: int) -> Square:
        return Square(index, self.killer if index == 5 else None, self.mercy)


def grid(**values: tuple[float, ...]) -> Protocols:
    """One stage of pressing over these values; what is not given is usual."""
    usual = {
        "pressure_mpa": (25.0,),
        "ramp_mpa_s": (1.0,),
        "dwell_s": (60.0,),
        "temperature_c": (25.0,),
    }
    axes = [Axis(f"press.{name}", value) for name, value in {**usual, **values}.items()]
    axes += [
        Axis("stack.pressure_mpa", (5.0,)),
        Axis("stack.temperature_c", (25.0,)),
        Axis("stack.settle_s", (60.0,)),
        Axis("stack.release_mpa_s", (1.0,)),
    ]
    return Protocols(("press",), False, tuple(axes))


def small_screen(**changes: Any) -> Screen:
    """Two systems, 8 x 7 x 5 protocols each, in blocks of 100: resistance against time, no likely short."""
    protocols = grid(
        pressure_mpa=(2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 90.0),
        dwell_s=(10.0, 30.0, 60.0, 120.0, 300.0, 1200.0, 3600.0),
        temperature_c=(25.0, 40.0, 55.0, 70.0, 90.0),
    )
    systems = (
        System("Li on Li6PS5Cl", Surrogate(symmetric("Li", "Li6PS5Cl", density=0.82))),
        System("Li on LLZO", Surrogate(symmetric("Li", "LLZO"))),
    )
    wanted = Wanted(
        (Goal(RESISTANCE, "minimize"), Goal(TIME, "minimize")),
        (Bound(SHORT, None, 0.05),),
        Tolerance(pressure_share=0.1, temperature_c=3.0),
        top=5,
    )
    return replace(Screen("small", systems, protocols, wanted, block_size=100), **changes)


#: A screen file of 54 protocols for two roughnesses.
SMALL_SCREEN = """
[screen]
title = "small"
top = 5
block = 100
[[systems]]
name = "Li | Li6PS5Cl"
die_diameter = "12.7 mm"
roughness = ["0.3 µm", "3 µm"]
layers = [
  { material = "Li", role = "electrode", thickness = "100 µm" },
  { material = "Li6PS5Cl", role = "electrolyte", thickness = "1 mm", relative_density = 0.82 },
  { material = "Li", role = "electrode", thickness = "100 µm" },
]
[[stages]]
name = "press"
pressure = { low = "1 MPa", high = "100 MPa", points = 9, scale = "log" }
dwell = ["10 s", "1 min", "10 min"]
temperature_c = [25, 60]
[measurement]
pressure = "5 MPa"
[[objectives]]
quantity = "interfacial_resistance_ohm_cm2"
[[objectives]]
quantity = "press_time_s"
[[constraints]]
quantity = "short_probability"
upper = 0.05
[tolerance]
pressure = 0.05
"""
