"""Design space, objectives, the Gaussian-process model over physics, and the recommender."""
