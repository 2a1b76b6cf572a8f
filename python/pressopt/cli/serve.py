"""`pressopt serve`: the service for a laboratory."""

from __future__ import annotations

import contextlib
from pathlib import Path

import rich_click as click

from pressopt.cli.storing import store_option


@click.command()
@store_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option(
    "--presses",
    "presses_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that declares the presses of the laboratory.  [default: one virtual press]",
)
@click.option("--no-presses", is_flag=True, help="No presses: people and robots ask and tell.")
@click.option(
    "--notify",
    "notify_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that says who is told when a person is needed: webhooks and e-mail.",
)
@click.option("--max-body", default=64.0, show_default=True, type=click.FloatRange(0.01, 10_000), help="MB.")
@click.option(
    "--rate", type=click.FloatRange(min=0), help="Requests of one caller a second.  [default: 50; on loopback any]"
)
def serve(
    store: str,
    host: str,
    port: int,
    presses_file: Path | None,
    no_presses: bool,
    notify_file: Path | None,
    max_body: float,
    rate: float | None,
) -> None:
    """Serve many campaigns and presses over HTTP, until Ctrl-C.

    On this machine alone (the default) nobody needs an account. As soon as it listens elsewhere it demands tokens
    and does not start without: `pressopt token create` makes them. TLS is the work of a reverse proxy before it.

    Examples:

        pressopt serve

        pressopt serve --store /srv/pressopt --presses our-presses.toml

        pressopt serve --store postgresql://pressopt@db/pressopt --host 0.0.0.0
    """
    try:
        from pressopt.service.app import create_app
        from pressopt.service.notices import read_receivers
        from pressopt.service.press_plan import PressPlan, read_presses
        from pressopt.service.settings import Settings
    except ImportError as error:
        raise click.UsageError(
            f"the service needs more packages ({error}): pip install 'pressopt[service]'"
        ) from error
    from pressopt.service.listening import listen, log_to_stderr, run_until_stopped
    from pressopt.store.opening import open_ledger

    plans: tuple[PressPlan, ...] = () if no_presses else (PressPlan("twin"),)
    if presses_file is not None:
        plans = read_presses(presses_file)
    log_to_stderr()
    with contextlib.closing(listen(host, port)) as socket, contextlib.closing(open_ledger(store)) as ledger:
        settings = Settings(
            store=store,
            host=host,
            port=socket.getsockname()[1],
            body_bytes=round(max_body * 1e6),
            per_second=rate if rate is not None else 0.0 if host in {"127.0.0.1", "localhost", "::1"} else 50.0,
            presses=plans,
            receivers=read_receivers(notify_file) if notify_file is not None else None,
        )
        click.echo(f"http://{host}:{settings.port} (store: {ledger.where})")
        run_until_stopped(create_app(settings, ledger), socket)
