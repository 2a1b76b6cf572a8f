"""What keeps a service's store trustworthy: `token`, `backup`, `restore`, `verify`, and campaigns as files."""

from __future__ import annotations

import contextlib
import getpass
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

if TYPE_CHECKING:
    from pressopt.service.client import Client, Role
    from pressopt.store.ledger import SqlLedger

STORE = "pressopt-service"
store_option = click.option(
    "--store",
    envvar="PRESSOPT_STORE",
    default=STORE,
    show_default=True,
    help="Folder of the service's store, or postgresql://user@host/database.",
)


@contextlib.contextmanager
def _needed() -> Iterator[Client]:
    """Yield a client of the service that --server names; without, that is a mistake."""
    from pressopt.cli.remote import client_of

    with client_of() as client:
        if client is None:
            raise click.UsageError("say which service: `pressopt --server URL ...`")
        yield client


# ---------------------------------------------------------------------- who may use a service


@click.group()
def token() -> None:
    """Who may use a service: viewers look, operators work, administrators also make and revoke tokens.

    With `--server` the running service is asked (as an administrator); else its store is opened, which it must not
    be using at that moment. That is how the first administrator's token is made.
    """


@token.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["viewer", "operator", "administrator"]), default="operator", show_default=True
)
@store_option
def create(name: str, role: Role, store: str) -> None:
    """Make a token for NAME and print it; it is shown this once, and kept nowhere."""
    from pressopt.cli.remote import client_of

    with client_of() as client:
        if client is not None:
            click.echo(client.create_token(name, role))
            return
    from pressopt.service.access import new_token

    with contextlib.closing(_ledger(store)) as ledger:
        from pressopt.service.offline import note, state_of

        text, made = new_token(state_of(ledger), name, role)
        note(ledger, made, by=getpass.getuser())
    click.echo(text)


@token.command("list")
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def list_(store: str, as_json: bool) -> None:
    """List who has a token; the tokens themselves are kept nowhere."""
    from pressopt.cli.remote import client_of

    with client_of() as client:
        rows = client.tokens() if client is not None else _tokens(store)
    if as_json:
        click.echo(json.dumps({"schema": "pressopt/tokens/1", "tokens": rows}, ensure_ascii=False))
        return
    for row in rows:
        ended = f"  revoked {row['revoked_at']}" if row["revoked_at"] else ""
        click.echo(f"{row['name']:24} {row['role']:14} since {row['created_at']}{ended}")


@token.command()
@click.argument("name")
@store_option
def revoke(name: str, store: str) -> None:
    """End the token of NAME, at once."""
    from pressopt.cli.remote import client_of

    with client_of() as client:
        if client is not None:
            client.revoke_token(name)
            click.echo(f"revoked: {name}")
            return
    from pressopt.service.access import revoked

    with contextlib.closing(_ledger(store)) as ledger:
        from pressopt.service.offline import note, state_of

        note(ledger, revoked(state_of(ledger), name), by=getpass.getuser())
    click.echo(f"revoked: {name}")


def _ledger(store: str) -> SqlLedger:
    from pressopt.store.opening import open_ledger

    return open_ledger(store)


def _tokens(store: str) -> list[dict[str, object]]:
    from pressopt.service.offline import state_of
    from pressopt.store.opening import read_ledger

    with contextlib.closing(read_ledger(store)) as ledger:
        return [
            {
                "name": one.name,
                "role": one.role,
                "created_at": one.created_at,
                "revoked_at": one.revoked_at or None,
            }
            for one in state_of(ledger).tokens.values()
        ]


# ---------------------------------------------------------------------- backup and trust


@click.command()
@click.argument("to", type=click.Path(path_type=Path, dir_okay=False))
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def backup(to: Path, store: str, as_json: bool) -> None:
    """Copy a service's store into the new file TO while the service goes on, and check the copy."""
    from pressopt.store.opening import read_ledger

    with contextlib.closing(read_ledger(store)) as ledger:
        count = ledger.backup(to)
    line = {"schema": "pressopt/backup/1", "file": str(to), "entries": count}
    click.echo(json.dumps(line) if as_json else f"{to}: {count} entries, checked")


@click.command()
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@store_option
def restore(source: Path, store: str) -> None:
    """Fill an empty store from the backup SOURCE; from SQLite to PostgreSQL or back, as you like."""
    with contextlib.closing(_ledger(store)) as ledger:
        click.echo(f"{ledger.where}: {ledger.restore(source)} entries")


@click.command()
@click.argument("campaign", required=False, type=click.Path(path_type=Path))
@click.option("--store", help="Check all journals of a service's store, or of a backup of it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(campaign: Path | None, store: str | None, as_json: bool) -> None:
    """Check that no entry and no raw data of a journal were changed after they were written."""
    if store is not None:
        _verify_store(store, as_json)
        return
    from pressopt.cli.looking import located
    from pressopt.store import SqliteJournal

    with located(campaign) as (folder, path), contextlib.closing(SqliteJournal.read(path)) as journal:
        count = journal.verify()
        head = list(journal.entries())[-1].digest if count else ""
        where = path if path.parent == folder else folder
    if as_json:
        click.echo(
            json.dumps({"schema": "pressopt/verify/1", "journal": str(where), "entries": count, "head": head})
        )
    else:
        click.echo(f"{where}: {count} entries, unchanged since they were written; head {head[:12]}")


def _verify_store(store: str, as_json: bool) -> None:
    from pressopt.store.opening import read_ledger

    with contextlib.closing(read_ledger(store)) as ledger:
        found = ledger.verify()
        where = ledger.where
    if as_json:
        click.echo(json.dumps({"schema": "pressopt/verify/1", "store": where, "journals": found}))
    else:
        click.echo(
            f"{where}: {len(found)} journals, {sum(found.values())} entries, unchanged since they were written"
        )


# ---------------------------------------------------------------------- campaigns as files


@click.command()
@click.argument("campaign")
@click.argument("to", type=click.Path(path_type=Path, dir_okay=False))
def fetch(campaign: str, to: Path) -> None:
    """Save CAMPAIGN of a service (`--server`) as one file TO: a journal that every command reads."""
    from pressopt.cli.remote import campaign_there

    with _needed() as client:
        data = client.journal(campaign_there(client, Path(campaign)))
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(data)
    click.echo(to)


@click.command("import")
@click.argument("campaign", type=click.Path(path_type=Path, exists=True))
@click.option("--press", "presses", multiple=True, help="Press that may go on with it; '*': any.  [default: none]")
def import_(campaign: Path, presses: tuple[str, ...]) -> None:
    """Take CAMPAIGN (its folder, experiment file or journal) in at a service (`--server`); twice is once."""
    from pressopt.store.places import find_campaign, journal_of

    path = campaign if campaign.is_file() and campaign.suffix == ".sqlite" else journal_of(find_campaign(campaign))
    with _needed() as client:
        click.echo(client.take_in(whole_file(path), presses))


def whole_file(path: Path) -> bytes:
    """Return a journal as one file, with whatever lies in the log beside it."""
    import tempfile

    from pressopt.store import SqliteJournal

    with tempfile.TemporaryDirectory(prefix="pressopt-") as folder:
        copy = Path(folder) / "journal.sqlite"
        with (
            contextlib.closing(SqliteJournal.read(path)) as journal,
            contextlib.closing(SqliteJournal.create(copy)) as target,
        ):
            target.take_in(journal.rows(), journal.blobs())
        return copy.read_bytes()
