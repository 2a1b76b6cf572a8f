//! Numbers the physics is written in: plain `f64`, or a dual number that carries exact derivatives along.
//!
//! Forward-mode differentiation after Wengert, Commun. ACM 7 (1964) 463. The same code computes values and
//! gradients, so the two cannot disagree.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Arithmetic that both plain and dual numbers know.
pub trait Scalar:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// A constant.
    fn of(value: f64) -> Self;
    /// The value without derivatives.
    fn value(self) -> f64;
    /// `f(x)` given the value and the slope of `f` at `x`.
    #[must_use]
    fn chain(self, value: f64, slope: f64) -> Self;

    /// `x + c`.
    #[must_use]
    fn shift(self, c: f64) -> Self {
        self.chain(self.value() + c, 1.0)
    }
    /// `c x`.
    #[must_use]
    fn scale(self, c: f64) -> Self {
        self.chain(self.value() * c, c)
    }
    /// Exponential function.
    #[must_use]
    fn exp(self) -> Self {
        let e = self.value().exp();
        self.chain(e, e)
    }
    /// `exp(x) - 1`, accurate near zero.
    #[must_use]
    fn exp_m1(self) -> Self {
        let e = self.value().exp_m1();
        self.chain(e, e + 1.0)
    }
    /// Natural logarithm.
    #[must_use]
    fn ln(self) -> Self {
        self.chain(self.value().ln(), 1.0 / self.value())
    }
    /// Square root; the slope at zero is taken as zero.
    #[must_use]
    fn sqrt(self) -> Self {
        let root = self.value().sqrt();
        self.chain(root, if root > 0.0 { 0.5 / root } else { 0.0 })
    }
    /// `x^c` for a constant exponent and `x >= 0`; the slope at zero is taken as zero.
    #[must_use]
    fn powc(self, c: f64) -> Self {
        let x = self.value();
        let power = x.powf(c);
        self.chain(power, if x > 0.0 { c * power / x } else { 0.0 })
    }
    /// `x^y` for `x >= 0`.
    #[must_use]
    fn pow(self, y: Self) -> Self {
        if self.value() > 0.0 {
            (self.ln() * y).exp()
        } else {
            Self::of(0.0)
        }
    }
    /// The larger of two; derivatives follow the larger.
    #[must_use]
    fn at_least(self, other: Self) -> Self {
        if self.value() >= other.value() {
            self
        } else {
            other
        }
    }
    /// The smaller of two; derivatives follow the smaller.
    #[must_use]
    fn at_most(self, other: Self) -> Self {
        if self.value() <= other.value() {
            self
        } else {
            other
        }
    }
}

impl Scalar for f64 {
    #[inline]
    fn of(value: f64) -> Self {
        value
    }
    #[inline]
    fn value(self) -> f64 {
        self
    }
    #[inline]
    fn chain(self, value: f64, _slope: f64) -> Self {
        value
    }
    #[inline]
    fn powc(self, c: f64) -> Self {
        self.powf(c)
    }
    #[inline]
    fn pow(self, y: Self) -> Self {
        self.powf(y)
    }
}

/// A value and its derivatives in `N` directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<const N: usize> {
    /// The value.
    pub value: f64,
    /// Its derivatives.
    pub slope: [f64; N],
}

impl<const N: usize> Dual<N> {
    /// The variable of direction `index`.
    ///
    /// # Panics
    /// If there is no such direction.
    #[must_use]
    pub fn variable(value: f64, index: usize) -> Self {
        let mut slope = [0.0; N];
        slope[index] = 1.0;
        Self { value, slope }
    }

    fn zip(self, other: Self, value: f64, mine: f64, theirs: f64) -> Self {
        let mut slope = [0.0; N];
        for (out, (a, b)) in slope.iter_mut().zip(self.slope.iter().zip(&other.slope)) {
            *out = mine * a + theirs * b;
        }
        Self { value, slope }
    }
}

impl<const N: usize> Add for Dual<N> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        self.zip(o, self.value + o.value, 1.0, 1.0)
    }
}
impl<const N: usize> Sub for Dual<N> {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self.zip(o, self.value - o.value, 1.0, -1.0)
    }
}
impl<const N: usize> Mul for Dual<N> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        self.zip(o, self.value * o.value, o.value, self.value)
    }
}
impl<const N: usize> Div for Dual<N> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let ratio = self.value / o.value;
        self.zip(o, ratio, 1.0 / o.value, -ratio / o.value)
    }
}
impl<const N: usize> Neg for Dual<N> {
    type Output = Self;
    fn neg(self) -> Self {
        self.chain(-self.value, -1.0)
    }
}

impl<const N: usize> Scalar for Dual<N> {
    fn of(value: f64) -> Self {
        Self {
            value,
            slope: [0.0; N],
        }
    }
    fn value(self) -> f64 {
        self.value
    }
    fn chain(self, value: f64, slope: f64) -> Self {
        Self {
            value,
            slope: self.slope.map(|s| s * slope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tangle<S: Scalar>(x: S, y: S) -> S {
        (x.pow(y) + x.ln() * y.sqrt() - x / y).exp_m1() + (-y).exp() * x.powc(2.5).scale(0.1)
    }

    #[test]
    fn dual_numbers_agree_with_central_differences() {
        let (x, y, h) = (0.7, 1.3, 1e-6);
        let exact = tangle(Dual::<2>::variable(x, 0), Dual::variable(y, 1));
        assert!((exact.value - tangle(x, y)).abs() < 1e-14);
        let by_x = (tangle(x + h, y) - tangle(x - h, y)) / (2.0 * h);
        let by_y = (tangle(x, y + h) - tangle(x, y - h)) / (2.0 * h);
        assert!((exact.slope[0] - by_x).abs() < 1e-8 * by_x.abs().max(1.0));
        assert!((exact.slope[1] - by_y).abs() < 1e-8 * by_y.abs().max(1.0));
    }
}
