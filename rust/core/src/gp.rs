//! Gaussian-process regression.
