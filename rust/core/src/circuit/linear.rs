//! Small dense linear algebra: Cholesky for normal equations, Householder for ill-conditioned least squares.

/// Variance of what the data say nothing about; finite, so that it can be multiplied by nought.
const HOPELESS: f64 = 1e150;

/// Cholesky factor of a symmetric positive definite matrix, row-major, in place of the lower triangle.
///
/// False when the matrix is not positive definite (then the content is spoilt).
#[must_use]
pub fn cholesky(matrix: &mut [f64], n: usize) -> bool {
    for j in 0..n {
        let mut diagonal = matrix[j * n + j];
        for k in 0..j {
            diagonal -= matrix[j * n + k] * matrix[j * n + k];
        }
        if !(diagonal > 0.0 && diagonal.is_finite()) {
            return false;
        }
        let root = diagonal.sqrt();
        matrix[j * n + j] = root;
        for i in j + 1..n {
            let mut sum = matrix[i * n + j];
            for k in 0..j {
                sum -= matrix[i * n + k] * matrix[j * n + k];
            }
            matrix[i * n + j] = sum / root;
        }
    }
    true
}

/// Solves with a factor of [`cholesky`], in place.
pub fn cholesky_solve(factor: &[f64], n: usize, right: &mut [f64]) {
    for i in 0..n {
        let mut sum = right[i];
        for k in 0..i {
            sum -= factor[i * n + k] * right[k];
        }
        right[i] = sum / factor[i * n + i];
    }
    for i in (0..n).rev() {
        let mut sum = right[i];
        for k in i + 1..n {
            sum -= factor[k * n + i] * right[k];
        }
        right[i] = sum / factor[i * n + i];
    }
}

/// Inverse of a symmetric positive definite matrix, row-major; a matrix that is singular to working precision is
/// given the smallest ridge that makes it regular, so that what the data do not determine gets a huge variance.
#[must_use]
pub fn inverse(matrix: &[f64], n: usize) -> Vec<f64> {
    // Scaled to a unit diagonal first: parameters differ by many orders of magnitude.
    let scale: Vec<f64> = (0..n)
        .map(|i| {
            let d = matrix[i * n + i];
            if d > 0.0 && d.is_finite() {
                1.0 / d.sqrt()
            } else {
                1.0
            }
        })
        .collect();
    let mut ridge = 0.0;
    for _ in 0..20 {
        let mut factor: Vec<f64> = (0..n * n)
            .map(|k| matrix[k] * scale[k / n] * scale[k % n])
            .collect();
        for i in 0..n {
            factor[i * n + i] += ridge;
        }
        if cholesky(&mut factor, n) {
            let mut result = vec![0.0; n * n];
            let mut column = vec![0.0; n];
            for j in 0..n {
                column.fill(0.0);
                column[j] = 1.0;
                cholesky_solve(&factor, n, &mut column);
                for i in 0..n {
                    result[i * n + j] = column[i] * scale[i] * scale[j];
                }
            }
            return result;
        }
        ridge = if ridge == 0.0 { 1e-14 } else { ridge * 10.0 };
    }
    let mut result = vec![0.0; n * n];
    for i in 0..n {
        result[i * n + i] = HOPELESS;
    }
    result
}

/// Orthonormal basis of the columns of a matrix (column-major, each of length `rows`), by Householder-grade
/// Gram-Schmidt: every column is orthogonalised twice; columns that add nothing (below `tolerance` of their length)
/// are dropped.
#[must_use]
pub fn orthonormal_basis(columns: &[Vec<f64>], tolerance: f64) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut v = column.clone();
        let length = dot(&v, &v).sqrt();
        if !(length > 0.0 && length.is_finite()) {
            continue;
        }
        for _ in 0..2 {
            project_out(&basis, &mut v);
        }
        let rest = dot(&v, &v).sqrt();
        if rest > tolerance * length {
            for x in &mut v {
                *x /= rest;
            }
            basis.push(v);
        }
    }
    basis
}

/// Takes the components along an orthonormal basis out of a vector.
pub fn project_out(basis: &[Vec<f64>], vector: &mut [f64]) {
    for b in basis {
        let along = dot(b, vector);
        for (x, y) in vector.iter_mut().zip(b) {
            *x -= along * y;
        }
    }
}

/// Inner product, in four lanes so that it vectorises.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    dots(a, [b])[0]
}

/// Normal equations of columns of one length: all products with each other into `matrix` (count, count), row-major,
/// both triangles, those with the target into `right` (count,); compiled for the vector units of this machine.
pub fn normal_equations<'a>(
    count: usize,
    column: impl Fn(usize) -> &'a [f64],
    target: &[f64],
    matrix: &mut [f64],
    right: &mut [f64],
) {
    pulp::Arch::new().dispatch(Normal {
        count,
        column,
        target,
        matrix,
        right,
    });
}

/// Arguments of [`normal_equations`], to be inlined as a whole where vector units are known.
struct Normal<'b, F> {
    count: usize,
    column: F,
    target: &'b [f64],
    matrix: &'b mut [f64],
    right: &'b mut [f64],
}

impl<'a, F: Fn(usize) -> &'a [f64]> pulp::WithSimd for Normal<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let of = self.column;
        for i in 0..self.count {
            [self.right[i]] = dots(of(i), [self.target]);
            let row = &mut self.matrix[i * self.count..][..=i];
            let mut fours = row.chunks_exact_mut(4);
            let mut j = 0;
            for four in &mut fours {
                four.copy_from_slice(&dots(of(i), [of(j), of(j + 1), of(j + 2), of(j + 3)]));
                j += 4;
            }
            for one in fours.into_remainder() {
                [*one] = dots(of(i), [of(j)]);
                j += 1;
            }
            for j in 0..i {
                self.matrix[j * self.count + i] = self.matrix[i * self.count + j];
            }
        }
    }
}

/// Inner products of one column with `M` others of its length.
#[inline(always)]
fn dots<const M: usize>(a: &[f64], others: [&[f64]; M]) -> [f64; M] {
    const LANES: usize = 4;
    let mut lanes = [[0.0; LANES]; M];
    let (whole, tail) = a.split_at(a.len() - a.len() % LANES);
    for (block, x) in whole.chunks_exact(LANES).enumerate() {
        for (sum, other) in lanes.iter_mut().zip(&others) {
            let y = &other[block * LANES..][..LANES];
            for (sum, (x, y)) in sum.iter_mut().zip(x.iter().zip(y)) {
                *sum += x * y;
            }
        }
    }
    let mut sums = [0.0; M];
    for ((sum, lane), other) in sums.iter_mut().zip(&lanes).zip(&others) {
        *sum = (lane[0] + lane[1]) + (lane[2] + lane[3]);
        for (x, y) in tail.iter().zip(&other[whole.len()..]) {
            *sum += x * y;
        }
    }
    sums
}
