//! What the next trial is expected to gain, and where it gains most.
//!
//! All objectives are minimized, on the scale of the models. `μ`, `σ`: posterior mean and standard deviation at a point;
//! `u = (best - μ) / σ`. The logarithm of the gain is what is searched: the gain itself underflows where most of the space
//! lies (Ament et al., NeurIPS 2023). Constraints and failures multiply the gain by their probability (Gardner et al.,
//! ICML 2014; Gelbart, Snoek and Adams, UAI 2014).

mod hypervolume;
pub mod normal;
mod search;

pub use hypervolume::{Front, hypervolume};
pub use search::{Found, LinearRelation, Search};

use crate::gp::{Classifier, Contrast, Gp, log_sum_exp};
use normal::{cdf, log_cdf, log_h, log_pdf};

/// What is sought.
#[derive(Clone, Debug)]
pub enum Goal {
    /// Expected improvement of one objective on `best`; under noise the best posterior mean, not the best reading.
    Improvement {
        /// What is to be beaten.
        best: f64,
        /// The observation that is expected to be the best. Its true value is as uncertain as others': a point close
        /// to it cannot differ much from it (noisy expected improvement of one rival; Letham, Karrer, Ottoni and Bakshy,
        /// Bayesian Analysis 14 (2019) 495).
        rival: Option<Contrast>,
    },
    /// Expected growth of the area that two objectives dominate.
    Hypervolume(Front),
    /// The lowest `mean + caution · sd` where all constraints hold as surely as asked: a recommendation.
    Answer {
        /// Standard deviations that doubt costs.
        caution: f64,
        /// Log probability that each constraint, and success, has to reach.
        log_probabilities: Vec<f64>,
    },
}

/// An outcome that has to stay within bounds, with its model.
#[derive(Clone, Debug)]
pub struct Constraint<'a> {
    /// Model of the outcome.
    pub model: &'a Gp,
    /// Lower bound on the model's scale, or minus infinity.
    pub low: f64,
    /// Upper bound on the model's scale, or infinity.
    pub high: f64,
}

/// A goal with the models it is made of.
#[derive(Clone, Debug)]
pub struct Acquisition<'a> {
    /// Models of the objectives: one, or two for [`Goal::Hypervolume`].
    pub objectives: Vec<&'a Gp>,
    /// What is sought.
    pub goal: Goal,
    /// Outcomes within bounds.
    pub constraints: Vec<Constraint<'a>>,
    /// Success and failure.
    pub success: Option<&'a Classifier>,
}

/// What a recommendation pays per missing unit of log probability; larger than any difference of scaled means.
const BREACH: f64 = 50.0;

impl Acquisition<'_> {
    /// Value at a point, larger is better; its gradient is written when given.
    #[must_use]
    pub fn value(&self, point: &[f64], mut gradient: Option<&mut [f64]>) -> f64 {
        if let Some(g) = gradient.as_deref_mut() {
            g.fill(0.0);
        }
        let wanted = gradient.is_some();
        let moments: Vec<Moments> = self
            .models()
            .map(|(model, rival)| Moments::at(model, point, rival, wanted))
            .collect();
        self.combine(point, &moments, gradient)
    }

    /// Values at many points (row-major), on this core.
    #[must_use]
    pub fn values(&self, points: &[f64], d: usize) -> Vec<f64> {
        let columns: Vec<(Vec<f64>, Vec<f64>)> = self
            .models()
            .map(|(model, rival)| model.predict_many(points, rival))
            .collect();
        points
            .chunks_exact(d)
            .enumerate()
            .map(|(row, point)| {
                let moments: Vec<Moments> = columns
                    .iter()
                    .map(|(means, variances)| Moments::plain(means[row], variances[row].sqrt()))
                    .collect();
                self.combine(point, &moments, None)
            })
            .collect()
    }

    /// Models of the objectives, then those of the constraints; the first with the rival, if there is one.
    fn models(&self) -> impl Iterator<Item = (&Gp, Option<&Contrast>)> {
        let rival = match &self.goal {
            Goal::Improvement { rival, .. } => rival.as_ref(),
            _ => None,
        };
        self.objectives
            .iter()
            .copied()
            .chain(self.constraints.iter().map(|constraint| constraint.model))
            .enumerate()
            .map(move |(index, model)| (model, rival.filter(|_| index == 0)))
    }

    fn combine(&self, point: &[f64], moments: &[Moments], mut gradient: Option<&mut [f64]>) -> f64 {
        let mut value = match &self.goal {
            Goal::Improvement { best, .. } => {
                let m = &moments[0];
                let (value, by_mean, by_sd) = log_improvement(m.mean, m.sd, *best);
                m.add(by_mean, by_sd, gradient.as_deref_mut());
                value
            }
            Goal::Hypervolume(front) => {
                let [a, b] = [&moments[0], &moments[1]];
                let (value, slopes) = front.log_gain([a.mean, b.mean], [a.sd, b.sd]);
                a.add(slopes[0][0], slopes[0][1], gradient.as_deref_mut());
                b.add(slopes[1][0], slopes[1][1], gradient.as_deref_mut());
                value
            }
            Goal::Answer { caution, .. } => {
                let m = &moments[0];
                m.add(-1.0, -caution, gradient.as_deref_mut());
                -(m.mean + caution * m.sd)
            }
        };
        let asked = |index: usize| match &self.goal {
            Goal::Answer {
                log_probabilities, ..
            } => Some(log_probabilities.get(index).copied().unwrap_or(0.0)),
            _ => None,
        };
        let outcomes = self
            .constraints
            .iter()
            .zip(&moments[self.objectives.len()..]);
        for (index, (constraint, m)) in outcomes.enumerate() {
            let (log_probability, by_mean, by_sd) =
                log_between(m.mean, m.sd, constraint.low, constraint.high);
            let weight = weight_of(log_probability, asked(index));
            m.add(weight * by_mean, weight * by_sd, gradient.as_deref_mut());
            value += weight * (log_probability - asked(index).unwrap_or(0.0));
        }
        if let Some(success) = self.success {
            let asked = asked(self.constraints.len());
            let mut own = vec![0.0; point.len()];
            let log_probability =
                success.log_probability(point, gradient.is_some().then_some(&mut own));
            let weight = weight_of(log_probability, asked);
            if let Some(g) = gradient {
                crate::gp::triangle::add_scaled(g, weight, &own);
            }
            value += weight * (log_probability - asked.unwrap_or(0.0));
        }
        value
    }
}

/// In a search for gain every log probability counts once; in a recommendation only what is missing counts, dearly.
fn weight_of(log_probability: f64, asked: Option<f64>) -> f64 {
    match asked {
        None => 1.0,
        Some(least) if log_probability < least => BREACH,
        Some(_) => 0.0,
    }
}

/// Mean and standard deviation at a point, with gradients when they are wanted.
struct Moments {
    mean: f64,
    sd: f64,
    mean_gradient: Vec<f64>,
    sd_gradient: Vec<f64>,
}

impl Moments {
    fn at(model: &Gp, point: &[f64], rival: Option<&Contrast>, gradient: bool) -> Self {
        if gradient {
            let p = model.predict_with_gradient(point, rival);
            let sd = p.variance.sqrt();
            let sd_gradient = p.variance_gradient.iter().map(|v| 0.5 * v / sd).collect();
            return Self {
                mean: p.mean,
                sd,
                mean_gradient: p.mean_gradient,
                sd_gradient,
            };
        }
        let (means, variances) = model.predict_many(point, rival);
        Self::plain(means[0], variances[0].sqrt())
    }

    fn plain(mean: f64, sd: f64) -> Self {
        Self {
            mean,
            sd,
            mean_gradient: Vec::new(),
            sd_gradient: Vec::new(),
        }
    }

    fn add(&self, by_mean: f64, by_sd: f64, gradient: Option<&mut [f64]>) {
        if let Some(g) = gradient {
            crate::gp::triangle::add_scaled(g, by_mean, &self.mean_gradient);
            crate::gp::triangle::add_scaled(g, by_sd, &self.sd_gradient);
        }
    }
}

/// `ln EI` and its derivatives by mean and standard deviation. Jones, Schonlau and Welch, J. Glob. Optim. 13 (1998) 455.
#[must_use]
pub fn log_improvement(mean: f64, sd: f64, best: f64) -> (f64, f64, f64) {
    let u = (best - mean) / sd;
    let log_gain = log_h(u);
    let by_mean = -(log_cdf(u) - log_gain).exp() / sd;
    let by_sd = (log_pdf(u) - log_gain).exp() / sd;
    (sd.ln() + log_gain, by_mean, by_sd)
}

/// Log expected improvement of a mixture of Gaussians.
#[must_use]
pub fn log_improvement_of_mixture(
    means: &[f64],
    log_weights: &[f64],
    variances: &[f64],
    best: f64,
) -> f64 {
    let logs: Vec<f64> = means
        .iter()
        .zip(variances)
        .zip(log_weights)
        .map(|((mean, variance), weight)| weight + log_improvement(*mean, variance.sqrt(), best).0)
        .collect();
    log_sum_exp(&logs).0
}

/// Log probability that a Gaussian lies between two bounds, and its derivatives by mean and standard deviation.
#[must_use]
pub fn log_between(mean: f64, sd: f64, low: f64, high: f64) -> (f64, f64, f64) {
    let (a, b) = ((low - mean) / sd, (high - mean) / sd);
    // In the upper tail the mirrored difference keeps its digits.
    let (from, to) = if a > 0.0 { (-b, -a) } else { (a, b) };
    let top = log_cdf(to);
    let log_probability = if from == f64::NEG_INFINITY {
        top
    } else {
        top + ln_1m_exp(log_cdf(from) - top)
    };
    let density = |z: f64| {
        if z.is_finite() {
            (log_pdf(z) - log_probability).exp()
        } else {
            0.0
        }
    };
    let slope = |z: f64| if z.is_finite() { z * density(z) } else { 0.0 };
    (
        log_probability,
        (density(a) - density(b)) / sd,
        (slope(a) - slope(b)) / sd,
    )
}

/// `ln(1 - exp(x))` for negative `x`. Mächler, "Accurately computing log(1 - exp(-|a|))", Rmpfr vignette (2012).
pub(crate) fn ln_1m_exp(x: f64) -> f64 {
    if x >= 0.0 {
        f64::NEG_INFINITY
    } else if x > -std::f64::consts::LN_2 {
        (-x.exp_m1()).ln()
    } else {
        (-x.exp()).ln_1p()
    }
}

/// Probability that a Gaussian lies below a value.
#[must_use]
pub fn probability_below(mean: f64, sd: f64, value: f64) -> f64 {
    cdf((value - mean) / sd)
}
