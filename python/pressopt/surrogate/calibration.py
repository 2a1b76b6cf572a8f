"""From measurements to a posterior of the surrogate's parameters, by tempered sequential Monte Carlo.

A sample of the prior is led to the posterior in steps of the likelihood's exponent, each as large as keeps half of
the sample effective; between steps the draws are resampled and moved by Metropolis steps. All draws move in
standard-normal space, where the prior is N(0, 1) in every direction. The exact derivatives by the parameters say
which parameters the measured quantities depend on at all: only those move, the others keep their prior. The steps
themselves follow the covariance of the sample and take no gradient: a gradient costs some ten evaluations, and the
sample already knows the shape of the posterior.

Source: Del Moral, Doucet and Jasra, J. R. Stat. Soc. B 68 (2006) 411; the moves that keep a Gaussian prior are
those of Cotter, Roberts, Stuart and White, Statist. Sci. 28 (2013) 424.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, Violation
from pressopt.surrogate.prediction import ParameterDraws
from pressopt.surrogate.table import ProtocolTable

if TYPE_CHECKING:
    from pressopt.surrogate.model import Surrogate

Real = npt.NDArray[np.float64]

#: Share of the sample that stays effective in one tempering step.
EFFECTIVE = 0.5
#: Metropolis steps after each tempering step, and after the last one.
MOVES, LAST_MOVES = 8, 24
#: Acceptance that the step sizes aim at (Roberts and Rosenthal, Statist. Sci. 16 (2001) 351).
ACCEPTANCE = 0.25
#: Prior draws at which derivatives say what the data depend on.
PROBED = 8
#: Most tempering steps; reached only by data that the physics cannot explain at all.
MOST_STEPS = 60


def calibrate(
    surrogate: Surrogate,
    table: ProtocolTable,
    measured: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    draws: int,
    seed: int,
) -> ParameterDraws:
    """Posterior draws, equally weighted; what :meth:`Surrogate.calibrate` documents."""
    if draws < 16:
        raise InputError((Violation("draws", f"{draws} is not allowed: give at least 16"),))
    data = _checked(surrogate, table, measured)

    random = np.random.default_rng(seed)
    full = random.standard_normal((draws, len(surrogate.parameters)))
    moving = _moved(surrogate, table, data, full)

    def residuals(active: Real) -> Real:
        standard = np.zeros((len(active), full.shape[1]))
        standard[:, moving] = active
        outcomes = surrogate.outcomes(surrogate.rows_at(standard), table)
        parts = [
            (np.log(np.maximum(outcomes[name][:, seen], 1e-300)) - np.log(value)) / sd
            for name, (seen, value, sd) in data.items()
        ]
        return np.concatenate(parts, axis=1)

    def log_likelihood(standard: Real) -> Real:
        return np.asarray(-0.5 * (residuals(standard) ** 2).sum(axis=1))

    standard = full[:, moving]
    likelihood = log_likelihood(standard)
    exponent, step_sizes = 0.0, [0.5, 0.5]
    for _ in range(MOST_STEPS):
        gain = _gain(likelihood, 1.0 - exponent)
        exponent = min(1.0, exponent + gain)
        weight = np.exp(gain * (likelihood - likelihood.max()))
        chosen = _resample(weight / weight.sum(), random)
        standard, likelihood = standard[chosen], likelihood[chosen]
        moves = LAST_MOVES if exponent >= 1.0 else MOVES
        for move in range(moves):
            kind = move % 2
            standard, likelihood, accepted = _move(
                standard,
                likelihood,
                log_likelihood,
                exponent=exponent,
                kind=kind,
                size=step_sizes[kind],
                random=random,
            )
            factor = np.exp(1.5 * (accepted - ACCEPTANCE))
            step_sizes[kind] = float(np.clip(step_sizes[kind] * factor, 0.01, 1.0 if kind == 0 else 3.0))
        if exponent >= 1.0:
            break
    misfit = float(np.sqrt(np.mean(np.median(residuals(standard), axis=0) ** 2)))
    full[:, moving] = standard
    names = tuple(parameter.name for parameter in surrogate.parameters)
    # What did not move is known to be the prior; the spread of its draws would only be their own noise.
    left = np.ones(full.shape[1])
    left[moving] = full[:, moving].std(axis=0)
    values = np.stack([p.at(full[:, i]) for i, p in enumerate(surrogate.parameters)], axis=1)
    return ParameterDraws(
        names,
        values,
        np.full(draws, -np.log(draws)),
        dict(zip(names, left.tolist(), strict=True)),
        misfit,
    )


def _moved(
    surrogate: Surrogate,
    table: ProtocolTable,
    data: Mapping[str, tuple[npt.NDArray[np.bool_], Real, Real]],
    standard: Real,
) -> npt.NDArray[np.int64]:
    """Indices of the uncertain parameters that some measured value depends on, at some of a few prior draws."""
    slopes = surrogate.slopes(surrogate.rows_at(standard[:PROBED]), table)
    touched = np.zeros(standard.shape[1], dtype=bool)
    for index, name in enumerate(surrogate.qualities):
        if name in data:
            seen = data[name][0]
            touched |= (np.nan_to_num(slopes[:, seen, index, :]) != 0).any(axis=(0, 1))
    return np.flatnonzero(touched)


def _checked(
    surrogate: Surrogate, table: ProtocolTable, measured: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]]
) -> dict[str, tuple[npt.NDArray[np.bool_], Real, Real]]:
    """Per quantity: which protocols were measured, the values and the standard deviations of their logarithms."""
    known = surrogate.predict(table).quantities
    wrong, data = [], {}
    for name, (values, sds) in measured.items():
        if name not in known or name == "press_time_s":
            allowed = ", ".join(quantity for quantity in known if quantity != "press_time_s")
            wrong.append(
                Violation(name, f"the surrogate does not predict it for this cell: allowed are {allowed}")
            )
            continue
        value = np.atleast_1d(np.asarray(values, dtype=np.float64))
        if value.shape != (len(table),):
            wrong.append(Violation(name, f"shape {value.shape} does not fit {len(table)} protocols"))
            continue
        sd = np.broadcast_to(np.asarray(sds, dtype=np.float64), value.shape)
        seen = ~np.isnan(value)
        if not (np.isfinite(value[seen]) & (value[seen] > 0)).all():
            wrong.append(
                Violation(name, "a value is not finite and positive: leave out what was not measured (NaN)")
            )
        elif not (np.isfinite(sd[seen]) & (sd[seen] > 0)).all():
            wrong.append(Violation(name, "a standard deviation (of the logarithm) is not finite and positive"))
        elif seen.any():
            data[name] = (seen, value[seen], sd[seen])
    if wrong:
        raise InputError(wrong)
    if not data:
        raise InputError((Violation("measured", "nothing was measured: give at least one value"),))
    return data


def _gain(likelihood: Real, most: float) -> float:
    """The largest step of the exponent that keeps :data:`EFFECTIVE` of the sample."""

    def effective(gain: float) -> float:
        weight = np.exp(gain * (likelihood - likelihood.max()))
        return float(weight.sum() ** 2 / (weight**2).sum() / likelihood.size)

    if effective(most) >= EFFECTIVE:
        return most
    low, high = 0.0, most
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) >= EFFECTIVE else (low, middle)
    return max(low, 1e-12)


def _resample(weight: Real, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Systematic resampling: indices of the surviving draws."""
    places = (np.arange(weight.size) + random.random()) / weight.size
    return np.asarray(np.minimum(np.searchsorted(np.cumsum(weight), places), weight.size - 1))


def _move(
    standard: Real,
    likelihood: Real,
    log_likelihood: Callable[[Real], Real],
    *,
    exponent: float,
    kind: int,
    size: float,
    random: np.random.Generator,
) -> tuple[Real, Real, float]:
    """One Metropolis step of every draw: along the prior (kind 0) or along the sample's covariance (kind 1)."""
    draws, count = standard.shape
    if kind == 0:
        proposal = np.sqrt(1 - size**2) * standard + size * random.standard_normal(standard.shape)
        prior_gain = np.zeros(draws)
    else:
        spread = np.linalg.cholesky(np.cov(standard.T).reshape(count, count) + 1e-9 * np.eye(count))
        proposal = standard + size * 2.38 / np.sqrt(count) * random.standard_normal(standard.shape) @ spread.T
        prior_gain = 0.5 * ((standard**2).sum(axis=1) - (proposal**2).sum(axis=1))
    proposed = log_likelihood(proposal)
    accept = np.log(random.random(draws)) < exponent * (proposed - likelihood) + prior_gain
    moved = np.where(accept[:, None], proposal, standard)
    return moved, np.where(accept, proposed, likelihood), float(accept.mean())
