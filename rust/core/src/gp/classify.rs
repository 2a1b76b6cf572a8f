//! Success and failure: a Gaussian process behind a probit, by Laplace's approximation.
//!
//! Rasmussen and Williams (2006), algorithms 3.1 and 3.2, with the probit likelihood of section 3.3, for which the
//! predicted probability has a closed form (eq. 3.82).

use super::kernel::Kernel;
use super::triangle::{Triangle, dot};
use super::{GpError, Training};
use crate::acquisition::normal::{log_cdf, log_pdf};

/// Prior mean of the latent function: a protocol that nobody tried works with probability 0.69 (assumed).
const OFFSET: f64 = 0.7;
/// Signal variance of the latent function, and variance of its mean (assumed: a limit is sharp, its place unknown).
const SIGNAL: f64 = 4.0;
const CONSTANT: f64 = 0.5;
/// Length scales that are tried, in units of the cube times √d; the one of largest evidence is taken.
const SCALES: [f64; 4] = [0.15, 0.3, 0.6, 1.2];

/// A fitted classifier.
#[derive(Clone, Debug)]
pub struct Classifier {
    d: usize,
    x: Vec<f64>,
    kernel: Kernel,
    slopes: Vec<f64>,
    roots: Vec<f64>,
    factor: Triangle,
    log_evidence: f64,
}

impl Classifier {
    /// Learns where trials succeed; `x` is n × d, row-major.
    ///
    /// # Errors
    /// As for [`Training::new`].
    pub fn fit(x: Vec<f64>, d: usize, success: &[bool]) -> Result<Self, GpError> {
        Self::fit_with_mean(x, d, success, &vec![OFFSET; success.len()])
    }

    /// The same with a prior mean of the latent function for each trial, from physics for instance.
    ///
    /// # Errors
    /// As for [`Training::new`], and for a mean that is not finite or has another length.
    pub fn fit_with_mean(
        x: Vec<f64>,
        d: usize,
        success: &[bool],
        mean: &[f64],
    ) -> Result<Self, GpError> {
        let n = success.len();
        if mean.len() != n || mean.iter().any(|m| !m.is_finite()) {
            return Err(GpError::Shape(format!(
                "{} prior means for {n} trials: give one finite number for each",
                mean.len()
            )));
        }
        let training = Training::new(x, d, vec![vec![0.0; n]], vec![0.0], vec![0.0; n])?;
        let labels: Vec<f64> = success
            .iter()
            .map(|s| if *s { 1.0 } else { -1.0 })
            .collect();
        let mut best: Option<Self> = None;
        for scale in SCALES {
            let length = scale * (d as f64).sqrt();
            let kernel = Kernel::new(&vec![length; d], SIGNAL, CONSTANT);
            let fitted = Self::laplace(&training, &labels, mean, kernel);
            if best
                .as_ref()
                .is_none_or(|b| fitted.log_evidence > b.log_evidence)
            {
                best = Some(fitted);
            }
        }
        best.ok_or(GpError::Empty)
    }

    fn laplace(training: &Training, labels: &[f64], mean: &[f64], kernel: Kernel) -> Self {
        let (d, n) = (training.d, labels.len());
        let prior = kernel.covariance(&training.x, d, &vec![1e-8; n]);
        let at = |a: usize, b: usize| prior[super::triangle::row(a.max(b)) + a.min(b)];
        let times = |v: &[f64]| -> Vec<f64> {
            (0..n)
                .map(|a| (0..n).map(|b| at(a, b) * v[b]).sum())
                .collect()
        };
        let objective = |a: &[f64], f: &[f64]| -> f64 {
            let likelihood: f64 = f
                .iter()
                .zip(labels)
                .zip(mean)
                .map(|((f, y), m)| log_cdf(y * (f + m)))
                .sum();
            likelihood - 0.5 * dot(a, f)
        };
        let (mut a, mut f) = (vec![0.0; n], vec![0.0; n]);
        let mut value = objective(&a, &f);
        for _ in 0..30 {
            let (slopes, curvatures) = likelihood(&f, labels, mean);
            let roots: Vec<f64> = curvatures.iter().map(|w| w.sqrt()).collect();
            let Some(factor) = scaled_factor(&prior, &roots) else {
                break;
            };
            let b: Vec<f64> = (0..n).map(|k| curvatures[k] * f[k] + slopes[k]).collect();
            let mut inner: Vec<f64> = times(&b).iter().zip(&roots).map(|(v, r)| v * r).collect();
            factor.solve_lower(&mut inner);
            factor.solve_upper(&mut inner);
            let goal: Vec<f64> = (0..n).map(|k| b[k] - roots[k] * inner[k]).collect();
            // Newton's step, halved until it helps.
            let (mut step, before) = (1.0, value);
            for _ in 0..10 {
                let trial: Vec<f64> = (0..n).map(|k| a[k] + step * (goal[k] - a[k])).collect();
                let latent = times(&trial);
                let found = objective(&trial, &latent);
                if found >= value {
                    (a, f, value) = (trial, latent, found);
                    break;
                }
                step *= 0.5;
            }
            if value - before < 1e-9 {
                break;
            }
        }
        let (slopes, curvatures) = likelihood(&f, labels, mean);
        let roots: Vec<f64> = curvatures.iter().map(|w| w.sqrt()).collect();
        let factor = scaled_factor(&prior, &roots).unwrap_or_else(|| identity(n));
        let log_evidence = value - 0.5 * factor.log_determinant();
        Self {
            d,
            x: training.x.clone(),
            kernel,
            slopes,
            roots,
            factor,
            log_evidence,
        }
    }

    /// Variance of the latent function where no trial is near: a prior mean `m` there gives the probability
    /// Φ(m / √(1 + variance)).
    #[must_use]
    pub fn prior_variance() -> f64 {
        SIGNAL + CONSTANT
    }

    /// Columns.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.d
    }

    /// Laplace's approximation of the log evidence.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.log_evidence
    }

    /// Log probability that a trial at `point` succeeds; its gradient is added to `gradient` when given.
    #[must_use]
    pub fn log_probability(&self, point: &[f64], gradient: Option<&mut [f64]>) -> f64 {
        self.log_probability_with_mean(point, OFFSET, gradient)
    }

    /// The same where the latent function has another prior mean; its gradient takes that mean as constant.
    #[must_use]
    pub fn log_probability_with_mean(
        &self,
        point: &[f64],
        prior_mean: f64,
        gradient: Option<&mut [f64]>,
    ) -> f64 {
        let n = self.roots.len();
        let (mut cross, mut slopes) = (vec![0.0; n], vec![0.0; n]);
        self.kernel
            .cross_with_slopes(point, &self.x, &mut cross, &mut slopes);
        let mean = prior_mean + dot(&self.slopes, &cross);
        let mut v: Vec<f64> = cross.iter().zip(&self.roots).map(|(k, r)| k * r).collect();
        self.factor.solve_lower(&mut v);
        let variance = (self.kernel.at_zero() - dot(&v, &v)).max(0.0);
        let spread = (1.0 + variance).sqrt();
        let z = mean / spread;
        let log_probability = log_cdf(z);
        if let Some(gradient) = gradient {
            self.factor.solve_upper(&mut v);
            // d variance = -2 Σ (roots B⁻¹ roots k)_a dk_a.
            for (value, root) in v.iter_mut().zip(&self.roots) {
                *value *= -2.0 * root;
            }
            let ratio = (log_pdf(z) - log_probability).exp();
            let by_mean = ratio / spread;
            let by_variance = -0.5 * ratio * z / (1.0 + variance);
            let weights: Vec<f64> = self
                .slopes
                .iter()
                .zip(&v)
                .map(|(s, v)| by_mean * s + by_variance * v)
                .collect();
            self.kernel
                .add_gradient(point, &self.x, &slopes, &weights, gradient);
        }
        log_probability
    }
}

/// First derivative and negative second derivative of the log likelihood, per observation.
fn likelihood(f: &[f64], labels: &[f64], mean: &[f64]) -> (Vec<f64>, Vec<f64>) {
    f.iter()
        .zip(labels)
        .zip(mean)
        .map(|((f, y), m)| {
            let z = y * (f + m);
            let ratio = (log_pdf(z) - log_cdf(z)).exp();
            (y * ratio, (ratio * (ratio + z)).max(1e-12))
        })
        .unzip()
}

/// Factor of `I + W^½ K W^½`.
fn scaled_factor(prior: &[f64], roots: &[f64]) -> Option<Triangle> {
    let n = roots.len();
    let mut packed = prior.to_vec();
    for a in 0..n {
        let start = super::triangle::row(a);
        for b in 0..=a {
            packed[start + b] *= roots[a] * roots[b];
        }
        packed[start + a] += 1.0;
    }
    Triangle::factor(packed, n)
}

fn identity(n: usize) -> Triangle {
    let mut packed = vec![0.0; super::triangle::row(n)];
    for a in 0..n {
        packed[super::triangle::row(a) + a] = 1.0;
    }
    Triangle::factor(packed, n).expect("the identity is positive definite")
}
