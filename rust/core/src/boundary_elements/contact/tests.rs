//! The contact against Hertz, Westergaard, its own conditions, scaling and refusals.

use std::f64::consts::{PI, TAU};

use super::*;

const TOLERANCE: f64 = 1e-10;

/// A hilly periodic face of a few waves, deterministic.
fn hills(side: usize) -> Vec<f64> {
    (0..side * side)
        .map(|i| {
            let (y, x) = ((i / side) as f64, (i % side) as f64);
            let w = TAU / side as f64;
            (w * x).cos()
                + 0.5 * (w * 3.0 * y + 1.0).cos() * (w * 2.0 * x).sin()
                + 0.2 * (w * (5.0 * x + 7.0 * y)).sin()
        })
        .collect()
}

/// Johnson, Greenwood and Higginson; the two-dimensional wave in part: Westergaard, J. Appl. Mech. 6 (1939) A49:
/// p/p* = sin²(πa/λ) with p* = πE*Δ/λ.
#[test]
fn a_cylinder_wave_closes_as_westergaard_says() {
    let (side, modulus, amplitude) = (256, 1000.0, 0.3);
    let grid = Grid::new(4, side, 0.5).unwrap();
    let lambda = side as f64 * 0.5;
    let heights = (0..4 * side)
        .map(|i| amplitude * (TAU * (i % side) as f64 / side as f64).cos())
        .collect();
    let contact = Contact::new(grid, Boundary::Periodic, heights, modulus, None).unwrap();
    let full = PI * modulus * amplitude / lambda;
    for part in [0.1, 0.4, 0.8] {
        let pressed = contact.press(part * full, TOLERANCE, 500).unwrap();
        let width = pressed.pressure_mpa.iter().filter(|p| **p > 0.0).count() as f64;
        let expected = (part.sqrt()).asin() * 2.0 / PI;
        let found = width / (4 * side) as f64;
        assert!(
            (found - expected).abs() < 2.0 / side as f64,
            "{part}: {found} {expected}"
        );
        let most = pressed.pressure_mpa.iter().fold(0.0_f64, |a, b| a.max(*b));
        let peak = 2.0 * full * part.sqrt();
        assert!((most / peak - 1.0).abs() < 0.01, "{part}: {most} {peak}");
    }
    let closed = contact.press(1.01 * full, TOLERANCE, 500).unwrap();
    assert!((closed.share - 1.0).abs() < 1e-12);
}

/// Hertz: a³ = 3FR/(4E*), p0 = 3F/(2πa²).
#[test]
fn a_sphere_alone_is_hertz() {
    let (side, modulus, radius, force) = (128, 2000.0, 500.0, 20_000.0);
    let grid = Grid::new(side, side, 1.0).unwrap();
    let centre = (side as f64 - 1.0) / 2.0;
    let heights = (0..side * side)
        .map(|i| {
            let (y, x) = ((i / side) as f64 - centre, (i % side) as f64 - centre);
            -(y * y + x * x) / (2.0 * radius)
        })
        .collect();
    let contact = Contact::new(grid, Boundary::Free, heights, modulus, None).unwrap();
    let pressed = contact
        .press(force / grid.points() as f64, TOLERANCE, 500)
        .unwrap();
    let a = (3.0 * force * radius / (4.0 * modulus)).cbrt();
    let share = PI * a * a / grid.points() as f64;
    assert!(
        (pressed.share / share - 1.0).abs() < 0.02,
        "{} {share}",
        pressed.share
    );
    let most = pressed.pressure_mpa.iter().fold(0.0_f64, |a, b| a.max(*b));
    assert!((most / (1.5 * force / (PI * a * a)) - 1.0).abs() < 0.01);
}

#[test]
fn the_conditions_of_contact_hold() {
    let grid = Grid::new(64, 64, 1.0).unwrap();
    for hardness in [None, Some(25.0)] {
        let contact = Contact::new(grid, Boundary::Periodic, hills(64), 100.0, hardness).unwrap();
        for pressure in [0.5, 3.0, 12.0] {
            let pressed = contact.press(pressure, TOLERANCE, 1000).unwrap();
            let mean = pressed.pressure_mpa.iter().sum::<f64>() / 4096.0;
            assert!((mean / pressure - 1.0).abs() < 1e-10);
            let most = hardness.unwrap_or(f64::INFINITY);
            for (p, g) in pressed.pressure_mpa.iter().zip(&pressed.gap_um) {
                assert!(*p >= 0.0 && *p <= most);
                if *p == 0.0 {
                    assert!(*g > -1e-6);
                } else if *p == most {
                    assert!(*g < 1e-6);
                } else {
                    assert!(g.abs() < 1e-6, "{g}");
                }
            }
        }
    }
}

#[test]
fn the_state_depends_on_the_load_alone_and_scales() {
    let grid = Grid::new(32, 32, 1.0).unwrap();
    let scaled: Vec<f64> = hills(32).iter().map(|h| 3.0 * h + 40.0).collect();
    let one = Contact::new(grid, Boundary::Periodic, hills(32), 100.0, None).unwrap();
    let other = Contact::new(grid, Boundary::Periodic, scaled, 50.0, None).unwrap();
    let (one, other) = (
        one.press(4.0, TOLERANCE, 500).unwrap(),
        other.press(6.0, TOLERANCE, 500).unwrap(),
    );
    for (left, right) in one.pressure_mpa.iter().zip(&other.pressure_mpa) {
        assert!((1.5 * left - right).abs() < 1e-6);
    }
}

#[test]
fn more_pressure_touches_more_and_a_soft_face_more_still() {
    let grid = Grid::new(64, 64, 1.0).unwrap();
    let share = |hardness: Option<f64>, pressure: f64| {
        Contact::new(grid, Boundary::Periodic, hills(64), 100.0, hardness)
            .unwrap()
            .press(pressure, 1e-8, 1000)
            .unwrap()
            .share
    };
    let shares: Vec<f64> = [0.3, 1.0, 3.0, 9.0].map(|p| share(None, p)).to_vec();
    assert!(
        shares.windows(2).all(|pair| pair[0] < pair[1]),
        "{shares:?}"
    );
    assert!(share(Some(12.0), 3.0) > 1.02 * share(None, 3.0));
    // All of the contact flows in the end: p/H (Tabor).
    let grid_share = share(Some(3.0), 0.3);
    assert!((grid_share / 0.1 - 1.0).abs() < 0.2, "{grid_share}");
}

#[test]
fn threads_change_no_bit() {
    let grid = Grid::new(64, 64, 1.0).unwrap();
    let pressed = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| {
                Contact::new(grid, Boundary::Periodic, hills(64), 100.0, Some(20.0))
                    .unwrap()
                    .press(3.0, 1e-8, 500)
                    .unwrap()
                    .pressure_mpa
            })
    };
    assert_eq!(pressed(1), pressed(2));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let grid = Grid::new(4, 4, 1.0).unwrap();
    let new = |heights, modulus, hardness| {
        Contact::new(grid, Boundary::Periodic, heights, modulus, hardness)
            .err()
            .unwrap()
    };
    assert!(new(vec![0.0; 15], 1.0, None).starts_with("heights"));
    assert!(new(vec![2.0; 16], 1.0, None).starts_with("heights"));
    let mut holes = hills(4);
    holes[6] = f64::NAN;
    assert!(new(holes, 1.0, None).contains("row 1, column 2"));
    assert!(new(hills(4), 0.0, None).starts_with("modulus"));
    assert!(new(hills(4), 1.0, Some(-1.0)).starts_with("hardness"));
    let contact = Contact::new(grid, Boundary::Periodic, hills(4), 1.0, Some(2.0)).unwrap();
    for (pressure, tolerance, word) in [
        (0.0, 1e-8, "pressure"),
        (2.0, 1e-8, "pressure"),
        (1.0, 0.0, "tolerance"),
    ] {
        assert!(
            contact
                .press(pressure, tolerance, 10)
                .unwrap_err()
                .starts_with(word)
        );
    }
    let wavy = Contact::new(
        Grid::new(32, 32, 1.0).unwrap(),
        Boundary::Periodic,
        hills(32),
        1.0,
        None,
    )
    .unwrap();
    assert!(
        wavy.press(0.01, 1e-12, 2)
            .unwrap_err()
            .contains("no convergence in 2")
    );
}
