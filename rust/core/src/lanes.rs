//! Several protocols evaluated side by side: a [`Scalar`] of [`WIDTH`] numbers, written so that compilers turn each
//! operation into vector instructions of whatever width the machine has.
//!
//! `exp` and `ln` are the usual argument reductions with polynomials (Tang, ACM Trans. Math. Softw. 15 (1989) 144; the
//! coefficients of `ln` are those of fdlibm, Sun Microsystems 1993), good to 2 units in the last place, without
//! branches and without tables. They are built on fused multiply-adds, which round once on every machine: an instruction on
//! processors since 2013 (and slow, with the same bits, before). Every lane is computed on its own: what stands beside it
//! changes no bit of it.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::scalar::Scalar;

/// Protocols side by side.
pub const WIDTH: usize = 8;

/// [`WIDTH`] numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanes(pub [f64; WIDTH]);

/// One mask of all bits or none for each lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneMask([u64; WIDTH]);

impl Lanes {
    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let mut out = self.0;
        for x in &mut out {
            *x = f(*x);
        }
        Self(out)
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let mut out = self.0;
        for (x, y) in out.iter_mut().zip(other.0) {
            *x = f(*x, y);
        }
        Self(out)
    }
}

macro_rules! lanewise {
    ($($trait:ident $method:ident $op:tt),*) => {$(
        impl $trait for Lanes {
            type Output = Self;
            #[inline(always)]
            fn $method(self, o: Self) -> Self {
                self.zip(o, |x, y| x $op y)
            }
        }
    )*};
}
lanewise!(Add add +, Sub sub -, Mul mul *, Div div /);

impl Neg for Lanes {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|x| -x)
    }
}

/// Beyond these, `exp` is as good as nothing or everything; it stays finite and above zero.
const EXP_RANGE: (f64, f64) = (-708.0, 709.0);
/// `1.5 * 2^52`: adding it rounds to an integer, which then stands in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// `ln 2` in two parts, the first with trailing zeros (fdlibm).
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `exp` of one number, branch-free.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let x = if x > EXP_RANGE.0 { x } else { EXP_RANGE.0 };
    let x = if x < EXP_RANGE.1 { x } else { EXP_RANGE.1 };
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = k.mul_add(-LN2_LOW, k.mul_add(-LN2_HIGH, x));
    let power = f64::from_bits((shifted.to_bits().wrapping_add(1023)) << 52);
    power.mul_add(exp_m1_near_zero(r), power)
}

/// Taylor series of `exp(r) - 1` for `|r| <= ln 2 / 2`: the first term left out is below 3e-18.
///
/// In pairs and pairs of pairs (Estrin), so that the multiply-adds need not wait for each other.
#[inline(always)]
fn exp_m1_near_zero(r: f64) -> f64 {
    let r2 = r * r;
    let r4 = r2 * r2;
    let pair = |low: f64, high: f64| r.mul_add(1.0 / high, 1.0 / low);
    let first = r2.mul_add(pair(24.0, 120.0), pair(2.0, 6.0));
    let second = r2.mul_add(pair(40_320.0, 362_880.0), pair(720.0, 5_040.0));
    let third = r2.mul_add(
        pair(479_001_600.0, 6_227_020_800.0),
        pair(3_628_800.0, 39_916_800.0),
    );
    let sum = (r4 * r4).mul_add(third, r4.mul_add(second, first));
    r2.mul_add(sum, r)
}

/// `exp(x) - 1` of one number, branch-free.
#[inline(always)]
fn exp_m1(x: f64) -> f64 {
    let far = exp(x) - 1.0;
    let near = exp_m1_near_zero(x);
    if x.abs() < 0.34 { near } else { far }
}

/// `ln` of one positive, normal number, branch-free.
#[inline(always)]
fn ln(x: f64) -> f64 {
    // Mantissa in [1/sqrt(2), sqrt(2)), exponent as an integer; both by bits.
    const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE_BITS: u64 = 0x3ff0_0000_0000_0000;
    let bits = x.to_bits().wrapping_add(ONE_BITS - SQRT_HALF_BITS);
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + SQRT_HALF_BITS);
    // The biased exponent in the low bits of 2^52, minus 2^52 and the bias.
    let k =
        f64::from_bits((bits >> 52) | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let t1 = w * w
        .mul_add(0.153_138_376_992_093_73, 0.222_221_984_321_497_84)
        .mul_add(w, 0.399_999_999_994_094_2);
    let t2 = z * w
        .mul_add(0.147_981_986_051_165_86, 0.181_835_721_616_180_5)
        .mul_add(w, 0.285_714_287_436_623_9)
        .mul_add(w, 0.666_666_666_666_673_5);
    let half = 0.5 * f * f;
    let tail = s.mul_add(half + (t1 + t2), k * LN2_LOW);
    k.mul_add(LN2_HIGH, f - (half - tail))
}

impl Scalar for Lanes {
    type Mask = LaneMask;

    #[inline(always)]
    fn of(value: f64) -> Self {
        Self([value; WIDTH])
    }
    #[inline(always)]
    fn above(self, other: Self) -> LaneMask {
        let mut mask = [0; WIDTH];
        for (m, (x, y)) in mask.iter_mut().zip(self.0.iter().zip(other.0)) {
            *m = if *x > y { u64::MAX } else { 0 };
        }
        LaneMask(mask)
    }
    #[inline(always)]
    fn choose(mask: LaneMask, yes: Self, no: Self) -> Self {
        let mut out = no.0;
        for ((o, y), m) in out.iter_mut().zip(yes.0).zip(mask.0) {
            *o = f64::from_bits((y.to_bits() & m) | (o.to_bits() & !m));
        }
        Self(out)
    }
    #[inline(always)]
    fn shift(self, c: f64) -> Self {
        self.map(|x| x + c)
    }
    #[inline(always)]
    fn scale(self, c: f64) -> Self {
        self.map(|x| x * c)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        self.map(exp)
    }
    #[inline(always)]
    fn exp_m1(self) -> Self {
        self.map(exp_m1)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.map(ln)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f64::sqrt)
    }
    #[inline(always)]
    fn erf(self) -> Self {
        self.map(crate::error_function::erf)
    }
    #[inline(always)]
    fn pow(self, y: Self) -> Self {
        let power = (self.ln() * y).exp();
        Self::choose(
            self.above(Self::of(f64::MIN_POSITIVE)),
            power,
            Self::of(0.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest error in units of the last place, over many numbers.
    fn worst(range: (f64, f64), ours: fn(f64) -> f64, exact: fn(f64) -> f64) -> f64 {
        (0..200_000)
            .map(|i| {
                let x = range.0 + (range.1 - range.0) * f64::from(i) / 199_999.0;
                let right = exact(x);
                (ours(x) - right).abs() / (right.abs() * f64::EPSILON).max(f64::MIN_POSITIVE)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn functions_agree_with_the_library_to_the_last_places() {
        assert!(worst((-700.0, 700.0), exp, f64::exp) < 2.0);
        assert!(worst((-1.0, 1.0), exp, f64::exp) < 2.0);
        assert!(worst((-0.9, 0.9), exp_m1, f64::exp_m1) < 4.0);
        assert!(worst((-40.0, 40.0), exp_m1, f64::exp_m1) < 4.0);
        assert!(worst((1e-300, 1e-290), ln, f64::ln) < 2.0);
        assert!(worst((0.5, 2.0), ln, f64::ln) < 2.0);
        assert!(worst((1.0, 1e6), ln, f64::ln) < 2.0);
        assert!((exp_m1(1e-300) - 1e-300).abs() < 1e-315);
    }

    #[test]
    fn ends_of_the_range_stay_finite() {
        assert!(exp(-1e9) > 0.0 && exp(-1e9) < 1e-300);
        assert!(exp(1e9).is_finite() && exp(1e9) > 1e300);
        assert_eq!(Lanes::of(0.0).pow(Lanes::of(-6.0)), Lanes::of(0.0));
    }

    #[test]
    fn lanes_do_not_see_each_other() {
        let mixed = Lanes([0.1, 2.0, f64::NAN, 0.0, 1e300, 5.0, f64::INFINITY, 3.0]);
        for (i, x) in mixed.0.into_iter().enumerate() {
            let alone = Lanes::of(x).exp_m1().0[0];
            assert_eq!(mixed.exp_m1().0[i].to_bits(), alone.to_bits());
        }
        let chosen = Lanes::choose(mixed.above(Lanes::of(1.0)), mixed, Lanes::of(-1.0));
        assert_eq!(
            chosen.0,
            [-1.0, 2.0, -1.0, -1.0, 1e300, 5.0, f64::INFINITY, 3.0]
        );
    }
}
