"""Types of the compiled numerics; checked against the binary by mypy.stubtest."""

from typing import TypedDict

import numpy as np
import numpy.typing as npt

__version__: str

# --- circuit: equivalent circuits of impedance spectra -------------------------------------------------------
class _CircuitFit(TypedDict):
    values: npt.NDArray[np.float64]
    covariance_u: npt.NDArray[np.float64]
    chi2: float
    penalty: float
    at_bound: list[bool]
    iterations: int
    converged: bool
    starts: int

class _Consistency(TypedDict):
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
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    *,
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
    starts: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Values (m, p), unscaled standard deviations of u (m, p) and chi-square (m,) of rows (m, n)."""

def spectrum_consistency(
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    *,
    per_decade: float,
    clocks: npt.NDArray[np.float64],
) -> _Consistency:
    """Linear Kramers-Kronig residuals, drift for each clock (c, n) and the best single slip."""

def spectrum_z_hit(
    frequency_hz: npt.NDArray[np.float64],
    re_ohm: npt.NDArray[np.float64],
    im_ohm: npt.NDArray[np.float64],
    *,
    window: int,
) -> npt.NDArray[np.float64]:
    """Relative residual (n,) of the modulus against its reconstruction from the phase."""
