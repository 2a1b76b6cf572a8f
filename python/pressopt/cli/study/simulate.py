"""``pressopt simulate``: many virtual campaigns."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from pressopt.cli.study.running import compute, engine_options, leave_unless_finished, writing
from pressopt.study.engines import Engine


def _words(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _counts(_: click.Context, __: click.Parameter, value: str) -> list[int | None]:
    """Split ``default,3,5``; ``default`` leaves it to the strategy."""
    try:
        return [None if item.strip() == "default" else int(item) for item in value.split(",") if item.strip()]
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of whole numbers: write it like 1,2,4") from None


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option(
    "--strategies", callback=_words, default="physics-gp,gp,sobol", show_default=True, help="Engines to compare."
)
@click.option(
    "--initial",
    callback=_counts,
    default="default",
    show_default=True,
    help="Sizes of the start, such as default,5,8.",
)
@click.option(
    "--batch", callback=_counts, default="1", show_default=True, help="Cells proposed at a time, such as 1,4."
)
@click.option(
    "--replicates",
    callback=_counts,
    default="default",
    show_default=True,
    help="Cells for each setting, such as default,1,2.",
)
@click.option("--trials", type=int, help="Cells in each campaign.  [default: the experiment's budget]")
@click.option(
    "--every", type=int, default=5, show_default=True, help="Ask for the answer after each so many cells."
)
@click.option(
    "--twins",
    type=int,
    default=20,
    show_default=True,
    help="Virtual laboratories; each way of working is tried on each.",
)
@click.option("--first-twin", type=int, default=1, show_default=True, help="Seed of the first.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the study.  [default: EXPERIMENT-simulate]"
)
@engine_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def simulate(
    experiment: Path,
    strategies: list[str],
    initial: list[int | None],
    batch: list[int | None],
    replicates: list[int | None],
    trials: int | None,
    every: int,
    twins: int,
    first_twin: int,
    out: Path | None,
    engine: Engine,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run many virtual campaigns of an EXPERIMENT file and say which way of working is worth it.

    Every combination of strategy, start, batch and replicates is tried on the same twins, without wires. An answer
    is judged by what a good cell costs with it in the twin's truth: the resistance, divided by the share of cells
    that do not fail. Ctrl-C stops after the running campaigns; the same command goes on, and what is finished is
    summarized.

    Examples:

        pressopt simulate experiments/li-lpscl-symmetric.toml --strategies physics-gp,gp,sobol --twins 20

        pressopt simulate my-cell.toml --strategies gp --batch 1,4 --replicates 1,2 --trials 24 --out batches
    """
    from pressopt.campaign.experiment_file import load_experiment
    from pressopt.errors import InputError, Violation
    from pressopt.study.folder import StudyFolder
    from pressopt.study.simulate import gather, plan_simulation
    from pressopt.study.simulate_report import in_words, write_results

    if None in batch:
        raise InputError((Violation("--batch", "has no default: give numbers such as 1,4"),))
    described = load_experiment(experiment)
    job = plan_simulation(
        described,
        strategies=strategies,
        initial=initial,
        batch=[count for count in batch if count is not None],
        replicates=replicates,
        trials=trials if trials is not None else described.budget.trials,
        every=every,
        twins=twins,
        first_twin=first_twin,
    )
    folder = out or experiment.with_name(f"{experiment.stem}-simulate")
    with StudyFolder(folder, job) as kept:
        progress = compute(job, kept, engine, quiet=quiet or as_json)
        curves, table = gather(job, (data for _, data in kept.read()))
        if not table:
            leave_unless_finished(progress, folder)
        with writing(folder):
            summary, files = write_results(job, curves, table, folder)
    if as_json:
        click.echo(json.dumps({**summary, "files": [str(path) for path in files]}, ensure_ascii=False))
    else:
        for line in in_words(summary):
            click.echo(line)
        click.echo("\nFiles")
        for path in files:
            click.echo(f"  {path}")
    leave_unless_finished(progress, folder)
