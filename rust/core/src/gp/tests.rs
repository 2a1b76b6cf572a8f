//! Gradients against finite differences, growth against refitting, and data that no model likes.

use super::*;
use crate::acquisition::{Acquisition, Constraint, Front, Goal};

fn halton(index: usize, base: usize) -> f64 {
    let (mut i, mut fraction, mut value) = (index + 1, 1.0, 0.0);
    while i > 0 {
        fraction /= base as f64;
        value += fraction * (i % base) as f64;
        i /= base;
    }
    value
}

fn points(n: usize, d: usize) -> Vec<f64> {
    (0..n)
        .flat_map(|i| (0..d).map(move |k| halton(i, [2, 3, 5, 7][k])))
        .collect()
}

fn wave(x: &[f64], d: usize, shift: f64) -> Vec<f64> {
    x.chunks_exact(d)
        .map(|p| {
            p.iter()
                .enumerate()
                .map(|(k, v)| (3.0 * v + shift + k as f64).sin())
                .sum()
        })
        .collect()
}

fn example(n: usize, members: usize) -> Training {
    let x = points(n, 3);
    let residuals = (0..members).map(|j| wave(&x, 3, 0.4 * j as f64)).collect();
    Training::new(
        x,
        3,
        residuals,
        vec![0.0; members],
        (0..n).map(|a| 0.01 * (a % 3) as f64).collect(),
    )
    .unwrap()
}

fn parameters() -> Parameters {
    Parameters {
        length_scales: vec![0.4, 0.7, 1.1],
        signal_variance: 1.3,
        noise_variance: 0.02,
        shared_variance: 0.0,
    }
}

#[test]
fn evidence_gradient_is_its_finite_difference() {
    for members in [1, 4] {
        let training = example(17, members);
        let (_, gradient) = log_evidence(&training, &parameters(), 0.5).unwrap();
        let at = |k: usize, shift: f64| {
            let mut p = parameters();
            match k {
                3 => p.signal_variance *= shift.exp(),
                4 => p.noise_variance *= shift.exp(),
                k => p.length_scales[k] *= shift.exp(),
            }
            log_evidence(&training, &p, 0.5).unwrap().0
        };
        for (k, slope) in gradient.iter().enumerate() {
            let h = 1e-4;
            let difference =
                (8.0 * (at(k, h) - at(k, -h)) - (at(k, 2.0 * h) - at(k, -2.0 * h))) / (12.0 * h);
            assert!(
                (slope - difference).abs() < 1e-8 * slope.abs().max(1.0),
                "{k}: {slope} {difference}"
            );
        }
    }
}

#[test]
fn every_acquisition_has_the_gradient_of_its_value() {
    let training = example(15, 1);
    let gp = Gp::with_parameters(&training, parameters(), 0.5).unwrap();
    let other = Gp::with_parameters(
        &example(15, 1),
        Parameters {
            length_scales: vec![0.9; 3],
            ..parameters()
        },
        0.1,
    )
    .unwrap();
    let success: Vec<bool> = (0..15).map(|a| a % 4 != 0).collect();
    let classifier = Classifier::fit(training.x.clone(), 3, &success).unwrap();
    let front = Front::new(&[[0.1, 0.9], [0.5, 0.2], [0.9, -0.3]], [2.0, 2.0]);
    let goals = [
        Goal::Improvement {
            best: -0.4,
            rival: None,
        },
        Goal::Improvement {
            best: -9.0,
            rival: None,
        },
        Goal::Improvement {
            best: -0.4,
            rival: gp.contrast(&training.x[6..9]),
        },
        Goal::Hypervolume(front),
        Goal::Answer {
            caution: 0.7,
            log_probabilities: vec![0.0, 0.0],
        },
    ];
    for goal in goals {
        let acquisition = Acquisition {
            objectives: vec![&gp, &other],
            goal,
            constraints: vec![Constraint {
                model: &other,
                low: -0.5,
                high: 0.3,
            }],
            success: Some(&classifier),
        };
        let point = [0.31, 0.62, 0.44];
        let mut gradient = [0.0; 3];
        let value = acquisition.value(&point, Some(&mut gradient));
        let alone = acquisition.value(&point, None);
        assert!(
            (value - alone).abs() < 1e-11 * value.abs().max(1.0),
            "{:?}: {value} {alone}",
            acquisition.goal
        );
        for k in 0..3 {
            let at = |shift: f64| {
                let mut p = point;
                p[k] += shift;
                acquisition.value(&p, None)
            };
            let h = 1e-3;
            let difference = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
            assert!(
                (gradient[k] - difference).abs() < 1e-7 * gradient[k].abs().max(1.0),
                "{:?} {k}: {} {difference}",
                acquisition.goal,
                gradient[k]
            );
        }
    }
}

#[test]
fn growing_is_conditioning_on_one_more() {
    let whole = Gp::with_parameters(&example(12, 3), parameters(), 0.5).unwrap();
    let part = example(12, 3);
    let less = Training::new(
        part.x[..33].to_vec(),
        3,
        part.residuals.iter().map(|r| r[..11].to_vec()).collect(),
        part.log_weights.clone(),
        part.noise[..11].to_vec(),
    )
    .unwrap();
    let mut grown = Gp::with_parameters(&less, parameters(), 0.5).unwrap();
    let last: Vec<f64> = part.residuals.iter().map(|r| r[11]).collect();
    grown.grow(&part.x[33..], &last, part.noise[11]).unwrap();
    assert!((whole.log_evidence() - grown.log_evidence()).abs() < 1e-10);
    let point = [0.2, 0.9, 0.5];
    let (a, b) = (whole.predict(&point), grown.predict(&point));
    assert!((a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12);
}

#[test]
fn leaving_one_out_is_predicting_it_from_the_rest() {
    let all = example(9, 2);
    let gp = Gp::with_parameters(&all, parameters(), 0.5).unwrap();
    let densities = gp.leave_one_out();
    let keep: Vec<usize> = (0..9).filter(|&a| a != 4).collect();
    let rest = Training::new(
        keep.iter()
            .flat_map(|&a| all.x[3 * a..3 * a + 3].to_vec())
            .collect(),
        3,
        all.residuals
            .iter()
            .map(|r| keep.iter().map(|&a| r[a]).collect())
            .collect(),
        all.log_weights.clone(),
        keep.iter().map(|&a| all.noise[a]).collect(),
    )
    .unwrap();
    let without = Gp::with_parameters(&rest, parameters(), 0.5).unwrap();
    let gain = gp.log_evidence() - without.log_evidence();
    assert!(
        (densities[4] - gain).abs() < 1e-9,
        "{} {gain}",
        densities[4]
    );
}

#[test]
fn degenerate_data_give_finite_answers() {
    let cases: Vec<(Vec<f64>, Vec<f64>)> = vec![
        (vec![0.5, 0.5], vec![1.0]),
        (vec![0.5; 20], vec![1.0; 10]),
        (vec![0.5; 20], (0..10).map(f64::from).collect()),
        (points(10, 2), vec![0.0; 10]),
        (
            points(10, 2).iter().map(|v| 0.5 + 1e-12 * v).collect(),
            (0..10).map(f64::from).collect(),
        ),
        (
            points(10, 2),
            (0..10).map(|k| 1e150 * f64::from(k)).collect(),
        ),
        (
            points(10, 2).iter().map(|v| 1e8 * v).collect(),
            (0..10).map(f64::from).collect(),
        ),
    ];
    for (x, y) in cases {
        let n = y.len();
        let training = Training::new(x, 2, vec![y], vec![0.0], vec![0.0; n]).unwrap();
        let gp = Gp::fit(&training, &Priors::for_dimension(2));
        let (mean, variance) = gp.predict(&[0.3, 0.9]);
        assert!(
            mean.is_finite() && variance > 0.0 && variance.is_finite(),
            "{mean} {variance}"
        );
    }
}

#[test]
fn bad_numbers_are_refused() {
    let one = |y: f64, v: f64| Training::new(vec![0.5], 1, vec![vec![y]], vec![0.0], vec![v]);
    assert_eq!(one(f64::NAN, 0.0).unwrap_err(), GpError::NotFinite("y"));
    assert_eq!(
        one(0.0, -1.0).unwrap_err(),
        GpError::NotPositive("noise variance")
    );
    assert_eq!(
        Training::new(vec![], 1, vec![vec![]], vec![0.0], vec![]).unwrap_err(),
        GpError::Empty
    );
    assert!(matches!(
        Training::new(vec![0.5; 3], 2, vec![vec![0.0]], vec![0.0], vec![0.0]),
        Err(GpError::Shape(_))
    ));
}

#[test]
fn two_nearly_equal_points_cannot_differ_much() {
    let training = example(15, 1);
    let gp = Gp::with_parameters(&training, parameters(), 0.5).unwrap();
    let rival = gp.contrast(&training.x[..3]).unwrap();
    let at = |shift: f64| {
        let p = [training.x[0] + shift, training.x[1], training.x[2]];
        (gp.predict_many(&p, Some(&rival)).1[0], gp.predict(&p).1)
    };
    assert!(at(0.0).0 < 1e-12 && at(1e-3).0 < 1e-3 * at(1e-3).1);
    // What shares nothing with it is as uncertain as both together.
    let far = [40.0, 40.0, 40.0];
    let known_mean = Gp::with_parameters(&training, parameters(), 0.0).unwrap();
    let rival = known_mean.contrast(&training.x[..3]).unwrap();
    let both = known_mean.predict(&far).1 + rival.variance;
    assert!((known_mean.predict_many(&far, Some(&rival)).1[0] - both).abs() < 1e-9);
    assert!(gp.contrast(&far).is_none());
}

#[test]
fn a_fit_that_shall_not_go_on_ends_without_a_process() {
    let training = example(70, 1);
    assert!(Gp::fit_while(&training, &Priors::for_dimension(3), None, &|| false).is_none());
}
