"""Port: the journals of many campaigns in one store, and whatever has to be written together with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pressopt.campaign.events import Event, from_json, to_json
from pressopt.campaign.journal import Entry, chained


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of one journal as it lies in a store, its event still text.

    Attributes:
        stream: Whose journal: the id of a campaign, or a name of the service's own.
        seq, at, actor, digest: As :class:`Entry`.
        kind, version, body: The event.
    """

    stream: str
    seq: int
    at: str
    actor: str
    kind: str
    version: int
    body: str
    digest: str

    def entry(self) -> Entry:
        """Return it with its event; raises JournalNewer or JournalUnreadable."""
        return Entry(self.seq, self.at, self.actor, from_json(self.kind, self.version, self.body), self.digest)


def row_of(stream: str, previous: str, seq: int, at: str, actor: str, event: Event) -> Row:
    """Return the row that follows the entry with digest ``previous``."""
    kind, body = type(event).__name__, to_json(event)
    digest = chained(previous, seq, at, actor, kind, event.version, body)
    return Row(stream, seq, at, actor, kind, event.version, body, digest)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer that a request got, kept so that its repetition gets the same one.

    Attributes:
        key: Chosen by whoever asks, unique for each request of theirs.
        request: Digest of the request: the same key with another request is a mistake.
        status: HTTP status of the answer.
        body: The answer, JSON.
        at: When, ISO 8601 UTC.
    """

    key: str
    request: str
    status: int
    body: str
    at: str


@dataclass(frozen=True, slots=True)
class Intake:
    """How far the journal of a runner has been taken over: ``seq`` of ``source`` into ``stream``."""

    source: str
    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class Write:
    """What one act changes in the store: all of it or nothing.

    Attributes:
        rows: Entries that follow those that are there.
        blobs: Raw data that they name by digest.
        summaries: Stream to the JSON that lists of campaigns show; a view, which replay can make again.
        receipt: The answer that this act gets.
        intake: How far a runner's journal is taken over with it.
    """

    rows: tuple[Row, ...] = ()
    blobs: tuple[bytes, ...] = ()
    summaries: tuple[tuple[str, str], ...] = ()
    receipt: Receipt | None = None
    intake: Intake | None = None


class Ledger(Protocol):
    """Every store of many journals keeps these promises.

    - ``write`` returns only when everything is on disk, all of it or none; entries are numbered through, over all
      streams, in the order in which they were given.
    - Entries and raw data are never changed, deleted or reordered; ``seq`` of a stream has no gaps.
    - One process writes. Any thread may read, and sees whole writes only.
    """

    def write(self, writes: Sequence[Write]) -> list[int]:
        """Write everything in one transaction; return for each write the number of its first entry."""
        ...

    @property
    def last_number(self) -> int:
        """Number of the newest entry; 0 while there is none."""
        ...

    def streams(self) -> list[str]:
        """All streams, in the order in which they began."""
        ...

    def rows(self, stream: str, after: int = 0) -> list[Row]:
        """Entries of one stream after its number ``after``, in order."""
        ...

    def news(self, after: int, limit: int, stream: str | None = None) -> list[tuple[int, Row]]:
        """Entries of all streams (or one) after number ``after``, with their numbers, in order."""
        ...

    def blob(self, digest: str) -> bytes:
        """Return raw data exactly as they were given, or raise JournalUnreadable."""
        ...

    def blobs_of(self, stream: str) -> Iterator[bytes]:
        """All raw data that entries of a stream name."""
        ...

    def summaries(self) -> dict[str, str]:
        """What lists of campaigns show, by stream."""
        ...

    def receipt(self, key: str) -> Receipt | None:
        """The answer that was given under a key."""
        ...

    def taken(self, source: str, stream: str) -> int:
        """How far the journal of a runner has been taken over into a stream."""
        ...

    def verify(self) -> dict[str, int]:
        """Check chains and raw data; return the number of entries of each stream, or raise JournalUnreadable."""
        ...

    def backup(self, to: Path) -> int:
        """Copy everything into a new file while others go on; return the number of entries in it."""
        ...

    def close(self) -> None: ...
