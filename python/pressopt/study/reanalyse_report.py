"""What people get of a new analysis of old spectra: a table, a summary, a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pressopt.export.pictures.style import BLACK, BLUE, SOFT, VERMILION, new_figure, quantity_axis, styled
from pressopt.export.wording import count, label_of, quantity_label, quantity_value, setting
from pressopt.study.parquet import Columns, to_parquet
from pressopt.study.pictures import dress_axis, write_picture
from pressopt.study.reanalyse import QUANTITIES, Change, Reanalyse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_results(
    job: Reanalyse, table: Columns, found: Sequence[Change], folder: Path
) -> tuple[dict[str, Any], list[Path]]:
    """Write table, summary and picture."""
    folders = np.array([str(old.folder) for old in job.campaigns])
    files = [folder / "spectra.parquet", folder / "summary.json"]
    files[0].write_bytes(to_parquet({"folder": folders[table["campaign"]]} | table))
    summary = {
        "schema": "pressopt/reanalyse/1",
        "spectra": len(table["trial"]),
        "changed_verdicts": sum(len(change.verdicts) for change in found),
        "changed_values": sum(len(change.values) for change in found),
        "campaigns": [change.told() for change in found],
    }
    files[1].write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if np.isfinite(table[f"old_{QUANTITIES[0]}"]).any():
        files += write_picture(draw_parity(table), folder / "parity")
    return summary, files


def in_words(found: Sequence[Change]) -> Iterator[str]:
    """The summary for people, line by line."""
    for change in found:
        yield f"{change.old.folder}: {count(change.spectra, 'spectrum', 'spectra')}"
        if not change.verdicts and not change.values:
            yield "  nothing would change"
            continue
        for number, before, after in change.verdicts:
            yield f"  trial {number}: verdict {before} -> {after}"
        far = sorted(change.values, key=lambda value: -abs(value[3]))
        for number, old, new, sds in far[:10]:
            old_text, new_text = quantity_value(QUANTITIES[0], old), quantity_value(QUANTITIES[0], new)
            yield f"  trial {number}: {quantity_label(QUANTITIES[0])} {old_text} -> {new_text} ({sds:+.2g} sd)"
        if len(far) > 10:
            yield f"  and {len(far) - 10} more values, each by less"
        yield f"  recommended then: {_answer(change.before)}"
        yield f"  recommended now:  {_answer(change.after)}"


def _answer(told: dict[str, Any] | None) -> str:
    if told is None:
        return "nothing"
    settings = ", ".join(f"{label_of(name)} {setting(name, value)}" for name, value in told["settings"].items())
    return f"{settings}: {quantity_value(told['quantity'], told['expected'])}"


@styled
def draw_parity(table: Columns) -> Figure:
    """Today's values over the old ones, changed verdicts marked."""
    quantity = QUANTITIES[0]
    old, new = table[f"old_{quantity}"], table[f"new_{quantity}"]
    both = np.isfinite(old) & np.isfinite(new) & (old > 0) & (new > 0)
    other = both & (table["old_verdict"] != table["new_verdict"])
    figure = new_figure(6.4, 5.6)
    axes: Axes = figure.subplots()
    axes.errorbar(
        old[both], new[both], xerr=table[f"old_{quantity}_sd"][both], yerr=table[f"new_{quantity}_sd"][both],
        fmt="o", color=BLUE, ecolor=SOFT, elinewidth=0.8, markersize=4.5, label="± one standard deviation",
    )  # fmt: skip
    axes.plot(old[other], new[other], "o", color=VERMILION, markersize=9, fillstyle="none", markeredgewidth=1.8,
              linestyle="none", label="another verdict")  # fmt: skip
    if both.any():
        ends = [min(old[both].min(), new[both].min()) * 0.9, max(old[both].max(), new[both].max()) * 1.1]
        axes.plot(ends, ends, color=BLACK, linewidth=1.0, linestyle="--", label="no change")
    dress_axis(axes, "x", quantity)
    dress_axis(axes, "y", quantity)
    axes.set_xlabel(f"As concluded then: {quantity_axis(quantity)}")
    axes.set_ylabel(f"Today: {quantity_axis(quantity)}")
    lost = int((np.isfinite(old) & ~np.isfinite(new)).sum())
    gained = int((~np.isfinite(old) & np.isfinite(new) & table["last"]).sum())
    axes.set_title(f"{int(both.sum())} values compared; {lost} no longer valid, {gained} newly valid", fontsize=11)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
