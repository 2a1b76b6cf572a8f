"""What the model expects over the settings that matter most: a map of two, or slices of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from pressopt.campaign.replay import TrialState
from pressopt.errors import InputError
from pressopt.export.answer import Answer
from pressopt.export.pictures.convergence import shown_result
from pressopt.export.pictures.style import (
    BLACK,
    FAILURE_MARKS,
    GREEN,
    SOFT,
    VERMILION,
    new_figure,
    plain_ticks,
    quantity_axis,
    styled,
    time_ticks,
)
from pressopt.export.wording import label_of, setting, unit_of
from pressopt.optimizer import Interval, Observation, Recommender, Settings, Variable
from pressopt.pressing.quantities import QUANTITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

Real = npt.NDArray[np.float64]
#: A protocol that fails more often than this is drawn as forbidden.
_FAILS = 0.5


class Model(Protocol):
    """What a surface is drawn from."""

    def expected(self, quantity: str, settings: Sequence[Settings]) -> list[Interval]:
        """The true value of ``quantity`` at each of the settings."""
        ...

    def forbidden(self, settings: Sequence[Settings]) -> npt.NDArray[np.bool_]:
        """Shape (n,): where a cell is likelier to fail than not, or a constraint is not kept surely enough."""
        ...


#: Points along each axis of the map, and of a slice.
_MAP, _SLICE = 41, 81


class CampaignModel:
    """The campaign's own model, as far as the history tells.

    Raises:
        InputError: Nothing valid was measured yet.
    """

    def __init__(self, recommender: Recommender, history: Sequence[Observation]) -> None:
        from pressopt.optimizer.beliefs import believe

        beliefs = believe(recommender.question(history), physics=recommender.strategy == "physics-gp")
        if beliefs is None:
            raise InputError("nothing valid was measured yet: there is no surface to draw")
        self._beliefs, self._space = beliefs, recommender.space

    def expected(self, quantity: str, settings: Sequence[Settings]) -> list[Interval]:
        belief = next(belief for belief in self._beliefs.objectives if belief.quantity == quantity)
        return belief.interval(belief.at(self._points(settings), settings))

    def forbidden(self, settings: Sequence[Settings]) -> npt.NDArray[np.bool_]:
        points = self._points(settings)
        found: npt.NDArray[np.bool_] = np.exp(self._beliefs.log_success(points, settings)) < _FAILS
        kept = np.exp(self._beliefs.log_constraints(points, settings))
        for constraint, probability in zip(self._beliefs.question.constraints, kept, strict=True):
            found |= probability < constraint.probability
        return found

    def _points(self, settings: Sequence[Settings]) -> Real:
        return np.array([self._space.to_unit(one) for one in settings])


def shown_variables(answer: Answer) -> list[Variable]:
    """Return the numeric settings, the most effective first."""
    effects = answer.recommendation.effects if answer.recommendation is not None else {}
    numeric = [variable for variable in answer.experiment.space.variables if variable.numeric]
    return sorted(numeric, key=lambda variable: -effects.get(variable.name, 0.0))


@styled
def draw_surface(answer: Answer, model: Model) -> Figure:
    """Return the response surface of the first measured objective.

    Over the two most effective settings with the others at the recommendation; cells on top, the process window as
    a box. With one numeric setting: a slice with its 95 % band.

    Raises:
        InputError: There is no recommendation to draw it around, or nothing numeric was searched.
    """
    variables = shown_variables(answer)
    if answer.recommendation is None:
        raise InputError(f"there is no surface to draw: {answer.open_because}")
    if not variables:
        raise InputError("there is no surface to draw: no numeric setting was searched")
    if len(variables) == 1:
        return _slice(answer, variables[0], model)
    return _map(answer, variables[0], variables[1], model)


def _map(answer: Answer, across: Variable, up: Variable, model: Model) -> Figure:
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import FuncFormatter

    recommendation, result = answer.recommendation, shown_result(answer)
    assert recommendation is not None  # draw_surface has refused
    x, y = _grid(across, _MAP), _grid(up, _MAP)
    settings = [
        {**recommendation.settings, across.name: float(a), up.name: float(b)} for b in y for a in x
    ]  # fmt: skip
    expected = np.array([item.median for item in model.expected(result.quantity, settings)]).reshape(
        len(y), len(x)
    )
    known = QUANTITIES.get(result.quantity)
    log = known is not None and known.log
    low, high = float(expected.min()), float(expected.max())
    high = high if high > low else low * 1.01 + 1e-12
    levels = np.geomspace(low, high, 13) if log else np.linspace(low, high, 13)
    norm = LogNorm(low, high) if log else Normalize(low, high)
    figure = new_figure(7.6, 5.6)
    axes = figure.subplots()
    colours = "cividis" if result.direction == "minimize" else "cividis_r"
    drawn = axes.contourf(x, y, expected, levels=levels, norm=norm, cmap=colours)
    axes.contour(x, y, expected, levels=levels, colors="white", linewidths=0.5, alpha=0.5)
    hatched = _hatch(axes, x, y, model.forbidden(settings).reshape(len(y), len(x)))
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, format=FuncFormatter(lambda value, _: f"{value:.3g}"))
    title = quantity_axis(result.quantity)
    bar.set_label(f"Expected {title[:1].lower()}{title[1:]}", color=BLACK)
    bar.minorticks_off()
    bar.set_ticks(list(levels[::2]))
    bar.outline.set_visible(False)
    _dress(axes, "x", across)
    _dress(axes, "y", up)
    axes.grid(visible=False)
    _cells_on_map(axes, list(answer.state.done), across.name, up.name)
    _window_box(axes, recommendation.window, recommendation.window_tolerance, across.name, up.name)
    axes.plot(
        [float(recommendation.settings[across.name])], [float(recommendation.settings[up.name])], "*",
        color="white", markeredgecolor=BLACK, markersize=17, label="recommended", zorder=6, linestyle="none",
        clip_on=False,
    )  # fmt: skip
    others = [
        f"{label_of(name)} {setting(name, value)}"
        for name, value in recommendation.settings.items()
        if name not in {across.name, up.name}
    ]
    axes.set_title(answer.experiment.title + (f"\nheld: {', '.join(others)}" if others else ""), fontsize=11)
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(handles=[*handles, *hatched], loc="outside lower center", ncols=3)
    return figure


def _slice(answer: Answer, variable: Variable, model: Model) -> Figure:
    recommendation, result = answer.recommendation, shown_result(answer)
    assert recommendation is not None  # draw_surface has refused
    x = _grid(variable, _SLICE)
    expected = model.expected(result.quantity, [{**recommendation.settings, variable.name: float(a)} for a in x])
    figure = new_figure(7.6, 4.6)
    axes = figure.subplots()
    axes.fill_between(
        x, [item.low for item in expected], [item.high for item in expected], color=GREEN, alpha=0.2, linewidth=0,
        label="95 % interval of the true value",
    )  # fmt: skip
    axes.plot(x, [item.median for item in expected], color=GREEN, linewidth=1.8, label="expected, by the model")
    valid = [t for t in answer.state.done if result.quantity in t.outcomes and not t.failures]
    if valid:
        axes.errorbar(
            [_where(t, variable.name) for t in valid], [t.outcomes[result.quantity][0] for t in valid],
            yerr=[t.outcomes[result.quantity][1] for t in valid], fmt="o", color=BLACK, markersize=5, capsize=2,
            label="measured, ± one standard deviation",
        )  # fmt: skip
    window = recommendation.window.get(variable.name)
    if window is not None:
        share = f"{100 * recommendation.window_tolerance:g} %"
        axes.axvspan(*window, color=SOFT, alpha=0.12, linewidth=0, label=f"process window ({share})")
    axes.axvline(
        float(recommendation.settings[variable.name]), color=VERMILION, linewidth=1.4, label="recommended"
    )
    known = QUANTITIES.get(result.quantity)
    if known is not None and known.log:
        axes.set_yscale("log")
        plain_ticks(axes, "y")
    _dress(axes, "x", variable)
    axes.set_ylabel(quantity_axis(result.quantity))
    axes.set_title(answer.experiment.title)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _hatch(axes: Axes, x: Real, y: Real, forbidden: npt.NDArray[np.bool_]) -> list[Patch]:
    """Hatch where nobody should press; return what the legend says of it."""
    from matplotlib.patches import Patch

    if not forbidden.any():
        return []
    import matplotlib

    with matplotlib.rc_context({"hatch.color": "white", "hatch.linewidth": 0.9}):
        axes.contourf(x, y, forbidden.astype(float), levels=[0.5, 1.5], colors="none", hatches=["////"])
    if not forbidden.all():
        axes.contour(x, y, forbidden.astype(float), levels=[0.5], colors="white", linewidths=1.6)
    label = "likelier to fail than not, or against a constraint"
    return [Patch(facecolor="#9aa3ab", edgecolor="white", hatch="////", label=label)]


def _grid(variable: Variable, points: int) -> Real:
    return np.array([variable.from_unit(float(place)) for place in np.linspace(0.0, 1.0, points)])


def _where(trial: TrialState, name: str) -> float:
    """Where a cell really was: as achieved, else as asked."""
    return float(trial.achieved.get(name, float(trial.settings[name])))


def _cells_on_map(axes: Axes, trials: list[TrialState], across: str, up: str) -> None:
    good = [trial for trial in trials if trial.outcomes and not trial.failures]
    if good:
        axes.plot(
            [_where(t, across) for t in good], [_where(t, up) for t in good], "o", color="white",
            markeredgecolor=BLACK, markersize=6, label="cell, valid", zorder=4, linestyle="none", clip_on=False,
        )  # fmt: skip
    for kind in sorted({kind for trial in trials for kind in trial.failures}):
        mark, colour = FAILURE_MARKS.get(kind, FAILURE_MARKS["other"])
        bad = [trial for trial in trials if kind in trial.failures]
        axes.plot(
            [_where(t, across) for t in bad], [_where(t, up) for t in bad], mark, color=colour,
            markeredgecolor="white", markersize=10, label=f"cell, {kind.replace('_', ' ')}", zorder=5,
            linestyle="none", clip_on=False,
        )  # fmt: skip


def _window_box(
    axes: Axes, window: Mapping[str, tuple[float, float]], tolerance: float, across: str, up: str
) -> None:
    from matplotlib.patches import Rectangle

    if not (across in window and up in window):
        return
    (left, right), (low, high) = window[across], window[up]
    told = f"process window ({100 * tolerance:g} %)"
    for colour, width, label in (("white", 2.0, None), (BLACK, 0.9, told)):  # black on white: seen on any ground
        axes.add_patch(
            Rectangle(
                (left, low), right - left, high - low, fill=False, edgecolor=colour, linewidth=width,
                linestyle="--", zorder=3, label=label,
            )
        )  # fmt: skip


def _dress(axes: Axes, which: str, variable: Variable) -> None:
    """Scale, range and title of an axis that carries a setting."""
    label = variable.label or label_of(variable.name)
    unit = variable.unit or unit_of(variable.name)
    timed = unit == "s" and variable.high >= 120
    text = f"{label[:1].upper()}{label[1:]}" + (f" / {unit}" if unit and not timed else "")
    if which == "x":
        axes.set_xlabel(text)
        axes.set_xscale("log" if variable.scale == "log" else "linear")
        axes.set_xlim(variable.low, variable.high)
    else:
        axes.set_ylabel(text)
        axes.set_yscale("log" if variable.scale == "log" else "linear")
        axes.set_ylim(variable.low, variable.high)
    if variable.kind == "integer" and variable.scale != "log":
        from matplotlib.ticker import MaxNLocator

        (axes.xaxis if which == "x" else axes.yaxis).set_major_locator(MaxNLocator(integer=True))
    if variable.scale == "log":
        plain_ticks(axes, "x" if which == "x" else "y")
    if timed:
        time_ticks(axes, "x" if which == "x" else "y", variable.low, variable.high)
