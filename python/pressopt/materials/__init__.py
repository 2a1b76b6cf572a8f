"""Materials catalogue: every value with unit, source and confidence."""
