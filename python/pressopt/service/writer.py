"""The one writer: a thread that puts into one transaction whatever has come in while the last one went to disk."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pressopt.campaign.ledger import Ledger, Write
from pressopt.errors import JournalError, JournalFull

#: Writes that go into one transaction at most.
_MOST = 1024


@dataclass(frozen=True, slots=True)
class _Asked:
    write: Write
    generation: int
    then: Callable[[int], None]
    done: asyncio.Future[int]


class Writer:
    """Writes in the order in which it is asked, and answers once it is on disk.

    What is decided is decided on what was decided before, which may not be on disk yet. When a transaction fails,
    everything that was asked since is therefore refused as well (``generation``), and whoever decides begins again
    from what is on disk (``on_failure``).
    """

    def __init__(self, ledger: Ledger, on_failure: Callable[[], None]) -> None:
        self._ledger = ledger
        self._on_failure = on_failure
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="writer")
        self._closed = False
        self.generation = 0
        self._thread.start()

    def submit(self, write: Write, then: Callable[[int], None]) -> asyncio.Future[int]:
        """Ask for ``write``; the result is the number of its first entry.

        ``then`` is called with it as soon as it is on disk, also when nobody waits for the result any more.

        Raises (as the future's exception):
            JournalFull: Nothing of it was written.
        """
        done: asyncio.Future[int] = self._loop.create_future()
        if self._closed:
            done.set_exception(JournalFull("the service is being stopped: ask again when it is back"))
            return done
        self._asked.put(_Asked(write, self.generation, then, done))
        return done

    async def close(self) -> None:
        """Write what was asked, then end the thread."""
        if not self._closed:
            self._closed = True
            self._asked.put(None)
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        failed = 0
        while (first := self._asked.get()) is not None:
            batch, ending = [first], False
            while len(batch) < _MOST:
                try:
                    more = self._asked.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ending = True
                    break
                batch.append(more)
            good = [one for one in batch if one.generation >= failed]
            stale = [one for one in batch if one.generation < failed]
            error: JournalError | None = None
            numbers: list[int] = []
            try:
                numbers = self._ledger.write([one.write for one in good])
            except JournalError as refused:
                error = refused
                failed += 1
            self._tell(good, numbers, error, failed)
            if stale:
                late = JournalFull("something before it could not be written: ask again")
                self._tell(stale, [], late, failed)
            if ending:
                return

    def _tell(self, *values: Any) -> None:
        self._loop.call_soon_threadsafe(self._settle, *values)

    def _settle(self, batch: list[_Asked], numbers: list[int], error: JournalError | None, failed: int) -> None:
        self.generation = failed
        if error is not None:
            self._on_failure()
        for place, one in enumerate(batch):
            if error is None:
                one.then(numbers[place])
            if one.done.done():  # whoever asked has gone; it is written all the same
                continue
            if error is not None:
                one.done.set_exception(error)
            else:
                one.done.set_result(numbers[place])
