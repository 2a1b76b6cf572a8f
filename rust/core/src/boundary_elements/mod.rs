//! Contact of a measured or generated topography, point by point: what the analytic [`crate::contact`] is checked by.
//!
//! | symbol | meaning | unit |
//! |---|---|---|
//! | `h` | height of the rough face, towards the flat one | µm |
//! | `p` | pressure of a point | MPa |
//! | `u` | normal displacement of the surface | µm |
//! | `g` | gap, `u - h + approach`: zero where the faces touch, positive elsewhere | µm |
//! | `E*` | contact modulus, `1/E* = (1-ν₁²)/E₁ + (1-ν₂²)/E₂` | MPa |
//! | `H` | hardness: no point carries more | MPa |
//! | `j` | normal current density | mA/cm² |
//! | `q` | wave vector of a Fourier component | rad/µm |
//!
//! Two half-spaces pressed together are one elastic half-space with `E*` against a rigid flat (Johnson, Contact
//! Mechanics, 1985, chapter 13). [`contact`] finds its pressures, [`current`] the currents through the spots that it
//! found; both are one linear operator on a grid, [`convolution`].

pub mod contact;
pub mod convolution;
pub mod current;
mod sums;

pub use contact::{Contact, Pressed};
pub use current::{Currents, Spots};

/// Whether a patch repeats for ever or lies alone on a half-space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The patch repeats in both directions: a piece of a large interface.
    Periodic,
    /// The patch is all that there is: a pin, a sphere, a whole small sample.
    Free,
}

/// Rows, columns and spacing of a regular grid, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    rows: usize,
    columns: usize,
    pixel_um: f64,
}

impl Grid {
    /// Fewest points along one side.
    pub const FEWEST: usize = 4;
    /// Most points along one side: beyond it one field alone takes 2 GB.
    pub const MOST: usize = 16_384;

    /// A grid of `rows` x `columns` points, `pixel_um` apart.
    ///
    /// # Errors
    /// A side shorter than [`Grid::FEWEST`] or longer than [`Grid::MOST`]; a spacing not positive and finite.
    pub fn new(rows: usize, columns: usize, pixel_um: f64) -> Result<Self, String> {
        if [rows, columns]
            .iter()
            .any(|side| !(Self::FEWEST..=Self::MOST).contains(side))
        {
            return Err(format!(
                "heights: {rows} x {columns} points, give {} to {} along each side",
                Self::FEWEST,
                Self::MOST
            ));
        }
        positive("pixel_um", pixel_um)?;
        Ok(Self {
            rows,
            columns,
            pixel_um,
        })
    }

    /// Number of points.
    #[must_use]
    pub fn points(self) -> usize {
        self.rows * self.columns
    }

    /// Points along each side.
    #[must_use]
    pub fn shape(self) -> [usize; 2] {
        [self.rows, self.columns]
    }
}

/// `value` is finite and above zero, or the sentence that says which was not.
fn positive(name: &str, value: f64) -> Result<(), String> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(format!(
        "{name}: {value} is not allowed, give a number above 0"
    ))
}

/// Boundary between touching and open points, counted in edges of the grid and divided by the number of points.
///
/// Contact counted by points is too large by `(π - 1 + ln 2)/24` of it (Yastrebov, Anciaux and Molinari, Tribology
/// International 114 (2017) 161).
fn digital_perimeter(touches: &[bool], grid: Grid, boundary: Boundary) -> f64 {
    let Grid { rows, columns, .. } = grid;
    let wraps = boundary == Boundary::Periodic;
    let mut edges = 0_usize;
    for row in 0..rows {
        for column in 0..columns {
            let here = touches[row * columns + column];
            let right = match column + 1 {
                next if next < columns => touches[row * columns + next],
                _ => wraps && touches[row * columns],
            };
            let below = match row + 1 {
                next if next < rows => touches[next * columns + column],
                _ => wraps && touches[column],
            };
            edges += usize::from(here != right) + usize::from(here != below);
            if !wraps {
                edges += usize::from(here && column == 0) + usize::from(here && row == 0);
            }
        }
    }
    edges as f64 / grid.points() as f64
}

/// Share of the points that touch, corrected for the digital boundary (see [`digital_perimeter`]).
#[must_use]
pub fn contact_share(touches: &[bool], grid: Grid, boundary: Boundary) -> f64 {
    let counted = touches.iter().filter(|touch| **touch).count() as f64 / grid.points() as f64;
    let excess = (std::f64::consts::PI - 1.0 + std::f64::consts::LN_2) / 24.0
        * digital_perimeter(touches, grid, boundary);
    (counted - excess).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_refused_by_name() {
        assert!(Grid::new(3, 8, 1.0).unwrap_err().starts_with("heights"));
        assert!(
            Grid::new(8, 1 << 20, 1.0)
                .unwrap_err()
                .starts_with("heights")
        );
        for pixel in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Grid::new(8, 8, pixel).unwrap_err().starts_with("pixel_um"));
        }
    }

    #[test]
    fn a_square_has_its_own_perimeter_wherever_it_lies() {
        let grid = Grid::new(8, 8, 1.0).unwrap();
        let square = |row: usize, column: usize| {
            let mut touches = vec![false; 64];
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                touches[(row + dy) % 8 * 8 + (column + dx) % 8] = true;
            }
            touches
        };
        for (row, column) in [(3, 3), (7, 7), (0, 7)] {
            let edges = 64.0 * digital_perimeter(&square(row, column), grid, Boundary::Periodic);
            assert!((edges - 8.0).abs() < 1e-12, "{row} {column}: {edges}");
        }
        for (row, column) in [(0, 0), (6, 6), (0, 6)] {
            let edges = 64.0 * digital_perimeter(&square(row, column), grid, Boundary::Free);
            assert!((edges - 8.0).abs() < 1e-12, "{row} {column}: {edges}");
        }
    }

    #[test]
    fn full_contact_needs_no_correction() {
        let grid = Grid::new(8, 8, 1.0).unwrap();
        assert!((contact_share(&[true; 64], grid, Boundary::Periodic) - 1.0).abs() < 1e-15);
    }
}
