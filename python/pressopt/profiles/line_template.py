"""A line of text with fields, used both ways: the driver renders what the twin parses, and the other way round."""

from __future__ import annotations

import re
from functools import lru_cache

_FIELD = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
#: Fields whose text is no number.
_TEXT_FIELDS = {"word": r"\w+", "other": r".*?"}
_WHOLE = ("d", "x", "X", "b", "o")  # formats of whole numbers


class LineTemplate:
    """A template such as ``"{value:.2f} N"``: literal text with fields in braces.

    Fields are numbers, except ``word`` (letters, digits, underscore) and ``other`` (anything, ignored). What
    follows the colon is a format of Python and only matters where the line is written. A space stands for any
    white space; white space around a line does not matter. A literal brace is written twice.

    Args:
        text: The template.

    Raises:
        ValueError: A brace that closes or opens nothing, a format that no number has, or a field given twice.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields: tuple[str, ...] = ()
        self._pieces: list[str | tuple[str, str]] = []
        pattern = ""
        end = 0
        masked = text.replace("{{", "\x01").replace("}}", "\x02")
        for match in _FIELD.finditer(masked):
            pattern += self._literal(masked[end : match.start()])
            name, spec = match[1], match[2] or ""
            if name in self.fields and name != "other":
                raise ValueError(f"{text!r} has the field '{name}' twice: give it once")
            if name not in _TEXT_FIELDS:
                format(1 if spec.endswith(_WHOLE) else 1.0, spec)
            self._pieces.append((name, spec))
            inside = _TEXT_FIELDS.get(name, _NUMBER)
            pattern += inside if name == "other" else f"(?P<{name}>{inside})"
            self.fields += (name,)
            end = match.end()
        pattern += self._literal(masked[end:])
        self._pattern = re.compile(pattern, re.DOTALL)

    def _literal(self, masked: str) -> str:
        if "{" in masked or "}" in masked:
            raise ValueError(f"{self.text!r} has a single brace: write a field as {{value}}, a brace as two")
        text = masked.replace("\x01", "{").replace("\x02", "}")
        if text:
            self._pieces.append(text)
        return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))

    def render(self, **values: float | str) -> str:
        """The line with its fields filled in; ``other`` becomes empty."""
        said = ""
        for piece in self._pieces:
            if isinstance(piece, str):
                said += piece
                continue
            name, spec = piece
            if name == "other":
                continue
            value = values[name]
            if isinstance(value, str):
                said += value
            elif spec.endswith(_WHOLE):
                said += format(round(value), spec)
            else:
                said += format(value, spec) if spec else _shortest(value)
        return said

    def step(self, name: str) -> float:
        """Smallest step in which field ``name`` is written; 0 when its format keeps every digit."""
        for piece in self._pieces:
            if isinstance(piece, tuple) and piece[0] == name:
                if piece[1].endswith("d"):
                    return 1.0
                decimals = re.search(r"\.(\d+)f$", piece[1])
                return 10.0 ** -int(decimals[1]) if decimals else 0.0
        return 0.0

    def parse(self, line: str) -> dict[str, float | str] | None:
        """The fields of ``line``, numbers as numbers; ``None`` when it does not fit the template."""
        match = self._pattern.fullmatch(line.strip()) or self._pattern.fullmatch(line)
        if match is None:
            return None
        return {name: text if name in _TEXT_FIELDS else float(text) for name, text in match.groupdict().items()}


def _shortest(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


@lru_cache(maxsize=512)
def line_template(text: str) -> LineTemplate:
    """The template of ``text``, made once."""
    return LineTemplate(text)
