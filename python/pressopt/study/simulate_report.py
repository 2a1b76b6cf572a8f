"""What people get of simulated campaigns: a table, a summary, pictures of what is worth it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pressopt.export.pictures.style import BLACK, GREEN, SOFT, VERMILION, new_figure, styled
from pressopt.study.options import Effect, effects
from pressopt.study.parquet import Columns, to_parquet
from pressopt.study.pictures import COLOURS, percent_axis, write_picture
from pressopt.study.simulate import GOOD, WORST_GAP, Curves, Simulate, summarize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Gaps below this are drawn there: nobody can tell them from the optimum.
_LEAST_GAP = 1e-3
#: Changes of a gap up to this are drawn to scale, larger ones on a logarithmic axis.
_SMALL = 0.05


def write_results(
    job: Simulate, curves: Curves, table: Columns, folder: Path
) -> tuple[dict[str, Any], list[Path]]:
    """Write table, summary and pictures; also of a study that is not finished."""
    names = np.array([str(arm) for arm in job.arms])
    files = [folder / "campaigns.parquet", folder / "summary.json"]
    files[0].write_bytes(to_parquet({"name": names[table["arm"]]} | table, {"experiment": job.experiment.name}))
    found = effects(job, curves)
    summary = summarize(job, curves) | {"options": [effect.told() for effect in found]}
    files[1].write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    files += write_picture(draw_gap(job, curves), folder / "gap")
    files += write_picture(draw_worth(job, curves), folder / "worth")
    if found:
        files += write_picture(draw_effects(job, found), folder / "options")
    return summary, files


def in_words(summary: dict[str, Any]) -> Iterator[str]:
    """The summary for people, line by line."""
    yield (
        f"{summary['experiment']}: {summary['campaigns']} virtual campaigns of {summary['trials']} cells on "
        f"{summary['twins']} twins"
    )
    yield "gap: what a good cell costs by the recommendation, above the twin's own optimum"
    for told in summary["arms"]:
        yield ""
        yield f"{told['arm']}"
        if not told["campaigns"]:
            yield "  no campaign is finished"
            continue
        low, high = (_share(value) for value in told["quartiles"])
        yield (
            f"  gap {_share(told['median_gap'])} in the median (quartiles {low} to {high}); "
            f"the best reading alone: {_share(told['median_gap_of_best_reading'])}"
        )
        cells = told["cells_to_good"]
        reached = f"after {cells} cells" if cells is not None else f"not within {summary['trials']} cells"
        yield (
            f"  within {GOOD:.0%} in the median {reached}; {told['failed_cells']:.1f} cells failed, "
            f"{told['press_hours']:.1f} h under the press"
        )
        against = told["against_first"]
        if against is not None:
            sure = "clear" if against["low"] > 0 or against["high"] < 0 else "not clear from so few twins"
            better = "lower" if against["median_difference"] < 0 else "higher"
            yield (
                f"  against the first: gap {abs(against['median_difference']):.1%} {better} "
                f"({against['low']:+.1%} to {against['high']:+.1%}: {sure}), better on {against['better_on']} of "
                f"{against['of']} twins"
            )

    if summary["options"]:
        yield ""
        yield "What each option changes, everything else equal (difference of the gap, 95 % interval)"
    for effect in summary["options"]:
        sure = ("better" if effect["difference"] < 0 else "worse") if effect["clear"] else "not clear"
        yield (
            f"  {_named(effect['option'], effect['value'])} against {_value(effect['against'])}: "
            f"{effect['difference']:+.1%} ({effect['low']:+.1%} to {effect['high']:+.1%}), {sure}"
        )


#: Options as people call them.
_WORDS = {
    "strategy": "strategy",
    "initial": "start of",
    "batch": "batches of",
    "replicates": "cells for each setting:",
    "budget": "budget of",
}


def _value(value: str | int | None) -> str:
    return "as suits the strategy" if value is None else str(value)


def _named(option: str, value: str | int | None) -> str:
    """``batches of 4``, ``budget of 15 cells``."""
    return f"{_WORDS[option]} {_value(value)}" + (" cells" if option == "budget" else "")


def _share(gap: float | None) -> str:
    return "all cells fail" if gap is None else f"{gap:.1%}"


def _median(gaps: npt.NDArray[np.float64]) -> float:
    """The median of what is known; infinite where nothing is."""
    known = gaps[~np.isnan(gaps)]
    return float(np.quantile(known, 0.5, method="inverted_cdf")) if known.size else float("inf")


@styled
def draw_gap(job: Simulate, curves: Curves) -> Figure:
    """Median gap of each arm against cells, with the quartiles as a band; of many arms those that end best."""
    ends = [_median(curves.gap[index, :, -1]) for index in range(len(job.arms))]
    shown = sorted(range(len(job.arms)), key=lambda index: ends[index])[: len(COLOURS)]
    figure = new_figure(8.0, 4.6 + 0.2 * len(shown))
    axes: Axes = figure.subplots()
    for index in sorted(shown):
        arm, gaps = job.arms[index], curves.gap[index]
        gaps = np.maximum(gaps[~np.isnan(gaps[:, -1])], _LEAST_GAP)
        if not len(gaps):
            continue
        low, middle, high = np.quantile(gaps, [0.25, 0.5, 0.75], axis=0, method="inverted_cdf")
        colour = COLOURS[sorted(shown).index(index)]
        axes.plot(job.checkpoints, middle, "o-", color=colour, markersize=4, label=str(arm))
        if len(shown) <= 4:  # more bands than that hide each other
            axes.fill_between(job.checkpoints, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.axhline(GOOD, color=SOFT, linestyle="--", linewidth=1.2, label=f"within {GOOD:.0%} of the optimum")
    percent_axis(axes, "y")
    if len(job.checkpoints) <= 15:
        axes.set_xticks(job.checkpoints)
    axes.set_xlabel("Cells pressed")
    axes.set_ylabel("Gap to the optimum, median" + (" and quartiles" if len(shown) <= 4 else ""))
    best = f", the best {len(shown)} of {len(job.arms)} ways" if len(shown) < len(job.arms) else ""
    axes.set_title(f"{job.experiment.name}: {len(job.twins)} twins{best}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def draw_worth(job: Simulate, curves: Curves) -> Figure:
    """The gap at the end of each arm: every twin a dot, the median a bar."""
    figure = new_figure(8.0, 1.4 + 0.5 * len(job.arms))
    axes: Axes = figure.subplots()
    chance = np.random.default_rng(0)
    for place, index in enumerate(reversed(range(len(job.arms)))):
        gaps = curves.gap[index, :, -1]
        gaps = np.clip(gaps[~np.isnan(gaps)], _LEAST_GAP, WORST_GAP)
        if not len(gaps):
            continue
        colour = COLOURS[index % len(COLOURS)]
        spread = place + 0.25 * (chance.random(len(gaps)) - 0.5)
        axes.plot(gaps, spread, "o", color=colour, markersize=4, alpha=0.5, linestyle="none")
        middle = np.quantile(gaps, 0.5, method="inverted_cdf")
        axes.plot([middle] * 2, [place - 0.32, place + 0.32], color=colour, linewidth=3)
    axes.axvline(GOOD, color=SOFT, linestyle="--", linewidth=1.2)
    axes.set_yticks(range(len(job.arms)), [str(arm) for arm in reversed(job.arms)])
    percent_axis(axes, "x")
    axes.set_xlabel(f"Gap to the twin's optimum after {job.checkpoints[-1]} cells; bar: median")
    axes.set_title(f"{job.experiment.name}: {len(job.twins)} twins")
    axes.grid(visible=False, axis="y")
    return figure


@styled
def draw_effects(job: Simulate, found: Sequence[Effect]) -> Figure:
    """What each option changes: a dot with its interval; left of zero is better."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    figure = new_figure(8.0, 1.6 + 0.4 * len(found))
    axes: Axes = figure.subplots()
    for place, effect in enumerate(reversed(found)):
        colour = (GREEN if effect.difference < 0 else VERMILION) if effect.clear else SOFT
        axes.plot([effect.low, effect.high], [place, place], color=colour, linewidth=2)
        axes.plot(effect.difference, place, "o", color=colour, markersize=6)
    axes.axvline(0.0, color=BLACK, linewidth=1.0)
    names = [f"{_named(one.option, one.value)} against {_value(one.against)}" for one in reversed(found)]
    axes.set_yticks(range(len(found)), names)
    axes.set_xscale("symlog", linthresh=_SMALL)
    furthest = max(_SMALL, *(abs(end) for one in found for end in (one.low, one.high)))
    axes.set_xlim(-1.1 * furthest, 1.1 * furthest)
    steps = [step for step in (0.0, 0.02, 0.1, 0.5, 2.0, 10.0, 100.0) if step <= 1.1 * furthest]
    axes.set_xticks([*(-step for step in reversed(steps[1:])), *steps])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+g} %" if value else "0"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Change of the gap, everything else equal\nmedian and 95 % interval; left is better")
    axes.set_title(f"{job.experiment.name}: {len(job.twins)} twins")
    axes.grid(visible=False, axis="y")
    return figure
