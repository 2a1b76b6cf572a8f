//! Combinations of places for the arcs of a chain, how well each explains a spectrum, and how well at most.

use super::linear;
use std::cmp::Ordering;

/// Most members of a chain for which start values are sought.
pub(crate) const MOST_MEMBERS: usize = 16;
/// Keeps small Gram matrices regular where two columns are the same.
const TINY_RIDGE: f64 = 1e-10;

/// One combination: exponents of the arcs (as bits), tail, places on the grid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Combination {
    pub exponents: usize,
    pub tail: Option<usize>,
    pub places: [u8; MOST_MEMBERS],
}

impl Combination {
    pub(crate) fn exponent(&self, arc: usize) -> usize {
        self.exponents >> arc & 1
    }

    pub(crate) fn near(&self, other: &Self, arcs: usize) -> bool {
        let pairs = self.places[..arcs].iter().zip(&other.places);
        self.tail == other.tail && pairs.into_iter().all(|(a, b)| a.abs_diff(*b) <= 1)
    }
}

/// A combination with the fall of the sum of squares it gives, or may give at most while it is not solved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked {
    pub fall: f64,
    pub solved: bool,
    pub one: Combination,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.fall
            .total_cmp(&other.fall)
            .then(self.solved.cmp(&other.solved))
    }
}

/// Products of the arcs with each other and with the target once the rest of the chain is fitted out, sizes of the
/// rest of either sign: an upper bound of what two arcs with sizes of at least nought explain costs a few operations.
pub(crate) struct Reduced {
    arcs: usize,
    gram: Vec<f64>,
    right: Vec<f64>,
    /// What the rest explains alone.
    before: f64,
}

impl Reduced {
    /// From the products of all `size` columns: `rest` are those fitted out, the arcs begin at `first`. None when the
    /// rest cannot be told apart.
    pub fn new(gram: &[f64], right: &[f64], rest: &[usize], first: usize) -> Option<Self> {
        let (size, m) = (right.len(), rest.len());
        let arcs = size - first;
        let mut factor: Vec<f64> = (0..m * m)
            .map(|k| gram[rest[k / m] * size + rest[k % m]])
            .collect();
        if !linear::cholesky(&mut factor, m) {
            return None;
        }
        let mut alone: Vec<f64> = rest.iter().map(|&i| right[i]).collect();
        linear::cholesky_solve(&factor, m, &mut alone);
        let mut reduced = Self {
            arcs,
            gram: vec![0.0; arcs * arcs],
            right: right[first..].to_vec(),
            before: rest.iter().zip(&alone).map(|(&i, x)| right[i] * x).sum(),
        };
        let mut along = vec![0.0; m];
        for a in 0..arcs {
            let row = &gram[(first + a) * size..(first + a + 1) * size];
            for (x, &i) in along.iter_mut().zip(rest) {
                *x = row[i];
            }
            reduced.right[a] -= rest
                .iter()
                .zip(&alone)
                .map(|(&i, x)| row[i] * x)
                .sum::<f64>();
            linear::cholesky_solve(&factor, m, &mut along);
            for b in 0..=a {
                let taken: f64 = rest
                    .iter()
                    .zip(&along)
                    .map(|(&i, x)| gram[(first + b) * size + i] * x)
                    .sum();
                let left = row[first + b] - taken;
                reduced.gram[a * arcs + b] = left;
                reduced.gram[b * arcs + a] = left;
            }
        }
        Some(reduced)
    }

    /// The most that arcs `a` and `b` (counted from the first arc) and the rest explain together.
    pub fn most(&self, a: usize, b: usize) -> f64 {
        let g = |i: usize, j: usize| self.gram[i * self.arcs + j];
        let alone = |i: usize| {
            let right = self.right[i].max(0.0);
            right * right / g(i, i).max(f64::MIN_POSITIVE)
        };
        let determinant = g(a, a) * g(b, b) - g(a, b) * g(a, b);
        let x = self.right[a] * g(b, b) - self.right[b] * g(a, b);
        let y = self.right[b] * g(a, a) - self.right[a] * g(a, b);
        let fall = if determinant > 0.0 && x > 0.0 && y > 0.0 {
            (self.right[a] * x + self.right[b] * y) / determinant
        } else {
            alone(a).max(alone(b))
        };
        self.before + fall
    }
}

/// Non-negative least squares on a small Gram matrix by dropping what turns negative; returns the fall of the
/// sum of squares.
pub(crate) fn non_negative(
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
            matrix[a * count + a] *= 1.0 + TINY_RIDGE;
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

/// The next ascending combination of grid indices; false after the last.
pub(crate) fn advance(combination: &mut [u8], size: usize) -> bool {
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
