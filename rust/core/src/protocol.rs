//! Staged pressing programmes, integrated through all phenomena.
//!
//! Every stage ramps the pressure linearly to its value at the stage's temperature and holds it. The way from the last
//! stage to the state of measurement (release, or a stack pressure, and waiting there) is integrated the same way.
//! Within ramps and holds nothing is stepped: every law has a closed form (see `creep`, `compaction`, `failure`), so
//! the error of the integration is rounding, and splitting a hold changes nothing.
//!
//! Where the first stage forms a pellet from powder, the metal is laid on after it: only the pellet remembers.

use crate::collector::Face;
use crate::compaction::{self, Law, Powder};
use crate::composite;
use crate::contact;
use crate::creep::{self, Creep};
use crate::failure;
use crate::interface::{self, Contact, Service};
use crate::lamination;
use crate::measured::Ready;
use crate::parameters::Parameters;
use crate::scalar::{Scalar, Single};

/// Seconds of the time after which interphase resistance is stated (24 h).
const INTERPHASE_S: f64 = 86_400.0;
/// Pin-hole share on which the shorting hazard behind an interlayer is stated (assumed).
const SEEN_PINHOLES: f64 = 0.01;
/// Pressure over that of formation at which 63 % of pellets lose their first bonds (assumed).
const OVERPRESS: f64 = 1.5;
/// Share of the interlayer that opens when it is damaged for certain (assumed).
const TORN_SHARE: f64 = 0.1;

/// Pressure below which none is counted, MPa: far under every other, so that logarithms stay finite.
const NO_PRESSURE_MPA: f64 = 1e-300;

/// What kind of cell it is; everything else is a number in [`Parameters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// Metal on metal (electronic contact) instead of metal on electrolyte.
    pub lamination: bool,
    /// The first stage forms the electrolyte from powder, without the metal.
    pub formation: bool,
    /// How many metal | electrolyte contacts the current crosses.
    pub interfaces: u32,
    /// How the powder of the electrolyte compacts.
    pub law: Law,
    /// How the powder of the composite electrode compacts.
    pub composite_law: Law,
    /// Which further layers there are.
    pub layers: Layers,
}

/// Layers that a cell may have beside metal and electrolyte: where their parameters are above zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// There is an interlayer between metal and electrolyte.
    pub interlayer: bool,
    /// Collectors touch the metal.
    pub collector: bool,
    /// A collector touches the electrolyte or the composite.
    pub back: bool,
    /// There is a composite electrode.
    pub composite: bool,
}

impl Layers {
    /// As one parameter draw says.
    #[must_use]
    pub fn of(p: &Parameters) -> Self {
        Self {
            interlayer: p.interlayer_um > 0.0,
            collector: p.collector_faces > 0.0,
            back: p.back_faces > 0.0,
            composite: p.composite_um > 0.0,
        }
    }
}

/// One ramp and hold between platens, or one nip of a roller.
#[derive(Clone, Copy, Debug)]
pub struct Step<S> {
    /// Pressure during the hold, MPa; line force, N/mm, for rolls.
    pub load: S,
    /// Rate of the ramp, MPa/s; speed, mm/s, for rolls.
    pub rate: S,
    /// Hold, s; number of passes for rolls.
    pub span: S,
    /// Temperature, °C.
    pub temperature_c: S,
}

/// State in which the cell is measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured<S> {
    /// Pressure on the sample, MPa; 0: released.
    pub pressure_mpa: S,
    /// Temperature, °C.
    pub temperature_c: S,
    /// Waiting time there, s.
    pub settle_s: S,
    /// Rate of the way there, MPa/s.
    pub release_mpa_s: S,
}

/// What the current crosses between the interfaces.
#[derive(Clone, Copy, Debug)]
pub struct Path<S> {
    /// Conductivity behind the contact as it is measured, S/cm.
    pub conductivity_s_cm: S,
    /// Thickness of the electrolyte, cm.
    pub thickness_cm: S,
    /// Resistance inside the grains, Ω cm².
    pub bulk_ohm_cm2: S,
    /// Resistance of the grain boundaries, Ω cm².
    pub boundary_ohm_cm2: S,
    /// Relative density under the present pressure.
    pub density: S,
}

/// Shares in contact of the collectors; 1 where there are none.
#[derive(Clone, Copy, Debug)]
pub struct Collectors<S> {
    /// On soft metal or another collector.
    pub metal: S,
    /// On electrolyte or composite.
    pub back: S,
}

/// One parameter draw of one kind of cell, prepared for many protocols.
#[derive(Clone, Copy, Debug)]
pub struct Model<S = f64> {
    /// Kind of cell.
    pub structure: Structure,
    /// Its parameters.
    pub p: Parameters<S>,
    /// Creep of its metal.
    pub creep: Creep<S>,
    powder: Powder<S>,
    composite_powder: Powder<S>,
    touch_power: S,
    start_heckel: S,
    composite_start: S,
    log_short: S,
    /// Reciprocals of parameters that every stage divides by.
    per_short_mpa: S,
    per_bond_s: S,
    per_electrolyte_mm: S,
    /// `s^-n` of the hardened flow stress.
    pub(crate) flow_power: S,
}

/// What a cell remembers while it is pressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory<S> {
    /// Pressure on the cell now, MPa, and its logarithm.
    pub pressure: S,
    pub log_pressure: S,
    /// `z^(n+1)` of the metal contact.
    pub closure: S,
    /// Highest pressure the metal contact has seen, MPa.
    pub peak: S,
    /// Bonding time at 25 °C over the bonding time constant.
    pub bonded: S,
    /// Reaction time at 25 °C, s.
    pub reacted_s: S,
    /// `ln 1/(1-D)` of the electrolyte.
    pub heckel: S,
    /// `ln 1/(1-D)` of the composite electrode.
    pub composite: S,
    /// `∫ (q/s)^n dt` of the squeeze film, s.
    pub squeeze: S,
    /// Thickness of the rolled foil over its start.
    pub rolled: S,
    /// Hazards.
    pub short: S,
    pub crack: S,
    pub damage: S,
}

impl<S: Scalar> Model<S> {
    /// Prepares one draw.
    #[must_use]
    #[inline(always)]
    pub fn new(structure: Structure, p: Parameters<S>) -> Self {
        let creep = Creep::new(p.creep_exponent, p.creep_energy_kj_mol, p.flow_rate_s);
        Self {
            structure,
            p,
            creep,
            powder: Powder {
                law: structure.law,
                tap: p.tap_density,
                scale_mpa: p.compaction_mpa,
                limit: p.compaction_limit,
                softening_k: p.powder_softening_k,
                creep: p.powder_creep,
            },
            composite_powder: Powder {
                law: structure.composite_law,
                tap: p.composite_tap_density,
                scale_mpa: p.composite_compaction_mpa,
                limit: p.composite_compaction_limit,
                softening_k: p.composite_softening_k,
                creep: p.composite_creep,
            },
            touch_power: creep.power(p.touch_mpa),
            start_heckel: compaction::heckel_variable(p.start_density),
            composite_start: compaction::heckel_variable(p.composite_start_density),
            log_short: p.short_mpa.ln(),
            per_short_mpa: S::of(1.0) / p.short_mpa,
            per_bond_s: S::of(1.0) / p.bond_time_s,
            per_electrolyte_mm: S::of(1.0) / p.electrolyte_mm,
            flow_power: p.flow_stress_mpa.pow(-p.creep_exponent),
        }
    }

    #[inline(always)]
    fn fresh(&self) -> Memory<S> {
        let zero = S::of(0.0);
        Memory {
            pressure: zero,
            log_pressure: S::of(NO_PRESSURE_MPA.ln()),
            closure: self.touch_power,
            peak: self.p.touch_mpa,
            bonded: zero,
            reacted_s: zero,
            heckel: self.start_heckel,
            composite: self.composite_start,
            squeeze: zero,
            rolled: S::of(1.0),
            short: zero,
            crack: zero,
            damage: zero,
        }
    }

    /// The composite electrode under a stage, from powder on.
    #[inline(always)]
    fn press_composite(&self, m: &mut Memory<S>, step: &Step<S>) {
        if self.structure.layers.composite {
            m.composite =
                self.composite_powder
                    .press(m.composite, step.load, step.temperature_c, step.span);
        }
    }

    /// The first stage of a formation: the powder in its die, without the metal.
    #[inline(always)]
    fn form(&self, m: &mut Memory<S>, step: &Step<S>) {
        m.heckel = self
            .powder
            .press(m.heckel, step.load, step.temperature_c, step.span);
        self.press_composite(m, step);
        m.crack = m.crack + failure::weibull(step.load, self.p.capping_mpa, self.p.weibull_modulus);
    }

    /// A ramp and a hold with the metal in place.
    #[inline(always)]
    fn press(&self, m: &mut Memory<S>, step: &Step<S>) {
        let p = &self.p;
        let heat = creep::inverse_heat(step.temperature_c);
        // Powers by logarithms: each stage takes that of its load once.
        let log_soft = self.creep.log_softening(heat);
        let soft = log_soft.exp();
        let log_load = step.load.at_least(S::of(NO_PRESSURE_MPA)).ln();
        let (log0, log1) = (m.log_pressure + log_soft, log_load + log_soft);
        let ramp_s = (step.load - m.pressure).abs() / step.rate;
        let (q0, q1) = (m.pressure * soft, step.load * soft);
        let n1 = p.creep_exponent.shift(1.0);
        let (power0, power1) = ((log0 * n1).exp(), (log1 * n1).exp());
        m.closure = self
            .creep
            .ramp(m.closure, (q0, power0), (q1, power1), ramp_s);
        m.closure = self.creep.hold(m.closure, power1, step.span);
        m.peak = m.peak.at_least(step.load);

        let under_load_s = step.span + ramp_s.scale(0.5);
        m.bonded = m.bonded + under_load_s * self.creep.speed(heat) * self.per_bond_s;
        m.reacted_s =
            m.reacted_s + (step.span + ramp_s) * interface::arrhenius(p.interphase_energy_ev, heat);
        let n = p.creep_exponent;
        let dose = failure::power_dose((q0, power0), (q1, power1), n, ramp_s, step.span);
        m.squeeze = m.squeeze + dose * self.flow_power;
        m.pressure = step.load;
        m.log_pressure = log_load;
        if self.structure.lamination {
            return;
        }

        let pores = self.porosity(m.heckel);
        m.heckel = self
            .powder
            .press(m.heckel, step.load, step.temperature_c, step.span);
        self.press_composite(m, step);
        let (s0, s1) = (q0 * self.per_short_mpa, q1 * self.per_short_mpa);
        let m1 = p.short_exponent.shift(1.0);
        let dose = failure::power_dose(
            (s0, ((log0 - self.log_short) * m1).exp()),
            (s1, ((log1 - self.log_short) * m1).exp()),
            p.short_exponent,
            ramp_s,
            step.span,
        );
        let more = m.short + dose * pores.scale(1.0 / failure::SHORT_TIME_S);
        m.short = S::choose(pores.above(S::of(0.0)), more, m.short);
    }

    /// Connected porosity and thinness of what keeps the metals apart, 1 for the published pellets.
    #[inline(always)]
    pub(crate) fn porosity(&self, heckel: S) -> S {
        let pores = failure::pore_factor(compaction::density(heckel)) * self.per_electrolyte_mm;
        if self.structure.layers.interlayer {
            (pores * self.p.pinhole_share).scale(1.0 / SEEN_PINHOLES)
        } else {
            pores
        }
    }

    /// Brittle layers remember the highest pressure they stood with the metal on.
    #[inline(always)]
    fn break_layers(&self, m: &mut Memory<S>, formed_mpa: S) {
        let p = &self.p;
        let density = compaction::density(m.heckel);
        let strength = ((density - p.conductivity_density) * p.strength_density).exp();
        m.crack = m.crack + failure::weibull(m.peak, strength * p.crack_mpa, p.weibull_modulus);
        if self.structure.formation || self.structure.layers.interlayer {
            m.damage = failure::weibull(m.peak, p.damage_mpa, p.weibull_modulus);
        }
        if self.structure.formation {
            // Pressed much harder than it was formed, the pellet yields again and its first bonds break.
            m.damage =
                m.damage + failure::weibull(m.peak, formed_mpa.scale(OVERPRESS), p.weibull_modulus);
        }
    }

    /// The cell after a platen protocol; `steps` must not be empty.
    #[inline(always)]
    pub fn pressed(&self, steps: &[Step<S>], measured: &Measured<S>) -> Ready<S> {
        let mut m = self.fresh();
        let formed = usize::from(self.structure.formation && steps.len() > 1);
        for step in &steps[..formed] {
            self.form(&mut m, step);
        }
        for step in &steps[formed..] {
            self.press(&mut m, step);
        }
        self.measure(&mut m, steps[0].load, measured)
    }

    /// The way to the state of measurement, and the cell there.
    #[inline(always)]
    fn measure(&self, m: &mut Memory<S>, formed_mpa: S, measured: &Measured<S>) -> Ready<S> {
        let p = &self.p;
        self.press(
            m,
            &Step {
                load: measured.pressure_mpa,
                rate: measured.release_mpa_s,
                span: measured.settle_s,
                temperature_c: measured.temperature_c,
            },
        );
        let heat = creep::inverse_heat(measured.temperature_c);
        let adhered = ((-m.bonded).exp() * p.adhered_share.complement()).complement();
        let kept = contact::kept(m.pressure / m.peak, adhered);
        let closure = m.closure.pow(S::of(1.0) / p.creep_exponent.shift(1.0)) * kept;
        let contact = Contact::new(closure, p);

        let interphase = m.reacted_s.scale(1.0 / INTERPHASE_S).sqrt() * p.interphase_ohm_cm2;
        let transfer = p.transfer_ohm_cm2 / interface::arrhenius(p.transfer_energy_ev, heat);
        let rolled = S::of(1.0).above(m.rolled);
        let squeezed = failure::extruded(
            m.squeeze,
            p.creep_exponent,
            p.flow_rate_s,
            p.metal_um.scale(1e-3) / p.flow_radius_mm,
            p.escape_share,
        );
        let extruded = S::choose(rolled, m.rolled.complement(), squeezed);

        let zero = S::of(0.0);
        let (mut joined, mut pinholes) = (S::of(1.0), zero);
        if !self.structure.lamination {
            self.break_layers(m, formed_mpa);
            if self.structure.layers.interlayer {
                joined = contact::share(m.peak * kept, p.join_mpa);
                pinholes = (-m.peak / p.pinhole_mpa).exp() * p.pinhole_share
                    + failure::probability(m.damage).scale(TORN_SHARE);
            }
        }
        let soft = self.creep.softening(heat);
        Ready {
            contact,
            transfer_ohm_cm2: transfer,
            interphase_ohm_cm2: interphase,
            path: self.path(m, heat),
            joined,
            extruded,
            collectors: self.collectors(m, soft),
            heckel: m.heckel,
            composite: m.composite,
            short: m.short,
            crack: m.crack,
            damage: m.damage,
            pressure_mpa: m.pressure,
            softening: soft,
            service: Service {
                drive_mpa: m.pressure * soft,
                inverse_heat: heat,
                damage: m.short + m.crack,
                pores: self.porosity(m.heckel),
                pinholes,
            },
        }
    }

    /// Shares in contact of the collectors, under the pressure that is on and the touch that stays.
    #[inline(always)]
    fn collectors(&self, m: &Memory<S>, softening: S) -> Collectors<S> {
        let (p, layers) = (&self.p, self.structure.layers);
        let pressure = m.pressure + p.touch_mpa;
        let one = S::of(1.0);
        Collectors {
            metal: if layers.collector {
                self.metal_face().share(pressure * softening)
            } else {
                one
            },
            back: if layers.back {
                self.back_face().share(pressure)
            } else {
                one
            },
        }
    }

    /// Collectors on soft metal or on another collector.
    #[inline(always)]
    pub(crate) fn metal_face(&self) -> Face<S> {
        Face {
            stiffness_mpa: self.p.collector_stiffness_mpa,
            hardness_mpa: self.p.collector_hardness_mpa,
            film_ohm_cm2: self.p.collector_film_ohm_cm2,
            spacing_um: self.p.collector_spacing_um,
        }
    }

    /// Collectors on electrolyte or composite.
    #[inline(always)]
    pub(crate) fn back_face(&self) -> Face<S> {
        Face {
            stiffness_mpa: self.p.back_stiffness_mpa,
            hardness_mpa: self.p.back_hardness_mpa,
            film_ohm_cm2: self.p.back_film_ohm_cm2,
            spacing_um: self.p.back_spacing_um,
        }
    }

    /// Effective ionic conductivity of the composite, S/cm, and its thickness, cm, under the present pressure.
    #[inline(always)]
    pub(crate) fn composite_path(&self, ready: &Ready<S>) -> (S, S) {
        let p = &self.p;
        let density = compaction::density(compaction::under_pressure(
            ready.composite,
            ready.pressure_mpa,
            p.spring_back_mpa,
        ));
        let connected = composite::connected(
            p.composite_electrolyte_share * density,
            p.composite_threshold,
            p.composite_exponent,
        );
        let thermal = interface::arrhenius(p.composite_energy_ev, ready.service.inverse_heat);
        let thickness_cm = (p.composite_um * p.composite_thickness_density / density).scale(1e-4);
        (
            (thermal * p.composite_ms_cm * connected).scale(1e-3),
            thickness_cm,
        )
    }

    /// The way of the current through the electrolyte (or, in a lamination, through the metal).
    #[inline(always)]
    fn path(&self, m: &Memory<S>, heat: S) -> Path<S> {
        let p = &self.p;
        let thermal = interface::arrhenius(p.conductivity_energy_ev, heat);
        let conducting = (thermal * p.conductivity_ms_cm).scale(1e-3);
        if self.structure.lamination {
            return Path {
                conductivity_s_cm: conducting,
                thickness_cm: S::of(1.0),
                bulk_ohm_cm2: S::of(0.0),
                boundary_ohm_cm2: S::of(0.0),
                density: S::of(1.0),
            };
        }
        let density = compaction::density(compaction::under_pressure(
            m.heckel,
            m.pressure,
            p.spring_back_mpa,
        ));
        let factor =
            compaction::conductivity_factor(density, p.conductivity_density, p.density_exponent)
                * compaction::squeezed_factor(m.pressure, p.activation_volume_cm3_mol);
        let grains = p.boundary_share.complement() / (conducting * factor);
        let across = (interface::arrhenius(p.boundary_energy_ev, heat) * p.conductivity_ms_cm)
            .scale(1e-3)
            * factor
            * compaction::boundary_factor(m.pressure, p.boundary_release);
        let boundaries = p.boundary_share / across;
        let thickness_cm = (p.electrolyte_mm * p.thickness_density / density).scale(0.1);
        Path {
            conductivity_s_cm: S::of(1.0) / (grains + boundaries),
            thickness_cm,
            bulk_ohm_cm2: thickness_cm * grains,
            boundary_ohm_cm2: thickness_cm * boundaries,
            density,
        }
    }
}

impl<S: Single> Model<S> {
    /// The cell after passes through a roller.
    pub fn rolled(&self, steps: &[Step<S>], measured: &Measured<S>) -> Ready<S> {
        let mut m = self.fresh();
        for step in steps {
            let heat = creep::inverse_heat(step.temperature_c);
            let soft = self.creep.softening(heat);
            let passes = step.span.value();
            let mut done = 0.0;
            while done < passes {
                let thickness_mm = m.rolled * self.p.metal_um.scale(1e-3);
                let nip = lamination::nip(
                    step.load,
                    step.rate,
                    thickness_mm,
                    soft,
                    &self.creep,
                    &self.p,
                );
                m.rolled = m.rolled * nip.left;
                let nip_s = nip.length_mm / step.rate;
                let power = self.creep.power(nip.pressure_mpa * soft);
                m.closure = self.creep.hold(m.closure, power, nip_s);
                m.peak = m.peak.at_least(nip.pressure_mpa);
                m.bonded = m.bonded + nip_s * self.creep.speed(heat) / self.p.bond_time_s;
                m.reacted_s =
                    m.reacted_s + nip_s * interface::arrhenius(self.p.interphase_energy_ev, heat);
                done += 1.0;
            }
        }
        self.measure(&mut m, S::of(1.0), measured)
    }
}
