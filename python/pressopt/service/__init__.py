"""The service: many campaigns and many presses behind one HTTP interface, by the same code that runs one alone."""
