//! What every wrapper shares: a refusal of the core becomes a Python exception, never a panic.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::{PyErr, PyResult, Python};

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

/// How often a long calculation looks at Python's signals: often enough for a person at Ctrl-C, rarely enough to cost
/// nothing.
const LOOK: Duration = Duration::from_millis(50);

/// Whether Python wants a calculation that released the interpreter to stop (Ctrl-C); asked as often as one likes.
pub struct Signals(Mutex<(Instant, Option<PyErr>)>);

impl Default for Signals {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), None)))
    }
}

impl Signals {
    /// Whether none was raised so far.
    pub fn quiet(&self) -> bool {
        let Ok(mut seen) = self.0.lock() else {
            return false;
        };
        if seen.1.is_none() && seen.0.elapsed() >= LOOK {
            seen.1 = Python::attach(|py| py.check_signals()).err();
            seen.0 = Instant::now();
        }
        seen.1.is_none()
    }

    /// What a signal raised, if one did.
    ///
    /// # Errors
    /// The exception, such as `KeyboardInterrupt`.
    pub fn raised(self) -> PyResult<()> {
        match self.0.into_inner() {
            Ok((_, Some(error))) => Err(error),
            _ => Ok(()),
        }
    }
}
