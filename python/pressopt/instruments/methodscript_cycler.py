"""A galvanostat that runs MethodSCRIPT (EmStat4, Nexus) as a cycler: one script for each half cycle.

Each script ends by itself after its half cycle or beyond the voltage limit, and switches the cell off: when this
program dies, no current outlives the half cycle. The end of the cell is looked for after every half cycle.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pressopt.clock import Clock
from pressopt.errors import LimitError, ReplyError, Violation
from pressopt.impedance.cycling import CyclingPlan, CyclingRecord, EndWatch
from pressopt.impedance.ports import CyclerCapability
from pressopt.instruments.methodscript_link import MethodScriptLink
from pressopt.instruments.methodscript_text import half_cycle_script, parse_package
from pressopt.instruments.sweeping import leave_off
from pressopt.profiles import DeviceProfile

#: A half cycle is measured at this many points at least, and at least this often, laboratory s.
POINTS = 16
LONGEST_INTERVAL_S = 10.0
_POTENTIAL, _CURRENTS = "ab", ("ba", "db")  # types of the measured variables
_APPLIED_REL = 0.05  # how far the measured current may lie from the one that was asked


class MethodScriptCycler:
    """One galvanostat; a :class:`~pressopt.impedance.ports.Cycler`.

    Args:
        link: Where it answers; may be shared with the impedance analyser of the same device.
        clock: Laboratory time: cycling takes it.
        profile: Its profile, of kind ``cycler`` and engine methodscript.
    """

    def __init__(self, link: MethodScriptLink, clock: Clock, profile: DeviceProfile) -> None:
        if profile.cycler is None:
            raise ValueError(f"profile {profile.name!r} is a {profile.kind}, not a cycler")
        self.link, self._clock = link, clock
        self._capability = CyclerCapability(profile.name, profile.cycler.limit_a, profile.cycler.limit_v)
        self._who = ""

    @property
    def capability(self) -> CyclerCapability:
        return self._capability

    def identify(self) -> str:
        """Firmware and serial number; raises WrongDeviceError when they do not fit the profile."""
        self._who = self.link.who()
        return self._who

    def cycle(self, plan: CyclingPlan, *, on_point: Callable[[int, int], None] | None = None) -> CyclingRecord:
        """Cycle until the plan or the cell has ended; the cell is off afterwards, whatever happens.

        Args:
            plan: What to run. Currents are applied to five digits.
            on_point: Called with (cycles done, cycles planned) after each cycle.

        Raises:
            LimitError: The plan is beyond the instrument; nothing was switched on.
            DeviceError: The device refused a script or broke it off.
            LinkError: The line failed, or a point did not come in time.
            ReplyError: A half cycle ended early, or at another current than was asked.
        """
        refuse_beyond(self._capability, plan)
        if not self._who:
            self.identify()
        watch, halves = EndWatch(plan), _Halves(self._clock)
        try:
            self.link.get_in_step()
            self._run(plan, watch, halves, on_point)
            self.link.switch_off()
        except BaseException as error:
            leave_off(self.make_safe, error)
            raise
        return halves.record()

    def make_safe(self) -> None:
        """Break off what runs and switch the cell off; twice is harmless."""
        self.link.make_safe()

    def close(self) -> None:
        """Close the line; the cell is off between measurements."""
        self.link.close()

    def _run(
        self, plan: CyclingPlan, watch: EndWatch, halves: _Halves, on_point: Callable[[int, int], None] | None
    ) -> None:
        number = 0
        for step in plan.steps:
            current_a = float(f"{step.current_ma_cm2 * plan.area_cm2 / 1000:.5g}")
            for _ in range(step.cycles):
                number += 1
                for sign in (1, -1):
                    half = self._half(sign * current_a, step.half_cycle_s, plan.limit_v, number, halves)
                    if watch.add(number, half) is not None:
                        return
                if on_point is not None:
                    on_point(number, plan.cycles)

    def _half(
        self, current_a: float, seconds: float, limit_v: float, number: int, halves: _Halves
    ) -> CyclingRecord:
        points = max(POINTS, math.ceil(seconds / LONGEST_INTERVAL_S))
        interval_s = float(f"{seconds / points:.6g}")
        script = half_cycle_script(current_a, seconds=seconds, interval_s=interval_s, limit_v=limit_v)
        self.link.start(script)
        where = f"half cycle of cycle {number} at {current_a:g} A"
        first = halves.count
        for line in self.link.packages([interval_s] * points):
            halves.take(*_measured(line, self.link.name, where), number)
        half = halves.record(first)
        if len(half.time_s) == 0 or (len(half.time_s) < points and abs(half.voltage_v[-1]) < limit_v):
            raise ReplyError(
                f"{self.link.name} ended the {where} without an error, and {len(half.time_s)} of {points} points "
                "came: someone aborted it, or points were lost; cycle another cell"
            )
        applied_a = float(np.median(half.current_a))
        if not abs(applied_a - current_a) <= _APPLIED_REL * abs(current_a):
            raise ReplyError(
                f"{self.link.name}: {applied_a:g} A flowed in the {where}: are the leads connected, and is the "
                "instrument's compliance high enough?"
            )
        return half


class _Halves:
    """The rows that were measured, in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._start_s = clock, clock.now_s()
        self._rows: list[tuple[float, float, float, int]] = []

    @property
    def count(self) -> int:
        return len(self._rows)

    def take(self, voltage_v: float, current_a: float, cycle: int) -> None:
        """Keep a point that was measured now."""
        self._rows.append((self._clock.now_s() - self._start_s, voltage_v, current_a, cycle))

    def record(self, first: int = 0) -> CyclingRecord:
        """All rows from number ``first`` on."""
        table = np.array(self._rows[first:], dtype=np.float64).reshape(-1, 4)
        return CyclingRecord(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(np.int64))


def _measured(line: str, device: str, where: str) -> tuple[float, float]:
    """Voltage and current of a package; raises ReplyError when it is damaged or lacks one of them."""
    package = parse_package(line)
    voltage_v = package.values.get(_POTENTIAL, math.nan)
    current_a = next((package.values[kind] for kind in _CURRENTS if kind in package.values), math.nan)
    if package.overloaded or not (math.isfinite(voltage_v) and math.isfinite(current_a)):
        raise ReplyError(
            f"{device}: a point of the {where} is {'overloaded' if package.overloaded else 'no number'} ({line}): "
            "is the cell connected?"
        )
    return voltage_v, current_a


def refuse_beyond(capability: CyclerCapability, plan: CyclingPlan) -> None:
    """Raise LimitError with everything that a plan asks beyond the cycler."""
    wrong = []
    if plan.highest_a > capability.limit_a:
        said = f"{plan.highest_a:g} A is asked, '{capability.name}' allows {capability.limit_a:g} A"
        wrong.append(Violation("current_a", said))
    if plan.limit_v > capability.limit_v:
        said = f"{plan.limit_v:g} V is asked, at most {capability.limit_v:g} V is allowed"
        wrong.append(Violation("limit_v", said))
    if wrong:
        raise LimitError(wrong)
