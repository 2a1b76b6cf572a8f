"""One number of the catalogue: value, unit, source, confidence, and the prior that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Confidence(StrEnum):
    """How far a value was followed back, best first."""

    READ = "read"  # in the source itself
    ABSTRACT = "abstract"  # in the source's abstract
    SECONDARY = "secondary"  # in a review, digest or database that names the original
    COMPUTED = "computed"  # from values of the kinds above
    GENERAL = "general knowledge"  # unverified
    ASSUMED = "assumed"  # nobody has measured it, as far as known here

    @property
    def sd(self) -> float:
        """Standard deviation of the prior (of the logarithm, or logit of a share) where the file states none."""
        return _SD[self]


#: Chosen, not measured: argyrodite conductivities scatter tenfold between laboratories, moduli by a few per cent.
_SD = {
    Confidence.READ: 0.05,
    Confidence.ABSTRACT: 0.10,
    Confidence.SECONDARY: 0.15,
    Confidence.COMPUTED: 0.20,
    Confidence.GENERAL: 0.35,
    Confidence.ASSUMED: 0.50,
}


@dataclass(frozen=True, slots=True)
class Field:
    """What a field of the catalogue may hold.

    Attributes:
        unit: As people write it; the field's name carries it too.
        scale: Where its uncertainty is even: on the logarithm, on the logit (shares), or it has none.
        low, high: Smallest and largest value that is believed.
        meaning: One line.
    """

    unit: str
    scale: Literal["log", "logit", "exact"]
    low: float
    high: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Datum:
    """One value with where it comes from.

    Attributes:
        value: In ``unit``.
        unit: As people write it.
        source: Author, journal, year; or how it was computed or why it was assumed.
        confidence: How far it was followed back.
        scale: Scale on which ``sd`` holds: ``log``, ``logit`` or ``exact``.
        sd: Standard deviation of the prior on that scale; 0 for exact values.
        note: Anything a reader should know.
    """

    value: float
    unit: str
    source: str
    confidence: Confidence
    scale: Literal["log", "logit", "exact"]
    sd: float
    note: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """Central 95 % of the prior, in ``unit``."""
        if self.scale == "log":
            return self.value * math.exp(-1.96 * self.sd), self.value * math.exp(1.96 * self.sd)
        if self.scale == "logit":
            odds = math.log(self.value / (1 - self.value))
            return tuple(1 / (1 + math.exp(-(odds + z * self.sd))) for z in (-1.96, 1.96))  # type: ignore[return-value]
        return self.value, self.value


#: Fields of a metal (soft electrode or collector).
METAL = {
    "youngs_modulus_gpa": Field("GPa", "log", 0.1, 1000, "Young's modulus"),
    "poisson_ratio": Field("", "logit", 0.01, 0.499, "Poisson's ratio"),
    "yield_stress_mpa": Field("MPa", "log", 0.01, 5000, "flow stress at yield_rate_s and 25 °C"),
    "yield_rate_s": Field("1/s", "log", 1e-6, 10, "strain rate of the yield stress"),
    "flow_stress_mpa": Field("MPa", "log", 0.01, 5000, "stress of fully hardened flow"),
    "hardness_mpa": Field("MPa", "log", 0.01, 20000, "indentation hardness"),
    "creep_exponent": Field("", "log", 1, 20, "power-law creep exponent"),
    "creep_energy_kj_mol": Field("kJ/mol", "log", 1, 500, "activation energy of creep"),
    "melting_c": Field("°C", "exact", -40, 4000, "melting point"),
    "rms_slope": Field("", "log", 1e-4, 1, "rms slope of a face"),
    "film_ohm_cm2": Field("Ω cm²", "log", 1e-12, 100, "native film per real contact area, as a collector"),
    "density_g_cm3": Field("g/cm³", "log", 0.1, 25, "density"),
    "electronic_conductivity_ms_cm": Field("mS/cm", "log", 1e3, 1e10, "electronic conductivity"),
    "plated_um_per_mah_cm2": Field("µm/(mAh/cm²)", "log", 0.1, 100, "thickness plated per charge"),
}

#: Fields of a solid electrolyte or interlayer.
ELECTROLYTE = {
    "ionic_conductivity_ms_cm": Field("mS/cm", "log", 1e-6, 1e3, "conductivity at 25 °C and conductivity_density"),
    "conductivity_energy_ev": Field("eV", "log", 0.05, 2, "activation energy of the conductivity"),
    "conductivity_density": Field("", "exact", 0.3, 1, "relative density at which the conductivity holds"),
    "density_exponent": Field("", "log", 0.1, 20, "exponent of conductivity in relative density"),
    "crystal_density_g_cm3": Field("g/cm³", "log", 0.5, 10, "density without pores"),
    "youngs_modulus_gpa": Field("GPa", "log", 1e-3, 1000, "Young's modulus"),
    "hardness_gpa": Field("GPa", "log", 1e-3, 50, "hardness"),
    "fracture_toughness_mpa_m05": Field("MPa√m", "log", 0.01, 20, "fracture toughness at conductivity_density"),
    "toughness_per_density": Field("", "log", 0.1, 50, "d ln K_IC / d(relative density)"),
    "flaw_um": Field("µm", "log", 0.1, 1000, "largest flaw of a good pellet"),
    "weibull_modulus": Field("", "log", 1, 50, "Weibull modulus of strength"),
    "capping_mpa": Field("MPa", "log", 10, 1e5, "pressure in the die at which 63 % of pellets cap or crack"),
    "heckel_mpa": Field("MPa", "log", 10, 1e7, "Heckel yield pressure after release from the die"),
    "kawakita_mpa": Field("MPa", "log", 1, 1e7, "Kawakita's 1/b; wins over Heckel where a file states it"),
    "kawakita_limit": Field("", "logit", 0.01, 0.9, "Kawakita's a: largest relative reduction of volume"),
    "panelli_ambrosio_mpa": Field("MPa", "log", 1, 1e9, "Panelli and Ambrosio's 1/A²; wins over Heckel too"),
    "tap_density": Field("", "logit", 0.1, 0.95, "relative density of loose powder, origin of Heckel's line"),
    "relative_density": Field("", "logit", 0.3, 0.9999, "usual relative density of a finished layer"),
    "powder_softening_k": Field("1/K", "log", 1e-6, 0.1, "relative softening of the powder per kelvin"),
    "powder_creep": Field("", "log", 1e-4, 0.5, "growth of ln 1/(1-D) per e-fold of dwell"),
    "roughness_um": Field("µm", "log", 1e-3, 100, "rms roughness of a face"),
    "rms_slope": Field("", "log", 1e-4, 1, "rms slope of a face"),
    "poisson_ratio": Field("", "logit", 0.01, 0.499, "Poisson's ratio"),
    "boundary_share": Field("", "logit", 1e-4, 0.999, "share of the resistance in grain boundaries, 25 °C"),
    "boundary_energy_ev": Field("eV", "log", 0.05, 2, "activation energy across grain boundaries"),
    "boundary_release": Field("", "logit", 1e-4, 0.99, "their conductance lost without stack pressure"),
    "boundary_capacitance_f_cm2": Field("F/cm²", "log", 1e-13, 1e-4, "capacitance of grain boundaries"),
    "activation_volume_cm3_mol": Field("cm³/mol", "log", 1e-3, 50, "activation volume of conduction"),
    "spring_back_mpa": Field("MPa", "log", 10, 1e7, "pressure per ln 1/(1-D) that springs back from the die"),
    "permittivity": Field("", "log", 1, 1e4, "relative permittivity"),
}

_SHARED = (
    *("youngs_modulus_gpa", "poisson_ratio", "hardness_gpa", "rms_slope", "tap_density", "relative_density"),
    *(
        "heckel_mpa",
        "kawakita_mpa",
        "kawakita_limit",
        "panelli_ambrosio_mpa",
        "powder_softening_k",
        "powder_creep",
    ),
)
#: Fields of a composite electrode: active particles in an electrolyte, which the table names.
COMPOSITE = {
    "electrolyte_share": Field("", "logit", 0.01, 0.99, "volume of electrolyte per volume of solid"),
    "percolation_threshold": Field("", "logit", 0.001, 0.9, "volume share below which it does not connect"),
    "percolation_exponent": Field("", "log", 0.5, 10, "exponent of the conductivity above it"),
    "electronic_conductivity_ms_cm": Field("mS/cm", "log", 1e-3, 1e8, "electronic conductivity of the layer"),
    "inner_capacitance_f_cm2": Field("F/cm²", "log", 1e-9, 10, "of its inner surface, per area of the cell"),
    **{name: ELECTROLYTE[name] for name in _SHARED},
}

#: Fields of a pair of layers that touch.
INTERFACE = {
    "wave_closure_mpa": Field("MPa", "log", 1e-3, 1e5, "closure pressure of the waviness of a 500 µm foil"),
    "rough_closure_mpa": Field(
        "MPa", "log", 1e-3, 1e5, "closure pressure of 1 µm roughness, native film included"
    ),
    "wave_spacing_mm": Field("mm", "log", 1e-2, 50, "half-spacing of contacts on the waviness scale"),
    "rough_spacing_um": Field("µm", "log", 1e-2, 1e3, "half-spacing of contacts on the roughness scale"),
    "adhered_share": Field("", "logit", 0.001, 0.999, "share of the closure kept after full release"),
    "bond_time_s": Field("s", "log", 1, 1e12, "time at 25 °C that fixes 63 % of the rest"),
    "transfer_ohm_cm2": Field(
        "Ω cm²", "log", 1e-9, 1e5, "charge-transfer or film resistance per real area, 25 °C"
    ),
    "transfer_energy_ev": Field("eV", "log", 0.01, 2, "activation energy of the transfer"),
    "interphase_ohm_cm2": Field("Ω cm²", "log", 1e-9, 1e6, "interphase per real area after 24 h at 25 °C"),
    "interphase_energy_ev": Field("eV", "log", 0.01, 2, "activation energy of its growth"),
    "interface_capacitance_f_cm2": Field("F/cm²", "log", 1e-12, 1e-1, "capacitance of the interfacial arc"),
    "short_mpa": Field("MPa", "log", 0.1, 1e5, "63 % shorted in 60 s through a pellet of 82 % density and 1 mm"),
    "short_exponent": Field("", "log", 1, 50, "exponent of the shorting hazard in pressure"),
    "strip_ma_cm2": Field("mA/cm²", "log", 1e-6, 1e3, "stripping limit at full contact without stack pressure"),
    "strip_gain_ma_cm2": Field("mA/cm²", "log", 1e-6, 1e3, "its gain at 1 MPa stack pressure"),
    "strip_exponent": Field("", "log", 0.1, 10, "exponent of that gain in stack pressure"),
    "plate_ma_cm2": Field("mA/cm²", "log", 1e-4, 1e3, "plating limit of an undamaged cell"),
    "current_energy_ev": Field("eV", "log", 0.001, 2, "activation energy of both current limits"),
    "cycling_short_h": Field("h", "log", 0.1, 1e6, "time to short at 10 MPa, 75 µA/cm², 82 % density"),
    "cycling_short_exponent": Field("", "log", 0.1, 10, "exponent of that time in 1/pressure"),
    "cycling_cliff_mpa": Field("MPa", "log", 0.1, 1e4, "stack pressure of the cliff in that time"),
    "cycling_cliff_exponent": Field("", "log", 1, 50, "steepness of the cliff"),
    "void_cycles": Field("cycles", "log", 1, 1e6, "cycles until voids part a full contact at 5 MPa"),
    "reaction_cycles": Field("cycles", "log", 0.1, 1e7, "cycles of a pair that reacts over its whole area"),
    "join_mpa": Field("MPa", "log", 0.1, 1e5, "closure pressure of interlayer on electrolyte"),
    "join_ohm_cm2": Field("Ω cm²", "log", 1e-6, 1e5, "resistance of that contact per real area"),
    "pinhole_share": Field("", "logit", 1e-6, 0.9, "share of the interlayer that is pin-holes before pressing"),
    "pinhole_mpa": Field("MPa", "log", 0.1, 1e5, "pressure that closes 63 % of the pin-holes"),
    "arc_exponent": Field("", "logit", 0.3, 0.999, "exponent of depressed arcs; 1 is an ideal capacitor"),
    "gap_um": Field("µm", "log", 1e-3, 100, "width of the gaps where the faces do not touch"),
    "tear_mpa": Field("MPa", "log", 1, 1e5, "pressure at which 63 % of interlayers tear"),
}

#: Fields of the laboratory rather than of a material.
LABORATORY = {
    "touch_mpa": Field("MPa", "log", 1e-6, 1, "pressure of laying a layer on by hand"),
    "platen_tilt": Field("", "log", 1e-4, 1, "relative spread of pressure under the platens"),
    "bending_share_free": Field("", "logit", 0.01, 0.99, "share of pressure that bends a free pellet"),
    "bending_share_die": Field("", "logit", 0.01, 0.99, "the same for a pellet that stays in its die"),
    "escape_leak": Field("", "logit", 1e-3, 0.9, "share of soft metal that leaks past a full-size electrode"),
    "clamp_um_mpa": Field("µm/MPa", "log", 1e-3, 1e3, "compliance of a screw-clamped cell"),
    "cycled_mah_cm2": Field("mAh/cm²", "exact", 0, 100, "charge of one half-cycle"),
    "roll_radius_mm": Field("mm", "exact", 1, 2000, "radius of the rolls"),
    "roll_friction": Field("", "log", 0.01, 1, "friction between roll and web"),
    "roll_modulus_mpa": Field("MPa", "log", 1, 1e6, "effective contact modulus of the rolls"),
}
