"""What people get of a screen: tables as Parquet, a summary, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pressopt.export.pictures.style import BLUE, ORANGE, VERMILION, new_figure, styled
from pressopt.export.wording import interval, label_of, quantity_label, quantity_unit, quantity_value, setting
from pressopt.study.parquet import Columns, to_parquet
from pressopt.study.pictures import COLOURS, dress_axis, write_picture
from pressopt.study.screen import SYSTEM, WORST, Screen, Selection, intervals, per_system, settings_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Parameter draws behind each interval.
DRAWS = 256


def write_results(screen: Screen, selection: Selection, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    """Write tables, summary and pictures of a finished screen.

    Returns:
        The summary as plain JSON, and the files.
    """
    best = intervals(screen, selection.best, draws=DRAWS)
    front = intervals(screen, selection.front, draws=DRAWS)
    robust = intervals(screen, selection.robust, draws=DRAWS)
    names = np.array([system.name for system in screen.systems])
    files = []
    for name, rows in (("best", best), ("front", front), ("robust", robust)):
        if name == "robust" and screen.wanted.tolerance is None:
            continue
        shown = {"system": names[rows[SYSTEM]]} | {key: values for key, values in rows.items() if key != SYSTEM}
        if name != "robust":
            shown.pop(WORST)
        files.append(folder / f"{name}.parquet")
        files[-1].write_bytes(to_parquet(shown, {"title": screen.title, "interval": 0.95, "draws": DRAWS}))
    summary = _summary(screen, selection, best, robust)
    files.append(folder / "summary.json")
    files[-1].write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if len(best[SYSTEM]):
        files += write_picture(draw_best(screen, best, robust), folder / "best")
    if len(screen.wanted.goals) > 1 and len(front[SYSTEM]):
        files += write_picture(draw_front(screen, front), folder / "front")
    return summary, files


def _summary(screen: Screen, selection: Selection, best: Columns, robust: Columns) -> dict[str, Any]:
    systems = []
    robust_of = dict(per_system(screen, robust)) if len(robust[SYSTEM]) else {}
    for index, (system, row) in enumerate(per_system(screen, best)):
        told: dict[str, Any] = {
            "name": system.name,
            "protocols": selection.protocols[index],
            "within_bounds": selection.kept[index],
            "on_front": int((selection.front[SYSTEM] == index).sum()),
            "best": None if row is None else _row(screen, best, row),
            "assumed": list(system.surrogate.assumed),
        }
        if screen.wanted.tolerance is not None:
            found = robust_of.get(system)
            told["robust"] = (
                None if found is None else _row(screen, robust, found) | {"worst": float(robust[WORST][found])}
            )
        systems.append(told)
    return {
        "schema": "pressopt/screen/1",
        "title": screen.title,
        "protocols": sum(selection.protocols),
        "goals": [{"quantity": goal.quantity, "direction": goal.direction} for goal in screen.wanted.goals],
        "systems": systems,
    }


def _row(screen: Screen, rows: Columns, row: int) -> dict[str, Any]:
    return {
        "protocol": int(rows["protocol"][row]),
        "settings": settings_of(screen, rows, row),
        "expected": {
            quantity: {
                "nominal": float(rows[quantity][row]),
                "low": float(rows[f"{quantity}_low"][row]),
                "high": float(rows[f"{quantity}_high"][row]),
            }
            for quantity in screen.wanted.quantities
        },
    }


def in_words(screen: Screen, summary: dict[str, Any]) -> Iterator[str]:
    """The summary for people, line by line."""
    goal = screen.wanted.goals[0].quantity
    yield f"{screen.title}: {summary['protocols']:,} protocols"
    for told in summary["systems"]:
        yield ""
        yield f"{told['name']}: {told['within_bounds']:,} of {told['protocols']:,} keep all bounds"
        if told["best"] is None:
            yield "  no protocol keeps the bounds"
            continue
        yield from _option("best", told["best"], goal)
        if told.get("robust"):
            yield from _option("robust", told["robust"], goal)
            yield f"          worst within the press's tolerance: {quantity_value(goal, told['robust']['worst'])}"
        elif "robust" in told:
            yield "  robust  none: at every protocol the press's tolerance breaks a bound"
        if len(screen.wanted.goals) > 1:
            yield f"  front   {told['on_front']} protocols"


def _option(word: str, told: dict[str, Any], goal: str) -> Iterator[str]:
    settings = ", ".join(f"{label_of(name)} {setting(name, value)}" for name, value in told["settings"].items())
    expected = told["expected"][goal]
    yield f"  {word:7} {settings}"
    yield (
        f"          {quantity_label(goal)} {quantity_value(goal, expected['nominal'])} "
        f"({interval(expected['low'], expected['high'])} {quantity_unit(goal)}".rstrip()
        + ", 95 % of the parameters)"
    )


@styled
def draw_best(screen: Screen, best: Columns, robust: Columns) -> Figure:
    """The best of each system with its interval, and what the robust optimum gives, asked and at worst."""
    goal = screen.wanted.goals[0].quantity
    found = [(system, row) for system, row in per_system(screen, best) if row is not None]
    robust_of = dict(per_system(screen, robust)) if len(robust[SYSTEM]) else {}
    figure = new_figure(8.0, 1.6 + 0.5 * len(found))
    axes: Axes = figure.subplots()
    for place, (system, row) in enumerate(reversed(found)):
        value = best[goal][row]
        low, high = best[f"{goal}_low"][row], best[f"{goal}_high"][row]
        axes.plot([low, high], [place + 0.1] * 2, color=BLUE, linewidth=2.0, alpha=0.45, solid_capstyle="butt",
                  label="95 % of the parameters" if place == 0 else None)  # fmt: skip
        axes.plot([value], [place + 0.1], "o", color=BLUE, label="best, nominal" if place == 0 else None)
        other = robust_of.get(system)
        if other is not None:
            asked, worst = robust[goal][other], robust[WORST][other]
            axes.plot([asked, worst], [place - 0.15] * 2, "-", color=ORANGE, linewidth=2.0)
            axes.plot([asked], [place - 0.15], "D", color=ORANGE, label="robust, as asked" if place == 0 else None)
            axes.plot([worst], [place - 0.15], "|", color=VERMILION, markersize=12, markeredgewidth=2.5,
                      label="robust, worst within tolerance" if place == 0 else None)  # fmt: skip
    axes.set_yticks(range(len(found)), [system.name for system, _ in reversed(found)])
    axes.set_ylim(-0.6, len(found) - 0.4)
    dress_axis(axes, "x", goal)
    axes.set_title(screen.title)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def draw_front(screen: Screen, front: Columns) -> Figure:
    """The front of each system over the first two objectives."""
    across, up = screen.wanted.goals[1].quantity, screen.wanted.goals[0].quantity
    figure = new_figure(8.0, 5.4)
    axes: Axes = figure.subplots()
    for index, system in enumerate(screen.systems):
        of = front[SYSTEM] == index
        if not of.any():
            continue
        order = np.argsort(front[across][of], kind="stable")
        axes.plot(
            front[across][of][order], front[up][of][order],
            "o-" if len(screen.wanted.goals) == 2 else "o", markersize=3.5, linewidth=1.2,
            color=COLOURS[index % len(COLOURS)], label=system.name, drawstyle="steps-post",
        )  # fmt: skip
    dress_axis(axes, "x", across)
    dress_axis(axes, "y", up)
    axes.set_title(screen.title)
    figure.legend(loc="outside lower center", ncols=2)
    return figure
