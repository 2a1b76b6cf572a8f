//! Numerics of pressed solid-state interfaces and of the search for their best protocol.
//!
//! One module per phenomenon, each with its symbols and sources at its head and usable alone.
//! Nothing here knows Python: `rust/py` is the only door to it.

pub mod acquisition;
pub mod batch;
pub mod boundary_elements;
pub mod circuit;
pub mod collector;
pub mod compaction;
pub mod composite;
pub mod contact;
pub mod creep;
pub mod error_function;
pub mod failure;
pub mod gp;
pub mod interface;
pub mod lamination;
pub mod lanes;
pub mod measured;
pub mod parameters;
pub mod protocol;
pub mod scalar;
pub mod spectrum;
