"""From cell and protocols to predicted interface quality: the face of the Rust physics."""
