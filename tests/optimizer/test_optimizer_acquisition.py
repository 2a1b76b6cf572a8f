"""Expected improvement and hypervolume against Monte Carlo, far tails, and the search for their maxima."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from pressopt._core import (
    GaussianProcess,
    hypervolume,
    log_expected_improvement,
    log_hypervolume_gain,
    log_normal_cdf,
    search_acquisition,
)

DRAWS = 1_000_000


def test_log_normal_cdf_is_scipys() -> None:
    """From the far tail to the other side the logarithm of the distribution function agrees to 1e-12 relative."""
    z = np.concatenate([-np.geomspace(1e-8, 1e7, 60), np.geomspace(1e-8, 30, 60)])
    np.testing.assert_allclose(log_normal_cdf(z), special.log_ndtr(z), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(("mean", "sd", "best"), [(0.0, 1.0, 0.5), (2.0, 0.7, 1.0), (-1.0, 0.2, -0.9)])
def test_expected_improvement_is_the_mean_of_a_million_draws(mean: float, sd: float, best: float) -> None:
    """The closed form lies within four standard errors of Monte Carlo."""
    draws = np.maximum(best - (mean + sd * np.random.default_rng(0).standard_normal(DRAWS)), 0.0)
    got = log_expected_improvement(np.array([[mean]]), np.zeros(1), np.array([[sd**2]]), best)[0]
    assert np.exp(got) == pytest.approx(draws.mean(), abs=4 * draws.std() / np.sqrt(DRAWS))


def test_expected_improvement_of_a_mixture_is_the_weighted_mean() -> None:
    """A mixture of Gaussians gains what its parts gain, by weight."""
    parts = [
        log_expected_improvement(np.array([[m]]), np.zeros(1), np.array([[v]]), 0.3)[0]
        for m, v in ((0.0, 1.0), (1.0, 4.0))
    ]
    got = log_expected_improvement(np.array([[0.0, 1.0]]), np.log([0.25, 0.75]), np.array([[1.0, 4.0]]), 0.3)[0]
    assert np.exp(got) == pytest.approx(0.25 * np.exp(parts[0]) + 0.75 * np.exp(parts[1]), rel=1e-12)


def test_log_improvement_stays_finite_and_rising_where_improvement_underflows() -> None:
    """A thousand standard deviations away the logarithm still says which way is better."""
    means = np.linspace(10.0, 1e6, 500)[:, None]
    values = log_expected_improvement(means, np.zeros(1), np.ones_like(means), 0.0)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()


def test_hypervolume_gain_is_the_mean_of_a_million_draws() -> None:
    """The closed form lies within four standard errors of Monte Carlo over the dominated area."""
    front = [[0.1, 0.9], [0.4, 0.5], [0.8, 0.2]]
    reference = [1.2, 1.1]
    mean, sd = np.array([0.35, 0.45]), np.array([0.3, 0.25])
    a, b = mean[:, None] + sd[:, None] * np.random.default_rng(1).standard_normal((2, DRAWS))
    # Area above and right of a draw, inside the reference, less what the front has already.
    edges = [-np.inf, 0.1, 0.4, 0.8, 1.2]
    roofs = [1.1, 0.9, 0.5, 0.2]
    gain = np.zeros(DRAWS)
    for left, right, roof in zip(edges[:-1], edges[1:], roofs, strict=True):
        gain += np.maximum(right - np.maximum(a, left), 0.0) * np.maximum(roof - b, 0.0)
    got = log_hypervolume_gain(mean[None, :], sd[None, :] ** 2, (front, reference))[0]
    assert np.exp(got) == pytest.approx(gain.mean(), abs=4 * gain.std() / np.sqrt(DRAWS))


def test_a_sure_point_gains_what_it_adds_to_the_hypervolume() -> None:
    """Without doubt the expected gain is the difference of two areas; dominated pairs change nothing."""
    front = [[0.1, 0.9], [0.4, 0.5], [0.8, 0.2]]
    reference = [1.2, 1.1]
    added = hypervolume([*front, [0.3, 0.3]], reference) - hypervolume(front, reference)
    got = log_hypervolume_gain(np.array([[0.3, 0.3]]), np.full((1, 2), 1e-16), (front, reference))[0]
    assert np.exp(got) == pytest.approx(added, rel=1e-6)
    assert hypervolume([*front, [0.9, 0.95]], reference) == hypervolume(front, reference)


def bowl() -> GaussianProcess:
    x = np.random.default_rng(2).random((30, 2))
    y = ((x - [0.3, 0.6]) ** 2).sum(axis=1)
    return GaussianProcess.fit(x, ((y - y.mean()) / y.std())[None, :], np.zeros(30))


def test_the_search_refines_the_best_candidates() -> None:
    """From coarse candidates the answer is found to a hundredth of the range."""
    candidates = np.random.default_rng(3).random((64, 2))
    points, values = search_acquisition(candidates, [bowl()], answer=(0.0, [0.0]), free=[True, True])
    np.testing.assert_allclose(points[0], [0.3, 0.6], atol=0.02)
    assert (np.diff(values) <= 0).all()


def test_the_search_slides_along_a_relation() -> None:
    """With the optimum forbidden by x0 >= x1 the answer lies on the allowed edge, never beyond it."""
    candidates = np.random.default_rng(3).random((256, 2))
    candidates = candidates[candidates[:, 0] >= candidates[:, 1]]
    relation = ([(1, 1.0, 0.0, 1.0, False), (0, -1.0, 0.0, 1.0, False)], 0.0)
    points, _ = search_acquisition(
        candidates, [bowl()], answer=(0.0, [0.0]), free=[True, True], relations=[relation]
    )
    assert (points[:, 1] <= points[:, 0]).all()
    np.testing.assert_allclose(points[0], [0.45, 0.45], atol=0.03)


def test_held_columns_stay() -> None:
    """A column that is not free keeps the values of the candidates."""
    candidates = np.random.default_rng(3).random((64, 2))
    candidates[:, 1] = 0.25
    points, _ = search_acquisition(candidates, [bowl()], best=-1.0, free=[True, False])
    assert (points[:, 1] == 0.25).all()


def test_a_search_needs_one_goal() -> None:
    """Two goals, or none, are refused in words."""
    with pytest.raises(ValueError, match="exactly one of best, front and answer"):
        search_acquisition(np.zeros((1, 2)), [bowl()], free=[True, True])
