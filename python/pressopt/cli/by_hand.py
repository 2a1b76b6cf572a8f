"""The person at a manual press: the dialogue on the terminal, and `pressopt answer` and `pressopt attach`."""

from __future__ import annotations

import getpass
import re
import select
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from pressopt.cli.people import campaign_option, name_of, note_option, who_option
from pressopt.cli.people import say as say_event

if TYPE_CHECKING:
    from pressopt.campaign.by_hand import Said
    from pressopt.campaign.events import Attached
    from pressopt.campaign.replay import TrialState
    from pressopt.pressing.by_hand import Field, Question

_NUMBER = re.compile(r"\s*(?P<number>[-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)\s*(?P<unit>.*?)\s*")
#: A timer is said anew when this much of it has passed, s; in its last part more often.
_SAY_EVERY_S, _SAY_LAST_S = 60.0, 10.0
_HELP = (
    "at any time: abort (release the press, give the cell up), why TEXT (it was otherwise), note TEXT, "
    "photo FILE, again (enter this step anew), ? (read the step again)"
)
_WIDTH = 96


class AtPress:
    """Talks to the person at a manual press, a line at a time; see :data:`pressopt.campaign.by_hand.AskPerson`.

    Args:
        write: Prints one line.
        read: Returns what was typed since, one line, or ``None``: nothing yet; default: standard input.
        who: Name of the person; default: the login name.
    """

    def __init__(
        self, write: Callable[[str], None], read: Callable[[], str | None] | None = None, who: str = ""
    ) -> None:
        self._write = write
        self._read = read or _typed
        self._who = who or getpass.getuser()
        self._open: tuple[int, int, str] | None = None
        self._values: dict[str, float] = {}
        self._again: dict[str, float] = {}
        self._why = ""
        self._said_s = 0.0
        self._prompted = ""

    def __call__(self, trial: TrialState, question: Question, left_s: float, shown: str) -> Said | None:
        """Put the question if it is new, hear what was typed, and return an answer once it is whole."""
        key = (trial.number, question.number, question.problem)
        if self._open != key:
            self._open = key
            self._begin(trial, question, left_s)
        running = left_s > 0 and not question.early
        self._say_timer(question, left_s, shown)
        if not running:
            self._prompt(question, shown)
        line = self._read()
        return None if line is None else self._hear(trial, question, line.strip(), running=running)

    # ---- saying

    def _begin(self, trial: TrialState, question: Question, left_s: float) -> None:
        self._values, self._again, self._prompted = {}, {}, ""
        self._why = ""
        self._said_s = left_s + 1.0
        if question.problem:
            self._write(f"  not taken: {question.problem}")
            return
        self._write("")
        self._write(f"cell {trial.number}, step {question.number} · {question.title}")
        self._explain(question, helped=question.number == 1)
        if question.early and left_s > 0:
            self._write(f"    takes about {_minutes(left_s)}")

    def _explain(self, question: Question, *, helped: bool) -> None:
        for text in (*question.lines, *((_HELP,) if helped else ())):
            for line in textwrap.wrap(text, _WIDTH - 4):
                self._write(f"    {line}")

    def _say_timer(self, question: Question, left_s: float, shown: str) -> None:
        if question.timer_s <= 0 or question.early or left_s > self._said_s:
            return
        step_s = _SAY_LAST_S if left_s <= _SAY_EVERY_S else _SAY_EVERY_S
        told = f"{_minutes(left_s)} left" if left_s > 0 else "time is up"
        self._write(f"    {told}, the load indicator shows {shown}" if shown else f"    {told}")
        self._said_s = max(0.0, left_s - step_s) if left_s > 0 else -1.0

    def _prompt(self, question: Question, shown: str) -> None:
        field = self._next(question)
        if field is None:
            text = f"    {shown}, press Enter when it is done: " if shown else "    press Enter when it is done: "
        else:
            again = "once more, " if field.name in self._values else ""
            text = f"    {again}{field.label} [{field.unit}]: "
        if text != self._prompted:
            again = "\r" if field is None and shown and self._prompted else ""  # the same line, with the new force
            self._prompted = text
            click.echo(again + text, nl=False)

    def _next(self, question: Question) -> Field | None:
        """The field to be entered next: each value, then each once more."""
        for field in question.fields:
            if field.name not in self._values or field.name not in self._again:
                return field
        return None

    # ---- hearing

    def _hear(self, trial: TrialState, question: Question, line: str, *, running: bool) -> Said | None:
        from pressopt.campaign.events import PersonAnswered

        self._prompted = ""
        word, _, rest = line.partition(" ")
        match word.lower():
            case "abort":
                return PersonAnswered(trial.number, question.number, action="abort", why=rest, by=self._who), ()
            case "why" if rest:
                self._why = rest
                return self._whole(trial, question) if question.fields or running else None
            case "note" | "photo" if rest:
                return self._attached(trial, word.lower(), rest)
            case "again":
                self._values, self._again = {}, {}
                return None
            case "?":
                self._explain(question, helped=True)
                return None
        if running:
            if line:
                self._write("    the time is not over: wait, or type abort, why TEXT, note TEXT, photo FILE")
            return None
        if question.fields and not self._enter(question, line):
            return None
        return self._whole(trial, question)

    def _enter(self, question: Question, line: str) -> bool:
        """Take one value; return whether something was taken."""
        field = self._next(question)
        if field is None:
            return True
        found = _NUMBER.fullmatch(line)
        if found is None:
            if line:
                self._write(f"    {line!r} is no number in {field.unit}")
            return False
        if found["unit"] not in ("", field.unit):
            self._write(
                f"    {found['unit']!r} was given: read it in {field.unit}, as it stands on the instrument"
            )
            return False
        value = float(found["number"].replace(",", "."))
        if field.name not in self._values:
            self._values[field.name] = value
        elif value != self._values[field.name]:
            self._write(f"    {self._values[field.name]:g} and {value:g} are not the same: look again")
            del self._values[field.name]
            return False
        else:
            self._again[field.name] = value
        return True

    def _whole(self, trial: TrialState, question: Question) -> Said | None:
        from pressopt.campaign.events import PersonAnswered

        if self._next(question) is not None:
            return None
        self._open = None  # the same problem twice is said twice
        return (
            PersonAnswered(
                trial.number,
                question.number,
                values=dict(self._values),
                again=dict(self._again),
                why=self._why,
                by=self._who,
            ),
            (),
        )

    def _attached(self, trial: TrialState, what: str, rest: str) -> Said | None:
        from pressopt.campaign.events import Attached

        if what == "note":
            self._write("    noted")
            return Attached(trial.number, name="note", note=rest, by=self._who), ()
        try:
            event, data = attachment(trial.number, Path(rest.strip("'\"")).expanduser(), by=self._who)
        except OSError as error:
            self._write(f"    {rest} cannot be read: {error.strerror}")
            return None
        self._write(f"    kept: {event.name}, {len(data):,} bytes")
        return event, (data,)


def attachment(trial: int, path: Path, *, note: str = "", by: str) -> tuple[Attached, bytes]:
    """Read a file that belongs to a trial; raise OSError where that is not possible."""
    from pressopt.campaign.events import Attached
    from pressopt.campaign.journal import digest_of

    data = path.read_bytes()
    return Attached(trial, name=path.name, data=digest_of(data), note=note, by=by), data


def _minutes(seconds: float) -> str:
    """``4:05`` for 245 s."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _typed() -> str | None:
    """One line from standard input if there is one; the end of input is no answer."""
    ready, _, _ = select.select([sys.stdin], [], [], 0.0)
    line = sys.stdin.readline() if ready else ""
    return line if line.endswith("\n") else None


# ---------------------------------------------------------------------- from another terminal


@click.command()
@click.argument("trial", type=int)
@click.argument("values", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--again", multiple=True, metavar="FIELD=VALUE", help="The same value, entered a second time.")
@click.option("--why", default="", help="A word on why it was otherwise than asked.")
@click.option("--abort", is_flag=True, help="Break off: the press is released and the cell given up.")
@campaign_option
@who_option
def answer(
    trial: int,
    values: tuple[str, ...],
    again: tuple[str, ...],
    why: str,
    abort: bool,
    campaign: Path | None,
    by: str | None,
) -> None:
    """Answer what TRIAL asks of the person at a manual press.

    Without values it prints the open question. Values are in the unit that the question names, entered twice.

    Examples:

        pressopt answer 3

        pressopt answer 3 gauge=0.32 --again gauge=0.32

        pressopt answer 3 --abort --why "foil torn"
    """
    import contextlib

    from pressopt.campaign.by_hand import open_question
    from pressopt.campaign.events import PersonAnswered
    from pressopt.campaign.replay import replay
    from pressopt.cli.looking import located
    from pressopt.cli.people import numbers
    from pressopt.pressing.by_hand import Answer, problem_of
    from pressopt.store import SqliteJournal

    with located(campaign) as (folder, path), contextlib.closing(SqliteJournal.read(path)) as journal:
        state = replay(journal.entries()).trial(trial)
    if state.question is None:
        raise click.UsageError(f"trial {trial} is {state.phase.value} and asks nothing of a person")
    question = open_question(state)
    if question.fields and not (values or abort):
        click.echo("\n".join([question.title, *question.lines]))
        click.echo("report: " + ", ".join(f"{one.name} [{one.unit}], {one.label}" for one in question.fields))
        return
    event = PersonAnswered(
        trial,
        question.number,
        values=numbers(values, "FIELD=VALUE"),
        again=numbers(again, "--again"),
        action="abort" if abort else "done",
        why=why,
        by=name_of(by),
    )
    if not abort:
        problem = problem_of(question, Answer(event.number, event.values, event.again, event.why))
        if problem:
            asked = ", ".join(f"{field.name} [{field.unit}]" for field in question.fields) or "nothing but that"
            raise click.UsageError(f"{question.title}: {problem}. Asked: {asked}")
    say_event(folder, event, name_of(by), needs_runner=True)


@click.command()
@click.argument("trial", type=int)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@campaign_option
@who_option
@note_option
def attach(trial: int, file: Path, campaign: Path | None, by: str | None, note: str) -> None:
    """Keep FILE (a photograph, say) with TRIAL, in the journal's store, by its digest."""
    event, data = attachment(trial, file, note=note, by=name_of(by))
    say_event(campaign, event, name_of(by), blobs=(data,))
