//! Expected growth of the area that two minimized objectives dominate, in closed form.
//!
//! The area that is not dominated falls into vertical strips between neighbours of the front. With
//! `h_k(t) = E max(t - y_k, 0)` the gain is `Σ_i (h_1(a_{i+1}) - h_1(a_i)) h_2(b_i)`: strip `i` lies between the first
//! objectives `a_i`, `a_{i+1}` of two neighbours, below the second objective `b_i` of the left one. O(n) per point
//! (Emmerich, Yang, Deutz, Wang and Fonseca, "A multicriteria generalization of Bayesian global optimization", 2016).

use super::{ln_1m_exp, log_improvement};
use crate::gp::log_sum_exp;

/// Mutually non-dominated pairs inside a reference point.
#[derive(Clone, Debug)]
pub struct Front {
    /// First objective rising, second falling.
    pairs: Vec<[f64; 2]>,
    reference: [f64; 2],
}

impl Front {
    /// Keeps what is not dominated and better than the reference in both; pairs that are not finite are left out.
    #[must_use]
    pub fn new(pairs: &[[f64; 2]], reference: [f64; 2]) -> Self {
        let mut inside: Vec<[f64; 2]> = pairs
            .iter()
            .copied()
            .filter(|p| {
                p[0].is_finite() && p[1].is_finite() && p[0] < reference[0] && p[1] < reference[1]
            })
            .collect();
        inside.sort_by(|p, q| p[0].total_cmp(&q[0]).then(p[1].total_cmp(&q[1])));
        let mut kept: Vec<[f64; 2]> = Vec::new();
        for pair in inside {
            if kept.last().is_none_or(|last| pair[1] < last[1]) {
                kept.push(pair);
            }
        }
        Self {
            pairs: kept,
            reference,
        }
    }

    /// The pairs that were kept, the first objective rising.
    #[must_use]
    pub fn pairs(&self) -> &[[f64; 2]] {
        &self.pairs
    }

    /// Log expected gain of area, and its derivatives by (mean, sd) of each objective.
    #[must_use]
    pub fn log_gain(&self, mean: [f64; 2], sd: [f64; 2]) -> (f64, [[f64; 2]; 2]) {
        let strips = self.pairs.len() + 1;
        let edge = |i: usize| {
            if i < self.pairs.len() {
                self.pairs[i][0]
            } else {
                self.reference[0]
            }
        };
        let roof = |i: usize| {
            if i == 0 {
                self.reference[1]
            } else {
                self.pairs[i - 1][1]
            }
        };
        let mut logs = Vec::with_capacity(strips);
        let mut slopes = Vec::with_capacity(strips);
        let (mut left, mut left_slopes) = (f64::NEG_INFINITY, [0.0; 2]);
        for i in 0..strips {
            let (right, by_mean, by_sd) = log_improvement(mean[0], sd[0], edge(i));
            let width = right + ln_1m_exp(left - right);
            let share = |log: f64| (log - width).exp();
            let grow = if width.is_finite() { share(right) } else { 1.0 };
            let shrink = if left.is_finite() && width.is_finite() {
                share(left)
            } else {
                0.0
            };
            let (height, h_by_mean, h_by_sd) = log_improvement(mean[1], sd[1], roof(i));
            logs.push(width + height);
            slopes.push([
                [
                    grow * by_mean - shrink * left_slopes[0],
                    grow * by_sd - shrink * left_slopes[1],
                ],
                [h_by_mean, h_by_sd],
            ]);
            (left, left_slopes) = (right, [by_mean, by_sd]);
        }
        let (total, shares) = log_sum_exp(&logs);
        let mut gradient = [[0.0; 2]; 2];
        for (share, slope) in shares.iter().zip(&slopes) {
            if *share > 0.0 {
                for k in 0..2 {
                    for j in 0..2 {
                        gradient[k][j] += share * slope[k][j];
                    }
                }
            }
        }
        (total, gradient)
    }
}

/// Area dominated by pairs inside a reference point, both objectives minimized.
#[must_use]
pub fn hypervolume(pairs: &[[f64; 2]], reference: [f64; 2]) -> f64 {
    let front = Front::new(pairs, reference);
    let mut roof = reference[1];
    let mut area = 0.0;
    for pair in &front.pairs {
        area += (reference[0] - pair[0]) * (roof - pair[1]);
        roof = pair[1];
    }
    area
}
