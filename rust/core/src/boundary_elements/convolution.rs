//! A kernel applied to a field on a grid, by fast Fourier transforms: rows, then columns, then rows back.
//!
//! Real fields and a real symmetric kernel: half of the spectrum is enough. A free patch is padded with zeros to
//! twice its size, which makes the circular convolution a plain one (Liu, Wang and Liu, Wear 243 (2000) 101).
//! Each pass writes to its own places, so the result does not depend on the number of threads.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::{Boundary, Grid};

/// Rows or columns that one task carries through the transpose: whole cache lines of either.
const LANES: usize = 16;

/// Fast transforms of one padded grid; kernels are given when it is applied.
pub struct Transforms {
    grid: Grid,
    padded: [usize; 2],
    boundary: Boundary,
    forward: Arc<dyn RealToComplex<f64>>,
    backward: Arc<dyn ComplexToReal<f64>>,
    down: Arc<dyn Fft<f64>>,
    up: Arc<dyn Fft<f64>>,
}

/// A kernel in Fourier space, one factor for each component, column by column.
pub struct Kernel(Vec<f64>);

/// What one application needs, kept so that an iteration allocates nothing of the size of the grid.
pub struct Workspace {
    by_row: Vec<Complex<f64>>,
    by_column: Vec<Complex<f64>>,
}

impl Transforms {
    /// Plans the transforms of a grid.
    #[must_use]
    pub fn new(grid: Grid, boundary: Boundary) -> Self {
        let padded = match boundary {
            Boundary::Periodic => grid.shape(),
            Boundary::Free => grid.shape().map(|side| 2 * side),
        };
        let mut real = RealFftPlanner::new();
        let mut complex = FftPlanner::new();
        Self {
            grid,
            padded,
            boundary,
            forward: real.plan_fft_forward(padded[1]),
            backward: real.plan_fft_inverse(padded[1]),
            down: complex.plan_fft_forward(padded[0]),
            up: complex.plan_fft_inverse(padded[0]),
        }
    }

    /// Components kept along a row.
    fn half(&self) -> usize {
        self.padded[1] / 2 + 1
    }

    /// Buffers of the right size.
    #[must_use]
    pub fn workspace(&self) -> Workspace {
        let zero = Complex::new(0.0, 0.0);
        Workspace {
            by_row: vec![zero; self.grid.rows * self.half()],
            by_column: vec![zero; self.half() * self.padded[0]],
        }
    }

    /// A kernel from its value at each wave vector length `q`, rad/µm; `mean` stands at `q = 0`.
    pub fn kernel(&self, mean: f64, at: impl Fn(f64) -> f64 + Sync) -> Kernel {
        let scale = 1.0 / (self.padded[0] * self.padded[1]) as f64;
        let wave = |index: usize, side: usize| {
            let signed = index.min(side - index) as f64;
            TAU * signed / (side as f64 * self.grid.pixel_um)
        };
        let mut factors = vec![0.0; self.half() * self.padded[0]];
        factors
            .par_chunks_mut(self.padded[0])
            .enumerate()
            .for_each(|(column, factors)| {
                for (row, factor) in factors.iter_mut().enumerate() {
                    let q = wave(row, self.padded[0]).hypot(wave(column, self.padded[1]));
                    *factor = scale * if q > 0.0 { at(q) } else { mean };
                }
            });
        Kernel(factors)
    }

    /// The most that a kernel amplifies any field: its largest factor.
    #[must_use]
    pub fn gain(&self, kernel: &Kernel) -> f64 {
        let count = (self.padded[0] * self.padded[1]) as f64;
        kernel
            .0
            .iter()
            .fold(0.0, |most: f64, factor| most.max(factor.abs()))
            * count
    }

    /// The displacement of an elastic half-space under pressure: µm per MPa.
    ///
    /// Periodic: `2/(E* q)`, no mean (Westergaard; Stanley and Kato, J. Tribology 119 (1997) 481). Free: a uniformly
    /// loaded square at each point (Love, Phil. Trans. R. Soc. A 228 (1929) 377).
    #[must_use]
    pub fn half_space(&self, modulus_mpa: f64) -> Kernel {
        match self.boundary {
            Boundary::Periodic => self.kernel(0.0, |q| 2.0 / (modulus_mpa * q)),
            Boundary::Free => {
                self.of_influence(|dy, dx| love(dy, dx) * self.grid.pixel_um / (PI * modulus_mpa))
            }
        }
    }

    /// A kernel from the influence of one point at a distance of whole pixels.
    fn of_influence(&self, influence: impl Fn(f64, f64) -> f64) -> Kernel {
        let [rows, columns] = self.padded;
        let mut field: Vec<f64> = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                field.push(influence(
                    row.min(rows - row) as f64,
                    column.min(columns - column) as f64,
                ));
            }
        }
        let half = self.half();
        let zero = Complex::new(0.0, 0.0);
        let mut spectrum = vec![zero; half * rows];
        let mut line = self.forward.make_output_vec();
        for (row, values) in field.chunks_exact_mut(columns).enumerate() {
            self.forward
                .process(values, &mut line)
                .expect("planned for this length");
            for (column, value) in line.iter().enumerate() {
                spectrum[column * rows + row] = *value;
            }
        }
        let scale = 1.0 / (rows * columns) as f64;
        for column in spectrum.chunks_exact_mut(rows) {
            self.down.process(column);
        }
        // Symmetric in both directions: the imaginary parts are rounding.
        Kernel(spectrum.iter().map(|value| scale * value.re).collect())
    }

    /// `output = kernel * input`, both of the grid's size, row by row.
    pub fn apply(&self, kernel: &Kernel, input: &[f64], output: &mut [f64], work: &mut Workspace) {
        let Grid { rows, columns, .. } = self.grid;
        let half = self.half();
        let padded_rows = self.padded[0];
        let Workspace { by_row, by_column } = work;
        by_row
            .par_chunks_mut(half * LANES)
            .zip(input.par_chunks(columns * LANES))
            .for_each_init(
                || {
                    (
                        self.forward.make_input_vec(),
                        self.forward.make_scratch_vec(),
                    )
                },
                |(line, scratch), (spectra, lines)| {
                    for (spectrum, values) in spectra
                        .chunks_exact_mut(half)
                        .zip(lines.chunks_exact(columns))
                    {
                        line[..columns].copy_from_slice(values);
                        line[columns..].fill(0.0);
                        self.forward
                            .process_with_scratch(line, spectrum, scratch)
                            .expect("planned for this length");
                    }
                },
            );
        by_column
            .par_chunks_mut(padded_rows * LANES)
            .zip(kernel.0.par_chunks(padded_rows * LANES))
            .enumerate()
            .for_each_init(
                || {
                    let needed = self.down.get_inplace_scratch_len();
                    let needed = needed.max(self.up.get_inplace_scratch_len());
                    vec![Complex::new(0.0, 0.0); needed]
                },
                |scratch, (block, (spectra, factors))| {
                    let first = block * LANES;
                    let lanes = spectra.len() / padded_rows;
                    for row in 0..rows {
                        let from = &by_row[row * half + first..][..lanes];
                        for (lane, value) in from.iter().enumerate() {
                            spectra[lane * padded_rows + row] = *value;
                        }
                    }
                    for (column, factors) in spectra
                        .chunks_exact_mut(padded_rows)
                        .zip(factors.chunks_exact(padded_rows))
                    {
                        column[rows..].fill(Complex::new(0.0, 0.0));
                        self.down.process_with_scratch(column, scratch);
                        for (value, factor) in column.iter_mut().zip(factors) {
                            *value *= *factor;
                        }
                        self.up.process_with_scratch(column, scratch);
                    }
                },
            );
        output
            .par_chunks_mut(columns * LANES)
            .enumerate()
            .for_each_init(
                || {
                    (
                        vec![Complex::new(0.0, 0.0); half * LANES],
                        self.backward.make_output_vec(),
                        self.backward.make_scratch_vec(),
                    )
                },
                |(spectra, line, scratch), (block, lines)| {
                    let first = block * LANES;
                    let lanes = lines.len() / columns;
                    for column in 0..half {
                        let from = &by_column[column * padded_rows + first..][..lanes];
                        for (lane, value) in from.iter().enumerate() {
                            spectra[lane * half + column] = *value;
                        }
                    }
                    for (spectrum, values) in spectra
                        .chunks_exact_mut(half)
                        .zip(lines.chunks_exact_mut(columns))
                    {
                        spectrum[0].im = 0.0;
                        if self.padded[1] % 2 == 0 {
                            spectrum[half - 1].im = 0.0;
                        }
                        self.backward
                            .process_with_scratch(spectrum, line, scratch)
                            .expect("planned for this length, its ends are real");
                        values.copy_from_slice(&line[..columns]);
                    }
                },
            );
    }
}

/// Displacement at a distance from a unit square under unit pressure, times `π E*`, in units of its side.
fn love(dy: f64, dx: f64) -> f64 {
    let term = |a: f64, b: f64| {
        // a ln(b + √(a² + b²)) with the cancellation for b < 0 taken out; zero at a = 0.
        if a == 0.0 {
            0.0
        } else {
            a * (b / a.abs()).asinh()
        }
    };
    let corners = [
        (0.5, 0.5, 1.0),
        (-0.5, -0.5, 1.0),
        (0.5, -0.5, -1.0),
        (-0.5, 0.5, -1.0),
    ];
    corners
        .iter()
        .map(|(ey, ex, sign)| {
            let (y, x) = (dy + ey, dx + ex);
            sign * (term(y, x) + term(x, y))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(transforms: &Transforms, kernel: &Kernel, field: &[f64]) -> Vec<f64> {
        let mut output = vec![0.0; field.len()];
        transforms.apply(kernel, field, &mut output, &mut transforms.workspace());
        output
    }

    #[test]
    fn a_wave_comes_back_times_its_factor() {
        for (rows, columns) in [(16, 16), (15, 21), (40, 18)] {
            let grid = Grid::new(rows, columns, 0.5).unwrap();
            let transforms = Transforms::new(grid, Boundary::Periodic);
            let kernel = transforms.kernel(3.0, |q| 1.0 / q);
            let (ky, kx) = (2.0, 3.0);
            let phase = |point: usize| {
                let (row, column) = ((point / columns) as f64, (point % columns) as f64);
                TAU * (ky * row / rows as f64 + kx * column / columns as f64)
            };
            let field: Vec<f64> = (0..grid.points()).map(|i| 1.0 + phase(i).cos()).collect();
            let q = TAU / 0.5 * (ky / rows as f64).hypot(kx / columns as f64);
            for (point, value) in applied(&transforms, &kernel, &field).iter().enumerate() {
                let expected = 3.0 + phase(point).cos() / q;
                assert!((value - expected).abs() < 1e-12, "{rows}x{columns}");
            }
        }
    }

    #[test]
    fn a_free_square_sinks_as_love_says_and_far_away_as_boussinesq() {
        let grid = Grid::new(32, 24, 2.0).unwrap();
        let transforms = Transforms::new(grid, Boundary::Free);
        let modulus = 50.0;
        let kernel = transforms.half_space(modulus);
        let mut field = vec![0.0; grid.points()];
        field[5 * 24 + 3] = 1.0;
        let u = applied(&transforms, &kernel, &field);
        // Centre of a square of side a: 4 a ln(1 + √2) p / (π E*).
        let centre = 4.0 * 2.0 * (1.0 + 2.0_f64.sqrt()).ln() / (PI * modulus);
        assert!((u[5 * 24 + 3] / centre - 1.0).abs() < 1e-12);
        // A force F at a distance r: F / (π E* r).
        let distance = 2.0 * (20.0_f64).hypot(15.0);
        let far = 4.0 / (PI * modulus * distance);
        assert!((u[25 * 24 + 18] / far - 1.0).abs() < 1e-3);
    }

    #[test]
    fn threads_change_no_bit() {
        let grid = Grid::new(48, 40, 1.0).unwrap();
        let transforms = Transforms::new(grid, Boundary::Periodic);
        let kernel = transforms.half_space(1.0);
        let field: Vec<f64> = (0..grid.points()).map(|i| (i as f64 * 0.7).sin()).collect();
        let with = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| applied(&transforms, &kernel, &field))
        };
        assert_eq!(with(1), with(2));
    }
}
