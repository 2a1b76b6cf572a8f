"""Impedance spectra: read, judged, fitted, and the ports of whatever measures them."""
