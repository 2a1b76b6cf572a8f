//! Whether a spectrum can be one: linear Kramers-Kronig, drift, slip, and Z-HIT.
//!
//! *Linear Kramers-Kronig*: a chain R + L + 1/C + Σ RC elements, linear in its (signed) resistances, with a capped
//! number of elements per decade; what it cannot explain is noise, or breaks the relations (Boukamp, J. Electrochem.
//! Soc. 142 (1995) 1885). Without the cap the chain follows even a contact slip.
//! *Drift* and *slip*: the same least squares with one more column, Z times the sweep's clock (drift) or Z after a
//! point (slip). Its amplitude is what the cell changed by, its standard deviation comes from the residuals.
//! *Z-HIT*: ln|Z| rebuilt from the phase alone (Ehm, Göhr, Kaus, Röseler and Schiller, ACH Models Chem. 137 (2000)
//! 145): ln|Z(ω)| ≈ const + 2/π ∫ φ d ln ω - π/6 · dφ/d ln ω.

use super::linear;
use super::{CircuitError, Spectrum};
use std::f64::consts::{FRAC_PI_6, LN_10, PI};

/// Places at which a slip is tried; a longer sweep is tried at every so many points.
const MOST_PLACES: usize = 500;

/// What a spectrum says about itself. All relative to |Z|.
#[derive(Debug, Clone)]
pub struct Consistency {
    /// RC elements used.
    pub elements: usize,
    /// Relative residuals of Re Z (n,).
    pub residual_re: Vec<f64>,
    /// Relative residuals of Im Z (n,).
    pub residual_im: Vec<f64>,
    /// Standard deviation of the relative residuals, degrees of freedom taken into account.
    pub noise: f64,
    /// Relative change of the cell over the sweep, for each clock handed in, with its standard deviation and the
    /// residual standard deviation left when it is allowed for.
    pub drift: Vec<(f64, f64, f64)>,
    /// Best single step: it lies between this point and the one before (0 when none could be tried), its relative size,
    /// its standard deviation, and the residual standard deviation left.
    pub slip: (usize, f64, f64, f64),
}

/// Checks a spectrum against a chain with `per_decade` elements for each decade of its band.
///
/// `clocks`: each (n,), the fraction of the sweep that had passed at each point, 0 to 1, in the spectrum's order;
/// the spectrum must be in the order measured for slips to be found.
///
/// # Errors
/// Fewer than 6 points, no band, or a clock of another length.
pub fn check_consistency(
    spectrum: &Spectrum,
    per_decade: f64,
    clocks: &[Vec<f64>],
) -> Result<Consistency, CircuitError> {
    let n = spectrum.len();
    if n < 6 {
        return Err(CircuitError::Data(format!(
            "{n} points: a consistency check needs 6 or more"
        )));
    }
    if let Some(clock) = clocks
        .iter()
        .find(|c| c.len() != n || c.iter().any(|t| !t.is_finite()))
    {
        return Err(CircuitError::Data(format!(
            "a clock of {} for {n} points, or one that is not finite",
            clock.len()
        )));
    }
    if !(per_decade.is_finite() && per_decade > 0.0) {
        return Err(CircuitError::Data(format!(
            "{per_decade} elements per decade: give a positive number"
        )));
    }
    let (low, high) = spectrum
        .ln_omega
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &w| {
            (a.min(w), b.max(w))
        });
    let band = high - low;
    if band <= 0.0 {
        return Err(CircuitError::Data(
            "all points at one frequency: there is no band to check".into(),
        ));
    }
    // Half a decade beyond the band on both sides: arcs just outside reach in.
    let wanted = ((band / LN_10 + 1.0) * per_decade).round() as usize + 1;
    let elements = wanted.min((n - 3) * 2 / 3).max(1);
    let reach = if elements > 4 { 0.5 * LN_10 } else { 0.0 };
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(elements + 3);
    let modulus: Vec<f64> = spectrum.z.iter().map(|z| z.norm()).collect();
    if modulus.iter().any(|m| *m <= 0.0) {
        return Err(CircuitError::Data(
            "a point with Z = 0: leave it out".into(),
        ));
    }
    let mut push = |part: &dyn Fn(usize) -> (f64, f64)| {
        let mut column = vec![0.0; 2 * n];
        for k in 0..n {
            let (re, im) = part(k);
            column[k] = re / modulus[k];
            column[n + k] = im / modulus[k];
        }
        columns.push(column);
    };
    push(&|_| (1.0, 0.0));
    push(&|k| (0.0, (spectrum.ln_omega[k] - high).exp()));
    push(&|k| (0.0, -(low - spectrum.ln_omega[k]).exp()));
    for e in 0..elements {
        let ln_tau = -high - reach + (band + 2.0 * reach) * e as f64 / (elements.max(2) - 1) as f64;
        push(&|k| {
            let x = (spectrum.ln_omega[k] + ln_tau).exp();
            (1.0 / (1.0 + x * x), -x / (1.0 + x * x))
        });
    }
    let basis = linear::orthonormal_basis(&columns, 1e-8);
    let mut target = vec![0.0; 2 * n];
    for k in 0..n {
        target[k] = spectrum.z[k].re / modulus[k];
        target[n + k] = spectrum.z[k].im / modulus[k];
    }
    let mut residual = target.clone();
    linear::project_out(&basis, &mut residual);
    let freedom = (2 * n).saturating_sub(basis.len()).max(1) as f64;
    let sum = linear::dot(&residual, &residual);
    let noise = (sum / freedom).sqrt();

    // One more column x, orthogonalised: amplitude a = <x, r>/<x, x>, left over Σ - a²<x, x>.
    let one_more = |factor: &dyn Fn(usize) -> f64| -> Option<(f64, f64, f64)> {
        let mut x = vec![0.0; 2 * n];
        for k in 0..n {
            x[k] = target[k] * factor(k);
            x[n + k] = target[n + k] * factor(k);
        }
        let whole = linear::dot(&x, &x);
        linear::project_out(&basis, &mut x);
        let length = linear::dot(&x, &x);
        if length.is_nan() || length <= 1e-10 * whole {
            return None;
        }
        let amplitude = linear::dot(&x, &residual) / length;
        let left = (sum - amplitude * amplitude * length).max(0.0);
        let sd_left = (left / (freedom - 1.0).max(1.0)).sqrt();
        Some((amplitude, sd_left / length.sqrt(), sd_left))
    };
    let drift = clocks
        .iter()
        .map(|clock| one_more(&|k| clock[k]).unwrap_or((0.0, f64::INFINITY, noise)))
        .collect();
    let mut slip = (0, 0.0, f64::INFINITY, noise);
    for at in (2..n - 1).step_by((n / MOST_PLACES).max(1)) {
        if let Some((size, sd, left)) = one_more(&|k| if k >= at { 1.0 } else { 0.0 })
            && left < slip.3
        {
            slip = (at, size, sd, left);
        }
    }
    Ok(Consistency {
        elements,
        residual_re: residual[..n].to_vec(),
        residual_im: residual[n..].to_vec(),
        noise,
        drift,
        slip,
    })
}

/// Relative residual of |Z| against its reconstruction from the phase (n,), in the order handed in.
///
/// The phase is smoothed by a local parabola over `window` points (odd, at least 5) that also gives its slope; the
/// constant is the median difference.
///
/// # Errors
/// Fewer than 5 different frequencies, a window that is even or too small, a point with Z = 0.
pub fn z_hit(spectrum: &Spectrum, window: usize) -> Result<Vec<f64>, CircuitError> {
    if window < 5 || window % 2 == 0 {
        return Err(CircuitError::Data(format!(
            "window {window}: give an odd number of at least 5"
        )));
    }
    let mut order: Vec<usize> = (0..spectrum.len()).collect();
    order.sort_by(|&a, &b| spectrum.ln_omega[a].total_cmp(&spectrum.ln_omega[b]));
    // Repeated frequencies become one point: their mean.
    let (mut x, mut phase, mut modulus, mut group) =
        (Vec::new(), Vec::new(), Vec::new(), vec![0; spectrum.len()]);
    let mut i = 0;
    while i < order.len() {
        let mut j = i;
        let (mut angle, mut ln_modulus) = (0.0, 0.0);
        while j < order.len() && spectrum.ln_omega[order[j]] - spectrum.ln_omega[order[i]] < 1e-9 {
            let z = spectrum.z[order[j]];
            if z.norm() <= 0.0 {
                return Err(CircuitError::Data(
                    "a point with Z = 0: leave it out".into(),
                ));
            }
            angle += z.arg();
            ln_modulus += z.norm().ln();
            group[order[j]] = x.len();
            j += 1;
        }
        let count = (j - i) as f64;
        x.push(spectrum.ln_omega[order[i]]);
        phase.push(angle / count);
        modulus.push(ln_modulus / count);
        i = j;
    }
    let m = x.len();
    if m < 5 {
        return Err(CircuitError::Data(format!(
            "{m} different frequencies: Z-HIT needs 5 or more"
        )));
    }
    let (smooth, slope) =
        local_parabola(&x, &phase, window.min(if m % 2 == 1 { m } else { m - 1 }));
    let mut rebuilt = vec![0.0; m];
    for k in 1..m {
        // Trapezoid with the end correction of the slopes: exact for a cubic phase.
        let h = x[k] - x[k - 1];
        rebuilt[k] = rebuilt[k - 1] + 0.5 * h * (smooth[k] + smooth[k - 1])
            - h * h / 12.0 * (slope[k] - slope[k - 1]);
    }
    let mut difference: Vec<f64> = (0..m)
        .map(|k| modulus[k] - 2.0 / PI * rebuilt[k] + FRAC_PI_6 * slope[k])
        .collect();
    let mut sorted = difference.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted[m / 2];
    for d in &mut difference {
        *d = (*d - middle).exp_m1();
    }
    Ok(group.iter().map(|&g| difference[g]).collect())
}

/// Value and slope of a parabola fitted around each point.
fn local_parabola(x: &[f64], y: &[f64], window: usize) -> (Vec<f64>, Vec<f64>) {
    let n = x.len();
    let half = window / 2;
    let (mut value, mut slope) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n {
        let first = k.saturating_sub(half).min(n - window.min(n));
        let last = (first + window).min(n);
        let width = (x[last - 1] - x[first]).max(1e-12);
        let mut moments = [0.0; 5];
        let mut right = [0.0; 3];
        for i in first..last {
            let t = (x[i] - x[k]) / width;
            let mut power = 1.0;
            for (q, moment) in moments.iter_mut().enumerate() {
                *moment += power;
                if q < 3 {
                    right[q] += power * y[i];
                }
                power *= t;
            }
        }
        let mut matrix = [0.0; 9];
        for a in 0..3 {
            for b in 0..3 {
                matrix[a * 3 + b] = moments[a + b];
            }
        }
        if linear::cholesky(&mut matrix, 3) {
            linear::cholesky_solve(&matrix, 3, &mut right);
            value[k] = right[0];
            slope[k] = right[1] / width;
        } else {
            value[k] = y[k];
        }
    }
    (value, slope)
}
