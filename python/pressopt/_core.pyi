"""Types of the compiled numerics; checked against the binary by mypy.stubtest."""

from collections.abc import Sequence
from typing import TypedDict, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "CellKind",
    "GaussianProcess",
    "SuccessClassifier",
    "__version__",
    "circuit_fit",
    "circuit_fit_many",
    "circuit_impedance",
    "circuit_jacobian",
    "circuit_parameters",
    "circuit_profile",
    "elastic_contact_share",
    "element_spectra",
    "gp_log_evidence",
    "hardened_by",
    "hypervolume",
    "log_expected_improvement",
    "log_hypervolume_gain",
    "log_normal_cdf",
    "parameter_gradients",
    "physics_elements",
    "physics_parameters",
    "physics_qualities",
    "predict_elements",
    "predict_qualities",
    "rough_contact",
    "search_acquisition",
    "setting_gradients",
    "spectrum_consistency",
    "spectrum_distribution",
    "spectrum_z_hit",
    "spot_currents",
]

__version__: str
"""Version of the crates that it was built from."""

# --- circuit: equivalent circuits of impedance spectra -------------------------------------------------------
class _CircuitFit(TypedDict):
    """A fit: values (p,) in natural units; model (n,) in Ω; covariance_u (p, p) of u.

    u are the logarithms of the values, but for exponents.

    The covariance is that for weighted residuals of variance one; ``chi2`` is without the priors' ``penalty``.
    """

    values: npt.NDArray[np.float64]
    model: npt.NDArray[np.complex128]
    covariance_u: npt.NDArray[np.float64]
    chi2: float
    penalty: float
    at_bound: list[bool]
    iterations: int
    converged: bool
    starts: int

class _Distribution(TypedDict):
    """Time constants (m,), s; γ (m,), Ω per unit of ln τ; what is in series; model (n,), Ω; peaks (s, Ω, F)."""

    tau_s: npt.NDArray[np.float64]
    gamma_ohm: npt.NDArray[np.float64]
    series_ohm: float
    inductance_h: float
    elastance_per_f: float
    smoothing: float
    chi2: float
    model: npt.NDArray[np.complex128]
    peaks: list[tuple[float, float, float]]

class _Consistency(TypedDict):
    """Residuals (n,) relative to the modulus, and their standard deviation ``noise``.

    ``drift`` of each clock: relative change, its standard deviation, noise left. ``slip``: index, and the same.
    """

    elements: int
    residual_re: npt.NDArray[np.float64]
    residual_im: npt.NDArray[np.float64]
    noise: float
    drift: list[tuple[float, float, float]]
    slip: tuple[int, float, float, float]

def circuit_parameters(circuit: str) -> list[tuple[str, str, bool]]:
    """Name, unit and "is an exponent" of each parameter, in the order of the string."""

def circuit_impedance(
    circuit: str, values: npt.NDArray[np.float64], frequency_hz: npt.NDArray[np.float64]
) -> npt.NDArray[np.complex128]:
    """Shape (n,), Ω, from natural values (p,) at frequencies (n,), Hz."""

def circuit_jacobian(
    circuit: str, values: npt.NDArray[np.float64], frequency_hz: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.complex128]]:
    """Impedance (n,), Ω, and its derivatives by the natural values (n, p)."""

def circuit_fit(
    circuit: str,
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    weight_re: npt.NDArray[np.float64],
    weight_im: npt.NDArray[np.float64],
    *,
    initial: npt.NDArray[np.float64],
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
    prior_center: npt.NDArray[np.float64],
    prior_sd: npt.NDArray[np.float64],
    starts: int,
) -> _CircuitFit:
    """Bounded fit; NaN in ``initial`` (p,) asks for an automatic start, in bounds and priors for none."""

def circuit_fit_many(
    circuit: str,
    ends: npt.NDArray[np.uintp],
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    weight_re: npt.NDArray[np.float64],
    weight_im: npt.NDArray[np.float64],
    *,
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
    starts: int,
) -> list[_CircuitFit | str]:
    """Fits of spectra that stand one after another, ``ends`` (m,) one past the last point of each; or why not."""

def circuit_profile(
    circuit: str,
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    weight_re: npt.NDArray[np.float64],
    weight_im: npt.NDArray[np.float64],
    *,
    values: npt.NDArray[np.float64],
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
    index: int,
    rise: float,
    rise_chosen: list[float],
    rise_established: list[float],
    starts: int,
) -> tuple[float, float]:
    """How far one parameter can go, all others following, before the sum of squares has risen by ``rise``.

    Other minima, sought from ``starts`` starts, count too; with 0 only the one at ``values``. For an arc that may
    not be there (leaving it out costs less than ``rise_established``, by 1, 2, 3, ... numbers that chance chooses
    at once) the rise is ``rise_chosen``.
    """

def spectrum_consistency(
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    *,
    per_decade: float,
    clocks: npt.NDArray[np.float64],
) -> _Consistency:
    """Linear Kramers-Kronig residuals, drift for each clock (c, n) and the best single slip."""

def spectrum_distribution(
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    *,
    noise: float | None,
) -> _Distribution:
    """Distribution of relaxation times; ``noise`` is the standard deviation of a weighted residual."""

def spectrum_z_hit(
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    *,
    window: int,
) -> npt.NDArray[np.float64]:
    """Relative residual (n,) of the modulus against its reconstruction from the phase."""

# --- Gaussian processes and acquisition (rust/py/src/gp.rs) ---

@final
class GaussianProcess:
    """A process on an ensemble of m prior means; x: (n, d), residuals: (m, n), noise: (n,) variances."""

    @staticmethod
    def fit(
        x: npt.NDArray[np.float64],
        residuals: npt.NDArray[np.float64],
        noise: npt.NDArray[np.float64],
        *,
        log_weights: npt.NDArray[np.float64] | None = None,
        length_scale: tuple[float, float] | None = None,
        signal: tuple[float, float] | None = None,
        fitted_noise: tuple[float, float] | None = None,
        mean_variance: float | None = None,
        alike: npt.NDArray[np.float64] | None = None,
        shared: tuple[float, float] | None = None,
        warm: GaussianProcess | None = None,
    ) -> GaussianProcess:
        """Largest evidence times prior; priors are (centre, spread) of logarithms. ValueError on bad numbers.

        ``alike`` (n, n), 0 to 1: how alike the circumstances of two observations were (1: the same batch); what
        they share has the variance whose prior is ``shared``. ``warm`` starts from another process's parameters.
        Ctrl-C stops it.
        """

    @staticmethod
    def with_parameters(
        x: npt.NDArray[np.float64],
        residuals: npt.NDArray[np.float64],
        noise: npt.NDArray[np.float64],
        *,
        length_scales: Sequence[float],
        signal_variance: float,
        noise_variance: float,
        mean_variance: float,
        log_weights: npt.NDArray[np.float64] | None = None,
        alike: npt.NDArray[np.float64] | None = None,
        shared_variance: float = 0.0,
    ) -> GaussianProcess:
        """Conditions on the data with given parameters."""

    def with_members(self, members: Sequence[int]) -> GaussianProcess:
        """The same with only some members of the ensemble, in the order given."""

    @property
    def shared_variance(self) -> float:
        """Variance of what observations of alike circumstances share; 0 without any."""

    def grown(
        self, point: npt.NDArray[np.float64], residuals: npt.NDArray[np.float64], noise: float
    ) -> GaussianProcess:
        """A copy with one more observation: point (d,), residuals (m,). O(n²)."""

    def predict(self, points: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Corrections of each member (points, m) and variances (points,), noise not included."""

    def predict_with_gradient(
        self, point: npt.NDArray[np.float64]
    ) -> tuple[float, float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean, variance and their gradients (d,) at one point."""

    def leave_one_out(self) -> npt.NDArray[np.float64]:
        """Log predictive density (n,) of each observation given the others."""

    @property
    def log_evidence(self) -> float:
        """Logarithm of the probability of the data, the priors of the parameters not included."""

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """Posterior weight (m,) of each member of the ensemble; they sum to one."""

    @property
    def length_scales(self) -> npt.NDArray[np.float64]:
        """One per column (d,), in units of that column."""

    @property
    def signal_variance(self) -> float:
        """Variance of the correction, in squared units of the residuals."""

    @property
    def noise_variance(self) -> float:
        """Variance found on top of the given noise, in squared units of the residuals."""

    @property
    def observations(self) -> int:
        """How many observations it knows."""

@final
class SuccessClassifier:
    """Where trials succeed: a process behind a probit, by Laplace's approximation."""

    @staticmethod
    def fit(
        x: npt.NDArray[np.float64], success: Sequence[bool], *, mean: npt.NDArray[np.float64] | None = None
    ) -> SuccessClassifier:
        """Learn from trials x (n, d) and success (n,); mean (n,): prior mean of the latent function."""

    def log_probability(
        self, points: npt.NDArray[np.float64], *, mean: npt.NDArray[np.float64] | None = None
    ) -> npt.NDArray[np.float64]:
        """Log probability of success (n,) at points (n, d); mean (n,) as in :meth:`fit`."""

    @property
    def log_evidence(self) -> float:
        """Laplace's approximation of the log evidence of the outcomes."""

    @staticmethod
    def prior_variance() -> float:
        """Variance of the latent function where no trial is near."""

def gp_log_evidence(
    x: npt.NDArray[np.float64],
    residuals: npt.NDArray[np.float64],
    noise: npt.NDArray[np.float64],
    *,
    length_scales: Sequence[float],
    signal_variance: float,
    noise_variance: float,
    mean_variance: float,
    log_weights: npt.NDArray[np.float64] | None = None,
    alike: npt.NDArray[np.float64] | None = None,
    shared_variance: float = 0.0,
) -> tuple[float, npt.NDArray[np.float64]]:
    """Log evidence and its gradient by the logarithms of length scales, signal, noise and what is shared."""

def search_acquisition(
    candidates: npt.NDArray[np.float64],
    objectives: Sequence[GaussianProcess],
    *,
    best: float | None = None,
    rival: npt.NDArray[np.float64] | None = None,
    front: tuple[Sequence[Sequence[float]], Sequence[float]] | None = None,
    answer: tuple[float, Sequence[float]] | None = None,
    constraints: Sequence[tuple[GaussianProcess, float, float]] = ...,
    success: SuccessClassifier | None = None,
    free: Sequence[bool],
    relations: Sequence[tuple[Sequence[tuple[int, float, float, float, bool]], float]] = ...,
    starts: int = 4,
    iterations: int = 30,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Optima (k, d) and their values (k,), the best first; exactly one of best, front and answer.

    ``rival`` (d,), an observation of the first objective: improvement is sought on its uncertain true value.
    """

def log_expected_improvement(
    means: npt.NDArray[np.float64],
    log_weights: npt.NDArray[np.float64],
    variances: npt.NDArray[np.float64],
    best: float,
) -> npt.NDArray[np.float64]:
    """Shape (n,) from mixtures of m Gaussians: means and variances (n, m), log weights (m,)."""

def log_hypervolume_gain(
    means: npt.NDArray[np.float64],
    variances: npt.NDArray[np.float64],
    front: tuple[Sequence[Sequence[float]], Sequence[float]],
) -> npt.NDArray[np.float64]:
    """Shape (n,) from means and variances (n, 2); front: (pairs, reference)."""

def hypervolume(pairs: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Area dominated by minimized pairs inside the reference."""

def log_normal_cdf(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shape (n,): logarithm of the normal distribution function, far into its tail."""

# --- physics -----------------------------------------------------------------------------------------------------

@final
class CellKind:
    """What kind of cell is pressed, by what."""

    def __new__(
        cls,
        *,
        lamination: bool,
        rolled: bool,
        formation: bool,
        interfaces: int,
        melting_c: float,
        compaction: str = "heckel",
        composite_compaction: str = "heckel",
    ) -> CellKind: ...

def hardened_by(hard_share: float) -> float:
    """How many times more pressure a powder takes with this share of hard particles in its solid."""

def predict_qualities(
    kind: CellKind,
    parameters: npt.NDArray[np.float64],
    stages: npt.NDArray[np.float64],
    measured: npt.NDArray[np.float64],
    *,
    threads: int | None = None,
) -> npt.NDArray[np.float64]:
    """Qualities, shape (qualities, draws, n), for parameters (draws, p), stages (n, s, 4) and measured (n, 4)."""

def predict_elements(
    kind: CellKind,
    parameters: npt.NDArray[np.float64],
    stages: npt.NDArray[np.float64],
    measured: npt.NDArray[np.float64],
    *,
    threads: int | None = None,
) -> npt.NDArray[np.float64]:
    """Elements behind them, shape (elements, draws, n)."""

def element_spectra(
    kind: CellKind, elements: npt.NDArray[np.float64], frequency_hz: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Cell real and imaginary, one interface real and imaginary, Ω cm²: shape (4, draws, n, frequencies)."""

def setting_gradients(
    kind: CellKind,
    parameters: npt.NDArray[np.float64],
    stages: npt.NDArray[np.float64],
    measured: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Derivatives by every setting, shape (n, qualities, 4 s + 4), for parameters (1, p)."""

def parameter_gradients(
    kind: CellKind,
    parameters: npt.NDArray[np.float64],
    stages: npt.NDArray[np.float64],
    measured: npt.NDArray[np.float64],
    by: list[int],
) -> npt.NDArray[np.float64]:
    """Derivatives by the parameters with these indices, shape (draws, n, qualities, len(by))."""

def physics_parameters() -> list[str]:
    """Names of the parameters, in the order of the columns."""

def physics_qualities() -> list[str]:
    """Names of the qualities, in order."""

def physics_elements() -> list[str]:
    """Names of the elements, in order."""

# --- boundary elements -------------------------------------------------------------------------------------------

def rough_contact(
    heights_um: npt.NDArray[np.float64],
    pixel_um: float,
    pressure_mpa: float,
    modulus_mpa: float,
    *,
    hardness_mpa: float | None = None,
    periodic: bool = True,
    tolerance: float = 1e-8,
    most_steps: int = 2000,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float, float, int, int, float]:
    """Pressures and gaps (rows, columns), shares in contact and flowing, iterations, convolutions, residual."""

def spot_currents(
    touches: npt.NDArray[np.bool_],
    pixel_um: float,
    conductivity_s_cm: float,
    *,
    thickness_um: float | None = None,
    interface_ohm_cm2: float = 0.0,
    tolerance: float = 1e-6,
    most_steps: int = 2000,
    threads: int | None = None,
) -> tuple[npt.NDArray[np.float64], float, int]:
    """Current densities against their mean (rows, columns), resistance in Ω cm², iterations."""

def elastic_contact_share(pressure_mpa: float, modulus_mpa: float, rms_slope: float, corrected: bool) -> float:
    """Elastic share in contact after Persson, corrected against boundary elements or not."""
