//! Circuit strings in the usual notation, parsed to a checked tree, and the tree evaluated.
//!
//! `-` is series, `p(a,b,...)` is parallel: `L0-R0-p(R1,CPE1)-p(R2,CPE2)-W1`. An element is its letters and an
//! optional number. Shared parameters: a name written twice means the same values twice, and after the circuit
//! `; CPE2.n = CPE1.n` makes one parameter take the value of another.

use super::CircuitError;
use super::complex::Complex;
use super::element::{self, Kind, MAX_PARAMETERS};

/// Deepest nesting and largest number of elements accepted; far beyond any spectrum, small enough for the stack.
const MAX_DEPTH: usize = 32;
const MAX_ELEMENTS: usize = 64;

/// One node of the tree; an element knows where its values stand and its derivatives go.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A leaf: its kind and its first slot. Each leaf has slots of its own; several may hold one parameter.
    Element {
        /// What it is.
        kind: Kind,
        /// Index of its first slot.
        slot: usize,
    },
    /// One after the other.
    Series(Vec<Node>),
    /// Side by side.
    Parallel(Vec<Node>),
}

impl Node {
    /// Number of derivative slots of all leaves below.
    pub(crate) fn slot_count(&self) -> usize {
        match self {
            Self::Element { kind, .. } => kind.parameters().len(),
            Self::Series(children) | Self::Parallel(children) => {
                children.iter().map(Self::slot_count).sum()
            }
        }
    }

    /// The first derivative slot of all leaves below.
    pub(crate) fn first_slot(&self) -> usize {
        match self {
            Self::Element { slot, .. } => *slot,
            Self::Series(children) | Self::Parallel(children) => {
                children.first().map_or(0, Self::first_slot)
            }
        }
    }

    /// Whether this is `p(R, CPE)`, in this order.
    fn is_plain_arc(&self) -> bool {
        let kind =
            |node: &Node, wanted| matches!(node, Node::Element { kind, .. } if *kind == wanted);
        matches!(self, Self::Parallel(children) if matches!(children.as_slice(),
            [r, q] if kind(r, Kind::Resistor) && kind(q, Kind::ConstantPhase)))
    }

    /// How many rows of scratch [`Self::columns`] needs.
    pub(crate) fn rows_needed(&self) -> usize {
        let deepest = |children: &[Node]| children.iter().map(Self::rows_needed).max().unwrap_or(0);
        match self {
            Self::Element { .. } => 0,
            Self::Series(children) => 1 + deepest(children),
            Self::Parallel(children) => children.len() + deepest(children),
        }
    }

    /// Impedance in Ω at all n frequencies into `z` (n,), derivatives by u into `slope`: for each slot of this node a
    /// column of n. `values` holds the natural values of all slots of the circuit, `scratch` [`Self::rows_needed`]
    /// rows of n.
    pub(crate) fn columns(
        &self,
        values: &[f64],
        omega: &[f64],
        ln_omega: &[f64],
        z: &mut [Complex],
        slope: &mut [Complex],
        scratch: &mut [Complex],
    ) {
        let n = omega.len();
        match self {
            Self::Element { kind, slot } => {
                let values = &values[*slot..slot + kind.parameters().len()];
                element::columns(*kind, values, omega, ln_omega, z, slope);
            }
            Self::Series(children) => {
                z.fill(Complex::ZERO);
                let (part, scratch) = scratch.split_at_mut(n);
                let mut slope = slope;
                for child in children {
                    let (mine, rest) = slope.split_at_mut(child.slot_count() * n);
                    child.columns(values, omega, ln_omega, part, mine, scratch);
                    for (sum, x) in z.iter_mut().zip(&*part) {
                        *sum += *x;
                    }
                    slope = rest;
                }
            }
            Self::Parallel(children) if self.is_plain_arc() => {
                // By far the commonest: R beside a CPE, Z = R/(1 + R Q (jω)^n), in one pass.
                let slot = children[0].first_slot();
                element::depressed_arc(&values[slot..slot + 3], ln_omega, z, slope);
            }
            Self::Parallel(children) => {
                // Z = 1/ΣY; ∂Z = Z² Y_i² ∂Z_i.
                z.fill(Complex::ZERO);
                let (admittances, scratch) = scratch.split_at_mut(children.len() * n);
                let mut rest = &mut *slope;
                for (child, row) in children.iter().zip(admittances.chunks_exact_mut(n)) {
                    let (mine, after) = rest.split_at_mut(child.slot_count() * n);
                    child.columns(values, omega, ln_omega, row, mine, scratch);
                    for (sum, y) in z.iter_mut().zip(row) {
                        *y = y.recip();
                        *sum += *y;
                    }
                    rest = after;
                }
                for total in z.iter_mut() {
                    *total = total.recip();
                }
                let mut rest = slope;
                for (child, row) in children.iter().zip(admittances.chunks_exact_mut(n)) {
                    let (mine, after) = rest.split_at_mut(child.slot_count() * n);
                    for (share, whole) in row.iter_mut().zip(&*z) {
                        *share = *share * *whole;
                        *share = *share * *share;
                    }
                    for column in mine.chunks_exact_mut(n) {
                        for (d, factor) in column.iter_mut().zip(&*row) {
                            *d = *d * *factor;
                        }
                    }
                    rest = after;
                }
            }
        }
    }
}

/// One parameter of a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name, such as `R1` or `CPE1.n`.
    pub name: String,
    /// Unit, such as `Ω`; empty for an exponent.
    pub unit: &'static str,
    /// Kept as it is (an exponent), or as logarithm.
    pub exponent: bool,
}

/// A checked circuit: a tree and its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Circuit {
    pub(crate) root: Node,
    pub(crate) parameters: Vec<Parameter>,
    /// Parameter of each derivative slot.
    pub(crate) slot_parameter: Vec<usize>,
}

impl Circuit {
    /// Reads a circuit string.
    ///
    /// # Errors
    /// [`CircuitError::Notation`] with the position, what was found and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, CircuitError> {
        let mut parser = Parser {
            text,
            rest: text,
            names: Vec::new(),
            parameters: Vec::new(),
            slot_parameter: Vec::new(),
            elements: 0,
        };
        let root = parser.series(0)?;
        while parser.take(";") {
            parser.tie()?;
        }
        parser.skip_space();
        if !parser.rest.is_empty() {
            return Err(parser.error("expected '-', ';' or the end"));
        }
        Ok(Self {
            root,
            parameters: parser.parameters,
            slot_parameter: parser.slot_parameter,
        })
    }

    /// Natural values of all slots from those of the parameters.
    pub(crate) fn by_slot(&self, values: &[f64]) -> Vec<f64> {
        self.slot_parameter.iter().map(|&p| values[p]).collect()
    }

    /// The parameters, in the order of the string.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Number of derivative slots: as many as parameters unless some are shared.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slot_parameter.len()
    }

    /// Impedance (n,) in Ω at frequencies (n,) in Hz, for natural parameter values.
    ///
    /// # Errors
    /// The number of values is wrong, or a frequency is not positive and finite.
    pub fn impedance(
        &self,
        values: &[f64],
        frequency_hz: &[f64],
    ) -> Result<Vec<Complex>, CircuitError> {
        self.jacobian(values, frequency_hz).map(|(z, _)| z)
    }

    /// Impedance (n,) and its derivatives by the natural parameter values, row-major (n, p).
    ///
    /// # Errors
    /// The number of values is wrong, a value is not positive and finite, or a frequency is not.
    pub fn jacobian(
        &self,
        values: &[f64],
        frequency_hz: &[f64],
    ) -> Result<(Vec<Complex>, Vec<Complex>), CircuitError> {
        let count = self.parameters.len();
        if values.len() != count {
            return Err(CircuitError::Data(format!(
                "{} values for {count} parameters ({})",
                values.len(),
                self.names()
            )));
        }
        for (value, parameter) in values.iter().zip(&self.parameters) {
            if !(value.is_finite() && *value > 0.0) {
                return Err(CircuitError::Data(format!(
                    "{} = {value} is not positive and finite",
                    parameter.name
                )));
            }
        }
        let n = frequency_hz.len();
        if let Some(i) = frequency_hz
            .iter()
            .position(|f| !(f.is_finite() && *f > 0.0))
        {
            return Err(CircuitError::Data(format!(
                "frequency {} Hz of point {i} is not positive and finite",
                frequency_hz[i]
            )));
        }
        let omega: Vec<f64> = frequency_hz
            .iter()
            .map(|f| 2.0 * std::f64::consts::PI * f)
            .collect();
        let ln_omega: Vec<f64> = omega.iter().map(|w| w.ln()).collect();
        let mut impedance = vec![Complex::ZERO; n];
        let mut slope = vec![Complex::ZERO; self.slots() * n];
        let mut scratch = vec![Complex::ZERO; self.root.rows_needed() * n];
        if n > 0 {
            self.root.columns(
                &self.by_slot(values),
                &omega,
                &ln_omega,
                &mut impedance,
                &mut slope,
                &mut scratch,
            );
        }
        let mut jacobian = vec![Complex::ZERO; n * count];
        for (slot, &p) in self.slot_parameter.iter().enumerate() {
            let chain = if self.parameters[p].exponent {
                1.0
            } else {
                1.0 / values[p]
            };
            for k in 0..n {
                jacobian[k * count + p] += slope[slot * n + k].scale(chain);
            }
        }
        Ok((impedance, jacobian))
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.parameters.iter().map(|p| p.name.as_str()).collect();
        names.join(", ")
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    names: Vec<(String, Kind, usize)>,
    parameters: Vec<Parameter>,
    slot_parameter: Vec<usize>,
    elements: usize,
}

impl Parser<'_> {
    fn error(&self, expected: &str) -> CircuitError {
        let at = self.text.len() - self.rest.len();
        let found = self
            .rest
            .chars()
            .next()
            .map_or("the end".to_string(), |c| format!("'{c}'"));
        CircuitError::Notation(format!(
            "circuit '{}': {found} at position {}, {expected}",
            self.text,
            self.text[..at].chars().count() + 1
        ))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        if let Some(rest) = self.rest.strip_prefix(token) {
            self.rest = rest;
            return true;
        }
        false
    }

    fn series(&mut self, depth: usize) -> Result<Node, CircuitError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply: at most 32 levels"));
        }
        let mut children = vec![self.item(depth)?];
        while self.take("-") {
            children.push(self.item(depth)?);
        }
        Ok(match children.pop() {
            Some(only) if children.is_empty() => only,
            Some(last) => {
                children.push(last);
                Node::Series(children)
            }
            None => Node::Series(children),
        })
    }

    fn item(&mut self, depth: usize) -> Result<Node, CircuitError> {
        self.skip_space();
        if self.take("p(") {
            let mut children = vec![self.series(depth + 1)?];
            while self.take(",") {
                children.push(self.series(depth + 1)?);
            }
            if !self.take(")") {
                return Err(self.error("expected ',' or ')' of a parallel group"));
            }
            if children.len() < 2 {
                return Err(self.error("a parallel group needs two branches or more before this"));
            }
            return Ok(Node::Parallel(children));
        }
        self.element()
    }

    /// `CPE2.n = CPE1.n`: the first takes the value of the second and is no parameter any more.
    fn tie(&mut self) -> Result<(), CircuitError> {
        let follower = self.parameter()?;
        if !self.take("=") {
            return Err(self.error("expected '=' of a shared parameter"));
        }
        let leader = self.parameter()?;
        let (one, other) = (&self.parameters[follower], &self.parameters[leader]);
        if follower == leader || one.unit != other.unit || one.exponent != other.exponent {
            return Err(CircuitError::Notation(format!(
                "circuit '{}': {} [{}] cannot share the value of {} [{}]: two parameters of one unit can",
                self.text, one.name, one.unit, other.name, other.unit
            )));
        }
        self.parameters.remove(follower);
        for parameter in &mut self.slot_parameter {
            if *parameter == follower {
                *parameter = leader;
            }
            if *parameter > follower {
                *parameter -= 1;
            }
        }
        Ok(())
    }

    fn parameter(&mut self) -> Result<usize, CircuitError> {
        self.skip_space();
        let length = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
            .unwrap_or(self.rest.len());
        let name = &self.rest[..length];
        let Some(found) = self.parameters.iter().position(|p| p.name == name) else {
            return Err(self.error("expected the name of a parameter that is not shared yet"));
        };
        self.rest = &self.rest[length..];
        Ok(found)
    }

    fn element(&mut self) -> Result<Node, CircuitError> {
        let start = self.rest;
        let Some((symbol, kind)) = Kind::SYMBOLS
            .iter()
            .find(|(symbol, _)| start.starts_with(symbol))
        else {
            return Err(self.error("expected p( or an element: R, C, L, CPE, W, Wo, Ws, G, ZARC, TL with an optional number"));
        };
        if self.elements == MAX_ELEMENTS {
            return Err(self.error("too many elements: at most 64"));
        }
        self.elements += 1;
        let after = &start[symbol.len()..];
        let digits = after.len()
            - after
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '_')
                .len();
        let name = &start[..symbol.len() + digits];
        self.rest = &after[digits..];
        if self.rest.starts_with(|c: char| c.is_alphanumeric()) {
            return Err(self.error("expected '-', ',', ')' or ';' after the element"));
        }
        let slot = self.slot_parameter.len();
        let known = self
            .names
            .iter()
            .find(|(known, _, _)| known == name)
            .map(|(_, _, first)| *first);
        let parameter = known.unwrap_or(self.parameters.len());
        if known.is_none() {
            self.names.push((name.to_string(), *kind, parameter));
            for (index, (suffix, unit)) in kind.parameters().iter().enumerate() {
                let name = if suffix.is_empty() {
                    name.to_string()
                } else {
                    format!("{name}.{suffix}")
                };
                self.parameters.push(Parameter {
                    name,
                    unit,
                    exponent: kind.is_exponent(index),
                });
            }
        }
        debug_assert!(kind.parameters().len() <= MAX_PARAMETERS);
        self.slot_parameter
            .extend(parameter..parameter + kind.parameters().len());
        Ok(Node::Element { kind: *kind, slot })
    }
}
