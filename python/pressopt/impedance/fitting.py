"""Equivalent circuits fitted to a spectrum: values, standard deviations, residuals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

import numpy as np

from pressopt import _core
from pressopt.errors import SpectrumError, Violation
from pressopt.impedance.spectrum import NOUGHT_OHM, Complex, ImpedanceSpectrum, Real

Weight = Literal["modulus", "proportional", "unit"]
Method = Literal["profile", "covariance"]

#: Starts followed when no start values are given.
STARTS = 40
#: Starts followed for each of many spectra; the search ends with the first that is as good as a model-free chain.
STARTS_OF_MANY = 6
#: Starts from which a profile seeks other minima.
STARTS_OF_PROFILE = 24
#: An arc is there when leaving it out costs more than chance asks at a level this many times stricter than the
#: interval's (assumed: 99 % for one of 95 %).
_STRICTER = 5.0
#: Most numbers that an arc lets chance choose at once: its parameters, and whether it is there.
_MOST_CHOSEN = 8
#: Widest interval of a logarithm that is told from none.
_WIDEST = 100.0
#: Spectra handed over at a time: enough for all cores, little enough for the memory.
_CHUNK = 256


@dataclass(frozen=True)
class _Asked:
    """What a fit was made from, as the core takes it: profiles need it again."""

    re_ohm: Real
    im_ohm: Real
    weight_re: Real
    weight_im: Real
    lower: Real
    upper: Real
    freedom: int
    measured: bool
    guided: bool = False  # start values were given, and with them names to the arcs


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
    _asked: _Asked | None = field(default=None, repr=False, compare=False)

    def impedance(self, frequency_hz: Real) -> Complex:
        """Shape (n,), Ω, of the fitted circuit at these frequencies, Hz."""
        return circuit_impedance(self.circuit, self.values, frequency_hz)

    def interval(self, name: str, level: float = 0.95, *, method: Method = "profile") -> tuple[float, float]:
        """Return the confidence interval of a parameter.

        Args:
            name: The parameter.
            level: Probability that the interval holds the true value.
            method: ``profile``: as far as the parameter can go, all others following, before the sum of squares
                says no (F-test; Bates and Watts, Nonlinear Regression Analysis (1988), ch. 6). Right also at a
                bound, with half an arc hidden, and, unless start values gave the arcs their names, where several
                minima are as good as each other. An arc that could be left out at a cost that chance may ask (its
                place was then chosen by the noise; Davies, Biometrika 64 (1977) 247) gets the joint limit of all
                its parameters, and an interval that spans every place it may have.
                ``covariance``: from the curvature at the minimum alone.

        Returns:
            Lower and upper end; a bound, or 10⁹ times less or more, where the spectrum sets none.

        Raises:
            SpectrumError: No such parameter or method, a level that is no probability, or a fit with priors
                (that of an analysis), which has no profile.
        """
        names = list(self.values)
        if name not in names:
            raise SpectrumError(f"no parameter '{name}' in {self.circuit}: it has {', '.join(names)}")
        if not 0 < level < 1:
            raise SpectrumError(f"a level of {level} is no probability: give one between 0 and 1")
        i = names.index(name)
        freedom = None if self._asked is None or self._asked.measured else self._asked.freedom
        wide = _quantile(0.5 + level / 2, freedom)
        if method == "covariance":
            half = wide * math.sqrt(float(self.covariance_u[i, i]))
            value = self.values[name]
            if name.endswith(".n"):
                return value - half, value + half
            factor = math.exp(min(half, _WIDEST))
            return value / factor, value * factor
        if method != "profile":
            raise SpectrumError(f"method '{method}' is unknown: profile or covariance")
        asked = self._asked
        if asked is None:
            raise SpectrumError("this fit carries priors and has no profile: ask for method='covariance'")
        scale = 1.0 if asked.measured else max(self.chi2_reduced, 1e-30)
        return _core.circuit_profile(
            self.circuit,
            self.frequency_hz,
            asked.re_ohm,
            asked.im_ohm,
            asked.weight_re,
            asked.weight_im,
            values=np.array(list(self.values.values())),
            lower=asked.lower,
            upper=asked.upper,
            index=i,
            starts=0 if asked.guided else STARTS_OF_PROFILE,
            rise=wide**2 * scale,
            rise_chosen=_joint_rises(level, freedom, scale),
            rise_established=_joint_rises(1 - (1 - level) / _STRICTER, freedom, scale),
        )


def _joint_rises(level: float, freedom: int | None, scale: float) -> list[float]:
    """How far chance lowers the sum of squares where it chooses 1, 2, 3, ... numbers (F-test, or chi-square)."""
    from scipy.special import chdtri, fdtri

    numbers = range(1, _MOST_CHOSEN + 1)
    if freedom is None:
        return [scale * float(chdtri(k, 1 - level)) for k in numbers]
    return [scale * k * float(fdtri(k, freedom, level)) for k in numbers]


def _quantile(level: float, freedom: int | None) -> float:
    """Quantile of Student's t (of the normal distribution without a freedom).

    Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.5.
    """
    from statistics import NormalDist

    z = NormalDist().inv_cdf(level)
    if freedom is None:
        return z
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


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
            TL (de Levie pore). A name written twice shares its values; ``; CPE2.n = CPE1.n`` after the circuit
            shares one of them.
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
    shared: Mapping[str, str] | None = None,
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
        shared: ``{"CPE2.n": "CPE1.n"}``: the first takes the value of the second and is no parameter any more.
        starts: How many automatic starts are followed.

    Returns:
        The fit. Arcs that are alike in all that was asked stand fast to slow: ``R1`` is the faster one.

    Raises:
        SpectrumError: Fewer points than parameters, an unknown name, or values that cannot be used; all at once.

    Source:
        Barsoukov and Macdonald, Impedance Spectroscopy, 2nd ed. (2005), ch. 3.
    """
    wanted = _Wanted.of(circuit, weight, fixed, bounds, shared)
    _refuse_unknown(wanted.circuit, wanted.names, initial or {}, "initial")
    start = np.full(len(wanted.names), np.nan)
    for name, value in {**(initial or {}), **(fixed or {})}.items():
        start[wanted.names.index(name)] = value
    none = np.full(len(wanted.names), np.nan)
    frequency, z, asked = wanted.points(spectrum)
    try:
        found = _core.circuit_fit(
            wanted.circuit,
            frequency,
            asked.re_ohm,
            asked.im_ohm,
            asked.weight_re,
            asked.weight_im,
            initial=start,
            lower=wanted.lower,
            upper=wanted.upper,
            prior_center=none,
            prior_sd=none,
            starts=starts,
        )
    except ValueError as error:
        raise SpectrumError(str(error)) from error
    return wanted.fit(found, frequency, z, replace(asked, guided=bool(initial)))


def fit_many(
    spectra: Iterable[ImpedanceSpectrum],
    circuit: str,
    *,
    weight: Weight = "modulus",
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    shared: Mapping[str, str] | None = None,
    starts: int = STARTS_OF_MANY,
) -> Iterator[Fit | SpectrumError]:
    """Fit a circuit to many spectra without start values, on all cores; memory does not grow with their number.

    Spectra are taken as they come (a generator that reads files will do) and each may have points of its own.

    Args:
        spectra: Any number, each as for :func:`fit`.
        circuit, weight, fixed, bounds, shared: As for :func:`fit`.
        starts: How many automatic starts are followed at most; from 12 on as thoroughly as :func:`fit` does.

    Yields:
        For each spectrum, in order, its fit; where it cannot be fitted the reason, as a value: one bad file does
        not end a folder of them.

    Raises:
        SpectrumError: Circuit, names, bounds or weight cannot be used; raised before the first spectrum.
    """
    wanted = _Wanted.of(circuit, weight, fixed, bounds, shared)
    return _fits(wanted, spectra, starts)


def _fits(wanted: _Wanted, spectra: Iterable[ImpedanceSpectrum], starts: int) -> Iterator[Fit | SpectrumError]:
    rest = iter(spectra)
    while chunk := list(islice(rest, _CHUNK)):
        taken: list[tuple[Real, Complex, _Asked] | SpectrumError] = []
        for spectrum in chunk:
            try:
                taken.append(wanted.points(spectrum))
            except SpectrumError as error:
                taken.append(error)
        good = [t for t in taken if not isinstance(t, SpectrumError)]
        found = iter(_fit_chunk(wanted, good, starts))
        for t in taken:
            if isinstance(t, SpectrumError):
                yield t
                continue
            one = next(found)
            yield SpectrumError(one) if isinstance(one, str) else wanted.fit(one, *t)


def _fit_chunk(
    wanted: _Wanted, good: list[tuple[Real, Complex, _Asked]], starts: int
) -> list[_core._CircuitFit | str]:
    if not good:
        return []
    asked = [a for _, _, a in good]
    try:
        return _core.circuit_fit_many(
            wanted.circuit,
            np.cumsum([f.size for f, _, _ in good], dtype=np.uintp),
            np.concatenate([f for f, _, _ in good]),
            np.concatenate([a.re_ohm for a in asked]),
            np.concatenate([a.im_ohm for a in asked]),
            np.concatenate([a.weight_re for a in asked]),
            np.concatenate([a.weight_im for a in asked]),
            lower=wanted.lower,
            upper=wanted.upper,
            starts=starts,
        )
    except ValueError as error:
        raise SpectrumError(str(error)) from error


@dataclass(frozen=True)
class _Wanted:
    """What is fitted, checked once for all spectra."""

    circuit: str
    names: list[str]
    units: dict[str, str]
    weight: Weight | Real
    lower: Real
    upper: Real
    free: int

    @classmethod
    def of(
        cls,
        circuit: str,
        weight: Weight | Real,
        fixed: Mapping[str, float] | None,
        bounds: Mapping[str, tuple[float, float]] | None,
        shared: Mapping[str, str] | None,
    ) -> _Wanted:
        tied = "".join(f"; {follower} = {leader}" for follower, leader in (shared or {}).items())
        circuit = circuit + tied
        units = parameters(circuit)
        names = list(units)
        for given, what in ((fixed, "fixed"), (bounds, "bounds")):
            _refuse_unknown(circuit, names, given or {}, what)
        lower, upper = np.full(len(names), np.nan), np.full(len(names), np.nan)
        for name, (low, high) in (bounds or {}).items():
            lower[names.index(name)], upper[names.index(name)] = low, high
        for name, value in (fixed or {}).items():
            lower[names.index(name)] = upper[names.index(name)] = value
        return cls(circuit, names, units, weight, lower, upper, len(names) - len(fixed or {}))

    def points(self, spectrum: ImpedanceSpectrum) -> tuple[Real, Complex, _Asked]:
        """Frequencies, impedance and weights of the good points, as the core takes them."""
        good = spectrum.good
        frequency, z = spectrum.frequency_hz[good], spectrum.impedance_ohm[good]
        freedom = 2 * frequency.size - self.free
        if freedom < 1:
            raise SpectrumError(
                f"{frequency.size} good points are too few for the {self.free} free parameters of {self.circuit}"
            )
        weight_re, weight_im, measured = _weights(self.weight, z, good)
        re, im = np.ascontiguousarray(z.real), np.ascontiguousarray(z.imag)
        asked = _Asked(re, im, weight_re, weight_im, self.lower, self.upper, freedom, measured)
        return frequency, z, asked

    def fit(self, found: _core._CircuitFit, frequency: Real, z: Complex, asked: _Asked) -> Fit:
        """The core's answer as a value."""
        reduced = found["chi2"] / asked.freedom
        covariance = found["covariance_u"] * (1.0 if asked.measured else reduced)
        values = dict(zip(self.names, found["values"].tolist(), strict=True))
        return Fit(
            circuit=self.circuit,
            values=values,
            sds=natural_sds(values, covariance),
            units=self.units,
            covariance_u=covariance,
            chi2=found["chi2"],
            chi2_reduced=reduced,
            frequency_hz=frequency,
            residuals=(z - found["model"]) / np.abs(z),
            at_bound=tuple(n for n, at in zip(self.names, found["at_bound"], strict=True) if at),
            converged=found["converged"],
            _asked=asked,
        )


def natural_sds(values: Mapping[str, float], covariance_u: Real) -> dict[str, float]:
    """Standard deviations of natural values from the covariance of their logarithms (exponents: themselves)."""
    sds_u = np.sqrt(np.diag(covariance_u)).tolist()
    return {
        name: sd if name.endswith(".n") else value * sd
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
