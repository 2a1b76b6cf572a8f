"""The answer of a campaign: the protocol the model stands behind, and how sure it is of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pressopt.errors import InputError
from pressopt.optimizer.beliefs import Belief, Beliefs, believe
from pressopt.optimizer.candidates import as_settings, spread
from pressopt.optimizer.choice import RISKY, best_protocol, shortfall
from pressopt.optimizer.gaussian import most_gain, non_dominated
from pressopt.optimizer.goals import from_model, on_log_scale, to_model
from pressopt.optimizer.observation import Interval, Recommendation, Settings
from pressopt.optimizer.question import Question
from pressopt.optimizer.space import even_places

Array = NDArray[np.float64]

#: How much worse the result may become inside the process window, relative.
WINDOW_TOLERANCE = 0.1
#: Places at which each setting is looked at for the window.
_STEPS = 101
#: Places inside the joint window that are looked at: 2 to this power; and halvings of its size.
_BOX_PLACES, _BOX_STEPS = 5, 6
#: Base points for the shares of variation: 2 to this power.
_EFFECTS = 7


def recommend(question: Question, *, physics: bool) -> Recommendation:
    """The recommended protocol.

    Raises:
        InputError: An objective was never measured, so that nothing can be recommended.
    """
    beliefs = believe(question, physics=physics)
    if beliefs is None:
        raise InputError("nothing can be recommended before a trial was measured: finish one that succeeds")
    rng = question.generator(4)
    visited = beliefs.points[beliefs.valid]
    front: tuple[tuple[Settings, Mapping[str, Interval]], ...] = ()
    if len(beliefs.objectives) == 1:
        settings = best_protocol(beliefs, rng)
    else:
        settings, front = _best_of_front(beliefs, rng, visited)
    point = question.space.to_unit(settings)[None, :]
    expected = _expected(beliefs, point, settings)
    feasibility = _success_at(beliefs, point, settings)
    window = _window(beliefs, point[0], settings)
    return Recommendation(
        settings=settings,
        expected=expected,
        window=window,
        window_tolerance=WINDOW_TOLERANCE,
        feasibility=feasibility,
        evidence=int(beliefs.valid.sum()),
        effects=_effects(beliefs, rng),
        expected_gain=_expected_gain(beliefs, rng, point, settings),
        model=_model(beliefs, physics=physics),
        front=front,
        joint_window=_joint_window(beliefs, point[0], settings, window),
        target_probability=_target_probability(beliefs, point, settings),
        set_aside=_set_aside(beliefs),
    )


def _set_aside(beliefs: Beliefs) -> tuple[int, ...]:
    told = [one.trial for one in beliefs.question.history if one.feasible is not None]
    return tuple(sorted({told[row] for belief in beliefs.objectives for row in belief.doubted}))


def _expected(beliefs: Beliefs, point: Array, settings: Settings) -> dict[str, Interval]:
    both = (*beliefs.objectives, *beliefs.constraints)
    return {belief.quantity: belief.interval(belief.at(point, [settings]))[0] for belief in both}


def _success_at(beliefs: Beliefs, point: Array, settings: Settings) -> float:
    """Probability of success; without any failure, that of the rule of succession (Laplace 1774)."""
    if beliefs.feasibility.informed or beliefs.feasibility.classifier is not None:
        return float(np.exp(beliefs.log_success(point, [settings])[0]))
    return (len(beliefs.points) + 1.0) / (len(beliefs.points) + 2.0)


def _best_of_front(
    beliefs: Beliefs, rng: np.random.Generator, visited: Array
) -> tuple[Settings, tuple[tuple[Settings, Mapping[str, Interval]], ...]]:
    """The Pareto front by expected values, and the settings on it that an even compromise prefers."""
    question = beliefs.question
    visited = question.space.held(np.clip(visited, 0.0, 1.0))
    points = np.vstack([visited, spread(question, rng, 8, visited[-12:])])
    for width in (0.05, 0.02, 0.0):
        settable = [question.space.settable(question.space.from_unit(point)) for point in points]
        unique = {tuple(one.values()): one for one in settable if one is not None}
        options: list[Settings] = list(unique.values())
        admissible = question.admissible(options)
        options = [one for one, allowed in zip(options, admissible, strict=True) if allowed]
        if not options:
            raise InputError(
                "no settable protocol keeps all rules: widen limits, loosen relations or raise 'risk'"
            )
        points = np.array([question.space.to_unit(one) for one in options])
        values = np.column_stack([belief.at(points, options).mean for belief in beliefs.objectives])
        missing = shortfall(beliefs, points, options)
        kept = np.flatnonzero(missing >= missing.max() - 1e-12)
        best = kept[non_dominated(values[kept])]
        if width:
            noise = width * rng.standard_normal((len(best), 8, points.shape[1])) * np.array(question.space.free)
            cloud = np.clip(points[best][:, None, :] + noise, 0.0, 1.0).reshape(-1, points.shape[1])
            points = np.vstack([points[best], cloud[question.space.allowed(cloud)]])
    # People are shown medians, which need not rank as means do.
    shown_settings = [options[row] for row in best]
    medians = [belief.at(points[best], shown_settings).quantile(0.5) for belief in beliefs.objectives]
    best = best[non_dominated(np.column_stack(medians))]
    best = best[np.argsort(values[best, 0], kind="stable")]
    if len(best) > 24:
        best = best[np.unique(np.linspace(0, len(best) - 1, 24).round().astype(int))]
    front = values[best]
    span = np.ptp(front, axis=0)
    weights = np.array([objective.weight for objective in question.objectives])
    scaled = (front - front.min(axis=0)) / np.where(span > 0, span, 1.0) * weights / weights.sum()
    chosen = int(best[int(np.argmin(scaled.max(axis=1) + 0.05 * scaled.sum(axis=1)))])
    shown = tuple((options[row], _expected(beliefs, points[row][None, :], options[row])) for row in best)
    return options[chosen], shown


@dataclass(frozen=True)
class _GoodEnough:
    """Whether settings stay within the tolerance of the window: value, rules and probability of success."""

    beliefs: Beliefs
    point: Array
    settings: Settings

    @cached_property
    def _limits(self) -> tuple[list[float], float]:
        """Largest value of each objective on the model's scale, and the least probability of rules and success."""
        here = [belief.at(self.point[None, :], [self.settings]).mean[0] for belief in self.beliefs.objectives]
        largest = [v + _tolerance(belief, v) for belief, v in zip(self.beliefs.objectives, here, strict=True)]
        least = min(float(shortfall(self.beliefs, self.point[None, :], [self.settings])[0]), 0.0) - 0.05 * RISKY
        return largest, least

    def __call__(self, points: Array, settings: Sequence[Settings]) -> NDArray[np.bool_]:
        """Shape (n,)."""
        question, (largest, least) = self.beliefs.question, self._limits
        good = question.space.allowed(points) & (shortfall(self.beliefs, points, settings) >= least)
        if question.risk is not None:
            good &= question.risks(settings) <= question.risk
        for belief, limit in zip(self.beliefs.objectives, largest, strict=True):
            good &= belief.at(points, settings).mean <= limit
        return good


def _window(beliefs: Beliefs, point: Array, settings: Settings) -> dict[str, tuple[float, float]]:
    """Per number: the stretch around the recommended value within which the result stays good enough."""
    space = beliefs.question.space
    good_enough = _GoodEnough(beliefs, point, settings)
    window = {}
    for variable, columns in zip(space.variables, space.columns, strict=True):
        if not variable.numeric or variable.name in space.given:
            continue
        own = float(np.clip(point[columns.start], 0.0, 1.0))
        places = np.unique(np.append(np.linspace(0.0, 1.0, _STEPS), own))
        line = np.repeat(point[None, :], len(places), axis=0)
        line[:, columns.start] = places
        along: list[Settings] = [{**settings, variable.name: variable.from_unit(float(u))} for u in places]
        good = good_enough(line, along)
        centre = int(np.searchsorted(places, own))
        low = high = centre
        while low > 0 and good[low - 1]:
            low -= 1
        while high < len(places) - 1 and good[high + 1]:
            high += 1
        # The recommended value itself is as the press sets it; the ends come from the model.
        value_here = float(settings[variable.name])
        ends = variable.from_unit(float(places[low])), variable.from_unit(float(places[high]))
        window[variable.name] = (min(ends[0], value_here), max(ends[1], value_here))
    return window


def _joint_window(
    beliefs: Beliefs, point: Array, settings: Settings, window: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """The largest box of the window's shape around the recommended values all of whose looked-at places are good.

    Looked at are corners (of at most eight settings) and a Sobol net between; the box is found by bisection of its
    size, so what lies between the places is the model's smoothness.
    """
    space = beliefs.question.space
    good_enough = _GoodEnough(beliefs, point, settings)
    numbers = [
        (variable, columns.start)
        for variable, columns in zip(space.variables, space.columns, strict=True)
        if variable.name in window
    ]
    if not numbers:
        return {}
    count = len(numbers)
    net = even_places(count, _BOX_PLACES)
    if count <= 8:
        corners = np.array(list(itertools.product((0.0, 1.0), repeat=count)))
        net = np.vstack([net, corners])
    own = np.array([point[column] for _, column in numbers])
    low = np.array([variable.to_unit(window[variable.name][0]) for variable, _ in numbers])
    high = np.array([variable.to_unit(window[variable.name][1]) for variable, _ in numbers])

    def box(size: float) -> tuple[Array, Array]:
        return own + size * (low - own), own + size * (high - own)

    def good(size: float) -> bool:
        first, last = box(size)
        places = np.repeat(point[None, :], len(net), axis=0)
        places[:, [column for _, column in numbers]] = first + net * (last - first)
        return bool(good_enough(places, space.many_from_unit(places)).all())

    inside, outside = 0.0, 1.0
    if good(1.0):
        inside = 1.0
    else:
        for _ in range(_BOX_STEPS):
            middle = 0.5 * (inside + outside)
            inside, outside = (middle, outside) if good(middle) else (inside, middle)
    first, last = box(inside)
    found = {}
    for place, (variable, _) in enumerate(numbers):
        here = float(settings[variable.name])
        ends = variable.from_unit(float(first[place])), variable.from_unit(float(last[place]))
        found[variable.name] = (min(ends[0], here), max(ends[1], here))
    return found


def _target_probability(beliefs: Beliefs, point: Array, settings: Settings) -> dict[str, float]:
    """Per objective with a target: probability that the true value reaches it."""
    found = {}
    for objective, belief in zip(beliefs.question.objectives, beliefs.objectives, strict=True):
        if objective.target is not None:
            target = objective.sign * to_model(objective.quantity, objective.target)
            found[objective.quantity] = float(belief.at(point, [settings]).probability_below(target)[0])
    return found


def _tolerance(belief: Belief, value: float) -> float:
    """The loss that the window allows, on the model's scale."""
    if on_log_scale(belief.quantity):
        return math.log1p(WINDOW_TOLERANCE)
    return WINDOW_TOLERANCE * abs(float(value))


def _effects(beliefs: Beliefs, rng: np.random.Generator) -> dict[str, float]:
    """Share of the variation of the first objective's expected value that each setting takes part in.

    Source:
        Jansen, Comput. Phys. Commun. 117 (1999) 35 (total effects).
    """
    question, belief = beliefs.question, beliefs.objectives[0]
    space = question.space
    count = len(space.variables)
    net = (even_places(2 * count, _EFFECTS) + rng.random(2 * count)) % 1.0
    first, second = net[:, :count], net[:, count:]
    mixed = [first]
    for column in range(count):
        other = first.copy()
        other[:, column] = second[:, column]
        mixed.append(other)
    points = space.encode(np.vstack(mixed))
    mean = belief.at(points, as_settings(question, points)).mean.reshape(count + 1, -1)
    variance = float(mean[0].var())
    if variance <= 1e-18 * belief.scale**2:
        return dict.fromkeys(space.names, 0.0)
    shares = 0.5 * ((mean[1:] - mean[0]) ** 2).mean(axis=1) / variance
    return {name: float(min(share, 1.0)) for name, share in zip(space.names, shares, strict=True)}


def _expected_gain(beliefs: Beliefs, rng: np.random.Generator, point: Array, settings: Settings) -> float:
    """What one more trial is expected to improve the first objective, relative to its expected value."""
    single = replace(beliefs, objectives=beliefs.objectives[:1])
    belief = single.objectives[0]
    _, values = most_gain(single, rng)
    gain = math.exp(min(float(values[0]), 50.0)) if len(values) else 0.0
    if on_log_scale(belief.quantity):
        return -math.expm1(-gain)
    value = abs(from_model(belief.quantity, float(belief.at(point, [settings]).mean[0])))
    return gain / value if value > 0 else 0.0


def _model(beliefs: Beliefs, *, physics: bool) -> dict[str, float | str]:
    belief = beliefs.objectives[0]
    told: dict[str, float | str] = {"name": "physics-gp" if physics else "gp"}
    if physics:
        told["physics_weight"] = belief.physics_trust
    process = belief.discrepancy if belief.physics_share > 0.5 and belief.discrepancy is not None else belief.plain
    if process is not None:
        told["noise_sd"] = belief.scale * math.sqrt(process.noise_variance)
        told["signal_sd"] = belief.scale * math.sqrt(process.signal_variance)
        names = [
            f"{variable.name}" if variable.numeric else f"{variable.name}={choice}"
            for variable in beliefs.question.space.variables
            for choice in (variable.choices or ("",))
        ]
        for name, length in zip(names, process.length_scales, strict=True):
            told[f"length_scale.{name}"] = float(length)
    return told
