//! Power-law creep of the soft metal: how a contact closes under pressure, time and temperature.
//!
//! | symbol | meaning | unit |
//! |---|---|---|
//! | `n`, `Q` | exponent and activation energy of `rate = B sigma^n exp(-Q/RT)` | -, kJ/mol |
//! | `q` | drive: pressure times softening, `p (flow stress at 25 °C / flow stress at T)` | MPa |
//! | `z` | closure: the drive that would have closed the contact as far at once | MPa |
//! | `Z` | `z^(n+1)`, the variable in which creep is linear in time | |
//! | `tau` | `1 / ((n+1) rate_y)`, `rate_y` the creep rate at flow stress | s |
//!
//! The metal carries `p z_0/z` on its real contacts. At `z = q` they flow plastically at once; beyond, they creep,
//! `dz/dt = q / ((n+1) tau) (q/z)^n`, hence `dZ/dt = q^(n+1) / tau` subject to `z >= q`. The local stress thus never
//! exceeds the flow stress, which caps the power law where it breaks down. The growth law is that of creeping
//! asperities (area^(n+1) linear in time) with a plastic start. It is linear, so ramps and holds have closed forms
//! (one-sided Skorokhod reflection) and splitting a stage changes nothing.
//!
//! Sources: Masias et al., J. Mater. Sci. 54 (2019) 2585 (n = 6.56 for Li); Zener and Hollomon, J. Appl. Phys. 15
//! (1944) 22 (one parameter for rate and temperature); Garofalo, Trans. AIME 227 (1963) 351 (sinh law).

use crate::scalar::Scalar;

/// Gas constant, kJ/(mol K) (CODATA 2018, exact).
pub const GAS_KJ_MOL_K: f64 = 8.314_462_618e-3;
/// Boltzmann constant, eV/K (CODATA 2018, exact).
pub const BOLTZMANN_EV_K: f64 = 8.617_333_262e-5;
/// Zero of the Celsius scale, K.
pub const ZERO_C_K: f64 = 273.15;
/// Reference temperature of all parameters: 25 °C, in K.
pub const REFERENCE_K: f64 = 298.15;
/// Relative change of the drive that counts as none: below it, differences of powers are rounding.
const FLAT: f64 = 1e-12;
/// Distance of the creep exponent from 1 below which relaxation is the exponential one.
const LINEAR: f64 = 1e-6;

/// `1/T_ref - 1/T`, 1/K, for a temperature in °C.
#[inline(always)]
pub fn inverse_heat<S: Scalar>(temperature_c: S) -> S {
    (-(S::of(1.0) / temperature_c.shift(ZERO_C_K))).shift(1.0 / REFERENCE_K)
}

/// Creep of one metal, prepared for one parameter draw.
#[derive(Clone, Copy, Debug)]
pub struct Creep<S = f64> {
    /// Exponent `n`.
    pub exponent: S,
    /// `Q / R`, K.
    energy_k: S,
    /// `Q / (n R)`, K.
    softening_k: S,
    /// `tau`, s.
    pub time_s: S,
    /// `1 / tau`, 1/s.
    pace_s: S,
}

impl<S: Scalar> Creep<S> {
    /// From exponent, activation energy (kJ/mol) and the rate (1/s) at flow stress; all checked by the caller.
    #[must_use]
    #[inline(always)]
    pub fn new(exponent: S, energy_kj_mol: S, rate_s: S) -> Self {
        let energy_k = energy_kj_mol.scale(1.0 / GAS_KJ_MOL_K);
        let pace_s = exponent.shift(1.0) * rate_s;
        Self {
            exponent,
            energy_k,
            softening_k: energy_k / exponent,
            time_s: S::of(1.0) / pace_s,
            pace_s,
        }
    }

    /// How many times faster creep is than at 25 °C, for [`inverse_heat`] of the temperature.
    #[inline(always)]
    pub fn speed(&self, inverse_heat: S) -> S {
        (inverse_heat * self.energy_k).exp()
    }

    /// How many times softer the metal is than at 25 °C, at equal strain rate.
    #[inline(always)]
    pub fn softening(&self, inverse_heat: S) -> S {
        self.log_softening(inverse_heat).exp()
    }

    /// Its logarithm.
    #[inline(always)]
    pub fn log_softening(&self, inverse_heat: S) -> S {
        inverse_heat * self.softening_k
    }

    /// `q^(n+1)`.
    #[inline(always)]
    pub fn power(&self, drive: S) -> S {
        drive.pow(self.exponent.shift(1.0))
    }

    /// `Z` after a linear ramp of the drive from `from` to `to` (both with their [`Self::power`]) within `ramp_s`.
    #[inline(always)]
    pub fn ramp(&self, closure: S, from: (S, S), to: (S, S), ramp_s: S) -> S {
        let (q0, power0) = from;
        let (q1, power1) = to;
        let zero = S::of(0.0);
        let start = closure.at_least(power0);
        let rise = q1 - q0;
        let moves = rise.abs().above(q0.at_least(q1).scale(FLAT));
        let lasts = ramp_s.above(zero);
        let jump = start.at_least(power1) + power1 * ramp_s.at_least(zero) * self.pace_s;
        let rise = S::choose(moves, rise, S::of(1.0));
        let ramp_s = S::choose(lasts, ramp_s, S::of(1.0));
        // What creep alone adds to Z up to drive q.
        let weight = ramp_s / (rise * self.exponent.shift(2.0) * self.time_s);
        let crept = |q: S, power: S| (q * power - q0 * power0) * weight;
        // Plastic flow rules while the ramp outruns creep: up to q* = (n+1) tau dq/dt.
        let turn = rise * self.exponent.shift(1.0) * self.time_s / ramp_s;
        let turn = turn.at_least(q0).at_most(q1);
        let plastic = self.power(turn);
        let plastic = plastic - crept(turn, plastic);
        let rising = start.at_least(plastic) + crept(q1, power1);
        let falling = start + crept(q1, power1);
        let moved = S::choose(rise.above(zero), rising, falling);
        S::choose(moves, S::choose(lasts, moved, jump), jump)
    }

    /// `Z` after `hold_s` at a constant drive whose [`Self::power`] is given.
    #[inline(always)]
    pub fn hold(&self, closure: S, power: S, hold_s: S) -> S {
        closure.at_least(power) + power * hold_s * self.pace_s
    }

    /// Stress in MPa at which metal flows with `rate_s`, by an inverted sinh law.
    ///
    /// `rate = rate_y [sinh(sigma/s) / sinh(1)]^n` with `s` the hardened flow stress at 25 °C (MPa): a power law below
    /// `s`, an exponential above, as Garofalo found for power-law breakdown.
    pub fn flow_stress_mpa(&self, flow_mpa: S, rate_y_s: S, rate_s: S, softening: S) -> S {
        let ratio = (rate_s / rate_y_s).pow(S::of(1.0) / self.exponent) / softening;
        let y = ratio.scale(1.0_f64.sinh());
        // asinh(y) = ln(y + sqrt(1 + y^2))
        (y + (y * y).shift(1.0).sqrt()).ln() * flow_mpa
    }

    /// Stress in MPa that is left of `stress_mpa` after `hold_s` at fixed displacement.
    ///
    /// `rate_s` is the creep rate at 1 MPa, `stiffness_mpa` the stress that the stack loses per strain of the metal:
    /// `-dp/dt = M B p^n`, hence `p = p_0 [1 + (n-1) M B p_0^(n-1) t]^(-1/(n-1))`. At `n = 1` it is the exponential
    /// decay, taken from an exponent just above.
    #[inline(always)]
    pub fn relaxed_mpa(&self, stress_mpa: S, rate_s: S, stiffness_mpa: S, hold_s: S) -> S {
        let n1 = self.exponent.shift(-1.0);
        let linear = S::of(LINEAR).above(n1.abs());
        let n1 = S::choose(linear, S::of(LINEAR), n1);
        let lost = n1 * stiffness_mpa * rate_s * stress_mpa.pow(n1) * hold_s;
        stress_mpa * lost.shift(1.0).pow(S::of(-1.0) / n1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lithium() -> Creep {
        Creep::new(6.56, 37.0, 1.2e-3)
    }

    /// Explicit small steps of the law in the head of this file.
    fn reference(creep: &Creep, mut big_z: f64, q0: f64, q1: f64, seconds: f64) -> f64 {
        let steps = 200_000;
        big_z = big_z.max(creep.power(q0));
        for i in 0..steps {
            let q = q0 + (q1 - q0) * (f64::from(i) + 0.5) / f64::from(steps);
            big_z += creep.power(q) / creep.time_s * seconds / f64::from(steps);
            big_z = big_z.max(creep.power(q0 + (q1 - q0) * f64::from(i + 1) / f64::from(steps)));
        }
        big_z
    }

    #[test]
    fn ramps_agree_with_small_steps() {
        let creep = lithium();
        for (z0, q0, q1, t) in [
            (0.0, 0.0, 25.0, 5.0),
            (3.0, 1.0, 10.0, 2000.0),
            (8.0, 2.0, 10.0, 30.0),
            (12.0, 2.0, 10.0, 30.0),
            (0.5, 10.0, 2.0, 600.0),
        ] {
            let start = creep.power(z0);
            let exact = creep.ramp(start, (q0, creep.power(q0)), (q1, creep.power(q1)), t);
            let slow = reference(&creep, start, q0, q1, t);
            assert!((exact / slow - 1.0).abs() < 1e-4, "{exact} {slow}");
        }
    }

    #[test]
    fn one_ramp_is_two_half_ramps() {
        let creep = lithium();
        let at = |q: f64| (q, creep.power(q));
        let once = creep.ramp(0.0, at(0.5), at(20.0), 400.0);
        let half = creep.ramp(0.0, at(0.5), at(10.25), 200.0);
        let twice = creep.ramp(half, at(10.25), at(20.0), 200.0);
        assert!((once / twice - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_decade_of_dwell_buys_ten_to_the_one_over_n_plus_one() {
        let creep = lithium();
        let z = |t: f64| creep.hold(0.0, creep.power(5.0), t).powf(1.0 / 7.56);
        assert!((z(1e7) / z(1e6) - 10f64.powf(1.0 / 7.56)).abs() < 1e-4);
    }

    #[test]
    fn heating_lithium_to_100_c_speeds_creep_twentyfold() {
        let speed = lithium().speed(inverse_heat(100.0));
        assert!((speed - 20.1).abs() < 0.2, "{speed}");
    }

    #[test]
    fn flow_stress_meets_the_law_at_its_anchor_and_grows_slowly_above() {
        let creep = lithium();
        let at = |rate| creep.flow_stress_mpa(2.0, 1.2e-3, rate, 1.0);
        assert!((at(1.2e-3) - 2.0).abs() < 1e-12);
        let power_law = 2.0 * (10.0_f64 / 1.2e-3).powf(1.0 / 6.56);
        assert!(at(10.0) < power_law && at(10.0) > 2.0);
    }

    #[test]
    fn stress_relaxes_as_small_steps_say_and_never_rises() {
        let creep = lithium();
        let (rate, stiffness, hours) = (3e-7, 450.0, 20.0);
        let steps = 400_000;
        let mut slow = 6.0_f64;
        for _ in 0..steps {
            slow -= stiffness * rate * slow.powf(6.56) * hours * 3600.0 / f64::from(steps);
        }
        let exact = creep.relaxed_mpa(6.0, rate, stiffness, hours * 3600.0);
        assert!((exact / slow - 1.0).abs() < 1e-4, "{exact} {slow}");
        assert!((creep.relaxed_mpa(6.0, rate, stiffness, 0.0) - 6.0).abs() < 1e-15);
        assert!(creep.relaxed_mpa(0.0, rate, stiffness, 1e9) == 0.0);
        let linear = Creep::new(1.0, 37.0, 1e-3).relaxed_mpa(6.0, 1e-6, 450.0, 1000.0);
        assert!(
            (linear / (6.0 * (-0.45_f64).exp()) - 1.0).abs() < 1e-5,
            "{linear}"
        );
    }

    #[test]
    fn half_the_time_and_half_again_is_the_whole_relaxation() {
        let creep = lithium();
        let relax = |p, t| creep.relaxed_mpa(p, 3e-7, 450.0, t);
        assert!((relax(relax(6.0, 5e3), 7e3) / relax(6.0, 12e3) - 1.0).abs() < 1e-12);
    }
}
