"""The last words of a run: what to press, what to expect, how sure, and where the files are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pressopt.campaign.replay import CampaignState
from pressopt.export.answer import Answer, Result, gather
from pressopt.export.instructions import comparison
from pressopt.export.wording import (
    count,
    interval,
    label_of,
    number,
    quantity_label,
    quantity_unit,
    rough_duration,
    set_aside_sentence,
    setting,
    unit_of,
)
from pressopt.optimizer import Interval
from pressopt.pressing import Die

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pressopt.campaign.experiment import Experiment
    from pressopt.export.repetition import Comparison
    from pressopt.surrogate import Prediction


_VERDICTS = {"agrees": "bold green", "better": "bold green", "worse": "bold yellow", "not measured": "bold yellow"}


def final_summary(
    experiment: Experiment,
    state: CampaignState,
    untouched: Prediction | Mapping[str, Interval] | None = None,
    files: Sequence[Path] = (),
    compared: Sequence[Comparison] = (),
) -> tuple[RenderableType, dict[str, Any]]:
    """Return the end of a run for people and for machines.

    Args:
        experiment: What was asked.
        state: The journal, folded.
        untouched: What the physics expects of the untouched cell.
        files: What was written.
        compared: For a repetition: what was found beside what its protocol file promised.

    Returns:
        Something that rich prints (at most 100 columns), and one JSON object.
    """
    answer = gather(experiment, state, untouched=untouched)
    return _words(answer, files, compared), {
        **_object(answer, files),
        "repetition": [asdict(one) for one in compared],
    }


def _object(answer: Answer, files: Sequence[Path]) -> dict[str, Any]:
    recommendation, found = answer.recommendation, answer.evidence
    return {
        "schema": "pressopt/summary/1",
        "name": answer.experiment.name,
        "complete": answer.complete,
        "incomplete_because": answer.open_because,
        "settings": dict(recommendation.settings) if recommendation is not None else None,
        "window": (
            {name: {"low": low, "high": high} for name, (low, high) in recommendation.window.items()}
            if recommendation is not None
            else None
        ),
        "feasibility": recommendation.feasibility if recommendation is not None else None,
        "results": [
            {
                "quantity": result.quantity,
                "unit": quantity_unit(result.quantity),
                "source": result.source,
                "target": result.target,
                "target_met": result.target_met,
                "expected": (
                    {
                        "median": result.expected.median,
                        "low": result.expected.low,
                        "high": result.expected.high,
                        "probability": result.expected.probability,
                    }
                    if result.expected is not None
                    else None
                ),
                "compared_with": [
                    {
                        "name": reference.name,
                        "value": reference.value,
                        "source": reference.source,
                        "trial": reference.trial,
                        "times_better": result.factor(reference),
                    }
                    for reference in result.references
                ],
            }
            for result in answer.results
        ],
        "cells_pressed": found.pressed,
        "cells_valid": found.valid,
        "cells_failed": dict(found.failed),
        "readings_set_aside": list(answer.recommendation.set_aside) if answer.recommendation is not None else [],
        "assumed_inputs": list(answer.assumed),
        "files": [str(path) for path in files],
    }


def _words(answer: Answer, files: Sequence[Path], compared: Sequence[Comparison]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text("")]
    if answer.open_because:
        parts.append(Text(answer.status, style="bold yellow"))
    if answer.recommendation is not None:
        if answer.experiment.space.variables:
            parts += [Text("Recommended protocol", style="bold"), _settings_table(answer)]
        else:
            parts.append(Text("The same protocol for every cell", style="bold"))
        for result in answer.results:
            parts += _result_lines(result)
        model = answer.recommendation.model
        success = 100 * answer.recommendation.feasibility
        parts.append(Text(f"Probability that a cell so pressed does not fail: {success:.0f} %."))
        weight = model.get("physics_weight")
        if isinstance(weight, float):
            parts.append(Text(f"Weight of the physics in the model: {100 * weight:.0f} %.", style="dim"))
    parts += [Text(str(one), style=_VERDICTS[one.verdict]) for one in compared]
    parts.append(Text(_evidence_line(answer)))
    if answer.recommendation is not None and answer.recommendation.set_aside:
        parts.append(Text(set_aside_sentence(answer.recommendation.set_aside)))
    if answer.recommendation is not None:
        parts.append(
            Text("Intervals are those of the true value at these settings; one cell scatters more.", style="dim")
        )
    if answer.assumed:
        named = count(len(answer.assumed), "assumed input")
        parts.append(Text(f"What is predicted rests on {named} (listed in protocol.json).", style="dim"))
    if files:
        parts += [Text(""), Text("Files", style="bold")]
        parts += [Text(f"  {line}", no_wrap=True, overflow="fold") for line in _file_lines(files)]
    return Group(*parts)


def _settings_table(answer: Answer) -> RenderableType:
    """Settings with process window, force at the gauge of this die, range searched and effect."""
    from rich.table import Table

    recommendation = answer.recommendation
    assert recommendation is not None  # asked for campaigns with an answer only
    die: Die = answer.experiment.cell.die
    tolerance = f"window ({100 * recommendation.window_tolerance:g} %)"
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("")
    for heading in ("set", tolerance, "searched", "effect"):
        table.add_column(heading, justify="right", no_wrap=True)
    for variable in answer.experiment.space.variables:
        name = variable.name
        value = recommendation.settings[name]
        text = setting(name, value)
        if name.endswith("pressure_mpa") and isinstance(value, (int, float)) and not answer.experiment.rolled:
            text = f"{text} = {number(die.force_kn(value))} kN"
        window = recommendation.window.get(name)
        effect = recommendation.effects.get(name)
        table.add_row(
            label_of(name),
            text,
            "" if window is None else _window(name, window, whole=variable.kind == "integer"),
            f"{setting(name, variable.low)} to {setting(name, variable.high)}"
            if variable.numeric
            else ", ".join(variable.choices),
            "" if effect is None else f"{100 * effect:.0f} %",
        )
    return table


def _window(name: str, window: tuple[float, float], *, whole: bool) -> str:
    if whole:
        low, high = math.ceil(window[0]), math.floor(window[1])
        return f"{low} to {high}" if high > low else str(low)
    if unit_of(name) == "s":
        return f"{rough_duration(window[0])} to {rough_duration(window[1])}"
    return f"{interval(*window)} {unit_of(name)}"


def _result_lines(result: Result) -> list[RenderableType]:
    from rich.text import Text

    if result.expected is None:
        return []
    expected, unit = result.expected, quantity_unit(result.quantity)
    label = quantity_label(result.quantity)
    text = Text(f"{label[:1].upper()}{label[1:]}: ")
    text.append(f"{number(expected.median)} {unit}".rstrip(), style="bold green")
    text.append(f"  ({interval(expected.low, expected.high)} {unit}".rstrip())
    text.append(f", {100 * expected.probability:g} % interval)")
    if result.source == "predicted":
        text.append("  predicted, not measured", style="yellow")
    lines: list[RenderableType] = [text]
    if result.target is not None:
        met = {True: "met", False: "not surely met", None: ""}[result.target_met]
        lines.append(Text(f"  target {number(result.target)} {unit}: {met}"))
    lines += [Text(f"  {comparison(result, reference)}") for reference in result.references]
    return lines


def _evidence_line(answer: Answer) -> str:
    found = answer.evidence
    kinds = ", ".join(f"{many} {kind.replace('_', ' ')}" for kind, many in found.failed.items())
    text = f"{count(found.pressed, 'cell')} pressed: {found.valid} valid"
    text += f", {kinds}" if kinds else ""
    text += f", {found.rejected} rejected" if found.rejected else ""
    return f"{text}."


def _file_lines(files: Sequence[Path]) -> list[str]:
    """The folder once, then the names in it, so that no path is cut in two."""
    lines: list[str] = []
    folders = dict.fromkeys(path.parent for path in files)
    for folder in folders:
        lines.append(f"{folder}/")
        lines += [f"  {path.name}" for path in files if path.parent == folder]
    return lines
