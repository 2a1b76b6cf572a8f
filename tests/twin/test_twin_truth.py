"""The truth, cells as they are made, and direct trials: determinism, optima, spoilt cells, wires or none."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.clock import FastClock
from pressopt.errors import InputError
from pressopt.pressing import QUANTITIES, PressingProtocol, RollStage, Stage
from pressopt.twin.laboratory import VirtualBench
from pressopt.twin.plant import PressSpec, approach_c
from pressopt.twin.population import SPOILT_SHARE, hidden_cell, laboratory
from pressopt.twin.programme import Programme, _approach_c
from pressopt.twin.truth import measure_directly, truth
from twin_systems import SYSTEMS, System

SEEDS = range(6)


def scan(system: System, seed: int, count: int = 4000) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    unit = np.random.default_rng(seed).random((count, len(system.settings)))
    return unit, truth(system.cell, seed, Programme.of(system.protocols(unit)))


@pytest.mark.parametrize("name", SYSTEMS)
def test_truth_speaks_the_known_quantities(name: str) -> None:
    """Every value has the name of a known quantity, is finite, and probabilities are probabilities."""
    system = SYSTEMS[name]
    _, found = scan(system, 1, 500)
    assert system.quantity in found
    for quantity, values in found.items():
        assert quantity in QUANTITIES
        assert values.shape == (500,)
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        if quantity.endswith("probability"):
            assert (values <= 1).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_optimum_lies_inside(name: str) -> None:
    """In most seeds the best pressure lies inside the search, and at both of its ends it is worse."""
    system = SYSTEMS[name]
    inside, worse = [], []
    for seed in SEEDS:
        unit, found = scan(system, seed)
        value = found[system.quantity]
        best = unit[np.argsort(value)[:10]].mean(axis=0)
        ends = min(value[unit[:, 0] < 0.1].min(), value[unit[:, 0] > 0.9].min())
        inside.append(0.1 < best[0] < 0.9)
        worse.append(ends > 1.02 * value.min())
    assert sum(inside) >= 5
    assert sum(worse) >= 4


IONIC = [name for name, system in SYSTEMS.items() if not system.quantity.startswith("contact")]


@pytest.mark.parametrize("name", IONIC)
def test_ever_more_pressure_shorts_or_cracks(name: str) -> None:
    """At the upper end of the search most cells are lost, at the best settings few."""
    system = SYSTEMS[name]
    main = "assembly" if "assembly" in system.settings else "pressure"
    column = list(system.settings).index(main)
    unit, found = scan(system, 2)
    lost = 1 - (1 - found["short_probability"]) * (1 - found["crack_probability"])
    safe = np.where(lost < 0.15, found[system.quantity], np.inf)
    assert np.median(lost[unit[:, column] > 0.95]) > 0.5
    assert safe.min() < 1.25 * found[system.quantity].min()


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_landscape_is_worth_searching(name: str) -> None:
    """A random protocol is far from the best, and the best is not a needle: 1 % or more lies within 10 % of it."""
    system = SYSTEMS[name]
    for seed in SEEDS:
        _, found = scan(system, seed)
        value = found[system.quantity]
        assert np.median(value) > 1.25 * value.min()
        assert np.mean(value < 1.1 * value.min()) > 0.01


def test_truth_is_a_function_of_the_seed() -> None:
    """Asked twice it says the same; another seed says something else; one protocol or many makes no difference."""
    system = SYSTEMS["lpscl"]
    unit, found = scan(system, 5, 50)
    again = truth(system.cell, 5, system.protocols(unit))
    other = truth(system.cell, 6, system.protocols(unit))
    alone = truth(system.cell, 5, system.protocols(unit[7:8]))
    for name, values in found.items():
        np.testing.assert_array_equal(values, again[name])
        np.testing.assert_allclose(values[7], alone[name][0], rtol=1e-12)
    assert not np.allclose(found[system.quantity], other[system.quantity], rtol=0.02)


def test_programmes_of_different_kinds_do_not_mix() -> None:
    """Protocols with different stages are refused, not silently cut."""
    one = PressingProtocol((Stage("a", 5.0, 1.0, 60.0, 25.0),), 5.0)
    roll = PressingProtocol((RollStage("a", 5.0, 1.0, 2, 25.0),), 0.0)
    with pytest.raises(InputError, match="2 kinds"):
        Programme.of([one, roll])
    with pytest.raises(InputError, match="0 kinds"):
        Programme.of([])


def test_truth_is_the_median_of_good_cells() -> None:
    """Cells of one seed scatter by some per cent around the truth, without a bias over many seeds."""
    system = SYSTEMS["lpscl"]
    protocol = PressingProtocol((Stage("press", 15.0, 1.0, 60.0, 30.0),), 5.0)
    ratios = []
    for seed in range(20):
        expected = truth(system.cell, seed, [protocol])[system.quantity][0]
        cells = [measure_directly(system.cell, seed, number, protocol)[0] for number in range(1, 25)]
        ratios.append(np.log([cell[system.quantity][0] / expected for cell in cells if cell]))
    assert np.median([np.median(of_seed) for of_seed in ratios]) == pytest.approx(0.0, abs=0.03)
    within = [np.median(np.abs(of_seed - np.median(of_seed))) for of_seed in ratios]
    assert 0.02 < np.median(within) < 0.09


def test_failures_come_as_often_as_told() -> None:
    """The share of shorted cells in direct trials is the probability that the truth tells."""
    system = SYSTEMS["lpscl"]
    for pressure in (45.0, 60.0, 80.0):
        protocol = PressingProtocol((Stage("press", pressure, 1.0, 60.0, 25.0),), 5.0)
        told = truth(system.cell, 8, [protocol])["short_probability"][0]
        seen = [measure_directly(system.cell, 8, number, protocol)[1] for number in range(1, 301)]
        share = np.mean(["shorted" in failures for failures in seen])
        assert share == pytest.approx(told, abs=0.12)


def test_a_few_cells_are_spoilt() -> None:
    """About three cells in a hundred are spoilt by hand, of both kinds, and a spoilt cell measures far worse."""
    system = SYSTEMS["lpscl"]
    lab = laboratory(system.cell, 11)
    cells = [hidden_cell(lab, number) for number in range(1, 4001)]
    kinds = [cell.spoilt for cell in cells]
    assert np.mean([kind != "" for kind in kinds]) == pytest.approx(SPOILT_SHARE, abs=0.01)
    assert set(kinds) == {"", "contaminated", "shifted"}
    protocol = PressingProtocol((Stage("press", 15.0, 1.0, 60.0, 30.0),), 5.0)
    good = truth(system.cell, 11, [protocol])[system.quantity][0]
    spoilt = [cell.number for cell in cells if cell.spoilt][:10]
    values = [measure_directly(system.cell, 11, number, protocol)[0][system.quantity][0] for number in spoilt]
    assert min(values) > 1.4 * good


def test_cells_do_not_depend_on_the_order_in_which_they_are_made() -> None:
    """Cell 17 is cell 17, whoever was made before."""
    lab = laboratory(SYSTEMS["lpscl"].cell, 3)
    first = hidden_cell(lab, 17)
    for number in range(16):
        hidden_cell(lab, number)
    assert hidden_cell(laboratory(SYSTEMS["lpscl"].cell, 3), 17) == first


def on_the_bench(system: System, seed: int, number: int, protocol: PressingProtocol) -> float:
    """Do a protocol on the virtual bench as a careful person would; return Re Z at 1 Hz, Ω cm²."""
    clock = FastClock()
    lab = VirtualBench(system.cell, seed=seed, clock=clock)
    lab.load_cell(number)
    die = system.cell.die

    def go(pressure_mpa: float, rate_mpa_s: float) -> None:
        lab.set_force(die.force_kn(pressure_mpa))
        lab.set_ramp(die.force_kn(rate_mpa_s))
        lab.start()
        while lab.plant().state != "hold":
            clock.sleep_s(1.0)

    def heat(temperature_c: float) -> None:
        lab.set_temperature(temperature_c)
        while abs(lab.plant().temperature_c - temperature_c) > 1.0:
            clock.sleep_s(5.0)

    for stage in protocol.stages:
        assert isinstance(stage, Stage)
        heat(stage.temperature_c)
        go(stage.pressure_mpa, stage.ramp_mpa_s)
        clock.sleep_s(stage.dwell_s)
    go(protocol.measure_at_mpa, protocol.release_mpa_s)
    heat(protocol.measure_at_c)
    clock.sleep_s(protocol.settle_s)
    looks = [lab.impedance_ohm(1.0, at_s=clock.now_s()).real for _ in range(20)]
    return float(np.mean(looks)) * system.cell.area_cm2


@pytest.mark.parametrize("name", ["lpscl", "llzo", "li3ocl", "sodium", "two-stage"])
def test_the_machine_changes_little(name: str) -> None:
    """The same cell on the bench, with its swings, leaks and heating, and directly: within 10 % of one another."""
    system = SYSTEMS[name]
    seed = 7
    unit = np.random.default_rng(3).random((12, len(system.settings))) * 0.75
    compared = 0
    for number, protocol in enumerate(system.protocols(unit), start=1):
        outcomes, failures = measure_directly(system.cell, seed, number, protocol)
        if failures or compared == 4:
            continue
        direct = outcomes["cell_resistance_ohm_cm2"][0]
        assert on_the_bench(system, seed, number, protocol) == pytest.approx(direct, rel=0.1)
        compared += 1
    assert compared == 4


@given(gone_s=st.floats(0.0, 2000.0), from_c=st.floats(25.0, 200.0), to_c=st.floats(25.0, 200.0))
def test_platens_heat_alike_in_arrays_and_one_by_one(gone_s: float, from_c: float, to_c: float) -> None:
    """The vectorised approach to a temperature is the machine's."""
    spec = PressSpec()
    many = _approach_c(np.array([gone_s]), np.array([from_c]), np.array([to_c]), spec)
    assert many[0] == pytest.approx(approach_c(gone_s, from_c, to_c, spec), abs=1e-9)


def test_rolling_on_the_bench_and_directly() -> None:
    """A cell that went through the virtual laminator reads like the same cell done directly."""
    system = SYSTEMS["copper-roll"]
    clock = FastClock()
    lab = VirtualBench(system.cell, seed=2, clock=clock, rolled=True)
    lab.load_cell(5)
    with pytest.raises(ValueError, match="no ram"):
        lab.start()
    lab.set_roll_temperature(60.0)
    clock.sleep_s(300.0)
    lab.set_line_force(80.0)
    lab.set_speed(5.0)
    lab.set_passes(3)
    lab.start_rolling()
    clock.sleep_s(30.0)
    assert lab.roll().state == "hold"
    assert lab.roll().passes_done == 1
    with pytest.raises(ValueError, match="rolls are running"):
        lab.set_speed(9.0)
    clock.sleep_s(60.0)
    assert lab.roll().state == "idle"
    assert lab.roll().passes_done == 3
    reading = np.mean([lab.dc_resistance_ohm() for _ in range(50)]) * system.cell.area_cm2 * 1000.0
    protocol = PressingProtocol((RollStage("roll", 80.0, 5.0, 3, 60.0),), 0.0)
    direct = measure_directly(system.cell, 2, 5, protocol)[0]["contact_resistance_mohm_cm2"][0]
    assert reading == pytest.approx(direct, rel=0.05)
    lab.set_passes(9)
    assert lab.roll().state == "idle"


def test_a_shorted_cell_looks_shorted() -> None:
    """Where a cell has shorted its impedance falls to a small fraction, without an arc."""
    system = SYSTEMS["lpscl"]
    clock = FastClock()
    lab = VirtualBench(system.cell, seed=1, clock=clock)
    fell = 0
    for number in range(1, 9):
        lab.load_cell(number)
        lab.set_force(system.cell.die.force_kn(1.0))
        lab.start()
        clock.sleep_s(30.0)
        assert abs(lab.impedance_ohm(1.0, at_s=clock.now_s())) > 200.0
        lab.set_force(system.cell.die.force_kn(120.0))
        lab.start()
        clock.sleep_s(600.0)
        assert "short" in lab.autopsy()["failures"]
        fell += abs(lab.impedance_ohm(1.0, at_s=clock.now_s())) < 8.0
        lab.stop()
        clock.sleep_s(100.0)
    assert fell == 8


def test_a_hundred_thousand_protocols_take_seconds() -> None:
    """Truth is vectorised: thousands of protocols a second, and a direct trial takes milliseconds."""
    system = SYSTEMS["lpscl"]
    unit = np.random.default_rng(0).random((2000, 3))
    programme = Programme.of(system.protocols(unit))
    begin = time.thread_time()
    truth(system.cell, 1, programme)
    assert time.thread_time() - begin < 0.5
    protocol = system.protocols(unit[:1])[0]
    best = math.inf
    for number in range(1, 20):
        begin = time.thread_time()
        measure_directly(system.cell, 1, number, protocol)
        best = min(best, time.thread_time() - begin)
    assert best < 0.01
