"""The cell that most of the surrogate's tests ask."""

from __future__ import annotations

import pytest

from pressopt.surrogate import Surrogate
from surrogate_cells import CELLS


@pytest.fixture(scope="session")
def doux() -> Surrogate:
    """The cell of Doux et al. 2020: Li | 1 mm Li6PS5Cl | Li, 12.7 mm."""
    return Surrogate(CELLS["Li|LPSCl"]())
