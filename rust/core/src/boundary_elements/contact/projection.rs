//! The nearest pressures that points can carry and that have a given mean.

use rayon::prelude::*;

use super::super::sums::{BLOCK, added, over_blocks};
use super::Contact;

impl Contact {
    /// The nearest pressures that a point can carry and that have the given mean.
    pub(super) fn project(&self, pressure: &mut [f64], target_mpa: f64) {
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
        let (least, largest) = extremes(pressure);
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
}

/// Least and largest of many numbers.
fn extremes(values: &[f64]) -> (f64, f64) {
    values
        .par_chunks(BLOCK)
        .map(|block| {
            let none = (f64::INFINITY, f64::NEG_INFINITY);
            block.iter().fold(none, |(least, largest), value| {
                (least.min(*value), largest.max(*value))
            })
        })
        .reduce(
            || (f64::INFINITY, f64::NEG_INFINITY),
            |one, other| (one.0.min(other.0), one.1.max(other.1)),
        )
}
