"""Spectra as bytes and back without loss: what the journal keeps and old journals must still give back."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from pressopt.errors import SpectrumError
from pressopt.impedance.spectrum import ImpedanceSpectrum, Real

_FORMAT = "pressopt-impedance-spectrum"
_VERSION = 1


def _hex(values: Real) -> list[str]:
    return [float(v).hex() for v in values]


def _floats(rows: Any) -> Real:
    return np.array([float.fromhex(v) for v in rows], dtype=np.float64)


def spectrum_to_bytes(spectrum: ImpedanceSpectrum) -> bytes:
    """Return a spectrum as UTF-8 JSON; every float is written in hexadecimal, so that none loses a bit.

    Equal spectra give equal bytes: the digest of the bytes names the spectrum.
    """
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "frequency_hz": _hex(spectrum.frequency_hz),
        "re_ohm": _hex(spectrum.impedance_ohm.real),
        "im_ohm": _hex(spectrum.impedance_ohm.imag),
        "flag": [int(f) for f in spectrum.flag],
        "time_s": None if spectrum.time_s is None else _hex(np.asarray(spectrum.time_s, dtype=np.float64)),
        "metadata": {
            key: value if isinstance(value, str) else {"float": float(value).hex()}
            for key, value in sorted(spectrum.metadata.items())
        },
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def spectrum_from_bytes(data: bytes) -> ImpedanceSpectrum:
    """Return the spectrum that :func:`spectrum_to_bytes` wrote.

    Raises:
        SpectrumError: The bytes are no such document, are cut off, or come from a newer version.
    """
    try:
        document = json.loads(data.decode())
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise SpectrumError(f"these {len(data)} bytes are no stored spectrum: 'format' is not '{_FORMAT}'")
        if document["version"] > _VERSION:
            raise SpectrumError(
                f"the stored spectrum has version {document['version']}, this pressopt reads up to {_VERSION}: "
                "update pressopt"
            )
        re, im = _floats(document["re_ohm"]), _floats(document["im_ohm"])
        impedance = np.empty(re.shape, dtype=np.complex128)
        impedance.real, impedance.imag = re, im
        return ImpedanceSpectrum(
            frequency_hz=_floats(document["frequency_hz"]),
            impedance_ohm=impedance,
            flag=np.array(document["flag"], dtype=np.int64),
            time_s=None if document["time_s"] is None else _floats(document["time_s"]),
            metadata={
                key: value if isinstance(value, str) else float.fromhex(value["float"])
                for key, value in document["metadata"].items()
            },
        )
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, SpectrumError):
            raise
        raise SpectrumError(f"these {len(data)} bytes are no stored spectrum, or are damaged: {error}") from error


def same_spectrum(one: ImpedanceSpectrum, other: ImpedanceSpectrum) -> bool:
    """Whether two spectra are equal bit by bit, NaN counted as equal to itself."""
    return spectrum_to_bytes(one) == spectrum_to_bytes(other)


def number(spectrum: ImpedanceSpectrum, key: str) -> float | None:
    """A finite number from the metadata, or ``None`` when it is missing or no number."""
    value = spectrum.metadata.get(key)
    if value is None:
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
