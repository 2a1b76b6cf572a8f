//! What every wrapper shares: a refusal of the core becomes a Python exception, never a panic.

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

/// Turns a refusal of the core into the `ValueError` that the Python faces re-raise as theirs.
pub fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
