"""Whether a spectrum may be believed: a verdict as a value, with its reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from pressopt import _core
from pressopt.errors import SpectrumError
from pressopt.impedance.spectrum import NOUGHT_OHM, Complex, ImpedanceSpectrum, Real

Mask = npt.NDArray[np.bool_]

#: RC elements for each decade: spaced wider than this, the chain ripples; closer, it follows a contact slip.
PER_DECADE = 2.5
#: Points of the local parabola that smooths the phase for Z-HIT.
_WINDOW = 9
#: A change of the cell during the sweep above this spoils the number (assumed: 5 % of the resistance).
DRIFT_LIMIT = 0.05
#: Standard deviations from which on a change is no chance; one that is large matters more and needs less proof.
SD_LIMIT, SD_LIMIT_LARGE = 3.2, 2.6
#: What is large (assumed).
LARGE_DRIFT = 0.07
#: Noise above this leaves no arc to be told from another (assumed: 3 % of |Z|).
NOISE_LIMIT = 0.03
#: Below this resistance times area lies no separator: 50 µm of the best conductor known, 25 mS/cm, is 0.2 Ω cm².
SHORT_OHM_CM2 = 0.2
#: A range that is full at every frequency although 0.5 mm of that conductor alone would not fill it (assumed).
FULL_OHM_CM2 = 2.0
#: Above this modulus at low frequency nothing conducts through (assumed).
OPEN_OHM = 1e7
#: Frequencies whose logarithms lie closer than this are one, measured again.
_SAME_FREQUENCY = 1e-3
#: A change between repeated points that chance makes more often than this is none.
_CHANCE = 1e-3
#: Fewer good points than this cannot be judged.
LEAST_POINTS = 10
_MAINS_HZ = tuple(m * k for m in (50.0, 60.0) for k in range(1, 8))


class Kind(StrEnum):
    """What may be done with a spectrum."""

    VALID = "valid"
    VALID_ABOVE = "valid above"
    REMEASURE = "remeasure"
    SHORTED = "shorted"
    OPEN = "open"
    OVERLOAD = "overload"


class Cause(StrEnum):
    """What was noticed; a verdict may have several, and a valid spectrum may have some too."""

    DRIFT = "drift"
    SLIP = "slip"
    NOISE = "noise"
    HUM = "hum"
    SPIKE = "spike"
    FEW_POINTS = "too few points"
    OVERLOAD = "overload"
    SHORT = "short"
    OPEN = "open"
    NOT_PASSIVE = "not passive"
    INCONSISTENT = "inconsistent"
    INDUCTIVE = "inductive tail"
    LOOP = "inductive loop"
    BAND = "arc outside the band"


@dataclass(frozen=True)
class Verdict:
    """What a spectrum is worth.

    Attributes:
        kind: What may be done with it.
        causes: What was noticed, the gravest first.
        reasons: One sentence for each cause.
        above_hz: For ``valid above``: from where on it is valid, Hz.
        use: Shape (n,): the points to be fitted (good, inside the valid band, no hum, no spike).
        noise: Standard deviation of the parts of Z relative to |Z|, from what Kramers-Kronig leaves.
        drift, drift_sd: Relative change of the cell over the sweep and its standard deviation; where only points
            measured again show it, theirs.
        kramers_kronig: Shape (n,): relative residuals, complex; NaN for points left out.
        z_hit: Shape (n,): relative residual of the modulus; NaN for points left out.
    """

    kind: Kind
    causes: tuple[Cause, ...]
    reasons: tuple[str, ...]
    above_hz: float | None
    use: Mask
    noise: float = math.nan
    drift: float = math.nan
    drift_sd: float = math.nan
    kramers_kronig: Complex = field(default_factory=lambda: np.zeros(0, dtype=np.complex128))
    z_hit: Real = field(default_factory=lambda: np.zeros(0))

    @property
    def value(self) -> str:
        """In words: ``valid``, ``valid above 3 Hz``, ``remeasure``, ``shorted``, ``open``, ``overload``."""
        return f"{self.kind} {self.above_hz:.3g} Hz" if self.above_hz is not None else str(self.kind)

    @property
    def usable(self) -> bool:
        """Whether a number may be taken from it."""
        return self.kind in {Kind.VALID, Kind.VALID_ABOVE}

    def __str__(self) -> str:
        return f"{self.value}: {'; '.join(self.reasons)}" if self.reasons else self.value


def judge(
    spectrum: ImpedanceSpectrum,
    *,
    area_cm2: float = 1.0,
    bulk_ohm: float | None = None,
    open_ohm: float = OPEN_OHM,
) -> Verdict:
    """Judge a spectrum before anything is read from it.

    Args:
        spectrum: In the order measured; its time stamps are the clock of the drift, where it has them.
        area_cm2: Area of the cell, cm²: tells a short from a good cell.
        bulk_ohm: Resistance of the electrolyte alone, Ω, where it is known: half of it is a short.
        open_ohm: Modulus at low frequency above which the circuit is open, Ω.

    Returns:
        A verdict; never an error for a bad measurement.

    Raises:
        SpectrumError: The area is not positive.

    Source:
        Boukamp, J. Electrochem. Soc. 142 (1995) 1885 (Kramers-Kronig); Ehm et al., ACH Models Chem. 137 (2000)
        145 (Z-HIT).
    """
    if not (math.isfinite(area_cm2) and area_cm2 > 0):
        raise SpectrumError(f"an area of {area_cm2} cm² is not positive: give the area of one electrode")
    gross = _gross(spectrum, area_cm2, bulk_ohm, open_ohm)
    if isinstance(gross, Verdict):
        return gross
    verdict = _consistent(spectrum, gross)
    if verdict.kind is not Kind.REMEASURE or Cause.SLIP in verdict.causes:
        return verdict
    # What spoils only the slow end (drift, noise, a loop) leaves the fast end valid.
    lowest = float(spectrum.frequency_hz[gross].min())
    for decades in (0.5, 1.0, 1.5, 2.0):
        cut = lowest * 10**decades
        kept = gross & (spectrum.frequency_hz > cut * 1.0001)
        if kept.sum() < 1.5 * LEAST_POINTS:
            break
        if Cause.DRIFT in verdict.causes and abs(verdict.drift) * _passed(spectrum, gross, kept) > DRIFT_LIMIT:
            continue
        retried = _consistent(spectrum, kept)
        if retried.usable:
            return replace(
                retried,
                kind=Kind.VALID_ABOVE,
                above_hz=cut,
                causes=verdict.causes + tuple(c for c in retried.causes if c not in verdict.causes),
                reasons=verdict.reasons,
            )
    return verdict


def _refused(spectrum: ImpedanceSpectrum, kind: Kind, cause: Cause, reason: str, use: Mask) -> Verdict:
    n = spectrum.frequency_hz.size
    return Verdict(
        kind, (cause,), (reason,), None, use, kramers_kronig=np.full(n, np.nan + 0j), z_hit=np.full(n, np.nan)
    )


def _gross(
    spectrum: ImpedanceSpectrum, area_cm2: float, bulk_ohm: float | None, open_ohm: float
) -> Verdict | Mask:
    """What flags and sizes alone tell; the points that remain otherwise."""
    n = spectrum.frequency_hz.size
    # Analysers report 9.9E37 for a point they could not measure.
    absurd = np.abs(np.where(np.isfinite(spectrum.impedance_ohm), spectrum.impedance_ohm, 0)) > 1e30
    use: Mask = spectrum.good & ~absurd & (np.abs(spectrum.impedance_ohm) > NOUGHT_OHM)
    overloaded = int(((spectrum.flag == 1) | absurd).sum())
    if overloaded > 0.2 * n:
        return _overloaded(spectrum, overloaded, use, absurd, _short_ohm(area_cm2, bulk_ohm), area_cm2)
    frequency, z = spectrum.frequency_hz[use], spectrum.impedance_ohm[use]
    decades = math.log10(float(frequency.max() / frequency.min())) if frequency.size else 0.0
    if frequency.size < LEAST_POINTS or decades < 1:
        text = (
            f"{frequency.size} good points of {n} over {decades:.1f} decades: at least {LEAST_POINTS} over one "
            "decade are needed"
        )
        return _refused(spectrum, Kind.REMEASURE, Cause.FEW_POINTS, text, use)
    negative = use & (spectrum.impedance_ohm.real < -0.05 * np.abs(spectrum.impedance_ohm))
    if negative.sum() > 0.1 * use.sum():
        text = f"Re Z is negative at {int(negative.sum())} points: no passive cell does that; check the wiring"
        return _refused(spectrum, Kind.REMEASURE, Cause.NOT_PASSIVE, text, use)
    broken = _open_or_short(frequency, z, area_cm2, bulk_ohm, open_ohm)
    if broken is not None:
        return _refused(spectrum, *broken, use)
    return use & ~negative


def _overloaded(
    spectrum: ImpedanceSpectrum, overloaded: int, use: Mask, absurd: Mask, short_ohm: float, area_cm2: float
) -> Verdict:
    """A range that is too small, or a short that no range is large enough for."""
    n = spectrum.frequency_hz.size
    clipped = (spectrum.flag == 1) & ~absurd & np.isfinite(spectrum.impedance_ohm)
    # A range that is full shows too little current, so the true resistance is at most what was read.
    most_ohm = float(np.median(np.abs(spectrum.impedance_ohm[clipped]))) if clipped.any() else math.inf
    if clipped.sum() > 0.5 * n and most_ohm < short_ohm:
        text = (
            f"the current range is full at {most_ohm:.3g} Ω or less, below the {short_ohm:.3g} Ω that the "
            "separator alone must have"
        )
        return _refused(spectrum, Kind.SHORTED, Cause.SHORT, text, use)
    if clipped.all() and most_ohm * area_cm2 < FULL_OHM_CM2:
        text = (
            f"the current range is full at every frequency, at {most_ohm:.3g} Ω or less; a cell of "
            f"{area_cm2:g} cm² that is whole has more ({FULL_OHM_CM2:g} Ω cm²)"
        )
        return _refused(spectrum, Kind.SHORTED, Cause.SHORT, text, use)
    text = f"{overloaded} of {n} points are overloaded: choose a larger current range or a smaller amplitude"
    if overloaded == n:
        text += "; where the range is the largest already, the cell is shorted"
    return _refused(spectrum, Kind.OVERLOAD, Cause.OVERLOAD, text, use)


def _short_ohm(area_cm2: float, bulk_ohm: float | None) -> float:
    """Resistance below which no whole cell lies, Ω."""
    return max(SHORT_OHM_CM2 / area_cm2, 0.5 * bulk_ohm if bulk_ohm is not None else 0.0)


def _open_or_short(
    frequency: Real, z: Complex, area_cm2: float, bulk_ohm: float | None, open_ohm: float
) -> tuple[Kind, Cause, str] | None:
    slow = np.argsort(frequency)[: max(3, frequency.size // 6)]
    low_ohm = float(np.median(np.abs(z[slow])))
    if low_ohm > open_ohm or float(np.median(np.abs(z))) > open_ohm:
        text = f"{low_ohm:.2g} Ω at low frequency: nothing conducts through (limit {open_ohm:.2g} Ω)"
        return Kind.OPEN, Cause.OPEN, text
    limit = _short_ohm(area_cm2, bulk_ohm)
    real_ohm = float(np.median(z.real[slow]))
    # A small cell that is whole still shows an arc; through a short current flows almost in phase.
    lag = np.sort(-z.imag / np.abs(z))[-max(1, frequency.size // 10)]
    if real_ohm < limit and lag < 0.15:
        text = f"{real_ohm:.3g} Ω at low frequency is below the {limit:.3g} Ω that the separator alone must have"
        return Kind.SHORTED, Cause.SHORT, text
    return None


def _clocks(spectrum: ImpedanceSpectrum, use: Mask) -> tuple[Real, list[str]]:
    """Clocks of a drift, each 0 to 1 over the whole sweep: time stamps, else points and periods counted."""
    n = spectrum.frequency_hz.size
    rows, names = [], []
    if spectrum.time_s is not None and np.isfinite(spectrum.time_s).all() and np.ptp(spectrum.time_s) > 0:
        rows.append((spectrum.time_s - spectrum.time_s[0]) / np.ptp(spectrum.time_s))
        names.append("time stamps")
    rows.append(np.arange(n) / (n - 1))
    names.append("points")
    if spectrum.time_s is None:
        periods = np.cumsum(1 / spectrum.frequency_hz)
        rows.append((periods - periods[0]) / (periods[-1] - periods[0]))
        names.append("periods")
    return np.ascontiguousarray(np.array(rows)[:, use]), names


def _passed(spectrum: ImpedanceSpectrum, use: Mask, kept: Mask) -> float:
    """Share of the sweep's clock that the kept points span."""
    clock, _ = _clocks(spectrum, use)
    inside = clock[0][kept[use]]
    return float(np.ptp(inside)) if inside.size else 0.0


def _check(spectrum: ImpedanceSpectrum, use: Mask) -> tuple[_core._Consistency, list[str]]:
    clocks, names = _clocks(spectrum, use)
    z = spectrum.impedance_ohm[use]
    found = _core.spectrum_consistency(
        np.ascontiguousarray(spectrum.frequency_hz[use]),
        np.ascontiguousarray(z.real),
        np.ascontiguousarray(z.imag),
        per_decade=PER_DECADE,
        clocks=clocks,
    )
    return found, names


def _consistent(spectrum: ImpedanceSpectrum, use: Mask) -> Verdict:
    """Kramers-Kronig, drift, slip, hum, spikes, noise, Z-HIT on the points that are left."""
    n = spectrum.frequency_hz.size
    whole, names = _check(spectrum, use)
    clean, found = _without_spikes(spectrum, use, whole)
    # Mains pick-up on neighbouring points looks like a step, and a step like spikes: the cheaper explanation wins.
    again = _between_repeats(spectrum, use, found["noise"])
    slipped = _slipped(whole, names) and _step_is_cheaper(whole, found)
    if again is not None and whole["slip"][0] >= again.begins:
        slipped = False  # what looks like a step is where the points measured again begin
    too_many = int((use & ~clean).sum()) if (use & ~clean).sum() > max(4, 0.12 * use.sum()) else 0
    if slipped or too_many:
        clean, found = use, whole
    spikes = np.sort(spectrum.frequency_hz[use & ~clean])
    noise = found["noise"]
    z = spectrum.impedance_ohm[clean]
    residual, hit = np.full(n, np.nan + 0j), np.full(n, np.nan)
    residual[clean] = found["residual_re"] + 1j * found["residual_im"]
    hit[clean] = _core.spectrum_z_hit(
        np.ascontiguousarray(spectrum.frequency_hz[clean]),
        np.ascontiguousarray(z.real),
        np.ascontiguousarray(z.imag),
        window=_WINDOW,
    )
    drift, drift_sd, _, clock = _likeliest_drift(found, names)
    grave: list[tuple[Cause, str]] = []
    if slipped:
        at, step = found["slip"][:2]
        place = float(spectrum.frequency_hz[clean][at])
        grave.append(
            (
                Cause.SLIP,
                f"the cell changed by {step:+.0%} at once near {place:.3g} Hz: press it again, then measure",
            )
        )
    elif _drifted(drift, drift_sd):
        text = (
            f"the cell changed by {drift:+.1%} ± {drift_sd:.1%} during the sweep (clock: {clock}): let it settle"
        )
        grave.append((Cause.DRIFT, text))
    elif again is not None and again.change > DRIFT_LIMIT:
        text = (
            f"points that were measured twice came back {again.change:.1%} off, most near {again.at_hz:.3g} Hz: "
            "part of the cell changed during the sweep; let it settle"
        )
        drift, drift_sd = again.change, math.sqrt(2) * noise
        grave.append((Cause.DRIFT, text))
    if noise > NOISE_LIMIT and not slipped:
        text = f"noise of {noise:.1%} of |Z| (limit {NOISE_LIMIT:.0%}): raise amplitude or averaging"
        grave.append((Cause.NOISE, text))
    if not grave and too_many:
        text = f"{too_many} of {int(use.sum())} points lie off the curve of the others: no single spikes any more"
        grave.append((Cause.INCONSISTENT, text))
    rough = float(np.sqrt(np.nanmean(hit**2)))
    if not grave and rough > max(0.05, 4 * noise):
        text = f"modulus and phase disagree by {rough:.1%} (Z-HIT): the cell was not in one state"
        grave.append((Cause.INCONSISTENT, text))
    slight = _spikes_named(spikes) + _inductive(spectrum.frequency_hz[clean], z, noise)
    found_causes = grave + slight
    return Verdict(
        kind=Kind.REMEASURE if grave else Kind.VALID,
        causes=tuple(cause for cause, _ in found_causes),
        reasons=tuple(text for _, text in found_causes),
        above_hz=None,
        use=clean,
        noise=noise,
        drift=drift,
        drift_sd=drift_sd,
        kramers_kronig=residual,
        z_hit=hit,
    )


@dataclass(frozen=True, slots=True)
class _Again:
    """Largest relative change of Z between the first and the last time a frequency was measured, and where.

    ``begins`` is the index, among the points used, of the first point that was measured again.
    """

    change: float
    at_hz: float
    begins: int


def _between_repeats(spectrum: ImpedanceSpectrum, use: Mask, noise: float) -> _Again | None:
    """What points that were measured again say of a change.

    One arc of several that changes in a sweep makes a spectrum that another cell could have: no relation between
    the points tells, but the same point measured again does. None when no frequency was repeated or chance may be
    it.
    """
    frequency, z = spectrum.frequency_hz[use], spectrum.impedance_ohm[use]
    order = np.argsort(frequency, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(np.log(frequency[order])) > _SAME_FREQUENCY])
    ends = np.r_[starts[1:], frequency.size] - 1
    first, last = order[starts[ends > starts]], order[ends[ends > starts]]
    if not first.size:
        return None
    change = np.abs(z[last] - z[first]) / np.abs(z[first])
    # Each |change|² is 2·noise² times a chi-square of two; the largest of k of them has that of chance to the k.
    worst = int(np.argmax(change))
    by_chance = -math.expm1(first.size * math.log1p(-math.exp(-(change[worst] ** 2) / (4 * noise**2 + 1e-30))))
    if by_chance >= _CHANCE:
        return None
    return _Again(float(change[worst]), float(frequency[first[worst]]), int(last.min()))


def _drifted(drift: float, sd: float) -> bool:
    """Whether the cell changed by so much that it matters, and surely enough."""
    needed = SD_LIMIT_LARGE if abs(drift) > LARGE_DRIFT else SD_LIMIT
    return abs(drift) > max(DRIFT_LIMIT, needed * sd)


def _slipped(found: _core._Consistency, names: list[str]) -> bool:
    """Whether one step explains more than a drift; the step had a choice of places and must win by its price."""
    _, step, step_sd, step_left = found["slip"]
    drift_left = _likeliest_drift(found, names)[2]
    points = found["residual_re"].size
    gain = 2 * points * math.log(max(drift_left, 1e-12) / max(step_left, 1e-12))
    # In noise beyond the limit anything can look like a step.
    return step_left < NOISE_LIMIT and gain > 2 * math.log(points) + 4 and abs(step) > max(0.03, 5 * step_sd)


def _step_is_cheaper(whole: _core._Consistency, without_spikes: _core._Consistency) -> bool:
    """Whether one step at one of n places says more than leaving out single points, two numbers each (BIC).

    Schwarz, Ann. Stat. 6 (1978) 461.
    """
    points = whole["residual_re"].size
    left_out = points - without_spikes["residual_re"].size
    price = math.log(2 * points)
    step = 2 * points * math.log(max(whole["slip"][3], 1e-12)) + 2 * price
    spikes = 2 * points * math.log(max(without_spikes["noise"], 1e-12)) + 2 * left_out * price
    return step < spikes


def _spikes_named(spikes: Real) -> list[tuple[Cause, str]]:
    """Points left out, told apart by whether they lie at mains frequencies."""
    mains = np.array([min(abs(math.log(f / m)) for m in _MAINS_HZ) < 0.13 for f in spikes], dtype=bool)
    notes = []
    if mains.any():
        where = ", ".join(f"{f:.3g}" for f in spikes[mains])
        notes.append((Cause.HUM, f"mains pick-up at {where} Hz, left out: shield the cell"))
    if (~mains).any():
        where = ", ".join(f"{f:.3g}" for f in spikes[~mains])
        notes.append((Cause.SPIKE, f"single points off the curve at {where} Hz, left out"))
    return notes


def _inductive(frequency: Real, z: Complex, noise: float) -> list[tuple[Cause, str]]:
    """Positive imaginary parts: leads at the fast end, a loop at the slow end."""
    order = np.argsort(frequency)
    positive = z.imag[order] > 3 * noise * np.abs(z[order])
    notes = []
    if positive[-1]:
        first = positive.size - int(np.argmin(positive[::-1])) if not positive.all() else 0
        notes.append((Cause.INDUCTIVE, f"leads dominate above {frequency[order][first]:.3g} Hz"))
    if positive[: max(2, positive.size // 8)].all():
        text = "Im Z is positive at the lowest frequencies: an inductive loop, or a cell that changes"
        notes.append((Cause.LOOP, text))
    return notes


def _likeliest_drift(found: _core._Consistency, names: list[str]) -> tuple[float, float, float, str]:
    """Size, standard deviation, residual left and clock of the drift that explains most."""
    return min(((*row, name) for row, name in zip(found["drift"], names, strict=True)), key=lambda row: row[2])


def _without_spikes(
    spectrum: ImpedanceSpectrum, use: Mask, found: _core._Consistency
) -> tuple[Mask, _core._Consistency]:
    """Leave out, one by one, points that lie 5 robust standard deviations off what the others say."""
    kept = use.copy()
    most = int(0.15 * use.sum()) + 1
    for _ in range(most):
        size = np.hypot(found["residual_re"], found["residual_im"])
        scale = float(np.median(size)) / 1.1774  # median of a Rayleigh distribution, in its parameter
        worst = int(np.argmax(size))
        if size[worst] < max(5.0 * scale, 0.004) or kept.sum() <= LEAST_POINTS:
            break
        kept[np.flatnonzero(kept)[worst]] = False
        found, _ = _check(spectrum, kept)
    return kept, found
