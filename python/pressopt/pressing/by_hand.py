"""Pressing by a person at a manual press: what to do next, what an answer must hold, and what the cell got.

The port between a campaign and whoever talks to the person (a terminal, a web page). It is made of values alone:

- The campaign writes a :class:`Question` into the journal (event ``PersonAsked``; ``TrialState.question`` while
  it is open): one thing to do, in the units of the gauge, with a timer where there is one, and what to report.
- Whoever talks to the person leaves an :class:`Answer` (event ``PersonAnswered``) as a wish in the journal's
  inbox, or hands it to the runner. Values are entered twice; :func:`problem_of` says what is wrong with them.
- A refused answer is asked for again, with :attr:`Question.problem`. ``action = "abort"`` is possible at any time.
- ``Attached`` puts a photograph or file beside a trial, at any time.

Nothing here knows a terminal, a clock or a store. Questions follow from the protocol and the answers so far, so a
program that was killed asks again what was open, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, cast

import numpy as np

from pressopt.pressing.press import LaminatorCapability, PressCapability
from pressopt.pressing.protocol import Die, PressingProtocol, RollStage, Stage
from pressopt.pressing.record import PressRecord, StageRecord

#: A value further from what was asked than this share, and than three steps of the gauge, needs a word on why.
UNEXPLAINED_REL = 0.25
UNEXPLAINED_STEPS = 3
#: A hold that ends earlier than this share of its time needs a word on why.
EARLY_REL = 0.05
#: Two entries of one value are the same when they differ by less than this share.
SAME_REL = 1e-6
#: Platens of a manual press take about this long per kelvin; shown as a guess only (assumed).
HEATING_S_PER_K = 5.0
#: The band in which a person keeps the gauge during a hold, relative; never less than one step of the gauge.
KEEP_REL = 0.05
#: A temperature further off than this needs a word on why, °C.
UNEXPLAINED_C = 5.0
#: Standard deviation of a ramp rate that nobody timed, relative (assumed).
UNTIMED_REL = 0.5


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


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a protocol by hand. ``stage`` is its index, -1 on the way to the measurement."""

    kind: Kind
    stage: int
    force_kn: float
    before_kn: float
    temperature_c: float
    seconds: float


@dataclass(frozen=True)
class HandPress:
    """A manual press with its die, as a person works it.

    Args:
        capability: What it can do.
        gauge: Where force is read.
        die: Area over which force becomes pressure.
        other: Further units in which to say a force: (unit, kN per unit).
    """

    capability: PressCapability | LaminatorCapability
    gauge: Gauge
    die: Die
    other: tuple[tuple[str, float], ...] = (("kN", 1.0), ("tf", 9.80665))

    # ------------------------------------------------------------------ what to do

    def steps(self, protocol: PressingProtocol) -> tuple[Step, ...]:
        """What is to be done, in order."""
        return tuple(self._rolling(protocol) if protocol.rolled else self._pressing(protocol))

    def _pressing(self, protocol: PressingProtocol) -> Iterator[Step]:
        before_kn, before_c = 0.0, self.capability.min_c
        for index, each in enumerate(protocol.stages):
            stage = cast(Stage, each)
            force_kn = self.die.force_kn(stage.pressure_mpa)
            if self.capability.heated and stage.temperature_c != before_c:
                yield self._heat(index, before_kn, before_c, stage.temperature_c)
            ramp_s = abs(force_kn - before_kn) / self.die.force_kn(stage.ramp_mpa_s)
            yield Step(Kind.PUMP, index, force_kn, before_kn, stage.temperature_c, ramp_s)
            yield Step(Kind.HOLD, index, force_kn, force_kn, stage.temperature_c, stage.dwell_s)
            before_kn, before_c = force_kn, stage.temperature_c
        goal_kn = self.die.force_kn(protocol.measure_at_mpa)
        down_s = abs(goal_kn - before_kn) / self.die.force_kn(protocol.release_mpa_s)
        kind = Kind.PUMP if goal_kn else Kind.RELEASE
        yield Step(kind, -1, goal_kn, before_kn, protocol.measure_at_c, down_s)
        if self.capability.heated and protocol.measure_at_c != before_c:
            yield self._heat(-1, goal_kn, before_c, protocol.measure_at_c)
        if protocol.settle_s or goal_kn:
            yield Step(Kind.SETTLE, -1, goal_kn, goal_kn, protocol.measure_at_c, protocol.settle_s)

    def _rolling(self, protocol: PressingProtocol) -> Iterator[Step]:
        before_c = self.capability.min_c
        for index, each in enumerate(protocol.stages):
            stage = cast(RollStage, each)
            if self.capability.heated and stage.temperature_c != before_c:
                yield self._heat(index, 0.0, before_c, stage.temperature_c)
            yield Step(Kind.ROLL, index, 0.0, 0.0, stage.temperature_c, 0.0)
            before_c = stage.temperature_c
        yield Step(Kind.SETTLE, -1, 0.0, 0.0, protocol.measure_at_c, protocol.settle_s)

    @staticmethod
    def _heat(stage: int, force_kn: float, from_c: float, to_c: float) -> Step:
        return Step(Kind.HEAT, stage, force_kn, force_kn, to_c, HEATING_S_PER_K * abs(to_c - from_c))

    def question(
        self, protocol: PressingProtocol, answers: Sequence[Answer], *, taken_up: bool = False
    ) -> Question:
        """The question that comes after ``answers``.

        Args:
            protocol: What is to be done.
            answers: What was answered until now, one for each question.
            taken_up: Whether the program was away while this question was open, so that nobody timed it.

        Raises:
            IndexError: Everything has been answered.
        """
        number = len(answers) + 1
        step = self.steps(protocol)[number - 1]
        asked = self._ask(step, protocol, number)
        if not taken_up:
            return asked
        lines = (
            "The program was away while this was open. Where it is done already, say what it was.",
            *asked.lines,
        )
        if asked.kind is Kind.HOLD:
            dwell = Field(
                "dwell_s", "time under pressure in all", "s", 0.0, 1e6, step.seconds, EARLY_REL * step.seconds
            )
            return replace(asked, lines=lines, fields=(*asked.fields, dwell), timer_s=0.0, early=True)
        return replace(asked, lines=lines, timer_s=0.0, early=True)

    def _ask(self, step: Step, protocol: PressingProtocol, number: int) -> Question:
        name = protocol.stages[step.stage].name if step.stage >= 0 else ""
        where = f"stage '{name}'" if name else "for the measurement"
        match step.kind:
            case Kind.HEAT:
                return Question(
                    number,
                    step.kind,
                    f"{where}: platens to {step.temperature_c:g} °C",
                    (
                        f"Set both platens to {step.temperature_c:g} °C and wait until they hold it.",
                        f"Leave the gauge at {self._say(step.force_kn)} meanwhile.",
                    ),
                    (self._temperature(step.temperature_c),),
                    timer_s=step.seconds,
                    stage=name,
                )
            case Kind.PUMP:
                way = "Pump up" if step.force_kn > step.before_kn else "Let down"
                return Question(
                    number,
                    step.kind,
                    f"{where}: {way.lower()} to {self.gauge.text(step.force_kn)}",
                    (
                        f"{way} from {self.gauge.text(step.before_kn)} to {self._say(step.force_kn)}, evenly, "
                        f"in about {step.seconds:.0f} s.",
                        "Report as soon as the gauge is there: the time under pressure counts from then.",
                    ),
                    (self._reading("gauge", "the gauge now", step.force_kn),),
                    timer_s=step.seconds,
                    stage=name,
                )
            case Kind.HOLD:
                return self._hold(step, number, where, name)
            case Kind.RELEASE:
                return Question(
                    number,
                    step.kind,
                    f"{where}: release",
                    (f"Open the valve and let the gauge fall to 0 in about {step.seconds:.0f} s.",),
                    timer_s=step.seconds,
                )
            case Kind.ROLL:
                return self._roll(step, cast(RollStage, protocol.stages[step.stage]), number)
            case _:
                return self._settle(step, number)

    def _hold(self, step: Step, number: int, where: str, name: str) -> Question:
        band_kn = max(KEEP_REL * step.force_kn, self.gauge.force_kn(self.gauge.step))
        fields = [
            self._reading("gauge", "the gauge at the end, before you touch it", step.force_kn),
            Field("refills", "how often you pumped up again", "times", 0, 1000),
        ]
        if self.capability.heated:
            fields.append(self._temperature(step.temperature_c))
        low, high = self.gauge.text(step.force_kn - band_kn), self.gauge.text(step.force_kn + band_kn)
        return Question(
            number,
            step.kind,
            f"{where}: hold {self.gauge.text(step.force_kn)} for {step.seconds:g} s",
            (f"Keep the gauge between {low} and {high}; below, pump up again and count it.",),
            tuple(fields),
            timer_s=step.seconds,
            early=False,
            stage=name,
        )

    def _settle(self, step: Step, number: int) -> Question:
        held = step.force_kn > 0
        return Question(
            number,
            step.kind,
            f"for the measurement: leave the cell alone for {step.seconds:g} s",
            ("Connect the cell, then leave press and cell alone: the measurement starts after your report.",),
            (self._reading("gauge", "the gauge now", step.force_kn),) if held else (),
            timer_s=step.seconds,
            early=False,
        )

    @staticmethod
    def _roll(step: Step, stage: RollStage, number: int) -> Question:
        def field_(name: str, label: str, unit: str, asked: float) -> Field:
            return Field(name, label, unit, 0.0, 1e4, asked, UNEXPLAINED_REL * asked)

        return Question(
            number,
            step.kind,
            f"stage '{stage.name}': {stage.passes} passes at {stage.line_force_n_mm:g} N/mm",
            (
                f"Set {stage.line_force_n_mm:g} N/mm, {stage.speed_mm_s:g} mm/s, {stage.temperature_c:g} °C.",
                f"Run the cell through {stage.passes} times.",
            ),
            (
                field_("line_force_n_mm", "line force", "N/mm", stage.line_force_n_mm),
                field_("speed_mm_s", "speed", "mm/s", stage.speed_mm_s),
                Field("passes", "passes done", "times", 0, 1000, stage.passes, 0.5),
                Field(
                    "temperature_c", "temperature of the rolls", "°C", -50, 500, stage.temperature_c, UNEXPLAINED_C
                ),
            ),
            stage=stage.name,
        )

    def _reading(self, name: str, label: str, force_kn: float) -> Field:
        gauge = self.gauge
        slack = max(UNEXPLAINED_REL * gauge.shown(force_kn), UNEXPLAINED_STEPS * gauge.step)
        most = gauge.shown(1.5 * cast(PressCapability, self.capability).limit_kn)
        return Field(name, label, gauge.unit, 0.0, most, gauge.shown(force_kn), slack)

    @staticmethod
    def _temperature(asked_c: float) -> Field:
        return Field("temperature_c", "temperature of the platens", "°C", -50.0, 500.0, asked_c, UNEXPLAINED_C)

    def _say(self, force_kn: float) -> str:
        """A force in the unit of the gauge, then in others, then as pressure on the sample."""
        others = [f"{force_kn / per:.3g} {unit}" for unit, per in self.other if unit != self.gauge.unit]
        on_sample = f"{self.die.pressure_mpa(force_kn):.3g} MPa on the sample"
        return f"{self.gauge.text(force_kn)} ({'; '.join([*others, on_sample])})"

    # ------------------------------------------------------------------ what the cell got

    def record(
        self, protocol: PressingProtocol, answers: Sequence[Answer], *, notes: Sequence[str] = ()
    ) -> PressRecord:
        """What the cell got by ``answers``, as far as they go."""
        steps = self.steps(protocol)[: len(answers)]
        time_s, points = 0.0, [(0.0, 0.0, self.capability.min_c, -1)]
        deviations = list(notes)
        for step, answer in zip(steps, answers, strict=True):
            time_s += self._lasted_s(step, answer)
            shown = answer.values.get("gauge")
            force_kn = step.force_kn if shown is None else self.gauge.force_kn(shown)
            points.append((time_s, force_kn, answer.values.get("temperature_c", points[-1][2]), step.stage))
            if answer.why:
                name = protocol.stages[step.stage].name if step.stage >= 0 else "measurement"
                deviations.append(f"'{name}', {step.kind.value}: {answer.why}")
        columns = list(zip(*points, strict=True))
        complete = len(answers) == len(self.steps(protocol))
        return PressRecord(
            press=self.capability.name,
            time_s=np.array(columns[0], dtype=np.float64),
            force_kn=np.array(columns[1], dtype=np.float64),
            temperature_c=np.array(columns[2], dtype=np.float64),
            stage=np.array(columns[3], dtype=np.int64),
            stages=tuple(self._stages(protocol, steps, answers)),
            held_mpa=self.die.pressure_mpa(points[-1][1]) if complete else math.nan,
            held_c=points[-1][2] if complete and self.capability.heated else protocol.measure_at_c,
            deviations=tuple(deviations),
        )

    def _stages(
        self, protocol: PressingProtocol, steps: Sequence[Step], answers: Sequence[Answer]
    ) -> Iterator[StageRecord]:
        for index, stage in enumerate(protocol.stages):
            done = {
                step.kind: (step, answer)
                for step, answer in zip(steps, answers, strict=True)
                if step.stage == index
            }
            if isinstance(stage, RollStage):
                if Kind.ROLL in done:
                    yield self._rolled(stage, done[Kind.ROLL][1])
            elif Kind.HOLD in done:
                yield self._pressed(stage, done)

    def _pressed(self, stage: Stage, done: Mapping[Kind, tuple[Step, Answer]]) -> StageRecord:
        pump, pumped = done[Kind.PUMP]
        hold, held = done[Kind.HOLD]
        ends_kn = np.array([self.gauge.force_kn(answer.values["gauge"]) for answer in (pumped, held)])
        mean_kn = float(ends_kn.mean())
        step_kn = self.gauge.force_kn(self.gauge.step)
        # One draw of load-cell class and friction; the eye on the gauge; and a fall nobody saw the course of.
        sd_kn = math.sqrt(
            (self.capability.force_sd_rel * mean_kn) ** 2 + step_kn**2 / 12 + float(np.ptp(ends_kn)) ** 2 / 12
        )
        heat_c = [a.values["temperature_c"] for _, a in done.values() if "temperature_c" in a.values]
        mean_c = float(np.mean(heat_c)) if heat_c else stage.temperature_c
        timed = pumped.elapsed_s is not None and pumped.elapsed_s > 0
        change_mpa = self.die.pressure_mpa(abs(float(ends_kn[0]) - pump.before_kn))
        ramp_mpa_s = change_mpa / cast(float, pumped.elapsed_s) if timed else stage.ramp_mpa_s
        dwell_s = self._lasted_s(hold, held)
        return StageRecord(
            name=stage.name,
            asked={
                "pressure_mpa": stage.pressure_mpa,
                "ramp_mpa_s": stage.ramp_mpa_s,
                "dwell_s": stage.dwell_s,
                "temperature_c": stage.temperature_c,
            },
            achieved={
                "pressure_mpa": self.die.pressure_mpa(mean_kn),
                "ramp_mpa_s": ramp_mpa_s,
                "dwell_s": dwell_s,
                "temperature_c": mean_c,
            },
            achieved_sd={
                "pressure_mpa": self.die.pressure_mpa(sd_kn),
                "ramp_mpa_s": ramp_mpa_s * (self.capability.force_sd_rel if timed else UNTIMED_REL),
                "dwell_s": 1.0,
                "temperature_c": max(self.capability.temperature_sd_c, float(np.std(heat_c)) if heat_c else 0.0),
            },
            refills=round(held.values.get("refills", 0)),
            overshoot_mpa=max(0.0, self.die.pressure_mpa(float(ends_kn.max())) - stage.pressure_mpa),
            dose_mpa_s=self.die.pressure_mpa(mean_kn) * dwell_s,
        )

    def _rolled(self, stage: RollStage, answer: Answer) -> StageRecord:
        names = ("line_force_n_mm", "speed_mm_s", "passes", "temperature_c")
        rel = self.capability.force_sd_rel
        spread = {"line_force_n_mm": rel, "speed_mm_s": rel, "passes": 0.0, "temperature_c": 0.0}
        return StageRecord(
            name=stage.name,
            asked={name: float(getattr(stage, name)) for name in names},
            achieved={name: float(answer.values[name]) for name in names},
            achieved_sd={
                name: max(
                    spread[name] * answer.values[name],
                    self.capability.temperature_sd_c if name == "temperature_c" else 0.0,
                )
                for name in names
            },
        )

    @staticmethod
    def _lasted_s(step: Step, answer: Answer) -> float:
        if "dwell_s" in answer.values:
            return float(answer.values["dwell_s"])
        return step.seconds if answer.elapsed_s is None else answer.elapsed_s

    def over_limit(self, answer: Answer, limit_kn: float) -> str:
        """Say that the reported force is more than is allowed; empty when it is not."""
        shown = answer.values.get("gauge")
        if shown is None or self.gauge.force_kn(shown) <= limit_kn + self.gauge.force_kn(self.gauge.step):
            return ""
        return f"{self._say(self.gauge.force_kn(shown))} were reported, {self._say(limit_kn)} are allowed"


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


__all__ = ["Answer", "Field", "Gauge", "HandPress", "Kind", "Question", "Step", "problem_of"]
