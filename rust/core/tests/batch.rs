//! Batches of protocols: no allocation on the way, no bit changed by threads or neighbours, exact derivatives, and
//! arbitrary numbers either refused by name or answered.

use pressopt_core::batch::{
    self, Draws, MEASURED_FIELDS, MEASURED_NAMES, Machine, Protocols, STAGE_FIELDS,
};
use pressopt_core::measured::{ELEMENTS, QUALITIES};
use pressopt_core::parameters::{DOMAINS, NAMES, Parameters};
use pressopt_core::protocol::Structure;
use proptest::prelude::*;

const MELTING_C: f64 = 180.5;
const STAGES: usize = 3;

fn row(file: &str) -> Vec<f64> {
    file.lines()
        .filter(|line| !line.starts_with('#'))
        .zip(NAMES)
        .map(|(line, name)| {
            let (found, value) = line.split_once(' ').unwrap();
            assert_eq!(found, *name);
            value.parse().unwrap()
        })
        .collect()
}

fn argyrodite() -> Vec<f64> {
    row(include_str!("data/li_argyrodite.txt"))
}

fn halide() -> Vec<f64> {
    row(include_str!("data/li_interlayer_halide.txt"))
}

/// Rods at both ends, and a composite electrode.
fn full() -> Vec<f64> {
    row(include_str!("data/li_full_cell.txt"))
}

fn structure() -> Structure {
    Structure {
        interfaces: 2,
        ..Structure::default()
    }
}

fn draws(values: Vec<f64>) -> Draws {
    Draws::new(structure(), values).unwrap()
}

/// Numbers in [0, 1) that look random and are the same on every machine.
fn uniform(index: usize) -> f64 {
    (index as f64 * 0.754_877_666_246_692_7).fract()
}

fn protocols(count: usize) -> Protocols {
    let settings = (0..count * STAGES * STAGE_FIELDS)
        .map(|i| {
            let u = uniform(i + 1);
            match i % STAGE_FIELDS {
                0 => 1.0 + 60.0 * u,
                1 => 0.1 + 2.0 * u,
                2 => 3600.0 * u,
                _ => 20.0 + 100.0 * u,
            }
        })
        .collect();
    let measured = [5.0, 25.0, 60.0, 1.0].repeat(count);
    Protocols::new(Machine::Platen, STAGES, settings, measured, MELTING_C).unwrap()
}

#[test]
fn streaming_through_many_protocols_allocates_nothing() {
    let (draws, protocols) = (draws(argyrodite()), protocols(10_000));
    let mut columns = vec![vec![0.0; 1000]; QUALITIES.len()];
    let mut rest = columns.iter_mut();
    let mut places: [&mut [f64]; QUALITIES.len()] =
        std::array::from_fn(|_| rest.next().unwrap().as_mut_slice());
    let counted = allocation_counter::measure(|| {
        for first in (0..10_000).step_by(1000) {
            batch::qualities_into(&draws, &protocols, first, &mut places);
        }
    });
    assert_eq!(counted.count_total, 0);
    assert!(places[0][999] > 0.0);
}

#[test]
fn a_protocol_has_the_same_bits_alone_and_among_others_on_one_thread_and_on_two() {
    let count = 531;
    let draws = draws([argyrodite(), argyrodite()].concat());
    let many = protocols(count);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            (
                batch::qualities(&draws, &many),
                batch::elements(&draws, &many),
            )
        })
    };
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let (one, two) = (on(1), on(2));
    assert_eq!(bits(&one.0), bits(&two.0));
    assert_eq!(bits(&one.1), bits(&two.1));
    // The same protocols in the other order sit in other lanes.
    let mut columns = vec![vec![0.0; 1]; QUALITIES.len()];
    for pair in [0, 7, 8, 530, 531, 1061] {
        let mut rest = columns.iter_mut();
        let mut places: [&mut [f64]; QUALITIES.len()] =
            std::array::from_fn(|_| rest.next().unwrap().as_mut_slice());
        batch::qualities_into(&draws, &many, pair, &mut places);
        for (k, column) in columns.iter().enumerate() {
            assert_eq!(
                column[0].to_bits(),
                one.0[k * 2 * count + pair].to_bits(),
                "{}",
                QUALITIES[k]
            );
        }
    }
}

#[test]
fn derivatives_by_every_parameter_agree_with_differences() {
    let by: Vec<usize> = (0..NAMES.len()).collect();
    for mut base in [argyrodite(), halide(), full()] {
        // Differences need room on both sides: a share of one is the end of what is allowed.
        for (value, domain) in base.iter_mut().zip(DOMAINS) {
            if !domain.holds(*value * 1.001) {
                *value *= 0.99;
            }
        }
        let table = protocols(2);
        let exact = batch::parameter_gradients(&draws(base.clone()), &table, &by);
        let at = |k: usize, value: f64| {
            let mut moved = base.clone();
            moved[k] = value;
            batch::qualities(&draws(moved), &table)
        };
        let here = batch::qualities(&draws(base.clone()), &table);
        for k in by.iter().copied().filter(|k| base[*k] > 0.0) {
            let h = 3e-5 * base[k];
            // Fourth order, so that the differences are good to 1e-6 of themselves.
            let (up, down) = (at(k, base[k] + h), at(k, base[k] - h));
            let (up2, down2) = (at(k, base[k] + 2.0 * h), at(k, base[k] - 2.0 * h));
            for (q, quality) in QUALITIES.iter().enumerate() {
                for n in 0..2 {
                    let i = q * 2 + n;
                    if here[i].is_nan() {
                        continue;
                    }
                    let slow = (8.0 * (up[i] - down[i]) - (up2[i] - down2[i])) / (12.0 * h);
                    let slope = exact[(n * QUALITIES.len() + q) * by.len() + k];
                    // Relative to the value where the derivative is nearly nothing.
                    let scale = slow.abs().max(1e-3 * here[i].abs() / base[k]);
                    assert!(
                        (slope - slow).abs() <= 1e-6 * scale + 1e-300,
                        "{quality} by {}: {slope} {slow}",
                        NAMES[k]
                    );
                }
            }
        }
    }
}

#[test]
fn draws_with_other_layers_are_refused() {
    for other in [halide(), full()] {
        let refusal = Draws::new(structure(), [argyrodite(), other].concat()).unwrap_err();
        assert!(refusal.starts_with("parameter draw 1"), "{refusal}");
        assert!(refusal.contains("composite_um"), "{refusal}");
    }
}

#[test]
fn elements_add_up_to_the_qualities() {
    let table = protocols(50);
    for base in [argyrodite(), halide(), full()] {
        let draws = draws(base);
        let (qualities, elements) = (
            batch::qualities(&draws, &table),
            batch::elements(&draws, &table),
        );
        let element = |name: &str, n: usize| {
            elements[ELEMENTS.iter().position(|e| *e == name).unwrap() * 50 + n]
        };
        for n in 0..50 {
            let interface: f64 = [
                "interlayer_ohm_cm2",
                "joint_ohm_cm2",
                "constriction_ohm_cm2",
                "transfer_ohm_cm2",
                "interphase_ohm_cm2",
            ]
            .iter()
            .map(|name| element(name, n))
            .sum();
            let rest: f64 = [
                "bulk_ohm_cm2",
                "boundary_ohm_cm2",
                "collector_ohm_cm2",
                "back_ohm_cm2",
                "composite_ohm_cm2",
            ]
            .iter()
            .map(|name| element(name, n))
            .sum();
            assert!((interface / qualities[n] - 1.0).abs() < 1e-12);
            assert!(((rest + 2.0 * interface) / qualities[50 + n] - 1.0).abs() < 1e-12);
            let hot_spot: f64 = [
                "waviness_factor",
                "roughness_factor",
                "tilt_factor",
                "edge_factor",
            ]
            .iter()
            .map(|name| element(name, n))
            .product();
            assert!((hot_spot / qualities[5 * 50 + n] - 1.0).abs() < 1e-12);
        }
    }
}

/// Any number at all, and often one from the edges.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -1e3..1e3,
        0.0..200.0,
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE),
        Just(f64::MAX),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn settings_are_refused_by_name_or_answered(
        settings in prop::collection::vec(any_number(), 0..17),
        measured in prop::collection::vec(any_number(), 0..9),
        stages in 0_usize..20,
        rolled in any::<bool>(),
        limit_c in any_number(),
    ) {
        let machine = if rolled { Machine::Roll } else { Machine::Platen };
        match Protocols::new(machine, stages, settings.clone(), measured.clone(), limit_c) {
            Ok(accepted) => {
                prop_assert_eq!(accepted.len() * MEASURED_FIELDS, measured.len());
                prop_assert!(settings.iter().chain(&measured).all(|v| v.is_finite()));
            }
            Err(refusal) => {
                let known = ["stages"]
                    .into_iter()
                    .chain(machine.stage_fields())
                    .chain(MEASURED_NAMES);
                let mut named = known.filter(|name| refusal.contains(name));
                prop_assert!(named.next().is_some(), "{}", refusal);
            }
        }
    }

    #[test]
    fn accepted_settings_give_numbers(
        pressure in prop::collection::vec(1e-3..1e4, 2),
        rate in prop::collection::vec(1e-6..1e6, 2),
        dwell in prop::collection::vec(0.0..1e9, 2),
        heat in prop::collection::vec(-150.0..180.0, 2),
        held in 0.0..1e3,
    ) {
        let settings: Vec<f64> = (0..2).flat_map(|i| [pressure[i], rate[i], dwell[i], heat[i]]).collect();
        let table = Protocols::new(Machine::Platen, 2, settings, vec![held, 25.0, 60.0, 1.0], MELTING_C).unwrap();
        for base in [argyrodite(), halide(), full()] {
            let found = batch::qualities(&draws(base), &table);
            for (name, value) in QUALITIES.iter().zip(found) {
                let absent = ["contact_resistance_mohm_cm2", "damage_probability"].contains(name);
                prop_assert!(absent || (!value.is_nan() && value >= 0.0), "{}: {}", name, value);
            }
        }
    }

    #[test]
    fn parameters_are_refused_by_name_or_kept(index in 0..NAMES.len(), value in any_number()) {
        let mut values = argyrodite();
        values[index] = value;
        match Parameters::new(&values) {
            Ok(kept) => {
                prop_assert!(DOMAINS[index].holds(value));
                prop_assert_eq!(kept.values()[index], value);
            }
            Err(refusal) => {
                prop_assert!(!DOMAINS[index].holds(value));
                prop_assert!(refusal.starts_with(NAMES[index]), "{}", refusal);
                prop_assert!(Draws::new(structure(), values).unwrap_err().contains(NAMES[index]));
            }
        }
    }
}
