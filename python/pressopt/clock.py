"""Time in the laboratory, handed to whoever ramps, holds, dwells or waits.

An hour under the press is an hour on :class:`WallClock`, seconds on :class:`ScaledClock` and no time at all
on :class:`FastClock`. Time-outs and the silence of a line are *not* laboratory time: they use
:func:`wall_monotonic_s` and :func:`wall_pause_s` here, so that no other module touches ``time``.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic laboratory time; several threads may read one clock."""

    def now_s(self) -> float:
        """Seconds since an arbitrary start; never goes back, whatever the wall clock does."""
        ...

    def sleep_s(self, seconds: float) -> None:
        """Let ``seconds`` (s, not negative) of laboratory time pass."""
        ...

    def wait_until_s(self, time_s: float, *, wall_timeout_s: float) -> bool:
        """Wait until :meth:`now_s` reaches ``time_s``, without making time pass; False after the time-out."""
        ...


def wall_monotonic_s() -> float:
    """Real seconds, monotonic: for time-outs and silence on a wire."""
    return time.monotonic()


def wall_pause_s(seconds: float) -> None:
    """Real pause: for silence on a wire."""
    time.sleep(seconds)


def utc_now() -> datetime:
    """Date and time for people and journals; never used to measure a duration."""
    return datetime.now(UTC)


class ScaledClock:
    """Real time multiplied by ``factor``: 60 turns a minute under the press into a second."""

    def __init__(self, factor: float = 1.0) -> None:
        if not factor > 0:
            raise ValueError(f"clock factor must be positive, got {factor}")
        self.factor = factor
        self._start_s = time.monotonic()

    def now_s(self) -> float:
        return (time.monotonic() - self._start_s) * self.factor

    def sleep_s(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / self.factor)

    def wait_until_s(self, time_s: float, *, wall_timeout_s: float) -> bool:
        left_s = (time_s - self.now_s()) / self.factor
        time.sleep(max(0.0, min(left_s, wall_timeout_s)))
        return self.now_s() >= time_s


class WallClock(ScaledClock):
    """Real time: what a real press runs on."""

    def __init__(self) -> None:
        super().__init__(1.0)


class FastClock:
    """Time passes only when its owner sleeps, and then at once.

    The one thread that sleeps (the runner) moves time; the twin's threads only read it or wait for it.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._moved = threading.Condition()

    def now_s(self) -> float:
        with self._moved:
            return self._now_s

    def sleep_s(self, seconds: float) -> None:
        with self._moved:
            self._now_s += max(0.0, seconds)
            self._moved.notify_all()

    def wait_until_s(self, time_s: float, *, wall_timeout_s: float) -> bool:
        with self._moved:
            return self._moved.wait_for(lambda: self._now_s >= time_s, timeout=wall_timeout_s)


class AttendedClock:
    """A clock whose owner looks after something else while time passes.

    While an analyser sweeps for minutes under a press, the same thread must keep the press's heartbeat: every
    sleep is cut into slices of at most ``period_s``, and ``attend`` is called after each.
    """

    def __init__(self, clock: Clock, *, period_s: float, attend: Callable[[], object]) -> None:
        if not period_s > 0:
            raise ValueError(f"the period of attention must be positive, got {period_s} s")
        self._clock = clock
        self._period_s = period_s
        self._attend = attend
        self._next_s = -math.inf

    def now_s(self) -> float:
        return self._clock.now_s()

    def sleep_s(self, seconds: float) -> None:
        end_s = self._clock.now_s() + max(0.0, seconds)
        while True:
            now_s = self._clock.now_s()
            if now_s >= self._next_s:
                self._attend()
                self._next_s = now_s + self._period_s
            if now_s >= end_s:
                return
            self._clock.sleep_s(min(end_s, self._next_s) - now_s)

    def wait_until_s(self, time_s: float, *, wall_timeout_s: float) -> bool:
        return self._clock.wait_until_s(time_s, wall_timeout_s=wall_timeout_s)
