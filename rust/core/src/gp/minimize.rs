//! Minimization of smooth functions in a box: limited-memory BFGS on the free variables, projected line search.
//!
//! Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995) 1190, with the simpler projected search of
//! Kim, Sra and Dhillon, SIAM J. Sci. Comput. 32 (2010) 3548: enough for the ten or so variables met here.

use super::triangle::dot;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub iterations: usize,
    /// Largest projected gradient component that counts as flat.
    pub gradient: f64,
    /// Relative decrease that counts as none.
    pub decrease: f64,
}

/// Pairs of steps and gradient changes that are remembered.
const MEMORY: usize = 8;

/// Minimizes `function(x, gradient) -> value` from `x`, staying within `low..=high`; returns the value.
///
/// A value that is not finite means "not there": the line search steps back. A start that is not finite stays.
pub(crate) fn minimize(
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
    x: &mut [f64],
    low: &[f64],
    high: &[f64],
    stop: Stop,
) -> f64 {
    let d = x.len();
    for k in 0..d {
        x[k] = x[k].clamp(low[k], high[k]);
    }
    let mut gradient = vec![0.0; d];
    let mut value = function(x, &mut gradient);
    if !value.is_finite() {
        return f64::INFINITY;
    }
    let mut pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    let (mut trial, mut trial_gradient) = (vec![0.0; d], vec![0.0; d]);
    for _ in 0..stop.iterations {
        let free: Vec<bool> = (0..d)
            .map(|k| {
                !(low[k] >= high[k]
                    || x[k] <= low[k] && gradient[k] > 0.0
                    || x[k] >= high[k] && gradient[k] < 0.0)
            })
            .collect();
        let masked: Vec<f64> = (0..d)
            .map(|k| if free[k] { gradient[k] } else { 0.0 })
            .collect();
        if masked.iter().all(|g| g.abs() <= stop.gradient) {
            break;
        }
        let mut direction = two_loops(&masked, &pairs);
        for k in 0..d {
            if !free[k] {
                direction[k] = 0.0;
            }
        }
        if dot(&direction, &masked).partial_cmp(&0.0) != Some(std::cmp::Ordering::Less) {
            pairs.clear();
            direction = masked.iter().map(|g| -g).collect();
        }
        let mut step = if pairs.is_empty() {
            0.5 / dot(&masked, &masked).sqrt().max(1.0)
        } else {
            1.0
        };
        let mut moved = false;
        let before = value;
        for _ in 0..20 {
            for k in 0..d {
                trial[k] = (x[k] + step * direction[k]).clamp(low[k], high[k]);
            }
            let promised: f64 = (0..d).map(|k| gradient[k] * (trial[k] - x[k])).sum();
            let found = function(&trial, &mut trial_gradient);
            if found.is_finite() && found <= value + 1e-4 * promised && promised < 0.0 {
                let s: Vec<f64> = (0..d).map(|k| trial[k] - x[k]).collect();
                let y: Vec<f64> = (0..d).map(|k| trial_gradient[k] - gradient[k]).collect();
                let curvature = dot(&s, &y);
                if curvature > 1e-12 * dot(&y, &y).max(1e-300) {
                    if pairs.len() == MEMORY {
                        pairs.remove(0);
                    }
                    pairs.push((s, y, 1.0 / curvature));
                }
                x.copy_from_slice(&trial);
                std::mem::swap(&mut gradient, &mut trial_gradient);
                value = found;
                moved = true;
                break;
            }
            step *= if found.is_finite() && promised < 0.0 {
                // The parabola through value, slope and trial, kept within a tenth and a half.
                (-0.5 * promised / (found - value - promised)).clamp(0.1, 0.5)
            } else {
                0.2
            };
        }
        if !moved {
            if pairs.is_empty() {
                break;
            }
            pairs.clear();
            continue;
        }
        if before - value <= stop.decrease * (1.0 + value.abs()) {
            break;
        }
    }
    value
}

/// `-H g` by the two-loop recursion of Nocedal, Math. Comput. 35 (1980) 773.
fn two_loops(gradient: &[f64], pairs: &[(Vec<f64>, Vec<f64>, f64)]) -> Vec<f64> {
    let mut q = gradient.to_vec();
    let mut factors = vec![0.0; pairs.len()];
    for (index, (s, y, rho)) in pairs.iter().enumerate().rev() {
        factors[index] = rho * dot(s, &q);
        super::triangle::add_scaled(&mut q, -factors[index], y);
    }
    if let Some((_, y, rho)) = pairs.last() {
        let scale = 1.0 / (rho * dot(y, y));
        q.iter_mut().for_each(|value| *value *= scale);
    }
    for (index, (s, y, rho)) in pairs.iter().enumerate() {
        let back = rho * dot(y, &q);
        super::triangle::add_scaled(&mut q, factors[index] - back, s);
    }
    q.iter_mut().for_each(|value| *value = -*value);
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: Stop = Stop {
        iterations: 500,
        gradient: 1e-10,
        decrease: 0.0,
    };

    fn rosenbrock(x: &[f64], g: &mut [f64]) -> f64 {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        g[0] = -2.0 * a - 400.0 * x[0] * b;
        g[1] = 200.0 * b;
        a * a + 100.0 * b * b
    }

    #[test]
    fn the_valley_is_followed_to_its_end() {
        let mut x = vec![-1.2, 1.0];
        minimize(rosenbrock, &mut x, &[-5.0; 2], &[5.0; 2], STOP);
        assert!(
            (x[0] - 1.0).abs() < 1e-6 && (x[1] - 1.0).abs() < 1e-6,
            "{x:?}"
        );
    }

    #[test]
    fn a_bound_is_kept() {
        let mut x = vec![-1.2, 1.0];
        minimize(rosenbrock, &mut x, &[-5.0; 2], &[0.5, 5.0], STOP);
        assert!(
            (x[0] - 0.5).abs() < 1e-12 && (x[1] - 0.25).abs() < 1e-6,
            "{x:?}"
        );
    }
}
