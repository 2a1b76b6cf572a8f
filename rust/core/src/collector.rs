//! Contact of a collector (steel rod, copper foil) with what it is pressed against: solids that do not flow into each other.
//!
//! | symbol | meaning | unit |
//! |---|---|---|
//! | `E* h'` | contact modulus times rms slope of both faces | MPa |
//! | `H` | hardness of the softer one | MPa |
//! | `A` | share in contact, `contact::yielding_share` | - |
//! | `b` | half-spacing of the contacts | cm |
//! | `kappa` | conductivity that the current spreads in | S/cm |
//! | `f` | film per real area, both faces | Ω cm² |
//!
//! `R = f/A + (pi b / 4 kappa) (1 - sqrt A)^1.5 / sqrt A` (Holm, Electric Contacts, 1967; Cooper, Mikic and Yovanovich,
//! Int. J. Heat Mass Transfer 12 (1969) 279). For light contacts `A ~ p`, hence a constriction that falls as `p^-0.5` and a
//! film that falls as `1/p`: the exponents seen on Li6PS5Cl under metal pistons with recoverable contact (arXiv:2501.00600).
//!
//! There is no memory: what touches elastically opens again, and nothing adheres. Flats that the first loading has yielded
//! would touch a little more on the way back; that is left out, so the resistance after a release is an upper bound.
//! Towards an ion conductor the contact blocks a direct current; what is computed is what a spectrum shows in series.

use crate::contact;
use crate::scalar::Scalar;

/// One kind of contact between collector and neighbour.
#[derive(Clone, Copy, Debug)]
pub struct Face<S> {
    /// Contact modulus times rms slope, MPa.
    pub stiffness_mpa: S,
    /// Hardness of the softer side, MPa.
    pub hardness_mpa: S,
    /// Film per real area, Ω cm².
    pub film_ohm_cm2: S,
    /// Half-spacing of contacts, µm.
    pub spacing_um: S,
}

impl<S: Scalar> Face<S> {
    /// Share in contact under a pressure, MPa.
    #[inline(always)]
    pub fn share(&self, pressure_mpa: S) -> S {
        contact::yielding_share(
            pressure_mpa / self.stiffness_mpa,
            pressure_mpa / self.hardness_mpa,
        )
    }

    /// Resistance, Ω cm², of contacts that cover `share`, towards a medium of `conductivity_s_cm`.
    #[inline(always)]
    pub fn ohm_cm2(&self, share: S, conductivity_s_cm: S) -> S {
        let spread =
            contact::constriction_ohm_cm2(share, self.spacing_um.scale(1e-4), conductivity_s_cm);
        self.film_ohm_cm2 / share + spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ground steel on a pellet of Li6PS5Cl: E* 22 GPa, rms slope 0.1, 1 GPa.
    fn piston() -> Face<f64> {
        Face {
            stiffness_mpa: 2200.0,
            hardness_mpa: 1000.0,
            film_ohm_cm2: 0.0,
            spacing_um: 10.0,
        }
    }

    fn under(pressure_mpa: f64) -> f64 {
        let face = piston();
        face.ohm_cm2(face.share(pressure_mpa), 2.6e-3)
    }

    #[test]
    fn a_light_constriction_falls_as_the_root_of_pressure() {
        let exponent = (under(0.2) / under(0.1)).ln() / 2.0_f64.ln();
        assert!((exponent + 0.5).abs() < 0.02, "{exponent}");
    }

    #[test]
    fn a_piston_on_a_millimetre_of_sulfide_matters_below_some_30_mpa() {
        // Cronau et al., ACS Energy Lett. 6 (2021) 3072: 30 to 50 MPa suffice with hard electrodes.
        let pellet = 0.1 / 2.6e-3;
        assert!(under(1.0) > 0.1 * pellet);
        assert!(under(40.0) < 0.03 * pellet);
    }

    #[test]
    fn a_film_falls_as_the_area_grows() {
        let face = Face {
            film_ohm_cm2: 1e-4,
            ..piston()
        };
        let share = face.share(5.0);
        assert!((face.ohm_cm2(share, 1e9) * share / 1e-4 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn full_contact_leaves_the_film_alone() {
        assert!(under(1e6).abs() < 1e-12);
    }
}
