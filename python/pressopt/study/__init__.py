"""Studies: many evaluations of the physics, many virtual campaigns, or many old spectra; here or on a cluster.

Every study is a :class:`~pressopt.study.job.Job`: work cut into blocks, each a pure function that returns the
bytes of one file. An engine computes blocks, a folder keeps those that are finished, and what people read is made
from the finished blocks alone. So a study that is stopped, killed or moved to a cluster ends with the same bytes.
"""
