"""Fixtures that several areas share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from processes import Processes


@pytest.fixture(scope="session")
def pressopt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """`pressopt` as a process that starts fast and can be killed where a test wants."""
    with Processes(tmp_path_factory.mktemp("said")) as processes:
        yield processes
