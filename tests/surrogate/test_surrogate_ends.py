"""What lies beyond the metal interfaces: collectors on solids, composite electrodes, other laws of compaction."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import erf

from pressopt.errors import InputError, MaterialError
from pressopt.materials import Catalogue
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.surrogate import Surrogate
from surrogate_cells import full_cell, pressed, symmetric

STEEL, COPPER = Layer("steel", Role.COLLECTOR, 10_000.0), Layer("Cu", Role.COLLECTOR, 20.0)
FOIL, PELLET = Layer("Li", Role.ELECTRODE, 300.0), Layer("Li6PS5Cl", Role.ELECTROLYTE, 1000.0)
CATHODE = Layer("NMC-Li6PS5Cl", Role.COMPOSITE, 80.0)


def cell(*layers: Layer) -> Surrogate:
    return Surrogate(Cell(layers, Die(12.7), 12.7))


def elements(surrogate: Surrogate, *args: object, **settings: object) -> dict[str, np.ndarray]:
    return dict(surrogate.elements(pressed(*args, **settings)).nominal)


def parameters(surrogate: Surrogate) -> dict[str, float]:
    return {p.name: p.nominal for p in (*surrogate.parameters, *surrogate.settled)}


@pytest.mark.parametrize("solid", ["Li6PS5Cl", "LLZO", "Li3InCl6", "beta''-alumina"])
@pytest.mark.parametrize("collector", [STEEL, COPPER])
def test_a_collector_on_a_solid_is_persson_joined_with_tabor_and_holm(solid: str, collector: Layer) -> None:
    """The series term of steel or copper on a pellet is its published laws, written anew, to 1e-8."""
    surrogate = cell(FOIL, Layer(solid, Role.ELECTROLYTE, 1000.0), collector)
    p, held = parameters(surrogate), np.array([0.0, 0.5, 5.0, 50.0, 300.0])
    found = elements(surrogate, 300.0, measure_at_mpa=held)
    pressure = held + p["touch_mpa"]
    load, flow = pressure / p["back_stiffness_mpa"], pressure / p["back_hardness_mpa"]
    plain = erf(math.sqrt(2) * load)
    elastic = erf(math.sqrt(2) * load * (1.04 + 0.36 * np.exp(-2.2 * plain)))
    share = np.minimum((elastic**4 + np.minimum(flow, 1) ** 4) ** 0.25, 1)
    kappa = found["conductivity_ms_cm"] * 1e-3
    radius = np.sqrt(share)
    expected = math.pi * p["back_spacing_um"] * 1e-4 / (4 * kappa) * (1 - radius) ** 1.5 / radius
    assert found["back_contact_share"] == pytest.approx(share, rel=1e-8)
    assert found["back_ohm_cm2"] == pytest.approx(expected, rel=1e-8)


def test_a_light_contact_falls_as_the_root_of_pressure() -> None:
    """R ~ p^-0.5, as seen on Li6PS5Cl under metal pistons (arXiv:2501.00600), until the faces fill."""
    found = elements(cell(FOIL, PELLET, STEEL), 25.0, measure_at_mpa=[1.0, 4.0, 16.0])
    exponents = np.diff(np.log(found["back_ohm_cm2"])) / math.log(4)
    assert exponents == pytest.approx([-0.5, -0.55], abs=0.06)
    assert exponents[1] < exponents[0]


def test_a_piston_needs_some_30_mpa_on_a_sulfide() -> None:
    """Cronau 2021: 30 to 50 MPa suffice for a hard electrode; there the contact is some per cent of the pellet."""
    found = elements(cell(FOIL, PELLET, STEEL), 50.0, measure_at_mpa=[1.0, 40.0])
    part = found["back_ohm_cm2"] / (found["bulk_ohm_cm2"] + found["boundary_ohm_cm2"])
    assert part[0] > 0.1
    assert part[1] < 0.04


def test_the_series_terms_are_what_the_collectors_add() -> None:
    """A cell with collectors is the one without plus its collector and back terms, at every pressure."""
    bare, dressed = cell(FOIL, PELLET, CATHODE), cell(STEEL, FOIL, PELLET, CATHODE, STEEL)
    table = pressed([[5.0], [50.0]], measure_at_mpa=[5.0, 0.0])
    more = dressed.predict(table).nominal["cell_resistance_ohm_cm2"]
    more = more - bare.predict(table).nominal["cell_resistance_ohm_cm2"]
    found = dressed.elements(table).nominal
    assert more == pytest.approx(found["collector_ohm_cm2"] + found["back_ohm_cm2"], rel=1e-9)
    assert (more > 0).all()
    interface = dressed.predict(table).nominal["interfacial_resistance_ohm_cm2"]
    assert (interface == bare.predict(table).nominal["interfacial_resistance_ohm_cm2"]).all()


def test_steel_on_lithium_costs_next_to_nothing() -> None:
    """Soft metal fills the face of a rod: two rods add less than a thousandth of an ohm cm² to a pressed cell."""
    symmetric_cell = cell(STEEL, FOIL, PELLET, FOIL, STEEL)
    found = elements(symmetric_cell, 10.0, measure_at_mpa=[0.0, 10.0])
    assert (found["collector_ohm_cm2"] > 0).all()
    assert found["collector_ohm_cm2"][1] < 1e-3
    assert found["collector_ohm_cm2"][1] < found["collector_ohm_cm2"][0]
    assert (found["back_ohm_cm2"] == 0).all()


def test_two_collectors_on_each_other_are_counted_by_their_film() -> None:
    """Steel on copper is a contact of its own: its film over its small real area rules it."""
    found = elements(cell(STEEL, COPPER, FOIL, PELLET, FOIL), 10.0, measure_at_mpa=10.0)
    one = elements(cell(COPPER, FOIL, PELLET, FOIL), 10.0, measure_at_mpa=10.0)
    assert found["collector_ohm_cm2"][0] > 2 * one["collector_ohm_cm2"][0]


def test_what_the_collector_rests_on_is_said(doux: Surrogate) -> None:
    """Film, slope and spacing are nobody's measurement: the cell resistance names them, a bare cell does not."""
    behind = cell(FOIL, PELLET, STEEL).assumed_behind(pressed(5.0))
    assert {"back_stiffness_mpa", "back_spacing_um"} <= set(behind["cell_resistance_ohm_cm2"])
    assert "back_spacing_um" not in behind["interfacial_resistance_ohm_cm2"]
    assert not [name for name in doux.assumed if name.startswith(("back", "collector", "composite"))]


# --- composite electrodes ---------------------------------------------


def stepped(y: float, plastic: float, creep: float, seconds: float) -> float:
    """Logarithmic creep of a powder, integrated: dy/dt = c/60 s exp(-(y - plastic)/c)."""
    start = max(y, plastic)
    done = solve_ivp(
        lambda _, z: [creep / 60 * math.exp(-(z[0] - plastic) / creep)],
        (0, seconds), [start], rtol=1e-12, atol=1e-14, method="DOP853",
    )  # fmt: skip
    return float(done.y[0, -1])


@pytest.mark.parametrize("stages", [[(375.0, 60.0)], [(200.0, 300.0), (500.0, 10.0), (80.0, 1000.0)]])
def test_a_composite_agrees_with_stepwise_integration(stages: list[tuple[float, float]]) -> None:
    """Density and ionic resistance of a staged composite agree with a tight reference to 1e-8."""
    surrogate = Surrogate(full_cell())
    p = parameters(surrogate)
    y = -math.log(1 - p["composite_tap_density"])
    for pressure, dwell in stages:
        heated = pressure * math.exp(p["composite_softening_k"] * 30.0)
        plastic = heated / p["composite_compaction_mpa"] - math.log(1 - p["composite_tap_density"])
        y = stepped(y, plastic, p["composite_creep"], dwell)
    plastic = 5.0 / p["composite_compaction_mpa"] - math.log(1 - p["composite_tap_density"])
    y = stepped(y, plastic, p["composite_creep"], 60.0)
    inside = 1 - math.exp(-y - 5.0 / p["spring_back_mpa"])
    conducting = p["composite_electrolyte_share"] * inside
    excess = (conducting - p["composite_threshold"]) / (1 - p["composite_threshold"])
    kappa = 1e-3 * p["composite_ms_cm"] * excess ** p["composite_exponent"]
    thick = 1e-4 * p["composite_um"] * p["composite_thickness_density"] / inside
    found = elements(
        surrogate, [[s[0] for s in stages]], dwell_s=[[s[1] for s in stages]], temperature_c=55.0, settle_s=60.0
    )
    assert found["composite_density"][0] == pytest.approx(1 - math.exp(-y), rel=1e-8)
    assert found["composite_ms_cm"][0] == pytest.approx(1e3 * kappa, rel=1e-8)
    assert found["composite_ohm_cm2"][0] == pytest.approx(thick / kappa / 3, rel=1e-8)


def test_a_cathode_compacts_as_published() -> None:
    """NMC with Li3YBrCl6: 39, 38, 37.5 and 37 % pores at 125, 200, 300 and 350 MPa (Varkey 2026)."""
    cathode = Layer("NMC-Li3YBrCl6", Role.COMPOSITE, 100.0, powder=True)
    surrogate = cell(FOIL, Layer("Li3YCl6", Role.ELECTROLYTE, 800.0), cathode)
    found = elements(surrogate, [[125.0], [200.0], [300.0], [350.0]], dwell_s=1.0, measure_at_mpa=0.0)
    assert 1 - found["composite_density"] == pytest.approx([0.39, 0.38, 0.375, 0.37], abs=0.01)


def test_more_active_material_compacts_less_and_blocks_the_ions(tmp_path: Path) -> None:
    """By a data file alone: less electrolyte is stiffer, conducts less, and stops near the threshold."""
    lines = []
    for share in (0.7, 0.5, 0.3):
        lines += [
            f"[materials.Mix{share * 100:.0f}]",
            'kind = "composite"',
            'electrolyte = "LPSCl"',
            f'electrolyte_share = {{ value = {share}, confidence = "read", source = "mine" }}',
        ]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = [
        dict(
            Surrogate(
                Cell((FOIL, PELLET, Layer(name, Role.COMPOSITE, 80.0, powder=True)), Die(10.0), 10.0),
                Catalogue.load(path),
            ).elements(pressed(375.0)).nominal
        )
        for name in ("Mix70", "Mix50", "Mix30")
    ]  # fmt: skip
    density = [one["composite_density"][0] for one in found]
    kappa = [one["composite_ms_cm"][0] for one in found]
    assert density[0] > density[1] > density[2]
    assert kappa[0] > 3 * kappa[1] > 9 * kappa[2]
    assert found[1]["composite_ohm_cm2"][0] < found[2]["composite_ohm_cm2"][0]


def test_the_whole_cell_is_the_sum_and_the_spectrum_ends_there() -> None:
    """Of a full cell between rods: elements add up to the resistance, which the spectrum reaches from above."""
    surrogate, table = Surrogate(full_cell()), pressed([[375.0, 20.0]])
    found = surrogate.elements(table).nominal
    names = ("interlayer", "joint", "constriction", "transfer", "interphase")
    parts = (*names, "bulk", "boundary", "collector", "back", "composite")
    whole = np.sum([found[f"{name}_ohm_cm2"] for name in parts], axis=0)
    assert surrogate.predict(table).nominal["cell_resistance_ohm_cm2"] == pytest.approx(whole, rel=1e-12)
    low, high = surrogate.spectrum(table, [1e-6, 1e12]).cell[0]
    assert low.real == pytest.approx(whole[0], rel=1e-6)
    assert high.real < 0.01 * whole[0]


def test_layers_that_cannot_be_are_refused() -> None:
    """Metal on a composite, two composites, a composite without electrolyte, two kinds of back contact."""
    for layers in (
        (PELLET, FOIL, CATHODE),
        (FOIL, PELLET, CATHODE, CATHODE),
        (COPPER, FOIL, CATHODE),
        (STEEL, PELLET, FOIL, PELLET, COPPER),
        (FOIL, PELLET, Layer("Li6PS5Cl", Role.COMPOSITE, 80.0)),
    ):
        with pytest.raises(InputError, match="layers"):
            cell(*layers)


@pytest.mark.parametrize("conductor", ['electrolyte = "Li"', 'electrolyte = "nothing"', ""])
def test_a_composite_names_an_electrolyte(tmp_path: Path, conductor: str) -> None:
    """A composite whose electrolyte is none, or missing, is refused with that field."""
    path = tmp_path / "mine.toml"
    path.write_text(f'[materials.Mix]\nkind = "composite"\n{conductor}\n', encoding="utf-8")
    with pytest.raises(MaterialError, match=r"materials\.Mix\.electrolyte"):
        Catalogue.load(path)


# --- laws of compaction ---------------------------------------------


@pytest.mark.parametrize(
    ("stated", "law"),
    [
        (
            {"kawakita_mpa": 90.0, "kawakita_limit": 0.33},
            lambda p, tap: tap / (1 - 0.33 * p / (p + 90.0)),
        ),
        (
            {"panelli_ambrosio_mpa": 2000.0},
            lambda p, tap: 1 - (1 - tap) * math.exp(-math.sqrt(p / 2000.0)),
        ),
    ],
)
def test_a_powder_follows_the_law_that_its_file_states(
    tmp_path: Path, stated: dict[str, float], law: object
) -> None:
    """Kawakita, or Panelli and Ambrosio, by a data file: separator and composite get that density."""
    fields = "\n".join(f'{k} = {{ value = {v}, confidence = "read", source = "mine" }}' for k, v in stated.items())
    path = tmp_path / "mine.toml"
    path.write_text(f'[materials.Li6PS5Cl]\n{fields}\n[materials."NMC-Li6PS5Cl"]\n{fields}\n', encoding="utf-8")
    surrogate = Surrogate(full_cell(), Catalogue.load(path))
    p = parameters(surrogate)
    table = pressed([[250.0, 1.0]], dwell_s=0.0, measure_at_mpa=0.0, settle_s=0.0)
    density = surrogate.predict(table).nominal["relative_density"][0]
    assert density == pytest.approx(law(250.0, p["tap_density"]), rel=1e-8)  # type: ignore[operator]
    inside = surrogate.elements(table).nominal["composite_density"][0]
    assert inside == pytest.approx(law(250.0, p["composite_tap_density"]), rel=1e-8)  # type: ignore[operator]
    formed = surrogate.limits().short_mpa
    assert formed is not None
    assert 5.0 < formed < 100.0


def test_every_listed_system_answers_and_says_what_is_assumed() -> None:
    """Li, Na and In with every electrolyte of the catalogue: finite, and assumed where it is."""
    catalogue = Catalogue.load()
    listed = ("Li6PS5Cl", "Li3PS4", "LLZO", "Li3InCl6", "Li3YCl6", "Li3OCl", "Na3PS4", "NASICON", "beta''-alumina")
    for electrolyte in listed:
        metals = ("Na",) if electrolyte in {"Na3PS4", "NASICON", "beta''-alumina"} else ("Li", "In")
        for metal in metals:
            surrogate = Surrogate(symmetric(metal, electrolyte), catalogue)
            table = pressed(20.0)
            nominal = surrogate.predict(table).nominal
            assert np.isfinite(nominal["cell_resistance_ohm_cm2"]).all()
            behind = surrogate.assumed_behind(table)
            assert all(behind[name] for name in ("cell_resistance_ohm_cm2", "cycle_life_cycles")), electrolyte
