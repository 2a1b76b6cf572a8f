"""Port: the append-only journal of one campaign, and the inbox for people's wishes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pressopt.campaign.events import Event


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as written down.

    Attributes:
        seq: Its number, from 1, without gaps.
        at: Date and time of writing, ISO 8601 UTC.
        actor: Who or what caused it.
        event: The event.
        digest: SHA-256 over the entry and the digest of the one before it: the chain that shows tampering.
    """

    seq: int
    at: str
    actor: str
    event: Event
    digest: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks of a running campaign, through its inbox: an event to be applied by the runner."""

    number: int
    actor: str
    event: Event


class Journal(Protocol):
    """Every store keeps these promises.

    - ``append`` returns only when events and blobs are on disk, all of them or none.
    - A wish stays in the inbox until what became of it is on disk: ``append`` takes it out with its events.
    - Entries are never changed, deleted or reordered; ``seq`` has no gaps.
    - One process writes; a second is refused with JournalLocked and the holder's name. Readers see whole entries.
    - ``blob`` returns exactly the bytes that were given, or raises JournalUnreadable.
    """

    def append(self, *events: Event, actor: str, blobs: Sequence[bytes] = (), settles: Sequence[int] = ()) -> None:
        """Write events and blobs down; in the same stroke the wishes numbered ``settles`` are taken out."""
        ...

    def entries(self, after: int = 0) -> Iterator[Entry]: ...

    def blob(self, digest: str) -> bytes: ...

    def wishes(self) -> list[Wish]:
        """Return the wishes of which nothing has become yet, oldest first."""
        ...

    def close(self) -> None: ...


#: What the digest of the first entry is made from.
START = "0" * 64


def digest_of(data: bytes) -> str:
    """Return the name under which a blob is stored: its SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def chained(previous: str, seq: int, at: str, actor: str, kind: str, version: int, body: str) -> str:
    """Return the digest of an entry, made from its content and the digest of the one before it."""
    text = json.dumps([previous, seq, at, actor, kind, version, body], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
