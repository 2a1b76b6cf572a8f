"""The formats: how each is recognised, where its table begins, what its header says."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pressopt.errors import SpectrumError
from pressopt.impedance.readers.others import (
    read_dfr,
    read_ivium,
    read_origalys,
    recognise_dfr,
    recognise_ivium,
    recognise_origalys,
)
from pressopt.impedance.readers.table import Column, columns_of, complete, read_rows, to_spectra
from pressopt.impedance.readers.text import guess_separator, is_count, is_number, is_value, split_row, to_float
from pressopt.impedance.spectrum import ImpedanceSpectrum, Real

Metadata = dict[str, str | float]


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its name, whether a text is in it, and how it is parsed (text, source, negate_imaginary)."""

    name: str
    recognises: Callable[[str], bool]
    parse: Callable[[str, str, bool], list[ImpedanceSpectrum]]


def _number(text: str) -> float | None:
    try:
        value = to_float(text.strip(), comma=True)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _put(metadata: Metadata, key: str, value: str | float | None) -> None:
    """Keep what is told; an area of nought is how programs say that nobody gave one."""
    if value is not None and value != "" and not (key == "area_cm2" and value == 0):
        metadata[key] = value


def _table_from(
    lines: list[str], header: int, first: int, *, source: str, separator: str | None = None
) -> tuple[dict[str, Real], dict[int, Column], int]:
    """Read the table whose header is in line ``header`` (from 0) and whose rows begin at ``first``.

    Returns the columns read and the index of the line after the table.
    """
    end = first
    rows_text = []
    while end < len(lines) and lines[end].strip():
        rows_text.append(lines[end])
        end += 1
    sep, comma = guess_separator(rows_text) if separator is None else (separator, guess_separator(rows_text)[1])
    headers = split_row(lines[header], sep)
    columns = columns_of(headers)
    if not complete(columns):
        # A header in another shape than its rows: several blanks between names that hold single ones.
        wide = [h.strip() for h in re.split(r"\t|;|,|\s{2,}", lines[header].strip().strip('"'))]
        columns = columns_of([h for h in wide if h])
        headers = wide
    if not complete(columns):
        raise SpectrumError(
            f"line {header + 1}: looked for frequency with Re Z and Im Z, or |Z| and phase, and found the columns "
            f"{', '.join(h for h in headers if h) or '(none)'}",
            source=source,
        )
    rows = [(first + k + 1, line) for k, line in enumerate(rows_text)]
    while rows and not any(is_number(f) for f in split_row(rows[-1][1], sep)):
        rows.pop()
    if not rows:
        raise SpectrumError(
            f"line {header + 1} names the columns and no row of numbers follows: the run was aborted before its "
            "first point",
            source=source,
        )
    return read_rows(rows, columns, separator=sep, comma=comma, source=source), columns, end


# ------------------------------------------------------------------------------------------------ EC-Lab


def _ec_lab(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    lines = text.split("\n")
    found = re.search(r"Nb header lines\s*:\s*(\d+)", text)
    if found is None:
        raise SpectrumError("an EC-Lab file without its line 'Nb header lines : n': is it cut?", source=source)
    # Lines may have been added or lost on the way: where the columns are named counts more than their number.
    named = next((i for i, line in enumerate(lines) if "freq/Hz" in line.split("\t")), None)
    header = max(0, int(found[1]) - 1) if named is None else named
    if header >= len(lines):
        raise SpectrumError(
            f"the header should end in line {header + 1}, the file ends in line {len(lines)}: it is cut",
            source=source,
        )
    metadata: Metadata = {}
    for key, pattern in (
        ("date", r"Acquisition started on\s*:\s*(.+)"),
        ("instrument", r"Device\s*:\s*(.+)"),
    ):
        if (match := re.search(pattern, text)) is not None:
            _put(metadata, key, match[1].strip())
    for key, pattern in (
        ("amplitude_mv", r"Va \(mV\)\s+(\S+)"),
        ("bias_v", r"\nE \(V\)\s+(\S+)"),
        ("area_cm2", r"Electrode surface area\s*:\s*(\S+)\s*cm"),
    ):
        if (match := re.search(pattern, text)) is not None:
            _put(metadata, key, _number(match[1]))
    table, _, _ = _table_from(lines, header, header + 1, source=source, separator="\t")
    return to_spectra(table, metadata, source=source, negate_imaginary=negate)


# ------------------------------------------------------------------------------------------------ Gamry


def _gamry(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    lines = text.split("\n")
    metadata: Metadata = {}
    keys = {"DATE": "date", "TITLE": "title", "PSTAT": "instrument"}
    numbers = {"VAC": "amplitude_mv", "VDC": "bias_v", "AREA": "area_cm2"}
    starts = []
    for i, line in enumerate(lines):
        fields = line.split("\t")
        if fields[0] in keys and len(fields) > 2:
            _put(metadata, keys[fields[0]], fields[2].strip())
        elif fields[0] in numbers and len(fields) > 2:
            _put(metadata, numbers[fields[0]], _number(fields[2]))
        elif re.match(r"ZCURVE\d*$", fields[0].strip()):
            starts.append(i)
    if not starts:
        raise SpectrumError(
            "a Gamry file without a ZCURVE table: it is another experiment, or was aborted before the sweep",
            source=source,
        )
    spectra = []
    for start in starts:
        if start + 3 > len(lines) - 1:
            raise SpectrumError(
                f"the ZCURVE table of line {start + 1} has no rows: the file is cut", source=source
            )
        end = start + 3
        while end < len(lines) and lines[end].startswith("\t") and lines[end].strip():
            end += 1
        block = [*lines[:end]]
        table, _, _ = _table_from(block, start + 1, start + 3, source=source, separator="\t")
        spectra += to_spectra(table, metadata, source=source, negate_imaginary=negate)
    return spectra


# ------------------------------------------------------------------------------------------------ ZPlot, Z60W


def _zplot(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    lines = text.split("\n")
    ends = [i for i, line in enumerate(lines) if line.strip().strip('"').lower().startswith("end comments")]
    header = next((i for i, line in enumerate(lines) if re.search(r"Freq\s*\(Hz\).*Z'", line)), None)
    if header is None:
        raise SpectrumError(
            "a ZPlot file without its line of columns (Freq(Hz) ... Z'(a) Z''(b)): it is cut", source=source
        )
    first = (ends[-1] if ends and ends[-1] > header else header) + 1
    metadata: Metadata = {}
    for key, pattern in (("date", r"Date:\s*(.+)"), ("time", r"Time:\s*(\d+:.+)")):
        if (match := re.search(pattern, text)) is not None:
            _put(metadata, key, match[1].strip())
    for key, pattern in (
        ("amplitude_mv", r"Potential-AC:\s*(\S+)"),
        ("bias_v", r"Potential-DC:\s*(\S+)"),
        ("area_cm2", r"Surface Area:\s*(\S+)"),
    ):
        if (match := re.search(pattern, text)) is not None:
            _put(metadata, key, _number(match[1]))
    table, _, _ = _table_from(lines, header, first, source=source)
    return to_spectra(table, metadata, source=source, negate_imaginary=negate)


# ------------------------------------------------------------------------------------------------ VersaStudio


def _versastudio(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    lines = text.split("\n")
    metadata: Metadata = {}
    if (match := re.search(r"DateAcquired=(.+)", text)) is not None:
        _put(metadata, "date", match[1].strip())
    for key, pattern in (
        ("area_cm2", r"Working Electrode Area \(cm2\)=(\S+)"),
        ("amplitude_mv", r"Amplitude \(mV RMS\)=(\S+)"),
        ("bias_v", r"\nPotential \(V\),Value=(\S+)"),
    ):
        if (match := re.search(pattern, text)) is not None:
            _put(metadata, key, _number(match[1]))
    spectra = []
    looked_at: list[str] = []
    for i, line in enumerate(lines):
        if not line.startswith("Definition=Segment"):
            continue
        headers = split_row(line.removeprefix("Definition="), ",")
        looked_at = headers
        rows = []
        for k in range(i + 1, len(lines)):
            if lines[k].startswith("<") or not lines[k].strip():
                break
            rows.append((k + 1, lines[k]))
        names = {name: index for index, name in enumerate(headers)}
        wanted = {"Frequency(Hz)": "frequency", "Z Real": "re", "Z Imag": "im", "Elapsed Time(s)": "time"}
        columns = {names[name]: Column(role, 1.0) for name, role in wanted.items() if name in names}
        if not rows or not complete(columns):
            continue
        table = read_rows(rows, columns, separator=",", comma=False, source=source)
        if (table["frequency"] > 0).any():
            spectra += to_spectra(table, metadata, source=source, negate_imaginary=negate)
    if not spectra:
        raise SpectrumError(
            "a VersaStudio file without a segment that has Frequency(Hz), Z Real, Z Imag and rows"
            + (
                f"; its last segment has {', '.join(looked_at)}"
                if looked_at
                else ": it is cut or another experiment"
            ),
            source=source,
        )
    return spectra


# ------------------------------------------------------------------------------------------------ PalmSens


_SI = {"Nano": 1e-9, "Micro": 1e-6, "Milli": 1e-3, "Kilo": 1e3, "Mega": 1e6, "Giga": 1e9}


def _palmsens(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    start = text.find("{")
    try:
        session, _ = json.JSONDecoder().raw_decode(text[start:])
        measurements = session.get("Measurements", session.get("measurements"))
    except (json.JSONDecodeError, AttributeError, RecursionError) as error:
        raise SpectrumError(f"a PalmSens session that is cut or damaged: {error}", source=source) from error
    if not isinstance(measurements, list):
        raise SpectrumError("a JSON file without the list 'Measurements' of a PalmSens session", source=source)
    spectra = []
    seen: list[str] = []
    for measurement in measurements:
        try:
            arrays = measurement["DataSet"]["Values"]
            table: dict[str, Real] = {}
            for array in arrays:
                column = _palmsens_column(array)
                seen.append(str(array.get("Description", "?")))
                if column is not None and column.role not in table:
                    values = [_json_number(point["V"]) for point in array["DataValues"]]
                    table[column.role] = np.array(values, dtype=np.float64) * column.factor
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpectrumError(f"a PalmSens measurement in an unknown shape: {error!r}", source=source) from error
        if not complete(dict(enumerate(Column(role, 1.0) for role in table))):
            continue
        if len({row.size for row in table.values()}) != 1:
            raise SpectrumError("a PalmSens measurement whose columns differ in length: it is cut", source=source)
        metadata: Metadata = {}
        _put(metadata, "title", str(measurement.get("Title", "")))
        spectra += to_spectra(table, metadata, source=source, negate_imaginary=negate)
    if not spectra:
        raise SpectrumError(
            f"{len(measurements)} measurements and no impedance spectrum among them; their columns are "
            f"{', '.join(dict.fromkeys(seen)) or '(none)'}",
            source=source,
        )
    return spectra


def _json_number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _palmsens_column(array: Mapping[str, Any]) -> Column | None:
    unit = array.get("Unit") or {}
    kind = str(unit.get("Type", ""))
    # PSTrace gives impedances units of their own; that of ZIm is -Z''.
    for ending, role, sign in ((".Hertz", "frequency", 1.0), (".ZRe", "re", 1.0), (".ZIm", "im", -1.0)):
        if kind.endswith(ending):
            return Column(role, sign)
    factor = next((f for prefix, f in _SI.items() if f".{prefix}" in kind), 1.0)
    found = columns_of([str(array.get("Description", ""))])
    if not found:
        return None
    column = found[0]
    # Prefixes stand in the class of the unit; the sign, and degrees, in the name of the column.
    return Column(column.role, column.factor * (factor if column.role != "phase" else 1.0))


# ------------------------------------------------------------------------------------------------ any table


def _plain(text: str, source: str, negate: bool) -> list[ImpedanceSpectrum]:
    lines = text.split("\n")
    header = _header_line(lines)
    metadata: Metadata = {}
    if header is not None:
        first = header + 1
        while first < len(lines) and not _numeric(lines[first]):
            if lines[first].strip() and first > header + 3:
                break
            first += 1
        metadata = _preamble(lines[:header])
        spectra: list[ImpedanceSpectrum] = []
        table, _, end = _table_from(lines, header, min(first, len(lines)), source=source)
        spectra += to_spectra(table, metadata, source=source, negate_imaginary=negate)
        rest = "\n".join(lines[end:])
        if (again := _header_line(lines[end:])) is not None and again >= 0 and rest.strip():
            spectra += _plain(rest, source, negate)
        return spectra
    return _headerless(lines, source, negate)


_TOLD = (
    ("amplitude_mv", r"(?:ac )?amplitude", {"mv": 1.0, "v": 1e3}),
    ("bias_v", r"(?:init e|dc (?:level|potential|bias|voltage)|bias|e ?dc)", {"mv": 1e-3, "v": 1.0}),
    ("area_cm2", r"(?:electrode |surface |sample |active )*(?:area|fläche)", {"mm2": 1e-2, "cm2": 1.0, "m2": 1e4}),
    ("temperature_c", r"temperature|temp\.?|t", {"c": 1.0, "degc": 1.0, "°c": 1.0}),
    ("pressure_mpa", r"(?:stack |sample )?pressure", {"mpa": 1.0}),
)


def _preamble(lines: list[str]) -> Metadata:
    """What the lines before a table say as ``name (unit) = value`` or ``name: value unit``.

    A number without a unit is not taken.
    """
    metadata: Metadata = {}
    for line in lines[:500]:
        match = re.match(r"[#%;\s\"]*([^=:\t;,]+?)\s*[=:\t;,]\s*\"?([^\";\t]+)", line)
        if match is None:
            if re.match(r"[A-Z][a-z]{2}\. \d{1,2}, \d{4}", line):  # the first line of CH Instruments
                _put(metadata, "date", line.strip())
            continue
        name, value = match[1].strip().lower(), match[2].strip()
        if re.fullmatch(r"(measurement |start )?date( and time)?|datum|acquired", name):
            metadata.setdefault("date", value)
            continue
        unit = re.search(r"[\[(/]\s*([^\])]*?)\s*[\])]?$", name)
        bare = name[: unit.start()].strip() if unit else name
        number = re.match(r"([-+]?[\d.,]+(?:e[-+]?\d+)?)\s*(\S*)", value, re.IGNORECASE)
        if number is None or (amount := _number(number[1])) is None:
            continue
        told = (unit[1] if unit else number[2]).lower().replace("²", "2").replace("^2", "2")
        for key, pattern, units in _TOLD:
            if re.fullmatch(pattern, bare) and told in units:
                _put(metadata, key, amount * units[told])
    return metadata


def _numeric(line: str) -> bool:
    fields = [f for f in re.split(r"[\t;\s]+|,(?=\s)|,", line.strip()) if f]
    return (
        len(fields) >= 2 and is_number(fields[0].strip('"')) and all(is_value(f.strip('"')) for f in fields[1:3])
    )


def _header_line(lines: list[str]) -> int | None:
    """The first line that names the columns of a spectrum and has numbers below; else the first at all."""
    named = []
    for i, line in enumerate(lines[:2000]):
        if not re.search(r"(?i)freq|\bf\b|hz", line) or _numeric(line):
            continue
        if any(complete(columns_of(split_row(line, separator))) for separator in ("\t", ";", ",", None)):
            if any(_numeric(below) for below in lines[i + 1 : i + 5]):
                return i
            named.append(i)
    return named[0] if named else None


def _refuse_names(rows_text: list[tuple[int, str]], source: str) -> None:
    """Refuse a line of names above the numbers that does not name a spectrum: which names are understood."""
    first = next(k for k, (_, line) in enumerate(rows_text) if _numeric(line))
    if first == 0 or not re.search(r"[^\W\d_]", rows_text[first - 1][1]):
        return
    line, text = rows_text[first - 1]
    fields = max((split_row(text, separator) for separator in ("\t", ";", ",")), key=len)
    known = [f"'{fields[i].strip()}' ({column.role})" for i, column in columns_of(fields).items()]
    raise SpectrumError(
        f"line {line} names the columns, and of '{text.strip()[:80]}' is understood: "
        f"{', '.join(known) or 'nothing'}; needed are frequency with Re Z and Im Z, or with |Z| and phase: "
        "name them so",
        source=source,
    )


def _headerless(lines: list[str], source: str, negate: bool) -> list[ImpedanceSpectrum]:
    rows_text = [(i + 1, line) for i, line in enumerate(lines) if line.strip() and line.strip()[0] not in "#%!"]
    counted = next((k for k, (_, line) in enumerate(rows_text) if is_count(line)), None)
    if counted is not None and len(rows_text) - counted - 1 == int(rows_text[counted][1]) > 0:
        rows_text = rows_text[counted + 1 :]  # comments, then the number of rows, then as many rows
    numeric = [(i, line) for i, line in rows_text if _numeric(line)]
    if len(numeric) < 0.8 * len(rows_text) or not numeric:
        stop = next((i for i, line in rows_text if not _numeric(line)), 1)
        raise SpectrumError(
            "looked for a line that names frequency with Re Z and Im Z (or |Z| and phase), or for three columns "
            f"of numbers without one; line {stop} is neither: '{lines[stop - 1].strip()[:60]}'",
            source=source,
        )
    _refuse_names(rows_text, source)
    separator, comma = guess_separator([line for _, line in rows_text])
    widths = {len(split_row(line, separator)) for _, line in rows_text[:-1]} or {
        len(split_row(rows_text[-1][1], separator))
    }
    if widths != {3}:
        raise SpectrumError(
            f"rows of {', '.join(map(str, sorted(widths)))} numbers without a header: only three "
            "(frequency, Re Z, Im Z) are understood; add a first line that names the columns"
            + (" (a comma cannot be both decimal mark and separator)" if separator == "," else ""),
            source=source,
        )
    columns = {0: Column("frequency", 1.0), 1: Column("re", 1.0), 2: Column("im", 1.0)}
    table = read_rows(rows_text, columns, separator=separator, comma=comma, source=source)
    metadata: Metadata = {"columns": "no header: taken as frequency in Hz, Re Z and Im Z in Ω"}
    return to_spectra(table, metadata, source=source, negate_imaginary=negate)


def _starts(*words: str) -> Callable[[str], bool]:
    return lambda text: text.lstrip().startswith(words)


#: In this order; the last takes whatever is a table.
FORMATS: tuple[Format, ...] = (
    Format("EC-Lab", _starts("EC-Lab ASCII FILE", "BT-Lab ASCII FILE"), _ec_lab),
    Format("Gamry", _starts("EXPLAIN"), _gamry),
    Format(
        "ZPlot",
        lambda text: text.lstrip().startswith(("ZPLOT", '"Z60W', "Z60W")) or "End Comments" in text[:20000],
        _zplot,
    ),
    Format("VersaStudio", lambda text: "Name=VersaStudio" in text[:2000] or "<Segment1>" in text, _versastudio),
    Format("PalmSens", _starts("{"), _palmsens),
    Format("Ivium", recognise_ivium, read_ivium),
    Format("Autolab FRA", recognise_dfr, read_dfr),
    Format("OrigaLys", recognise_origalys, read_origalys),
    Format("table", lambda text: True, _plain),
)
