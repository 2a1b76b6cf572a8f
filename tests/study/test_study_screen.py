"""Screens: what is selected is what brute force selects, however the work is cut."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.study.axes import Axis, Protocols
from pressopt.study.engines import Inline
from pressopt.study.pareto import front
from pressopt.study.running import compute_all
from pressopt.study.screen import Screen, Selection, nominal_outcomes, select
from pressopt.surrogate import ProtocolTable
from study_jobs import RESISTANCE, SHORT, TIME, grid, small_screen


def _selected(screen: Screen) -> Selection:
    return select(screen, compute_all(screen, Inline()))


def _same(one: Selection, other: Selection) -> bool:
    return all(
        list(getattr(one, part)) == list(getattr(other, part))
        and all(np.array_equal(a, getattr(other, part)[n], equal_nan=True) for n, a in getattr(one, part).items())
        for part in ("best", "front", "robust")
    ) and (one.kept, one.protocols) == (other.kept, other.protocols)


def _brute_force(screen: Screen, system: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Costs of every protocol of a system: resistance, time, and the worst resistance within the tolerance."""
    surrogate = screen.systems[system].surrogate
    table = screen.protocols.table(screen.protocols.settings(0, len(screen.protocols)))
    found = nominal_outcomes(surrogate, table)
    fine = found[SHORT] <= 0.05
    cost, time = np.where(fine, found[RESISTANCE], np.inf), np.where(fine, found[TIME], np.inf)
    worst = cost.copy()
    for share, heat in itertools.product((-0.1, 0.1), (-3.0, 3.0)):
        stages = np.array(table.stages)
        stages[:, :, 0] *= 1 + share
        stages[:, :, 3] += heat
        there = nominal_outcomes(surrogate, ProtocolTable(stages, table.measured))
        worst = np.maximum(worst, np.where(there[SHORT] <= 0.05, there[RESISTANCE], np.inf))
    return cost, time, worst


@pytest.mark.parametrize("system", [0, 1])
def test_a_screen_finds_what_brute_force_finds(system: int) -> None:
    """The best five, the whole front and the five most robust are those of evaluating and sorting everything."""
    screen = small_screen()
    found = _selected(screen)
    cost, time, worst = _brute_force(screen, system)

    def rows(part: str) -> list[int]:
        columns = getattr(found, part)
        return list(columns["protocol"][columns["system"] == system])

    order = np.lexsort((np.arange(len(cost)), cost))
    assert rows("best") == list(order[:5])
    order = np.lexsort((np.arange(len(cost)), worst))
    assert rows("robust") == list(order[:5])
    assert np.isfinite(worst[order[4]])
    beaten = [
        bool(((cost <= c) & (time <= t) & ((cost < c) | (time < t))).any())
        for c, t in zip(cost, time, strict=True)
    ]
    assert sorted(rows("front")) == [row for row in range(len(cost)) if np.isfinite(cost[row]) and not beaten[row]]
    assert found.kept[system] == np.isfinite(cost).sum()


def test_a_robust_optimum_is_no_tautology() -> None:
    """Where cells short, the best protocol breaks the bound when the press errs, and the robust one is gentler."""
    found = _selected(small_screen())
    assert found.best["protocol"][0] not in found.robust["protocol"][found.robust["system"] == 0]
    assert found.robust["press.temperature_c"][0] < found.best["press.temperature_c"][0]
    assert found.robust["worst"][0] > found.robust[RESISTANCE][0] > found.best[RESISTANCE][0]


@pytest.mark.parametrize("block", [33, 99, 100, 280, 1000])
def test_the_cut_into_blocks_changes_nothing(block: int) -> None:
    """Whatever the size of a block, the same rows are selected with the same bits."""
    assert _same(_selected(small_screen(block_size=block)), _REFERENCE)


_REFERENCE = _selected(small_screen())


def test_keeping_all_keeps_all() -> None:
    """With keep = all every protocol of every system is in the blocks, and the selection is the same."""
    from pressopt.study.parquet import from_parquet

    screen = small_screen(keep_all=True)
    blocks = compute_all(screen, Inline())
    numbers = [from_parquet(data)[0]["protocol"] for data in blocks]
    assert sorted(np.concatenate(numbers)) == sorted([*range(280)] * 2)
    assert _same(select(screen, blocks), _REFERENCE)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.data())
def test_a_range_of_a_grid_is_the_product_in_order(counts: list[int], data: st.DataObject) -> None:
    """Settings by number are those of the nested loops, the last axis the fastest."""
    axes = tuple(Axis(f"a{i}", tuple(float(10 * i + k) for k in range(count))) for i, count in enumerate(counts))
    protocols = Protocols((), False, axes)
    start = data.draw(st.integers(0, len(protocols) - 1))
    stop = data.draw(st.integers(start + 1, len(protocols)))
    found = protocols.settings(start, stop)
    expected = list(itertools.product(*(axis.values for axis in axes)))[start:stop]
    assert [tuple(row) for row in np.stack([found[axis.name] for axis in axes], axis=1)] == expected


@given(st.integers(0, 10**12), st.sampled_from(["linear", "log"]))
def test_the_even_sequence_stays_between_its_ends(start: int, scale: str) -> None:
    """However far it has come, every value lies within its ends, and listed values are those listed."""
    axes = (Axis("a", (1.0, 100.0), scale), Axis("b", (1.0, 2.0, 4.0)), Axis("c", (7.0,)))  # type: ignore[arg-type]
    found = Protocols((), False, axes, points=10**13).settings(start, start + 50)
    assert ((found["a"] >= 1.0) & (found["a"] <= 100.0)).all()
    assert set(found["b"]) <= {1.0, 2.0, 4.0}
    assert (found["c"] == 7.0).all()


def test_the_even_sequence_is_even() -> None:
    """A thousand points leave no box of a 10 x 10 partition empty; random ones would."""
    axes = (Axis("a", (0.0, 1.0), "linear"), Axis("b", (0.0, 1.0), "linear"))
    found = Protocols((), False, axes, points=1000).settings(0, 1000)
    counts, _, _ = np.histogram2d(found["a"], found["b"], bins=10, range=[[0, 1], [0, 1]])
    assert counts.min() >= 7


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)), max_size=40), st.integers(1, 3)
)
def test_a_front_is_what_nobody_beats(points: list[tuple[int, int, int]], columns: int) -> None:
    """Every row on the front is beaten by none, every other is beaten or equals an earlier one."""
    costs = np.array(points, dtype=float).reshape(-1, 3)[:, :columns]
    found = set(front(costs))
    for row, cost in enumerate(costs):
        beaten = any((other <= cost).all() and (other < cost).any() for other in costs)
        repeats = any((costs[earlier] == cost).all() for earlier in range(row))
        assert (row in found) == (not beaten and not repeats)


def test_infinite_costs_are_on_no_front() -> None:
    """A protocol that breaks a bound cannot be chosen, even if nothing else is there."""
    assert front(np.array([[np.inf, 1.0], [np.nan, 0.0]])).size == 0
    assert _selected(small_screen(protocols=grid(pressure_mpa=(90.0, 95.0)))).kept[0] == 0


def test_the_identity_names_what_matters() -> None:
    """Another bound, another cell or another setting is another study; another title is not."""
    from pressopt.study.job import digest_of_job

    screen = small_screen()
    same = digest_of_job(replace(screen, title="another"))
    assert same == digest_of_job(screen)
    others = [
        replace(screen, wanted=replace(screen.wanted, top=6)),
        replace(screen, systems=screen.systems[:1]),
        replace(screen, protocols=grid(pressure_mpa=(2.0, 5.0))),
    ]
    assert len({digest_of_job(other) for other in (screen, *others)}) == 4
