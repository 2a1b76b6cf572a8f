"""How a campaign came to its answer: every cell in order, failures by kind, the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressopt.campaign.replay import TrialState
from pressopt.export.answer import INITIAL_DESIGN, Answer, Result
from pressopt.export.pictures.style import (
    BLACK,
    BLUE,
    FAILURE_MARKS,
    GREEN,
    ORANGE,
    SOFT,
    new_figure,
    plain_ticks,
    quantity_axis,
    styled,
)
from pressopt.export.wording import count, number, quantity_value
from pressopt.pressing.quantities import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def shown_result(answer: Answer) -> Result:
    """Return the result that pictures show: the first measured objective, else the first."""
    return next((result for result in answer.results if result.source == "measured"), answer.main)


@styled
def draw_convergence(answer: Answer) -> Figure:
    """Return the picture of all cells in order.

    Error bars are one standard deviation of the measurement; the green band is the 95 % interval of the true value
    at the recommended settings.
    """
    result = shown_result(answer)
    trials = list(answer.state.trials.values())
    figure = new_figure(9.2, 5.2)
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=[0.11, 1])
    known = QUANTITIES.get(result.quantity)
    if known is not None and known.log:
        axes.set_yscale("log")
    _initial_design(axes, strip, trials)
    _levels(axes, result, len(trials))
    _cells(axes, trials, result)
    _failures(strip, trials)
    last = max(1, len(trials), answer.experiment.budget.trials if not answer.complete else 1)
    axes.set_xlim(0.4, last + 0.6)
    if axes.get_yscale() == "log":
        plain_ticks(axes, "y")
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=16))
    axes.set_xlabel("Cell, in order of pressing")
    axes.set_ylabel(quantity_axis(result.quantity))
    strip.set_title(answer.experiment.title)
    if not answer.complete:
        figure.text(
            0.995,
            0.985,
            "no result" if answer.state.closed is not None else "not finished",
            ha="right",
            va="top",
            color=ORANGE,
            weight="bold",
        )
    handles, labels = axes.get_legend_handles_labels()
    more, more_labels = strip.get_legend_handles_labels()
    figure.legend(handles + more, labels + more_labels, loc="outside lower center", ncols=3)
    return figure


def _initial_design(axes: Axes, strip: Axes, trials: list[TrialState]) -> None:
    initial = [trial.number for trial in trials if trial.reason == INITIAL_DESIGN]
    if initial:
        label = f"initial design, {count(len(initial), 'cell')}"
        axes.axvspan(min(initial) - 0.5, max(initial) + 0.5, color="#eef1f3", zorder=0, label=label)
        strip.axvspan(min(initial) - 0.5, max(initial) + 0.5, color="#eef1f3", zorder=0)


def _levels(axes: Axes, result: Result, trials: int) -> None:
    """What the result is compared with, and what is expected of the recommended settings."""
    for reference in result.references:
        if reference.name == "untouched":
            axes.axhline(reference.value, color=SOFT, linestyle=(0, (5, 3)), linewidth=1.3)
            axes.annotate(
                f"untouched, {reference.source}: {quantity_value(result.quantity, reference.value)}",
                (1.0, reference.value), xycoords=("axes fraction", "data"), xytext=(-2, -4),
                textcoords="offset points", ha="right", va="top", color=SOFT, fontsize=9.5,
            )  # fmt: skip
    if result.target is not None:
        axes.axhline(
            result.target, color=ORANGE, linewidth=1.3, linestyle=":", label=f"target {number(result.target)}"
        )
    expected = result.expected
    if expected is not None:
        axes.axhspan(expected.low, expected.high, color=GREEN, alpha=0.18, linewidth=0, zorder=1)
        axes.axhline(
            expected.median, color=GREEN, linewidth=1.6, zorder=1,
            label=f"recommended: {number(expected.median)} "
            f"({number(expected.low)} to {number(expected.high)}, 95 %)",
        )  # fmt: skip


def _cells(axes: Axes, trials: list[TrialState], result: Result) -> None:
    valid = [trial for trial in trials if result.quantity in trial.outcomes and not trial.failures]
    if not valid:
        axes.text(0.5, 0.5, "no valid measurement yet", transform=axes.transAxes, ha="center", color=SOFT)
        return
    cells = [trial.number for trial in valid]
    values, sds = zip(*(trial.outcomes[result.quantity] for trial in valid), strict=True)
    better = min if result.direction == "minimize" else max
    running = [better(values[: place + 1]) for place in range(len(values))]
    axes.step(
        [*cells, max(cells[-1], len(trials))], [*running, running[-1]], where="post", color=BLUE, linewidth=1.4,
        label="best reading so far",
    )  # fmt: skip
    # A bar that would reach zero cannot be drawn on a logarithmic axis; it is cut at a hundredth of the value.
    low = [min(sd, 0.99 * abs(value)) for value, sd in zip(values, sds, strict=True)]
    axes.errorbar(
        cells, values, yerr=[low, sds], fmt="o", color=BLACK, markersize=5.5, elinewidth=1.2, capsize=2.5,
        label="measured ± one sd", zorder=3,
    )  # fmt: skip
    replicates = [trial for trial in valid if trial.reason == "replicate"]
    if replicates:
        axes.plot(
            [trial.number for trial in replicates],
            [trial.outcomes[result.quantity][0] for trial in replicates],
            "o", color="white", markeredgecolor=BLACK, markersize=6.5, label="replicate", zorder=4,
        )  # fmt: skip


def _failures(strip: Axes, trials: list[TrialState]) -> None:
    """A strip above the picture: failures have no value, so they have no place on its axis."""
    strip.set_ylim(0, 1)
    strip.set_yticks([])
    strip.grid(visible=False)
    for side in ("left", "bottom"):
        strip.spines[side].set_visible(False)
    strip.tick_params(axis="x", length=0, labelbottom=False)
    kinds = sorted({kind for trial in trials for kind in trial.failures})
    for kind in kinds:
        mark, colour = FAILURE_MARKS.get(kind, FAILURE_MARKS["other"])
        cells = [trial.number for trial in trials if kind in trial.failures]
        strip.plot(
            cells, [0.45] * len(cells), mark, color=colour, markersize=8, linestyle="none", clip_on=False,
            label=f"{kind.replace('_', ' ')} ({len(cells)})",
        )  # fmt: skip
