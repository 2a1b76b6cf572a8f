"""The hidden laws of a pressed cell: what pressure, heat and time do to it, and what that does to its resistance.

These laws are written apart from the surrogate and differ from it in structure, on purpose. Notation:

=============  ==========  =======================================================================
symbol         shape       meaning
=============  ==========  =======================================================================
N, S           -           cells (or protocols) side by side; sectors of equal area of one interface
p              (N, 1)      pressure on the sample, MPa
T              (N, 1)      temperature of the sample, °C
``forged``     (N, S)      pressure that would have closed the interface as far within no time at 25 °C, MPa
``peak``       (N, S)      highest pressure the sector has seen, MPa
``bond_c``     (N, S)      temperature at which the contact was formed, °C
``compact``    (N, 1)      the same as ``forged``, for the powder of the electrolyte, MPa
``interphase`` (N, 1)      square of the reaction layer's resistance, (Ω cm²)²
``drive_*``    (N, 1)      how far the cell was driven towards a short, a crack, damage of its first layer
``squeeze``    (N, 1)      logarithmic thinning of the soft metal by extrusion
=============  ==========  =======================================================================

Every update over a time at constant p and T is exact and composes: two steps of 30 s are one of 60 s.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]

SECTORS = 6
GAS_CONSTANT = 8.314462618  # J/(mol K), CODATA 2018
BOLTZMANN_EV_K = 8.617333262e-5  # eV/K, CODATA 2018
REFERENCE_C = 25.0
_ZERO_C = 273.15
_TINY = 1e-12
_TOUCH_MPA = 0.2  # what does not touch does not react (assumed)
_EXPONENT = 600.0  # keeps exp() finite; beyond it nothing changes any more


def _sector_positions(count: int) -> Real:
    """Positions along a diameter, in radii, of ``count`` strips of equal area of a disc (centres of gravity)."""
    x = np.linspace(-1.0, 1.0, 20001)
    density = np.sqrt(np.maximum(0.0, 1 - x**2))
    share = np.cumsum(density)
    strip = np.minimum((share / share[-1] * count).astype(int), count - 1)
    return np.array([np.average(x[strip == k], weights=density[strip == k]) for k in range(count)])


POSITIONS = _sector_positions(SECTORS)


@dataclass(frozen=True, slots=True)
class Law:
    """Hidden parameters of one cell. Every number may be replaced by an array that broadcasts to (N, 1).

    Attributes:
        wave_mpa, wave_shape: Pressure and shape at which millimetre waves of the foil lie down.
        wave_logistic: Whether waves close by a logistic law in log pressure instead of a Weibull law.
        film_mpa, film_shape: Pressure and shape at which the native film breaks.
        creep_gain, creep_s, creep_j_mol: Growth of the forged pressure with time, its time scale at 25 °C and
            its activation energy.
        creep_stretched: Stretched exponential instead of logarithmic creep.
        melting_c, soften_shape: Softening of the metal towards its melting point.
        tilt, seat_mpa: Relative pressure difference from wedge-shaped platens, and the pressure at which their
            seat has levelled half of it.
        adhesion_mpa, release_shape: What contact is kept when pressure is taken off.
        mismatch_k: Cooling that halves the contact by differing thermal contraction, K.
        bruise_mpa, bruise_shape: Pressure that bruises the electrolyte's face.
        outflow_mpa: Present pressure under which the metal's rim flows away and takes half of the contact along.
        charge_ohm_cm2, charge_ev: Charge transfer at full contact (electronic film for a collector), Ω cm².
        interphase_ohm_cm2, interphase_ev: Reaction layer after 1 h at 25 °C, Ω cm².
        conductivity_ms_cm, conductivity_ev: Dense electrolyte at 25 °C.
        boundary_share: Share of the electrolyte's resistance that sits in grain boundaries.
        pellet_cm, density: Thickness and relative density of the electrolyte before pressing.
        powder, powder_mpa, powder_limit: Whether it is powder; pressure and limit of its compaction.
        threshold_density: Relative density at which the electrolyte starts to conduct.
        face_gain: How a pellet formed at higher pressure has a smoother face.
        delaminate_mpa: Formation pressure whose stored strain splits half of the face off on ejection.
        layer_ohm_cm2: An interlayer's own resistance, Ω cm², when dense.
        layer_mpa: Pressure at which the interlayer densifies, MPa; 0: none.
        pin_share, pin_mpa, pin_break_mpa, pin_ohm_cm2: Pin-holes of an interlayer: share of area when unpressed,
            pressure that closes them, pressure that breaks the layer again, and resistance per share.
        short_mpa, short_shape, short_k: Forged pressure of a short, its Weibull modulus, and the heating that
            brings it down e-fold.
        pore_cliff: How much a closed pore network (dense electrolyte) lifts the pressure of a short.
        crack_mpa, crack_shape, bending: Pressure of a crack, its Weibull modulus, what tilt adds.
        damage_ratio, damage_shape: Ratio of assembly to formation pressure that damages the first layer.
        extrude_mpa, extrude_shape, extrude_s: Squeezing-out of the metal.
        gradient: Share of the platens' heat that does not reach the sample.
        limiting_ma_cm2: Critical current density of perfect contact at 5 MPa.
        capacitance_f_cm2: Interfacial capacitance per real contact area.
    """

    wave_mpa: float
    wave_shape: float
    wave_logistic: bool
    film_mpa: float
    film_shape: float
    creep_gain: float
    creep_s: float
    creep_j_mol: float
    creep_stretched: bool
    melting_c: float
    soften_shape: float
    tilt: float
    seat_mpa: float
    adhesion_mpa: float
    release_shape: float
    mismatch_k: float
    bruise_mpa: float
    outflow_mpa: float
    bruise_shape: float
    charge_ohm_cm2: float
    charge_ev: float
    interphase_ohm_cm2: float
    interphase_ev: float
    conductivity_ms_cm: float
    conductivity_ev: float
    boundary_share: float
    pellet_cm: float
    density: float
    powder: bool
    powder_mpa: float
    powder_limit: float
    threshold_density: float
    face_gain: float
    delaminate_mpa: float
    layer_ohm_cm2: float
    layer_mpa: float
    pin_share: float
    pin_mpa: float
    pin_break_mpa: float
    pin_ohm_cm2: float
    short_mpa: float
    short_shape: float
    short_k: float
    pore_cliff: float
    crack_mpa: float
    crack_shape: float
    bending: float
    damage_ratio: float
    damage_shape: float
    extrude_mpa: float
    extrude_shape: float
    extrude_s: float
    gradient: float
    limiting_ma_cm2: float
    capacitance_f_cm2: float


@dataclass(frozen=True, slots=True)
class CellState:
    """What a cell remembers; shapes as in the table above. ``metal``: the metal has been put in."""

    forged: Real
    peak: Real
    bond_c: Real
    compact: Real
    interphase: Real
    drive_short: Real
    drive_crack: Real
    drive_damage: Real
    squeeze: Real
    age_s: float = 0.0
    metal: bool = True

    @classmethod
    def fresh(cls, count: int = 1, *, metal: bool = True) -> CellState:
        """``count`` cells that nobody has touched."""
        sector, one = np.zeros((count, SECTORS)), np.zeros((count, 1))
        return cls(sector, sector, sector + REFERENCE_C, one, one, one, one, one, one, 0.0, metal)

    def to_json(self) -> dict[str, object]:
        """Plain lists; JSON writes a float so that it reads back to the last bit."""
        plain: dict[str, object] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            plain[item.name] = value.tolist() if isinstance(value, np.ndarray) else value
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, object]) -> CellState:
        values = {
            name: np.array(value, dtype=np.float64) if isinstance(value, list) else value
            for name, value in plain.items()
        }
        return cls(**values)  # type: ignore[arg-type]


def arrhenius(energy_j_mol: float | Real, temperature_c: Real) -> Real:
    """Rate at ``temperature_c`` relative to 25 °C."""
    kelvin = 1 / (REFERENCE_C + _ZERO_C) - 1 / (temperature_c + _ZERO_C)
    return np.asarray(np.exp(energy_j_mol / GAS_CONSTANT * kelvin))


def softening(law: Law, temperature_c: Real) -> Real:
    """How much softer the metal is than at 25 °C: 1 there, growing without bound towards melting."""
    left = np.maximum(law.melting_c - temperature_c, 2.0)
    return np.asarray(((law.melting_c - REFERENCE_C) / left) ** law.soften_shape)


def sector_pressure(law: Law, pressure_mpa: Real) -> Real:
    """Shape (N, S): a wedge between the platens loads one side more; a loaded seat levels part of it."""
    tilt = law.tilt / (1 + pressure_mpa / law.seat_mpa)
    return np.asarray(pressure_mpa * np.maximum(0.0, 1 + tilt * POSITIONS))


def _aged(forged: Real, start: Real, seconds: float | Real, scale_s: Real, law: Law) -> Real:
    """``forged`` after ``seconds`` under a load that would at once forge ``start``; never less than before.

    Logarithmic (work-hardening) creep, forged = start (1 + g ln(1 + t/τ)), or its stretched exponential
    counterpart with a plateau: Andrade, Proc. R. Soc. A 84 (1910) 1, and Kohlrausch, Ann. Phys. 167 (1854) 179,
    are the two ends between which creep under friction is found. The time already spent is read off ``forged``.
    """
    start = np.maximum(start, _TINY)
    excess = np.maximum(forged / start - 1, 0.0)
    gain = law.creep_gain
    if law.creep_stretched:
        plateau = 6 * gain
        left = np.maximum(1 - excess / plateau, 0.0)
        before = (-np.log(np.maximum(left, 1e-300))) ** 2 * scale_s * 20
        grown = plateau * (1 - np.exp(-np.sqrt((before + seconds) / (scale_s * 20))))
    else:
        before = scale_s * np.expm1(np.minimum(excess / gain, _EXPONENT))
        grown = gain * np.log1p((before + seconds) / scale_s)
    return np.asarray(np.maximum(forged, start * (1 + grown)))


def advance(
    law: Law, state: CellState, pressure_mpa: Real, temperature_c: Real, seconds: float | Real
) -> CellState:
    """State after ``seconds`` (scalar or (N, 1), s) at constant pressure and platen temperature, both (N, 1).

    Args:
        law: Hidden parameters.
        state: State before, N cells.
        pressure_mpa: True pressure on the sample, MPa.
        temperature_c: Temperature of the platens, °C.
        seconds: How long.
    """
    sample_c = REFERENCE_C + (temperature_c - REFERENCE_C) * (1 - law.gradient)
    soft = softening(law, sample_c)
    scale_s = law.creep_s / arrhenius(law.creep_j_mol, sample_c)
    compact = state.compact
    if law.powder or law.layer_mpa > 0:
        # Powder creeps too, far less: a tenth of the metal's gain.
        powder = replace(law, creep_gain=0.1 * law.creep_gain, creep_stretched=False)
        warm = 1 + 0.002 * np.maximum(sample_c - REFERENCE_C, 0.0)
        compact = _aged(compact, pressure_mpa * warm, seconds, np.asarray(law.creep_s), powder)
    age_s = state.age_s + (seconds if isinstance(seconds, float) else float(np.max(seconds)))
    crack = np.maximum(state.drive_crack, pressure_mpa * (1 + law.bending * law.tilt) / law.crack_mpa)
    if not state.metal:
        return replace(state, compact=compact, age_s=age_s)
    local = sector_pressure(law, pressure_mpa)
    heat = np.maximum(sample_c - REFERENCE_C, 0.0)
    onset = law.short_mpa * np.exp(-heat / law.short_k)
    if law.powder or law.density > 0.85:  # the metal needs connected pores: towards 10 % porosity they close
        dense = relative_density(law, compact)
        onset = onset * (1 + law.pore_cliff / (1 + np.exp((0.9 - dense) / 0.02)))
    strained = local[:, -1:] * soft**0.5 / onset  # the sector under the wedge's high side goes first
    both = _aged(
        np.hstack((state.forged, state.drive_short)), np.hstack((local * soft, strained)), seconds, scale_s, law
    )
    forged, drive_short = both[:, :-1], both[:, -1:]
    kept = (np.maximum(state.forged, _TINY) / forged) ** 20
    bond_c = sample_c + (state.bond_c - sample_c) * kept
    heat_j_mol = law.interphase_ev / BOLTZMANN_EV_K * GAS_CONSTANT
    growth = law.interphase_ohm_cm2**2 / 3600.0 * arrhenius(2 * heat_j_mol, sample_c)
    growth = growth * pressure_mpa / (pressure_mpa + _TOUCH_MPA)
    damage = state.drive_damage
    if law.powder:
        damage = np.maximum(damage, pressure_mpa / (law.damage_ratio * np.maximum(compact, _TINY)))
    elif law.pin_share > 0:
        damage = np.maximum(damage, pressure_mpa / law.pin_break_mpa)
    flow = (pressure_mpa * soft / law.extrude_mpa) ** law.extrude_shape
    return CellState(
        forged=forged,
        peak=np.maximum(state.peak, local),
        bond_c=bond_c,
        compact=compact,
        interphase=state.interphase + growth * seconds,
        drive_short=drive_short,
        drive_crack=crack,
        drive_damage=damage,
        squeeze=state.squeeze + flow * seconds / law.extrude_s,
        age_s=age_s,
        metal=True,
    )


def relative_density(law: Law, compact: Real) -> Real:
    """Relative density of the electrolyte: Kawakita's law for powder, less what springs back; else as given.

    Kawakita and Lüdde, Powder Technol. 4 (1971) 61.
    """
    if not law.powder:
        return np.full(np.shape(compact), law.density)
    volume = law.powder_limit * compact / (law.powder_mpa + compact)
    squeezed = law.density / (1 - volume)
    return np.asarray(np.minimum(squeezed * (1 - 0.02 * compact / (compact + 100)), 0.995))


def contact(law: Law, state: CellState, pressure_mpa: Real, temperature_c: Real) -> Real:
    """Share of real contact in each sector, (N, S), under the present pressure and temperature."""
    sample_c = REFERENCE_C + (temperature_c - REFERENCE_C) * (1 - law.gradient)
    forged = np.maximum(state.forged, _TINY)
    wave_mpa: float | Real = law.wave_mpa
    if law.powder:
        wave_mpa = wave_mpa * (300.0 / np.maximum(state.compact, 1.0)) ** law.face_gain
    ratio = forged / wave_mpa
    if law.wave_logistic:
        laid = 1 / (1 + ratio ** (-1.15 * law.wave_shape))
    else:
        laid = -np.expm1(-(ratio**law.wave_shape))
    broken = 1 / (1 + (law.film_mpa / forged) ** law.film_shape)
    local = sector_pressure(law, pressure_mpa)
    warm = 1 + np.maximum(state.bond_c - REFERENCE_C, 0.0) / 100.0
    adhesion = law.adhesion_mpa * warm
    kept = np.minimum((local + adhesion) / (state.peak + adhesion), 1.0) ** law.release_shape
    cooled = np.maximum(state.bond_c - sample_c, 0.0) / law.mismatch_k
    bruised = (state.peak / law.bruise_mpa) ** law.bruise_shape
    flowing = (local / law.outflow_mpa) ** 2
    if law.powder:
        laid = laid / (1 + (state.compact / law.delaminate_mpa) ** 5)
    share = laid * broken * kept / ((1 + cooled**2) * (1 + bruised) * (1 + flowing))
    return np.asarray(np.maximum(share, 1e-7))


@dataclass(frozen=True, slots=True)
class Resistances:
    """Area-specific resistances, each (N, 1), Ω cm²: grain interior, boundaries, one interface, slow chemistry.

    ``contact`` is the mean share of real contact and ``hot_spot`` the highest local current over the mean.
    """

    bulk: Real
    boundary: Real
    interface: Real
    chemical: Real
    contact: Real
    hot_spot: Real


def resistances(law: Law, state: CellState, pressure_mpa: Real, temperature_c: Real) -> Resistances:
    """Resistances at the present pressure (N, 1), MPa, and platen temperature (N, 1), °C."""
    sample_c = REFERENCE_C + (temperature_c - REFERENCE_C) * (1 - law.gradient)
    shares = contact(law, state, pressure_mpa, temperature_c)
    charge = law.charge_ohm_cm2 / arrhenius(law.charge_ev / BOLTZMANN_EV_K * GAS_CONSTANT, sample_c)
    # Sectors are in parallel: the current looks for the good ones.
    conductance = shares / (charge + np.sqrt(state.interphase))
    mean = conductance.mean(axis=1, keepdims=True)
    interface = 1 / mean
    compact = state.compact
    if law.pin_share > 0:
        closed = np.exp(-compact / law.pin_mpa)
        broken = (state.peak.max(axis=1, keepdims=True) / law.pin_break_mpa) ** 3
        holes = law.pin_share * (closed + broken)
        age_h = np.sqrt(state.interphase) / law.interphase_ohm_cm2
        interface = interface + law.pin_ohm_cm2 * holes * (1 + age_h)
    density = relative_density(law, compact)
    through = np.maximum((density - law.threshold_density) / (1 - law.threshold_density), 1e-3) ** 1.6
    heat = arrhenius(law.conductivity_ev / BOLTZMANN_EV_K * GAS_CONSTANT, sample_c)
    specific = law.pellet_cm / (law.conductivity_ms_cm * 1e-3 * heat * through)
    if law.powder:  # a thinner pellet from the same mass of powder
        specific = specific * law.density / density
    overformed = np.maximum(compact - 480.0, 0.0) / 300.0 if law.powder else np.zeros_like(compact)
    specific = specific * (1 + overformed)
    if law.layer_mpa > 0:
        loose = 1 + 4 * np.exp(-compact / law.layer_mpa)
        boundary_extra = law.layer_ohm_cm2 * loose / heat
    else:
        boundary_extra = np.zeros_like(compact)
    return Resistances(
        bulk=np.asarray(specific * (1 - law.boundary_share)),
        boundary=np.asarray(specific * law.boundary_share + boundary_extra),
        interface=np.asarray(interface),
        chemical=np.asarray(0.06 * interface),
        contact=np.asarray(shares.mean(axis=1, keepdims=True)),
        hot_spot=np.asarray(conductance.max(axis=1, keepdims=True) / mean),
    )


def weibull(drive: Real, shape: float) -> Real:
    """Share of cells that failed; drive 1 is the characteristic load (Weibull, J. Appl. Mech. 18 (1951) 293)."""
    return np.asarray(-np.expm1(-(np.maximum(drive, 0.0) ** shape)))


def extrusion(state: CellState) -> Real:
    """Share of the metal squeezed out, (N, 1), 0 to 1: friction slows it as the foil gets thin."""
    return np.asarray(state.squeeze / (1 + state.squeeze))
