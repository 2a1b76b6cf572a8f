"""A press of any profile, behind the port Press."""

from __future__ import annotations

import contextlib
import math

from pressopt.clock import Clock
from pressopt.errors import DeviceFault, InterlockError, LimitError, Violation
from pressopt.instruments.device import Machine, Seen, connect
from pressopt.instruments.line import Tap
from pressopt.pressing import HoldKind, PressCapability, PressReading, PressState
from pressopt.pressing.protocol import SafeState
from pressopt.profiles import DeviceProfile

_OPTIONAL = ("refills", "position_mm")


class ProfilePress:
    """See :class:`pressopt.pressing.Press` for what it promises.

    Args:
        device: A connected device whose profile is of kind press.
    """

    def __init__(self, device: Machine) -> None:
        profile = device.profile
        self.device = device
        self._capability = press_capability(profile)
        given = [name for name in _OPTIONAL if name in profile.signals]
        warm = ("temperature_c",) if "temperature_c" in profile.signals else ()  # a cold press may have no sensor
        basic = ("force_kn", *warm, "state", "setpoint_kn", "fault_code")
        self._watched = (*basic, *profile.interlocks, *given)

    @property
    def capability(self) -> PressCapability:
        return self._capability

    def identify(self) -> str:
        return self.device.patiently(self.device.identify)

    def read(self) -> PressReading:
        return self._reading(self.device.look(self._watched))

    def command(self, *, force_kn: float, ramp_kn_s: float, temperature_c: float) -> None:
        check_press_command(self._capability, force_kn=force_kn, ramp_kn_s=ramp_kn_s, temperature_c=temperature_c)
        device = self.device
        device.ready()
        seen = device.look(self._watched)  # never a set point without having read the state just before
        reading = self._reading(seen)
        if reading.state is PressState.FAULT or reading.fault:
            raise DeviceFault(
                f"{self._capability.name} is in fault ({reading.fault or 'no reason given'}): "
                "look at the machine, then clear the fault; nothing moves before"
            )
        device.require("start", seen)
        if self._capability.heated:
            device.act("set_temperature_c", temperature_c)
        device.act("set_ramp_kn_s", ramp_kn_s)
        asked_kn = device.act("set_force_kn", force_kn)
        resting = PressState.HOLD if force_kn else PressState.IDLE
        if reading.state is resting and abs(reading.setpoint_kn - asked_kn) < 1e-6:
            return  # it holds this force already: only temperature and rate were to change
        device.act("start")
        becomes = device.profile.actions["start"].confirm
        assert becomes is not None
        done = {*becomes.becomes, *(() if force_kn else ("idle",))}
        device.confirm("start", lambda seen: seen[becomes.signal].word in done)

    def make_safe(self) -> None:
        self.device.patiently(self._make_safe)

    def clear_fault(self) -> None:
        self.device.ready()
        self.device.act("acknowledge")
        reading = self.read()
        if reading.state is PressState.FAULT or reading.fault:
            raise DeviceFault(
                f"{self._capability.name} stays in fault ({reading.fault or 'no reason given'}): "
                "its cause is still there"
            )

    def close(self) -> None:
        self.device.close()

    # ---- inside

    def _make_safe(self) -> None:
        device = self.device
        device.ready()
        if self._capability.safe_state is not SafeState.RELEASE and self._kept():
            return
        device.act("stop")
        confirm = device.profile.actions["start"].confirm
        assert confirm is not None
        end_s = device.clock.now_s() + confirm.within_s
        while True:
            state = device.look(("state",))["state"].word
            if state not in ("ramp", "hold"):
                return
            if device.clock.now_s() >= end_s:
                raise DeviceFault(
                    f"{self._capability.name} was told to stop and still says '{state}' after "
                    f"{confirm.within_s:g} s: use the emergency stop"
                )
            device.clock.sleep_s(0.1)

    def _kept(self) -> bool:
        """Keep the force (and cool, where declared); False when that is not possible and force must come off."""
        device = self.device
        with contextlib.suppress(InterlockError, DeviceFault):
            reading = self.read()
            if reading.state is PressState.FAULT:
                return False
            if self._capability.safe_state is SafeState.HOLD_AND_COOL and self._capability.heated:
                device.act("set_temperature_c", self._capability.min_c)
            if reading.state is PressState.RAMP:
                present_kn = min(max(0.0, reading.force_kn), self._capability.limit_kn)
                self.device.require("start", device.look(device.profile.interlocks))
                device.act("set_force_kn", present_kn)
                device.act("start")
            return True
        return False

    def _reading(self, seen: dict[str, Seen]) -> PressReading:
        trouble = [
            f"{name}: {what.trouble}" for name, what in seen.items() if what.trouble and name != "loaded_cell"
        ]
        said = seen["fault_code"].word
        return PressReading(
            time_s=self.device.clock.now_s(),
            force_kn=seen["force_kn"].value,
            temperature_c=seen["temperature_c"].value if "temperature_c" in seen else self._capability.min_c,
            state=PressState(seen["state"].word),
            setpoint_kn=seen["setpoint_kn"].value,
            refills=round(seen["refills"].value) if "refills" in seen else 0,
            position_mm=seen["position_mm"].value if "position_mm" in seen else None,
            interlocks={name: bool(seen[name].value) for name in self.device.profile.interlocks},
            fault="; ".join([*([said] if said else []), *trouble]),
        )


def attend_s(profile: DeviceProfile) -> float:
    """How often the machine is to be looked at such that one lost look in two leaves its watchdog quiet, s."""
    return min((beat.plc_timeout_s / 2.5 for beat in profile.heartbeats), default=math.inf)


def press_capability(profile: DeviceProfile) -> PressCapability:
    """What the press of ``profile`` can do."""
    machine, limits = profile.press, profile.limits
    assert machine is not None  # the profile was checked when it was loaded
    assert limits.force_kn is not None
    assert limits.ramp_kn_s is not None
    assert limits.temperature_c is not None
    return PressCapability(
        name=profile.name,
        limit_kn=limits.force_kn,
        min_kn=machine.min_controllable_kn,
        resolution_kn=machine.resolution_kn,
        limit_ramp_kn_s=limits.ramp_kn_s,
        limit_c=limits.temperature_c,
        min_c=machine.min_c,
        force_sd_rel=machine.force_sd_rel,
        safe_state=SafeState(profile.safe_state),
        heated=machine.heated,
        temperature_sd_c=machine.temperature_sd_c,
        attend_s=attend_s(profile),
        hold=HoldKind(machine.hold),
    )


def check_press_command(
    capability: PressCapability, *, force_kn: float, ramp_kn_s: float, temperature_c: float
) -> None:
    """Raise LimitError with everything about a command that this press may not do."""
    name = capability.name
    wrong = []
    if not 0 <= force_kn <= capability.limit_kn * (1 + 1e-9):
        wrong.append(
            Violation(
                "force_kn", f"{force_kn:g} kN is asked, press '{name}' allows 0 to {capability.limit_kn:g} kN"
            )
        )
    elif 0 < force_kn < capability.min_kn:
        wrong.append(
            Violation(
                "force_kn",
                f"{force_kn:g} kN is asked, press '{name}' holds {capability.min_kn:g} kN at the least: "
                "ask more, or 0 to release",
            )
        )
    if not 0 < ramp_kn_s <= capability.limit_ramp_kn_s * (1 + 1e-9):
        wrong.append(
            Violation(
                "ramp_kn_s",
                f"{ramp_kn_s:g} kN/s is asked, press '{name}' allows more than 0 and at most "
                f"{capability.limit_ramp_kn_s:g} kN/s",
            )
        )
    if capability.heated and not capability.min_c <= temperature_c <= capability.limit_c:
        wrong.append(
            Violation(
                "temperature_c",
                f"{temperature_c:g} °C is asked, press '{name}' allows {capability.min_c:g} to "
                f"{capability.limit_c:g} °C",
            )
        )
    if not capability.heated and math.isnan(temperature_c):
        wrong.append(Violation("temperature_c", "NaN is no temperature"))
    if wrong:
        raise LimitError(wrong)


def connect_press(
    profile: DeviceProfile | str, clock: Clock, url: str | None = None, *, tap: Tap | None = None
) -> ProfilePress:
    """Open the press of ``profile`` (a profile, the name of a shipped one, or a path) and check who answers.

    Args:
        profile: Of kind press.
        clock: Laboratory time.
        url: Where it is, instead of the profile's ``link.url``.
        tap: Sees every byte on the wire.

    Raises:
        LinkRefused, WrongDeviceError, ProfileError: See :func:`pressopt.instruments.device.connect`.
    """
    return ProfilePress(connect(profile, clock, url, kind="press", tap=tap))
