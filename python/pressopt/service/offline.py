"""What is done to a service's own journal while it is not running: the first token, above all."""

from __future__ import annotations

from pressopt.campaign.events import Event
from pressopt.campaign.journal import START
from pressopt.campaign.ledger import Ledger, Write, row_of
from pressopt.service.acts import SERVICE, ServiceState, follow
from pressopt.service.hosted import now_text


def state_of(ledger: Ledger) -> ServiceState:
    """Return the service as its journal tells it."""
    return follow(ServiceState(), ledger.rows(SERVICE))


def note(ledger: Ledger, act: Event, *, by: str) -> None:
    """Write down one act; on disk when this returns."""
    state = state_of(ledger)
    row = row_of(SERVICE, state.digest or START, state.last_seq + 1, now_text(), by, act)
    ledger.write([Write(rows=(row,))])
