"""Spectra of chosen cells in one Nyquist plot with equal axes, with the fits that their numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pressopt.campaign.journal import Journal
from pressopt.campaign.replay import TrialState
from pressopt.errors import InputError
from pressopt.export.answer import Answer, best_trial, nearest_trial
from pressopt.export.pictures.convergence import shown_result
from pressopt.export.pictures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    new_figure,
    styled,
)
from pressopt.export.spectra import recorded_spectrum
from pressopt.export.wording import frequency as frequency_text
from pressopt.export.wording import quantity_unit, with_sd
from pressopt.impedance import Analysis, ImpedanceSpectrum, analyse, circuit_impedance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (GREEN, BLUE, ORANGE, PURPLE, SKY, VERMILION, BLACK)
_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def chosen_trials(answer: Answer, numbers: Sequence[int] = ()) -> list[TrialState]:
    """Return the named trials; by default the best cell, the one nearest to the recommendation, and the first.

    Raises:
        LifecycleError: A named trial does not exist.
    """
    if numbers:
        return [answer.state.trial(number) for number in numbers]
    result = shown_result(answer)
    settings = answer.recommendation.settings if answer.recommendation is not None else None
    found = [
        best_trial(answer.state.done, result.quantity, result.direction),
        nearest_trial(answer.experiment, answer.state, settings) if settings is not None else None,
        next((trial for trial in answer.state.done if trial.outcomes), None),
    ]
    if not any(found):
        # Everything failed: how the last one failed is what there is to see.
        measured = [trial for trial in answer.state.done if any(t.kind == "spectrum" for t in trial.measurements)]
        found = list(measured[-1:])
    return list({trial.number: trial for trial in found if trial is not None}.values())


@styled
def draw_nyquist_of_trials(answer: Answer, journal: Journal, numbers: Sequence[int] = ()) -> Figure:
    """Return the Nyquist plot of trials with their fits.

    Args:
        answer: What the campaign has found.
        journal: Where the spectra are.
        numbers: Trials to draw; none: see :func:`chosen_trials`.

    Raises:
        InputError: None of them has a spectrum.
        LifecycleError: A named trial does not exist.
    """
    found = []
    for trial in chosen_trials(answer, numbers):
        spectrum = recorded_spectrum(trial, journal)
        if spectrum is not None and spectrum.good.any():
            found.append((trial, spectrum))
    if not found:
        raise InputError("there is no spectrum to draw: no chosen trial has one (see `pressopt show`)")
    figure = new_figure(7.6, 5.2)
    axes = figure.subplots()
    cell = answer.experiment.cell
    for place, (trial, spectrum) in enumerate(found):
        analysis = analyse(spectrum, area_cm2=cell.area_cm2, interfaces=max(1, cell.interfaces))
        _draw(axes, place, _name(answer, trial), spectrum, analysis)
    axes.set_aspect("equal", adjustable="datalim")
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.set_xlabel("Re Z / Ω, whole cell")
    axes.set_ylabel("−Im Z / Ω, whole cell")
    axes.set_title(answer.experiment.title)
    figure.legend(loc="outside lower center", ncols=1)
    return figure


def _name(answer: Answer, trial: TrialState) -> str:
    quantity = shown_result(answer).quantity
    if quantity in trial.outcomes:
        return f"cell {trial.number}: {with_sd(*trial.outcomes[quantity])} {quantity_unit(quantity)}"
    return f"cell {trial.number}: {', '.join(trial.failures) or trial.phase.value}"


def _draw(axes: Axes, place: int, name: str, spectrum: ImpedanceSpectrum, analysis: Analysis) -> None:
    colour, mark = _COLOURS[place % len(_COLOURS)], _MARKS[place % len(_MARKS)]
    good = spectrum.good
    z, frequency = spectrum.impedance_ohm[good], spectrum.frequency_hz[good]
    label = name
    if analysis.fit is not None:
        fine = np.geomspace(frequency.max(), frequency.min(), 400)
        fitted = circuit_impedance(analysis.fit.circuit, analysis.fit.values, fine)
        axes.plot(fitted.real, -fitted.imag, color=colour, linewidth=1.3)
        label += f"; line: fit of {analysis.fit.circuit}"
    axes.plot(
        z.real, -z.imag, mark, color=colour, markersize=4.5, markerfacecolor="none", label=label, linestyle="none"
    )
    # Filled marks at whole decades, so that frequencies can be followed along the arc.
    decades = np.log10(frequency)
    whole = np.flatnonzero(np.abs(decades - np.round(decades)) < 0.02)
    axes.plot(z.real[whole], -z.imag[whole], mark, color=colour, markersize=5.5, linestyle="none")
    if place:
        return
    top = whole[np.argmax(-z.imag[whole])] if whole.size else None
    if top is not None:
        text = frequency_text(float(frequency[top]))
        axes.annotate(
            text, (z.real[top], -z.imag[top]), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=9,
            color=colour,
        )  # fmt: skip
