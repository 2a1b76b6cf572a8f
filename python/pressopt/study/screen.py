"""Screening: full protocols x materials x roughness; the best of each system, its front, its robust optimum.

A block is a range of protocols of one system. It returns the rows that can still win: the best by the first
objective, the front over all objectives, and the best under the tolerances of a press. Selecting from selections
is selecting from all, so the answer depends neither on the size of a block nor on the order in which they come.

Robust means: the worst value of the first objective at the corners (and the centre) of the box of tolerances, with
every constraint kept at each corner. A press errs alike in all stages of a protocol (its gauge, its platens), so
an error is one number for pressure, one for dwell and one for temperature. What is worst is never better than what
is asked, so protocols are looked at in order of their value and the search ends where none can win any more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pressopt.study.axes import Protocols, cut
from pressopt.study.job import told_of
from pressopt.study.pareto import front
from pressopt.study.parquet import Columns, from_parquet, to_parquet
from pressopt.surrogate import ProtocolTable, Surrogate

Real = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: Protocols in a block: some 30 MB of arrays, a tenth of a second.
BLOCK = 100_000
#: Protocols whose tolerance box is evaluated at a time.
_BOXES = 512
#: Columns that say where a row comes from and why it was kept.
SYSTEM, NUMBER, BEST, FRONT, ROBUST, WORST = "system", "protocol", "best", "front", "robust", "worst"


@dataclass(frozen=True, slots=True)
class Goal:
    """A quantity to improve.

    Attributes:
        quantity: Its name, unit included.
        direction: Whether less or more is better.
    """

    quantity: str
    direction: Literal["minimize", "maximize"]

    @property
    def sign(self) -> float:
        """Factor that makes less better."""
        return 1.0 if self.direction == "minimize" else -1.0


@dataclass(frozen=True, slots=True)
class Bound:
    """A quantity that has to stay within bounds; an end that is ``None`` is open."""

    quantity: str
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a press misses what it is asked.

    Attributes:
        pressure_share: Of pressure (or line force), relative.
        dwell_share: Of dwell, relative.
        temperature_c: Of temperature, K.
    """

    pressure_share: float = 0.0
    dwell_share: float = 0.0
    temperature_c: float = 0.0

    def corners(self, table: ProtocolTable) -> list[ProtocolTable]:
        """The protocols at each corner of the box."""
        return [
            _missed(table, pressure, dwell, heat)
            for pressure, dwell, heat in itertools.product(
                _ends(self.pressure_share), _ends(self.dwell_share), _ends(self.temperature_c)
            )
        ]


def _ends(error: float) -> tuple[float, ...]:
    return (-error, error) if error > 0 else (0.0,)


def _missed(table: ProtocolTable, pressure: float, dwell: float, heat: float) -> ProtocolTable:
    stages = np.array(table.stages)
    stages[:, :, 0] *= 1.0 + pressure
    stages[:, :, 3] += heat
    if not table.rolled:  # a nip has no dwell of its own
        stages[:, :, 2] *= 1.0 + dwell
    return ProtocolTable(stages, table.measured, table.rolled)


@dataclass(frozen=True)
class System:
    """One cell that is screened.

    Attributes:
        name: As people call it.
        surrogate: Its physics.
        roughness_um: Roughness of the face that the metal touches, µm; ``None``: as the cell says.
    """

    name: str
    surrogate: Surrogate
    roughness_um: float | None = None

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"name": self.name, "roughness_um": self.roughness_um, **told_of(self.surrogate)}


@dataclass(frozen=True)
class Wanted:
    """What rows are selected by.

    Attributes:
        goals: At least one; the first ranks, all make the front.
        bounds: What has to hold.
        tolerance: How far the press misses; ``None``: no robust optimum is looked for.
        top: How many rows of each kind are kept per system (of the front all).
    """

    goals: tuple[Goal, ...]
    bounds: tuple[Bound, ...] = ()
    tolerance: Tolerance | None = None
    top: int = 20

    @property
    def quantities(self) -> tuple[str, ...]:
        """All quantities that goals and bounds name."""
        return tuple(dict.fromkeys([goal.quantity for goal in self.goals] + [b.quantity for b in self.bounds]))

    def kept(self, outcomes: Mapping[str, Real]) -> Flags:
        """Shape (n,): where all bounds hold."""
        found = np.ones(len(next(iter(outcomes.values()))), dtype=bool)
        for bound in self.bounds:
            values = outcomes[bound.quantity]
            if bound.upper is not None:
                found &= values <= bound.upper
            if bound.lower is not None:
                found &= values >= bound.lower
        return found

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "goals": [[goal.quantity, goal.direction] for goal in self.goals],
            "bounds": [[b.quantity, b.lower, b.upper] for b in self.bounds],
            "tolerance": None
            if self.tolerance is None
            else [self.tolerance.pressure_share, self.tolerance.dwell_share, self.tolerance.temperature_c],
            "top": self.top,
        }


def nominal_outcomes(surrogate: Surrogate, table: ProtocolTable) -> dict[str, Real]:
    """Per quantity shape (n,): at the median of the parameters, on one core."""
    row = surrogate.rows_at(np.zeros((1, len(surrogate.parameters))))
    found = {name: values[0] for name, values in surrogate.outcomes(row, table, threads=1).items()}
    return found | {"press_time_s": table.press_time_s(surrogate.cell.electrode_diameter_mm)}


@dataclass(frozen=True)
class ScreenBlock:
    """Protocols ``start`` to ``stop`` of one system; see :class:`pressopt.study.job.Block`."""

    index: int
    system: System
    protocols: Protocols
    wanted: Wanted
    start: int
    stop: int
    keep_all: bool

    def __call__(self) -> bytes:
        numbers = np.arange(self.start, self.stop, dtype=np.int64)
        settings = self.protocols.settings(self.start, self.stop)
        table = self.protocols.table(settings)
        outcomes = nominal_outcomes(self.system.surrogate, table)
        kept = self.wanted.kept(outcomes)
        costs = np.stack([goal.sign * outcomes[goal.quantity] for goal in self.wanted.goals], axis=1)
        costs[~kept] = np.inf
        best, on_front = np.zeros(len(numbers), dtype=bool), np.zeros(len(numbers), dtype=bool)
        best[_least(costs[:, 0], self.wanted.top)] = True
        on_front[front(costs)] = True
        worst, robust = self._robust(table, costs[:, 0])
        rows = np.arange(len(numbers)) if self.keep_all else np.flatnonzero(best | on_front | robust)
        columns: Columns = {
            SYSTEM: np.full(len(rows), self.index, dtype=np.int32),
            NUMBER: numbers[rows],
            BEST: best[rows],
            FRONT: on_front[rows],
            ROBUST: robust[rows],
            WORST: worst[rows],
        }
        columns |= {name: settings[name][rows] for name in settings}
        columns |= {name: values[rows] for name, values in outcomes.items()}
        about = {"protocols": len(numbers), "kept": int(kept.sum()), "system": self.index}
        return to_parquet(columns, about)

    def _robust(self, table: ProtocolTable, cost: Real) -> tuple[Real, Flags]:
        """Worst value at the corners of the tolerance box where it was looked for (else NaN), and who wins."""
        worst = np.full(len(cost), np.nan)
        found = np.zeros(len(cost), dtype=bool)
        tolerance = self.wanted.tolerance
        if tolerance is None:
            return worst, found
        order = np.lexsort((np.arange(len(cost)), cost))
        order = order[np.isfinite(cost[order])]
        winners = np.empty(0, dtype=np.int64)
        for start, stop in cut(len(order), _BOXES):
            rows = order[start:stop]
            if len(winners) >= self.wanted.top and cost[rows[0]] > worst[winners].max():
                break  # the worst of a protocol is at least its value: nothing that follows can win
            worst[rows] = self._worst(_rows(table, rows), cost[rows], tolerance)
            pool = np.concatenate([winners, rows])
            pool = pool[np.isfinite(worst[pool])]
            winners = pool[np.lexsort((pool, worst[pool]))[: self.wanted.top]]
        found[winners] = True
        # Elsewhere the value depends on how far the search went; what is kept must not.
        shown = np.full(len(cost), np.nan)
        shown[winners] = worst[winners] * self.wanted.goals[0].sign
        return shown, found

    def _worst(self, table: ProtocolTable, cost: Real, tolerance: Tolerance) -> Real:
        """Signed worst value over centre and corners; infinite where a corner breaks a bound."""
        goal, worst = self.wanted.goals[0], cost.copy()
        for corner in tolerance.corners(table):
            outcomes = nominal_outcomes(self.system.surrogate, corner)
            value = goal.sign * outcomes[goal.quantity]
            worst = np.maximum(worst, np.where(self.wanted.kept(outcomes), value, np.inf))
        return worst


def _rows(table: ProtocolTable, rows: npt.NDArray[np.int64]) -> ProtocolTable:
    return ProtocolTable(table.stages[rows], table.measured[rows], table.rolled)


def _least(cost: Real, count: int) -> npt.NDArray[np.int64]:
    """Rows with the least finite cost; of equal ones the first."""
    if len(cost) > 4 * count:
        near = np.flatnonzero(cost <= np.partition(cost, count - 1)[count - 1])
    else:
        near = np.arange(len(cost))
    near = near[np.isfinite(cost[near])]
    return near[np.lexsort((near, cost[near]))[:count]]


@dataclass(frozen=True)
class Screen:
    """A job: every protocol for every system; see :class:`pressopt.study.job.Job`.

    Attributes:
        title: One line for people.
        systems: What is pressed.
        protocols: How.
        wanted: What is selected.
        keep_all: Whether every protocol is kept, not only those that can win.
        block_size: Protocols in a block.
    """

    title: str
    systems: tuple[System, ...]
    protocols: Protocols
    wanted: Wanted
    keep_all: bool = False
    block_size: int = BLOCK

    kind = "screen"
    unit = "protocols"

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "systems": [system.told() for system in self.systems],
            "protocols": self.protocols.told(),
            "wanted": self.wanted.told(),
            "keep_all": self.keep_all,
        }

    @cached_property
    def _ranges(self) -> list[tuple[int, int, int]]:
        """Per block: system, first protocol, end."""
        pieces = list(cut(len(self.protocols), self.block_size))
        return [(system, start, stop) for system in range(len(self.systems)) for start, stop in pieces]

    @cached_property
    def sizes(self) -> Sequence[int]:
        return [stop - start for _, start, stop in self._ranges]

    def block(self, index: int) -> ScreenBlock:
        system, start, stop = self._ranges[index]
        return ScreenBlock(system, self.systems[system], self.protocols, self.wanted, start, stop, self.keep_all)


@dataclass(frozen=True)
class Selection:
    """What a screen found.

    Attributes:
        best, front, robust: Rows, system by system, the best first; ``robust`` is empty without tolerance.
        protocols, kept: Per system: how many were looked at, and how many keep all bounds.
    """

    best: Columns
    front: Columns
    robust: Columns
    protocols: tuple[int, ...]
    kept: tuple[int, ...]


def select(screen: Screen, blocks: Iterable[bytes]) -> Selection:
    """Select from the rows of all blocks, in one pass and in flat memory."""
    folded = [_Fold(screen.wanted) for _ in screen.systems]
    for data in blocks:
        columns, about = from_parquet(data)
        folded[about["system"]].add(columns, about)
    return Selection(
        best=_stacked(fold.best() for fold in folded),
        front=_stacked(fold.front() for fold in folded),
        robust=_stacked(fold.robust() for fold in folded),
        protocols=tuple(fold.protocols for fold in folded),
        kept=tuple(fold.kept for fold in folded),
    )


class _Fold:
    """The rows of one system that can still win."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._rows: Columns = {}
        self.protocols = self.kept = 0

    def add(self, columns: Columns, about: Mapping[str, Any]) -> None:
        self.protocols += about["protocols"]
        self.kept += about["kept"]
        flagged = columns[BEST] | columns[FRONT] | columns[ROBUST]
        rows = {name: values[flagged] for name, values in columns.items()}
        joined = _stacked([self._rows, rows]) if self._rows else rows
        order = np.argsort(joined[NUMBER], kind="stable")
        joined = {name: values[order] for name, values in joined.items()}
        best = np.zeros(len(order), dtype=bool)
        best[_least(np.where(joined[BEST], self._cost(joined), np.inf), self._wanted.top)] = True
        worst = self._wanted.goals[0].sign * joined[WORST]
        robust = np.zeros(len(order), dtype=bool)
        robust[_least(np.where(joined[ROBUST], worst, np.inf), self._wanted.top)] = True
        on_front = np.zeros(len(order), dtype=bool)
        costs = np.stack([goal.sign * joined[goal.quantity] for goal in self._wanted.goals], axis=1)
        on_front[front(np.where(joined[FRONT][:, None], costs, np.inf))] = True
        stays = best | on_front | robust
        # Of others it is known by chance: where they won in a block.
        joined |= {BEST: best, FRONT: on_front, ROBUST: robust, WORST: np.where(robust, joined[WORST], np.nan)}
        self._rows = {name: values[stays] for name, values in joined.items()}

    def best(self) -> Columns:
        return self._chosen(BEST, self._cost)

    def front(self) -> Columns:
        return self._chosen(FRONT, self._cost)

    def robust(self) -> Columns:
        return self._chosen(ROBUST, lambda rows: self._wanted.goals[0].sign * rows[WORST])

    def _cost(self, rows: Columns) -> Real:
        goal = self._wanted.goals[0]
        return np.asarray(goal.sign * rows[goal.quantity])

    def _chosen(self, flag: str, by: Any) -> Columns:
        rows = {name: values[self._rows[flag]] for name, values in self._rows.items()}
        order = np.lexsort((rows[NUMBER], by(rows)))
        return {name: values[order] for name, values in rows.items()}


def _stacked(parts: Iterable[Columns]) -> Columns:
    rows = list(parts)
    return {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}


def intervals(
    screen: Screen, rows: Columns, *, draws: int = 256, seed: int = 0, probability: float = 0.95
) -> Columns:
    """Rows with the interval of each quantity over draws of the parameters: ``..._low`` and ``..._high``."""
    found = dict(rows)
    for goal in screen.wanted.quantities:
        found[f"{goal}_low"] = np.full(len(rows[NUMBER]), np.nan)
        found[f"{goal}_high"] = np.full(len(rows[NUMBER]), np.nan)
    for index, system in enumerate(screen.systems):
        of = np.flatnonzero(rows[SYSTEM] == index)
        if of.size == 0:
            continue
        settings = {axis.name: rows[axis.name][of] for axis in screen.protocols.axes}
        prediction = system.surrogate.predict(screen.protocols.table(settings), draws=draws, seed=seed)
        for quantity in screen.wanted.quantities:
            low, _, high = prediction.interval(quantity, probability)
            found[f"{quantity}_low"][of], found[f"{quantity}_high"][of] = low, high
    return found


def settings_of(screen: Screen, rows: Columns, row: int) -> dict[str, float]:
    """The settings of one row that were varied."""
    return {axis.name: float(rows[axis.name][row]) for axis in screen.protocols.varied}


def per_system(screen: Screen, rows: Columns) -> Iterator[tuple[System, int | None]]:
    """Each system with its first row, or ``None`` where no protocol keeps the bounds."""
    for index, system in enumerate(screen.systems):
        found = np.flatnonzero(rows[SYSTEM] == index)
        yield system, int(found[0]) if found.size else None


def with_roughness(system: System, surrogate: Surrogate, roughness_um: float) -> System:
    """The same system with another roughness of the face that the metal touches."""
    return replace(
        system, name=f"{system.name}, {roughness_um:g} µm", surrogate=surrogate, roughness_um=roughness_um
    )
