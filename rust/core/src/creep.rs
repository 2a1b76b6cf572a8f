//! Power-law creep of the soft metal into voids.
