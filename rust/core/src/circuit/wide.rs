//! Complex numbers side by side, written so that compilers turn each operation into vector instructions.
//!
//! Used where an element needs a power of the frequency at every point: by far most of the time of a fit.

use super::complex::Complex;
use crate::lanes::{self, WIDTH};
use std::ops::Range;

/// [`WIDTH`] complex numbers.
#[derive(Clone, Copy)]
pub(crate) struct Wide {
    re: [f64; WIDTH],
    im: [f64; WIDTH],
}

impl Wide {
    #[inline(always)]
    fn each(f: impl Fn(usize) -> (f64, f64)) -> Self {
        let (mut re, mut im) = ([0.0; WIDTH], [0.0; WIDTH]);
        for (k, (re, im)) in re.iter_mut().zip(&mut im).enumerate() {
            (*re, *im) = f(k);
        }
        Self { re, im }
    }

    /// The same real part plus real numbers, one imaginary part for all.
    #[inline(always)]
    pub fn with_imaginary(re: &[f64; WIDTH], im: f64) -> Self {
        Self::each(|k| (re[k], im))
    }

    /// One complex number times real numbers.
    #[inline(always)]
    pub fn along(direction: Complex, size: &[f64; WIDTH]) -> Self {
        Self::each(|k| (direction.re * size[k], direction.im * size[k]))
    }

    /// 1/(1 + z).
    #[inline(always)]
    pub fn one_over_one_plus(self) -> Self {
        Self::each(|k| {
            let re = 1.0 + self.re[k];
            let scale = 1.0 / (re * re + self.im[k] * self.im[k]);
            (re * scale, -self.im[k] * scale)
        })
    }

    /// Times real numbers that are all the same.
    #[inline(always)]
    pub fn scale(self, factor: f64) -> Self {
        Self::each(|k| (self.re[k] * factor, self.im[k] * factor))
    }

    /// Product.
    #[inline(always)]
    pub fn times(self, o: Self) -> Self {
        Self::each(|k| {
            (
                self.re[k] * o.re[k] - self.im[k] * o.im[k],
                self.re[k] * o.im[k] + self.im[k] * o.re[k],
            )
        })
    }

    /// Difference.
    #[inline(always)]
    pub fn minus(self, o: Self) -> Self {
        Self::each(|k| (self.re[k] - o.re[k], self.im[k] - o.im[k]))
    }

    /// Writes as many as there is room for.
    #[inline(always)]
    pub fn store(&self, to: &mut [Complex]) {
        if let Ok(whole) = <&mut [Complex; WIDTH]>::try_from(&mut *to) {
            for (k, z) in whole.iter_mut().enumerate() {
                *z = Complex::new(self.re[k], self.im[k]);
            }
            return;
        }
        for (k, z) in to.iter_mut().enumerate() {
            *z = Complex::new(self.re[k], self.im[k]);
        }
    }
}

/// Calls `each` with the range of every block of points, their x = ln ω + `shift` and their e^(n x); compiled for the
/// vector units of this machine, the arithmetic is the same on all.
pub(crate) fn powers(
    n: f64,
    shift: f64,
    ln_omega: &[f64],
    each: impl FnMut(Range<usize>, &[f64; WIDTH], &[f64; WIDTH]),
) {
    pulp::Arch::new().dispatch(Powers {
        n,
        shift,
        ln_omega,
        each,
    });
}

/// Arguments of [`powers`], to be inlined as a whole where vector units are known.
struct Powers<'a, F> {
    n: f64,
    shift: f64,
    ln_omega: &'a [f64],
    each: F,
}

impl<F: FnMut(Range<usize>, &[f64; WIDTH], &[f64; WIDTH])> pulp::WithSimd for Powers<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) {
        for (block, row) in self.ln_omega.chunks(WIDTH).enumerate() {
            let mut ln_x = [self.shift; WIDTH];
            for (x, ln_w) in ln_x.iter_mut().zip(row) {
                *x += ln_w;
            }
            let mut power = [0.0; WIDTH];
            for (power, x) in power.iter_mut().zip(&ln_x) {
                *power = lanes::exp(self.n * x);
            }
            let first = block * WIDTH;
            (self.each)(first..first + row.len(), &ln_x, &power);
        }
    }
}
