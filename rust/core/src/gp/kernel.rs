//! The Matérn-5/2 kernel with one length scale per column, plus a constant.
//!
//! `k(x, x') = s² (1 + √5 r + 5 r²/3) exp(-√5 r) + τ²`, `r² = Σ ((x_i - x'_i) / l_i)²`; the constant `τ²` is the prior
//! variance of the unknown mean (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, eqs 2.39, 4.17).

const SQRT_5: f64 = 2.236_067_977_499_79;

/// Value of the unit kernel and of `-2 dk/d(r²)` at a squared scaled distance.
#[inline]
pub(crate) fn matern(r2: f64) -> (f64, f64) {
    let a = SQRT_5 * r2.max(0.0).sqrt();
    let decay = (-a).exp();
    (
        (1.0 + a + a * a / 3.0) * decay,
        5.0 / 3.0 * (1.0 + a) * decay,
    )
}

/// A kernel with fixed parameters.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub inverse_squares: Vec<f64>,
    pub signal: f64,
    pub constant: f64,
}

impl Kernel {
    pub(crate) fn new(length_scales: &[f64], signal: f64, constant: f64) -> Self {
        Self {
            inverse_squares: length_scales.iter().map(|l| 1.0 / (l * l)).collect(),
            signal,
            constant,
        }
    }

    #[inline]
    fn squared_distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let mut sum = 0.0;
        for ((p, q), w) in a.iter().zip(b).zip(&self.inverse_squares) {
            sum += (p - q) * (p - q) * w;
        }
        sum
    }

    /// Prior variance at any point.
    pub(crate) fn at_zero(&self) -> f64 {
        self.signal + self.constant
    }

    /// Fills `out` with the covariances of `point` and each of the rows of `x`.
    pub(crate) fn cross(&self, point: &[f64], x: &[f64], out: &mut [f64]) {
        let d = point.len();
        for (value, other) in out.iter_mut().zip(x.chunks_exact(d)) {
            *value = self.signal * matern(self.squared_distance(point, other)).0 + self.constant;
        }
    }

    /// As [`Self::cross`]; `slopes` gets `-2 s² dk/d(r²)`, from which gradients in `point` follow.
    pub(crate) fn cross_with_slopes(
        &self,
        point: &[f64],
        x: &[f64],
        out: &mut [f64],
        slopes: &mut [f64],
    ) {
        let d = point.len();
        for ((value, slope), other) in out.iter_mut().zip(slopes).zip(x.chunks_exact(d)) {
            let (k, s) = matern(self.squared_distance(point, other));
            *value = self.signal * k + self.constant;
            *slope = self.signal * s;
        }
    }

    /// Adds `Σ_a weights_a dk(point, x_a)/dpoint` to `gradient`.
    pub(crate) fn add_gradient(
        &self,
        point: &[f64],
        x: &[f64],
        slopes: &[f64],
        weights: &[f64],
        gradient: &mut [f64],
    ) {
        let d = point.len();
        for ((other, slope), weight) in x.chunks_exact(d).zip(slopes).zip(weights) {
            let factor = -slope * weight;
            for k in 0..d {
                gradient[k] += factor * (point[k] - other[k]) * self.inverse_squares[k];
            }
        }
    }

    /// Packed lower half of the covariance of the rows of `x`, `noise` added to the diagonal.
    pub(crate) fn covariance(&self, x: &[f64], d: usize, noise: &[f64]) -> Vec<f64> {
        let n = noise.len();
        let mut packed = vec![0.0; n * (n + 1) / 2];
        for i in 0..n {
            let start = super::triangle::row(i);
            self.cross(
                &x[i * d..(i + 1) * d],
                &x[..i * d],
                &mut packed[start..start + i],
            );
            packed[start + i] = self.at_zero() + noise[i];
        }
        packed
    }
}
