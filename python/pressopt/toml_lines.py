"""On which line of a TOML text each key stands: ``tomllib`` gives the values, people need the place too.

The text has been parsed by ``tomllib`` before, so it is valid; what is left is to walk through it and to count.
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t]*")
_VOID = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_LITERAL = re.compile(r"[^,\]}#\r\n]*")


class LineIndex:
    """Line of every table, key and array element of a valid TOML text, by path.

    A path is made of keys and of positions in arrays: ``("stages", 0, "pressure", "low")``.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._rows: dict[Path, int] = {}
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._walk()

    def line(self, path: Path) -> int | None:
        """Line of a key, from 1, or of the nearest table around it; ``None`` when there is none."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None

    def _walk(self) -> None:
        table: Path = ()
        while True:
            self._skip(_VOID)
            if self._at >= len(self._text):
                return
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text[self._at] == "[":
                table = self._header(1)
            else:
                self._pair(table)

    def _header(self, brackets: int) -> Path:
        start = self._at
        self._at += brackets
        keys = self._keys()
        self._at += brackets
        path: Path = ()
        for key in keys[:-1]:
            path = self._inside((*path, key))
        path = (*path, keys[-1])
        if brackets == 2:
            self._rows[path] = self._rows.get(path, -1) + 1
            self._note(path, start)
            path = self._inside(path)
        self._note(path, start)
        return path

    def _inside(self, path: Path) -> Path:
        """The path itself, or the latest row when it is an array of tables."""
        return (*path, self._rows[path]) if path in self._rows else path

    def _pair(self, table: Path) -> None:
        start = self._at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                begin = self._at
                self._string()
                keys.append(str(tomllib.loads(f"x = {self._text[begin : self._at]}")["x"]))
            else:
                found = _BARE.match(self._text, self._at)
                assert found is not None  # the text is valid TOML
                keys.append(found[0])
                self._at = found.end()
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        first = self._text[self._at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._skip(_LITERAL)

    def _array(self, path: Path) -> None:
        self._at += 1
        position = 0
        while True:
            self._skip(_VOID)
            if self._text[self._at] == "]":
                self._at += 1
                return
            self._note((*path, position), self._at)
            self._value((*path, position))
            position += 1
            self._skip(_VOID)
            if self._text[self._at] == ",":
                self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while True:
            self._skip(_VOID)
            if self._text[self._at] == "}":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._pair(path)

    def _string(self) -> None:
        quote = self._text[self._at]
        if self._text.startswith(quote * 3, self._at):
            end = self._end_of_block(quote)
        else:
            end = self._at + 1
            while self._text[end] != quote:
                end += 2 if quote == '"' and self._text[end] == "\\" else 1
            end += 1
        self._at = end

    def _end_of_block(self, quote: str) -> int:
        """End of a string in triple quotes, which may itself end in one or two quotes."""
        end = self._at + 3
        while not self._text.startswith(quote * 3, end):
            end += 2 if quote == '"' and self._text[end] == "\\" else 1
        end += 3
        while self._text.startswith(quote, end):
            end += 1
        return end

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        assert found is not None  # each pattern also matches nothing
        self._at = found.end()

    def _note(self, path: Path, position: int) -> None:
        import bisect

        self._lines.setdefault(path, bisect.bisect_left(self._newlines, position) + 1)
