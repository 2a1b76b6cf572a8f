"""``pressopt materials``: the catalogue, with the source of every value."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pressopt.materials import Catalogue, Datum, Material


#: Columns of a table in a pipe: the longest row of the shipped catalogue takes fewer.
PIPE_COLUMNS = 120


@click.command()
@click.argument("name", required=False)
@click.option("--file", "extra", type=click.Path(path_type=Path), help="Your own materials, beside the catalogue.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")
def materials(name: str | None, extra: Path | None, as_json: bool) -> None:
    """Show the materials, or one of them with every value, its unit, source and confidence.

    NAME may be an alias (LPSCl, garnet, sodium). Values marked `assumed` were not found in any source.
    """
    from pressopt.materials import Catalogue

    catalogue = Catalogue.load(extra)
    if name is None:
        _overview(catalogue, as_json=as_json)
    else:
        _one(catalogue[name], as_json=as_json)


def _overview(catalogue: Catalogue, *, as_json: bool) -> None:
    if as_json:
        listed = [
            {
                "name": material.name,
                "kind": material.kind.value,
                "aliases": list(material.aliases),
                "values": len(material.values),
                "assumed": sorted(name for name, datum in material.values.items() if _assumed(datum)),
            }
            for material in catalogue.values()
        ]
        click.echo(json.dumps({"schema": "pressopt/materials/1", "materials": listed}, ensure_ascii=False))
        return
    table = _table("material", "kind", "also called", "values", "assumed")
    for material in catalogue.values():
        assumed = sum(map(_assumed, material.values.values()))
        table.add_row(
            material.name,
            material.kind.value,
            ", ".join(material.aliases),
            str(len(material.values)),
            str(assumed),
        )
    _print(table)


def _one(material: Material, *, as_json: bool) -> None:
    if as_json:
        document: Mapping[str, Any] = {
            "schema": "pressopt/material/1",
            "name": material.name,
            "kind": material.kind.value,
            "aliases": list(material.aliases),
            "sintered": material.sintered,
            "file": material.file,
            "values": {
                name: {
                    "value": datum.value,
                    "unit": datum.unit,
                    "low": datum.interval[0],
                    "high": datum.interval[1],
                    "confidence": datum.confidence.value,
                    "source": datum.source,
                    "note": datum.note,
                }
                for name, datum in material.values.items()
            },
        }
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    also = f", also called {', '.join(material.aliases)}" if material.aliases else ""
    click.echo(f"{material.name}: {material.kind.value}{also} ({material.file})")
    sources = list(dict.fromkeys(datum.source for datum in material.values.values()))
    table = _table("value", "", "unit", "95 % of the prior", "confidence", "source")
    for name, datum in material.values.items():
        low, high = datum.interval
        span = f"{low:.3g} to {high:.3g}" if high > low else "exact"
        source = f"({sources.index(datum.source) + 1})"
        table.add_row(name, f"{datum.value:.4g}", datum.unit, span, datum.confidence.value, source)
    _print(table)
    # Sources and notes stand below, so that the rows stay short.
    for number, source in enumerate(sources, 1):
        click.echo(f"({number}) {source}")
    for name, datum in material.values.items():
        if datum.note:
            click.echo(f"{name}: {datum.note}")


def _assumed(datum: Datum) -> bool:
    return datum.confidence.value == "assumed"


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    # Into a file or a pipe each row stays one line, however narrow the terminal behind it is.
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False).print(table)
