//! Cholesky factors, packed by rows so that a factor grows by one row in place.
//!
//! Every inner loop is a dot product or a scaled sum of contiguous slices with a fixed order of additions: the same
//! input gives the same bits on every machine and with every number of threads.

/// Dot product with eight running sums, which the compiler keeps in vector registers; a rest of four, then of ones.
#[inline]
#[must_use]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let mut sums = [0.0_f64; 8];
    let (chunks_a, chunks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let (mut rest_a, mut rest_b) = (chunks_a.remainder(), chunks_b.remainder());
    for (p, q) in chunks_a.zip(chunks_b) {
        for k in 0..8 {
            sums[k] += p[k] * q[k];
        }
    }
    if rest_a.len() >= 4 {
        for k in 0..4 {
            sums[k] += rest_a[k] * rest_b[k];
        }
        (rest_a, rest_b) = (&rest_a[4..], &rest_b[4..]);
    }
    let mut rest = 0.0;
    for (p, q) in rest_a.iter().zip(rest_b) {
        rest += p * q;
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

/// Four dot products with the same vector, side by side: `a` is loaded once, and no sum waits for another.
#[inline]
fn dot_four(a: &[f64], b: [&[f64]; 4]) -> [f64; 4] {
    let length = a.len();
    let b = b.map(|each| &each[..length]);
    let mut sums = [[0.0_f64; 4]; 4];
    let whole = length / 4 * 4;
    for start in (0..whole).step_by(4) {
        let p = &a[start..start + 4];
        for (sum, each) in sums.iter_mut().zip(b) {
            let q = &each[start..start + 4];
            for k in 0..4 {
                sum[k] += p[k] * q[k];
            }
        }
    }
    let mut totals = sums.map(|sum| (sum[0] + sum[2]) + (sum[1] + sum[3]));
    for k in whole..length {
        for (total, each) in totals.iter_mut().zip(b) {
            *total += a[k] * each[k];
        }
    }
    totals
}

/// Rows between two looks at whether to go on.
const PATIENCE: usize = 32;

/// How many right-hand sides are solved side by side.
pub(crate) const LANES: usize = 8;

/// `target += factor * source`.
#[inline]
pub(crate) fn add_scaled(target: &mut [f64], factor: f64, source: &[f64]) {
    for (t, s) in target.iter_mut().zip(source) {
        *t += factor * s;
    }
}

/// Index of the first element of a row in packed storage.
#[inline]
pub(crate) fn row(i: usize) -> usize {
    i * (i + 1) / 2
}

/// The lower factor `L` of `A = L Lᵀ`.
#[derive(Clone, Debug)]
pub(crate) struct Triangle {
    size: usize,
    packed: Vec<f64>,
}

impl Triangle {
    /// Factor of a symmetric matrix given by its packed lower half; `None` when it is not positive definite.
    pub(crate) fn factor(packed: Vec<f64>, size: usize) -> Option<Self> {
        Self::factor_while(packed, size, &|| true)
    }

    /// The same; `None` also when `go_on`, asked every few rows, says no.
    pub(crate) fn factor_while(
        mut packed: Vec<f64>,
        size: usize,
        go_on: super::GoOn<'_>,
    ) -> Option<Self> {
        for i in 0..size {
            if i % PATIENCE == PATIENCE - 1 && !go_on() {
                return None;
            }
            let (done, rest) = packed.split_at_mut(row(i));
            let current = &mut rest[..=i];
            let at = |j: usize| &done[row(j)..=row(j) + j];
            let mut j = 0;
            while j + 4 <= i {
                let sums = dot_four(&current[..j], [at(j), at(j + 1), at(j + 2), at(j + 3)]);
                for (k, sum) in sums.into_iter().enumerate() {
                    let other = at(j + k);
                    let near = dot(&current[j..j + k], &other[j..j + k]);
                    current[j + k] = (current[j + k] - sum - near) / other[j + k];
                }
                j += 4;
            }
            for j in j..i {
                let other = at(j);
                current[j] = (current[j] - dot(&current[..j], &other[..j])) / other[j];
            }
            let pivot = current[i] - dot(&current[..i], &current[..i]);
            // NaN fails this comparison too.
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            current[i] = pivot.sqrt();
        }
        Some(Self { size, packed })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    #[inline]
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.packed[row(i)..=row(i) + i]
    }

    pub(crate) fn log_determinant(&self) -> f64 {
        2.0 * (0..self.size)
            .map(|i| self.packed[row(i) + i].ln())
            .sum::<f64>()
    }

    /// `L⁻¹ b` in place.
    pub(crate) fn solve_lower(&self, b: &mut [f64]) {
        for i in 0..self.size {
            let current = self.row(i);
            b[i] = (b[i] - dot(&current[..i], &b[..i])) / current[i];
        }
    }

    /// `|L⁻¹ b|²` of eight right-hand sides side by side (`b[i * 8 + lane]`); `b` is overwritten.
    pub(crate) fn squared_norms(&self, b: &mut [f64]) -> [f64; LANES] {
        let mut norms = [0.0; LANES];
        for i in 0..self.size {
            let current = self.row(i);
            let (done, rest) = b.split_at_mut(i * LANES);
            let mut sums = [0.0; LANES];
            for (factor, lanes) in current[..i].iter().zip(done.chunks_exact(LANES)) {
                for lane in 0..LANES {
                    sums[lane] += factor * lanes[lane];
                }
            }
            let pivot = 1.0 / current[i];
            for lane in 0..LANES {
                let value = (rest[lane] - sums[lane]) * pivot;
                rest[lane] = value;
                norms[lane] += value * value;
            }
        }
        norms
    }

    /// `L⁻ᵀ b` in place.
    pub(crate) fn solve_upper(&self, b: &mut [f64]) {
        for i in (0..self.size).rev() {
            let current = self.row(i);
            b[i] /= current[i];
            let value = b[i];
            add_scaled(&mut b[..i], -value, &current[..i]);
        }
    }

    /// Appends the row that belongs to a new row of `A`: `cross` with the old ones, `diagonal` with itself.
    ///
    /// O(n²). A diagonal that is used up by the old rows (an exact copy without noise) is lifted to `floor`.
    pub(crate) fn grow(&mut self, cross: &[f64], diagonal: f64, floor: f64) {
        let mut new = cross.to_vec();
        self.solve_lower(&mut new);
        let pivot = (diagonal - dot(&new, &new)).max(floor);
        self.packed.extend_from_slice(&new);
        self.packed.push(pivot.sqrt());
        self.size += 1;
    }

    /// `A⁻¹`, packed lower half. O(n³).
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let n = self.size;
        // Row j of `transposed` holds column j of L⁻¹, from element j on.
        let mut transposed = vec![0.0; n * n];
        let mut columns = transposed.chunks_exact_mut(n);
        let mut j = 0;
        while j < n {
            let mut four: Vec<&mut [f64]> = columns.by_ref().take(4).collect();
            let last = (j + four.len()).min(n);
            for (k, column) in four.iter_mut().enumerate() {
                // The first rows, where the columns differ in where they begin.
                column[j + k] = 1.0 / self.row(j + k)[j + k];
                for i in j + k + 1..last {
                    let current = self.row(i);
                    column[i] = -dot(&current[j + k..i], &column[j + k..i]) / current[i];
                }
            }
            if let [a, b, c, d] = four.as_mut_slice() {
                for i in last..n {
                    let current = self.row(i);
                    // Elements before a column's beginning are zero and add nothing.
                    let sums = dot_four(&current[j..i], [&a[j..i], &b[j..i], &c[j..i], &d[j..i]]);
                    for (column, sum) in [&mut *a, &mut *b, &mut *c, &mut *d].into_iter().zip(sums)
                    {
                        column[i] = -sum / current[i];
                    }
                }
            }
            j = last;
        }
        let mut inverse = Vec::with_capacity(row(n));
        for a in 0..n {
            let first = &transposed[a * n + a..(a + 1) * n];
            let tail = |b: usize| &transposed[b * n + a..(b + 1) * n];
            let mut b = 0;
            while b + 4 <= a + 1 {
                inverse.extend(dot_four(
                    first,
                    [tail(b), tail(b + 1), tail(b + 2), tail(b + 3)],
                ));
                b += 4;
            }
            inverse.extend((b..=a).map(|b| dot(first, tail(b))));
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(n: usize) -> Vec<f64> {
        let mut packed = Vec::new();
        for i in 0..n {
            for j in 0..=i {
                let gap = i as f64 - j as f64;
                packed.push((-0.3 * gap * gap).exp() + if i == j { 0.1 } else { 0.0 });
            }
        }
        packed
    }

    #[test]
    fn inverse_times_matrix_is_identity() {
        let n = 21;
        let packed = example(n);
        let inverse = Triangle::factor(packed.clone(), n).unwrap().inverse();
        let at = |m: &[f64], i: usize, j: usize| m[row(i.max(j)) + i.min(j)];
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..n).map(|k| at(&packed, i, k) * at(&inverse, k, j)).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn growing_gives_the_factor_of_the_larger_matrix() {
        let whole = Triangle::factor(example(13), 13).unwrap();
        let mut grown = Triangle::factor(example(12), 12).unwrap();
        let last = example(13)[row(12)..].to_vec();
        grown.grow(&last[..12], last[12], 1e-300);
        for (a, b) in whole.packed.iter().zip(&grown.packed) {
            assert!((a - b).abs() < 1e-14);
        }
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        assert!(Triangle::factor(vec![1.0, 2.0, 1.0], 2).is_none());
        assert!(Triangle::factor(vec![f64::NAN], 1).is_none());
    }
}
