"""A load indicator: the force under a press that has no wire of its own, or beside a PLC."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pressopt.clock import Clock
from pressopt.errors import ProfileError
from pressopt.instruments.device import Machine, connect
from pressopt.instruments.line import Tap
from pressopt.profiles import DeviceProfile

_OPTIONAL = ("overload", "in_motion", "position_mm", "state", "fault_code")


@dataclass(frozen=True, slots=True)
class IndicatorReading:
    """One look at a load cell.

    Attributes:
        time_s: Laboratory time, s.
        force_kn: Force, positive when it pushes, kN; NaN when the indicator has none.
        sd_kn: Its standard deviation: the class of the cell and half a step of the display, kN.
        overload: The cell is beyond its capacity.
        in_motion: The indicator says that the value is not steady.
        position_mm: Travel, mm, where there is one.
        fault: What is wrong; empty: nothing.
    """

    time_s: float
    force_kn: float
    sd_kn: float
    overload: bool = False
    in_motion: bool = False
    position_mm: float | None = None
    fault: str = ""


class LoadIndicator:
    """One indicator.

    Args:
        device: A machine whose profile is of kind force-indicator.
    """

    def __init__(self, device: Machine) -> None:
        indicator = device.profile.indicator
        if indicator is None:
            raise ProfileError(f"'{device.profile.name}' is a {device.profile.kind}, not a force-indicator")
        self.device, self._indicator = device, indicator
        self._watched = ("force_kn", *(name for name in _OPTIONAL if name in device.profile.signals))

    @property
    def capacity_kn(self) -> float:
        """Highest force of the cell, kN."""
        return self._indicator.capacity_kn

    @property
    def resolution_kn(self) -> float:
        """One step of the display, kN."""
        return self._indicator.resolution_kn

    def identify(self) -> str:
        """Who answers, as far as an indicator can tell."""
        return self.device.patiently(self.device.identify)

    def read(self) -> IndicatorReading:
        """The present force.

        Raises:
            LinkError, ReplyError: It could not be read.
        """
        seen = self.device.look(self._watched)
        force_kn = self._indicator.compression_sign * seen["force_kn"].value
        step_kn = self._indicator.resolution_kn
        trouble = [f"{name}: {one.trouble}" for name, one in seen.items() if one.trouble]
        said = seen["fault_code"].word if "fault_code" in seen else ""
        return IndicatorReading(
            time_s=self.device.clock.now_s(),
            force_kn=force_kn,
            # a rectangle of one step has a standard deviation of step / sqrt(12)
            sd_kn=math.hypot(self._indicator.force_sd_rel * force_kn, step_kn / math.sqrt(12)),
            overload="overload" in seen and bool(seen["overload"].value),
            in_motion="in_motion" in seen and bool(seen["in_motion"].value),
            position_mm=seen["position_mm"].value if "position_mm" in seen else None,
            fault="; ".join([*([said] if said else []), *trouble]),
        )

    def close(self) -> None:
        self.device.close()


def connect_indicator(
    profile: DeviceProfile | str, clock: Clock, url: str | None = None, *, tap: Tap | None = None
) -> LoadIndicator:
    """Open the load indicator of ``profile``; see :func:`pressopt.instruments.device.connect`."""
    return LoadIndicator(connect(profile, clock, url, kind="force-indicator", tap=tap))
