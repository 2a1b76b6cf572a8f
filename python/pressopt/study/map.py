"""A map: one predicted quality over two settings, with limits, risk contours, published points and own cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from pressopt.campaign.experiment import Experiment
from pressopt.errors import InputError, UnitError, Violation
from pressopt.export.pictures.style import (
    BLACK,
    VERMILION,
    new_figure,
    plain_ticks,
    quantity_axis,
    styled,
    time_ticks,
)
from pressopt.export.wording import label_of, number, setting, unit_of
from pressopt.pressing import QUANTITIES, Cell, Role
from pressopt.study.engines import Engine
from pressopt.study.predict import Expected, Predict, predict
from pressopt.study.published import DWELL_S, RAMP_MPA_S, TEMPERATURE_C, Point
from pressopt.study.settings import Settings, number_of
from pressopt.surrogate import ParameterDraws, Surrogate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

Real = npt.NDArray[np.float64]

#: Probabilities that each spoil a cell.
HAZARDS = ("short_probability", "crack_probability", "damage_probability")
#: From this ratio of its ends on an axis is logarithmic.
_WIDE = 20.0
#: A published setting this far from the one that is held (relative) still belongs on the map.
_NEAR = 0.05


@dataclass(frozen=True, slots=True)
class Side:
    """One axis of a map: a setting and its range."""

    name: str
    low: float
    high: float
    log: bool

    def places(self, count: int) -> Real:
        """``count`` values from end to end."""
        if self.log:
            return np.geomspace(self.low, self.high, count)
        return np.linspace(self.low, self.high, count)


@dataclass(frozen=True)
class Map:
    """What is drawn.

    Attributes:
        experiment: Its cell, limits and title.
        settings: Names of the settings.
        across, up: The two that are varied.
        held: All others, by name.
        quantity: What is predicted.
    """

    experiment: Experiment
    settings: Settings
    across: Side
    up: Side
    held: Mapping[str, float]
    quantity: str


@dataclass(frozen=True)
class Surface:
    """A computed map: expected values and probability of failure, shape (up, across) each."""

    x: Real
    y: Real
    expected: Real
    low: Real
    high: Real
    risk: Real
    failing: tuple[str, ...]


def plan_map(
    experiment: Experiment, surrogate: Surrogate, across: str, up: str, quantity: str, held: Mapping[str, float]
) -> Map:
    """Turn what a person asks into a map.

    Args:
        experiment: Gives cell, ranges and what is held.
        surrogate: Its physics.
        across, up: A setting (``pressure``), or one with a range (``pressure=1 MPa..200 MPa``).
        quantity: What is predicted.
        held: Settings that were given. What the experiment searches and nobody gives is held in the middle.

    Raises:
        InputError: Everything that is wrong, at once.
    """
    settings = Settings.of(experiment)
    wrong: list[Violation] = []
    sides = [_side(text, option, experiment, settings, wrong) for text, option in ((across, "--x"), (up, "--y"))]
    if sides[0] is not None and sides[1] is not None:
        if sides[0].name == sides[1].name:
            wrong.append(Violation("--y", f"is {sides[0].name}, as --x is: give another setting"))
        wrong += [
            Violation("--set", f"holds {side.name}, which the map varies: leave it out")
            for side in sides
            if side is not None and side.name in held
        ]
    known = surrogate.untouched().quantities if not settings.rolled else tuple(QUANTITIES)
    if quantity not in known:
        wrong.append(
            Violation("--quantity", f"{quantity} is not predicted for this cell: give {', '.join(known)}")
        )
    if wrong:
        raise InputError(wrong)
    assert sides[0] is not None
    assert sides[1] is not None
    middle = {v.name: v.from_unit(0.5) for v in experiment.space.variables if v.numeric}
    others = {
        name: float(held.get(name, settings.fixed.get(name, middle.get(name, math.nan))))
        for name in settings.names
        if name not in {sides[0].name, sides[1].name}
    }
    found = Map(experiment, settings, sides[0], sides[1], others, quantity)
    ends = {side.name: np.array([side.low, side.high]) for side in (found.across, found.up)}
    settings.checked({**others, **ends}, surrogate)
    return found


def _side(
    text: str, option: str, experiment: Experiment, settings: Settings, wrong: list[Violation]
) -> Side | None:
    word, equals, span = text.partition("=")
    name = settings.named(word)
    if name is None:
        wrong.append(Violation(option, f"{word} {settings.refusal(word)}"))
        return None
    searched = next((v for v in experiment.space.variables if v.name == name), None)
    if not equals:
        if searched is None:
            wrong.append(
                Violation(option, f"{name} has no range in the experiment: give one, like {word}=LOW..HIGH")
            )
            return None
        return Side(name, searched.low, searched.high, searched.scale == "log")
    low, dots, high = span.partition("..")
    if not dots:
        wrong.append(Violation(option, f"{span!r} is no range: write it like {word}=LOW..HIGH"))
        return None
    try:
        ends = [number_of(name, end.strip(), key=word.strip()) for end in (low, high)]
    except UnitError as refused:
        wrong += [Violation(option, v.message) for v in refused.violations]
        return None
    if not ends[0] < ends[1]:
        wrong.append(Violation(option, f"{low.strip()} is not below {high.strip()}: give the lower end first"))
        return None
    log = not name.endswith("_c") and ends[0] > 0 and ends[1] / ends[0] >= _WIDE
    return Side(name, ends[0], ends[1], log)


def compute_map(
    plan: Map,
    surrogate: Surrogate,
    engine: Engine,
    *,
    points: int,
    draws: int,
    parameters: ParameterDraws | None = None,
    seed: int = 0,
) -> Surface:
    """Predict the quality and the risks at every point of the map."""
    job = job_of_map(plan, surrogate, points=points, draws=draws, parameters=parameters, seed=seed)
    return surface_of(plan, points, predict(job, engine))


def job_of_map(
    plan: Map,
    surrogate: Surrogate,
    *,
    points: int,
    draws: int,
    parameters: ParameterDraws | None = None,
    seed: int = 0,
) -> Predict:
    """What has to be predicted for a map of ``points`` by ``points``."""
    across, up = np.meshgrid(plan.across.places(points), plan.up.places(points))
    table = plan.settings.table({**plan.held, plan.across.name: across.ravel(), plan.up.name: up.ravel()})
    return Predict(surrogate, table, draws, seed, parameters)


def surface_of(plan: Map, points: int, found: Expected) -> Surface:
    """The predictions of :func:`job_of_map` as a surface."""
    x, y = plan.across.places(points), plan.up.places(points)
    alive = np.ones(points * points)
    failing = tuple(name for name in HAZARDS if name in found.nominal)
    for name in failing:
        alive = alive * (1.0 - found.nominal[name])
    shape = points, points
    return Surface(
        x,
        y,
        found.nominal[plan.quantity].reshape(shape),
        found.low[plan.quantity].reshape(shape),
        found.high[plan.quantity].reshape(shape),
        (1.0 - alive).reshape(shape),
        failing,
    )


def best_point(plan: Map, surface: Surface, most_risk: float) -> dict[str, float] | None:
    """The best expected value where at most ``most_risk`` of the cells fail; ``None`` where more do everywhere."""
    sign = 1.0 if QUANTITIES[plan.quantity].better == "lower" else -1.0
    cost = np.where(surface.risk <= most_risk, sign * surface.expected, np.inf)
    if not np.isfinite(cost).any():
        return None
    row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return {
        plan.across.name: float(surface.x[column]),
        plan.up.name: float(surface.y[row]),
        plan.quantity: float(surface.expected[row, column]),
        "low": float(surface.low[row, column]),
        "high": float(surface.high[row, column]),
        "failing": float(surface.risk[row, column]),
    }


@dataclass(frozen=True, slots=True)
class Mark:
    """A measured point on the map: where, what, and who says so; a value of ``None`` is a failure.

    ``bound`` says that more was measured than could be read: the value is the least that it can be.
    """

    x: float
    y: float
    value: float | None
    label: str
    bound: bool = False


def published_marks(plan: Map, points: Sequence[Point]) -> tuple[list[Mark], list[str]]:
    """Published points that belong on this map, and what was taken where their sources say nothing.

    A point belongs on it when its quantity is drawn (or it tells of a short), and every stated setting is either
    on an axis or near what is held. The stack pressure counts where it is an axis or near.
    """
    stage = plan.settings.stages[-1]
    marks: list[Mark] = []
    notes: dict[str, None] = {}
    if plan.settings.rolled:
        return [], []
    for point in points:
        if len(point.pressures_mpa) != len(plan.settings.stages):
            continue
        told = {f"{s}.pressure_mpa": p for s, p in zip(plan.settings.stages, point.pressures_mpa, strict=True)}
        told["stack.pressure_mpa"] = point.held_mpa
        taken = {
            f"{stage}.dwell_s": DWELL_S,
            f"{stage}.temperature_c": TEMPERATURE_C,
            f"{stage}.ramp_mpa_s": RAMP_MPA_S,
        }
        shorted = point.quantity == "short_probability" and point.low >= 0.5
        if not (shorted or point.quantity == plan.quantity):
            continue
        if not all(_near(value, plan.held.get(name)) for name, value in told.items()):
            continue
        place = {**taken, **told}
        if not {plan.across.name, plan.up.name} <= place.keys():
            continue
        marks.append(
            Mark(
                place[plan.across.name],
                place[plan.up.name],
                None if shorted else point.value,
                point.source,
                not shorted and math.isinf(point.high),
            )
        )
        for name in taken.keys() & {plan.across.name, plan.up.name}:
            notes[f"not stated by the sources: {label_of(name)}, drawn at {setting(name, taken[name])}"] = None
        notes |= {} if shorted else dict.fromkeys(_unlike(point.cell(), plan.experiment.cell))
    return marks, list(notes)


def _unlike(theirs: Cell, ours: Cell) -> Iterator[str]:
    """Where a published cell differs from the one that is drawn, in words: the map is that of ours."""
    for role in (Role.ELECTRODE, Role.ELECTROLYTE):
        here = next(layer for layer in ours.layers if layer.role is role)
        there = next(layer for layer in theirs.layers if layer.role is role)
        if not math.isclose(here.thickness_um, there.thickness_um, rel_tol=_NEAR):
            yield (
                f"published cells had {there.thickness_um:g} µm of {there.material}, this one has "
                f"{here.thickness_um:g} µm: another resistance is expected there"
            )


def _near(value: float, held: float | None) -> bool:
    return held is None or abs(value - held) <= _NEAR * max(abs(held), 1e-9)


@styled
def draw_map(
    plan: Map,
    surface: Surface,
    *,
    risks: Sequence[float],
    published: Sequence[Mark],
    notes: Sequence[str],
    own: Sequence[Mark],
) -> Figure:
    """The map as a figure."""
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import FuncFormatter

    known = QUANTITIES[plan.quantity]
    low, high = float(surface.expected.min()), float(surface.expected.max())
    high = high if high > low else low * 1.01 + 1e-12
    log = known.log and low > 0
    levels = np.geomspace(low, high, 15) if log else np.linspace(low, high, 15)
    norm: Any = LogNorm(low, high) if log else Normalize(low, high)
    colours = "cividis" if known.better == "lower" else "cividis_r"
    figure = new_figure(8.0, 6.2)
    axes: Axes = figure.subplots()
    drawn = axes.contourf(surface.x, surface.y, surface.expected, levels=levels, norm=norm, cmap=colours)
    axes.contour(surface.x, surface.y, surface.expected, levels=levels, colors="white", linewidths=0.4, alpha=0.5)
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, format=FuncFormatter(lambda value, _: number(value)))
    bar.set_label(quantity_axis(plan.quantity), color=BLACK)
    bar.minorticks_off()
    bar.set_ticks(list(levels[::2]))
    bar.outline.set_visible(False)
    _risk(axes, surface, risks)
    beyond = _limits(axes, plan)
    for side, which in ((plan.across, "x"), (plan.up, "y")):
        _dress(axes, side, "x" if which == "x" else "y")
    _marks(axes, plan, published, norm, colours, "o", "published")
    _marks(axes, plan, own, norm, colours, "s", "your cells")
    held = ", ".join(
        f"{label_of(name)} {setting(name, value)}"
        for name, value in plan.held.items()
        if not name.endswith(("ramp_mpa_s", "release_mpa_s", "settle_s"))
    )
    axes.set_title(plan.experiment.title, fontsize=11)
    below = [f"held: {held}"] if held else []
    if surface.failing and risks:
        below.append(
            f"risk: a cell fails by {', '.join(name.removesuffix('_probability') for name in surface.failing)}"
        )
    if published:
        below += notes
    axes.text(0.0, -0.13, "\n".join(below), transform=axes.transAxes, va="top", fontsize=8.5, color=BLACK)
    handles = [*axes.get_legend_handles_labels()[0], *beyond]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _risk(axes: Axes, surface: Surface, risks: Sequence[float]) -> None:
    inside = [risk for risk in risks if surface.risk.min() < risk < surface.risk.max()]
    if not inside:
        return
    # Lines lie close together where failures set in: a label on them would hide them.
    styles = itertools.cycle((":", "--", "-", "-."))
    for risk, style in zip(sorted(inside), styles, strict=False):
        axes.contour(
            surface.x, surface.y, surface.risk, levels=[risk], colors=VERMILION, linewidths=1.8, linestyles=[style]
        )
        axes.plot([], [], color=VERMILION, linewidth=1.8, linestyle=style, label=f"{100 * risk:g} % of cells fail")


def _limits(axes: Axes, plan: Map) -> list[Patch]:
    """Limits of the experiment that cut through the map, hatched beyond; what the legend says of it."""
    from matplotlib.patches import Patch

    limits, die = plan.experiment.limits, plan.experiment.cell.die
    most = {
        "pressure_mpa": min(
            (
                p
                for p in (limits.pressure_mpa, die.pressure_mpa(limits.force_kn) if limits.force_kn else None)
                if p
            ),
            default=None,
        ),
        "temperature_c": limits.temperature_c,
        "ramp_mpa_s": limits.ramp_mpa_s,
        "line_force_n_mm": limits.line_force_n_mm,
    }
    drawn = False
    for side, span in ((plan.across, axes.axvspan), (plan.up, axes.axhspan)):
        limit = most.get(side.name.rpartition(".")[2])
        if limit is not None and side.low < limit < side.high:
            span(limit, side.high, facecolor="none", edgecolor="white", hatch="//", linewidth=0.0)
            (axes.axvline if span == axes.axvspan else axes.axhline)(limit, color="white", linewidth=2.0)
            drawn = True
    label = "beyond the experiment's limits"
    return [Patch(facecolor="#9aa3ab", edgecolor="white", hatch="//", label=label)] if drawn else []


def _marks(axes: Axes, plan: Map, marks: Sequence[Mark], norm: Any, colours: str, shape: str, words: str) -> None:
    from matplotlib.patheffects import withStroke

    inside = [
        mark
        for mark in marks
        if plan.across.low <= mark.x <= plan.across.high and plan.up.low <= mark.y <= plan.up.high
    ]
    values = [mark for mark in inside if mark.value is not None]
    if values:
        axes.scatter(
            [mark.x for mark in values], [mark.y for mark in values], c=[mark.value for mark in values], norm=norm,
            cmap=colours, clip_on=False, s=75, marker=shape, edgecolors="white", linewidths=1.6, zorder=5,
            label=f"{words}: filled with the measured value",
        )  # fmt: skip
        for mark in values:
            said = ("> " if mark.bound else "") + number(mark.value or 0.0)
            axes.annotate(
                said, (mark.x, mark.y), textcoords="offset points", xytext=(0, 8),
                ha="left" if mark.x <= plan.across.low else "center", fontsize=8, color="white", zorder=6,
                path_effects=[withStroke(linewidth=2.0, foreground=BLACK)],
            )  # fmt: skip
    failed = [mark for mark in inside if mark.value is None]
    if failed:
        axes.plot(
            [mark.x for mark in failed], [mark.y for mark in failed], "X", color=VERMILION,
            markeredgecolor="white", markersize=11, linestyle="none", zorder=6, clip_on=False,
            label=f"{words}: shorted",
        )  # fmt: skip


def _dress(axes: Axes, side: Side, which: Literal["x", "y"]) -> None:
    label, unit = label_of(side.name), unit_of(side.name)
    timed = unit == "s" and side.high >= 120
    text = f"{label[:1].upper()}{label[1:]}" + (f" / {unit}" if unit and not timed else "")
    (axes.set_xlabel if which == "x" else axes.set_ylabel)(text)
    if side.log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(side.low, side.high)
    if side.log:
        plain_ticks(axes, which)
    if timed:
        time_ticks(axes, which, side.low, side.high)
    axes.grid(visible=False)
