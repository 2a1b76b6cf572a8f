//! The evidence of parameters, its gradient, and its maximization under priors.

use super::kernel::{Kernel, matern};
use super::minimize::{Stop, minimize};
use super::triangle::{Triangle, add_scaled, dot, row};
use super::{GoOn, Parameters, Priors, Training};

/// Bounds of the parameters on the model's scale; wide enough that only the priors are felt in practice.
const LENGTH_SCALE: (f64, f64) = (1e-2, 1e3);
const SIGNAL: (f64, f64) = (1e-4, 1e3);
const NOISE: (f64, f64) = (1e-8, 1e2);
const SHARED: (f64, f64) = (1e-6, 1e2);

/// Above so many points the starts are sifted on a part of them, evenly taken.
const SIFT: usize = 32;
/// Above so many points even the polish sees a part only: the parameters are known well enough by then.
const POLISH: usize = 160;
/// Of a larger ensemble only so many members, those that fit best, take part in the search for parameters.
const MEMBERS: usize = 24;

/// What does not change while parameters are searched: pairwise squared differences and the data.
pub(super) struct Problem {
    d: usize,
    /// Row-major by pair (a, b < a), then column.
    squares: Vec<f64>,
    residuals: Vec<Vec<f64>>,
    log_weights: Vec<f64>,
    noise: Vec<f64>,
    /// `S`, packed lower half.
    alike: Option<Vec<f64>>,
    mean_variance: f64,
}

impl Problem {
    /// The problem of some observations and some members.
    pub(super) fn new(
        training: &Training,
        mean_variance: f64,
        points: &[usize],
        members: &[usize],
    ) -> Self {
        let d = training.d;
        let mut squares = Vec::with_capacity(d * points.len() * points.len() / 2);
        for (place, &a) in points.iter().enumerate() {
            for &b in &points[..place] {
                for k in 0..d {
                    let gap = training.x[a * d + k] - training.x[b * d + k];
                    squares.push(gap * gap);
                }
            }
        }
        Self {
            d,
            squares,
            residuals: members
                .iter()
                .map(|&j| points.iter().map(|&a| training.residuals[j][a]).collect())
                .collect(),
            log_weights: members.iter().map(|&j| training.log_weights[j]).collect(),
            noise: points.iter().map(|&a| training.noise[a]).collect(),
            alike: training.alike.as_ref().map(|alike| {
                let at = |a: usize, b: usize| alike[row(a.max(b)) + a.min(b)];
                points
                    .iter()
                    .enumerate()
                    .flat_map(|(place, &a)| points[..=place].iter().map(move |&b| at(a, b)))
                    .collect()
            }),
            mean_variance,
        }
    }

    /// Packed covariance without what circumstances share, and `-2 s² dk/d(r²)` of each pair.
    fn covariance(&self, theta: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (d, n) = (self.d, self.noise.len());
        let weights: Vec<f64> = theta[..d].iter().map(|t| (-2.0 * t).exp()).collect();
        let (signal, noise) = (theta[d].exp(), theta[d + 1].exp());
        let mut packed = vec![0.0; row(n)];
        let mut slopes = vec![0.0; row(n)];
        let mut pair = 0;
        for a in 0..n {
            let start = row(a);
            for b in 0..a {
                let differences = &self.squares[pair..pair + d];
                let mut r2 = 0.0;
                for (difference, weight) in differences.iter().zip(&weights) {
                    r2 += difference * weight;
                }
                let (value, slope) = matern(r2);
                packed[start + b] = signal * value + self.mean_variance;
                slopes[start + b] = signal * slope;
                pair += d;
            }
            packed[start + a] = signal + self.mean_variance + noise + self.noise[a];
        }
        (packed, slopes)
    }

    fn factor(&self, mut packed: Vec<f64>, shared: f64) -> Option<Triangle> {
        if let Some(alike) = &self.alike {
            add_scaled(&mut packed, shared, alike);
        }
        Triangle::factor(packed, self.noise.len())
    }

    /// Log weight of each member at `theta`, up to a constant; `None` where the covariance cannot be factored.
    fn weights_of_members(&self, theta: &[f64]) -> Option<Vec<f64>> {
        let shared = theta.get(self.d + 2).map_or(0.0, |t| t.exp());
        let factor = self.factor(self.covariance(theta).0, shared)?;
        let one = |(residual, log_weight): (&Vec<f64>, &f64)| {
            let mut score = residual.clone();
            factor.solve_lower(&mut score);
            log_weight - 0.5 * dot(&score, &score)
        };
        Some(
            self.residuals
                .iter()
                .zip(&self.log_weights)
                .map(one)
                .collect(),
        )
    }

    /// Log evidence at `theta = (ln l_1 ... ln l_d, ln s², ln σ², ln b²)` and its gradient; minus infinity where the
    /// covariance cannot be factored.
    ///
    /// With several members (draws of a prior mean) the evidence is the weighted mean of theirs.
    /// Rasmussen and Williams (2006), eqs 5.8 and 5.9.
    pub(super) fn evidence(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let (d, n) = (self.d, self.noise.len());
        let weights: Vec<f64> = theta[..d].iter().map(|t| (-2.0 * t).exp()).collect();
        let (signal, noise) = (theta[d].exp(), theta[d + 1].exp());
        let shared = theta.get(d + 2).map_or(0.0, |t| t.exp());
        let (packed, slopes) = self.covariance(theta);
        let kernel_values = packed.clone();
        let Some(factor) = self.factor(packed, shared) else {
            return f64::NEG_INFINITY;
        };
        let mut members = Vec::with_capacity(self.residuals.len());
        let mut logs = Vec::with_capacity(self.residuals.len());
        for (residual, log_weight) in self.residuals.iter().zip(&self.log_weights) {
            let mut alpha = residual.clone();
            factor.solve_lower(&mut alpha);
            logs.push(log_weight - 0.5 * dot(&alpha, &alpha));
            factor.solve_upper(&mut alpha);
            members.push(alpha);
        }
        let (total, shares) = log_sum_exp(&logs);
        // G = Σ w_j α_j α_jᵀ - A⁻¹; the derivative by a parameter is half its inner product with dA.
        let mut spread = factor.inverse();
        spread.iter_mut().for_each(|value| *value = -*value);
        for (alpha, share) in members.iter().zip(&shares) {
            if *share > 1e-12 {
                for a in 0..n {
                    add_scaled(
                        &mut spread[row(a)..=row(a) + a],
                        share * alpha[a],
                        &alpha[..=a],
                    );
                }
            }
        }
        gradient.fill(0.0);
        let (mut pair, mut trace, mut by_signal) = (0, 0.0, 0.0);
        for a in 0..n {
            let start = row(a);
            for b in 0..a {
                // Off the diagonal each pair counts twice, which takes up the half.
                let outer = spread[start + b];
                let factor = outer * slopes[start + b];
                for (g, difference) in gradient[..d].iter_mut().zip(&self.squares[pair..pair + d]) {
                    *g += factor * difference;
                }
                by_signal += outer * (kernel_values[start + b] - self.mean_variance);
                pair += d;
            }
            trace += spread[start + a];
        }
        for (g, weight) in gradient[..d].iter_mut().zip(&weights) {
            *g *= weight;
        }
        gradient[d] = by_signal + 0.5 * signal * trace;
        gradient[d + 1] = 0.5 * noise * trace;
        if let Some(alike) = &self.alike {
            // The diagonal, counted once too often by the product over all pairs, takes its half back.
            gradient[d + 2] = shared * (dot(&spread, alike) - 0.5 * trace);
        }
        total - 0.5 * factor.log_determinant() - 0.5 * n as f64 * std::f64::consts::TAU.ln()
    }
}

/// The members that fit best at `theta`, at most [`MEMBERS`], in order: the others move no gradient.
fn heaviest(
    training: &Training,
    mean_variance: f64,
    points: &[usize],
    theta: &[f64],
) -> Vec<usize> {
    let all: Vec<usize> = (0..training.residuals.len()).collect();
    if all.len() <= MEMBERS {
        return all;
    }
    let problem = Problem::new(training, mean_variance, points, &all);
    let Some(logs) = problem.weights_of_members(theta) else {
        return all;
    };
    let mut order = all;
    order.sort_by(|&i, &j| logs[j].total_cmp(&logs[i]).then(i.cmp(&j)));
    order.truncate(MEMBERS);
    order.sort_unstable();
    order
}

/// Logarithm of a sum of exponentials, and the share of each term.
pub(crate) fn log_sum_exp(logs: &[f64]) -> (f64, Vec<f64>) {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return (top, vec![1.0 / logs.len().max(1) as f64; logs.len()]);
    }
    let mut shares: Vec<f64> = logs.iter().map(|l| (l - top).exp()).collect();
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
    (top + sum.ln(), shares)
}

/// The parameters of largest evidence times prior; near `warm` when it is given, else from several starts.
///
/// What is found when `go_on` says no is the best so far, or the start.
pub(super) fn maximize(
    training: &Training,
    priors: &Priors,
    warm: Option<&Parameters>,
    go_on: GoOn<'_>,
) -> Parameters {
    let (d, n) = (training.d, training.noise.len());
    let prior = |theta: &[f64], gradient: &mut [f64]| -> f64 {
        let mut log_density = 0.0;
        for (k, (&t, g)) in theta.iter().zip(gradient.iter_mut()).enumerate() {
            let (centre, spread) = match k {
                k if k < d => priors.length_scale,
                k if k == d => priors.signal,
                k if k == d + 1 => priors.noise,
                _ => priors.shared,
            };
            let z = (t - centre) / spread;
            log_density -= 0.5 * z * z;
            *g -= z / spread;
        }
        log_density
    };
    let mut low = vec![LENGTH_SCALE.0.ln(); d];
    let mut high = vec![LENGTH_SCALE.1.ln(); d];
    low.extend([SIGNAL.0.ln(), NOISE.0.ln()]);
    high.extend([SIGNAL.1.ln(), NOISE.1.ln()]);
    if training.alike.is_some() {
        low.push(SHARED.0.ln());
        high.push(SHARED.1.ln());
    }
    let climb = |points: &[usize], members: &[usize], theta: &mut [f64], stop: Stop| -> f64 {
        let problem = Problem::new(training, priors.mean_variance, points, members);
        minimize(
            |t, g| {
                if !go_on() {
                    return f64::NAN;
                }
                let value = problem.evidence(t, g);
                let value = value + prior(t, g);
                g.iter_mut().for_each(|each| *each = -*each);
                -value
            },
            theta,
            &low,
            &high,
            stop,
        )
    };
    let some = |count: usize| -> Vec<usize> {
        if n <= count {
            (0..n).collect()
        } else {
            (0..count).map(|k| k * n / count).collect()
        }
    };
    let centre = |shift: f64, noise: f64| -> Vec<f64> {
        let mut theta = vec![priors.length_scale.0 + shift; d];
        theta.extend([priors.signal.0, noise]);
        if training.alike.is_some() {
            theta.push(priors.shared.0);
        }
        theta
    };
    let mut theta = match warm {
        Some(parameters) => {
            let mut theta: Vec<f64> = parameters.length_scales.iter().map(|l| l.ln()).collect();
            theta.extend([
                parameters.signal_variance.ln(),
                parameters.noise_variance.ln(),
            ]);
            if training.alike.is_some() {
                theta.push(parameters.shared_variance.max(SHARED.0).ln());
            }
            theta
        }
        None => {
            // From the prior's centre; smooth and noisy; rough and quiet.
            let quiet = (priors.noise.0 - 2.0 * priors.noise.1).max(low[d + 1]);
            let starts = [
                centre(0.0, priors.noise.0),
                centre(1.0, priors.noise.0 + priors.noise.1),
                centre(-0.7, quiet),
            ];
            let sifting = some(SIFT);
            let coarse = Stop {
                iterations: 12,
                gradient: 3e-2,
                decrease: 1e-3,
            };
            let members = heaviest(training, priors.mean_variance, &sifting, &starts[0]);
            let mut best = (f64::INFINITY, starts[0].clone());
            for start in starts {
                let mut theta = start;
                let value = climb(&sifting, &members, &mut theta, coarse);
                if value < best.0 {
                    best = (value, theta);
                }
            }
            best.1
        }
    };
    let (iterations, decrease) = if n > SIFT || warm.is_some() {
        (12, 1e-4)
    } else {
        (60, 1e-7)
    };
    let points = some(POLISH);
    let members = heaviest(training, priors.mean_variance, &points, &theta);
    climb(
        &points,
        &members,
        &mut theta,
        Stop {
            iterations,
            gradient: 1e-2,
            decrease,
        },
    );
    Parameters {
        length_scales: theta[..d].iter().map(|t| t.exp()).collect(),
        signal_variance: theta[d].exp(),
        noise_variance: theta[d + 1].exp(),
        shared_variance: theta.get(d + 2).map_or(0.0, |t| t.exp()),
    }
}

/// The kernel that belongs to parameters.
pub(super) fn kernel_of(parameters: &Parameters, mean_variance: f64) -> Kernel {
    Kernel::new(
        &parameters.length_scales,
        parameters.signal_variance,
        mean_variance,
    )
}
