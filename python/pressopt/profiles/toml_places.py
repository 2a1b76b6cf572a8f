"""Where in a TOML file a key stands: tomllib forgets it, and a person needs it."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*\[\[?\s*(?P<name>[^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*(?P<name>(?:[A-Za-z0-9_-]+|\"[^\"]*\")(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"))*)\s*=")


def places(text: str) -> dict[str, int]:
    """Return dotted key to line (from 1) for headers and keys of ``text``; not for keys of inline tables."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _plain(header["name"])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _plain(key["name"])
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found


def place(found: dict[str, int], key: str) -> int | None:
    """Line of ``key``, or of the nearest table around it."""
    while key:
        if key in found:
            return found[key]
        key = key.rpartition(".")[0]
    return None


def _plain(name: str) -> str:
    return ".".join(part.strip().strip('"') for part in name.split("."))
