"""What has just been written, for everybody who watches; numbered, so that a lost connection loses nothing."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pressopt.campaign.ledger import Ledger, Row
from pressopt.service.acts import SERVICE

#: Entries kept in memory; whoever is further behind reads them from the store.
_KEPT = 4096
#: Entries read from the store at a time.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class News:
    """One entry with its number among all entries of the store."""

    number: int
    row: Row

    def document(self) -> dict[str, object]:
        """The entry as plain data."""
        row = self.row
        return {
            "number": self.number,
            "campaign": row.stream,
            "seq": row.seq,
            "at": row.at,
            "actor": row.actor,
            "event": row.kind,
            "version": row.version,
            "data": json.loads(row.body),
        }


class Feed:
    """Hands new entries to any number of watchers; a slow one delays nobody."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._recent: deque[News] = deque(maxlen=_KEPT)
        self._last = ledger.last_number
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    @property
    def last(self) -> int:
        """Number of the newest entry."""
        return self._last

    def publish(self, first: int, rows: tuple[Row, ...]) -> None:
        """Tell everybody of entries that are on disk."""
        self._recent.extend(News(first + place, row) for place, row in enumerate(rows))
        self._last = max(self._last, first + len(rows) - 1)
        self._wake()

    def close(self) -> None:
        """End all watching."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def watch(
        self, after: int, campaign: str | None = None, *, idle_s: float | None = None
    ) -> AsyncIterator[list[News]]:
        """Yield entries after number ``after`` as they come, in order and none twice.

        Args:
            after: Number of the last entry that the watcher knows.
            campaign: Only of this one; None: of all campaigns (not of the service itself).
            idle_s: Yield an empty list when nothing came for so long, s.
        """
        while not self._closed:
            found = await self._since(after, campaign)
            if found:
                after = found[-1].number
                wanted = [one for one in found if one.row.stream != SERVICE]
                if wanted:
                    yield wanted
                continue
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await asyncio.wait_for(waiting, idle_s)
            except TimeoutError:
                yield []
            finally:
                self._waiting.discard(waiting)

    async def _since(self, after: int, campaign: str | None) -> list[News]:
        """Entries after a number: from memory where it reaches back so far, else from the store."""
        if after >= self._last:
            return []
        if self._recent and self._recent[0].number <= after + 1:
            return [one for one in self._recent if one.number > after and campaign in {None, one.row.stream}]
        found = await asyncio.to_thread(self._ledger.news, after, _CHUNK, campaign)
        return [News(number, row) for number, row in found]
