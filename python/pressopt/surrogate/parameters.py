"""From a cell and the catalogue to the named numbers the physics takes, each with its prior."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from pressopt.errors import InputError, MaterialError, Violation
from pressopt.materials import Catalogue, Confidence, Data, Datum, Material, MaterialKind
from pressopt.pressing import Cell, Layer, Role

Real = npt.NDArray[np.float64]
Scale = Literal["log", "logit", "exact"]

#: Thickness of the foil for which the catalogue's closure pressure of the waviness holds, µm.
REFERENCE_FOIL_UM = 500.0
#: Crack geometry factor of a surface flaw (Tada, Paris and Irwin, The Stress Analysis of Cracks Handbook, 1973).
FLAW_FACTOR = 1.12
#: Heckel pressure of a sintered body, MPa: it is not compacted.
SINTERED_MPA = 1e7

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
    """

    parameters: tuple[Parameter, ...]
    lamination: bool
    powder: bool
    interfaces: int
    metal: str
    melting_c: float
    web_mm: float
    index: Mapping[str, int] = field(default_factory=dict)


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


class _Parts:
    """The layers of a cell by their role, checked for what one surrogate can describe."""

    def __init__(self, cell: Cell, catalogue: Catalogue) -> None:
        by_role: dict[Role, list[Layer]] = {role: [] for role in Role}
        for layer in cell.layers:
            by_role[layer.role].append(layer)
        wrong = []
        for role in (Role.ELECTRODE, Role.ELECTROLYTE, Role.INTERLAYER):
            names = {catalogue[layer.material].name for layer in by_role[role]}
            if len(names) > 1:
                wrong.append(
                    Violation("layers", f"the surrogate takes one {role} material, not {', '.join(sorted(names))}")
                )
        if not by_role[Role.ELECTRODE]:
            wrong.append(Violation("layers", "no electrode: give at least one layer of soft metal"))
        self.lamination = not by_role[Role.ELECTROLYTE]
        if self.lamination and not by_role[Role.COLLECTOR]:
            wrong.append(Violation("layers", "neither electrolyte nor collector: the metal touches nothing"))
        if self.lamination and by_role[Role.INTERLAYER]:
            wrong.append(Violation("layers", "an interlayer needs an electrolyte behind it"))
        if wrong:
            raise InputError(wrong)
        self.electrode = by_role[Role.ELECTRODE][0]
        self.metal = catalogue[self.electrode.material]
        self.electrolytes = by_role[Role.ELECTROLYTE]
        self.interlayer = by_role[Role.INTERLAYER][0] if by_role[Role.INTERLAYER] else None
        self.collector = by_role[Role.COLLECTOR][0] if by_role[Role.COLLECTOR] else None
        self._check_kind(self.metal, MaterialKind.METAL)
        for layer in (*self.electrolytes, *by_role[Role.INTERLAYER]):
            self._check_kind(catalogue[layer.material], MaterialKind.ELECTROLYTE)

    def _check_kind(self, material: Material, kind: MaterialKind) -> None:
        if material.kind is not kind:
            raise InputError((Violation("layers", f"{material.name} is a {material.kind}, not a {kind}"),))


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
    parts = _Parts(cell, catalogue)
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
        index={name: index for index, name in enumerate(order)},
    )


class _Gather:
    """Collects parameters; what the catalogue lacks is collected too, and refused at once."""

    def __init__(
        self,
        cell: Cell,
        parts: _Parts,
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
            self._add(given("tap_density", 0.5), given("heckel_mpa", SINTERED_MPA))
            self._add(given("powder_softening_k", 0.0), given("powder_creep", 1e-3))
            self._add(given("capping_mpa", SINTERED_MPA), given("spring_back_mpa", SINTERED_MPA))
            self._add(given("boundary_release", 0.0))
        else:
            self._same(material, "tap_density", "heckel_mpa", "powder_softening_k", "powder_creep", "capping_mpa")
            self._same(material, "spring_back_mpa", "boundary_release")
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
        for name in ("heckel_mpa", "capping_mpa", "crack_mpa", "damage_mpa"):
            self._add(given(name, SINTERED_MPA))
        self._add(given("tap_density", 0.5), given("powder_creep", 1e-3))
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
