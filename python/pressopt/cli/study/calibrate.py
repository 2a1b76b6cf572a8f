"""``pressopt calibrate``: surrogate parameters from data."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from pressopt.cli.study.cells import set_option
from pressopt.cli.study.running import engine_options, finished_blocks
from pressopt.errors import InputError, Violation
from pressopt.study.engines import Engine


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option(
    "--table", type=click.Path(path_type=Path), help="Own cells: CSV or Parquet with settings and values."
)
@set_option
@click.option("--campaign", type=click.Path(path_type=Path), help="The cells of a campaign: its folder.")
@click.option("--published", is_flag=True, help="Published points of the experiment's materials.")
@click.option(
    "--scatter", type=click.FloatRange(0.01, 2.0), default=0.1, show_default=True,
    help="How far cells pressed alike differ, relative; added to the error of each reading.",
)  # fmt: skip
@click.option("--draws", type=click.IntRange(min=64), default=512, show_default=True, help="Draws of each run.")
@click.option("--chains", type=click.IntRange(2, 64), default=4, show_default=True, help="Independent runs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the first run.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder.  [default: EXPERIMENT-calibration]")
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def calibrate(
    experiment: Path,
    table: Path | None,
    given: tuple[str, ...],
    campaign: Path | None,
    published: bool,
    scatter: float,
    draws: int,
    chains: int,
    seed: int,
    out: Path | None,
    engine: Engine,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find the parameters of the physics from measured cells of an EXPERIMENT file.

    Data are a table of own cells, the cells of a campaign, or published points. Written: posterior.json (for
    --calibration of predict and map), parameters.csv (before, after, what the data cannot tell), points.csv
    (predictions before and after), a summary and a picture. The catalogue is never changed.

    Examples:

        pressopt calibrate experiments/li-lpscl-symmetric.toml --published

        pressopt calibrate my-cell.toml --table cells.csv --scatter 0.15 --out calibrated
    """
    from pressopt.assembly import catalogue_of
    from pressopt.campaign.experiment_file import load_experiment
    from pressopt.study.calibrate import (
        Calibrate,
        calibrated_of,
        data_from_campaign,
        data_from_published,
        data_from_table,
    )
    from pressopt.study.calibrate_report import in_words, write_results
    from pressopt.study.settings import Settings

    if (table is not None) + (campaign is not None) + published != 1:
        raise InputError(
            (Violation("--table", "give one source: --table FILE, --campaign FOLDER or --published"),)
        )
    described = load_experiment(experiment)
    values = Settings.of(described).parse(given)
    if table is not None:
        data = data_from_table(described, table, values, scatter=scatter)
    elif campaign is not None:
        _, data = data_from_campaign(campaign, scatter=scatter)
    else:
        data = data_from_published(described, catalogue_of(described), scatter=scatter)
    folder = out or experiment.with_name(f"{experiment.stem}-calibration")
    job = Calibrate(data, draws, chains, seed)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    with finished_blocks(job, unfinished, engine, quiet=quiet or as_json) as blocks:
        summary, files = write_results(calibrated_of(job, blocks), folder)
    if as_json:
        click.echo(json.dumps({**summary, "files": [str(path) for path in files]}, ensure_ascii=False))
        return
    for line in in_words(summary, folder):
        click.echo(line)
    click.echo("\nFiles")
    for path in files:
        click.echo(f"  {path}")
