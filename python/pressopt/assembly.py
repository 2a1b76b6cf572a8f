"""From an experiment to wired objects: the only place that knows both ends."""
