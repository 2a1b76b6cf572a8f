"""What the physics alone said of each cell before any was pressed, beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressopt.export.findings import PhysicsCheck
from pressopt.export.pictures.style import BLACK, BLUE, SOFT, new_figure, plain_ticks, styled
from pressopt.export.wording import quantity_label, quantity_unit
from pressopt.pressing.quantities import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def draw_parity(check: PhysicsCheck) -> Figure:
    """Return predicted against measured, one point a cell with the 95 % interval of the physics."""
    figure = new_figure(5.4, 4.4)
    axes = figure.subplots()
    measured = [one.measured for one in check.cells]
    predicted = [one.predicted.median for one in check.cells]
    low = [one.predicted.median - one.predicted.low for one in check.cells]
    high = [one.predicted.high - one.predicted.median for one in check.cells]
    known = QUANTITIES.get(check.quantity)
    if known is not None and known.log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.errorbar(
        measured, predicted, yerr=[low, high], fmt="o", color=BLUE, ecolor="#a9c6db", elinewidth=1.4,
        markersize=5, label="one cell, physics alone", zorder=3,
    )  # fmt: skip
    ends = [min(measured + [one.predicted.low for one in check.cells]), max(measured + predicted)]
    axes.plot(ends, ends, color=BLACK, linewidth=1.0, label="as measured")
    for cell in check.worst[:2]:
        axes.annotate(
            f"cell {cell.trial}", (cell.measured, cell.predicted.median), xytext=(6, 4),
            textcoords="offset points", fontsize=9, color=SOFT,
        )  # fmt: skip
    unit = quantity_unit(check.quantity)
    label = quantity_label(check.quantity)
    suffix = f" / {unit}" if unit else ""
    axes.set_xlabel(f"Measured {label}{suffix}")
    axes.set_ylabel(f"Expected by physics{suffix}")
    if axes.get_xscale() == "log":
        plain_ticks(axes, "x")
        plain_ticks(axes, "y")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
