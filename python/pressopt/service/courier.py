"""Between a runner and the service: hands its journals over, brings what people say, tells how it is."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pressopt.campaign import events as e
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.errors import PressoptError
from pressopt.pressing import LaminatorReading, PressReading
from pressopt.service.client import Client
from pressopt.store import SqliteJournal, leave_wish
from pressopt.store.places import JOURNAL

_LOG = logging.getLogger("pressopt.runner")
_ENTRY = ("seq", "at", "actor", "kind", "version", "body")
#: How often a runner reports, s of wall time.
PERIOD_S = 0.3
#: Entries handed over in one report.
_ENTRIES = 100
#: Raw data handed over in one report, bytes: the entries that name them wait for the next one.
_BYTES = 8_000_000


class Courier:
    """A thread that reports; the runner itself waits for nothing.

    It is also the watcher of the runner's campaigns, so that the service sees what goes on.

    Args:
        press: Its name.
        client: Makes a client for each report while there is none that works.
        folder: The runner's folder; one folder in it for each campaign.
        on_order: Called with what a person ordered: ``break-off`` or ``make-safe``.
        who: What is told of the process.
    """

    def __init__(
        self,
        press: str,
        client: Callable[[], Client],
        folder: Path,
        *,
        on_order: Callable[[str], None],
        who: Mapping[str, Any],
    ) -> None:
        self._press = press
        self._make_client = client
        self._client: Client | None = None
        self._folder = folder
        self._on_order = on_order
        self._status: dict[str, Any] = {"runner": dict(who), "state": "idle", "message": ""}
        self._taken: dict[str, int | None] = {}
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._even = threading.Condition()
        self._orders_seen = 0
        self._rounds = 0
        self._is_even = False
        self.reachable = threading.Event()
        for journal in folder.glob(f"*/{JOURNAL}"):
            self._taken[journal.parent.name] = None
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ for the runner

    def tell(self, **status: Any) -> None:
        """Tell at the next report how things are."""
        self._status = {**self._status, **status}
        self._wake.set()

    def handed_over(self, timeout_s: float) -> bool:
        """Wait until everything that is written down now has been taken over; False: not within that time."""
        with self._even:
            wanted = self._rounds + 2  # the round that runs now may have begun before
            self._wake.set()
            return self._even.wait_for(lambda: self._rounds >= wanted and self._is_even, timeout_s)

    def close(self) -> None:
        """Report once more, then end."""
        self._ended.set()
        self._wake.set()
        self._thread.join()

    def begin(self, campaign: str) -> None:
        """Hand a campaign's journal over from now on."""
        self._taken.setdefault(campaign, None)
        self.tell(campaign=campaign)

    # ------------------------------------------------------------------ as a watcher

    def on_entry(self, event: e.Event, state: CampaignState) -> None:
        """Something was written down."""
        busy = next((trial for trial in state.in_flight), None)
        phase = busy.phase.value if busy is not None else None
        self.tell(trial=busy.number if busy is not None else None, phase=phase)

    def on_reading(self, trial: TrialState, reading: PressReading | LaminatorReading) -> None:
        """The press was read."""
        self._status = {**self._status, "reading": _plain(asdict(reading)), "measuring": None}

    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        """A point of a spectrum came."""
        self._status = {**self._status, "measuring": {"done": done, "planned": planned}}

    def on_wait(self, message: str) -> None:
        """The runner waits for something."""
        self.tell(message=message)

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            last = self._ended.is_set()
            self._wake.clear()
            even = False
            try:
                if self._client is None:
                    self._client = self._make_client()
                self._round(self._client)
                even = self._due() is None
                self.reachable.set()
            except (PressoptError, OSError) as error:
                _LOG.info("press %s: %s", self._press, error)
                self.reachable.clear()
                if self._client is not None:
                    self._client.close()
                    self._client = None
            with self._even:
                self._rounds += 1
                self._is_even = even
                self._even.notify_all()
            if last:
                break
            if even or self._client is None:
                self._wake.wait(PERIOD_S)
        if self._client is not None:
            self._client.close()

    def _round(self, client: Client) -> None:
        """Report once, with what is due of one journal."""
        words = self._folder / "words.json"
        heard = json.loads(words.read_text()) if words.exists() else 0
        campaign = self._due()
        told = dict(self._status)
        if campaign is not None:
            told["journal"] = self._journal(campaign)
        answer = client.report(self._press, {**told, "words_after": heard, "orders_seen": self._orders_seen})
        if campaign is not None:
            self._taken[campaign] = answer["taken"]
        for word in answer["words"]:
            path = self._folder / word["campaign"] / JOURNAL
            if path.exists():
                leave_wish(path, e.from_json(word["kind"], word["version"], word["body"]), actor=word["actor"])
            part = words.with_suffix(".part")
            part.write_text(json.dumps(word["number"]))
            part.replace(words)
        for order in answer["orders"]:
            if order["number"] > self._orders_seen:
                self._orders_seen = order["number"]
                self._on_order(order["order"])

    def _due(self) -> str | None:
        """A campaign of which something has not been handed over."""
        for campaign, taken in list(self._taken.items()):
            if taken is None or taken < self._size(campaign):
                return campaign
        return None

    def _size(self, campaign: str) -> int:
        """How many entries a journal has now."""
        with contextlib.closing(SqliteJournal.read(self._folder / campaign / JOURNAL)) as journal:
            return journal.last_seq()

    def _journal(self, campaign: str) -> dict[str, Any]:
        """Return what is to be handed over of a journal next."""
        after = self._taken[campaign]
        if after is None:  # first the service says how far it came
            return {"campaign": campaign, "entries": []}
        entries: list[dict[str, Any]] = []
        blobs: list[str] = []
        room = _BYTES
        with contextlib.closing(SqliteJournal.read(self._folder / campaign / JOURNAL)) as journal:
            for row in journal.rows(after)[:_ENTRIES]:
                data = [journal.blob(digest) for digest in digests_of(row.entry().event)]
                room -= sum(map(len, data))
                if entries and room < 0:
                    break
                blobs += [base64.b64encode(one).decode() for one in data]
                entries.append({name: getattr(row, name) for name in _ENTRY})
        return {"campaign": campaign, "entries": entries, "blobs": blobs}


def digests_of(event: e.Event) -> tuple[str, ...]:
    """The raw data that an event names."""
    match event:
        case e.PressingFinished() | e.Faulted():
            return (event.record,) if event.record else ()
        case e.SpectrumRecorded():
            return (event.measurement,)
        case e.Attached():
            return (event.data,) if event.data else ()
        case _:
            return ()


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """A reading as JSON has it."""
    return {name: value if value == value else None for name, value in values.items()}  # noqa: PLR0124
