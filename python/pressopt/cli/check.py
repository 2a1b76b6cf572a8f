"""``pressopt check``: all that is wrong with experiment files, at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from pressopt.errors import ExperimentError
from pressopt.units import format_quantity


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Check experiment files and report everything that is wrong with them.

    Nothing is run and nothing is connected. Leaves with 0 when every file can be run, with 2 otherwise.
    """
    results = [(path, *_look_at(path)) for path in files]
    if as_json:
        rows = [
            {
                "file": str(path),
                "ok": not mistakes,
                "violations": [{"where": v.where, "line": v.line, "message": v.message} for v in mistakes],
                **summary,
            }
            for path, summary, mistakes in results
        ]
        document = {"schema": "pressopt/check/1", "ok": all(row["ok"] for row in rows), "files": rows}
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        for path, summary, mistakes in results:
            _tell(path, summary, mistakes)
    if any(mistakes for _, _, mistakes in results):
        ctx.exit(2)


def _look_at(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """What the file stands for, and what is wrong with it."""
    from pressopt.campaign.experiment_file import load_experiment

    try:
        experiment = load_experiment(path)
    except ExperimentError as refused:
        return {}, list(refused.violations)
    searched = {
        variable.name: {"low": variable.low, "high": variable.high, "unit": variable.unit, "scale": variable.scale}
        for variable in experiment.space.variables
    }
    return {
        "name": experiment.name,
        "title": experiment.title,
        "digest": experiment.digest,
        "trials": experiment.budget.trials,
        "laboratory": experiment.laboratory.kind,
        "searched": searched,
    }, []


def _tell(path: Path, summary: dict[str, Any], mistakes: list[Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(
        width=None if sys.stdout.isatty() else 1000, highlight=False, soft_wrap=not sys.stdout.isatty()
    )
    if not mistakes:
        searched = ", ".join(
            f"{name} {format_quantity(v['low'], '', digits=4).strip()} to "
            f"{format_quantity(v['high'], v['unit'], digits=4).strip()}"
            for name, v in summary["searched"].items()
        )
        console.print(f"[green]✓[/] [bold]{escape(str(path))}[/]: {escape(summary['title'])}")
        console.print(f"  {summary['trials']} cells, on the {summary['laboratory']}; searched: {escape(searched)}")
        return
    count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
    console.print(f"[red]✗[/] [bold]{escape(str(path))}[/]: {count}")
    if not sys.stdout.isatty():
        for mistake in mistakes:
            console.print(f"  {escape(str(mistake))}")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
    table.add_column("line", justify="right", style="cyan")
    table.add_column("key", style="bold", overflow="fold")
    table.add_column("what is wrong, and what is allowed", overflow="fold")
    for mistake in mistakes:
        table.add_row(str(mistake.line or ""), escape(mistake.where), escape(mistake.message))
    console.print(table)
