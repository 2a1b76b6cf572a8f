//! The impedance spectrum of a pressed cell from its elements.
//!
//! Electrolyte: grains `R ‖ C` and grain boundaries `R ‖ CPE` in series (Irvine, Sinclair and West, Adv. Mater. 2 (1990)
//! 132). Each interface: constriction `R ‖ C` of the gaps beside the contacts, charge transfer with interphase
//! `R ‖ CPE` whose capacitance grows with the real area, and where there is an interlayer its slab `R ‖ C` and its joint
//! `R ‖ CPE`. A depressed arc is `R / (1 + (i omega R C)^a)`: `C` is the capacitance at its summit, so the summit stays at
//! `1/(2 pi R C)` whatever the exponent (Hsu and Mansfeld, Corrosion 57 (2001) 747). At low frequency the resistances add
//! up to the dc ones; diffusion in the metals is not modelled.
//!
//! The ends of the cell: collectors on metal `R`, a collector on electrolyte or composite `R ‖ C` of the gaps, and the
//! ions of a composite electrode as a transmission line, `3 R (x coth x - 1)/x²` with `x² = 3 i omega R C`, which is `R` at low
//! frequency (de Levie, Electrochim. Acta 8 (1963) 751, less the capacitance at its end). A collector on an ion conductor and
//! an electrode that is full also block a direct current: that line at low frequency is left out, as no pressure changes it.

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

/// Ions along the pores of an electrode that shows `ohm_cm2` to a direct current.
fn line(ohm_cm2: f64, f_cm2: f64, angular_hz: f64) -> Complex {
    if ohm_cm2 <= 0.0 {
        return Complex::ZERO;
    }
    let square = Complex::new(0.0, 3.0 * angular_hz * ohm_cm2 * f_cm2);
    let along = if square.im < 1e-3 {
        // (x coth x - 1)/x² = 1/3 - x²/45 + 2 x⁴/945 - ...
        Complex::new(1.0 / 3.0, 0.0)
            + square.scale(-1.0 / 45.0)
            + (square * square).scale(2.0 / 945.0)
    } else {
        let root = square.sqrt();
        let decayed = root.scale(-2.0).exp();
        let coth = (Complex::ONE + decayed) / (Complex::ONE - decayed);
        (root * coth - Complex::ONE) / square
    };
    along.scale(3.0 * ohm_cm2)
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
        collector,
        back,
        composite,
        bulk_f,
        boundary_f,
        interlayer_f,
        joint_f,
        constriction_f,
        interface_f,
        back_f,
        composite_f,
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
    let ends = Complex::new(collector, 0.0)
        + arc(back, back_f, 1.0, angular)
        + line(composite, composite_f, angular);
    Impedance {
        cell: electrolyte + interface.scale(count) + ends,
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

    fn place(name: &str) -> usize {
        ELEMENTS.iter().position(|e| *e == name).unwrap()
    }

    fn cell() -> Elements<f64> {
        let mut e = [0.0; ELEMENTS.len()];
        for (name, value) in [
            ("bulk_ohm_cm2", 8.0),
            ("boundary_ohm_cm2", 28.0),
            ("constriction_ohm_cm2", 4.0),
            ("transfer_ohm_cm2", 2.0),
            ("interphase_ohm_cm2", 1.0),
            ("bulk_f_cm2", 1e-11),
            ("boundary_f_cm2", 1e-10),
            ("constriction_f_cm2", 1e-9),
            ("interface_f_cm2", 1e-7),
            ("arc_exponent", 0.9),
        ] {
            e[place(name)] = value;
        }
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
    fn the_ends_add_their_resistances_at_low_frequency_and_nothing_but_metal_at_high() {
        let mut e = cell();
        e[place("collector_ohm_cm2")] = 0.5;
        e[place("back_ohm_cm2")] = 3.0;
        e[place("back_f_cm2")] = 1e-9;
        e[place("composite_ohm_cm2")] = 20.0;
        e[place("composite_f_cm2")] = 1e-3;
        let more = |hz: f64| impedance(&e, 2, hz).cell.re - impedance(&cell(), 2, hz).cell.re;
        assert!((more(1e-6) - 23.5).abs() < 1e-6);
        assert!((more(1e15) - 0.5).abs() < 1e-3);
    }

    #[test]
    fn the_line_is_smooth_where_its_series_ends_and_falls_by_45_degrees() {
        let at = |square: f64| line(1.0 / 3.0, 1.0, square);
        let (below, above) = (at(0.999_999e-3), at(1.000_001e-3));
        assert!((below - above).norm() < 1e-9);
        let high = at(1e8);
        assert!((high.re / -high.im - 1.0).abs() < 1e-3);
        assert!((high.norm() - 1e-4).abs() < 1e-7);
    }

    #[test]
    fn columns_are_the_cells_they_were_made_of() {
        let mut other = cell();
        other[place("transfer_ohm_cm2")] = 20.0;
        let columns: Vec<f64> = (0..ELEMENTS.len())
            .flat_map(|e| [cell()[e], other[e]])
            .collect();
        let found = spectra(&columns, 2, &[1.0, 1e4, 1e6]);
        let expected = impedance(&other, 2, 1e4);
        assert!((found[0][4] - expected.cell.re).abs() < 1e-12);
        assert!((found[3][4] - expected.interface.im).abs() < 1e-12);
    }
}
