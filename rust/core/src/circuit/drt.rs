//! Distribution of relaxation times: a spectrum without a circuit, as γ(ln τ) ≥ 0 on a fine grid.
//!
//! Z(ω) = R + jωL + 1/(jωC) + ∫ γ(ln τ)/(1 + jωτ) d ln τ, minimised Σ|w ΔZ|² + λ ∫ (γ'')² d ln τ under γ ≥ 0 (Tikhonov;
//! Wan, Saccoccio, Chen and Ciucci, Electrochim. Acta 184 (2015) 483). λ is the largest that the data still allow:
//! where the sum of squares exceeds that of the least smoothing by one standard deviation of a chi-square
//! (discrepancy: Morozov, Sov. Math. Dokl. 7 (1966) 414).

use super::complex::Complex;
use super::{CircuitError, Spectrum, linear};

/// Points of the grid for each decade.
const PER_DECADE: f64 = 8.0;
/// Decades of the grid beyond the band on either side.
const BEYOND: f64 = 0.5;
/// Smoothings tried, relative to the mean diagonal of the normal matrix.
const SMOOTHEST: f64 = 1e2;
const ROUGHEST: f64 = 1e-7;
const STEPS_PER_DECADE: usize = 2;
/// A peak smaller than this share of all is a ripple.
const LEAST_PEAK: f64 = 0.005;

/// One peak of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Time constant at its centre of mass on the logarithmic axis, s.
    pub tau_s: f64,
    /// Area: its share of the resistance, Ω.
    pub resistance_ohm: f64,
    /// τ/R, F.
    pub capacitance_f: f64,
}

/// A distribution of relaxation times.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// Time constants (m,), s, ascending.
    pub tau_s: Vec<f64>,
    /// γ (m,), Ω for each unit of ln τ.
    pub gamma_ohm: Vec<f64>,
    /// Series resistance, Ω.
    pub series_ohm: f64,
    /// Series inductance, H.
    pub inductance_h: f64,
    /// 1/C of the series capacitance, 1/F; nought when there is none.
    pub elastance_per_f: f64,
    /// Weight of the smoothing that was chosen.
    pub lambda: f64,
    /// Weighted sum of squares.
    pub chi2: f64,
    /// Impedance of the distribution at the points of the spectrum (n,), Ω.
    pub model: Vec<Complex>,
    /// Peaks, fast to slow.
    pub peaks: Vec<Peak>,
}

/// The distribution of relaxation times of a spectrum, under the spectrum's weights.
///
/// `noise` is the standard deviation of a weighted residual where it is known; otherwise the least smoothing tells.
///
/// # Errors
/// Fewer than 8 points, no band, or a noise that is not positive.
pub fn distribution(spectrum: &Spectrum, noise: Option<f64>) -> Result<Distribution, CircuitError> {
    let n = spectrum.len();
    if n < 8 {
        return Err(CircuitError::Data(format!(
            "{n} points: a distribution of relaxation times needs 8 or more"
        )));
    }
    if let Some(bad) = noise.filter(|s| !(s.is_finite() && *s > 0.0)) {
        return Err(CircuitError::Data(format!("noise {bad} is not positive")));
    }
    let (low, high) = spectrum
        .ln_omega
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &w| {
            (a.min(w), b.max(w))
        });
    if high - low < 1.0 {
        return Err(CircuitError::Data(
            "less than half a decade of frequency: there is nothing to distribute".into(),
        ));
    }
    let decade = std::f64::consts::LN_10;
    let width = high - low + 2.0 * BEYOND * decade;
    let m = ((width / decade * PER_DECADE).round() as usize + 1).min(200);
    let step = width / (m - 1) as f64;
    let tau: Vec<f64> = (0..m)
        .map(|k| (-high - BEYOND * decade + step * k as f64).exp())
        .collect();

    let plain = unweighted(spectrum, &tau, step, (low, high));
    let columns: Vec<Vec<f64>> = plain.iter().map(|c| spectrum.weighted(c)).collect();
    let target = spectrum.target();
    let size = columns.len();
    let (mut gram, mut right) = (vec![0.0; size * size], vec![0.0; size]);
    linear::normal_equations(size, |i| &columns[i], &target, &mut gram, &mut right);
    let whole = linear::dot(&target, &target);
    let diagonal = (SERIES..size).map(|i| gram[i * size + i]).sum::<f64>() / m as f64;

    let left_by = |x: &[f64]| {
        let mut left = whole;
        for i in 0..size {
            let along: f64 = (0..size).map(|j| gram[i * size + j] * x[j]).sum();
            left += x[i] * (along - 2.0 * right[i]);
        }
        left.max(0.0)
    };
    let solve = |lambda: f64, x: &mut Vec<f64>| {
        let mut matrix = gram.clone();
        smooth(&mut matrix, size, lambda * diagonal);
        non_negative(&matrix, &right, size, x);
    };
    let steps = ((SMOOTHEST / ROUGHEST).log10().round() as usize) * STEPS_PER_DECADE;
    let lambda_of = |k: usize| ROUGHEST * (SMOOTHEST / ROUGHEST).powf(k as f64 / steps as f64);
    let mut x = vec![1.0; size];
    solve(ROUGHEST, &mut x);
    let roughest = left_by(&x);
    let freedom = 2.0 * n as f64;
    let allowed = match noise {
        Some(sd) => (sd * sd * freedom).max(roughest) + sd * sd * (2.0 * freedom).sqrt(),
        None => roughest * (1.0 + (2.0 / freedom).sqrt()),
    } + 1e-12 * whole;
    // The sum of squares rises with λ: halve the steps between what is allowed and what is not.
    let (mut fine, mut coarse) = (0, steps + 1);
    let mut chosen = x.clone();
    while coarse - fine > 1 {
        let middle = (fine + coarse) / 2;
        solve(lambda_of(middle), &mut x);
        if left_by(&x) <= allowed {
            fine = middle;
            chosen.copy_from_slice(&x);
        } else {
            coarse = middle;
        }
    }
    let gamma: Vec<f64> = chosen[SERIES..].to_vec();
    let mut model = vec![Complex::ZERO; n];
    for (column, &amplitude) in plain.iter().zip(&chosen) {
        for (z, d) in model.iter_mut().zip(column) {
            *z += d.scale(amplitude);
        }
    }
    Ok(Distribution {
        peaks: peaks(&tau, &gamma, step, chosen[0]),
        series_ohm: chosen[0],
        inductance_h: chosen[1] * (-high).exp(),
        elastance_per_f: chosen[2] * low.exp(),
        lambda: lambda_of(fine) * diagonal,
        chi2: left_by(&chosen),
        gamma_ohm: gamma,
        tau_s: tau,
        model,
    })
}

/// Series resistance, inductance and capacitance stand before the grid.
const SERIES: usize = 3;

fn unweighted(spectrum: &Spectrum, tau: &[f64], step: f64, band: (f64, f64)) -> Vec<Vec<Complex>> {
    let over = |part: &dyn Fn(usize) -> Complex| (0..spectrum.len()).map(part).collect();
    let mut columns: Vec<Vec<Complex>> = vec![
        over(&|_| Complex::ONE),
        over(&|k| Complex::new(0.0, (spectrum.ln_omega[k] - band.1).exp())),
        over(&|k| Complex::new(0.0, -(band.0 - spectrum.ln_omega[k]).exp())),
    ];
    columns.extend(tau.iter().map(|t| {
        over(&|k| {
            let x = spectrum.omega[k] * t;
            Complex::new(step / (1.0 + x * x), -step * x / (1.0 + x * x))
        })
    }));
    columns
}

/// Adds λ DᵀD of second differences over the grid; beyond its ends γ counts as nought.
fn smooth(matrix: &mut [f64], size: usize, lambda: f64) {
    const STENCIL: [f64; 3] = [1.0, -2.0, 1.0];
    for center in SERIES..size {
        for (a, x) in STENCIL.iter().enumerate() {
            for (b, y) in STENCIL.iter().enumerate() {
                let (i, j) = (center + a - 1, center + b - 1);
                if i >= SERIES && j >= SERIES && i < size && j < size {
                    matrix[i * size + j] += lambda * x * y;
                }
            }
        }
    }
}

/// Minimum of xᵀHx - 2bᵀx with x ≥ 0 by exchanging all that offend at once, later one by one (block principal
/// pivoting: Kim and Park, SIAM J. Sci. Comput. 33 (2011) 3261). Begins with the members above nought in `x`.
fn non_negative(matrix: &[f64], right: &[f64], size: usize, x: &mut [f64]) {
    let mut free: Vec<bool> = x.iter().map(|v| *v > 0.0).collect();
    let (mut least, mut patience) = (usize::MAX, 3);
    for _ in 0..20 * size {
        let active: Vec<usize> = (0..size).filter(|&i| free[i]).collect();
        let k = active.len();
        let mut factor = vec![0.0; k * k];
        let mut part: Vec<f64> = active.iter().map(|&i| right[i]).collect();
        for (a, &i) in active.iter().enumerate() {
            for (b, &j) in active.iter().enumerate().take(a + 1) {
                factor[a * k + b] = matrix[i * size + j];
            }
            factor[a * k + a] *= 1.0 + 1e-12;
        }
        if !linear::cholesky(&mut factor, k) {
            return;
        }
        linear::cholesky_solve(&factor, k, &mut part);
        x.fill(0.0);
        for (&i, value) in active.iter().zip(&part) {
            x[i] = *value;
        }
        let offends = |i: usize| {
            if free[i] {
                x[i] < 0.0
            } else {
                let along: f64 = active.iter().map(|&j| matrix[i * size + j] * x[j]).sum();
                along - right[i] < -1e-10 * right[i].abs().max(1e-300)
            }
        };
        let wrong: Vec<usize> = (0..size).filter(|&i| offends(i)).collect();
        if wrong.is_empty() {
            return;
        }
        let all = if wrong.len() < least {
            (least, patience) = (wrong.len(), 3);
            true
        } else {
            patience -= i32::from(patience > 0);
            patience > 0
        };
        let last = wrong.len() - 1;
        for &i in if all { &wrong[..] } else { &wrong[last..] } {
            free[i] = !free[i];
        }
    }
    for value in x {
        *value = value.max(0.0);
    }
}

/// Peaks between the minima of γ.
fn peaks(tau: &[f64], gamma: &[f64], step: f64, series: f64) -> Vec<Peak> {
    let whole: f64 = gamma.iter().sum::<f64>() * step + series;
    let mut found = Vec::new();
    let mut first = 0;
    for k in 0..gamma.len() {
        let last = k + 1 == gamma.len();
        let valley = !last && k > first && gamma[k] <= gamma[k - 1] && gamma[k] < gamma[k + 1];
        if !(last || valley) {
            continue;
        }
        let inside = first..=k;
        let area: f64 = gamma[inside.clone()].iter().sum::<f64>() * step;
        if area > LEAST_PEAK * whole {
            let center = inside.map(|i| gamma[i] * step * tau[i].ln()).sum::<f64>() / area;
            found.push(Peak {
                tau_s: center.exp(),
                resistance_ohm: area,
                capacitance_f: center.exp() / area,
            });
        }
        first = k;
    }
    found
}
