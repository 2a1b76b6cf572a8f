"""Goals by name: what a researcher wants, as objectives and bounds on outcomes.

A preset says which quantity is measured on each cell and which only the physics can say. Where two wishes pull
apart (a low resistance and a short time under the press) it has two objectives, and the answer is a front.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pressopt.errors import InputError
from pressopt.optimizer.goals import Objective, OutcomeConstraint

#: Probabilities that each spoil a cell with an electrolyte.
_HAZARDS = ("short_probability", "crack_probability")
#: Share of cells that may fail by each of them where the goal is not yield, and where it is (assumed).
_USUAL, _RARE = 0.5, 0.05


@dataclass(frozen=True, slots=True)
class Goal:
    """A named goal.

    Attributes:
        name: As experiment files and code ask for it.
        meaning: One sentence for people.
        objectives: What is to improve.
        constraints: What has to stay within bounds.
    """

    name: str
    meaning: str
    objectives: tuple[Objective, ...]
    constraints: tuple[OutcomeConstraint, ...] = ()


def _bounds(limit: float, *hazards: str) -> tuple[OutcomeConstraint, ...]:
    return tuple(OutcomeConstraint(name, upper=limit, source="predicted", probability=0.5) for name in hazards)


def _low_resistance(resistance: str) -> Goal:
    return Goal(
        "low initial resistance",
        "The least resistance right after pressing; cells that short are paid for.",
        (Objective(resistance),),
        _bounds(_USUAL, "short_probability"),
    )


def _high_current(resistance: str) -> Goal:
    return Goal(
        "high current density",
        "The largest critical current density that physics expects, against the resistance that is measured.",
        (
            Objective("critical_current_density_ma_cm2", "maximize", source="predicted", weight=2.0),
            Objective(resistance),
        ),
        _bounds(_USUAL, "short_probability"),
    )


def _long_life(resistance: str) -> Goal:
    return Goal(
        "long life",
        "The most cycles that physics expects, against the resistance that is measured; shorts kept rarer.",
        (Objective("cycle_life_cycles", "maximize", source="predicted", weight=2.0), Objective(resistance)),
        _bounds(0.2, "short_probability"),
    )


def _yield(resistance: str) -> Goal:
    return Goal(
        "yield",
        "The least resistance among protocols at which at most one cell in twenty shorts or cracks.",
        (Objective(resistance),),
        _bounds(_RARE, *_HAZARDS),
    )


def _reproducibility(resistance: str) -> Goal:
    return Goal(
        "reproducibility",
        "An even contact (few hot spots, by the physics) against the resistance that is measured: uneven contacts "
        "differ most from cell to cell.",
        (Objective(resistance), Objective("hot_spot_factor", source="predicted")),
        _bounds(0.2, *_HAZARDS),
    )


def _throughput(resistance: str) -> Goal:
    return Goal(
        "throughput",
        "A short time under the press against the resistance that is measured.",
        (Objective(resistance), Objective("press_time_s", source="predicted")),
        _bounds(_USUAL, "short_probability"),
    )


_GOALS: dict[str, Callable[[str], Goal]] = {
    "low initial resistance": _low_resistance,
    "high current density": _high_current,
    "long life": _long_life,
    "yield": _yield,
    "reproducibility": _reproducibility,
    "throughput": _throughput,
}
#: Names of all goals.
GOALS: tuple[str, ...] = tuple(_GOALS)
#: Goals that foils without an electrolyte have, too: nothing shorts there, and nobody cycles them.
FOIL_GOALS: tuple[str, ...] = ("low initial resistance", "throughput")


def goal(name: str, *, resistance: str = "interfacial_resistance_ohm_cm2", layered: bool = False) -> Goal:
    """The goal of that name.

    Args:
        name: One of :data:`GOALS`; case and hyphens do not matter.
        resistance: The resistance that is measured: of an interface, of the whole cell, or the electronic contact
            of foils (``contact_resistance_mohm_cm2``), whose only bound is on the metal that is squeezed out.
        layered: Whether an interlayer, or a pellet pressed in a stage of its own, can be torn: it is bounded then.

    Raises:
        InputError: There is no such goal, or foils do not have it; the message lists what there is.

    Example:
        >>> [objective.quantity for objective in goal("throughput").objectives]
        ['interfacial_resistance_ohm_cm2', 'press_time_s']
    """
    plain = name.strip().lower().replace("-", " ").replace("_", " ")
    foils = resistance == "contact_resistance_mohm_cm2"
    known = FOIL_GOALS if foils else GOALS
    if plain not in known:
        where = " for foils without an electrolyte" if foils else ""
        raise InputError(f"goal '{name}' is not known{where}: choose one of {', '.join(known)}")
    found = _GOALS[plain](resistance)
    if not foils:
        torn = _bounds(0.2, "damage_probability") if layered else ()
        return Goal(found.name, found.meaning, found.objectives, found.constraints + torn)
    squeezed = OutcomeConstraint("extrusion_fraction", upper=0.1, source="predicted", probability=0.5)
    return Goal(found.name, found.meaning, found.objectives, (squeezed,))


def goals() -> dict[str, str]:
    """What each goal means, by name."""
    return {name: make("interfacial_resistance_ohm_cm2").meaning for name, make in _GOALS.items()}
