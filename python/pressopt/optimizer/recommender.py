"""What to press next and which protocol to recommend: a function of the history, without state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pressopt.errors import InputError, Violation
from pressopt.optimizer.answer import recommend
from pressopt.optimizer.goals import Objective, OutcomeConstraint
from pressopt.optimizer.observation import Observation, Proposal, Recommendation, Settings, Value
from pressopt.optimizer.question import Cost, Prior, Question
from pressopt.optimizer.repeating import REPEAT, average
from pressopt.optimizer.space import DesignSpace, key_of
from pressopt.optimizer.strategies import admissible_sample, strategy


@dataclass(frozen=True)
class Recommender:
    """Proposes trials and recommends a protocol, from the history alone.

    The same history, pending trials and seed give the same answer to the bit; nothing is remembered between calls.

    Attributes:
        space: What may be varied.
        objectives: What is to improve; several give a Pareto front.
        constraints: Outcomes that have to stay within bounds.
        strategy: Name of the engine: ``physics-gp``, ``gp``, ``skopt-gp``, ``skopt-forest``, ``sobol``, ``random``
            or one that was registered; empty for ``physics-gp`` with a prior and ``gp`` without.
        seed: The campaign's seed.
        initial: Space-filling trials before the strategy is asked; ``None`` for a number that suits the strategy.
        prior: The physics; needed by ``physics-gp``, by predicted objectives and constraints, and by ``risk``.
        replicates: How many cells each setting gets; ``None`` lets the model repeat settings where noise limits.
        risk: Upper bound on the predicted probability of a short, kept from the first trial on.
        cells_per_batch: How many cells share a foil, so that their readings err together; 0 when that does not
            matter or observations say their batch.
        cost: What a trial costs at some settings, in any unit, so that gain per cost is sought; ``None``: all the
            same.
        belief: Where a person expects the optimum: (best guess, spread) by setting, in its unit; on a log scale
            the spread is a factor. It fades as cells are pressed, right or wrong.

    Raises:
        InputError: Everything that does not fit together, at once.
    """

    space: DesignSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[OutcomeConstraint, ...] = ()
    strategy: str = ""
    seed: int = 0
    initial: int | None = None
    prior: Prior | None = None
    replicates: int | None = None
    risk: float | None = None
    cells_per_batch: int = 0
    cost: Cost | None = None
    belief: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "objectives", tuple(self.objectives))
        object.__setattr__(self, "constraints", tuple(self.constraints))
        if not self.strategy:
            object.__setattr__(self, "strategy", "gp" if self.prior is None else "physics-gp")
        wrong = self._mistakes()
        if wrong:
            raise InputError(wrong)

    def _mistakes(self) -> list[Violation]:
        wrong: list[Violation] = []
        try:
            strategy(self.strategy)
        except InputError as error:
            wrong += error.violations
        if bool(self.space.variables) == (self.strategy == REPEAT):
            message = (
                f"'{REPEAT}' presses one protocol again and again: vary nothing, or choose another strategy"
                if self.space.variables
                else f"nothing is varied: give at least one variable, or choose '{REPEAT}'"
            )
            wrong.append(Violation("space", message))
        if not self.objectives:
            wrong.append(Violation("objectives", "nothing is to improve: give at least one objective"))
        if self.prior is None:
            goals: list[Objective | OutcomeConstraint] = [*self.objectives, *self.constraints]
            needs = [goal.quantity for goal in goals if goal.source == "predicted"]
            wrong += [
                Violation(name, "is to be predicted, but there is no physics: give a prior") for name in needs
            ]
            if self.risk is not None:
                wrong.append(Violation("risk", "bounds a prediction, but there is no physics: give a prior"))
            if self.strategy == "physics-gp":
                wrong.append(Violation("strategy", "'physics-gp' needs physics: give a prior or choose 'gp'"))
        if self.risk is not None and not 0.0 < self.risk <= 1.0:
            wrong.append(
                Violation("risk", f"{self.risk} is no bound on a probability: give more than 0, at most 1")
            )
        if self.initial is not None and self.initial < 0:
            wrong.append(Violation("initial", f"{self.initial} trials cannot be done: give 0 or more"))
        known = {variable.name: variable for variable in self.space.variables if variable.numeric}
        for name, (guess, spread) in self.belief.items():
            if name not in known:
                wrong.append(
                    Violation(name, f"is no number that is varied: believe something about {sorted(known)}")
                )
            elif not (known[name].low <= guess <= known[name].high):
                wrong.append(
                    Violation(name, f"{guess:g} lies outside of the limits: believe in a value between them")
                )
            elif not spread > (1.0 if known[name].scale == "log" else 0.0):
                least = "a factor above 1" if known[name].scale == "log" else "a positive spread"
                wrong.append(Violation(name, f"a spread of {spread:g} is no doubt at all: give {least}"))
        if self.cells_per_batch < 0:
            wrong.append(
                Violation("cells_per_batch", f"{self.cells_per_batch} cells are no batch: give 0 or more")
            )
        if self.replicates is not None and self.replicates < 1:
            wrong.append(Violation("replicates", f"{self.replicates} cells cannot be pressed: give 1 or more"))
        return wrong

    @property
    def initial_trials(self) -> int:
        """Settings of the initial design: as asked; else 3 with physics, one per variable and one more without."""
        if self.strategy == REPEAT:
            return 0
        if self.initial is not None:
            return self.initial
        return 3 if self.strategy == "physics-gp" else max(4, len(self.space.variables) + 1)

    def ask(
        self,
        history: Sequence[Observation],
        pending: Sequence[Settings] = (),
        n: int = 1,
        *,
        given: Mapping[str, Value] | None = None,
    ) -> list[Proposal]:
        """The next ``n`` trials, each settable, inside limits, relations and the bound on the risk.

        Args:
            history: Finished trials, in order.
            pending: Settings of trials that are under way.
            n: How many proposals are wanted.
            given: Values of variables that are not to be chosen this time: the measured roughness or density of
                this pellet, a temperature that is held. Proposals carry them.

        Raises:
            InputError: ``n`` is not positive, a setting is unknown, or the rules leave no room.
        """
        if n < 1:
            raise InputError(f"{n} proposals were asked: ask at least one")
        question = self.question(history, pending, n, given=given)
        proposals = self._owed_replicates(question)[:n]
        done = [one.settings for one in question.history] + [one.settings for one in proposals]
        used = {key_of(self.space, settings) for settings in done} | question.taken
        start = self._start(question, len(used), n - len(proposals))
        proposals += start
        missing = n - len(proposals)
        if missing:
            under_way = (*question.pending, *(proposal.settings for proposal in proposals))
            asked = replace(question, pending=under_way, count=missing)
            proposals += self._checked(asked, strategy(self.strategy)(asked))
        return proposals

    def recommend(
        self, history: Sequence[Observation], *, given: Mapping[str, Value] | None = None
    ) -> Recommendation:
        """The protocol the model stands behind after these trials; whatever the strategy, by the model.

        Args:
            history: Finished trials, in order.
            given: Values that are not to be chosen, as for :meth:`ask`.

        Raises:
            InputError: Nothing was measured yet and no physics speaks, or no settable protocol keeps all rules.
        """
        if self.strategy == REPEAT:
            return average(self.question(history, given=given))
        return recommend(self.question(history, given=given), physics=self.strategy == "physics-gp")

    def question(
        self,
        history: Sequence[Observation],
        pending: Sequence[Settings] = (),
        n: int = 1,
        *,
        given: Mapping[str, Value] | None = None,
    ) -> Question:
        """Everything that a strategy may know, as one value."""
        return Question(
            space=self.space.with_given(given or {}),
            objectives=self.objectives,
            constraints=self.constraints,
            history=tuple(history),
            pending=tuple(pending),
            count=n,
            seed=self.seed,
            prior=self.prior,
            risk=self.risk,
            replicate=self.replicates is None,
            cells_per_batch=self.cells_per_batch,
            cost=self.cost,
            belief=self.belief,
        )

    def _owed_replicates(self, question: Question) -> list[Proposal]:
        """Settings that have not yet had as many cells as asked; blameless failures do not count as a cell."""
        owed: list[Proposal] = []
        if self.replicates is None or self.replicates == 1 or self.strategy == REPEAT:
            return owed
        cells: dict[tuple[Value, ...], int] = {}
        settings_of: dict[tuple[Value, ...], Settings] = {}
        tried = [one.settings for one in question.history if one.feasible is not None]
        for settings in (*tried, *question.pending):
            key = key_of(self.space, settings)
            cells[key] = cells.get(key, 0) + 1
            settings_of.setdefault(key, settings)
        for key, count in cells.items():
            owed += [Proposal(settings_of[key], "replicate")] * max(self.replicates - count, 0)
        return owed

    def _start(self, question: Question, tried: int, count: int) -> list[Proposal]:
        """What is still missing of the initial design."""
        missing = min(max(self.initial_trials - tried, 0), count)
        if not missing:
            return []
        if self.initial is None and self.strategy == "physics-gp":
            # Physics knows where to begin; only its first cells tell how far it can be trusted.
            asked = replace(question, count=missing)
            chosen = self._checked(asked, strategy(self.strategy)(asked))
            return [replace(proposal, reason="initial design") for proposal in chosen]
        found = admissible_sample(question, missing, tried)
        return [Proposal(settings, "initial design") for settings in found]

    def _checked(self, question: Question, proposals: Sequence[Proposal]) -> list[Proposal]:
        """The proposals as the press can set them; what is not allowed gives way to the Sobol sequence."""
        used = {key_of(self.space, settings) for settings in question.pending}
        kept: list[Proposal] = []
        for proposal in proposals[: question.count]:
            settings = question.space.settable({**proposal.settings, **question.space.given})
            if settings is None or not question.admissible([settings])[0]:
                continue
            key = tuple(settings.values())
            if key in used and proposal.reason != "replicate":
                continue
            used.add(key)
            kept.append(replace(proposal, settings=settings))
        skip = len(question.history) + len(question.pending) + len(kept)
        while len(kept) < question.count:
            # A space with fewer settings than trials has to repeat some.
            fresh = admissible_sample(question, 64, skip)
            others = [one for one in fresh if key_of(self.space, one) not in used] or fresh
            missing = others[: question.count - len(kept)]
            used |= {key_of(self.space, one) for one in missing}
            kept += [Proposal(settings, "space-filling") for settings in missing]
            skip += 64
        return kept
