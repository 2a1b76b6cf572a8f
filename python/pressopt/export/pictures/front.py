"""The Pareto front of two objectives: what must be given up of one to gain of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pressopt.errors import InputError
from pressopt.export.answer import Answer
from pressopt.export.pictures.style import BLACK, GREEN, SOFT, new_figure, plain_ticks, quantity_axis, styled
from pressopt.optimizer import Interval
from pressopt.pressing.quantities import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def draw_front(answer: Answer) -> Figure:
    """Return the front of the first two objectives with its 95 % intervals; the recommended protocol is marked.

    Raises:
        InputError: There is one objective only, or no front yet.
    """
    recommendation = answer.recommendation
    if recommendation is None or len(recommendation.front) < 2 or len(answer.results) < 2:
        raise InputError("there is no Pareto front to draw: it takes two objectives and a recommendation")
    across, up = (result.quantity for result in answer.results[:2])
    points = [expected for _, expected in recommendation.front]
    figure = new_figure(5.8, 4.4)
    axes = figure.subplots()
    for which, quantity in (("x", across), ("y", up)):
        known = QUANTITIES.get(quantity)
        if known is not None and known.log:
            (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axes.errorbar(
        [p[across].median for p in points], [p[up].median for p in points],
        xerr=_arms([p[across] for p in points]), yerr=_arms([p[up] for p in points]),
        fmt="o-", color=BLACK, ecolor="#c9d0d6", elinewidth=1.0, markersize=4, linewidth=1.0,
        label="Pareto front, with 95 % intervals",
    )  # fmt: skip
    chosen = recommendation.expected
    axes.plot(
        [chosen[across].median], [chosen[up].median], "o", color=GREEN, markersize=10, markeredgecolor=BLACK,
        label="recommended", zorder=5,
    )  # fmt: skip
    both = [t for t in answer.state.done if across in t.outcomes and up in t.outcomes and not t.failures]
    if both:
        axes.plot(
            [t.outcomes[across][0] for t in both], [t.outcomes[up][0] for t in both], "x", color=SOFT,
            label="cell, measured",
        )  # fmt: skip
    axes.set_xlabel(quantity_axis(across))
    axes.set_ylabel(quantity_axis(up))
    if axes.get_xscale() == "log":
        plain_ticks(axes, "x")
    if axes.get_yscale() == "log":
        plain_ticks(axes, "y")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _arms(intervals: Sequence[Interval]) -> list[list[float]]:
    """How far each interval reaches below and above its median."""
    return [[one.median - one.low for one in intervals], [one.high - one.median for one in intervals]]
