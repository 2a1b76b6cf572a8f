"""What people get of a calibration: the posterior, tables of parameters and points, a summary, a picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pressopt.export.pictures.style import BLACK, BLUE, GREEN, LINE, SOFT, new_figure, quantity_axis, styled
from pressopt.export.wording import count, interval, number, quantity_label, quantity_unit
from pressopt.study.calibrate import Calibrated
from pressopt.study.pictures import dress_axis, write_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: A parameter of which so much of the prior's spread is left was not told by the data.
UNTOLD = 0.9
#: Above this the physics does not explain the data within their errors.
POOR = 2.0
#: Runs whose means differ by more than this share of the posterior's spread say different things.
UNSURE = 0.3
#: Parameters in the picture.
_SHOWN = 14


def write_results(found: Calibrated, folder: Path) -> tuple[dict[str, Any], list[Path]]:
    """Write posterior, tables, summary and picture."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("posterior.json", "parameters.csv", "points.csv", "summary.json")]
    found.posterior.write(files[0])
    _write_csv(files[1], parameter_rows(found))
    _write_csv(files[2], point_rows(found))
    summary = summarize(found)
    files[3].write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary, files + write_picture(draw_calibration(found), folder / "calibration")


def parameter_rows(found: Calibrated) -> list[dict[str, Any]]:
    """One row per parameter: before, after, what is left of the prior's spread, and where the prior is from."""
    rows = []
    for index, parameter in enumerate(found.data.surrogate.parameters):
        after = parameter.at(np.quantile(found.posterior.standard[:, index], [0.025, 0.5, 0.975]))
        before = parameter.at(np.array([-1.96, 0.0, 1.96]))
        rows.append(
            {
                "parameter": parameter.name,
                "before": float(before[1]),
                "before_low": float(before[0]),
                "before_high": float(before[2]),
                "after": float(after[1]),
                "after_low": float(after[0]),
                "after_high": float(after[2]),
                "spread_left": found.posterior.identified[parameter.name],
                "between_runs": found.between[parameter.name],
                "confidence_before": parameter.confidence.value,
                "source_before": parameter.source,
            }
        )
    return sorted(rows, key=lambda row: float(row["spread_left"]))


def point_rows(found: Calibrated) -> list[dict[str, Any]]:
    """One row per measured value: prediction before and after, each with its interval."""
    rows = []
    for quantity, (values, sd) in found.data.measured.items():
        before, after = found.before[quantity], found.after[quantity]
        rows += [
            {
                "cell": found.data.labels[row],
                "quantity": quantity,
                "measured": float(values[row]),
                "relative_sd": float(sd[row]),
                "before": float(before[1, row]),
                "before_low": float(before[0, row]),
                "before_high": float(before[2, row]),
                "after": float(after[1, row]),
                "after_low": float(after[0, row]),
                "after_high": float(after[2, row]),
            }
            for row in np.flatnonzero(np.isfinite(values))
        ]
    return rows


def summarize(found: Calibrated) -> dict[str, Any]:
    """The calibration as plain JSON."""
    points, parameters = point_rows(found), parameter_rows(found)

    def off(age: str) -> float:
        return float(np.sqrt(np.mean([np.log(row[age] / row["measured"]) ** 2 for row in points])))

    return {
        "schema": "pressopt/calibrate/1",
        "cells": len(found.data.labels),
        "points": len(points),
        "off_before": off("before"),
        "off_after": off("after"),
        "misfit": found.posterior.misfit,
        "explained": found.posterior.misfit <= POOR,
        "told": [row["parameter"] for row in parameters if row["spread_left"] <= UNTOLD],
        "untold": [row["parameter"] for row in parameters if row["spread_left"] > UNTOLD],
        "runs_differ": [row["parameter"] for row in parameters if row["between_runs"] > UNSURE],
        "parameters": [{k: v for k, v in row.items() if not k.startswith("source")} for row in parameters],
    }


def in_words(summary: dict[str, Any], folder: Path) -> Iterator[str]:
    """The summary for people, line by line."""
    yield (
        f"{count(summary['points'], 'value')} of {count(summary['cells'], 'cell')}: the prediction is off by "
        f"{np.expm1(summary['off_before']):.0%} before and {np.expm1(summary['off_after']):.0%} after (rms)"
    )
    if not summary["explained"]:
        yield (
            f"The physics does not explain these data: residuals are {summary['misfit']:.1f} times their errors. "
            f"Look at points.csv before you use it, or give a larger --scatter."
        )
    for row in summary["parameters"]:
        if row["parameter"] in summary["told"]:
            before, after = (
                f"{number(row[age])} ({interval(row[f'{age}_low'], row[f'{age}_high'])})"
                for age in ("before", "after")
            )
            yield f"  {row['parameter']:24} {before} -> {after}, {row['spread_left']:.0%} of the spread left"
    untold = summary["untold"]
    yield f"The data say nothing about {count(len(untold), 'parameter')}: {', '.join(untold)}."
    if summary["runs_differ"]:
        yield f"Independent runs differ in {', '.join(summary['runs_differ'])}: give more --draws."
    yield f"The catalogue is unchanged. To predict with this: --calibration {folder}"


@styled
def draw_calibration(found: Calibrated) -> Figure:
    """Left: predicted over measured, before and after. Right: how much of each parameter's spread is left."""
    figure = new_figure(11.0, 5.4)
    axes, bars = figure.subplots(1, 2, width_ratios=[1.25, 1.0])
    points = point_rows(found)
    quantities = list(dict.fromkeys(row["quantity"] for row in points))
    marks = dict(zip(quantities, "osD^v<>", strict=False))
    for age, colour, words in (("before", SOFT, "before"), ("after", BLUE, "after")):
        for quantity in quantities:
            rows = [row for row in points if row["quantity"] == quantity]
            middle = np.array([row[age] for row in rows])
            ends = [
                middle - np.array([row[f"{age}_low"] for row in rows]),
                np.array([row[f"{age}_high"] for row in rows]) - middle,
            ]
            shift = 0.985 if age == "before" else 1.015
            axes.errorbar(
                [row["measured"] * shift for row in rows], middle, yerr=np.maximum(ends, 0.0), fmt=marks[quantity],
                color=colour, markersize=5, elinewidth=1.2 if age == "after" else 0.8, alpha=0.9,
                label=f"{quantity_label(quantity)}, {words}",
            )  # fmt: skip
    values = [row["measured"] for row in points]
    ends_of = [min(values) * 0.8, max(values) * 1.25]
    axes.plot(ends_of, ends_of, color=BLACK, linewidth=1.0, linestyle="--")
    if len(quantities) == 1:
        dress_axis(axes, "x", quantities[0])
        dress_axis(axes, "y", quantities[0])
        axes.set_ylabel(f"Predicted, 95 %: {quantity_axis(quantities[0])}")
        axes.set_xlabel(f"Measured: {quantity_axis(quantities[0])}")
    else:
        axes.set_xscale("log")
        axes.set_yscale("log")
        units = ", ".join(dict.fromkeys(quantity_unit(quantity) for quantity in quantities))
        axes.set_xlabel(f"Measured / {units}")
        axes.set_ylabel(f"Predicted, 95 % / {units}")
    axes.set_title("Before and after", fontsize=11)
    _bars(bars, parameter_rows(found)[:_SHOWN])
    figure.legend(handles=axes.get_legend_handles_labels()[0], loc="outside lower center", ncols=2)
    return figure


def _bars(axes: Axes, rows: list[dict[str, Any]]) -> None:
    places = range(len(rows) - 1, -1, -1)
    axes.barh(places, [1.0] * len(rows), color=LINE, height=0.62)
    axes.barh(places, [min(1.0, row["spread_left"]) for row in rows], color=GREEN, height=0.62)
    axes.set_yticks(list(places), [row["parameter"] for row in rows], fontsize=8.5)
    axes.axvline(UNTOLD, color=SOFT, linestyle="--", linewidth=1.0)
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_xlabel("Share of the prior's spread that is left")
    axes.set_title("What the data tell: left of the line", fontsize=11)
    axes.grid(visible=False, axis="y")


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
