//! A process conditioned on data: fitting, and growing by one observation.

use super::kernel::Kernel;
use super::triangle::{self, Triangle, dot};
use super::{GpError, Parameters, Priors, Training, evidence, log_sum_exp};

/// Asked now and then by what takes long: whether to go on.
pub type GoOn<'a> = &'a (dyn Fn() -> bool + Sync);

/// A fitted process.
#[derive(Clone, Debug)]
pub struct Gp {
    pub(super) d: usize,
    pub(super) x: Vec<f64>,
    pub(super) kernel: Kernel,
    pub(super) parameters: Parameters,
    pub(super) jitter: f64,
    pub(super) noise: Vec<f64>,
    pub(super) factor: Triangle,
    pub(super) log_weights: Vec<f64>,
    pub(super) scores: Vec<Vec<f64>>,
    pub(super) alphas: Vec<Vec<f64>>,
    pub(super) log_evidence: f64,
    pub(super) shares: Vec<f64>,
}

impl Gp {
    /// Finds the parameters of largest evidence times prior and conditions on the data. O(n³).
    #[must_use]
    pub fn fit(training: &Training, priors: &Priors) -> Self {
        Self::fit_while(training, priors, None, &|| true).expect("nobody stops it")
    }

    /// The same until `go_on` says no, which it then has to say for ever; `None` when it did.
    ///
    /// From the parameters of `warm`, for data that differ little: a few steps instead of a search.
    #[must_use]
    pub fn fit_while(
        training: &Training,
        priors: &Priors,
        warm: Option<&Self>,
        go_on: GoOn<'_>,
    ) -> Option<Self> {
        let parameters = evidence::maximize(training, priors, warm.map(|gp| &gp.parameters), go_on);
        Self::condition(training, parameters, priors.mean_variance, go_on)
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
        parameters.check(mean_variance, training.d)?;
        Ok(
            Self::condition(training, parameters, mean_variance, &|| true)
                .expect("nobody stops it"),
        )
    }

    fn condition(
        training: &Training,
        parameters: Parameters,
        mean_variance: f64,
        go_on: GoOn<'_>,
    ) -> Option<Self> {
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
            if let Some(factor) = Triangle::factor_while(packed, n, go_on) {
                break factor;
            }
            if !go_on() {
                return None;
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
        Some(gp)
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
}
