//! The error function, to the last places: Cody, Math. Comput. 23 (1969) 631, rational minimax approximations on three
//! intervals.

/// End of the first interval.
const SMALL: f64 = 0.46875;

/// `erf(t)` for `t >= 0`, accurate near zero.
#[must_use]
pub fn erf(t: f64) -> f64 {
    if t <= SMALL {
        small(t)
    } else {
        1.0 - erfcx(t) * (-t * t).exp()
    }
}

/// `exp(t²) erfc(t)` for `t >= 0`.
#[must_use]
pub fn erfcx(t: f64) -> f64 {
    if t <= SMALL {
        return (t * t).exp() * (1.0 - small(t));
    }
    if t <= 4.0 {
        let mut top = 2.153_115_354_744_038_5e-8 * t;
        let mut bottom = t;
        for (a, b) in MIDDLE_TOP[..7].iter().zip(&MIDDLE_BOTTOM[..7]) {
            top = (top + a) * t;
            bottom = (bottom + b) * t;
        }
        return (top + MIDDLE_TOP[7]) / (bottom + MIDDLE_BOTTOM[7]);
    }
    let y = 1.0 / (t * t);
    let mut top = 1.631_538_713_730_209_8e-2 * y;
    let mut bottom = y;
    for (a, b) in LARGE_TOP[..4].iter().zip(&LARGE_BOTTOM[..4]) {
        top = (top + a) * y;
        bottom = (bottom + b) * y;
    }
    let tail = y * (top + LARGE_TOP[4]) / (bottom + LARGE_BOTTOM[4]);
    (1.0 / std::f64::consts::PI.sqrt() - tail) / t
}

/// `erf(t)` on the first interval.
fn small(t: f64) -> f64 {
    let y = t * t;
    let mut top = 1.857_777_061_846_031_5e-1 * y;
    let mut bottom = y;
    for (a, b) in SMALL_TOP[..3].iter().zip(&SMALL_BOTTOM[..3]) {
        top = (top + a) * y;
        bottom = (bottom + b) * y;
    }
    t * (top + SMALL_TOP[3]) / (bottom + SMALL_BOTTOM[3])
}

const SMALL_TOP: [f64; 4] = [
    3.161_123_743_870_565_6,
    1.138_641_541_510_501_6e2,
    3.774_852_376_853_02e2,
    3.209_377_589_138_469_5e3,
];
const SMALL_BOTTOM: [f64; 4] = [
    2.360_129_095_234_412_1e1,
    2.440_246_379_344_441_7e2,
    1.282_616_526_077_372_3e3,
    2.844_236_833_439_171e3,
];
const MIDDLE_TOP: [f64; 8] = [
    5.641_884_969_886_701e-1,
    8.883_149_794_388_375,
    6.611_919_063_714_163e1,
    2.986_351_381_974_001e2,
    8.819_522_212_417_69e2,
    1.712_047_612_634_070_6e3,
    2.051_078_377_826_071_5e3,
    1.230_339_354_797_997_2e3,
];
const MIDDLE_BOTTOM: [f64; 8] = [
    1.574_492_611_070_983_5e1,
    1.176_939_508_913_125e2,
    5.371_811_018_620_099e2,
    1.621_389_574_566_690_2e3,
    3.290_799_235_733_459_6e3,
    4.362_619_090_143_247e3,
    3.439_367_674_143_721_6e3,
    1.230_339_354_803_749_4e3,
];
const LARGE_TOP: [f64; 5] = [
    3.053_266_349_612_323_4e-1,
    3.603_448_999_498_044_4e-1,
    1.257_817_261_112_292_5e-1,
    1.608_378_514_874_228e-2,
    6.587_491_615_298_378e-4,
];
const LARGE_BOTTOM: [f64; 5] = [
    2.568_520_192_289_822,
    1.872_952_849_923_467_3,
    5.279_051_029_514_284e-1,
    6.051_834_131_244_132e-2,
    2.335_204_976_268_691_8e-3,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_agree_with_tables() {
        // Abramowitz and Stegun, table 7.1, and mpmath.
        for (t, expected) in [
            (0.0, 0.0),
            (1e-9, 1.128_379_167_095_512_6e-9),
            (0.3, 0.328_626_759_459_127_4),
            (0.468_75, 0.492_613_473_217_938),
            (0.5, 0.520_499_877_813_046_5),
            (2.0, 0.995_322_265_018_952_7),
            (6.0, 1.0),
        ] {
            assert!(
                (erf(t) - expected).abs() <= 2e-15 * expected.max(1e-300),
                "{t}: {}",
                erf(t)
            );
        }
        assert!((erfcx(0.0) - 1.0).abs() < 1e-15);
        assert!((erfcx(1.0) - 0.427_583_576_155_807).abs() < 1e-14);
    }
}
