"""Functions of the unit cube with known minima, to compare optimizers: textbook ones and real experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from emulators import EXPERIMENTS, emulator
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """A function of the unit cube.

    Attributes:
        name: Its name.
        dimension: Number of inputs.
        function: Noise-free value at a point (d,).
        minimum: Smallest value.
        scale: Regret of the median point of the cube: the unit of relative regret.
        noise_sd: Standard deviation of one reading.
    """

    name: str
    dimension: int
    function: Callable[[Array], float]
    minimum: float
    scale: float
    noise_sd: float

    def regret(self, value: float) -> float:
        """Relative regret of a noise-free value."""
        return max(value - self.minimum, 0.0) / self.scale


def branin(u: Array) -> float:
    """Branin (1972) on [-5, 10] × [0, 15]."""
    x, y = 15 * u[0] - 5, 15 * u[1]
    bowl = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return float(bowl**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
_P3 = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
_A6 = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann3(u: Array) -> float:
    """Hartmann (1973) in three dimensions."""
    return float(-_ALPHA @ np.exp(-(_A3 * (u - _P3) ** 2).sum(axis=1)))


def hartmann6(u: Array) -> float:
    """Hartmann (1973) in six dimensions."""
    return float(-_ALPHA @ np.exp(-(_A6 * (u - _P6) ** 2).sum(axis=1)))


def levy(u: Array) -> float:
    """Levy and Montalvo, SIAM J. Sci. Stat. Comput. 6 (1985) 15, on [-10, 10]^d."""
    w = 1 + (20 * u - 10 - 1) / 4
    middle = (w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)
    last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    return float(np.sin(np.pi * w[0]) ** 2 + middle.sum() + last)


def ackley(u: Array) -> float:
    """Ackley (1987) on [-32.768, 32.768]^d, its minimum moved out of the centre (to 0.3 of each range)."""
    x = 65.536 * (u - 0.3)
    return float(-20 * np.exp(-0.2 * np.sqrt((x**2).mean())) - np.exp(np.cos(2 * np.pi * x).mean()) + 20 + np.e)


#: Noise of two problems as in the recorded runs of peers, so that these stand beside live ones.
_RECORDED_NOISE = {"hartmann3": 0.077254, "levy4": 3.659961}


def _problem(name: str, dimension: int, function: Callable[[Array], float], minimum: float) -> list[Problem]:
    """The problem without noise, and with noise of 2 % of the spread of values."""
    sample = np.random.default_rng(0).random((20_000, dimension))
    values = np.array([function(u) for u in sample])
    scale = float(np.median(values)) - minimum
    noise = _RECORDED_NOISE.get(name, 0.02 * float(values.max() - values.min()))
    return [
        Problem(name, dimension, function, minimum, scale, 0.0),
        Problem(f"{name}-noisy", dimension, function, minimum, scale, noise),
    ]


def experiment(name: str) -> Problem:
    """A real experiment as a function, with the noise of its readings."""
    found = emulator(name)
    return Problem(name, found.dimension, found, found.minimum, found.median - found.minimum, found.noise_sd)


@lru_cache(maxsize=1)
def problems() -> dict[str, Problem]:
    """All problems by name."""
    found = [
        *_problem("branin", 2, branin, 0.39788735772973816),
        *_problem("hartmann3", 3, hartmann3, -3.8627797873),
        *_problem("hartmann6", 6, hartmann6, -3.322368011415),
        *_problem("levy4", 4, levy, 0.0),
        *_problem("ackley5", 5, ackley, 0.0),
        *(experiment(name) for name in EXPERIMENTS),
    ]
    return {problem.name: problem for problem in found}
