"""Who looks on while a campaign runs, and how it is asked to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pressopt.campaign import events as e
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.pressing import LaminatorReading, PressReading


class StopRequest:
    """How a person (Ctrl-C) or the system (SIGTERM) asks a running campaign to end.

    The first request lets the trial in flight end; the second, or ``now``, breaks it off and makes the press safe.
    """

    def __init__(self) -> None:
        self.requested = False
        self.now = False

    def ask(self, *, now: bool = False) -> None:
        """Ask once; asking again, or with ``now``, breaks off what runs."""
        self.now = self.now or now or self.requested
        self.requested = True


class Watcher(Protocol):
    """Sees what the runner does, to show it; must not change anything."""

    def on_entry(self, event: e.Event, state: CampaignState) -> None: ...

    def on_reading(self, trial: TrialState, reading: PressReading | LaminatorReading) -> None: ...

    def on_point(self, trial: TrialState, done: int, planned: int) -> None: ...

    def on_wait(self, message: str) -> None: ...


class GuardedWatcher:
    """A watcher whose failure (a closed pipe, say) never reaches an act: the campaign stops after it."""

    def __init__(self, watcher: Watcher, stop: StopRequest) -> None:
        self._watcher = watcher
        self._stop = stop
        self.error: Exception | None = None

    def _tell(self, what: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            what()
        except Exception as error:  # noqa: BLE001 - kept, and raised once nothing moves any more
            self.error = error
            self._stop.ask()

    def on_entry(self, event: e.Event, state: CampaignState) -> None:
        self._tell(lambda: self._watcher.on_entry(event, state))

    def on_reading(self, trial: TrialState, reading: PressReading | LaminatorReading) -> None:
        self._tell(lambda: self._watcher.on_reading(trial, reading))

    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        self._tell(lambda: self._watcher.on_point(trial, done, planned))

    def on_wait(self, message: str) -> None:
        self._tell(lambda: self._watcher.on_wait(message))
