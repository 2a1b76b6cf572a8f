//! Currents through the spots of a contact into the electrolyte below, and what their crowding costs.
//!
//! Spots at one potential on a conductor: the same operator as pressure and displacement (Barber, Proc. R. Soc. A 459
//! (2003) 53), with `tanh(qL)/(κq)` for an electrolyte of thickness `L` and conductivity `κ`. Charge transfer in
//! series, `R` over the real area, evens the currents out. Solved by conjugate gradients among the spots,
//! preconditioned with the operator of opposite order.

use rayon::prelude::*;

use super::convolution::Transforms;
use super::sums::{BLOCK, added, over_blocks};
use super::{Boundary, Grid, positive};

/// Spots and the electrolyte that they feed, checked.
pub struct Spots {
    grid: Grid,
    touches: Vec<bool>,
    conductivity_s_cm: f64,
    thickness_um: f64,
    interface_ohm_cm2: f64,
}

/// How a current spreads over the spots.
#[derive(Clone, Debug)]
pub struct Currents {
    /// Current density of each point, against the mean over the whole grid.
    pub relative: Vec<f64>,
    /// Resistance between the spots and the far side, less that of the electrolyte evenly fed, Ω cm² of the grid:
    /// constriction, and charge transfer through the spots.
    pub resistance_ohm_cm2: f64,
    /// Iterations that it took.
    pub iterations: usize,
}

impl Spots {
    /// Spots where `touches`, on a periodic grid; without `thickness_um` the electrolyte is a half-space.
    ///
    /// `conductivity_s_cm` in S/cm; `interface_ohm_cm2` is charge transfer over the real area, 0 for none.
    ///
    /// # Errors
    /// No spot at all, fewer flags than points, a value that is not above 0 (for the interface: below 0).
    pub fn new(
        grid: Grid,
        touches: Vec<bool>,
        conductivity_s_cm: f64,
        thickness_um: Option<f64>,
        interface_ohm_cm2: f64,
    ) -> Result<Self, String> {
        positive("conductivity_s_cm", conductivity_s_cm)?;
        if let Some(thickness) = thickness_um {
            positive("thickness_um", thickness)?;
        }
        if !(interface_ohm_cm2.is_finite() && interface_ohm_cm2 >= 0.0) {
            return Err(format!(
                "interface_ohm_cm2: {interface_ohm_cm2} is not allowed, give 0 or more"
            ));
        }
        if touches.len() != grid.points() {
            return Err(format!(
                "touches: {} flags for {} points",
                touches.len(),
                grid.points()
            ));
        }
        if !touches.contains(&true) {
            return Err("touches: no point touches, no current flows".into());
        }
        Ok(Self {
            grid,
            touches,
            conductivity_s_cm,
            thickness_um: thickness_um.unwrap_or(f64::INFINITY),
            interface_ohm_cm2,
        })
    }

    /// Spreads a mean current density of 1 over the spots so that they share one potential.
    ///
    /// Stops when the rms deviation from that potential is below `tolerance` of it.
    ///
    /// # Errors
    /// A tolerance outside (0, 1), no convergence in `most` steps.
    pub fn spread(&self, tolerance: f64, most: usize) -> Result<Currents, String> {
        if !(tolerance > 0.0 && tolerance < 1.0) {
            return Err(format!(
                "tolerance: {tolerance} is not allowed, give one between 0 and 1"
            ));
        }
        let points = self.grid.points();
        let transforms = Transforms::new(self.grid, Boundary::Periodic);
        let spreading =
            |q_um: f64| (q_um * self.thickness_um).tanh() / (self.conductivity_s_cm * q_um * 1e4);
        let series = self.interface_ohm_cm2;
        let potential = transforms.kernel(series, |q| spreading(q) + series);
        let evening = transforms.kernel(0.0, |q| 1.0 / (spreading(q) + series));
        let mut work = transforms.workspace();
        let spots = self.touches.iter().filter(|touch| **touch).count() as f64;
        let mut current: Vec<f64> = self
            .touches
            .iter()
            .map(|touch| if *touch { points as f64 / spots } else { 0.0 })
            .collect();
        let mut residual = vec![0.0; points];
        let mut preconditioned = vec![0.0; points];
        let mut direction = vec![0.0; points];
        let mut response = vec![0.0; points];
        transforms.apply(&potential, &current, &mut residual, &mut work);
        let mut level = self.centre(&mut residual, spots);
        let mut last_product = f64::INFINITY;
        for iteration in 0..most {
            let deviation = (self.product(&residual, &residual) / spots).sqrt();
            if deviation <= tolerance * level.abs() {
                return Ok(Currents {
                    relative: current,
                    resistance_ohm_cm2: level,
                    iterations: iteration,
                });
            }
            transforms.apply(&evening, &residual, &mut preconditioned, &mut work);
            self.centre(&mut preconditioned, spots);
            let product = self.product(&residual, &preconditioned);
            let beta = product / last_product;
            last_product = product;
            direction
                .par_iter_mut()
                .zip(&preconditioned)
                .for_each(|(direction, step)| *direction = step + beta * *direction);
            transforms.apply(&potential, &direction, &mut response, &mut work);
            let answered = self.centre(&mut response, spots);
            let length = product / self.product(&direction, &response);
            level -= length * answered;
            current
                .par_iter_mut()
                .zip(&mut residual)
                .zip(direction.par_iter().zip(&response))
                .for_each(|((current, residual), (direction, response))| {
                    *current -= length * direction;
                    *residual -= length * response;
                });
        }
        Err(format!(
            "no convergence in {most} steps where a deviation of {tolerance:.1e} was asked"
        ))
    }

    /// Takes the mean over the spots off a field and clears it elsewhere; returns the mean.
    fn centre(&self, field: &mut [f64], spots: f64) -> f64 {
        let [sum] = over_blocks(field.len(), |block| {
            [block
                .filter(|point| self.touches[*point])
                .map(|point| field[point])
                .sum()]
        });
        let mean = sum / spots;
        field
            .par_iter_mut()
            .zip(&self.touches)
            .for_each(|(value, touches)| *value = if *touches { *value - mean } else { 0.0 });
        mean
    }

    fn product(&self, left: &[f64], right: &[f64]) -> f64 {
        let parts: Vec<[f64; 1]> = left
            .par_chunks(BLOCK)
            .zip(right.par_chunks(BLOCK))
            .map(|(left, right)| [left.iter().zip(right).map(|(l, r)| l * r).sum()])
            .collect();
        added(&parts)[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(side: usize, radius: f64) -> Vec<bool> {
        let centre = (side as f64 - 1.0) / 2.0;
        (0..side * side)
            .map(|i| {
                let (y, x) = ((i / side) as f64 - centre, (i % side) as f64 - centre);
                y.hypot(x) <= radius
            })
            .collect()
    }

    #[test]
    fn full_contact_costs_only_charge_transfer() {
        let grid = Grid::new(16, 16, 1.0).unwrap();
        let spots = Spots::new(grid, vec![true; 256], 1e-3, None, 7.0).unwrap();
        let currents = spots.spread(1e-10, 50).unwrap();
        assert!((currents.resistance_ohm_cm2 - 7.0).abs() < 1e-12);
        assert!(currents.relative.iter().all(|j| (j - 1.0).abs() < 1e-12));
    }

    /// A dot of radius a in a cell of half-spacing b: R = 1/(4κa)(1 - ...) per area (Holm; Cooper, Mikic and
    /// Yovanovich for a round cell; the square one differs by about 2 %).
    #[test]
    fn a_small_dot_costs_what_holm_says() {
        let (side, radius, kappa) = (256, 12.0, 1e-3);
        let touches = disc(side, radius);
        let area = touches.iter().filter(|touch| **touch).count() as f64;
        let grid = Grid::new(side, side, 1.0).unwrap();
        let spots = Spots::new(grid, touches, kappa, None, 0.0).unwrap();
        let found = spots.spread(1e-8, 200).unwrap().resistance_ohm_cm2;
        let a_cm = (area / std::f64::consts::PI).sqrt() * 1e-4;
        let cell_cm2 = (side as f64 * 1e-4).powi(2);
        // Square array of discs on a half-space: 1/(4a) less the lattice's 0.6206/√cell (Greenwood, Brit. J. Appl.
        // Phys. 17 (1966) 1621, for the interaction; the constant is the square lattice's Madelung sum, 3.9002/2π).
        let expected = (1.0 / (4.0 * a_cm) - 0.6206 / cell_cm2.sqrt()) * cell_cm2 / kappa;
        assert!((found / expected - 1.0).abs() < 0.02, "{found} {expected}");
    }

    #[test]
    fn a_thin_electrolyte_spreads_nothing() {
        let grid = Grid::new(32, 32, 100.0).unwrap();
        let touches: Vec<bool> = (0..1024).map(|i| i % 32 < 16).collect();
        let spots = Spots::new(grid, touches, 1e-3, Some(1.0), 0.0).unwrap();
        let found = spots.spread(1e-9, 200).unwrap().resistance_ohm_cm2;
        // Half of it conducts: L/κ once more than with all of it.
        assert!((found / (1e-4 / 1e-3) - 1.0).abs() < 0.05, "{found}");
    }

    #[test]
    fn charge_transfer_evens_the_currents_out() {
        let grid = Grid::new(64, 64, 1.0).unwrap();
        let most = |interface| {
            let spots = Spots::new(grid, disc(64, 10.0), 1e-3, None, interface).unwrap();
            let relative = spots.spread(1e-8, 200).unwrap().relative;
            relative.into_iter().fold(0.0, f64::max)
        };
        let even = 4096.0 / disc(64, 10.0).iter().filter(|touch| **touch).count() as f64;
        assert!(most(0.0) > 2.0 * even);
        assert!((most(1e3) / even - 1.0).abs() < 0.01);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let grid = Grid::new(4, 4, 1.0).unwrap();
        let refused = |flags, kappa, thickness, interface| {
            Spots::new(grid, flags, kappa, thickness, interface)
                .err()
                .unwrap()
        };
        assert!(refused(vec![false; 16], 1.0, None, 0.0).starts_with("touches"));
        assert!(refused(vec![true; 15], 1.0, None, 0.0).starts_with("touches"));
        assert!(refused(vec![true; 16], f64::NAN, None, 0.0).starts_with("conductivity"));
        assert!(refused(vec![true; 16], 1.0, Some(0.0), 0.0).starts_with("thickness"));
        assert!(refused(vec![true; 16], 1.0, None, -1.0).starts_with("interface"));
    }
}
