"""How a service is set up: where it listens, where it stores, which presses it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pressopt.errors import InputError, Violation
from pressopt.service.access import is_loopback
from pressopt.service.acts import ServiceState
from pressopt.service.notices import Receivers
from pressopt.service.press_plan import PressPlan

#: Where a service listens when nobody says otherwise.
HOST, PORT = "127.0.0.1", 8765


@dataclass(frozen=True)
class Settings:
    """One service.

    Attributes:
        store: Folder of the SQLite store, or the address of a PostgreSQL database (``postgresql://...``).
        host, port: Where it listens.
        body_bytes: Largest body of a request.
        per_second: Requests of one caller a second, on average; 0: no limit.
        presses: The presses whose runners it starts and watches.
        receivers: Who is told when a person is needed.
    """

    store: str
    host: str = HOST
    port: int = PORT
    body_bytes: int = 64_000_000
    per_second: float = 0.0
    presses: tuple[PressPlan, ...] = ()
    receivers: Receivers | None = None

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it, so that it demands no tokens."""
        return is_loopback(self.host)

    @property
    def folder(self) -> Path:
        """Where runners and other files of the service lie."""
        return Path("pressopt-service") if self.store.startswith("postgres") else Path(self.store)

    def refuse_without_tokens(self, state: ServiceState) -> None:
        """Refuse to listen where others can reach it while nobody could say who they are.

        Raises:
            InputError: There is no administrator's token.
        """
        administrators = [
            token for token in state.tokens.values() if token.role == "administrator" and not token.revoked_at
        ]
        if not self.local and not administrators:
            raise InputError(
                [
                    Violation(
                        "--host",
                        f"{self.host} can be reached from other machines, and nobody has a token: make one with "
                        f"`pressopt token create NAME --role administrator --store {self.store}`, or use {HOST}",
                    )
                ]
            )
