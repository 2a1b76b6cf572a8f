//! Bounded Levenberg-Marquardt in logarithms, with analytic derivatives and optional priors.
//!
//! Minimised is F(u) = Σ [w_re Re(ΔZ)]² + [w_im Im(ΔZ)]² + Σ [(u - m)/s]²; the second sum only where a prior is
//! given. The descent itself is in [`super::descent`], where it begins in [`super::search`].

use super::complex::Complex;
use super::descent::{Descent, Reach, Work, descend};
use super::linear;
use super::notation::Circuit;
use super::search;
use super::{CircuitError, Spectrum};

const OVERFLOW: &str =
    "the sum of squares overflows at every start: values or weights differ too much";
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
    /// Impedance of the fitted circuit at the frequencies of the spectrum (n,), Ω.
    pub model: Vec<Complex>,
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

fn finish(
    problem: &Problem,
    spectrum: &Spectrum,
    best: &Descent,
    starts: usize,
    work: &mut Work,
) -> Fit {
    let p = best.u.len();
    work.evaluate(problem, spectrum, &best.u);
    work.differentiate(problem, spectrum, &best.u);
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
        model: work.model(spectrum),
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
    let mut work = Work::new(problem, spectrum.len());
    let end = descend(problem, spectrum, &u, Reach::FULL, &mut work);
    if !end.total().is_finite() {
        return Err(CircuitError::Data(OVERFLOW.into()));
    }
    Ok(finish(problem, spectrum, &end, 1, &mut work))
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
    let mut given_u = vec![f64::NAN; given.len()];
    for (u, (value, parameter)) in given_u.iter_mut().zip(given.iter().zip(parameters)) {
        if !value.is_nan() {
            *u = to_u(*value, parameter.exponent);
        }
    }
    let mut work = Work::new(problem, spectrum.len());
    let found = search::best(problem, spectrum, &given_u, starts.max(1), &mut work)
        .ok_or_else(|| CircuitError::Data(OVERFLOW.into()))?;
    Ok(finish(
        problem,
        spectrum,
        &found.best,
        found.tried,
        &mut work,
    ))
}

/// Fits many spectra without start values, on all cores of the pool; a spectrum that is refused is an error of its own.
#[must_use]
pub fn fit_many(
    problem: &Problem,
    spectra: &[Result<Spectrum, CircuitError>],
    starts: usize,
) -> Vec<Result<Fit, CircuitError>> {
    use rayon::prelude::*;
    let given = vec![f64::NAN; problem.circuit.parameters.len()];
    spectra
        .par_iter()
        .map(|spectrum| {
            spectrum
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|s| fit(problem, s, &given, starts))
        })
        .collect()
}
