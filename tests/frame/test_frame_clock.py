"""Clocks: what time does on each of them."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.clock import AttendedClock, FastClock, ScaledClock, wall_monotonic_s


def test_an_hour_on_the_fast_clock_takes_no_time() -> None:
    """Sleeping moves laboratory time at once and wall time hardly at all."""
    clock, before_s = FastClock(), wall_monotonic_s()
    clock.sleep_s(3600.0)
    assert clock.now_s() == 3600.0
    assert wall_monotonic_s() - before_s < 1.0


def test_who_waits_on_the_fast_clock_is_woken_by_who_sleeps() -> None:
    """A thread that waits for a time goes on when the owner's sleep has reached it, and not before."""
    clock, seen = FastClock(), []
    assert not clock.wait_until_s(10.0, wall_timeout_s=0.01)
    thread = threading.Thread(target=lambda: seen.append(clock.wait_until_s(10.0, wall_timeout_s=5.0)))
    thread.start()
    clock.sleep_s(10.0)
    thread.join()
    assert seen == [True]


def test_the_scaled_clock_runs_faster_than_the_wall() -> None:
    """A factor of 100 turns a second into ten milliseconds."""
    clock, before_s = ScaledClock(100.0), wall_monotonic_s()
    clock.sleep_s(1.0)
    assert clock.now_s() >= 1.0
    assert wall_monotonic_s() - before_s < 0.9


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_a_clock_that_cannot_run_is_refused(factor: float) -> None:
    """A factor must be positive."""
    with pytest.raises(ValueError, match="must be positive"):
        ScaledClock(factor)


@given(seconds=st.floats(0, 1000), period=st.floats(0.5, 50), pieces=st.integers(1, 5))
def test_attention_is_never_longer_apart_than_its_period(seconds: float, period: float, pieces: int) -> None:
    """However sleeps are cut, what is attended is looked at at least once per period."""
    fast, looks = FastClock(), []
    clock = AttendedClock(fast, period_s=period, attend=lambda: looks.append(fast.now_s()))
    for _ in range(pieces):
        clock.sleep_s(seconds / pieces)
    assert fast.now_s() == pytest.approx(seconds)
    gaps = [later - sooner for sooner, later in itertools.pairwise(looks)]
    assert looks[0] == 0.0
    assert all(gap <= period * (1 + 1e-9) for gap in gaps)
    assert seconds - looks[-1] <= period * (1 + 1e-9)
