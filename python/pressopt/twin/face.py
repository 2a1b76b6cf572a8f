"""One virtual machine as its profile names it: what each signal shows, and what each action does.

Register maps and lines of text are two ways of showing the same face.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pressopt.profiles import Action, DeviceProfile, Signal
from pressopt.twin.bench import Bench, PlantReading, RollReading
from pressopt.twin.laboratory import FAULT_CODES
from pressopt.twin.plant import AMBIENT_C

Shown = Mapping[str, float | str | bool]

_FAULT_BLOCKS = frozenset({"start", "load_cell"})
#: What profiles call the faults of the bench, where they use another word.
_FAULT_WORDS = {
    "guard open": "guard opened",
    "remote disabled": "remote control switched off",
    "over-temperature": "over temperature",
    "power failed": "power came back",
}
_FAULTS = {code: _FAULT_WORDS.get(meaning, meaning) for meaning, code in FAULT_CODES.items()}


class RangeRefusal(ValueError):  # noqa: N818 - a machine's answer, not an error of ours
    """A number beyond what the machine itself takes."""


class MachineRefusal(ValueError):  # noqa: N818
    """An interlock, a fault or the machine itself forbids what is asked."""


@dataclass
class MachineFaults:
    """What can go wrong inside the machine; each is left until a test changes it.

    Attributes:
        ignored: Actions that are accepted and not done.
        frozen: Raw numbers shown for signals instead of the truth (a sensor code, a stuck value).
        model, serial_number: What it says it is, when it is another machine than expected.
    """

    ignored: set[str] = field(default_factory=set)
    frozen: dict[str, int] = field(default_factory=dict)
    model: int | None = None
    serial_number: int | None = None


class Platens:
    """The platens of one press, heated by panel controllers instead of its PLC: the mean of what they are set to.

    Args:
        bench: The press that they belong to.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.setpoints_c: dict[str, float] = {}

    def add(self, name: str) -> None:
        """One controller more, cold."""
        self.setpoints_c[name] = AMBIENT_C

    def set(self, name: str, temperature_c: float) -> None:
        """Set point of one controller, °C."""
        self.setpoints_c[name] = temperature_c
        self.apply()

    def apply(self) -> None:
        """Heat as the controllers say, whatever the PLC did."""
        if self.setpoints_c:
            self._bench.set_temperature(math.fsum(self.setpoints_c.values()) / len(self.setpoints_c))


class MachineFace:
    """What a machine shows and does, in the words and units of its profile.

    Args:
        profile: Of a press, a laminator, a temperature controller or a load indicator.
        look: What its signals are now, by name, in the unit of the name.
        orders: What its actions do, by name.
        ranges: What the machine itself takes, by action.
        beat: What a heartbeat does.
    """

    def __init__(
        self,
        profile: DeviceProfile,
        look: Callable[[], Shown],
        orders: Mapping[str, Callable[[float], None]],
        ranges: Mapping[str, tuple[float, float]],
        beat: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.profile, self.look, self.beat = profile, look, beat
        self.faults = MachineFaults()
        self._orders, self._ranges = orders, ranges

    def raw(self, name: str, signal: Signal, looked: Shown) -> float:
        """The raw number that ``signal`` shows."""
        if name in self.faults.frozen:
            return self.faults.frozen[name]
        value = looked[name]
        if name == "loaded_cell" and isinstance(value, int) and value <= 0:
            return _raw_of(signal.invalid, "no cell", or_else=0)
        if name == "fault_code":
            return _raw_of(signal.values, str(value), or_else=max(signal.values, default=0) + 1)
        if isinstance(value, str):  # a machine that shows no ramp shows that it holds
            return _raw_of(signal.values, value, or_else=_raw_of(signal.values, "hold", or_else=0))
        if isinstance(value, bool):
            return int(value)
        gain, offset = self.profile.linear(signal)
        return float((value - offset) / gain)

    def value(self, action: Action, raw: float) -> float:
        """The value that a raw number of ``action`` means, in the unit of its name."""
        gain, offset = self.profile.linear(action)
        return raw * gain + offset

    def check(self, name: str, action: Action, raw: float, looked: Shown) -> None:
        """Raise RangeRefusal or MachineRefusal for what the machine does not take."""
        if action.value is None and name in self._ranges:
            low, high = self._ranges[name]
            if not low <= self.value(action, raw) <= high:
                raise RangeRefusal(f"{name}: {raw:g} is out of range")
        if action.always_allowed:
            return
        if any(not looked[interlock] for interlock in action.requires):
            raise MachineRefusal(f"{name}: an interlock is open")
        if name in _FAULT_BLOCKS and looked.get("state") == "fault":
            raise MachineRefusal(f"{name}: a fault is not acknowledged")

    def do(self, name: str, action: Action, raw: float) -> None:
        """Do ``name``, unless the fault ``ignored`` swallows it; raises MachineRefusal."""
        if name in self.faults.ignored:
            return
        try:
            self._orders[name](self.value(action, raw))
        except ValueError as refused:  # the machine itself says no
            raise MachineRefusal(str(refused)) from refused


def face_of(
    bench: Bench, profile: DeviceProfile, *, name: str = "", platens: Platens | None = None
) -> MachineFace:
    """The face of ``profile`` over a bench.

    Args:
        bench: The virtual laboratory.
        profile: Of a press, a laminator, a temperature controller or a load indicator.
        name: Of the part, where it is one of a joined press.
        platens: What its temperature controllers heat; a PLC that stops leaves them alone.
    """
    if profile.heater is not None:
        return _heater(bench, profile, name, platens or Platens(bench))
    if profile.indicator is not None:
        return _indicator(bench, profile)
    return _laminator(bench, profile) if profile.kind == "laminator" else _press(bench, profile, platens)


def _press(bench: Bench, profile: DeviceProfile, platens: Platens | None) -> MachineFace:
    press = profile.press
    assert press is not None  # the profile was checked when it was loaded

    def stop(_: float) -> None:
        bench.stop()
        if platens is not None:
            platens.apply()

    return MachineFace(
        profile,
        lambda: _shown(bench.plant()),
        {
            "set_force_kn": bench.set_force,
            "set_ramp_kn_s": bench.set_ramp,
            "set_temperature_c": bench.set_temperature,
            "start": lambda _: bench.start(),
            "stop": stop,
            "acknowledge": lambda _: bench.acknowledge(),
            "load_cell": lambda number: bench.load_cell(round(number)),
        },
        {
            "set_force_kn": (0.0, press.capacity_kn),
            "set_ramp_kn_s": (0.0, press.capacity_kn),
            "set_temperature_c": (-50.0, press.capacity_c),
        },
        lambda number: bench.heartbeat(number),  # noqa: PLW0108 - looked up late, so that a test may listen
    )


def _laminator(bench: Bench, profile: DeviceProfile) -> MachineFace:
    roll = profile.roll
    assert roll is not None  # the profile was checked when it was loaded
    return MachineFace(
        profile,
        lambda: _shown(bench.roll()),
        {
            "set_line_force_n_mm": bench.set_line_force,
            "set_speed_mm_s": bench.set_speed,
            "set_passes": lambda passes: bench.set_passes(round(passes)),
            "set_temperature_c": bench.set_roll_temperature,
            "start": lambda _: bench.start_rolling(),
            "stop": lambda _: bench.stop(),
            "acknowledge": lambda _: bench.acknowledge(),
            "load_cell": lambda number: bench.load_cell(round(number)),
        },
        {
            "set_line_force_n_mm": (0.0, roll.capacity_n_mm),
            "set_speed_mm_s": (0.0, roll.capacity_mm_s),
            "set_passes": (0, 10000),
            "set_temperature_c": (-50.0, roll.capacity_c),
        },
        lambda number: bench.heartbeat(number),  # noqa: PLW0108 - looked up late, so that a test may listen
    )


def _heater(bench: Bench, profile: DeviceProfile, name: str, platens: Platens) -> MachineFace:
    heater = profile.heater
    assert heater is not None  # the profile was checked when it was loaded
    platens.add(name)

    def look() -> Shown:
        here_c, wanted_c = bench.plant().temperature_c, platens.setpoints_c[name]
        return {
            "temperature_c": here_c,
            "setpoint_c": wanted_c,
            "output_rel": min(1.0, max(0.0, (wanted_c - here_c) / 10)),
            "state": "ramp" if abs(wanted_c - here_c) > 1 else "hold",
            "fault_code": "",
        }

    orders: Mapping[str, Callable[[float], None]] = {
        "set_temperature_c": lambda temperature_c: platens.set(name, temperature_c),
        "start": lambda _: platens.apply(),
        "stop": lambda _: platens.set(name, AMBIENT_C),
    }
    return MachineFace(profile, look, orders, {"set_temperature_c": (-50.0, heater.capacity_c)})


def _indicator(bench: Bench, profile: DeviceProfile) -> MachineFace:
    indicator = profile.indicator
    assert indicator is not None  # the profile was checked when it was loaded

    def look() -> Shown:
        seen = bench.plant()
        return {
            "force_kn": seen.force_kn,
            "overload": abs(seen.force_kn) > indicator.capacity_kn,
            "in_motion": seen.state in ("ramp", "release"),
            "position_mm": seen.position_mm,
            "state": seen.state,
            "fault_code": "",
        }

    return MachineFace(profile, look, {"zero": lambda _: None, "stop": lambda _: bench.stop()}, {})


def _shown(reading: PlantReading | RollReading) -> Shown:
    """A reading of the bench by name, with the machine's words for its fault."""
    looked = {name: getattr(reading, name) for name in reading.__slots__}
    return looked | {"fault_code": _FAULTS.get(reading.fault_code, "not known")}


def _raw_of(meanings: Mapping[int, str], word: str, *, or_else: int) -> int:
    return next((raw for raw, meaning in meanings.items() if meaning == word), or_else)
