"""From a TOML file to a checked profile: shape, then contradictions, all mistakes at once with key and line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pressopt.errors import ProfileError, Violation
from pressopt.profiles.checks import contradictions, nearest
from pressopt.profiles.profile import DeviceProfile
from pressopt.toml_lines import LineIndex

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_TOML_PLACE = re.compile(r"\s*\(at line (\d+), column \d+\)$")


def shipped_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with the package, in order."""
    folder = resources.files("pressopt.profiles") / "shipped"
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    )


def load_profile(name_or_path: str | Path) -> DeviceProfile:
    """Load a shipped profile by name, or a profile of your own by path (with a ``/`` or ending in ``.toml``).

    A file may begin with ``extends = "generic-plc-press-tcp"`` (or a path beside it) and give only what differs.

    Raises:
        ProfileError: All that is wrong, each with key and, where it stands in this file, line.
    """
    text, source, folder = _find(name_or_path, Path())
    return parse_profile(text, source=source, folder=folder)


def parse_profile(text: str, *, source: str, folder: Path | None = None) -> DeviceProfile:
    """Make a profile from TOML ``text``; ``folder`` is where ``extends`` looks for paths."""
    from pydantic import ValidationError

    raw = _merged(text, source, folder or Path(), ())
    lines = LineIndex(text)
    try:
        profile = _adapter().validate_python(raw)
    except ValidationError as error:
        raise ProfileError(_shape_violations(error, raw, lines), source=source) from error
    wrong = [Violation(one.where, one.message, _line(lines, one.where)) for one in contradictions(profile)]
    wrong += [Violation(one.where, one.message, _line(lines, one.where)) for one in _signature(profile)]
    if wrong:
        raise ProfileError(wrong, source=source)
    return profile if profile.bench is None else replace(profile, trust="bench")


def _signature(profile: DeviceProfile) -> Iterator[Violation]:
    """A signature belongs to the content that was verified."""
    if profile.bench is None:
        if profile.trust == "bench":
            yield Violation(
                "trust", "'bench' is given by `pressopt commission`, which signs the profile: write documented"
            )
    elif profile.bench.digest != profile.digest:
        yield Violation(
            "bench",
            f"the profile was changed after {profile.bench.by} signed it on {profile.bench.date}: run "
            "`pressopt commission` again, or take the table [bench] out",
        )


def profile_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a profile's file, for editors."""
    whole = _adapter().json_schema()["$defs"]
    whole["DeviceProfile"]["properties"]["extends"] = {
        "type": "string",
        "description": "A shipped profile, or a path beside this file; what this file gives goes on top.",
    }
    given = json.dumps(whole).replace("#/$defs/", "#/$defs/OnTop")
    on_top = {f"OnTop{name}": _nothing_required(table) for name, table in json.loads(given).items()}
    device = {
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/OnTopDeviceProfile"},
        "else": {"$ref": "#/$defs/DeviceProfile"},
    }
    for table in (whole["DeviceProfile"], on_top["OnTopDeviceProfile"]):
        table["properties"]["parts"]["additionalProperties"] = {"$ref": "#/$defs/Device"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pressopt device profile",
        "type": "object",
        "$defs": {**whole, **on_top, "Device": device},
        "$ref": "#/$defs/Device",
    }


def _nothing_required(table: dict[str, Any]) -> dict[str, Any]:
    """A table of a file that goes on top of another: it gives what differs."""
    return {key: value for key, value in table.items() if key != "required"}


def _find(name_or_path: str | Path, folder: Path) -> tuple[str, str, Path]:
    """Text, name for messages, and folder of a profile."""
    name = str(name_or_path)
    try:
        if isinstance(name_or_path, Path) or "/" in name or name.endswith(".toml"):
            path = folder / name
            return path.read_text(encoding="utf-8"), str(path), path.parent
        if name not in shipped_profiles():
            close = nearest(name, list(shipped_profiles()))
            raise ProfileError(
                f"no shipped profile is called '{name}'{close}: "
                "`pressopt devices` lists them; a file needs its path"
            )
        shipped = resources.files("pressopt.profiles") / "shipped" / f"{name}.toml"
        return shipped.read_text(encoding="utf-8"), name, folder
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot be read: {error}", source=name) from error


def _merged(text: str, source: str, folder: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    """Parse ``text`` and put it on top of what it extends."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        where = _TOML_PLACE.search(message)
        line = int(where[1]) if where else None
        raise ProfileError(
            [Violation("", f"is no TOML: {_TOML_PLACE.sub('', message)}", line)], source=source
        ) from error
    lines = LineIndex(text)
    replaced = _whole_parts(raw, source, folder, lines)
    parent = raw.pop("extends", None)
    if parent is None:
        return raw
    line = lines.line(("extends",))
    if not isinstance(parent, str):
        raise ProfileError(
            [Violation("extends", "give the name or path of one profile, in quotes", line)], source=source
        )
    if parent in seen:
        raise ProfileError(
            [Violation("extends", f"goes round in a circle: {' → '.join((*seen, parent))}", line)], source=source
        )
    base_text, base_source, base_folder = _find(parent, folder)
    below = _merged(base_text, base_source, base_folder, (*seen, parent))
    below.pop("bench", None)  # a signature belongs to its own file
    if below.get("trust") == "bench":
        del below["trust"]
    merged = _on_top(below, raw)
    for name in replaced:  # a part that names its own profile is another device than the one below
        merged["parts"][name] = raw["parts"][name]
    return merged


def _whole_parts(raw: dict[str, Any], source: str, folder: Path, lines: LineIndex) -> list[str]:
    """Put each part of a joined device on top of the profile that it extends; return which parts do."""
    parts = raw.get("parts")
    replaced: list[str] = []
    if not isinstance(parts, dict):
        return replaced
    for name, part in parts.items():
        parent = part.pop("extends", None) if isinstance(part, dict) else None
        if parent is None:
            continue
        line = lines.line(("parts", name, "extends"))
        if not isinstance(parent, str):
            raise ProfileError(
                [Violation(f"parts.{name}.extends", "give one profile, in quotes", line)], source=source
            )
        text, part_source, part_folder = _find(parent, folder)
        below = _merged(text, part_source, part_folder, ())
        below.pop("bench", None)
        parts[name] = _on_top(below, part)
        replaced.append(name)
    return replaced


def _on_top(base: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _on_top(base[key], value) if both else value
    return merged


_adapters: list[TypeAdapter[DeviceProfile]] = []


def _adapter() -> TypeAdapter[DeviceProfile]:
    """The border check, built once and late: pydantic is not needed to import this module."""
    if not _adapters:
        from pydantic import TypeAdapter

        _adapters.append(TypeAdapter(DeviceProfile))
    return _adapters[0]


def _shape_violations(error: Any, raw: Mapping[str, Any], lines: LineIndex) -> list[Violation]:
    """Pydantic's findings in our words, one for each key."""
    wrong: dict[str, Violation] = {}
    for one in error.errors(include_url=False):
        if not _meant(one["loc"], raw):
            continue
        steps = [str(step) for step in one["loc"] if step not in _VARIANTS]
        key = ".".join(steps)
        wrong.setdefault(key, Violation(key, _words(one, steps), _line(lines, key)))
    return list(wrong.values())


_VARIANTS = {"Register": "table", "TextLine": "ask", "OfParts": "of"}


def _meant(place: tuple[int | str, ...], raw: Mapping[str, Any]) -> bool:
    """Whether a finding is about the kind of place that the file means; pydantic tells all three."""
    for at, step in enumerate(place):
        if step in _VARIANTS and at and place[at - 1] == "at":
            given: Any = raw
            for key in place[:at]:
                given = given.get(key, {}) if isinstance(given, Mapping) else {}
            keys = set(given) if isinstance(given, Mapping) else set()
            if keys & {"of", "join"}:
                return step == "OfParts"
            if keys & {"ask", "reply", "send", "accepted"}:
                return step == "TextLine"
            return step == "Register"
    return True


def _line(lines: LineIndex, key: str) -> int | None:
    """Line of a dotted key, or of the nearest table around it."""
    return lines.line(tuple(key.split(".")))


def _words(one: Mapping[str, Any], steps: list[str]) -> str:
    kind = one["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"is no key here{nearest(steps[-1], _known_keys())}: take it out or correct it"
    if kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return "is missing: give it"
    return f"{one['input']!r} is not allowed: {_lower(str(one['msg']))}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _known_keys() -> list[str]:
    schema = _adapter().json_schema()
    tables = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for table in tables for key in table.get("properties", {})})
