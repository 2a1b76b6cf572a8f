//! The outermost chain of a circuit seen from far: which of its members are arcs, how to give them a size and a time
//! constant, and in which order they stand.

use super::element::Kind;
use super::fit::{Problem, to_u};
use super::notation::Node;

/// What one member of the chain looks like from far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Resistor,
    Inductor,
    /// Rises without end towards low frequency.
    Tail,
    /// A bounded dispersion with a time constant.
    Arc,
}

fn contains(node: &Node, wanted: &dyn Fn(Kind) -> bool) -> bool {
    match node {
        Node::Element { kind, .. } => wanted(*kind),
        Node::Series(children) | Node::Parallel(children) => {
            children.iter().any(|c| contains(c, wanted))
        }
    }
}

pub(crate) fn role(node: &Node) -> Role {
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
pub(crate) fn members(root: &Node) -> &[Node] {
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

/// The parameters of all elements below a node, one for each slot.
pub(crate) fn parameters(problem: &Problem, node: &Node) -> Vec<usize> {
    let first = node.first_slot();
    problem.circuit.slot_parameter[first..first + node.slot_count()].to_vec()
}

/// Gives the elements below a node values that make it look like an arc R, τ, n (or a resistor, or a tail).
pub(crate) fn assign(
    problem: &Problem,
    node: &Node,
    resistance: f64,
    tau: f64,
    n: f64,
    u: &mut [f64],
) {
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
pub(crate) fn magnify(problem: &Problem, node: &Node, factor: f64, u: &mut [f64]) {
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
    let owned: Vec<Vec<usize>> = arcs.iter().map(|node| parameters(problem, node)).collect();
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
