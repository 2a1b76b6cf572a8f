"""From named columns to spectra: what each column is, its unit and its sign, and where one sweep ends."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pressopt import _core
from pressopt.errors import SpectrumError
from pressopt.impedance.readers.text import split_row, to_float
from pressopt.impedance.spectrum import Complex, ImpedanceSpectrum, Real

_MINUS = "-−–"
#: Points needed before the sign of Im Z can be tested.
_LEAST_TO_TEST = 8
#: Of more points, every so many are tested.
_MOST_TO_TEST = 300


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds: its role, and the factor to Hz, Ω, rad or s."""

    role: str  # frequency | re | im | modulus | phase | time | cycle
    factor: float


def columns_of(headers: Sequence[str]) -> dict[int, Column]:
    """Index -> column for every header that is understood; the first of a kind counts."""
    found: dict[int, Column] = {}
    for index, header in enumerate(headers):
        column = _column(header)
        if column is not None and all(c.role != column.role for c in found.values()):
            found[index] = column
    return found


def complete(columns: Mapping[int, Column]) -> bool:
    """Whether these columns make a spectrum."""
    roles = {c.role for c in columns.values()}
    return "frequency" in roles and ({"re", "im"} <= roles or {"modulus", "phase"} <= roles)


def _column(header: str) -> Column | None:
    name = header.strip().strip('"').strip()
    negative = name[:1] in _MINUS and len(name) > 1
    if negative:
        name = name[1:].strip()
    elif name.lower().startswith(("neg", "minus")):
        negative, name = True, re.sub(r"(?i)^(neg\.?|minus)[ _]*", "", name)
    unit_match = re.search(r"[\[(/,]\s*([^\[\](),/]*(?:/?cm\S*)?)\s*[\])]?\s*$", name)
    unit = unit_match.group(1).strip() if unit_match else ""
    bare = name[: unit_match.start()] if unit_match and unit_match.start() > 0 else name
    key = re.sub(r"[\s_.()\[\]]", "", bare.lower()).replace("’", "'").replace("′", "'").replace("″", "''")
    whole = re.sub(r"[\s_.]", "", name.lower())
    role = _role(key, whole)
    if role is None:
        return None
    return Column(role, _factor(role, unit, name) * (-1 if negative and role in {"re", "im", "phase"} else 1))


_ROLES = {
    "frequency": {"freq", "frequency", "f", "fhz", "freqhz", "frequencyhz", "frequenz", "fréquence", "frecuencia",
                  "frequenza", "frequentie", "appliedfrequency", "actualfrequency", "setfrequency",
                  "testfrequency"},
    "re": {"re", "rez", "zre", "zreal", "z'", "real", "realz", "rezohm", "zreohm", "zrealohm", "zr", "reohm", "z1",
           "realteil", "realpart", "realimpedance", "impedancereal", "resistance", "rs", "partieréelle"},
    "im": {"im", "imz", "zim", "zimag", "zimg", "z''", 'z"', "imag", "imagz", "imzohm", "zimohm", "zimagohm", "zi",
           "imohm", "z2", "imaginary", "imaginarypart", "imaginärteil", "imagpart", "imaginaryimpedance",
           "reactance", "impedanceimag", "impedanceimaginary", "xs", "partieimaginaire", "zimaginary"},
    "modulus": {"|z|", "zmod", "z", "modz", "zabs", "abs", "absz", "modulus", "impedance", "|z|ohm", "magnitude",
                "betrag", "impedanz", "zmodulus", "zmagnitude"},
    "phase": {"phase", "zphz", "phz", "theta", "phasez", "phi", "arg", "phaseangle", "phaseofz", "φ", "θ",
              "zphase", "phasedeg", "phasenwinkel", "angle"},
    "time": {"time", "elapsedtime", "t", "times", "timesec", "zeit", "temps"},
    "cycle": {"cyclenumber", "zcycle"},
}  # fmt: skip


def _role(key: str, whole: str) -> str | None:
    for role, names in _ROLES.items():
        if key in names:
            return role
    # Re(Z)/Ohm, Im(Z)/Ohm, Phase(Z)/deg: the bracket is part of the name.
    for start, role in (("re(z", "re"), ("im(z", "im"), ("phase(z", "phase"), ("|z|", "modulus"), ("z'(", "re")):
        if whole.startswith(start):
            return role
    if whole.startswith(("z''", 'z"')):
        return "im"
    return None


def _factor(role: str, unit: str, name: str) -> float:
    plain = (
        unit.replace(" ", "").replace("Ohms", "Ohm").replace("ohms", "ohm").replace("Ω", "ohm").replace("Ω", "ohm")
    )
    if role in {"re", "im", "modulus"}:
        if "cm" in plain:
            raise SpectrumError(
                f"column '{name}' is per area ({unit}): give the impedance of the whole cell in Ω instead"
            )
        prefix = re.match(r"(k|K|M|m|µ|u)[Oo]hm", plain)
        return {"k": 1e3, "K": 1e3, "M": 1e6, "m": 1e-3, "µ": 1e-6, "u": 1e-6}[prefix[1]] if prefix else 1.0
    if role == "frequency":
        return {"khz": 1e3, "mhz": 1e6 if plain.startswith("M") else 1e-3}.get(plain.lower(), 1.0)
    if role == "phase":
        return 1.0 if plain.lower().startswith("rad") else math.pi / 180
    if role == "time":
        return {"ms": 1e-3, "min": 60.0, "h": 3600.0}.get(plain.lower(), 1.0)
    return 1.0


def read_rows(
    rows: Sequence[tuple[int, str]],
    columns: Mapping[int, Column],
    *,
    separator: str | None,
    comma: bool,
    source: str,
) -> dict[str, Real]:
    """Role -> values of all whole rows (number of the line, line).

    A cut last row is left out, a broken row before it is refused.
    """
    fast = _read_fast([line for _, line in rows], columns, separator=separator, comma=comma)
    if fast is not None:
        return fast
    width = max(columns) + 1
    table: dict[str, list[float]] = {c.role: [] for c in columns.values()}
    for position, (line, text) in enumerate(rows):
        fields = split_row(text, separator)
        last = position == len(rows) - 1
        if len(fields) < width and not last:
            raise SpectrumError(
                f"line {line} has {len(fields)} columns where {width} are needed: '{' '.join(fields)[:60]}'",
                source=source,
            )
        try:
            values = {c.role: to_float(fields[i], comma=comma) * c.factor for i, c in columns.items()}
        except (ValueError, IndexError) as error:
            if last:  # an export that broke off while it was written
                break
            raise SpectrumError(f"line {line}: '{error}' is no number", source=source) from error
        for role, value in values.items():
            table[role].append(value)
    return {role: np.array(values, dtype=np.float64) for role, values in table.items()}


#: Rows from which on a table is first tried as a whole.
_MANY_ROWS = 2000


def _read_fast(
    lines: Sequence[str], columns: Mapping[int, Column], *, separator: str | None, comma: bool
) -> dict[str, Real] | None:
    """A long table without any peculiarity, read by NumPy; None where single rows have to be looked at."""
    if len(lines) < _MANY_ROWS:
        return None
    wanted = sorted(columns)
    plain = (line.replace(",", ".") for line in lines) if comma else lines
    try:
        table = np.loadtxt(plain, delimiter=separator, usecols=wanted, ndmin=2, comments=None, dtype=np.float64)
    except ValueError:
        return None
    return {columns[i].role: table[:, k] * columns[i].factor for k, i in enumerate(wanted)}


def to_spectra(
    table: Mapping[str, Real], metadata: Mapping[str, str | float], *, source: str, negate_imaginary: bool
) -> list[ImpedanceSpectrum]:
    """Split a table into sweeps, check each sign, and build the spectra.

    Rows at zero frequency are direct-current readings between sweeps and are left out.
    """
    frequency = table["frequency"]
    measured = np.isfinite(frequency) & (frequency > 0)
    if (np.isfinite(frequency) & (frequency < 0)).any():
        raise SpectrumError("a frequency is negative: this column holds no frequencies", source=source)
    if not measured.any():
        raise SpectrumError(
            f"{frequency.size} rows were read and none has a frequency above 0: the sweep broke off before its "
            "first point, or the columns are others",
            source=source,
        )
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is flagged
        if "re" in table and "im" in table:
            impedance: Complex = table["re"] + 1j * table["im"]
        else:
            impedance = table["modulus"] * np.exp(1j * table["phase"])
    if negate_imaginary:
        impedance = impedance.conj()
    spectra = []
    for part in _sweeps(frequency, table.get("cycle"), measured):
        z = impedance[part]
        _refuse_sign(frequency[part], z, source)
        time = table.get("time")
        told = time is not None and bool(np.isfinite(time[part]).all()) and float(np.ptp(time[part])) > 0
        clock = time[part] - time[part][0] if time is not None and told else None
        spectra.append(ImpedanceSpectrum(frequency[part], z, time_s=clock, metadata=dict(metadata)))
    return spectra


def _sweeps(frequency: Real, cycle: Real | None, measured: np.ndarray) -> list[np.ndarray]:
    """Indices of each sweep: a new one begins where the frequency runs back to where the last began, goes on from
    there, or where the cycle number changes."""
    indices = np.flatnonzero(measured)
    ln = np.log(frequency[indices])
    cuts = [0]
    for i in range(1, indices.size):
        start = cuts[-1]
        new_cycle = cycle is not None and cycle[indices[i]] != cycle[indices[i - 1]]
        back = (
            i - start >= 5
            and abs(ln[i] - ln[start]) < 0.05 + 0.02 * abs(ln[i - 1] - ln[start])
            and abs(ln[i] - ln[i - 1]) > 0.5 * np.ptp(ln[start:i])
            and i + 2 < indices.size
            and (ln[i + 1] - ln[i]) * (ln[start + 1] - ln[start]) > 0
        )
        if new_cycle or back:
            cuts.append(i)
    cuts.append(indices.size)
    return [indices[a:b] for a, b in pairwise(cuts)]


def _refuse_sign(frequency: Real, z: Complex, source: str) -> None:
    """Refuse a sign of Im Z under which modulus and phase contradict each other (Kramers-Kronig)."""
    good = np.isfinite(z) & (np.abs(z) > 0) & (np.abs(z) < 1e30)
    if good.sum() < _LEAST_TO_TEST or np.unique(frequency[good]).size < _LEAST_TO_TEST:
        return
    some = np.flatnonzero(good)[:: max(1, int(good.sum()) // _MOST_TO_TEST)]
    f = np.ascontiguousarray(frequency[some])
    as_read, other = (
        _core.spectrum_consistency(
            f,
            np.ascontiguousarray(z.real[some]),
            np.ascontiguousarray(sign * z.imag[some]),
            per_decade=1.0,
            clocks=np.zeros((0, f.size)),
        )["noise"]
        for sign in (1, -1)
    )
    if as_read > 0.03 and other < 0.4 * as_read:
        raise SpectrumError(
            "with the sign of Im Z as the file has it no passive cell can have made this spectrum: modulus and "
            f"phase contradict each other by {as_read:.0%} of |Z| (with the other sign {other:.1%}). If the "
            "column holds -Im Z, name it so or read with negate_imaginary=True",
            source=source,
        )
