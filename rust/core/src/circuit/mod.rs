//! Equivalent circuits of impedance spectra: notation, models, fits and consistency.
//!
//! | symbol | meaning | unit |
//! |---|---|---|
//! | f, ω | frequency, 2πf | Hz, rad/s |
//! | Z | impedance of the whole cell, Im Z < 0 for a capacitor | Ω |
//! | u | internal parameter: natural logarithm of a positive value, or the exponent n itself | - |
//! | J | ∂Z/∂u, one column for each parameter | Ω |
//!
//! [`notation`] reads a circuit, [`element`] holds the formulas, [`fit`] asks and answers, `descent` is a bounded
//! Levenberg-Marquardt in u, `chain` sees which members are arcs, `start` finds start values without a guess from
//! `combination`s of places, `search` decides which are followed and moves single arcs elsewhere, `wide` takes several
//! frequencies at a time, [`mod@profile`] says how far a parameter may go, [`drt`] needs no circuit, [`consistency`] asks
//! whether a spectrum can be one at all.

mod chain;
mod combination;
pub mod complex;
pub mod consistency;
mod descent;
pub mod drt;
pub mod element;
pub mod fit;
pub mod linear;
pub mod notation;
pub mod profile;
mod search;
mod start;
mod wide;

pub use consistency::{Consistency, check_consistency, z_hit};
pub use drt::{Distribution, distribution};
pub use fit::{Fit, Problem, fit, fit_from, fit_many};
pub use notation::Circuit;
pub use profile::{Rise, profile};

/// Why a circuit or a spectrum is refused.
#[derive(Debug, Clone, PartialEq)]
pub enum CircuitError {
    /// The circuit string cannot be read; says what was expected and where.
    Notation(String),
    /// Data, bounds or start values that cannot be used; says which.
    Data(String),
}

impl std::fmt::Display for CircuitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Notation(message) | Self::Data(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for CircuitError {}

/// A measured spectrum with one weight for each part of each point, checked.
#[derive(Debug, Clone)]
pub struct Spectrum {
    pub(crate) omega: Vec<f64>,
    pub(crate) ln_omega: Vec<f64>,
    pub(crate) z: Vec<complex::Complex>,
    pub(crate) weight: Vec<(f64, f64)>,
}

impl Spectrum {
    /// Checks a spectrum once, so that no formula below has to.
    ///
    /// `frequency_hz` (n,) in Hz; `re`, `im` (n,) in Ω; `weight_re`, `weight_im` (n,) in 1/Ω: residuals are
    /// multiplied by them (1/|Z| is modulus weighting, 1/sd makes chi-square a chi-square).
    ///
    /// # Errors
    /// Lengths differ, no point at all, a frequency not positive and finite, a value or weight not finite.
    pub fn new(
        frequency_hz: &[f64],
        re: &[f64],
        im: &[f64],
        weight_re: &[f64],
        weight_im: &[f64],
    ) -> Result<Self, CircuitError> {
        let n = frequency_hz.len();
        if n == 0 {
            return Err(CircuitError::Data("no points: give at least one".into()));
        }
        if [re.len(), im.len(), weight_re.len(), weight_im.len()] != [n; 4] {
            return Err(CircuitError::Data(format!(
                "lengths differ: {n} frequencies, {} real and {} imaginary parts, {} and {} weights",
                re.len(),
                im.len(),
                weight_re.len(),
                weight_im.len()
            )));
        }
        for (i, &f) in frequency_hz.iter().enumerate() {
            if !(f.is_finite() && f > 0.0) {
                return Err(CircuitError::Data(format!(
                    "frequency {f} Hz of point {i} is not positive and finite"
                )));
            }
            if !(re[i].is_finite() && im[i].is_finite()) {
                return Err(CircuitError::Data(format!(
                    "impedance {} {:+}j of point {i} is not finite: leave the point out",
                    re[i], im[i]
                )));
            }
            if !(weight_re[i].is_finite()
                && weight_im[i].is_finite()
                && weight_re[i] >= 0.0
                && weight_im[i] >= 0.0)
            {
                return Err(CircuitError::Data(format!(
                    "weight of point {i} is not a finite number of at least 0 (|Z| = 0 has no modulus weight)"
                )));
            }
        }
        let omega: Vec<f64> = frequency_hz
            .iter()
            .map(|f| 2.0 * std::f64::consts::PI * f)
            .collect();
        Ok(Self {
            ln_omega: omega.iter().map(|w| w.ln()).collect(),
            omega,
            z: re
                .iter()
                .zip(im)
                .map(|(&re, &im)| complex::Complex::new(re, im))
                .collect(),
            weight: weight_re
                .iter()
                .copied()
                .zip(weight_im.iter().copied())
                .collect(),
        })
    }

    /// Writes a column of Z (n,) times the weights into `to` (2n,): real and imaginary parts as numbers of their own.
    pub(crate) fn weigh(&self, column: &[complex::Complex], to: &mut [f64]) {
        for (parts, (z, (w_re, w_im))) in
            to.chunks_exact_mut(2).zip(column.iter().zip(&self.weight))
        {
            parts[0] = z.re * w_re;
            parts[1] = z.im * w_im;
        }
    }

    /// A column of Z (n,) times the weights (2n,), see [`Self::weigh`].
    pub(crate) fn weighted(&self, column: &[complex::Complex]) -> Vec<f64> {
        let mut weighted = vec![0.0; 2 * self.len()];
        self.weigh(column, &mut weighted);
        weighted
    }

    /// The measured spectrum, weighted (2n,).
    pub(crate) fn target(&self) -> Vec<f64> {
        self.weighted(&self.z)
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.omega.len()
    }

    /// Never true: a checked spectrum has at least one point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.omega.is_empty()
    }
}
