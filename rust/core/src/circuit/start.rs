//! Start values without a guess: all combinations of time constants on a coarse grid, each solved linearly.
//!
//! With its time constants and exponents held, a chain of resistor, inductor, arcs and tail is linear in the
//! resistances. The Gram matrix of all basis functions is made once, so that each combination costs one small
//! non-negative solve; the best few, spread over different time constants, are handed to the descent
//! (variable projection: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, on a grid).

use super::Spectrum;
use super::chain::{Role, arcs, assign, magnify, members, role};
use super::combination::{Combination, MOST_MEMBERS, Ranked, Reduced, advance, non_negative};
use super::complex::Complex;
use super::element::{self, Kind};
use super::fit::Problem;
use super::linear;
use super::notation::Node;
use std::collections::BinaryHeap;

/// Exponents the arcs are tried with; each of two arcs takes its own, more take one for all.
const ARC_EXPONENTS: [f64; 2] = [0.95, 0.72];
const TAIL_EXPONENTS: [f64; 3] = [0.95, 0.75, 0.5];
/// Ridge on the diagonal of the chain of all basis functions.
const RIDGE: f64 = 1e-6;
/// No start is smaller than this share of the typical impedance.
const LEAST_SHARE: f64 = 1e-3;

/// The band of a spectrum and the sizes in it.
struct Scale {
    /// Median of |Z|, Ω.
    typical: f64,
    /// Smallest and largest ln ω.
    low: f64,
    high: f64,
}

impl Scale {
    fn of(spectrum: &Spectrum) -> Self {
        let (low, high) = spectrum
            .ln_omega
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &w| {
                (a.min(w), b.max(w))
            });
        let mut sizes: Vec<f64> = spectrum
            .z
            .iter()
            .map(|z| z.norm())
            .filter(|z| *z > 0.0)
            .collect();
        sizes.sort_by(f64::total_cmp);
        Self {
            typical: sizes.get(sizes.len() / 2).copied().unwrap_or(1.0),
            low,
            high,
        }
    }

    /// Time constants from a little above the band to a little below it.
    fn grid(&self, per_decade: f64) -> Vec<f64> {
        const MARGIN: f64 = 1.5;
        let width = self.high - self.low + 2.0 * MARGIN;
        let count = (width / std::f64::consts::LN_10 * per_decade).round() as usize + 1;
        let count = count.clamp(4, 40);
        (0..count)
            .map(|g| (-self.high - MARGIN + width * g as f64 / (count - 1) as f64).exp())
            .collect()
    }
}

/// A problem on a spectrum, with everything that is linear in it made once.
pub(crate) struct Scan<'a> {
    problem: &'a Problem,
    spectrum: &'a Spectrum,
    members: &'a [Node],
    roles: Vec<Role>,
    scale: Scale,
    /// Time constants the arcs are tried at, s.
    grid: Vec<f64>,
    /// Weighted basis: resistor, inductor, tails, then arcs on the grid for each exponent.
    columns: Vec<Vec<f64>>,
    target: Vec<f64>,
    /// Products of the columns with each other, and with the target.
    gram: Vec<f64>,
    right: Vec<f64>,
}

/// Index of the first arc in the basis.
const FIRST_ARC: usize = 2 + TAIL_EXPONENTS.len();

impl<'a> Scan<'a> {
    pub fn new(problem: &'a Problem, spectrum: &'a Spectrum) -> Self {
        let members = members(&problem.circuit.root);
        let roles: Vec<Role> = members.iter().map(role).collect();
        let arcs = roles.iter().filter(|r| **r == Role::Arc).count();
        let scale = Scale::of(spectrum);
        let grid = scale.grid(if arcs > 2 { 1.5 } else { 1.8 });
        let typical = scale.typical;
        let mut columns = Vec::with_capacity(FIRST_ARC + ARC_EXPONENTS.len() * grid.len());
        let mut slope = vec![Complex::ZERO; element::MAX_PARAMETERS * spectrum.len()];
        let mut push = |kind: Kind, values: &[f64]| {
            let mut column = vec![Complex::ZERO; spectrum.len()];
            let (omega, ln_omega) = (&spectrum.omega, &spectrum.ln_omega);
            element::columns(kind, values, omega, ln_omega, &mut column, &mut slope);
            columns.push(spectrum.weighted(&column));
        };
        push(Kind::Resistor, &[typical]);
        push(Kind::Inductor, &[typical * (-scale.high).exp()]);
        for n in TAIL_EXPONENTS {
            let q = (-n * scale.low).exp() / typical;
            push(Kind::ConstantPhase, &[q, n]);
        }
        for n in ARC_EXPONENTS {
            for tau in &grid {
                push(Kind::Arc, &[typical, tau / typical, n]);
            }
        }
        let target = spectrum.target();
        let size = columns.len();
        let (mut gram, mut right) = (vec![0.0; size * size], vec![0.0; size]);
        linear::normal_equations(size, |i| &columns[i], &target, &mut gram, &mut right);
        Self {
            problem,
            spectrum,
            members,
            roles,
            scale,
            grid,
            columns,
            target,
            gram,
            right,
        }
    }

    /// Sum of squares that a chain of all basis functions leaves, sizes of either sign: what no circuit goes far below.
    ///
    /// None when the chain could follow the noise: fewer numbers than twice its members.
    pub fn floor(&self) -> Option<f64> {
        let size = self.columns.len();
        if 2 * self.spectrum.len() < 2 * size {
            return None;
        }
        let mut matrix = self.gram.clone();
        for i in 0..size {
            matrix[i * size + i] *= 1.0 + RIDGE;
        }
        let mut x = self.right.clone();
        if !linear::cholesky(&mut matrix, size) {
            return None;
        }
        linear::cholesky_solve(&matrix, size, &mut x);
        let mut left = self.target.clone();
        for (column, factor) in self.columns.iter().zip(&x) {
            for (x, d) in left.iter_mut().zip(column) {
                *x -= d * factor;
            }
        }
        Some(linear::dot(&left, &left))
    }

    /// How many members of the chain are arcs.
    pub fn arcs(&self) -> usize {
        self.roles.iter().filter(|r| **r == Role::Arc).count()
    }

    fn has(&self, wanted: Role) -> bool {
        self.roles.contains(&wanted)
    }

    /// Puts the columns of a chain without its arcs into `chosen`.
    fn choose_rest(&self, chosen: &mut Vec<usize>, tail: Option<usize>) {
        chosen.clear();
        if self.has(Role::Resistor) {
            chosen.push(0);
        }
        if self.has(Role::Inductor) {
            chosen.push(1);
        }
        chosen.extend(tail.map(|t| 2 + t));
    }

    /// Puts the columns of one combination into `chosen`; returns where its arcs begin.
    fn choose(&self, chosen: &mut Vec<usize>, one: &Combination, arcs: usize) -> usize {
        self.choose_rest(chosen, one.tail);
        let before_arcs = chosen.len();
        chosen.extend((0..arcs).map(|a| FIRST_ARC + self.arc(one, a)));
        before_arcs
    }

    /// Index of one arc of a combination among all arcs of the basis.
    fn arc(&self, one: &Combination, arc: usize) -> usize {
        one.exponent(arc) * self.grid.len() + usize::from(one.places[arc])
    }

    /// Up to `wanted` sets of start values u, most promising first.
    pub fn candidates(&self, wanted: usize) -> Vec<Vec<f64>> {
        let size = self.columns.len();
        let nodes = arcs(self.problem);
        let count = nodes.len().min(MOST_MEMBERS - 3);
        let tails: &[Option<usize>] = if self.has(Role::Tail) {
            &[Some(0), Some(1), Some(2)]
        } else {
            &[None]
        };
        let patterns: &[usize] = match count {
            0 => &[0],
            1 => &[0, 1],
            2 => &[0, 1, 2, 3],
            _ => &[0, usize::MAX],
        };
        let mut amplitude = [0.0; MOST_MEMBERS];
        let mut chosen = Vec::with_capacity(MOST_MEMBERS);
        let mut ranked = Vec::new();
        for &tail in tails {
            self.choose_rest(&mut chosen, tail);
            let reduced = if count == 2 {
                Reduced::new(&self.gram, &self.right, &chosen, FIRST_ARC)
            } else {
                None
            };
            for &exponents in patterns {
                let mut one = Combination {
                    exponents,
                    tail,
                    places: std::array::from_fn(|i| i as u8),
                };
                while count <= self.grid.len() {
                    let fall = reduced.as_ref().map_or(f64::INFINITY, |reduced| {
                        reduced.most(self.arc(&one, 0), self.arc(&one, 1))
                    });
                    ranked.push(Ranked {
                        fall,
                        solved: false,
                        one,
                    });
                    if count == 0 || !advance(&mut one.places[..count], self.grid.len()) {
                        break;
                    }
                }
            }
        }
        // Best first: a combination is solved when no other can be better than what it may be at most.
        let mut ranked = BinaryHeap::from(ranked);
        let mut starts: Vec<Vec<f64>> = Vec::with_capacity(wanted);
        let mut taken: Vec<Combination> = Vec::new();
        while starts.len() < wanted {
            let Some(Ranked { solved, one, .. }) = ranked.pop() else {
                break;
            };
            if taken.iter().any(|other| one.near(other, count)) {
                continue;
            }
            let before_arcs = self.choose(&mut chosen, &one, count);
            let fall = non_negative(&self.gram, &self.right, size, &chosen, &mut amplitude);
            if solved {
                taken.push(one);
                starts.push(self.start_of(&one, &amplitude, before_arcs, count));
                continue;
            }
            let found = (0..count).map(|a| {
                let share = amplitude[before_arcs + a].max(LEAST_SHARE);
                (
                    self.scale.typical * share,
                    self.grid[usize::from(one.places[a])],
                )
            });
            ranked.push(Ranked {
                fall: fall - prior_penalty(self.problem, &nodes, found),
                solved: true,
                one,
            });
        }
        starts
    }

    /// Start values u of a combination whose sizes were solved.
    fn start_of(
        &self,
        one: &Combination,
        amplitude: &[f64; MOST_MEMBERS],
        before_arcs: usize,
        arcs: usize,
    ) -> Vec<f64> {
        let mut u = vec![0.0; self.problem.circuit.parameters.len()];
        let (fastest, slowest) = ((-self.scale.high).exp(), (-self.scale.low).exp());
        let mut arc = 0;
        for (node, role) in self.members.iter().zip(&self.roles) {
            let (at, tau, n) = match role {
                Role::Resistor => (0, slowest, 1.0),
                Role::Inductor => (usize::from(self.has(Role::Resistor)), fastest, 1.0),
                Role::Tail => {
                    let n = one.tail.map_or(1.0, |t| TAIL_EXPONENTS[t]);
                    (before_arcs - 1, slowest, n)
                }
                Role::Arc => {
                    let a = arc.min(arcs.saturating_sub(1));
                    arc += 1;
                    let tau = self.grid[usize::from(one.places[a])];
                    (before_arcs + a, tau, ARC_EXPONENTS[one.exponent(a)])
                }
            };
            let share = amplitude.get(at).copied().unwrap_or(0.0).max(LEAST_SHARE);
            let size = self.scale.typical * share;
            assign(self.problem, node, size, tau, n, &mut u);
        }
        self.problem.clamp(&mut u);
        u
    }

    /// Start values like u, but with one arc put elsewhere: the others keep their shapes, all sizes are solved anew.
    ///
    /// Returns up to `wanted` of them, the most promising first; `arc` counts the arcs of the chain.
    pub fn moved(&self, u: &[f64], arc: usize, wanted: usize) -> Vec<Vec<f64>> {
        let (problem, spectrum) = (self.problem, self.spectrum);
        let place = (0..self.members.len())
            .filter(|&i| self.roles[i] == Role::Arc)
            .nth(arc);
        let Some(place) = place.filter(|_| self.members.len() <= MOST_MEMBERS) else {
            return Vec::new();
        };
        let n = spectrum.len();
        let values = problem.circuit.by_slot(&problem.natural(u));
        let mut scratch = vec![Complex::ZERO; problem.circuit.root.rows_needed() * n];
        let mut slope = vec![Complex::ZERO; problem.circuit.slots() * n];
        let others: Vec<&Node> = (0..self.members.len())
            .filter(|&i| i != place)
            .map(|i| &self.members[i])
            .collect();
        let kept = others.len();
        let mut column = vec![Complex::ZERO; n];
        let shapes: Vec<Vec<f64>> = others
            .iter()
            .map(|node| {
                let (omega, ln_omega) = (&spectrum.omega, &spectrum.ln_omega);
                node.columns(
                    &values,
                    omega,
                    ln_omega,
                    &mut column,
                    &mut slope,
                    &mut scratch,
                );
                spectrum.weighted(&column)
            })
            .collect();
        // A small Gram matrix whose last row is that of the arc in each place.
        let size = kept + 1;
        let mut gram = vec![0.0; size * size];
        let mut right = vec![0.0; size];
        for (i, one) in shapes.iter().enumerate() {
            right[i] = linear::dot(one, &self.target);
            for (j, other) in shapes.iter().take(i + 1).enumerate() {
                gram[i * size + j] = linear::dot(one, other);
                gram[j * size + i] = gram[i * size + j];
            }
        }
        let chosen: Vec<usize> = (0..size).collect();
        let mut amplitude = [0.0; MOST_MEMBERS];
        let mut solve = |k: usize, amplitude: &mut [f64; MOST_MEMBERS]| {
            let column = FIRST_ARC + k;
            for (i, shape) in shapes.iter().enumerate() {
                gram[kept * size + i] = linear::dot(shape, &self.columns[column]);
                gram[i * size + kept] = gram[kept * size + i];
            }
            gram[kept * size + kept] = self.gram[column * self.columns.len() + column];
            right[kept] = self.right[column];
            non_negative(&gram, &right, size, &chosen, amplitude)
        };
        let mut scored: Vec<(f64, usize)> = (0..ARC_EXPONENTS.len() * self.grid.len())
            .map(|k| (solve(k, &mut amplitude), k))
            .collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut starts = Vec::with_capacity(wanted);
        let mut taken: Vec<usize> = Vec::new();
        for (_, k) in scored {
            if starts.len() >= wanted {
                break;
            }
            let at = k % self.grid.len();
            if taken.iter().any(|t| t.abs_diff(at) <= 1) {
                continue;
            }
            taken.push(at);
            solve(k, &mut amplitude);
            let mut start = u.to_vec();
            for (node, &factor) in others.iter().zip(&amplitude) {
                magnify(problem, node, factor.max(0.01), &mut start);
            }
            let resistance = self.scale.typical * amplitude[kept].max(LEAST_SHARE);
            let exponent = ARC_EXPONENTS[k / self.grid.len()];
            let node = &self.members[place];
            assign(
                problem,
                node,
                resistance,
                self.grid[at],
                exponent,
                &mut start,
            );
            problem.clamp(&mut start);
            starts.push(start);
        }
        starts
    }
}

/// What the priors say of arcs (R, τ): only arcs with their own capacitance have one that can be told here.
fn prior_penalty(
    problem: &Problem,
    arcs: &[&Node],
    found: impl Iterator<Item = (f64, f64)>,
) -> f64 {
    let mut penalty = 0.0;
    for (node, (resistance, tau)) in arcs.iter().zip(found) {
        if let Node::Element {
            kind: Kind::Arc,
            slot,
        } = node
        {
            for (i, value) in [resistance, tau / resistance].iter().enumerate() {
                let (mean, precision) = problem.prior[problem.circuit.slot_parameter[slot + i]];
                if precision > 0.0 {
                    penalty += ((value.ln() - mean) * precision).powi(2);
                }
            }
        }
    }
    penalty
}
