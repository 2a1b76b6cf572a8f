"""Which readings belong to spoilt cells: set aside one after the other, while the evidence asks for it.

A cell spoilt by hand, or cracked unseen, reads far worse than its settings deserve. Left in, one such reading
makes the process believe in hills as narrow as the gap to the next reading, where every reading is its own reason;
then none looks spoilt any more. So the odd ones are followed twice: those of the process as it was fitted, and
those of the same process forced to be smooth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pressopt._core import GaussianProcess

Array = NDArray[np.float64]

#: Share of readings that belong to a cell spoilt by hand or cracked unseen (assumed; a few per cent is usual).
_SHARE = 0.05
#: What each costs in evidence.
_PRICE = math.log(_SHARE) - math.log1p(-_SHARE)
#: So many more are set aside at a time when one alone does not help: two spoilt cells hide each other.
_AHEAD = 2
#: Below so many readings none can be told from the rest; of more, at most one in so many is set aside.
_ENOUGH_TO_DOUBT, _ONE_IN = 6, 5
#: What new parameters may add to the evidence when a reading is set aside, beyond the density of that reading
#: (assumed): readings that could not be worth it are not tried.
_HOPE = 2.0
#: So many of the worst are tried at each step: the very worst may be the edge of the range.
_TRIES = 2
#: Shortest length scale, in units of the range, and least variance of the noise, in units of the data's, of a
#: landscape in which a spoilt reading stands out (assumed).
_SMOOTH, _ROUGH = 1.0 / 3.0, 0.01


@dataclass(frozen=True)
class Residuals:
    """Readings of one quantity less what is expected of them, and what a process that learns from them is told.

    Attributes:
        x: Shape (n, dimension).
        values: Shape (members, n): signed and scaled; larger is worse.
        mean_variance: Variance of the constant that the process may add.
        log_weights: Shape (members,): weights of the members before these readings; ``None``: all the same.
        signal: Centre and spread of the log variance of the process; ``None``: as for data of unit variance.
        alike: Shape (n, n): how alike the circumstances of two readings were; ``None``: not known.
        shared: Centre and spread of the log variance that alike circumstances share.
    """

    x: Array
    values: Array
    mean_variance: float = 1.0
    log_weights: Array | None = None
    signal: tuple[float, float] | None = None
    alike: Array | None = None
    shared: tuple[float, float] | None = None

    def fit(self, noise: Array, *, near: GaussianProcess | None = None) -> GaussianProcess:
        """The process of largest evidence.

        Args:
            noise: Variances of the readings, shape (n,).
            near: The process of almost the same data, from where to search; ``None``: from several starts.
        """
        return GaussianProcess.fit(
            self.x,
            self.values,
            noise,
            log_weights=self.log_weights,
            signal=self.signal,
            mean_variance=self.mean_variance,
            alike=self.alike,
            shared=self.shared,
            warm=near,
        )

    def judge(self, process: GaussianProcess, noise: Array, *, smooth: bool) -> GaussianProcess:
        """The process with one member, the mean of all by their weights; ``smooth``: without narrow hills.

        A reading that alone rules a member out would seem to be foretold badly, when only that member is bad.
        """
        length_scales, rough = process.length_scales, process.noise_variance
        return GaussianProcess.with_parameters(
            self.x,
            (process.weights @ self.values)[None, :],
            noise,
            length_scales=(np.maximum(length_scales, _SMOOTH) if smooth else length_scales).tolist(),
            signal_variance=process.signal_variance,
            noise_variance=max(rough, _ROUGH) if smooth else rough,
            mean_variance=self.mean_variance,
            alike=self.alike,
            shared_variance=process.shared_variance,
        )


def without_spoilt(readings: Residuals, noise: Array, spoilt: float) -> tuple[GaussianProcess, list[int]]:
    """Fit with the readings of spoilt cells set aside; return the process and their rows.

    A reading is set aside by giving it the variance ``spoilt``. Only one that is worse than its settings deserve
    can be: a spoilt cell is never better, and the best reading of a narrow optimum must not count as a mistake.

    Args:
        readings: What was read.
        noise: Variances of the readings, shape (n,), scaled.
        spoilt: Variance of a reading of a spoilt cell, scaled.

    Source:
        Ament et al., Robust Gaussian processes via relevance pursuit, NeurIPS 2024 (greedy, by evidence).
    """
    first = readings.fit(noise)
    if len(noise) < _ENOUGH_TO_DOUBT:
        return first, []
    fits = {frozenset[int](): first}
    narrow = bool((first.length_scales < _SMOOTH).any()) or first.noise_variance < _ROUGH
    for smooth in (False, True) if narrow else (False,):
        _follow(readings, noise, spoilt, fits, smooth=smooth)
    rows = max(fits, key=lambda aside: fits[aside].log_evidence + _PRICE * len(aside))
    return fits[rows], sorted(rows)


def _follow(
    readings: Residuals, noise: Array, spoilt: float, fits: dict[frozenset[int], GaussianProcess], *, smooth: bool
) -> None:
    """Set aside the worst one after the other while it may help; add each fit to those by the rows set aside."""
    process = fits[frozenset()]
    worth, kept = process.log_evidence, 0
    doubted: frozenset[int] = frozenset()
    trusted: set[int] = set()
    hopeless: set[int] = set()
    while (
        len(doubted) < min(len(noise) // _ONE_IN, kept + _AHEAD)
        and len(trusted) <= _AHEAD
        and len(hopeless) < _TRIES * _AHEAD
    ):
        judge = readings.judge(process, _aside(noise, doubted, spoilt), smooth=smooth)
        odd = _odd_ones(readings, process, judge, [*doubted, *trusted, *hopeless], spoilt)
        if not odd:
            break
        hopeful = []
        for row in odd:
            held = readings.judge(process, _aside(noise, doubted | {row}, spoilt), smooth=smooth)
            if held.log_evidence + _PRICE + _HOPE < judge.log_evidence:
                # Not worth it, even if new parameters add what may be hoped for: no need to look for them.
                hopeless.add(row)
            else:
                hopeful.append((held.log_evidence, row))
        for _, row in sorted(hopeful, reverse=True):
            rows = doubted | {row}
            if rows not in fits:
                other = readings.fit(_aside(noise, rows, spoilt), near=judge)
                correction, _ = other.predict(readings.x[row : row + 1])
                if float(other.weights @ readings.values[:, row]) <= float(correction[0] @ other.weights):
                    trusted.add(row)
                    continue
                fits[rows] = other
            process, doubted = fits[rows], rows
            hopeless.clear()
            if process.log_evidence + _PRICE * len(doubted) > worth:
                worth, kept = process.log_evidence + _PRICE * len(doubted), len(doubted)
            break


def _aside(noise: Array, rows: frozenset[int], spoilt: float) -> Array:
    variances = noise.copy()
    variances[list(rows)] = spoilt
    return variances


def _odd_ones(
    readings: Residuals, process: GaussianProcess, judge: GaussianProcess, settled: list[int], spoilt: float
) -> list[int]:
    """The readings that the others foretell worst, and too well, if setting them aside may be worth it."""
    foretold = judge.leave_one_out()
    foretold[settled] = np.inf
    # A reading and what is expected without it lie on opposite sides of what is expected with it.
    foretold[process.weights @ readings.values <= judge.predict(readings.x)[0][:, 0]] = np.inf
    enough = -0.5 * math.log(2.0 * math.pi * spoilt) + _PRICE + _HOPE
    return [int(row) for row in np.argsort(foretold, kind="stable")[:_TRIES] if foretold[row] < enough]
