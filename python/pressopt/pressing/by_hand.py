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
from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np

from pressopt.pressing.press import LaminatorCapability, PressCapability
from pressopt.pressing.protocol import Die, PressingProtocol, RollStage, Stage
from pressopt.pressing.questions import EARLY_REL, Answer, Field, Gauge, Kind, Question, problem_of
from pressopt.pressing.record import PressRecord, StageRecord

#: A value further from what was asked than this share, and than three steps of the gauge, needs a word on why.
UNEXPLAINED_REL = 0.25
UNEXPLAINED_STEPS = 3
#: Platens of a manual press take about this long per kelvin; shown as a guess only (assumed).
HEATING_S_PER_K = 5.0
#: The band in which a person keeps the gauge during a hold, relative; never less than one step of the gauge.
KEEP_REL = 0.05
#: A temperature further off than this needs a word on why, °C.
UNEXPLAINED_C = 5.0
#: What a load indicator adds to an answer: mean, standard deviation and highest force of the step.
MEAN, SPREAD, HIGHEST = "gauge_mean", "gauge_sd", "gauge_highest"
#: Force as an indicator showed it in the course of a step: (s since it was asked, kN), in order.
Trace = Sequence[tuple[float, float]]
#: Standard deviation of a ramp rate that nobody timed, relative (assumed).
UNTIMED_REL = 0.5


class IndicatedForce(Protocol):
    """One look at a load indicator: force, kN (NaN: none), whether its cell is overloaded, what is wrong."""

    @property
    def force_kn(self) -> float: ...
    @property
    def overload(self) -> bool: ...
    @property
    def fault(self) -> str: ...


class ForceIndicator(Protocol):
    """A load indicator under the sample, read by wire while a person works the press."""

    def read(self) -> IndicatedForce:
        """The present force; raises InstrumentError when it cannot be read."""
        ...

    def close(self) -> None: ...


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
        indicated: A load indicator under the sample tells the force by wire: nobody reads or enters it.
    """

    capability: PressCapability | LaminatorCapability
    gauge: Gauge
    die: Die
    other: tuple[tuple[str, float], ...] = (("kN", 1.0), ("tf", 9.80665))
    indicated: bool = False

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
                        f"Report as soon as the {self._shower} is there: the time under pressure counts "
                        "from then.",
                    ),
                    self._reported("the gauge now", step.force_kn),
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
            *self._reported("the gauge at the end, before you touch it", step.force_kn),
            Field("refills", "how often you pumped up again", "times", 0, 1000),
        ]
        if self.capability.heated:
            fields.append(self._temperature(step.temperature_c))
        low, high = self.gauge.text(step.force_kn - band_kn), self.gauge.text(step.force_kn + band_kn)
        return Question(
            number,
            step.kind,
            f"{where}: hold {self.gauge.text(step.force_kn)} for {step.seconds:g} s",
            (f"Keep the {self._shower} between {low} and {high}; below, pump up again and count it.",),
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
            self._reported("the gauge now", step.force_kn) if held else (),
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

    @property
    def _shower(self) -> str:
        return "load indicator" if self.indicated else "gauge"

    def _reported(self, label: str, force_kn: float) -> tuple[Field, ...]:
        """What the person reports of the force: nothing where an indicator tells it."""
        return () if self.indicated else (self._reading("gauge", label, force_kn),)

    def strayed(self, protocol: PressingProtocol, answer: Answer, force_kn: float) -> str:
        """Say that the indicated force is not what the step asks; empty when it is, or the person says why."""
        step = self.steps(protocol)[answer.number - 1]
        if answer.why or step.kind not in (Kind.PUMP, Kind.HOLD, Kind.RELEASE, Kind.SETTLE):
            return ""
        asked = self._reading("gauge", "", step.force_kn)
        if abs(self.gauge.shown(force_kn) - self.gauge.shown(step.force_kn)) <= asked.slack:
            return ""
        return (
            f"the load indicator shows {self.gauge.text(force_kn)} instead of {self.gauge.text(step.force_kn)}: "
            "bring it there, or say why it is otherwise"
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
        self,
        protocol: PressingProtocol,
        answers: Sequence[Answer],
        *,
        notes: Sequence[str] = (),
        traces: Mapping[int, Trace] | None = None,
    ) -> PressRecord:
        """What the cell got by ``answers``, as far as they go; ``traces``: what was seen, by question."""
        steps = self.steps(protocol)[: len(answers)]
        time_s, points = 0.0, [(0.0, 0.0, self.capability.min_c, -1)]
        deviations = list(notes)
        for step, answer in zip(steps, answers, strict=True):
            began_s, last_c = time_s, points[-1][2]
            time_s += self._lasted_s(step, answer)
            points += [
                (began_s + seen_s, seen_kn, last_c, step.stage)
                for seen_s, seen_kn in (traces or {}).get(answer.number, ())
                if began_s + seen_s < time_s
            ]
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
        step_kn = self.gauge.force_kn(self.gauge.step)
        if MEAN in held.values:  # an indicator saw the course
            mean_kn, varied_kn = (self.gauge.force_kn(held.values[name]) for name in (MEAN, SPREAD))
            highest_kn = self.gauge.force_kn(max(pumped.values.get(HIGHEST, 0.0), held.values[HIGHEST]))
        else:  # a fall nobody saw the course of is as likely anywhere between its ends
            mean_kn, varied_kn = float(ends_kn.mean()), float(np.ptp(ends_kn)) / math.sqrt(12)
            highest_kn = float(ends_kn.max())
        # One draw of load-cell class and friction; the eye on the gauge, or the display's step; and the course.
        sd_kn = math.sqrt((self.capability.force_sd_rel * mean_kn) ** 2 + step_kn**2 / 12 + varied_kn**2)
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
            overshoot_mpa=max(0.0, self.die.pressure_mpa(highest_kn) - stage.pressure_mpa),
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
        return "" if shown is None else self.too_high(self.gauge.force_kn(shown), limit_kn, "were reported")

    def too_high(self, force_kn: float, limit_kn: float, seen: str) -> str:
        """Say that a force is more than is allowed, by more than one step of the gauge; empty when it is not."""
        if force_kn <= limit_kn + self.gauge.force_kn(self.gauge.step):
            return ""
        return f"{self._say(force_kn)} {seen}, {self._say(limit_kn)} are allowed"

    def seen(self, trace: Trace) -> dict[str, float]:
        """What an indicator saw in the course of a step, in the unit of the gauge, as values of its answer."""
        time_s, force = np.array(trace).T
        force = force / self.gauge.kn_per_unit
        span_s = float(time_s[-1] - time_s[0])
        mean = float(np.trapezoid(force, time_s)) / span_s if span_s > 0 else float(force[-1])
        return {
            "gauge": float(force[-1]),
            MEAN: mean,
            SPREAD: float(np.std(force)),
            HIGHEST: float(force.max()),
        }


__all__ = [
    "Answer",
    "Field",
    "ForceIndicator",
    "Gauge",
    "HandPress",
    "IndicatedForce",
    "Kind",
    "Question",
    "Step",
    "Trace",
    "problem_of",
]
