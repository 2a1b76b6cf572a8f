"""Strategy `repeat`: the same protocol for every cell, and a mean that says how well it is known."""

from __future__ import annotations

import math

import pytest

from pressopt.errors import InputError
from pressopt.optimizer import DesignSpace, Measurement, Objective, Observation, Recommender, Variable

QUANTITY = "interfacial_resistance_ohm_cm2"


def recommender() -> Recommender:
    return Recommender(DesignSpace(()), (Objective(QUANTITY),), strategy="repeat")


def cell(number: int, value: float, sd: float = 0.0) -> Observation:
    return Observation(number, {}, outcomes={QUANTITY: Measurement(value, sd)})


def test_every_cell_gets_the_same_protocol() -> None:
    """Whatever was measured, the next proposals vary nothing and say that they repeat."""
    proposals = recommender().ask([cell(1, 10.0), cell(2, 12.0)], n=3)
    assert [(dict(one.settings), one.reason) for one in proposals] == [({}, "replicate")] * 3


def test_the_interval_is_students_of_the_cells() -> None:
    """Three cells of 9, 10 and 11.11: geometric mean 10, and t = 4.303 standard errors on either side."""
    expected = recommender().recommend([cell(1, 9.0), cell(2, 10.0), cell(3, 100 / 9)]).expected[QUANTITY]
    error = math.log(10 / 9) / math.sqrt(3)
    assert expected.median == pytest.approx(10.0)
    assert math.log(expected.high / 10.0) == pytest.approx(4.3027 * error, rel=1e-4)
    assert expected.low * expected.high == pytest.approx(100.0)


def test_one_cell_is_known_as_well_as_it_was_read() -> None:
    """A single reading of 10 ± 1 has the interval of that reading; failed cells lower the feasibility only."""
    failed = Observation(2, {}, failures=frozenset({"shorted"}))
    found = recommender().recommend([cell(1, 10.0, 1.0), failed])
    assert math.log(found.expected[QUANTITY].high / 10.0) == pytest.approx(0.196, abs=1e-3)
    assert (found.evidence, found.feasibility) == (1, 0.5)


def test_nothing_measured_gives_no_mean() -> None:
    """Only failed cells: refused in words instead of a made-up number."""
    with pytest.raises(InputError, match="no cell was measured"):
        recommender().recommend([Observation(1, {}, failures=frozenset({"shorted"}))])


@pytest.mark.parametrize(
    ("space", "strategy"), [(DesignSpace(()), "gp"), (DesignSpace((Variable("a.pressure_mpa", 1, 2),)), "repeat")]
)
def test_searching_and_repeating_exclude_each_other(space: DesignSpace, strategy: str) -> None:
    """Nothing varied needs `repeat`, and `repeat` needs nothing varied."""
    with pytest.raises(InputError, match="repeat"):
        Recommender(space, (Objective(QUANTITY),), strategy=strategy)
