"""Formats of single instruments: Ivium (.idf, .ids), Autolab FRA (.dfr), OrigaLys (.crv), Zahner (binary .ism)."""

from __future__ import annotations

import datetime
import re
import struct

import numpy as np

from pressopt.errors import SpectrumError
from pressopt.impedance.readers.table import to_spectra
from pressopt.impedance.readers.text import is_count, is_number, to_float
from pressopt.impedance.spectrum import ImpedanceSpectrum, Real

Metadata = dict[str, str | float]


def _number(field: str, line: int, source: str) -> float:
    try:
        return to_float(field.strip(), comma=True)
    except ValueError as error:
        raise SpectrumError(f"line {line + 1}: '{field.strip()[:40]}' is no number", source=source) from error


def _count(lines: list[str], at: int, what: str, source: str) -> int:
    """A line that says how many follow."""
    field = lines[at].strip() if at < len(lines) else ""
    if not is_count(field) or int(field) == 0:
        found = f"'{field[:40]}'" if at < len(lines) else "the end of the file"
        raise SpectrumError(f"line {at + 1}: looked for {what} and found {found}", source=source)
    return int(field)


# ------------------------------------------------------------------------------------------------ Ivium


def recognise_ivium(text: str) -> bool:
    """Whether a table of IviumSoft is in it."""
    return re.search(r"^\s*primary_data\s*$", text, re.MULTILINE) is not None


def read_ivium(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    """IviumSoft data (.idf) and data set (.ids) files: settings as ``key=value``, then for each measurement
    ``primary_data``, the number of columns, the number of rows, and rows of Re Z, Im Z, frequency.
    """
    lines = text.split("\n")
    spectra: list[ImpedanceSpectrum] = []
    settings: dict[str, str] = {}
    other = 0
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        if line != "primary_data":
            key, equals, value = line.partition("=")
            if equals:
                if key == "Title":  # a data set begins its next measurement
                    settings = {}
                settings[key.strip()] = value.strip()
            at += 1
            continue
        width = _count(lines, at + 1, "the number of columns after 'primary_data'", source)
        count = _count(lines, at + 2, "the number of rows after 'primary_data'", source)
        rows: list[list[str]] = []
        first = at + 3
        at = first
        while at < len(lines) and len(rows) < count and lines[at].strip():
            rows.append(lines[at].split())
            at += 1
        method = settings.get("Method", "Impedance")
        if width < 3 or "impedance" not in method.lower():
            other += 1
            continue
        if rows and len(rows) < count and not (len(rows[-1]) >= 3 and all(map(is_number, rows[-1][:3]))):
            rows.pop()  # the row in which an aborted export broke off
        if not rows:
            raise SpectrumError(f"line {first + 1}: {count} rows are promised and none is there", source=source)
        short = next((i for i, row in enumerate(rows) if len(row) < 3), None)
        if short is not None:
            raise SpectrumError(f"line {first + short + 1}: three columns are needed", source=source)
        table = np.array([[_number(f, first + i, source) for f in row[:3]] for i, row in enumerate(rows)])
        columns = {"re": table[:, 0], "im": table[:, 1], "frequency": table[:, 2]}
        spectra += to_spectra(columns, _ivium_metadata(settings), source=source, negate_imaginary=negate)
    if not spectra:
        raise SpectrumError(f"an Ivium file with {other} measurements and no impedance among them", source=source)
    return spectra


def _ivium_metadata(settings: dict[str, str]) -> Metadata:
    found: Metadata = {}
    for key, wanted in (("Title", "title"), ("starttime", "date")):
        if settings.get(key):
            found[wanted] = settings[key]
    for key, wanted, factor in (("Amplitude", "amplitude_mv", 1e3), ("E start", "bias_v", 1.0)):
        field = settings.get(key, "")
        if is_number(field):
            found[wanted] = to_float(field, comma=True) * factor
    return found


# ------------------------------------------------------------------------------------------------ Autolab .dfr


def recognise_dfr(text: str) -> bool:
    """Whether a file of Autolab's FRA program before NOVA: one number in each line after its version."""
    return re.match(r"\s*version\s*\d", text, re.IGNORECASE) is not None


def read_dfr(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    """FRA data files (.dfr): version, number of points, a setting, then nine lines for each point.

    The nine: frequency, Re Z, -Im Z, DC potential, DC current, time, and three more.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    count = _count(lines, 1, "the number of points", source)
    rows = []
    for point in range(count):
        block = lines[3 + 9 * point : 12 + 9 * point]
        if len(block) < 3 or (len(block) < 6 and point):
            break  # aborted while it was written
        rows.append([_number(field, 3 + 9 * point + i, source) for i, field in enumerate(block[:6])])
    if not rows:
        raise SpectrumError(f"{count} points are promised and none is there: the file is cut", source=source)
    table = np.array([(row + [np.nan] * 6)[:6] for row in rows])
    columns: dict[str, Real] = {
        "frequency": table[:, 0],
        "re": table[:, 1],
        "im": -table[:, 2],
        "time": table[:, 5],
    }
    metadata: Metadata = {}
    if np.isfinite(table[0, 3]):
        metadata["bias_v"] = float(table[0, 3])
    return to_spectra(columns, metadata, source=source, negate_imaginary=negate)


# ------------------------------------------------------------------------------------------------ OrigaLys


def recognise_origalys(text: str) -> bool:
    """Whether a curve of OrigaMaster."""
    return re.match(r"[^\n]{0,12}Z\d\d\n", text) is not None and "EIS" in text[:400]


def read_origalys(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    """OrigaMaster curves (.crv): a head, the number of points, then rows of nine columns with tabs.

    The nine: frequency, \\|Z\\|, phase, three settings, Re Z, -Im Z, one more.
    """
    lines = text.split("\n")
    rows = []
    promised = None
    for i, line in enumerate(lines):
        fields = line.rstrip("\n").split("\t")
        if len(fields) >= 8 and is_number(fields[0].strip()):
            try:
                rows.append([_number(fields[c], i, source) for c in (0, 6, 7)])
            except SpectrumError:
                if i < len(lines) - 2:
                    raise
        elif not rows and is_count(line):
            promised = int(line.strip())
    if not rows:
        raise SpectrumError(
            f"an OrigaLys file without rows of nine columns ({promised or 'no'} points are promised)",
            source=source,
        )
    table = np.array(rows)
    columns = {"frequency": table[:, 0], "re": table[:, 1], "im": -table[:, 2]}
    metadata: Metadata = {}
    if (match := re.search(r"^/(\d{4})/(\d+)/(\d+)/", text, re.MULTILINE)) is not None:
        metadata["date"] = f"{match[1]}-{int(match[2]):02d}-{int(match[3]):02d}"
    return to_spectra(columns, metadata, source=source, negate_imaginary=negate)


# ------------------------------------------------------------------------------------------------ Zahner

_ISM_HEAD = 12
_ISM_ROW = 4 * 8 + 2
_ISM_MOST = 100_000
#: Thales counts seconds from here.
_THALES_ZERO = datetime.datetime(1980, 1, 1, tzinfo=datetime.UTC)


def recognise_ism(data: bytes) -> bool:
    """Whether these bytes are a spectrum of Thales; the first numbers decide, so that a cut one is known too."""
    if len(data) < _ISM_HEAD + 16:
        return False
    count = int.from_bytes(data[6:12], "big", signed=True) + 1
    if not (2 <= count <= _ISM_MOST and int.from_bytes(data[:6], "big", signed=True) < 1 << 20):
        return False
    first, second = struct.unpack(">2d", data[_ISM_HEAD : _ISM_HEAD + 16])
    return bool(1e-7 < first < 1e9 and 1e-7 < second < 1e9)


def read_ism(data: bytes, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    """Thales spectra (.ism), all big-endian: version and last index (6 bytes each), then columns.

    8-byte floats: frequency in Hz, \\|Z\\| in Ω, phase in rad, time in s since 1980; then significance (2 bytes
    each) and texts. A sweep begins in the middle, runs to one end and back to the other: points before the turn
    are measured again and are left out, as the maker's own reader does.

    Source:
        Layout as read by Zahner's zahner_analysis (MIT licence).
    """
    count = int.from_bytes(data[6:12], "big", signed=True) + 1
    needed = _ISM_HEAD + count * _ISM_ROW
    if len(data) < needed:
        raise SpectrumError(
            f"a Zahner file of {count} points needs {needed} bytes and has {len(data)}: it is cut", source=source
        )
    frequency, modulus, phase, time = (
        np.frombuffer(data, ">f8", 4 * count, _ISM_HEAD).reshape(4, count).astype(float)
    )
    if not (np.isfinite(frequency).all() and (frequency > 0).all()):
        raise SpectrumError("a Zahner file with frequencies that are none: it is damaged", source=source)
    ends = sorted((int(np.argmin(frequency)), int(np.argmax(frequency))))
    kept = slice(ends[0], ends[1] + 1)
    columns: dict[str, Real] = {
        "frequency": frequency[kept],
        "modulus": modulus[kept],
        "phase": phase[kept],
        "time": np.abs(time[kept]),
    }
    metadata: Metadata = {}
    if ends[0]:
        metadata["overlap"] = f"{ends[0]} points before the turn of the sweep were measured again and are left out"
    start = float(np.min(np.abs(time)))
    if np.isfinite(start) and 0 < start < 4e9:
        begun = _THALES_ZERO + datetime.timedelta(seconds=start)
        metadata["date"] = f"{begun:%Y-%m-%d %H:%M:%S}"
    return to_spectra(columns, metadata, source=source, negate_imaginary=negate)
