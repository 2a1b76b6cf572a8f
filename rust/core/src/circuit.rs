//! Equivalent circuits of impedance spectra.
