"""`pressopt export`: what leaves the program, for machines, people, notebooks and other optimizers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import rich_click as click

if TYPE_CHECKING:
    from pressopt.cli.looking import Look
    from pressopt.export.files import Format, More, Wanted

#: Formats, with what each is; the first four are written after every run.
_FORMATS = {
    "json": "protocol file: everything needed to repeat",
    "html": "operator's sheet, prints on two A4 pages",
    "text": "the sheet for a terminal",
    "csv": "all trials",
    "pdf": "operator's sheet (extra pdf)",
    "report": "report for a group leader and a reviewer, HTML",
    "report-pdf": "the same as PDF (extra pdf)",
    "as-run": "asked against achieved of every cell, JSON",
    "as-run-csv": "the same as a table, one row per stage",
    "setpoints": "recipe: time, force, temperature",
    "plc": "recipe: the registers of a press profile, in order",
    "batchml": "recipe: ISA-88 master recipe, BatchML XML",
    "bdf": "every press log and spectrum in the Battery Data Format",
    "parquet": "all trials with units in the schema (extra parquet)",
    "eln": "research bundle for electronic notebooks, RO-Crate (extra bundle)",
    "jsonld": "cell and protocol in EMMO / BattINFO terms",
    "ax": "trials in the shapes of Ax",
    "baybe": "trials in the shapes of BayBE",
    "pybamm": "contact resistance as a PyBaMM parameter",
}


@click.command(epilog="Formats: " + " · ".join(f"{name}: {what}" for name, what in _FORMATS.items()))
@click.argument("campaign", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kinds",
    type=click.Choice([*_FORMATS, "all"]),
    multiple=True,
    help="What to write; may be repeated. all: everything that the installed libraries can.  "
    "[default: json, html, text, csv]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Folder to write into, or - for standard output (one format only).  [default: the campaign's folder]",
)
@click.option(
    "--profile", help="plc: for this press, a profile by name or file.  [default: the experiment's press]"
)
@click.option(
    "--dialect",
    type=click.Choice(["comma", "semicolon"]),
    default="comma",
    show_default=True,
    help="setpoints, plc: how the panel reads CSV; semicolon goes with decimal commas.",
)
@click.option("--licence", default="", help="eln: SPDX identifier, such as CC-BY-4.0.  [default: none is granted]")
@click.option("--approved-by", help="Who releases the protocol; stands in every file, the digest included.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def export(
    campaign: Path | None,
    kinds: tuple[str, ...],
    out: Path | None,
    profile: str | None,
    dialect: str,
    licence: str,
    approved_by: str | None,
    as_json: bool,
) -> None:
    """Write what CAMPAIGN has found so that others can press by it.

    CAMPAIGN is its folder or its experiment file; default: the newest campaign below this folder. An unfinished
    campaign is exported as far as it goes, and every file says so. The same journal gives the same bytes.

    Examples:

        pressopt export experiments/li-lpscl-symmetric.toml

        pressopt export --format pdf --format report-pdf --approved-by "who answers for it"

        pressopt export --format plc --profile our-press.toml --dialect semicolon --out - | head
    """
    from pressopt.cli.looking import look_at
    from pressopt.export.files import FORMATS, Wanted

    chosen = list(dict.fromkeys(kinds)) or list(FORMATS)
    everything = "all" in chosen
    if everything:
        chosen = list(_FORMATS)
    to_stdout = out is not None and str(out) == "-"
    if to_stdout and len(chosen) > 1:
        raise click.UsageError("--out - takes one format: name it with --format")
    with look_at(campaign, think=True, approved_by=approved_by) as look:
        wanted = Wanted(look.recommender, profile, dialect, licence)
        if to_stdout:
            for data in _bytes(look, chosen[0], wanted):
                sys.stdout.buffer.write(data)
            sys.stdout.flush()
            return
        written, left_out = _write(look, chosen, out or look.folder, wanted, everything=everything)
        open_because = look.answer.open_because
    if as_json:
        line = {
            "schema": "pressopt/export/1",
            "complete": not open_because,
            "incomplete_because": open_because,
            "files": [str(path) for path in written],
            "left_out": left_out,
        }
        click.echo(json.dumps(line, ensure_ascii=False))
        return
    if open_because:
        click.echo(f"preliminary: {open_because}", err=True)
    for kind, why in left_out.items():
        click.echo(f"left out: {kind}: {why}", err=True)
    for path in written:
        click.echo(path)


def _bytes(look: Look, kind: str, wanted: Wanted) -> list[bytes]:
    from pressopt.export.files import FORMATS, exported, exported_more

    if kind in FORMATS:
        return [exported(look.answer, look.journal, cast("Format", kind))]
    return list(exported_more(look.answer, look.journal, cast("More", kind), wanted).values())


def _write(
    look: Look, kinds: Sequence[str], folder: Path, wanted: Wanted, *, everything: bool
) -> tuple[list[Path], dict[str, str]]:
    """Write each format; with ``all``, what cannot be written is told instead of ending the rest."""
    from pressopt.errors import PressoptError
    from pressopt.export.files import FORMATS, ExportError, write_exports, write_more

    written: list[Path] = []
    left_out: dict[str, str] = {}
    for kind in kinds:
        try:
            if kind in FORMATS:
                written += write_exports(look.answer, look.journal, folder, [cast("Format", kind)])
            else:
                written += write_more(look.answer, look.journal, folder, cast("More", kind), wanted)
        except PressoptError as error:
            if not everything or isinstance(error, ExportError):
                raise
            left_out[kind] = str(error)
    return written, left_out
