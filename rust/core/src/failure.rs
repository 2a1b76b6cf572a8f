//! What goes wrong, as hazards `H`: the probability is `1 - exp(-H)`, and hazards of stages add up.
//!
//! * Short while pressing: metal is squeezed through connected pores. Hazard rate `(q/p_s)^m F / 60 s`, `q` the
//!   softened pressure, `F` a factor for connected porosity and thickness. Onset from Doux et al., Adv. Energy Mater.
//!   10 (2020) 1903253: 75 MPa shorts at once, 25 MPa only when current flows. Below about 5 % porosity pores no
//!   longer connect (assumed), so dense ceramics do not short this way.
//! * Crack of the brittle layer: Weibull (J. Appl. Mech. 18 (1951) 293) in the highest pressure; the scale is
//!   `K_IC / (Y sqrt(pi c))` over the share of pressure that platen errors turn into bending.
//! * Extrusion: power-law squeeze film between stuck faces, `-dh/dt = rate h (q/s)^n (k h/R)^(n+1)`, closed form.

use crate::scalar::Scalar;

/// Porosity below which pores are closed (assumed: percolation of pores in pressed powders).
pub const CLOSED_POROSITY: f64 = 0.05;
/// Porosity of the pellets on which the onset of shorting was seen (Doux 2020: 18 %).
pub const SEEN_POROSITY: f64 = 0.18;
/// Hold for which the onset is stated, s.
pub const SHORT_TIME_S: f64 = 60.0;
/// Geometry of the squeeze film: mean pressure of stuck faces is `(2/(3 sqrt 3)) (R/h)` times the flow stress.
pub const SQUEEZE: f64 = 2.598_076_211_353_316;

/// Probability of a hazard.
#[inline(always)]
pub fn probability<S: Scalar>(hazard: S) -> S {
    -(-hazard).exp_m1()
}

/// Connected porosity relative to the pellets on which shorting was seen, squared.
#[inline(always)]
pub fn pore_factor<S: Scalar>(density: S) -> S {
    let connected = (-density).shift(1.0 - CLOSED_POROSITY).at_least(S::of(0.0));
    let relative = connected.scale(1.0 / (SEEN_POROSITY - CLOSED_POROSITY));
    relative * relative
}

/// `∫ q^m dt` over a linear ramp from `q0` to `q1` within `ramp_s`, then `hold_s` at `q1`.
///
/// Takes `q` with `q^(m+1)`, so that callers who need that power anyway pay for it once.
#[inline(always)]
pub fn power_dose<S: Scalar>(from: (S, S), to: (S, S), exponent: S, ramp_s: S, hold_s: S) -> S {
    let (q0, power0) = from;
    let (q1, power1) = to;
    let (zero, one) = (S::of(0.0), S::of(1.0));
    let loaded = q1.above(zero);
    let at_hold = S::choose(loaded, power1 / S::choose(loaded, q1, one), zero);
    let rise = q1 - q0;
    let moves = rise.abs().above(q0.at_least(q1).scale(1e-12));
    let rise = S::choose(moves, rise, one);
    let ramped = (power1 - power0) / (rise * exponent.shift(1.0));
    (S::choose(moves, ramped, at_hold)) * ramp_s + at_hold * hold_s
}

/// Weibull hazard of a peak pressure.
#[inline(always)]
pub fn weibull<S: Scalar>(pressure_mpa: S, scale_mpa: S, modulus: S) -> S {
    (pressure_mpa / scale_mpa).pow(modulus)
}

/// How many times slower a foil of slenderness `h/R` between stuck faces flows than a free one, at equal pressure.
#[inline(always)]
pub fn squeeze_factor<S: Scalar>(slenderness: S, exponent: S) -> S {
    slenderness.scale(SQUEEZE).pow(exponent.shift(1.0))
}

/// Share of a foil that has flowed out, for `dose = ∫ (q/s)^n dt` (s), `n`, the creep rate at flow stress (1/s) and
/// the slenderness `h/R`; at most `escape` of it can leave.
#[inline(always)]
pub fn extruded<S: Scalar>(dose: S, exponent: S, rate_s: S, slenderness: S, escape: S) -> S {
    let n1 = exponent.shift(1.0);
    let speed = n1 * rate_s * squeeze_factor(slenderness, exponent);
    let left = (dose * speed).shift(1.0).pow(S::of(-1.0) / n1);
    limited(left.complement(), escape)
}

/// `x` up to near `limit`, then levelling off there, smoothly.
#[inline(always)]
pub fn limited<S: Scalar>(x: S, limit: S) -> S {
    -(-x / limit).exp_m1() * limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dose_of_a_ramp_is_the_integral() {
        let (m, q0, q1, ramp, hold) = (4.0_f64, 2.0_f64, 5.0_f64, 10.0, 7.0);
        let steps = 100_000;
        let slow: f64 = (0..steps)
            .map(|i| {
                (q0 + (q1 - q0) * (f64::from(i) + 0.5) / f64::from(steps)).powf(m) * ramp
                    / f64::from(steps)
            })
            .sum();
        let exact = power_dose(
            (q0, q0.powf(m + 1.0)),
            (q1, q1.powf(m + 1.0)),
            m,
            ramp,
            hold,
        );
        assert!((exact / (slow + q1.powf(m) * hold) - 1.0).abs() < 1e-8);
    }

    #[test]
    fn closed_pores_do_not_short() {
        assert!(pore_factor(0.97) == 0.0);
        assert!((pore_factor(0.82) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_thin_wide_foil_barely_flows_and_a_thick_narrow_one_does() {
        let thin: f64 = extruded(60.0 * 10f64.powf(6.56), 6.56, 1.2e-3, 0.002, 1.0);
        let thick: f64 = extruded(60.0 * 10f64.powf(6.56), 6.56, 1.2e-3, 0.2, 1.0);
        assert!(thin < 0.01 && thick > 0.5, "{thin} {thick}");
    }

    #[test]
    fn weibull_scale_is_where_63_percent_fail() {
        assert!((probability(weibull(100.0, 100.0, 8.0)) - (1.0 - (-1.0_f64).exp())).abs() < 1e-12);
    }
}
