//! The elements of equivalent circuits: impedance and its derivatives.
//!
//! Barsoukov and Macdonald, Impedance Spectroscopy, 2nd ed. (2005), ch. 2; Gerischer, Z. Phys. Chem. 198 (1951) 286;
//! de Levie, Electrochim. Acta 8 (1963) 751; Cole and Cole, J. Chem. Phys. 9 (1941) 341 for the depressed arc.

use super::complex::Complex;
use super::wide::{Wide, powers};
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

/// The unit vector j^n.
fn j_power(n: f64) -> Complex {
    Complex::polar(1.0, n * FRAC_PI_2)
}

/// Impedance in Ω at every frequency into `z` (n,), and its derivatives by u (ln of a positive parameter, the exponent
/// itself) into `slope`: one column of n after another, as many as the kind has parameters.
///
/// `values` are natural values (Ω, F, H, s, ...), as many as the kind has parameters.
pub fn columns(
    kind: Kind,
    values: &[f64],
    omega: &[f64],
    ln_omega: &[f64],
    z: &mut [Complex],
    slope: &mut [Complex],
) {
    let n = omega.len();
    let (first, rest) = slope.split_at_mut(n);
    match kind {
        Kind::Resistor => {
            z.fill(Complex::new(values[0], 0.0));
            first.fill(Complex::new(values[0], 0.0));
        }
        Kind::Capacitor => {
            for k in 0..n {
                z[k] = Complex::new(0.0, -1.0 / (omega[k] * values[0]));
                first[k] = -z[k];
            }
        }
        Kind::Inductor => {
            for k in 0..n {
                z[k] = Complex::new(0.0, omega[k] * values[0]);
                first[k] = z[k];
            }
        }
        Kind::ConstantPhase => {
            let direction = j_power(-values[1]).scale(1.0 / values[0]);
            powers(
                -values[1],
                0.0,
                ln_omega,
                #[inline(always)]
                |at, ln_w, power| {
                    let size = Wide::along(direction, power);
                    size.store(&mut z[at.clone()]);
                    let fall = size.scale(-1.0);
                    fall.store(&mut first[at.clone()]);
                    fall.times(Wide::with_imaginary(ln_w, FRAC_PI_2))
                        .store(&mut rest[at]);
                },
            );
        }
        Kind::Warburg => {
            for k in 0..n {
                let part = values[0] / omega[k].sqrt();
                z[k] = Complex::new(part, -part);
                first[k] = z[k];
            }
        }
        Kind::WarburgOpen => {
            for k in 0..n {
                let s = Complex::new(0.0, omega[k] * values[1]).sqrt();
                let (coth, csch2) = coth_csch2(s);
                z[k] = (coth / s).scale(values[0]);
                first[k] = z[k];
                rest[k] = (csch2.scale(values[0]) + z[k]).scale(-0.5);
            }
        }
        Kind::WarburgShort => {
            for k in 0..n {
                let s = Complex::new(0.0, omega[k] * values[1]).sqrt();
                let (tanh, sech2) = tanh_sech2(s);
                z[k] = (tanh / s).scale(values[0]);
                first[k] = z[k];
                rest[k] = (sech2.scale(values[0]) - z[k]).scale(0.5);
            }
        }
        Kind::Gerischer => {
            for k in 0..n {
                let inner = Complex::new(1.0, omega[k] * values[1]);
                z[k] = inner.sqrt().recip().scale(values[0]);
                first[k] = z[k];
                rest[k] = (z[k] * Complex::new(0.0, omega[k] * values[1]) / inner).scale(-0.5);
            }
        }
        Kind::Arc => {
            let ln_rc = (values[0] * values[1]).ln();
            let direction = j_power(values[2]);
            let (by_c, by_n) = rest.split_at_mut(n);
            powers(
                values[2],
                ln_rc,
                ln_omega,
                #[inline(always)]
                |at, ln_x, power| {
                    let x = Wide::along(direction, power);
                    let below = x.one_over_one_plus();
                    let size = below.scale(values[0]);
                    size.store(&mut z[at.clone()]);
                    let fall = size.times(x).times(below).scale(-values[2]);
                    // ∂Z/∂ln R = Z - n·fall, ∂Z/∂ln C = -n·fall
                    size.minus(fall.scale(-1.0)).store(&mut first[at.clone()]);
                    fall.store(&mut by_c[at.clone()]);
                    fall.scale(1.0 / values[2])
                        .times(Wide::with_imaginary(ln_x, FRAC_PI_2))
                        .store(&mut by_n[at]);
                },
            );
        }
        Kind::Pore => {
            let direction = j_power(values[2]).scale(values[0] * values[1]);
            for k in 0..n {
                let s = direction.scale((values[2] * ln_omega[k]).exp()).sqrt();
                let (coth, csch2) = coth_csch2(s);
                z[k] = (coth / s).scale(values[0]);
                let fall = (csch2.scale(values[0]) + z[k]).scale(-0.5);
                first[k] = z[k] + fall;
                rest[k] = fall;
                rest[n + k] = fall * Complex::new(ln_omega[k], FRAC_PI_2);
            }
        }
    }
}

/// A resistor parallel to a constant-phase element, values R, Q and n: impedance and derivatives as [`columns`] gives.
pub(crate) fn depressed_arc(
    values: &[f64],
    ln_omega: &[f64],
    z: &mut [Complex],
    slope: &mut [Complex],
) {
    let n = ln_omega.len();
    let (by_r, rest) = slope.split_at_mut(n);
    let (by_q, by_n) = rest.split_at_mut(n);
    let direction = j_power(values[2]).scale(values[0] * values[1]);
    powers(
        values[2],
        0.0,
        ln_omega,
        #[inline(always)]
        |at, ln_w, power| {
            let below = Wide::along(direction, power).one_over_one_plus();
            let size = below.scale(values[0]);
            size.store(&mut z[at.clone()]);
            let same = size.times(below);
            same.store(&mut by_r[at.clone()]);
            let fall = same.minus(size);
            fall.store(&mut by_q[at.clone()]);
            fall.times(Wide::with_imaginary(ln_w, FRAC_PI_2))
                .store(&mut by_n[at]);
        },
    );
}
