//! What a process expects: means, variances, their gradients, and each observation from all others.

use super::triangle::{self, dot};
use super::{Gp, log_sum_exp};
use rayon::prelude::*;

/// Mean and variance at one point, with their gradients.
#[derive(Clone, Debug, Default)]
pub struct Prediction {
    /// Posterior mean.
    pub mean: f64,
    /// Posterior variance of the process, without noise.
    pub variance: f64,
    /// Gradient of the mean.
    pub mean_gradient: Vec<f64>,
    /// Gradient of the variance.
    pub variance_gradient: Vec<f64>,
}

/// What is needed to compare the process at any point with its value at one observation.
#[derive(Clone, Debug)]
pub struct Contrast {
    /// Posterior mean there.
    pub mean: f64,
    /// Posterior variance there, without noise.
    pub variance: f64,
    /// The covariance with a point is the product of these and the covariances of that point and the observations.
    weights: Vec<f64>,
}

/// Points that one task of a parallel prediction takes; fixed, so that the bits do not depend on threads.
const CHUNK: usize = 256;

impl Gp {
    /// Mean correction of the weighted ensemble and variance at one point (for one member of zeros: the posterior).
    #[must_use]
    pub fn predict(&self, point: &[f64]) -> (f64, f64) {
        let mut cross = vec![0.0; self.observations()];
        self.kernel.cross(point, &self.x, &mut cross);
        let mean = self
            .shares
            .iter()
            .zip(&self.alphas)
            .map(|(w, alpha)| w * dot(alpha, &cross))
            .sum();
        (mean, self.variance(&mut cross))
    }

    /// The observation at `point`, if there is one, to compare other points with.
    ///
    /// `cov(f(x), f(b)) = k(x, b) - k(x, X) A⁻¹ k(X, b)`, and `k(x, b)` is one of `k(x, X)`.
    #[must_use]
    pub fn contrast(&self, point: &[f64]) -> Option<Contrast> {
        let place = self.x.chunks_exact(self.d).position(|x| x == point)?;
        let (mean, variance) = self.predict(point);
        let mut weights = vec![0.0; self.observations()];
        self.kernel.cross(point, &self.x, &mut weights);
        self.factor.solve_lower(&mut weights);
        self.factor.solve_upper(&mut weights);
        weights.iter_mut().for_each(|weight| *weight = -*weight);
        weights[place] += 1.0;
        Some(Contrast {
            mean,
            variance,
            weights,
        })
    }

    /// Variance of the difference between a point of this variance and covariance and the contrasted observation.
    fn apart(&self, contrast: &Contrast, variance: f64, covariance: f64) -> f64 {
        (variance + contrast.variance - 2.0 * covariance).max(1e-14 * self.kernel.at_zero())
    }

    /// Prior variance less what the data explain; never negative.
    fn variance(&self, cross: &mut [f64]) -> f64 {
        self.factor.solve_lower(cross);
        let prior = self.kernel.at_zero();
        (prior - dot(cross, cross)).max(1e-14 * prior)
    }

    /// As [`Self::predict`], with gradients in the point; with a contrast the variance is that of the difference.
    #[must_use]
    pub fn predict_with_gradient(&self, point: &[f64], contrast: Option<&Contrast>) -> Prediction {
        let n = self.observations();
        let (mut cross, mut slopes) = (vec![0.0; n], vec![0.0; n]);
        self.kernel
            .cross_with_slopes(point, &self.x, &mut cross, &mut slopes);
        let mut weights = vec![0.0; n];
        for (share, alpha) in self.shares.iter().zip(&self.alphas) {
            triangle::add_scaled(&mut weights, *share, alpha);
        }
        let mean = dot(&weights, &cross);
        let mut mean_gradient = vec![0.0; self.d];
        self.kernel
            .add_gradient(point, &self.x, &slopes, &weights, &mut mean_gradient);
        let covariance = contrast.map_or(0.0, |contrast| dot(&contrast.weights, &cross));
        let mut variance = self.variance(&mut cross);
        self.factor.solve_upper(&mut cross);
        cross.iter_mut().for_each(|value| *value *= -2.0);
        if let Some(contrast) = contrast {
            variance = self.apart(contrast, variance, covariance);
            triangle::add_scaled(&mut cross, -2.0, &contrast.weights);
        }
        let mut variance_gradient = vec![0.0; self.d];
        self.kernel
            .add_gradient(point, &self.x, &slopes, &cross, &mut variance_gradient);
        Prediction {
            mean,
            variance,
            mean_gradient,
            variance_gradient,
        }
    }

    /// Corrections of each member (row-major, points × m) and variances at many points, on all cores.
    #[must_use]
    pub fn predict_members(&self, points: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let blocks: Vec<(Vec<f64>, Vec<f64>)> = points
            .par_chunks(CHUNK * self.d)
            .map(|block| {
                self.block(
                    block,
                    &self.alphas.iter().map(Vec::as_slice).collect::<Vec<_>>(),
                )
            })
            .collect();
        let (mut means, mut variances) = (Vec::new(), Vec::new());
        for (block_means, block_variances) in blocks {
            means.extend(block_means);
            variances.extend(block_variances);
        }
        (means, variances)
    }

    /// Mean correction of the weighted ensemble and variance at many points, on this core; with a contrast the
    /// variance is that of the difference.
    #[must_use]
    pub fn predict_many(
        &self,
        points: &[f64],
        contrast: Option<&Contrast>,
    ) -> (Vec<f64>, Vec<f64>) {
        let mut weights = vec![0.0; self.observations()];
        for (share, alpha) in self.shares.iter().zip(&self.alphas) {
            triangle::add_scaled(&mut weights, *share, alpha);
        }
        let Some(contrast) = contrast else {
            return self.block(points, &[&weights]);
        };
        let (pairs, variances) = self.block(points, &[&weights, &contrast.weights]);
        pairs
            .chunks_exact(2)
            .zip(variances)
            .map(|(pair, variance)| (pair[0], self.apart(contrast, variance, pair[1])))
            .unzip()
    }

    /// Products with each of `weights` and variances, eight points side by side.
    fn block(&self, points: &[f64], weights: &[&[f64]]) -> (Vec<f64>, Vec<f64>) {
        const LANES: usize = triangle::LANES;
        let n = self.observations();
        let mut cross = vec![0.0; n];
        let mut lanes = vec![0.0; n * LANES];
        let count = points.len() / self.d;
        let mut means = Vec::with_capacity(count * weights.len());
        let mut variances = Vec::with_capacity(count);
        let prior = self.kernel.at_zero();
        for group in points.chunks(LANES * self.d) {
            for (lane, point) in group.chunks_exact(self.d).enumerate() {
                self.kernel.cross(point, &self.x, &mut cross);
                means.extend(weights.iter().map(|weight| dot(weight, &cross)));
                for (value, place) in cross.iter().zip(lanes.chunks_exact_mut(LANES)) {
                    place[lane] = *value;
                }
            }
            // Lanes that the last group leaves over hold old numbers; nobody reads their norms.
            let norms = self.factor.squared_norms(&mut lanes);
            variances.extend(
                norms[..group.len() / self.d]
                    .iter()
                    .map(|norm| (prior - norm).max(1e-14 * prior)),
            );
        }
        (means, variances)
    }

    /// Log predictive density of each observation given all others.
    ///
    /// For one member Rasmussen and Williams (2006), eqs 5.10 to 5.12; the weights of the members are those without
    /// that observation, which makes the density a harmonic mean.
    #[must_use]
    pub fn leave_one_out(&self) -> Vec<f64> {
        let inverse = self.factor.inverse();
        (0..self.observations())
            .map(|a| {
                let variance = 1.0 / inverse[triangle::row(a) + a];
                let logs: Vec<f64> = self
                    .alphas
                    .iter()
                    .zip(&self.shares)
                    .map(|(alpha, share)| {
                        let error = alpha[a] * variance;
                        let log_density = -0.5
                            * (error * error / variance
                                + variance.ln()
                                + std::f64::consts::TAU.ln());
                        share.max(1e-300).ln() - log_density
                    })
                    .collect();
                -log_sum_exp(&logs).0
            })
            .collect()
    }
}
