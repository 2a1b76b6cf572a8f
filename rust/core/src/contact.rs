//! Rough surfaces under load: which share of an interface touches, and what the constriction costs.
//!
//! | symbol | meaning | unit |
//! |---|---|---|
//! | `z` | closure (see `creep`), already reduced by what release has opened | MPa |
//! | `p_c` | effective closure pressure of one scale | MPa |
//! | `A` | share in contact, `1 - exp(-z/p_c)` | - |
//! | `b` | half-spacing of contacts of one scale | cm |
//! | `kappa` | conductivity of the medium the current spreads in | S/cm |
//!
//! Alkali metals on ceramics are fully plastic, so the share follows bearing with saturation: linear in pressure at
//! first (Tabor, The Hardness of Metals, 1951), then slowed by what already touches. Foils close on two scales,
//! waviness (mm) and roughness (µm), and both must close. Steel, copper and ceramic on ceramic are elastic:
//! Persson, J. Chem. Phys. 115 (2001) 3840.
//! Constriction: Cooper, Mikic and Yovanovich, Int. J. Heat Mass Transfer 12 (1969) 279, one side (the metal is a
//! short beside the electrolyte).

use crate::scalar::Scalar;

/// Share in contact, 0 to 1, after closure `z`.
#[inline(always)]
pub fn share<S: Scalar>(closure_mpa: S, closure_pressure_mpa: S) -> S {
    -(-closure_mpa / closure_pressure_mpa).exp_m1()
}

/// `d ln A / d ln z` of [`share`]: 1 for a light contact, 0 for a closed one.
#[inline(always)]
pub fn sensitivity<S: Scalar>(closure_mpa: S, closure_pressure_mpa: S) -> S {
    let x = closure_mpa / closure_pressure_mpa;
    x / x.exp_m1()
}

/// Part of the closure that stays when the load drops to `loaded` (0 to 1) of its peak.
///
/// Elastic spring-back opens the contact in proportion to the load taken off; adhesion keeps `adhered` of it.
#[inline(always)]
pub fn kept<S: Scalar>(loaded: S, adhered: S) -> S {
    adhered + adhered.complement() * loaded
}

/// Constriction resistance, Ω cm², of contacts that cover the share `A` and lie `2b` apart (cm), `kappa` in S/cm.
#[inline(always)]
pub fn constriction_ohm_cm2<S: Scalar>(share: S, half_spacing_cm: S, conductivity_s_cm: S) -> S {
    let radius = share.sqrt();
    let closed = radius.complement().at_least(S::of(0.0));
    closed * closed.sqrt() * half_spacing_cm.scale(std::f64::consts::FRAC_PI_4)
        / (radius * conductivity_s_cm)
}

/// Share in contact of an elastic rough surface, no adhesion.
///
/// `pressure_mpa` and `modulus_mpa` (E*) in MPa; `rms_slope` without unit. Persson's `erf(√2 p/(E* h′))` (J. Chem.
/// Phys. 115 (2001) 3840) lies 28 % low for light contacts; its argument is stretched so that it meets boundary
/// elements (`boundary_elements`, faces with a decade of wavelengths, Hurst 0.8: within 2 % from 1 to 96 % contact).
#[must_use]
pub fn elastic_share(pressure_mpa: f64, modulus_mpa: f64, rms_slope: f64) -> f64 {
    let plain = persson_share(pressure_mpa, modulus_mpa, rms_slope);
    let stretch = 1.04 + 0.36 * (-2.2 * plain).exp();
    persson_share(stretch * pressure_mpa, modulus_mpa, rms_slope)
}

/// [`elastic_share`] as Persson has it, without the correction.
#[must_use]
pub fn persson_share(pressure_mpa: f64, modulus_mpa: f64, rms_slope: f64) -> f64 {
    erf(std::f64::consts::SQRT_2 * pressure_mpa / (modulus_mpa * rms_slope))
}

/// Error function for `x >= 0`, to 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let tail = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ]
    .iter()
    .fold(0.0, |sum, c| (sum + c) * t);
    1.0 - tail * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_contacts_follow_tabor_and_heavy_ones_saturate() {
        assert!((share(1e-6, 10.0) / 1e-7 - 1.0).abs() < 1e-6);
        assert!((share(1e3, 10.0) - 1.0).abs() < 1e-12);
        assert!((sensitivity(1e-9, 10.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_closed_contact_has_no_constriction_and_a_dot_the_one_of_holm() {
        assert!(constriction_ohm_cm2(1.0, 0.1, 1e-3).abs() < 1e-12);
        // A dot of radius a on its cell of radius b: R = 1/(4 kappa a), per area pi b^2.
        let (a, b, kappa) = (1e-4, 0.1, 1e-3);
        let holm = std::f64::consts::PI * b * b / (4.0 * kappa * a);
        let ours = constriction_ohm_cm2((a / b) * (a / b), b, kappa);
        assert!((ours / holm - 1.0).abs() < 2e-3);
    }

    #[test]
    fn persson_is_linear_at_first() {
        let (p, e, h) = (1.0, 1e4, 0.1);
        let linear = 2.0 / std::f64::consts::PI.sqrt() * std::f64::consts::SQRT_2 * p / (e * h);
        assert!((persson_share(p, e, h) / linear - 1.0).abs() < 1e-3);
        assert!((elastic_share(1e5, e, h) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn release_keeps_at_least_what_adheres() {
        assert!((kept(0.0, 0.3) - 0.3).abs() < 1e-15);
        assert!((kept(1.0, 0.3) - 1.0).abs() < 1e-15);
    }
}
