"""`pressopt run` and `pressopt resume`: a campaign from the experiment file to the recommended protocol."""

from __future__ import annotations

import contextlib
import getpass
import os
import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from click.exceptions import Exit

if TYPE_CHECKING:
    from pressopt.assembly import Campaign
    from pressopt.campaign.replay import TrialState
    from pressopt.campaign.watching import StopRequest, Watcher

#: Exit code when the campaign ended without reaching the target it was given.
TARGET_MISSED = 3
_STOPPING = b"\nstopping: the trial in flight ends first; Ctrl-C again breaks it off and makes the press safe\n"


@click.command()
@click.argument("experiment", required=False, type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    type=click.Path(path_type=Path),
    help="Press this protocol file again instead of searching, and compare the result with what it promises.",
)
@click.option("--cells", type=click.IntRange(min=1), help="With --protocol: so many cells.  [default: 1]")
@click.option(
    "--on",
    type=click.Path(path_type=Path),
    help="With --protocol: in the laboratory of this experiment file.  [default: the built-in twin]",
)
@click.option("--press", help="With --protocol: on this press, a profile by name or file.")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Folder for journal and results.  [default: beside EXPERIMENT]",
)
@click.option("--new", is_flag=True, help="Start a new campaign although an unfinished one is there.")
@click.option(
    "--trials", type=click.IntRange(min=1), help="Press at most so many cells, instead of the file's budget."
)
@click.option("--seed", type=int, help="Another seed than the file's.")
@click.option("--priority", type=int, default=0, help="With --server: the higher goes first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event on standard output.")
@click.option("--quiet", is_flag=True, help="Only the answer.")
def run(
    experiment: Path | None,
    protocol: Path | None,
    cells: int | None,
    on: Path | None,
    press: str | None,
    store: Path | None,
    new: bool,
    trials: int | None,
    seed: int | None,
    priority: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the campaign described by EXPERIMENT: propose, press, measure, learn, recommend.

    On the built-in twin (`[laboratory] kind = "twin"`) it takes seconds; on a bench it runs the real instruments.
    Ctrl-C lets the trial in flight end and stops; a second Ctrl-C breaks it off and makes the press safe.
    `pressopt resume` goes on.

    Examples:

        pressopt run experiments/li-lpscl-symmetric.toml

        pressopt run experiments/na-stack-pressure.toml --trials 12 --json > events.jsonl

        pressopt run --protocol protocol.json --cells 3 --on our-bench.toml

        pressopt --server http://127.0.0.1:8765 run experiments/li-lpscl-symmetric.toml

        pressopt --server http://127.0.0.1:8765 run --protocol protocol.json
    """
    if protocol is not None:
        wrong = {"EXPERIMENT": experiment, "--new": new or None, "--trials": trials, "--seed": seed}
        given = [name for name, value in wrong.items() if value is not None]
        if given:
            raise click.UsageError(f"{', '.join(given)} does not go with --protocol: nothing is searched there")
        from pressopt.assembly import begin_repetition, repetition_of
        from pressopt.cli.remote import client_of, repeat_there, watch

        with client_of() as client:
            if client is not None:
                document, again_there = repetition_of(protocol, cells=cells or 1, on=on, press=press)
                there = repeat_there(client, again_there, priority=priority)
                watch(client, there, as_json=as_json, quiet=quiet, repeats=document)
                return
        again = begin_repetition(protocol, store=store, cells=cells or 1, on=on, press=press)
        _go(again, as_json=as_json, quiet=quiet)
        return
    if experiment is None:
        raise click.UsageError("name an experiment file, or a protocol file with --protocol")
    given = [name for name, value in {"--cells": cells, "--on": on, "--press": press}.items() if value is not None]
    if given:
        raise click.UsageError(f"{', '.join(given)} goes with --protocol only")
    from pressopt.cli.remote import client_of, watch

    with client_of() as client:
        if client is not None:
            if store is not None or new:
                raise click.UsageError("--store and --new are for a campaign here: leave them out with --server")
            there = client.create(experiment, presses=["*"], priority=priority, trials=trials, seed=seed)
            watch(client, there, as_json=as_json, quiet=quiet)
            return
    from pressopt.assembly import begin_campaign

    _go(begin_campaign(experiment, store=store, new=new, trials=trials, seed=seed), as_json=as_json, quiet=quiet)


@click.command()
@click.argument("campaign", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event on standard output.")
@click.option("--quiet", is_flag=True, help="Only the answer.")
def resume(campaign: Path | None, as_json: bool, quiet: bool) -> None:
    """Go on with CAMPAIGN (its folder or experiment file; default: the newest below this folder).

    Nothing is lost and no cell is pressed twice, however the program ended. If it ended while the ram may have
    moved, this stops with exit code 7 and asks what a person found; `pressopt resolve` answers.
    """
    from pressopt.cli.remote import campaign_there, client_of, watch

    with client_of() as client:
        if client is not None:
            there = campaign_there(client, campaign)
            client.resume(there)
            watch(client, there, as_json=as_json, quiet=quiet)
            return
    from pressopt.assembly import continue_campaign

    _go(continue_campaign(campaign), as_json=as_json, quiet=quiet)


def _go(campaign: Campaign, *, as_json: bool, quiet: bool) -> None:
    """Run to the end, show it, leave with the right code."""
    from rich.console import Console

    from pressopt.campaign.lifecycle import CampaignPhase
    from pressopt.campaign.watching import StopRequest
    from pressopt.cli.progress import JsonWatcher, LineWatcher, LiveWatcher
    from pressopt.export.repetition import falls_short
    from pressopt.export.summary import final_summary

    stop, talk = StopRequest(), Console(stderr=True)
    terminal = talk.is_terminal and not as_json and not quiet
    watcher: Watcher
    with campaign, _signals(stop, talk) as terminated:
        closed = campaign.state.closed
        if closed is not None:
            talk.print(f"the campaign is closed ({closed.reason}): nothing was moved", highlight=False)
        if as_json:
            watcher = JsonWatcher()
            state = campaign.run(watcher, stop=stop)
        elif terminal and closed is None and campaign.by_hand and sys.stdin.isatty():
            from pressopt.cli.by_hand import AtPress

            # A live picture and typed words do not go together.
            watcher = LineWatcher(campaign.experiment, click.echo)
            state = campaign.run(watcher, stop=stop, confirm=_Terminal(), ask=AtPress(click.echo))
        elif terminal and closed is None:
            with LiveWatcher(campaign.experiment, talk) as watcher:
                state = campaign.run(watcher, stop=stop, confirm=_Terminal() if sys.stdin.isatty() else None)
        else:
            watcher = LineWatcher(campaign.experiment, (lambda _: None) if quiet else click.echo)
            state = campaign.run(watcher, stop=stop)
        # Who breaks off wants an end now; `pressopt export` and `plot` write the files at any time.
        files = campaign.write_results() if state.done and not stop.now else []
        compared = campaign.comparisons
        text, document = final_summary(campaign.experiment, state, campaign.untouched(), files, compared)
        if as_json:
            JsonWatcher().write(document)
        else:
            # stdout is data: 100 columns wherever it goes that is no terminal.
            Console(width=None if sys.stdout.isatty() else 100).print(text)
    if terminated:
        raise Exit(143)
    if state.phase is CampaignPhase.PAUSED and not stop.requested:
        talk.print(
            f"the campaign is paused; go on with: pressopt unpause --campaign {campaign.folder}, "
            f"then pressopt resume {campaign.folder}",
            highlight=False,
            soft_wrap=True,
        )
    if stop.requested and state.phase is not CampaignPhase.CLOSED:
        talk.print(
            f"stopped safely; go on with: pressopt resume {campaign.folder}", highlight=False, soft_wrap=True
        )
        raise Exit(130)
    if state.phase is CampaignPhase.CLOSED and (falls_short(compared) or campaign.target_missed(state)):
        raise Exit(TARGET_MISSED)


@contextmanager
def _signals(stop: StopRequest, talk: object) -> Iterator[list[int]]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into a request to stop; yields a list of the latter two once they came."""
    terminated: list[int] = []

    def on_interrupt(*_: object) -> None:
        stop.ask()
        if not stop.now:
            with contextlib.suppress(OSError):  # nobody reads any more
                os.write(2, _STOPPING)  # `print` may not be entered twice, and a signal can come at any time

    def on_terminate(number: int, *_: object) -> None:
        terminated.append(number)
        stop.ask(now=True)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, on_interrupt),
        signal.SIGTERM: signal.signal(signal.SIGTERM, on_terminate),
        signal.SIGHUP: signal.signal(signal.SIGHUP, on_terminate),  # the terminal is gone: nobody watches
    }
    try:
        yield terminated
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Terminal:
    """The person at the terminal: only an Enter that comes after the question confirms that a cell is loaded."""

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self, trial: TrialState) -> str | None:
        """Return the login name of the person who has pressed Enter since the question was put, or None."""
        if self._asked != trial.number:
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
            self._asked = trial.number
            return None
        ready, _, _ = select.select([sys.stdin], [], [], 0.0)
        # The end of input (Ctrl-D, a closed terminal) is no answer.
        return getpass.getuser() if ready and sys.stdin.readline().endswith("\n") else None
