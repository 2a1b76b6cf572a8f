"""A trial that a person presses by hand: what is asked next, and what an answer leads to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from pressopt.campaign import events as e
from pressopt.campaign.journal import digest_of
from pressopt.campaign.replay import TrialState
from pressopt.clock import Clock, wall_monotonic_s, wall_pause_s
from pressopt.errors import InstrumentError
from pressopt.optimizer.observation import Settings
from pressopt.pressing import PressingProtocol, PressRecord
from pressopt.pressing.by_hand import Answer, ForceIndicator, HandPress, Kind, Question, Trace, problem_of
from pressopt.pressing.record import record_to_bytes
from pressopt.pressing.watch import Poll

#: What a person said, with the raw data (a photograph) that the event names by digest.
Said = tuple[e.PersonAnswered | e.Attached, tuple[bytes, ...]]
#: Asks a person at hand: (trial, open question, seconds left on its timer, what an indicator shows); returns at
#: once with what they said.
AskPerson = Callable[[TrialState, Question, float, str], Said | None]


#: Wall time between two looks at what somebody types, s.
TYPING_PAUSE_S = 0.05
#: Least time between two looks at an indicator, s of the laboratory or of the wall.
LOOK_S = 0.1


@dataclass(frozen=True)
class Told:
    """What is to be written down in one stroke, and said to the person.

    Attributes:
        events: In order.
        blobs: Raw data that they name by digest.
        actor: Who said it; empty: the runner.
        notice: What the person must know at once; empty: nothing.
    """

    events: tuple[e.Event, ...]
    blobs: tuple[bytes, ...] = ()
    actor: str = ""
    notice: str = ""


class Follower(Protocol):
    """What takes part in the work of a person without being told by wire: the virtual cell in a virtual press."""

    def place(self, cell: int) -> None:
        """Cell number ``cell`` lies in the open press."""
        ...

    def move(self, force_kn: float, *, over_s: float, temperature_c: float) -> None:
        """The person brings the press to this force and temperature within ``over_s``."""
        ...


@dataclass
class ByHand:
    """The one person at the one press; lives as long as a process.

    Args:
        press: What they work at.
        clock: Times steps and runs timers.
        limit_kn: Highest force that the experiment allows.
        achieved: What a record says of the variables of the experiment, given what was asked of them.
        follower: A virtual press, which does what the person says; ``None`` where there is a real one.
        indicator: Shows the force under the sample by wire; ``None``: the person reads a gauge.
        pause_s: Wall time between two looks for an answer, s.
    """

    press: HandPress
    clock: Clock
    limit_kn: float
    achieved: Callable[[PressRecord, Settings], dict[str, float]]
    follower: Follower | None = None
    indicator: ForceIndicator | None = None
    pause_s: float = 0.5
    _asked: dict[tuple[int, int], float] = field(default_factory=dict)
    _traces: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=dict)
    _looked: tuple[float, float] = (-math.inf, -math.inf)  # laboratory and wall time of the last look
    _shown: str = ""
    _blind: str = ""

    def first(self, trial: int, protocol: PressingProtocol) -> e.PersonAsked:
        """The first question of a trial."""
        return self._put(trial, self.press.question(protocol, ()), protocol)

    def again(self, trial: TrialState, protocol: PressingProtocol) -> e.PersonAsked | None:
        """The open question as a new process has to put it; ``None`` when this process has put it already."""
        if trial.question is None or (trial.number, trial.question.number) in self._asked:
            return None
        answers = [_answer(each) for each in trial.answers]
        question = self.press.question(protocol, answers, taken_up=True)
        self._asked[trial.number, question.number] = -1.0  # nobody timed it
        return e.PersonAsked(trial.number, question.number, question.to_json())

    def turn(
        self, trial: TrialState, protocol: PressingProtocol, *, ask: AskPerson | None, stop: bool
    ) -> Told | None:
        """One moment of a pressing: put the question, watch the force, hear the person, or let time pass.

        Args:
            trial: Being pressed, with an open question.
            protocol: What is asked of it.
            ask: Asks the person at hand; None: only the inbox is heard.
            stop: Somebody else breaks it off.
        """
        if stop:
            number = open_question(trial).number
            note = e.PersonAnswered(
                trial.number, number, action="abort", why="broken off on request", by="operator"
            )
            return self.heard(trial, note, protocol)
        again = self._again(trial, protocol)
        if again is not None:
            return Told((again,))
        alarm = self._watch(trial)
        if alarm:
            return self._ended(trial, protocol, _answers(trial), e.Faulted(trial.number, alarm), note=alarm)
        said = self._wait(trial, ask)
        if said is None:
            return None
        event, blobs = said
        if isinstance(event, e.PersonAnswered):
            return self.heard(trial, event, protocol)
        return Told((event,), blobs, actor=event.by)

    def heard(self, trial: TrialState, said: e.PersonAnswered, protocol: PressingProtocol) -> Told | None:
        """What an answer leads to; None for an answer to an older question.

        A refused answer leads to the same question with its problem. A force above the limit or ``abort`` ends the
        trial; the record tells what the cell got until then.
        """
        question = open_question(trial)
        if said.number != question.number:
            return None
        said = replace(said, elapsed_s=self._elapsed_s(trial.number, question))
        before = _answers(trial)
        if said.action == "abort":
            note = said.why or "broken off by the person at the press"
            given_up = (
                e.Faulted(trial.number, note),
                e.Resolved(trial.number, "discard", by=said.by, note=note),
            )
            return self._ended(trial, protocol, before, said, *given_up, note=note, actor=said.by)
        problem = problem_of(question, _answer(said)) or self._unseen(trial, question, said, protocol)
        if problem:
            asked = replace(question, problem=problem)
            return Told((e.PersonAsked(trial.number, asked.number, asked.to_json()),), actor=said.by)
        trace = self._traces.get((trial.number, question.number))
        if trace:
            said = replace(said, values={**said.values, **self.press.seen(trace)})
        answers = [*before, _answer(said)]
        over = self.press.over_limit(answers[-1], self.limit_kn)
        if over:
            return self._ended(
                trial, protocol, answers, said, e.Faulted(trial.number, over), note=over, actor=said.by
            )
        self._follow(protocol, answers)
        if len(answers) < len(self.press.steps(protocol)):
            put = self._put(trial.number, self.press.question(protocol, answers), protocol)
            return Told((said, put), actor=said.by)
        record = self.press.record(protocol, answers, traces=self._traces_of(trial))
        done, data = finished(trial, record, self.achieved(record, trial.settings))
        return Told((said, done), (data,), actor=said.by)

    def _again(self, trial: TrialState, protocol: PressingProtocol) -> e.PersonAsked | None:
        """The open question as a new process has to put it; ``None`` when this process has put it already."""
        if trial.question is None or (trial.number, trial.question.number) in self._asked:
            return None
        question = self.press.question(protocol, _answers(trial), taken_up=True)
        self._asked[trial.number, question.number] = -1.0  # nobody timed it
        return e.PersonAsked(trial.number, question.number, question.to_json())

    def _wait(self, trial: TrialState, ask: AskPerson | None) -> Said | None:
        """Ask, and let a moment of the timer (or of nobody's time) pass."""
        question = open_question(trial)
        elapsed_s = self._elapsed_s(trial.number, question)
        left_s = max(0.0, question.timer_s - elapsed_s) if elapsed_s is not None else 0.0
        said = ask(trial, question, left_s, self._shown) if ask is not None else None
        if said is not None:
            return said
        if left_s > 0:
            poll = Poll.on(self.clock)
            self.clock.sleep_s(min(left_s, poll.period_s(poll.hold_s, question.timer_s)))
        else:
            wall_pause_s(TYPING_PAUSE_S if ask is not None else self.pause_s)
        return None

    def _ended(
        self,
        trial: TrialState,
        protocol: PressingProtocol,
        answers: list[Answer],
        *events: e.Event,
        note: str,
        actor: str = "",
    ) -> Told:
        """The pressing is over before its end: what the cell got until now is kept with the fault."""
        record = self.press.record(protocol, answers, notes=(note,), traces=self._traces_of(trial))
        data = record_to_bytes(record)
        kept = tuple(
            replace(event, record=digest_of(data)) if isinstance(event, e.Faulted) else event for event in events
        )
        return Told(kept, (data,), actor, "release the press by hand now, and switch its heater off")

    # ---- the indicator

    def _watch(self, trial: TrialState) -> str:
        """Look at the indicator when it is time to; say what must end the pressing at once, empty: nothing."""
        question = open_question(trial)
        lab_s, wall_s = self.clock.now_s(), wall_monotonic_s()
        if self.indicator is None or max(lab_s - self._looked[0], wall_s - self._looked[1]) < LOOK_S:
            return ""
        self._looked = lab_s, wall_s
        self._shown, self._blind = "", ""
        try:
            seen = self.indicator.read()
        except InstrumentError as error:
            self._blind = str(error)
            return ""
        if seen.overload:
            return f"the load indicator is overloaded ({seen.fault or 'no more is known'})"
        if math.isnan(seen.force_kn):
            self._blind = seen.fault or "it shows no value"
            return ""
        self._shown = self.press.gauge.text(seen.force_kn)
        asked_s = self._asked.get((trial.number, question.number), -1.0)
        if asked_s < 0:  # taken up: the trace begins now
            asked_s = self._asked[trial.number, question.number] = lab_s
        self._traces.setdefault((trial.number, question.number), []).append((lab_s - asked_s, seen.force_kn))
        return self.press.too_high(seen.force_kn, self.limit_kn, "are shown by the load indicator")

    def _unseen(
        self, trial: TrialState, question: Question, said: e.PersonAnswered, protocol: PressingProtocol
    ) -> str:
        """Say why an answer cannot be taken by what the indicator shows; empty when it can, or there is none."""
        if self.indicator is None:
            return ""
        trace = self._traces.get((trial.number, question.number))
        if self._blind or not trace:
            why = self._blind or "it was not read yet"
            return f"the load indicator gives no force ({why}): look at it, then report again, or abort"
        return self.press.strayed(protocol, _answer(said), trace[-1][1])

    def _traces_of(self, trial: TrialState) -> dict[int, Trace]:
        return {number: trace for (its, number), trace in self._traces.items() if its == trial.number}

    # ---- putting questions

    def _put(self, trial: int, question: Question, protocol: PressingProtocol) -> e.PersonAsked:
        self._asked[trial, question.number] = self.clock.now_s()
        step = self.press.steps(protocol)[question.number - 1]
        if self.follower is not None and step.kind in (Kind.HEAT, Kind.PUMP, Kind.RELEASE):
            self.follower.move(step.force_kn, over_s=step.seconds, temperature_c=step.temperature_c)
        return e.PersonAsked(trial, question.number, question.to_json())

    def _follow(self, protocol: PressingProtocol, answers: list[Answer]) -> None:
        """Let a virtual press stand where the person says that theirs does; one that is read stands there."""
        shown = answers[-1].values.get("gauge")
        step = self.press.steps(protocol)[len(answers) - 1]
        if self.follower is None or self.indicator is not None:
            return
        if shown is not None and step.kind is Kind.PUMP:
            force_kn = self.press.gauge.force_kn(shown)
            if abs(force_kn - step.force_kn) > 1e-6:
                self.follower.move(force_kn, over_s=1.0, temperature_c=step.temperature_c)

    def _elapsed_s(self, trial: int, question: Question) -> float | None:
        asked_s = self._asked.get((trial, question.number), -1.0)
        return self.clock.now_s() - asked_s if asked_s >= 0 else None


def finished(
    trial: TrialState, record: PressRecord, achieved: dict[str, float]
) -> tuple[e.PressingFinished, bytes]:
    """The event that ends a pressing by hand, and its curves as bytes."""
    data = record_to_bytes(record)
    event = e.PressingFinished(
        trial=trial.number,
        record=digest_of(data),
        achieved=achieved,
        held_mpa=record.held_mpa,
        held_c=record.held_c,
        deviations=record.deviations,
    )
    return event, data


def open_question(trial: TrialState) -> Question:
    """The question that a trial waits with; raise ValueError where there is none."""
    if trial.question is None:
        raise ValueError(f"trial {trial.number} asks nothing")
    return Question.from_json(trial.question.question)


def _answer(event: e.PersonAnswered) -> Answer:
    return Answer(event.number, event.values, event.again, event.why, event.elapsed_s)


def _answers(trial: TrialState) -> list[Answer]:
    return [_answer(each) for each in trial.answers]


__all__ = ["AskPerson", "ByHand", "Follower", "Told", "finished", "open_question"]
