"""The virtual meter's dialect."""

from __future__ import annotations

import pytest
import serial

from pressopt.twin.scpi_server import ScpiMeter
from pressopt.twin.wires import PtyPort


class Shunt:
    def dc_resistance_ohm(self) -> float:
        return 1.2345e-3


@pytest.fixture
def meter() -> ScpiMeter:
    return ScpiMeter(Shunt())


@pytest.mark.parametrize(
    "question",
    ["READ?", "read?", ":READ?", "MEAS:FRES?", ":MEASure:FRESistance?", "INIT;FETC?", "INITiate;FETCh?"],
)
def test_long_and_short_forms_read_alike(meter: ScpiMeter, question: str) -> None:
    """Every allowed spelling gives the same reading."""
    assert meter.answer(question) == "+1.23450000E-03\n"


def test_nothing_to_fetch_is_an_error_and_no_answer(meter: ScpiMeter) -> None:
    """Before the first reading FETCh? is silent and leaves -230 in the queue."""
    assert meter.answer("FETC?") == ""
    assert meter.answer("SYST:ERR?") == '-230,"Data corrupt or stale"\n'
    assert meter.answer("SYST:ERR?") == '0,"No error"\n'


def test_unknown_headers_queue_up_until_the_queue_overflows(meter: ScpiMeter) -> None:
    """Twenty errors are kept, the last then says that there were more; *CLS forgets them."""
    for _ in range(25):
        meter.answer("READX?")
    said = [meter.answer("SYSTem:ERRor:NEXT?") for _ in range(21)]
    assert said[0] == '-113,"Undefined header"\n'
    assert said[19] == '-350,"Queue overflow"\n'
    assert said[20] == '0,"No error"\n'
    meter.answer("NONSENSE")
    meter.answer("*CLS")
    assert meter.answer("SYST:ERR?") == '0,"No error"\n'


def test_an_overload_is_the_number_of_the_standard(meter: ScpiMeter) -> None:
    """9.9E37, once for each overload asked for."""
    meter.faults.overload = 1
    assert [meter.answer("READ?"), meter.answer("READ?")] == ["+9.90000000E+37\n", "+1.23450000E-03\n"]


def test_pyserial_talks_to_it_over_a_terminal(meter: ScpiMeter) -> None:
    """Questions end in LF, CR or both."""
    with PtyPort(meter) as port, serial.Serial(port.url, timeout=2) as line:
        for end in (b"\n", b"\r", b"\r\n"):
            line.write(b"*IDN?" + end)
            assert line.readline().startswith(b"pressopt,")
