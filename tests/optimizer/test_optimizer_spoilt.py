"""Readings of spoilt cells are told from narrow valleys, by the evidence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pressopt.optimizer.spoilt import Residuals, without_spoilt

Array = NDArray[np.float64]

#: A spoilt cell reads twice as much.
TWICE = np.log(2.0)


def searched(seed: int) -> tuple[Array, Array]:
    """Twenty readings of a smooth bowl, as a search leaves them: spread at first, then close together."""
    rng = np.random.default_rng(seed)
    x = np.vstack([rng.random((8, 3)), [0.5, 0.3, 0.9] + 0.05 * rng.standard_normal((12, 3))]).clip(0.0, 1.0)
    bowl = 6.0 * (x[:, 0] - 0.5) ** 2 + 4.0 * (x[:, 1] - 0.3) ** 2 + 0.5 * (x[:, 2] - 1.0) ** 2
    return x, bowl + 0.05 * rng.standard_normal(20)


def learnt(x: Array, y: Array) -> tuple[Array, set[int]]:
    """The length scales found, and the rows set aside."""
    scale = y.std()
    readings = Residuals(x, ((y - y.mean()) / scale)[None, :])
    process, doubted = without_spoilt(readings, np.full(len(y), (0.01 / scale) ** 2), (TWICE / scale) ** 2)
    return process.length_scales, set(doubted)


@pytest.mark.parametrize("seed", range(8))
def test_two_spoilt_cells_among_close_readings_are_set_aside_together(seed: int) -> None:
    """They would make the valley look like hills as narrow as the gap to the next reading."""
    x, y = searched(seed)
    y[[10, 17]] += TWICE
    scales, doubted = learnt(x, y)
    assert doubted == {10, 17}
    assert (scales > 0.15).all()


@pytest.mark.parametrize("seed", range(8))
def test_where_no_cell_is_spoilt_none_is_doubted(seed: int) -> None:
    """Steep sides and a floor of noise are no reason."""
    assert learnt(*searched(seed))[1] == set()


@pytest.mark.parametrize("seed", range(8))
def test_a_reading_better_than_all_others_is_never_doubted(seed: int) -> None:
    """The best reading of a narrow optimum must not count as a mistake."""
    x, y = searched(seed)
    y[15] -= np.log(3.0)
    assert 15 not in learnt(x, y)[1]


def test_a_member_that_one_reading_rules_out_makes_that_reading_no_spoilt_one() -> None:
    """What the physics expects differs between its draws; only all of them together can be surprised."""
    x, y = searched(1)
    y[[10, 17]] += TWICE
    scale = y.std()
    other = y.copy()
    other[3] -= 30.0 * scale
    readings = Residuals(x, (np.vstack([y, other]) - y.mean()) / scale)
    _, doubted = without_spoilt(readings, np.full(len(y), (0.01 / scale) ** 2), (TWICE / scale) ** 2)
    assert set(doubted) == {10, 17}
