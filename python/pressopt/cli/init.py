"""``pressopt init``: a commented experiment file from a few answers."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import rich_click as click

from pressopt.errors import ExperimentError, Violation


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--system", help="Begin with one of the systems that come with pressopt; see --list.")
@click.option("--list", "listed", is_flag=True, help="List the systems and leave.")
@click.option("--title", help="One line that says what this is about.")
@click.option("--metal", help="The soft metal.")
@click.option("--electrolyte", help="The electrolyte.")
@click.option("--die", help='Diameter of the die, such as "12.7 mm".')
@click.option("--low", help='Lowest pressure (or line force) to search, such as "1 MPa".')
@click.option("--high", help='Highest pressure (or line force) to search, such as "100 MPa".')
@click.option("--hottest", help='Highest temperature to search, such as "80 °C".')
@click.option("--trials", type=int, help="Cells that may be spent.")
@click.option(
    "--laboratory", type=click.Choice(["twin", "bench"]), help="The virtual laboratory, or a real bench."
)
@click.option("--machine-url", help="Bench: where the press or laminator is connected.")
@click.option("--instrument-url", help="Bench: where the analyser or meter is connected.")
@click.option("--force", is_flag=True, help="Overwrite the file if there is one.")
def init(file: Path | None, system: str | None, listed: bool, force: bool, **given: Any) -> None:
    """Write a commented experiment file that passes `pressopt check`.

    Asks a few questions on a terminal; with --system it asks nothing, and options change what it writes.
    An existing file is never overwritten without --force.
    """
    from pressopt.campaign.starter import SYSTEMS, starter_text

    if listed:
        for name, answers in SYSTEMS.items():
            click.echo(f"{name:34s}{answers.title}")
        return
    asks = system is None and sys.stdin.isatty()
    if system is None and not asks:
        raise click.UsageError(f"nobody is there to answer: give --system, one of {', '.join(SYSTEMS)}")
    if asks:
        system = click.prompt("System", type=click.Choice(list(SYSTEMS)), default="li-lpscl-symmetric")
    if system is None or system not in SYSTEMS:
        raise click.UsageError(f"system '{system}' is not known: give one of {', '.join(SYSTEMS)}")
    answers = SYSTEMS[system]
    names = {"die": "die_diameter", "low": "load_low", "high": "load_high", "hottest": "temperature_high"}
    answers = replace(answers, **{names.get(k, k): value for k, value in given.items() if value is not None})
    if asks:
        answers = _asked(answers, given)
    if answers.laboratory == "bench" and not (answers.machine_url and answers.instrument_url):
        raise click.UsageError("a bench needs --machine-url and --instrument-url: say where both are connected")
    path = file or Path(f"{system}.toml")
    text = starter_text(answers, path)
    _write(path, text, force=force)
    click.echo(f"wrote {path}: look at it, then `pressopt run {path}`", err=True)


def _asked(answers: Any, given: dict[str, Any]) -> Any:
    """The answers after asking what no option has said; Enter keeps what is shown."""
    questions = [
        ("die", "die_diameter", "Diameter of the die"),
        ("low", "load_low", "Lowest pressure (rolls: line force) to search"),
        ("high", "load_high", "Highest pressure (rolls: line force) to search"),
        ("hottest", "temperature_high", "Highest temperature to search"),
        ("trials", "trials", "Cells that may be spent"),
    ]
    for option, name, question in questions:
        if given[option] is None:
            answers = replace(answers, **{name: click.prompt(question, default=getattr(answers, name))})
    if given["laboratory"] is None:
        where = click.prompt("Laboratory", type=click.Choice(["twin", "bench"]), default="twin")
        answers = replace(answers, laboratory=where)
    if answers.laboratory == "bench":
        for name, what in (("machine_url", "press or laminator"), ("instrument_url", "analyser or meter")):
            if not getattr(answers, name):
                answers = replace(answers, **{name: click.prompt(f"Where the {what} is connected")})
    return answers


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message = "is there already: choose another name, or overwrite it with --force"
        raise ExperimentError((Violation("", message),), source=str(path)) from None
    except OSError as error:
        raise ExperimentError((Violation("", f"cannot be written: {error.strerror}"),), source=str(path)) from None
