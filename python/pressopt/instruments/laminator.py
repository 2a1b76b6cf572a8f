"""A laminator of any profile, behind the port Laminator."""

from __future__ import annotations

from pressopt.clock import Clock
from pressopt.errors import DeviceFault, LimitError, Violation
from pressopt.instruments.device import Machine, Seen, connect
from pressopt.instruments.line import Tap
from pressopt.instruments.press import attend_s
from pressopt.pressing import LaminatorCapability, LaminatorReading, PressState
from pressopt.pressing.protocol import SafeState
from pressopt.profiles import DeviceProfile


class ProfileLaminator:
    """See :class:`pressopt.pressing.Laminator` for what it promises.

    Args:
        device: A connected device whose profile is of kind laminator.
    """

    def __init__(self, device: Machine) -> None:
        profile = device.profile
        self.device = device
        self._capability = laminator_capability(profile)
        basic = ("line_force_n_mm", "speed_mm_s", "temperature_c", "passes_done", "state", "fault_code")
        self._watched = (*basic, *profile.interlocks)

    @property
    def capability(self) -> LaminatorCapability:
        return self._capability

    def identify(self) -> str:
        return self.device.patiently(self.device.identify)

    def read(self) -> LaminatorReading:
        return self._reading(self.device.look(self._watched))

    def warm(self, *, temperature_c: float) -> None:
        wrong = _check_temperature(self._capability, temperature_c)
        if wrong:
            raise LimitError(wrong)
        self.device.ready()
        self._refuse_unless_ready()
        self.device.act("set_temperature_c", temperature_c)

    def run(self, *, line_force_n_mm: float, speed_mm_s: float, passes: int, temperature_c: float) -> None:
        check_roll_command(
            self._capability,
            line_force_n_mm=line_force_n_mm,
            speed_mm_s=speed_mm_s,
            passes=passes,
            temperature_c=temperature_c,
        )
        device = self.device
        device.ready()
        self._refuse_unless_ready()
        device.act("set_temperature_c", temperature_c)
        device.act("set_line_force_n_mm", line_force_n_mm)
        device.act("set_speed_mm_s", speed_mm_s)
        device.act("set_passes", float(passes))
        device.act("start")
        becomes = device.profile.actions["start"].confirm
        assert becomes is not None
        device.confirm("start", lambda seen: seen[becomes.signal].word in becomes.becomes)

    def make_safe(self) -> None:
        self.device.patiently(self._make_safe)

    def clear_fault(self) -> None:
        self.device.ready()
        self.device.act("acknowledge")
        reading = self.read()
        if reading.state is PressState.FAULT or reading.fault:
            raise DeviceFault(
                f"{self._capability.name} stays in fault ({reading.fault}): its cause is still there"
            )

    def close(self) -> None:
        self.device.close()

    # ---- inside

    def _make_safe(self) -> None:
        self.device.ready()
        self.device.act("stop")
        state = self.device.look(("state",))["state"].word
        if state in ("ramp", "hold"):
            self.device.clock.sleep_s(1.0)
            state = self.device.look(("state",))["state"].word
            if state in ("ramp", "hold"):
                raise DeviceFault(
                    f"{self._capability.name} was told to stop and still says '{state}': use the emergency stop"
                )

    def _refuse_unless_ready(self) -> None:
        seen = self.device.look(self._watched)
        reading = self._reading(seen)
        if reading.state is PressState.FAULT or reading.fault:
            raise DeviceFault(
                f"{self._capability.name} is in fault ({reading.fault or 'no reason given'}): "
                "look at the machine, then clear the fault; nothing moves before"
            )
        self.device.require("start", seen)

    def _reading(self, seen: dict[str, Seen]) -> LaminatorReading:
        trouble = [
            f"{name}: {what.trouble}" for name, what in seen.items() if what.trouble and name != "loaded_cell"
        ]
        said = seen["fault_code"].word
        return LaminatorReading(
            time_s=self.device.clock.now_s(),
            line_force_n_mm=seen["line_force_n_mm"].value,
            speed_mm_s=seen["speed_mm_s"].value,
            temperature_c=seen["temperature_c"].value,
            passes_done=round(seen["passes_done"].value),
            state=PressState(seen["state"].word),
            interlocks={name: bool(seen[name].value) for name in self.device.profile.interlocks},
            fault="; ".join([*([said] if said else []), *trouble]),
        )


def laminator_capability(profile: DeviceProfile) -> LaminatorCapability:
    """What the laminator of ``profile`` can do."""
    roll, limits = profile.roll, profile.limits
    assert roll is not None  # the profile was checked when it was loaded
    assert limits.line_force_n_mm is not None
    assert limits.speed_mm_s is not None
    assert limits.temperature_c is not None
    return LaminatorCapability(
        name=profile.name,
        limit_n_mm=limits.line_force_n_mm,
        min_n_mm=roll.min_n_mm,
        limit_speed_mm_s=limits.speed_mm_s,
        min_speed_mm_s=roll.min_mm_s,
        limit_c=limits.temperature_c,
        min_c=roll.min_c,
        roll_radius_mm=roll.roll_radius_mm,
        web_width_mm=roll.web_width_mm,
        force_sd_rel=roll.force_sd_rel,
        safe_state=SafeState(profile.safe_state),
        temperature_sd_c=roll.temperature_sd_c,
        attend_s=attend_s(profile),
        heated=roll.heated,
    )


def check_roll_command(
    capability: LaminatorCapability,
    *,
    line_force_n_mm: float,
    speed_mm_s: float,
    passes: int,
    temperature_c: float,
) -> None:
    """Raise LimitError with everything about a command that this laminator may not do."""
    name = capability.name
    wrong = []
    for key, value, low, high, unit in (
        ("line_force_n_mm", line_force_n_mm, capability.min_n_mm, capability.limit_n_mm, "N/mm"),
        ("speed_mm_s", speed_mm_s, capability.min_speed_mm_s, capability.limit_speed_mm_s, "mm/s"),
    ):
        if not low <= value <= high:
            wrong.append(
                Violation(key, f"{value:g} {unit} is asked, laminator '{name}' allows {low:g} to {high:g} {unit}")
            )
    if not 1 <= passes <= 1000:
        wrong.append(Violation("passes", f"{passes} passes are asked, laminator '{name}' allows 1 to 1000"))
    wrong += _check_temperature(capability, temperature_c)
    if wrong:
        raise LimitError(wrong)


def _check_temperature(capability: LaminatorCapability, temperature_c: float) -> list[Violation]:
    if capability.min_c <= temperature_c <= capability.limit_c:
        return []
    return [
        Violation(
            "temperature_c",
            f"{temperature_c:g} °C is asked, laminator '{capability.name}' allows {capability.min_c:g} to "
            f"{capability.limit_c:g} °C",
        )
    ]


def connect_laminator(
    profile: DeviceProfile | str, clock: Clock, url: str | None = None, *, tap: Tap | None = None
) -> ProfileLaminator:
    """Open the laminator of ``profile`` (or its name, or its path) and check who answers."""
    return ProfileLaminator(connect(profile, clock, url, kind="laminator", tap=tap))
