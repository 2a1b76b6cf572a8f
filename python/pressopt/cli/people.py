"""What people say to a campaign: confirm, reject, resolve, clear, pause, unpause, close."""

from __future__ import annotations

import contextlib
import getpass
import math
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from pressopt.campaign.events import Event

campaign_option = click.option(
    "--campaign",
    type=click.Path(path_type=Path),
    help="Folder or experiment file of the campaign; with --server its id.  [default: the newest]",
)
who_option = click.option("--by", default=None, help="Who says so.  [default: your login name]")
note_option = click.option("--note", default="", help="A word on why.")


def say(
    campaign: Path | None, event: Event, by: str, *, blobs: tuple[bytes, ...] = (), needs_runner: bool = False
) -> None:
    """Write the event down, or leave it to the runner that holds the journal.

    ``needs_runner``: what follows from it only a running campaign can tell, so it stays in the inbox until then.
    """
    from pressopt.campaign.replay import check_wish, replay
    from pressopt.cli.remote import campaign_there, client_of, say_there
    from pressopt.errors import JournalLocked
    from pressopt.store import SqliteJournal, leave_wish
    from pressopt.store.places import find_campaign, journal_of

    with client_of() as client:
        if client is not None:
            there = campaign_there(client, campaign)
            say_there(client, there, event, by, blobs)
            click.echo(f"noted by {client.url}: {type(event).__name__} in {there}")
            return
    path = journal_of(find_campaign(campaign))
    with contextlib.closing(SqliteJournal.read(path)) as journal:
        check_wish(replay(journal.entries()), event, actor=by)
    try:
        with contextlib.closing(SqliteJournal.open(path)) as journal:
            if not needs_runner:
                check_wish(replay(journal.entries()), event, actor=by)
                journal.append(event, actor=by, blobs=blobs)
                click.echo(f"noted: {type(event).__name__} in {path.parent}")
                return
        click.echo(f"left until `pressopt resume`: {type(event).__name__} in {path.parent}")
    except JournalLocked:
        click.echo(f"left for the running campaign: {type(event).__name__} in {path.parent}")
    leave_wish(path, event, actor=by, blobs=blobs)


def name_of(by: str | None) -> str:
    return by or getpass.getuser()


@click.command()
@click.argument("trial", type=int)
@click.option("--press", help="With --server: under which press, where several work on the campaign.")
@campaign_option
@who_option
def confirm(trial: int, press: str | None, campaign: Path | None, by: str | None) -> None:
    """Confirm that the cell of TRIAL lies under the press and may be pressed as proposed."""
    from pressopt.campaign.events import Loaded
    from pressopt.cli.remote import campaign_there, client_of

    if press is not None:
        with client_of() as client:
            if client is None:
                raise click.UsageError("--press goes with --server: a campaign on this disk has one press")
            there = campaign_there(client, campaign)
            client.confirm(there, trial, by=name_of(by), press=press)
            click.echo(f"noted by {client.url}: the cell of trial {trial} of {there} lies under '{press}'")
            return
    say(campaign, Loaded(trial, by=name_of(by)), name_of(by))


@click.command()
@click.argument("trial", type=int)
@campaign_option
@who_option
@note_option
def reject(trial: int, campaign: Path | None, by: str | None, note: str) -> None:
    """Give TRIAL up: its proposal is not pressed, or its cell cannot be measured."""
    from pressopt.campaign.events import TrialRejected

    say(campaign, TrialRejected(trial, note or "rejected by a person", by=name_of(by)), name_of(by))


@click.command()
@click.argument("trial", type=int)
@click.argument("action", type=click.Choice(["discard", "measure", "done"]))
@click.option(
    "--achieved",
    multiple=True,
    metavar="SETTING=VALUE",
    help="What the cell got, e.g. lamination.pressure_mpa=24.8.",
)
@click.option(
    "--result", multiple=True, metavar="QUANTITY=VALUE±SD", help="With `done`: what was measured by hand."
)
@campaign_option
@who_option
@note_option
def resolve(
    trial: int,
    action: str,
    achieved: tuple[str, ...],
    result: tuple[str, ...],
    campaign: Path | None,
    by: str | None,
    note: str,
) -> None:
    """Say what was found at TRIAL after an interruption or a fault.

    discard: the cell is given up. measure: it was pressed well and is measured as it is now.
    done: a person pressed and measured it by hand (give --result).

    Examples:

        pressopt resolve 7 discard --note "foil had slipped"

        pressopt resolve 7 done --result interfacial_resistance_ohm_cm2=14.2±0.5
    """
    from pressopt.campaign.events import Resolved

    outcomes = _results(result)
    if action == "done" and not outcomes:
        raise click.UsageError("`done` needs at least one --result QUANTITY=VALUE±SD; without one say `discard`")
    if action != "done" and outcomes:
        raise click.UsageError(f"--result goes with `done`, not with `{action}`")
    event = Resolved(
        trial, action, by=name_of(by), note=note, achieved=numbers(achieved, "--achieved"), outcomes=outcomes
    )
    say(campaign, event, name_of(by))


def numbers(pairs: tuple[str, ...], option: str) -> dict[str, float]:
    """Read NAME=VALUE pairs of an option."""
    found: dict[str, float] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            found[key] = float(value)
        except ValueError:
            found[key] = math.nan
        if not (key and math.isfinite(found[key])):
            raise click.UsageError(
                f"{option} {pair}: write {_EXAMPLES.get(option, 'FIELD=NUMBER, e.g. gauge=0.32')}"
            )
    return found


_EXAMPLES = {"--achieved": "SETTING=NUMBER, e.g. lamination.pressure_mpa=24.8"}


def _results(pairs: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Read QUANTITY=VALUE±SD pairs; `+-` stands for ± where a keyboard has none."""
    from pressopt.pressing import QUANTITIES

    found: dict[str, tuple[float, float]] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        value, _, sd = text.replace("+-", "±").partition("±")
        if name not in QUANTITIES:
            raise click.UsageError(
                f"--result {pair}: there is no quantity {name!r}; known: {', '.join(QUANTITIES)}"
            )
        try:
            found[name] = (float(value), float(sd))
        except ValueError:
            found[name] = (math.nan, math.nan)
        if not all(map(math.isfinite, found[name])):
            raise click.UsageError(f"--result {pair}: write {name}=VALUE±SD, e.g. {name}=14.2±0.5")
        if not found[name][1] > 0:
            raise click.UsageError(f"--result {pair}: the standard deviation must be positive")
    return found


@click.command()
@campaign_option
@click.option("--press", default=None, help="Name of the press.  [default: the one that was made safe]")
@who_option
@note_option
def clear(campaign: Path | None, press: str | None, by: str | None, note: str) -> None:
    """Allow motion again after a press was made safe and a person has looked at it."""
    from pressopt.campaign.events import FaultCleared
    from pressopt.campaign.lifecycle import PressPhase
    from pressopt.cli.looking import look_at

    if press is None:
        with look_at(campaign, think=False) as look:
            state = look.answer.state
        safe = [name for name, phase in state.presses.items() if phase is PressPhase.SAFE]
        if len(safe) != 1:
            known = ", ".join(f"{name} ({phase.value})" for name, phase in state.presses.items()) or "none"
            raise click.UsageError(f"{len(safe)} presses are in the safe state; say which with --press: {known}")
        (press,) = safe
    say(campaign, FaultCleared(press, by=name_of(by), note=note), name_of(by))


@click.command()
@campaign_option
@who_option
@note_option
def pause(campaign: Path | None, by: str | None, note: str) -> None:
    """Propose nothing new; what runs goes on."""
    from pressopt.campaign.events import CampaignPaused

    say(campaign, CampaignPaused(note), name_of(by))


@click.command()
@campaign_option
@who_option
def unpause(campaign: Path | None, by: str | None) -> None:
    """Open a paused campaign again; `pressopt resume` then goes on."""
    from pressopt.campaign.events import CampaignContinued

    say(campaign, CampaignContinued(), name_of(by))


@click.command()
@campaign_option
@who_option
@note_option
def close(campaign: Path | None, by: str | None, note: str) -> None:
    """End a campaign before its budget is spent, with the answer that the data allow."""
    from pressopt.assembly import answer_of
    from pressopt.campaign.events import CampaignClosed
    from pressopt.cli.remote import client_of
    from pressopt.store.places import find_campaign

    with client_of() as client:  # a service thinks for itself
        answer = {} if client is not None else answer_of(find_campaign(campaign))
    say(campaign, CampaignClosed(note or "closed by a person", answer), name_of(by))
