"""Files that impedance analysers export, read to spectra; nothing is guessed silently."""

from __future__ import annotations

import os
from pathlib import Path

from pressopt.errors import SpectrumError
from pressopt.impedance.readers.formats import FORMATS, Format
from pressopt.impedance.readers.others import read_ism, recognise_ism
from pressopt.impedance.readers.text import load_bytes, to_text
from pressopt.impedance.spectrum import ImpedanceSpectrum

__all__ = ["read_spectra"]


def read_spectra(path: str | os.PathLike[str], *, negate_imaginary: bool = False) -> list[ImpedanceSpectrum]:
    """Read every spectrum in a file; the format is told by the content, not by the name.

    Known are EC-Lab (.mpt), Gamry (.DTA), ZPlot/ZView and Z60W (.z, Autolab .txt), VersaStudio (.par), Ivium
    (.idf, .ids), Zahner (.ism), PalmSens (.pssession), Autolab FRA (.dfr), OrigaLys (.crv), and tables with or
    without a header (CH Instruments, Parstat, PowerSuite, Nova, any CSV: tab, semicolon, comma or space, decimal
    point or comma, Re and Im or modulus and phase). Text may be UTF-8, UTF-16 or Latin-1.

    Args:
        path: The file.
        negate_imaginary: The file holds -Im Z although its header does not say so.

    Returns:
        One spectrum for each sweep, in the order of the file, points in the order measured. ``metadata`` holds
        ``source``, ``format`` and what the file says of date, amplitude_mv, bias_v, area_cm2 and so on.

    Raises:
        SpectrumError: The file cannot be opened, is no spectrum, breaks off before the first point, or has a
            sign of Im Z that no passive cell can have. Says what was looked for and in which line it stopped.
    """
    path = Path(path)
    data = load_bytes(path)
    if recognise_ism(data):
        spectra, name = read_ism(data, str(path), negate_imaginary), "Zahner"
    else:
        text = to_text(data, path)
        chosen = _recognise(text, path)
        spectra, name = chosen.parse(text, str(path), negate_imaginary), chosen.name
    for spectrum in spectra:
        spectrum.metadata.update({"source": path.name, "format": name})
    return spectra


def _recognise(text: str, path: Path) -> Format:
    for known in FORMATS:
        if known.recognises(text):
            return known
    names = ", ".join(f.name for f in FORMATS)
    raise SpectrumError(f"none of the known formats fits ({names})", source=str(path))
