"""``pressopt reanalyse``: old spectra through today's analysis."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from pressopt.cli.study.running import compute, engine_options, leave_unless_finished, writing
from pressopt.study.engines import Engine


@click.command()
@click.argument("campaigns", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("reanalysis"), show_default=True, help="Folder."
)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def reanalyse(campaigns: tuple[Path, ...], out: Path, engine: Engine, as_json: bool, quiet: bool) -> None:
    """Analyse all spectra of old CAMPAIGNS again, and say what would change: verdicts, values, recommendations.

    CAMPAIGNS are folders of campaigns, or folders with campaigns anywhere below. Journals are only read: what was
    concluded then stays in them.

    Example:

        pressopt reanalyse experiments --out reanalysis
    """
    from pressopt.study.folder import StudyFolder
    from pressopt.study.reanalyse import Reanalyse, changes, find_campaigns, gather, read_campaigns
    from pressopt.study.reanalyse_report import in_words, write_results

    job = Reanalyse(tuple(read_campaigns(find_campaigns(campaigns))))
    with StudyFolder(out, job) as kept:
        progress = compute(job, kept, engine, quiet=quiet or as_json)
        leave_unless_finished(progress, out)
        table = gather(data for _, data in kept.read())
        found = list(changes(job, table))
        with writing(out):
            summary, files = write_results(job, table, found, out)
    if as_json:
        click.echo(json.dumps({**summary, "files": [str(path) for path in files]}, ensure_ascii=False))
        return
    for line in in_words(found):
        click.echo(line)
    click.echo("\nFiles")
    for path in files:
        click.echo(f"  {path}")
