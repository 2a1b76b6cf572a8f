"""Lines of keys in TOML texts."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.toml_lines import LineIndex, Path

TEXT = (
    '''# a comment with [brackets] and key = 1
title = "a [[b]] # c"   # x = 1
long = """
[not.a.table]
key = 1 ""\\""""
raw = \'\'\'
[[neither]]\'\'\'

[a.b]
"quoted key" = 1
c.d = { e = [1,
  { f = "}" },
], g = 1.5 }
[[rows]]
x = 1
[[rows]]
x = 2
[rows.sub]
y = 1979-05-27T07:32:00Z
[[rows.inner]]
z = 'it'''
    + '"\nlast = true'
)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("long",), 3),
        (("raw",), 6),
        (("a", "b"), 9),
        (("a", "b", "quoted key"), 10),
        (("a", "b", "c", "d"), 11),
        (("a", "b", "c", "d", "e", 0), 11),
        (("a", "b", "c", "d", "e", 1, "f"), 12),
        (("a", "b", "c", "d", "g"), 13),
        (("rows", 0, "x"), 15),
        (("rows", 1), 16),
        (("rows", 1, "x"), 17),
        (("rows", 1, "sub", "y"), 19),
        (("rows", 1, "inner", 0, "z"), 21),
        (("rows", 1, "inner", 0, "last"), 22),
        (("rows", 1, "missing"), 16),
        (("nothing",), None),
    ],
)
def test_every_kind_of_key_is_found(path: Path, line: int | None) -> None:
    """Strings, comments, nested arrays and inline tables do not confuse the count."""
    text = TEXT.replace("z = 'it\"", "z = 'it'")
    tomllib.loads(text)
    assert LineIndex(text).line(path) == line


VALUES = st.recursive(
    st.sampled_from(
        ["1", "1.5", "true", '"a"', '"#"', '"\\""', "'''x\ny'''", '"""\n[a]\n"""', "'}'", "1979-05-27"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ",\n".join(items) + "]")
        | st.lists(inner.filter(lambda v: "\n" not in v), max_size=3).map(
            lambda items: "{" + ", ".join(f"k{i} = {v}" for i, v in enumerate(items)) + "}"
        )
    ),
    max_leaves=8,
)


def paths(value: Any, path: Path = ()) -> list[Path]:
    """Every path of a parsed text."""
    if isinstance(value, dict):
        return [path, *(p for key, v in value.items() for p in paths(v, (*path, key)))]
    if isinstance(value, list):
        return [path, *(p for index, v in enumerate(value) for p in paths(v, (*path, index)))]
    return [path]


@given(
    st.lists(
        st.tuples(st.sampled_from(["[t{n}]\n", "[[r]]\n", "# x = 1\n", "\n"]), VALUES), min_size=1, max_size=8
    )
)
def test_every_path_of_a_valid_text_has_a_line(parts: list[tuple[str, str]]) -> None:
    """Whatever tomllib parses, every value in it has a line of its own, where its key stands."""
    text = "".join(f"{head.format(n=n)}key{n} = {value}\n" for n, (head, value) in enumerate(parts))
    index = LineIndex(text)
    lines = text.splitlines()
    for path in paths(tomllib.loads(text)):
        if path and isinstance(path[-1], str):
            line = index.line(path)
            assert line is not None
            assert str(path[-1]) in lines[line - 1]
