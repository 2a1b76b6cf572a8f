"""The Gaussian process against scikit-learn, finite differences and data that no model likes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pressopt._core import GaussianProcess, SuccessClassifier, gp_log_evidence

Array = NDArray[np.float64]
LENGTHS = [0.3, 0.7, 1.5]
PARAMETERS: dict[str, Any] = {
    "length_scales": LENGTHS,
    "signal_variance": 1.7,
    "noise_variance": 0.03,
    "mean_variance": 0.6,
}


def data(n: int = 25, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.random((n, 3))
    y = np.sin(3 * x[:, 0]) + x[:, 1] ** 2 - x[:, 2] + 0.1 * rng.standard_normal(n)
    return x, y, 0.01 * rng.random(n)


def reference() -> Any:
    """The same process in scikit-learn; per-point noise enters as alpha."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    x, y, noise = data()
    kernel = ConstantKernel(1.7) * Matern(LENGTHS, nu=2.5) + ConstantKernel(0.6)
    return GaussianProcessRegressor(kernel, alpha=noise + 0.03, optimizer=None).fit(x, y)


def ours() -> GaussianProcess:
    x, y, noise = data()
    return GaussianProcess.with_parameters(x, y[None, :], noise, **PARAMETERS)


def test_mean_variance_and_evidence_are_those_of_scikit_learn() -> None:
    """With the same kernel, noise and data the two libraries agree to 1e-8."""
    points = np.random.default_rng(1).random((40, 3))
    mean, sd = reference().predict(points, return_std=True)
    got_mean, got_variance = ours().predict(points)
    np.testing.assert_allclose(got_mean[:, 0], mean, atol=1e-8)
    np.testing.assert_allclose(got_variance, sd**2, atol=1e-8)
    assert ours().log_evidence == pytest.approx(reference().log_marginal_likelihood_value_, abs=1e-8)


def test_evidence_gradient_is_that_of_scikit_learn() -> None:
    """The analytic gradient by the logarithms of length scales and signal agrees to 1e-8."""
    x, y, noise = data()
    _, gradient = gp_log_evidence(x, y[None, :], noise, **PARAMETERS)
    process = reference()
    _, expected = process.log_marginal_likelihood(process.kernel_.theta, eval_gradient=True)
    np.testing.assert_allclose(gradient[3], expected[0], atol=1e-8)
    np.testing.assert_allclose(gradient[:3], expected[1:4], atol=1e-8)


def test_posterior_gradients_are_finite_differences() -> None:
    """Mean and variance change along each input as their gradients say, to 1e-8."""
    process, point, h = ours(), np.array([0.42, 0.13, 0.77]), 1e-3
    mean, variance, by_mean, by_variance = process.predict_with_gradient(point)
    means, variances = process.predict(point[None, :])
    assert (mean, variance) == pytest.approx((means[0, 0], variances[0]), abs=1e-12)
    for k in range(3):
        steps = np.array([-2, -1, 1, 2])[:, None] * h * np.eye(3)[k]
        around_mean, around_variance = process.predict(point + steps)
        weights = np.array([1, -8, 8, -1]) / (12 * h)
        assert weights @ around_mean[:, 0] == pytest.approx(by_mean[k], abs=1e-8)
        assert weights @ around_variance == pytest.approx(by_variance[k], abs=1e-8)


def test_growing_by_one_is_conditioning_on_all() -> None:
    """A process that grew one observation at a time answers like one that saw all at once."""
    x, y, noise = data()
    process = GaussianProcess.with_parameters(x[:5], y[None, :5], noise[:5], **PARAMETERS)
    for k in range(5, len(y)):
        process = process.grown(x[k], y[k : k + 1], noise[k])
    points = np.random.default_rng(2).random((10, 3))
    for got, expected in zip(process.predict(points), ours().predict(points), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-10)


def test_an_ensemble_is_weighed_by_evidence() -> None:
    """Of several prior means the one that fits gets most weight; the mixture's evidence is their sum."""
    x, y, noise = data()
    residuals = np.vstack([y - y * 0.999, y, y + 3])
    process = GaussianProcess.with_parameters(x, residuals, noise, **PARAMETERS)
    single = [
        GaussianProcess.with_parameters(x, row[None, :], noise, **PARAMETERS).log_evidence for row in residuals
    ]
    assert process.log_evidence == pytest.approx(np.logaddexp.reduce(single), abs=1e-9)
    assert int(np.argmax(process.weights)) == 0
    assert process.weights.sum() == pytest.approx(1.0)


def test_fitting_finds_noise_and_irrelevant_inputs() -> None:
    """From noisy data the fit tells the noise within a factor of two and which input does nothing."""
    rng = np.random.default_rng(3)
    x = rng.random((80, 3))
    y = np.sin(6 * x[:, 0]) + np.cos(5 * x[:, 1]) + 0.2 * rng.standard_normal(80)
    process = GaussianProcess.fit(x, ((y - y.mean()) / y.std())[None, :], np.zeros(80))
    assert 0.5 < process.noise_variance * y.var() / 0.04 < 2.0
    assert process.length_scales[2] > 3 * process.length_scales[:2].max()


def test_given_noise_is_not_fitted_twice() -> None:
    """When the variance of each reading is known, the fitted extra noise stays far below it."""
    rng = np.random.default_rng(4)
    x = rng.random((60, 2))
    y = np.sin(5 * x[:, 0]) + 0.3 * rng.standard_normal(60)
    alone = GaussianProcess.fit(x, y[None, :], np.zeros(60))
    told = GaussianProcess.fit(x, y[None, :], np.full(60, 0.09))
    assert told.noise_variance < 0.5 * alone.noise_variance


@pytest.mark.parametrize("n", [1, 2, 300])
def test_many_or_few_points_fit(n: int) -> None:
    """One point, two, and more than the parameters are searched on, all give finite answers."""
    x = np.random.default_rng(n).random((n, 2))
    process = GaussianProcess.fit(x, np.sin(x.sum(axis=1))[None, :], np.zeros(n))
    mean, variance = process.predict(np.random.default_rng(0).random((50, 2)))
    assert np.isfinite(mean).all()
    assert (variance > 0).all()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 12),
    spread=st.sampled_from([0.0, 1e-12, 1e-6, 1.0, 1e6]),
    size=st.sampled_from([0.0, 1e-200, 1e-12, 1.0, 1e100]),
    noise=st.sampled_from([0.0, 1e-12, 1.0, 1e6]),
    seed=st.integers(0, 100),
)
def test_degenerate_data_never_break_it(n: int, spread: float, size: float, noise: float, seed: int) -> None:
    """Copies, constants, tiny and huge ranges: no exception, nothing that is not finite."""
    rng = np.random.default_rng(seed)
    x, y = 0.5 + spread * rng.random((n, 2)), size * rng.standard_normal(n)
    process = GaussianProcess.fit(x, y[None, :], np.full(n, noise))
    process = process.grown(x[0], y[:1], 0.0)
    mean, variance = process.predict(np.vstack([x, rng.random((5, 2))]))
    assert np.isfinite(mean).all()
    assert (np.isfinite(variance) & (variance > 0)).all()


def test_bad_numbers_are_refused_in_words() -> None:
    """NaN, negative variances and wrong shapes are ValueErrors that say what is wrong."""
    x, y, noise = data(4)
    with pytest.raises(ValueError, match="y holds a number that is not finite"):
        GaussianProcess.fit(x, np.array([[np.nan, 1, 2, 3]]), noise)
    with pytest.raises(ValueError, match="noise variance must be positive"):
        GaussianProcess.fit(x, y[None, :], -noise)
    with pytest.raises(ValueError, match="do not belong together"):
        GaussianProcess.fit(x, y[None, :3], noise)
    with pytest.raises(ValueError, match="no observations"):
        GaussianProcess.fit(np.zeros((0, 2)), np.zeros((1, 0)), np.zeros(0))
    with pytest.raises(ValueError, match="points have 2 columns"):
        ours().predict(np.zeros((1, 2)))


def test_prediction_does_not_depend_on_how_points_are_grouped() -> None:
    """A point gets the same bits alone and among a thousand others, so threads cannot matter."""
    points = np.random.default_rng(5).random((1000, 3))
    mean, variance = ours().predict(points)
    for k in (0, 255, 256, 999):
        one_mean, one_variance = ours().predict(points[k : k + 1])
        assert one_mean[0, 0] == mean[k, 0]
        assert one_variance[0] == variance[k]


def test_the_classifier_finds_the_edge() -> None:
    """Trained on failures above a limit, it expects success below and failure above, and doubts in between."""
    rng = np.random.default_rng(6)
    x = rng.random((40, 2))
    classifier = SuccessClassifier.fit(x, (x[:, 0] < 0.6).tolist())
    low, edge, high = np.exp(classifier.log_probability(np.array([[0.2, 0.5], [0.6, 0.5], [0.95, 0.5]])))
    assert low > 0.9
    assert 0.2 < edge < 0.8
    assert high < 0.15


@pytest.mark.parametrize("label", [True, False])
def test_one_sided_labels_are_bearable(label: bool) -> None:
    """Only successes, only failures, and copies of one place give probabilities between 0 and 1."""
    classifier = SuccessClassifier.fit(np.full((8, 2), 0.5), [label] * 8)
    probability = np.exp(classifier.log_probability(np.array([[0.5, 0.5], [0.0, 1.0]])))
    assert ((probability > 0) & (probability < 1)).all()
    assert (probability[0] > 0.5) == label


def _processor_s(process: int) -> float:
    """Processor seconds that a process has had so far."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_ctrl_c_ends_a_long_fit() -> None:
    """A fit of 6,000 points, half a minute long and outside of Python, ends in KeyboardInterrupt."""
    script = """
import signal
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without
from pressopt._core import GaussianProcess
x = np.random.default_rng(0).random((6_000, 2))
y, noise = x[:, :1].T.copy(), np.full(len(x), 0.1)
try:
    print("fitting", flush=True)
    GaussianProcess.fit(x, y, noise)
except KeyboardInterrupt:
    print("interrupted")
else:
    print("finished")
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "fitting\n"
        begun = _processor_s(process.pid)
        while process.poll() is None and _processor_s(process.pid) < begun + 0.3:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        try:
            rest, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert rest == "interrupted\n"
