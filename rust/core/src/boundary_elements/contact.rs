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
        let [count, sum] = over_blocks(pressure.len(), |block| {
            let mut sums = [0.0; 2];
            for point in block {
                if self.bears(pressure[point]) {
                    sums[0] += 1.0;
                    sums[1] += displacement[point] - self.heights_um[point];
                }
            }
            sums
        });
        let mean = if count > 0.0 {
            sum / count
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
        let [count, sum] = over_blocks(pressure.len(), |block| {
            let mut sums = [0.0; 2];
            for point in block {
                if self.bears(pressure[point]) {
                    sums[0] += 1.0;
                    sums[1] += preconditioned[point];
                }
            }
            sums
        });
        if count == 0.0 {
            return None;
        }
        let mean = sum / count;
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
        let [count, sum] = over_blocks(pressure.len(), |block| {
            let mut sums = [0.0; 2];
            for point in block {
                if self.bears(pressure[point]) {
                    sums[0] += 1.0;
                    sums[1] += response[point];
                }
            }
            sums
        });
        let mean = sum / count;
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

    /// The nearest pressures that a point can carry and that have the given mean.
    fn project(&self, pressure: &mut [f64], target_mpa: f64) {
        let shift = self.shift(pressure, target_mpa);
        let parts: Vec<[f64; 2]> = pressure
            .par_chunks_mut(BLOCK)
            .map(|values| {
                let mut sums = [0.0; 2];
                for value in values {
                    *value = (*value - shift).clamp(0.0, self.hardness_mpa);
                    sums[usize::from(*value >= self.hardness_mpa)] += *value;
                }
                sums
            })
            .collect();
        // The shift is as fine as the largest pressure allows; what it leaves is shared in proportion.
        let [bearing, flowing] = added(&parts);
        let factor = (target_mpa * pressure.len() as f64 - flowing) / bearing;
        if factor.is_finite() && factor > 0.0 {
            pressure
                .par_iter_mut()
                .filter(|value| self.bears(**value))
                .for_each(|value| *value = (*value * factor).min(self.hardness_mpa));
        }
    }

    /// What has to be taken off all pressures so that, cut to what a point can carry, they have the given mean.
    ///
    /// Where the gap is smallest, pressure comes in first. Newton's method on a sum that falls piecewise linearly, kept
    /// between bounds.
    fn shift(&self, pressure: &[f64], target_mpa: f64) -> f64 {
        let target = target_mpa * pressure.len() as f64;
        let bounds = (f64::INFINITY, f64::NEG_INFINITY);
        let (least, largest) = pressure.iter().fold(bounds, |(least, largest), value| {
            (least.min(*value), largest.max(*value))
        });
        // At the one end every point carries the mean or more, at the other none carries anything.
        let (mut low, mut high) = (least - target_mpa, largest);
        let mut shift = 0.0_f64.clamp(low, high);
        for _ in 0..200 {
            let [sum, inside] = over_blocks(pressure.len(), |block| {
                let mut sums = [0.0; 2];
                for value in &pressure[block] {
                    let value = value - shift;
                    sums[0] += value.clamp(0.0, self.hardness_mpa);
                    sums[1] += f64::from(u8::from(self.bears(value)));
                }
                sums
            });
            let excess = sum - target;
            if excess.abs() <= 1e-13 * target {
                break;
            }
            if excess > 0.0 {
                low = shift;
            } else {
                high = shift;
            }
            let newton = shift + excess / inside;
            shift = if newton > low && newton < high {
                newton
            } else {
                0.5 * (low + high)
            };
        }
        shift
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

#[cfg(test)]
mod tests {
    use std::f64::consts::{PI, TAU};

    use super::*;

    const TOLERANCE: f64 = 1e-10;

    /// A hilly periodic face of a few waves, deterministic.
    fn hills(side: usize) -> Vec<f64> {
        (0..side * side)
            .map(|i| {
                let (y, x) = ((i / side) as f64, (i % side) as f64);
                let w = TAU / side as f64;
                (w * x).cos()
                    + 0.5 * (w * 3.0 * y + 1.0).cos() * (w * 2.0 * x).sin()
                    + 0.2 * (w * (5.0 * x + 7.0 * y)).sin()
            })
            .collect()
    }

    /// Johnson, Greenwood and Higginson; the two-dimensional wave in part: Westergaard, J. Appl. Mech. 6 (1939) A49:
    /// p/p* = sin²(πa/λ) with p* = πE*Δ/λ.
    #[test]
    fn a_cylinder_wave_closes_as_westergaard_says() {
        let (side, modulus, amplitude) = (256, 1000.0, 0.3);
        let grid = Grid::new(4, side, 0.5).unwrap();
        let lambda = side as f64 * 0.5;
        let heights = (0..4 * side)
            .map(|i| amplitude * (TAU * (i % side) as f64 / side as f64).cos())
            .collect();
        let contact = Contact::new(grid, Boundary::Periodic, heights, modulus, None).unwrap();
        let full = PI * modulus * amplitude / lambda;
        for part in [0.1, 0.4, 0.8] {
            let pressed = contact.press(part * full, TOLERANCE, 500).unwrap();
            let width = pressed.pressure_mpa.iter().filter(|p| **p > 0.0).count() as f64;
            let expected = (part.sqrt()).asin() * 2.0 / PI;
            let found = width / (4 * side) as f64;
            assert!(
                (found - expected).abs() < 2.0 / side as f64,
                "{part}: {found} {expected}"
            );
            let most = pressed.pressure_mpa.iter().fold(0.0_f64, |a, b| a.max(*b));
            let peak = 2.0 * full * part.sqrt();
            assert!((most / peak - 1.0).abs() < 0.01, "{part}: {most} {peak}");
        }
        let closed = contact.press(1.01 * full, TOLERANCE, 500).unwrap();
        assert!((closed.share - 1.0).abs() < 1e-12);
    }

    /// Hertz: a³ = 3FR/(4E*), p0 = 3F/(2πa²).
    #[test]
    fn a_sphere_alone_is_hertz() {
        let (side, modulus, radius, force) = (128, 2000.0, 500.0, 20_000.0);
        let grid = Grid::new(side, side, 1.0).unwrap();
        let centre = (side as f64 - 1.0) / 2.0;
        let heights = (0..side * side)
            .map(|i| {
                let (y, x) = ((i / side) as f64 - centre, (i % side) as f64 - centre);
                -(y * y + x * x) / (2.0 * radius)
            })
            .collect();
        let contact = Contact::new(grid, Boundary::Free, heights, modulus, None).unwrap();
        let pressed = contact
            .press(force / grid.points() as f64, TOLERANCE, 500)
            .unwrap();
        let a = (3.0 * force * radius / (4.0 * modulus)).cbrt();
        let share = PI * a * a / grid.points() as f64;
        assert!(
            (pressed.share / share - 1.0).abs() < 0.02,
            "{} {share}",
            pressed.share
        );
        let most = pressed.pressure_mpa.iter().fold(0.0_f64, |a, b| a.max(*b));
        assert!((most / (1.5 * force / (PI * a * a)) - 1.0).abs() < 0.01);
    }

    #[test]
    fn the_conditions_of_contact_hold() {
        let grid = Grid::new(64, 64, 1.0).unwrap();
        for hardness in [None, Some(25.0)] {
            let contact =
                Contact::new(grid, Boundary::Periodic, hills(64), 100.0, hardness).unwrap();
            for pressure in [0.5, 3.0, 12.0] {
                let pressed = contact.press(pressure, TOLERANCE, 1000).unwrap();
                let mean = pressed.pressure_mpa.iter().sum::<f64>() / 4096.0;
                assert!((mean / pressure - 1.0).abs() < 1e-10);
                let most = hardness.unwrap_or(f64::INFINITY);
                for (p, g) in pressed.pressure_mpa.iter().zip(&pressed.gap_um) {
                    assert!(*p >= 0.0 && *p <= most);
                    if *p == 0.0 {
                        assert!(*g > -1e-6);
                    } else if *p == most {
                        assert!(*g < 1e-6);
                    } else {
                        assert!(g.abs() < 1e-6, "{g}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_state_depends_on_the_load_alone_and_scales() {
        let grid = Grid::new(32, 32, 1.0).unwrap();
        let scaled: Vec<f64> = hills(32).iter().map(|h| 3.0 * h + 40.0).collect();
        let one = Contact::new(grid, Boundary::Periodic, hills(32), 100.0, None).unwrap();
        let other = Contact::new(grid, Boundary::Periodic, scaled, 50.0, None).unwrap();
        let (one, other) = (
            one.press(4.0, TOLERANCE, 500).unwrap(),
            other.press(6.0, TOLERANCE, 500).unwrap(),
        );
        for (left, right) in one.pressure_mpa.iter().zip(&other.pressure_mpa) {
            assert!((1.5 * left - right).abs() < 1e-6);
        }
    }

    #[test]
    fn more_pressure_touches_more_and_a_soft_face_more_still() {
        let grid = Grid::new(64, 64, 1.0).unwrap();
        let share = |hardness: Option<f64>, pressure: f64| {
            Contact::new(grid, Boundary::Periodic, hills(64), 100.0, hardness)
                .unwrap()
                .press(pressure, 1e-8, 1000)
                .unwrap()
                .share
        };
        let shares: Vec<f64> = [0.3, 1.0, 3.0, 9.0].map(|p| share(None, p)).to_vec();
        assert!(
            shares.windows(2).all(|pair| pair[0] < pair[1]),
            "{shares:?}"
        );
        assert!(share(Some(12.0), 3.0) > 1.02 * share(None, 3.0));
        // All of the contact flows in the end: p/H (Tabor).
        let grid_share = share(Some(3.0), 0.3);
        assert!((grid_share / 0.1 - 1.0).abs() < 0.2, "{grid_share}");
    }

    #[test]
    fn threads_change_no_bit() {
        let grid = Grid::new(64, 64, 1.0).unwrap();
        let pressed = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| {
                    Contact::new(grid, Boundary::Periodic, hills(64), 100.0, Some(20.0))
                        .unwrap()
                        .press(3.0, 1e-8, 500)
                        .unwrap()
                        .pressure_mpa
                })
        };
        assert_eq!(pressed(1), pressed(2));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let grid = Grid::new(4, 4, 1.0).unwrap();
        let new = |heights, modulus, hardness| {
            Contact::new(grid, Boundary::Periodic, heights, modulus, hardness)
                .err()
                .unwrap()
        };
        assert!(new(vec![0.0; 15], 1.0, None).starts_with("heights"));
        assert!(new(vec![2.0; 16], 1.0, None).starts_with("heights"));
        let mut holes = hills(4);
        holes[6] = f64::NAN;
        assert!(new(holes, 1.0, None).contains("row 1, column 2"));
        assert!(new(hills(4), 0.0, None).starts_with("modulus"));
        assert!(new(hills(4), 1.0, Some(-1.0)).starts_with("hardness"));
        let contact = Contact::new(grid, Boundary::Periodic, hills(4), 1.0, Some(2.0)).unwrap();
        for (pressure, tolerance, word) in [
            (0.0, 1e-8, "pressure"),
            (2.0, 1e-8, "pressure"),
            (1.0, 0.0, "tolerance"),
        ] {
            assert!(
                contact
                    .press(pressure, tolerance, 10)
                    .unwrap_err()
                    .starts_with(word)
            );
        }
        let wavy = Contact::new(
            Grid::new(32, 32, 1.0).unwrap(),
            Boundary::Periodic,
            hills(32),
            1.0,
            None,
        )
        .unwrap();
        assert!(
            wavy.press(0.01, 1e-12, 2)
                .unwrap_err()
                .contains("no convergence in 2")
        );
    }
}
