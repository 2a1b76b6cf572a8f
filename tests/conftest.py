"""What all suites share: how properties are tried, and `pressopt` as a process that can be killed.

A busy computer is no failure of a property, and a failure prints how to repeat it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from processes import Processes

# On the profile that Hypothesis chose: where the environment says CI, that one tries the same examples each time.
settings.register_profile(
    "pressopt", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("pressopt")


@pytest.fixture(scope="session")
def pressopt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """`pressopt` as a process that starts fast and can be killed where a test wants."""
    with Processes(tmp_path_factory.mktemp("said")) as processes:
        yield processes
