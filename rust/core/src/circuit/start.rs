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

/// Exponents the arcs are tried with; each of two arcs takes its own, more take one for all.
const ARC_EXPONENTS: [f64; 2] = [0.95, 0.72];
const TAIL_EXPONENTS: [f64; 3] = [0.95, 0.75, 0.5];
/// Most members of a chain for which start values are sought.
const MOST_MEMBERS: usize = 16;
/// Ridge on the diagonal of the chain of all basis functions.
const RIDGE: f64 = 1e-6;
/// No start is smaller than this share of the typical impedance.
const LEAST_SHARE: f64 = 1e-3;

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

/// The members of the outermost chain.
fn members(root: &Node) -> &[Node] {
    match root {
        Node::Series(children) => children,
        node => std::slice::from_ref(node),
    }
}

/// The members of the outermost chain that are arcs.
pub(crate) fn arcs(problem: &Problem) -> Vec<&Node> {
    members(&problem.circuit.root)
        .iter()
        .filter(|node| role(node) == Role::Arc)
        .collect()
}

/// Gives the elements below a node values that make it look like an arc R, τ, n (or a resistor, or a tail).
fn assign(problem: &Problem, node: &Node, resistance: f64, tau: f64, n: f64, u: &mut [f64]) {
    match node {
        Node::Element { kind, slot } => {
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
                let p = problem.circuit.slot_parameter[slot + i];
                u[p] = to_u(*value, problem.circuit.parameters[p].exponent);
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

/// Makes the impedance of a node larger by a factor at all frequencies.
fn magnify(problem: &Problem, node: &Node, factor: f64, u: &mut [f64]) {
    match node {
        Node::Element { kind, slot } => {
            for (i, (suffix, _)) in kind.parameters().iter().enumerate() {
                let by = match (kind, *suffix) {
                    (_, "n" | "tau") => continue,
                    (Kind::Capacitor, _) | (_, "c" | "q") => -factor.ln(),
                    _ => factor.ln(),
                };
                u[problem.circuit.slot_parameter[slot + i]] += by;
            }
        }
        Node::Series(children) | Node::Parallel(children) => {
            for child in children {
                magnify(problem, child, factor, u);
            }
        }
    }
}

/// Multiplies a column by the weights of a spectrum.
fn weighted(spectrum: &Spectrum, column: &mut [Complex]) {
    for (z, &(w_re, w_im)) in column.iter_mut().zip(&spectrum.weight) {
        *z = Complex::new(z.re * w_re, z.im * w_im);
    }
}

/// Non-negative least squares on a small Gram matrix by dropping what turns negative; returns the fall of the
/// sum of squares.
fn non_negative(
    gram: &[f64],
    right: &[f64],
    size: usize,
    chosen: &[usize],
    amplitude: &mut [f64; MOST_MEMBERS],
) -> f64 {
    let mut active: [usize; MOST_MEMBERS] = std::array::from_fn(|i| i);
    let mut count = chosen.len().min(MOST_MEMBERS);
    amplitude.fill(0.0);
    let mut matrix = [0.0; MOST_MEMBERS * MOST_MEMBERS];
    let mut x = [0.0; MOST_MEMBERS];
    while count > 0 {
        for a in 0..count {
            let i = chosen[active[a]];
            x[a] = right[i];
            for b in 0..=a {
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
    columns: Vec<Vec<Complex>>,
    target: Vec<Complex>,
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
            weighted(spectrum, &mut column);
            columns.push(column);
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
        let mut target = spectrum.z.clone();
        weighted(spectrum, &mut target);
        let size = columns.len();
        let mut gram = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..=i {
                let product = linear::dot_parts(&columns[i], &columns[j]);
                gram[i * size + j] = product;
                gram[j * size + i] = product;
            }
        }
        let right = columns
            .iter()
            .map(|c| linear::dot_parts(c, &target))
            .collect();
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
            for (z, d) in left.iter_mut().zip(column) {
                *z = *z - d.scale(*factor);
            }
        }
        Some(linear::dot_parts(&left, &left))
    }

    /// How many members of the chain are arcs.
    pub fn arcs(&self) -> usize {
        self.roles.iter().filter(|r| **r == Role::Arc).count()
    }

    fn has(&self, wanted: Role) -> bool {
        self.roles.contains(&wanted)
    }

    /// Puts the columns of one combination into `chosen`; returns where its arcs begin.
    fn choose(&self, chosen: &mut Vec<usize>, one: &Combination, arcs: usize) -> usize {
        chosen.clear();
        if self.has(Role::Resistor) {
            chosen.push(0);
        }
        if self.has(Role::Inductor) {
            chosen.push(1);
        }
        chosen.extend(one.tail.map(|t| 2 + t));
        let before_arcs = chosen.len();
        chosen.extend(
            (0..arcs).map(|a| {
                FIRST_ARC + one.exponent(a) * self.grid.len() + usize::from(one.places[a])
            }),
        );
        before_arcs
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
        let mut scored: Vec<(f64, Combination)> = Vec::new();
        let mut amplitude = [0.0; MOST_MEMBERS];
        let mut chosen = Vec::with_capacity(MOST_MEMBERS);
        for &exponents in patterns {
            for &tail in tails {
                let mut one = Combination {
                    exponents,
                    tail,
                    places: std::array::from_fn(|i| i as u8),
                };
                while count <= self.grid.len() {
                    let before_arcs = self.choose(&mut chosen, &one, count);
                    let fall = non_negative(&self.gram, &self.right, size, &chosen, &mut amplitude);
                    let found = (0..count).map(|a| {
                        let share = amplitude[before_arcs + a].max(LEAST_SHARE);
                        (
                            self.scale.typical * share,
                            self.grid[usize::from(one.places[a])],
                        )
                    });
                    scored.push((fall - prior_penalty(self.problem, &nodes, found), one));
                    if count == 0 || !advance(&mut one.places[..count], self.grid.len()) {
                        break;
                    }
                }
            }
        }
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut starts: Vec<Vec<f64>> = Vec::with_capacity(wanted);
        let mut taken: Vec<Combination> = Vec::new();
        for (_, one) in &scored {
            if starts.len() >= wanted {
                break;
            }
            if taken.iter().any(|other| one.near(other, count)) {
                continue;
            }
            taken.push(*one);
            let before_arcs = self.choose(&mut chosen, one, count);
            non_negative(&self.gram, &self.right, size, &chosen, &mut amplitude);
            starts.push(self.start_of(one, &amplitude, before_arcs, count));
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
        let mut shapes = vec![Complex::ZERO; kept * n];
        for (node, column) in others.iter().zip(shapes.chunks_exact_mut(n)) {
            let (omega, ln_omega) = (&spectrum.omega, &spectrum.ln_omega);
            node.columns(&values, omega, ln_omega, column, &mut slope, &mut scratch);
            weighted(spectrum, column);
        }
        // A small Gram matrix whose last row is that of the arc in each place.
        let size = kept + 1;
        let mut gram = vec![0.0; size * size];
        let mut right = vec![0.0; size];
        for (i, one) in shapes.chunks_exact(n).enumerate() {
            right[i] = linear::dot_parts(one, &self.target);
            for (j, other) in shapes.chunks_exact(n).take(i + 1).enumerate() {
                gram[i * size + j] = linear::dot_parts(one, other);
                gram[j * size + i] = gram[i * size + j];
            }
        }
        let chosen: Vec<usize> = (0..size).collect();
        let mut amplitude = [0.0; MOST_MEMBERS];
        let mut solve = |k: usize, amplitude: &mut [f64; MOST_MEMBERS]| {
            let column = FIRST_ARC + k;
            for (i, shape) in shapes.chunks_exact(n).enumerate() {
                gram[kept * size + i] = linear::dot_parts(shape, &self.columns[column]);
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

/// One combination: exponents of the arcs (as bits), tail, places on the grid.
#[derive(Debug, Clone, Copy)]
struct Combination {
    exponents: usize,
    tail: Option<usize>,
    places: [u8; MOST_MEMBERS],
}

impl Combination {
    fn exponent(&self, arc: usize) -> usize {
        self.exponents >> arc & 1
    }

    fn near(&self, other: &Self, arcs: usize) -> bool {
        let pairs = self.places[..arcs].iter().zip(&other.places);
        self.tail == other.tail && pairs.into_iter().all(|(a, b)| a.abs_diff(*b) <= 1)
    }
}

/// Time constant of an arc that is R parallel to C or CPE, or a ZARC; `None` for any other shape.
fn time_constant(values: &[f64], node: &Node) -> Option<f64> {
    match node {
        Node::Element {
            kind: Kind::Arc,
            slot,
        } => Some(values[*slot] * values[slot + 1]),
        Node::Parallel(children) => match children.as_slice() {
            [
                Node::Element {
                    kind: Kind::Resistor,
                    slot: r,
                },
                Node::Element { kind, slot },
            ] => match kind {
                Kind::Capacitor => Some(values[*r] * values[*slot]),
                Kind::ConstantPhase => {
                    Some((values[*r] * values[*slot]).powf(1.0 / values[slot + 1]))
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Puts arcs that are alike in all that was asked (shape, bounds, priors) into the order fast to slow, so that `R1`
/// is always the faster one. Leaves u as it is when one of their values was given or is shared.
pub(crate) fn fast_to_slow(problem: &Problem, given: &[f64], u: &mut [f64]) {
    let arcs = arcs(problem);
    let values = problem.circuit.by_slot(&problem.natural(u));
    let owned: Vec<Vec<usize>> = arcs
        .iter()
        .map(|node| {
            let first = node.first_slot();
            problem.circuit.slot_parameter[first..first + node.slot_count()].to_vec()
        })
        .collect();
    let asked = |p: usize| {
        let exponent = problem.circuit.parameters[p].exponent;
        (
            exponent,
            problem.lower[p],
            problem.upper[p],
            problem.prior[p],
        )
    };
    let free = owned.iter().flatten().all(|&p| {
        let uses = problem.circuit.slot_parameter.iter().filter(|&&q| q == p);
        given[p].is_nan() && !problem.fixed[p] && uses.count() == 1
    });
    let alike = owned.windows(2).all(|pair| {
        pair[0].len() == pair[1].len()
            && pair[0]
                .iter()
                .zip(&pair[1])
                .all(|(&p, &q)| asked(p) == asked(q))
    });
    let times: Option<Vec<f64>> = arcs.iter().map(|a| time_constant(&values, a)).collect();
    let Some(times) = times.filter(|_| free && alike) else {
        return;
    };
    let mut order: Vec<usize> = (0..arcs.len()).collect();
    order.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
    let before = u.to_vec();
    for (to, &from) in owned.iter().zip(&order) {
        for (&p, &q) in to.iter().zip(&owned[from]) {
            u[p] = before[q];
        }
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

/// The next ascending combination of grid indices; false after the last.
fn advance(combination: &mut [u8], size: usize) -> bool {
    let k = combination.len();
    for i in (0..k).rev() {
        if usize::from(combination[i]) + (k - i) < size {
            combination[i] += 1;
            for j in i + 1..k {
                combination[j] = combination[j - 1] + 1;
            }
            return true;
        }
    }
    false
}
