//! Circuit strings in the usual notation, parsed to a checked tree, and the tree evaluated.
//!
//! `-` is series, `p(a,b,...)` is parallel: `L0-R0-p(R1,CPE1)-p(R2,CPE2)-W1`. An element is its letters and an
//! optional number; a name written twice means the same values twice (shared parameters).

use super::CircuitError;
use super::complex::Complex;
use super::element::{self, Kind, MAX_PARAMETERS};

/// Deepest nesting and largest number of elements accepted; far beyond any spectrum, small enough for the stack.
const MAX_DEPTH: usize = 32;
const MAX_ELEMENTS: usize = 64;

/// One node of the tree; an element knows where its derivatives go.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A leaf: kind, index of its first parameter, index of its first derivative slot.
    Element {
        /// What it is.
        kind: Kind,
        /// Index of its first parameter in the circuit.
        parameter: usize,
        /// Index of its first derivative slot (each leaf has its own).
        slot: usize,
    },
    /// One after the other.
    Series(Vec<Node>),
    /// Side by side.
    Parallel(Vec<Node>),
}

impl Node {
    /// First slot and one past the last of all leaves below.
    pub(crate) fn slots(&self) -> (usize, usize) {
        match self {
            Self::Element { kind, slot, .. } => (*slot, slot + kind.parameters().len()),
            Self::Series(children) | Self::Parallel(children) => {
                let first = children.first().map_or(0, |c| c.slots().0);
                let last = children.last().map_or(0, |c| c.slots().1);
                (first, last)
            }
        }
    }

    fn impedance(
        &self,
        values: &[f64],
        omega: f64,
        ln_omega: f64,
        slope: &mut [Complex],
    ) -> Complex {
        match self {
            Self::Element {
                kind,
                parameter,
                slot,
            } => {
                let count = kind.parameters().len();
                element::impedance(
                    *kind,
                    &values[*parameter..parameter + count],
                    omega,
                    ln_omega,
                    &mut slope[*slot..slot + count],
                )
            }
            Self::Series(children) => children.iter().fold(Complex::ZERO, |sum, child| {
                sum + child.impedance(values, omega, ln_omega, slope)
            }),
            Self::Parallel(children) => {
                // Z = 1/ΣY; ∂Z = Z² Y_i² ∂Z_i. The children's admittances are kept on the stack.
                let mut admittances = [Complex::ZERO; MAX_ELEMENTS];
                let mut total = Complex::ZERO;
                for (i, child) in children.iter().enumerate() {
                    admittances[i] = child.impedance(values, omega, ln_omega, slope).recip();
                    total += admittances[i];
                }
                let z = total.recip();
                for (i, child) in children.iter().enumerate() {
                    let share = z * admittances[i];
                    let factor = share * share;
                    let (first, last) = child.slots();
                    for d in &mut slope[first..last] {
                        *d = *d * factor;
                    }
                }
                z
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
        parser.skip_space();
        if !parser.rest.is_empty() {
            return Err(parser.error("expected '-' or the end"));
        }
        Ok(Self {
            root,
            parameters: parser.parameters,
            slot_parameter: parser.slot_parameter,
        })
    }

    /// The parameters, in the order of the string.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Impedance in Ω at one angular frequency; `slope` gets ∂Z/∂u for each slot (see [`Self::slots`]).
    #[must_use]
    pub(crate) fn evaluate(
        &self,
        values: &[f64],
        omega: f64,
        ln_omega: f64,
        slope: &mut [Complex],
    ) -> Complex {
        self.root.impedance(values, omega, ln_omega, slope)
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
        let mut slope = vec![Complex::ZERO; self.slots()];
        let mut impedance = Vec::with_capacity(frequency_hz.len());
        let mut jacobian = vec![Complex::ZERO; frequency_hz.len() * count];
        for (i, &f) in frequency_hz.iter().enumerate() {
            if !(f.is_finite() && f > 0.0) {
                return Err(CircuitError::Data(format!(
                    "frequency {f} Hz of point {i} is not positive and finite"
                )));
            }
            let omega = 2.0 * std::f64::consts::PI * f;
            impedance.push(self.evaluate(values, omega, omega.ln(), &mut slope));
            for (slot, &p) in self.slot_parameter.iter().enumerate() {
                let chain = if self.parameters[p].exponent {
                    1.0
                } else {
                    1.0 / values[p]
                };
                jacobian[i * count + p] += slope[slot].scale(chain);
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
            return Err(self.error("expected '-', ',' or ')' after the element"));
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
        Ok(Node::Element {
            kind: *kind,
            parameter,
            slot,
        })
    }
}
