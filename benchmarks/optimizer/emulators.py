"""Two real experiments as functions: Gaussian processes fitted once to their tables, and frozen.

    python benchmarks/optimizer/emulators.py

fits them again and writes ``data/emulators.json``. Replicates are averaged before; noise is their pooled
deviation, or, where there are none, what the process could not explain. The minimum is the least mean that a dense
search finds.

Source:
    Tables, publications and licence: ``data/README.md``.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DATA = Path(__file__).parent / "data"
FROZEN = DATA / "emulators.json"
#: Tables, and the sign that makes less better: loss of a spectrum, score of a printed line.
EXPERIMENTS = {"agnp": 1.0, "autoam": -1.0}


@dataclass(frozen=True)
class Emulator:
    """Mean of a Matern-5/2 process on the unit cube.

    Attributes:
        name: Of the table.
        signal: Variance of the process relative to the variance of the averaged readings.
        nugget: Variance that it leaves to noise, likewise.
        length_scales: One per input, in units of the cube.
        minimum: Least mean.
        median: Mean at the median point of the cube.
        noise_sd: Standard deviation of one reading, in units of the objective.
    """

    name: str
    signal: float
    nugget: float
    length_scales: tuple[float, ...]
    minimum: float
    median: float
    noise_sd: float

    @property
    def dimension(self) -> int:
        """Number of inputs."""
        return len(self.length_scales)

    @cached_property
    def _solved(self) -> tuple[Array, Array, float]:
        """Inputs, the weights of their readings, and the level."""
        points, values, _, _ = table(self.name)
        covariance = self.signal * _matern(points, points, np.array(self.length_scales))
        covariance[np.diag_indices_from(covariance)] += self.nugget
        level = float(values.mean())
        return points, np.linalg.solve(covariance, values - level), level

    def __call__(self, u: Array) -> float:
        points, weights, level = self._solved
        return level + float(self.signal * _matern(u[None, :], points, np.array(self.length_scales))[0] @ weights)


def emulator(name: str) -> Emulator:
    """The frozen emulator of a table."""
    kept = json.loads(FROZEN.read_text(encoding="utf-8"))[name]
    return Emulator(name, **kept | {"length_scales": tuple(kept["length_scales"])})


def table(name: str) -> tuple[Array, Array, Array, NDArray[np.intp]]:
    """Inputs in the unit cube (n, d), means (n,) of which less is better, deviations and numbers of replicates."""
    rows = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1)
    places, where = np.unique(rows[:, :-1], axis=0, return_inverse=True)
    groups = [EXPERIMENTS[name] * rows[where.reshape(-1) == row, -1] for row in range(len(places))]
    count = np.array([len(group) for group in groups])
    means = np.array([float(group.mean()) for group in groups])
    spread = np.array([float(group.std(ddof=1)) if len(group) > 1 else 0.0 for group in groups])
    low, high = places.min(axis=0), places.max(axis=0)
    return (places - low) / (high - low), means, spread, count


def _matern(points: Array, others: Array, length_scales: Array) -> Array:
    """Shape (n, m): Matern-5/2 correlation."""
    r = np.sqrt(5.0 * (((points[:, None, :] - others[None, :, :]) / length_scales) ** 2).sum(axis=2))
    correlation: Array = (1.0 + r + r**2 / 3.0) * np.exp(-r)
    return correlation


def fit(name: str) -> Emulator:
    """The emulator fitted anew, always from the same seed."""
    from scipy.optimize import minimize
    from scipy.stats import qmc
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    points, means, spread, count = table(name)
    dimension = points.shape[1]
    kernel = ConstantKernel(1.0) * Matern([0.5] * dimension, (0.05, 20.0), nu=2.5) + WhiteKernel(0.05, (1e-4, 1.0))
    model = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(points, means)
    found = model.kernel_
    unexplained = float(np.sqrt(found.k2.noise_level) * means.std())
    replicates = count > 1
    pooled = float(np.sqrt((spread**2 * (count - 1)).sum() / max((count - 1).sum(), 1)))
    draft = Emulator(
        name,
        round(float(found.k1.k1.constant_value), 6),
        round(float(found.k2.noise_level), 6),
        tuple(round(float(length), 5) for length in found.k1.k2.length_scale),
        0.0,
        0.0,
        round(pooled if replicates.any() else unexplained, 6),
    )
    net = qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(0)).random(8192)
    values = np.array([draft(u) for u in net])
    box = [(0.0, 1.0)] * dimension
    starts = net[np.argsort(values)[:20]]
    least = min(float(minimize(draft, start, bounds=box, method="L-BFGS-B").fun) for start in starts)
    return Emulator(
        name, draft.signal, draft.nugget, draft.length_scales, least, float(np.median(values)), draft.noise_sd
    )


def main() -> None:
    """Fit all emulators and freeze them."""
    kept = {}
    for name in EXPERIMENTS:
        found = fit(name)
        kept[name] = {
            "signal": found.signal,
            "nugget": found.nugget,
            "length_scales": found.length_scales,
            "minimum": round(found.minimum, 9),
            "median": round(found.median, 6),
            "noise_sd": found.noise_sd,
        }
    FROZEN.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
