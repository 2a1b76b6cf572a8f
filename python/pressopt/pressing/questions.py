"""What a person at a manual press is asked, what they answer, and what is wrong with an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, cast

#: A hold that ends earlier than this share of its time needs a word on why.
EARLY_REL = 0.05
#: Two entries of one value are the same when they differ by less than this share.
SAME_REL = 1e-6


@dataclass(frozen=True, slots=True)
class Gauge:
    """What the person reads force from.

    Attributes:
        unit: As it is written on it (``kN``, ``tf``, ``oil bar`` ...).
        kn_per_unit: Force on the sample for one unit, kN: for oil pressure, by the ram.
        step: Smallest difference that can be read, in ``unit``.
    """

    unit: str
    kn_per_unit: float
    step: float

    def shown(self, force_kn: float) -> float:
        """What it shows under ``force_kn``."""
        return force_kn / self.kn_per_unit

    def force_kn(self, shown: float) -> float:
        """Force when it shows ``shown``."""
        return shown * self.kn_per_unit

    def text(self, force_kn: float) -> str:
        """``0.33 tf`` for a force, with as many decimals as can be read."""
        decimals = max(0, math.ceil(-math.log10(self.step) - 1e-9))
        return f"{self.shown(force_kn):.{decimals}f} {self.unit}"


class Kind(StrEnum):
    """What one question is about."""

    HEAT = "heat"
    PUMP = "pump"  # bring the gauge to a value, up or down
    HOLD = "hold"
    RELEASE = "release"
    SETTLE = "settle"
    ROLL = "roll"


@dataclass(frozen=True, slots=True)
class Field:
    """One value to report.

    Attributes:
        name: Key of the answer.
        label: What to read, in words.
        unit: In which unit, as on the instrument.
        low, high: What is possible at all, in ``unit``.
        asked: What it should be; ``None``: whatever it is.
        slack: How far from ``asked`` it may be without a word on why.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    asked: float | None = None
    slack: float = math.inf


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that a person is to do, and what is to be reported of it.

    Attributes:
        number: From 1 within a trial.
        kind: What it is about.
        title: One line.
        lines: What to do, in order.
        fields: What to enter, each value twice; none: only that it is done.
        timer_s: How long it takes, s; 0: no timer.
        early: Whether an answer before the end of the timer is fine.
        stage: Name of the stage; empty: on the way to the measurement.
        problem: Why the last answer was not taken; empty at first.
    """

    number: int
    kind: Kind
    title: str
    lines: tuple[str, ...]
    fields: tuple[Field, ...] = ()
    timer_s: float = 0.0
    early: bool = True
    stage: str = ""
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values; what is unlimited is left out."""
        plain = asdict(self)
        plain["lines"] = list(self.lines)
        plain["fields"] = [
            {key: value for key, value in asdict(one).items() if value is not None and value != math.inf}
            for one in self.fields
        ]
        return plain

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Question:
        """Rebuild what :meth:`to_json` returned."""
        values = dict(plain)
        values["kind"] = Kind(values["kind"])
        values["lines"] = tuple(values["lines"])
        values["fields"] = tuple(Field(**one) for one in values["fields"])
        return Question(**values)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says of one question.

    Attributes:
        number: Of the question.
        values: By name of the field.
        again: The same, entered a second time.
        why: A word on why it deviates from what was asked; empty: it does not.
        elapsed_s: Time since the question was put, s, by the clock of the campaign; ``None``: nobody timed it.
    """

    number: int
    values: Mapping[str, float] = field(default_factory=dict)
    again: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    elapsed_s: float | None = None


def problem_of(question: Question, answer: Answer) -> str:
    """Say what is wrong with an answer, all at once; empty when it can be taken.

    Checks that each value was entered twice alike, is possible at all, and that what deviates is explained.
    """
    wrong = []
    known = {one.name for one in question.fields}
    wrong += [f"'{name}' was not asked for" for name in answer.values if name not in known]
    for one in question.fields:
        value, again = answer.values.get(one.name), answer.again.get(one.name)
        if value is None or not math.isfinite(value):
            wrong.append(f"{one.label}: enter a number in {one.unit}")
        elif again is None:
            wrong.append(f"{one.label}: enter it a second time")
        elif abs(value - again) > SAME_REL * max(abs(value), abs(again)):
            wrong.append(f"{one.label}: {value:g} and {again:g} {one.unit} were entered: which one is it?")
        elif not one.low <= value <= one.high:
            wrong.append(
                f"{one.label}: {value:g} {one.unit} is not possible here ({one.low:g} to {one.high:.4g}): "
                "is it another unit?"
            )
        elif one.asked is not None and abs(value - one.asked) > one.slack and not answer.why:
            wrong.append(
                f"{one.label}: {value:g} {one.unit} instead of {one.asked:.4g}: is it another unit? If it was so, "
                "say why"
            )
    timed = answer.elapsed_s is not None and question.timer_s > 0 and not question.early
    if timed and cast(float, answer.elapsed_s) < question.timer_s * (1 - EARLY_REL) and not answer.why:
        left_s = question.timer_s - cast(float, answer.elapsed_s)
        wrong.append(f"{left_s:.0f} s are left: wait, or say why it ended earlier")
    return "; ".join(wrong)
