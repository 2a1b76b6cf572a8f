"""Types of the compiled numerics; checked against the binary by mypy.stubtest."""

__version__: str

# --- circuit: equivalent circuits of impedance spectra -------------------------------------------------------
