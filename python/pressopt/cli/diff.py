"""`pressopt diff`: what two protocols do differently, in the words of the laboratory."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--exit-code", is_flag=True, help="Leave with 3 when a cell is handled differently.")
@click.pass_context
def diff(ctx: click.Context, first: Path, second: Path, as_json: bool, exit_code: bool) -> None:
    """Say what differs between the protocols FIRST and SECOND: forces, timers, cell, result, evidence.

    Each is a protocol file, a campaign's folder or an experiment file that was run.

    Examples:

        pressopt diff protocol.json their-protocol.json

        pressopt diff experiments/li-lpscl-symmetric experiments/li-lpscl-symmetric-2
    """
    from pressopt.export.difference import HANDLING, MATTERS, differences, verdict

    found = differences(_document(first), _document(second))
    if as_json:
        line = {
            "schema": "pressopt/diff/1",
            "same": not found,
            "verdict": verdict(found),
            "differences": [asdict(one) for one in found],
        }
        click.echo(json.dumps(line, ensure_ascii=False))
    else:
        click.echo(verdict(found))
        for matter in MATTERS:
            rows = [one for one in found if one.matter == matter]
            if rows:
                click.echo(f"\n{matter[:1].upper()}{matter[1:]}")
            for row in rows:
                click.echo(f"  {row}")
    if exit_code and any(one.matter in HANDLING for one in found):
        ctx.exit(3)


def _document(path: Path) -> dict[str, Any]:
    """The protocol of a file, or of a campaign as far as it goes."""
    from pressopt.cli.looking import look_at
    from pressopt.errors import InputError
    from pressopt.export.document import effective_ram_area_cm2, protocol_document, read_document

    if path.suffix == ".json":
        try:
            return read_document(path.read_bytes(), source=str(path))
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}): name a protocol file") from error
    with look_at(path, think=True) as look:
        return protocol_document(
            look.answer, look.journal, ram_area_cm2=effective_ram_area_cm2(look.answer.experiment)
        )
