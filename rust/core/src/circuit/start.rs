//! Start values without a guess: all combinations of time constants on a coarse grid, each solved linearly.
//!
//! With its time constants and exponents held, a chain of resistor, inductor, arcs and tail is linear in the
//! resistances. The Gram matrix of all basis functions is made once, so that each combination costs one small
//! non-negative solve; the best few, spread over different time constants, are handed to the descent
//! (variable projection: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, on a grid).

use super::Spectrum;
use super::complex::Complex;
use super::element::{self, Kind};
use super::fit::{Problem, to_u};
use super::linear;
use super::notation::Node;

/// What one member of the chain looks like from far.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    Resistor,
    Inductor,
    /// Rises without end towards low frequency.
    Tail,
    /// A bounded dispersion with a time constant.
    Arc,
}

struct Member<'a> {
    role: Role,
    node: &'a Node,
}

/// Exponents the arcs are tried with; each arc takes its own while there are few, else one is taken for all.
const ARC_EXPONENTS: [f64; 2] = [0.95, 0.72];
const TAIL_EXPONENTS: [f64; 3] = [0.95, 0.75, 0.5];

fn contains(node: &Node, wanted: &dyn Fn(Kind) -> bool) -> bool {
    match node {
        Node::Element { kind, .. } => wanted(*kind),
        Node::Series(children) | Node::Parallel(children) => {
            children.iter().any(|c| contains(c, wanted))
        }
    }
}

fn role(node: &Node) -> Role {
    match node {
        Node::Element { kind, .. } => match kind {
            Kind::Resistor => Role::Resistor,
            Kind::Inductor => Role::Inductor,
            Kind::Capacitor
            | Kind::ConstantPhase
            | Kind::Warburg
            | Kind::WarburgOpen
            | Kind::Pore => Role::Tail,
            Kind::WarburgShort | Kind::Gerischer | Kind::Arc => Role::Arc,
        },
        Node::Series(_) | Node::Parallel(_) => {
            let resistive = |k| {
                matches!(
                    k,
                    Kind::Resistor | Kind::WarburgShort | Kind::Gerischer | Kind::Arc
                )
            };
            let stores = |k| !matches!(k, Kind::Resistor | Kind::Inductor);
            match (contains(node, &resistive), contains(node, &stores)) {
                (true, true) => Role::Arc,
                (true, false) => Role::Resistor,
                _ => Role::Tail,
            }
        }
    }
}

/// Gives the elements below a node values that make it look like an arc R, τ, n (or a resistor, or a tail).
fn assign(problem: &Problem, node: &Node, resistance: f64, tau: f64, n: f64, u: &mut [f64]) {
    match node {
        Node::Element {
            kind, parameter, ..
        } => {
            let p = *parameter;
            let capacitance = tau / resistance;
            let values: &[f64] = match kind {
                Kind::Resistor => &[resistance],
                Kind::Capacitor => &[capacitance],
                Kind::Inductor => &[resistance * tau],
                Kind::ConstantPhase => &[tau.powf(n) / resistance, n],
                Kind::Warburg => &[resistance / tau.sqrt()],
                Kind::WarburgOpen | Kind::WarburgShort | Kind::Gerischer => &[resistance, tau],
                Kind::Arc => &[resistance, capacitance, n],
                Kind::Pore => &[resistance, tau.powf(n) / resistance, n],
            };
            for (i, value) in values.iter().enumerate() {
                u[p + i] = to_u(*value, problem.circuit.parameters[p + i].exponent);
            }
        }
        Node::Series(children) => {
            // The first member carries most; a diffusion behind a resistor starts slower and smaller.
            for (i, child) in children.iter().enumerate() {
                let (share, slower) = if i == 0 { (1.0, 1.0) } else { (0.3, 10.0) };
                assign(problem, child, resistance * share, tau * slower, n, u);
            }
        }
        Node::Parallel(children) => {
            for child in children {
                assign(problem, child, resistance, tau, n, u);
            }
        }
    }
}

/// One basis function, weighted, real and imaginary parts one after the other.
fn column(spectrum: &Spectrum, kind: Kind, values: &[f64]) -> Vec<f64> {
    let mut slope = [Complex::ZERO; element::MAX_PARAMETERS];
    let n = spectrum.len();
    let mut out = vec![0.0; 2 * n];
    for k in 0..n {
        let z = element::impedance(
            kind,
            values,
            spectrum.omega[k],
            spectrum.ln_omega[k],
            &mut slope,
        );
        out[k] = z.re * spectrum.weight[k].0;
        out[n + k] = z.im * spectrum.weight[k].1;
    }
    out
}

/// Non-negative least squares on a small Gram matrix by dropping what turns negative; returns the fall of the
/// sum of squares.
fn non_negative(
    gram: &[f64],
    right: &[f64],
    size: usize,
    chosen: &[usize],
    amplitude: &mut Vec<f64>,
) -> f64 {
    let mut active: [usize; 16] = [0; 16];
    let mut count = chosen.len().min(16);
    for (i, slot) in active.iter_mut().enumerate().take(count) {
        *slot = i;
    }
    amplitude.clear();
    amplitude.resize(chosen.len(), 0.0);
    let mut matrix = [0.0; 256];
    let mut x = [0.0; 16];
    while count > 0 {
        for a in 0..count {
            let i = chosen[active[a]];
            x[a] = right[i];
            for b in 0..count {
                matrix[a * count + b] = gram[i * size + chosen[active[b]]];
            }
            matrix[a * count + a] *= 1.0 + 1e-10;
        }
        if !linear::cholesky(&mut matrix[..count * count], count) {
            return 0.0;
        }
        linear::cholesky_solve(&matrix[..count * count], count, &mut x[..count]);
        let worst = (0..count)
            .min_by(|&a, &b| x[a].total_cmp(&x[b]))
            .unwrap_or(0);
        if x[worst] >= 0.0 {
            let mut fall = 0.0;
            for a in 0..count {
                amplitude[active[a]] = x[a];
                fall += x[a] * right[chosen[active[a]]];
            }
            return fall;
        }
        active.copy_within(worst + 1..count, worst);
        count -= 1;
    }
    0.0
}

/// Up to `wanted` sets of start values u, most promising first.
pub(crate) fn candidates(problem: &Problem, spectrum: &Spectrum, wanted: usize) -> Vec<Vec<f64>> {
    let root = &problem.circuit.root;
    let members: Vec<Member> = match root {
        Node::Series(children) => children
            .iter()
            .map(|node| Member {
                role: role(node),
                node,
            })
            .collect(),
        node => vec![Member {
            role: role(node),
            node,
        }],
    };
    let arcs: Vec<usize> = (0..members.len())
        .filter(|&i| members[i].role == Role::Arc)
        .collect();
    let (low, high) = spectrum
        .ln_omega
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &w| {
            (a.min(w), b.max(w))
        });
    let mut typical: Vec<f64> = spectrum
        .z
        .iter()
        .map(|z| z.norm())
        .filter(|z| *z > 0.0)
        .collect();
    typical.sort_by(f64::total_cmp);
    let typical = typical.get(typical.len() / 2).copied().unwrap_or(1.0);
    let slowest = (-low).exp();

    // Basis: resistor, inductor, tails, then arcs on the grid for each exponent.
    let per_decade = if arcs.len() > 2 { 1.5 } else { 2.3 };
    let margin = 1.5;
    let decades = (high - low + 2.0 * margin) / std::f64::consts::LN_10;
    let grid_size = ((decades * per_decade).round() as usize + 1).clamp(4, 40);
    let grid: Vec<f64> = (0..grid_size)
        .map(|g| {
            (-high - margin + (high - low + 2.0 * margin) * g as f64 / (grid_size - 1) as f64).exp()
        })
        .collect();
    let mut columns = vec![
        column(spectrum, Kind::Resistor, &[typical]),
        column(spectrum, Kind::Inductor, &[typical * (-high).exp()]),
    ];
    for n in TAIL_EXPONENTS {
        columns.push(column(
            spectrum,
            Kind::ConstantPhase,
            &[slowest.powf(n) / typical, n],
        ));
    }
    let first_arc = columns.len();
    for n in ARC_EXPONENTS {
        for tau in &grid {
            columns.push(column(spectrum, Kind::Arc, &[typical, tau / typical, n]));
        }
    }
    let size = columns.len();
    let mut gram = vec![0.0; size * size];
    let n = spectrum.len();
    let mut target = vec![0.0; 2 * n];
    for k in 0..n {
        target[k] = spectrum.z[k].re * spectrum.weight[k].0;
        target[n + k] = spectrum.z[k].im * spectrum.weight[k].1;
    }
    let mut right = vec![0.0; size];
    for i in 0..size {
        right[i] = linear::dot(&columns[i], &target);
        for j in 0..=i {
            let product = linear::dot(&columns[i], &columns[j]);
            gram[i * size + j] = product;
            gram[j * size + i] = product;
        }
    }

    let has = |wanted: Role| members.iter().any(|m| m.role == wanted);
    let tails: &[Option<usize>] = if has(Role::Tail) {
        &[Some(0), Some(1), Some(2)]
    } else {
        &[None]
    };
    let mut scored: Vec<(f64, usize, Option<usize>, Vec<usize>)> = Vec::new();
    let mut amplitude = Vec::new();
    let mut chosen = Vec::new();
    // Which exponent each arc takes, as bits; three arcs and more take one for all.
    let patterns: Vec<usize> = match arcs.len() {
        0 => vec![0],
        1 => vec![0, 1],
        2 => vec![0, 1, 2, 3],
        _ => vec![0, usize::MAX],
    };
    let index = |pattern: usize, arc: usize, g: usize| {
        first_arc + (pattern >> arc.min(62) & 1) * grid_size + g
    };
    // Puts the columns of one combination into `chosen`; returns where its arcs begin.
    let choose = |chosen: &mut Vec<usize>, pattern: usize, tail: Option<usize>, grid: &[usize]| {
        chosen.clear();
        if has(Role::Resistor) {
            chosen.push(0);
        }
        if has(Role::Inductor) {
            chosen.push(1);
        }
        if let Some(t) = tail {
            chosen.push(2 + t);
        }
        let before_arcs = chosen.len();
        chosen.extend(grid.iter().enumerate().map(|(a, &g)| index(pattern, a, g)));
        before_arcs
    };
    for &exponent in &patterns {
        for tail in tails {
            let mut combination: Vec<usize> = (0..arcs.len()).collect();
            if combination.len() > grid_size {
                break;
            }
            loop {
                let before_arcs = choose(&mut chosen, exponent, *tail, &combination);
                let fall = non_negative(&gram, &right, size, &chosen, &mut amplitude);
                let penalty = prior_penalty(
                    problem,
                    &members,
                    &arcs,
                    &combination,
                    &grid,
                    &amplitude[before_arcs..],
                    typical,
                );
                scored.push((fall - penalty, exponent, *tail, combination.clone()));
                if arcs.is_empty() || !advance(&mut combination, grid_size) {
                    break;
                }
            }
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));

    let mut starts: Vec<Vec<f64>> = Vec::with_capacity(wanted);
    let mut taken: Vec<(Option<usize>, Vec<usize>)> = Vec::new();
    for (_, exponent, tail, combination) in &scored {
        if starts.len() >= wanted {
            break;
        }
        let near = |other: &Vec<usize>| {
            other
                .iter()
                .zip(combination)
                .all(|(a, b)| a.abs_diff(*b) <= 1)
        };
        if taken.iter().any(|(t, other)| t == tail && near(other)) {
            continue;
        }
        taken.push((*tail, combination.clone()));
        let before_arcs = choose(&mut chosen, *exponent, *tail, combination);
        non_negative(&gram, &right, size, &chosen, &mut amplitude);
        let floor = 1e-3;
        let mut u = vec![0.0; problem.circuit.parameters.len()];
        for member in members.iter().filter(|m| m.role != Role::Arc) {
            let at = match member.role {
                Role::Resistor => 0,
                Role::Inductor => usize::from(has(Role::Resistor)),
                _ => before_arcs - 1,
            };
            let size = typical * amplitude.get(at).copied().unwrap_or(0.0).max(floor);
            let (tau, n) = match member.role {
                Role::Inductor => ((-high).exp(), 1.0),
                _ => (slowest, tail.map_or(1.0, |t| TAIL_EXPONENTS[t])),
            };
            assign(problem, member.node, size, tau, n, &mut u);
        }
        for (a, &member) in arcs.iter().enumerate() {
            let resistance = typical * amplitude[before_arcs + a].max(floor);
            assign(
                problem,
                members[member].node,
                resistance,
                grid[combination[a]],
                ARC_EXPONENTS[*exponent >> a.min(62) & 1],
                &mut u,
            );
        }
        problem.clamp(&mut u);
        starts.push(u);
    }
    starts
}

/// What the priors say of a combination: only arcs with their own capacitance have one that can be told here.
fn prior_penalty(
    problem: &Problem,
    members: &[Member],
    arcs: &[usize],
    combination: &[usize],
    grid: &[f64],
    amplitude: &[f64],
    typical: f64,
) -> f64 {
    let mut penalty = 0.0;
    for (a, &member) in arcs.iter().enumerate() {
        if let Node::Element {
            kind: Kind::Arc,
            parameter,
            ..
        } = members[member].node
        {
            let resistance = typical * amplitude[a].max(1e-3);
            let values = [resistance, grid[combination[a]] / resistance];
            for (i, value) in values.iter().enumerate() {
                let (mean, precision) = problem.prior[parameter + i];
                penalty += ((value.ln() - mean) * precision).powi(2);
            }
        }
    }
    penalty
}

/// The next ascending combination of grid indices; false after the last.
fn advance(combination: &mut [usize], size: usize) -> bool {
    let k = combination.len();
    for i in (0..k).rev() {
        if combination[i] + (k - i) < size {
            combination[i] += 1;
            for j in i + 1..k {
                combination[j] = combination[j - 1] + 1;
            }
            return true;
        }
    }
    false
}
