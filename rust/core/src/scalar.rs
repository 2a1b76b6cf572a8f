//! Numbers the physics is written in: plain `f64`, dual numbers that carry exact derivatives along, and lanes that
//! evaluate several protocols at once.
//!
//! The same code computes values, gradients and batches, so they cannot disagree. For that it may not branch on a
//! number: it compares to a mask and chooses. Forward-mode differentiation after Wengert, Commun. ACM 7 (1964) 463.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::error_function;

/// Arithmetic that plain numbers, dual numbers and lanes know.
pub trait Scalar:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Outcome of a comparison.
    type Mask: Copy;

    /// A constant.
    fn of(value: f64) -> Self;
    /// Where `self > other`.
    fn above(self, other: Self) -> Self::Mask;
    /// `yes` where the mask holds, `no` elsewhere; what is not chosen may be infinite or NaN.
    #[must_use]
    fn choose(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// `x + c`.
    #[must_use]
    fn shift(self, c: f64) -> Self;
    /// `c x`.
    #[must_use]
    fn scale(self, c: f64) -> Self;
    /// Exponential function.
    #[must_use]
    fn exp(self) -> Self;
    /// `exp(x) - 1`, accurate near zero.
    #[must_use]
    fn exp_m1(self) -> Self;
    /// Natural logarithm of a positive number.
    #[must_use]
    fn ln(self) -> Self;
    /// Square root; the slope at zero is taken as zero.
    #[must_use]
    fn sqrt(self) -> Self;
    /// `x^y` for `x >= 0`; 0 at `x = 0`, where slopes are taken as zero.
    #[must_use]
    fn pow(self, y: Self) -> Self;
    /// Error function of a number that is not negative.
    #[must_use]
    fn erf(self) -> Self;

    /// The larger of two; derivatives follow the larger.
    #[inline(always)]
    #[must_use]
    fn at_least(self, other: Self) -> Self {
        Self::choose(other.above(self), other, self)
    }
    /// The smaller of two; derivatives follow the smaller.
    #[inline(always)]
    #[must_use]
    fn at_most(self, other: Self) -> Self {
        Self::choose(self.above(other), other, self)
    }
    /// Distance from zero.
    #[inline(always)]
    #[must_use]
    fn abs(self) -> Self {
        Self::choose(Self::of(0.0).above(self), -self, self)
    }
    /// `1 - x`.
    #[inline(always)]
    #[must_use]
    fn complement(self) -> Self {
        (-self).shift(1.0)
    }
}

/// A number of one protocol, on which iterations may branch.
pub trait Single: Scalar {
    /// The value without derivatives.
    fn value(self) -> f64;
}

impl Scalar for f64 {
    type Mask = bool;

    fn of(value: f64) -> Self {
        value
    }
    fn above(self, other: Self) -> bool {
        self > other
    }
    fn choose(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }
    fn shift(self, c: f64) -> Self {
        self + c
    }
    fn scale(self, c: f64) -> Self {
        self * c
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn exp_m1(self) -> Self {
        self.exp_m1()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn pow(self, y: Self) -> Self {
        if self > 0.0 { self.powf(y) } else { 0.0 }
    }
    fn erf(self) -> Self {
        error_function::erf(self)
    }
}

impl Single for f64 {
    fn value(self) -> f64 {
        self
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
    /// The variable of direction `index`; a constant where there is no such direction.
    #[must_use]
    pub fn variable(value: f64, index: usize) -> Self {
        let mut slope = [0.0; N];
        if let Some(place) = slope.get_mut(index) {
            *place = 1.0;
        }
        Self { value, slope }
    }

    fn zip(self, other: Self, value: f64, mine: f64, theirs: f64) -> Self {
        let mut slope = [0.0; N];
        for (out, (a, b)) in slope.iter_mut().zip(self.slope.iter().zip(&other.slope)) {
            *out = mine * a + theirs * b;
        }
        Self { value, slope }
    }

    /// `f(x)` given the value and the slope of `f` at `x`.
    fn chain(self, value: f64, slope: f64) -> Self {
        Self {
            value,
            slope: self.slope.map(|s| s * slope),
        }
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
    type Mask = bool;

    fn of(value: f64) -> Self {
        Self {
            value,
            slope: [0.0; N],
        }
    }
    fn above(self, other: Self) -> bool {
        self.value > other.value
    }
    fn choose(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }
    fn shift(self, c: f64) -> Self {
        self.chain(self.value + c, 1.0)
    }
    fn scale(self, c: f64) -> Self {
        self.chain(self.value * c, c)
    }
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e)
    }
    fn exp_m1(self) -> Self {
        let e = self.value.exp_m1();
        self.chain(e, e + 1.0)
    }
    fn ln(self) -> Self {
        self.chain(self.value.ln(), 1.0 / self.value)
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.chain(root, if root > 0.0 { 0.5 / root } else { 0.0 })
    }
    fn pow(self, y: Self) -> Self {
        if self.value > 0.0 {
            let power = self.value.powf(y.value);
            self.zip(
                y,
                power,
                y.value * power / self.value,
                power * self.value.ln(),
            )
        } else {
            Self::of(0.0)
        }
    }
    fn erf(self) -> Self {
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-self.value * self.value).exp();
        self.chain(error_function::erf(self.value), slope)
    }
}

impl<const N: usize> Single for Dual<N> {
    fn value(self) -> f64 {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tangle<S: Scalar>(x: S, y: S) -> S {
        (x.pow(y) + x.ln() * y.sqrt() - x / y).exp_m1()
            + (-y).exp() * x.pow(S::of(2.5)).scale(0.1)
            + (x - y).abs() * x.complement()
            + (x * y).erf()
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

    #[test]
    fn what_is_not_chosen_leaves_no_trace_in_values_or_slopes() {
        let bad = Dual::<1>::variable(0.0, 0) / Dual::of(0.0);
        let good = Dual::<1>::variable(2.0, 0);
        assert_eq!(Dual::choose(good.above(Dual::of(1.0)), good, bad), good);
        assert_eq!(Dual::<1>::of(0.0).pow(good), Dual::of(0.0));
    }
}
