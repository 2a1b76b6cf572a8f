"""pressopt."""
