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
mod predict;
mod process;
mod training;
pub(crate) mod triangle;

pub use classify::Classifier;
pub(crate) use evidence::log_sum_exp;
pub use predict::{Contrast, Prediction};
pub use process::{GoOn, Gp};
pub use training::{GpError, Parameters, Priors, Training};

/// Log evidence of parameters and its gradient by `ln l_1 ... ln l_d, ln s², ln σ²`, and `ln b²` with circumstances.
///
/// # Errors
/// As for [`Gp::with_parameters`].
pub fn log_evidence(
    training: &Training,
    parameters: &Parameters,
    mean_variance: f64,
) -> Result<(f64, Vec<f64>), GpError> {
    parameters.check(mean_variance, training.d)?;
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

#[cfg(test)]
mod tests;
