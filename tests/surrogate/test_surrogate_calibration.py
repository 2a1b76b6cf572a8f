"""From measurements to parameters: it learns what the data say, and says what they do not."""

from __future__ import annotations

import numpy as np
import pytest

from pressopt.errors import InputError
from pressopt.surrogate import ProtocolTable, Surrogate
from surrogate_cells import CELLS, pressed

# Doux et al., Adv. Energy Mater. 10 (2020) 1903253, fig. 4c: loading, and release from 25 to 5 MPa; Ω of the cell.
PEAK = [5.0, 10.0, 15.0, 20.0, 25.0, 25.0]
HELD = [5.0, 10.0, 15.0, 20.0, 25.0, 5.0]
OHM = [110.0, 50.0, 40.0, 35.0, 32.0, 50.0]


def doux_table() -> ProtocolTable:
    return pressed(np.array(PEAK)[:, None], measure_at_mpa=HELD)


def test_calibration_to_doux_narrows_what_doux_says(doux: Surrogate) -> None:
    """After six cells the prediction hits them within 8 %, the interval is narrow, shorting still unknown."""
    ohm_cm2 = np.array(OHM) * doux.cell.area_cm2
    posterior = doux.calibrate(doux_table(), {"cell_resistance_ohm_cm2": (ohm_cm2, 0.05)}, draws=512, seed=1)
    assert posterior.misfit < 1.5
    prediction = doux.predict(doux_table(), parameters=posterior)
    assert prediction.nominal["cell_resistance_ohm_cm2"] == pytest.approx(ohm_cm2, rel=0.08)
    low, _, high = prediction.interval("cell_resistance_ohm_cm2")
    before = doux.predict(doux_table(), draws=512, seed=1).interval("cell_resistance_ohm_cm2")
    assert (np.log(high / low) < 0.5 * np.log(before[2] / before[0])).all()
    assert posterior.identified["conductivity_ms_cm"] < 0.5
    assert "short_mpa" in posterior.unidentified(0.8)


def test_calibration_finds_the_parameters_of_made_up_data() -> None:
    """Data made with a draw of the prior give back predictions of that draw, at pressures not measured too."""
    surrogate = Surrogate(CELLS["Na|Na3PS4"]())
    random = np.random.default_rng(5)
    truth = surrogate.rows_at(random.standard_normal((1, len(surrogate.parameters))))
    pressure = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    table = pressed(pressure[:, None], measure_at_mpa=2.0)
    unseen = pressed([[1.5], [3.0], [6.0], [12.0]], measure_at_mpa=2.0)
    name = "cell_resistance_ohm_cm2"
    data = surrogate.outcomes(truth, table)[name][0] * np.exp(0.02 * random.standard_normal(5))
    posterior = surrogate.calibrate(table, {name: (data, 0.02)}, draws=512, seed=3)
    expected = surrogate.outcomes(truth, unseen)[name][0]
    assert surrogate.predict(unseen, parameters=posterior).nominal[name] == pytest.approx(expected, rel=0.08)


def test_one_parameter_agrees_with_the_exact_posterior() -> None:
    """Where the answer is known: conductivity measured on a closed cell, normal prior times normal likelihood."""
    surrogate = Surrogate(CELLS["Li|LPSCl"]())
    table = pressed(2000.0, measure_at_mpa=2000.0, ramp_mpa_s=1e6, dwell_s=0.0, settle_s=0.0)
    base = surrogate.predict(table).nominal["cell_resistance_ohm_cm2"]
    influence = surrogate.influence(table)["cell_resistance_ohm_cm2"]
    prior_variance = sum(size**2 for size in influence.values())
    sd, shift = 0.1, -0.15
    posterior = surrogate.calibrate(
        table, {"cell_resistance_ohm_cm2": (base * np.exp(shift), sd)}, draws=2048, seed=7
    )
    draws = np.log(surrogate.predict(table, parameters=posterior).draws["cell_resistance_ohm_cm2"][:, 0] / base[0])
    gain = prior_variance / (prior_variance + sd**2)
    assert draws.mean() == pytest.approx(gain * shift, abs=0.02)
    assert draws.std() == pytest.approx(np.sqrt(gain) * sd, rel=0.15)


def test_calibration_is_a_function_of_data_and_seed(doux: Surrogate) -> None:
    """Same data and seed, same draws; another seed, others."""
    data = {"cell_resistance_ohm_cm2": (np.array(OHM), 0.1)}
    one, again = (doux.calibrate(doux_table(), data, draws=64, seed=9) for _ in range(2))
    other = doux.calibrate(doux_table(), data, draws=64, seed=10)
    assert (one.values == again.values).all()
    assert (one.values != other.values).any()


def test_what_was_not_measured_is_left_out(doux: Surrogate) -> None:
    """NaN values carry no weight: the posterior is that of the measured ones."""
    some = np.array([*OHM[:5], np.nan]) * doux.cell.area_cm2
    with_nan = doux.calibrate(doux_table(), {"cell_resistance_ohm_cm2": (some, 0.1)}, draws=64, seed=2)
    first = ProtocolTable(doux_table().stages[:5], doux_table().measured[:5])
    without = doux.calibrate(first, {"cell_resistance_ohm_cm2": (some[:5], 0.1)}, draws=64, seed=2)
    assert with_nan.values == pytest.approx(without.values)


def test_data_the_physics_cannot_explain_show_as_misfit(doux: Surrogate) -> None:
    """Resistance that rises with pressure is not swallowed: the misfit is far above 1."""
    wrong = np.array(OHM[::-1]) * doux.cell.area_cm2
    assert doux.calibrate(doux_table(), {"cell_resistance_ohm_cm2": (wrong, 0.05)}, draws=64, seed=2).misfit > 3


@pytest.mark.parametrize(
    ("name", "values", "sd"),
    [
        ("contact_resistance_mohm_cm2", OHM, 0.1),
        ("press_time_s", OHM, 0.1),
        ("cell_resistance_ohm_cm2", OHM[:3], 0.1),
        ("cell_resistance_ohm_cm2", [-1.0, *OHM[1:]], 0.1),
        ("cell_resistance_ohm_cm2", OHM, 0.0),
    ],
)
def test_bad_measurements_are_refused_by_name(doux: Surrogate, name: str, values: list[float], sd: float) -> None:
    """Unknown quantities, wrong shapes, values or errors that are not positive are refused with the quantity."""
    with pytest.raises(InputError, match=name):
        doux.calibrate(doux_table(), {name: (values, sd)})


def test_nothing_measured_is_refused(doux: Surrogate) -> None:
    """No data, or too few draws, are refused."""
    with pytest.raises(InputError, match="measured"):
        doux.calibrate(doux_table(), {})
    with pytest.raises(InputError, match="draws"):
        doux.calibrate(doux_table(), {"cell_resistance_ohm_cm2": (OHM, 0.1)}, draws=2)
