//! Which starts are followed, and how far: heats of all, finals of the best, then single arcs put elsewhere.
//!
//! A fit of two arcs often ends with both on the larger one, cut in two, and none on the smaller: from there no descent
//! leads out. Taking one arc out and putting it where the rest leaves most to explain does.

use super::Spectrum;
use super::chain;
use super::descent::{Descent, Reach, Work, descend};
use super::fit::Problem;
use super::start::Scan;

/// Iterations of the heat in which all starts run.
const HEAT: usize = 20;
/// Places that each arc is tried at in one round of moves.
const PLACES: usize = 6;
/// Rounds of moves, as long as they help.
const ROUNDS: usize = 4;
/// A round that lowers the sum of squares by less than this share is the last.
const WORTH: f64 = 1e-4;
/// With fewer starts than this, no more are followed once one leaves less than [`ENOUGH`] times what a chain of all
/// basis functions leaves (a tenth more is the price of its many members), and arcs are moved in one round only.
const THOROUGH: usize = 12;
const ENOUGH: f64 = 1.12;
/// Two ends whose sums of squares differ by less than this share are one.
const SAME: f64 = 1e-6;

/// The best end, and how many starts were tried.
pub(crate) struct Found {
    pub best: Descent,
    pub tried: usize,
}

/// The best end of up to `starts` starts; `given` (p,) holds u where it is given, NaN elsewhere. None when the sum of
/// squares overflows everywhere.
pub(crate) fn best(
    problem: &Problem,
    spectrum: &Spectrum,
    given: &[f64],
    starts: usize,
    work: &mut Work,
) -> Option<Found> {
    let insist = |u: &mut Vec<f64>| {
        for (x, wanted) in u.iter_mut().zip(given) {
            if !wanted.is_nan() {
                *x = *wanted;
            }
        }
    };
    let scan = Scan::new(problem, spectrum);
    let enough = if starts < THOROUGH {
        scan.floor().map_or(0.0, |floor| ENOUGH * floor)
    } else {
        0.0
    };
    let mut heat: Vec<Descent> = Vec::with_capacity(starts);
    let (mut least, mut tried) = (f64::INFINITY, 0);
    for mut u in scan.candidates(starts) {
        insist(&mut u);
        tried += 1;
        let reach = Reach {
            iterations: HEAT,
            rival: least,
            ..Reach::ROUGH
        };
        let end = descend(problem, spectrum, &u, reach, work);
        if end.total().is_finite() {
            least = least.min(end.total());
            heat.push(end);
        }
        if least < enough {
            break;
        }
    }
    heat.sort_by(|a, b| a.total().total_cmp(&b.total()));
    // Starts that have already met at one place need not go there twice.
    heat.dedup_by(|b, a| same(a, b));
    // Priors say which arc is which: nothing is moved, and all that is promising is followed.
    let guided = problem.prior.iter().any(|(_, precision)| *precision > 0.0);
    let finalists = if guided { starts } else { (starts / 3).max(2) };
    let mut best: Option<Descent> = None;
    for end in heat.into_iter().take(finalists) {
        let rival = best.as_ref().map_or(f64::INFINITY, Descent::total);
        if rival < enough {
            break;
        }
        let reach = Reach {
            rival,
            ..Reach::ROUGH
        };
        let end = descend(problem, spectrum, &end.u, reach, work);
        if end.total() < rival {
            best = Some(end);
        }
    }
    let mut best = best?;
    let arcs = scan.arcs();
    for round in 0..if arcs < 2 || guided { 0 } else { ROUNDS } {
        let before = best.total();
        if round > 0 && before < enough {
            break;
        }
        for arc in 0..arcs {
            for mut u in scan.moved(&best.u, arc, PLACES) {
                insist(&mut u);
                tried += 1;
                let reach = Reach {
                    rival: best.total(),
                    ..Reach::ROUGH
                };
                let end = descend(problem, spectrum, &u, reach, work);
                if end.total() < best.total() {
                    best = end;
                }
            }
        }
        if best.total() > before * (1.0 - WORTH) {
            break;
        }
    }
    best = descend(problem, spectrum, &best.u, Reach::FULL, work);
    chain::fast_to_slow(problem, given, &mut best.u);
    Some(Found { best, tried })
}

/// Minima of at most this sum of squares other than that at u, from starts of their own and from single arcs put
/// elsewhere; arcs that are alike stand fast to slow in all of them.
pub(crate) fn minima(
    problem: &Problem,
    spectrum: &Spectrum,
    u: &[f64],
    most: f64,
    starts: usize,
    work: &mut Work,
) -> Vec<Vec<f64>> {
    let scan = Scan::new(problem, spectrum);
    let free = vec![f64::NAN; u.len()];
    let mut from = scan.candidates(starts);
    if scan.arcs() > 1 {
        for arc in 0..scan.arcs() {
            from.extend(scan.moved(u, arc, PLACES));
        }
    }
    let mut found: Vec<Vec<f64>> = Vec::new();
    for start in from {
        let reach = Reach {
            rival: most,
            ..Reach::ROUGH
        };
        let mut end = descend(problem, spectrum, &start, reach, work);
        chain::fast_to_slow(problem, &free, &mut end.u);
        let near = |other: &[f64]| end.u.iter().zip(other).all(|(a, b)| (a - b).abs() < 0.1);
        if end.total() <= most && !near(u) && !found.iter().any(|other| near(other)) {
            found.push(end.u);
        }
    }
    found
}

fn same(one: &Descent, other: &Descent) -> bool {
    (one.total() - other.total()).abs() <= SAME * one.total().abs()
}
