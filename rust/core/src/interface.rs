//! From contact to resistance, uniformity and critical current.
