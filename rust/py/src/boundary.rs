//! What every wrapper shares: a refusal of the core becomes a Python exception, never a panic.

use pyo3::exceptions::PyValueError;
use pyo3::{PyErr, PyResult};

/// Turns a refusal of the core into the `ValueError` that the Python faces re-raise as theirs.
pub fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Runs on as many threads as asked, on all cores when not asked.
pub fn on_threads<T: Send>(threads: Option<usize>, run: impl FnOnce() -> T + Send) -> PyResult<T> {
    match threads {
        None => Ok(run()),
        Some(count) => Ok(rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .build()
            .map_err(refused)?
            .install(run)),
    }
}
