"""What must hold whatever the parameters: limits, monotonicities, splitting, threads, derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pressopt import _core
from pressopt.pressing import QUANTITIES, PressingProtocol, Stage
from pressopt.surrogate import ParameterDraws, ProtocolTable, Surrogate
from surrogate_cells import CELLS, pressed

SURROGATES = {name: Surrogate(make()) for name, make in CELLS.items()}
FORMED = ("two-stage", "full")
IONIC = [name for name in CELLS if name != "laminate"]
pressures = st.floats(0.5, 150.0)
dwells = st.floats(0.0, 5000.0)
heats = st.floats(20.0, 80.0)


def nominal(name: str, table: ProtocolTable, quantity: str) -> np.ndarray:
    return SURROGATES[name].predict(table).nominal[quantity]


@pytest.mark.parametrize("name", CELLS)
def test_every_answer_is_finite_and_in_its_range(name: str) -> None:
    """All quantities are known ones, finite, positive or shares, for the nominal values and for prior draws."""
    table = pressed([[p] for p in (0.5, 5.0, 50.0, 500.0)], temperature_c=60.0, dwell_s=600.0)
    prediction = SURROGATES[name].predict(table, draws=64, seed=1)
    assert set(prediction.quantities) <= set(QUANTITIES)
    for quantity in prediction.quantities:
        values = np.vstack([prediction.nominal[quantity][None], prediction.draws[quantity]])
        assert np.isfinite(values).all(), quantity
        assert (values >= 0).all(), quantity
        if quantity.endswith(("probability", "fraction", "density")):
            assert (values <= 1).all(), quantity
        elif quantity != "press_time_s":
            assert (values > 0).all(), quantity


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(IONIC), low=pressures, factor=st.floats(1.05, 4.0), dwell=dwells, heat=heats)
def test_more_pressure_closes_more_and_risks_more(
    name: str, low: float, factor: float, dwell: float, heat: float
) -> None:
    """At equal state of measurement a higher pressure never gives less contact, nor less risk."""
    table = pressed(
        [[low], [low * factor]], dwell_s=dwell, temperature_c=heat, measure_at_mpa=0.0, ramp_mpa_s=10.0
    )
    for quantity in ("short_probability", "crack_probability", "extrusion_fraction", "relative_density"):
        values = nominal(name, table, quantity)
        assert values[1] >= values[0] - 1e-12, quantity


@settings(max_examples=60, deadline=None)
@given(low=pressures, factor=st.floats(1.05, 4.0), dwell=st.floats(0.0, 600.0))
def test_more_pressure_never_raises_a_cold_interface(low: float, factor: float, dwell: float) -> None:
    """Held under its own pressure, Li | LPSCl improves with pressure, within 1 % of interphase."""
    high = low * factor
    table = pressed([[low], [high]], dwell_s=dwell, measure_at_mpa=[low, high], ramp_mpa_s=100.0)
    values = nominal("Li|LPSCl", table, "interfacial_resistance_ohm_cm2")
    assert values[1] <= values[0] * 1.01


@settings(max_examples=40, deadline=None)
@given(pressure=st.floats(1.0, 20.0), dwell=st.floats(1.0, 3000.0))
def test_more_dwell_never_opens_a_contact(pressure: float, dwell: float) -> None:
    """Longer holding never lowers the contact: the hot-spot factor falls."""
    values = nominal("Li|LPSCl", pressed(pressure, dwell_s=[[dwell], [2 * dwell]]), "hot_spot_factor")
    assert values[1] <= values[0] * (1 + 1e-3)


@pytest.mark.parametrize("name", IONIC)
def test_one_hold_is_two_halves(name: str) -> None:
    """Splitting a hold into two changes nothing beyond rounding, in any quantity but press time's shape."""
    first = [300.0] if name in FORMED else []
    before = [60.0] * len(first)
    once = pressed([[*first, 20.0]], dwell_s=[[*before, 800.0]], temperature_c=50.0)
    twice = pressed([[*first, 20.0, 20.0]], dwell_s=[[*before, 300.0, 500.0]], temperature_c=50.0)
    one, two = SURROGATES[name].predict(once).nominal, SURROGATES[name].predict(twice).nominal
    for quantity, value in one.items():
        assert two[quantity] == pytest.approx(value, rel=1e-9), quantity


def test_one_ramp_is_two_halves(doux: Surrogate) -> None:
    """Stopping for no time on the way up changes nothing but rounding."""
    once = pressed(30.0, ramp_mpa_s=0.05)
    twice = pressed([[13.0, 30.0]], ramp_mpa_s=0.05, dwell_s=[[0.0, 60.0]])
    one, two = doux.predict(once).nominal, doux.predict(twice).nominal
    for quantity, value in one.items():
        assert two[quantity] == pytest.approx(value, rel=1e-9), quantity


def test_contact_has_memory(doux: Surrogate) -> None:
    """A cell that has seen 25 MPa is better at 5 MPa than one that has not, and a detour below changes little."""
    resistance = nominal(
        "Li|LPSCl", pressed([[5.0, 5.0], [25.0, 5.0], [25.0, 25.0]]), "interfacial_resistance_ohm_cm2"
    )
    assert resistance[1] < 0.5 * resistance[0]
    assert resistance[1] == pytest.approx(resistance[2], rel=0.1)


def test_heat_acts_like_twenty_times_the_dwell() -> None:
    """Creep from 25 to 100 °C with Q = 37 kJ/mol equals about 20 times the dwell, far from full closure."""
    surrogate = SURROGATES["Li|LLZO"]
    # Measured at the same temperature, so that only the pressing differs.
    hot = pressed(0.5, dwell_s=1e5, temperature_c=100.0, measure_at_mpa=0.5, ramp_mpa_s=10.0)
    cold = pressed(0.5, dwell_s=[[1e5], [20e5], [60e5]], measure_at_mpa=0.5, ramp_mpa_s=10.0)
    target = surrogate.predict(hot).nominal["hot_spot_factor"][0]
    values = surrogate.predict(cold).nominal["hot_spot_factor"]
    assert values[0] > target
    assert values[2] < target * 1.05


def test_too_much_heat_grows_the_interphase(doux: Surrogate) -> None:
    """Hours at 150 °C leave a worse argyrodite interface than minutes: dwell and heat have an optimum."""
    table = pressed(20.0, temperature_c=150.0, dwell_s=[[60.0], [36000.0]], measure_at_mpa=20.0)
    resistance = doux.predict(table).nominal["interfacial_resistance_ohm_cm2"]
    assert resistance[1] > 2 * resistance[0]


@pytest.mark.parametrize("name", IONIC)
def test_saturation(name: str) -> None:
    """Very high pressure leaves charge transfer, interlayer and interphase: doubling it then changes nothing."""
    table = pressed([[2000.0], [4000.0]], measure_at_mpa=[2000.0, 4000.0], ramp_mpa_s=1e6, dwell_s=0.0)
    resistance = nominal(name, table, "interfacial_resistance_ohm_cm2")
    assert resistance[0] == pytest.approx(resistance[1], rel=1e-3)


@pytest.mark.parametrize("name", CELLS)
def test_threads_do_not_change_a_bit(name: str) -> None:
    """One thread and two give bitwise the same numbers."""
    surrogate = SURROGATES[name]
    random = np.random.default_rng(3)
    table = pressed(random.uniform(1.0, 80.0, (300, 2)), temperature_c=random.uniform(20, 70, (300, 2)))
    rows = surrogate.rows_at(random.standard_normal((5, len(surrogate.parameters))))
    one, two = (surrogate.outcomes(rows, table, threads=count) for count in (1, 2))
    assert all((one[quantity] == two[quantity]).all() for quantity in one)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_agree_with_differences(name: str) -> None:
    """Exact derivatives by every setting agree with central differences to 1e-6."""
    surrogate = SURROGATES[name]
    pressure = [[300.0, 17.0]] if name in FORMED else [[9.0, 17.0]]
    table = pressed(pressure, dwell_s=[[120.0, 700.0]], temperature_c=[[31.0, 55.0]], ramp_mpa_s=[[0.7, 0.3]])
    table = ProtocolTable(table.stages, np.array([[4.0, 30.0, 90.0, 0.8]]))
    exact = surrogate.gradients(table)
    check_gradients(surrogate, table, exact)


def test_roll_gradients_agree_with_differences() -> None:
    """The nip is solved by iteration; its derivatives are exact all the same (passes count in whole numbers)."""
    table = ProtocolTable.roll(line_force_n_mm=4.0, speed_mm_s=8.0, passes=2, temperature_c=40.0)
    surrogate = SURROGATES["laminate"]
    exact = {
        name: {k: v for k, v in by.items() if k != "passes"} for name, by in surrogate.gradients(table).items()
    }
    check_gradients(surrogate, table, exact, skip=(("stages", 2), ("measured", 0)))


@pytest.mark.parametrize("name", CELLS)
def test_parameter_gradients_agree_with_differences(name: str) -> None:
    """Exact derivatives by every uncertain parameter agree with fourth-order differences to 1e-6."""
    surrogate = SURROGATES[name]
    pressure = [[300.0, 17.0]] if name in FORMED else [[9.0, 17.0]]
    table = pressed(pressure, dwell_s=[[120.0, 700.0]], temperature_c=[[31.0, 55.0]], measure_at_c=30.0)
    # Draws, since nominal values may sit on a kink: a ceramic just as dense as pores need to close.
    prior = surrogate.prior(3, seed=8)
    drawn = surrogate.parameter_gradients(table, parameters=prior)
    names = [p.name for p in surrogate.parameters]
    places = [_core.physics_parameters().index(parameter) for parameter in names]
    rows = surrogate.rows_at(np.zeros((3, len(names))))
    rows[:, places] = prior.values
    base = surrogate.outcomes(rows, table)
    for parameter, place in zip(names, places, strict=True):
        step = 3e-5 * rows[:, place]
        moved = {}
        for k in (-2, -1, 1, 2):
            shifted = rows.copy()
            shifted[:, place] += k * step
            moved[k] = surrogate.outcomes(shifted, table)
        for quantity, value in base.items():
            slow = (8 * (moved[1][quantity] - moved[-1][quantity]) - moved[2][quantity] + moved[-2][quantity])[
                :, 0
            ]
            slow /= 12 * step
            exact = drawn[quantity][parameter][:, 0]
            scale = np.maximum(np.abs(slow), 1e-3 * np.abs(value[:, 0]) / rows[:, place])
            rounding = 1e-11 / rows[:, place]  # of the differences, on shares next to nothing
            assert (np.abs(exact - slow) <= 1e-6 * scale + rounding).all(), (quantity, parameter, exact, slow)


def test_parameter_gradients_at_the_nominal_values_are_those_of_a_draw_there(doux: Surrogate) -> None:
    """Without draws the derivatives are taken at the nominal values, with one shape less."""
    table = pressed([[5.0], [25.0]])
    prior = doux.prior(1)
    middle = ParameterDraws(prior.names, np.array([[p.nominal for p in doux.parameters]]), prior.log_weight)
    drawn = doux.parameter_gradients(table, parameters=middle)
    for quality, by in doux.parameter_gradients(table).items():
        for parameter, slope in by.items():
            assert slope.shape == (2,)
            assert (slope == drawn[quality][parameter][0]).all()


def check_gradients(
    surrogate: Surrogate,
    table: ProtocolTable,
    exact: dict[str, dict[str, np.ndarray]],
    skip: tuple[tuple[str, int], ...] = (),
) -> None:
    for part, names in (("stages", table.stage_fields), ("measured", None)):
        array = getattr(table, part)
        for index in np.ndindex(array.shape[1:]):
            if (part, index[-1]) in skip:
                continue
            value = array[(0, *index)]
            step = 1e-5 * max(1.0, abs(value))
            tables = []
            for sign in (1, -1):
                moved = {"stages": table.stages.copy(), "measured": table.measured.copy()}
                moved[part][(0, *index)] = value + sign * step
                tables.append(ProtocolTable(moved["stages"], moved["measured"], table.rolled))
            up, down = (surrogate.predict(t).nominal for t in tables)
            field = (names or ("measure_at_mpa", "measure_at_c", "settle_s", "release_mpa_s"))[index[-1]]
            for quantity, by_setting in exact.items():
                slope = by_setting[field][(0, *index[:-1])]
                slow = (up[quantity][0] - down[quantity][0]) / (2 * step)
                scale = max(abs(slow), 1e-4 * abs(up[quantity][0]))
                assert abs(slope - slow) <= 1e-6 * scale + 1e-11, (quantity, field, index)


def test_a_table_is_the_protocols_it_was_made_of(doux: Surrogate) -> None:
    """Protocol objects and arrays with the same settings give the same prediction."""
    protocol = PressingProtocol((Stage("press", 25.0, 1.0, 60.0, 25.0),), measure_at_mpa=5.0)
    by_object, by_list = doux.predict(protocol), doux.predict([protocol, protocol])
    by_array = doux.predict(pressed(25.0))
    for quantity, value in by_array.nominal.items():
        assert (by_object.nominal[quantity] == value).all()
        assert (by_list.nominal[quantity] == value[0]).all()


def test_press_time_counts_ramps_dwells_and_release(doux: Surrogate) -> None:
    """25 MPa at 1 MPa/s, 60 s, and back to 5 MPa at 1 MPa/s: 105 s."""
    assert doux.predict(pressed(25.0)).nominal["press_time_s"] == pytest.approx([105.0])


def test_rolls_laminate_harder_with_force_and_thin_the_foil() -> None:
    """Line force lowers the contact resistance of Li | Cu and costs thickness; so does a hotter roll."""
    table = ProtocolTable.roll(
        line_force_n_mm=[[1.0], [5.0], [20.0], [5.0]],
        speed_mm_s=5.0,
        passes=1,
        temperature_c=[[25.0], [25.0], [25.0], [80.0]],
    )
    found = SURROGATES["laminate"].predict(table).nominal
    resistance, thinned = found["contact_resistance_mohm_cm2"], found["extrusion_fraction"]
    assert resistance[0] > resistance[1] > resistance[2]
    assert thinned[0] < thinned[1] < thinned[2]
    assert thinned[3] > thinned[1]


def test_passes_add_up() -> None:
    """Three passes in one stage are three stages of one pass."""
    settings_ = {"line_force_n_mm": 3.0, "speed_mm_s": 5.0, "temperature_c": 30.0}
    surrogate = SURROGATES["laminate"]
    together = surrogate.predict(ProtocolTable.roll(passes=3, **settings_)).nominal
    apart = surrogate.predict(ProtocolTable.roll(passes=[[1, 1, 1]], **settings_)).nominal
    for quantity, value in together.items():
        assert apart[quantity] == pytest.approx(value, rel=1e-12)
