"""Other optimizers behind one face: asked for a point of the unit cube, told a number of which less is better.

All start from the points that they are told; their own random starts are switched off. What needs a package that
is not installed is left out of :func:`installed`.
"""

from __future__ import annotations

import importlib.util
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

Array = NDArray[np.float64]


class Peer(Protocol):
    """One campaign of one optimizer."""

    def ask(self) -> Array: ...
    def tell(self, point: Array, value: float) -> None: ...


class SkoptGp:
    """``skopt.Optimizer`` with its Gaussian process and expected improvement."""

    def __init__(self, dimension: int, seed: int) -> None:
        import skopt

        self._engine = skopt.Optimizer(
            [(0.0, 1.0)] * dimension, "GP", n_initial_points=0, acq_func="EI", random_state=seed
        )

    def ask(self) -> Array:
        return np.asarray(self._engine.ask(), dtype=float)

    def tell(self, point: Array, value: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._engine.tell(list(map(float, point)), value)


class _Optuna(ABC):
    """An Optuna study; ``sampler`` says which."""

    def __init__(self, dimension: int, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._study = optuna.create_study(sampler=self.sampler(seed))
        self._box = {f"x{k}": optuna.distributions.FloatDistribution(0.0, 1.0) for k in range(dimension)}

    @abstractmethod
    def sampler(self, seed: int) -> object:
        """The engine to compare with."""

    def ask(self) -> Array:
        trial = self._study.ask(self._box)
        point = np.array([trial.params[name] for name in self._box])
        # Told as a finished trial, like the start points; the asked one is not left running.
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return point

    def tell(self, point: Array, value: float) -> None:
        params = dict(zip(self._box, map(float, point), strict=True))
        self._study.add_trial(self._optuna.trial.create_trial(params=params, distributions=self._box, value=value))


class OptunaTpe(_Optuna):
    """Tree-structured Parzen estimators, Optuna's default."""

    def sampler(self, seed: int) -> object:
        return self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=0)


class OptunaGp(_Optuna):
    """Optuna's Gaussian process (needs torch)."""

    def sampler(self, seed: int) -> object:
        return self._optuna.samplers.GPSampler(seed=seed, n_startup_trials=0)


class Egobox:
    """egobox, Kriging and expected improvement in Rust; asked without state."""

    def __init__(self, dimension: int, seed: int) -> None:
        import egobox

        self._egor = egobox.Egor([[0.0, 1.0]] * dimension, seed=seed)
        self._points: list[Array] = []
        self._values: list[float] = []

    def ask(self) -> Array:
        found = self._egor.suggest(np.array(self._points), np.array(self._values)[:, None])
        return np.clip(np.asarray(found, dtype=float).reshape(-1), 0.0, 1.0)

    def tell(self, point: Array, value: float) -> None:
        self._points.append(np.asarray(point))
        self._values.append(value)


class BayesOpt:
    """``bayesian-optimization``; it maximizes."""

    def __init__(self, dimension: int, seed: int) -> None:
        from bayes_opt import BayesianOptimization

        self._names = [f"x{k}" for k in range(dimension)]
        self._engine = BayesianOptimization(
            f=None, pbounds=dict.fromkeys(self._names, (0.0, 1.0)), random_state=seed, verbose=0,
            allow_duplicate_points=True,
        )  # fmt: skip

    def ask(self) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._engine.suggest()
        return np.array([found[name] for name in self._names], dtype=float)

    def tell(self, point: Array, value: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._engine.register(params=dict(zip(self._names, map(float, point), strict=True)), target=-value)


class Ax:
    """Ax, its method ``fast``; points that were told count as its start (needs torch)."""

    def __init__(self, dimension: int, seed: int) -> None:
        import logging

        from ax.api.client import Client
        from ax.api.configs import RangeParameterConfig
        from ax.utils.common.logger import set_ax_logger_levels

        set_ax_logger_levels(logging.ERROR)
        self._open: tuple[int, Array] | None = None
        self._names = [f"x{k}" for k in range(dimension)]
        self._client = Client(random_seed=seed)
        self._client.configure_experiment(
            parameters=[
                RangeParameterConfig(name=name, parameter_type="float", bounds=(0.0, 1.0)) for name in self._names
            ]
        )
        self._client.configure_optimization(objective="-value")
        self._client.configure_generation_strategy(
            method="fast", initialization_budget=1, initialize_with_center=False, initialization_random_seed=seed
        )

    def ask(self) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._open is not None:
                self._client.mark_trial_failed(trial_index=self._open[0])
            ((trial, parameters),) = self._client.get_next_trials(max_trials=1).items()
        self._open = trial, np.array([parameters[name] for name in self._names], dtype=float)
        return self._open[1].copy()

    def tell(self, point: Array, value: float) -> None:
        if self._open is not None and np.array_equal(self._open[1], point):
            trial, self._open = self._open[0], None
        else:
            trial = self._client.attach_trial(parameters=dict(zip(self._names, map(float, point), strict=True)))
        self._client.complete_trial(trial_index=trial, raw_data={"value": float(value)})


class BoTorch:
    """BoTorch as its tutorials use it: ``SingleTaskGP`` and ``qLogNoisyExpectedImprovement`` (needs torch)."""

    def __init__(self, dimension: int, seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        self._dimension = dimension
        self._points: list[Array] = []
        self._values: list[float] = []

    def ask(self) -> Array:
        import torch
        from botorch.acquisition.logei import qLogNoisyExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.optim import optimize_acqf
        from gpytorch.mlls import ExactMarginalLogLikelihood

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = torch.tensor(np.array(self._points), dtype=torch.double)
            y = -torch.tensor(self._values, dtype=torch.double)[:, None]
            model = SingleTaskGP(x, y)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            acquisition = qLogNoisyExpectedImprovement(model, X_baseline=x, prune_baseline=True)
            bounds = torch.tensor([[0.0] * self._dimension, [1.0] * self._dimension], dtype=torch.double)
            found, _ = optimize_acqf(acquisition, bounds=bounds, q=1, num_restarts=10, raw_samples=512)
        return found.detach().numpy().reshape(-1)

    def tell(self, point: Array, value: float) -> None:
        self._points.append(np.asarray(point, dtype=float))
        self._values.append(float(value))


class BayBe:
    """BayBE's default recommender on a continuous space (needs torch)."""

    def __init__(self, dimension: int, seed: int) -> None:
        import torch
        from baybe.objectives import SingleTargetObjective
        from baybe.parameters import NumericalContinuousParameter
        from baybe.recommenders import BotorchRecommender
        from baybe.searchspace import SearchSpace
        from baybe.targets import NumericalTarget

        torch.manual_seed(seed)
        self._names = [f"x{k}" for k in range(dimension)]
        self._space = SearchSpace.from_product(
            [NumericalContinuousParameter(name, bounds=(0.0, 1.0)) for name in self._names]
        )
        self._objective = SingleTargetObjective(NumericalTarget("value", minimize=True))
        self._recommender = BotorchRecommender()
        self._rows: list[dict[str, float]] = []

    def ask(self) -> Array:
        import pandas as pd

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._recommender.recommend(1, self._space, self._objective, pd.DataFrame(self._rows))
        return found[self._names].to_numpy(dtype=float).reshape(-1)

    def tell(self, point: Array, value: float) -> None:
        self._rows.append(dict(zip(self._names, map(float, point), strict=True)) | {"value": float(value)})


class Sobol:
    """A scrambled Sobol sequence, told nothing."""

    def __init__(self, dimension: int, seed: int) -> None:
        self._net = iter(qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(seed)).random(1024)[8:])

    def ask(self) -> Array:
        return np.asarray(next(self._net))

    def tell(self, point: Array, value: float) -> None:
        """Nothing is learned."""


class Random:
    """Uniform points, told nothing."""

    def __init__(self, dimension: int, seed: int) -> None:
        self._rng, self._dimension = np.random.default_rng([seed, 2]), dimension

    def ask(self) -> Array:
        return self._rng.random(self._dimension)

    def tell(self, point: Array, value: float) -> None:
        """Nothing is learned."""


#: Name -> (what makes one campaign, packages that it needs).
PEERS: dict[str, tuple[Callable[[int, int], Peer], tuple[str, ...]]] = {
    "skopt GP": (SkoptGp, ("skopt",)),
    "Optuna GPSampler": (OptunaGp, ("optuna", "torch")),
    "Optuna TPE": (OptunaTpe, ("optuna",)),
    "egobox": (Egobox, ("egobox",)),
    "bayesian-optimization": (BayesOpt, ("bayes_opt",)),
    "Ax": (Ax, ("ax", "torch")),
    "BoTorch qLogNEI": (BoTorch, ("botorch", "torch")),
    "BayBE": (BayBe, ("baybe", "torch")),
    "Sobol": (Sobol, ()),
    "random": (Random, ()),
}


def installed() -> dict[str, Callable[[int, int], Peer]]:
    """The peers that can run here."""
    return {
        name: make
        for name, (make, packages) in PEERS.items()
        if all(importlib.util.find_spec(package) for package in packages)
    }


def start_points(dimension: int, seed: int, count: int = 5) -> Array:
    """Shape (count, dimension): the start that all peers of a seed share."""
    net: Array = qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(seed)).random(8)
    return net[:count]
