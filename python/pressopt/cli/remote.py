"""Commands with ``--server``: the same words, said to a service."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import rich_click as click
from click.exceptions import Exit

if TYPE_CHECKING:
    from pressopt.campaign.events import Event
    from pressopt.campaign.experiment import Experiment
    from pressopt.campaign.replay import CampaignState
    from pressopt.campaign.watching import Watcher
    from pressopt.service.client import Client


@contextlib.contextmanager
def client_of() -> Iterator[Client | None]:
    """Yield a client of the service that ``--server`` names; None: campaigns lie on this disk."""
    context = click.get_current_context(silent=True)
    given = context.find_root().params if context is not None else {}
    if not given.get("server"):
        yield None
        return
    try:
        from pressopt.service.client import Client
    except ImportError as error:
        raise click.UsageError(
            f"--server needs more packages ({error}): pip install 'pressopt[service]'"
        ) from error
    with Client(given["server"], given.get("token")) as client:
        yield client


def campaign_there(client: Client, where: Path | None) -> str:
    """Return the id of the campaign that a person means: its id, its name or experiment file; None: the newest.

    Raises:
        JournalMissing: There is none.
    """
    from pressopt.errors import JournalMissing

    rows = client.campaigns()
    if where is None:
        if not rows:
            raise JournalMissing(
                f"{client.url} has no campaign: start one with `pressopt --server {client.url} run`"
            )
        return rows[0].id
    meant = str(where)
    for row in rows:
        if meant == row.id or where.stem == row.name:
            return row.id
    known = ", ".join(row.id for row in rows[:5]) or "none"
    raise JournalMissing(f"{client.url} has no campaign {meant!r}: it has {known}")


def say_there(client: Client, campaign: str, event: Event, by: str, blobs: tuple[bytes, ...] = ()) -> None:
    """Tell the service what a person says of a campaign."""
    from pressopt.campaign import events as e

    match event:
        case e.Loaded():
            client.confirm(campaign, event.trial, by=by)
        case e.TrialRejected():
            client.reject(campaign, event.trial, reason=event.reason, by=by)
        case e.Resolved():
            client.resolve(
                campaign,
                event.trial,
                cast('Literal["discard", "measure", "done"]', event.action),
                note=event.note,
                by=by,
                achieved=event.achieved,
                outcomes=event.outcomes,
            )
        case e.PersonAnswered():
            client.answer(
                campaign,
                event.trial,
                event.number,
                action=event.action,
                values=event.values,
                again=event.again,
                why=event.why,
                by=by,
            )
        case e.Attached():
            client.attach(campaign, event.trial, event.name, blobs[0], note=event.note, by=by)
        case e.FaultCleared():
            client.clear(event.press, note=event.note, by=by)
        case e.CampaignPaused():
            client.pause(campaign, event.reason)
        case e.CampaignContinued():
            client.resume(campaign)
        case e.CampaignClosed():
            client.close_campaign(campaign, event.reason)
        case _:
            raise click.UsageError(f"{type(event).__name__} cannot be said to a service")


def repeat_there(client: Client, experiment: Experiment, *, priority: int = 0) -> str:
    """Open the repetition of a protocol at a service, for any press that suits, and return its id.

    Raises:
        LimitError: No press there could take it: it would wait for ever.
    """
    from pressopt.errors import LimitError, Violation

    wanted = experiment.laboratory.kind
    presses = {press["name"]: press["kind"] for press in client.presses()}
    if wanted not in presses.values():
        told = ", ".join(f"{name} ({kind})" for name, kind in presses.items()) or "no press"
        why = f"the repetition needs a {wanted}, {client.url} has {told}: name a laboratory like it with --on"
        raise LimitError([Violation("laboratory.kind", why)])
    return client.create(experiment.text, name=experiment.path.name, presses=["*"], priority=priority)


def watch(
    client: Client, campaign: str, *, as_json: bool, quiet: bool, repeats: Mapping[str, Any] | None = None
) -> None:
    """Show a campaign of a service as it goes, until it is closed, paused, or needs a person; then its answer.

    ``repeats`` is the protocol file that it presses again: the answer is set beside what that promised.
    """
    from rich.console import Console

    from pressopt.assembly import target_missed
    from pressopt.campaign.lifecycle import CampaignPhase
    from pressopt.cli.looking import look_at
    from pressopt.cli.progress import JsonWatcher
    from pressopt.cli.run import TARGET_MISSED
    from pressopt.errors import NeedsPersonError
    from pressopt.export.document import document_bytes
    from pressopt.export.files import write_all, write_file
    from pressopt.export.repetition import COMPARISON, compare, comparison_document, falls_short
    from pressopt.export.summary import final_summary

    state = _follow(client, campaign, as_json=as_json, quiet=quiet)
    with look_at(Path(campaign), think=True) as look:
        experiment = look.answer.experiment
        files = (
            write_all(
                experiment, look.journal, look.folder, untouched=look.untouched, recommender=look.recommender
            )
            if state.done
            else []
        )
        compared = compare(repeats, experiment, look.answer.state) if repeats is not None else ()
        if repeats is not None:
            found = comparison_document(repeats, experiment, look.answer.state)
            files.append(write_file(look.folder / COMPARISON, document_bytes(found)))
        text, document = final_summary(experiment, state, look.untouched, files, compared)
    if as_json:
        JsonWatcher().write(document)
    else:
        Console(width=100).print(text)
    if state.asking:
        told = "; ".join(f"trial {one.number} is {one.phase.value}: {one.note}" for one in state.asking)
        raise NeedsPersonError(f"{told}. Look at press and cell, then say what you found: `pressopt resolve`")
    if state.phase is CampaignPhase.CLOSED and (falls_short(compared) or target_missed(experiment, state)):
        raise Exit(TARGET_MISSED)


def _follow(client: Client, campaign: str, *, as_json: bool, quiet: bool) -> CampaignState:
    """Follow a campaign's events until nothing more comes by itself."""
    from pressopt.assembly import changed
    from pressopt.campaign.events import CampaignOpened, from_json
    from pressopt.campaign.experiment_file import read_experiment
    from pressopt.campaign.journal import Entry
    from pressopt.campaign.lifecycle import CampaignPhase
    from pressopt.campaign.replay import CampaignState, apply

    newest = client.campaign(campaign)["last_seq"]
    state, watcher = CampaignState(), cast("Watcher | None", None)
    for one in client.events(campaign):
        event = from_json(one.event, one.version, json.dumps(one.data))
        state = apply(state, Entry(one.seq, one.at, one.actor, event, ""))
        if isinstance(event, CampaignOpened):
            parsed = read_experiment(event.experiment_text, event.experiment_path)
            watcher = _watcher(changed(parsed, event.changes), as_json, quiet)
        if watcher is not None:
            watcher.on_entry(event, state)
        ended = state.phase in {CampaignPhase.CLOSED, CampaignPhase.PAUSED} and not state.in_flight
        if one.seq >= newest and (ended or state.asking):
            break
    return state


def _watcher(experiment: Experiment, as_json: bool, quiet: bool) -> Watcher:
    from pressopt.cli.progress import JsonWatcher, LineWatcher

    return JsonWatcher() if as_json else LineWatcher(experiment, (lambda _: None) if quiet else click.echo)
