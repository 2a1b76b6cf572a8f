"""What stands behind the qualities of a pressed cell, each element with unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Element:
    """One number that the surrogate computes on the way to the qualities.

    Attributes:
        name: Its name, unit included.
        unit: As people write it.
        meaning: One line.
    """

    name: str
    unit: str
    meaning: str


#: In the order of the core. Resistances of an interface are those of one; a cell has as many as it has metal
#: faces.
ELEMENTS: dict[str, Element] = {
    element.name: element
    for element in (
        Element("bulk_ohm_cm2", "Ω cm²", "electrolyte, inside the grains"),
        Element("boundary_ohm_cm2", "Ω cm²", "electrolyte, across grain boundaries"),
        Element("interlayer_ohm_cm2", "Ω cm²", "interlayer: thickness over conductivity"),
        Element("joint_ohm_cm2", "Ω cm²", "contact of interlayer and electrolyte"),
        Element("constriction_ohm_cm2", "Ω cm²", "current squeezed into the contacts"),
        Element("transfer_ohm_cm2", "Ω cm²", "charge transfer over the real area"),
        Element("interphase_ohm_cm2", "Ω cm²", "interphase over the real area"),
        Element("collector_ohm_cm2", "Ω cm²", "collectors on metal: film and constriction of all of them"),
        Element("back_ohm_cm2", "Ω cm²", "collector on electrolyte or composite: what a spectrum shows in series"),
        Element("composite_ohm_cm2", "Ω cm²", "ions in the composite electrode, to a direct current"),
        Element("bulk_f_cm2", "F/cm²", "capacitance of the grains"),
        Element("boundary_f_cm2", "F/cm²", "capacitance of grain boundaries"),
        Element("interlayer_f_cm2", "F/cm²", "capacitance of the interlayer"),
        Element("joint_f_cm2", "F/cm²", "capacitance of its contact with the electrolyte"),
        Element("constriction_f_cm2", "F/cm²", "capacitance of the gaps beside the contacts"),
        Element("interface_f_cm2", "F/cm²", "capacitance of the interfacial arc, real area"),
        Element("back_f_cm2", "F/cm²", "capacitance of the gaps under that collector"),
        Element("composite_f_cm2", "F/cm²", "capacitance of the inner surface of the composite"),
        Element("arc_exponent", "", "exponent of depressed arcs"),
        Element("wave_contact_share", "", "share in contact, waviness"),
        Element("rough_contact_share", "", "share in contact, roughness"),
        Element("back_contact_share", "", "share in contact, collector on electrolyte or composite"),
        Element("focusing_length_mm", "mm", "gaps narrower than this hardly disturb the current"),
        Element("waviness_factor", "", "part of the hot-spot factor: waves of the foil"),
        Element("roughness_factor", "", "part of the hot-spot factor: asperities"),
        Element("tilt_factor", "", "part of the hot-spot factor: platens that are not parallel"),
        Element(
            "edge_factor", "", "part of the hot-spot factor: rim of an electrode smaller than the electrolyte"
        ),
        Element("conductivity_ms_cm", "mS/cm", "electrolyte as pressed, under the present pressure"),
        Element("density_under_pressure", "", "relative density under the present pressure"),
        Element("composite_density", "", "relative density of the composite, released; 0 without one"),
        Element("composite_ms_cm", "mS/cm", "effective ionic conductivity of the composite"),
        Element("stripping_limit_ma_cm2", "mA/cm²", "above it, stripping leaves voids"),
        Element("plating_limit_ma_cm2", "mA/cm²", "above it, plating drives metal into flaws"),
        Element("creep_short_cycles", "cycles", "until metal creeps through the pores; infinite without pores"),
        Element("delamination_cycles", "cycles", "until voids of stripping part the contact"),
        Element("reaction_cycles", "cycles", "until metal and electrolyte have reacted through pin-holes"),
        Element("clamped_pressure_mpa", "MPa", "left after 24 h between screws (fixed displacement)"),
        Element("pressure_swing_mpa", "MPa", "swing of the pressure within a cycle between screws"),
        Element("clamped_cycle_life_cycles", "cycles", "cycle life between screws, at the lowest pressure"),
    )
}
