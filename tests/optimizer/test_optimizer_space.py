"""The design space: limits, scales, steps, categories and relations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pressopt.errors import InputError
from pressopt.optimizer import DesignSpace, Relation, Variable

SPACE = DesignSpace(
    (
        Variable("formation.pressure_mpa", 10, 400, scale="log", resolution=0.5, unit="MPa"),
        Variable("assembly.pressure_mpa", 1, 100, scale="log", resolution=0.5, unit="MPa"),
        Variable("assembly.dwell_s", 10, 3600, scale="log"),
        Variable("assembly.passes", 1, 5, kind="integer"),
        Variable("foil", kind="categorical", choices=("rolled", "cast", "evaporated")),
    ),
    (Relation.parse("assembly.pressure_mpa <= 0.5 * formation.pressure_mpa"),),
)
UNIT = st.lists(st.floats(0, 1), min_size=7, max_size=7)


@given(UNIT)
def test_any_point_of_the_cube_is_settings_inside_the_limits(place: list[float]) -> None:
    """Decoding never leaves the limits, and decoding what was encoded changes nothing but dust."""
    found = SPACE.from_unit(np.array(place))
    again = SPACE.from_unit(SPACE.to_unit(found))
    for variable in SPACE.variables:
        value = found[variable.name]
        if variable.numeric:
            assert variable.low <= float(value) <= variable.high
            assert float(again[variable.name]) == pytest.approx(float(value), rel=1e-12)
        else:
            assert again[variable.name] == value


@given(UNIT)
def test_settable_values_lie_on_steps_inside_every_rule(place: list[float]) -> None:
    """What the press is asked to set keeps its resolution, the limits and the relations."""
    found = SPACE.settable(SPACE.from_unit(np.array(place)))
    if found is None:
        return
    assert SPACE.contains(found)
    for name in ("formation.pressure_mpa", "assembly.pressure_mpa"):
        assert (float(found[name]) / 0.5).is_integer()
    assert isinstance(found["assembly.passes"], int)


@settings(max_examples=50)
@given(st.floats(0.01, 50), st.floats(0.1, 50), st.floats(0.01, 5))
def test_rounding_stays_inside_limits_that_are_no_steps(low: float, width: float, step: float) -> None:
    """Limits between two steps are never overstepped by rounding."""
    if np.floor((low + width) / step) < np.ceil(low / step):
        with pytest.raises(InputError, match="no multiple of"):
            Variable("x", low, low + width, resolution=step)
        return
    variable = Variable("x", low, low + width, resolution=step)
    space = DesignSpace((variable,))
    for place in (0.0, 0.3, 1.0):
        assert space.contains(space.round(space.from_unit(np.array([place]))))


def test_samples_are_even_repeatable_and_extendable() -> None:
    """The same seed gives the same sequence, asking for more only adds, and every sample keeps the rules."""
    ten, four = SPACE.sample(10, seed=3), SPACE.sample(4, seed=3)
    assert ten[:4] == four
    assert SPACE.sample(6, seed=3, skip=4) == ten[4:]
    assert SPACE.sample(4, seed=4) != four
    assert all(SPACE.contains(one) for one in ten)
    assert len({tuple(one.values()) for one in ten}) == 10


def test_relations_that_leave_no_room_say_so() -> None:
    """An impossible relation is an error that names it, not an endless loop."""
    space = DesignSpace((Variable("a", 1, 2), Variable("b", 1, 2)), (Relation.parse("a + b <= 1.5"),))
    with pytest.raises(InputError, match=r"a \+ b <= 1.5.*loosen"):
        space.sample(1, seed=0)


@pytest.mark.parametrize(
    ("text", "terms", "bound"),
    [
        ("a <= b", {"a": 1, "b": -1}, 0),
        ("stage-1.pressure_mpa >= 2 * b + 3", {"stage-1.pressure_mpa": -1, "b": 2}, -3),
        ("2*(a + b)/4 - 1 <= 10", {"a": 0.5, "b": 0.5}, 11),
        ("a / b <= 0.5", {"a": 1, "b": -0.5}, 0),
        ("-a < -1e-3", {"a": -1}, -1e-3),
    ],
)
def test_relations_are_read(text: str, terms: dict[str, float], bound: float) -> None:
    """Sums of settings times numbers on both sides, and a ratio below a number, are understood."""
    relation = Relation.parse(text)
    assert dict(relation.terms) == pytest.approx(terms)
    assert relation.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    "text",
    [
        "a * b <= 1",
        "a",
        "a <= b <= c",
        "__import__('os') <= 1",
        "a <= ",
        "(a <= b",
        "1 <= 2",
        "a / 0 <= 1",
        "",
        "a < = b",
    ],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    """Products of settings, calls, chains and fragments are refused; nothing is evaluated."""
    with pytest.raises(InputError, match="write it like"):
        Relation.parse(text)


def test_a_function_may_be_a_relation_in_code() -> None:
    """Users of the library may give any rule as a function; samples keep it."""
    disc = Relation(allows=lambda s: float(s["a"]) ** 2 + float(s["b"]) ** 2 <= 1, label="inside the unit disc")
    space = DesignSpace((Variable("a", -1, 1), Variable("b", -1, 1)), (disc,))
    assert all(float(s["a"]) ** 2 + float(s["b"]) ** 2 <= 1 for s in space.sample(50, seed=0))
    points = np.random.default_rng(0).random((20, 2))
    assert [space.contains(space.from_unit(p)) for p in points] == space.allowed(points).tolist()


def test_every_mistake_of_a_variable_is_told_at_once() -> None:
    """A variable with three mistakes raises one error with three violations."""
    with pytest.raises(InputError) as caught:
        Variable("", 3, 1, scale="cubic")  # type: ignore[arg-type]
    assert len(caught.value.violations) == 3


def test_mistakes_of_a_space_are_told_at_once() -> None:
    """Names given twice and relations over unknown settings are found together."""
    with pytest.raises(InputError) as caught:
        DesignSpace((Variable("a"), Variable("a")), (Relation.parse("a <= pressure"),))
    assert "given twice" in str(caught.value)
    assert "'pressure' is no number that is varied" in str(caught.value)


def test_settings_that_do_not_fit_are_refused() -> None:
    """Missing, unknown and unusable settings are all named."""
    with pytest.raises(InputError) as caught:
        SPACE.to_unit({"formation.pressure_mpa": float("nan"), "foil": "sputtered", "speed": 1})
    assert len(caught.value.violations) == 6


def test_achieved_values_beyond_limits_are_kept() -> None:
    """A press that overshoots teaches at the place it reached, outside of the cube."""
    space = DesignSpace((Variable("p", 1, 100, scale="log"),))
    assert space.to_unit({"p": 110.0})[0] > 1.0
    assert np.isfinite(space.to_unit({"p": 0.0})[0])


def test_skopt_sees_the_same_space() -> None:
    """Limits, log scales, whole numbers, categories and names survive the way to skopt."""
    space = SPACE.to_skopt()
    assert [dimension.name for dimension in space.dimensions] == list(SPACE.names)
    assert space.bounds[0] == (10, 400)
    assert space.dimensions[0].prior == "log-uniform"
    assert space.bounds[3] == (1, 5)
    assert set(space.dimensions[4].categories) == {"rolled", "cast", "evaporated"}
