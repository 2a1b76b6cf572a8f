"""Which rows nobody beats: the Pareto front of a table of costs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def front(costs: Real) -> Whole:
    """Rows that no other row dominates, ascending; of equal rows the first.

    Args:
        costs: Shape (n, m): less is better. A row that is not finite is on no front.

    Source:
        Kung, Luccio and Preparata, J. ACM 22 (1975) 469, for two columns; more are filtered by the row with the
        least sum of ranks, which is on the front, one after the other.
    """
    usable = np.flatnonzero(np.isfinite(costs).all(axis=1))
    if usable.size == 0:
        return usable
    return np.sort(usable[_two(costs[usable]) if costs.shape[1] <= 2 else _many(costs[usable])])


def _two(costs: Real) -> Whole:
    """Along one column upwards, what is better in the other than everything before it."""
    first, last = costs[:, 0], costs[:, -1]
    order = np.lexsort((np.arange(len(costs)), last, first))
    ranked = last[order]
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(ranked)[:-1]])
    return np.asarray(order[ranked < best_before])


def _many(costs: Real) -> Whole:
    # Equal values share a rank: what beats a row then has a smaller sum.
    ranks = np.sum([np.unique(column, return_inverse=True)[1] for column in costs.T], axis=0)
    left = np.lexsort((np.arange(len(costs)), ranks))
    found = []
    while left.size:
        chosen = left[0]
        found.append(chosen)
        # Of equal rows the first comes first; those behind it are nowhere better and go with what it beats.
        left = left[(costs[left] < costs[chosen]).any(axis=1)]
    return np.array(found, dtype=np.int64)
