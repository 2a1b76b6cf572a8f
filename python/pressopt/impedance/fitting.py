"""Equivalent circuits fitted to a spectrum: values, standard deviations, residuals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pressopt import _core
from pressopt.errors import SpectrumError, Violation
from pressopt.impedance.spectrum import NOUGHT_OHM, Complex, ImpedanceSpectrum, Real

Weight = Literal["modulus", "proportional", "unit"]

#: Starts followed when no start values are given.
STARTS = 24


@dataclass(frozen=True)
class Fit:
    """A circuit fitted to a spectrum.

    Attributes:
        circuit: The circuit, as written.
        values, sds, units: By parameter name (``R1``, ``CPE1.q``, ``CPE1.n``); the standard deviation of a fixed
            parameter is 0, that of one at a bound is as if there were none: see ``at_bound``.
        covariance_u: Shape (p, p): covariance of the logarithms of the parameters (of exponents: themselves), in
            the order of ``values``.
        chi2: Weighted sum of squares; with weights from measured standard deviations a true chi-square.
        chi2_reduced: Per degree of freedom; its square root is the relative noise under modulus weights.
        frequency_hz: Shape (n,), Hz: the points that were used.
        residuals: Shape (n,), dimensionless: (measured - fitted)/|measured|.
        at_bound: Names of parameters that ended at a bound.
        converged: Whether the search came to rest.
    """

    circuit: str
    values: dict[str, float]
    sds: dict[str, float]
    units: dict[str, str]
    covariance_u: Real
    chi2: float
    chi2_reduced: float
    frequency_hz: Real
    residuals: Complex
    at_bound: tuple[str, ...]
    converged: bool

    def impedance(self, frequency_hz: Real) -> Complex:
        """Shape (n,), Ω, of the fitted circuit at these frequencies, Hz."""
        return circuit_impedance(self.circuit, self.values, frequency_hz)

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Return the confidence interval of a parameter, from its logarithm (of an exponent: directly).

        Raises:
            SpectrumError: The circuit has no such parameter, or the level is not between 0 and 1.
        """
        from statistics import NormalDist

        names = list(self.values)
        if name not in names:
            raise SpectrumError(f"no parameter '{name}' in {self.circuit}: it has {', '.join(names)}")
        if not 0 < level < 1:
            raise SpectrumError(f"a level of {level} is no probability: give one between 0 and 1")
        i = names.index(name)
        half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(float(self.covariance_u[i, i]))
        value = self.values[name]
        if name.endswith(".n"):
            return value - half, value + half
        return value * math.exp(-half), value * math.exp(half)


def parameters(circuit: str) -> dict[str, str]:
    """Return names and units of the parameters of a circuit, in the order of the string.

    Raises:
        SpectrumError: The string is no circuit; says where it stops being one and what is allowed there.
    """
    try:
        return {name: unit for name, unit, _ in _core.circuit_parameters(circuit)}
    except ValueError as error:
        raise SpectrumError(str(error)) from error


def circuit_impedance(circuit: str, values: Mapping[str, float], frequency_hz: Real) -> Complex:
    """Return the impedance of a circuit, shape (n,), Ω.

    Args:
        circuit: For example ``"L0-R0-p(R1,CPE1)-W1"``: ``-`` is series, ``p(,)`` parallel; R, C, L, CPE, W, Wo
            (blocking), Ws (transmitting), G (Gerischer), ZARC (depressed arc: resistance, capacitance, exponent),
            TL (de Levie pore). A name written twice shares its values.
        values: One for each parameter.
        frequency_hz: Shape (n,), Hz, positive.

    Raises:
        SpectrumError: The circuit, a value or a frequency cannot be used; names all parameters wrong or missing.
    """
    names = list(parameters(circuit))
    _refuse_unknown(circuit, names, values, "values")
    missing = [Violation("values", f"no value for {name} of {circuit}") for name in names if name not in values]
    if missing:
        raise SpectrumError(missing)
    row = np.array([values[name] for name in names], dtype=np.float64)
    try:
        return _core.circuit_impedance(circuit, row, np.ascontiguousarray(frequency_hz, dtype=np.float64))
    except ValueError as error:
        raise SpectrumError(str(error)) from error


def fit(
    spectrum: ImpedanceSpectrum,
    circuit: str,
    *,
    initial: Mapping[str, float] | None = None,
    weight: Weight | Real = "modulus",
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    starts: int = STARTS,
) -> Fit:
    """Fit a circuit to the good points of a spectrum.

    Args:
        spectrum: Flagged points are left out.
        circuit: See :func:`circuit_impedance`.
        initial: Start values by name; those that are missing are found automatically, from several starts.
        weight: ``modulus`` (1/|Z|), ``proportional`` (1/|Re Z| and 1/|Im Z|), ``unit``, or measured standard
            deviations of the parts of Z, shape (n,), Ω, for all points of the spectrum.
        fixed: Values that are held.
        bounds: (low, high) by name; an exponent lies within 0.05 to 1.
        starts: How many automatic starts are followed.

    Raises:
        SpectrumError: Fewer points than parameters, an unknown name, or values that cannot be used; all at once.

    Source:
        Barsoukov and Macdonald, Impedance Spectroscopy, 2nd ed. (2005), ch. 3.
    """
    names = list(parameters(circuit))
    units = parameters(circuit)
    for given, what in ((initial, "initial"), (fixed, "fixed"), (bounds, "bounds")):
        _refuse_unknown(circuit, names, given or {}, what)
    good = spectrum.good
    frequency, z = spectrum.frequency_hz[good], spectrum.impedance_ohm[good]
    fixed = dict(fixed or {})
    free = len(names) - len(fixed)
    if 2 * frequency.size < free + 1:
        raise SpectrumError(
            f"{frequency.size} good points are too few for the {free} free parameters of {circuit}"
        )
    weight_re, weight_im, measured = _weights(weight, z, good)
    lower, upper = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for name, (low, high) in (bounds or {}).items():
        lower[names.index(name)], upper[names.index(name)] = low, high
    start = np.full(len(names), np.nan)
    for name, value in {**(initial or {}), **fixed}.items():
        start[names.index(name)] = value
    for name, value in fixed.items():
        lower[names.index(name)] = upper[names.index(name)] = value
    none = np.full(len(names), np.nan)
    try:
        found = _core.circuit_fit(
            circuit,
            frequency,
            np.ascontiguousarray(z.real),
            np.ascontiguousarray(z.imag),
            weight_re,
            weight_im,
            initial=start,
            lower=lower,
            upper=upper,
            prior_center=none,
            prior_sd=none,
            starts=starts,
        )
    except ValueError as error:
        raise SpectrumError(str(error)) from error
    reduced = found["chi2"] / max(1, 2 * frequency.size - free)
    covariance = found["covariance_u"] * (1.0 if measured else reduced)
    values = dict(zip(names, map(float, found["values"]), strict=True))
    model = _core.circuit_impedance(circuit, found["values"], frequency)
    return Fit(
        circuit=circuit,
        values=values,
        sds=natural_sds(values, covariance),
        units=units,
        covariance_u=covariance,
        chi2=found["chi2"],
        chi2_reduced=reduced,
        frequency_hz=frequency,
        residuals=(z - model) / np.abs(z),
        at_bound=tuple(n for n, at in zip(names, found["at_bound"], strict=True) if at),
        converged=found["converged"],
    )


def natural_sds(values: Mapping[str, float], covariance_u: Real) -> dict[str, float]:
    """Standard deviations of natural values from the covariance of their logarithms (exponents: themselves)."""
    sds_u = np.sqrt(np.diag(covariance_u))
    return {
        name: float(sd if name.endswith(".n") else value * sd)
        for (name, value), sd in zip(values.items(), sds_u, strict=True)
    }


def _refuse_unknown(circuit: str, names: list[str], given: Mapping[str, object], what: str) -> None:
    unknown = [
        Violation(what, f"no parameter '{name}' in {circuit}: it has {', '.join(names)}")
        for name in given
        if name not in names
    ]
    if unknown:
        raise SpectrumError(unknown)


def _weights(weight: Weight | Real, z: Complex, good: np.ndarray) -> tuple[Real, Real, bool]:
    """Weights of Re Z and Im Z in 1/Ω, and whether they are measured standard deviations."""
    if not isinstance(weight, str):
        sd = np.asarray(weight, dtype=np.float64)
        if sd.shape != good.shape or not (sd[good] > 0).all():
            raise SpectrumError(
                f"measured standard deviations need shape {good.shape} and positive values, not shape {sd.shape}"
            )
        inverse: Real = 1 / sd[good]
        return inverse, inverse, True
    modulus = np.abs(z)
    if (modulus < NOUGHT_OHM).any():
        raise SpectrumError("a good point has Z = 0 Ω, which has no relative weight: flag it")
    if weight == "modulus":
        return 1 / modulus, 1 / modulus, False
    if weight == "proportional":
        # A part that crosses nought would get an infinite weight: never below a hundredth of the modulus.
        return (
            1 / np.maximum(np.abs(z.real), 0.01 * modulus),
            1 / np.maximum(np.abs(z.imag), 0.01 * modulus),
            False,
        )
    if weight == "unit":
        ones = np.ones(z.size)
        return ones, ones, False
    raise SpectrumError(f"weight '{weight}' is unknown: modulus, proportional, unit, or an array of sds in Ω")
