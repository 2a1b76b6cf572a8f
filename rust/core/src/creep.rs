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

/// `1/T_ref - 1/T`, 1/K, for a temperature in °C.
pub fn inverse_heat<S: Scalar>(temperature_c: S) -> S {
    -(S::of(1.0) / temperature_c.shift(ZERO_C_K)).shift(-1.0 / REFERENCE_K)
}

/// Creep of one metal, prepared for one parameter draw.
#[derive(Clone, Copy, Debug)]
pub struct Creep {
    /// Exponent `n`.
    pub exponent: f64,
    /// `Q / R`, K.
    energy_k: f64,
    /// `tau`, s.
    pub time_s: f64,
}

impl Creep {
    /// From exponent, activation energy (kJ/mol) and the rate (1/s) at flow stress; all checked by the caller.
    #[must_use]
    pub fn new(exponent: f64, energy_kj_mol: f64, rate_s: f64) -> Self {
        Self {
            exponent,
            energy_k: energy_kj_mol / GAS_KJ_MOL_K,
            time_s: 1.0 / ((exponent + 1.0) * rate_s),
        }
    }

    /// How many times faster creep is than at 25 °C, for [`inverse_heat`] of the temperature.
    pub fn speed<S: Scalar>(&self, inverse_heat: S) -> S {
        inverse_heat.scale(self.energy_k).exp()
    }

    /// How many times softer the metal is than at 25 °C, at equal strain rate.
    pub fn softening<S: Scalar>(&self, inverse_heat: S) -> S {
        inverse_heat.scale(self.energy_k / self.exponent).exp()
    }

    /// `q^(n+1)`.
    pub fn power<S: Scalar>(&self, drive: S) -> S {
        drive.powc(self.exponent + 1.0)
    }

    /// `Z` after a linear ramp of the drive from `from` to `to` (both with their [`Self::power`]) within `ramp_s`.
    pub fn ramp<S: Scalar>(&self, closure: S, from: (S, S), to: (S, S), ramp_s: S) -> S {
        let (q0, power0) = from;
        let (q1, power1) = to;
        let start = closure.at_least(power0);
        let rise = q1 - q0;
        if ramp_s.value() <= 0.0 || rise.value().abs() <= 1e-12 * q0.value().max(q1.value()) {
            return start.at_least(power1)
                + power1 * ramp_s.at_least(S::of(0.0)).scale(1.0 / self.time_s);
        }
        let n = self.exponent;
        // What creep alone adds to Z up to drive q.
        let weight = ramp_s / rise.scale((n + 2.0) * self.time_s);
        let crept = |q: S, power: S| (q * power - q0 * power0) * weight;
        if rise.value() < 0.0 {
            return start + crept(q1, power1);
        }
        // Plastic flow rules while the ramp outruns creep: up to q* = (n+1) tau dq/dt.
        let turn = rise / ramp_s.scale(1.0 / ((n + 1.0) * self.time_s));
        let plastic = if turn.value() >= q1.value() {
            power1 - crept(q1, power1)
        } else if turn.value() <= q0.value() {
            power0
        } else {
            let power = self.power(turn);
            power - crept(turn, power)
        };
        start.at_least(plastic) + crept(q1, power1)
    }

    /// `Z` after `hold_s` at a constant drive whose [`Self::power`] is given.
    pub fn hold<S: Scalar>(&self, closure: S, power: S, hold_s: S) -> S {
        closure.at_least(power) + power * hold_s.scale(1.0 / self.time_s)
    }
}

/// Stress in MPa at which metal flows with `rate_s`, by an inverted sinh law.
///
/// `rate = rate_y [sinh(sigma/s) / sinh(1)]^n` with `s` the hardened flow stress at 25 °C: a power law below `s`,
/// an exponential above, as Garofalo found for power-law breakdown.
pub fn flow_stress_mpa<S: Scalar>(
    creep: &Creep,
    flow_mpa: f64,
    rate_y_s: f64,
    rate_s: S,
    softening: S,
) -> S {
    let ratio = rate_s.scale(1.0 / rate_y_s).powc(1.0 / creep.exponent) / softening;
    let y = ratio.scale(1.0_f64.sinh());
    // asinh(y) = ln(y + sqrt(1 + y^2))
    (y + (y * y).shift(1.0).sqrt()).ln().scale(flow_mpa)
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
        let at = |rate| flow_stress_mpa(&creep, 2.0, 1.2e-3, rate, 1.0);
        assert!((at(1.2e-3) - 2.0).abs() < 1e-12);
        let power_law = 2.0 * (10.0_f64 / 1.2e-3).powf(1.0 / 6.56);
        assert!(at(10.0) < power_law && at(10.0) > 2.0);
    }
}
