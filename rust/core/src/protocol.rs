//! Staged pressing programmes, integrated through all phenomena.
