//! Promises of the circuit module that need no Python.

use pressopt_core::circuit::complex::Complex;
use pressopt_core::circuit::{
    Circuit, CircuitError, Problem, Spectrum, check_consistency, fit, fit_from, z_hit,
};

fn frequencies(high: f64, low: f64, points: usize) -> Vec<f64> {
    (0..points)
        .map(|k| high * (low / high).powf(k as f64 / (points - 1) as f64))
        .collect()
}

fn spectrum(frequency_hz: &[f64], z: &[Complex]) -> Spectrum {
    let re: Vec<f64> = z.iter().map(|z| z.re).collect();
    let im: Vec<f64> = z.iter().map(|z| z.im).collect();
    let weight: Vec<f64> = z.iter().map(|z| 1.0 / z.norm()).collect();
    Spectrum::new(frequency_hz, &re, &im, &weight, &weight).expect("a good spectrum")
}

/// Repeatable noise without a generator: two irrational rotations.
fn noisy(z: &[Complex], share: f64) -> Vec<Complex> {
    z.iter()
        .enumerate()
        .map(|(k, z)| {
            let a = ((k as f64 * 0.754_877_666).fract() - 0.5) * 3.46 * share * z.norm();
            let b = ((k as f64 * 0.569_840_291).fract() - 0.5) * 3.46 * share * z.norm();
            Complex::new(z.re + a, z.im + b)
        })
        .collect()
}

#[test]
fn every_slope_is_that_of_a_finite_difference() {
    let cases = [
        ("R0", vec![30.0]),
        ("C0", vec![1e-6]),
        ("L0", vec![3e-7]),
        ("CPE0", vec![2e-6, 0.8]),
        ("W0", vec![12.0]),
        ("Wo0", vec![55.0, 3e-4]),
        ("Ws0", vec![55.0, 3e-4]),
        ("G0", vec![55.0, 3e-4]),
        ("ZARC0", vec![55.0, 4e-7, 0.8]),
        ("TL0", vec![55.0, 2e-6, 0.8]),
        ("p(R0,C0)-p(R0,C1)", vec![30.0, 1e-6, 1e-4]),
        ("p(C0,R0-p(L0,W0))", vec![1e-6, 30.0, 3e-3, 12.0]),
    ];
    for (text, values) in cases {
        let circuit = Circuit::parse(text).expect(text);
        for f in frequencies(1e6, 1e-2, 17) {
            let (z, slope) = circuit.jacobian(&values, &[f]).expect(text);
            for i in 0..values.len() {
                let step = 1e-6 * values[i];
                let (mut up, mut down) = (values.clone(), values.clone());
                up[i] += step;
                down[i] -= step;
                let (up, down) = (
                    circuit.impedance(&up, &[f]).expect(text),
                    circuit.impedance(&down, &[f]).expect(text),
                );
                let numeric = (up[0] - down[0]).scale(1.0 / (2.0 * step));
                let off = (numeric - slope[i]).norm() * values[i] / z[0].norm();
                assert!(
                    off < 1e-6,
                    "{text} by parameter {i} at {f} Hz: off by {off}"
                );
            }
        }
    }
}

#[test]
fn refusals_name_the_place() {
    for (text, says) in [
        ("R0-", "position 4"),
        ("p(R0)", "two branches"),
        ("X", "'X' at position 1"),
    ] {
        match Circuit::parse(text) {
            Err(CircuitError::Notation(message)) => assert!(message.contains(says), "{message}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_clean_spectrum_is_fitted_exactly_without_a_guess() {
    let f = frequencies(1e6, 0.1, 60);
    let circuit = Circuit::parse("R0-p(R1,CPE1)-p(R2,CPE2)-CPE3").expect("circuit");
    let truth = [10.0, 50.0, 2e-8, 0.95, 120.0, 5e-6, 0.85, 2e-3, 0.8];
    let z = circuit.impedance(&truth, &f).expect("impedance");
    let found = fit(
        &Problem::new(circuit),
        &spectrum(&f, &z),
        &[f64::NAN; 9],
        24,
    )
    .expect("fit");
    for (value, true_value) in found.values.iter().zip(truth) {
        assert!(
            (value / true_value - 1.0).abs() < 1e-4,
            "{value} for {true_value}"
        );
    }
}

#[test]
fn a_clean_spectrum_obeys_kramers_and_kronig_and_a_drifting_one_does_not() {
    let f = frequencies(1e6, 1.0, 61);
    let circuit = Circuit::parse("R0-p(R1,CPE1)").expect("circuit");
    let z = noisy(
        &circuit
            .impedance(&[20.0, 80.0, 1e-6, 0.9], &f)
            .expect("impedance"),
        0.005,
    );
    let clock: Vec<f64> = (0..61).map(|k| k as f64 / 60.0).collect();
    let clean =
        check_consistency(&spectrum(&f, &z), 2.5, std::slice::from_ref(&clock)).expect("check");
    assert!((0.003..0.008).contains(&clean.noise), "{}", clean.noise);
    assert!(clean.drift[0].0.abs() < 0.05);
    let drifting: Vec<Complex> = z
        .iter()
        .zip(&clock)
        .map(|(z, t)| z.scale(1.0 + 0.15 * t))
        .collect();
    let found = check_consistency(&spectrum(&f, &drifting), 2.5, &[clock])
        .expect("check")
        .drift[0];
    assert!(
        (found.0 - 0.13).abs() < 4.0 * found.1 && found.0 > 5.0 * found.1,
        "{found:?}"
    );
}

#[test]
fn z_hit_rebuilds_the_modulus_of_a_smooth_spectrum() {
    let f = frequencies(1e6, 1.0, 61);
    let circuit = Circuit::parse("R0-p(R1,CPE1)").expect("circuit");
    let z = circuit
        .impedance(&[20.0, 80.0, 1e-6, 0.9], &f)
        .expect("impedance");
    let residual = z_hit(&spectrum(&f, &z), 9).expect("z-hit");
    assert!(residual.iter().all(|r| r.abs() < 0.02), "{residual:?}");
}

#[test]
fn what_cannot_be_used_is_refused_and_never_panics() {
    let one = [1.0];
    assert!(Spectrum::new(&[], &[], &[], &[], &[]).is_err());
    assert!(Spectrum::new(&[0.0], &one, &one, &one, &one).is_err());
    assert!(Spectrum::new(&[f64::NAN], &one, &one, &one, &one).is_err());
    assert!(Spectrum::new(&one, &[f64::NAN], &one, &one, &one).is_err());
    assert!(Spectrum::new(&one, &one, &one, &[f64::INFINITY], &one).is_err());
    assert!(Spectrum::new(&one, &one, &[], &one, &one).is_err());
    let same = spectrum(&[5.0; 8], &[Complex::new(-3.0, 2.0); 8]);
    assert!(check_consistency(&same, 2.5, &[]).is_err());
    assert!(z_hit(&same, 7).is_err());
    let circuit = Circuit::parse("R0-p(R1,CPE1)-W1").expect("circuit");
    let problem = Problem::new(circuit);
    let found = fit(&problem, &same, &[f64::NAN; 5], 4).expect("a fit of nonsense is still a fit");
    assert!(found.values.iter().all(|v| v.is_finite()));
    assert!(fit_from(&problem, &same, &[1.0; 4]).is_err());
    assert!(fit_from(&problem, &same, &[1.0, -1.0, 1.0, 1.0, 1.0]).is_err());
    let mut problem = problem;
    assert!(problem.bound(0, 2.0, 1.0).is_err());
    assert!(problem.bound(9, 1.0, 2.0).is_err());
    assert!(problem.prior(0, f64::NAN, 1.0).is_err());
}
