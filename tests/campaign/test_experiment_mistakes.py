"""Every mistake in an experiment file, with the full text of what is said about it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pressopt.campaign.experiment_file import load_experiment, read_experiment
from pressopt.errors import ExperimentError

TABLE = tomllib.loads((Path(__file__).parent / "experiment_mistakes.toml").read_text(encoding="utf-8"))
#: A small experiment without a mistake.
BASE: str = TABLE["base"]
MISTAKES = {row["name"]: (row["old"], row["new"], row["says"]) for row in TABLE["mistakes"]}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_key_line_and_way_out(name: str) -> None:
    """Each mistake is said once, at its line, with what was found, what is allowed and what to do."""
    old, new, messages = MISTAKES[name]
    assert old in BASE
    with pytest.raises(ExperimentError) as caught:
        read_experiment(BASE.replace(old, new, 1), "x/base.toml")
    assert [str(violation) for violation in caught.value.violations] == messages


def test_the_base_of_the_table_has_no_mistake() -> None:
    """Every refusal above comes from the one thing that was changed."""
    assert read_experiment(BASE, "x/base.toml").budget.trials == 30


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file() -> None:
    """A file with mistakes in every part is reported whole, line by line."""
    text = BASE
    changes = {
        'title = "Li on LPSCl"': "titel = 3",
        "trials = 30": "trials = 0",
        'pressure = "120 MPa"': 'pressure = "50 MPa"',
        '"25 °C"': '"warm"',
        'role = "electrolyte"': 'role = "glass"',
    }
    for old, new in changes.items():
        text = text.replace(old, new, 1)
    with pytest.raises(ExperimentError) as caught:
        read_experiment(text, "x/base.toml")
    lines = [violation.line for violation in caught.value.violations]
    assert lines == [1, 2, 11, 20, 22, 29]
    assert lines == sorted(line for line in lines if line is not None)


BROKEN: dict[str, tuple[bytes, str]] = {
    "no TOML": (b"[experiment]\ntitle = Li\n", "line 2: is not TOML in `title = Li`: Invalid value at column 9"),
    "bracket open": (b"[experiment\n", "line 1: is not TOML in `[experiment`: Expected ']' at the end of a table "
                                       "declaration at column 12"),
    "end of file": (b'[experiment]\ntitle = "Li',
                    "line 2: is not TOML: Unterminated string at the end of the file"),
    "key twice": (b"a = 1\na = 2\n", "line 2: is not TOML in `a = 2`: Cannot overwrite a value at column 6"),
    "Latin-1": ("[experiment]\ntitle = \"µ\"".encode("latin-1"),
                "line 2: byte 22 is not UTF-8: save the file as UTF-8 text, or name another file"),
    "binary": (b"\0\0\0\1", "holds binary data: this is no experiment file"),
    "large": (b"#" * (1 << 20) + b"\n", "is larger than 1 MB: this is no experiment file"),
    "deep": (b"a = " + b"[" * 5000 + b"]" * 5000, "is nested too deeply: this is no experiment file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_experiment_says_why(name: str, tmp_path: Path) -> None:
    """Broken text is refused with its line, other files with what they are."""
    data, message = BROKEN[name]
    path = tmp_path / "broken.toml"
    path.write_bytes(data)
    with pytest.raises(ExperimentError) as caught:
        load_experiment(path)
    assert str(caught.value) == f"{path}:\n  {message}"


def test_an_empty_file_names_every_table_that_is_needed(tmp_path: Path) -> None:
    """Nothing at all is answered with everything that has to be there."""
    path = tmp_path / "empty.toml"
    path.write_text("", encoding="utf-8")
    with pytest.raises(ExperimentError) as caught:
        load_experiment(path)
    missing = [violation.where for violation in caught.value.violations]
    assert missing == [
        "experiment",
        "cell",
        "stages",
        "objectives",
        "measurement",
        "budget",
        "laboratory",
        "limits",
    ]


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    """A wrong path says what stands there."""
    with pytest.raises(
        ExperimentError, match="there is no such file: check the path, or write one with `pressopt"
    ):
        load_experiment(tmp_path / "none.toml")
    with pytest.raises(ExperimentError, match="is a folder: name the experiment file in it"):
        load_experiment(tmp_path)


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(tmp_path: Path) -> None:
    """Files saved on Windows are read, and lines are still counted."""
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode())
    assert load_experiment(path).cell.die.diameter_mm == 10.0
    path.write_bytes(BASE.replace("trials = 30", "trials = 0").replace("\n", "\r\n").encode())
    with pytest.raises(ExperimentError, match="line 29: budget"):
        load_experiment(path)


JUNK = [
    "3", "-1", "0", "1e308", "nan", "inf", "true", '""', '"x"', '"25 MPa"', '"1.5 ton"', "[]", "[1]", "[[1]]",
    "{}",
    "{ low = 1 }", '{ low = "1 MPa", high = "nan MPa" }', "{ low = 1, high = 2 }", "1979-05-27", "12:00:00",
    "{ profile = 3 }", "[{}]", '[{ name = "a" }]', '"stack"', '"µ"', "99999999999999999999999",
    '{ low = "1 s", high = "2 s", scale = "log", step = "0 s" }',
]  # fmt: skip
HEADS = ["[x]", "[[cell]]", "[stages]", "[[limits]]", "stages = 3", "[cell.layers]", "[laboratory.press]", "[[x]]"]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_is_done_to_a_file_it_is_read_or_refused(data: st.DataObject) -> None:
    """Lines lost, doubled, given junk: an experiment, or an error that says something about each mistake."""
    lines = BASE.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        act = data.draw(st.sampled_from(["drop", "double", "junk", "junk", "junk"]))
        if act == "drop":
            del lines[at]
        elif act == "double":
            lines.insert(at, lines[data.draw(st.integers(0, len(lines) - 1))])
        elif "=" in lines[at]:
            lines[at] = lines[at].split("=")[0] + "= " + data.draw(st.sampled_from(JUNK))
        elif lines[at].startswith("["):
            lines[at] = data.draw(st.sampled_from(HEADS))
    try:
        read_experiment("\n".join(lines), "x/base.toml")
    except ExperimentError as refused:
        said = [violation.message for violation in refused.violations]
    else:
        said = ["accepted"]
    assert said
    assert all(said)
