"""Reads what was learned elsewhere: the table of trials of an earlier campaign, or of published points."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from pathlib import Path

from pressopt.errors import InputError, Violation
from pressopt.optimizer import DesignSpace, Measurement, Observation, Source
from pressopt.pressing import QUANTITIES

#: Error of a reading whose table tells none: a tenth of the value (assumed; published points rarely say).
_UNTOLD = 0.1
_UNIT = re.compile(r"\s*\[[^\]]*\]\s*$")
_ASKED, _ACHIEVED, _SD = " asked", " achieved", " standard deviation"


def read_source(path: Path, space: DesignSpace, name: str = "", trust: float = 1.0) -> Source:
    """Read a table of trials: ``trials.csv`` as `pressopt export` writes it, or one typed from a publication.

    Columns that are understood, in any order, an ending in square brackets left out: each setting of the space
    (``lamination.pressure_mpa``; where it is told, what was ``achieved`` goes before what was ``asked``), measured
    quantities (``interfacial_resistance_ohm_cm2``), their ``standard deviation`` and ``failures``. Other columns
    are passed over. A row needs all settings, and a quantity or a failure.

    Args:
        path: The table: RFC 4180, comma, decimal point, UTF-8.
        space: The space of the new campaign.
        name: How reports call it; empty: the name of the file.
        trust: Weight beforehand, more than 0, at most 1.

    Raises:
        InputError: It cannot be read, a setting has no column, a number is none (all of them at once), or no row
            is of use.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"'{path}' cannot be read ({error}): give a table of trials as `pressopt export` writes"
        ) from error
    headings = {_UNIT.sub("", heading): heading for heading in (rows[0] if rows else {}) if heading}
    columns = {
        variable.name: [headings[one] for one in _headings_of(variable.name) if one in headings]
        for variable in space.variables
    }
    missing = [name for name, found in columns.items() if not found]
    if missing:
        raise InputError(
            [Violation(name, f"has no column in '{path.name}': add one with that heading") for name in missing]
        )
    wrong: list[Violation] = []
    observations = []
    for line, row in enumerate(rows, 2):
        cells = _Row({heading: (value or "").strip() for heading, value in row.items() if heading}, line, wrong)
        settings = {
            variable.name: cells.number(columns[variable.name])
            if variable.numeric
            else cells.text(columns[variable.name])
            for variable in space.variables
        }
        outcomes = cells.outcomes(headings)
        failures = cells.text([headings["failures"]]).split() if "failures" in headings else []
        known = {name: value for name, value in settings.items() if value is not None and value != ""}
        if len(known) == len(settings) and (outcomes or failures):
            observations.append(Observation(line, known, outcomes=outcomes, failures=frozenset(failures)))
    if wrong:
        raise InputError(wrong)
    if not observations:
        raise InputError(f"'{path.name}' has no row with all settings and a result: nothing can be carried over")
    return Source(name or path.stem, tuple(observations), trust)


def _headings_of(setting: str) -> tuple[str, ...]:
    """Headings of a setting, what is believed most first."""
    return setting + _ACHIEVED, setting, setting + _ASKED


class _Row:
    """One row of the table; what is no number is written down."""

    def __init__(self, cells: Mapping[str, str], line: int, wrong: list[Violation]) -> None:
        self._cells, self._line, self._wrong = cells, line, wrong

    def text(self, headings: list[str]) -> str:
        """The first of these cells that is not empty."""
        return next((self._cells[heading] for heading in headings if self._cells.get(heading)), "")

    def number(self, headings: list[str]) -> float | None:
        """The same as a number; ``None`` when all are empty."""
        text = self.text(headings)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            message = f"'{text}' is no number: write one with a decimal point, or leave the cell empty"
            self._wrong.append(Violation(headings[0], message, self._line))
            return None
        return value

    def outcomes(self, headings: Mapping[str, str]) -> dict[str, Measurement]:
        """What was measured, under the names of the quantities."""
        found = {}
        for name in headings.keys() & QUANTITIES.keys():
            value = self.number([headings[name]])
            if value is not None:
                told = self.number([headings[name + _SD]]) if name + _SD in headings else None
                found[name] = Measurement(value, _UNTOLD * abs(value) if told is None else told)
        return found
