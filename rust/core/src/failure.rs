//! Cracks, shorts and extrusion as hazards.
