//! From contact to resistance, uniformity, critical current and life.
//!
//! | symbol | meaning | unit |
//! |---|---|---|
//! | `A_w`, `A_r` | shares in contact on the waviness and the roughness scale | - |
//! | `Z` | charge transfer and interphase per real area | Ω cm² |
//! | `kappa` | conductivity of the electrolyte as pressed, when measured | S/cm |
//!
//! `ASR = Z/(A_w A_r) + constriction(A_w) + constriction(A_r)/A_w`. Currents even out over the length `kappa Z`
//! (Roy, Fleck and Deshpande, Extreme Mech. Lett. 46 (2021) 101307), so contact gaps much wider than that concentrate
//! the current fully and gaps much narrower hardly at all.
//!
//! The critical current is two limits. Stripping leaves voids unless creep under stack pressure refills them and rises
//! with that pressure (Kasemchainan et al., Nat. Mater. 18 (2019) 1105; Wang et al., Joule 3 (2019) 2165); plating
//! drives metal into flaws and falls with damage. Stripping scales with the area that really carries current.
//! The two join in a smooth minimum.
//!
//! Cycle life is an indicator: rates of failure add up, `1/N = 1/N_short + 1/N_void + 1/N_reaction`. `N_short` is the
//! published time to short against stack pressure (Doux et al., Adv. Energy Mater. 10 (2020) 1903253), at 2 h a cycle.

use crate::contact;
use crate::creep::BOLTZMANN_EV_K;
use crate::parameters::Parameters;
use crate::scalar::Scalar;

/// Sharpness of the smooth minimum of the two current limits (numerical choice; 6 rounds within 12 % of the corner).
const CORNER: f64 = 6.0;
/// Hours of one plate-and-strip cycle of the published times to short.
const CYCLE_H: f64 = 2.0;
/// Stack pressure at which the void-limited life is stated, MPa.
const VOID_MPA: f64 = 5.0;
/// Stack pressure that adhesion and vacuum stand in for when nothing presses, MPa (assumed).
const SELF_PRESSURE_MPA: f64 = 0.5;
/// Where a loss that grows without bound is cut, as an exponent: e^-12 of the value, the cell is lost anyway.
const LOST: f64 = 12.0;

/// `exp(E/k (1/T_ref - 1/T))` for an energy in eV.
pub fn arrhenius<S: Scalar>(energy_ev: f64, inverse_heat: S) -> S {
    inverse_heat.scale(energy_ev / BOLTZMANN_EV_K).exp()
}

/// The contact as it is when measured.
#[derive(Clone, Copy, Debug)]
pub struct Contact<S> {
    /// Closure after release, as drive, MPa.
    pub closure_mpa: S,
    /// Share in contact, waviness.
    pub wave_share: S,
    /// Share in contact, roughness.
    pub rough_share: S,
}

impl<S: Scalar> Contact<S> {
    /// From the closure that is left when measured (MPa).
    pub fn new(closure_mpa: S, p: &Parameters) -> Self {
        Self {
            closure_mpa,
            wave_share: contact::share(closure_mpa, p.wave_closure_mpa),
            rough_share: contact::share(closure_mpa, p.rough_closure_mpa),
        }
    }

    /// Area that really carries current, share of the geometric one.
    pub fn carrying(&self) -> S {
        self.wave_share * self.rough_share
    }

    /// Resistance of the contact, Ω cm², for `Z` (Ω cm²) and `kappa` (S/cm).
    pub fn resistance_ohm_cm2(
        &self,
        transfer_ohm_cm2: S,
        conductivity_s_cm: S,
        p: &Parameters,
    ) -> S {
        let wave = contact::constriction_ohm_cm2(
            self.wave_share,
            p.wave_spacing_mm * 0.1,
            conductivity_s_cm,
        );
        let rough = contact::constriction_ohm_cm2(
            self.rough_share,
            p.rough_spacing_um * 1e-4,
            conductivity_s_cm,
        );
        transfer_ohm_cm2 / self.carrying() + wave + rough / self.wave_share
    }

    /// Highest over mean current density; 1 is even.
    pub fn hot_spot_factor(&self, transfer_ohm_cm2: S, conductivity_s_cm: S, p: &Parameters) -> S {
        let focus_cm = transfer_ohm_cm2 * conductivity_s_cm;
        let concentrated = |share: S, half_spacing_cm: f64| {
            let weight = S::of(half_spacing_cm) / focus_cm.shift(half_spacing_cm);
            ((S::of(1.0) / share).shift(-1.0) * weight).shift(1.0)
        };
        let tilt = contact::sensitivity(self.closure_mpa, p.wave_closure_mpa)
            .scale(p.platen_tilt)
            .shift(1.0);
        concentrated(self.wave_share, p.wave_spacing_mm * 0.1)
            * concentrated(self.rough_share, p.rough_spacing_um * 1e-4)
            * tilt
    }
}

/// What service adds: pressure and temperature while current flows, and the damage done before.
#[derive(Clone, Copy, Debug)]
pub struct Service<S> {
    /// Stack pressure, softened to 25 °C, MPa.
    pub drive_mpa: S,
    /// `1/T_ref - 1/T`, 1/K.
    pub inverse_heat: S,
    /// Sum of the hazards so far.
    pub damage: S,
    /// Connected porosity of the separator relative to the published pellets.
    pub pores: S,
    /// Share of pin-holes through which metal and electrolyte react.
    pub pinholes: S,
}

/// Critical current density, mA/cm²: smooth minimum of stripping and plating limit.
pub fn critical_current_ma_cm2<S: Scalar>(
    contact: &Contact<S>,
    service: &Service<S>,
    p: &Parameters,
) -> S {
    let (strip, plate) = current_limits_ma_cm2(contact, service, p);
    (strip.powc(-CORNER) + plate.powc(-CORNER)).powc(-1.0 / CORNER)
}

/// Stripping and plating limit, mA/cm².
pub fn current_limits_ma_cm2<S: Scalar>(
    contact: &Contact<S>,
    service: &Service<S>,
    p: &Parameters,
) -> (S, S) {
    let thermal = arrhenius(p.current_energy_ev, service.inverse_heat);
    let gained = service
        .drive_mpa
        .powc(p.strip_exponent)
        .scale(p.strip_gain_ma_cm2);
    let strip = gained.shift(p.strip_ma_cm2) * contact.carrying() * thermal;
    let pushed = service.drive_mpa.scale(1.0 / p.short_mpa);
    let plate = thermal.scale(p.plate_ma_cm2) * (-service.damage.at_most(S::of(LOST))).exp()
        / (pushed * pushed * service.pores).shift(1.0);
    (strip, plate)
}

/// Time to short of a cycled cell under stack pressure, h; without connected pores it never shorts.
pub fn cycling_short_h<S: Scalar>(drive_mpa: S, pores: S, p: &Parameters) -> S {
    let cliff = drive_mpa
        .scale(1.0 / p.cycling_cliff_mpa)
        .powc(p.cycling_cliff_exponent)
        .at_most(S::of(LOST));
    let slow = drive_mpa.scale(0.1).powc(-p.cycling_short_exponent);
    slow.scale(p.cycling_short_h) * (-cliff).exp() / pores
}

/// Indicator of cycle life, cycles.
pub fn cycle_life<S: Scalar>(contact: &Contact<S>, service: &Service<S>, p: &Parameters) -> S {
    let mut failing = service.pinholes.scale(1.0 / p.reaction_cycles);
    if service.drive_mpa.value() > 0.0 && service.pores.value() > 0.0 {
        failing = failing + S::of(CYCLE_H) / cycling_short_h(service.drive_mpa, service.pores, p);
    }
    let pressed = service
        .drive_mpa
        .shift(SELF_PRESSURE_MPA)
        .scale(1.0 / VOID_MPA);
    failing = failing + S::of(1.0) / (contact.carrying() * pressed).scale(p.void_cycles);
    (-service.damage.at_most(S::of(LOST))).exp() / failing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::{DOMAINS, Domain, NAMES};

    /// Li | Li6PS5Cl, fitted to Doux 2020; what plays no part here is one half or zero.
    fn argyrodite() -> Parameters {
        let values: Vec<f64> = NAMES
            .iter()
            .zip(DOMAINS)
            .map(|(name, domain)| match (*name, domain) {
                ("cycling_short_h", _) => 465.0,
                ("cycling_short_exponent", _) => 1.17,
                ("cycling_cliff_mpa", _) => 24.6,
                ("cycling_cliff_exponent", _) => 10.1,
                ("wave_closure_mpa", _) => 10.3,
                ("rough_closure_mpa", _) => 9.5,
                ("plate_ma_cm2" | "strip_ma_cm2", _) => 2.0,
                ("void_cycles", _) => 600.0,
                (_, Domain::Positive | Domain::Share) => 0.5,
                (_, Domain::NotNegative) => 0.0,
            })
            .collect();
        Parameters::new(&values).unwrap()
    }

    fn service(drive_mpa: f64, damage: f64) -> Service<f64> {
        Service {
            drive_mpa,
            inverse_heat: 0.0,
            damage,
            pores: 1.0,
            pinholes: 0.0,
        }
    }

    #[test]
    fn times_to_short_follow_doux() {
        // Doux et al., Adv. Energy Mater. 10 (2020) 1903253, fig. 2b.
        let p = argyrodite();
        for (pressure, hours) in [(10.0, 474.0), (15.0, 272.0), (20.0, 190.0), (25.0, 48.0)] {
            let found = cycling_short_h(pressure, 1.0, &p);
            assert!((found / hours - 1.0).abs() < 0.15, "{pressure}: {found}");
        }
        assert!(cycling_short_h(5.0, 1.0, &p) > 1000.0);
        assert!(cycling_short_h(75.0, 1.0, &p) < 0.01);
    }

    #[test]
    fn a_dense_separator_never_shorts_while_cycled() {
        assert!(cycling_short_h(25.0, 0.0, &argyrodite()).is_infinite());
    }

    #[test]
    fn damage_lowers_plating_and_life_but_not_stripping() {
        let p = argyrodite();
        let contact = Contact::new(20.0, &p);
        let (strip, plate) = current_limits_ma_cm2(&contact, &service(5.0, 0.0), &p);
        let (strip_hurt, plate_hurt) = current_limits_ma_cm2(&contact, &service(5.0, 1.0), &p);
        assert!((strip - strip_hurt).abs() < 1e-15);
        assert!((plate_hurt / plate - (-1.0_f64).exp()).abs() < 1e-12);
        let lives = [0.0, 1.0].map(|damage| cycle_life(&contact, &service(5.0, damage), &p));
        assert!((lives[1] / lives[0] - (-1.0_f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn the_smooth_minimum_is_below_both_limits_and_near_the_lower() {
        let p = argyrodite();
        let contact = Contact::new(2.0, &p);
        let (strip, plate) = current_limits_ma_cm2(&contact, &service(1.0, 0.0), &p);
        let both = critical_current_ma_cm2(&contact, &service(1.0, 0.0), &p);
        let least = strip.min(plate);
        assert!(both <= least && both > 0.88 * least);
    }

    #[test]
    fn a_closed_contact_has_only_its_transfer_and_is_even() {
        let p = argyrodite();
        let contact = Contact::new(1e4, &p);
        assert!((contact.resistance_ohm_cm2(1.5, 1e-3, &p) - 1.5).abs() < 1e-9);
        assert!((contact.hot_spot_factor(1.5, 1e-3, &p) - 1.0).abs() < 1e-9);
    }
}
