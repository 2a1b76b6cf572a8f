//! The cell as it is measured: its qualities, and the elements behind them.
//!
//! *Qualities* are what may be aimed at. *Elements* say where they come from: the parts of each resistance with their
//! capacitances (the equivalent circuit, see `spectrum`), what makes the current uneven, and what ends the cell's life.
//! The resistances of the elements add up to the qualities exactly.
//!
//! Cells whose platens hold a displacement instead of a load (screws instead of a piston) lose pressure as the metal
//! creeps outwards, `-dp/dt = M rate(p)`, `M` the stiffness of metal and clamp in series; and their pressure swings as the
//! stack breathes. Both are given beside the fixed load.

use crate::compaction;
use crate::composite;
use crate::failure;
use crate::interface::{Contact, CurrentLimits, Lives, Service};
use crate::protocol::{Collectors, Model, Path};
use crate::scalar::Scalar;

/// What the qualities are called, in the order of [`Model::qualities`].
pub const QUALITIES: [&str; 11] = [
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

/// What the elements are called, in the order of [`Model::elements`].
pub const ELEMENTS: [&str; 39] = [
    "bulk_ohm_cm2",
    "boundary_ohm_cm2",
    "interlayer_ohm_cm2",
    "joint_ohm_cm2",
    "constriction_ohm_cm2",
    "transfer_ohm_cm2",
    "interphase_ohm_cm2",
    "collector_ohm_cm2",
    "back_ohm_cm2",
    "composite_ohm_cm2",
    "bulk_f_cm2",
    "boundary_f_cm2",
    "interlayer_f_cm2",
    "joint_f_cm2",
    "constriction_f_cm2",
    "interface_f_cm2",
    "back_f_cm2",
    "composite_f_cm2",
    "arc_exponent",
    "wave_contact_share",
    "rough_contact_share",
    "back_contact_share",
    "focusing_length_mm",
    "waviness_factor",
    "roughness_factor",
    "tilt_factor",
    "edge_factor",
    "conductivity_ms_cm",
    "density_under_pressure",
    "composite_density",
    "composite_ms_cm",
    "stripping_limit_ma_cm2",
    "plating_limit_ma_cm2",
    "creep_short_cycles",
    "delamination_cycles",
    "reaction_cycles",
    "clamped_pressure_mpa",
    "pressure_swing_mpa",
    "clamped_cycle_life_cycles",
];

/// One value for each of [`QUALITIES`]; NaN where the cell has no such quality.
pub type Qualities<S> = [S; QUALITIES.len()];
/// One value for each of [`ELEMENTS`].
pub type Elements<S> = [S; ELEMENTS.len()];

/// Vacuum permittivity, F/cm (CODATA 2018).
const VACUUM_F_CM: f64 = 8.854_187_812_8e-14;
/// How long a screw-clamped cell relaxes before its pressure is stated, s (24 h).
const CLAMPED_S: f64 = 86_400.0;

/// A cell at the end of its protocol, in the state of measurement.
#[derive(Clone, Copy, Debug)]
pub struct Ready<S> {
    /// Metal contact.
    pub contact: Contact<S>,
    /// Charge transfer per real area, Ω cm².
    pub transfer_ohm_cm2: S,
    /// Interphase per real area, Ω cm².
    pub interphase_ohm_cm2: S,
    /// Electrolyte.
    pub path: Path<S>,
    /// Share of the interlayer that touches the electrolyte.
    pub joined: S,
    /// Collectors.
    pub collectors: Collectors<S>,
    /// `ln 1/(1-D)` of the composite electrode, released.
    pub composite: S,
    /// Share of the soft metal that has flowed out.
    pub extruded: S,
    /// `ln 1/(1-D)` of the electrolyte, released.
    pub heckel: S,
    /// Hazard of a short.
    pub short: S,
    /// Hazard of a crack.
    pub crack: S,
    /// Hazard of damage to an earlier layer.
    pub damage: S,
    /// Pressure, MPa.
    pub pressure_mpa: S,
    /// How many times softer the metal is than at 25 °C.
    pub softening: S,
    /// The same cell with current through it.
    pub service: Service<S>,
}

/// The parts of an interface's resistance, Ω cm²; they add up to it.
#[derive(Clone, Copy, Debug)]
struct Parts<S> {
    transfer: S,
    interphase: S,
    constriction: S,
    interlayer: S,
    joint: S,
}

impl<S: Scalar> Parts<S> {
    #[inline(always)]
    fn sum(&self) -> S {
        self.transfer + self.interphase + self.constriction + self.interlayer + self.joint
    }
}

/// What the current crosses beside electrolyte and interfaces, Ω cm², all of it in series.
#[derive(Clone, Copy, Debug)]
struct Ends<S> {
    /// Collectors on soft metal or on each other.
    collector: S,
    /// Collectors on electrolyte or composite.
    back: S,
    /// Composite electrode.
    composite: S,
    /// Its effective ionic conductivity, S/cm.
    composite_s_cm: S,
}

impl<S: Scalar> Model<S> {
    #[inline(always)]
    fn ends(&self, ready: &Ready<S>) -> Ends<S> {
        let (p, layers) = (&self.p, self.structure.layers);
        let zero = S::of(0.0);
        let (mut collector, mut back, mut ionic, mut composite_s_cm) = (zero, zero, zero, zero);
        if layers.collector {
            let one = self
                .metal_face()
                .ohm_cm2(ready.collectors.metal, p.collector_ms_cm.scale(1e-3));
            collector = p.collector_faces * one;
        }
        if layers.composite {
            let (conducting, thickness_cm) = self.composite_path(ready);
            composite_s_cm = conducting;
            ionic = composite::ohm_cm2(thickness_cm, conducting);
        }
        if layers.back {
            let behind = S::choose(
                p.back_ms_cm.above(zero),
                p.back_ms_cm.scale(1e-3),
                ready.path.conductivity_s_cm,
            );
            back = p.back_faces * self.back_face().ohm_cm2(ready.collectors.back, behind);
        }
        Ends {
            collector,
            back,
            composite: ionic,
            composite_s_cm,
        }
    }

    #[inline(always)]
    fn parts(&self, ready: &Ready<S>) -> Parts<S> {
        let p = &self.p;
        let carrying = ready.contact.carrying();
        let (mut interlayer, mut joint) = (S::of(0.0), S::of(0.0));
        if self.structure.layers.interlayer {
            let thermal =
                crate::interface::arrhenius(p.interlayer_energy_ev, ready.service.inverse_heat);
            interlayer = p.interlayer_um.scale(0.1) / (thermal * p.interlayer_ms_cm);
            joint = p.join_ohm_cm2 / ready.joined;
        }
        Parts {
            transfer: ready.transfer_ohm_cm2 / carrying,
            interphase: ready.interphase_ohm_cm2 / carrying,
            constriction: ready
                .contact
                .constriction_ohm_cm2(ready.path.conductivity_s_cm, p),
            interlayer,
            joint,
        }
    }

    #[inline(always)]
    fn focus_cm(ready: &Ready<S>) -> S {
        (ready.transfer_ohm_cm2 + ready.interphase_ohm_cm2) * ready.path.conductivity_s_cm
    }

    /// What may be aimed at.
    #[inline(always)]
    pub fn qualities(&self, ready: &Ready<S>) -> Qualities<S> {
        let absent = S::of(f64::NAN);
        let interface = self.parts(ready).sum();
        let unevenness =
            ready
                .contact
                .unevenness(Self::focus_cm(ready), ready.path.thickness_cm, &self.p);
        let hot_spot = unevenness.hot_spot_factor();
        if self.structure.lamination {
            let mut only = [absent; QUALITIES.len()];
            only[2] = interface.scale(1e3);
            only[5] = hot_spot;
            only[10] = ready.extruded;
            return only;
        }
        let service = &ready.service;
        let ends = self.ends(ready);
        let layered = self.structure.formation || self.structure.layers.interlayer;
        [
            interface,
            ready.path.bulk_ohm_cm2
                + ready.path.boundary_ohm_cm2
                + interface.scale(f64::from(self.structure.interfaces))
                + ends.collector
                + ends.back
                + ends.composite,
            absent,
            CurrentLimits::new(&ready.contact, service, &self.p).critical(),
            Lives::new(&ready.contact, service, &self.p).all,
            hot_spot,
            compaction::density(ready.heckel),
            failure::probability(ready.short),
            failure::probability(ready.crack),
            if layered {
                failure::probability(ready.damage)
            } else {
                absent
            },
            ready.extruded,
        ]
    }

    /// What is behind the qualities of a cell with an electrolyte.
    #[inline(always)]
    pub fn elements(&self, ready: &Ready<S>) -> Elements<S> {
        let p = &self.p;
        let (path, contact, service) = (&ready.path, &ready.contact, &ready.service);
        let parts = self.parts(ready);
        let slab =
            |permittivity: S, thickness_cm: S| permittivity.scale(VACUUM_F_CM) / thickness_cm;
        let gap = contact.carrying().complement().at_least(S::of(1e-12));
        let (mut interlayer_f, mut joint_f) = (S::of(0.0), S::of(0.0));
        if self.structure.layers.interlayer {
            interlayer_f = slab(p.interlayer_permittivity, p.interlayer_um.scale(1e-4));
            joint_f = p.interface_f_cm2 * ready.joined;
        }
        let uneven = contact.unevenness(Self::focus_cm(ready), path.thickness_cm, p);
        let limits = CurrentLimits::new(contact, service, p);
        let lives = Lives::new(contact, service, p);
        let clamp = self.clamped(ready);
        let ends = self.ends(ready);
        let open = ready.collectors.back.complement().at_least(S::of(1e-12));
        let absent = |there: bool, value: S| if there { value } else { S::of(0.0) };
        let layers = self.structure.layers;
        [
            path.bulk_ohm_cm2,
            path.boundary_ohm_cm2,
            parts.interlayer,
            parts.joint,
            parts.constriction,
            parts.transfer,
            parts.interphase,
            ends.collector,
            ends.back,
            ends.composite,
            slab(p.permittivity, path.thickness_cm),
            p.boundary_f_cm2,
            interlayer_f,
            joint_f,
            slab(gap, p.gap_um.scale(1e-4)),
            p.interface_f_cm2 * contact.carrying(),
            absent(layers.back, slab(open, p.gap_um.scale(1e-4))),
            absent(layers.composite, p.composite_f_cm2),
            p.arc_exponent,
            contact.wave_share,
            contact.rough_share,
            ready.collectors.back,
            Self::focus_cm(ready).scale(10.0),
            uneven.waviness,
            uneven.roughness,
            uneven.tilt,
            uneven.edge,
            path.conductivity_s_cm.scale(1e3),
            path.density,
            absent(layers.composite, compaction::density(ready.composite)),
            ends.composite_s_cm.scale(1e3),
            limits.stripping,
            limits.plating,
            lives.short,
            lives.delamination,
            lives.reaction,
            clamp.pressure_mpa,
            clamp.swing_mpa,
            clamp.life_cycles,
        ]
    }

    /// The same cell between screws instead of under a constant load.
    #[inline(always)]
    fn clamped(&self, ready: &Ready<S>) -> Clamped<S> {
        let p = &self.p;
        let n = p.creep_exponent;
        let squeeze = failure::squeeze_factor(p.metal_um.scale(1e-3) / p.flow_radius_mm, n);
        let rate_s = p.flow_rate_s * self.flow_power * squeeze * ready.softening.pow(n);
        let free =
            self.creep
                .relaxed_mpa(ready.pressure_mpa, rate_s, p.clamp_mpa, S::of(CLAMPED_S));
        // What cannot leave the gap around the electrode cannot relieve the pressure either.
        let strain = failure::limited((ready.pressure_mpa - free) / p.clamp_mpa, p.escape_share);
        let pressure = (ready.pressure_mpa - strain * p.clamp_mpa).at_least(S::of(0.0));
        let swing = p.stripped_um * p.breathing_share * p.clamp_mpa / p.metal_um;
        let least = (pressure - swing.scale(0.5)).at_least(S::of(0.0));
        let service = Service {
            drive_mpa: least * ready.softening,
            ..ready.service
        };
        Clamped {
            pressure_mpa: pressure,
            swing_mpa: swing,
            life_cycles: Lives::new(&ready.contact, &service, p).all,
        }
    }
}

/// A cell at fixed displacement.
#[derive(Clone, Copy, Debug)]
struct Clamped<S> {
    /// Pressure left after [`CLAMPED_S`], MPa.
    pressure_mpa: S,
    /// Swing of the pressure within a cycle, MPa.
    swing_mpa: S,
    /// Life at the lowest pressure of a cycle.
    life_cycles: S,
}
