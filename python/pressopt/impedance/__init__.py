"""Impedance spectra: read, judged, fitted, and the ports of whatever measures them."""

from pressopt.impedance.analysis import Analysis, Arc, Candidate, Expectation, analyse
from pressopt.impedance.blob import spectrum_from_bytes, spectrum_to_bytes
from pressopt.impedance.distribution import Distribution, Peak, relaxation_times
from pressopt.impedance.fitting import Fit, circuit_impedance, fit, fit_many, parameters
from pressopt.impedance.pressures import PressureResponse, pressure_response
from pressopt.impedance.readers import read_spectra
from pressopt.impedance.spectrum import ImpedanceSpectrum, Sweep
from pressopt.impedance.verdict import Cause, Kind, Verdict, judge

__all__ = [
    "Analysis",
    "Arc",
    "Candidate",
    "Cause",
    "Distribution",
    "Expectation",
    "Fit",
    "ImpedanceSpectrum",
    "Kind",
    "Peak",
    "PressureResponse",
    "Sweep",
    "Verdict",
    "analyse",
    "circuit_impedance",
    "fit",
    "fit_many",
    "judge",
    "parameters",
    "pressure_response",
    "read_spectra",
    "relaxation_times",
    "spectrum_from_bytes",
    "spectrum_to_bytes",
]
