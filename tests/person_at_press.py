"""A person in front of the virtual press: reads its displays, opens guards, works its panel."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pressopt.twin.laboratory import VirtualBench

_TODO = {
    "take away 'guard closed'": "guard_open",
    "give back 'guard closed'": "guard_closed",
    "take away 'estop ok'": "estop",
    "give back 'estop ok'": "estop_reset",
    "take away 'remote enabled'": "remote_off",
    "give back 'remote enabled'": "remote_on",
}


@dataclass
class PersonAtPress:
    """Does what is asked and reads what is shown.

    Attributes:
        bench: The machine in front of the person.
        pause: Lets the machine get where it goes.
        refuses: Words of questions that the person answers with no.
        told: Everything that was said to the person.
        asked: Every question.
    """

    bench: VirtualBench
    pause: Callable[[float], None]
    refuses: tuple[str, ...] = ()
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        self.told.append(text)

    def agrees(self, question: str) -> bool:
        self.asked.append(question)
        return not any(words in question for words in self.refuses)

    def ask(self, question: str) -> str:
        self.asked.append(question)
        for words, fault in _TODO.items():
            if words in question:
                self.bench.inject(fault)
                return ""
        if "acknowledge it at its panel" in question:
            self.bench.acknowledge()
            return ""
        if "release the force at the panel" in question:
            self.bench.stop()
            self.pause(60.0)
            return ""
        wanted = re.search(r"to about ([0-9.e-]+) kN", question)
        if wanted is not None:
            self.bench.set_force(float(wanted[1]))
            self.bench.set_ramp(1.0)
            self.bench.start()
            self.pause(60.0)
        return self._display(question)

    def _display(self, question: str) -> str:
        plant = self.bench.plant()
        if "force set point?" in question:
            return f"{1000 * plant.setpoint_kn:.0f} N"
        if "temperature set point?" in question:
            return f"{plant.setpoint_c:.1f} C"
        if "as force?" in question:
            return f"{1000 * plant.force_kn:.0f} N"
        if "as temperature?" in question:
            return f"{plant.temperature_c:.1f} °C"
        return "-"


#: Deliberately wrong profiles over the shipped press: what is wrong, the words of the finding that must show it.
WRONG = {
    "words swapped": ('[link]\nword_order = "low-first"\n', r"the words are high-first, not low-first"),
    "scale of the reading": ("[signals.force_kn]\nscale = 10.0\n", r"signals.force_kn.scale is 1, not 10"),
    "address off by one": (
        '[signals.force_kn]\nat = { table = "input", address = 9, type = "int32" }\n',
        r"signals.force_kn.at.address is 10, not 9",
    ),
    "lbf for newtons": ('[signals.force_kn]\nunit = "lbf"\n', r"signals.force_kn.unit is 'N', not 'lbf'"),
    "scale of the set point": (
        "[actions.set_force_kn]\nscale = 10.0\n",
        r"actions.set_force_kn.scale is 0.1 times what the profile says|actions.set_force_kn.scale is 10 times",
    ),
    "unit of the set point": (
        '[actions.set_force_kn]\nunit = "lbf"\n',
        r"actions.set_force_kn.unit is 'N', not 'lbf'",
    ),
    "temperature in Fahrenheit": (
        '[signals.temperature_c]\nunit = "degF"\nscale = 0.1\n',
        r"signals.temperature_c.unit is 'degC', not 'degF'",
    ),
}
