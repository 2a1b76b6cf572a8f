//! Powder under pressure: relative density.
