"""A trial that a person presses by hand: what is asked next, and what an answer leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from pressopt.campaign import events as e
from pressopt.campaign.journal import digest_of
from pressopt.campaign.replay import TrialState
from pressopt.clock import Clock, wall_pause_s
from pressopt.pressing import PressingProtocol, PressRecord
from pressopt.pressing.by_hand import Answer, HandPress, Kind, Question, problem_of
from pressopt.pressing.record import record_to_bytes
from pressopt.pressing.watch import Poll

#: What a person said, with the raw data (a photograph) that the event names by digest.
Said = tuple[e.PersonAnswered | e.Attached, tuple[bytes, ...]]
#: Asks a person at hand: (trial, open question, seconds left on its timer); returns at once with what they said.
AskPerson = Callable[[TrialState, Question, float], Said | None]


#: Wall time between two looks at what somebody types, s.
TYPING_PAUSE_S = 0.05


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
        follower: A virtual press, which does what the person says; ``None`` where there is a real one.
        pause_s: Wall time between two looks for an answer, s.
    """

    press: HandPress
    clock: Clock
    limit_kn: float
    follower: Follower | None = None
    pause_s: float = 0.5
    _asked: dict[tuple[int, int], float] = field(default_factory=dict)

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

    @staticmethod
    def number(trial: TrialState) -> int:
        """Number of the open question."""
        return open_question(trial).number

    def left_s(self, trial: TrialState) -> float:
        """What is left on the timer of the open question, s."""
        question = open_question(trial)
        elapsed_s = self._elapsed_s(trial.number, question)
        return max(0.0, question.timer_s - elapsed_s) if elapsed_s is not None else 0.0

    def wait(self, trial: TrialState, ask: AskPerson | None) -> Said | None:
        """Ask, and let a moment of the timer (or of nobody's time) pass."""
        question, left_s = open_question(trial), self.left_s(trial)
        said = ask(trial, question, left_s) if ask is not None else None
        if said is not None:
            return said
        if left_s > 0:
            poll = Poll.on(self.clock)
            self.clock.sleep_s(min(left_s, poll.period_s(poll.hold_s, question.timer_s)))
        else:
            wall_pause_s(TYPING_PAUSE_S if ask is not None else self.pause_s)
        return None

    def heard(
        self, trial: TrialState, said: e.PersonAnswered, protocol: PressingProtocol
    ) -> tuple[list[e.Event], PressRecord | None]:
        """What an answer leads to: events to be written in one stroke, and the record when the pressing is over.

        A refused answer leads to the same question with its problem. A force above the limit or ``abort`` ends the
        trial; the record tells what the cell got until then.
        """
        question = open_question(trial)
        if said.number != question.number:
            return [], None  # an answer to an older question
        elapsed_s = self._elapsed_s(trial.number, question)
        said = replace(said, elapsed_s=elapsed_s)
        before = [_answer(each) for each in trial.answers]
        if said.action == "abort":
            note = said.why or "broken off by the person at the press"
            return [said, *self._given_up(trial, note, said.by)], self.press.record(
                protocol, before, notes=(note,)
            )
        problem = problem_of(question, _answer(said))
        if problem:
            asked = replace(question, problem=problem)
            return [e.PersonAsked(trial.number, asked.number, asked.to_json())], None
        answers = [*before, _answer(said)]
        over = self.press.over_limit(answers[-1], self.limit_kn)
        if over:
            return [said, e.Faulted(trial.number, over)], self.press.record(protocol, answers, notes=(over,))
        self._follow(protocol, answers)
        if len(answers) < len(self.press.steps(protocol)):
            return [said, self._put(trial.number, self.press.question(protocol, answers), protocol)], None
        return [said], self.press.record(protocol, answers)

    @staticmethod
    def _given_up(trial: TrialState, note: str, by: str) -> list[e.Event]:
        return [e.Faulted(trial.number, note), e.Resolved(trial.number, "discard", by=by, note=note)]

    def _put(self, trial: int, question: Question, protocol: PressingProtocol) -> e.PersonAsked:
        self._asked[trial, question.number] = self.clock.now_s()
        step = self.press.steps(protocol)[question.number - 1]
        if self.follower is not None and step.kind in (Kind.HEAT, Kind.PUMP, Kind.RELEASE):
            self.follower.move(step.force_kn, over_s=step.seconds, temperature_c=step.temperature_c)
        return e.PersonAsked(trial, question.number, question.to_json())

    def _follow(self, protocol: PressingProtocol, answers: list[Answer]) -> None:
        """Let a virtual press stand where the person says that theirs does."""
        shown = answers[-1].values.get("gauge")
        step = self.press.steps(protocol)[len(answers) - 1]
        if self.follower is not None and shown is not None and step.kind is Kind.PUMP:
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


__all__ = ["AskPerson", "ByHand", "Follower", "finished", "open_question"]
