"""What the surrogate refuses, and that it says which field is wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pressopt import _core
from pressopt.errors import InputError, MaterialError
from pressopt.materials import Catalogue, Confidence
from pressopt.pressing import Cell, Die, Layer, PressingProtocol, Role, RollStage, Stage
from pressopt.surrogate import ParameterDraws, ProtocolTable, Surrogate
from surrogate_cells import CELLS, interlayer, laminate, pressed, symmetric

ROLL = RollStage("roll", 5.0, 5.0, 1, 25.0)
PRESS = Stage("press", 5.0, 1.0, 60.0, 25.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pressure_mpa", -1.0),
        ("pressure_mpa", 0.0),
        ("pressure_mpa", math.nan),
        ("pressure_mpa", math.inf),
        ("ramp_mpa_s", 0.0),
        ("dwell_s", -1.0),
        ("temperature_c", 180.5),
        ("temperature_c", math.nan),
        ("measure_at_mpa", -0.1),
        ("measure_at_c", 200.0),
        ("settle_s", math.inf),
        ("release_mpa_s", 0.0),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(doux: Surrogate, field: str, value: float) -> None:
    """Negative, missing, infinite or melting: the refusal names the setting and says what is allowed."""
    asked: dict[str, object] = {"pressure_mpa": 25.0, field: value}
    table = pressed(asked.pop("pressure_mpa"), **asked)
    with pytest.raises(InputError, match=field) as caught:
        doux.predict(table)
    assert [violation.where for violation in caught.value.violations] == [field]


def test_all_wrong_settings_are_named_at_once(doux: Surrogate) -> None:
    """Three wrong settings make one refusal with three violations."""
    with pytest.raises(InputError) as caught:
        doux.predict(pressed(-1.0, dwell_s=-1.0, measure_at_c=999.0))
    assert {v.where for v in caught.value.violations} == {"pressure_mpa", "dwell_s", "measure_at_c"}


def test_sodium_melts_earlier_than_lithium() -> None:
    """100 °C is fine for Li and refused for Na, whose limits say so."""
    sodium = Surrogate(CELLS["Na|Na3PS4"]())
    assert sodium.limits().melting_c == 97.8
    assert sodium.limits().highest_c < 97.8
    with pytest.raises(InputError, match=r"temperature_c.*melting"):
        sodium.predict(pressed(5.0, temperature_c=100.0))


def test_shapes_that_do_not_fit_are_refused() -> None:
    """Arrays of the wrong shape, and protocols of different shape, are refused."""
    with pytest.raises(InputError, match="stages"):
        ProtocolTable(np.zeros((2, 4)), np.zeros((2, 4)))
    with pytest.raises(InputError, match="measured"):
        ProtocolTable(np.ones((2, 1, 4)), np.ones((3, 4)))
    with pytest.raises(InputError, match="pressure_mpa"):
        pressed([[1.0, 2.0]], dwell_s=[[1.0, 2.0, 3.0]])
    with pytest.raises(InputError, match="measure_at_mpa"):
        pressed([[1.0], [2.0]], measure_at_mpa=[1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="protocols"):
        ProtocolTable.from_protocols([])
    with pytest.raises(InputError, match="protocols"):
        ProtocolTable.from_protocols([PressingProtocol((PRESS,), 0.0), PressingProtocol((PRESS, PRESS), 0.0)])
    with pytest.raises(InputError, match="no such setting"):
        pressed(1.0).column("presure_mpa")


def test_too_many_stages_are_refused(doux: Surrogate) -> None:
    """More stages than the core holds are refused, not cut."""
    with pytest.raises(InputError, match="stages"):
        doux.predict(pressed([[1.0] * 17]))


def test_rolls_do_not_press_pellets(doux: Surrogate) -> None:
    """A roller protocol on a cell with an electrolyte is refused."""
    with pytest.raises(InputError, match="stages"):
        doux.predict(PressingProtocol((ROLL,), 0.0))


def test_layers_that_make_no_interface_are_refused() -> None:
    """No soft metal, two metals, a collector used as electrode, an interlayer without electrolyte: all refused."""
    foil, copper = Layer("Li", Role.ELECTRODE, 50.0), Layer("Cu", Role.COLLECTOR, 10.0)
    pellet = Layer("Li6PS5Cl", Role.ELECTROLYTE, 1000.0)
    for layers in (
        (copper, pellet),
        (foil, pellet, Layer("Na", Role.ELECTRODE, 50.0)),
        (Layer("Cu", Role.ELECTRODE, 50.0), pellet),
        (foil, Layer("Na", Role.ELECTROLYTE, 50.0)),
        (copper, foil, Layer("Li3OCl", Role.INTERLAYER, 10.0)),
        (foil, foil),
    ):
        with pytest.raises(InputError, match="layers"):
            Surrogate(Cell(layers, Die(10.0), 10.0))


def test_potassium_is_refused_with_every_missing_field() -> None:
    """K lacks yield and creep: one refusal names all of it."""
    with pytest.raises(MaterialError) as caught:
        Surrogate(symmetric("K", "Na3PS4"))
    found = {violation.where for violation in caught.value.violations}
    assert {"K.creep_exponent", "K.creep_energy_kj_mol", "K.yield_stress_mpa", "K.flow_stress_mpa"} <= found


def test_a_material_of_a_user_file_alone_is_enough(tmp_path: Path) -> None:
    """An electrolyte described in a user's file predicts; what the file leaves out of the pair is assumed."""
    known = Catalogue.load()["Li6PS5Cl"].values
    lines = [
        f'{name} = {{ value = {datum.value}, confidence = "read", source = "mine" }}'
        for name, datum in known.items()
    ]
    path = tmp_path / "mine.toml"
    path.write_text('[materials.Mine]\nkind = "electrolyte"\n' + "\n".join(lines), encoding="utf-8")
    surrogate = Surrogate(symmetric("Li", "Mine"), Catalogue.load(path))
    assert np.isfinite(surrogate.untouched().nominal["cell_resistance_ohm_cm2"]).all()
    assert "short_mpa" in surrogate.assumed
    assert "conductivity_ms_cm" not in surrogate.assumed


def test_roll_radius_must_be_a_length() -> None:
    """A roll radius that is none is refused; a given one is no longer assumed."""
    with pytest.raises(InputError, match="roll_radius_mm"):
        Surrogate(laminate(), roll_radius_mm=-1.0)
    assert "roll_radius_mm" in Surrogate(laminate()).assumed
    assert "roll_radius_mm" not in Surrogate(laminate(), roll_radius_mm=75.0).assumed


def test_what_is_assumed_is_said_per_quantity(doux: Surrogate) -> None:
    """Each quantity names the assumed inputs that move it, and only assumed ones, the strongest first."""
    table = pressed(25.0)
    behind, influence = doux.assumed_behind(table), doux.influence(table)
    assumed = {p.name for p in doux.parameters if p.confidence is Confidence.ASSUMED}
    for quantity, names in behind.items():
        assert set(names) <= assumed
        sizes = [influence[quantity][name] for name in names]
        assert sizes == sorted(sizes, reverse=True)
    assert "void_cycles" in behind["cycle_life_cycles"]
    assert "void_cycles" not in behind["cell_resistance_ohm_cm2"]
    assert set(doux.predict(table).assumed) >= assumed


def test_draws_of_another_cell_are_refused(doux: Surrogate) -> None:
    """Posterior draws fit the cell they were made for and no other."""
    other = Surrogate(interlayer()).prior(8)
    with pytest.raises(InputError, match="parameters"):
        doux.predict(pressed(5.0), parameters=other)


def test_intervals_need_draws_and_a_known_quantity(doux: Surrogate) -> None:
    """An interval without draws, of an unknown quantity, or of an impossible probability is refused."""
    bare, drawn = doux.predict(pressed(5.0)), doux.predict(pressed(5.0), draws=32)
    with pytest.raises(InputError, match="draws"):
        bare.interval("cell_resistance_ohm_cm2")
    with pytest.raises(InputError, match="quantity"):
        drawn.interval("contact_resistance_mohm_cm2")
    with pytest.raises(InputError, match="probability"):
        drawn.interval("cell_resistance_ohm_cm2", 1.0)
    with pytest.raises(InputError, match="draws"):
        doux.prior(0)


def test_intervals_are_weighted_quantiles(doux: Surrogate) -> None:
    """With equal weights the interval is that of the sorted draws; one heavy draw pulls all of it."""
    prediction = doux.predict(pressed([[5.0], [25.0]]), draws=400, seed=2)
    low, median, high = prediction.interval("cell_resistance_ohm_cm2", 0.9)
    expected = np.quantile(prediction.draws["cell_resistance_ohm_cm2"], [0.05, 0.5, 0.95], axis=0)
    assert np.array([low, median, high]) == pytest.approx(expected, rel=0.02)
    prior = doux.prior(3, seed=4)
    heavy = ParameterDraws(prior.names, prior.values, np.log([0.98, 0.01, 0.01]))
    pulled = doux.predict(pressed(5.0), parameters=heavy)
    assert pulled.interval("cell_resistance_ohm_cm2", 0.5)[1][0] == pytest.approx(
        pulled.draws["cell_resistance_ohm_cm2"][0, 0], rel=0.05
    )


@settings(max_examples=200, deadline=None)
@given(
    stages=st.lists(st.lists(st.floats(), min_size=4, max_size=4), min_size=1, max_size=3),
    measured=st.lists(st.floats(), min_size=4, max_size=4),
)
def test_no_number_whatever_breaks_the_core(stages: list[list[float]], measured: list[float]) -> None:
    """Arbitrary floats are either refused with a field or answered with numbers; nothing else happens."""
    kind = _core.CellKind(lamination=False, rolled=False, formation=False, interfaces=2, melting_c=180.5)
    rows = FUZZED.rows_at(np.zeros((1, len(FUZZED.parameters))))
    try:
        found = _core.predict_qualities(kind, rows, np.array([stages]), np.array([measured]))
    except ValueError as error:
        named = ": " in str(error)
    else:
        named = found.shape == (len(_core.physics_qualities()), 1, 1)
    assert named


FUZZED = Surrogate(CELLS["Li|LPSCl"]())


@settings(max_examples=100, deadline=None)
@given(
    index=st.integers(0, len(_core.physics_parameters()) - 1), value=st.sampled_from([math.nan, math.inf, -1.0])
)
def test_parameters_out_of_their_domain_are_refused_by_name(index: int, value: float) -> None:
    """The core refuses a parameter that cannot be, naming draw and parameter."""
    kind = _core.CellKind(lamination=False, rolled=False, formation=False, interfaces=2, melting_c=180.5)
    rows = FUZZED.rows_at(np.zeros((1, len(FUZZED.parameters))))
    rows[0, index] = value
    table = pressed(5.0)
    with pytest.raises(ValueError, match=_core.physics_parameters()[index]):
        _core.predict_qualities(kind, rows, table.stages, table.measured)


def test_the_core_refuses_arrays_of_the_wrong_shape() -> None:
    """Too few parameters or settings are a ValueError, never a panic."""
    kind = _core.CellKind(lamination=False, rolled=False, formation=False, interfaces=2, melting_c=180.5)
    table = pressed(5.0)
    with pytest.raises(ValueError, match="parameters"):
        _core.predict_qualities(kind, np.ones((1, 3)), table.stages, table.measured)
    rows = FUZZED.rows_at(np.zeros((1, len(FUZZED.parameters))))
    with pytest.raises(ValueError, match="stages"):
        _core.predict_qualities(kind, rows, np.ones((1, 1, 3)), table.measured)
