"""Virtual campaigns on the twin's physics without wires, and what their answers are worth by the twin's truth.

A protocol is judged by its *cost per good cell*: the true value divided by the share of cells that neither
short nor crack nor tear a layer, because for each cell that works so many have to be pressed. The same figure
defines the optimum, so that nobody gains by a protocol that reads well and fails often.

The truth is asked here alone, after the campaign has answered: neither strategy nor physics ever sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pressopt.campaign.experiment import Experiment
from pressopt.errors import InputError, Violation
from pressopt.optimizer import Settings
from pressopt.optimizer.observation import Measurement, Observation
from pressopt.pressing import PressingProtocol
from pressopt.twin.truth import measure_directly, truth

Real = npt.NDArray[np.float64]

#: True probabilities that each spoil a cell.
HAZARDS = ("short_probability", "crack_probability", "damage_probability")
#: Starting points of the search for the twin's optimum, and the rounds in which it closes in on the best.
SAMPLES, ROUNDS = 2048, 4


@dataclass(frozen=True)
class Merit:
    """What protocols are really worth: shape (n,) each.

    Attributes:
        value: The objective, as cells that work have it.
        failing: Share of cells that short, crack or tear a layer.
        kept: Whether the file's bounds on measured or physical outcomes that no cell dies of hold in truth.
        press_time_s: Time under the press, s.
    """

    value: Real
    failing: Real
    kept: npt.NDArray[np.bool_]
    press_time_s: Real

    @property
    def cost(self) -> Real:
        """Value per cell that works; infinite where all fail."""
        alive = 1.0 - self.failing
        return np.where(alive > 1e-9, self.value / np.maximum(alive, 1e-9), np.inf)


def judged_quantity(experiment: Experiment) -> str:
    """The quantity that answers are judged by.

    Raises:
        InputError: The experiment has another goal than one resistance that is to become less.
    """
    goals = experiment.objectives
    if len(goals) != 1 or goals[0].direction != "minimize" or goals[0].source != "measured":
        raise InputError(
            (
                Violation(
                    "objectives",
                    f"{experiment.name} has another goal than one measured quantity to minimize; simulations "
                    f"are judged by the cost per good cell, which is for that",
                ),
            )
        )
    return goals[0].quantity


def merit(of: Experiment, settings: Sequence[Settings]) -> Merit:
    """Ask the twin's truth."""
    return _merit(of, [of.protocol(one) for one in settings])


def _merit(of: Experiment, protocols: Sequence[PressingProtocol]) -> Merit:
    found = truth(of.cell, of.laboratory.seed, protocols)
    alive = np.ones(len(protocols))
    for hazard in HAZARDS:
        if hazard in found:
            alive = alive * (1.0 - found[hazard])
    kept = np.ones(len(protocols), dtype=bool)
    for bound in of.constraints:
        # Bounds on hazards are paid for by the cells that fail.
        if bound.quantity not in HAZARDS and bound.quantity in found and bound.upper is not None:
            kept &= found[bound.quantity] <= bound.upper
    return Merit(found[judged_quantity(of)], 1.0 - alive, kept, found["press_time_s"])


def optimum(of: Experiment) -> tuple[float, float]:
    """The least cost per good cell within the file's limits, and the value there: a Sobol net, then clouds."""
    net, protocols = _net(of)
    settings, judged = list(net), _merit(of, protocols)
    values, costs = judged.value, np.where(judged.kept, judged.cost, np.inf)
    rng = np.random.default_rng(0)
    for step in range(ROUNDS):
        centres = np.array([of.space.to_unit(settings[row]) for row in np.argsort(costs, kind="stable")[:8]])
        cloud = np.repeat(centres, 32, axis=0)
        cloud = np.clip(cloud + 0.1 * 0.4**step * rng.standard_normal(cloud.shape), 0.0, 1.0)
        moved = [of.space.settable(of.space.from_unit(point)) for point in cloud[of.space.allowed(cloud)]]
        fresh: list[Settings] = [one for one in moved if one is not None]
        judged = merit(of, fresh)
        settings += fresh
        values = np.concatenate([values, judged.value])
        costs = np.concatenate([costs, np.where(judged.kept, judged.cost, np.inf)])
    best = int(np.argmin(costs))
    return float(costs[best]), float(values[best])


#: The net over each experiment file: the same for all of its twins, and a third of a search's time.
_NETS: dict[str, tuple[list[Settings], list[PressingProtocol]]] = {}


def _net(of: Experiment) -> tuple[list[Settings], list[PressingProtocol]]:
    if of.digest not in _NETS:
        settings: list[Settings] = list(of.space.sample(SAMPLES, seed=1))
        _NETS[of.digest] = settings, [of.protocol(one) for one in settings]
    return _NETS[of.digest]


#: Least costs that this process has looked for, by experiment and twin: campaigns on one twin share the search.
_FOUND: dict[tuple[str, int], float] = {}


def least_cost(of: Experiment) -> float:
    """The least cost per good cell, searched once for each experiment file and twin."""
    key = of.digest, of.laboratory.seed
    if key not in _FOUND:
        _FOUND[key] = optimum(of)[0]
    return _FOUND[key]


def press(of: Experiment, number: int, settings: Settings) -> Observation:
    """One cell without wires."""
    outcomes, failures = measure_directly(of.cell, of.laboratory.seed, number, of.protocol(settings))
    measured = {name: Measurement(value, sd) for name, (value, sd) in outcomes.items()}
    return Observation(number, settings, outcomes=measured, failures=frozenset(failures))
