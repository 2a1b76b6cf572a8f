"""From a spectrum to the resistance of an interface, with a standard deviation: the one path everybody takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from pressopt import _core
from pressopt.errors import SpectrumError, Violation
from pressopt.impedance.blob import number
from pressopt.impedance.fitting import Fit, natural_sds
from pressopt.impedance.spectrum import ImpedanceSpectrum, Real
from pressopt.impedance.verdict import Cause, Kind, Verdict, judge

Layout = Literal["symmetric", "blocking"]
Role = Literal["bulk", "grain boundary", "interface", "slow"]

#: Starts followed for each candidate circuit.
_STARTS = 4
#: Candidates this much (in natural log) less likely than the best are left out of the average.
_NEGLIGIBLE = 8.0
#: Taken from the log evidence of a chain whose arcs end in another order than their roles (assumed: never).
_DISORDER = 20.0
#: Confidence from which on only the candidates that agree make the answer.
_SURE = 0.95
#: Fewer points than this in the decade around its apex hardly show an arc (assumed).
_POINTS_AROUND_APEX = 4
#: Gain accuracy of an impedance analyser, relative (assumed; data sheets say 0.1 to 1 %).
_ACCURACY = 0.003
#: Width of the prior of a resistance: 1.5 decades either way of |Z|, which says next to nothing.
_WIDTH_R = 1.5 * math.log(10)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What each process looks like before the spectrum is seen: centre, and factor of one standard deviation.

    The capacitances per area are those of Irvine, Sinclair and West, Adv. Mater. 2 (1990) 132, table 1, for a
    cell with a thickness of the order of a millimetre; factors: assumed, so that two standard deviations cover
    the ranges there. Exponents: assumed from published fits of pressed pellets.

    Attributes:
        bulk_f_cm2, boundary_f_cm2, interface_f_cm2, slow_f_cm2: Capacitance per area, F/cm², and factor.
            That of the interface is for one interface.
        inductance_h: Of the leads, H, and factor.
        exponent: Of the depressed arcs: centre and standard deviation.
    """

    bulk_f_cm2: tuple[float, float] = (1e-11, 5.0)
    boundary_f_cm2: tuple[float, float] = (1e-9, 6.0)
    interface_f_cm2: tuple[float, float] = (1e-6, 10.0)
    slow_f_cm2: tuple[float, float] = (3e-4, 8.0)
    inductance_h: tuple[float, float] = (3e-7, 5.0)
    exponent: tuple[float, float] = (0.88, 0.08)

    def __post_init__(self) -> None:
        wrong = [
            Violation(name, f"{getattr(self, name)} needs a positive centre and a factor above 1")
            for name in ("bulk_f_cm2", "boundary_f_cm2", "interface_f_cm2", "slow_f_cm2", "inductance_h")
            if not (getattr(self, name)[0] > 0 and getattr(self, name)[1] > 1)
        ]
        if not (0.05 < self.exponent[0] <= 1 and self.exponent[1] > 0):
            wrong.append(
                Violation("exponent", f"{self.exponent} needs a centre of 0.05 to 1 and a positive width")
            )
        if wrong:
            raise SpectrumError(wrong)


@dataclass(frozen=True, slots=True)
class Arc:
    """One process that was told apart.

    Attributes:
        role: What it was taken for.
        resistance_ohm, sd_ohm: Ω of the cell.
        capacitance_f_cm2: F/cm² of the cell (of one interface for ``interface``); NaN for an arc above the band.
        apex_hz: Frequency of its apex, Hz; NaN where it is above the band.
    """

    role: Role
    resistance_ohm: float
    sd_ohm: float
    capacitance_f_cm2: float
    apex_hz: float


@dataclass(frozen=True)
class Candidate:
    """One circuit that was tried: its roles, log evidence relative to the best, weight, BIC, interface in Ω."""

    circuit: str
    roles: tuple[str, ...]
    log_evidence: float
    weight: float
    bic: float
    interface_ohm: float
    log_sd: float


@dataclass(frozen=True)
class Analysis:
    """What a spectrum says of a cell; numbers are ``None`` where the verdict or the band forbids them.

    Attributes:
        verdict: Whether the spectrum may be believed.
        interface_ohm_cm2, interface_sd_ohm_cm2, interface_log_sd: Area-specific resistance of one interface,
            Ω cm², its standard deviation, and that of its natural logarithm.
        cell_ohm_cm2, cell_sd_ohm_cm2: Of the whole cell (bulk, grain boundary, interfaces, slow arc; not the
            electrode that blocks), Ω cm².
        arcs: The processes told apart, fast to slow.
        confidence: Probability, given the candidates, that the arc taken as the interface is it: the weight of all
            candidates that give the same resistance within their standard deviations.
        second_opinion_ohm_cm2: (Total - bulk)/interfaces, Ω cm², with standard deviation, from ``bulk_ohm``.
        candidates: All circuits tried, the likeliest first.
        fit: The fit of the likeliest, in Ω of the cell.
        area_cm2, interfaces: As given.
        temperature_c, pressure_mpa: From the metadata of the spectrum.
        notes: What a reader should know, one sentence each.
    """

    verdict: Verdict
    area_cm2: float
    interfaces: int
    interface_ohm_cm2: float | None = None
    interface_sd_ohm_cm2: float | None = None
    interface_log_sd: float | None = None
    cell_ohm_cm2: float | None = None
    cell_sd_ohm_cm2: float | None = None
    arcs: tuple[Arc, ...] = ()
    confidence: float = 0.0
    second_opinion_ohm_cm2: tuple[float, float] | None = None
    candidates: tuple[Candidate, ...] = ()
    fit: Fit | None = None
    temperature_c: float | None = None
    pressure_mpa: float | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def outcomes(self) -> dict[str, tuple[float, float]]:
        """Quantity -> (value, standard deviation); empty unless the verdict lets numbers be used."""
        found: dict[str, tuple[float, float]] = {}
        if not self.verdict.usable:
            return found
        if self.interface_ohm_cm2 is not None and self.interface_sd_ohm_cm2 is not None:
            found["interfacial_resistance_ohm_cm2"] = (self.interface_ohm_cm2, self.interface_sd_ohm_cm2)
        if self.cell_ohm_cm2 is not None and self.cell_sd_ohm_cm2 is not None:
            found["cell_resistance_ohm_cm2"] = (self.cell_ohm_cm2, self.cell_sd_ohm_cm2)
        return found

    @property
    def brief(self) -> dict[str, float | str | list[str] | None]:
        """What is worth keeping beside the numbers, as JSON values."""
        return {
            "circuit": self.fit.circuit if self.fit else None,
            "confidence": round(self.confidence, 4),
            "interface_log_sd": self.interface_log_sd,
            "noise": None if math.isnan(self.verdict.noise) else self.verdict.noise,
            "drift": None if math.isnan(self.verdict.drift) else self.verdict.drift,
            "total_minus_bulk_ohm_cm2": self.second_opinion_ohm_cm2[0] if self.second_opinion_ohm_cm2 else None,
            "arcs": [f"{a.role} {a.resistance_ohm:.4g} ± {a.sd_ohm:.2g} Ω" for a in self.arcs],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class _Setting:
    """What is known of a cell before its spectrum is looked at."""

    area_cm2: float
    interfaces: int
    layout: Layout
    expect: Expectation


@dataclass(frozen=True)
class _Member:
    """One member of a candidate chain: its element, its role, priors by parameter suffix."""

    element: str
    role: Role | None
    priors: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class _Tried:
    members: tuple[_Member, ...]
    fit: Fit
    log_evidence: float
    bic: float

    def resistances(self) -> dict[Role, tuple[str, float, float]]:
        """Role -> (parameter, Ω, standard deviation of its logarithm)."""
        names = list(self.fit.values)
        found: dict[Role, tuple[str, float, float]] = {}
        for m in self.members:
            if m.role is not None:
                name = f"{m.element}.r" if m.element.startswith("ZARC") else m.element
                i = names.index(name)
                sd = math.sqrt(float(self.fit.covariance_u[i, i]))
                found[m.role] = (name, self.fit.values[name], sd)
        return found


def analyse(
    spectrum: ImpedanceSpectrum,
    *,
    area_cm2: float,
    interfaces: int = 2,
    layout: Layout = "symmetric",
    bulk_ohm: tuple[float, float] | None = None,
    expect: Expectation | None = None,
    verdict: Verdict | None = None,
) -> Analysis:
    """Judge a spectrum, tell its processes apart, and return the resistance of the interface.

    Chains of leads, bulk, grain boundary, interface and a slow process, each there or not, are fitted; every
    parameter has a prior, so that the evidence of each chain is its Laplace integral and an arc that lies half
    outside the band makes the answer less certain instead of wrong. The answer is the average over the chains.

    Args:
        spectrum: Whole cell, Ω.
        area_cm2: Area of one interface, cm².
        interfaces: How many alike interfaces the arc adds up (2 for a symmetric cell).
        layout: ``symmetric``: ions pass both ends, Im Z closes at low frequency; ``blocking``: one end blocks.
        bulk_ohm: Resistance of the electrolyte alone in this cell and its standard deviation, Ω, for total minus
            bulk as a second opinion.
        expect: What the processes look like beforehand.
        verdict: A verdict that is there already; otherwise :func:`judge` gives it.

    Raises:
        SpectrumError: The area is not positive, or the number of interfaces is below 1.

    Source:
        Irvine, Sinclair and West, Adv. Mater. 2 (1990) 132; Laplace evidence: MacKay, Neural Comput. 4 (1992) 415.
    """
    wrong = []
    if not (math.isfinite(area_cm2) and area_cm2 > 0):
        wrong.append(Violation("area_cm2", f"{area_cm2} cm² is not positive: give the area of one electrode"))
    if interfaces < 1:
        wrong.append(Violation("interfaces", f"{interfaces} interfaces: give 1 or more"))
    if layout not in ("symmetric", "blocking"):
        wrong.append(Violation("layout", f"'{layout}' is unknown: symmetric or blocking"))
    if wrong:
        raise SpectrumError(wrong)
    if verdict is None:
        verdict = judge(spectrum, area_cm2=area_cm2, bulk_ohm=bulk_ohm[0] if bulk_ohm else None)
    bare = Analysis(
        verdict,
        area_cm2,
        interfaces,
        temperature_c=number(spectrum, "temperature_c"),
        pressure_mpa=number(spectrum, "pressure_mpa"),
    )
    if verdict.kind in {Kind.SHORTED, Kind.OPEN, Kind.OVERLOAD} or verdict.causes[:1] == (Cause.FEW_POINTS,):
        return bare
    tried = _tried(spectrum, verdict, _Setting(area_cm2, interfaces, layout, expect or Expectation()))
    return _conclude(spectrum, bare, tried, bulk_ohm)


# ---------------------------------------------------------------------------------------------- the candidates


def _chains(spectrum: ImpedanceSpectrum, verdict: Verdict, setting: _Setting) -> list[tuple[_Member, ...]]:
    """All chains worth trying for this spectrum."""
    area_cm2, expect = setting.area_cm2, setting.expect
    use = verdict.use
    frequency, z = spectrum.frequency_hz[use], spectrum.impedance_ohm[use]
    typical = float(np.median(np.abs(z)))

    def resistance() -> tuple[float, float]:
        return typical, _WIDTH_R

    def arc(number: int, role: Role, capacitance: tuple[float, float], share: float = 1.0) -> _Member:
        center, factor = capacitance
        priors = {"r": resistance(), "c": (center * area_cm2 / share, math.log(factor)), "n": expect.exponent}
        return _Member(f"ZARC{number}", role, priors)

    lead = _Member("L0", None, {"": (expect.inductance_h[0], math.log(expect.inductance_h[1]))})
    ohmic = _Member("R0", "bulk", {"": resistance()})
    bulk = arc(0, "bulk", expect.bulk_f_cm2)
    boundary = arc(1, "grain boundary", expect.boundary_f_cm2)
    interface = arc(2, "interface", expect.interface_f_cm2, setting.interfaces)
    slow = arc(3, "slow", expect.slow_f_cm2)
    # A double layer on a blocking end: Irvine et al., 1e-7 to 1e-5 F/cm²; the exponent falls with roughness.
    tail = _Member("CPE4", None, {"q": (3e-6 * area_cm2, math.log(10.0)), "n": (0.9, 0.1)})
    fast = np.argsort(frequency)[-3:]
    curls = float(np.median(-z.imag[fast] / np.abs(z[fast]))) > 0.05
    chains = []
    for first in (ohmic, bulk) if curls else (ohmic,):
        for with_lead in (True, False):
            for with_boundary in (True, False):
                for end in ((tail,), (slow, tail)) if setting.layout == "blocking" else ((), (slow,)):
                    chain = (lead,) * with_lead + (first,) + (boundary,) * with_boundary + (interface, *end)
                    chains.append(chain)
    return chains


def _tried(spectrum: ImpedanceSpectrum, verdict: Verdict, setting: _Setting) -> list[_Tried]:
    """Every chain fitted, the likeliest first."""
    use = verdict.use
    frequency = np.ascontiguousarray(spectrum.frequency_hz[use])
    z = spectrum.impedance_ohm[use]
    modulus = np.abs(z)
    noise = max(verdict.noise, 1e-5)
    chains = _chains(spectrum, verdict, setting)
    results = [_try_chain(chain, frequency, z, 1 / (noise * modulus)) for chain in chains]
    # Kramers-Kronig may take noise for structure or the reverse: the best chain's own residuals decide.
    best = min(results, key=lambda r: r.fit.chi2)
    factor = math.sqrt(max(best.fit.chi2_reduced, 1e-12))
    if not 0.8 < factor < 1.25:
        results = [_try_chain(chain, frequency, z, 1 / (noise * factor * modulus)) for chain in chains]
    return sorted(results, key=lambda r: -r.log_evidence)


def _try_chain(chain: tuple[_Member, ...], frequency: Real, z: np.ndarray, weight: Real) -> _Tried:
    circuit = "-".join(m.element for m in chain)
    table = _core.circuit_parameters(circuit)
    names = [name for name, _, _ in table]
    center, sd = np.full(len(names), np.nan), np.full(len(names), np.nan)
    for m in chain:
        for suffix, (mean, width) in m.priors.items():
            i = names.index(f"{m.element}.{suffix}" if suffix else m.element)
            center[i], sd[i] = mean, width
    lower = np.array([0.4 if exponent else np.nan for _, _, exponent in table])
    upper = np.array([1.0 if exponent else np.nan for _, _, exponent in table])

    def fitted(initial: Real) -> _core._CircuitFit:
        return _core.circuit_fit(
            circuit,
            frequency,
            np.ascontiguousarray(z.real),
            np.ascontiguousarray(z.imag),
            weight,
            weight,
            initial=initial,
            lower=lower,
            upper=upper,
            prior_center=center,
            prior_sd=sd,
            starts=_STARTS,
        )

    found = fitted(np.full(len(names), np.nan))
    order = [names.index(f"{m.element}.r") for m in chain if m.element.startswith("ZARC")]
    if not _ascending(found["values"], order):
        # The roles are fast to slow by definition: begin again with the arcs in that order.
        sorted_arcs = sorted(order, key=lambda i: found["values"][i] * found["values"][i + 1])
        initial = found["values"].copy()
        for i, j in zip(order, sorted_arcs, strict=True):
            initial[i : i + 3] = found["values"][j : j + 3]
        found = fitted(initial)
    values = dict(zip(names, map(float, found["values"]), strict=True))
    covariance = found["covariance_u"]
    edge = [i for i, at in enumerate(found["at_bound"]) if at]
    _, log_det = np.linalg.slogdet(covariance)
    log_evidence = -0.5 * (found["chi2"] + found["penalty"]) + 0.5 * float(log_det) - float(np.log(sd).sum())
    if not _ascending(found["values"], order):
        log_evidence -= _DISORDER
    freedom = max(1, 2 * frequency.size - len(names))
    model = _core.circuit_impedance(circuit, found["values"], frequency)
    fit = Fit(
        circuit=circuit,
        values=values,
        sds=natural_sds(values, covariance),
        units={name: unit for name, unit, _ in table},
        covariance_u=covariance,
        chi2=found["chi2"],
        chi2_reduced=found["chi2"] / freedom,
        frequency_hz=frequency,
        residuals=(z - model) / np.abs(z),
        at_bound=tuple(names[i] for i in edge),
        converged=found["converged"],
    )
    bic = found["chi2"] + len(names) * math.log(2 * frequency.size)
    return _Tried(chain, fit, log_evidence, bic)


def _ascending(values: Real, order: list[int]) -> bool:
    """Whether the arcs (indices of their resistances; capacitances follow) stand fast to slow."""
    times = [float(values[i] * values[i + 1]) for i in order]
    return times == sorted(times)


# ---------------------------------------------------------------------------------------------- the conclusion


def _conclude(
    spectrum: ImpedanceSpectrum, bare: Analysis, tried: list[_Tried], bulk_ohm: tuple[float, float] | None
) -> Analysis:
    verdict, area_cm2, interfaces = bare.verdict, bare.area_cm2, bare.interfaces
    best = tried[0]
    near = [t for t in tried if best.log_evidence - t.log_evidence < _NEGLIGIBLE]
    weights = np.array([math.exp(t.log_evidence - best.log_evidence) for t in near])
    weights /= weights.sum()
    rows = [t.resistances()["interface"] for t in near]
    logs = np.array([math.log(value) for _, value, _ in rows])
    sds = np.array([sd for _, _, sd in rows])
    same = np.abs(logs - logs[0]) <= 2 * np.hypot(sds, sds[0])
    confidence = min(1.0, float(weights[same].sum()))
    # Another arc that is the interface with a few percent would smear a normal deviation over both answers: it is
    # told by the confidence instead. Above that, both answers count.
    share = weights * same / weights[same].sum() if confidence >= _SURE else weights
    mean, log_sd = _middle(share, logs, sds)

    totals = np.array([_total(t) for t in near])
    total = float(weights @ totals[:, 0])
    total_sd = math.sqrt(float(weights @ (totals[:, 1] ** 2 + (totals[:, 0] - total) ** 2)))

    # A drift that was let pass still moves the number: half of it, as a standard deviation of a ramp's mean.
    creep = abs(verdict.drift) / math.sqrt(12) if abs(verdict.drift) > 2 * verdict.drift_sd else 0.0
    log_sd = math.hypot(log_sd, creep, _ACCURACY)
    total_sd = math.hypot(total_sd, creep * total, _ACCURACY * total)

    per_interface = area_cm2 / interfaces
    value = math.exp(mean) * per_interface
    arcs = _arcs(best, area_cm2, interfaces)
    taken = next(a for a in arcs if a.role == "interface")
    notes, verdict = _remarks(spectrum, verdict, taken, log_sd, confidence)
    opinion = None
    if bulk_ohm is not None:
        opinion = (
            (total - bulk_ohm[0]) * per_interface,
            math.hypot(total_sd, bulk_ohm[1]) * per_interface,
        )
        off = abs(opinion[0] - value) / math.hypot(opinion[1], value * log_sd)
        if off > 3:
            notes += (
                f"total minus bulk gives {opinion[0]:.3g} ± {opinion[1]:.2g} Ω cm² per interface, {off:.1f} "
                "standard deviations away: part of the interface may relax with the bulk or the grain boundary",
            )
    return replace(
        bare,
        verdict=verdict,
        interface_ohm_cm2=value,
        interface_sd_ohm_cm2=value * log_sd,
        interface_log_sd=log_sd,
        cell_ohm_cm2=total * area_cm2,
        cell_sd_ohm_cm2=total_sd * area_cm2,
        arcs=arcs,
        confidence=confidence,
        second_opinion_ohm_cm2=opinion,
        candidates=_ranked(tried, best),
        fit=best.fit,
        notes=notes,
    )


def _middle(weights: Real, means: Real, sds: Real) -> tuple[float, float]:
    """Median of a mixture of normals, and half the width of its central 68 %.

    The second moment would let a candidate of one percent, with a deviation of a factor ten, speak for all.
    """
    from statistics import NormalDist

    parts = [
        (float(w), NormalDist(float(m), max(float(s), 1e-9))) for w, m, s in zip(weights, means, sds, strict=True)
    ]

    def quantile(level: float) -> float:
        low, high = float((means - 8 * sds).min()) - 1e-6, float((means + 8 * sds).max()) + 1e-6
        for _ in range(80):
            middle = 0.5 * (low + high)
            below = sum(w * n.cdf(middle) for w, n in parts) < level
            low, high = (middle, high) if below else (low, middle)
        return 0.5 * (low + high)

    return quantile(0.5), 0.5 * (quantile(0.8413) - quantile(0.1587))


def _total(tried: _Tried) -> tuple[float, float]:
    """Resistance of the whole chain to direct current, Ω, with its standard deviation."""
    names = list(tried.fit.values)
    found = tried.resistances().values()
    slope = np.zeros(len(names))
    for name, value, _ in found:
        slope[names.index(name)] = value
    return sum(value for _, value, _ in found), math.sqrt(float(slope @ tried.fit.covariance_u @ slope))


def _arcs(best: _Tried, area_cm2: float, interfaces: int) -> tuple[Arc, ...]:
    arcs = []
    for role, (name, value, log_sd) in best.resistances().items():
        capacitance = apex = math.nan
        if name.endswith(".r"):
            farad = best.fit.values[name[:-1] + "c"]
            apex = 1 / (2 * math.pi * value * farad)
            capacitance = farad / area_cm2 * (interfaces if role == "interface" else 1)
        arcs.append(Arc(role, value, value * log_sd, capacitance, apex))
    return tuple(arcs)


def _remarks(
    spectrum: ImpedanceSpectrum, verdict: Verdict, taken: Arc, log_sd: float, confidence: float
) -> tuple[tuple[str, ...], Verdict]:
    """What a reader should know, and the verdict once the arc of interest is known."""
    notes: list[str] = []
    low = float(spectrum.frequency_hz[verdict.use].min())
    if verdict.usable and taken.apex_hz < low and log_sd > 0.2:
        reason = (
            f"the interface's apex lies at {taken.apex_hz:.2g} Hz, below the {low:.2g} Hz from which on the "
            "spectrum is valid: sweep lower"
        )
        verdict = replace(
            verdict,
            kind=Kind.REMEASURE,
            causes=(Cause.BAND, *verdict.causes),
            reasons=(reason, *verdict.reasons),
            above_hz=None,
        )
    around = np.abs(np.log10(spectrum.frequency_hz[verdict.use] / taken.apex_hz)) < 0.5
    if taken.apex_hz > low and around.sum() < _POINTS_AROUND_APEX:
        reason = (
            f"{int(around.sum())} points within half a decade of the interface's apex at {taken.apex_hz:.2g} Hz, "
            f"fewer than {_POINTS_AROUND_APEX}: measure more points per decade"
        )
        causes, reasons = (*verdict.causes, Cause.FEW_POINTS), (*verdict.reasons, reason)
        verdict = replace(verdict, causes=causes, reasons=reasons)
    if log_sd > 0.5:
        notes.append(
            f"the interface is known to a factor {math.exp(log_sd):.1f} only: its arc is small or half hidden"
        )
    if confidence < 0.8:
        notes.append(f"which arc is the interface is certain to {confidence:.0%} only: see the candidates")
    return tuple(notes), verdict


def _ranked(tried: list[_Tried], best: _Tried) -> tuple[Candidate, ...]:
    weights = np.array([math.exp(max(t.log_evidence - best.log_evidence, -700)) for t in tried])
    weights /= weights.sum()
    rows = []
    for t, weight in zip(tried, weights, strict=True):
        _, value, log_sd = t.resistances()["interface"]
        roles = tuple(m.role or m.element for m in t.members)
        rows.append(
            Candidate(
                t.fit.circuit, roles, t.log_evidence - best.log_evidence, float(weight), t.bic, value, log_sd
            )
        )
    return tuple(rows)
