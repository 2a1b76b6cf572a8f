"""The settings of an experiment's protocols by name, from options and tables, checked before anything runs."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pressopt.campaign.experiment import Experiment
from pressopt.errors import InputError, UnitError, Violation
from pressopt.export.wording import unit_of
from pressopt.study.axes import STACK_FIELDS, names_of, table_of
from pressopt.study.parquet import from_parquet
from pressopt.surrogate import ProtocolTable, Surrogate
from pressopt.units import parse_quantity, suffix

Real = npt.NDArray[np.float64]

#: Mistakes in a table that are told one by one; the rest are counted.
MOST_TOLD = 20
#: Settings that may be zero.
_FROM_ZERO = ("dwell_s", "settle_s", f"{next(iter(STACK_FIELDS))}")


@dataclass(frozen=True)
class Settings:
    """All settings of the protocols that an experiment's cell can go through.

    Attributes:
        stages: Names of the stages, in order.
        rolled: Whether they are passes through rolls.
        fixed: Settings that the experiment fixes, by name.
    """

    stages: tuple[str, ...]
    rolled: bool
    fixed: Mapping[str, float]

    @classmethod
    def of(cls, experiment: Experiment) -> Settings:
        """The settings of an experiment; those that it searches are open."""
        plan = experiment.measurement
        held = {} if plan.pressure_mpa is None else {"stack.pressure_mpa": plan.pressure_mpa}
        fixed = {
            f"{stage.name}.{name}": value for stage in experiment.stages for name, value in stage.fixed.items()
        }
        measured = {
            "stack.temperature_c": plan.temperature_c,
            "stack.settle_s": plan.settle_s,
            "stack.release_mpa_s": plan.release_mpa_s,
        }
        return cls(tuple(stage.name for stage in experiment.stages), experiment.rolled, fixed | held | measured)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in order."""
        return names_of(self.stages, rolled=self.rolled)

    def named(self, word: str) -> str | None:
        """The setting that a word means, with or without stage and unit; None where that is none or several."""
        word = word.strip()
        if word in self.names:
            return word
        found = [name for name in self.names if word in _spellings(name)]
        # A bare word is that of a stage before that of the measurement.
        stages = [name for name in found if name not in STACK_FIELDS]
        return stages[0] if len(stages) == 1 else found[0] if len(found) == 1 else None

    def refusal(self, word: str) -> str:
        """What to say of a word that means no setting, or several."""
        several = [name for name in self.names if word.strip() in _spellings(name)]
        if len(several) > 1:
            return f"can mean {' or '.join(several)}: name the stage"
        near = difflib.get_close_matches(
            word, [s for name in self.names for s in _spellings(name)], n=1, cutoff=0.6
        )
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"is no setting here: {hint}Settings are {', '.join(self.names)}"

    def parse(self, given: Iterable[str]) -> dict[str, float]:
        """Values of ``NAME=VALUE``, by full name.

        Raises:
            InputError: Everything that is wrong, at once.
        """
        values: dict[str, float] = {}
        wrong: list[Violation] = []
        for text in given:
            word, equals, value = text.partition("=")
            name = self.named(word)
            if not equals:
                wrong.append(Violation(text, 'is no setting with a value: write it like "pressure=25 MPa"'))
            elif name is None:
                wrong.append(Violation(word, self.refusal(word)))
            elif name in values:
                wrong.append(Violation(name, "is given twice: keep one"))
            else:
                try:
                    values[name] = number_of(name, value.strip(), key=word.strip())
                except UnitError as refused:
                    wrong += refused.violations
        if wrong:
            raise InputError(wrong)
        return values

    def missing(self, given: Iterable[str]) -> tuple[str, ...]:
        """Settings that neither the experiment nor anybody else gives."""
        known = {*self.fixed, *given}
        return tuple(name for name in self.names if name not in known)

    def table(self, given: Mapping[str, npt.ArrayLike]) -> ProtocolTable:
        """Protocols as the surrogate takes them; values broadcast, those of the experiment fill what is left."""
        values = {name: np.asarray(given.get(name, self.fixed.get(name)), dtype=np.float64) for name in self.names}
        count = np.broadcast_shapes((1,), *(value.shape for value in values.values()))
        columns = {name: np.broadcast_to(value, count) for name, value in values.items()}
        return table_of(self.stages, columns, rolled=self.rolled)

    def checked(
        self, given: Mapping[str, npt.ArrayLike], surrogate: Surrogate, lines: Sequence[int] | None = None
    ) -> None:
        """Refuse values that no protocol can have; every one named with its line.

        Raises:
            InputError: Everything that is wrong, at once.
        """
        melts_c = surrogate.limits().melting_c
        wrong: list[Violation] = []
        for name, values in given.items():
            column = np.atleast_1d(np.asarray(values, dtype=np.float64))
            if name.endswith("_c"):
                bad, allowed = ~((column >= -200) & (column < melts_c)), f"-200 to below {melts_c:g} °C"
            elif name.endswith(_FROM_ZERO):
                bad, allowed = ~(np.isfinite(column) & (column >= 0)), "0 or more"
            elif name.endswith("passes"):
                bad, allowed = (
                    ~((column >= 1) & (column <= 1000) & (column == np.rint(column))),
                    "1 to 1000, whole",
                )
            else:
                bad, allowed = ~(np.isfinite(column) & (column > 0)), "more than 0"
            wrong += [
                Violation(
                    name,
                    f"{column[row]:g} {unit_of(name)} is not allowed: give {allowed}".replace("  ", " "),
                    lines[int(row)] if lines is not None else None,
                )
                for row in np.flatnonzero(bad)
            ]
        _refuse(wrong)


@dataclass(frozen=True)
class Sheet:
    """A table that a person gave: one row per protocol or cell.

    Attributes:
        columns: All columns as they stand in the file.
        settings: Those that are settings, by full name, shape (n,).
        lines: Line of each row in the file.
        path: The file.
    """

    columns: Mapping[str, Sequence[Any]]
    settings: Mapping[str, Real]
    lines: Sequence[int]
    path: Path

    def __len__(self) -> int:
        return len(self.lines)

    def numbers(self, name: str) -> Real:
        """A column of numbers, shape (n,); NaN where nothing stands.

        Raises:
            InputError: Every cell that is no number, with its line.
        """
        wrong: list[Violation] = []
        found = np.full(len(self), np.nan)
        for row, value in enumerate(self.columns[name]):
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            try:
                found[row] = float(value)
            except (TypeError, ValueError):
                wrong.append(Violation(name, f"{value!r} is no number", self.lines[row]))
        _refuse(wrong, self.path)
        return found


def read_sheet(path: Path, settings: Settings, given: Mapping[str, float], *, others: Sequence[str] = ()) -> Sheet:
    """Read a table of protocols: CSV with a header, or Parquet.

    Args:
        path: The file. Columns are settings (``pressure_mpa``, ``lamination.pressure_mpa``) with numbers in the
            unit of their name; columns that are no settings are kept as they are.
        settings: What columns may mean.
        given: Settings that were given otherwise; a column wins over them.
        others: Columns that mean something else to the caller.

    Raises:
        InputError: Missing columns, cells that are no numbers, empty cells: all of them at once, with lines.
    """
    columns, lines = _read_columns(path)
    wrong: list[Violation] = []
    found: dict[str, Real] = {}
    for column, cells in columns.items():
        name = settings.named(column)
        if name is None:
            near = difflib.get_close_matches(
                column, [s for n in settings.names for s in _spellings(n)], n=1, cutoff=0.85
            )
            if near and column not in others:
                wrong.append(Violation(column, f"is no setting: did you mean '{near[0]}'? Rename the column", 1))
            continue
        if name in found:
            wrong.append(Violation(column, f"means {name}, as another column does: keep one", 1))
            continue
        values = np.full(len(lines), np.nan)
        for row, cell in enumerate(cells):
            try:
                values[row] = number_of(name, cell, key=column)
            except UnitError as refused:
                wrong.append(Violation(column, refused.violations[0].message, lines[row]))
        found[name] = values
    for name in settings.missing({*given, *found}):
        wrong.append(
            Violation(name, f"is missing: give a column with this name, or --set {name.rpartition('.')[2]}=...")
        )
    if not lines:
        wrong.append(Violation("", "has no rows: give at least one protocol"))
    _refuse(wrong, path)
    return Sheet(columns, {**found}, lines, path)


def number_of(name: str, value: Any, *, key: str) -> float:
    """The value of a setting in the unit of its name; text may carry a unit, a bare number needs one in ``key``.

    Raises:
        UnitError: It is no such quantity.
    """
    unit = unit_of(name)
    if isinstance(value, (np.floating, np.integer)):
        value = value.item()
    if not unit:  # passes
        try:
            return float(value)
        except (TypeError, ValueError):
            raise UnitError((Violation(name, f"{value!r} is no number: give one"),)) from None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return parse_quantity(value, unit, key="")
    return parse_quantity(value, unit, key=key)  # a bare number needs a key that carries the unit


def _read_columns(path: Path) -> tuple[dict[str, Sequence[Any]], list[int]]:
    if path.suffix.lower() in {".parquet", ".pq"}:
        if not path.is_file():
            raise InputError((Violation("", "there is no such file: check the path"),), source=str(path))
        columns, _ = from_parquet(path)
        count = len(next(iter(columns.values()), ()))
        return {name: list(values) for name, values in columns.items()}, list(range(1, count + 1))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError((Violation("", "there is no such file: check the path"),), source=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError((Violation("", f"cannot be read: {error}"),), source=str(path)) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    rows = [(reader.line_num, row) for row in reader]
    if not rows or not any(cell.strip() for cell in rows[0][1]):
        raise InputError((Violation("", "is empty: the first line names the columns"),), source=str(path))
    header = [cell.strip() for cell in rows[0][1]]
    body = [(line, row) for line, row in rows[1:] if any(cell.strip() for cell in row)]
    wrong = [
        Violation("", f"{len(row)} cells, the header names {len(header)}: a value is missing or too many", line)
        for line, row in body
        if len(row) != len(header)
    ]
    wrong += [
        Violation(name, "is there twice: keep one", 1) for name in {n for n in header if header.count(n) > 1}
    ]
    _refuse(wrong, path)
    return {name: [row[k] for _, row in body] for k, name in enumerate(header)}, [line for line, _ in body]


def _spellings(name: str) -> set[str]:
    """How people may call a setting: with or without stage, with or without unit."""
    stage, _, setting = name.rpartition(".")
    unit = unit_of(name)
    bare = setting.removesuffix(suffix(unit)) if unit else setting
    short = {setting, bare}
    if name in STACK_FIELDS:  # `pressure` alone is that of a stage
        short = {
            f"stack_{setting}",
            STACK_FIELDS[name],
            *({setting, bare} if bare in {"settle", "release"} else ()),
        }
    return {name, f"{stage}.{bare}", *short}


def _refuse(wrong: list[Violation], path: Path | None = None) -> None:
    """Raise all mistakes, of very many the first and a count."""
    if not wrong:
        return
    told = wrong[:MOST_TOLD]
    if len(wrong) > MOST_TOLD:
        told.append(Violation("", f"and {len(wrong) - MOST_TOLD} more mistakes of this kind"))
    raise InputError(told, source="" if path is None else str(path))
