"""The heart of the service: campaigns in memory as far as they are needed, and one way to write anything down."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pressopt.assembly import changed, recommender_of, surrogate_of
from pressopt.campaign.events import CampaignOpened, Event
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import read_experiment
from pressopt.campaign.journal import START, digest_of
from pressopt.campaign.ledger import Intake, Ledger, Receipt, Row, Write, row_of
from pressopt.campaign.replay import CampaignState, replay
from pressopt.errors import InputError, JournalUnreadable
from pressopt.optimizer import Recommender
from pressopt.service.acts import SERVICE, Placement, ServiceState, follow
from pressopt.service.feed import Feed
from pressopt.service.hosted import Hosted, LedgerJournal, dumped, now_text, summary_of
from pressopt.service.writer import Writer
from pressopt.surrogate import Surrogate

T = TypeVar("T")
#: Ids of campaigns in addresses.
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}\Z")
#: Trials of all campaigns that are kept in memory together; others are read again when they are asked for.
TRIALS_IN_MEMORY = 100_000
#: Campaigns that are read from the store at the same time.
READ_AT_ONCE = 2
#: Engines (physics and space of an experiment) kept; campaigns of the same file share one.
ENGINES_IN_MEMORY = 64
#: Experiments (files that were read and checked) kept; campaigns of the same file share one.
EXPERIMENTS_IN_MEMORY = 256
#: Version of what lists of campaigns show: views of another version are made again from the journals.
VIEW = 2


class NotFound(InputError):  # noqa: N818 - as HTTP calls it
    """There is no such campaign, trial, press or file."""


class KeyReused(InputError):  # noqa: N818
    """An idempotency key came again with another request."""


@dataclass(frozen=True, slots=True)
class By:
    """Who asks, and under which idempotency key.

    Attributes:
        name: Of the person or program; goes into the journal.
        role: ``viewer``, ``operator`` or ``administrator``.
        key: The request's key; empty: none.
        request: Digest of the request.
    """

    name: str
    role: str = "operator"
    key: str = ""
    request: str = ""


class Host:
    """Holds campaigns, decides under their locks, and writes through the one writer.

    Use as an async context manager. All methods run on the event loop; what takes long goes to threads.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.state = ServiceState()
        self.summaries: dict[str, dict[str, Any]] = {}
        self._hosted: OrderedDict[str, Hosted] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Hosted]] = {}
        self._engines: OrderedDict[str, tuple[Surrogate, Recommender]] = OrderedDict()
        self._experiments: OrderedDict[str, Experiment] = OrderedDict()
        self._keys: dict[str, asyncio.Future[None]] = {}
        self._threads = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="thinking")
        self._tasks: set[asyncio.Task[Any]] = set()
        self.after_write: list[Callable[[Hosted | None, Sequence[Event]], None]] = []

    async def __aenter__(self) -> Host:
        self.state = await asyncio.to_thread(lambda: follow(ServiceState(), self.ledger.rows(SERVICE)))
        await self._load_views()
        self.feed = Feed(self.ledger)
        self.writer = Writer(self.ledger, self._on_failure)
        self.service_lock = asyncio.Lock()
        self._reading = asyncio.Semaphore(READ_AT_ONCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.feed.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.writer.close()
        self._threads.shutdown(cancel_futures=True)

    def spawn(self, work: Awaitable[None]) -> None:
        """Do something beside the requests; it ends with the service."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------------ views

    async def _load_views(self) -> None:
        """Read what lists show; make it again from the journals where it is missing or of another version."""
        kept = await asyncio.to_thread(self.ledger.summaries)
        self.summaries = {name: json.loads(text) for name, text in kept.items()}
        missing = [
            name
            for name in await asyncio.to_thread(self.ledger.streams)
            if name != SERVICE and self.summaries.get(name, {}).get("view") != VIEW
        ]
        made = []
        for name in missing:
            hosted = await asyncio.to_thread(self._read, name)
            created_at = (await asyncio.to_thread(self.ledger.rows, name))[0].at
            self.summaries[name] = self._summary(hosted, hosted.shown, created_at)
            made.append((name, dumped(self.summaries[name])))
        if made:
            await asyncio.to_thread(self.ledger.write, [Write(summaries=tuple(made))])

    def _summary(self, hosted: Hosted, state: CampaignState, created_at: str) -> dict[str, Any]:
        placement = self.state.placements.get(hosted.id, Placement())
        return {**summary_of(hosted.id, hosted.experiment, state, placement, created_at), "view": VIEW}

    # ------------------------------------------------------------------ campaigns in memory

    async def hosted(self, campaign: str) -> Hosted:
        """Return a campaign; read it from the store where it is not in memory.

        Raises:
            NotFound: There is none of that id.
        """
        found = self._hosted.get(campaign)
        if found is not None:
            self._hosted.move_to_end(campaign)
            return found
        if campaign not in self.summaries:
            raise NotFound(f"there is no campaign {campaign[:80]!r}: GET /v1/campaigns lists them")
        task = self._loading.get(campaign)
        if task is None:
            task = asyncio.ensure_future(self._read_in_turn(campaign))
            self._loading[campaign] = task
            task.add_done_callback(lambda _: self._loading.pop(campaign, None))
        loaded = await asyncio.shield(task)
        return self.keep(loaded)

    def keep(self, hosted: Hosted) -> Hosted:
        """Keep a campaign in memory; of two that were read at once the first stays."""
        hosted = self._hosted.setdefault(hosted.id, hosted)
        self._hosted.move_to_end(hosted.id)
        trials = sum(len(one.decided.trials) for one in self._hosted.values())
        for name, one in list(self._hosted.items()):
            if trials <= TRIALS_IN_MEMORY:
                break
            if one is not hosted and not one.lock.locked() and one.decided is one.shown:
                trials -= len(one.decided.trials)
                del self._hosted[name]
        return hosted

    async def _read_in_turn(self, campaign: str) -> Hosted:
        """Read a campaign; a few at a time, so that those in memory are answered meanwhile."""
        async with self._reading:
            return await asyncio.to_thread(self._read, campaign)

    def _read(self, campaign: str) -> Hosted:
        state = replay(row.entry() for row in self.ledger.rows(campaign))
        if state.opened is None:
            raise JournalUnreadable(f"the journal of '{campaign}' does not begin with an experiment")
        return Hosted(campaign, self.experiment(state.opened), state, state)

    def experiment(self, opened: CampaignOpened) -> Experiment:
        """Return the experiment that a campaign was opened with; campaigns of one file share it. Any thread."""
        key = digest_of(repr((opened.experiment_path, opened.experiment_text, dict(opened.changes))).encode())
        found = self._experiments.get(key)
        if found is None:
            parsed = read_experiment(opened.experiment_text, Path(opened.experiment_path))
            found = self._experiments.setdefault(key, changed(parsed, opened.changes))
            while len(self._experiments) > EXPERIMENTS_IN_MEMORY:
                self._experiments.popitem(last=False)
        return found

    def _on_failure(self) -> None:
        """Nothing that was decided since is on disk: begin again from there."""
        for hosted in self._hosted.values():
            hosted.decided = hosted.shown
        self._reread_service()

    def _reread_service(self) -> None:
        self.state = follow(ServiceState(), self.ledger.rows(SERVICE))

    def journal(self, campaign: str) -> LedgerJournal:
        """Return the journal of a campaign for looking."""
        return LedgerJournal(self.ledger, campaign)

    # ------------------------------------------------------------------ thinking

    async def think(self, what: Callable[..., T], *values: Any) -> T:
        """Run something that takes processor time in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, what, *values)

    async def engine(self, experiment: Experiment) -> tuple[Surrogate, Recommender]:
        """Return physics and engine of an experiment; the same for all campaigns of the same file."""
        budget = experiment.budget.trials
        key = f"{experiment.digest}/{experiment.seed}/{budget}/{experiment.laboratory.press}"
        found = self._engines.get(key)
        if found is None:
            found = await self.think(lambda: (surrogate_of(experiment), recommender_of(experiment)))
            self._engines[key] = found
            while len(self._engines) > ENGINES_IN_MEMORY:
                self._engines.popitem(last=False)
        self._engines.move_to_end(key)
        return found

    # ------------------------------------------------------------------ writing

    async def commit(
        self,
        hosted: Hosted,
        events: Sequence[Event],
        by: By,
        document: dict[str, Any],
        *,
        status: int = 200,
        blobs: Sequence[bytes] = (),
        intake: Intake | None = None,
        acts: Sequence[Event] = (),
        taken_in: tuple[Row, ...] = (),
        origins: Sequence[tuple[str, str]] = (),
    ) -> Callable[[], Awaitable[dict[str, Any]]]:
        """Decide ``events`` of a campaign (its lock is held) and ask the writer for them.

        Args:
            hosted: The campaign.
            events: What happens to it.
            by: Who asked.
            document: The answer.
            status: HTTP status of the answer, for its receipt.
            blobs: Raw data that the events name.
            intake: How far a runner's journal is taken over with them.
            acts: What happens to the service with them.
            taken_in: Rows of a campaign that was written elsewhere; its state holds them already.
            origins: Who caused each event and when, where that was written down elsewhere first.

        Returns:
            What waits until they are on disk and then returns ``document``: to be awaited without the lock.

        Raises:
            LifecycleError: The tables do not allow one of the events.
        """
        decided, state = hosted.decide(events, by.name, origins)
        rows = taken_in + decided
        created_at = self.summaries.get(hosted.id, {}).get("created_at") or (rows[0].at if rows else now_text())
        service_rows = self._decide_acts(acts, by.name) if acts else ()
        summary = self._summary(hosted, state, created_at)
        write = Write(
            rows=rows + service_rows,
            blobs=tuple(blobs),
            summaries=((hosted.id, dumped(summary)),),
            receipt=self._receipt(by, status, document),
            intake=intake,
        )
        hosted.decided = state

        def on_disk(first: int) -> None:
            hosted.shown = state
            self.summaries[hosted.id] = summary
            self.feed.publish(first, rows + service_rows)
            for listener in self.after_write:
                listener(hosted, events)

        future = self.writer.submit(write, on_disk)

        async def wait() -> dict[str, Any]:
            await asyncio.shield(future)
            return document

        return wait

    async def note(
        self, acts: Sequence[Event], by: By, document: dict[str, Any], status: int = 200
    ) -> dict[str, Any]:
        """Write down what happened to the service itself, and return ``document`` once it is on disk."""
        rows = self._decide_acts(acts, by.name)
        summaries = []
        for campaign in {getattr(act, "campaign", "") for act in acts} & self.summaries.keys():
            placement = self.state.placements.get(campaign, Placement())
            changed_view = {"presses": list(placement.presses), "priority": placement.priority}
            self.summaries[campaign] = {**self.summaries[campaign], **changed_view}
            summaries.append((campaign, dumped(self.summaries[campaign])))
        write = Write(rows=rows, summaries=tuple(summaries), receipt=self._receipt(by, status, document))

        def on_disk(first: int) -> None:
            self.feed.publish(first, rows)
            for listener in self.after_write:
                listener(None, acts)

        await asyncio.shield(self.writer.submit(write, on_disk))
        return document

    def _decide_acts(self, acts: Sequence[Event], actor: str) -> tuple[Row, ...]:
        rows: list[Row] = []
        seq, digest, at = self.state.last_seq, self.state.digest or START, now_text()
        for act in acts:
            row = row_of(SERVICE, digest, seq + 1, at, actor, act)
            rows.append(row)
            seq, digest = row.seq, row.digest
        self.state = follow(self.state, rows)
        return tuple(rows)

    def _receipt(self, by: By, status: int, document: dict[str, Any]) -> Receipt | None:
        if not by.key:
            return None
        return Receipt(f"{by.name}:{by.key}", by.request, status, dumped(document), now_text())

    async def once(
        self, by: By, status: int, act: Callable[[], Awaitable[dict[str, Any]]]
    ) -> tuple[int, dict[str, Any]]:
        """Do ``act``, or return the answer that the same request got before.

        Raises:
            KeyReused: The key was used for another request.
        """
        if not by.key:
            return status, await act()
        key = f"{by.name}:{by.key}"
        while (other := self._keys.get(key)) is not None:
            await asyncio.shield(other)
        receipt = self.ledger.receipt(key)
        if receipt is not None:
            if receipt.request != by.request:
                raise KeyReused(
                    f"the idempotency key {by.key[:80]!r} was used for another request: take a new one for each"
                )
            return receipt.status, json.loads(receipt.body)
        mine = self._keys[key] = asyncio.get_running_loop().create_future()
        try:
            return status, await act()
        finally:
            del self._keys[key]
            mine.set_result(None)
