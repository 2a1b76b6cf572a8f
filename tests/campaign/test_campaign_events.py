"""Events on their way to disk and back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.campaign import events as e
from pressopt.errors import JournalNewer, JournalUnreadable

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(min_size=1, max_size=12)


@given(
    settings=st.dictionaries(NAMES, NUMBERS | st.integers() | NAMES, max_size=4),
    predicted=st.dictionaries(NAMES, st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=3),
    trial=st.integers(1, 10**6),
)
def test_an_event_comes_back_as_it_was(
    settings: dict[str, float | int | str], predicted: dict[str, tuple[float, float, float]], trial: int
) -> None:
    """Writing and reading loses nothing, to the last bit of every number."""
    event = e.Proposed(trial, settings, "expected improvement", "gp", predicted, 0.9)
    assert e.from_json("Proposed", 1, e.to_json(event)) == event


def test_tuples_inside_mappings_survive() -> None:
    """An outcome stays a pair of value and standard deviation."""
    event = e.Measured(1, {"q": (1.0, 0.1)}, "valid", ("a",), (), ("because",), {"arcs": 2})
    back = e.from_json("Measured", 1, e.to_json(event))
    assert back == event


def test_numpy_scalars_are_written_as_numbers() -> None:
    """What a model computed is stored as plain JSON."""
    body = json.loads(e.to_json(e.Proposed(1, {"p": np.float64(2.5)}, "", "")))
    assert body["settings"] == {"p": 2.5}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    """NaN and infinity never enter a journal."""
    with pytest.raises(ValueError, match="only finite numbers"):
        e.to_json(e.Measured(1, {"q": (value, 1.0)}, "valid"))


def test_an_event_of_a_newer_pressopt_is_named() -> None:
    """A journal from the future is refused with the way out, not misread."""
    with pytest.raises(JournalNewer, match="'Levitated' version 1, this pressopt knows no such event: update"):
        e.from_json("Levitated", 1, "{}")
    with pytest.raises(JournalNewer, match="version 2, this pressopt knows version 1"):
        e.from_json("Loaded", 2, "{}")


@pytest.mark.parametrize("body", ["", "[]", "{", '{"trial": 1}', '{"trial": 1, "by": "x", "more": 2}'])
def test_a_damaged_event_is_named(body: str) -> None:
    """A body that does not fit its kind is an unreadable journal."""
    with pytest.raises(JournalUnreadable, match="'Loaded' that cannot be read"):
        e.from_json("Loaded", 1, body)
