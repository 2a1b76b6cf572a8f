"""Many virtual campaigns over twins: which way of working finds a good protocol with the fewest cells.

An *arm* is one way of working: strategy, size of the start, cells pressed at a time, cells per setting. Each arm
is tried on the same twins, so arms are compared pair by pair. A block is one campaign, and one campaign is one row
per checkpoint: what its recommendation would cost if it ended there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.assembly import recommender_of
from pressopt.campaign.experiment import Experiment
from pressopt.errors import InputError, Violation
from pressopt.optimizer.observation import Observation, Settings
from pressopt.optimizer.strategies import strategy as strategy_of
from pressopt.study.parquet import Columns, from_parquet, to_parquet
from pressopt.study.virtual import judged_quantity, least_cost, merit, press

Real = npt.NDArray[np.float64]

#: How much more than the optimum an answer may cost to count as found.
GOOD = 0.10
#: A gap beyond this is a hundred times the optimum's cost, or an answer with which every cell fails: as bad.
WORST_GAP = 100.0
#: Resamples behind the interval of a difference.
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of working.

    Attributes:
        strategy: Name of the engine.
        initial: Space-filling trials before it is asked; ``None``: as many as suit the strategy.
        batch: Cells that are proposed at a time, before any of them is measured.
        replicates: Cells for each setting; ``None``: the model repeats settings where noise limits.
    """

    strategy: str
    initial: int | None = None
    batch: int = 1
    replicates: int | None = None

    def __str__(self) -> str:
        parts = [self.strategy]
        parts += [f"start {self.initial}"] if self.initial is not None else []
        parts += [f"batches of {self.batch}"] if self.batch > 1 else []
        parts += [f"{self.replicates} cells each"] if self.replicates is not None else []
        return ", ".join(parts)


@dataclass(frozen=True)
class CampaignBlock:
    """One virtual campaign; see :class:`pressopt.study.job.Block`."""

    experiment: Experiment
    arm: Arm
    arm_number: int
    twin: int
    checkpoints: tuple[int, ...]

    def __call__(self) -> bytes:
        of = self._prepared()
        engine, quantity = recommender_of(of), judged_quantity(of)
        history: list[Observation] = []
        answers: list[Settings] = []
        told: list[tuple[int, int]] = []
        for checkpoint in self.checkpoints:
            while len(history) < checkpoint:
                count = min(self.arm.batch, checkpoint - len(history))
                proposals = engine.ask(history, n=count)
                first = len(history) + 1
                history += [press(of, first + k, one.settings) for k, one in enumerate(proposals)]
            failed = sum(bool(one.failures) for one in history)
            told.append((checkpoint, failed))
            read = [one for one in history if quantity in one.outcomes]
            luckiest = min(read, key=lambda one: one.outcomes[quantity].value, default=history[0])
            # Where every cell failed nothing can be recommended: the last one pressed stands for it.
            answers += [engine.recommend(history).settings if read else history[-1].settings, luckiest.settings]
        worth = merit(of, answers)
        pressed = merit(of, [one.settings for one in history])
        least = least_cost(of)
        hours = np.cumsum(pressed.press_time_s) / 3600.0
        columns: Columns = {
            "arm": np.full(len(told), self.arm_number, dtype=np.int32),
            "twin": np.full(len(told), self.twin, dtype=np.int32),
            "cells": np.array([cells for cells, _ in told], dtype=np.int32),
            "failed": np.array([failed for _, failed in told], dtype=np.int32),
            "press_hours": np.array([hours[cells - 1] for cells, _ in told]),
            "gap": worth.cost[0::2] / least - 1.0,
            "gap_of_best_reading": worth.cost[1::2] / least - 1.0,
            "failing": worth.failing[0::2],
        }
        return to_parquet(columns)

    def _prepared(self) -> Experiment:
        """The experiment on this twin, done in this way."""
        of, arm = self.experiment, self.arm
        return replace(
            of,
            seed=self.twin,
            laboratory=replace(of.laboratory, seed=self.twin),
            strategy=replace(of.strategy, name=arm.strategy),
            budget=replace(of.budget, trials=self.checkpoints[-1], initial=arm.initial, replicates=arm.replicates),
        )


@dataclass(frozen=True)
class Simulate:
    """A job: every arm on every twin; see :class:`pressopt.study.job.Job`.

    Attributes:
        experiment: What is searched, and on which kind of cell.
        arms: The ways of working.
        twins: Seeds of the twins (and of the campaigns on them).
        checkpoints: Cells after which an answer is asked, ascending; the last is the budget.
    """

    experiment: Experiment
    arms: tuple[Arm, ...]
    twins: tuple[int, ...]
    checkpoints: tuple[int, ...]

    kind = "simulate"
    unit = "campaigns"

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment.digest,
            "arms": [[arm.strategy, arm.initial, arm.batch, arm.replicates] for arm in self.arms],
            "twins": list(self.twins),
            "checkpoints": list(self.checkpoints),
        }

    @cached_property
    def sizes(self) -> Sequence[int]:
        return [1] * (len(self.arms) * len(self.twins))

    def block(self, index: int) -> CampaignBlock:
        # All arms on one twin, then the next twin: they share its optimum, and a stopped study compares fairly.
        twin, arm = divmod(index, len(self.arms))
        return CampaignBlock(self.experiment, self.arms[arm], arm, self.twins[twin], self.checkpoints)


def plan_simulation(
    experiment: Experiment,
    *,
    strategies: Sequence[str],
    initial: Sequence[int | None] = (None,),
    batch: Sequence[int] = (1,),
    replicates: Sequence[int | None] = (None,),
    trials: int,
    every: int = 5,
    twins: int,
    first_twin: int = 1,
) -> Simulate:
    """All combinations as arms.

    Raises:
        InputError: Everything that does not fit together, at once.
    """
    wrong: list[Violation] = []
    for name in strategies:
        try:
            strategy_of(name)
        except InputError as refused:
            wrong += [Violation("--strategies", v.message) for v in refused.violations]
    for option, values, least in (
        ("--initial", initial, 1),
        ("--batch", batch, 1),
        ("--replicates", replicates, 1),
    ):
        wrong += [
            Violation(option, f"{value} is not allowed: give {least} to {trials}, the budget")
            for value in values
            if value is not None and not least <= value <= trials
        ]
    for option, given in (("--strategies", strategies), ("--initial", initial), ("--batch", batch)):
        if not given or len(set(given)) < len(list(given)):
            wrong.append(Violation(option, "is empty or names something twice"))
    if trials < 1 or every < 1 or twins < 1:
        wrong.append(Violation("--trials", "trials, every and twins are whole numbers from 1"))
    if experiment.laboratory.kind != "twin":
        wrong.append(Violation("laboratory", 'is a bench: virtual campaigns need kind = "twin"'))
    try:
        judged_quantity(experiment)
    except InputError as refused:
        wrong += refused.violations
    if wrong:
        raise InputError(wrong)
    arms = tuple(Arm(*choice) for choice in itertools.product(strategies, initial, batch, replicates))
    checkpoints = sorted({trials, *range(every, trials, every)})
    return Simulate(experiment, arms, tuple(range(first_twin, first_twin + twins)), tuple(checkpoints))


@dataclass(frozen=True)
class Curves:
    """What came out, arm by arm: gaps of shape (arms, twins, checkpoints), NaN where a campaign is not done.

    Attributes:
        gap: How much more than the optimum a good cell costs by the recommendation.
        gap_of_best_reading: The same for whoever takes the best reading.
        failed: Cells that failed.
        press_hours: Time under the press, h.
    """

    gap: Real
    gap_of_best_reading: Real
    failed: Real
    press_hours: Real


def gather(job: Simulate, blocks: Iterable[bytes]) -> tuple[Curves, Columns]:
    """All finished campaigns as curves, and as one table."""
    shape = len(job.arms), len(job.twins), len(job.checkpoints)
    names = ("gap", "gap_of_best_reading", "failed", "press_hours")
    curves = {name: np.full(shape, np.nan) for name in names}
    rows: list[Columns] = []
    for data in blocks:
        columns, _ = from_parquet(data)
        rows.append(columns)
        arm, twin = int(columns["arm"][0]), job.twins.index(int(columns["twin"][0]))
        for name in names:
            curves[name][arm, twin] = columns[name]
    table = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]} if rows else {}
    return Curves(**curves), table


def summarize(job: Simulate, curves: Curves) -> dict[str, Any]:
    """What is worth it, as plain JSON: per arm the gap at the end, cells to a good answer, and against arm one."""
    arms = []
    for index, arm in enumerate(job.arms):
        gaps = curves.gap[index]
        done = ~np.isnan(gaps[:, -1])
        last = gaps[done, -1]
        middle = np.array([_quantile(gaps[done, k], 0.5) for k in range(gaps.shape[1])])
        good = [cells for cells, gap in zip(job.checkpoints, middle, strict=True) if gap <= GOOD]
        arms.append(
            {
                "arm": str(arm),
                "strategy": arm.strategy,
                "initial": arm.initial,
                "batch": arm.batch,
                "replicates": arm.replicates,
                "campaigns": int(done.sum()),
                "median_gap": _finite(_quantile(last, 0.5)),
                "quartiles": [_finite(_quantile(last, 0.25)), _finite(_quantile(last, 0.75))],
                "median_gap_of_best_reading": _finite(_quantile(curves.gap_of_best_reading[index, done, -1], 0.5)),
                "good_share": float((last <= GOOD).mean()) if last.size else None,
                "cells_to_good": good[0] if good else None,
                "failed_cells": float(curves.failed[index, done, -1].mean()) if last.size else None,
                "press_hours": float(curves.press_hours[index, done, -1].mean()) if last.size else None,
                "against_first": None if index == 0 else _against(curves.gap[0, :, -1], gaps[:, -1]),
                "curve": [
                    {"cells": cells, "median_gap": _finite(gap)}
                    for cells, gap in zip(job.checkpoints, middle, strict=True)
                ],
            }
        )
    return {
        "schema": "pressopt/simulate/1",
        "experiment": job.experiment.name,
        "campaigns": int((~np.isnan(curves.gap[:, :, -1])).sum()),
        "twins": len(job.twins),
        "trials": job.checkpoints[-1],
        "good": GOOD,
        "arms": arms,
    }


def _against(first: Real, other: Real) -> dict[str, Any] | None:
    """Median difference of the gaps on the same twins, with a 95 % bootstrap interval; negative is better.

    An answer with which every cell fails counts as :data:`WORST_GAP`.

    Source:
        Efron, Ann. Statist. 7 (1979) 1 (the bootstrap).
    """
    first, other = bounded(first), bounded(other)
    both = ~(np.isnan(first) | np.isnan(other))
    if both.sum() < 2:
        return None
    difference = other[both] - first[both]
    picks = np.random.default_rng(0).integers(0, difference.size, (_RESAMPLES, difference.size))
    medians = np.median(difference[picks], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return {
        "median_difference": float(np.median(difference)),
        "low": float(low),
        "high": float(high),
        "better_on": int((difference < 0).sum()),
        "of": int(difference.size),
    }


def bounded(gaps: Real) -> Real:
    """Gaps that can be subtracted: none above :data:`WORST_GAP`; what is not known stays NaN."""
    return np.asarray(np.minimum(gaps, WORST_GAP))


def _quantile(values: Real, level: float) -> float:
    """A quantile that is one of the values, so that an answer that always fails (infinite) does not poison it."""
    return float(np.quantile(values, level, method="inverted_cdf")) if values.size else float("nan")


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
