"""What a campaign has found, gathered once: every export is a way of writing an :class:`Answer`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pressopt.campaign.lifecycle import CampaignPhase, Phase
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.optimizer.observation import Interval, Recommendation, Settings
from pressopt.pressing import PressingProtocol

if TYPE_CHECKING:
    from pressopt.campaign.experiment import Experiment
    from pressopt.optimizer import Recommender
    from pressopt.surrogate import Prediction

#: Reason of the proposals that a comparison calls the initial design; see ``optimizer.Proposal.reason``.
INITIAL_DESIGN = "initial design"
#: Reason of a trial that measures the untouched cell, where a campaign has one.
UNTOUCHED = "untouched"
BEST_CELL = "best cell"
#: Standard deviations on either side of a normal value that hold 95 % of it.
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Reference:
    """A value that the recommended protocol is compared with.

    Attributes:
        name: ``untouched`` (first loading at 1 MPa and 25 °C), ``initial design`` (its best cell) or ``best cell``
            (the luckiest reading of all, which the model need not believe).
        value: In the quantity's unit.
        low, high: 95 % interval where one is known.
        source: Measured on a cell, or said by the physics alone.
        trial: Number of that cell, when measured.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    source: Literal["measured", "predicted"]
    trial: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One quantity that the experiment asks for, at the recommended settings.

    Attributes:
        quantity: Its name, unit included.
        direction: Whether less or more is better.
        source: ``predicted``: no instrument of this experiment measures it, the physics alone says so.
        target: What is good enough, or None.
        expected: Interval of the true value; None while there is no recommendation.
        references: What it is compared with.
    """

    quantity: str
    direction: Literal["minimize", "maximize"]
    source: Literal["measured", "predicted"]
    target: float | None
    expected: Interval | None
    references: tuple[Reference, ...] = ()

    def factor(self, reference: Reference) -> float | None:
        """How many times better the recommended protocol is than ``reference``; below 1: worse."""
        if self.expected is None or self.expected.median <= 0 or reference.value <= 0:
            return None
        ratio = reference.value / self.expected.median
        return ratio if self.direction == "minimize" else 1 / ratio

    @property
    def target_met(self) -> bool | None:
        """Whether the whole interval lies on the good side of the target; None without one."""
        if self.target is None or self.expected is None:
            return None
        if self.direction == "minimize":
            return self.expected.high <= self.target
        return self.expected.low >= self.target


@dataclass(frozen=True, slots=True)
class Evidence:
    """The cells behind an answer.

    Attributes:
        proposed: Trials begun.
        pressed: Cells that were pressed.
        valid: Cells with at least one measured value.
        failed: Cells by kind of failure.
        blameless: Of these, the kinds that say nothing about the settings.
        rejected: Trials given up.
        replicates: Cells pressed with settings that another cell had before.
        in_flight: Numbers of trials that have not ended.
        asking: Numbers of trials of which a person must say what was found.
    """

    proposed: int
    pressed: int
    valid: int
    failed: Mapping[str, int]
    blameless: tuple[str, ...]
    rejected: int
    replicates: int
    in_flight: tuple[int, ...]
    asking: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything that an export may say about a campaign.

    Attributes:
        experiment: What was asked.
        state: The journal, folded.
        recommendation: The answer, or None while nothing valid was measured.
        protocol: The recommended protocol, or None.
        results: One per objective, then one per further expected quantity.
        evidence: The cells behind it.
        open_because: Why this is not the last word; empty when the campaign is closed with an answer.
        assumed: Inputs of the physics that nobody has measured.
        sensitivity: Per numeric setting: the ends of its window, each with the result expected there.
        approved_by: Who released the protocol, where somebody did.
    """

    experiment: Experiment
    state: CampaignState
    recommendation: Recommendation | None
    protocol: PressingProtocol | None
    results: tuple[Result, ...]
    evidence: Evidence
    open_because: str
    assumed: tuple[str, ...] = ()
    sensitivity: Mapping[str, tuple[tuple[float, Interval], ...]] = field(default_factory=dict)
    approved_by: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the campaign is closed and has an answer."""
        return not self.open_because

    @property
    def status(self) -> str:
        """One sentence for the head of everything that leaves an unfinished or failed campaign; else empty."""
        if self.complete:
            return ""
        word = "No protocol" if self.recommendation is None else "Preliminary"
        return f"{word}: {self.open_because}."

    @property
    def predicted_only(self) -> tuple[str, ...]:
        """Quantities that nothing in this experiment measures: the physics alone speaks."""
        return tuple(result.quantity for result in self.results if result.source == "predicted")

    @property
    def main(self) -> Result:
        """The first objective."""
        return self.results[0]


def gather(
    experiment: Experiment,
    state: CampaignState,
    *,
    recommendation: Recommendation | None = None,
    untouched: Prediction | Mapping[str, Interval] | None = None,
    recommender: Recommender | None = None,
    approved_by: str | None = None,
) -> Answer:
    """Gather what a campaign has found.

    Args:
        experiment: What was asked.
        state: The journal, folded.
        recommendation: The answer as far as the data go, for a campaign that is not closed; a closed one carries
            its own.
        untouched: What the physics expects of the untouched cell; it also says which of its inputs are assumed.
        recommender: The campaign's engine: says what becomes of the result where a setting is missed.
        approved_by: Who released the protocol.
    """
    if state.closed is not None and state.closed.recommendation:
        recommendation = recommendation_from_json(state.closed.recommendation)
    protocol = experiment.protocol(recommendation.settings) if recommendation is not None else None
    return Answer(
        experiment=experiment,
        state=state,
        recommendation=recommendation,
        protocol=protocol,
        results=_results(experiment, state, recommendation, untouched_intervals(untouched)),
        evidence=evidence(state),
        open_because=_open_because(experiment, state, recommendation),
        assumed=() if untouched is None or isinstance(untouched, Mapping) else untouched.assumed,
        sensitivity=_sensitivity(state, recommendation, recommender),
        approved_by=approved_by,
    )


def _sensitivity(
    state: CampaignState, recommendation: Recommendation | None, recommender: Recommender | None
) -> dict[str, tuple[tuple[float, Interval], ...]]:
    """The result at both ends of each setting's window with the others kept; empty without an engine."""
    if recommendation is None or recommender is None or not recommendation.window:
        return {}
    from pressopt.export.pictures import CampaignModel

    measured = [goal.quantity for goal in recommender.objectives if goal.source == "measured"]
    if not measured:
        return {}
    model = CampaignModel(recommender, state.observations())
    ends = [(name, edge) for name, window in recommendation.window.items() for edge in window]
    expected = model.expected(measured[0], [{**recommendation.settings, name: edge} for name, edge in ends])
    found: dict[str, tuple[tuple[float, Interval], ...]] = {}
    for (name, edge), interval in zip(ends, expected, strict=True):
        found[name] = (*found.get(name, ()), (edge, interval))
    return found


def untouched_intervals(untouched: Prediction | Mapping[str, Interval] | None) -> Mapping[str, Interval]:
    """Return what the physics expects of the untouched cell, by quantity; empty when nobody asked it."""
    if untouched is None or isinstance(untouched, Mapping):
        return untouched or {}
    found = {}
    for quantity in untouched.quantities:
        low, median, high = (float(edge[0]) for edge in untouched.interval(quantity))
        found[quantity] = Interval(median, low, high)
    return found


def recommendation_from_json(plain: Mapping[str, Any]) -> Recommendation:
    """Return the recommendation that a closed campaign carries as plain JSON."""

    def intervals(items: Mapping[str, Any]) -> dict[str, Interval]:
        return {name: Interval(**item) for name, item in items.items()}

    return Recommendation(
        settings=dict(plain["settings"]),
        expected=intervals(plain["expected"]),
        window={name: (low, high) for name, (low, high) in plain["window"].items()},
        window_tolerance=plain["window_tolerance"],
        feasibility=plain["feasibility"],
        evidence=plain["evidence"],
        effects=dict(plain["effects"]),
        expected_gain=plain["expected_gain"],
        model=dict(plain["model"]),
        front=tuple((dict(settings), intervals(expected)) for settings, expected in plain.get("front", ())),
        joint_window={name: (low, high) for name, (low, high) in plain.get("joint_window", {}).items()},
        target_probability=dict(plain.get("target_probability", {})),
        set_aside=tuple(plain.get("set_aside", ())),
    )


def evidence(state: CampaignState) -> Evidence:
    """Count the cells behind an answer."""
    trials = list(state.trials.values())
    done = state.done
    seen: set[tuple[tuple[str, object], ...]] = set()
    replicates = 0
    for trial in trials:
        if not trial.pressings:
            continue
        key = tuple(sorted(trial.settings.items()))
        replicates += key in seen
        seen.add(key)
    failed = Counter(kind for trial in done for kind in trial.failures)
    return Evidence(
        proposed=len(trials),
        pressed=sum(trial.pressings > 0 for trial in trials),
        valid=sum(bool(trial.outcomes) for trial in done),
        failed=dict(sorted(failed.items())),
        blameless=tuple(sorted({kind for trial in done for kind in trial.blameless})),
        rejected=sum(trial.phase is Phase.REJECTED for trial in trials),
        replicates=replicates,
        in_flight=tuple(trial.number for trial in state.in_flight),
        asking=tuple(trial.number for trial in state.asking),
    )


def best_trial(trials: list[TrialState], quantity: str, direction: str) -> TrialState | None:
    """Return the cell with the best single reading of ``quantity`` that did not fail, or None."""
    fit = [trial for trial in trials if quantity in trial.outcomes and not trial.failures]
    if not fit:
        return None
    sign = 1.0 if direction == "minimize" else -1.0
    return min(fit, key=lambda trial: (sign * trial.outcomes[quantity][0], trial.number))


def nearest_trial(experiment: Experiment, state: CampaignState, settings: Settings) -> TrialState | None:
    """Return the valid cell pressed nearest to ``settings``, or None; the later one of equals."""
    import numpy as np

    fit = [trial for trial in state.done if trial.outcomes and not trial.failures]
    if not fit:
        return None
    goal = experiment.space.to_unit(settings)

    def distance(trial: TrialState) -> float:
        return float(np.linalg.norm(experiment.space.to_unit(trial.settings) - goal))

    return min(fit, key=lambda trial: (round(distance(trial), 9), -trial.number))


def _results(
    experiment: Experiment,
    state: CampaignState,
    recommendation: Recommendation | None,
    untouched: Mapping[str, Interval],
) -> tuple[Result, ...]:
    expected = recommendation.expected if recommendation is not None else {}
    found = []
    for objective in experiment.objectives:
        references = [
            _untouched_reference(state, objective.quantity, untouched),
            _initial_reference(state, objective.quantity, objective.direction),
            _best_reference(state, objective.quantity, objective.direction),
        ]
        found.append(
            Result(
                objective.quantity,
                objective.direction,
                objective.source,
                objective.target,
                expected.get(objective.quantity),
                tuple(reference for reference in references if reference is not None),
            )
        )
    return tuple(found)


def _untouched_reference(
    state: CampaignState, quantity: str, untouched: Mapping[str, Interval]
) -> Reference | None:
    for trial in state.done:
        if trial.reason == UNTOUCHED and quantity in trial.outcomes:
            return _measured_reference(UNTOUCHED, trial, quantity)
    if quantity in untouched:
        known = untouched[quantity]
        return Reference(UNTOUCHED, known.median, known.low, known.high, "predicted")
    return None


def _initial_reference(state: CampaignState, quantity: str, direction: str) -> Reference | None:
    best = best_trial([trial for trial in state.done if trial.reason == INITIAL_DESIGN], quantity, direction)
    return None if best is None else _measured_reference(INITIAL_DESIGN, best, quantity)


def _best_reference(state: CampaignState, quantity: str, direction: str) -> Reference | None:
    best = best_trial(state.done, quantity, direction)
    return (
        None if best is None or best.reason == INITIAL_DESIGN else _measured_reference(BEST_CELL, best, quantity)
    )


def _measured_reference(name: str, trial: TrialState, quantity: str) -> Reference:
    value, sd = trial.outcomes[quantity]
    return Reference(name, value, value - NORMAL_95 * sd, value + NORMAL_95 * sd, "measured", trial.number)


def _open_because(experiment: Experiment, state: CampaignState, recommendation: Recommendation | None) -> str:
    """Say why an answer is not the last word; empty when it is."""
    done, budget = len(state.done), experiment.budget.trials
    if state.phase is CampaignPhase.CLOSED:
        if recommendation is not None:
            return ""
        ended = state.closed.reason if state.closed is not None else ""
        return f"the campaign ended without a valid measurement ({ended})"
    if state.asking:
        numbers = ", ".join(str(trial.number) for trial in state.asking)
        return f"trial {numbers} waits for a person to say what was found (`pressopt resolve`)"
    where = "paused" if state.phase is CampaignPhase.PAUSED else "not finished"
    text = f"the campaign is {where}: {done} of {budget} trials are done"
    return text if any(trial.outcomes for trial in state.done) else f"{text}, none with a valid measurement"
