//! Rough surfaces under load.
