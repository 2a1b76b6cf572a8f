"""Spectra as bytes: lossless, versioned, and refused when damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pressopt.errors import SpectrumError
from pressopt.impedance import ImpedanceSpectrum, spectrum_from_bytes, spectrum_to_bytes

_POSITIVE = st.floats(min_value=1e-300, max_value=1e300)
_ANY = st.floats(width=64, allow_nan=True, allow_infinity=True)
_KEYS = st.text(min_size=1, max_size=8)
_VALUES = st.one_of(st.text(max_size=8), st.floats(allow_nan=True))


@given(data=st.data(), n=st.integers(1, 12), metadata=st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_a_spectrum_comes_back_bit_by_bit(data: st.DataObject, n: int, metadata: dict[str, str | float]) -> None:
    """Whatever was measured, NaN and infinity included, is read back exactly."""
    row = hnp.arrays(np.float64, n, elements=_ANY)
    impedance = np.empty(n, dtype=np.complex128)
    impedance.real, impedance.imag = data.draw(row), data.draw(row)
    spectrum = ImpedanceSpectrum(
        frequency_hz=data.draw(hnp.arrays(np.float64, n, elements=_POSITIVE)),
        impedance_ohm=impedance,
        time_s=data.draw(st.none() | row),
        metadata=metadata,
    )
    back = spectrum_from_bytes(spectrum_to_bytes(spectrum))
    assert back.frequency_hz.tobytes() == spectrum.frequency_hz.tobytes()
    np.testing.assert_array_equal(back.impedance_ohm, spectrum.impedance_ohm)
    np.testing.assert_array_equal(back.flag, spectrum.flag)
    if spectrum.time_s is None:
        assert back.time_s is None
    else:
        assert back.time_s is not None
        np.testing.assert_array_equal(back.time_s, spectrum.time_s)
    assert spectrum_to_bytes(back) == spectrum_to_bytes(spectrum)


def _one() -> bytes:
    return spectrum_to_bytes(ImpedanceSpectrum(np.array([1e3, 1e2]), np.array([10 - 1j, 12 - 2j])))


@pytest.mark.parametrize("cut", [0, 1, 20, -2])
def test_cut_bytes_are_refused(cut: int) -> None:
    """A blob that was cut off is an error, not half a spectrum."""
    with pytest.raises(SpectrumError, match="stored spectrum"):
        spectrum_from_bytes(_one()[:cut])


def test_a_newer_version_is_refused_with_the_way_out() -> None:
    """A blob of a newer pressopt is not guessed at."""
    document = json.loads(_one())
    document["version"] = 99
    with pytest.raises(SpectrumError, match=r"version 99.*update"):
        spectrum_from_bytes(json.dumps(document).encode())


def test_an_old_blob_reads_for_ever() -> None:
    """The bytes of version 1, kept here as they were written, still give the same spectrum."""
    old = (
        b'{"flag":[0,1],"format":"pressopt-impedance-spectrum","frequency_hz":["0x1.f400000000000p+9",'
        b'"0x1.9000000000000p+6"],"im_ohm":["-0x1.0000000000000p+0","-0x1.0000000000000p+1"],'
        b'"metadata":{"instrument":"x"},"re_ohm":["0x1.4000000000000p+3","0x1.8000000000000p+3"],'
        b'"time_s":null,"version":1}'
    )
    spectrum = spectrum_from_bytes(old)
    assert spectrum.frequency_hz.tolist() == [1000.0, 100.0]
    assert spectrum.impedance_ohm.tolist() == [10 - 1j, 12 - 2j]
    assert spectrum.flag.tolist() == [0, 1]
    assert spectrum.metadata == {"instrument": "x"}
