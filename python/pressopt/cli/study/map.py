"""``pressopt map``: a predicted quality over two settings."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from pressopt.cli.study.cells import calibration_option, cell_of, set_option
from pressopt.cli.study.running import engine_options, finished_blocks
from pressopt.study.engines import Engine

if TYPE_CHECKING:
    from pressopt.study.map import Map, Mark

#: A protocol that fails more often than this is not called the best.
MOST_RISK = 0.1


def _risks(_: click.Context, __: click.Parameter, value: str) -> list[float]:
    """Split and check ``--risk 0.01,0.1``."""
    try:
        found = [float(item) for item in value.split(",") if item.strip()]
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of numbers: write it like 0.01,0.1,0.5") from None
    if any(not 0 < risk < 1 for risk in found):
        raise click.BadParameter(f"{value!r}: each is a probability between 0 and 1")
    return found


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option(
    "--x",
    "across",
    required=True,
    metavar="NAME[=LOW..HIGH]",
    help='Across, such as pressure or "pressure=1 MPa..200 MPa".',
)
@click.option("--y", "up", required=True, metavar="NAME[=LOW..HIGH]", help="Upwards, in the same way.")
@click.option("--quantity", help="What is predicted.  [default: the first objective of the experiment]")
@set_option
@calibration_option
@click.option(
    "--table",
    type=click.Path(path_type=Path),
    help="Cells of your own to draw: CSV or Parquet with settings and the quantity.",
)
@click.option(
    "--points", type=click.IntRange(5, 1000), default=81, show_default=True, help="Points along each axis."
)
@click.option(
    "--draws", type=click.IntRange(min=16), default=64, show_default=True, help="Parameter draws behind intervals."
)
@click.option(
    "--risk",
    "risks",
    callback=_risks,
    default="0.01,0.1,0.5",
    show_default=True,
    help="Shares of failing cells drawn as contours.",
)
@click.option(
    "--published/--no-published", default=True, show_default=True, help="Draw published points of these materials."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File .png or .svg, or a name for both.  [default: EXPERIMENT-map]",
)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the best point and the files as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def map(  # the name of the command
    experiment: Path,
    across: str,
    up: str,
    quantity: str | None,
    given: tuple[str, ...],
    calibration: Path | None,
    table: Path | None,
    points: int,
    draws: int,
    risks: list[float],
    published: bool,
    out: Path | None,
    engine: Engine,
    as_json: bool,
    quiet: bool,
) -> None:
    """Draw a predicted quality of the cell of an EXPERIMENT file over two settings.

    On it: contours of the share of cells that fail, the experiment's limits, published points of the same
    materials (filled with the published value, in the map's colours) and cells of your own. What the experiment
    searches and neither axis nor --set names is held in the middle of its range; the picture says at what.

    Examples:

        pressopt map experiments/li-lpscl-symmetric.toml --x pressure --y dwell

        pressopt map experiments/li-lpscl-symmetric.toml --x "pressure=1 MPa..200 MPa"
        --y "stack.pressure=1 MPa..50 MPa" --quantity critical_current_density_ma_cm2 --out ccd.svg
    """
    from pressopt.assembly import catalogue_of
    from pressopt.export.wording import label_of, quantity_label, quantity_value, setting
    from pressopt.study.map import best_point, draw_map, job_of_map, plan_map, published_marks, surface_of
    from pressopt.study.pictures import picture_files, write_picture
    from pressopt.study.predict import expected_of
    from pressopt.study.published import points_of
    from pressopt.study.settings import Settings

    place = out or experiment.with_name(f"{experiment.stem}-map")
    picture_files(place)
    described, surrogate, parameters = cell_of(experiment, calibration)
    held = Settings.of(described).parse(given)
    wanted = quantity or described.objectives[0].quantity
    plan = plan_map(described, surrogate, across, up, wanted, held)
    own = _own_cells(plan, table)
    marks, notes = published_marks(plan, points_of(described.cell, catalogue_of(described)) if published else ())
    job = job_of_map(plan, surrogate, points=points, draws=draws, parameters=parameters)
    unfinished = place.with_name(f"{place.name}.unfinished")
    with finished_blocks(job, unfinished, engine, quiet=quiet or as_json) as blocks:
        surface = surface_of(plan, points, expected_of(job, blocks))
        figure = draw_map(plan, surface, risks=risks, published=marks, notes=notes, own=own)
        files = write_picture(figure, place)
    best = best_point(plan, surface, MOST_RISK)
    if as_json:
        told = {
            "schema": "pressopt/map/1",
            "quantity": wanted,
            "held": {name: value for name, value in plan.held.items() if not math.isnan(value)},
            "best": best,
            "published": len(marks),
            "files": [str(path) for path in files],
        }
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    if best is None:
        click.echo(f"Everywhere on this map more than {MOST_RISK:.0%} of the cells fail.")
    else:
        where = ", ".join(f"{label_of(s.name)} {setting(s.name, best[s.name], 3)}" for s in (plan.across, plan.up))
        click.echo(
            f"Best with at most {MOST_RISK:.0%} of failing cells: {where}: {quantity_label(wanted)} "
            f"{quantity_value(wanted, best[wanted])} ({best['low']:.3g} to {best['high']:.3g}), "
            f"{best['failing']:.1%} fail"
        )
    for path in files:
        click.echo(path)


def _own_cells(plan: Map, table: Path | None) -> list[Mark]:
    from pressopt.errors import InputError, Violation
    from pressopt.study.map import Mark
    from pressopt.study.settings import read_sheet

    if table is None:
        return []
    sheet = read_sheet(table, plan.settings, plan.held, others=(plan.quantity,))
    if plan.quantity not in sheet.columns:
        raise InputError(
            (Violation(plan.quantity, "is missing: give a column with what was measured"),), source=str(table)
        )
    values = sheet.numbers(plan.quantity)
    x, y = sheet.settings[plan.across.name], sheet.settings[plan.up.name]
    return [
        Mark(float(a), float(b), None if math.isnan(value) else float(value), "")
        for a, b, value in zip(x, y, values, strict=True)
    ]
