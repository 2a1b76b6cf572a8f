"""From bytes to text to rows of numbers: encodings, separators, decimal marks."""

from __future__ import annotations

import math
import re
from pathlib import Path

from pressopt.errors import SpectrumError

#: A text export of an analyser is far smaller; larger files are something else.
_LARGEST_BYTES = 500_000_000
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?$")
_COMMA_NUMBER = re.compile(r"[-+]?(\d+,?\d*|,\d+)([eEdD][-+]?\d+)?$")
_NOT_A_NUMBER = {"nan", "-nan", "inf", "+inf", "-inf", "infinity", "overload", "ovl", "---", ""}


def load_bytes(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        SpectrumError: It cannot be opened, is a folder, empty or too large.
    """
    try:
        if path.is_dir():
            raise SpectrumError("this is a folder: give a file, or each file in it", source=str(path))
        if path.stat().st_size > _LARGEST_BYTES:
            raise SpectrumError("larger than 500 MB: no export of a spectrum is", source=str(path))
        data = path.read_bytes()
    except OSError as error:
        raise SpectrumError(f"cannot be opened: {error.strerror}", source=str(path)) from error
    if not data.strip():
        raise SpectrumError("the file is empty: there is no spectrum in it", source=str(path))
    return data


def to_text(data: bytes, path: Path) -> str:
    """Return bytes as text with one kind of line end.

    Raises:
        SpectrumError: They are no text.
    """
    return re.sub(r"\r*\n|\r", "\n", _decode(data, path))  # some programs write two returns for each line


def _decode(data: bytes, path: Path) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise SpectrumError(
                f"begins as UTF-16 text and breaks off at byte {error.start}: export it again", source=str(path)
            ) from error
    if b"primary_data" in data:
        # IviumSoft puts control characters between its settings.
        controls = bytes(c for c in range(32) if c not in b"\t\n\r")
        return data.translate(None, controls).decode("latin-1")
    head = data[:4096]
    for place, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 3 and head[place::2].count(0) > 0.4 * len(head) / 2:
            return data.decode(encoding, errors="replace")
    strange = sum(byte < 9 or 13 < byte < 27 for byte in head)
    if strange > 0.01 * len(head) or b"\0" in head:
        raise SpectrumError(
            "binary data, no text and no Zahner .ism: save or export the spectrum as text (.mpr cannot be read)",
            source=str(path),
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # every byte is a letter there: units and names may look odd, numbers do not


def split_row(line: str, separator: str | None) -> list[str]:
    """Fields of one line, without surrounding blanks and quotes."""
    fields = line.split(separator) if separator else line.split()
    return [f.strip().strip('"').strip() for f in fields]


def is_number(field: str) -> bool:
    """Whether a field is a number with decimal point or comma."""
    return bool(_NUMBER.match(field) or _COMMA_NUMBER.match(field))


def is_count(line: str) -> bool:
    """Whether a line is a whole number and nothing else."""
    word = line.strip()
    return word.isascii() and word.isdigit() and len(word) < 10


def is_value(field: str) -> bool:
    """Whether a field is a number, or a word that stands where one could not be measured."""
    return is_number(field) or (field != "" and field.lower() in _NOT_A_NUMBER)


def to_float(field: str, *, comma: bool) -> float:
    """Return a number; NaN for the words and blanks that analysers write where they could not measure.

    Raises:
        ValueError: The field is neither.
    """
    if field.lower() in _NOT_A_NUMBER:
        return math.nan
    pattern = _COMMA_NUMBER if comma and "," in field else _NUMBER
    if not pattern.match(field):
        raise ValueError(field)
    return float(field.replace(",", ".").replace("d", "e").replace("D", "e"))


def guess_separator(lines: list[str]) -> tuple[str | None, bool]:
    """Separator and decimal comma of some rows of numbers.

    A tab or semicolon separates wherever it stands; a comma is decimal only beside another separator.
    """
    sample = [line for line in lines if line.strip()][:50]
    for separator in ("\t", ";"):
        if sample and sum(separator in line.strip() for line in sample) > 0.8 * len(sample):
            return separator, _any_comma(sample, separator)
    if sample and sum("," in line for line in sample) > 0.8 * len(sample):
        by_blank = [split_row(line, None) for line in sample]
        several = all(len(row) >= 3 for row in by_blank)
        if several and all(is_number(f) and not f.endswith(",") for row in by_blank for f in row):
            return None, True
        return ",", False
    return None, _any_comma(sample, None)


def _any_comma(lines: list[str], separator: str | None) -> bool:
    fields = [f for line in lines for f in split_row(line, separator)]
    commas = sum("," in f and bool(_COMMA_NUMBER.match(f)) for f in fields)
    points = sum("." in f and bool(_NUMBER.match(f)) for f in fields)
    return commas > points
