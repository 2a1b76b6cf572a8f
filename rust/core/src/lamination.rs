//! A soft foil in the nip of two rolls: length, mean pressure and reduction from line force.
//!
//! | symbol | meaning | unit |
//! |---|---|---|
//! | `P'` | line force: force per width of the web | N/mm |
//! | `R` | roll radius | mm |
//! | `L` | length of the nip, plastic plus elastic | mm |
//! | `h` | thickness of the foil | mm |
//!
//! Plastic: `L_p = sqrt(R dh)`, mean pressure `1.155 s (1 + mu L_p / 4 h)`, `P'` their product, `s` the flow stress at
//! the strain rate of the nip (Orowan, Proc. Inst. Mech. Eng. 150 (1943) 140, friction hill for thin strip). Elastic: Hertz line
//! contact of the covered rolls, `b = sqrt(4 P' R / pi E*)`, nip `2b` (Johnson, Contact Mechanics, 1985). The two
//! lengths are added in quadrature (assumed).

use crate::creep::Creep;
use crate::parameters::Parameters;
use crate::scalar::Single;

/// Halvings of the bracketed search for the nip length; a Newton step polishes what they leave.
const STEPS: usize = 24;
/// Largest reduction of one pass: a roller that would take more squeezes the foil out.
const MOST_REDUCTION: f64 = 0.9;

/// One pass through the nip.
#[derive(Clone, Copy, Debug)]
pub struct Nip<S> {
    /// Length over which the web is under load, mm.
    pub length_mm: S,
    /// Mean pressure there, MPa.
    pub pressure_mpa: S,
    /// Thickness after the pass over thickness before.
    pub left: S,
}

/// Line force, N/mm, that rolls a foil of `h` mm down with a plastic nip of `length_mm`.
fn plastic_line_force<S: Single>(
    length_mm: S,
    h_mm: S,
    speed_mm_s: S,
    soft: S,
    creep: &Creep<S>,
    p: &Parameters<S>,
) -> S {
    let reduction = length_mm * length_mm / (p.roll_radius_mm * h_mm);
    let mean_mm = h_mm * reduction.scale(0.5).complement();
    let strain = -reduction.complement().ln();
    let rate_s = strain * speed_mm_s / length_mm;
    let stress = creep.flow_stress_mpa(p.flow_stress_mpa, p.flow_rate_s, rate_s, soft);
    let hill = (length_mm / mean_mm * p.roll_friction)
        .scale(0.25)
        .shift(1.0);
    stress.scale(1.155) * hill * length_mm
}

/// The nip for a line force (N/mm), a web speed (mm/s) and a foil of `h_mm`, `soft` times softer than at 25 °C.
pub fn nip<S: Single>(
    line_force_n_mm: S,
    speed_mm_s: S,
    h_mm: S,
    soft: S,
    creep: &Creep<S>,
    p: &Parameters<S>,
) -> Nip<S> {
    let most = (h_mm * p.roll_radius_mm).scale(MOST_REDUCTION).sqrt();
    let force = |length: S| plastic_line_force(length, h_mm, speed_mm_s, soft, creep, p);
    let plain = |length: f64| force(S::of(length)).value() - line_force_n_mm.value();
    let length = if plain(most.value()) <= 0.0 {
        most
    } else {
        let (mut low, mut high) = (0.0, most.value());
        for _ in 0..STEPS {
            let middle = 0.5 * (low + high);
            if plain(middle) > 0.0 {
                high = middle;
            } else {
                low = middle;
            }
        }
        // One Newton step in full arithmetic: it polishes the value and carries the derivatives (implicit function).
        let root = 0.5 * (low + high);
        let h = 1e-6 * root;
        let slope = (plain(root + h) - plain(root - h)) / (2.0 * h);
        S::of(root) - (force(S::of(root)) - line_force_n_mm).scale(1.0 / slope)
    };
    let hertz2 = (line_force_n_mm * p.roll_radius_mm / p.roll_modulus_mpa)
        .scale(16.0 / std::f64::consts::PI);
    let total = (length * length + hertz2).sqrt();
    let reduction = length * length / (p.roll_radius_mm * h_mm);
    Nip {
        length_mm: total,
        pressure_mpa: line_force_n_mm / total,
        left: reduction.complement(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::creep::Creep;
    use crate::parameters::{DOMAINS, Domain, NAMES};

    fn lithium() -> Parameters {
        let values: Vec<f64> = NAMES
            .iter()
            .zip(DOMAINS)
            .map(|(name, domain)| match (*name, domain) {
                ("flow_stress_mpa", _) => 2.0,
                ("flow_rate_s", _) => 1.2e-3,
                ("roll_radius_mm", _) => 50.0,
                ("roll_friction", _) => 0.15,
                ("roll_modulus_mpa", _) => 3000.0,
                (_, Domain::Positive | Domain::Share) => 0.5,
                (_, Domain::NotNegative | Domain::Part) => 0.0,
            })
            .collect();
        Parameters::new(&values).unwrap()
    }

    fn at(line_force: f64, speed: f64) -> Nip<f64> {
        let creep = Creep::new(6.56, 37.0, 1.2e-3);
        nip(line_force, speed, 0.05, 1.0, &creep, &lithium())
    }

    #[test]
    fn pressure_times_length_is_the_line_force() {
        let found = at(5.0, 5.0);
        assert!((found.pressure_mpa * found.length_mm / 5.0 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_light_touch_is_the_nip_of_hertz() {
        let found = at(1e-4, 5.0);
        let hertz = 2.0 * (4.0 * 1e-4 * 50.0 / (std::f64::consts::PI * 3000.0)).sqrt();
        assert!(
            (found.length_mm / hertz - 1.0).abs() < 0.01,
            "{} {hertz}",
            found.length_mm
        );
    }

    #[test]
    fn more_force_thins_more_and_speed_resists() {
        assert!(at(10.0, 5.0).left < at(5.0, 5.0).left);
        assert!(at(5.0, 50.0).left > at(5.0, 5.0).left);
        assert!(at(1e5, 5.0).left > 0.0);
    }

    #[test]
    fn the_plastic_nip_solves_its_equation() {
        let p = lithium();
        let creep = Creep::new(6.56, 37.0, 1.2e-3);
        let found = at(5.0, 5.0);
        let plastic = ((1.0 - found.left) * 0.05 * p.roll_radius_mm).sqrt();
        let force = plastic_line_force(plastic, 0.05, 5.0, 1.0, &creep, &p);
        assert!((force / 5.0 - 1.0).abs() < 1e-9, "{force}");
    }
}
