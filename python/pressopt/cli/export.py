"""`pressopt export`: the protocol for machines, the sheet for people, the trials for spreadsheets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

import rich_click as click


@click.command()
@click.argument("campaign", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "html", "csv", "text", "all"]),
    default="all",
    show_default=True,
    help="json: protocol file; html: operator's sheet, prints on one A4 page; csv: all trials; text: the sheet "
    "for a terminal.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Folder to write into, or - for standard output (one format only).  [default: the campaign's folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def export(campaign: Path | None, kind: str, out: Path | None, as_json: bool) -> None:
    """Write what CAMPAIGN has found so that others can press by it.

    CAMPAIGN is its folder or its experiment file; default: the newest campaign below this folder. An unfinished
    campaign is exported as far as it goes, and every file says so. The same journal gives the same bytes.

    Examples:

        pressopt export experiments/li-lpscl-symmetric.toml

        pressopt export --format csv --out - | head
    """
    from pressopt.cli.looking import look_at
    from pressopt.export.files import FORMATS, Format, exported, write_exports

    formats: list[Format] = list(FORMATS) if kind == "all" else [cast(Format, kind)]
    to_stdout = out is not None and str(out) == "-"
    if to_stdout and len(formats) > 1:
        raise click.UsageError("--out - takes one format: name it with --format json, html, csv or text")
    with look_at(campaign, think=True) as look:
        if to_stdout:
            sys.stdout.buffer.write(exported(look.answer, look.journal, formats[0]))
            sys.stdout.flush()
            return
        written = write_exports(look.answer, look.journal, out or look.folder, formats)
        open_because = look.answer.open_because
    if as_json:
        line = {
            "schema": "pressopt/export/1",
            "complete": not open_because,
            "incomplete_because": open_because,
            "files": [str(path) for path in written],
        }
        click.echo(json.dumps(line, ensure_ascii=False))
        return
    if open_because:
        click.echo(f"preliminary: {open_because}", err=True)
    for path in written:
        click.echo(path)
