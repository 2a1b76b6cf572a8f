"""``pressopt predict``: what will come out, with uncertainty."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from pressopt.cli.study.cells import calibration_option, cell_of, set_option
from pressopt.cli.study.running import engine_options, finished_blocks
from pressopt.errors import InputError, Violation
from pressopt.study.engines import Engine

if TYPE_CHECKING:
    from pressopt.study.predict import Expected
    from pressopt.study.settings import Settings
    from pressopt.surrogate import Surrogate


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@set_option
@click.option(
    "--table", type=click.Path(path_type=Path), help="Protocols, one per row: CSV with a header, or Parquet."
)
@calibration_option
@click.option(
    "--draws",
    type=click.IntRange(min=16),
    default=256,
    show_default=True,
    help="Parameter draws behind each interval.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write a table: .csv or .parquet.  [default: print CSV]"
)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def predict(
    experiment: Path,
    given: tuple[str, ...],
    table: Path | None,
    calibration: Path | None,
    draws: int,
    seed: int,
    out: Path | None,
    engine: Engine,
    as_json: bool,
    quiet: bool,
) -> None:
    """Predict what pressing the cell of an EXPERIMENT file gives: one protocol, or a table of them.

    The file says what the cell is and which settings are fixed; what it searches is given by --set or by columns.
    Intervals are those of the physics' uncertain parameters (95 %): one cell scatters more.

    Examples:

        pressopt predict experiments/li-lpscl-symmetric.toml --set "pressure=25 MPa" --set "dwell=10 min" --set
        "temperature=60 °C"

        pressopt predict experiments/li-lpscl-symmetric.toml --table protocols.csv --out predicted.parquet
    """
    from pressopt.study.predict import Predict, expected_of
    from pressopt.study.settings import Settings, read_sheet

    if out is not None and out.suffix not in {".csv", ".parquet"}:
        raise InputError((Violation("--out", f"{out.name} is no table: end it in .csv or .parquet"),))
    described, surrogate, parameters = cell_of(experiment, calibration)
    settings = Settings.of(described)
    values = settings.parse(given)
    sheet = None
    if table is None:
        wrong = [
            Violation(
                name, f'is missing: --set "{name.split(".")[1].rpartition("_")[0] or name}=...", or a --table'
            )
            for name in settings.missing(values)
        ]
        if wrong:
            raise InputError(wrong)
        settings.checked(values, surrogate)
        protocols = settings.table(values)
    else:
        sheet = read_sheet(table, settings, values)
        settings.checked(sheet.settings, surrogate, sheet.lines)
        settings.checked(values, surrogate)
        protocols = settings.table({**values, **sheet.settings})
    job = Predict(surrogate, protocols, draws, seed, parameters)
    unfinished = None if out is None else out.with_name(f"{out.name}.unfinished")
    with finished_blocks(job, unfinished, engine, quiet=quiet or as_json) as blocks:
        found = expected_of(job, blocks)
        if as_json:
            click.echo(json.dumps(_document(settings, protocols, surrogate, found), ensure_ascii=False))
        elif sheet is None and out is None:
            _show(surrogate, found)
        else:
            given_columns = sheet.columns if sheet is not None else {}
            own = {name: cells for name, cells in given_columns.items() if settings.named(name) is None}
            rows = {**own, **_columns(settings, protocols, found)}
            _write(rows, out)


def _columns(settings: Settings, protocols: Any, found: Expected) -> dict[str, Any]:
    """Settings as predicted, then each quantity with its interval."""
    from pressopt.study.axes import STACK_FIELDS

    columns: dict[str, Any] = {}
    for s, stage in enumerate(settings.stages):
        for field in protocols.stage_fields:
            columns[f"{stage}.{field}"] = protocols.column(field)[:, s]
    columns |= {name: protocols.column(field) for name, field in STACK_FIELDS.items()}
    for name, values in found.nominal.items():
        columns |= {name: values, f"{name}_low": found.low[name], f"{name}_high": found.high[name]}
    return columns


def _document(settings: Settings, protocols: Any, surrogate: Surrogate, found: Expected) -> dict[str, Any]:
    columns = _columns(settings, protocols, found)
    names = [name for name in columns if name in settings.names]
    rows = [
        {
            "settings": {name: float(columns[name][row]) for name in names},
            "expected": {
                name: {
                    "nominal": float(values[row]),
                    "low": float(found.low[name][row]),
                    "high": float(found.high[name][row]),
                }
                for name, values in found.nominal.items()
            },
        }
        for row in range(len(protocols))
    ]
    return {
        "schema": "pressopt/predict/1",
        "probability": found.probability,
        "assumed": list(surrogate.assumed),
        "protocols": rows,
    }


def _write(rows: dict[str, Any], out: Path | None) -> None:
    if out is not None and out.suffix == ".parquet":
        from pressopt.study.parquet import to_parquet

        out.write_bytes(to_parquet(rows))
    else:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(rows)
        writer.writerows(zip(*([_plain(v) for v in values] for values in rows.values()), strict=True))
        if out is None:
            click.echo(text.getvalue(), nl=False)
        else:
            out.write_text(text.getvalue(), encoding="utf-8")
    if out is not None:
        click.echo(out)


def _plain(value: Any) -> Any:
    return repr(float(value)) if hasattr(value, "dtype") else value


def _show(surrogate: Surrogate, found: Expected) -> None:
    from rich.console import Console
    from rich.table import Table

    from pressopt.export.wording import duration, interval, number, quantity_label, quantity_unit

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("predicted", "", "95 % of the parameters", "unit"):
        table.add_column(column, justify="right" if not column else "left")
    for name, values in found.nominal.items():
        low, high = float(found.low[name][0]), float(found.high[name][0])
        if quantity_unit(name) == "s":
            table.add_row(quantity_label(name), duration(float(values[0])), "", "")
        else:
            table.add_row(quantity_label(name), number(float(values[0])), interval(low, high), quantity_unit(name))
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)
    if surrogate.assumed:
        click.echo(f"Rests on {len(surrogate.assumed)} assumed inputs: {', '.join(surrogate.assumed)}.")
