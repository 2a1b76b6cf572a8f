"""One look for all pictures: readable fonts, colours that everybody tells apart, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pressopt.export.wording import quantity_label, quantity_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito, https://jfly.uni-koeln.de/color/ (2008): told apart by all kinds of colour vision.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#1b1f23", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip
SOFT, LINE = "#5a646e", "#d4dade"
#: Mark of each kind of failure; kinds not named here get the last.
FAILURE_MARKS = {
    "shorted": ("X", VERMILION),
    "cracked": ("v", PURPLE),
    "open": ("s", ORANGE),
    "sample_failed": ("D", PURPLE),
    "other": ("P", SOFT),
}

_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": BLACK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": BLACK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": "white",
    # Text stays text in SVG: it can be searched and read aloud.
    "svg.fonttype": "none",
    "svg.hashsalt": "pressopt",
    "path.simplify": False,
}

Drawn = TypeVar("Drawn")


def styled(draw: Callable[..., Drawn]) -> Callable[..., Drawn]:
    """Run a drawing function under the style above, without touching anybody's own matplotlib settings."""
    import functools

    @functools.wraps(draw)
    def inside(*args: Any, **kwargs: Any) -> Drawn:
        import matplotlib

        with matplotlib.rc_context(_RC):
            return draw(*args, **kwargs)

    return inside


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure of this size in inches, outside of pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@styled
def picture_bytes(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Return a figure as a file; the same figure gives the same bytes."""
    out = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    figure.savefig(out, format=kind, dpi=160, metadata=metadata)
    return out.getvalue()


def quantity_axis(quantity: str) -> str:
    """Return the title of an axis: label and unit."""
    label, unit = quantity_label(quantity), quantity_unit(quantity)
    text = label[:1].upper() + label[1:]
    return f"{text} / {unit}" if unit else text


def plain_ticks(axes: Axes, which: Literal["x", "y"]) -> None:
    """Write the ticks of a logarithmic axis as people do: 2, 5, 10, 20, 50."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    narrow = high / low < 30
    axis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0) if narrow and high / low < 6 else (1.0, 2.0, 5.0))
    )
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


#: Times that people set on a timer, s.
_TIMES = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000, 36000, 86400)


def time_ticks(axes: Axes, which: Literal["x", "y"], low_s: float, high_s: float) -> None:
    """Write a time axis as people set timers: 30 s, 10 min, 1 h."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    from pressopt.export.wording import duration

    axis = axes.xaxis if which == "x" else axes.yaxis
    if axis.get_scale() == "log":
        axis.set_major_locator(FixedLocator([time for time in _TIMES if low_s <= time <= high_s]))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
