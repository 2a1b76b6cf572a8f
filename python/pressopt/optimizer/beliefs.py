"""What is believed about each quantity: a Gaussian process, alone or as the discrepancy of physics, and failures.

Everything here lives on the model's scale with the sign that makes less better, divided by one scale per quantity;
``components`` are Gaussians of a mixture: the members of the physics ensemble, and the process without physics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pressopt._core import GaussianProcess, log_normal_cdf
from pressopt.errors import InputError
from pressopt.optimizer.circumstances import alike, between_batches
from pressopt.optimizer.feasibility import Feasibility, feasibility
from pressopt.optimizer.goals import Objective, OutcomeConstraint, from_model, measurement_to_model, on_log_scale
from pressopt.optimizer.interior import COPIES, Bowls, bowls
from pressopt.optimizer.observation import Interval, Settings
from pressopt.optimizer.question import Prior, Question, SelectivePrior, achieved, draws_of
from pressopt.optimizer.space import key_of
from pressopt.optimizer.spoilt import Residuals, without_spoilt

Array = NDArray[np.float64]

#: Below so many observations nothing can be said against the physics.
_ENOUGH_TO_JUDGE = 3
#: Weight of physics, or of the plain process, below which it is left out.
_NEGLIGIBLE = 1e-4
#: Draws of the physics that stand for all in predictions: enough for quantiles, few enough to search with.
_KEPT_DRAWS = 32
#: Discrepancy of the physics: centre and spread of its log variance relative to the spread of the data: a third of
#: the spread, within a factor of four and a half (assumed).
_DISCREPANCY = (math.log(0.3**2), 1.5)
#: Variance of a constant factor between physics and truth, on a log scale: a factor of 1.6 either way (assumed).
_OFFSET_LOG = 0.5**2
#: The same on a linear scale, relative to the spread of the data (assumed).
_OFFSET_LINEAR = 0.3**2
#: Draws of the physics that count at least, effectively (assumed).
_LEAST_DRAWS = 8.0
#: Standard deviation of the reading of a spoilt cell around what its settings deserve: a factor of two on a log
#: scale, two spreads of the data otherwise (assumed).
_SPOILT_LOG, _SPOILT_LINEAR = math.log(2.0), 2.0


@dataclass(frozen=True)
class Mixture:
    """Gaussian mixtures at n points on the signed model scale: means and variances (n, c), log weights (c,)."""

    means: Array
    variances: Array
    log_weights: Array

    @property
    def mean(self) -> Array:
        """Shape (n,)."""
        mean: Array = self.means @ np.exp(self.log_weights)
        return mean

    @property
    def variance(self) -> Array:
        """Shape (n,): within and between the components."""
        mean = self.mean[:, None]
        variance: Array = (self.variances + (self.means - mean) ** 2) @ np.exp(self.log_weights)
        return variance

    def probability_below(self, value: float) -> Array:
        """Shape (n,)."""
        z = (value - self.means) / np.sqrt(self.variances)
        below: Array = np.exp(log_normal_cdf(z.ravel())).reshape(z.shape) @ np.exp(self.log_weights)
        return below

    def quantile(self, probability: float) -> Array:
        """Shape (n,): in closed form for one component, by bisection for more."""
        if self.means.shape[1] == 1:
            from statistics import NormalDist

            single: Array = self.means[:, 0] + NormalDist().inv_cdf(probability) * np.sqrt(self.variances[:, 0])
            return single
        reach = 10.0 * np.sqrt(self.variances)
        low, high = (self.means - reach).min(axis=1), (self.means + reach).max(axis=1)
        weights = np.exp(self.log_weights)
        for _ in range(45):
            middle = 0.5 * (low + high)
            z = (middle[:, None] - self.means) / np.sqrt(self.variances)
            below = np.exp(log_normal_cdf(z.ravel())).reshape(z.shape) @ weights < probability
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        middle_at_last: Array = 0.5 * (low + high)
        return middle_at_last


@dataclass(frozen=True)
class Draws:
    """Some members of the ensemble of the physics: draws of its parameters, with or without a bowl.

    Attributes:
        members: Shape (k,): their places in the ensemble.
        weights: Shape (k,): their weights, summing to one.
        count: Draws of the physics; member ``j`` belongs to draw ``j % count``.
    """

    members: NDArray[np.intp]
    weights: Array
    count: int

    @staticmethod
    def of(weights: Array, count: int) -> Draws:
        """At most ``_KEPT_DRAWS`` members that stand for all: systematic resampling, the same for the same
        weights.

        Source:
            Kitagawa, J. Comput. Graph. Stat. 5 (1996) 1.
        """
        share = weights / weights.sum()
        if len(share) <= _KEPT_DRAWS:
            members = np.flatnonzero(share > 0.0)
            return Draws(members, share[members] / share[members].sum(), count)
        marks = (np.arange(_KEPT_DRAWS) + 0.5) / _KEPT_DRAWS
        hits = np.minimum(np.searchsorted(np.cumsum(share), marks), len(share) - 1)
        members, counts = np.unique(hits, return_counts=True)
        return Draws(members, counts / _KEPT_DRAWS, count)

    def expect(self, prior: Prior, quantity: str, settings: Sequence[Settings]) -> Array:
        """Shape (k, n): what their draws of the physics expect, without bowls."""
        rows, back = np.unique(self.members % self.count, return_inverse=True)
        expected: Array = draws_of(prior, quantity, settings, rows)[back]
        return expected


@dataclass(frozen=True)
class Belief:
    """What is believed about one quantity.

    Attributes:
        quantity: Its name.
        sign: 1 when less is better, -1 when more is.
        shift: Signed mean of the data.
        scale: Standard deviation of the data, or of the physics while there are too few.
        plain: The process without physics; ``None`` when nothing was measured.
        discrepancy: The process on what physics leaves; ``None`` without physics.
        physics_share: Weight of the physics against the plain process, 0 to 1.
        physics_trust: The same without bowls: whether the physics as it stands foretells cells better than none.
        draws: The members of the ensemble of the physics that stand for all of them.
        bowls: What each member adds to its draw of the physics; ``None`` where nothing was measured that could
            tell.
        noise: Variance of one reading, scaled.
        batch: Variance that the readings of one batch share, scaled; part of ``noise``.
        doubted: Rows of the history whose readings are taken for those of spoilt cells.
    """

    quantity: str
    sign: float
    shift: float
    scale: float
    plain: GaussianProcess | None
    discrepancy: GaussianProcess | None = None
    physics_share: float = 0.0
    physics_trust: float = 0.0
    draws: Draws | None = None
    bowls: Bowls | None = None
    noise: float = 0.0
    batch: float = 0.0
    prior: Prior | None = None
    doubted: tuple[int, ...] = ()

    @property
    def pure(self) -> GaussianProcess | None:
        """The plain process when nothing else matters, so that gradients may be used; else ``None``."""
        return self.plain if self.physics_share == 0.0 else None

    def at(self, points: Array, settings: Sequence[Settings]) -> Mixture:
        """The prediction of the true value at points (n, dimension) that belong to the settings."""
        means, variances, weights = [], [], []
        if self.plain is not None and self.physics_share < 1.0:
            correction, variance = self.plain.predict(points)
            means.append(self.shift + self.scale * correction)
            variances.append(np.broadcast_to(self.scale**2 * variance[:, None], correction.shape))
            weights.append(np.array([math.log1p(-self.physics_share)]))
        if self.prior is not None and self.draws is not None and self.physics_share > 0.0:
            expected = self._expected(points, settings).T
            if self.discrepancy is not None:
                correction, variance = self.discrepancy.predict(points)
                expected = expected + self.scale * correction
                spread = self.scale**2 * variance[:, None]
            else:
                # Physics alone: what no instrument measures has no discrepancy that could be learned.
                spread = np.full((len(points), 1), 1e-4 * self.scale**2)
            means.append(expected)
            variances.append(np.broadcast_to(spread, expected.shape))
            weights.append(math.log(self.physics_share) + np.log(self.draws.weights))
        return Mixture(np.hstack(means), np.hstack(variances), np.concatenate(weights))

    def _expected(self, points: Array, settings: Sequence[Settings]) -> Array:
        """Shape (members, n): what physics and bowls expect, signed."""
        assert self.prior is not None, "asked where physics speaks"
        assert self.draws is not None, "physics speaks by draws"
        expected = self.sign * self.draws.expect(self.prior, self.quantity, settings)
        return expected if self.bowls is None else expected + self.bowls.at(points, self.draws.members)

    def grown(self, point: Array, settings: Settings) -> Belief:
        """As if the expected value had been read at a point: a pending trial teaches where not to look again."""
        plain, discrepancy = self.plain, self.discrepancy
        value = float(self.at(point[None, :], [settings]).mean[0])
        if plain is not None:
            plain = plain.grown(point, np.array([(value - self.shift) / self.scale]), 0.0)
        if discrepancy is not None and self.prior is not None and self.draws is not None:
            expected = self._expected(point[None, :], [settings])[:, 0]
            discrepancy = discrepancy.grown(point, (value - expected) / self.scale, 0.0)
        return replace(self, plain=plain, discrepancy=discrepancy)

    def interval(self, mixture: Mixture, probability: float = 0.95) -> list[Interval]:
        """Median and central interval at each point, in the quantity's own unit."""
        tail = 0.5 * (1.0 - probability)
        levels = [mixture.quantile(level) for level in (tail, 0.5, 1.0 - tail)]
        found = []
        for values in zip(*levels, strict=True):
            low, median, high = (from_model(self.quantity, self.sign * float(value)) for value in values)
            found.append(Interval(median, min(low, high), max(low, high), probability))
        return found


@dataclass(frozen=True)
class Beliefs:
    """Everything that the history says, quantity by quantity.

    Attributes:
        question: What was asked.
        objectives: One belief per objective.
        constraints: One belief per outcome constraint; its sign is 1.
        feasibility: Where trials succeed.
        points: Shape (n, dimension): where all trials were that say something, as achieved.
        settings: The same as settings that the press can set: as asked.
        valid: Shape (n,): which of them succeeded.
    """

    question: Question
    objectives: tuple[Belief, ...]
    constraints: tuple[Belief, ...]
    feasibility: Feasibility
    points: Array
    settings: tuple[Settings, ...]
    valid: NDArray[np.bool_]

    @property
    def pure(self) -> bool:
        """Whether every belief is a plain process, so that gradients may be used."""
        plain = all(belief.pure is not None for belief in (*self.objectives, *self.constraints))
        return plain and self.question.smooth and not self.feasibility.informed

    def log_success(self, points: Array, settings: Sequence[Settings]) -> Array:
        """Shape (n,): log probability that a trial does not fail; 0 where nothing is known."""
        return self.feasibility.log_success(points, settings)

    def waste(self, belief: Belief, mean: Array, points: Array, settings: Sequence[Settings]) -> Array:
        """Shape (n,): what failing cells cost, on the model's scale.

        For each cell that works 1 / success have to be pressed, so a result is worth ``value / success``, or
        ``value · success`` where more is better.
        """
        missing: Array = -np.maximum(self.log_success(points, settings), -30.0)
        return missing if on_log_scale(belief.quantity) else np.abs(mean) * missing

    def log_constraints(self, points: Array, settings: Sequence[Settings]) -> Array:
        """Shape (constraints, n): log probability that each outcome keeps its bounds."""
        rows = []
        for constraint, belief in zip(self.question.constraints, self.constraints, strict=True):
            mixture = belief.at(points, settings)
            low, high = constraint.model_bounds
            inside = mixture.probability_below(high) - mixture.probability_below(low)
            rows.append(np.log(np.maximum(inside, 1e-300)))
        return np.array(rows).reshape(len(rows), len(points))

    def with_pending(self, settings: Sequence[Settings]) -> Beliefs:
        """As if the expected values had been read at pending settings."""
        beliefs = self
        for one in settings:
            point = self.question.space.to_unit(one)
            beliefs = replace(
                beliefs,
                objectives=tuple(belief.grown(point, one) for belief in beliefs.objectives),
                constraints=tuple(belief.grown(point, one) for belief in beliefs.constraints),
            )
        return beliefs


def believe(question: Question, *, physics: bool) -> Beliefs | None:
    """Learn from the history; ``None`` when a quantity was never measured and no physics speaks for it.

    Args:
        question: History, goals and prior.
        physics: Whether the prior informs measured quantities; predicted ones always come from it.
    """
    told = [observation for observation in question.history if observation.feasible is not None]
    places = [achieved(question.space, observation) for observation in told]
    points = np.array([question.space.to_unit(place) for place in places]).reshape(-1, question.space.dimension)
    if isinstance(question.prior, SelectivePrior):
        question.prior.remember([*places, *question.space.probes])
    valid = np.array([bool(observation.feasible) for observation in told], dtype=bool)
    goals: list[Objective | OutcomeConstraint] = [*question.objectives, *question.constraints]
    possible = feasibility(points, places, valid, question.prior if physics else None)
    measured: dict[str, Belief] = {}
    draws: Draws | None = None
    for goal in goals:
        if goal.source == "measured" and goal.quantity not in measured:
            belief = _learn(question, goal.quantity, places, points, possible, physics=physics)
            if belief is None:
                return None
            measured[goal.quantity] = belief
            if draws is None and belief.discrepancy is not None:
                draws = belief.draws
    found = []
    for goal in goals:
        sign = goal.sign if isinstance(goal, Objective) else 1.0
        belief = measured[goal.quantity] if goal.source == "measured" else _foresee(question, goal.quantity, draws)
        found.append(_with_sign(question, belief, sign, places, points, possible, physics=physics))
    names = question.space.names
    keys = [key_of(question.space, observation.settings) for observation in told]
    settings = tuple(dict(zip(names, key, strict=True)) for key in keys)
    count = len(question.objectives)
    return Beliefs(
        question=question,
        objectives=tuple(found[:count]),
        constraints=tuple(found[count:]),
        feasibility=possible,
        points=points,
        settings=settings,
        valid=valid,
    )


def _with_sign(
    question: Question,
    belief: Belief,
    sign: float,
    places: Sequence[Settings],
    points: Array,
    possible: Feasibility,
    *,
    physics: bool,
) -> Belief:
    """The same belief with the sign that makes less better."""
    if sign == belief.sign:
        return belief
    if belief.plain is None:
        return replace(belief, sign=sign, shift=-belief.shift)
    learned = _learn(question, belief.quantity, places, points, possible, physics=physics, sign=sign)
    return learned if learned is not None else belief


def _speaks_of(question: Question, quantity: str) -> bool:
    """Whether there is physics that knows the quantity."""
    if question.prior is None:
        return False
    try:
        question.prior.draws(quantity, question.space.probes[:1])
    except KeyError:
        return False
    return True


def _foresee(question: Question, quantity: str, draws: Draws | None) -> Belief:
    """What physics alone expects."""
    assert question.prior is not None, "the recommender refuses predictions without a prior"
    if not _speaks_of(question, quantity):
        raise InputError(
            f"'{quantity}' is to be predicted, but the physics does not know it: measure it or leave it out"
        )
    spread = draws_of(question.prior, quantity, question.space.probes)
    scale = float(spread.std()) or 1.0
    kept = draws if draws is not None else Draws.of(np.ones(len(spread)), len(spread))
    return Belief(quantity, 1.0, 0.0, scale, None, None, 1.0, 1.0, kept, prior=question.prior)


def _learn(
    question: Question,
    quantity: str,
    places: Sequence[Settings],
    points: Array,
    possible: Feasibility,
    *,
    physics: bool,
    sign: float = 1.0,
) -> Belief | None:
    told = [observation for observation in question.history if observation.feasible is not None]
    rows = [
        row for row, observation in enumerate(told) if observation.feasible and quantity in observation.outcomes
    ]
    read = [measurement_to_model(quantity, told[row].outcomes[quantity]) for row in rows]
    y = sign * np.array([value for value, _ in read])
    variance = np.array([v for _, v in read])
    prior = question.prior if physics and _speaks_of(question, quantity) else None
    spread = float(y.std()) if len(y) > 1 else 0.0
    if prior is not None and len(y) < _ENOUGH_TO_JUDGE:
        sample = draws_of(prior, quantity, question.space.probes)
        spread = max(spread, float(sample.std(axis=1).mean()))
    size = float(np.abs(y).max()) if len(y) else 1.0
    # A constant has no spread; a tenth of its size (or one) stands for it until something differs.
    scale = spread if spread > 1e-12 * size and spread > 0 else (0.1 * size or 1.0)
    if not rows and prior is None:
        return None
    if not rows:
        assert prior is not None
        count = len(draws_of(prior, quantity, question.space.probes[:1]))
        weight = np.exp(_log_weights(possible, count))
        loss = bowls(question.space, quantity, count, scale)
        return Belief(quantity, sign, 0.0, scale, None, None, 1.0, 1.0, Draws.of(weight, count), loss, prior=prior)
    x, noise = points[rows], variance / scale**2
    shift = float(y.mean())
    botched = (_SPOILT_LOG / scale if on_log_scale(quantity) else _SPOILT_LINEAR) ** 2
    shared = alike([told[row] for row in rows], question.cells_per_batch)
    between = between_batches(quantity, scale) if shared is not None else None
    on_constant = Residuals(x, ((y - shift) / scale)[None, :], alike=shared, shared=between)
    if prior is None:
        plain, doubted = without_spoilt(on_constant, noise, botched)
        return Belief(
            quantity,
            sign,
            shift,
            scale,
            plain,
            noise=_noise(plain, noise),
            batch=plain.shared_variance,
            doubted=tuple(rows[row] for row in doubted),
        )
    physics_says = sign * draws_of(prior, quantity, [places[row] for row in rows])
    count = len(physics_says)
    loss = bowls(question.space, quantity, count, scale)
    expected = np.tile(physics_says, (COPIES, 1)) + loss.at(x, np.arange(COPIES * count))
    on_physics = Residuals(
        x,
        (y - expected) / scale,
        mean_variance=_OFFSET_LOG / scale**2 if on_log_scale(quantity) else _OFFSET_LINEAR,
        log_weights=_log_weights(possible, count),
        signal=_DISCREPANCY,
        alike=shared,
        shared=between,
    )
    discrepancy, doubted = without_spoilt(on_physics, noise, botched)
    # The same readings are doubted in both, so that they are judged by the same data.
    spread_of = noise.copy()
    spread_of[doubted] = botched
    plain = on_constant.fit(spread_of)
    draws = Draws.of(_tempered(discrepancy.weights), count)
    return Belief(
        quantity,
        sign,
        shift,
        scale,
        plain,
        discrepancy=discrepancy.with_members(draws.members.tolist()),
        physics_share=_share(discrepancy, plain),
        physics_trust=_share(discrepancy.with_members(list(range(count))), plain),
        draws=draws,
        bowls=loss,
        noise=_noise(discrepancy, noise),
        batch=discrepancy.shared_variance,
        prior=prior,
        doubted=tuple(rows[row] for row in doubted),
    )


def _log_weights(possible: Feasibility, count: int) -> Array:
    """Shape (members,): weights of the ensemble before anything was measured, by what failed and what did not."""
    told = possible.draw_log_likelihood
    return np.tile(told if told.size else np.zeros(count), COPIES)


def _noise(process: GaussianProcess, given: Array) -> float:
    """Variance of one more reading of a cell of its own batch."""
    return process.noise_variance + process.shared_variance + float(np.median(given))


def _tempered(weights: Array) -> Array:
    """The weights of the draws, evened out until as many as ``_LEAST_DRAWS`` still count.

    All draws are somewhat wrong; the one that fits by chance must not speak alone where nothing was read.

    Source:
        Grünwald and van Ommen, Bayesian Analysis 12 (2017) 1069 (likelihoods under a wrong model are tempered).
    """
    logs = np.log(np.maximum(weights, 1e-300))
    low, high = 0.0, 1.0
    power = 1.0
    for _ in range(12):
        tempered: Array = np.exp(power * (logs - logs.max()))
        tempered /= tempered.sum()
        enough = 1.0 / float(np.sum(tempered**2)) >= min(_LEAST_DRAWS, len(weights))
        if enough and power == 1.0:
            break
        low, high = (power, high) if enough else (low, power)
        power = 0.5 * (low + high)
    return tempered


def _share(discrepancy: GaussianProcess, plain: GaussianProcess) -> float:
    """Weight of the physics: how much better it foretells each reading from the others than the plain process.

    A sum over few readings is uncertain itself; its own scatter, by the bootstrap's normal limit, tempers it.

    Source:
        Yao, Vehtari, Simpson and Gelman, Bayesian Analysis 13 (2018) 917 (pseudo-BMA+); MacKay, Neural Comput. 4
        (1992) 720 (mean of a logistic function under a normal density).
    """
    count = plain.observations
    if count < _ENOUGH_TO_JUDGE:
        return 1.0
    gains = discrepancy.leave_one_out() - plain.leave_one_out()
    scatter = count * float(gains.var(ddof=1))
    gain = float(gains.sum()) / math.sqrt(1.0 + math.pi * scatter / 8.0)
    share = 1.0 / (1.0 + math.exp(-min(max(gain, -700.0), 700.0)))
    if share > 1.0 - _NEGLIGIBLE:
        return 1.0
    return share if share > _NEGLIGIBLE else 0.0
