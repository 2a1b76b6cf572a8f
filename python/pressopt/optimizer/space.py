"""The design: what may be varied, on which scale, between which limits and under which rules."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pressopt.errors import InputError, Violation
from pressopt.optimizer.observation import Settings, Value
from pressopt.optimizer.relation import TOLERANCE, Relation

if TYPE_CHECKING:
    from skopt import Space

Array = NDArray[np.float64]

#: Points tried before relations are said to leave no room; a fraction of 1e-3 of the box is found for certain.
_TRIES = 1 << 15
#: Settings whose rounding is remembered, because each ask meets the whole history again.
_KEYS = 1 << 14


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting that may be varied.

    Attributes:
        name: ``stage.variable`` with the unit in the name: ``lamination.pressure_mpa``.
        low: Smallest allowed value (unused for categories).
        high: Largest allowed value (unused for categories).
        scale: Whether steps or ratios matter.
        kind: Real number, whole number or one of ``choices``.
        choices: The categories.
        unit: As people write it.
        resolution: The step that the press can set, counted from zero; ``None`` for no step.
        label: As people write it on an axis.

    Raises:
        InputError: Everything that is wrong with the values above, at once.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    scale: Literal["linear", "log"] = "linear"
    kind: Literal["real", "integer", "categorical"] = "real"
    choices: tuple[str, ...] = ()
    unit: str = ""
    resolution: float | None = None
    label: str = ""

    def __post_init__(self) -> None:
        wrong = [Violation(self.name, message) for message in self._mistakes()]
        if wrong:
            raise InputError(wrong)

    def _mistakes(self) -> Iterator[str]:
        if not self.name:
            yield "a variable needs a name, such as 'lamination.pressure_mpa'"
        if self.scale not in {"linear", "log"}:
            yield f"scale '{self.scale}' is not known: give 'linear' or 'log'"
        if self.kind == "categorical":
            if len(self.choices) < 2 or len(set(self.choices)) != len(self.choices):
                yield f"choices {list(self.choices)} are not usable: give at least two different ones"
            return
        if self.kind not in {"real", "integer"}:
            yield f"kind '{self.kind}' is not known: give 'real', 'integer' or 'categorical'"
        if self.choices:
            yield f"choices belong to a category, not to a {self.kind} number: leave them out"
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            yield f"limits {self.low} to {self.high} are no range: give finite numbers, the lower one first"
            return
        if self.scale == "log" and self.low <= 0:
            yield f"a log scale needs a positive lower limit, not {self.low}: raise it or use 'linear'"
        step = self.step
        if step is not None:
            if not (math.isfinite(step) and step > 0):
                yield f"resolution {self.resolution} is not usable: give a positive number"
            elif _lowest(self.low, step) > _highest(self.high, step):
                yield f"no multiple of {step:g} lies between {self.low:g} and {self.high:g}: widen the limits"

    @property
    def numeric(self) -> bool:
        """Whether values are numbers."""
        return self.kind != "categorical"

    @property
    def step(self) -> float | None:
        """The step of settable values, or ``None``: whole numbers step at least by one."""
        if self.kind == "integer":
            return max(1.0, round(self.resolution)) if self.resolution is not None else 1.0
        return self.resolution

    def to_unit(self, value: float) -> float:
        """Place of a number between the limits: 0 at the lower, 1 at the upper; beyond them outside of 0 to 1."""
        if self.scale == "log":
            # A reading of zero has no logarithm; a thousandth of the lower limit is far enough away.
            ratio = math.log(max(value, 1e-3 * self.low) / self.low)
            return ratio / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, place: float) -> float:
        """The number at a place between 0 and 1, inside the limits."""
        if self.scale == "log":
            value = self.low * math.exp(place * math.log(self.high / self.low))
        else:
            value = self.low + place * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def neighbours(self, value: float) -> tuple[float, ...]:
        """Settable values around a number, the nearest first, inside the limits."""
        step = self.step
        if step is None:
            return (min(max(value, self.low), self.high),)
        low, high = _lowest(self.low, step), _highest(self.high, step)
        below = min(max(math.floor(value / step + TOLERANCE), low), high)
        above = min(max(math.ceil(value / step - TOLERANCE), low), high)
        found = sorted({below, above}, key=lambda count: (abs(count * step - value), count))
        return tuple(_multiple(count, step) for count in found)


def _lowest(low: float, step: float) -> int:
    return math.ceil(low / step - TOLERANCE)


def _highest(high: float, step: float) -> int:
    return math.floor(high / step + TOLERANCE)


def _multiple(count: int, step: float) -> float:
    """``count * step`` without binary dust (0.1 * 3 is 0.3)."""
    return float(f"{count * step:.12g}")


@dataclass(frozen=True)
class DesignSpace:
    """All that may be varied, and the rules between.

    In the unit cube each number has one column and each category one column per choice (1 where it is chosen),
    so that no order is invented between categories.

    Attributes:
        variables: What may be varied, in a fixed order; none where one protocol is only repeated.
        relations: Rules between settings.
        given: Values that are not to be chosen: what is known only when a trial is asked for (the measured
            roughness of this pellet), or is held for now. See :meth:`with_given`.

    Raises:
        InputError: A name given twice, or a relation that names no variable or a category.
    """

    variables: tuple[Variable, ...]
    relations: tuple[Relation, ...] = ()
    given: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", tuple(self.variables))
        object.__setattr__(self, "relations", tuple(self.relations))
        wrong = []
        names = [variable.name for variable in self.variables]
        wrong += [
            Violation(name, "is given twice: keep one")
            for name in sorted({n for n in names if names.count(n) > 1})
        ]
        numeric = {variable.name for variable in self.variables if variable.numeric}
        for relation in self.relations:
            wrong += [
                Violation(str(relation), f"'{name}' is no number that is varied: use {sorted(numeric)}")
                for name in relation.terms
                if name not in numeric
            ]
        if not wrong:
            wrong += self._given_mistakes()
        if wrong:
            raise InputError(wrong)

    def _given_mistakes(self) -> Iterator[Violation]:
        known = {variable.name: variable for variable in self.variables}
        for name, value in self.given.items():
            variable = known.get(name)
            if variable is None:
                yield Violation(name, f"is given, but not varied here: use {sorted(known)}")
            elif not variable.numeric:
                if value not in variable.choices:
                    yield Violation(name, f"'{value}' is given: use one of {list(variable.choices)}")
            elif not (isinstance(value, (int, float)) and variable.low <= value <= variable.high):
                yield Violation(
                    name, f"{value!r} is given: give a number from {variable.low:g} to {variable.high:g}"
                )
        if known and set(known) <= set(self.given):
            yield Violation("given", "leaves nothing to choose: leave one variable out")

    def with_given(self, given: Mapping[str, Value]) -> DesignSpace:
        """The same space with some values held; everything that is sampled, searched or proposed has them.

        Settings that were pressed at other values keep theirs, and their places in the cube.

        Raises:
            InputError: A name that is not varied, a value outside of its limits, or nothing left to choose.
        """
        return self if dict(given) == dict(self.given) else replace(self, given=dict(given))

    def held(self, points: Array) -> Array:
        """Points (n, dimension) moved to the given values."""
        if not self.given:
            return points
        moved = points.copy()
        for variable, columns in zip(self.variables, self.columns, strict=True):
            if variable.name in self.given:
                moved[:, columns] = self._column(variable, self.given[variable.name])
        return moved

    @staticmethod
    def _column(variable: Variable, value: Value) -> Array:
        if variable.numeric:
            return np.array([variable.to_unit(float(value))])
        return np.array([float(choice == value) for choice in variable.choices])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the variables, in order."""
        return tuple(variable.name for variable in self.variables)

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """The columns of the unit cube that belong to each variable."""
        found, start = [], 0
        for variable in self.variables:
            stop = start + (1 if variable.numeric else len(variable.choices))
            found.append(slice(start, stop))
            start = stop
        return tuple(found)

    @cached_property
    def dimension(self) -> int:
        """Number of columns of the unit cube."""
        return self.columns[-1].stop if self.columns else 0

    def to_unit(self, settings: Settings) -> Array:
        """Shape (dimension,): the settings in the unit cube; numbers beyond the limits fall outside of it.

        Raises:
            InputError: A setting is missing, unknown, not finite, or no known choice; all of them at once.
        """
        given = tuple(settings.values())
        known = self.known_points.get(given) if tuple(settings) == self.names else None
        if known is not None:
            return known
        point = np.zeros(self.dimension)
        wrong = [
            Violation(name, f"is not varied here: use {list(self.names)}")
            for name in settings
            if name not in self.names
        ]
        for variable, columns in zip(self.variables, self.columns, strict=True):
            if variable.name not in settings:
                wrong.append(Violation(variable.name, "is missing: give a value"))
                continue
            value = settings[variable.name]
            if not variable.numeric:
                if value in variable.choices:
                    point[columns.start + variable.choices.index(str(value))] = 1.0
                else:
                    wrong.append(Violation(variable.name, f"'{value}' is not one of {list(variable.choices)}"))
            elif isinstance(value, (int, float)) and math.isfinite(value):
                point[columns.start] = variable.to_unit(float(value))
            else:
                wrong.append(Violation(variable.name, f"{value!r} is no finite number: give one"))
        if wrong:
            raise InputError(wrong)
        point.setflags(write=False)
        if tuple(settings) == self.names:
            if len(self.known_points) >= _KEYS:
                self.known_points.clear()
            self.known_points[given] = point
        return point

    def from_unit(self, point: Array) -> dict[str, Value]:
        """Settings at a point of the unit cube, inside the limits: whole numbers whole, the strongest category."""
        settings: dict[str, Value] = {}
        for variable, columns in zip(self.variables, self.columns, strict=True):
            if variable.name in self.given:
                settings[variable.name] = self.given[variable.name]
                continue
            if not variable.numeric:
                settings[variable.name] = variable.choices[int(np.argmax(point[columns]))]
                continue
            value = variable.from_unit(float(point[columns.start]))
            settings[variable.name] = int(variable.neighbours(value)[0]) if variable.kind == "integer" else value
        return settings

    def many_from_unit(self, points: Array) -> list[dict[str, Value]]:
        """As :meth:`from_unit`, for points of shape (n, dimension)."""
        columns: list[list[Value]] = []
        for variable, own in zip(self.variables, self.columns, strict=True):
            if variable.name in self.given:
                columns.append([self.given[variable.name]] * len(points))
            elif not variable.numeric:
                columns.append([variable.choices[best] for best in np.argmax(points[:, own], axis=1)])
            elif variable.kind == "integer":
                places = points[:, own.start].tolist()
                columns.append([int(variable.neighbours(variable.from_unit(place))[0]) for place in places])
            else:
                place = points[:, own.start]
                if variable.scale == "log":
                    values = variable.low * np.exp(place * math.log(variable.high / variable.low))
                else:
                    values = variable.low + place * (variable.high - variable.low)
                columns.append(np.clip(values, variable.low, variable.high).tolist())
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]

    @cached_property
    def probes(self) -> tuple[dict[str, Value], ...]:
        """A few settings, spread evenly, at which physics is asked what it knows and how much it varies."""
        return tuple(self.sample(32, seed=0, distinct=False))

    def contains(self, settings: Settings) -> bool:
        """Whether every value lies inside its limits, up to rounding, and every relation holds."""
        for variable in self.variables:
            value = settings.get(variable.name)
            if not variable.numeric:
                if value not in variable.choices:
                    return False
                continue
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                return False
            dust = TOLERANCE * max(abs(variable.low), abs(variable.high))
            if not variable.low - dust <= value <= variable.high + dust:
                return False
            if variable.kind == "integer" and value != round(value):
                return False
        return all(relation.holds(settings) for relation in self.relations)

    def round(self, settings: Settings) -> dict[str, Value]:
        """The settings as the press can set them: nearest steps inside limits and, if possible, relations."""
        found = self.settable(settings)
        return found if found is not None else next(self._candidates(settings))

    def settable(self, settings: Settings) -> dict[str, Value] | None:
        """The nearest settable values that keep limits and relations; ``None`` when rounding breaks a relation."""
        return next((found for found in self._candidates(settings) if self.contains(found)), None)

    def _candidates(self, settings: Settings) -> Iterator[dict[str, Value]]:
        """Roundings of the settings, the fewest second choices first, at most 4096."""
        options: list[tuple[Value, ...]] = []
        for variable in self.variables:
            value = settings[variable.name]
            if not variable.numeric or variable.name in self.given:
                # What is measured of a pellet is on no step of the press.
                options.append((value,))
            elif variable.kind == "integer":
                options.append(tuple(int(v) for v in variable.neighbours(float(value))))
            else:
                options.append(variable.neighbours(float(value)))
        open_places = [place for place, values in enumerate(options) if len(values) > 1][:12]
        for count in range(len(open_places) + 1 if self.relations else 1):
            for second in itertools.combinations(open_places, count):
                chosen = [values[1] if place in second else values[0] for place, values in enumerate(options)]
                yield dict(zip(self.names, chosen, strict=True))

    def sample(self, count: int, *, seed: int, skip: int = 0, distinct: bool = True) -> list[dict[str, Value]]:
        """Settable settings spread evenly over the space: a scrambled Sobol sequence inside limits and relations.

        The same seed gives the same sequence, however many are asked for; ``skip`` leaves out the first ones.

        Raises:
            InputError: The relations leave no room, or fewer than ``count`` different settings exist.

        Source:
            Owen, J. Complexity 14 (1998) 466 (scrambling).
        """
        found: list[dict[str, Value]] = []
        seen: set[tuple[Value, ...]] = set()
        for settings in self._sequence(seed):
            rounded = self.settable(settings)
            if rounded is None:
                continue
            key = tuple(rounded.values())
            if distinct and key in seen:
                continue
            seen.add(key)
            found.append(rounded)
            if len(found) == skip + count:
                return found[skip:]
        rules = "; ".join(map(str, self.relations)) or "none"
        raise InputError(
            [
                Violation(
                    "space",
                    f"{skip + count} different settings were asked, {len(found)} of {_TRIES} tried points are "
                    f"settable under the relations ({rules}): widen limits or loosen relations",
                )
            ]
        )

    def _sequence(self, seed: int) -> Iterator[dict[str, Value]]:
        from scipy.stats import qmc

        engine = qmc.Sobol(len(self.variables), scramble=True, rng=np.random.default_rng(seed))
        block = 64
        for _ in range(_TRIES // block):
            for place in engine.random(block):
                yield self._at(place)

    def _at(self, place: Array) -> dict[str, Value]:
        """Settings at one number between 0 and 1 per variable."""
        settings: dict[str, Value] = {}
        for variable, u in zip(self.variables, place, strict=True):
            if variable.name in self.given:
                settings[variable.name] = self.given[variable.name]
            elif not variable.numeric:
                count = len(variable.choices)
                settings[variable.name] = variable.choices[min(int(u * count), count - 1)]
            else:
                settings[variable.name] = variable.from_unit(float(u))
        return settings

    def encode(self, places: Array) -> Array:
        """Shape (n, dimension) from (n, variables) numbers between 0 and 1; whole numbers become whole."""
        points = np.zeros((len(places), self.dimension))
        for variable, columns, u in zip(self.variables, self.columns, places.T, strict=True):
            if not variable.numeric:
                count = len(variable.choices)
                chosen = np.minimum((u * count).astype(int), count - 1)
                points[np.arange(len(points)), columns.start + chosen] = 1.0
            elif variable.kind == "integer":
                settable = [variable.neighbours(variable.from_unit(float(one)))[0] for one in u]
                points[:, columns.start] = [variable.to_unit(value) for value in settable]
            else:
                points[:, columns.start] = u
        return self.held(points)

    @cached_property
    def known_keys(self) -> dict[tuple[Value, ...], tuple[Value, ...]]:
        """Roundings that were looked up before; a pure function's memory, not state."""
        return {}

    @cached_property
    def known_nets(self) -> dict[tuple[int, ...], tuple[Array, tuple[dict[str, Value], ...]]]:
        """Nets of points with their settings that were made before, by what they are made from."""
        return {}

    @cached_property
    def known_points(self) -> dict[tuple[Value, ...], Array]:
        """Places in the cube that were looked up before."""
        return {}

    @cached_property
    def free(self) -> tuple[bool, ...]:
        """Per column: whether it belongs to a real number, so that a gradient means something."""
        return tuple(
            variable.kind == "real" and variable.name not in self.given
            for variable, columns in zip(self.variables, self.columns, strict=True)
            for _ in range(columns.start, columns.stop)
        )

    @cached_property
    def linear_relations(self) -> list[tuple[list[tuple[int, float, float, float, bool]], float]]:
        """The linear relations by column: ((column, factor, low, high, on a log scale) ..., bound)."""
        place = {
            variable.name: (variable, cols) for variable, cols in zip(self.variables, self.columns, strict=True)
        }
        found = []
        for relation in self.relations:
            if not relation.linear:
                continue
            terms = []
            for name, factor in relation.terms.items():
                variable, columns = place[name]
                terms.append((columns.start, factor, variable.low, variable.high, variable.scale == "log"))
            found.append((terms, relation.bound))
        return found

    def allowed(self, points: Array) -> NDArray[np.bool_]:
        """Shape (n,): whether points of the unit cube keep the relations."""
        kept = np.ones(len(points), dtype=bool)
        for terms, bound in self.linear_relations:
            total = np.full(len(points), -bound)
            for column, factor, low, high, log in terms:
                u = points[:, column]
                total += factor * (low * (high / low) ** u if log else low + u * (high - low))
            kept &= total <= 0.0
        functions = [relation for relation in self.relations if not relation.linear]
        for row in np.flatnonzero(kept) if functions else ():
            settings = self.from_unit(points[row])
            kept[row] = all(relation.holds(settings) for relation in functions)
        return kept

    def to_skopt(self) -> Space:
        """The same limits, scales and choices as a ``skopt.Space``; relations and steps have no place in one."""
        from skopt.space import Categorical, Integer, Real, Space

        dimensions = []
        for variable in self.variables:
            prior = "log-uniform" if variable.scale == "log" else "uniform"
            if not variable.numeric:
                dimensions.append(Categorical(list(variable.choices), name=variable.name))
            elif variable.kind == "integer":
                dimensions.append(Integer(int(variable.low), int(variable.high), prior=prior, name=variable.name))
            else:
                dimensions.append(Real(variable.low, variable.high, prior=prior, name=variable.name))
        return Space(dimensions)


def space_from_skopt(dimensions: Sequence[Any]) -> DesignSpace:
    """A DesignSpace from what ``skopt`` accepts: tuples of limits, lists of names, its own dimensions.

    Raises:
        InputError: A dimension of another shape.
    """
    variables = []
    for index, dimension in enumerate(dimensions):
        name = getattr(dimension, "name", None) or f"x{index}"
        categories = getattr(dimension, "categories", None)
        if categories is not None:
            variables.append(Variable(name, kind="categorical", choices=tuple(map(str, categories))))
        elif hasattr(dimension, "low"):
            whole = type(dimension).__name__ == "Integer"
            log = "log" if dimension.prior == "log-uniform" else "linear"
            variables.append(_number(name, dimension.low, dimension.high, log, whole=whole))
        elif isinstance(dimension, (tuple, list)) and dimension and all(isinstance(v, str) for v in dimension):
            variables.append(Variable(name, kind="categorical", choices=tuple(dimension)))
        elif isinstance(dimension, (tuple, list)) and len(dimension) in {2, 3}:
            log = "log" if len(dimension) == 3 and dimension[2] == "log-uniform" else "linear"
            whole = isinstance(dimension[0], int) and isinstance(dimension[1], int)
            variables.append(_number(name, dimension[0], dimension[1], log, whole=whole))
        else:
            raise InputError(
                [
                    Violation(
                        name,
                        f"{dimension!r} is no dimension: give (low, high), (low, high, 'log-uniform') or names",
                    )
                ]
            )
    return DesignSpace(tuple(variables))


def _number(name: str, low: float, high: float, scale: str, *, whole: bool) -> Variable:
    return Variable(
        name,
        float(low),
        float(high),
        scale="log" if scale == "log" else "linear",
        kind="integer" if whole else "real",
    )


@lru_cache(maxsize=32)
def even_places(dimension: int, log2_count: int) -> Array:
    """Shape (2**log2_count, dimension): one fixed scrambled Sobol net, to be shifted by whoever uses it."""
    from scipy.stats import qmc

    net: Array = qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(20_11)).random_base2(log2_count)
    net.setflags(write=False)
    return net


def key_of(space: DesignSpace, settings: Mapping[str, Value]) -> tuple[Value, ...]:
    """What makes two settings the same: their settable values, in order."""
    given = tuple(settings[name] for name in space.names)
    known = space.known_keys
    key = known.get(given)
    if key is None:
        rounded = space.round(settings)
        key = tuple(rounded[name] for name in space.names)
        if len(known) >= _KEYS:
            known.clear()
        known[given] = key
    return key
