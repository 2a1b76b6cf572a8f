"""`pressopt show`: a campaign as a table of its trials, or one trial in full."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pressopt.export.answer import Answer

_WIDTH = 100
_COLOURS = {"done": "green", "rejected": "dim", "faulted": "red", "uncertain": "bold yellow"}


@click.command()
@click.argument("campaign", required=False)
@click.argument("trial", required=False, type=int)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def show(campaign: str | None, trial: int | None, as_json: bool) -> None:
    """Show CAMPAIGN with all its trials, or one TRIAL in full.

    CAMPAIGN is its folder or its experiment file; default: the newest campaign below this folder.
    `pressopt show 7` shows trial 7 of that one.

    Examples:

        pressopt show experiments/li-lpscl-symmetric.toml

        pressopt show experiments/li-lpscl-symmetric 7
    """
    from rich.console import Console

    from pressopt.cli.looking import look_at
    from pressopt.export.overview import campaign_overview, trial_overview

    where = Path(campaign) if campaign is not None else None
    number = trial
    if where is not None and trial is None and where.name.isdigit() and not where.exists():
        number = int(where.name)
        where = None
    with look_at(where, think=False) as look:
        if number is None:
            document = campaign_overview(look.answer)
            words = None if as_json else _campaign(look.answer, document, look.folder)
        else:
            document = trial_overview(look.answer, number, look.journal)
            words = None if as_json else _trial(look.answer, document)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    width = None if sys.stdout.isatty() else _WIDTH
    console = Console(width=width, highlight=False)
    if console.width > _WIDTH:
        console = Console(width=_WIDTH, highlight=False)
    console.print(words)


def _campaign(answer: Answer, document: Mapping[str, Any], folder: Path) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from pressopt.export.pictures.convergence import shown_result
    from pressopt.export.wording import label_of, number, quantity_unit, split, unit_of, with_sd

    result = shown_result(answer)
    unit = quantity_unit(result.quantity)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False, width=_WIDTH)
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("phase", no_wrap=True)
    shared = Counter(split(variable.name)[1] for variable in answer.experiment.space.variables)
    for variable in answer.experiment.space.variables:
        stage, name = split(variable.name)
        words = label_of(variable.name if shared[name] > 1 and stage else name)
        heading = f"{words.replace(' ', chr(10), 1)}\n{variable.unit or unit_of(variable.name)}"
        table.add_column(Text(heading), justify="right", no_wrap=True)
    table.add_column(Text(f"result ± sd\n{unit}"), justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("note", ratio=1, no_wrap=True, overflow="ellipsis")
    for row in document["trials"]:
        outcome = row["outcomes"].get(result.quantity)
        note = row["reason"] if not row["note"] else row["note"]
        table.add_row(
            str(row["trial"]),
            Text(row["phase"], style=_COLOURS.get(row["phase"], "")),
            *(_asked_got(row, variable.name) for variable in answer.experiment.space.variables),
            with_sd(outcome["value"], outcome["sd"]) if outcome else "",
            Text(
                ", ".join(row["failures"]).replace("_", " ") or row["verdict"],
                style="red" if row["failures"] else "",
            ),
            Text(note, style="dim", overflow="ellipsis", no_wrap=True),
        )
    head = Text.assemble((document["title"], "bold"), f"\n{folder}\n")
    done = sum(row["phase"] == "done" for row in document["trials"])
    state = f"{document['phase']}, {done} of {document['budget']} trials done"
    if document["closed_because"]:
        state += f"; {document['closed_because']}"
    head.append(f"{state}\n")
    if answer.open_because:
        head.append(f"{answer.open_because}\n", style="yellow")
    for press, reason in document["made_safe_because"].items():
        if document["presses"].get(press) in {"safe", "gone"}:
            head.append(f"press '{press}' is {document['presses'][press]}: {reason}\n", style="red")
    lines: list[RenderableType] = [head, table]
    expected = result.expected
    if answer.recommendation is not None and expected is not None:
        from pressopt.export.wording import setting

        named = ", ".join(f"{label_of(n)} {setting(n, v)}" for n, v in answer.recommendation.settings.items())
        lines.append(
            Text(
                f"\nRecommended: {named}\nExpected {number(expected.median)} {unit} "
                f"({number(expected.low)} to {number(expected.high)}, 95 % interval)"
            )
        )
    if not document["trials"]:
        lines = [head, Text("No trial yet.")]
    return Group(*lines)


def _asked_got(row: Mapping[str, Any], name: str) -> str:
    """Asked, and what the cell got where that reads differently: ``35 → 34.6``."""
    from pressopt.export.wording import number

    asked, got = row["asked"].get(name), row["achieved"].get(name)
    if asked is None or isinstance(asked, str):
        return asked or ""
    text = number(asked)
    return text if got is None or number(got) == text else f"{text} → {number(got)}"


def _trial(answer: Answer, document: Mapping[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from pressopt.export.wording import number, quantity_label, quantity_unit, quantity_value, with_sd

    style = _COLOURS.get(document["phase"], "")
    head = Text.assemble(
        (f"Trial {document['trial']}", "bold"), f" of {answer.experiment.title}: ", (document["phase"], style)
    )
    head.append(f"\nproposed by {document['reason']}")
    for quantity, interval in document["predicted"].items():
        head.append(
            f"\nexpected {quantity_label(quantity)}: {quantity_value(quantity, interval['median'])} "
            f"({number(interval['low'])} to {number(interval['high'])})"
        )
    lines: list[RenderableType] = [head, Text("")]
    stages = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading, justify in (
        ("stage", "left"),
        ("setting", "left"),
        ("asked", "right"),
        ("got", "right"),
        ("", "left"),
    ):
        stages.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=True)
    for stage in document["stages"]:
        for place, (name, asked) in enumerate(stage["asked"].items()):
            stages.add_row(*_stage_row(stage, name, asked, first=place == 0))
    lines += [stages, Text("")]
    if document["held"] is not None:
        held = document["held"]
        lines.append(
            Text(f"held for measuring at {number(held['pressure_mpa'])} MPa, {number(held['temperature_c'])} °C")
        )
    for quantity, outcome in document["outcomes"].items():
        value = with_sd(outcome["value"], outcome["sd"])
        lines.append(Text(f"{quantity_label(quantity)}: {value} {quantity_unit(quantity)}", style="bold"))
    verdict = Text(f"verdict: {document['verdict'] or 'none yet'}")
    if document["failures"]:
        blameless = (
            f" (no fault of the settings: {', '.join(document['blameless'])})" if document["blameless"] else ""
        )
        verdict.append(f"; failed: {', '.join(document['failures'])}{blameless}", style="red")
    lines.append(verdict)
    lines += [Text(f"  because {reason}") for reason in document["reasons"]]
    lines += [Text(f"  deviation: {deviation}", style="yellow") for deviation in document["deviations"]]
    lines += _analysis(document["analysis"])
    if document["note"]:
        lines.append(Text(f"note: {document['note']}", style="dim"))
    events = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in ("entry", "at (UTC)", "event", "by"):
        events.add_column(heading, no_wrap=True)
    for event in document["events"]:
        at = event["at"].split("+")[0].replace("T", " ")
        events.add_row(str(event["seq"]), at, event["event"], event["actor"])
    return Group(*lines, Text(""), events)


def _stage_row(stage: Mapping[str, Any], name: str, asked: float, *, first: bool) -> tuple[str, ...]:
    from pressopt.export.wording import label_of, setting

    got, sd = stage["achieved"].get(name), stage["achieved_sd"].get(name)
    notes = []
    if sd:
        notes.append(f"± {setting(name, sd, 2)}")
    if first and stage.get("overshoot_mpa"):
        notes.append(f"overshoot {setting('overshoot_mpa', stage['overshoot_mpa'], 2)}")
    if first and stage.get("refills"):
        notes.append(f"{stage['refills']} refills")
    return (
        stage["name"] if first else "",
        label_of(name),
        setting(name, asked),
        "" if got is None else setting(name, got),
        ", ".join(notes),
    )


def _analysis(analysis: Mapping[str, Any]) -> list[RenderableType]:
    """Which arc was taken, by which circuit, how sure, and what a reader should know."""
    from rich.text import Text

    lines: list[RenderableType] = []
    if analysis.get("circuit"):
        confidence = analysis.get("confidence")
        sure = f", sure of the arc by {100 * confidence:.0f} %" if isinstance(confidence, (int, float)) else ""
        lines.append(Text(f"fit: {analysis['circuit']}{sure}"))
    lines += [Text(f"  arc: {arc}") for arc in analysis.get("arcs") or ()]
    lines += [Text(f"  {note}") for note in analysis.get("notes") or ()]
    return lines
