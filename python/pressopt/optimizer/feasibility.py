"""Where trials succeed: a classifier whose prior mean is the physics of shorts and cracks, its threshold learned.

p_j(x)   probability of a failure at x by draw j of the physics, from its short, crack and damage hazards
b        shift of the log odds of all hazards: how far the physics misplaces its threshold
w_jb     posterior weight of draw j and shift b, from which trials failed and which did not
m(x)     probit of Σ w_jb σ(-(logit p_j(x) + b)): what the physics, so corrected, expects
g(x)     process behind a probit that learns what m gets wrong (Laplace's approximation)
s        weight of the process with physics against one without, by their evidence
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pressopt._core import SuccessClassifier
from pressopt.optimizer.observation import Settings
from pressopt.optimizer.question import Prior, draws_of

Array = NDArray[np.float64]

#: Predicted probabilities that each spoil a trial.
HAZARDS = ("short_probability", "crack_probability", "damage_probability")
#: Shifts of the log odds that are tried, and their spread beforehand: the threshold is known to a factor of about
#: ten in odds (assumed).
_SHIFTS = np.linspace(-8.0, 8.0, 17)
_SHIFT_SD = 2.5
#: A trial can fail, or succeed, for reasons that no model of settings knows (assumed).
_UNEXPLAINED = 0.03
#: Pairs of draw and shift that stand for all in predictions.
_KEPT_PAIRS = 32
#: The physics is never surer than this, on the probit scale: one in 160.
_SUREST = 2.5
#: Fewer trials than this say nothing about whether the physics helps.
_ENOUGH_TO_JUDGE = 4


@dataclass(frozen=True)
class Feasibility:
    """What the history says about where trials succeed.

    Attributes:
        classifier: The process without physics; ``None`` while nothing has failed.
        informed_classifier: The process on top of the physics; ``None`` while there is no trial.
        prior: The physics; ``None`` when it does not speak.
        draws, shifts: Shape (m,): draw and shift of each pair that is kept.
        weights: Shape (m,): their posterior weights, summing to one.
        physics_share: Weight of the process with physics, 0 to 1.
        draw_log_likelihood: Shape (k,): what failures and successes say about each draw of the physics.
    """

    classifier: SuccessClassifier | None
    informed_classifier: SuccessClassifier | None = None
    prior: Prior | None = None
    draws: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    shifts: Array = field(default_factory=lambda: np.zeros(0))
    weights: Array = field(default_factory=lambda: np.zeros(0))
    physics_share: float = 0.0
    draw_log_likelihood: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def informed(self) -> bool:
        """Whether the physics speaks."""
        return self.prior is not None and self.physics_share > 0.0

    def log_success(self, points: Array, settings: Sequence[Settings]) -> Array:
        """Shape (n,): log probability that a trial does not fail; 0 where nothing is known."""
        plain = self.classifier.log_probability(points) if self.classifier is not None else np.zeros(len(points))
        if not self.informed:
            return plain
        assert self.prior is not None
        kept, back = np.unique(self.draws, return_inverse=True)
        odds = hazard_log_odds(self.prior, settings, kept)
        mean = _probit(self.weights @ _success(odds[back] + self.shifts[:, None]))
        if self.informed_classifier is None:
            from scipy.special import log_ndtr

            informed: Array = log_ndtr(mean / math.sqrt(1.0 + SuccessClassifier.prior_variance()))
        else:
            informed = self.informed_classifier.log_probability(points, mean=mean)
        if self.physics_share == 1.0:
            return informed
        mixed: Array = np.logaddexp(
            math.log(self.physics_share) + informed, math.log1p(-self.physics_share) + plain
        )
        return mixed


def feasibility(
    points: Array, settings: Sequence[Settings], valid: NDArray[np.bool_], prior: Prior | None
) -> Feasibility:
    """Learn where trials succeed.

    Args:
        points: Shape (n, dimension): where trials were, in the unit cube.
        settings: The same as settings.
        valid: Shape (n,): which of them succeeded.
        prior: The physics, if it is to speak.
    """
    plain = SuccessClassifier.fit(points, valid.tolist()) if len(points) and not valid.all() else None
    if prior is None or not _known(prior, settings):
        return Feasibility(plain)
    odds = hazard_log_odds(prior, settings) if len(settings) else np.zeros((_count(prior), 0))
    log_weight = _log_weights(odds, valid)
    joint = np.exp(log_weight - np.logaddexp.reduce(log_weight, axis=None)).ravel()
    marks = (np.arange(_KEPT_PAIRS) + 0.5) / _KEPT_PAIRS
    hits = np.minimum(np.searchsorted(np.cumsum(joint), marks), joint.size - 1)
    pairs, counts = np.unique(hits, return_counts=True)
    draws, shifts = np.unravel_index(pairs, log_weight.shape)
    weights = counts / _KEPT_PAIRS
    informed = None
    if len(points):
        mean = _probit(weights @ _success(odds[draws] + _SHIFTS[shifts][:, None]))
        informed = SuccessClassifier.fit(points, valid.tolist(), mean=mean)
    share = 1.0
    if plain is not None and informed is not None and len(points) >= _ENOUGH_TO_JUDGE:
        gain = informed.log_evidence - plain.log_evidence
        share = 1.0 / (1.0 + math.exp(-min(max(gain, -30.0), 30.0)))
    by_draw: Array = np.logaddexp.reduce(log_weight, axis=1)
    return Feasibility(plain, informed, prior, draws, _SHIFTS[shifts], weights, share, by_draw - by_draw.max())


def hazard_log_odds(prior: Prior, settings: Sequence[Settings], rows: NDArray[np.intp] | None = None) -> Array:
    """Shape (k, n): log odds that a trial at these settings fails, by each draw of the physics or some rows."""
    survival: Array | float = 1.0
    for quantity in HAZARDS:
        try:
            survival = survival * (1.0 - draws_of(prior, quantity, settings, rows))
        except KeyError:  # this cell has no such hazard
            continue
    failure = np.clip(1.0 - np.asarray(survival), 1e-9, 1.0 - 1e-9)
    odds: Array = np.log(failure / (1.0 - failure))
    return odds


def _known(prior: Prior, settings: Sequence[Settings]) -> bool:
    """Whether the physics has any hazard for this cell."""
    for quantity in HAZARDS:
        try:
            prior.draws(quantity, settings[:1])
        except KeyError:
            continue
        return True
    return False


def _count(prior: Prior) -> int:
    """Number of draws of a physics that has been asked for no settings yet."""
    for quantity in HAZARDS:
        try:
            return len(np.asarray(prior.draws(quantity, [])))
        except KeyError:
            continue
    return 0


def _probit(success: Array) -> Array:
    """Prior mean of the latent function that gives this probability where no trial is near."""
    from scipy.special import ndtri

    width = math.sqrt(1.0 + SuccessClassifier.prior_variance())
    latent: Array = width * np.clip(ndtri(success), -_SUREST, _SUREST)
    return latent


def _success(odds: Array) -> Array:
    success: Array = 1.0 / (1.0 + np.exp(np.clip(odds, -60.0, 60.0)))
    return success


def _log_weights(odds: Array, valid: NDArray[np.bool_]) -> Array:
    """Shape (k, shifts): log posterior weight of each draw with each shift."""
    success = _success(odds[:, None, :] + _SHIFTS[None, :, None])
    success = _UNEXPLAINED + (1.0 - 2.0 * _UNEXPLAINED) * success
    likelihood = np.where(valid, np.log(success), np.log1p(-success)).sum(axis=2)
    weights: Array = likelihood - 0.5 * (_SHIFTS / _SHIFT_SD) ** 2
    return weights
