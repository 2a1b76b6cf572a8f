"""``pressopt screen``: full protocols over materials and roughness."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from pressopt.cli.study.running import compute, engine_options, leave_unless_finished, writing
from pressopt.study.engines import Engine


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the study.  [default: named after the file]"
)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def screen(file: Path, out: Path | None, engine: Engine, as_json: bool, quiet: bool) -> None:
    """Predict every protocol of a screen FILE for every system in it; keep the best.

    Written into the folder of the study: best.parquet (the best protocols of each system), front.parquet (where no
    objective can improve without another getting worse), robust.parquet (the best that the press may miss by its
    tolerance), summary.json and pictures. Ctrl-C stops after the running blocks; the same command goes on.

    Examples:

        pressopt screen experiments/screens/li-metal-electrolytes.toml

        pressopt screen big.toml --engine dask --scheduler tcp://login1:8786
    """
    from pressopt.study.folder import StudyFolder
    from pressopt.study.screen import select
    from pressopt.study.screen_file import load_screen
    from pressopt.study.screen_report import in_words, write_results

    job = load_screen(file)
    folder = out or file.with_suffix("")
    with StudyFolder(folder, job) as kept:
        progress = compute(job, kept, engine, quiet=quiet or as_json)
        leave_unless_finished(progress, folder)
        found = select(job, (data for _, data in kept.read()))
        with writing(folder):
            summary, files = write_results(job, found, folder)
    if as_json:
        click.echo(json.dumps({**summary, "files": [str(path) for path in files]}, ensure_ascii=False))
        return
    for line in in_words(job, summary):
        click.echo(line)
    click.echo("\nFiles")
    for path in files:
        click.echo(f"  {path}")
