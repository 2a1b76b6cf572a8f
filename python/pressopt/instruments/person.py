"""A manual press or laminator that a person works: what its profile says that it can do, and what its gauge shows.

Nothing here moves anything: the campaign asks the person (:mod:`pressopt.pressing.by_hand`). Where a port wants a
machine, this one reports no fault and no motion, and refuses every command.
"""

from __future__ import annotations

from typing import Any

from pressopt.clock import Clock
from pressopt.errors import InterlockError
from pressopt.instruments.laminator import laminator_capability
from pressopt.instruments.press import press_capability
from pressopt.pressing import Die, LaminatorCapability, LaminatorReading, PressCapability, PressReading, PressState
from pressopt.pressing.by_hand import Gauge, HandPress
from pressopt.profiles import DeviceProfile

#: The units in which a force is said beside that of the gauge; oil pressure only where the ram is known.
_SAID = ("kN", "tf", "oil bar")


class ManualPress:
    """A press without wires; see :class:`pressopt.pressing.Press` for the port.

    Args:
        profile: Of kind press and engine person; with a part ``indicator`` the force is read by wire from that.
        clock: Laboratory time.
        die: Area over which force becomes pressure.
    """

    def __init__(self, profile: DeviceProfile, clock: Clock, die: Die) -> None:
        self.profile, self._clock = profile, clock
        self._capability = press_capability(profile)
        machine = profile.press
        assert machine is not None  # press_capability has looked
        indicator = profile.parts["indicator"].indicator if profile.parts else None
        if indicator is None:
            gauge = Gauge(machine.gauge_unit, profile.kn_per(machine.gauge_unit), machine.gauge_step)
        else:
            gauge = Gauge("kN", 1.0, indicator.resolution_kn)
        others = [unit for unit in _SAID if unit != "oil bar" or machine.ram_diameter_mm is not None]
        self.by_hand = HandPress(
            capability=self._capability,
            gauge=gauge,
            die=die,
            other=tuple((unit, profile.kn_per(unit)) for unit in others),
            indicated=indicator is not None,
        )

    @property
    def capability(self) -> PressCapability:
        return self._capability

    def identify(self) -> str:
        return f"{self.profile.name} (worked by a person)"

    def read(self) -> PressReading:
        """Nobody can read it by wire: open and idle as far as anyone knows."""
        return PressReading(self._clock.now_s(), 0.0, self._capability.min_c, PressState.IDLE, 0.0)

    def command(self, **_: Any) -> None:
        raise InterlockError(f"'{self.profile.name}' is moved by a person, never by wire")

    def make_safe(self) -> None:
        """Nothing to write: the campaign tells the person to release."""

    def clear_fault(self) -> None: ...

    def close(self) -> None: ...


class ManualLaminator:
    """A laminator without wires: like :class:`ManualPress`, for rolls."""

    def __init__(self, profile: DeviceProfile, clock: Clock, die: Die) -> None:
        self.profile, self._clock = profile, clock
        self._capability = laminator_capability(profile)
        self.by_hand = HandPress(self._capability, Gauge("kN", 1.0, 1.0), die)

    @property
    def capability(self) -> LaminatorCapability:
        return self._capability

    def identify(self) -> str:
        return f"{self.profile.name} (worked by a person)"

    def warm(self, **_: Any) -> None:
        raise InterlockError(f"'{self.profile.name}' is worked by a person, never by wire")

    def run(self, **_: Any) -> None:
        raise InterlockError(f"'{self.profile.name}' is worked by a person, never by wire")

    def read(self) -> LaminatorReading:
        """As far as anyone knows it stands still."""
        return LaminatorReading(self._clock.now_s(), 0.0, 0.0, self._capability.min_c, 0, PressState.IDLE)

    def make_safe(self) -> None:
        """Nothing to write: the campaign tells the person to stop."""

    def clear_fault(self) -> None: ...

    def close(self) -> None: ...


def manual(profile: DeviceProfile, clock: Clock, die: Die) -> ManualPress | ManualLaminator:
    """The manual machine of ``profile``, whose engine is ``person``."""
    return (ManualLaminator if profile.kind == "laminator" else ManualPress)(profile, clock, die)
