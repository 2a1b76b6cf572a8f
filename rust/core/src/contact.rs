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
//! waviness (mm) and roughness (µm), and both must close. Steel, copper and ceramic on ceramic are elastic until their
//! asperities yield: Persson, J. Chem. Phys. 115 (2001) 3840, joined with Tabor (see `collector`).
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
/// `load` is the pressure over `E* h'`, the contact modulus times the rms slope. Persson's `erf(√2 load)` (J. Chem.
/// Phys. 115 (2001) 3840) lies 28 % low for light contacts; its argument is stretched so that it meets boundary
/// elements (`boundary_elements`, faces with a decade of wavelengths, Hurst 0.8: within 2 % from 1 to 96 % contact).
#[inline(always)]
pub fn elastic_share<S: Scalar>(load: S) -> S {
    let stretch = (persson_share(load).scale(-2.2))
        .exp()
        .scale(0.36)
        .shift(1.04);
    persson_share(stretch * load)
}

/// [`elastic_share`] as Persson has it, without the correction.
#[inline(always)]
pub fn persson_share<S: Scalar>(load: S) -> S {
    load.scale(std::f64::consts::SQRT_2).erf()
}

/// Share in contact of rough faces that yield where the pressure reaches the hardness: `load` as in
/// [`elastic_share`], `flow` the pressure over the hardness (Tabor's share).
///
/// `(A_e^4 + A_p^4)^(1/4)`, at most all: within 7 % of boundary elements with a cap on the pressure, for hardness from a
/// half to ten times `E* h'` and 2 to 70 % contact (`benchmarks/surrogate/boundary_elements.py`).
#[inline(always)]
pub fn yielding_share<S: Scalar>(load: S, flow: S) -> S {
    let fourth = |x: S| {
        let square = x * x;
        square * square
    };
    let sum = fourth(elastic_share(load)) + fourth(flow.at_most(S::of(1.0)));
    sum.sqrt().sqrt().at_most(S::of(1.0))
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
        let linear = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::SQRT_2 * 1e-3;
        assert!((persson_share(1e-3) / linear - 1.0).abs() < 1e-3);
        assert!((elastic_share(100.0) - 1.0_f64).abs() < 1e-6);
    }

    #[test]
    fn a_soft_face_touches_as_tabor_says_and_a_hard_one_as_persson_does() {
        assert!((yielding_share(1e-6, 0.2) / 0.2 - 1.0_f64).abs() < 1e-6);
        assert!((yielding_share(0.1, 1e-4) / elastic_share(0.1) - 1.0_f64).abs() < 1e-6);
        assert!((yielding_share(0.1, 3.0) - 1.0_f64).abs() < 1e-12);
        // Boundary elements, 256² points, rms slope 0.1, hardness E* h'/2 and E* h': see the benchmark.
        for (load, flow, found) in [(0.1, 0.2, 0.2437), (0.3, 0.6, 0.6602), (0.3, 0.3, 0.5256)] {
            assert!((yielding_share(load, flow) / found - 1.0_f64).abs() < 0.07);
        }
    }

    #[test]
    fn release_keeps_at_least_what_adheres() {
        assert!((kept(0.0, 0.3) - 0.3).abs() < 1e-15);
        assert!((kept(1.0, 0.3) - 1.0).abs() < 1e-15);
    }
}
