"""From a cell and the catalogue to the named numbers the physics takes, each with its prior."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from pressopt import _core
from pressopt.errors import InputError, MaterialError, Violation
from pressopt.materials import Catalogue, Confidence, Data, Datum, Material, MaterialKind
from pressopt.pressing import Cell, Layer
from pressopt.surrogate.layers import Parts
from pressopt.surrogate.rough_contact import contact_modulus_mpa

Real = npt.NDArray[np.float64]
Scale = Literal["log", "logit", "exact"]

#: Thickness of the foil for which the catalogue's closure pressure of the waviness holds, µm.
REFERENCE_FOIL_UM = 500.0
#: Crack geometry factor of a surface flaw (Tada, Paris and Irwin, The Stress Analysis of Cracks Handbook, 1973).
FLAW_FACTOR = 1.12
#: Heckel pressure of a sintered body, MPa: it is not compacted.
SINTERED_MPA = 1e7

#: Fields that more than one layer is asked for.
CONDUCTING, IONIC = "electronic_conductivity_ms_cm", "ionic_conductivity_ms_cm"

_RANK = list(Confidence)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of the physics with its prior.

    Attributes:
        name: Its name in the Rust core, unit included.
        nominal: Median of the prior, in the unit of its name.
        scale: Where the prior is normal: on the logarithm, the logit, or there is none.
        sd: Standard deviation on that scale.
        confidence: The least confident of the values behind it.
        source: Where they come from.
    """

    name: str
    nominal: float
    scale: Scale = "exact"
    sd: float = 0.0
    confidence: Confidence = Confidence.READ
    source: str = ""

    @property
    def uncertain(self) -> bool:
        return self.scale != "exact" and self.sd > 0

    def at(self, standard: Real) -> Real:
        """Values for standard-normal numbers, any shape."""
        if self.scale == "log":
            return self.nominal * np.exp(self.sd * standard)
        if self.scale == "logit":
            odds = math.log(self.nominal / (1 - self.nominal))
            return np.asarray(1 / (1 + np.exp(-(odds + self.sd * standard))))
        return np.full_like(standard, self.nominal)


@dataclass(frozen=True)
class CellPhysics:
    """What the Rust core needs to know of a cell.

    Attributes:
        parameters: All parameters, in the core's order.
        lamination: Metal on metal.
        powder: Whether the electrolyte starts as powder.
        interfaces: Metal | electrolyte contacts.
        metal: The soft metal.
        melting_c: Its melting point, °C.
        web_mm: Length of web that passes a roller, mm.
        compaction: Law of the electrolyte's powder, as the core calls it.
        composite_compaction: Law of the composite's powder.
    """

    parameters: tuple[Parameter, ...]
    lamination: bool
    powder: bool
    interfaces: int
    metal: str
    melting_c: float
    web_mm: float
    compaction: str
    composite_compaction: str
    index: Mapping[str, int] = field(default_factory=dict)

    def forming_mpa(self, value: Mapping[str, float]) -> float:
        """Pressure that brings the powder to its usual density by first loading alone, MPa; ``value`` by name."""
        tap, density, scale = value["tap_density"], value["thickness_density"], value["compaction_mpa"]
        gap = math.log((1 - tap) / (1 - density))
        if self.compaction == "kawakita":
            lost, limit = 1 - tap / density, value["compaction_limit"]
            return scale * lost / max(limit - lost, 1e-3 * limit)
        return scale * (gap**2 if self.compaction == "panelli-ambrosio" else gap)


def combine(name: str, value: float, *data: Datum, scale: Scale = "log") -> Parameter:
    """A parameter computed from several values: variances add on the log scale, the least confidence rules."""
    sd = math.sqrt(sum(datum.sd**2 for datum in data if datum.scale != "exact"))
    worst = max((datum.confidence for datum in data), key=_RANK.index)
    sources = "; ".join(dict.fromkeys(datum.source for datum in data))
    return Parameter(name, value, scale if sd > 0 else "exact", sd, worst, sources)


def of(name: str, datum: Datum) -> Parameter:
    """A parameter that is one value of the catalogue."""
    return Parameter(name, datum.value, datum.scale, datum.sd, datum.confidence, datum.source)


def given(name: str, value: float) -> Parameter:
    """A parameter that the experiment states."""
    return Parameter(name, value, source="the cell as described")


def describe(
    cell: Cell,
    catalogue: Catalogue,
    *,
    order: list[str],
    roll_radius_mm: float | None = None,
    cycled_mah_cm2: float | None = None,
) -> CellPhysics:
    """Gather all parameters of a cell, in the core's order.

    Raises:
        InputError: Layers that one surrogate cannot describe.
        MaterialError: A material that is unknown, or all data that are missing, each named.
    """
    parts = Parts(cell, catalogue)
    gather = _Gather(cell, parts, catalogue, roll_radius_mm, cycled_mah_cm2)
    parameters = gather.all()
    missing = [name for name in order if name not in parameters]
    if gather.missing:
        raise MaterialError(gather.missing)
    if missing:
        raise AssertionError(f"the core's parameters {missing} are described nowhere")
    powder = not parts.lamination and any(layer.powder for layer in parts.electrolytes)
    return CellPhysics(
        tuple(parameters[name] for name in order),
        lamination=parts.lamination,
        powder=powder,
        interfaces=cell.interfaces,
        metal=parts.metal.name,
        melting_c=gather.value(parts.metal, "melting_c"),
        web_mm=cell.electrode_diameter_mm,
        compaction=gather.laws["compaction"],
        composite_compaction=gather.laws["composite_compaction"],
        index={name: index for index, name in enumerate(order)},
    )


class _Gather:
    """Collects parameters; what the catalogue lacks is collected too, and refused at once."""

    def __init__(
        self,
        cell: Cell,
        parts: Parts,
        catalogue: Catalogue,
        roll_radius_mm: float | None,
        cycled_mah_cm2: float | None,
    ) -> None:
        self.missing: list[Violation] = []
        self._cell, self._parts, self._catalogue = cell, parts, catalogue
        self._laboratory = catalogue.laboratory
        self._roll_radius_mm, self._cycled_mah_cm2 = roll_radius_mm, cycled_mah_cm2
        against = parts.collector if parts.lamination else parts.interlayer or parts.electrolytes[0]
        if against is None:
            raise InputError((Violation("layers", "the metal touches nothing"),))
        self._against = against
        self.contact = catalogue.interface(parts.metal.name, against.material)
        self.laws = {"compaction": "heckel", "composite_compaction": "heckel"}
        self._found: dict[str, Parameter] = {}

    def all(self) -> dict[str, Parameter]:
        self._metal()
        self._contact()
        if self._parts.lamination:
            self._collector()
        else:
            self._electrolyte()
        self._interlayer()
        self._tools()
        self._spectrum()
        self._service()
        self._collectors()
        self._composite()
        return self._found

    def datum(self, data: Data, name: str) -> Datum:
        """One value; a stand-in where it is missing, so that the search for missing ones goes on."""
        try:
            return data[name]
        except MaterialError as error:
            self.missing.extend(violation for violation in error.violations if violation not in self.missing)
            return Datum(0.5, "", "missing", Confidence.ASSUMED, "exact", 0.0)

    def value(self, data: Data, name: str) -> float:
        return self.datum(data, name).value

    def _add(self, *parameters: Parameter) -> None:
        self._found.update({parameter.name: parameter for parameter in parameters})

    def _same(self, data: Data, *names: str) -> None:
        self._add(*(of(name, self.datum(data, name)) for name in names))

    def _metal(self) -> None:
        metal, cell = self._parts.metal, self._cell
        self._same(metal, "creep_exponent", "creep_energy_kj_mol", "flow_stress_mpa")
        self._add(of("flow_rate_s", self.datum(metal, "yield_rate_s")))
        # A creep rate means nothing without the stress at which it holds.
        self.datum(metal, "yield_stress_mpa")
        thickness_um = self._parts.electrode.thickness_um
        self._add(given("metal_um", thickness_um), given("flow_radius_mm", cell.electrode_diameter_mm / 2))
        leak = self.datum(self._laboratory, "escape_leak")
        gap = 1 - (cell.electrode_diameter_mm / cell.die.diameter_mm) ** 2
        if self._parts.lamination:
            self._add(given("escape_share", 1.0))
        else:
            self._add(combine("escape_share", min(0.99, max(0.0, gap) + leak.value), leak))

    def _contact(self) -> None:
        contact, thickness_um = self.contact, self._parts.electrode.thickness_um
        wave, spacing = self.datum(contact, "wave_closure_mpa"), self.datum(contact, "wave_spacing_mm")
        # Friction hinders a thin foil from conforming: a strip 2b wide takes 1 + b/4h of the pressure (Prandtl).
        constraint = [1 + spacing.value * 1e3 / (4 * h) for h in (thickness_um, REFERENCE_FOIL_UM)]
        self._add(combine("wave_closure_mpa", wave.value * constraint[0] / constraint[1], wave))
        rough = self.datum(contact, "rough_closure_mpa")
        # Closure pressure grows with the root of roughness: slopes do, at equal wavelength content (assumed).
        self._add(combine("rough_closure_mpa", rough.value * math.sqrt(self._roughness_um()), rough))
        self._same(contact, "wave_spacing_mm", "rough_spacing_um", "adhered_share", "bond_time_s")
        self._same(contact, "transfer_ohm_cm2", "transfer_energy_ev", "interphase_ohm_cm2", "interphase_energy_ev")
        self._same(contact, "short_mpa", "short_exponent", "plate_ma_cm2", "current_energy_ev")
        self._same(contact, "strip_ma_cm2", "strip_gain_ma_cm2", "strip_exponent")
        self._same(
            contact, "cycling_short_h", "cycling_short_exponent", "cycling_cliff_mpa", "cycling_cliff_exponent"
        )
        self._same(contact, "void_cycles")
        # What reacts through pin-holes is the metal with the electrolyte, not with the interlayer.
        behind = self._parts.electrolytes[0].material if self._parts.electrolytes else self._against.material
        direct = self._catalogue.interface(self._parts.metal.name, behind)
        self._add(of("reaction_cycles", self.datum(direct, "reaction_cycles")))

    def _roughness_um(self) -> float:
        if self._against.roughness_um is not None:
            return self._against.roughness_um
        material = self._catalogue[self._against.material]
        return material["roughness_um"].value if "roughness_um" in material else 1.0

    def _electrolyte(self) -> None:
        layer = self._parts.electrolytes[0]
        material = self._catalogue[layer.material]
        self._same(
            material, "density_exponent", "conductivity_density", "conductivity_energy_ev", "weibull_modulus"
        )
        conductivity = self.datum(material, "ionic_conductivity_ms_cm")
        self._add(of("conductivity_ms_cm", conductivity))
        self._add(given("electrolyte_mm", sum(part.thickness_um for part in self._parts.electrolytes) / 1000))
        usual = self.datum(material, "relative_density")
        finished = given("thickness_density", layer.relative_density or usual.value)
        if material.sintered:
            self._add(given("tap_density", 0.5), given("compaction_mpa", SINTERED_MPA))
            self._add(given("compaction_limit", 0.0))
            self._add(given("powder_softening_k", 0.0), given("powder_creep", 1e-3))
            self._add(given("capping_mpa", SINTERED_MPA), given("spring_back_mpa", SINTERED_MPA))
            self._add(given("boundary_release", 0.0))
        else:
            self._same(material, "tap_density", "powder_softening_k", "powder_creep", "capping_mpa")
            self._same(material, "spring_back_mpa", "boundary_release")
            self._compaction(material, "compaction")
        self._same(material, "boundary_share", "boundary_energy_ev", "activation_volume_cm3_mol", "permittivity")
        self._add(of("boundary_f_cm2", self.datum(material, "boundary_capacitance_f_cm2")))
        if layer.powder:
            self._add(combine("start_density", self._found["tap_density"].nominal, usual, scale="exact"))
            # The thickness is that of the finished pellet, at its usual density.
            finished = given("thickness_density", usual.value)
        elif layer.relative_density is not None:
            self._add(given("start_density", layer.relative_density))
        else:
            self._add(of("start_density", usual))
        self._add(finished)
        toughness, growth = (
            self.datum(material, "fracture_toughness_mpa_m05"),
            self.datum(material, "toughness_per_density"),
        )
        flaw = self.datum(material, "flaw_um")
        bending = self.datum(self._laboratory, "bending_share_free" if material.sintered else "bending_share_die")
        strength = toughness.value / (FLAW_FACTOR * math.sqrt(math.pi * flaw.value * 1e-6))
        crack = combine("crack_mpa", strength / bending.value, toughness, bending)
        self._add(crack, combine("strength_density", growth.value, growth))
        if self._parts.interlayer is None:
            self._add(
                Parameter("damage_mpa", crack.nominal, crack.scale, crack.sd, crack.confidence, crack.source)
            )

    def _collector(self) -> None:
        metal = self._parts.metal
        self._add(of("conductivity_ms_cm", self.datum(metal, "electronic_conductivity_ms_cm")))
        # No electrolyte: what belongs to one is set to values that change nothing.
        for name in ("conductivity_energy_ev", "density_exponent", "powder_softening_k", "strength_density"):
            self._add(given(name, 0.0))
        for name in (
            "conductivity_density",
            "thickness_density",
            "start_density",
            "electrolyte_mm",
            "weibull_modulus",
        ):
            self._add(given(name, 1.0))
        for name in ("compaction_mpa", "capping_mpa", "crack_mpa", "damage_mpa"):
            self._add(given(name, SINTERED_MPA))
        self._add(given("tap_density", 0.5), given("powder_creep", 1e-3), given("compaction_limit", 0.0))
        for name in ("boundary_share", "boundary_energy_ev", "boundary_release", "activation_volume_cm3_mol"):
            self._add(given(name, 0.0))
        for name in ("permittivity", "boundary_f_cm2", "spring_back_mpa"):
            self._add(given(name, 1.0))

    def _interlayer(self) -> None:
        layer = self._parts.interlayer
        if layer is None:
            for name in ("interlayer_um", "interlayer_energy_ev", "pinhole_share", "join_ohm_cm2"):
                self._add(given(name, 0.0))
            for name in ("interlayer_ms_cm", "pinhole_mpa", "join_mpa", "interlayer_permittivity"):
                self._add(given(name, 1.0))
            return
        material = self._catalogue[layer.material]
        joint = self._catalogue.interface(material.name, self._parts.electrolytes[0].material)
        self._add(given("interlayer_um", layer.thickness_um))
        self._add(of("interlayer_ms_cm", self.datum(material, "ionic_conductivity_ms_cm")))
        self._add(of("interlayer_energy_ev", self.datum(material, "conductivity_energy_ev")))
        self._add(of("interlayer_permittivity", self.datum(material, "permittivity")))
        self._same(joint, "pinhole_share", "pinhole_mpa", "join_mpa", "join_ohm_cm2")
        self._add(of("damage_mpa", self.datum(joint, "tear_mpa")))

    def _tools(self) -> None:
        self._same(self._laboratory, "touch_mpa", "platen_tilt", "roll_friction", "roll_modulus_mpa")
        if self._roll_radius_mm is None:
            self._same(self._laboratory, "roll_radius_mm")
        else:
            self._add(given("roll_radius_mm", self._roll_radius_mm))

    def _spectrum(self) -> None:
        self._add(of("interface_f_cm2", self.datum(self.contact, "interface_capacitance_f_cm2")))
        self._same(self.contact, "arc_exponent", "gap_um")

    def _service(self) -> None:
        """What cycling and a screw clamp do; the electrode nearest to the rim says where the current crowds."""
        cell, metal, thickness_um = self._cell, self._parts.metal, self._parts.electrode.thickness_um
        overhang_mm = max(0.0, cell.die.diameter_mm - cell.electrode_diameter_mm) / 2
        self._add(given("overhang_mm", 0.0 if self._parts.lamination else overhang_mm))
        clamp, modulus = self.datum(self._laboratory, "clamp_um_mpa"), self.datum(metal, "youngs_modulus_gpa")
        # Foil and clamp are springs in series; strain of the foil times this is the stress they lose.
        stiffness = thickness_um / (thickness_um / (modulus.value * 1e3) + clamp.value)
        self._add(combine("clamp_mpa", stiffness, clamp))
        plated = self.datum(metal, "plated_um_per_mah_cm2")
        if self._cycled_mah_cm2 is None:
            cycled = self.datum(self._laboratory, "cycled_mah_cm2")
            self._add(combine("stripped_um", plated.value * cycled.value, plated, cycled))
        else:
            self._add(combine("stripped_um", plated.value * self._cycled_mah_cm2, plated))
        # Between two metal electrodes what one side loses the other gains.
        self._add(given("breathing_share", 0.0 if cell.interfaces > 1 else 1.0))

    def _compaction(self, material: Material, name: str, hardened: float = 1.0) -> None:
        """The law of first loading that the material has data for: the special ones first, Heckel's line last."""
        limit = given(f"{name}_limit", 0.0)
        if "kawakita_mpa" in material:
            self.laws[name] = "kawakita"
            scale, limit = (
                self.datum(material, "kawakita_mpa"),
                of(limit.name, self.datum(material, "kawakita_limit")),
            )
        elif "panelli_ambrosio_mpa" in material:
            self.laws[name] = "panelli-ambrosio"
            scale = self.datum(material, "panelli_ambrosio_mpa")
        else:
            scale = self.datum(material, "heckel_mpa")
        self._add(combine(f"{name}_mpa", hardened * scale.value, scale), limit)

    def _collectors(self) -> None:
        """Contacts of collectors with what lies beside them; a lamination measures its own joint alone."""
        metals = [] if self._parts.lamination else self._parts.metal_faces
        backs = [] if self._parts.lamination else self._parts.back_faces
        # The core takes one kind of contact with metal: that of the hardest pair stands for all.
        self._face("collector", max(metals, key=self._hardness_mpa, default=None), len(metals))
        self._face("back", backs[0] if backs else None, len(backs))
        self._add(given("collector_ms_cm", 1.0), given("back_ms_cm", 0.0))
        if metals:
            data = [self.datum(self._catalogue[layer.material], CONDUCTING) for pair in metals for layer in pair]
            self._add(of("collector_ms_cm", min(data, key=lambda datum: datum.value)))
        if backs and backs[0][1] is self._parts.composite:
            self._add(of("back_ms_cm", self.datum(self._catalogue[backs[0][1].material], CONDUCTING)))

    def _hardness_mpa(self, pair: tuple[Layer, Layer]) -> float:
        return min(self._hardness(self._catalogue[layer.material]).value for layer in pair)

    def _hardness(self, material: Material) -> Datum:
        """Hardness, MPa; where none is stated, three times the yield stress (Tabor, The Hardness of Metals)."""
        if "hardness_gpa" in material:
            datum = self.datum(material, "hardness_gpa")
            return replace(datum, value=1e3 * datum.value)
        if "hardness_mpa" in material:
            return self.datum(material, "hardness_mpa")
        datum = self.datum(material, "yield_stress_mpa")
        return replace(datum, value=3 * datum.value)

    def _face(self, name: str, pair: tuple[Layer, Layer] | None, count: int) -> None:
        """One kind of contact between a collector and its neighbour."""
        self._add(given(f"{name}_faces", float(count)))
        if pair is None:
            for field_ in ("stiffness_mpa", "hardness_mpa", "spacing_um"):
                self._add(given(f"{name}_{field_}", 1.0))
            self._add(given(f"{name}_film_ohm_cm2", 0.0))
            return
        collector, other = (self._catalogue[layer.material] for layer in pair)
        moduli = [self.datum(material, "youngs_modulus_gpa") for material in (collector, other)]
        poisson = [self.value(material, "poisson_ratio") for material in (collector, other)]
        slopes = [self.datum(material, "rms_slope") for material in (collector, other)]
        modulus = contact_modulus_mpa(moduli[0].value, poisson[0], moduli[1].value, poisson[1])
        slope = math.hypot(*(datum.value for datum in slopes))
        # The softer face and the steeper one make most of the product: their priors are taken for it.
        softer = min(moduli, key=lambda datum: datum.value)
        steeper = max(slopes, key=lambda datum: datum.value)
        self._add(combine(f"{name}_stiffness_mpa", modulus * slope, softer, steeper))
        hardness = min(map(self._hardness, (collector, other)), key=lambda datum: datum.value)
        self._add(of(f"{name}_hardness_mpa", hardness))
        between = self._catalogue.interface(collector.name, other.name)
        self._add(of(f"{name}_spacing_um", self.datum(between, "rough_spacing_um")))
        if other.kind is MaterialKind.ELECTROLYTE:
            # Ions do not cross the film of the metal.
            self._add(given(f"{name}_film_ohm_cm2", 0.0))
            return
        filmed = [collector] if other.kind is MaterialKind.COMPOSITE else [collector, other]
        films = [self.datum(material, "film_ohm_cm2") for material in filmed]
        self._add(combine(f"{name}_film_ohm_cm2", sum(film.value for film in films), *films))

    def _composite(self) -> None:
        layer = self._parts.composite
        if layer is None:
            for name in ("um", "compaction_limit", "softening_k", "threshold", "exponent", "energy_ev"):
                self._add(given(f"composite_{name}", 0.0))
            for name in ("thickness_density", "start_density", "electrolyte_share", "ms_cm", "f_cm2", "creep"):
                self._add(given(f"composite_{name}", 1.0))
            self._add(given("composite_tap_density", 0.5), given("composite_compaction_mpa", SINTERED_MPA))
            return
        material = self._catalogue[layer.material]
        conductor = self._catalogue[material.electrolyte]
        share, usual = self.datum(material, "electrolyte_share"), self.datum(material, "relative_density")
        tap = self.datum(material, "tap_density")
        self._add(given("composite_um", layer.thickness_um), of("composite_electrolyte_share", share))
        self._add(of("composite_tap_density", tap))
        self._add(of("composite_softening_k", self.datum(material, "powder_softening_k")))
        self._add(of("composite_creep", self.datum(material, "powder_creep")))
        self._add(of("composite_threshold", self.datum(material, "percolation_threshold")))
        self._add(of("composite_exponent", self.datum(material, "percolation_exponent")))
        self._add(of("composite_f_cm2", self.datum(material, "inner_capacitance_f_cm2")))
        if material.values.keys() & {"heckel_mpa", "kawakita_mpa", "panelli_ambrosio_mpa"}:
            self._compaction(material, "composite_compaction")
        else:
            # Like its electrolyte, which carries more the more hard particles there are.
            self._compaction(conductor, "composite_compaction", _core.hardened_by(1 - share.value))
        # The conductivity of a pellet, without that pellet's pores.
        pellet, exponent = self.datum(conductor, IONIC), self.datum(conductor, "density_exponent")
        dense = pellet.value * self.value(conductor, "conductivity_density") ** -exponent.value
        self._add(combine("composite_ms_cm", dense, pellet))
        self._add(of("composite_energy_ev", self.datum(conductor, "conductivity_energy_ev")))
        if layer.powder:
            # The thickness is that of the finished layer, at its usual density.
            start, finished = combine("composite_start_density", tap.value, tap, scale="exact"), usual.value
        else:
            finished = layer.relative_density or usual.value
            start = given("composite_start_density", finished)
        self._add(start, given("composite_thickness_density", finished))
