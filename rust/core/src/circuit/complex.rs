//! Complex numbers: just what the element formulas need.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A complex number in Cartesian form.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Complex {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

impl Complex {
    /// One.
    pub const ONE: Self = Self { re: 1.0, im: 0.0 };
    /// Nought.
    pub const ZERO: Self = Self { re: 0.0, im: 0.0 };

    /// From its parts.
    #[must_use]
    pub const fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }

    /// From modulus and angle in radians.
    #[must_use]
    pub fn polar(modulus: f64, angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self::new(modulus * cos, modulus * sin)
    }

    /// Squared modulus.
    #[must_use]
    pub fn norm_sqr(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    /// Modulus.
    #[must_use]
    pub fn norm(self) -> f64 {
        self.re.hypot(self.im)
    }

    /// Angle, -π to π.
    #[must_use]
    pub fn arg(self) -> f64 {
        self.im.atan2(self.re)
    }

    /// Principal square root.
    #[must_use]
    pub fn sqrt(self) -> Self {
        Self::polar(self.norm().sqrt(), 0.5 * self.arg())
    }

    /// e to this power.
    #[must_use]
    pub fn exp(self) -> Self {
        Self::polar(self.re.exp(), self.im)
    }

    /// 1/z.
    #[must_use]
    pub fn recip(self) -> Self {
        let scale = 1.0 / self.norm_sqr();
        Self::new(self.re * scale, -self.im * scale)
    }

    /// Times a real number.
    #[must_use]
    pub fn scale(self, factor: f64) -> Self {
        Self::new(self.re * factor, self.im * factor)
    }

    /// Both parts are numbers.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.re.is_finite() && self.im.is_finite()
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.re + other.re, self.im + other.im)
    }
}

impl AddAssign for Complex {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.re - other.re, self.im - other.im)
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self::new(
            self.re * other.re - self.im * other.im,
            self.re * other.im + self.im * other.re,
        )
    }
}

#[allow(clippy::suspicious_arithmetic_impl)]
impl Div for Complex {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        self * other.recip()
    }
}

impl Neg for Complex {
    type Output = Self;
    fn neg(self) -> Self {
        Self::new(-self.re, -self.im)
    }
}
