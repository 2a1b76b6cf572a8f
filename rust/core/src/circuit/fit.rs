//! Bounded Levenberg-Marquardt in logarithms, with analytic derivatives and optional priors.
//!
//! Minimised is F(u) = Σ [w_re Re(ΔZ)]² + [w_im Im(ΔZ)]² + Σ [(u - m)/s]²; the second sum only where a prior is
//! given. Damping: Nielsen (Madsen, Nielsen and Tingleff, Methods for Non-Linear Least Squares Problems, DTU 2004);
//! scaling: Marquardt, SIAM J. Appl. Math. 11 (1963) 431. Bounds are kept by freezing parameters that press
//! against them.

use super::complex::Complex;
use super::linear;
use super::notation::Circuit;
use super::start;
use super::{CircuitError, Spectrum};

const OVERFLOW: &str =
    "the sum of squares overflows at every start: values or weights differ too much";
const MAX_ITERATIONS: usize = 200;
/// Relative fall of F that counts as none.
const FALL: f64 = 1e-8;
/// Iterations of the heat in which all starts run; only the best few go on.
const HEAT: usize = 16;
/// How many go on.
const FINALISTS: usize = 6;

/// Widest natural values any parameter may take; beyond them the formulas overflow.
const WIDEST: (f64, f64) = (1e-18, 1e18);
/// Widest exponents: below, an element is neither capacitor nor resistor.
const EXPONENT: (f64, f64) = (0.05, 1.0);

/// A circuit with its bounds, fixed parameters and priors, checked.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(crate) circuit: Circuit,
    pub(crate) lower: Vec<f64>,
    pub(crate) upper: Vec<f64>,
    pub(crate) fixed: Vec<bool>,
    /// Mean and precision (1/sd, 0 for none) of the prior of each u.
    pub(crate) prior: Vec<(f64, f64)>,
}

impl Problem {
    /// A problem with the widest bounds, nothing fixed and no priors.
    #[must_use]
    pub fn new(circuit: Circuit) -> Self {
        let bounds = circuit.parameters.iter().map(|p| {
            if p.exponent {
                EXPONENT
            } else {
                (WIDEST.0.ln(), WIDEST.1.ln())
            }
        });
        let (lower, upper) = bounds.unzip();
        let count = circuit.parameters.len();
        Self {
            circuit,
            lower,
            upper,
            fixed: vec![false; count],
            prior: vec![(0.0, 0.0); count],
        }
    }

    /// The circuit.
    #[must_use]
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// Narrows one parameter to natural values `low..=high`; `low == high` fixes it.
    ///
    /// # Errors
    /// Bounds that are no interval of positive finite numbers, or (exponents) reach outside 0.05 to 1.
    pub fn bound(&mut self, index: usize, low: f64, high: f64) -> Result<(), CircuitError> {
        let parameter = self.parameter(index)?;
        let widest = if parameter.exponent { EXPONENT } else { WIDEST };
        if !(low.is_finite()
            && high.is_finite()
            && low <= high
            && low >= widest.0
            && high <= widest.1)
        {
            return Err(CircuitError::Data(format!(
                "bounds {low} to {high} of {} are no interval within {} to {}",
                parameter.name, widest.0, widest.1
            )));
        }
        let exponent = parameter.exponent;
        self.lower[index] = to_u(low, exponent);
        self.upper[index] = to_u(high, exponent);
        self.fixed[index] = low == high;
        Ok(())
    }

    /// Gives one parameter a normal prior in u: `center` is a natural value, `sd` is in u (natural-log units).
    ///
    /// # Errors
    /// A centre not positive and finite, or a standard deviation not positive.
    pub fn prior(&mut self, index: usize, center: f64, sd: f64) -> Result<(), CircuitError> {
        let parameter = self.parameter(index)?;
        if !(center.is_finite() && center > 0.0 && sd > 0.0) {
            return Err(CircuitError::Data(format!(
                "prior {center} ± {sd} of {} needs a positive centre and a positive width",
                parameter.name
            )));
        }
        self.prior[index] = (to_u(center, parameter.exponent), 1.0 / sd);
        Ok(())
    }

    fn parameter(&self, index: usize) -> Result<&super::notation::Parameter, CircuitError> {
        self.circuit.parameters.get(index).ok_or_else(|| {
            CircuitError::Data(format!(
                "no parameter {index}: the circuit has {}",
                self.circuit.parameters.len()
            ))
        })
    }

    pub(crate) fn clamp(&self, u: &mut [f64]) {
        for (i, x) in u.iter_mut().enumerate() {
            *x = x.clamp(self.lower[i], self.upper[i]);
        }
    }

    pub(crate) fn natural(&self, u: &[f64]) -> Vec<f64> {
        u.iter()
            .zip(&self.circuit.parameters)
            .map(|(&x, p)| if p.exponent { x } else { x.exp() })
            .collect()
    }
}

pub(crate) fn to_u(value: f64, exponent: bool) -> f64 {
    if exponent { value } else { value.ln() }
}

/// The result of a fit.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Natural values (p,).
    pub values: Vec<f64>,
    /// Inverse of JᵀJ plus prior precision, in u, row-major (p, p); rows of fixed parameters are 0; those at
    /// a bound count as free, so that their neighbours' variances are not too small. Times the variance of a weighted residual it is the covariance.
    pub covariance_u: Vec<f64>,
    /// Weighted sum of squares, without priors.
    pub chi2: f64,
    /// The priors' part of F.
    pub penalty: f64,
    /// Which parameters ended at a bound (p,).
    pub at_bound: Vec<bool>,
    /// Iterations of the best start.
    pub iterations: usize,
    /// False when the iterations ran out.
    pub converged: bool,
    /// Number of starts tried.
    pub starts: usize,
}

struct Work {
    hessian: Vec<f64>,
    gradient: Vec<f64>,
    slope: Vec<Complex>,
    row: Vec<Complex>,
    values: Vec<f64>,
}

impl Work {
    fn new(problem: &Problem) -> Self {
        let p = problem.circuit.parameters.len();
        Self {
            hessian: vec![0.0; p * p],
            gradient: vec![0.0; p],
            slope: vec![Complex::ZERO; problem.circuit.slots()],
            row: vec![Complex::ZERO; p],
            values: vec![0.0; p],
        }
    }
}

/// Chi-square and penalty at u; fills JᵀJ (upper triangle mirrored) and the gradient Jᵀr.
fn accumulate(problem: &Problem, spectrum: &Spectrum, u: &[f64], work: &mut Work) -> (f64, f64) {
    let p = u.len();
    for (i, &x) in u.iter().enumerate() {
        work.values[i] = if problem.circuit.parameters[i].exponent {
            x
        } else {
            x.exp()
        };
    }
    work.hessian.fill(0.0);
    work.gradient.fill(0.0);
    let shared = problem.circuit.slots() != p;
    let mut chi2 = 0.0;
    for k in 0..spectrum.len() {
        let z = problem.circuit.evaluate(
            &work.values,
            spectrum.omega[k],
            spectrum.ln_omega[k],
            &mut work.slope,
        );
        let (w_re, w_im) = spectrum.weight[k];
        let r_re = (z.re - spectrum.z[k].re) * w_re;
        let r_im = (z.im - spectrum.z[k].im) * w_im;
        chi2 += r_re * r_re + r_im * r_im;
        if shared {
            work.row.fill(Complex::ZERO);
            for (slot, &parameter) in problem.circuit.slot_parameter.iter().enumerate() {
                work.row[parameter] += work.slope[slot];
            }
        } else {
            work.row.copy_from_slice(&work.slope);
        }
        for d in &mut work.row {
            *d = Complex::new(d.re * w_re, d.im * w_im);
        }
        for i in 0..p {
            let d = work.row[i];
            work.gradient[i] += d.re * r_re + d.im * r_im;
            for j in 0..=i {
                work.hessian[i * p + j] += d.re * work.row[j].re + d.im * work.row[j].im;
            }
        }
    }
    let mut penalty = 0.0;
    for (i, &(mean, precision)) in problem.prior.iter().enumerate() {
        let off = (u[i] - mean) * precision;
        penalty += off * off;
        work.gradient[i] += off * precision;
        work.hessian[i * p + i] += precision * precision;
    }
    for i in 0..p {
        for j in 0..i {
            work.hessian[j * p + i] = work.hessian[i * p + j];
        }
    }
    (chi2, penalty)
}

/// Which parameters may move: not fixed, and not pressing against a bound.
fn free(problem: &Problem, u: &[f64], gradient: &[f64]) -> Vec<usize> {
    (0..u.len())
        .filter(|&i| {
            !(problem.fixed[i]
                || (u[i] <= problem.lower[i] && gradient[i] > 0.0)
                || (u[i] >= problem.upper[i] && gradient[i] < 0.0))
        })
        .collect()
}

/// Fits from given start values u (p,).
#[must_use]
pub(crate) fn descend(
    problem: &Problem,
    spectrum: &Spectrum,
    start: &[f64],
    iterations: usize,
) -> Descent {
    let p = start.len();
    let mut u = start.to_vec();
    problem.clamp(&mut u);
    let (mut here, mut trial) = (Work::new(problem), Work::new(problem));
    let (mut chi2, mut penalty) = accumulate(problem, spectrum, &u, &mut here);
    let mut total = chi2 + penalty;
    if !total.is_finite() {
        return Descent {
            u,
            chi2: f64::INFINITY,
            penalty,
            iterations: 0,
            converged: false,
        };
    }
    let mut scale = vec![0.0f64; p];
    let (mut damping, mut growth) = (1e-3, 2.0);
    let mut small_falls = 0;
    for iteration in 0..iterations {
        let moving = free(problem, &u, &here.gradient);
        let m = moving.len();
        if m == 0 {
            return Descent {
                u,
                chi2,
                penalty,
                iterations: iteration,
                converged: true,
            };
        }
        for &i in &moving {
            scale[i] = here.hessian[i * p + i].max(1e-3 * scale[i]).max(1e-30);
        }
        let mut matrix = vec![0.0; m * m];
        let mut step = vec![0.0; m];
        for (a, &i) in moving.iter().enumerate() {
            step[a] = -here.gradient[i];
            for (b, &j) in moving.iter().enumerate() {
                matrix[a * m + b] = here.hessian[i * p + j];
            }
            matrix[a * m + a] += damping * scale[i];
        }
        let regular = linear::cholesky(&mut matrix, m);
        if regular {
            linear::cholesky_solve(&matrix, m, &mut step);
        }
        if !regular || step.iter().any(|s| !s.is_finite()) {
            damping *= 10.0;
            if damping > 1e20 {
                return Descent {
                    u,
                    chi2,
                    penalty,
                    iterations: iteration,
                    converged: false,
                };
            }
            continue;
        }
        // No parameter moves by more than a factor e³ at once: the model is not linear beyond.
        let longest = step.iter().fold(0.0f64, |a, s| a.max(s.abs()));
        let shrink = if longest > 3.0 { 3.0 / longest } else { 1.0 };
        let mut next = u.clone();
        for (a, &i) in moving.iter().enumerate() {
            next[i] += step[a] * shrink;
        }
        problem.clamp(&mut next);
        let moved: Vec<f64> = (0..p).map(|i| next[i] - u[i]).collect();
        let mut predicted = 0.0;
        for i in 0..p {
            predicted -= 2.0 * here.gradient[i] * moved[i];
            for j in 0..p {
                predicted -= moved[i] * here.hessian[i * p + j] * moved[j];
            }
        }
        let (next_chi2, next_penalty) = accumulate(problem, spectrum, &next, &mut trial);
        let next_total = next_chi2 + next_penalty;
        let fall = total - next_total;
        if next_total.is_finite() && fall >= 0.0 && predicted > 0.0 {
            let ratio = fall / predicted;
            u = next;
            std::mem::swap(&mut here, &mut trial);
            (chi2, penalty) = (next_chi2, next_penalty);
            let relative = fall / total.max(f64::MIN_POSITIVE);
            total = next_total;
            damping = (damping * (1.0f64 / 3.0).max(1.0 - (2.0 * ratio - 1.0).powi(3))).max(1e-12);
            growth = 2.0;
            small_falls = if relative < FALL { small_falls + 1 } else { 0 };
            if small_falls >= 2 || total == 0.0 || (relative < FALL && predicted < FALL * total) {
                return Descent {
                    u,
                    chi2,
                    penalty,
                    iterations: iteration + 1,
                    converged: true,
                };
            }
        } else {
            if predicted.abs() <= FALL * total || longest < 1e-10 {
                return Descent {
                    u,
                    chi2,
                    penalty,
                    iterations: iteration + 1,
                    converged: true,
                };
            }
            damping *= growth;
            growth *= 2.0;
            if damping > 1e20 {
                return Descent {
                    u,
                    chi2,
                    penalty,
                    iterations: iteration + 1,
                    converged: true,
                };
            }
        }
    }
    Descent {
        u,
        chi2,
        penalty,
        iterations,
        converged: false,
    }
}

/// Where a descent ended.
#[derive(Debug, Clone)]
pub(crate) struct Descent {
    pub u: Vec<f64>,
    pub chi2: f64,
    pub penalty: f64,
    pub iterations: usize,
    pub converged: bool,
}

impl Descent {
    pub fn total(&self) -> f64 {
        self.chi2 + self.penalty
    }
}

fn finish(problem: &Problem, spectrum: &Spectrum, best: Descent, starts: usize) -> Fit {
    let p = best.u.len();
    let mut work = Work::new(problem);
    accumulate(problem, spectrum, &best.u, &mut work);
    let touches = |i: usize| {
        !problem.fixed[i]
            && (best.u[i] <= problem.lower[i] + 1e-9 || best.u[i] >= problem.upper[i] - 1e-9)
    };
    let moving: Vec<usize> = (0..p).filter(|&i| !problem.fixed[i]).collect();
    let m = moving.len();
    let mut matrix = vec![0.0; m * m];
    for (a, &i) in moving.iter().enumerate() {
        for (b, &j) in moving.iter().enumerate() {
            matrix[a * m + b] = work.hessian[i * p + j];
        }
    }
    let inverse = linear::inverse(&matrix, m);
    let mut covariance_u = vec![0.0; p * p];
    for (a, &i) in moving.iter().enumerate() {
        for (b, &j) in moving.iter().enumerate() {
            covariance_u[i * p + j] = inverse[a * m + b];
        }
    }
    Fit {
        values: problem.natural(&best.u),
        covariance_u,
        chi2: best.chi2,
        penalty: best.penalty,
        at_bound: (0..p).map(touches).collect(),
        iterations: best.iterations,
        converged: best.converged,
        starts,
    }
}

/// Fits from one set of natural start values (p,).
///
/// # Errors
/// The number of start values is wrong, or one is not positive and finite.
pub fn fit_from(
    problem: &Problem,
    spectrum: &Spectrum,
    values: &[f64],
) -> Result<Fit, CircuitError> {
    let parameters = problem.circuit.parameters();
    if values.len() != parameters.len() {
        return Err(CircuitError::Data(format!(
            "{} start values for {} parameters",
            values.len(),
            parameters.len()
        )));
    }
    let mut u = Vec::with_capacity(values.len());
    for (value, parameter) in values.iter().zip(parameters) {
        if !(value.is_finite() && *value > 0.0) {
            return Err(CircuitError::Data(format!(
                "start value {value} of {} is not positive and finite",
                parameter.name
            )));
        }
        u.push(to_u(*value, parameter.exponent));
    }
    let end = descend(problem, spectrum, &u, MAX_ITERATIONS);
    if !end.total().is_finite() {
        return Err(CircuitError::Data(OVERFLOW.into()));
    }
    Ok(finish(problem, spectrum, end, 1))
}

/// Fits without a guess, or with a partial one: `given` (p,) holds natural start values, NaN where there is none.
///
/// Up to `starts` promising starts are followed; the best end is returned.
///
/// # Errors
/// The number of given values is wrong, or one is neither NaN nor positive and finite.
pub fn fit(
    problem: &Problem,
    spectrum: &Spectrum,
    given: &[f64],
    starts: usize,
) -> Result<Fit, CircuitError> {
    let parameters = problem.circuit.parameters();
    if given.len() != parameters.len() {
        return Err(CircuitError::Data(format!(
            "{} start values for {} parameters",
            given.len(),
            parameters.len()
        )));
    }
    if given.iter().all(|v| !v.is_nan()) {
        return fit_from(problem, spectrum, given);
    }
    for (value, parameter) in given.iter().zip(parameters) {
        let usable = value.is_nan() || (value.is_finite() && *value > 0.0);
        if !usable {
            return Err(CircuitError::Data(format!(
                "start value {value} of {} is not positive and finite",
                parameter.name
            )));
        }
    }
    let mut heat: Vec<Descent> = start::candidates(problem, spectrum, starts.max(1))
        .into_iter()
        .map(|mut u| {
            for (i, value) in given.iter().enumerate() {
                if !value.is_nan() {
                    u[i] = to_u(*value, parameters[i].exponent);
                }
            }
            descend(problem, spectrum, &u, HEAT)
        })
        .collect();
    let tried = heat.len();
    heat.sort_by(|a, b| a.total().total_cmp(&b.total()));
    // Starts that have already met at one place need not go there twice.
    heat.dedup_by(|b, a| (b.total() - a.total()).abs() <= 1e-6 * a.total());
    let best = heat
        .into_iter()
        .take(FINALISTS)
        .map(|d| descend(problem, spectrum, &d.u, MAX_ITERATIONS))
        .min_by(|a, b| a.total().total_cmp(&b.total()))
        .filter(|d| d.total().is_finite())
        .ok_or_else(|| CircuitError::Data(OVERFLOW.into()))?;
    Ok(finish(problem, spectrum, best, tried))
}

/// Fits many spectra of one frequency axis with modulus weights, on all cores of the pool.
///
/// `frequency_hz` (n,); `re`, `im`: rows of (n,) in Ω. No priors, no start values.
///
/// # Errors
/// As [`Spectrum::new`], naming the row.
pub fn fit_many(
    problem: &Problem,
    frequency_hz: &[f64],
    re: &[Vec<f64>],
    im: &[Vec<f64>],
    starts: usize,
) -> Result<Vec<Fit>, CircuitError> {
    use rayon::prelude::*;
    if re.len() != im.len() {
        return Err(CircuitError::Data(format!(
            "{} real and {} imaginary rows",
            re.len(),
            im.len()
        )));
    }
    let given = vec![f64::NAN; problem.circuit.parameters.len()];
    re.par_iter()
        .zip(im)
        .enumerate()
        .map(|(row, (re, im))| {
            let weight: Vec<f64> = re.iter().zip(im).map(|(a, b)| 1.0 / a.hypot(*b)).collect();
            Spectrum::new(frequency_hz, re, im, &weight, &weight)
                .and_then(|spectrum| fit(problem, &spectrum, &given, starts))
                .map_err(|error| CircuitError::Data(format!("row {row}: {error}")))
        })
        .collect()
}
