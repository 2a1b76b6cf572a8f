"""Pictures of a spectrum: Nyquist with equal axes, Bode, residuals, verdict. Matplotlib is imported late."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pressopt.impedance.analysis import Analysis
from pressopt.impedance.distribution import Distribution, second_opinion
from pressopt.impedance.spectrum import ImpedanceSpectrum, Real
from pressopt.impedance.summary import with_sd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue, orange, grey of Okabe and Ito (2008): told apart in every kind of colour vision, and in print.
_MEASURED, _FITTED, _LEFT_OUT = "#0072B2", "#D55E00", "#999999"
_SHADES = {"bulk": "#F0E442", "grain boundary": "#009E73", "interface": "#CC79A7", "slow": "#56B4E9"}


def draw_nyquist(ax: Axes, spectrum: ImpedanceSpectrum, analysis: Analysis | None = None) -> None:
    """Draw -Im Z over Re Z in Ω, both axes to one scale, with the fit and the arcs that were told apart.

    Args:
        ax: Where to draw.
        spectrum: The spectrum; flagged points are left out.
        analysis: Its analysis, for fit, arcs and the points that were not used.
    """
    good = spectrum.good & (np.abs(np.nan_to_num(spectrum.impedance_ohm, nan=1e40)) < 1e30)
    use = good if analysis is None else analysis.verdict.use
    z = spectrum.impedance_ohm
    ax.plot(z[use].real, -z[use].imag, "o", ms=4, mfc="none", color=_MEASURED, label="measured")
    left = good & ~use
    if left.any():
        ax.plot(z[left].real, -z[left].imag, "x", ms=4, color=_LEFT_OUT, label="left out")
    if analysis is not None and analysis.fit is not None:
        dense = _dense(spectrum.frequency_hz[use])
        fitted = analysis.fit.impedance(dense)
        ax.plot(fitted.real, -fitted.imag, "-", lw=1.4, color=_FITTED, label="fit")
        _shade_arcs(ax, analysis)
    _mark_decades(ax, spectrum, use)
    ax.axhline(0, lw=0.6, color="0.6")
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel("Re Z / Ω")
    ax.set_ylabel("-Im Z / Ω")
    ax.legend(frameon=False, fontsize="small", loc="best")


def _dense(frequency: Real) -> Real:
    return np.geomspace(float(frequency.max()), float(frequency.min()), 400)


def _shade_arcs(ax: Axes, analysis: Analysis) -> None:
    """Stretches of the real axis, one for each process, fast to slow."""
    at = 0.0
    for arc in analysis.arcs:
        ax.plot(
            [at, at + arc.resistance_ohm],
            [0, 0],
            lw=5,
            alpha=0.6,
            solid_capstyle="butt",
            color=_SHADES[arc.role],
            label=arc.role,
            zorder=0,
        )
        at += arc.resistance_ohm


def _mark_decades(ax: Axes, spectrum: ImpedanceSpectrum, use: np.ndarray) -> None:
    frequency, z = spectrum.frequency_hz[use], spectrum.impedance_ohm[use]
    if frequency.size == 0:
        return
    for decade in range(math.ceil(math.log10(frequency.min())), math.floor(math.log10(frequency.max())) + 1):
        i = int(np.argmin(np.abs(np.log10(frequency) - decade)))
        if abs(math.log10(frequency[i]) - decade) < 0.1 and decade % 2 == 0:
            ax.plot(z[i].real, -z[i].imag, "o", ms=4, color=_MEASURED)
            ax.annotate(
                _hertz(10.0**decade),
                (z[i].real, -z[i].imag),
                xytext=(3, 6),
                textcoords="offset points",
                fontsize=7,
            )


def _hertz(value: float) -> str:
    for factor, prefix in ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m")):
        if value >= factor:
            return f"{value / factor:g} {prefix}Hz"
    return f"{value:g} Hz"


def draw_bode(modulus: Axes, phase: Axes, spectrum: ImpedanceSpectrum, analysis: Analysis | None = None) -> None:
    """Draw |Z| in Ω and -phase in degrees over frequency in Hz, with the fit."""
    good = spectrum.good
    use = good if analysis is None else analysis.verdict.use
    frequency, z = spectrum.frequency_hz[use], spectrum.impedance_ohm[use]
    modulus.loglog(frequency, np.abs(z), "o", ms=3, mfc="none", color=_MEASURED)
    phase.semilogx(frequency, -np.degrees(np.angle(z)), "o", ms=3, mfc="none", color=_MEASURED)
    if analysis is not None and analysis.fit is not None:
        dense = _dense(frequency)
        fitted = analysis.fit.impedance(dense)
        modulus.loglog(dense, np.abs(fitted), lw=1.2, color=_FITTED)
        phase.semilogx(dense, -np.degrees(np.angle(fitted)), lw=1.2, color=_FITTED)
    modulus.set_ylabel("|Z| / Ω")
    phase.set_ylabel("-phase / °")
    phase.set_xlabel("frequency / Hz")


def draw_residuals(ax: Axes, analysis: Analysis) -> None:
    """Draw what the fit leaves, in percent of \\|Z\\|, over frequency in Hz."""
    if analysis.fit is not None:
        frequency, left = analysis.fit.frequency_hz, 100 * analysis.fit.residuals
        ax.semilogx(frequency, left.real, "o", ms=3, color=_MEASURED, label="Re")
        ax.semilogx(frequency, left.imag, "s", ms=3, mfc="none", color=_FITTED, label="Im")
        ax.legend(frameon=False, fontsize="small", ncols=2)
    ax.axhline(0, lw=0.6, color="0.6")
    ax.set_ylabel("residual / %")
    ax.set_xlabel("frequency / Hz")


def draw_distribution(ax: Axes, distribution: Distribution, analysis: Analysis | None = None) -> None:
    """Draw γ in Ω over the frequency of each time constant in Hz, peaks marked, the arcs of the fit as lines."""
    frequency = 1 / (2 * np.pi * distribution.tau_s)
    ax.semilogx(frequency, distribution.gamma_ohm, lw=1.2, color=_MEASURED)
    ax.fill_between(frequency, distribution.gamma_ohm, alpha=0.15, color=_MEASURED, lw=0)
    top = float(distribution.gamma_ohm.max(initial=0.0)) or 1.0
    low, high = distribution.frequency_hz.min(), distribution.frequency_hz.max()
    for peak in distribution.peaks:
        if low <= peak.apex_hz <= high:
            at = int(np.argmin(np.abs(np.log(distribution.tau_s / peak.tau_s))))
            text = f"{peak.resistance_ohm:.3g} Ω"
            place = (peak.apex_hz, float(distribution.gamma_ohm[at]) + 0.03 * top)
            ax.annotate(text, place, fontsize=7, ha="center", va="bottom")
    for arc in analysis.arcs if analysis is not None else ():
        if math.isfinite(arc.apex_hz) and low <= arc.apex_hz <= high:
            ax.axvline(arc.apex_hz, lw=4, alpha=0.35, color=_SHADES[arc.role], zorder=0)
    ax.set_xlim(low / 1.5, high * 1.5)
    ax.set_ylim(0, 1.25 * top)
    ax.set_ylabel("γ / Ω")
    ax.set_xlabel("1/(2πτ) / Hz")


def figure_spectrum(spectrum: ImpedanceSpectrum, analysis: Analysis, *, title: str = "") -> Figure:
    """Return one page: Nyquist; Bode, residuals and relaxation times beside it; verdict and answer above.

    The figure belongs to no window; write it with ``figure.savefig(...)``.
    """
    from matplotlib.figure import Figure as Canvas

    figure: Figure = Canvas(figsize=(11, 7), layout="constrained")
    grid = figure.add_gridspec(4, 2, width_ratios=(1.25, 1))
    draw_nyquist(figure.add_subplot(grid[:, 0]), spectrum, analysis)
    modulus = figure.add_subplot(grid[0, 1])
    phase = figure.add_subplot(grid[1, 1], sharex=modulus)
    if analysis.verdict.use.any():
        draw_bode(modulus, phase, spectrum, analysis)
    draw_residuals(figure.add_subplot(grid[2, 1], sharex=modulus), analysis)
    for upper in (modulus, phase):
        upper.set_xlabel("")
        upper.tick_params(labelbottom=False)
    distribution = second_opinion(spectrum, analysis.verdict)
    if distribution is not None:
        draw_distribution(figure.add_subplot(grid[3, 1]), distribution, analysis)
    figure.suptitle(_headline(analysis, title), fontsize=11)
    return figure


def _headline(analysis: Analysis, title: str) -> str:
    parts = [title] if title else []
    if analysis.interface_ohm_cm2 is not None and analysis.interface_sd_ohm_cm2 is not None:
        parts.append(f"interface {with_sd(analysis.interface_ohm_cm2, analysis.interface_sd_ohm_cm2)} Ω cm²")
    if analysis.cell_ohm_cm2 is not None and analysis.cell_sd_ohm_cm2 is not None:
        parts.append(f"cell {with_sd(analysis.cell_ohm_cm2, analysis.cell_sd_ohm_cm2)} Ω cm²")
    if analysis.fit is not None:
        parts.append(analysis.fit.circuit)
    reasons = f": {analysis.verdict.reasons[0]}" if analysis.verdict.reasons else ""
    return "   ".join(parts) + f"\n{analysis.verdict.value}{reasons}"
