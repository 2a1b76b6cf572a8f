//! The elements of equivalent circuits: impedance and its derivatives.
//!
//! Barsoukov and Macdonald, Impedance Spectroscopy, 2nd ed. (2005), ch. 2; Gerischer, Z. Phys. Chem. 198 (1951) 286;
//! de Levie, Electrochim. Acta 8 (1963) 751; Cole and Cole, J. Chem. Phys. 9 (1941) 341 for the depressed arc.

use super::complex::Complex;
use std::f64::consts::FRAC_PI_2;

/// The largest number of parameters an element has.
pub const MAX_PARAMETERS: usize = 3;

/// What stands in a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Resistor: R.
    Resistor,
    /// Capacitor: 1/(jωC).
    Capacitor,
    /// Inductor: jωL.
    Inductor,
    /// Constant-phase element: 1/(Q (jω)^n).
    ConstantPhase,
    /// Semi-infinite Warburg: σ (1 - j)/√ω.
    Warburg,
    /// Finite Warburg, open (blocking) end: R coth(s)/s with s = √(jωτ).
    WarburgOpen,
    /// Finite Warburg, short (transmitting) end: R tanh(s)/s with s = √(jωτ).
    WarburgShort,
    /// Gerischer: R/√(1 + jωτ).
    Gerischer,
    /// Depressed arc with its capacitance as a parameter: R/(1 + (jωRC)^n), the same as R parallel to a CPE.
    Arc,
    /// de Levie's pore, closed end: R coth(s)/s with s = √(R Q (jω)^n).
    Pore,
}

impl Kind {
    /// Every kind with the letters it is written with, longest first so that `Wo` is not read as `W`.
    pub const SYMBOLS: [(&'static str, Self); 10] = [
        ("ZARC", Self::Arc),
        ("CPE", Self::ConstantPhase),
        ("Wo", Self::WarburgOpen),
        ("Ws", Self::WarburgShort),
        ("TL", Self::Pore),
        ("R", Self::Resistor),
        ("C", Self::Capacitor),
        ("L", Self::Inductor),
        ("W", Self::Warburg),
        ("G", Self::Gerischer),
    ];

    /// Suffix and unit of each parameter; the suffix is empty when there is only one.
    #[must_use]
    pub const fn parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Resistor => &[("", "Ω")],
            Self::Capacitor => &[("", "F")],
            Self::Inductor => &[("", "H")],
            Self::ConstantPhase => &[("q", "S s^n"), ("n", "")],
            Self::Warburg => &[("", "Ω s^-1/2")],
            Self::WarburgOpen | Self::WarburgShort | Self::Gerischer => &[("r", "Ω"), ("tau", "s")],
            Self::Arc => &[("r", "Ω"), ("c", "F"), ("n", "")],
            Self::Pore => &[("r", "Ω"), ("q", "S s^n"), ("n", "")],
        }
    }

    /// Whether parameter `index` is an exponent (kept as it is) rather than a positive value (kept as logarithm).
    #[must_use]
    pub fn is_exponent(self, index: usize) -> bool {
        self.parameters()[index].0 == "n"
    }
}

/// 2e^{-s}-type functions of a complex argument with positive real part: coth s, 1/sinh² s.
fn coth_csch2(s: Complex) -> (Complex, Complex) {
    let e = s.scale(-2.0).exp();
    let below = (Complex::ONE - e).recip();
    ((Complex::ONE + e) * below, e.scale(4.0) * below * below)
}

/// tanh s, 1/cosh² s.
fn tanh_sech2(s: Complex) -> (Complex, Complex) {
    let e = s.scale(-2.0).exp();
    let below = (Complex::ONE + e).recip();
    ((Complex::ONE - e) * below, e.scale(4.0) * below * below)
}

/// (jω)^n from ln ω.
fn j_omega_power(ln_omega: f64, n: f64) -> Complex {
    Complex::polar((n * ln_omega).exp(), n * FRAC_PI_2)
}

/// Impedance in Ω, and its derivatives by u (ln of a positive parameter, n itself) into `slope`.
///
/// `values` are natural values (Ω, F, H, s, ...), as many as the kind has parameters.
#[must_use]
pub fn impedance(
    kind: Kind,
    values: &[f64],
    omega: f64,
    ln_omega: f64,
    slope: &mut [Complex],
) -> Complex {
    match kind {
        Kind::Resistor => {
            slope[0] = Complex::new(values[0], 0.0);
            slope[0]
        }
        Kind::Capacitor => {
            let z = Complex::new(0.0, -1.0 / (omega * values[0]));
            slope[0] = -z;
            z
        }
        Kind::Inductor => {
            slope[0] = Complex::new(0.0, omega * values[0]);
            slope[0]
        }
        Kind::ConstantPhase => {
            let z = j_omega_power(ln_omega, -values[1]).scale(1.0 / values[0]);
            slope[0] = -z;
            slope[1] = -(z * Complex::new(ln_omega, FRAC_PI_2));
            z
        }
        Kind::Warburg => {
            let part = values[0] / omega.sqrt();
            slope[0] = Complex::new(part, -part);
            slope[0]
        }
        Kind::WarburgOpen => {
            let s = Complex::new(0.0, omega * values[1]).sqrt();
            let (coth, csch2) = coth_csch2(s);
            let z = (coth / s).scale(values[0]);
            slope[0] = z;
            slope[1] = (csch2.scale(values[0]) + z).scale(-0.5);
            z
        }
        Kind::WarburgShort => {
            let s = Complex::new(0.0, omega * values[1]).sqrt();
            let (tanh, sech2) = tanh_sech2(s);
            let z = (tanh / s).scale(values[0]);
            slope[0] = z;
            slope[1] = (sech2.scale(values[0]) - z).scale(0.5);
            z
        }
        Kind::Gerischer => {
            let inner = Complex::new(1.0, omega * values[1]);
            let z = inner.sqrt().recip().scale(values[0]);
            slope[0] = z;
            slope[1] = (z * Complex::new(0.0, omega * values[1]) / inner).scale(-0.5);
            z
        }
        Kind::Arc => {
            let ln_x = ln_omega + (values[0] * values[1]).ln();
            let x = j_omega_power(ln_x, values[2]);
            let below = (Complex::ONE + x).recip();
            let z = below.scale(values[0]);
            let fall = z * x * below;
            slope[0] = z - fall.scale(values[2]);
            slope[1] = fall.scale(-values[2]);
            slope[2] = -(fall * Complex::new(ln_x, FRAC_PI_2));
            z
        }
        Kind::Pore => {
            let s2 = j_omega_power(ln_omega, values[2]).scale(values[0] * values[1]);
            let s = s2.sqrt();
            let (coth, csch2) = coth_csch2(s);
            let z = (coth / s).scale(values[0]);
            let fall = (csch2.scale(values[0]) + z).scale(-0.5);
            slope[0] = z + fall;
            slope[1] = fall;
            slope[2] = fall * Complex::new(ln_omega, FRAC_PI_2);
            z
        }
    }
}
