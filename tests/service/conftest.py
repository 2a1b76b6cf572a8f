"""What the tests of the service share."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def no_runner_stays(tmp_path: Path) -> Iterator[None]:
    """Runners outlive their service by design; not their test."""
    yield
    for lock in tmp_path.glob("**/runner.lock"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(lock.read_text()), signal.SIGKILL)
