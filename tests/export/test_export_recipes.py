"""Controller recipes: set points that read back, registers exactly as the driver writes them."""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_campaign import agreed
from pressopt.errors import InputError
from pressopt.export.answer import Answer
from pressopt.export.files import exported_more
from pressopt.export.recipes import (
    DIALECTS,
    recipe_table_csv,
    register_writes,
    setpoint_csv,
    setpoints,
)
from pressopt.instruments.registers import encode
from pressopt.pressing import Die, PressingProtocol, RollStage, Stage
from pressopt.profiles import load_profile
from pressopt.store import SqliteJournal

DIE = Die(10.0)
PRESS = "generic-plc-press-tcp"
stages = st.lists(
    st.builds(
        Stage, name=st.sampled_from(("seat", "lamination", "third")), pressure_mpa=st.floats(0.5, 500.0),
        ramp_mpa_s=st.floats(0.01, 50.0), dwell_s=st.floats(0.0, 1e5), temperature_c=st.floats(20.0, 200.0),
    ), min_size=1, max_size=4,
)  # fmt: skip
protocols = st.builds(
    PressingProtocol, stages=stages.map(tuple), measure_at_mpa=st.floats(0.0, 50.0),
    measure_at_c=st.floats(20.0, 60.0), settle_s=st.floats(0.0, 1e4), release_mpa_s=st.floats(0.01, 10.0),
)  # fmt: skip


@pytest.fixture
def protocol(answer: Answer) -> PressingProtocol:
    assert answer.protocol is not None
    return answer.protocol


def test_the_programme_over_time_is_as_agreed(protocol: PressingProtocol) -> None:
    """Seat, lamination, measurement and release of the made-up protocol, in both dialects, word for word."""
    agreed("setpoints.csv", setpoint_csv(protocol, DIE))
    agreed("setpoints-semicolon.csv", setpoint_csv(protocol, DIE, DIALECTS["semicolon"]))


@given(protocol=protocols, dialect=st.sampled_from(sorted(DIALECTS)))
def test_set_points_read_back_exactly_and_keep_rates_and_dwells(protocol: PressingProtocol, dialect: str) -> None:
    """Whatever the protocol: time never falls, dwells and slopes are those of the stages, numbers are exact."""
    corners = setpoints(protocol, DIE)
    assert all(a.time_s <= b.time_s for a, b in itertools.pairwise(corners))
    assert (corners[0].force_kn, corners[-1].force_kn) == (0.0, 0.0)
    text = setpoint_csv(protocol, DIE, DIALECTS[dialect])
    delimiter, decimal = DIALECTS[dialect].delimiter, DIALECTS[dialect].decimal
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))[1:]
    read = [tuple(float(cell.replace(decimal, ".")) for cell in row[1:]) for row in rows]
    assert read == [(c.time_s, c.force_kn, c.temperature_c) for c in corners]
    for number, stage in enumerate(protocol.stages):
        assert isinstance(stage, Stage)
        ramp, hold, after = corners[2 * number], corners[2 * number + 1], corners[2 * number + 2]
        assert after.time_s - hold.time_s == pytest.approx(stage.dwell_s, abs=1e-6)
        rise = abs(hold.force_kn - ramp.force_kn)
        assert rise == pytest.approx(DIE.force_kn(stage.ramp_mpa_s) * (hold.time_s - ramp.time_s), abs=1e-6)


def test_the_recipe_table_is_as_agreed(protocol: PressingProtocol) -> None:
    """All registers of the shipped PLC press, in the order of the driver, word for word."""
    agreed("recipe-table.csv", recipe_table_csv(protocol, DIE, load_profile(PRESS)))


@pytest.mark.parametrize("order", ["high-first", "low-first"])
def test_the_words_are_those_of_the_driver(
    protocol: PressingProtocol, order: Literal["high-first", "low-first"]
) -> None:
    """The driver's own encoder makes the same words of every write, whatever the order of words."""
    profile = load_profile(PRESS)
    profile = replace(profile, link=replace(profile.link, word_order=order))
    writes = register_writes(protocol, DIE, profile)
    assert len(writes) == 14
    actions = {str(action.at): name for name, action in profile.actions.items()}
    for write in writes:
        assert write.register is not None
        name = actions[str(write.register)]
        raw = float(profile.actions[name].value or 0) if write.value is None else profile.raw_of(name, write.value)
        if write.register.type != "bool":
            assert list(write.words) == encode(write.register, raw, order)


def test_a_table_never_asks_more_force_than_the_protocol(protocol: PressingProtocol) -> None:
    """The machine counts in newtons: 2.7489 kN become 2748 N, not 2749."""
    forces = [w.value for w in register_writes(protocol, DIE, load_profile(PRESS)) if w.unit == "kN"]
    assert forces[1] == pytest.approx(2.748)


def test_what_does_not_fit_a_register_is_refused_at_once(protocol: PressingProtocol) -> None:
    """Two temperatures beyond int16 at 0.1 °C are both named; nothing is written."""
    hot = tuple(replace(stage, temperature_c=1990.0) for stage in protocol.stages)
    profile = load_profile(PRESS)
    action = replace(profile.actions["set_temperature_c"], scale=0.01)
    profile = replace(profile, actions={**profile.actions, "set_temperature_c": action})
    with pytest.raises(InputError) as refused:
        register_writes(replace(protocol, stages=hot), DIE, profile)
    assert len(refused.value.violations) == 2


def test_rolls_and_analysers_have_no_recipe_table() -> None:
    """A rolled protocol, and a profile that is no press, are refused in words."""
    rolled = PressingProtocol((RollStage("roll", 30.0, 4.0, 2, 60.0),), 0.0)
    with pytest.raises(InputError, match="no force over time"):
        setpoints(rolled, DIE)
    with pytest.raises(InputError, match="needs a press"):
        register_writes(rolled, DIE, load_profile("generic-methodscript-analyzer"))


def test_recipes_of_an_unfinished_campaign_say_so(answer: Answer, journal: SqliteJournal) -> None:
    """A panel's CSV has no place for words, so its name begins with 'preliminary'."""
    early = replace(answer, open_because="the campaign is not finished: 5 of 12 trials are done")
    for kind in ("setpoints", "plc"):
        (name,) = exported_more(early, journal, kind)
        assert name.startswith("preliminary-")
        (finished,) = exported_more(answer, journal, kind)
        assert not finished.startswith("preliminary")


def test_a_failed_campaign_has_no_recipe(answer: Answer, journal: SqliteJournal) -> None:
    """Without a protocol every recipe is refused with the reason."""
    failed = replace(answer, protocol=None, open_because="the campaign ended without a valid measurement")
    for kind in ("setpoints", "plc", "batchml"):
        with pytest.raises(InputError, match="ended without a valid measurement"):
            exported_more(failed, journal, kind)
