"""The hidden laws: published cells come out, contact has memory, stages join, and something always hurts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.errors import MaterialError
from pressopt.pressing import Cell, Die, Layer, PressingProtocol, Role, Stage
from pressopt.twin.laws import CellState, Law, advance, resistances
from pressopt.twin.plant import PressSpec, RollSpec
from pressopt.twin.population import HiddenCell, laboratory, medians
from pressopt.twin.programme import Programme
from pressopt.twin.truth import evaluate, truth
from twin_systems import LI, SYSTEMS, symmetric

ARGYRODITE = SYSTEMS["lpscl"].cell


def pressed(cell: Cell, pressure_mpa: float, held_mpa: float, dwell_s: float = 60.0) -> dict[str, float]:
    """The published median cell, pressed once at 25 °C, measured under ``held_mpa``."""
    protocol = PressingProtocol((Stage("press", pressure_mpa, 1.0, dwell_s, 25.0),), held_mpa)
    median = HiddenCell(number=0, law=medians(cell), gain=1.0)
    found = evaluate(cell, median, Programme.of([protocol]), spec=PressSpec(), roll=RollSpec())
    return {name: float(value[0]) for name, value in found.items()}


def resistance_of(cell: Cell, law: Law, protocol: PressingProtocol) -> float:
    """Interfacial resistance of a cell with this very law, Ω cm²."""
    hidden = HiddenCell(number=0, law=law, gain=1.0)
    found = evaluate(cell, hidden, Programme.of([protocol]), spec=PressSpec(), roll=RollSpec())
    return float(found["interfacial_resistance_ohm_cm2"][0])


def whole_ohm(pressure_mpa: float, held_mpa: float | None = None) -> float:
    held = pressure_mpa if held_mpa is None else held_mpa
    return pressed(ARGYRODITE, pressure_mpa, held)["cell_resistance_ohm_cm2"] / ARGYRODITE.area_cm2


def test_the_published_argyrodite_cell() -> None:
    """Li | Li6PS5Cl | Li of 12.7 mm: over 500 Ω at 1 MPa, then as Doux, Adv. Energy Mater. 10 (2020) 1903253."""
    assert whole_ohm(1.0) > 500.0
    for pressure_mpa, published_ohm in ((5.0, 110.0), (10.0, 50.0), (15.0, 40.0), (20.0, 35.0), (25.0, 32.0)):
        assert whole_ohm(pressure_mpa) == pytest.approx(published_ohm, rel=0.15)


def test_contact_remembers() -> None:
    """Back at 5 MPa from 25 MPa the published cell shows about 50 Ω: less than half of a virgin one at 5 MPa."""
    assert whole_ohm(25.0, 5.0) == pytest.approx(50.0, rel=0.1)
    assert whole_ohm(25.0, 5.0) < 0.6 * whole_ohm(5.0)
    assert whole_ohm(25.0, 5.0) > whole_ohm(25.0)


def test_shorts_come_at_75_mpa() -> None:
    """The published cell is safe at 25 MPa and mostly shorted at 75 MPa."""
    assert pressed(ARGYRODITE, 25.0, 25.0)["short_probability"] < 0.02
    assert pressed(ARGYRODITE, 75.0, 75.0)["short_probability"] > 0.6


def test_the_seeds_scatter_around_the_published_cell() -> None:
    """At 25 MPa the median of many laboratories is the published 32 Ω; they differ by tens of per cent."""
    protocol = PressingProtocol((Stage("press", 25.0, 1.0, 60.0, 25.0),), 25.0)
    found = [truth(ARGYRODITE, seed, [protocol])["cell_resistance_ohm_cm2"][0] for seed in range(60)]
    ohm = np.array(found) / ARGYRODITE.area_cm2
    assert np.median(ohm) == pytest.approx(32.0, rel=0.15)
    assert 0.1 < np.std(np.log(ohm)) < 0.5


def _law(seed: int) -> Law:
    return laboratory(ARGYRODITE, seed).law


def _step(law: Law, state: CellState, pressure_mpa: float, temperature_c: float, seconds: float) -> CellState:
    return advance(law, state, np.array([[pressure_mpa]]), np.array([[temperature_c]]), seconds)


@given(
    seed=st.integers(0, 30),
    pressure_mpa=st.floats(0.5, 100.0),
    temperature_c=st.floats(25.0, 120.0),
    first_s=st.floats(0.1, 3000.0),
    second_s=st.floats(0.1, 3000.0),
)
def test_two_stages_at_the_same_settings_are_one(
    seed: int, pressure_mpa: float, temperature_c: float, first_s: float, second_s: float
) -> None:
    """Cutting a dwell into two changes nothing: the laws compose, whatever the creep law of the seed."""
    law = _law(seed)
    twice = CellState.fresh()
    for seconds in (first_s, second_s):
        twice = _step(law, twice, pressure_mpa, temperature_c, seconds)
    once = _step(law, CellState.fresh(), pressure_mpa, temperature_c, first_s + second_s)
    for name in ("forged", "peak", "bond_c", "compact", "interphase", "drive_short", "drive_crack", "squeeze"):
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=1e-6, err_msg=name)


@given(seed=st.integers(0, 30), low_mpa=st.floats(0.1, 30.0), high_mpa=st.floats(30.0, 90.0))
def test_a_lower_stage_after_a_higher_one_forges_little(seed: int, low_mpa: float, high_mpa: float) -> None:
    """What was closed stays closed, and a lower stage adds next to nothing to it."""
    law = _law(seed)
    high = _step(law, CellState.fresh(), high_mpa, 25.0, 60.0)
    after = _step(law, high, low_mpa, 25.0, 60.0)
    assert (after.forged >= high.forged).all()
    assert (after.forged <= high.forged * 1.2).all()
    assert (after.drive_short >= high.drive_short).all()


@given(seed=st.integers(0, 30), pressure_mpa=st.floats(0.5, 80.0), step=st.floats(1e-6, 1e-4))
def test_no_jump_anywhere(seed: int, pressure_mpa: float, step: float) -> None:
    """A hair more pressure changes the resistance by a hair."""
    law = _law(seed)
    values = []
    for pressure in (pressure_mpa, pressure_mpa * (1 + step)):
        state = _step(law, CellState.fresh(), pressure, 40.0, 100.0)
        held = np.array([[5.0]])
        values.append(float(resistances(law, state, held, np.array([[25.0]])).interface[0, 0]))
    assert values[1] == pytest.approx(values[0], rel=10 * step)


def test_a_state_survives_json() -> None:
    """A state that was written down and read back is the same to the last bit."""
    import json

    state = _step(_law(1), CellState.fresh(), 12.3, 55.5, 77.7)
    back = CellState.from_json(json.loads(json.dumps(state.to_json())))
    assert np.array_equal(back.forged, state.forged)
    assert np.array_equal(back.interphase, state.interphase)
    assert back.age_s == state.age_s


def test_formation_never_loads_the_metal() -> None:
    """The pressure that forms a powder is not one that the metal sees: no short by formation alone."""
    cell = SYSTEMS["two-stage"].cell
    formed = Stage("formation", 400.0, 5.0, 120.0, 25.0)
    gentle = PressingProtocol((formed, Stage("assembly", 10.0, 1.0, 60.0, 25.0)), 5.0)
    alone = PressingProtocol((formed,), 5.0)
    for protocol in (gentle, alone):
        found = truth(cell, 1, [protocol])
        assert found["short_probability"][0] < 0.01
        assert found["relative_density"][0] > 0.78


def test_assembly_as_hard_as_formation_damages_the_first_layer() -> None:
    """The nearer assembly comes to the pressure of formation, the likelier the first layer is damaged."""
    cell = SYSTEMS["two-stage"].cell
    formed = Stage("formation", 200.0, 5.0, 120.0, 25.0)
    risk = [
        truth(cell, 1, [PressingProtocol((formed, assembled), 5.0)])["damage_probability"][0]
        for assembled in (Stage("assembly", p, 1.0, 60.0, 25.0) for p in (20.0, 100.0, 200.0))
    ]
    assert risk[0] < 0.01 < risk[1] < 0.3 < risk[2]


def test_an_interlayer_has_pin_holes_that_pressure_closes_and_tears() -> None:
    """With pin-holes the interface is worse at low and at high pressure than the same layer without."""
    system = SYSTEMS["li3ocl"]
    law = medians(system.cell)
    tight = replace(law, pin_share=0.0)
    gain = []
    for pressure in (25.0, 130.0, 375.0):
        protocol = PressingProtocol((Stage("press", pressure, 2.0, 60.0, 25.0),), 10.0)
        with_holes, without = (resistance_of(system.cell, chosen, protocol) for chosen in (law, tight))
        gain.append(with_holes - without)
    assert gain[0] > 2 * gain[1] > 0
    assert gain[2] > 2 * gain[1]


def test_unknown_materials_are_refused_with_the_known_ones() -> None:
    """A material that the twin cannot model is refused, and the message lists what it can."""
    odd = symmetric(LI, Layer("Marzipan", Role.ELECTROLYTE, 500.0), die_mm=10.0)
    with pytest.raises(MaterialError, match=r"'Marzipan'; it knows .*Li6PS5Cl"):
        medians(odd)
    with pytest.raises(MaterialError, match="no metal 'none'"):
        medians(Cell((Layer("LLZO", Role.ELECTROLYTE, 500.0), Layer("Cu", Role.COLLECTOR, 10.0)), Die(10.0), 10.0))
