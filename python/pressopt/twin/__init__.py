"""A virtual laboratory behind real wires."""
