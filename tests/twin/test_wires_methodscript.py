"""The virtual MethodSCRIPT device, byte for byte, over its own pseudo-terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from pressopt.clock import FastClock, wall_pause_s
from pressopt.twin.methodscript_language import ScriptError, encode, literal, parse_script
from pressopt.twin.methodscript_server import MethodScriptDevice
from pressopt.twin.wires import PtyPort

SWEEP = """var f
var r
var j
set_pgstat_chan 0
set_pgstat_mode 3
set_autoranging ba 100n 10m
set_e 0
cell_on
meas_loop_eis f r j 10m 100k 100 4i 0
pck_start
pck_add f
pck_add r
pck_add j
pck_end
endloop
on_finished:
cell_off
"""


class DummyCell:
    """100 Ω in series with 1 kΩ parallel to 1 µF."""

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex:
        return 100 + 1000 / (1 + 2j * math.pi * frequency_hz * 1e-3)


class Terminal:
    """A person at a terminal program: types lines, reads lines."""

    def __init__(self, line: serial.Serial, device: MethodScriptDevice, clock: FastClock) -> None:
        self.line, self.device, self.clock = line, device, clock

    def type(self, text: str) -> None:
        self.line.write(text.encode())

    def read(self) -> str:
        raw = self.line.readline()
        assert raw.endswith(b"\n"), f"no whole line came: {raw!r}"
        return raw.decode()[:-1]

    def read_to_empty(self) -> list[str]:
        lines = []
        while line := self.read():
            lines.append(line)
        return lines

    def silent(self) -> bool:
        wall_pause_s(0.05)
        return self.line.in_waiting == 0


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    clock = FastClock()
    device = MethodScriptDevice(DummyCell(), clock)
    with PtyPort(device) as port, serial.Serial(port.url, timeout=2) as line:
        yield Terminal(line, device, clock)


@pytest.mark.parametrize(
    ("kind", "value", "status", "current_range", "text"),
    [
        ("dc", 99.999732, None, None, "dcDF5DFF4u"),
        ("cc", 9885.956, 0, 0x87, "cc896D904m,10,287"),
        ("cd", 2.9946, 0, 0x87, "cd82DB1A8u,10,287"),
    ],
)
def test_packages_are_written_as_in_the_manufacturers_worked_example(
    kind: str, value: float, status: int | None, current_range: int | None, text: str
) -> None:
    """99.999732 Hz, 9885.956 Ω and 2.9946 Ω are the bytes of the published example."""
    assert encode(kind, value, status=status, current_range=current_range) == text


def test_not_a_number_and_zero_have_their_own_spelling() -> None:
    """NaN is five blanks and nan; zero is the offset with a blank prefix."""
    assert encode("cc", math.nan, status=2) == "cc     nan,12"
    assert encode("cc", 0.0) == "cc8000000 "


@given(st.floats(min_value=-1e20, max_value=1e20, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-15))
def test_every_number_survives_its_spelling(value: float) -> None:
    """Seven hexadecimal digits and a prefix keep a number to 1e-4, whatever its size."""
    text = encode("cc", value)
    prefixes = {"a": 1e-18, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, " ": 1.0, "k": 1e3, "M": 1e6,
                "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}  # fmt: skip
    assert (int(text[2:9], 16) - 0x8000000) * prefixes[text[9]] == pytest.approx(value, rel=1e-4, abs=1e-17)


@pytest.mark.parametrize(
    ("text", "value"), [("10m", 0.01), ("200k", 200000), ("100", 100), ("5i", 5), ("-3u", -3e-6), ("1M", 1e6)]
)
def test_literals_are_integers_with_a_prefix(text: str, value: float) -> None:
    """SI literals mean what they say."""
    assert literal(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["1.5", "10 m", "m", "", "0x10", "10K"])
def test_other_spellings_of_numbers_are_refused(text: str) -> None:
    """Decimal points and unknown prefixes are no literals."""
    with pytest.raises(ValueError, match="SI literal"):
        literal(text)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("vra f", "!4001: Line 1, Col 1"),
        ("var f\nmeas_loop_eis f g f 10m 1k 10 5 0\nendloop", "!420B: Line 2, Col 17"),
        ("set_e 0.5", "!4004: Line 1, Col 7"),
        ("set_e", "!4004: Line 1, Col 6"),
        ("var f\nmeas_loop_eis f f f 10m 1k 10 5 0", "!4018: Line 2, Col 1"),
        ("endloop", "!4018: Line 1, Col 1"),
    ],
)
def test_mistakes_in_a_script_are_told_with_line_and_column(script: str, error: str) -> None:
    """Each kind of mistake has its code and its place."""
    with pytest.raises(ScriptError) as caught:
        parse_script(script.splitlines())
    assert str(caught.value) == error


def test_the_device_introduces_itself(terminal: Terminal) -> None:
    """t gives two lines of which the second ends in a star; i the serial number; v the version."""
    terminal.type("t\n")
    assert terminal.read().startswith("tes4_lr")
    assert terminal.read().endswith("*")
    terminal.type("i\nv\n")
    assert terminal.read() == "iTWIN00000001"
    assert terminal.read().startswith("v")


def test_a_sweep_runs_on_laboratory_time(terminal: Terminal) -> None:
    """Each point is sent when the clock has reached it and not before; the cell is on just as long."""
    terminal.type("e\n" + SWEEP + "\n")
    assert [terminal.read(), terminal.read()] == ["e", "M000B"]
    assert terminal.silent()
    assert terminal.device.cell_is_on
    terminal.clock.sleep_s(0.051)
    first = terminal.read()
    assert first.startswith("Pdc")
    assert [part[:2] for part in first[1:].split(";")] == ["dc", "cc", "cd"]
    assert terminal.silent()
    terminal.clock.sleep_s(10.0)
    rest = terminal.read_to_empty()
    assert [line[0] for line in rest] == ["P", "P", "P", "*"]
    assert not terminal.device.cell_is_on


def test_a_script_can_be_loaded_and_run_apart(terminal: Terminal) -> None:
    """l loads without running; r runs what is loaded, and is refused when nothing is."""
    terminal.type("r\n")
    assert terminal.read() == "r!0006"
    terminal.type('l\nsend_string "hello"\n\n')
    assert terminal.read() == "l"
    assert terminal.silent()
    terminal.type("r\n")
    assert [terminal.read(), *terminal.read_to_empty()] == ["r", "Thello"]


def test_an_abort_ends_the_loop_and_runs_on_finished(terminal: Terminal) -> None:
    """Z in the middle of a sweep is answered, the loop and the script end, and the cell is off."""
    terminal.type("e\n" + SWEEP + "\n")
    terminal.read(), terminal.read()
    terminal.type("Z\n")
    assert [terminal.read(), *terminal.read_to_empty()] == ["Z", "*"]
    assert not terminal.device.cell_is_on
    terminal.type("Z\n")
    assert terminal.read() == "Z!0006"


def test_a_run_time_error_leaves_the_cell_on(terminal: Terminal) -> None:
    """After a run-time error on_finished is not executed: that is why drivers must switch the cell off."""
    terminal.device.faults.break_at = 1
    terminal.type("e\n" + SWEEP + "\n")
    assert [terminal.read(), terminal.read()] == ["e", "M000B"]
    terminal.clock.sleep_s(10.0)
    point, error = terminal.read_to_empty()
    assert point.startswith("Pdc")
    assert error == "!0032: Line 9"
    assert terminal.device.cell_is_on


@pytest.mark.parametrize(
    ("change", "to", "code"),
    [
        ("set_pgstat_mode 3", "set_pgstat_mode 2", "!0023: Line 9"),
        ("cell_on", "wait 0", "!4027: Line 9"),
        (" 100k 100 ", " 100M 100 ", "!0011: Line 9"),
        (" 10m 100k", " 10 100k", "!0012: Line 9"),
        ("4i 0\n", "4i 9\n", "!000F: Line 9"),
    ],
)
def test_what_the_device_cannot_do_is_a_run_time_error(
    terminal: Terminal, change: str, to: str, code: str
) -> None:
    """Wrong mode, cell off, frequency, amplitude and potential out of range each have their code."""
    assert change in SWEEP
    terminal.type("e\n" + SWEEP.replace(change, to) + "\n")
    assert terminal.read() == "e"
    assert terminal.read_to_empty() == [code]


def test_commands_are_refused_while_a_script_runs_and_unknown_ones_always(terminal: Terminal) -> None:
    """Only t and Z are answered in a run; an unknown letter is error 0003."""
    terminal.type("Q\n")
    assert terminal.read() == "Q!0003"
    terminal.type("e\n" + SWEEP + "\n")
    terminal.read(), terminal.read()
    terminal.type("i\ne\n")
    assert [terminal.read(), terminal.read()] == ["i!0006", "e!0006"]


def test_overloaded_and_missing_points_are_marked(terminal: Terminal) -> None:
    """An overload has status 2 in its metadata; a lost value is spelt nan."""
    terminal.device.faults.overload_points = {0}
    terminal.device.faults.nan_points = {2}
    terminal.type("e\n" + SWEEP + "\n")
    terminal.read(), terminal.read()
    terminal.clock.sleep_s(10.0)
    first, second, third, _, end = terminal.read_to_empty()
    assert ",12," in first
    assert ",12," not in second
    assert "cc     nan" in third
    assert end == "*"


def test_a_cell_that_draws_too_much_current_overloads_by_itself() -> None:
    """10 mV on 0.1 Ω need more than the largest range of 10 mA: every point is an overload."""

    class Short:
        def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex:
            return 0.1 + 0j

    device = MethodScriptDevice(Short(), FastClock())
    point = device.measure(0, 1000.0, at_s=0.0, amplitude_v=0.01, limit_a=0.01)
    assert point["cc"].split(",")[1] == "12"


def test_a_device_may_stream_already_and_greet_with_xon() -> None:
    """A script left by a crashed host runs on; an XON precedes everything on connection."""
    clock = FastClock()
    device = MethodScriptDevice(DummyCell(), clock, greet_with_xon=True)
    with PtyPort(device) as port:
        device.start_streaming(SWEEP)
        clock.sleep_s(0.06)
        # pyserial throws away what came before it opened; a plain file does not
        with open(port.terminal, "rb", buffering=0) as line, open(port.terminal, "wb", buffering=0) as back:
            assert line.read(1) == b"\x11"
            assert line.readline() == b"M000B\n"
            assert line.readline().startswith(b"P")
            back.write(b"Z\n")
            assert line.readline() == b"Z\n"
    assert not device.is_running


def test_stopping_a_port_ends_a_running_script() -> None:
    """A sweep that would take for ever ends with its port; no thread stays."""
    device = MethodScriptDevice(DummyCell(), FastClock())
    with PtyPort(device):
        device.start_streaming(SWEEP)
        assert device.is_running
    assert not device.is_running
