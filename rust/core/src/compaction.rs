//! Powder under pressure: relative density `D` through `y = ln 1/(1-D)`.
//!
//! Heckel, Trans. Metall. Soc. AIME 221 (1961) 671: `y` is linear in pressure, slope `1/P_y` (after release from the
//! die). Dwell adds logarithmic creep, `dy/dt = (c/t_0) exp(-(y - y_plastic)/c)`: assumed, `t_0` = 60 s; closed form,
//! so that splitting a dwell changes nothing. Heat softens the powder, `P_y(T) = P_y exp(-s (T - 25 °C))`: assumed.
//! Conductivity follows a power of density.

use crate::scalar::Scalar;

/// Time scale of logarithmic creep, s (assumed; the dwell of the published pellets is not stated).
const CREEP_TIME_S: f64 = 60.0;
/// Beyond this many creep constants above the plastic line nothing happens any more.
const FROZEN: f64 = 600.0;

/// A powder, prepared for one parameter draw; checked by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Powder {
    /// Relative density of the loose powder.
    pub tap_density: f64,
    /// Heckel yield pressure, MPa, 25 °C.
    pub yield_mpa: f64,
    /// Softening per kelvin.
    pub softening_k: f64,
    /// Growth of `y` per e-fold of dwell.
    pub creep: f64,
}

/// `y = ln 1/(1-D)`, kept finite for a fully dense body.
#[must_use]
pub fn heckel_variable(density: f64) -> f64 {
    -(1.0 - density.min(0.9999)).ln()
}

/// `D` of `y`.
pub fn density<S: Scalar>(y: S) -> S {
    -(-y).exp_m1()
}

impl Powder {
    /// `y` on first loading to a pressure (MPa) at a temperature (°C).
    pub fn plastic<S: Scalar>(&self, pressure_mpa: S, temperature_c: S) -> S {
        let soft = temperature_c.shift(-25.0).scale(self.softening_k).exp();
        (pressure_mpa * soft)
            .scale(1.0 / self.yield_mpa)
            .shift(heckel_variable(self.tap_density))
    }

    /// `y` after a stage that starts from `y` and holds pressure (MPa) and temperature (°C) for `hold_s`.
    pub fn press<S: Scalar>(&self, y: S, pressure_mpa: S, temperature_c: S, hold_s: S) -> S {
        let plastic = self.plastic(pressure_mpa, temperature_c);
        let above = (y.at_least(plastic) - plastic).scale(1.0 / self.creep);
        if above.value() > FROZEN {
            return y;
        }
        plastic
            + (above.exp() + hold_s.scale(1.0 / CREEP_TIME_S))
                .ln()
                .scale(self.creep)
    }
}

/// Factor on conductivity at relative density `D` against the one at `reference`.
pub fn conductivity_factor<S: Scalar>(density: S, reference: f64, exponent: f64) -> S {
    density.scale(1.0 / reference).powc(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argyrodite() -> Powder {
        Powder {
            tap_density: 0.6,
            yield_mpa: 460.0,
            softening_k: 0.002,
            creep: 0.02,
        }
    }

    #[test]
    fn li6ps5cl_at_370_mpa_is_80_to_85_percent_dense() {
        // Doux et al., Adv. Energy Mater. 10 (2020) 1903253, table S2.
        let y = argyrodite().press(heckel_variable(0.6), 370.0, 25.0, 60.0);
        assert!((0.803..=0.849).contains(&density(y)), "{}", density(y));
    }

    #[test]
    fn one_dwell_is_two_half_dwells() {
        let powder = argyrodite();
        let start = heckel_variable(0.6);
        let once = powder.press(start, 300.0, 25.0, 600.0);
        let twice = powder.press(powder.press(start, 300.0, 25.0, 300.0), 300.0, 25.0, 300.0);
        assert!((once - twice).abs() < 1e-13);
    }

    #[test]
    fn a_lower_pressure_later_changes_next_to_nothing() {
        let powder = argyrodite();
        let pellet = powder.press(heckel_variable(0.6), 370.0, 25.0, 60.0);
        let later = powder.press(pellet, 25.0, 25.0, 3600.0);
        assert!((later - pellet).abs() < 1e-9);
        let dense = heckel_variable(1.0);
        assert!((powder.press(dense, 25.0, 25.0, 60.0) - dense).abs() < 1e-12);
    }
}
