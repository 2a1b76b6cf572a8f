"""Experiment files, events, lifecycle, replay and the one loop."""
