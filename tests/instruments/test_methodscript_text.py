"""Scripts out and packages in, against the bytes of the public documentation."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressopt.errors import DeviceFault, DeviceRefused, ReplyError
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments.methodscript import impedance_point
from pressopt.instruments.methodscript_text import refusal, si_literal, sweep_script


def test_the_manufacturers_worked_example_is_read_as_published() -> None:
    """PdcDF5DFF4u;... is 99.999732 Hz, 9885.956 Ω and 2.9946 Ω, with nothing to complain about."""
    point = impedance_point("PdcDF5DFF4u;cc896D904m,10,287;cd82DB1A8u,10,287")
    assert point.frequency_hz == pytest.approx(99.999732, abs=1e-9)
    assert point.impedance_ohm.real == pytest.approx(9885.956, abs=1e-6)
    assert point.impedance_ohm.imag == pytest.approx(2.9946, abs=1e-9)
    assert point.flag == 0
    assert not point.warned


@pytest.mark.parametrize(
    ("status", "flag", "warned"),
    [
        ("0", 0, False),
        ("1", 4, False),
        ("2", 1, False),
        ("4", 2, False),
        ("8", 0, True),
        ("A", 1, True),
        ("7", 1, False),
    ],
)
def test_the_status_of_a_package_becomes_the_flag_of_its_point(status: str, flag: int, warned: bool) -> None:
    """Overload is 1, underload 2, timing 4; a warning leaves the point good."""
    point = impedance_point(f"PdcDF5DFF4u;cc896D904m,1{status},287;cd82DB1A8u,10,287")
    assert (point.flag, point.warned) == (flag, warned)


def test_a_missing_value_is_not_a_number() -> None:
    """Five blanks and nan is NaN; a package without frequency has NaN there."""
    point = impedance_point("Pcc     nan,12;cd     nan,12")
    assert math.isnan(point.impedance_ohm.real)
    assert math.isnan(point.impedance_ohm.imag)
    assert math.isnan(point.frequency_hz)


@pytest.mark.parametrize(
    "line",
    ["P", "PdcDF5DFF4u", "PdcDF5DFG4u;cc896D904m;cd82DB1A8u", "Pcc896D904m;cd82DB1A8", "Pcc896D904m;cd82DB1A8q"],
)
def test_damaged_packages_are_told_apart_from_points(line: str) -> None:
    """A missing, short, or misspelt variable is a ReplyError that shows the line."""
    with pytest.raises(ReplyError, match="package"):
        impedance_point(line)


@given(st.text(max_size=60))
def test_no_line_breaks_the_reader(line: str) -> None:
    """Any text is a point or a ReplyError."""
    with contextlib.suppress(ReplyError):
        impedance_point("P" + line)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01, "10m"),
        (2e5, "200k"),
        (1e6, "1M"),
        (0.1, "100m"),
        (0, "0"),
        (-0.25, "-250m"),
        (1e-7, "100n"),
        (3.3, "3300m"),
    ],
)
def test_numbers_are_written_as_integers_with_a_prefix(value: float, text: str) -> None:
    """The coarsest prefix that keeps the number is taken."""
    assert si_literal(value) == text


@given(st.floats(1e-9, 1e9))
def test_written_numbers_are_exact_or_refused(value: float) -> None:
    """What is written reads back within 1e-7, or nothing is written."""
    try:
        text = si_literal(value)
    except ValueError:
        return
    factors = {"M": 1e6, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
    mantissa, factor = (text[:-1], factors[text[-1]]) if text[-1] in factors else (text, 1.0)
    assert int(mantissa) * factor == pytest.approx(value, rel=1.01e-7)


def test_a_script_switches_the_cell_off_when_it_ends() -> None:
    """The sweep's script is the documented one, line for line."""
    script = sweep_script(
        Sweep(high_hz=2e5, low_hz=0.2, points_per_decade=10), low_range_a=1e-7, high_range_a=1e-2
    )
    assert script.splitlines() == [
        "e", "var f", "var r", "var j", "set_pgstat_chan 0", "set_pgstat_mode 3", "set_autoranging ba 100n 10m",
        "set_e 0", "cell_on", "meas_loop_eis f r j 10m 200k 200m 61 0", "pck_start", "pck_add f", "pck_add r",
        "pck_add j", "pck_end", "endloop", "on_finished:", "cell_off", "",
    ]  # fmt: skip
    assert script.endswith("\n\n")


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        (
            "e!4004: Line 9, Col 3",
            DeviceRefused,
            "does not take the script: error 4004: Line 9, Col 3 (wrong argument)",
        ),
        ("!0032: Line 10", DeviceFault, "broke the script off: error 0032: Line 10 (severe overload"),
        ("Z!0006", DeviceRefused, "refused command 'Z': error 0006 (not possible now)"),
        ("!1234: Line 1", DeviceRefused, "see the error table"),
    ],
)
def test_each_error_line_becomes_an_error_in_words(line: str, error: type[Exception], words: str) -> None:
    """What was refused, where, and what the code means."""
    found = refusal(line, device="analyser 'x'")
    assert type(found) is error
    assert words in str(found)


@pytest.mark.parametrize("line", ["", "e", "*", "M000B", "PdcDF5DFF4u", "Thello!"])
def test_ordinary_lines_are_no_errors(line: str) -> None:
    """Nothing else is taken for an error."""
    assert refusal(line, device="x") is None
