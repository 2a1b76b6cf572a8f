//! Levenberg-Marquardt from one start: sum of squares, gradient and normal matrix, all columns at once.
//!
//! Damping: Nielsen (Madsen, Nielsen and Tingleff, Methods for Non-Linear Least Squares Problems, DTU 2004); scaling:
//! Marquardt, SIAM J. Appl. Math. 11 (1963) 431. Bounds are kept by freezing parameters that press against them.

use super::Spectrum;
use super::complex::Complex;
use super::fit::Problem;
use super::linear;

/// No logarithm moves by more than this at once: the model is not linear beyond.
const LONGEST: f64 = 3.0;
/// See [`Reach::rival`].
const PATIENCE: f64 = 30.0;
/// Damping above which nothing moves any more.
const STUCK: f64 = 1e20;

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

/// Room for one problem on one spectrum, used again and again.
pub(crate) struct Work {
    /// Natural values by slot.
    values: Vec<f64>,
    /// Modelled less measured impedance (n,), Ω.
    z: Vec<Complex>,
    /// Derivatives by slot: one column of n after another.
    slope: Vec<Complex>,
    scratch: Vec<Complex>,
    /// Weighted residuals (2n,).
    residual: Vec<f64>,
    /// Weighted derivatives by parameter: one column of 2n after another.
    columns: Vec<f64>,
    /// JᵀJ plus prior precision, row-major, both triangles.
    pub hessian: Vec<f64>,
    /// Jᵀr plus the priors' part.
    pub gradient: Vec<f64>,
    matrix: Vec<f64>,
    step: Vec<f64>,
    scale: Vec<f64>,
    moving: Vec<usize>,
}

impl Work {
    pub fn new(problem: &Problem, points: usize) -> Self {
        let p = problem.circuit.parameters.len();
        let slots = problem.circuit.slots();
        Self {
            values: vec![0.0; slots],
            z: vec![Complex::ZERO; points],
            slope: vec![Complex::ZERO; slots * points],
            scratch: vec![Complex::ZERO; problem.circuit.root.rows_needed() * points],
            residual: vec![0.0; 2 * points],
            columns: vec![0.0; p * 2 * points],
            hessian: vec![0.0; p * p],
            gradient: vec![0.0; p],
            matrix: vec![0.0; p * p],
            step: vec![0.0; p],
            scale: vec![0.0; p],
            moving: Vec::with_capacity(p),
        }
    }

    /// Chi-square and penalty at u; keeps residuals and derivatives for [`Self::differentiate`].
    pub fn evaluate(&mut self, problem: &Problem, spectrum: &Spectrum, u: &[f64]) -> (f64, f64) {
        for (value, &p) in self.values.iter_mut().zip(&problem.circuit.slot_parameter) {
            let exponent = problem.circuit.parameters[p].exponent;
            *value = if exponent { u[p] } else { u[p].exp() };
        }
        problem.circuit.root.columns(
            &self.values,
            &spectrum.omega,
            &spectrum.ln_omega,
            &mut self.z,
            &mut self.slope,
            &mut self.scratch,
        );
        for (model, measured) in self.z.iter_mut().zip(&spectrum.z) {
            *model = *model - *measured;
        }
        spectrum.weigh(&self.z, &mut self.residual);
        let chi2 = linear::dot(&self.residual, &self.residual);
        let penalty = problem
            .prior
            .iter()
            .zip(u)
            .map(|(&(mean, precision), x)| ((x - mean) * precision).powi(2))
            .sum();
        (chi2, penalty)
    }

    /// Impedance of the circuit (n,), Ω, at the u of the last [`Self::evaluate`].
    pub fn model(&self, spectrum: &Spectrum) -> Vec<Complex> {
        self.z
            .iter()
            .zip(&spectrum.z)
            .map(|(off, measured)| *off + *measured)
            .collect()
    }

    /// Normal matrix and gradient at the u of the last [`Self::evaluate`].
    pub fn differentiate(&mut self, problem: &Problem, spectrum: &Spectrum, u: &[f64]) {
        let (n, p) = (spectrum.len(), u.len());
        let Self { slope, columns, .. } = self;
        let mut of_slots = slope.chunks_exact(n);
        if problem.circuit.slots() == p {
            for (column, of_slot) in columns.chunks_exact_mut(2 * n).zip(of_slots) {
                spectrum.weigh(of_slot, column);
            }
        } else {
            // A parameter of several slots gets the sum of their derivatives.
            columns.fill(0.0);
            let mut part = vec![0.0; 2 * n];
            for (&i, of_slot) in problem.circuit.slot_parameter.iter().zip(&mut of_slots) {
                spectrum.weigh(of_slot, &mut part);
                for (sum, d) in columns[i * 2 * n..][..2 * n].iter_mut().zip(&part) {
                    *sum += d;
                }
            }
        }
        linear::normal_equations(
            p,
            |i| &columns[i * 2 * n..][..2 * n],
            &self.residual,
            &mut self.hessian,
            &mut self.gradient,
        );
        for (i, (&(mean, precision), x)) in problem.prior.iter().zip(u).enumerate() {
            self.gradient[i] += (x - mean) * precision * precision;
            self.hessian[i * p + i] += precision * precision;
        }
    }

    /// The damped step into `self.step`, over `self.moving`; false when the matrix cannot be factored.
    fn solve(&mut self, damping: f64) -> bool {
        let p = self.gradient.len();
        let m = self.moving.len();
        for (a, &i) in self.moving.iter().enumerate() {
            self.step[a] = -self.gradient[i];
            for (b, &j) in self.moving.iter().enumerate() {
                self.matrix[a * m + b] = self.hessian[i * p + j];
            }
            self.matrix[a * m + a] += damping * self.scale[i];
        }
        let regular = linear::cholesky(&mut self.matrix[..m * m], m);
        if regular {
            linear::cholesky_solve(&self.matrix[..m * m], m, &mut self.step[..m]);
        }
        regular && self.step[..m].iter().all(|s| s.is_finite())
    }

    /// Which parameters may move: not fixed, and not pressing against a bound.
    fn choose_moving(&mut self, problem: &Problem, u: &[f64]) {
        self.moving.clear();
        for (i, &x) in u.iter().enumerate() {
            let pressed = (x <= problem.lower[i] && self.gradient[i] > 0.0)
                || (x >= problem.upper[i] && self.gradient[i] < 0.0);
            if !(problem.fixed[i] || pressed) {
                self.moving.push(i);
            }
        }
    }
}

/// How far a descent goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// At most so many iterations.
    pub iterations: usize,
    /// It gives up when, at its last pace, [`PATIENCE`] more steps would not bring it to this sum of squares.
    pub rival: f64,
    /// Relative fall of the sum of squares that counts as none.
    pub fall: f64,
}

impl Reach {
    /// To the end, whatever others have reached.
    pub const FULL: Self = Self {
        iterations: 200,
        rival: f64::INFINITY,
        fall: 1e-8,
    };
    /// As far as one needs to go to tell which start is best: a thousandth of a unit of chi-square for a hundred points.
    pub const ROUGH: Self = Self {
        fall: 1e-5,
        ..Self::FULL
    };
}

/// Goes downhill from u (p,).
pub(crate) fn descend(
    problem: &Problem,
    spectrum: &Spectrum,
    start: &[f64],
    reach: Reach,
    work: &mut Work,
) -> Descent {
    let p = start.len();
    let mut u = start.to_vec();
    problem.clamp(&mut u);
    let (chi2, penalty) = work.evaluate(problem, spectrum, &u);
    let mut here = Descent {
        u,
        chi2,
        penalty,
        iterations: 0,
        converged: false,
    };
    let mut total = here.total();
    if !total.is_finite() {
        here.chi2 = f64::INFINITY;
        return here;
    }
    work.differentiate(problem, spectrum, &here.u);
    work.scale.fill(0.0);
    let (mut damping, mut growth) = (1e-3, 2.0);
    let mut small_falls = 0;
    let (mut next, mut moved) = (here.u.clone(), vec![0.0; p]);
    while here.iterations < reach.iterations {
        here.iterations += 1;
        work.choose_moving(problem, &here.u);
        if work.moving.is_empty() || damping > STUCK {
            here.converged = work.moving.is_empty();
            return here;
        }
        for &i in &work.moving {
            work.scale[i] = work.hessian[i * p + i].max(1e-3 * work.scale[i]).max(1e-30);
        }
        if !work.solve(damping) {
            damping *= 10.0;
            continue;
        }
        // Each on its own: a member that has all but vanished asks for a long step and must not shorten the others'.
        let mut longest = 0.0f64;
        next.copy_from_slice(&here.u);
        for (a, &i) in work.moving.iter().enumerate() {
            longest = longest.max(work.step[a].abs());
            next[i] += work.step[a].clamp(-LONGEST, LONGEST);
        }
        problem.clamp(&mut next);
        for (d, (a, b)) in moved.iter_mut().zip(next.iter().zip(&here.u)) {
            *d = a - b;
        }
        let mut predicted = 0.0;
        for i in 0..p {
            let curved: f64 = (0..p).map(|j| work.hessian[i * p + j] * moved[j]).sum();
            predicted -= moved[i] * (2.0 * work.gradient[i] + curved);
        }
        let (chi2, penalty) = work.evaluate(problem, spectrum, &next);
        let fall = total - (chi2 + penalty);
        if fall.is_finite() && fall >= 0.0 && predicted > 0.0 {
            let ratio = fall / predicted;
            here.u.copy_from_slice(&next);
            (here.chi2, here.penalty) = (chi2, penalty);
            let relative = fall / total.max(f64::MIN_POSITIVE);
            total = here.total();
            damping = (damping * (1.0f64 / 3.0).max(1.0 - (2.0 * ratio - 1.0).powi(3))).max(1e-12);
            growth = 2.0;
            small_falls = if relative < reach.fall {
                small_falls + 1
            } else {
                0
            };
            if small_falls >= 2
                || total == 0.0
                || (relative < reach.fall && predicted < reach.fall * total)
            {
                here.converged = true;
                return here;
            }
            if PATIENCE * fall < total - reach.rival {
                return here;
            }
            work.differentiate(problem, spectrum, &here.u);
        } else {
            if predicted.abs() <= reach.fall * total || longest < 1e-10 {
                here.converged = true;
                return here;
            }
            damping *= growth;
            growth *= 2.0;
            // The derivatives were overwritten by the trial's; those of here are still in hessian and gradient.
        }
    }
    here
}
