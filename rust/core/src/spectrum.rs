//! The impedance spectrum of a pressed cell from its elements.
//!
//! Electrolyte: grains `R ‖ C` and grain boundaries `R ‖ CPE` in series (Irvine, Sinclair and West, Adv. Mater. 2 (1990)
//! 132). Each interface: constriction `R ‖ C` of the gaps beside the contacts, charge transfer with interphase
//! `R ‖ CPE` whose capacitance grows with the real area, and where there is an interlayer its slab `R ‖ C` and its joint
//! `R ‖ CPE`. A depressed arc is `R / (1 + (i omega R C)^a)`: `C` is the capacitance at its summit, so the summit stays at
//! `1/(2 pi R C)` whatever the exponent (Hsu and Mansfeld, Corrosion 57 (2001) 747). At low frequency the resistances add
//! up to the dc ones; diffusion in the metals is not modelled.

use rayon::prelude::*;

use crate::circuit::complex::Complex;
use crate::measured::{ELEMENTS, Elements};

/// Whole cell and one interface, both Ω cm².
#[derive(Clone, Copy, Debug)]
pub struct Impedance {
    /// Electrolyte and all interfaces.
    pub cell: Complex,
    /// One interface.
    pub interface: Complex,
}

/// `R / (1 + (i omega R C)^a)`; nothing without a resistance.
fn arc(ohm_cm2: f64, f_cm2: f64, exponent: f64, angular_hz: f64) -> Complex {
    if ohm_cm2 <= 0.0 {
        return Complex::ZERO;
    }
    let modulus = (angular_hz * ohm_cm2 * f_cm2).powf(exponent);
    let turned = Complex::polar(modulus, exponent * std::f64::consts::FRAC_PI_2);
    Complex::new(ohm_cm2, 0.0) / (Complex::ONE + turned)
}

/// Impedance of a cell with `interfaces` contacts at a frequency in Hz; `elements` in the order of [`ELEMENTS`].
#[must_use]
pub fn impedance(elements: &Elements<f64>, interfaces: u32, frequency_hz: f64) -> Impedance {
    let [
        bulk,
        boundary,
        interlayer,
        joint,
        constriction,
        transfer,
        interphase,
        bulk_f,
        boundary_f,
        interlayer_f,
        joint_f,
        constriction_f,
        interface_f,
        exponent,
        ..,
    ] = *elements;
    let angular = 2.0 * std::f64::consts::PI * frequency_hz;
    let interface = arc(interlayer, interlayer_f, 1.0, angular)
        + arc(joint, joint_f, exponent, angular)
        + arc(constriction, constriction_f, 1.0, angular)
        + arc(transfer + interphase, interface_f, exponent, angular);
    let electrolyte =
        arc(bulk, bulk_f, 1.0, angular) + arc(boundary, boundary_f, exponent, angular);
    let count = f64::from(interfaces);
    let all = Complex::new(interface.re * count, interface.im * count);
    Impedance {
        cell: electrolyte + all,
        interface,
    }
}

/// Spectra of `n` cells whose elements stand in columns (flat, element by element) at all frequencies (Hz).
///
/// Four flat parts of `n x frequencies` each: cell real and imaginary, interface real and imaginary.
#[must_use]
pub fn spectra(columns: &[f64], interfaces: u32, frequency_hz: &[f64]) -> [Vec<f64>; 4] {
    let count = columns.len() / ELEMENTS.len();
    let points: Vec<Impedance> = (0..count * frequency_hz.len())
        .into_par_iter()
        .with_min_len(64)
        .map(|i| {
            let (cell, k) = (i / frequency_hz.len(), i % frequency_hz.len());
            let elements = std::array::from_fn(|e| columns[e * count + cell]);
            impedance(&elements, interfaces, frequency_hz[k])
        })
        .collect();
    let part = |f: fn(&Impedance) -> f64| points.iter().map(f).collect();
    [
        part(|z| z.cell.re),
        part(|z| z.cell.im),
        part(|z| z.interface.re),
        part(|z| z.interface.im),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Elements<f64> {
        let mut e = [0.0; ELEMENTS.len()];
        e[..14].copy_from_slice(&[
            8.0, 28.0, 0.0, 0.0, 4.0, 2.0, 1.0, 1e-11, 1e-10, 0.0, 0.0, 1e-9, 1e-7, 0.9,
        ]);
        e
    }

    #[test]
    fn low_frequency_is_the_sum_of_the_resistances_and_high_is_nothing() {
        let low = impedance(&cell(), 2, 1e-6);
        assert!((low.interface.re - 7.0).abs() < 1e-6);
        assert!((low.cell.re - (36.0 + 14.0)).abs() < 1e-6);
        assert!(low.cell.im.abs() < 1e-6);
        assert!(impedance(&cell(), 2, 1e15).cell.norm() < 0.1);
    }

    #[test]
    fn an_arc_has_its_summit_at_one_over_two_pi_rc_whatever_its_exponent() {
        for exponent in [0.7, 0.9, 1.0] {
            let summit = 1.0 / (10.0 * 1e-6);
            let at = |angular: f64| -arc(10.0, 1e-6, exponent, angular).im;
            assert!(at(summit) > at(0.99 * summit) && at(summit) > at(1.01 * summit));
        }
        let ideal = arc(10.0, 1e-6, 1.0, 1e5);
        assert!((ideal.re - 5.0).abs() < 1e-12 && (ideal.im + 5.0).abs() < 1e-12);
    }

    #[test]
    fn columns_are_the_cells_they_were_made_of() {
        let mut other = cell();
        other[5] = 20.0;
        let columns: Vec<f64> = (0..ELEMENTS.len())
            .flat_map(|e| [cell()[e], other[e]])
            .collect();
        let found = spectra(&columns, 2, &[1.0, 1e4, 1e6]);
        let expected = impedance(&other, 2, 1e4);
        assert!((found[0][4] - expected.cell.re).abs() < 1e-12);
        assert!((found[3][4] - expected.interface.im).abs() < 1e-12);
    }
}
