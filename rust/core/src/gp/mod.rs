//! Gaussian-process regression on an ensemble of prior means.
//!
//! | symbol | meaning | shape |
//! |---|---|---|
//! | `n`, `d`, `m` | observations, columns of the unit cube, members of the ensemble | |
//! | `x` | inputs, row-major | n × d |
//! | `r_j` | observation minus the prior mean of member `j` | n |
//! | `w_j` | prior weight of member `j` (a draw of the physics' parameters) | |
//! | `v_a` | given noise variance of observation `a` | n |
//! | `l`, `s²`, `σ²`, `τ²` | length scales, signal, fitted noise, variance of the constant mean | |
//! | `S`, `b²` | how alike the circumstances of two observations were (1: same batch), and the variance that they share | n × n |
//! | `A` | `K(x, x) + b² S + diag(v + σ²) = L Lᵀ` | n × n |
//! | `z_j`, `α_j` | `L⁻¹ r_j`, `A⁻¹ r_j` | n |
//!
//! All members share `A`, so the posterior is a mixture of Gaussians of one variance whose means differ, weighted
//! by the evidence of each member: physics with uncertain parameters plus a discrepancy (Kennedy and O'Hagan,
//! J. R. Stat. Soc. B 63 (2001) 425). One member of zeros is the ordinary process.
//!
//! What observations share by their circumstances (a batch of foil, a day) is a random effect: it moves all of a batch
//! alike and is no part of what is predicted (Laird and Ware, Biometrics 38 (1982) 963).

mod classify;
mod evidence;
mod kernel;
pub(crate) mod minimize;
pub(crate) mod triangle;

pub use classify::Classifier;
pub(crate) use evidence::log_sum_exp;

use kernel::Kernel;
use rayon::prelude::*;
use std::fmt;
use triangle::{Triangle, dot};

/// Why data or parameters were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpError {
    /// There is nothing to learn from.
    Empty,
    /// Lengths that do not belong together.
    Shape(String),
    /// A number that is not finite.
    NotFinite(&'static str),
    /// A variance, length scale or spread that is not positive (noise may be zero).
    NotPositive(&'static str),
}

impl fmt::Display for GpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no observations: give at least one"),
            Self::Shape(what) => write!(f, "{what}"),
            Self::NotFinite(what) => write!(
                f,
                "{what} holds a number that is not finite: leave that observation out"
            ),
            Self::NotPositive(what) => write!(f, "{what} must be positive: check its sign"),
        }
    }
}

impl std::error::Error for GpError {}

/// Kernel parameters on the scale of the observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// One length scale per column, in units of the cube.
    pub length_scales: Vec<f64>,
    /// Variance of the process.
    pub signal_variance: f64,
    /// Fitted variance of the noise, on top of what is given per point.
    pub noise_variance: f64,
    /// `b²`: variance of what observations of alike circumstances share; zero without any.
    pub shared_variance: f64,
}

/// Beliefs about the parameters: (centre, spread) of a normal density of their logarithms.
#[derive(Clone, Debug, PartialEq)]
pub struct Priors {
    /// Length scales.
    pub length_scale: (f64, f64),
    /// Signal variance.
    pub signal: (f64, f64),
    /// Fitted noise variance.
    pub noise: (f64, f64),
    /// Variance that alike circumstances share.
    pub shared: (f64, f64),
    /// `τ²`; zero when the mean is known.
    pub mean_variance: f64,
}

impl Priors {
    /// Beliefs for observations scaled to unit variance.
    ///
    /// Length scales: the mode of the log-normal (√2 + ½ ln d, √3) of Hvarfner, Hellsten and Nardi, ICML 2024, so that
    /// the complexity of the model does not grow with dimension. Noise: centred on 1 % of the variance with a factor
    /// e² of spread (assumed): small priors cost real experiments dearly, and 2 to 25 % is what they show.
    #[must_use]
    pub fn for_dimension(d: usize) -> Self {
        let spread = 3.0_f64.sqrt();
        Self {
            length_scale: (
                2.0_f64.sqrt() + 0.5 * (d.max(1) as f64).ln() - spread * spread,
                spread,
            ),
            signal: (0.0, 1.5),
            noise: (0.01_f64.ln(), 2.0),
            shared: (0.01_f64.ln(), 2.0),
            mean_variance: 1.0,
        }
    }

    /// The same, checked.
    ///
    /// # Errors
    /// A number that is not finite, a spread that is not positive, a negative variance.
    pub fn checked(self) -> Result<Self, GpError> {
        let pairs = [self.length_scale, self.signal, self.noise, self.shared];
        if pairs
            .iter()
            .any(|(centre, spread)| !centre.is_finite() || !spread.is_finite())
        {
            return Err(GpError::NotFinite("a prior"));
        }
        if pairs.iter().any(|(_, spread)| *spread <= 0.0) {
            return Err(GpError::NotPositive("the spread of a prior"));
        }
        if !(self.mean_variance >= 0.0 && self.mean_variance.is_finite()) {
            return Err(GpError::NotPositive("variance of the mean"));
        }
        Ok(self)
    }
}

/// Checked observations.
#[derive(Clone, Debug)]
pub struct Training {
    pub(crate) x: Vec<f64>,
    pub(crate) d: usize,
    pub(crate) residuals: Vec<Vec<f64>>,
    pub(crate) log_weights: Vec<f64>,
    pub(crate) noise: Vec<f64>,
    /// `S`, packed lower half.
    pub(crate) alike: Option<Vec<f64>>,
}

impl Training {
    /// Checks once, so that nothing below has to.
    ///
    /// `x` is n × d, row-major; `residuals` has one row of n per member; `noise` holds n variances.
    ///
    /// # Errors
    /// No observation, shapes that do not fit, numbers that are not finite, negative variances.
    pub fn new(
        x: Vec<f64>,
        d: usize,
        residuals: Vec<Vec<f64>>,
        log_weights: Vec<f64>,
        noise: Vec<f64>,
    ) -> Result<Self, GpError> {
        let n = noise.len();
        if n == 0 || d == 0 || residuals.is_empty() {
            return Err(GpError::Empty);
        }
        if x.len() != n * d
            || residuals.iter().any(|r| r.len() != n)
            || log_weights.len() != residuals.len()
        {
            return Err(GpError::Shape(format!(
                "{} coordinates in {d} columns, {n} noise variances, {} members of {} values and {} weights do not belong together",
                x.len(),
                residuals.len(),
                residuals[0].len(),
                log_weights.len()
            )));
        }
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        if !finite(&x) {
            return Err(GpError::NotFinite("x"));
        }
        if !residuals.iter().all(|r| finite(r)) {
            return Err(GpError::NotFinite("y"));
        }
        if !finite(&log_weights) {
            return Err(GpError::NotFinite("weights"));
        }
        if !finite(&noise) {
            return Err(GpError::NotFinite("noise"));
        }
        if noise.iter().any(|v| *v < 0.0) {
            return Err(GpError::NotPositive("noise variance"));
        }
        Ok(Self {
            x,
            d,
            residuals,
            log_weights,
            noise,
            alike: None,
        })
    }

    /// The same with circumstances: `alike` is n × n, row-major, symmetric, 1 on the diagonal; its lower half is read.
    ///
    /// # Errors
    /// Another size, or a number outside of 0 to 1.
    pub fn with_alike(mut self, alike: &[f64]) -> Result<Self, GpError> {
        let n = self.noise.len();
        if alike.len() != n * n {
            return Err(GpError::Shape(format!(
                "{} likenesses for {n} observations: give {n} rows of {n}",
                alike.len()
            )));
        }
        if !alike.iter().all(|v| (0.0..=1.0).contains(v)) {
            return Err(GpError::NotFinite("a likeness outside of 0 to 1"));
        }
        self.alike = Some(
            (0..n)
                .flat_map(|a| alike[a * n..=a * n + a].iter().copied())
                .collect(),
        );
        Ok(self)
    }
}

/// A fitted process.
#[derive(Clone, Debug)]
pub struct Gp {
    d: usize,
    x: Vec<f64>,
    kernel: Kernel,
    parameters: Parameters,
    jitter: f64,
    noise: Vec<f64>,
    factor: Triangle,
    log_weights: Vec<f64>,
    scores: Vec<Vec<f64>>,
    alphas: Vec<Vec<f64>>,
    log_evidence: f64,
    shares: Vec<f64>,
}

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

/// Points that one task of a parallel prediction takes; fixed, so that the bits do not depend on threads.
const CHUNK: usize = 256;

impl Gp {
    /// Finds the parameters of largest evidence times prior and conditions on the data. O(n³).
    #[must_use]
    pub fn fit(training: &Training, priors: &Priors) -> Self {
        let parameters = evidence::maximize(training, priors, None);
        Self::condition(training, parameters, priors.mean_variance)
    }

    /// The same from the parameters of this process, for data that differ little: a few steps instead of a search.
    #[must_use]
    pub fn refit(&self, training: &Training, priors: &Priors) -> Self {
        let parameters = evidence::maximize(training, priors, Some(&self.parameters));
        Self::condition(training, parameters, priors.mean_variance)
    }

    /// Conditions on the data with given parameters.
    ///
    /// # Errors
    /// A parameter that is not positive or not finite, or not one length scale per column.
    pub fn with_parameters(
        training: &Training,
        parameters: Parameters,
        mean_variance: f64,
    ) -> Result<Self, GpError> {
        check(&parameters, mean_variance, training.d)?;
        Ok(Self::condition(training, parameters, mean_variance))
    }

    fn condition(training: &Training, parameters: Parameters, mean_variance: f64) -> Self {
        let kernel = evidence::kernel_of(&parameters, mean_variance);
        let n = training.noise.len();
        let shared = parameters.shared_variance;
        let mut jitter = 0.0;
        let factor = loop {
            let noise: Vec<f64> = training
                .noise
                .iter()
                .map(|v| v + parameters.noise_variance + jitter)
                .collect();
            let mut packed = kernel.covariance(&training.x, training.d, &noise);
            if let Some(alike) = &training.alike {
                triangle::add_scaled(&mut packed, shared, alike);
            }
            if let Some(factor) = Triangle::factor(packed, n) {
                break factor;
            }
            // Copies of a point without noise; a hundred-millionth of the variance changes no answer.
            jitter = if jitter == 0.0 {
                1e-10 * kernel.at_zero()
            } else {
                10.0 * jitter
            };
        };
        let mut gp = Self {
            d: training.d,
            x: training.x.clone(),
            kernel,
            parameters,
            jitter,
            noise: training.noise.clone(),
            factor,
            log_weights: training.log_weights.clone(),
            scores: training.residuals.clone(),
            alphas: Vec::new(),
            log_evidence: 0.0,
            shares: Vec::new(),
        };
        for score in &mut gp.scores {
            gp.factor.solve_lower(score);
        }
        gp.finish();
        gp
    }

    /// What follows from factor and scores.
    fn finish(&mut self) {
        self.alphas = self
            .scores
            .iter()
            .map(|score| {
                let mut alpha = score.clone();
                self.factor.solve_upper(&mut alpha);
                alpha
            })
            .collect();
        let logs: Vec<f64> = self
            .scores
            .iter()
            .zip(&self.log_weights)
            .map(|(z, w)| w - 0.5 * dot(z, z))
            .collect();
        let (total, shares) = log_sum_exp(&logs);
        let n = self.factor.size() as f64;
        self.log_evidence =
            total - 0.5 * self.factor.log_determinant() - 0.5 * n * std::f64::consts::TAU.ln();
        self.shares = shares;
    }

    /// Adds one observation with the parameters held. O(n²).
    ///
    /// `residuals` holds one value per member; a variance of zero is allowed. The observation is expected at usual
    /// circumstances: it shares them with no other.
    ///
    /// # Errors
    /// As for [`Training::new`].
    pub fn grow(&mut self, point: &[f64], residuals: &[f64], noise: f64) -> Result<(), GpError> {
        if point.len() != self.d || residuals.len() != self.scores.len() {
            return Err(GpError::Shape(format!(
                "a point of {} columns with {} values: give {} and {}",
                point.len(),
                residuals.len(),
                self.d,
                self.scores.len()
            )));
        }
        if !(point.iter().chain(residuals).all(|v| v.is_finite()) && noise.is_finite()) {
            return Err(GpError::NotFinite("the new observation"));
        }
        if noise < 0.0 {
            return Err(GpError::NotPositive("noise variance"));
        }
        let n = self.factor.size();
        let mut cross = vec![0.0; n];
        self.kernel.cross(point, &self.x, &mut cross);
        let diagonal = self.kernel.at_zero()
            + noise
            + self.parameters.noise_variance
            + self.parameters.shared_variance
            + self.jitter;
        self.factor
            .grow(&cross, diagonal, 1e-10 * self.kernel.at_zero());
        let last = self.factor.row(n);
        for (score, residual) in self.scores.iter_mut().zip(residuals) {
            let value = (residual - dot(&last[..n], score)) / last[n];
            score.push(value);
        }
        self.x.extend_from_slice(point);
        self.noise.push(noise);
        self.finish();
        Ok(())
    }

    /// Columns.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.d
    }

    /// Observations.
    #[must_use]
    pub fn observations(&self) -> usize {
        self.noise.len()
    }

    /// The same with only some members (draws), in the order given; weights are renormalized.
    ///
    /// # Errors
    /// A member that does not exist, or none.
    pub fn with_members(&self, members: &[usize]) -> Result<Self, GpError> {
        if members.is_empty() || members.iter().any(|&j| j >= self.scores.len()) {
            return Err(GpError::Shape(format!(
                "members {members:?} of {}: give some that exist",
                self.scores.len()
            )));
        }
        let pick = |from: &[Vec<f64>]| -> Vec<Vec<f64>> {
            members.iter().map(|&j| from[j].clone()).collect()
        };
        let mut fewer = Self {
            log_weights: members.iter().map(|&j| self.log_weights[j]).collect(),
            scores: pick(&self.scores),
            alphas: Vec::new(),
            ..self.clone()
        };
        fewer.finish();
        Ok(fewer)
    }

    /// Kernel parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Log evidence of the data, priors of the parameters not included.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.log_evidence
    }

    /// Posterior weight of each member, summing to 1.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.shares
    }

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

    /// Prior variance less what the data explain; never negative.
    fn variance(&self, cross: &mut [f64]) -> f64 {
        self.factor.solve_lower(cross);
        let prior = self.kernel.at_zero();
        (prior - dot(cross, cross)).max(1e-14 * prior)
    }

    /// As [`Self::predict`], with gradients in the point.
    #[must_use]
    pub fn predict_with_gradient(&self, point: &[f64]) -> Prediction {
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
        let variance = self.variance(&mut cross);
        self.factor.solve_upper(&mut cross);
        cross.iter_mut().for_each(|value| *value *= -2.0);
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

    /// Mean correction of the weighted ensemble and variance at many points, on this core.
    #[must_use]
    pub fn predict_many(&self, points: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut weights = vec![0.0; self.observations()];
        for (share, alpha) in self.shares.iter().zip(&self.alphas) {
            triangle::add_scaled(&mut weights, *share, alpha);
        }
        self.block(points, &[&weights])
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

/// Log evidence of parameters and its gradient by `ln l_1 ... ln l_d, ln s², ln σ²`, and `ln b²` with circumstances.
///
/// # Errors
/// As for [`Gp::with_parameters`].
pub fn log_evidence(
    training: &Training,
    parameters: &Parameters,
    mean_variance: f64,
) -> Result<(f64, Vec<f64>), GpError> {
    check(parameters, mean_variance, training.d)?;
    let points: Vec<usize> = (0..training.noise.len()).collect();
    let members: Vec<usize> = (0..training.residuals.len()).collect();
    let mut theta: Vec<f64> = parameters.length_scales.iter().map(|l| l.ln()).collect();
    theta.extend([
        parameters.signal_variance.ln(),
        parameters.noise_variance.ln(),
    ]);
    if training.alike.is_some() {
        theta.push(parameters.shared_variance.ln());
    }
    let mut gradient = vec![0.0; theta.len()];
    let value = evidence::Problem::new(training, mean_variance, &points, &members)
        .evidence(&theta, &mut gradient);
    Ok((value, gradient))
}

fn check(parameters: &Parameters, mean_variance: f64, d: usize) -> Result<(), GpError> {
    if parameters.length_scales.len() != d {
        return Err(GpError::Shape(format!(
            "{} length scales for {d} columns",
            parameters.length_scales.len()
        )));
    }
    let positive = |v: f64| v > 0.0 && v.is_finite();
    if !parameters.length_scales.iter().all(|l| positive(*l)) {
        return Err(GpError::NotPositive("length scale"));
    }
    if !positive(parameters.signal_variance) {
        return Err(GpError::NotPositive("signal variance"));
    }
    if !positive(parameters.noise_variance) {
        return Err(GpError::NotPositive("noise variance"));
    }
    if !(mean_variance >= 0.0 && mean_variance.is_finite()) {
        return Err(GpError::NotPositive("variance of the mean"));
    }
    if !(parameters.shared_variance >= 0.0 && parameters.shared_variance.is_finite()) {
        return Err(GpError::NotPositive("shared variance"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
