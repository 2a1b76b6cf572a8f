"""The hydraulic heated press as a machine: how force and heat follow their set points.

A motion is written down once, when it begins, as a few numbers; force, refills and temperature at any later time
follow in closed form. So it does not matter when, or how often, anybody looks.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

AMBIENT_C = 25.0


@dataclass(frozen=True, slots=True)
class PressSpec:
    """The machine.

    Attributes:
        limit_kn, limit_ramp_kn_s, limit_c: What it accepts.
        relief_kn: Where the relief valve opens.
        release_kn_s: Rate of an ordinary release; an emergency dumps ten times as fast.
        overshoot_rel: Overshoot at the highest ramp rate, relative to the set point.
        overshoot_s: Time constant with which it dies away.
        leak_per_min: Share of the force lost in a minute while the pump stands.
        hold: How force is kept: ``servo`` (what leaks is made up at once), ``refill`` (the pump restarts below a
            band) or ``locked`` (the valve is shut and the force decays).
        refill_band: Share of the set point lost before the pump restarts.
        noise_kn, noise_c: Standard deviation of a reading of the load cell and of the thermocouple.
        heat_c_s, heat_s: Highest heating rate, and time constant near the set point.
        cool_c_s, cool_s: The same for cooling (water through the platens).
        watchdog_s: Age of the last heartbeat at which the machine acts on its own; ``inf``: never. It watches from
            the first heartbeat that it gets.
        watchdog_releases: Release then, instead of holding with the valve locked and the heater off.
        stroke_mm, compliance_mm_kn: Ram position at first contact, and what machine and stack give way.
    """

    limit_kn: float = 60.0
    limit_ramp_kn_s: float = 5.0
    limit_c: float = 200.0
    relief_kn: float = 66.0
    release_kn_s: float = 2.0
    overshoot_rel: float = 0.02
    overshoot_s: float = 3.0
    leak_per_min: float = 0.004
    hold: Literal["servo", "refill", "locked"] = "refill"
    refill_band: float = 0.01
    noise_kn: float = 0.002
    noise_c: float = 0.05
    heat_c_s: float = 1.0
    heat_s: float = 15.0
    cool_c_s: float = 0.8
    cool_s: float = 40.0
    watchdog_s: float = math.inf
    watchdog_releases: bool = False
    stroke_mm: float = 20.0
    compliance_mm_kn: float = 0.02


@dataclass(frozen=True, slots=True)
class Force:
    """One motion of the ram; ``kind``: ``drive`` (servo), ``locked`` (valve shut) or ``runaway``.

    Attributes:
        start_s: When it began, bench time, s.
        from_kn: Force at that moment.
        to_kn: Where it goes.
        rate_kn_s: How fast.
        overshoot_kn: How far it swings past ``to_kn``.
        leak_per_min: Loss while the pump stands.
        refills: Pump restarts before it began.
        ending: State of the machine once there: ``hold`` or ``idle``; while under way ``moving``.
        moving: State of the machine on the way: ``ramp``, ``release`` or ``fault``.
    """

    kind: str
    start_s: float
    from_kn: float
    to_kn: float
    rate_kn_s: float
    overshoot_kn: float
    leak_per_min: float
    refills: int
    moving: str
    ending: str

    @property
    def arrival_s(self) -> float:
        """When the ramp ends, bench time, s."""
        if self.kind == "locked":
            return self.start_s
        return self.start_s + abs(self.to_kn - self.from_kn) / self.rate_kn_s

    def at(self, time_s: float, spec: PressSpec) -> float:
        """True indicated force at ``time_s``, kN, before the sensor's noise."""
        gone_s = max(0.0, time_s - self.start_s)
        if self.kind == "locked":
            return self.from_kn * math.exp(-self.leak_per_min * gone_s / 60.0)
        if self.kind == "runaway":
            return min(self.from_kn + self.rate_kn_s * gone_s, spec.relief_kn)
        held_s = time_s - self.arrival_s
        if held_s < 0:
            return self.from_kn + math.copysign(self.rate_kn_s * gone_s, self.to_kn - self.from_kn)
        if self.to_kn <= 0:
            return 0.0
        swing = self.overshoot_kn * math.exp(-held_s / spec.overshoot_s)
        if spec.hold == "locked":
            return self.to_kn * math.exp(-self.leak_per_min * held_s / 60.0) + swing
        lost = self._phase(held_s, spec)[1] * self.leak_per_min / 60.0
        return self.to_kn * (1 - lost) + swing

    def refills_at(self, time_s: float, spec: PressSpec) -> int:
        """Pump restarts so far."""
        held_s = time_s - self.arrival_s
        if self.kind != "drive" or held_s <= 0 or self.to_kn <= 0:
            return self.refills
        return self.refills + self._phase(held_s, spec)[0]

    def _phase(self, held_s: float, spec: PressSpec) -> tuple[int, float]:
        """How many refills, and the time since the last one (s), after ``held_s`` of holding."""
        if self.leak_per_min <= 0 or spec.hold != "refill":
            return 0, 0.0
        period_s = spec.refill_band / self.leak_per_min * 60.0
        count = int(held_s // period_s)
        return count, held_s - count * period_s

    def steady_s(self, spec: PressSpec) -> float:
        """From when on the force stays about its mean, bench time, s; infinite: never."""
        keeps = self.kind == "drive" and spec.hold != "locked"
        return self.arrival_s + 3 * spec.overshoot_s if keeps else math.inf

    def mean_hold_kn(self, spec: PressSpec) -> float:
        """Mean force of a long hold that is steady."""
        refills = self.leak_per_min > 0 and spec.hold == "refill"
        return self.to_kn * (1 - spec.refill_band / 2) if refills else self.to_kn

    def state_at(self, time_s: float) -> str:
        """What the machine says that it does."""
        if self.kind == "runaway":
            return "hold"
        return self.moving if time_s < self.arrival_s else self.ending


@dataclass(frozen=True, slots=True)
class Heat:
    """One approach of the platens to a temperature from ``start_s`` on: at full rate, then exponentially."""

    start_s: float
    from_c: float
    to_c: float

    def at(self, time_s: float, spec: PressSpec) -> float:
        """Temperature of the platens, °C."""
        return approach_c(max(0.0, time_s - self.start_s), self.from_c, self.to_c, spec)

    def settled_s(self, spec: PressSpec) -> float:
        """When it is within 0.1 K, bench time, s."""
        rate, lag_s = _rates(self.from_c, self.to_c, spec)
        gap = abs(self.to_c - self.from_c)
        near = min(gap, rate * lag_s)
        tail_s = lag_s * math.log(near / 0.1) if near > 0.1 else 0.0
        return self.start_s + (gap - near) / rate + tail_s


def _rates(from_c: float, to_c: float, spec: PressSpec) -> tuple[float, float]:
    return (spec.heat_c_s, spec.heat_s) if to_c > from_c else (spec.cool_c_s, spec.cool_s)


def approach_c(gone_s: float, from_c: float, to_c: float, spec: PressSpec) -> float:
    """Temperature ``gone_s`` after the set point changed, °C."""
    rate, lag_s = _rates(from_c, to_c, spec)
    gap = to_c - from_c
    if gap == 0:
        return to_c
    linear_s = max(0.0, abs(gap) / rate - lag_s)
    if gone_s <= linear_s:
        return from_c + math.copysign(rate * gone_s, gap)
    left = abs(gap) - rate * linear_s
    return to_c - math.copysign(left * math.exp(-(gone_s - linear_s) / lag_s), gap)


def force_to_json(force: Force) -> dict[str, object]:
    """A motion as plain values."""
    return asdict(force)


@dataclass(frozen=True, slots=True)
class RollSpec:
    """The laminator.

    Attributes:
        limit_n_mm, limit_speed_mm_s, limit_c: What it accepts.
        radius_mm: Radius of each roll.
        cover_mpa: Effective modulus of the elastomer cover.
        length_mm: Length of the web that runs through in one pass.
        heat_c_s, heat_s: Heating rate of the rolls, and time constant near the set point.
        cool_c_s, cool_s: The same for cooling.
        noise_n_mm: Standard deviation of a reading of the line force.
    """

    limit_n_mm: float = 250.0
    limit_speed_mm_s: float = 100.0
    limit_c: float = 150.0
    radius_mm: float = 50.0
    cover_mpa: float = 250.0
    length_mm: float = 120.0
    heat_c_s: float = 1.0
    heat_s: float = 20.0
    cool_c_s: float = 0.8
    cool_s: float = 40.0
    noise_n_mm: float = 0.05

    def nip_mpa(self, line_force_n_mm: float) -> float:
        """Highest pressure in the nip, MPa: line contact of Hertz (J. reine angew. Math. 92 (1881) 156)."""
        return math.sqrt(max(line_force_n_mm, 0.0) * self.cover_mpa / (math.pi * self.radius_mm))

    def nip_mm(self, line_force_n_mm: float) -> float:
        """Length of the nip, mm."""
        return 2 * math.sqrt(4 * max(line_force_n_mm, 0.0) * self.radius_mm / (math.pi * self.cover_mpa))

    def as_heater(self) -> PressSpec:
        """The same heating figures, for :class:`Heat`."""
        return PressSpec(heat_c_s=self.heat_c_s, heat_s=self.heat_s, cool_c_s=self.cool_c_s, cool_s=self.cool_s)
