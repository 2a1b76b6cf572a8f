"""Pictures of studies as files: PNG to look at, SVG to print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pressopt.errors import InputError, Violation
from pressopt.export.pictures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    picture_bytes,
    plain_ticks,
    quantity_axis,
    time_ticks,
)
from pressopt.export.wording import quantity_unit
from pressopt.pressing import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: One after the other, for what stands side by side.
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, SOFT)


def write_picture(figure: Figure, path: Path) -> list[Path]:
    """Write a figure under the names of :func:`picture_files`."""
    files = picture_files(path)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture_bytes(figure, "png" if file.suffix == ".png" else "svg"))
    return files


def picture_files(path: Path) -> list[Path]:
    """Where a picture is written: ``path`` ends in .png or .svg, or in neither: then as both.

    Raises:
        InputError: Another ending.
    """
    if path.suffix not in {"", ".png", ".svg"}:
        raise InputError((Violation("--out", f"{path.name} is no picture: end it in .png or .svg"),))
    return [path] if path.suffix else [path.with_suffix(".png"), path.with_suffix(".svg")]


def dress_axis(axes: Axes, which: Literal["x", "y"], quantity: str) -> None:
    """Title, scale and ticks of an axis that carries a quantity; after the data are drawn."""
    timed = quantity_unit(quantity) == "s"
    axis = axes.xaxis if which == "x" else axes.yaxis
    title = quantity_axis(quantity)
    axis.set_label_text(title.removesuffix(" / s") if timed else title)
    if quantity in QUANTITIES and QUANTITIES[quantity].log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        low, high = axis.get_view_interval()
        if timed:
            time_ticks(axes, which, low, high)
        else:
            plain_ticks(axes, which)


def percent_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis of shares, written as 1 %, 2 %, 5 %; after the data are drawn."""
    from matplotlib.ticker import FuncFormatter

    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    plain_ticks(axes, which)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
