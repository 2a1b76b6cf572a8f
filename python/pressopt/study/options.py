"""What each option of simulated campaigns is worth: its values compared with everything else equal.

An option is the strategy, the size of the start, the size of a batch, the cells for each setting, or the budget.
Two of its values are compared on the same twin, in arms that differ in nothing else; the interval comes from
drawing twins, not campaigns, because campaigns on one twin are no independent evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.study.simulate import Arm, Curves, Simulate, bounded

Real = npt.NDArray[np.float64]

#: Resamples of the twins behind an interval.
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Effect:
    """One value of an option against another, everything else equal.

    Attributes:
        option: Which: a field of :class:`~pressopt.study.simulate.Arm`, or ``budget`` in cells.
        value, against: The two values; ``None``: as suits the strategy.
        difference: Median difference of the gap to the twin's optimum; negative: ``value`` is better.
        low, high: Its 95 % interval.
        twins: On how many twins both were tried.
    """

    option: str
    value: str | int | None
    against: str | int | None
    difference: float
    low: float
    high: float
    twins: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves no doubt which is better."""
        return self.low > 0 or self.high < 0

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"clear": self.clear}


def effects(job: Simulate, curves: Curves) -> list[Effect]:
    """Every value of every option that has several against its first one, and each budget against the one before.

    Source:
        Davison and Hinkley, Bootstrap Methods and their Application (1997), chapter 3 (whole clusters).
    """
    gaps = bounded(curves.gap)
    place = {arm: index for index, arm in enumerate(job.arms)}
    found = []
    for option in (field.name for field in fields(Arm)):
        first, *others = dict.fromkeys(getattr(arm, option) for arm in job.arms)
        for value in others:
            differences = [
                gaps[index, :, -1] - gaps[place[twin_arm], :, -1]
                for arm, index in place.items()
                if getattr(arm, option) == value and (twin_arm := replace(arm, **{option: first})) in place
            ]
            found += _effect(option, value, first, np.stack(differences))
    for before, after in zip(job.checkpoints, job.checkpoints[1:], strict=False):
        k = job.checkpoints.index(after)
        found += _effect("budget", after, before, gaps[:, :, k] - gaps[:, :, k - 1])
    return found


def _effect(option: str, value: str | int | None, against: str | int | None, differences: Real) -> list[Effect]:
    """From differences of shape (pairs of arms, twins), NaN where a campaign is not done."""
    tried = differences[:, ~np.isnan(differences).all(axis=0)]
    twins = tried.shape[1]
    if twins < 2:
        return []
    picks = np.random.default_rng(0).integers(0, twins, (_RESAMPLES, twins))
    medians = np.nanmedian(tried[:, picks], axis=(0, 2))
    low, high = np.quantile(medians, [0.025, 0.975])
    return [Effect(option, value, against, float(np.nanmedian(tried)), float(low), float(high), twins)]
