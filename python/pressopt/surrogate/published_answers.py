"""What the surrogate, or the catalogue alone, answers to a published measurement, with its draws.

What a table does not state is taken as usual, and every answer says so. The scatter between laboratories comes on
top.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pressopt.materials import Catalogue, Datum, Material, MaterialKind
from pressopt.pressing import Cell, Die, Layer, Role
from pressopt.surrogate.model import Surrogate
from pressopt.surrogate.prediction import ParameterDraws
from pressopt.surrogate.published_points import UNITS, Point, UnansweredError
from pressopt.surrogate.table import ProtocolTable

Real = npt.NDArray[np.float64]

#: Standard deviation, on the logarithm, between laboratories that make the same cell (assumed).
SCATTER = 0.3
#: The same of a conductivity: argyrodite of one batch spanned a factor of ten in a round robin (quoted by Cronau
#: et al., ACS Energy Lett. 6 (2021) 3072), taken as the central 90 %.
CONDUCTIVITY_SCATTER = 0.7
#: The same of a relative density, absolute: weighing and measuring a pellet (Doux 2020: 80.3 to 84.9 % of one
#: recipe).
DENSITY_SCATTER = 0.015
#: A material that stands in for one that the catalogue has not: what belongs to the powder scatters by this on the
#: logarithm within a family (assumed).
STAND_IN_SD = 1.0
#: What is usual where a row states nothing (assumed).
PELLET_UM, FOIL_UM, AREA_CM2, DWELL_S, ROOM_C = 1000.0, 500.0, 1.0, 60.0, 25.0
#: Thickness of a composite electrode, µm (assumed), and the element that is its density.
CATHODE_UM, DENSITY = 80.0, "composite_density"
#: Pressure that closes a contact whose pressure is not stated, by the kind of electrolyte, and mere touch, MPa
#: (assumed).
CLOSED_MPA, TOUCHED_MPA = {True: 100.0, False: 25.0}, 0.3
#: Stack pressure in service where only the assembly is stated, MPa (assumed).
SERVICE_MPA = 5.0
#: Plate-and-strip cycle of the published times to short, h (Doux 2020).
CYCLE_H = 2.0

#: Beginnings of names, and the material of the catalogue that stands in for such a one.
STAND_INS = {
    "Li6PS5": "Li6PS5Cl",
    "Li5.": "Li6PS5Cl",
    "Li7SiPS8": "Li6PS5Cl",
    "Li10": "Li6PS5Cl",
    "LGPS": "Li6PS5Cl",
    "Li3YBr": "Li3YCl6",
    "Li3ErCl": "Li3YCl6",
    "Li2ZrCl": "Li3YCl6",
    "Li6.": "LLZO",
    "Li7La": "LLZO",
    "Na11": "Na3PS4",
    "Na3Sb": "Na3PS4",
    "sulfide": "Li3PS4",
    "halide": "Li3InCl6",
    "garnet": "LLZO",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Nominal value and draws of one point, in ``unit``; what was taken for granted."""

    nominal: float
    draws: Real
    unit: str
    taken: str = ""


class Predictor:
    """Answers points from the surrogate or, for properties of a material alone, from the priors of the
    catalogue."""

    def __init__(self, catalogue: Catalogue, draws: int, seed: int) -> None:
        self._catalogue, self._count, self._seed = catalogue, draws, seed

    def answer(self, point: Point) -> Answer:
        """Prediction of one point.

        Raises:
            UnansweredError: No model for the quantity, or no such material.
        """
        name = re.sub("_(min|low|high)$", "", point.quantity)
        name = SYNONYMS.get(name, name)
        for table in (_CELL, _PELLET, _MATERIAL):
            if name in table:
                return table[name](self, point)
        raise UnansweredError(f"{point.quantity} is nothing that the surrogate predicts")

    def scattered(self, answer: Answer, row: int) -> Real:
        """Draws with the scatter between laboratories on top."""
        noise = np.random.default_rng((self._seed, row)).standard_normal(answer.draws.size)
        if answer.unit == "share":
            return answer.draws + DENSITY_SCATTER * noise
        size = CONDUCTIVITY_SCATTER if answer.unit == "mS/cm" else SCATTER
        return np.asarray(answer.draws * np.exp(size * noise))

    # --- cells --------------------------------------------------------------------------------

    def material(self, name: str, kind: MaterialKind) -> tuple[Material, bool]:
        """The material that a text names, or one of its family; and whether it only stands in."""
        words = (name, *re.split(r"[ ,]+", name))
        for word in words:
            if word and word in self._catalogue and self._catalogue[word].kind is kind:
                return self._catalogue[word], word != name and name.startswith("Li3YBr")
        for start, stand_in in STAND_INS.items():
            if kind is MaterialKind.ELECTROLYTE and name.startswith(start):
                return self._catalogue[stand_in], True
        raise UnansweredError(f"no data for {name!r}: add it in a materials file of your own")

    def cell(self, point: Point) -> tuple[Surrogate, str]:
        """The symmetric cell of a point and what was taken for granted about it."""
        if re.search(r"[+]|SiO2|Li-?In", point.electrode):
            raise UnansweredError(f"an alloy or composite electrode, {point.electrode!r}, is not modelled")
        metal, _ = self.material(point.electrode, MaterialKind.METAL)
        electrolyte, stands_in = self.material(point.electrolyte, MaterialKind.ELECTROLYTE)
        taken = []
        if stands_in:
            taken.append(f"{electrolyte.name} stands in for {point.electrolyte}")
        thickness_um = 1e3 * point.said(r"([\d.]+) ?mm pellet")
        if math.isnan(thickness_um):
            thickness_um = PELLET_UM
        area = point.area_cm2 if point.area_cm2 > 0 else AREA_CM2
        diameter = 20 * math.sqrt(area / math.pi)
        foil = Layer(metal.name, Role.ELECTRODE, FOIL_UM)
        density = None if electrolyte.sintered else electrolyte["relative_density"].value
        pellet = Layer(electrolyte.name, Role.ELECTROLYTE, thickness_um, relative_density=density)
        return Surrogate(Cell((foil, pellet, foil), Die(diameter), diameter), self._catalogue), "; ".join(taken)

    def protocol(self, point: Point, *, sintered: bool, first_mpa: float = math.nan) -> tuple[ProtocolTable, str]:
        """What was done to the cell: pressed first, held where it was measured."""
        held, taken = point.pressure_mpa, ""
        if "assembly" in point.stage:
            # The pressure is that of putting together; cells are then held at what is usual.
            first_mpa, held, taken = held, SERVICE_MPA, f"held at {SERVICE_MPA:g} MPa"
        first = point.said(r"(?:after|from|first pressed at) ([\d.]+)(?: MPa)?")
        if math.isnan(held):
            touched = "bare" in point.stage
            held = TOUCHED_MPA if touched else CLOSED_MPA[sintered]
            taken = f"pressure not stated: {held:g} MPa"
        if math.isnan(first):
            first = held if math.isnan(first_mpa) else max(first_mpa, held)
        celsius = ROOM_C if math.isnan(point.temperature_c) else point.temperature_c
        table = ProtocolTable.platen(
            pressure_mpa=max(first, TOUCHED_MPA),
            ramp_mpa_s=1.0,
            dwell_s=DWELL_S if math.isnan(point.dwell_s) else point.dwell_s,
            temperature_c=celsius,
            measure_at_mpa=held,
            measure_at_c=celsius,
        )
        return table, taken

    def quality(self, point: Point, name: str, unit: str, *, first_mpa: float = math.nan) -> Answer:
        """A quality or an element of the cell after its protocol."""
        surrogate, taken = self.cell(point)
        sintered = self.material(point.electrolyte, MaterialKind.ELECTROLYTE)[0].sintered
        table, more = self.protocol(point, sintered=sintered, first_mpa=first_mpa)
        prior = self._prior(surrogate, "stands in" in taken)
        ask = surrogate.predict if name in surrogate.qualities else surrogate.elements
        found = ask(table, parameters=prior)
        words = "; ".join(filter(None, (taken, more)))
        return Answer(float(found.nominal[name][0]), found.draws[name][:, 0], unit, words)

    def _prior(self, surrogate: Surrogate, stands_in: bool) -> ParameterDraws:
        prior = surrogate.prior(self._count, self._seed)
        if not stands_in:
            return prior
        values = prior.values.copy()
        noise = np.random.default_rng(self._seed + 1).standard_normal(self._count)
        values[:, prior.names.index("conductivity_ms_cm")] *= np.exp(STAND_IN_SD * noise)
        return replace(prior, values=values)

    def seated_mpa(self, point: Point) -> float:
        """Pressure that a contact saw before service where the table says nothing (assumed)."""
        return CLOSED_MPA[self.material(point.electrolyte, MaterialKind.ELECTROLYTE)[0].sintered]

    def resistance(self, point: Point) -> Answer:
        """Ω of the whole cell."""
        surrogate, _ = self.cell(point)
        answer = self.quality(point, "cell_resistance_ohm_cm2", "ohm")
        area = surrogate.cell.area_cm2
        return replace(answer, nominal=answer.nominal / area, draws=answer.draws / area)

    def one_side(self, point: Point) -> Answer:
        """One interface: Ω cm², or Ω where the table says so with the area."""
        if "after stripping" in point.stage:
            raise UnansweredError("voids of a single stripping are not modelled")
        answer = self.quality(point, "interfacial_resistance_ohm_cm2", "ohm cm2")
        if UNITS[point.unit][0] == "ohm cm2":
            return answer
        surrogate, _ = self.cell(point)
        area = surrogate.cell.area_cm2
        return replace(answer, nominal=answer.nominal / area, draws=answer.draws / area, unit="ohm")

    def time_to_short(self, point: Point) -> Answer:
        """Hours of plating and stripping; a cell that shorts while it is pressed has none."""
        answer = self.quality(point, "creep_short_cycles", "h", first_mpa=25.0)
        return replace(answer, nominal=answer.nominal * CYCLE_H, draws=answer.draws * CYCLE_H)

    # --- pellets --------------------------------------------------------------------------------

    def formed(self, point: Point, name: str, unit: str) -> Answer:
        """A quality or an element of a pellet that was formed from powder and measured under its stack
        pressure."""
        electrolyte, stands_in = self.material(point.electrolyte, MaterialKind.ELECTROLYTE)
        if electrolyte.sintered:
            raise UnansweredError(f"{electrolyte.name} is sintered, not pressed")
        if "anneal" in point.stage and "not annealed" not in point.stage:
            raise UnansweredError("annealing is not modelled")
        diameter = 10.0
        metal = "Na" if electrolyte.name.startswith("Na") else "Li"
        foil = Layer(metal, Role.ELECTRODE, FOIL_UM)
        powder = Layer(electrolyte.name, Role.ELECTROLYTE, PELLET_UM, powder=True)
        others: tuple[Layer, ...] = (foil,)
        if "cathode" in point.system and name == "relative_density":
            active = re.split(r"[ |]", point.electrode)[0]
            mixture, _ = self.material(f"{active}-{point.electrolyte}", MaterialKind.COMPOSITE)
            others, name, stands_in = (
                (Layer(mixture.name, Role.COMPOSITE, CATHODE_UM, powder=True),),
                DENSITY,
                False,
            )
        surrogate = Surrogate(Cell((foil, powder, *others), Die(diameter), diameter), self._catalogue)
        pressed, held = point.pressure_mpa, point.said(r"([\d.]+) MPa stack|stack \(~?([\d.]+)")
        taken = f"{electrolyte.name} stands in for {point.electrolyte}" if stands_in else ""
        if "unload" in point.stage:
            pressed, held = 500.0, pressed
        elif "loading" in point.stage:
            held = pressed
        if math.isnan(pressed):
            raise UnansweredError("a pellet needs its pressure")
        if math.isnan(held):
            held = 10.0 if name == "conductivity_ms_cm" else 0.0
        table = ProtocolTable.platen(
            pressure_mpa=[[pressed, TOUCHED_MPA]],
            ramp_mpa_s=1.0,
            dwell_s=DWELL_S if math.isnan(point.dwell_s) else point.dwell_s,
            temperature_c=ROOM_C if math.isnan(point.temperature_c) else point.temperature_c,
            measure_at_mpa=held,
        )
        prior = self._prior(surrogate, stands_in)
        ask = surrogate.predict if name in surrogate.qualities else surrogate.elements
        found = ask(table, parameters=prior)
        return Answer(float(found.nominal[name][0]), found.draws[name][:, 0], unit, taken)

    def porosity(self, point: Point) -> Answer:
        """Share of pores."""
        answer = self.formed(point, "relative_density", "share")
        return replace(answer, nominal=1 - answer.nominal, draws=1 - answer.draws)

    def conductivity(self, point: Point) -> Answer:
        """mS/cm of a pellet formed at a pressure, or of a material as databases state it."""
        electrolyte, stands_in = self.material(point.electrolyte, MaterialKind.ELECTROLYTE)
        if electrolyte.sintered or math.isnan(point.pressure_mpa):
            if "tetragonal" in point.electrolyte or "crystal" in point.stage:
                raise UnansweredError("another phase than the catalogue's")
            datum = electrolyte["ionic_conductivity_ms_cm"]
            wider = math.hypot(datum.sd, STAND_IN_SD if stands_in else 0.0)
            taken = f"{electrolyte.name} stands in for {point.electrolyte}" if stands_in else ""
            return self._drawn(replace(datum, sd=wider), "mS/cm", taken=taken)
        return self.formed(point, "conductivity_ms_cm", "mS/cm")

    def heckel(self, point: Point) -> Answer:
        """MPa, in the die: the plastic and the elastic line in series."""
        electrolyte, stands_in = self.material(point.electrolyte, MaterialKind.ELECTROLYTE)
        random = np.random.default_rng(self._seed)
        names = ("heckel_mpa", "spring_back_mpa")
        wider = STAND_IN_SD if stands_in else 0.0
        drawn = [
            electrolyte[n].value
            * np.exp(math.hypot(electrolyte[n].sd, wider) * random.standard_normal(self._count))
            for n in names
        ]
        inside = "in die" in point.stage
        nominal = 1 / (1 / electrolyte[names[0]].value + inside / electrolyte[names[1]].value)
        taken = f"{electrolyte.name} stands in for {point.electrolyte}" if stands_in else ""
        return Answer(nominal, 1 / (1 / drawn[0] + inside / drawn[1]), "MPa", taken)

    # --- materials --------------------------------------------------------------------------------

    def _drawn(self, datum: Datum, unit: str, *, factor: float = 1.0, taken: str = "") -> Answer:
        standard = np.random.default_rng(self._seed).standard_normal(self._count)
        return Answer(datum.value * factor, datum.value * factor * np.exp(datum.sd * standard), unit, taken)

    def metal(self, field: str, unit: str, factor: float = 1.0) -> Callable[[Point], Answer]:
        """A value of the metal."""

        def ask(point: Point) -> Answer:
            return self._drawn(self.material(point.electrode, MaterialKind.METAL)[0][field], unit, factor=factor)

        return ask

    def creep_rate(self, point: Point) -> Answer:
        """Minimum rate of tension at a stress, 1/s, by the power law through the flow stress."""
        metal, _ = self.material(point.electrode, MaterialKind.METAL)
        random = np.random.default_rng(self._seed)

        def drawn(name: str) -> Real:
            return metal[name].value * np.exp(metal[name].sd * random.standard_normal(self._count))

        def rate(speed: Real | float, stress: Real | float, exponent: Real | float) -> Real | float:
            return speed * (point.pressure_mpa / stress) ** exponent

        names = ("yield_rate_s", "yield_stress_mpa", "creep_exponent")
        return Answer(float(rate(*(metal[n].value for n in names))), np.asarray(rate(*map(drawn, names))), "1/s")

    def toughness(self, point: Point) -> Answer:
        """MPa√m at the density that the stage names."""
        electrolyte, _ = self.material(point.electrolyte, MaterialKind.ELECTROLYTE)
        at = point.said(r"([\d.]+) ?% dense") / 100
        value, growth = electrolyte["fracture_toughness_mpa_m05"], electrolyte["toughness_per_density"]
        gap = 0.0 if math.isnan(at) else at - electrolyte["conductivity_density"].value
        random = np.random.default_rng(self._seed)
        slopes = growth.value * np.exp(growth.sd * random.standard_normal(self._count))
        first = value.value * np.exp(value.sd * random.standard_normal(self._count))
        return Answer(value.value * math.exp(growth.value * gap), first * np.exp(slopes * gap), "MPa m^0.5")

    def ceramic(self, field: str, unit: str, factor: float) -> Callable[[Point], Answer]:
        """A value of the electrolyte."""

        def ask(point: Point) -> Answer:
            datum = self.material(point.electrolyte, MaterialKind.ELECTROLYTE)[0][field]
            return self._drawn(datum, unit, factor=factor)

        return ask

    def modulus(self, point: Point) -> Answer:
        """Young's modulus of whichever solid the row is about."""
        if point.electrolyte:
            return self.ceramic("youngs_modulus_gpa", "MPa", 1e3)(point)
        return self.metal("youngs_modulus_gpa", "MPa", 1e3)(point)

    def shear(self, point: Point) -> Answer:
        """MPa, of an isotropic metal: E / 2(1 + nu)."""
        metal, _ = self.material(point.electrode, MaterialKind.METAL)
        halved = 1 / (2 * (1 + metal["poisson_ratio"].value))
        return self._drawn(metal["youngs_modulus_gpa"], "MPa", factor=1e3 * halved)

    def energy_of_current(self, point: Point) -> Answer:
        """eV, of the critical current."""
        metal, _ = self.material(point.electrode, MaterialKind.METAL)
        for word in re.split(r"[,;]+\s*", point.electrolyte):
            try:
                electrolyte, _ = self.material(word, MaterialKind.ELECTROLYTE)
            except UnansweredError:
                continue
            return self._drawn(self._catalogue.interface(metal.name, electrolyte.name)["current_energy_ev"], "eV")
        raise UnansweredError(f"no data for {point.electrolyte!r}: add it in a materials file of your own")


Ask = Callable[[Predictor, Point], Answer]

#: Other names that tables use.
SYNONYMS: Mapping[str, str] = {
    "cell_resistance": "cell_impedance",
    "total_resistance": "cell_impedance",
    "asr": "r_int",
    "interfacial_resistance": "r_int",
    "interface_resistance": "r_int",
    "area_specific_resistance": "r_int",
    "short_time": "time_to_short",
    "stripping_limit": "critical_stripping_current",
    "plating_limit": "critical_plating_current",
    "ccd": "critical_current",
    "critical_current_density": "critical_current",
    "density": "relative_density",
    "conductivity": "ionic_conductivity",
    "youngs_modulus": "young_modulus",
    "yield_stress": "yield",
    "poisson_ratio": "poisson",
}

#: Quantities of a cell with two metal electrodes.
_CELL: Mapping[str, Ask] = {
    "cell_impedance": Predictor.resistance,
    "r_int": Predictor.one_side,
    "r_int_one_side": Predictor.one_side,
    "time_to_short": Predictor.time_to_short,
    "critical_stripping_current": lambda self, p: self.quality(
        p, "stripping_limit_ma_cm2", "mA/cm2", first_mpa=self.seated_mpa(p)
    ),
    "critical_plating_current": lambda self, p: self.quality(
        p, "plating_limit_ma_cm2", "mA/cm2", first_mpa=self.seated_mpa(p)
    ),
    "critical_current": lambda self, p: self.quality(
        p, "critical_current_density_ma_cm2", "mA/cm2", first_mpa=self.seated_mpa(p)
    ),
    "interface_capacitance": lambda self, p: self.quality(p, "interface_f_cm2", "F/cm2"),
    "cycle_life": lambda self, p: self.quality(p, "cycle_life_cycles", "cycles", first_mpa=self.seated_mpa(p)),
}
#: Quantities of a pellet.
_PELLET: Mapping[str, Ask] = {
    "relative_density": lambda self, p: self.formed(p, "relative_density", "share"),
    "porosity": Predictor.porosity,
    "ionic_conductivity": Predictor.conductivity,
    "heckel_yield_pressure": Predictor.heckel,
}
#: Quantities of a material alone.
_MATERIAL: Mapping[str, Ask] = {
    "young_modulus": Predictor.modulus,
    "shear_modulus": Predictor.shear,
    "hardness": lambda self, p: self.ceramic("hardness_gpa", "MPa", 1e3)(p),
    "fracture_toughness": Predictor.toughness,
    "yield": lambda self, p: self.metal("yield_stress_mpa", "MPa")(p),
    "creep_exponent": lambda self, p: self.metal("creep_exponent", "share")(p),
    "creep_rate": Predictor.creep_rate,
    "poisson": lambda self, p: self.metal("poisson_ratio", "share")(p),
    "activation_energy_of_critical_current": Predictor.energy_of_current,
}
