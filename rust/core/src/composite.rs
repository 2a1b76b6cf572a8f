//! Composite electrode: active particles in a matrix of electrolyte, pressed from powder.
//!
//! | symbol | meaning | unit |
//! |---|---|---|
//! | `s` | volume of electrolyte per volume of solid | - |
//! | `D` | relative density | - |
//! | `phi` | volume of electrolyte per volume, `s D` | - |
//! | `phi_c` | share below which it no longer connects | - |
//! | `kappa_0` | conductivity of the electrolyte without pores | S/cm |
//!
//! Effective medium with a percolation threshold, the active particles and the pores insulating:
//! `kappa = kappa_0 ((phi - phi_c)/(1 - phi_c))^t` (McLachlan, Blaszkiewicz and Newnham, J. Am. Ceram. Soc. 73 (1990) 2187);
//! `phi_c = 0.16` for particles of one size (Scher and Zallen, J. Chem. Phys. 53 (1970) 3759), `t = 2` in three dimensions
//! (Stauffer and Aharony, Introduction to Percolation Theory, 1994).
//!
//! To a direct current a porous electrode whose reaction is spread evenly shows a third of its ionic resistance,
//! `L/(3 kappa)` (transmission line with good electronic conduction: Landesfeind et al., J. Electrochem. Soc. 163 (2016) A1373).
//! Charge transfer into the active particles is not in it. Compaction is that of `compaction`, the matrix stiffened by the
//! hard particles (`compaction::hardened_by`) where no data say otherwise.

use crate::scalar::Scalar;

/// Ions of a direct current meet this part of the resistance along the layer.
const EVEN_REACTION: f64 = 1.0 / 3.0;
/// Least excess over the threshold: below it the electrolyte no longer connects, and the layer is as good as an insulator.
const LEAST_EXCESS: f64 = 1e-3;

/// Effective ionic conductivity over the one of the electrolyte without pores.
#[inline(always)]
pub fn connected<S: Scalar>(electrolyte: S, threshold: S, exponent: S) -> S {
    let excess = (electrolyte - threshold) / threshold.complement();
    excess.at_least(S::of(LEAST_EXCESS)).pow(exponent)
}

/// Resistance of a composite electrode to a direct current, Ω cm².
#[inline(always)]
pub fn ohm_cm2<S: Scalar>(thickness_cm: S, conductivity_s_cm: S) -> S {
    (thickness_cm / conductivity_s_cm).scale(EVEN_REACTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_electrolyte_conducts_as_electrolyte_and_too_little_hardly() {
        assert!((connected(1.0, 0.16, 2.0) - 1.0_f64).abs() < 1e-15);
        assert!(connected(0.16, 0.16, 2.0_f64) < 1e-5);
        assert!(connected(0.1, 0.16, 2.0_f64) > 0.0);
    }

    #[test]
    fn the_law_is_a_power_of_the_excess() {
        let (a, b) = (connected(0.3, 0.16, 2.0_f64), connected(0.44, 0.16, 2.0));
        assert!((b / a - 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_hundred_micrometres_of_a_usual_mix_cost_tens_of_ohm_cm2() {
        // 35 % by volume of electrolyte at 3 mS/cm: (0.19/0.84)^2 of it.
        let kappa = 3e-3 * connected(0.35, 0.16, 2.0_f64);
        assert!((ohm_cm2(0.01, kappa) / (0.01 / 3.0 / kappa) - 1.0).abs() < 1e-15);
        assert!((10.0..40.0).contains(&ohm_cm2(0.01, kappa)));
    }
}
