"""The journal in SQLite; raw curves and spectra by digest."""
