//! The normal distribution far into its tails, where expected improvements live.
//!
//! `φ`, `Φ`: density and distribution; `h(z) = φ(z) + z Φ(z)`: expected improvement of a unit normal.

use crate::error_function::erfcx;

/// `½ ln 2π`.
const HALF_LOG_TAU: f64 = 0.918_938_533_204_672_7;

/// `ln φ(z)`.
#[inline]
#[must_use]
pub fn log_pdf(z: f64) -> f64 {
    -0.5 * z * z - HALF_LOG_TAU
}

/// `ln Φ(z)`, to about 1e-14 relative from -1e150 to infinity.
#[must_use]
pub fn log_cdf(z: f64) -> f64 {
    let t = -z * std::f64::consts::FRAC_1_SQRT_2;
    if z > 0.0 {
        (-0.5 * erfcx(-t) * (-t * t).exp()).ln_1p()
    } else {
        (0.5 * erfcx(t)).ln() - t * t
    }
}

/// `Φ(z)`.
#[must_use]
pub fn cdf(z: f64) -> f64 {
    log_cdf(z).exp()
}

/// `ln h(z)`, stable for any argument.
///
/// Ament, Daulton, Eriksson, Balandat and Bakshy, NeurIPS 2023, appendix A, with the scaled complementary error
/// function, and its asymptotic series (Abramowitz and Stegun 26.2.12) where even that cancels.
#[must_use]
pub fn log_h(z: f64) -> f64 {
    if z > -1.0 {
        let density = log_pdf(z).exp();
        (density + z * cdf(z)).ln()
    } else if z > -50.0 {
        let mills =
            (std::f64::consts::PI / 2.0).sqrt() * erfcx(-z * std::f64::consts::FRAC_1_SQRT_2);
        log_pdf(z) + (z * mills).ln_1p()
    } else {
        let s = 1.0 / (z * z);
        log_pdf(z) + s.ln() + (s * (-3.0 + s * (15.0 - 105.0 * s))).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_agree_with_tabulated_tails() {
        // scipy.special.log_ndtr and mpmath, 50 digits.
        for (z, expected) in [
            (-40.0, -804.608_442_013_753_9),
            (-8.0, -35.013_437_159_914_56),
            (-0.3, -0.962_102_818_168_850_5),
            (0.0, -std::f64::consts::LN_2),
            (3.0, -0.001_350_809_964_748_192_5),
        ] {
            assert!(
                (log_cdf(z) - expected).abs() < 1e-11 * expected.abs().max(1.0),
                "{z}: {}",
                log_cdf(z)
            );
        }
    }

    #[test]
    fn pieces_of_h_meet() {
        for seam in [-1.0, -50.0] {
            let (below, above) = (log_h(seam - 1e-9), log_h(seam + 1e-9));
            assert!(
                (above - below).abs() < 1e-6 * seam.abs(),
                "{seam}: {below} {above}"
            );
        }
        assert!(log_h(-1e6).is_finite() && log_h(1e6).is_finite());
    }
}
