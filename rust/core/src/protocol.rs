//! Staged pressing programmes, integrated through all phenomena.
//!
//! Every stage ramps the pressure linearly to its value at the stage's temperature and holds it. The way from the last
//! stage to the state of measurement (release, or a stack pressure, and waiting there) is integrated the same way.
//! Between ramps and holds nothing is stepped: every law has a closed form (see `creep`, `compaction`, `failure`), so
//! the error of the integration is rounding, and splitting a hold changes nothing.
//!
//! Where the first stage forms a pellet from powder, the metal is laid on after it: only the pellet remembers.

use crate::compaction::{self, Powder};
use crate::contact;
use crate::creep::{self, Creep};
use crate::failure;
use crate::interface::{self, Contact, Service};
use crate::lamination;
use crate::parameters::Parameters;
use crate::scalar::Scalar;

/// What the outcomes are called, in the order of [`Outcome`]'s array.
pub const QUANTITIES: [&str; 11] = [
    "interfacial_resistance_ohm_cm2",
    "cell_resistance_ohm_cm2",
    "contact_resistance_mohm_cm2",
    "critical_current_density_ma_cm2",
    "cycle_life_cycles",
    "hot_spot_factor",
    "relative_density",
    "short_probability",
    "crack_probability",
    "damage_probability",
    "extrusion_fraction",
];

/// One value for each of [`QUANTITIES`]; NaN where the cell has no such quality.
pub type Outcome<S> = [S; QUANTITIES.len()];

/// Seconds of the time after which interphase resistance is stated (24 h).
const INTERPHASE_S: f64 = 86_400.0;
/// Pin-hole share on which the shorting hazard behind an interlayer is stated (assumed).
const SEEN_PINHOLES: f64 = 0.01;
/// Pressure over that of formation at which 63 % of pellets lose their first bonds (assumed).
const OVERPRESS: f64 = 1.5;
/// Share of the interlayer that opens when it is damaged for certain (assumed).
const TORN_SHARE: f64 = 0.1;

/// What kind of cell it is; everything else is a number in [`Parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Metal on metal (electronic contact) instead of metal on electrolyte.
    pub lamination: bool,
    /// The first stage forms the electrolyte from powder, without the metal.
    pub formation: bool,
    /// How many metal | electrolyte contacts the current crosses.
    pub interfaces: u32,
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

/// One parameter draw of one kind of cell, prepared for many protocols.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    structure: Structure,
    p: Parameters,
    creep: Creep,
    powder: Powder,
    touch_power: f64,
    /// `s^-n` of the hardened flow stress.
    flow_power: f64,
}

/// What a cell remembers while it is pressed.
#[derive(Clone, Copy, Debug)]
struct Memory<S> {
    /// Pressure on the cell now, MPa.
    pressure: S,
    /// `z^(n+1)` of the metal contact.
    closure: S,
    /// Highest pressure the metal contact has seen, MPa.
    peak: S,
    /// Highest softened drive, MPa.
    peak_drive: S,
    /// Bonding time at 25 °C over the bonding time constant.
    bonded: S,
    /// Reaction time at 25 °C, s.
    reacted_s: S,
    /// `ln 1/(1-D)` of the electrolyte.
    heckel: S,
    /// `∫ (q/s)^n dt` of the squeeze film, s.
    squeeze: S,
    /// Thickness of the rolled foil over its start.
    rolled: S,
    /// Hazards.
    short: S,
    crack: S,
    damage: S,
}

impl Model {
    /// Prepares one draw.
    #[must_use]
    pub fn new(structure: Structure, p: Parameters) -> Self {
        let creep = Creep::new(p.creep_exponent, p.creep_energy_kj_mol, p.flow_rate_s);
        Self {
            structure,
            p,
            creep,
            powder: Powder {
                tap_density: p.tap_density,
                yield_mpa: p.heckel_mpa,
                softening_k: p.powder_softening_k,
                creep: p.powder_creep,
            },
            touch_power: creep.power(p.touch_mpa),
            flow_power: p.flow_stress_mpa.powf(-p.creep_exponent),
        }
    }

    fn fresh<S: Scalar>(&self) -> Memory<S> {
        let zero = S::of(0.0);
        Memory {
            pressure: zero,
            closure: S::of(self.touch_power),
            peak: S::of(self.p.touch_mpa),
            peak_drive: S::of(self.p.touch_mpa),
            bonded: zero,
            reacted_s: zero,
            heckel: S::of(compaction::heckel_variable(self.p.start_density)),
            squeeze: zero,
            rolled: S::of(1.0),
            short: zero,
            crack: zero,
            damage: zero,
        }
    }

    /// The first stage of a formation: the powder alone in its die.
    fn form<S: Scalar>(&self, m: &mut Memory<S>, step: &Step<S>) {
        m.heckel = self
            .powder
            .press(m.heckel, step.load, step.temperature_c, step.span);
        m.crack = m.crack
            + failure::weibull(step.load, S::of(self.p.capping_mpa), self.p.weibull_modulus);
    }

    /// A ramp and a hold with the metal in place.
    fn press<S: Scalar>(&self, m: &mut Memory<S>, step: &Step<S>) {
        let p = &self.p;
        let heat = creep::inverse_heat(step.temperature_c);
        let soft = self.creep.softening(heat);
        let change = step.load - m.pressure;
        let ramp_s = if change.value() < 0.0 {
            -change
        } else {
            change
        } / step.rate;
        let (q0, q1) = (m.pressure * soft, step.load * soft);
        let (power0, power1) = (self.creep.power(q0), self.creep.power(q1));
        m.closure = self
            .creep
            .ramp(m.closure, (q0, power0), (q1, power1), ramp_s);
        m.closure = self.creep.hold(m.closure, power1, step.span);
        m.peak = m.peak.at_least(step.load);
        m.peak_drive = m.peak_drive.at_least(q0.at_least(q1));
        m.pressure = step.load;

        let under_load_s = step.span + ramp_s.scale(0.5);
        m.bonded = m.bonded + under_load_s * self.creep.speed(heat).scale(1.0 / p.bond_time_s);
        m.reacted_s =
            m.reacted_s + (step.span + ramp_s) * interface::arrhenius(p.interphase_energy_ev, heat);
        let n = p.creep_exponent;
        let dose = failure::power_dose((q0, power0), (q1, power1), n, ramp_s, step.span);
        m.squeeze = m.squeeze + dose.scale(self.flow_power);
        if self.structure.lamination {
            return;
        }

        let before = m.heckel;
        m.heckel = self
            .powder
            .press(before, step.load, step.temperature_c, step.span);
        let pores = self.porosity(before);
        if pores.value() <= 0.0 {
            return;
        }
        let (s0, s1) = (q0.scale(1.0 / p.short_mpa), q1.scale(1.0 / p.short_mpa));
        let powers = (
            s0.powc(p.short_exponent + 1.0),
            s1.powc(p.short_exponent + 1.0),
        );
        let dose = failure::power_dose(
            (s0, powers.0),
            (s1, powers.1),
            p.short_exponent,
            ramp_s,
            step.span,
        );
        m.short = m.short + dose * pores.scale(1.0 / failure::SHORT_TIME_S);
    }

    /// Connected porosity and thinness of what keeps the metals apart, 1 for the published pellets.
    fn porosity<S: Scalar>(&self, heckel: S) -> S {
        let pores =
            failure::pore_factor(compaction::density(heckel)).scale(1.0 / self.p.electrolyte_mm);
        if self.p.interlayer_um > 0.0 {
            pores.scale(self.p.pinhole_share / SEEN_PINHOLES)
        } else {
            pores
        }
    }

    /// Brittle layers remember the highest pressure they stood with the metal on.
    fn break_layers<S: Scalar>(&self, m: &mut Memory<S>, formed_mpa: S) {
        let p = &self.p;
        let density = compaction::density(m.heckel);
        let strength = density
            .shift(-p.conductivity_density)
            .scale(p.strength_density)
            .exp();
        m.crack =
            m.crack + failure::weibull(m.peak, strength.scale(p.crack_mpa), p.weibull_modulus);
        if self.structure.formation || p.interlayer_um > 0.0 {
            m.damage = failure::weibull(m.peak, S::of(p.damage_mpa), p.weibull_modulus);
        }
        if self.structure.formation {
            // Pressed much harder than it was formed, the pellet yields again and its first bonds break.
            m.damage =
                m.damage + failure::weibull(m.peak, formed_mpa.scale(OVERPRESS), p.weibull_modulus);
        }
    }

    /// Outcome of a platen protocol; `steps` must not be empty.
    pub fn pressed<S: Scalar>(&self, steps: &[Step<S>], measured: &Measured<S>) -> Outcome<S> {
        let mut m: Memory<S> = self.fresh();
        let formed = usize::from(self.structure.formation && steps.len() > 1);
        for step in &steps[..formed] {
            self.form(&mut m, step);
        }
        for step in &steps[formed..] {
            self.press(&mut m, step);
        }
        self.measure(&mut m, steps[0].load, measured)
    }

    /// Outcome of passes through a roller.
    pub fn rolled<S: Scalar>(&self, steps: &[Step<S>], measured: &Measured<S>) -> Outcome<S> {
        let mut m: Memory<S> = self.fresh();
        for step in steps {
            let heat = creep::inverse_heat(step.temperature_c);
            let soft = self.creep.softening(heat);
            let passes = step.span.value();
            let mut done = 0.0;
            while done < passes {
                let thickness_mm = m.rolled.scale(self.p.metal_um * 1e-3);
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
                m.peak_drive = m.peak_drive.at_least(nip.pressure_mpa * soft);
                m.bonded =
                    m.bonded + nip_s * self.creep.speed(heat).scale(1.0 / self.p.bond_time_s);
                m.reacted_s =
                    m.reacted_s + nip_s * interface::arrhenius(self.p.interphase_energy_ev, heat);
                done += 1.0;
            }
        }
        self.measure(&mut m, S::of(1.0), measured)
    }

    fn measure<S: Scalar>(
        &self,
        m: &mut Memory<S>,
        formed_mpa: S,
        measured: &Measured<S>,
    ) -> Outcome<S> {
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
        let bonded = (-m.bonded).exp().scale(p.adhered_share - 1.0).shift(1.0);
        let kept = contact::kept(m.pressure / m.peak, bonded);
        let contact = Contact::new(m.closure.powc(1.0 / (p.creep_exponent + 1.0)) * kept, p);

        let interphase = (m.reacted_s.scale(1.0 / INTERPHASE_S))
            .sqrt()
            .scale(p.interphase_ohm_cm2);
        let transfer = S::of(p.transfer_ohm_cm2) / interface::arrhenius(p.transfer_energy_ev, heat)
            + interphase;
        let conducting =
            interface::arrhenius(p.conductivity_energy_ev, heat).scale(1e-3 * p.conductivity_ms_cm);
        let lost = if m.rolled.value() < 1.0 {
            (-m.rolled).shift(1.0)
        } else {
            let slenderness = p.metal_um * 1e-3 / p.flow_radius_mm;
            failure::extruded(
                m.squeeze,
                p.creep_exponent,
                p.flow_rate_s,
                slenderness,
                p.escape_share,
            )
        };
        let absent = S::of(f64::NAN);
        if self.structure.lamination {
            let resistance = contact.resistance_ohm_cm2(transfer, conducting, p);
            let hot_spot = contact.hot_spot_factor(transfer, conducting, p);
            return [
                absent,
                absent,
                resistance.scale(1e3),
                absent,
                absent,
                hot_spot,
                absent,
                absent,
                absent,
                absent,
                lost,
            ];
        }

        self.break_layers(m, formed_mpa);
        let density = compaction::density(m.heckel);
        let conductivity = conducting
            * compaction::conductivity_factor(density, p.conductivity_density, p.density_exponent);
        let mut interface = contact.resistance_ohm_cm2(transfer, conductivity, p);
        let mut pinholes = S::of(0.0);
        if p.interlayer_um > 0.0 {
            let layer =
                interface::arrhenius(p.interlayer_energy_ev, heat).scale(1e-3 * p.interlayer_ms_cm);
            let joined = contact::share(m.peak * kept, p.join_mpa);
            interface =
                interface + S::of(p.interlayer_um * 1e-4) / layer + S::of(p.join_ohm_cm2) / joined;
            pinholes = m
                .peak
                .scale(-1.0 / p.pinhole_mpa)
                .exp()
                .scale(p.pinhole_share)
                + failure::probability(m.damage).scale(TORN_SHARE);
        }
        let bulk = S::of(0.1 * p.electrolyte_mm * p.thickness_density) / (density * conductivity);
        let service = Service {
            drive_mpa: m.pressure * self.creep.softening(heat),
            inverse_heat: heat,
            damage: m.short + m.crack,
            pores: self.porosity(m.heckel),
            pinholes,
        };
        [
            interface,
            bulk + interface.scale(f64::from(self.structure.interfaces)),
            absent,
            interface::critical_current_ma_cm2(&contact, &service, p),
            interface::cycle_life(&contact, &service, p),
            contact.hot_spot_factor(transfer, conductivity, p),
            density,
            failure::probability(m.short),
            failure::probability(m.crack),
            if self.structure.formation || p.interlayer_um > 0.0 {
                failure::probability(m.damage)
            } else {
                absent
            },
            lost,
        ]
    }
}
