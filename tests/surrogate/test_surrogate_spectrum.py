"""The impedance spectrum and the elements behind the qualities."""

from __future__ import annotations

import numpy as np
import pytest

from pressopt import _core
from pressopt.errors import InputError
from pressopt.surrogate import ELEMENTS, Surrogate
from surrogate_cells import CELLS, pressed

IONIC = [name for name in CELLS if name != "laminate"]
PARTS = ("interlayer_ohm_cm2", "joint_ohm_cm2", "constriction_ohm_cm2", "transfer_ohm_cm2", "interphase_ohm_cm2")
FREQUENCY = np.geomspace(1e-3, 1e9, 61)


@pytest.mark.parametrize("name", IONIC)
def test_at_low_frequency_the_spectrum_is_the_dc_resistance(name: str) -> None:
    """At 1 µHz the cell and the interface are the predicted resistances, nominal and in every draw."""
    surrogate, table = Surrogate(CELLS[name]()), pressed([[5.0, 20.0], [50.0, 60.0]])
    found = surrogate.spectrum(table, [1e-6], draws=16, seed=3)
    dc = surrogate.predict(table, draws=16, seed=3)
    for quality, nominal, drawn in (
        ("cell_resistance_ohm_cm2", found.cell, found.cell_draws),
        ("interfacial_resistance_ohm_cm2", found.interface, found.interface_draws),
    ):
        assert nominal[:, 0].real == pytest.approx(dc.nominal[quality], rel=1e-3)
        assert drawn[:, :, 0].real == pytest.approx(dc.draws[quality], rel=1e-2)
        assert np.abs(nominal[:, 0].imag).max() < 0.01 * nominal[:, 0].real.max()


@pytest.mark.parametrize("name", IONIC)
def test_the_elements_add_up_to_the_resistances(name: str) -> None:
    """Parts of one interface make the interface; with grains and boundaries they make the whole cell."""
    surrogate, table = Surrogate(CELLS[name]()), pressed([[5.0], [80.0]])
    elements, qualities = surrogate.elements(table).nominal, surrogate.predict(table).nominal
    interface = sum(elements[part] for part in PARTS)
    assert interface == pytest.approx(qualities["interfacial_resistance_ohm_cm2"], rel=1e-12)
    rest = sum(elements[f"{part}_ohm_cm2"] for part in ("bulk", "boundary", "collector", "back", "composite"))
    whole = rest + surrogate.cell.interfaces * interface
    assert whole == pytest.approx(qualities["cell_resistance_ohm_cm2"], rel=1e-12)


def test_spectra_are_passive_and_fall_with_frequency(doux: Surrogate) -> None:
    """No negative resistance, no inductance, and a modulus that only falls: sums of arcs and nothing else."""
    found = doux.spectrum(pressed(25.0), FREQUENCY, draws=8)
    for spectrum in (found.cell, found.interface, found.cell_draws, found.interface_draws):
        assert (spectrum.real >= 0).all()
        assert (spectrum.imag <= 0).all()
        assert (np.diff(np.abs(spectrum), axis=-1) <= 0).all()
    assert found.cell.shape == (1, 61)
    assert found.cell_draws.shape == (8, 1, 61)
    assert set(found.assumed) >= {"arc_exponent", "gap_um"}


def test_losing_area_leaves_the_time_constant_of_the_arc_alone(doux: Surrogate) -> None:
    """R ~ 1/A and C ~ A (Schlenker 2020): R C of the interfacial arc is that of the full contact."""
    table = pressed([[1.0], [5.0], [25.0]], measure_at_mpa=[1.0, 5.0, 25.0])
    elements = doux.elements(table).nominal
    area = elements["wave_contact_share"] * elements["rough_contact_share"]
    assert elements["transfer_ohm_cm2"] * area == pytest.approx(elements["transfer_ohm_cm2"][2] * area[2])
    product = elements["transfer_ohm_cm2"] * elements["interface_f_cm2"]
    assert product == pytest.approx(product[0])
    assert area[0] < 0.1 * area[2]


def test_an_interphase_raises_resistance_at_constant_capacitance(doux: Surrogate) -> None:
    """Hours in the heat grow R of the arc and leave C (area) as it was, within the creep of the contact."""
    table = pressed(200.0, temperature_c=120.0, dwell_s=[[60.0], [36000.0]], measure_at_mpa=200.0)
    elements = doux.elements(table).nominal
    assert elements["interphase_ohm_cm2"][1] > 3 * elements["interphase_ohm_cm2"][0]
    assert elements["interface_f_cm2"][1] == pytest.approx(elements["interface_f_cm2"][0], rel=0.01)


def test_a_screw_clamp_loses_pressure_and_a_piston_does_not(doux: Surrogate) -> None:
    """At fixed displacement the pressure falls with time, more at higher pressure; never below nothing."""
    stack = np.array([0.0, 1.0, 5.0, 25.0])
    elements = doux.elements(pressed(25.0, measure_at_mpa=stack)).nominal
    left = elements["clamped_pressure_mpa"]
    assert (left <= stack * (1 + 1e-12)).all()
    assert (left >= 0).all()
    lost = stack - left
    assert (np.diff(lost) > 0).all()


def test_a_cell_with_one_metal_electrode_breathes_and_delaminates_sooner() -> None:
    """Cycled deeper, a clamped one-sided cell swings more and parts sooner; a symmetric one does not swing."""
    table = pressed(20.0, measure_at_mpa=5.0)
    shallow, deep = (
        Surrogate(CELLS["interlayer"](), cycled_mah_cm2=q).elements(table).nominal for q in (0.5, 2.0)
    )
    assert deep["pressure_swing_mpa"][0] == pytest.approx(4 * shallow["pressure_swing_mpa"][0])
    assert deep["delamination_cycles"][0] == pytest.approx(shallow["delamination_cycles"][0] / 4)
    assert deep["clamped_cycle_life_cycles"][0] < shallow["clamped_cycle_life_cycles"][0]
    symmetric = Surrogate(CELLS["Li|LPSCl"](), cycled_mah_cm2=2.0).elements(table).nominal
    assert symmetric["pressure_swing_mpa"][0] == 0.0


def test_an_electrode_smaller_than_the_pellet_crowds_current_at_its_rim(doux: Surrogate) -> None:
    """The edge factor is 1 where electrode and pellet are equally wide, above it where the pellet overhangs."""
    table = pressed(25.0)
    assert doux.elements(table).nominal["edge_factor"][0] == 1.0
    assert Surrogate(CELLS["two-stage"]()).elements(table).nominal["edge_factor"][0] > 1.05


def test_every_element_has_unit_and_meaning_and_says_what_it_assumes(doux: Surrogate) -> None:
    """The list of elements is that of the core, and each names the assumed inputs that it depends on."""
    assert list(ELEMENTS) == _core.physics_elements()
    behind = doux.assumed_behind(pressed(25.0), elements=True)
    assert "clamp_mpa" in behind["clamped_pressure_mpa"]
    assert "gap_um" in behind["constriction_f_cm2"]
    assert "gap_um" not in behind["constriction_ohm_cm2"]
    assert set(ELEMENTS) <= set(behind)


def test_bad_frequencies_and_laminations_are_refused(doux: Surrogate) -> None:
    """Frequencies that are none, and a cell without electrolyte, are refused by name."""
    for frequency in ([0.0], [-1.0, 1.0], [np.nan], [[1.0]]):
        with pytest.raises(InputError, match="frequency_hz"):
            doux.spectrum(pressed(5.0), frequency)
    with pytest.raises(InputError, match="layers"):
        Surrogate(CELLS["laminate"]()).elements(pressed(5.0))
    with pytest.raises(InputError, match="cycled_mah_cm2"):
        Surrogate(CELLS["Li|LPSCl"](), cycled_mah_cm2=-1.0)
