"""Which cells this laboratory makes: published medians for a system, then chance by seed and by cell.

Three levels: :func:`medians` (the system as literature knows it), :func:`laboratory` (what is special here: its
powder, its foil, its platens; fixed by the seed), :func:`hidden_cell` (one cell; fixed by seed and number).
Contact and failure figures are ``assumed`` so that published cells come out (each row says which); only tests may
look at them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pressopt.errors import MaterialError, Violation
from pressopt.pressing import Cell, Layer, Role
from pressopt.twin.chance import factor, normal, uniform
from pressopt.twin.laws import Law

SPOILT_SHARE = 0.03
"""Share of cells spoilt by hand: a contaminated foil or a shifted stack (assumed; a few per cent is usual)."""

_BATCH_CELLS = 8  # one foil batch serves about eight cells (assumed)


@dataclass(frozen=True, slots=True)
class _Metal:
    melting_c: float
    creep_j_mol: float
    soften_shape: float


# Melting points: CRC Handbook. Creep: Li 37 kJ/mol (Anand and Narayan, J. Electrochem. Soc. 166 (2019) A1092);
# Na near self-diffusion, In 70 kJ/mol, K like Na: assumed. Softening shapes: assumed.
_METALS = {
    "Li": _Metal(180.5, 37e3, 0.6),
    "Na": _Metal(97.8, 44e3, 0.35),
    "K": _Metal(63.5, 44e3, 0.3),
    "In": _Metal(156.6, 70e3, 0.6),
}


@dataclass(frozen=True, slots=True)
class _Electrolyte:
    family: str
    conductivity_ms_cm: float  # grains plus boundaries of the dense body at 25 °C
    conductivity_ev: float
    boundary_share: float
    density: float  # as usually prepared
    threshold_density: float


# Conductivity and activation energy: Li6PS5Cl so that pellets of 82 % show 2 to 3 mS/cm (Doux, Adv. Energy Mater.
# 10 (2020) 1903253); Li3PS4 glass, PEO-LiTFSI, LiPON, Na3PS4 glass-ceramic, NASICON and beta-alumina: usual values
# of reviews; Li3InCl6 2.04 mS/cm (Li, Angew. Chem. 58 (2019) 16427); Li3YCl6 0.54 (Asano, Adv. Mater. 30 (2018)
# 1803075); Li3OCl 0.032 (Front. Chem. 8 (2020) 562549); LLZO 0.51 (Murugan, Angew. Chem. 46 (2007) 7778), LLZTO
# 1.0 (Li, J. Mater. Chem. 22 (2012) 15357). Boundary shares, densities and thresholds: assumed.
_ELECTROLYTES = {
    "Li6PS5Cl": _Electrolyte("sulfide", 5.5, 0.33, 0.12, 0.82, 0.3),
    "Li6PS5Br": _Electrolyte("sulfide", 4.0, 0.34, 0.15, 0.82, 0.3),
    "Li3PS4": _Electrolyte("sulfide", 0.45, 0.37, 0.1, 0.85, 0.3),
    "Li7SiPS8": _Electrolyte("sulfide", 6.0, 0.3, 0.15, 0.85, 0.3),
    "Li10GeP2S12": _Electrolyte("sulfide", 12.0, 0.25, 0.15, 0.85, 0.3),
    "Li3InCl6": _Electrolyte("halide", 2.9, 0.33, 0.12, 0.88, 0.3),
    "Li3YCl6": _Electrolyte("halide", 0.8, 0.40, 0.15, 0.85, 0.3),
    "Li3OCl": _Electrolyte("antiperovskite", 0.032, 0.45, 0.5, 0.9, 0.3),
    "LLZO": _Electrolyte("garnet", 0.55, 0.32, 0.2, 0.97, 0.4),
    "LLZTO": _Electrolyte("garnet", 1.05, 0.32, 0.15, 0.97, 0.4),
    "Na3PS4": _Electrolyte("sulfide", 0.6, 0.28, 0.15, 0.86, 0.3),
    "Na3Zr2Si2PO12": _Electrolyte("nasicon", 1.3, 0.31, 0.3, 0.95, 0.4),
    "beta-alumina": _Electrolyte("nasicon", 2.2, 0.25, 0.25, 0.98, 0.4),
    "LiPON": _Electrolyte("glass", 0.0025, 0.55, 0.0, 1.0, 0.3),
    "PEO-LiTFSI": _Electrolyte("polymer", 0.02, 0.7, 0.0, 1.0, 0.3),
}

_SAME = {
    "lpscl": "Li6PS5Cl", "argyrodite": "Li6PS5Cl", "lpsbr": "Li6PS5Br", "lps": "Li3PS4", "lgps": "Li10GeP2S12",
    "lic": "Li3InCl6", "lyc": "Li3YCl6", "lioc": "Li3OCl", "li7la3zr2o12": "LLZO",
    "li6.4la3zr1.4ta0.6o12": "LLZTO",
    "nps": "Na3PS4", "nasicon": "Na3Zr2Si2PO12", "nzsp": "Na3Zr2Si2PO12", "beta-al2o3": "beta-alumina",
    "beta''-alumina": "beta-alumina", "beta″-alumina": "beta-alumina", "peo": "PEO-LiTFSI", "lithium": "Li",
    "sodium": "Na", "potassium": "K", "indium": "In", "li-in": "In", "liin": "In",
}  # fmt: skip

# Every contact starts from Li on Li6PS5Cl: so chosen that a symmetric cell of 12.7 mm shows over 500, 110, 50, 40,
# 35, 32 Ω at 1, 5, 10, 15, 20, 25 MPa, 50 Ω on return to 5 MPa, and a short at 75 MPa (Doux, 2020).
_LI_SULFIDE = Law(
    wave_mpa=100.0, wave_shape=1.26, wave_logistic=False, film_mpa=4.8, film_shape=0.36,
    creep_gain=0.11, creep_s=1.0, creep_j_mol=37e3, creep_stretched=False, melting_c=180.5, soften_shape=0.6,
    tilt=0.25, seat_mpa=60.0, adhesion_mpa=3.7, release_shape=0.86, mismatch_k=140.0,
    bruise_mpa=84.0, outflow_mpa=150.0, bruise_shape=2.2, charge_ohm_cm2=0.9, charge_ev=0.35,
    interphase_ohm_cm2=0.15, interphase_ev=0.30,
    conductivity_ms_cm=5.5, conductivity_ev=0.33, boundary_share=0.12, pellet_cm=0.1, density=0.82,
    powder=False, powder_mpa=110.0, powder_limit=0.42, threshold_density=0.3, face_gain=0.3, delaminate_mpa=540.0,
    layer_ohm_cm2=0.0, layer_mpa=0.0, pin_share=0.0, pin_mpa=60.0, pin_break_mpa=250.0, pin_ohm_cm2=0.0,
    short_mpa=102.0, short_shape=7.0, short_k=160.0, pore_cliff=0.8,
    crack_mpa=260.0, crack_shape=5.0, bending=1.0, damage_ratio=0.75, damage_shape=5.0,
    extrude_mpa=120.0, extrude_shape=2.5, extrude_s=900.0, gradient=0.06,
    limiting_ma_cm2=1.6, capacitance_f_cm2=2e-5,
)  # fmt: skip

# Only what differs from the row above. Garnet: contact by tens of MPa, 2 to 5 Ω cm² when clean (Sharafi, Chem.
# Mater. 29 (2017) 7961), cracks instead of pores. Antiperovskite under a second press: best at 100 to 190 MPa.
# Na: 100 to 200 MPa in assembly. Li on Cu: milliohms. All closure figures assumed within these bounds.
_CONTACTS: dict[tuple[str, str], dict[str, float]] = {
    ("Li", "sulfide"): {},
    ("Li", "polymer"): {"wave_mpa": 3.0, "film_mpa": 1.0, "charge_ohm_cm2": 25.0, "bruise_mpa": 12.0,
                        "short_mpa": 15.0, "interphase_ohm_cm2": 4.0},
    ("Li", "glass"): {"charge_ohm_cm2": 20.0, "short_mpa": 200.0, "crack_mpa": 200.0},
    ("Li", "halide"): {"interphase_ohm_cm2": 14.0, "charge_ohm_cm2": 3.0, "wave_mpa": 45.0},
    ("Li", "garnet"): {"wave_mpa": 50.0, "film_mpa": 14.0, "film_shape": 0.9, "charge_ohm_cm2": 3.0,
                       "adhesion_mpa": 9.0, "release_shape": 0.9, "mismatch_k": 170.0, "bruise_mpa": 120.0,
                       "interphase_ohm_cm2": 0.2, "interphase_ev": 0.28, "short_mpa": 170.0, "short_shape": 5.0,
                       "short_k": 220.0, "pore_cliff": 0.1, "crack_mpa": 190.0, "crack_shape": 4.5,
                       "capacitance_f_cm2": 8e-6},
    ("Li", "antiperovskite"): {"wave_mpa": 130.0, "film_mpa": 25.0, "charge_ohm_cm2": 4.0, "adhesion_mpa": 40.0,
                               "release_shape": 0.5, "bruise_mpa": 330.0, "seat_mpa": 150.0,
                               "short_mpa": 330.0, "short_shape": 6.0, "short_k": 220.0, "pore_cliff": 0.1,
                               "crack_mpa": 620.0, "interphase_ohm_cm2": 1.0, "capacitance_f_cm2": 8e-6},
    ("Na", "sulfide"): {"wave_mpa": 130.0, "film_mpa": 25.0, "film_shape": 0.8, "charge_ohm_cm2": 4.0,
                        "adhesion_mpa": 30.0, "release_shape": 0.7, "bruise_mpa": 300.0, "outflow_mpa": 75.0,
                        "seat_mpa": 150.0, "short_mpa": 420.0,
                        "short_shape": 6.0, "crack_mpa": 700.0, "interphase_ohm_cm2": 2.5,
                        "damage_ratio": 0.9, "capacitance_f_cm2": 8e-6, "extrude_mpa": 400.0},
    ("Na", "nasicon"): {"wave_mpa": 140.0, "film_mpa": 30.0, "film_shape": 0.8, "charge_ohm_cm2": 5.0,
                        "adhesion_mpa": 30.0, "release_shape": 0.7, "bruise_mpa": 320.0, "outflow_mpa": 80.0,
                        "seat_mpa": 150.0, "short_mpa": 520.0,
                        "crack_mpa": 480.0, "interphase_ohm_cm2": 1.0, "pore_cliff": 0.1,
                        "capacitance_f_cm2": 8e-6, "extrude_mpa": 400.0},
    ("Li", "collector"): {"wave_mpa": 12.0, "wave_shape": 1.1, "film_mpa": 3.0, "film_shape": 0.7,
                          "charge_ohm_cm2": 1.5e-3, "charge_ev": -0.02, "adhesion_mpa": 5.0, "release_shape": 0.7,
                          "mismatch_k": 140.0, "bruise_mpa": 28.0, "bruise_shape": 2.0, "seat_mpa": 20.0,
                          "interphase_ohm_cm2": 3e-4, "interphase_ev": 0.42, "extrude_mpa": 25.0,
                          "extrude_s": 400.0, "short_mpa": 1e9, "crack_mpa": 1e9},
}  # fmt: skip

# How much seeds differ, as the standard deviation of the logarithm (assumed: laboratories differ by tens of
# per cent to factors on one batch, Ohno, ACS Energy Lett. 5 (2020) 910).
_SEED_SPREAD = {
    "wave_mpa": 0.30, "wave_shape": 0.10, "film_mpa": 0.35, "film_shape": 0.12, "creep_gain": 0.30, "creep_s": 0.7,
    "soften_shape": 0.30, "tilt": 0.35, "adhesion_mpa": 0.30, "release_shape": 0.15, "mismatch_k": 0.2,
    "bruise_mpa": 0.22, "outflow_mpa": 0.25, "bruise_shape": 0.12, "charge_ohm_cm2": 0.30,
    "interphase_ohm_cm2": 0.4,
    "interphase_ev": 0.08, "conductivity_ms_cm": 0.15, "powder_mpa": 0.2, "layer_mpa": 0.25, "pin_mpa": 0.25,
    "pin_break_mpa": 0.2, "pin_ohm_cm2": 0.3, "short_mpa": 0.12, "short_shape": 0.15, "crack_mpa": 0.15,
    "damage_ratio": 0.08, "delaminate_mpa": 0.15, "extrude_mpa": 0.2,
    "limiting_ma_cm2": 0.25, "capacitance_f_cm2": 0.2,
}  # fmt: skip

# How much cells of one seed differ (assumed): everything that a careful person does not hold constant.
_CELL_SPREAD = {
    "wave_mpa": 0.04, "film_mpa": 0.05, "charge_ohm_cm2": 0.03, "tilt": 0.25, "adhesion_mpa": 0.05,
    "conductivity_ms_cm": 0.02, "pellet_cm": 0.02, "pin_share": 0.08, "interphase_ohm_cm2": 0.04,
}  # fmt: skip
_BATCH_SPREAD = {"wave_mpa": 0.04, "film_mpa": 0.05}


def _name(material: str) -> str:
    return _SAME.get(material.strip().lower(), material.strip())


def _electrolyte(layer: Layer) -> _Electrolyte:
    name = _name(layer.material)
    if name in _ELECTROLYTES:
        return _ELECTROLYTES[name]
    known = ", ".join(sorted(_ELECTROLYTES))
    raise MaterialError(
        (Violation("layers", f"the twin knows no electrolyte {layer.material!r}; it knows {known}"),)
    )


def laminated(cell: Cell) -> bool:
    """Whether this is metal on a collector, without any electrolyte."""
    return all(layer.role in {Role.COLLECTOR, Role.ELECTRODE} for layer in cell.layers)


def contacts(cell: Cell) -> int:
    """How many contacts of the kind that is asked for the current crosses."""
    if not laminated(cell):
        return max(1, cell.interfaces)
    pair = {Role.COLLECTOR, Role.ELECTRODE}
    return sum({a.role, b.role} == pair for a, b in zip(cell.layers, cell.layers[1:], strict=False))


def medians(cell: Cell) -> Law:
    """The system as literature knows it: the median laboratory's median cell.

    Raises:
        MaterialError: A material, or a pair of metal and electrolyte, that the twin does not know.
    """
    if any(layer.role is Role.COMPOSITE for layer in cell.layers):
        raise MaterialError((Violation("layers", "the twin has no composite electrodes: leave the layer out"),))
    metals = [layer for layer in cell.layers if layer.role is Role.ELECTRODE]
    metal = _name(metals[0].material) if metals else ""
    if metal not in _METALS:
        found = metals[0].material if metals else "none"
        known = ", ".join(_METALS)
        raise MaterialError(
            (Violation("layers", f"the twin knows no metal {found!r} as electrode; it knows {known}"),)
        )
    solids = [layer for layer in cell.layers if layer.role is Role.ELECTROLYTE]
    interlayers = [layer for layer in cell.layers if layer.role is Role.INTERLAYER]
    family = "collector" if laminated(cell) else _electrolyte((interlayers or solids)[0]).family
    row = _CONTACTS.get((metal, family)) or _CONTACTS.get(("Li", family))
    if row is None:
        row = _CONTACTS["Na", "sulfide"] if family == "antiperovskite" else {}
    kind = _METALS[metal]
    law = replace(_LI_SULFIDE, **row)  # type: ignore[arg-type]
    law = replace(law, melting_c=kind.melting_c, creep_j_mol=kind.creep_j_mol, soften_shape=kind.soften_shape)
    # A thinner foil conforms less; a rougher partner needs more (exponents assumed).
    thin = (metals[0].thickness_um / 100.0) ** -0.1
    faces = [layer.roughness_um for layer in (*interlayers, *solids) if layer.roughness_um is not None]
    rough = (faces[0] / 1.0) ** 0.15 if faces else 1.0
    law = replace(law, wave_mpa=law.wave_mpa * thin, film_mpa=law.film_mpa * rough)
    if solids:
        law = _with_electrolyte(law, solids[0], sum(layer.thickness_um for layer in solids))
    if interlayers:
        law = _with_interlayer(law, interlayers)
    return law


def _with_electrolyte(law: Law, layer: Layer, thickness_um: float) -> Law:
    body = _electrolyte(layer)
    density = layer.relative_density
    if density is None:
        density = 0.58 if layer.powder else body.density
    return replace(
        law,
        conductivity_ms_cm=body.conductivity_ms_cm,
        conductivity_ev=body.conductivity_ev,
        boundary_share=body.boundary_share,
        pellet_cm=thickness_um * 1e-4,
        density=density,
        powder=layer.powder,
        threshold_density=body.threshold_density,
    )


def _with_interlayer(law: Law, layers: list[Layer]) -> Law:
    """A thin layer of its own resistance, with pin-holes through which the metal meets the electrolyte behind.

    A Li3OCl layer keeps Li from Li3InCl6, which does not passivate (arXiv:2412.02433); pin-hole shares assumed.
    """
    body = _electrolyte(layers[0])
    ohm_cm2 = sum(layer.thickness_um for layer in layers) * 1e-4 / (body.conductivity_ms_cm * 1e-3)
    return replace(
        law, layer_ohm_cm2=ohm_cm2, layer_mpa=45.0, pin_share=0.06, pin_mpa=55.0, pin_break_mpa=330.0,
        pin_ohm_cm2=900.0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Laboratory:
    """What one seed makes of a system: the law of its median cell, and the errors of its machines.

    Attributes:
        seed: The seed.
        law: Hidden parameters of the median cell.
        force_gain: True force over indicated force (error of the load cell).
        noise: Relative noise of the impedance analyser, one standard deviation of each part.
        drift: Relative growth of charge transfer per cell: the foil ages in the glove box.
        inductance_h, lead_ohm: Of the leads.
    """

    seed: int
    law: Law
    force_gain: float
    noise: float
    drift: float
    inductance_h: float
    lead_ohm: float


def laboratory(cell: Cell, seed: int) -> Laboratory:
    """Draw what is special to ``seed``."""
    law = medians(cell)
    drawn = {
        name: getattr(law, name) * factor(spread, seed, "laboratory", name)
        for name, spread in _SEED_SPREAD.items()
    }
    law = replace(
        law,
        **drawn,
        wave_logistic=uniform(seed, "laboratory", "wave kind") < 0.4,
        creep_stretched=uniform(seed, "laboratory", "creep kind") < 0.4,
    )
    return Laboratory(
        seed=seed,
        law=law,
        force_gain=1 + 0.015 * normal(seed, "laboratory", "force"),
        noise=0.003 + 0.002 * uniform(seed, "laboratory", "noise"),
        drift=0.001 * normal(seed, "laboratory", "drift"),
        inductance_h=2.5e-7 * factor(0.3, seed, "laboratory", "inductance"),
        lead_ohm=0.06 * factor(0.3, seed, "laboratory", "lead"),
    )


@dataclass(frozen=True, slots=True)
class HiddenCell:
    """One cell as it is.

    Attributes:
        number: Its number.
        law: Its hidden parameters.
        gain: True pressure over indicated pressure: load cell and this cell's friction.
        short_at, crack_at, damage_at: Drives at which it fails; the median cell's are never reached.
        spoilt: ``""``, ``"contaminated"`` or ``"shifted"``.
        asymmetry: How its interfaces differ.
        short_ohm: Resistance of its short, Ω, if it shorts.
        crack_gain: Bulk resistance after over before a crack.
        crack_shorts: Whether the metal finds its way through a crack.
    """

    number: int
    law: Law
    gain: float
    short_at: float = float("inf")
    crack_at: float = float("inf")
    damage_at: float = float("inf")
    spoilt: str = ""
    asymmetry: float = 0.0
    short_ohm: float = 3.0
    crack_gain: float = 1.5
    crack_shorts: bool = False


def median_cell(lab: Laboratory) -> HiddenCell:
    """The cell without luck, good or bad: what the truth is told for."""
    return HiddenCell(number=0, law=lab.law, gain=lab.force_gain)


def _threshold(shape: float, *key: int | str) -> float:
    return float((-math.log(uniform(*key))) ** (1 / shape))


def _short_ohm(seed: int, number: int) -> float:
    """A filament of lithium (9.3e-8 Ω m) 2 to 5 µm thick through 1 mm has 1 to 7 Ω; a filled crack far less.

    One short in five is a filled crack (assumed).
    """
    mark = uniform(seed, "cell", number, "short size")
    if uniform(seed, "cell", number, "short kind") < 0.2:
        return float(0.02 * 25**mark)
    return float(1.6 * 4**mark)


def hidden_cell(lab: Laboratory, number: int) -> HiddenCell:
    """Draw cell ``number`` of this laboratory."""
    seed, law = lab.seed, lab.law
    batch = (number + int(_BATCH_CELLS * uniform(seed, "batch start"))) // _BATCH_CELLS
    changed = {
        name: getattr(law, name) * factor(spread, seed, "cell", number, name)
        for name, spread in _CELL_SPREAD.items()
    }
    for name, spread in _BATCH_SPREAD.items():
        changed[name] *= factor(spread, seed, "batch", batch, name)
    changed["charge_ohm_cm2"] *= (1 + lab.drift) ** number
    spoilt = ""
    if uniform(seed, "cell", number, "spoilt") < SPOILT_SHARE:
        spoilt = "contaminated" if uniform(seed, "cell", number, "spoilt how") < 0.6 else "shifted"
    if spoilt == "contaminated":
        changed["charge_ohm_cm2"] *= 4.0 * factor(0.4, seed, "cell", number, "contamination")
        changed["film_mpa"] *= 2.0
    cell_law = replace(law, **changed)
    return HiddenCell(
        number=number,
        law=cell_law,
        gain=lab.force_gain * (1 + 0.006 * normal(seed, "cell", number, "friction")),
        short_at=_threshold(law.short_shape, seed, "cell", number, "short"),
        crack_at=_threshold(law.crack_shape, seed, "cell", number, "crack"),
        damage_at=_threshold(law.damage_shape, seed, "cell", number, "damage"),
        spoilt=spoilt,
        asymmetry=0.08 * normal(seed, "cell", number, "asymmetry"),
        short_ohm=_short_ohm(seed, number),
        crack_gain=1.2 + 1.3 * uniform(seed, "cell", number, "crack gain"),
        crack_shorts=uniform(seed, "cell", number, "crack shorts") < 0.35,
    )
