"""Trials to and from scikit-optimize's results, without loss: what ``skopt.dump`` keeps, ``skopt.plots`` show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pressopt.errors import InputError
from pressopt.optimizer.goals import Objective
from pressopt.optimizer.observation import Measurement, Observation, Settings
from pressopt.optimizer.space import DesignSpace, space_from_skopt

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult


def to_skopt(space: DesignSpace, history: Sequence[Observation], objective: Objective) -> OptimizeResult:
    """Return the measured trials as ``skopt`` knows them; it minimizes, so what is maximized changes its sign.

    Points are what the cells achieved where a record tells, else what was asked. Failed cells have no value and no
    place in ``x_iters``: all trials stand, complete, under the key ``pressopt``.
    """
    from scipy.optimize import OptimizeResult

    told = [one for one in history if one.feasible and objective.quantity in one.outcomes]
    points = [[_reached(one)[name] for name in space.names] for one in told]
    values = np.array([objective.sign * one.outcomes[objective.quantity].value for one in told])
    best = int(np.argmin(values)) if told else None
    return OptimizeResult(
        x=None if best is None else points[best],
        fun=float("nan") if best is None else float(values[best]),
        x_iters=points,
        func_vals=values,
        space=space.to_skopt(),
        models=[],
        random_state=None,
        specs={"args": {"dimensions": list(space.names)}, "function": objective.quantity},
        pressopt=[_plain(one) for one in history],
    )


def from_skopt(result: Mapping[str, Any], objective: Objective) -> tuple[DesignSpace, list[Observation]]:
    """Return space and trials of a ``skopt`` result: ours comes back exactly, anybody else's as valid trials.

    Raises:
        InputError: The result has no points or no values.
    """
    if "x_iters" not in result or "func_vals" not in result:
        raise InputError("this is no result of scikit-optimize: 'x_iters' and 'func_vals' are missing")
    space = space_from_skopt(list(result["space"].dimensions))
    if "pressopt" in result:
        return space, [_observation(plain) for plain in result["pressopt"]]
    found = []
    for number, (point, value) in enumerate(zip(result["x_iters"], result["func_vals"], strict=True), 1):
        settings = dict(zip(space.names, (_number(one) for one in point), strict=True))
        outcome = Measurement(objective.sign * float(value), 0.0)
        found.append(Observation(number, settings, outcomes={objective.quantity: outcome}))
    return space, found


def _reached(one: Observation) -> Settings:
    return {**one.settings, **{name: value for name, value in one.achieved.items() if name in one.settings}}


def _number(value: Any) -> float | int | str:
    return value.item() if hasattr(value, "item") else value  # type: ignore[no-any-return]


def _plain(one: Observation) -> dict[str, Any]:
    return {
        "trial": one.trial,
        "settings": dict(one.settings),
        "achieved": dict(one.achieved),
        "outcomes": {name: [found.value, found.sd] for name, found in one.outcomes.items()},
        "failures": sorted(one.failures),
        "blameless": sorted(one.blameless),
    }


def _observation(plain: Mapping[str, Any]) -> Observation:
    return Observation(
        trial=plain["trial"],
        settings=plain["settings"],
        achieved=plain["achieved"],
        outcomes={name: Measurement(*pair) for name, pair in plain["outcomes"].items()},
        failures=frozenset(plain["failures"]),
        blameless=frozenset(plain["blameless"]),
    )
