"""Where to look: candidates inside all rules, spread over the space and gathered around what is good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pressopt.optimizer.observation import Settings
from pressopt.optimizer.question import Question, SelectivePrior
from pressopt.optimizer.space import DesignSpace, even_places

Array = NDArray[np.float64]

#: Value of points and their settings, larger is better.
Valued = Callable[[Array, Sequence[Settings]], Array]

#: Widths of the clouds around good points, in units of the cube, and points in each.
_WIDTHS, _EACH = (0.1, 0.03, 0.01), 8
#: The same where every point costs an evaluation of the physics: the climb that follows makes its own clouds.
_FEW_WIDTHS, _FEW = (0.1, 0.02), 4
#: Nets that a space keeps; a campaign needs one, and more where its rules leave little room.
_NETS = 8


@dataclass(frozen=True)
class Candidates:
    """Points of the unit cube with their settings."""

    points: Array
    settings: tuple[Settings, ...]


def spread(question: Question, rng: np.random.Generator, log2_count: int, around: Array) -> Array:
    """Shape (n, dimension): a shifted Sobol net over the space and clouds around good points, inside all rules.

    With physics the net is the same for a whole campaign, so that the physics is asked for it once.
    """
    space, physics = question.space, isinstance(question.prior, SelectivePrior)
    for extra in range(7):
        if isinstance(question.prior, SelectivePrior):
            net_points, settings = _net(space, question.seed, log2_count, extra)
            question.prior.remember(settings)
        else:
            net = even_places(len(space.variables), log2_count + extra)
            net_points = space.encode((net + rng.random(net.shape[1])) % 1.0)
        found = _ruled(question, net_points)
        if len(found) >= 1 << (log2_count - 2):
            break
    if not len(found):
        sampled = space.sample(8, seed=question.seed, distinct=False)
        found = np.array([space.to_unit(settings) for settings in sampled])
    widths, each = (_FEW_WIDTHS, _FEW) if physics else (_WIDTHS, _EACH)
    clouds = [_cloud(question, rng, around, width, each) for width in widths] if len(around) else []
    return np.vstack([found, *clouds])


def _net(space: DesignSpace, seed: int, log2_count: int, extra: int) -> tuple[Array, tuple[Settings, ...]]:
    """The net of a whole campaign and its settings, made once: the same objects, whenever they are asked for."""
    known = space.known_nets.get((seed, log2_count, extra))
    if known is None:
        net = even_places(len(space.variables), log2_count + extra)
        shift = np.random.default_rng([seed, 5]).random((extra + 1, net.shape[1]))[extra]
        points = space.encode((net + shift) % 1.0)
        points.setflags(write=False)
        if len(space.known_nets) >= _NETS:
            space.known_nets.clear()
        known = space.known_nets[seed, log2_count, extra] = points, tuple(space.many_from_unit(points))
    return known


def _cloud(question: Question, rng: np.random.Generator, around: Array, width: float, count: int) -> Array:
    """Points around each of the given ones: real columns move, the others now and then jump."""
    free = np.array(question.space.free)
    centres = np.repeat(np.clip(around, 0.0, 1.0), count, axis=0)
    moved = centres + free * width * rng.standard_normal(centres.shape)
    # Beyond a limit the limit itself is the point of interest.
    moved = np.clip(moved, 0.0, 1.0)
    if not free.all():
        others = question.space.encode(rng.random((len(centres), len(question.space.variables))))
        jump = rng.random(len(centres)) < 0.3
        moved[np.ix_(jump, ~free)] = others[np.ix_(jump, ~free)]
    return _ruled(question, question.space.held(moved))


def _ruled(question: Question, points: Array) -> Array:
    kept = points[question.space.allowed(points)]
    if question.risk is not None and len(kept):
        kept = kept[question.risks(question.space.many_from_unit(kept)) <= question.risk]
    return kept


def climb(
    question: Question, rng: np.random.Generator, value: Valued, start: Array, *, rounds: int = 4
) -> tuple[Array, Array]:
    """The points found and their values, the best first, without gradients: clouds that shrink around the best."""
    points, values = start, value(start, as_settings(question, start))
    for step in range(rounds):
        order = np.argsort(-values, kind="stable")[:4]
        cloud = _cloud(question, rng, points[order], 0.12 * 0.4**step, 8)
        if not len(cloud):
            continue
        points = np.vstack([points, cloud])
        values = np.concatenate([values, value(cloud, as_settings(question, cloud))])
    order = np.argsort(-values, kind="stable")
    return points[order], values[order]


def as_settings(question: Question, points: Array) -> list[Settings]:
    """Settings at points of the unit cube, not yet on steps; none when nobody asks for them."""
    if question.prior is None and question.cost is None:
        return []
    return list(question.space.many_from_unit(points))
