//! Pressures of an elastic, or elastic and perfectly plastic, rough contact under a given mean pressure.
//!
//! The pressures minimise the complementary energy `½ pᵀKp - pᵀh` with `0 <= p <= H` and a given mean (Kalker, Int. J.
//! Numer. Meth. Eng. 9 (1975) 913). The way is the constrained conjugate gradient of Polonsky and Keer, Wear 231
//! (1999) 206, with the cap of Almqvist et al., Int. J. Solids Struct. 44 (2007) 4137, changed in three places:
//!
//! - *Preconditioned.* The operator falls as `1/q`, so gradients are multiplied by `q` within the contact before they
//!   become a direction (operators of opposite order: Hiptmair, Comput. Math. Appl. 52 (2006) 699). The number of
//!   iterations then hardly grows with the grid, where plain conjugate gradients need its square root.
//! - *Never uphill for long.* Taking points in and cutting pressures off may raise the energy; plain projected
//!   gradients, which cannot (Calamai and Moré, Math. Program. 39 (1987) 93), then take over for a while, longer each
//!   time.
//! - *One convolution saved.* While the set of touching points stays, the displacement follows the pressure without
//!   being computed anew.

use rayon::prelude::*;

use super::convolution::{Kernel, Transforms, Workspace};
use super::sums::{BLOCK, added, over_blocks};
use super::{Boundary, Grid, contact_share, positive};

mod projection;
#[cfg(test)]
mod tests;

/// A rise of the energy below this part of its scale is rounding.
const ROUNDING: f64 = 1e-12;
/// After so many steps the displacement is computed anew, so that rounding cannot pile up.
const REFRESH: usize = 32;

/// A rough face on a grid and what it is pressed against, checked.
pub struct Contact {
    grid: Grid,
    boundary: Boundary,
    heights_um: Vec<f64>,
    rms_height_um: f64,
    modulus_mpa: f64,
    hardness_mpa: f64,
    transforms: Transforms,
    displacement: Kernel,
    flattening: Kernel,
    /// Step of a plain projected gradient that never raises the energy, MPa/µm.
    safe_step: f64,
}

/// The state of a contact under load.
#[derive(Clone, Debug)]
pub struct Pressed {
    /// Pressure of each point, MPa.
    pub pressure_mpa: Vec<f64>,
    /// Gap of each point, µm: zero where the faces touch; below zero where the weaker face has flowed.
    pub gap_um: Vec<f64>,
    /// Share of the points that touch, corrected for the digital boundary.
    pub share: f64,
    /// Share of the points that carry the hardness.
    pub flowing: f64,
    /// Iterations and convolutions that it took.
    pub iterations: usize,
    /// Applications of a kernel.
    pub convolutions: usize,
    /// What is left of the error, see [`Contact::press`].
    pub residual: f64,
}

/// The iterate and its fields.
struct State {
    pressure: Vec<f64>,
    displacement: Vec<f64>,
    gap: Vec<f64>,
    gradient: Vec<f64>,
    preconditioned: Vec<f64>,
    direction: Vec<f64>,
    response: Vec<f64>,
    work: Workspace,
    convolutions: usize,
}

impl Contact {
    /// A face with `heights_um` (row by row, towards the other face), pressed against a flat one.
    ///
    /// `modulus_mpa` is `E*`; without `hardness_mpa` the contact is elastic.
    ///
    /// # Errors
    /// Heights that are not as many as the grid's points, not finite or all alike; a modulus or hardness not above 0.
    pub fn new(
        grid: Grid,
        boundary: Boundary,
        heights_um: Vec<f64>,
        modulus_mpa: f64,
        hardness_mpa: Option<f64>,
    ) -> Result<Self, String> {
        positive("modulus_mpa", modulus_mpa)?;
        if let Some(hardness) = hardness_mpa {
            positive("hardness_mpa", hardness)?;
        }
        if heights_um.len() != grid.points() {
            return Err(format!(
                "heights: {} values for {} points",
                heights_um.len(),
                grid.points()
            ));
        }
        if let Some(at) = heights_um.iter().position(|height| !height.is_finite()) {
            let columns = grid.columns;
            return Err(format!(
                "heights: {} at row {}, column {} is not a height; fill gaps of the scan first",
                heights_um[at],
                at / columns,
                at % columns
            ));
        }
        let count = grid.points() as f64;
        let mean = heights_um.iter().sum::<f64>() / count;
        let variance = heights_um.iter().map(|h| (h - mean).powi(2)).sum::<f64>() / count;
        if variance.sqrt() <= 1e-12 * mean.abs() || variance == 0.0 {
            return Err("heights: all alike; a flat face touches everywhere".into());
        }
        let transforms = Transforms::new(grid, boundary);
        let displacement = transforms.half_space(modulus_mpa);
        let flattening = transforms.kernel(0.0, |q| 0.5 * modulus_mpa * q);
        let safe_step = 1.0 / transforms.gain(&displacement);
        Ok(Self {
            safe_step,
            grid,
            boundary,
            rms_height_um: variance.sqrt(),
            heights_um: heights_um.into_iter().map(|h| h - mean).collect(),
            modulus_mpa,
            hardness_mpa: hardness_mpa.unwrap_or(f64::INFINITY),
            transforms,
            displacement,
            flattening,
        })
    }

    /// Presses to a mean pressure over the whole grid.
    ///
    /// Stops when the mean of |gap| that violates the contact's conditions (a gap under pressure, an overlap without),
    /// weighted with the pressure, is below `tolerance` of the rms height.
    ///
    /// # Errors
    /// A pressure not above 0 or not below the hardness, a tolerance outside (0, 1), no convergence in `most` steps.
    pub fn press(&self, pressure_mpa: f64, tolerance: f64, most: usize) -> Result<Pressed, String> {
        positive("pressure_mpa", pressure_mpa)?;
        if pressure_mpa >= self.hardness_mpa {
            return Err(format!(
                "pressure_mpa: {pressure_mpa} is not below the hardness, {} MPa: the faces touch everywhere",
                self.hardness_mpa
            ));
        }
        if !(tolerance > 0.0 && tolerance < 1.0) {
            return Err(format!(
                "tolerance: {tolerance} is not allowed, give one between 0 and 1"
            ));
        }
        let points = self.grid.points();
        let field = || vec![0.0; points];
        let mut state = State {
            pressure: vec![pressure_mpa; points],
            displacement: field(),
            gap: field(),
            gradient: field(),
            preconditioned: field(),
            direction: field(),
            response: field(),
            work: self.transforms.workspace(),
            convolutions: 0,
        };
        let mut fresh = false;
        let mut since_fresh = 0;
        let mut conjugate = false;
        let mut last_product = 0.0;
        let mut residual = f64::INFINITY;
        let mut lowest = f64::INFINITY;
        let (mut careful, mut caution) = (0, 1);
        for iteration in 0..most {
            if !fresh && (since_fresh == 0 || since_fresh >= REFRESH) {
                self.displace(&mut state);
                since_fresh = 0;
                fresh = true;
            }
            let energy;
            [residual, energy] = self.gaps(&mut state, pressure_mpa);
            if residual < tolerance {
                if fresh {
                    return Ok(self.pressed(state, iteration, residual));
                }
                since_fresh = 0;
                continue;
            }
            if energy > lowest + ROUNDING && careful == 0 {
                careful = caution;
                caution *= 2;
            }
            lowest = lowest.min(energy);
            if careful > 0 {
                careful -= 1;
                self.descend(&mut state, pressure_mpa);
                (conjugate, fresh, since_fresh) = (false, false, 0);
                continue;
            }
            let Some((product, scale)) = self.direct(&mut state, conjugate, last_product) else {
                // Fewer than two points bear: nothing to weigh against each other, yet points may have to change sides.
                careful = 1;
                continue;
            };
            last_product = product;
            let changed = self.step(&mut state, scale, pressure_mpa);
            conjugate = !changed.taken_in;
            fresh = false;
            since_fresh = if changed.any { 0 } else { since_fresh + 1 };
        }
        Err(format!(
            "no convergence in {most} steps: the residual is {residual:.1e} where {tolerance:.1e} was asked"
        ))
    }

    fn displace(&self, state: &mut State) {
        self.transforms.apply(
            &self.displacement,
            &state.pressure,
            &mut state.displacement,
            &mut state.work,
        );
        state.convolutions += 1;
    }

    /// Whether a point is neither open nor at its hardness: where the gap has to vanish.
    fn bears(&self, pressure: f64) -> bool {
        pressure > 0.0 && pressure < self.hardness_mpa
    }

    /// How many points bear, and the mean of a value over them; NaN where none does.
    fn over_bearing(
        &self,
        pressure: &[f64],
        value: impl Fn(usize) -> f64 + Sync + Send,
    ) -> (f64, f64) {
        let [count, sum] = over_blocks(pressure.len(), |block| {
            let mut sums = [0.0; 2];
            for point in block {
                if self.bears(pressure[point]) {
                    sums[0] += 1.0;
                    sums[1] += value(point);
                }
            }
            sums
        });
        (count, sum / count)
    }

    /// Gaps from displacements, the approach such that their mean where the faces bear is zero.
    ///
    /// Returns the residual and the energy, both without unit.
    fn gaps(&self, state: &mut State, target_mpa: f64) -> [f64; 2] {
        let State {
            pressure,
            displacement,
            gap,
            gradient,
            ..
        } = state;
        let (count, mean) = self.over_bearing(pressure, |point| {
            displacement[point] - self.heights_um[point]
        });
        let mean = if count > 0.0 {
            mean
        } else {
            self.between(pressure, displacement)
        };
        let parts: Vec<[f64; 2]> = gap
            .par_chunks_mut(BLOCK)
            .zip(gradient.par_chunks_mut(BLOCK))
            .enumerate()
            .map(|(block, (gaps, gradients))| {
                let from = block * BLOCK;
                let [mut violation, mut energy] = [0.0; 2];
                for (at, (gap, gradient)) in gaps.iter_mut().zip(gradients).enumerate() {
                    let pressure = pressure[from + at];
                    *gap = displacement[from + at] - self.heights_um[from + at] - mean;
                    *gradient = 0.0;
                    energy +=
                        pressure * (0.5 * displacement[from + at] - self.heights_um[from + at]);
                    if self.bears(pressure) {
                        *gradient = *gap;
                        violation += pressure * gap.abs();
                    } else if (pressure > 0.0) == (*gap > 0.0) {
                        violation += target_mpa * gap.abs();
                    }
                }
                [violation, energy]
            })
            .collect();
        let scale = target_mpa * pressure.len() as f64 * self.rms_height_um;
        added(&parts).map(|sum| sum / scale)
    }

    /// Where every point flows or is open, the approach lies between those that flow and those that are open.
    fn between(&self, pressure: &[f64], displacement: &[f64]) -> f64 {
        let (mut flowing, mut open) = (f64::NEG_INFINITY, f64::INFINITY);
        for ((pressure, displacement), height) in
            pressure.iter().zip(displacement).zip(&self.heights_um)
        {
            if *pressure > 0.0 {
                flowing = flowing.max(displacement - height);
            } else {
                open = open.min(displacement - height);
            }
        }
        0.5 * (flowing + open)
    }

    /// A plain projected gradient, short enough to go downhill whatever the set of touching points does.
    fn descend(&self, state: &mut State, target_mpa: f64) {
        let State { pressure, gap, .. } = state;
        pressure
            .par_iter_mut()
            .zip(gap.par_iter())
            .for_each(|(value, gap)| *value -= self.safe_step * gap);
        self.project(pressure, target_mpa);
    }

    /// The next conjugate direction and how the operator answers to it.
    ///
    /// Returns the product of gradient and preconditioned gradient, and the size of the latter against the former;
    /// nothing when there is no direction left.
    fn direct(&self, state: &mut State, conjugate: bool, last: f64) -> Option<(f64, f64)> {
        let State {
            pressure,
            gradient,
            preconditioned,
            direction,
            response,
            work,
            convolutions,
            ..
        } = state;
        self.transforms
            .apply(&self.flattening, gradient, preconditioned, work);
        let (count, mean) = self.over_bearing(pressure, |point| preconditioned[point]);
        if count == 0.0 {
            return None;
        }
        let parts: Vec<[f64; 2]> = preconditioned
            .par_chunks_mut(BLOCK)
            .enumerate()
            .map(|(block, values)| {
                let from = block * BLOCK;
                let mut sums = [0.0; 2];
                for (at, value) in values.iter_mut().enumerate() {
                    if !self.bears(pressure[from + at]) {
                        *value = 0.0;
                        continue;
                    }
                    *value -= mean;
                    let gradient = gradient[from + at];
                    sums[0] += *value * gradient;
                    sums[1] += gradient * gradient;
                }
                sums
            })
            .collect();
        let [product, square] = added(&parts);
        if square == 0.0 {
            return None;
        }
        let beta = if conjugate { product / last } else { 0.0 };
        let parts: Vec<[f64; 1]> = direction
            .par_chunks_mut(BLOCK)
            .enumerate()
            .map(|(block, values)| {
                let from = block * BLOCK;
                let mut sum = 0.0;
                for (at, value) in values.iter_mut().enumerate() {
                    *value = if self.bears(pressure[from + at]) {
                        preconditioned[from + at] + beta * *value
                    } else {
                        0.0
                    };
                    sum += *value;
                }
                [sum]
            })
            .collect();
        // Points that have left took their part of the old direction along: the rest is centred anew.
        let [sum] = added(&parts);
        let mean = sum / count;
        direction
            .par_chunks_mut(BLOCK)
            .zip(pressure.par_chunks(BLOCK))
            .for_each(|(values, pressures)| {
                for (value, pressure) in values.iter_mut().zip(pressures) {
                    if self.bears(*pressure) {
                        *value -= mean;
                    }
                }
            });
        self.transforms
            .apply(&self.displacement, direction, response, work);
        *convolutions += 2;
        Some((product, product / square))
    }

    /// Moves along the direction as far as it pays; points that lose contact leave, points that overlap come in.
    fn step(&self, state: &mut State, scale: f64, target_mpa: f64) -> Changed {
        let State {
            pressure,
            displacement,
            gap,
            gradient,
            direction,
            response,
            ..
        } = state;
        let (_, mean) = self.over_bearing(pressure, |point| response[point]);
        let [along, curvature] = over_blocks(pressure.len(), |block| {
            let mut sums = [0.0; 2];
            for point in block {
                sums[0] += gradient[point] * direction[point];
                if self.bears(pressure[point]) {
                    sums[1] += (response[point] - mean) * direction[point];
                }
            }
            sums
        });
        let length = along / curvature;
        let parts: Vec<[f64; 2]> = pressure
            .par_chunks_mut(BLOCK)
            .zip(displacement.par_chunks_mut(BLOCK))
            .enumerate()
            .map(|(block, (pressures, displacements))| {
                let from = block * BLOCK;
                let [mut left, mut came] = [0.0; 2];
                for (at, (pressure, displacement)) in
                    pressures.iter_mut().zip(displacements).enumerate()
                {
                    *displacement -= length * response[from + at];
                    let bore = self.bears(*pressure);
                    *pressure -= length
                        * if bore {
                            direction[from + at]
                        } else {
                            scale * gap[from + at]
                        };
                    let bears = self.bears(*pressure);
                    left += f64::from(u8::from(bore && !bears));
                    came += f64::from(u8::from(!bore && bears));
                }
                [left, came]
            })
            .collect();
        let [left, came] = added(&parts);
        let changed = Changed {
            any: left + came > 0.0,
            taken_in: came > 0.0,
        };
        if changed.any {
            self.project(pressure, target_mpa);
        } else {
            pressure
                .par_iter_mut()
                .for_each(|value| *value = value.clamp(0.0, self.hardness_mpa));
        }
        changed
    }

    fn pressed(&self, state: State, iterations: usize, residual: f64) -> Pressed {
        let points = self.grid.points() as f64;
        let touches: Vec<bool> = state.pressure.iter().map(|p| *p > 0.0).collect();
        let flowing = state.pressure.iter().filter(|p| **p >= self.hardness_mpa);
        Pressed {
            share: contact_share(&touches, self.grid, self.boundary),
            flowing: flowing.count() as f64 / points,
            pressure_mpa: state.pressure,
            gap_um: state.gap,
            iterations,
            convolutions: state.convolutions,
            residual,
        }
    }

    /// The contact modulus, MPa.
    #[must_use]
    pub fn modulus_mpa(&self) -> f64 {
        self.modulus_mpa
    }
}

/// What a step did to the set of bearing points.
struct Changed {
    any: bool,
    taken_in: bool,
}
