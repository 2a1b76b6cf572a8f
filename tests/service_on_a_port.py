"""A service on a free port of this machine, in a thread, with a client for it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from pressopt.clock import wall_monotonic_s, wall_pause_s
from pressopt.service.app import create_app
from pressopt.service.listening import Server, listen
from pressopt.service.notices import Receivers
from pressopt.service.press_plan import PressPlan
from pressopt.service.settings import Settings
from pressopt.store.ledger import SqlLedger
from pressopt.store.opening import open_ledger
from processes import experiment_file

QUANTITY = "interfacial_resistance_ohm_cm2"
#: What makes of the shipped argyrodite experiment one on a hand press.
BY_HAND = {
    '[laboratory]\nkind = "twin"': (
        '[laboratory]\npress = { profile = "generic-hand-press" }\nloading = "person"\nkind = "twin"'
    ),
    'temperature = { low = "25 °C", high = "90 °C", step = "1 °C" }': 'temperature = "25 °C"',
    'low = "1 MPa", high = "100 MPa", scale = "log", step = "0.1 MPa"': 'low = "10 MPa", high = "100 MPa"',
    'pressure = "5 MPa"': 'pressure = "10 MPa"',
}


@dataclass
class Served:
    """A running service: its address, a client that knows it, and its store."""

    url: str
    http: httpx.Client
    ledger: SqlLedger


@contextlib.contextmanager
def served(
    store: Path | str,
    *,
    host: str = "127.0.0.1",
    presses: tuple[PressPlan, ...] = (),
    body_bytes: int = 4_000_000,
    per_second: float = 0.0,
    receivers: Receivers | None = None,
) -> Iterator[Served]:
    """Serve ``store`` until the end of the block; ``host`` is what it believes to listen on."""
    with (
        contextlib.closing(listen("127.0.0.1", 0)) as socket,
        contextlib.closing(open_ledger(str(store))) as ledger,
    ):
        port = socket.getsockname()[1]
        settings = Settings(str(store), host, port, body_bytes, per_second, presses, receivers)
        server = Server(create_app(settings, ledger))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, name="service")
        thread.start()
        try:
            wait_for(lambda: server.started or not thread.is_alive(), "the service to start")
            assert server.started, "the service did not start"
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=f"{url}/v1", timeout=60.0) as http:
                yield Served(url, http, ledger)
        finally:
            server.should_exit = True
            thread.join()


def wait_for(met: Callable[[], object], what: str, *, within_s: float = 60.0) -> None:
    """Wait until a condition is met; fail with its name when it is not within a minute."""
    end_s = wall_monotonic_s() + within_s
    while not met():
        assert wall_monotonic_s() < end_s, f"waited {within_s:g} s for {what}"
        wall_pause_s(0.02)


def experiment_text(folder: Path, *, trials: int = 5, strategy: str = "sobol") -> str:
    """Return a short variant of the shipped argyrodite experiment."""
    return experiment_file(folder, trials=trials, strategy=strategy).read_text()


def told(value: float = 12.0, sd: float = 0.5) -> dict[str, object]:
    """Return a result as a person tells it."""
    return {"outcomes": {QUANTITY: {"value": value, "sd": sd}}}
