"""The strategies ``gp`` and ``physics-gp``: where the next cell is expected to teach or improve most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pressopt._core import GaussianProcess, log_expected_improvement, log_hypervolume_gain, search_acquisition
from pressopt.optimizer.beliefs import Belief, Beliefs, believe
from pressopt.optimizer.candidates import as_settings, climb, spread
from pressopt.optimizer.choice import best_protocol
from pressopt.optimizer.observation import Proposal, Settings, Value
from pressopt.optimizer.question import Question
from pressopt.optimizer.relation import TOLERANCE
from pressopt.optimizer.space import key_of
from pressopt.optimizer.strategies import admissible_sample, register_strategy, sobol

Array = NDArray[np.float64]

#: Probability that a visited point has to keep its constraints with, to count as something to be beaten.
_EVEN_CHANCE = math.log(0.5)
#: Share of what failing cells cost that a search for gain reckons with, before any has failed (assumed; on twins
#: nothing makes it slow, and all of it keeps the search away from most good protocols).
_FEAR = 0.3
#: Variance of one reading, relative to that of the data, below which noise is no reason to repeat a cell: what a
#: fit believes before the data say anything (the centre of its prior), so that they have shown less.
_NOTABLE_NOISE = 0.01
#: Candidates of one search: 2 to this power where gradients refine them, and where they do not.
_NET = 9
_NET_WITHOUT_GRADIENTS = 8


def gp(question: Question) -> Sequence[Proposal]:
    """Expected improvement of a Gaussian process that knows no physics."""
    beliefs = believe(question, physics=False)
    return sobol(question) if beliefs is None else _propose(beliefs)


def physics_gp(question: Question) -> Sequence[Proposal]:
    """Expected improvement of physics with uncertain parameters plus a Gaussian-process discrepancy."""
    beliefs = believe(question, physics=True)
    return sobol(question) if beliefs is None else _propose(beliefs)


def _propose(beliefs: Beliefs) -> list[Proposal]:
    question = beliefs.question
    rng = question.generator(3)
    beliefs = beliefs.with_pending(question.pending)
    taken = set(question.taken)
    proposals: list[Proposal] = []
    for _ in range(question.count):
        proposal = _next(beliefs, rng, taken)
        proposals.append(proposal)
        taken.add(key_of(question.space, proposal.settings))
        if len(proposals) < question.count:
            beliefs = beliefs.with_pending([proposal.settings])
    return proposals


def _next(beliefs: Beliefs, rng: np.random.Generator, taken: set[tuple[Value, ...]]) -> Proposal:
    question = beliefs.question
    if len(beliefs.objectives) > 2:
        beliefs = one_of_many(beliefs, rng)
    if not beliefs.valid.any() and len(beliefs.objectives) == 1:
        # Before the first success there is nothing to improve on: the cell that is most likely to be good.
        sure = best_protocol(beliefs, rng)
        if key_of(question.space, sure) not in taken | {key_of(question.space, one) for one in beliefs.settings}:
            return described(beliefs, sure, "best guess")
    points, _ = most_gain(beliefs, rng)
    # Where a cell failed no second one is spent; where one succeeded only noise is a reason to come back.
    tried = {key_of(question.space, one) for one in beliefs.settings}
    fresh: Settings | None = _first_settable(question, points, taken | tried)
    if fresh is None:
        fresh = _first_settable(question, points, taken)
    if fresh is None:
        fresh = admissible_sample(question, 1, len(question.history) + len(taken))[0]
    if question.replicate and len(beliefs.objectives) == 1 and not _just_repeated(beliefs, taken):
        again = _worth_repeating(beliefs, fresh)
        if again is not None and question.admissible([again])[0]:
            return described(beliefs, again, "replicate")
    return described(beliefs, fresh, "expected improvement")


def _just_repeated(beliefs: Beliefs, taken: set[tuple[Value, ...]]) -> bool:
    """Whether a replicate is under way, or the last cell was one: between two of them something new is tried."""
    keys = [key_of(beliefs.question.space, one) for one in beliefs.settings]
    return not keys or keys[-1] in keys[:-1] or not taken.isdisjoint(keys)


def _first_settable(question: Question, points: Array, taken: set[tuple[Value, ...]]) -> dict[str, Value] | None:
    """The best point that the press can set, that keeps all rules, and that no pending trial has."""
    for point in points[:64]:
        settings = question.space.settable(question.space.from_unit(point))
        if settings is not None and tuple(settings.values()) not in taken and question.admissible([settings])[0]:
            return settings
    return None


def described(beliefs: Beliefs, settings: Settings, reason: str) -> Proposal:
    """A proposal with what the model expects of it."""
    point = beliefs.question.space.to_unit(settings)[None, :]
    predicted = {}
    for belief in (*beliefs.objectives, *beliefs.constraints):
        if belief.quantity:
            predicted[belief.quantity] = belief.interval(belief.at(point, [settings]))[0]
    feasibility = float(np.exp(beliefs.log_success(point, [settings])[0]))
    return Proposal(settings, reason, predicted, feasibility)


def most_gain(beliefs: Beliefs, rng: np.random.Generator) -> tuple[Array, Array]:
    """Points and their log expected gain on the signed model scale, the best first."""
    question = beliefs.question
    visited = beliefs.points[beliefs.valid]
    around = visited[_order(beliefs, visited)][:5] if len(visited) else visited
    if beliefs.pure:
        return _with_gradients(beliefs, spread(question, rng, _NET, around))
    start = spread(question, rng, _NET_WITHOUT_GRADIENTS, around)
    reached = _reached(beliefs, start)

    def value(points: Array, settings: Sequence[Settings]) -> Array:
        return gain(beliefs, points, settings, reached) + question.leaning(points)

    return climb(question, rng, value, start)


def _reached(beliefs: Beliefs, start: Array) -> float | tuple[Array, Array]:
    """What has to be improved on: a value, or a front with its corner."""
    return to_beat(beliefs, start)[0] if len(beliefs.objectives) == 1 else reached_front(beliefs, start)


def _order(beliefs: Beliefs, points: Array) -> NDArray[np.intp]:
    """Visited points from the best expected value of the first objective to the worst."""
    mean = beliefs.objectives[0].at(points, as_settings(beliefs.question, points)).mean
    return np.argsort(mean, kind="stable")


def _with_gradients(beliefs: Beliefs, candidates: Array) -> tuple[Array, Array]:
    question = beliefs.question
    models = [_plain(belief) for belief in beliefs.objectives]
    bounds = []
    for constraint, belief in zip(question.constraints, beliefs.constraints, strict=True):
        low, high = constraint.model_bounds
        bounds.append((_plain(belief), (low - belief.shift) / belief.scale, (high - belief.shift) / belief.scale))
    first = beliefs.objectives[0]
    best, rival, front = None, None, None
    if len(models) == 1:
        value, rival = to_beat(beliefs)
        best = (value - first.shift) / first.scale
    else:
        pairs, reference = reached_front(beliefs)
        shift = np.array([belief.shift for belief in beliefs.objectives])
        scale = np.array([belief.scale for belief in beliefs.objectives])
        front = (((pairs - shift) / scale).tolist(), ((reference - shift) / scale).tolist())
    points, values = search_acquisition(
        candidates,
        models,
        best=best,
        rival=rival,
        front=front,
        constraints=bounds,
        success=beliefs.feasibility.classifier,
        free=question.space.free,
        relations=question.space.linear_relations,
    )
    return points, values + sum(math.log(belief.scale) for belief in beliefs.objectives)


def _plain(belief: Belief) -> GaussianProcess:
    assert belief.pure is not None, "gradients are for plain processes only"
    return belief.pure


def gain(
    beliefs: Beliefs, points: Array, settings: Sequence[Settings], reached: float | tuple[Array, Array]
) -> Array:
    """Shape (n,): log expected gain on what was reached, probabilities of constraints included.

    With one objective a failure that is only feared costs little: a trial there teaches most. The more cells have
    failed, the more the probability of success counts, up to the full rule of Gardner et al., ICML 2014.
    """
    mixtures = [belief.at(points, settings) for belief in beliefs.objectives]
    if not isinstance(reached, tuple):
        only = mixtures[0]
        feared = _FEAR * beliefs.waste(beliefs.objectives[0], only.mean, points, settings)
        means, variances = only.means + feared[:, None], np.ascontiguousarray(only.variances)
        value = log_expected_improvement(means, only.log_weights, variances, reached)
        value += _log_news(beliefs.objectives[0], only.variance)
        failed = int((~beliefs.valid).sum())
        value += failed / (1.0 + failed) * beliefs.log_success(points, settings)
    else:
        pairs, reference = reached
        means = np.column_stack([mixture.mean for mixture in mixtures])
        variances = np.column_stack([mixture.variance for mixture in mixtures])
        value = log_hypervolume_gain(means, variances, (pairs.tolist(), reference.tolist()))
    if beliefs.constraints:
        value = value + beliefs.log_constraints(points, settings).sum(axis=0)
    return value + beliefs.log_success(points, settings) if isinstance(reached, tuple) else value


def _log_news(belief: Belief, variance: Array) -> Array:
    """Shape (n,): log share of the doubt in a reading that one reading removes; little where much was read before.

    Source:
        Huang, Allen, Notz and Zeng, J. Glob. Optim. 34 (2006) 441 (augmented expected improvement).
    """
    noise = belief.noise * belief.scale**2
    share: Array = 1.0 - np.sqrt(noise / (variance + noise)) if noise > 0.0 else np.ones_like(variance)
    return np.log(np.maximum(share, 1e-300))


def _good_enough(beliefs: Beliefs, points: Array, settings: Sequence[Settings]) -> NDArray[np.bool_]:
    """Shape (n,): whether constraints and success have at least an even chance."""
    likely = beliefs.log_success(points, settings) >= _EVEN_CHANCE
    if beliefs.constraints:
        likely &= (beliefs.log_constraints(points, settings) >= _EVEN_CHANCE).all(axis=0)
    return likely


def to_beat(beliefs: Beliefs, otherwise: Array | None = None) -> tuple[float, Array | None]:
    """The best expected true value among visited points, failing cells paid for where there is physics; and where.

    Under noise the luckiest reading is no measure.
    """
    belief = beliefs.objectives[0]
    points = beliefs.points[beliefs.valid]
    if not len(points):
        if otherwise is None:
            return belief.shift, None
        # An ordinary cell, not the best imaginable: that one would be worth any risk.
        usual = as_settings(beliefs.question, otherwise)
        mean = belief.at(otherwise, usual).mean
        return float(np.median(mean + beliefs.waste(belief, mean, otherwise, usual))), None
    settings = as_settings(beliefs.question, points)
    mean = belief.at(points, settings).mean
    if not beliefs.pure:
        mean = mean + beliefs.waste(belief, mean, points, settings)
    good = _good_enough(beliefs, points, settings)
    # While nothing keeps the constraints, nearly everything improves and their probability decides.
    if not good.any():
        return float(mean.max() + belief.scale), None
    best = int(np.flatnonzero(good)[np.argmin(mean[good])])
    return float(mean[best]), points[best]


def reached_front(beliefs: Beliefs, otherwise: Array | None = None) -> tuple[Array, Array]:
    """Expected pairs at visited points (n, 2), and the corner (2,) from which the dominated area counts."""
    points = beliefs.points[beliefs.valid]
    if not len(points) and otherwise is not None:
        points = otherwise
    settings = as_settings(beliefs.question, points)
    pairs = np.column_stack([belief.at(points, settings).mean for belief in beliefs.objectives])
    good = _good_enough(beliefs, points, settings)
    span = np.maximum(np.ptp(pairs, axis=0), [1e-9 * belief.scale for belief in beliefs.objectives])
    kept = pairs[good] if good.any() else pairs[:0]
    edge = kept[non_dominated(kept)] if len(kept) else pairs
    return kept, edge.max(axis=0) + 0.1 * span


def non_dominated(values: Array) -> NDArray[np.bool_]:
    """Shape (n,): whether no other row is at least as good everywhere and better somewhere; less is better."""
    kept = np.ones(len(values), dtype=bool)
    for row, value in enumerate(values):
        better = (values <= value).all(axis=1) & (values < value).any(axis=1)
        kept[row] = not better.any()
    return kept


def one_of_many(beliefs: Beliefs, rng: np.random.Generator) -> Beliefs:
    """Three or more objectives as one, by a random augmented Chebyshev norm of their expected values.

    Source:
        Knowles, IEEE Trans. Evol. Comput. 10 (2006) 50 (ParEGO).
    """
    points = beliefs.points[beliefs.valid]
    if not len(points):
        return replace(beliefs, objectives=beliefs.objectives[:1])
    settings = as_settings(beliefs.question, points)
    values = np.column_stack([belief.at(points, settings).mean for belief in beliefs.objectives])
    span = np.ptp(values, axis=0)
    scaled = (values - values.min(axis=0)) / np.where(span > 0, span, 1.0)
    weighted = scaled * rng.dirichlet(np.ones(values.shape[1]))
    single = weighted.max(axis=1) + 0.05 * weighted.sum(axis=1)
    shift, scale = float(single.mean()), float(single.std()) or 1.0
    process = GaussianProcess.fit(points, ((single - shift) / scale)[None, :], np.zeros(len(points)))
    return replace(beliefs, objectives=(Belief("", 1.0, shift, scale, process, noise=process.noise_variance),))


def _worth_repeating(beliefs: Beliefs, fresh: Settings) -> Settings | None:
    """The visited settings where another cell is worth more than a cell at fresh ones, if there are any.

    Both are judged alike: by how much the best expected value among the visited points and this one is expected to
    fall after one reading (knowledge gradient on those points). Where noise limits, that is at the contenders.

    Source:
        Frazier, Powell and Dayanik, INFORMS J. Comput. 21 (2009) 599; Binois, Huang, Gramacy and Ludkovski,
        Technometrics 61 (2019) 7.
    """
    question, belief = beliefs.question, beliefs.objectives[0]
    space = question.space
    unique = {key_of(space, one): one for one, valid in zip(beliefs.settings, beliefs.valid, strict=True) if valid}
    # Once cells fail, a repeated good one is also the safe choice: then any noise is a reason.
    if len(unique) < 2 or belief.noise <= (_NOTABLE_NOISE if beliefs.valid.all() else 0.0):
        return None
    places = np.array([space.to_unit(one) for one in unique.values()])
    inside = (np.abs(places - 0.5) <= 0.5 + TOLERANCE).all(axis=1) & space.allowed(places)
    inside &= np.array([space.given.items() <= one.items() for one in unique.values()])
    visited = [one for one, kept in zip(unique.values(), inside, strict=True) if kept]
    if len(visited) < 2:
        return None
    settings = [*visited, fresh]
    points = np.vstack([places[inside], space.to_unit(fresh)])
    good = _good_enough(beliefs, points, settings)
    mixture = belief.at(points, settings)
    mean, variance = mixture.mean + beliefs.waste(belief, mixture.mean, points, settings), mixture.variance
    change = variance / np.sqrt(variance + belief.noise * belief.scale**2)
    old = np.where(good[:-1], mean[:-1], np.inf)
    if not np.isfinite(old).any():
        return None
    first = int(np.argmin(old))
    others = np.delete(old, first)
    second = float(others.min()) if np.isfinite(others).any() else old[first] + 10 * belief.scale
    rival = np.full(len(settings), old[first])
    rival[first] = second
    distance = -np.abs(rival - mean)
    # E max(0, change · N(0, 1) + distance): what one reading is expected to move the best expected value.
    value = log_expected_improvement(-distance[:, None], np.zeros(1), (change**2)[:, None], 0.0)
    # A cell that fails has no reading.
    value = np.where(good, value + beliefs.log_success(points, settings), -np.inf)
    best = int(np.argmax(value[:-1]))
    return visited[best] if value[best] > value[-1] else None


register_strategy("gp", gp)
register_strategy("physics-gp", physics_gp)
