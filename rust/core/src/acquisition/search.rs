//! Where the gain is largest: the best of many candidates, each of the best few refined along the gradient.

use super::Acquisition;
use crate::gp::minimize::{Stop, minimize};
use rayon::prelude::*;

/// `Σ factor · value(column) <= bound`, where a value is linear or exponential in its column of the cube.
#[derive(Clone, Debug)]
pub struct LinearRelation {
    /// (column, factor, low, high, on a log scale).
    pub terms: Vec<(usize, f64, f64, f64, bool)>,
    /// What the sum may not exceed.
    pub bound: f64,
}

impl LinearRelation {
    /// Oversteps relative to the spread of the terms, and its gradient times `scale` added to `gradient`.
    fn excess(&self, point: &[f64], gradient: Option<(&mut [f64], f64)>) -> f64 {
        let spread: f64 = self
            .terms
            .iter()
            .map(|(_, f, low, high, _)| (f * (high - low)).abs())
            .sum();
        let spread = spread.max(1e-300);
        let mut sum = -self.bound;
        let mut slopes = Vec::with_capacity(self.terms.len());
        for &(column, factor, low, high, log) in &self.terms {
            let u = point[column];
            let (value, slope) = if log {
                let rate = (high / low).ln();
                let value = low * (u * rate).exp();
                (value, value * rate)
            } else {
                (low + u * (high - low), high - low)
            };
            sum += factor * value;
            slopes.push((column, factor * slope / spread));
        }
        if let Some((gradient, scale)) = gradient {
            for (column, slope) in slopes {
                gradient[column] += scale * slope;
            }
        }
        sum / spread
    }
}

/// How a search is done.
#[derive(Clone, Debug)]
pub struct Search {
    /// Candidates inside all rules, row-major.
    pub candidates: Vec<f64>,
    /// Whether a column may be moved along the gradient (categories and whole numbers may not).
    pub free: Vec<bool>,
    /// Rules that the refinement has to keep.
    pub relations: Vec<LinearRelation>,
    /// How many of the best candidates are refined.
    pub starts: usize,
    /// Iterations of each refinement.
    pub iterations: usize,
}

/// One local optimum.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where.
    pub point: Vec<f64>,
    /// Value of the acquisition there.
    pub value: f64,
}

/// Candidates that one task values; fixed, so that the bits do not depend on threads.
const CHUNK: usize = 64;
/// Starts closer than this, in units of the cube's diagonal, climb the same hill.
const APART: f64 = 0.08;
/// Price of overstepping a relation while climbing; what is left is pulled back afterwards.
const STEEP: f64 = 1e4;

impl Search {
    /// The refined optima, the best first; never empty when there are candidates.
    #[must_use]
    pub fn run(&self, acquisition: &Acquisition) -> Vec<Found> {
        let d = self.free.len();
        let values: Vec<f64> = self
            .candidates
            .par_chunks(CHUNK * d)
            .flat_map_iter(|block| acquisition.values(block, d))
            .collect();
        let mut order: Vec<usize> = (0..values.len()).filter(|&i| !values[i].is_nan()).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
        let candidate = |i: usize| &self.candidates[i * d..(i + 1) * d];
        let mut starts: Vec<usize> = Vec::new();
        for &i in &order {
            if starts.len() == self.starts {
                break;
            }
            let far = |&j: &usize| {
                let square: f64 = candidate(i)
                    .iter()
                    .zip(candidate(j))
                    .map(|(p, q)| (p - q) * (p - q))
                    .sum();
                square.sqrt() > APART * (d as f64).sqrt()
            };
            if starts.iter().all(far) {
                starts.push(i);
            }
        }
        let mut found: Vec<Found> = starts
            .par_iter()
            .map(|&i| self.climb(acquisition, candidate(i), values[i]))
            .collect();
        found.extend(order.iter().take(64).map(|&i| Found {
            point: candidate(i).to_vec(),
            value: values[i],
        }));
        found.sort_by(|a, b| b.value.total_cmp(&a.value));
        found
    }

    fn climb(&self, acquisition: &Acquisition, start: &[f64], value: f64) -> Found {
        let low: Vec<f64> = start
            .iter()
            .zip(&self.free)
            .map(|(x, free)| if *free { 0.0 } else { *x })
            .collect();
        let high: Vec<f64> = start
            .iter()
            .zip(&self.free)
            .map(|(x, free)| if *free { 1.0 } else { *x })
            .collect();
        let mut point = start.to_vec();
        minimize(
            |x, g| {
                let value = acquisition.value(x, Some(g));
                g.iter_mut().for_each(|each| *each = -*each);
                let mut price = 0.0;
                for relation in &self.relations {
                    let excess = relation.excess(x, None);
                    if excess > 0.0 {
                        price += 0.5 * STEEP * excess * excess;
                        relation.excess(x, Some((g, STEEP * excess)));
                    }
                }
                price - value
            },
            &mut point,
            &low,
            &high,
            Stop {
                iterations: self.iterations,
                gradient: 1e-5,
                decrease: 1e-8,
            },
        );
        self.pull_back(start, &mut point);
        let reached = acquisition.value(&point, None);
        if reached > value {
            Found {
                point,
                value: reached,
            }
        } else {
            Found {
                point: start.to_vec(),
                value,
            }
        }
    }

    /// Moves `point` towards the allowed `start` until every relation holds.
    fn pull_back(&self, start: &[f64], point: &mut [f64]) {
        let holds = |x: &[f64]| self.relations.iter().all(|r| r.excess(x, None) <= 0.0);
        if holds(point) {
            return;
        }
        let (mut inside, mut outside) = (0.0, 1.0);
        let goal = point.to_vec();
        let at = |t: f64| -> Vec<f64> {
            start
                .iter()
                .zip(&goal)
                .map(|(s, g)| s + t * (g - s))
                .collect()
        };
        for _ in 0..40 {
            let middle = 0.5 * (inside + outside);
            if holds(&at(middle)) {
                inside = middle
            } else {
                outside = middle
            }
        }
        point.copy_from_slice(&at(inside));
    }
}
