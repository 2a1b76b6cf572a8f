"""Reads a parsed TOML text by the definition of its format, collecting every mistake with its line."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pressopt.campaign.schema import (
    Amount,
    Band,
    Choice,
    DeviceEntry,
    Flag,
    Key,
    Node,
    Number,
    Rows,
    Setting,
    Table,
    Text,
    Variants,
    spellings_of,
)
from pressopt.errors import UnitError, Violation
from pressopt.toml_lines import LineIndex, Path
from pressopt.units import format_quantity, kind_of_quantity, measures, parse_quantity

#: Pressure and force stand for each other, each under a key of its own.
_OTHER_KEY = {"MPa": ("kN", "a force", "force"), "kN": ("MPa", "a pressure", "pressure")}


class _Bad:
    """Stands where a value could not be read; the mistake has been written down."""


BAD = _Bad()


@dataclass(frozen=True, slots=True)
class Range:
    """A setting that is searched, in the unit used inside."""

    low: float
    high: float
    scale: str
    step: float | None


@dataclass
class Report:
    """All mistakes found so far, and how places in the file are called.

    Attributes:
        lines: Lines of the file.
        convert: Turns an amount in the second unit of a key (a rate of force) into the first; needs the die, so it
            is ``None`` until that is known.
        names: Names of rows (``stages[2]`` is ``lamination``).
    """

    lines: LineIndex
    convert: Callable[[float], float] | None = None
    names: dict[Path, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    def add(self, path: Path, message: str) -> None:
        """Write down one mistake."""
        self.violations.append(Violation(self.where(path), message, self.lines.line(path)))

    def where(self, path: Path) -> str:
        """What people call a place: ``stages.lamination.pressure``, ``objectives[2].target``."""
        text = ""
        for index, part in enumerate(path):
            if isinstance(part, str):
                text += f".{part}" if text else part
            else:
                name = self.names.get(path[: index + 1])
                text += f".{name}" if name else f"[{part + 1}]"
        return text


def read_table(
    table: Table, data: object, path: Path, report: Report, *, elsewhere: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The values of a table by key, in the units used inside; keys that are absent or wrong are left out.

    Args:
        table: Its definition.
        data: What the file holds there.
        path: Where that is.
        report: Takes the mistakes.
        elsewhere: Keys that belong to another kind of this table, with what to say about them.
    """
    if not isinstance(data, Mapping):
        report.add(path, f"{found(data)} is no table: write [{report.where(path)}] and its keys below")
        return {}
    known = {s: name for name, key in table.keys.items() for s in spellings_of(name, key.holds)}
    for key_found in data:
        if key_found not in known:
            report.add((*path, key_found), _unknown(key_found, known, elsewhere or {}))
    values: dict[str, Any] = {}
    given_names: dict[str, str] = {}
    for name, key in table.keys.items():
        given = [s for s in spellings_of(name, key.holds) if s in data]
        if len(given) > 1:
            report.add((*path, given[1]), f"contradicts '{given[0]}': keep one of the two")
        if given:
            given_names[name] = given[0]
            value = _read(
                key.holds, data[given[0]], (*path, given[0]), report, spellings_of(name, key.holds)[given[0]]
            )
            if value is not BAD:
                values[name] = value
        elif key.needed:
            report.add((*path, name), f"is missing: {_wanted(name, key)}")
        elif key.default is not None:
            values[name] = key.default
    for group in table.one_of:
        chosen = [name for name in group if name in given_names]
        if len(chosen) > 1:
            report.add(
                (*path, given_names[chosen[1]]), f"contradicts '{given_names[chosen[0]]}': keep one of the two"
            )
        elif not chosen:
            report.add((*path, group[0]), f"is missing: {_wanted(group[0], table.keys[group[0]], group[1:])}")
    excluded = {name for group in table.one_of if set(group) & set(given_names) for name in group}
    for group in table.any_of:
        if not any(name in given_names for name in group) and not _reported(report, table, group, path):
            others = [name for name in group[1:] if name not in excluded]
            report.add((*path, group[0]), f"is missing: {_wanted(group[0], table.keys[group[0]], others)}")
    for name, other in table.goes_with.items():
        if name in given_names and other not in given_names:
            report.add((*path, given_names[name]), f"needs '{other}' beside it: give it, or leave this out")
    return values


def _reported(report: Report, table: Table, group: Sequence[str], path: Path) -> bool:
    """Whether one of these keys is already said to be missing by another rule of the table."""
    asked = {report.where((*path, one_of[0])) for one_of in table.one_of if set(one_of) & set(group)}
    return any(v.where in asked and v.message.startswith("is missing") for v in report.violations)


def _read(node: Node, value: object, path: Path, report: Report, unit: str = "") -> Any:
    """One value; ``BAD`` when it is refused. ``unit`` is the one that the key carries, or empty."""
    match node:
        case Text():
            return _text(node, value, path, report)
        case Choice(options):
            return _choice(options, value, path, report)
        case Flag():
            return (
                value if isinstance(value, bool) else _refuse(report, path, f"{found(value)}: give true or false")
            )
        case Number():
            return _number(node, value, path, report)
        case Amount():
            return _amount(node, value, path, report, unit)
        case Setting(of):
            return _setting(of, value, path, report, unit)
        case Band(of):
            return _band(of, value, path, report, unit)
        case DeviceEntry():
            return _device(value, path, report)
        case Table():
            return read_table(node, value, path, report)
        case Variants():
            return read_variants(node, value, path, report)
        case Rows():
            return read_rows(node, value, path, report)


def read_variants(node: Variants, value: object, path: Path, report: Report) -> Any:
    """A table whose keys depend on its kind; the kind comes back under the tag."""
    if not isinstance(value, Mapping):
        report.add(path, f"{found(value)} is no table: write [{report.where(path)}] and its keys below")
        return BAD
    words = " or ".join(f'"{word}"' for word in node.tables)
    if node.tag not in value:
        near = difflib.get_close_matches(node.tag, [k for k in value if isinstance(k, str)], n=1)
        hint = f" ('{near[0]}' is not a key)" if near else ""
        report.add((*path, node.tag), f"is missing: give {words}{hint}. {node.meaning}")
        return BAD
    word = _choice(tuple(node.tables), value[node.tag], (*path, node.tag), report)
    if word is BAD:
        return BAD
    table = node.tables[word]
    elsewhere = {
        spelling: f'belongs to {node.tag} = "{other_word}", not to "{word}": leave it out'
        for other_word, other in node.tables.items()
        for name, key in other.keys.items()
        for spelling in spellings_of(name, key.holds)
        if name not in table.keys
    }
    rest = {key: entry for key, entry in value.items() if key != node.tag}
    return {node.tag: word, **read_table(table, rest, path, report, elsewhere=elsewhere)}


def read_rows(node: Rows, value: object, path: Path, report: Report) -> list[Any]:
    """An array of tables; rows that cannot be read at all are ``BAD``."""
    where = report.where(path)
    if not isinstance(value, list):
        report.add(path, f"{found(value)} is no list of tables: write [[{where}]] with two brackets")
        return []
    if len(value) < node.least:
        entries = "entry" if len(value) == 1 else "entries"
        report.add(path, f"has {len(value)} {entries}: give at least {node.least} [[{where}]]")
    for index, row in enumerate(value):
        if isinstance(row, Mapping) and isinstance(row.get("name"), str) and re.fullmatch(r"\w+", row["name"]):
            report.names[(*path, index)] = row["name"]
    return [_read(node.of, row, (*path, index), report) for index, row in enumerate(value)]


def _text(node: Text, value: object, path: Path, report: Report) -> Any:
    if not isinstance(value, str):
        return _refuse(report, path, f"{found(value)} is no text: put it in quotes")
    if not value.strip():
        return _refuse(report, path, "is empty: give some text")
    if node.pattern and not re.fullmatch(node.pattern, value):
        return _refuse(report, path, f'"{value}" is not allowed: use {node.hint}')
    return value


def _choice(options: Sequence[str], value: object, path: Path, report: Report) -> Any:
    if isinstance(value, str) and value in options:
        return value
    allowed = ", ".join(f'"{option}"' for option in options)
    near = near_word(value, options) if isinstance(value, str) else ""
    if near:
        rest = f" (allowed: {allowed})" if len(options) <= 4 else ""
        return _refuse(report, path, f'{found(value)} is not known: did you mean "{near}"?{rest}')
    return _refuse(
        report, path, f"{found(value)} is not known: give {'one of ' if len(options) > 2 else ''}{allowed}"
    )


def _number(node: Number, value: object, path: Path, report: Report) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        quotes = " without quotes" if isinstance(value, str) else ""
        hint = quotes if node.whole or not quotes else f"{quotes}; its unit is in the name"
        what = "a whole number" if node.whole else "a number"
        return _refuse(report, path, f"{found(value)} is no number: give {what}{hint}")
    if not math.isfinite(value):
        return _refuse(report, path, f"{value} is not a finite number: give one")
    if node.whole and value != int(value):
        return _refuse(report, path, f"{value:g} is not whole: give a whole number")
    if not _inside(node, float(value)):
        return _refuse(report, path, f"{value:g} is not allowed: give {_bounds(node)}")
    return int(value) if node.whole else float(value)


def _inside(node: Number, value: float) -> bool:
    return (
        (node.low is None or value >= node.low)
        and (node.high is None or value <= node.high)
        and (node.above is None or value > node.above)
        and (node.below is None or value < node.below)
    )


def _bounds(node: Number) -> str:
    """What a number may be: ``1 to 100``, ``more than 0 and at most 1``."""
    if node.low is not None and node.high is not None:
        return f"{node.low:.10g} to {node.high:.10g}"
    parts = (
        ("at least", node.low),
        ("more than", node.above),
        ("at most", node.high),
        ("less than", node.below),
    )
    return " and ".join(f"{words} {bound:.10g}" for words, bound in parts if bound is not None)


def _amount(node: Amount, value: object, path: Path, report: Report, unit: str, key: str = "") -> Any:
    """A quantity in the unit used inside; ``key`` carries ``unit`` where that is not the last of the path."""
    if isinstance(value, str) and value in node.words and not unit:
        return value
    inside = _inside_unit(node, value, path, report, unit, key=key)
    if inside is not BAD and not node.low <= inside <= node.high:
        return _refuse(report, path, f"{_asked(value, inside, node.unit)} is not allowed: give {_span(node)}")
    return inside


def _inside_unit(
    node: Amount, value: object, path: Path, report: Report, unit: str, *, key: str = "", difference: bool = False
) -> Any:
    """A quantity in the unit used inside, whatever its size."""
    if not unit:
        unit = node.other if isinstance(value, str) and node.other and measures(value, node.other) else node.unit
    try:
        inside = parse_quantity(value, unit, key=key or str(path[-1]), difference=difference)  # type: ignore[arg-type]
    except UnitError as refused:
        message = refused.violations[0].message
        other = _OTHER_KEY.get(node.unit)
        if other is not None and isinstance(value, str) and measures(value, other[0]):
            message = f"\"{value}\" is {other[1]}: write it under '{other[2]}' instead"
        return _refuse(report, path, message + "".join(f'; or write "{word}"' for word in node.words))
    if unit != node.other:
        return inside
    # Without a die there is no pressure; that the die is unknown is already written down.
    return BAD if report.convert is None else report.convert(inside)


def _asked(value: object, inside: float, unit: str) -> str:
    text = format_quantity(inside, unit, digits=6)
    return f'"{value}" ({text})' if isinstance(value, str) and value != text else text


def _span(node: Amount) -> str:
    return f"{node.low:g} to {format_quantity(node.high, node.unit)}"


def _setting(of: Amount | Number, value: object, path: Path, report: Report, unit: str) -> Any:
    """A fixed value, or a range."""
    if isinstance(value, Mapping):
        return _range(of, value, path, report, unit)
    if isinstance(value, list):
        return _refuse(report, path, f"{found(value)} is no range: write {_range_example(of, unit)}")
    return _number(of, value, path, report) if isinstance(of, Number) else _amount(of, value, path, report, unit)


def _range_example(of: Amount | Number, unit: str) -> str:
    if isinstance(of, Number):
        return "{ low = 1, high = 5 }"
    if unit:
        return "{ low = 1, high = 100 }"
    return f'{{ low = "1 {of.unit}", high = "100 {of.unit}" }}'


def _range(of: Amount | Number, value: Mapping[str, object], path: Path, report: Report, unit: str) -> Any:
    known = {"low": "low", "high": "high", "scale": "scale", "step": "step"}
    for key in value:
        if key not in known:
            report.add((*path, key), _unknown(key, known, {}))
    ends = _ends(of, value, path, report, unit)
    scale = _choice(("linear", "log"), value.get("scale", "linear"), (*path, "scale"), report)
    step: Any = None
    if "step" in value:
        step = _step(of, value["step"], (*path, "step"), report, unit)
    if ends is BAD or scale is BAD or step is BAD:
        return BAD
    low, high = ends
    name = "" if isinstance(of, Number) else of.unit
    if scale == "log" and name == "°C":
        return _refuse(report, (*path, "scale"), "a log scale has no meaning for °C: leave it out")
    if scale == "log" and low <= 0:
        return _refuse(report, (*path, "low"), f"a log scale needs a low end above 0, not {low:g} {name}".rstrip())
    if step is not None and step > high - low:
        return _refuse(
            report, (*path, "step"), f"{step:g} {name} is wider than the range: give less".replace("  ", " ")
        )
    return Range(low, high, scale, step)


def _ends(of: Amount | Number, value: Mapping[str, object], path: Path, report: Report, unit: str) -> Any:
    """Both ends of a range, in the unit used inside, in order."""
    ends: list[float] = []
    for end in ("low", "high"):
        if end not in value:
            report.add((*path, end), f"is missing: write {_range_example(of, unit)}")
            continue
        one = _end(of, value[end], (*path, end), report, unit)
        if one is not BAD:
            ends.append(one)
    if len(ends) < 2:
        return BAD
    if not ends[0] < ends[1]:
        low, high = (value["low"], value["high"])
        hint = "give the value alone to fix it" if ends[0] == ends[1] else "give the lower end first"
        return _refuse(report, (*path, "low"), f"low = {_raw(low)} is not below high = {_raw(high)}: {hint}")
    return tuple(ends)


def _end(of: Amount | Number, value: object, path: Path, report: Report, unit: str) -> Any:
    """One end; where the key around it carries a unit, the number needs none."""
    if isinstance(of, Number):
        return _number(of, value, path, report)
    return _amount(replace(of, words=()), value, path, report, unit, key=str(path[-2]))


def _step(of: Amount | Number, value: object, path: Path, report: Report, unit: str) -> Any:
    if isinstance(of, Number):
        return _number(Number(above=0.0, whole=of.whole), value, path, report)
    step = _inside_unit(of, value, path, report, unit, key=str(path[-2]), difference=True)
    if step is not BAD and not step > 0:
        return _refuse(report, path, f"{_raw(value)} is no step: give more than 0")
    return step


def _band(of: Amount, value: object, path: Path, report: Report, unit: str) -> Any:
    if not isinstance(value, Mapping):
        return _refuse(report, path, f"{found(value)} is no range: write {_range_example(of, unit)}")
    for key in value:
        if key not in {"low", "high"}:
            report.add((*path, key), _unknown(key, {"low": "low", "high": "high"}, {}))
    return _ends(of, value, path, report, unit)


def _device(value: object, path: Path, report: Report) -> Any:
    """Profile and url (or ``None``)."""
    if isinstance(value, str):
        return (
            {"profile": value, "url": None} if value.strip() else _refuse(report, path, "is empty: name a profile")
        )
    if not isinstance(value, Mapping):
        example = '{ profile = "my-press.toml", url = "tcp://192.168.0.20:502" }'
        return _refuse(report, path, f"{found(value)} is no device: name a profile, or write {example}")
    keys = {
        "profile": Key(Text(), "profile by name or file", needed=True),
        "url": Key(Text(), "where it is connected"),
    }
    device = read_table(Table(keys), value, path, report)
    return {"profile": device["profile"], "url": device.get("url")} if "profile" in device else BAD


def near_word(word: str, known: Collection[str]) -> str:
    """The known word that a person probably meant, or an empty string."""
    same = [k for k in known if k.lower() == word.strip().lower()]
    close = same or difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else ""


def _unknown(key: str, known: Mapping[str, str], elsewhere: Mapping[str, str]) -> str:
    if key in elsewhere:
        return elsewhere[key]
    near = near_word(key, known)
    if near:
        return f"is not a key here: did you mean '{near}'?"
    plain = sorted(set(known.values()), key=list(known.values()).index)
    return f"is not a key here: allowed are {', '.join(plain)}"


def _wanted(name: str, key: Key, others: Sequence[str] = ()) -> str:
    """What to write for a key that is missing."""
    if isinstance(key.holds, (Table, Variants, Rows)):
        return f"give {_example(name, key.holds)}. {key.meaning}"
    choice = f" (or {' or '.join(others)})" if others else ""
    return f"give {name}{choice}, such as {_example(name, key.holds)}. {key.meaning}"


def _example(name: str, node: Node) -> str:
    match node:
        case Setting(of) if isinstance(of, Amount):
            return f'{name} = "{kind_of_quantity(of.unit)[1]}"'
        case Amount(unit):
            return f'{name} = "{kind_of_quantity(unit)[1]}"'
        case Choice(options):
            return f'{name} = "{options[0]}"'
        case Number():
            return f"{name} = 30" if node.whole else f"{name} = 1"
        case Text(_, _, examples):
            return f'{name} = "{examples[0]}"' if examples else f'{name} = "..."'
        case Rows():
            return f"[[{name}]]"
        case _:
            return f"[{name}]"


def found(value: object) -> str:
    """What stands in the file, as people call it."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return _raw(value)


def _raw(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value if len(value) <= 60 else value[:57] + "..."}"'
    return str(value)


def _refuse(report: Report, path: Path, message: str) -> _Bad:
    report.add(path, message)
    return BAD
