"""A low-force verification of a profile on the real machine, by a person who compares display and reading.

Nothing is written before everything that is read agrees with the displays; nothing moves before the set points
agree as well; and then it moves at the lowest force that tells. What does not agree is explained as far as the
registers can explain it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from pressopt.clock import Clock
from pressopt.errors import PressoptError
from pressopt.instruments.device import Machine, RegisterDevice
from pressopt.instruments.diagnosis import causes, near_words, written_causes
from pressopt.instruments.joined import JoinedDevice
from pressopt.instruments.press import ProfilePress
from pressopt.pressing import PressState
from pressopt.profiles import DeviceProfile, OfParts, Place, Register
from pressopt.profiles.machine_units import UNITS, dimension_of, unit_problem

_FORCE_SHARE = 0.02  # of the soft limit: the low force (assumed: felt by a load cell, harmless to a spacer)
_STEPS = 50  # at least so many steps of the display, so that a step is 2 %
_AGREE = 0.03  # display and reading, relative
_AGREE_C = 2.0  # display and reading of a temperature, K: platens are not even
_WARM_K = 20.0  # how far above the lowest the set point of a heater is tried
_RAMP_S = 5.0  # how long the low force may take to build up
_ASKED_TO_CLEAR = 3
_SILENCE = 1.5  # times the machine's own time-out
_HOLD_S = 120.0  # laboratory time in which it must be there
_NUMBER = re.compile(r"\s*([+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?)\s*(.*?)\s*")
_NAMES = {
    "force_kn": "force",
    "setpoint_kn": "force set point",
    "temperature_c": "temperature",
    "setpoint_c": "temperature set point",
    "position_mm": "ram position",
}


class Person(Protocol):
    """Who stands at the machine."""

    def tell(self, text: str) -> None: ...

    def ask(self, question: str) -> str:
        """The answer, as it was typed."""
        ...

    def agrees(self, question: str) -> bool: ...


@dataclass(slots=True)
class Finding:
    """One comparison: what, whether it agreed, and what explains it where it did not."""

    what: str
    good: bool
    detail: str = ""
    causes: tuple[str, ...] = ()


@dataclass
class Commissioning:
    """One verification.

    Args:
        machine: The connected machine.
        clock: Laboratory time.
        person: Who compares.
        watchdog: Whether the machine's own watchdog is tried as well, where the profile has a heartbeat.

    Attributes:
        findings: What was compared, in order.
    """

    machine: Machine
    clock: Clock
    person: Person
    watchdog: bool = True
    findings: list[Finding] = field(default_factory=list)

    @property
    def profile(self) -> DeviceProfile:
        """What is being verified."""
        return self.machine.profile

    @property
    def good(self) -> bool:
        """Whether everything agreed."""
        return bool(self.findings) and all(finding.good for finding in self.findings)

    def run(self) -> list[Finding]:
        """Go through all steps; the machine is stopped whatever happens.

        Raises:
            InstrumentError: The machine cannot be reached or stopped.
        """
        said = self.machine.identify()
        if not self.person.agrees(f"{said} answers. Is this the machine in front of you?"):
            self._refuse("who answers", f"{said} answers, and this is another machine")
            return self.findings
        self._accept("who answers", said)
        self.machine.let_beat(False)
        if self._through(self._reading_steps()):
            self.machine.let_beat(True)
            try:
                self._through(self._writing_steps())
            finally:
                if "stop" in self.profile.actions:
                    self.machine.act("stop")
        return self.findings

    def _through(self, steps: Iterable[Callable[[], None]]) -> bool:
        """Go on until something does not agree."""
        for step in steps:
            step()
            if not self.good:
                return False
        return True

    def _reading_steps(self) -> Iterable[Callable[[], None]]:
        yield self._at_rest
        if self.profile.interlocks:
            yield self._interlocks
        if self.profile.press is not None or self.profile.indicator is not None:
            yield self._force_by_hand

    def _writing_steps(self) -> Iterable[Callable[[], None]]:
        press = self.profile.press
        if self.profile.heater is not None or (press is not None and press.heated):
            yield self._heater
        if press is not None:
            yield self._force_set_point
            yield self._low_force
            if self.watchdog and self.profile.heartbeats:
                yield self._watchdog

    # ---- reading only

    def _at_rest(self) -> None:
        """What the displays show while nothing moves."""
        for name in ("temperature_c", "position_mm"):
            if name in self.profile.signals:
                self._compare(name, "Nothing moves. ")

    def _interlocks(self) -> None:
        for name in self.profile.interlocks:
            words = name.replace("_", " ")
            for given, todo in ((False, "take away"), (True, "give back")):
                self.person.ask(f"Please {todo} '{words}' at the machine (guard, button or key), then press Enter")
                seen = bool(self._look(name))
                if seen is not given:
                    at = self.profile.signals[name].at
                    self._refuse(
                        words, f"it was {'given back' if given else 'taken away'} and {at} did not change"
                    )
                    return
            self._accept(f"interlock {words}", "seen open and closed")
        for _ in range(_ASKED_TO_CLEAR):
            fault = self.machine.look(("fault_code",))["fault_code"].word
            if not fault:
                return
            self.person.ask(f"The machine says '{fault}'. Please acknowledge it at its panel, then press Enter")
        self._refuse("fault", "the machine does not leave its fault")

    def _force_by_hand(self) -> None:
        """A low force made at the panel or by hand: the reading is verified before anything is written."""
        low_kn = self._low_kn()
        self._compare(
            "force_kn",
            f"Put a steel spacer between the platens and bring the machine to about {low_kn:.3g} kN "
            f"({low_kn / 9.80665:.3g} tf) by hand or at its own panel, and let it hold. ",
            least=low_kn / 4,
        )
        self.person.ask("Please release the force at the panel, then press Enter")

    def _compare(self, name: str, before: str = "", *, least: float = 0.0) -> None:
        """Ask for the display, read the signal, and explain a difference."""
        what = _NAMES.get(name, name)
        shown = self._display(name, before + f"What does the machine's own display show as {what}?")
        if shown is None:
            if name == "force_kn":
                self._refuse(what, "without a display nothing can be compared: use a gauge or a reference cell")
            return
        if abs(shown) < least:
            self._refuse(what, f"{shown:.3g} kN is too little to tell scales and units apart")
            return
        try:
            seen: float | None = self._look(name)
            trouble = ""
        except PressoptError as error:
            seen, trouble = None, str(error)
        if seen is not None and abs(seen - shown) <= self._tolerance(name, shown):
            self._accept(what, f"display {shown:.4g}, read {seen:.4g}")
            return
        told = trouble or f"the display shows {shown:.4g}, {seen:.4g} was read (both in the unit of '{name}')"
        self._refuse(what, told, self._why(name, shown))

    def _why(self, name: str, shown: float) -> tuple[str, ...]:
        """Explanations from the registers around, of the part that has the signal."""
        machine, its = _source(self.machine, name, self.profile.signals[name].at)
        signal = machine.profile.signals[its]
        if isinstance(machine, RegisterDevice) and isinstance(signal.at, Register):
            return causes(machine.profile, its, shown, near_words(machine, signal.at))
        try:
            gain, offset = machine.profile.linear(signal)
            raw = (machine.look((its,))[its].value - offset) / gain
        except PressoptError:
            return ()
        return causes(machine.profile, its, shown, None, raw)

    # ---- set points, nothing moves

    def _heater(self) -> None:
        heater, press = self.profile.heater, self.profile.press
        low_c = heater.min_c if heater is not None else press.min_c if press is not None else 20.0
        warm_c = min(low_c + _WARM_K, self.profile.limits.temperature_c or low_c + _WARM_K)
        self._set_and_compare("set_temperature_c", "setpoint_c", warm_c)
        self.machine.act("set_temperature_c", low_c)

    def _force_set_point(self) -> None:
        self._set_and_compare("set_force_kn", "setpoint_kn", self._low_kn())
        if not self.findings[-1].good:
            self.machine.act("set_force_kn", 0.0)

    def _set_and_compare(self, action: str, name: str, value: float) -> None:
        """Write a set point that moves nothing, and compare it with the panel's."""
        what = _NAMES[name]
        try:
            asked = self.machine.act(action, value)
        except PressoptError as error:
            self._refuse(what, f"{value:.4g} could not be written: {error}")
            return
        shown = self._display(
            name, f"{asked:.4g} was written as {what}; nothing moves yet. What does the panel show as {what}?"
        )
        if shown is None:
            self._refuse(what, "the panel does not show it: without that nothing may move")
        elif abs(shown - asked) <= self._tolerance(name, asked):
            self._accept(what, f"written {asked:.4g}, panel {shown:.4g}")
        else:
            machine, its = _source(self.machine, action, self.profile.actions[action].at)
            unit = machine.profile.actions[its].unit
            self._refuse(
                what, f"{asked:.4g} was written, {shown:.4g} is shown", written_causes(its, asked, shown, unit)
            )

    # ---- it moves, at low force

    def _low_force(self) -> None:
        low_kn = self._low_kn()
        if not self.person.agrees(
            f"The press will now close on the spacer with {low_kn:.3g} kN. Hands away, stop in reach: go on?"
        ):
            self._refuse("low force", "the person at the machine did not want to go on")
            return
        press = ProfilePress(self.machine)
        if not self._held(press, low_kn):
            return
        self._compare("force_kn", "It holds. ", least=low_kn / 4)
        held_kn = press.read().force_kn
        if abs(held_kn - low_kn) > self._tolerance("force_kn", low_kn) + 0.05 * low_kn:
            self._refuse("low force", f"{low_kn:.3g} kN was asked, {held_kn:.3g} kN is held")
        press.make_safe()
        if not self.person.agrees("The press was told to stop. Has the force come off?"):
            self._refuse("stop", "the force did not come off: use the emergency stop")
        else:
            self._accept("stop", "the force came off")

    def _held(self, press: ProfilePress, low_kn: float) -> bool:
        """Build the low force up slowly; False, and stopped, when it does not come to hold."""
        capability = press.capability
        ramp_kn_s = min(capability.limit_ramp_kn_s, low_kn / _RAMP_S)
        here_c = min(max(capability.min_c, 25.0), capability.limit_c)
        try:
            press.command(force_kn=low_kn, ramp_kn_s=ramp_kn_s, temperature_c=here_c)
            end_s = self.clock.now_s() + _HOLD_S
            while (reading := press.read()).state is not PressState.HOLD:
                if reading.fault or reading.force_kn > 2 * low_kn or self.clock.now_s() > end_s:
                    told = f"{reading.force_kn:.3g} kN, {reading.state}, {reading.fault or 'no fault'}"
                    self._refuse("low force", told)
                    return False
                self.clock.sleep_s(0.2)
        except PressoptError as error:
            self._refuse("low force", str(error))
        if not self.good:
            press.make_safe()
        return self.good

    def _watchdog(self) -> None:
        """Under the low force, fall silent: the machine must act by itself."""
        silent_s = max(beat.plc_timeout_s for beat in self.profile.heartbeats) * _SILENCE
        if not self.person.agrees(
            f"Now the machine's watchdog: the press closes once more with {self._low_kn():.3g} kN, and pressopt "
            f"says nothing for {silent_s:.0f} s. Go on?"
        ):
            self._refuse("watchdog", "it was not tried: `--no-watchdog` signs without it")
            return
        press = ProfilePress(self.machine)
        if not self._held(press, self._low_kn()):
            return
        self.clock.sleep_s(silent_s)
        reading = press.read()
        if reading.state in (PressState.HOLD, PressState.RAMP) and not reading.fault:
            self._refuse(
                "watchdog",
                f"after {silent_s:.0f} s of silence it still says '{reading.state}': set up the machine's own "
                "watchdog over the heartbeat register",
            )
            press.make_safe()
            return
        self._accept("watchdog", f"the machine acted by itself ({reading.fault or reading.state})")
        press.clear_fault()

    # ---- small things

    def _low_kn(self) -> float:
        """The low force of this verification, kN."""
        profile = self.profile
        if profile.press is not None:
            limit_kn = profile.limits.force_kn or profile.press.capacity_kn
            least_kn = max(2 * profile.press.min_controllable_kn, _STEPS * profile.press.resolution_kn)
        else:
            assert profile.indicator is not None
            limit_kn, least_kn = profile.indicator.capacity_kn, _STEPS * profile.indicator.resolution_kn
        return min(limit_kn, max(_FORCE_SHARE * limit_kn, least_kn))

    def _tolerance(self, name: str, value: float) -> float:
        if name in ("temperature_c", "setpoint_c"):
            return _AGREE_C
        profile = self.profile
        step = 0.0
        if name.endswith("_kn"):
            step = profile.press.resolution_kn if profile.press else 0.0
            step = profile.indicator.resolution_kn if profile.indicator else step
        return 2 * step + _AGREE * abs(value) + (0.5 if name.endswith("_mm") else 0.0)

    def _look(self, name: str) -> float:
        seen = self.machine.look((name,))[name]
        return seen.value

    def _display(self, name: str, question: str) -> float | None:
        """What a display shows, in the unit of ``name``; None where there is none."""
        hint = " Number and unit, as shown; '-' where it is not shown"
        while True:
            said = self.person.ask(question + hint).strip()
            if said == "-":
                return None
            try:
                return parse_display(name, said, self.profile)
            except ValueError as error:
                self.person.tell(str(error))

    def _accept(self, what: str, detail: str) -> None:
        self.findings.append(Finding(what, good=True, detail=detail))
        self.person.tell(f"✓ {what}: {detail}")

    def _refuse(self, what: str, detail: str, why: tuple[str, ...] = ()) -> None:
        self.findings.append(Finding(what, good=False, detail=detail, causes=why))
        told = f"✗ {what}: {detail}"
        if why:
            told += "\n  It would agree if " + "\n  or if ".join(why)
        self.person.tell(told)


def parse_display(name: str, said: str, profile: DeviceProfile) -> float:
    """What somebody read from a display, in the unit of ``name``.

    Raises:
        ValueError: No number, no unit, or one of another dimension; says what is allowed.
    """
    match = _NUMBER.fullmatch(said)
    if match is None:
        raise ValueError(f"{said!r} is no number with a unit, such as '1.25 kN'")
    unit = match[2].replace("°", "deg").replace("µ", "u")
    if not unit:
        raise ValueError(
            f"{said!r} has no unit: the unit is what is being verified. Write it as the display shows it"
        )
    wanted = "degC" if dimension_of(name) == "temperature" and unit in ("C", "degC") else unit
    wanted = "degF" if wanted == "F" else wanted
    has_ram = profile.press is not None and profile.press.ram_diameter_mm is not None
    problem = unit_problem(name, wanted, has_ram=has_ram)
    if problem:
        raise ValueError(problem)
    number = float(match[1].replace(",", "."))
    known = UNITS[wanted]
    value = number * known.factor + known.offset
    if (
        known.dimension == "oil pressure"
        and profile.press is not None
        and profile.press.ram_diameter_mm is not None
    ):
        value *= math.pi / 4 * profile.press.ram_diameter_mm**2 * profile.press.efficiency / 1000
    return value


def _source(machine: Machine, name: str, at: Place) -> tuple[Machine, str]:
    """The device that a signal or action belongs to, and its name there: of a joined machine, the first part."""
    if isinstance(machine, JoinedDevice) and isinstance(at, OfParts):
        part, its = at.targets()[0]
        return machine.parts[part], its
    return machine, name
