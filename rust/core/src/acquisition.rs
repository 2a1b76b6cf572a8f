//! What the next trial is expected to gain.
