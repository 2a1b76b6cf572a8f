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
//! Voids (delamination) grow with the thickness that a half-cycle strips and shrink with stack pressure.

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
/// Lithium that a half-cycle of the published cells strips, µm: 75 µA/cm² for 1 h (Doux 2020).
pub const STRIPPED_UM: f64 = 0.364;
/// Stack pressure that adhesion and vacuum stand in for when nothing presses, MPa (assumed).
const SELF_PRESSURE_MPA: f64 = 0.5;
/// Where a loss that grows without bound is cut, as an exponent: e^-12 of the value, the cell is lost anyway.
const LOST: f64 = 12.0;

/// `exp(E/k (1/T_ref - 1/T))` for an energy in eV.
#[inline(always)]
pub fn arrhenius<S: Scalar>(energy_ev: S, inverse_heat: S) -> S {
    (inverse_heat * energy_ev).scale(1.0 / BOLTZMANN_EV_K).exp()
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

/// How uneven the current is, by cause; each 1 where its cause is gone.
#[derive(Clone, Copy, Debug)]
pub struct Unevenness<S> {
    /// Gaps between waves of the foil.
    pub waviness: S,
    /// Gaps between asperities.
    pub roughness: S,
    /// Platens that are not parallel.
    pub tilt: S,
    /// Rim of the electrode.
    pub edge: S,
}

impl<S: Scalar> Unevenness<S> {
    /// Highest over mean current density; 1 is even.
    #[inline(always)]
    pub fn hot_spot_factor(&self) -> S {
        self.waviness * self.roughness * self.tilt * self.edge
    }
}

impl<S: Scalar> Contact<S> {
    /// From the closure that is left when measured (MPa).
    #[inline(always)]
    pub fn new(closure_mpa: S, p: &Parameters<S>) -> Self {
        Self {
            closure_mpa,
            wave_share: contact::share(closure_mpa, p.wave_closure_mpa),
            rough_share: contact::share(closure_mpa, p.rough_closure_mpa),
        }
    }

    /// Area that really carries current, share of the geometric one.
    #[inline(always)]
    pub fn carrying(&self) -> S {
        self.wave_share * self.rough_share
    }

    /// Constriction of both scales, Ω cm², for `kappa` (S/cm).
    #[inline(always)]
    pub fn constriction_ohm_cm2(&self, conductivity_s_cm: S, p: &Parameters<S>) -> S {
        let wave = contact::constriction_ohm_cm2(
            self.wave_share,
            p.wave_spacing_mm.scale(0.1),
            conductivity_s_cm,
        );
        let rough = contact::constriction_ohm_cm2(
            self.rough_share,
            p.rough_spacing_um.scale(1e-4),
            conductivity_s_cm,
        );
        wave + rough / self.wave_share
    }

    /// How uneven the current is, for a focusing length `kappa Z` (cm) in an electrolyte of `thickness_cm`.
    ///
    /// The rim of an electrode on a wider slab sees `1/sqrt(1 - exp(-2 pi s/L))` of the mean current at the distance
    /// `s` (conformal map of the slab, insulated outside the electrodes); `s` is the focusing length. An overhang
    /// shorter than the slab is thick weakens it (assumed: `1 - exp(-2 pi o/L)`).
    #[inline(always)]
    pub fn unevenness(&self, focus_cm: S, thickness_cm: S, p: &Parameters<S>) -> Unevenness<S> {
        let rim = S::of(1.0) / decayed(focus_cm, thickness_cm).sqrt();
        let wide = decayed(p.overhang_mm.scale(0.1), thickness_cm);
        let (wave_cm, rough_cm) = (p.wave_spacing_mm.scale(0.1), p.rough_spacing_um.scale(1e-4));
        Unevenness {
            waviness: concentrated(self.wave_share, wave_cm, focus_cm),
            roughness: concentrated(self.rough_share, rough_cm, focus_cm),
            tilt: (contact::sensitivity(self.closure_mpa, p.wave_closure_mpa) * p.platen_tilt)
                .shift(1.0),
            edge: (rim.shift(-1.0) * wide).shift(1.0),
        }
    }
}

/// Highest over mean current where gaps leave `share` in contact, weighed against the focusing length.
#[inline(always)]
fn concentrated<S: Scalar>(share: S, half_spacing_cm: S, focus_cm: S) -> S {
    let weight = half_spacing_cm / (focus_cm + half_spacing_cm);
    ((S::of(1.0) / share).shift(-1.0) * weight).shift(1.0)
}

/// `1 - exp(-2 pi s/L)`: how much of the crowding at a rim has decayed at `length_cm` from it, in a slab.
#[inline(always)]
fn decayed<S: Scalar>(length_cm: S, thickness_cm: S) -> S {
    -(length_cm / thickness_cm)
        .scale(-2.0 * std::f64::consts::PI)
        .exp_m1()
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

/// The two limits of the current, mA/cm².
#[derive(Clone, Copy, Debug)]
pub struct CurrentLimits<S> {
    /// Above it, stripping leaves voids.
    pub stripping: S,
    /// Above it, plating drives metal into flaws.
    pub plating: S,
}

impl<S: Scalar> CurrentLimits<S> {
    /// Both limits of a contact in service.
    #[inline(always)]
    pub fn new(contact: &Contact<S>, service: &Service<S>, p: &Parameters<S>) -> Self {
        let thermal = arrhenius(p.current_energy_ev, service.inverse_heat);
        let gained = service.drive_mpa.pow(p.strip_exponent) * p.strip_gain_ma_cm2;
        let pushed = service.drive_mpa / p.short_mpa;
        Self {
            stripping: (gained + p.strip_ma_cm2) * contact.carrying() * thermal,
            plating: thermal * p.plate_ma_cm2 * spared(service.damage)
                / (pushed * pushed * service.pores).shift(1.0),
        }
    }

    /// Critical current density, mA/cm²: smooth minimum of the two.
    #[inline(always)]
    pub fn critical(&self) -> S {
        let least = self.stripping.at_most(self.plating);
        let most = self.stripping.at_least(self.plating);
        let ratio = least / most;
        let cube = ratio * ratio * ratio;
        least * (cube * cube).shift(1.0).pow(S::of(-1.0 / CORNER))
    }
}

/// What is left of a cell by the hazards it has seen.
#[inline(always)]
fn spared<S: Scalar>(damage: S) -> S {
    (-damage.at_most(S::of(LOST))).exp()
}

/// Time to short of a cycled cell under stack pressure, h; without connected pores it never shorts.
#[inline(always)]
pub fn cycling_short_h<S: Scalar>(drive_mpa: S, pores: S, p: &Parameters<S>) -> S {
    let cliff = (drive_mpa / p.cycling_cliff_mpa)
        .pow(p.cycling_cliff_exponent)
        .at_most(S::of(LOST));
    // Below the closest to no pressure the law has no end: a cell that nothing presses does not creep-short.
    let drive = drive_mpa.at_least(S::of(1e-6)).scale(0.1);
    p.cycling_short_h * (-cliff).exp() / (drive.pow(p.cycling_short_exponent) * pores)
}

/// Indicators of cycle life: what would end it, each alone, in cycles.
#[derive(Clone, Copy, Debug)]
pub struct Lives<S> {
    /// Metal creeps through the pores under stack pressure.
    pub short: S,
    /// Voids of stripping part the contact.
    pub delamination: S,
    /// Metal and electrolyte react through pin-holes.
    pub reaction: S,
    /// All of them, as rates that add, in a cell with the damage of pressing.
    pub all: S,
}

impl<S: Scalar> Lives<S> {
    /// Lives of a contact in service. Voids grow with the metal that a half-cycle strips.
    #[inline(always)]
    pub fn new(contact: &Contact<S>, service: &Service<S>, p: &Parameters<S>) -> Self {
        let one = S::of(1.0);
        let porous = service.pores.above(S::of(0.0));
        let pressed = service.drive_mpa.above(S::of(0.0));
        let rate = S::of(CYCLE_H) / cycling_short_h(service.drive_mpa, service.pores, p);
        let zero = S::of(0.0);
        let short = S::choose(porous, S::choose(pressed, rate, zero), zero);
        let held = service
            .drive_mpa
            .shift(SELF_PRESSURE_MPA)
            .scale(1.0 / VOID_MPA);
        let stripped = p.stripped_um.scale(1.0 / STRIPPED_UM);
        let delamination = stripped / (contact.carrying() * held * p.void_cycles);
        let reaction = service.pinholes / p.reaction_cycles;
        Self {
            short: one / short,
            delamination: one / delamination,
            reaction: one / reaction,
            all: spared(service.damage) / (short + delamination + reaction),
        }
    }
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
                (_, Domain::NotNegative | Domain::Part) => 0.0,
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
        let sound = CurrentLimits::new(&contact, &service(5.0, 0.0), &p);
        let hurt = CurrentLimits::new(&contact, &service(5.0, 1.0), &p);
        assert!((sound.stripping - hurt.stripping).abs() < 1e-15);
        assert!((hurt.plating / sound.plating - (-1.0_f64).exp()).abs() < 1e-12);
        let lives = [0.0, 1.0].map(|damage| Lives::new(&contact, &service(5.0, damage), &p).all);
        assert!((lives[1] / lives[0] - (-1.0_f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn the_smooth_minimum_is_below_both_limits_and_near_the_lower() {
        let p = argyrodite();
        let contact = Contact::new(2.0, &p);
        let limits = CurrentLimits::new(&contact, &service(1.0, 0.0), &p);
        let both = limits.critical();
        let least = limits.stripping.min(limits.plating);
        assert!(both <= least && both > 0.88 * least);
    }

    #[test]
    fn delamination_comes_sooner_with_more_metal_stripped_and_less_pressure() {
        let contact = Contact::new(20.0, &argyrodite());
        let life = |stripped_um: f64, drive: f64| {
            let p = Parameters {
                stripped_um,
                ..argyrodite()
            };
            Lives::new(&contact, &service(drive, 0.0), &p).delamination
        };
        assert!((life(4.0, 5.0) / life(8.0, 5.0) - 2.0).abs() < 1e-12);
        assert!(life(4.0, 1.0) < life(4.0, 5.0));
        assert!(life(0.0, 5.0).is_infinite());
    }

    #[test]
    fn a_closed_contact_has_only_its_transfer_and_is_even() {
        let p = argyrodite();
        let contact = Contact::new(1e4, &p);
        assert!((contact.constriction_ohm_cm2(1e-3, &p)).abs() < 1e-9);
        assert!((contact.carrying() - 1.0).abs() < 1e-9);
        let even = contact.unevenness(1.5e-3, 0.1, &p);
        assert!((even.hot_spot_factor() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_overhanging_electrolyte_crowds_the_rim_by_the_conformal_map() {
        let contact = Contact::new(1e4, &argyrodite());
        let at = |overhang_mm: f64, focus_cm: f64| {
            let p = Parameters {
                overhang_mm,
                ..argyrodite()
            };
            contact.unevenness(focus_cm, 0.1, &p).edge
        };
        assert!((at(0.0, 4.5e-3) - 1.0).abs() < 1e-15);
        let exact = 1.0 / (1.0 - (-2.0 * std::f64::consts::PI * 0.045_f64).exp()).sqrt();
        assert!((at(1e3, 4.5e-3) - exact).abs() < 1e-12);
        assert!((at(1e3, 10.0) - 1.0).abs() < 1e-12);
    }
}
