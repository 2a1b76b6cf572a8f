"""What goes over the wire to a MethodSCRIPT device and what comes back: scripts, packages, errors.

From the public MethodSCRIPT documentation and examples (PalmSens BV). No lines and no clocks here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pressopt.errors import DeviceError, DeviceFault, DeviceRefused, ReplyError
from pressopt.impedance.spectrum import Sweep

_FACTORS = {
    "a": 1e-18, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, " ": 1.0, "i": 1.0,
    "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
}  # fmt: skip
#: Prefixes that a literal of ours may carry, coarsest first.
_LITERAL_FACTORS = (("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("u", 1e-6), ("n", 1e-9), ("p", 1e-12))
_MANTISSA_LIMIT = 2**31
_VARIABLE = re.compile(r"(?P<kind>[a-z]{2})(?:(?P<nan> {5}nan)|(?P<raw>[0-9A-F]{7})(?P<prefix>[afpnum kMGTPEi]))")
_OFFSET = 1 << 27
#: Commands may be refused before a script runs (``e!4004: Line 9, Col 3``) or while it does (``!0032: Line 9``).
ERROR = re.compile(r"(?P<command>[A-Za-z]?)!(?P<code>[0-9A-F]{4})(?P<place>.*)")
_TIMING, _OVERLOAD, _UNDERLOAD, _WARNING = 1, 2, 4, 8
# The codes are those met in public simulators of the protocol; the manual is the authority.
_MEANING = {
    0x0003: "unknown command",
    0x0006: "not possible now",
    0x000F: "potential out of range",
    0x0011: "frequency out of range",
    0x0012: "amplitude out of range",
    0x0014: "open-circuit potential needs the cell switched off",
    0x0023: "wrong potentiostat mode for this technique",
    0x0032: "severe overload: is the cell shorted, or are the leads swapped?",
    0x4001: "unknown script command",
    0x4004: "wrong argument",
    0x4018: "a block is not closed",
    0x4027: "the cell is not switched on",
    0x420B: "undeclared variable",
}
_SEVERE_OVERLOAD = 0x0032
_BANDWIDTH_HZ_S = (
    5.85  # bandwidth times interval of slow measurements (PalmSens, example script of battery cycling)
)


def si_literal(value: float) -> str:
    """``value`` as the device reads numbers: an integer with an SI prefix, exact to 1e-7 (``0.01`` is ``10m``).

    Raises:
        ValueError: ``value`` is not finite, or too small or large for the prefixes.
    """
    if value == 0:
        return "0"
    if math.isfinite(value):
        for prefix, factor in _LITERAL_FACTORS:
            mantissa = round(value / factor)
            if abs(mantissa) < _MANTISSA_LIMIT and abs(mantissa * factor - value) <= 1e-7 * abs(value):
                return f"{mantissa}{prefix}"
    raise ValueError(f"{value!r} cannot be written as an integer with an SI prefix")


def sweep_script(sweep: Sweep, *, low_range_a: float, high_range_a: float) -> str:
    """The script of one impedance sweep, ``e`` and the closing empty line included.

    The cell is switched on for the sweep only; ``on_finished`` switches it off, also when the sweep is aborted.
    High-speed mode (3) is the one that measures impedance.
    """
    bias = si_literal(sweep.bias_v)
    lines = [
        "e",
        "var f",
        "var r",
        "var j",
        "set_pgstat_chan 0",
        "set_pgstat_mode 3",
        f"set_autoranging ba {si_literal(low_range_a)} {si_literal(high_range_a)}",
        f"set_e {bias}",
        "cell_on",
        f"meas_loop_eis f r j {si_literal(sweep.amplitude_mv / 1000)} {si_literal(sweep.high_hz)} "
        f"{si_literal(sweep.low_hz)} {sweep.points} {bias}",
        "pck_start",
        "pck_add f",
        "pck_add r",
        "pck_add j",
        "pck_end",
        "endloop",
        "on_finished:",
        "cell_off",
        "",
    ]
    return "\n".join(lines) + "\n"


def half_cycle_script(current_a: float, *, seconds: float, interval_s: float, limit_v: float) -> str:
    """The script of one galvanostatic half cycle, ``e`` and the closing empty line included.

    The device measures every ``interval_s`` for ``seconds``, and ends by itself beyond ``limit_v``: the current
    does not outlive the half cycle, whatever becomes of the program that asked for it. Mode 6 is the galvanostat
    (EmStat4 and Nexus have one; EmStat Pico has none). Bandwidth as PalmSens recommends for this interval.
    """
    current, limit = si_literal(current_a), si_literal(limit_v)
    beyond = f"p > {limit}" if current_a > 0 else f"p < -{limit}"
    lines = [
        "e",
        "var p",
        "var c",
        "set_pgstat_chan 0",
        "set_pgstat_mode 6",
        f"set_max_bandwidth {si_literal(float(f'{_BANDWIDTH_HZ_S / interval_s:.3g}'))}",
        f"set_range_minmax ab -{limit} {limit}",
        f"set_range db {si_literal(abs(current_a))}",
        "cell_on",
        f"meas_loop_cp p c {current} {si_literal(interval_s)} {si_literal(seconds)}",
        "pck_start",
        "pck_add p",
        "pck_add c",
        "pck_end",
        f"if {beyond}",
        "breakloop",
        "endif",
        "endloop",
        "on_finished:",
        "cell_off",
        "",
    ]
    return "\n".join(lines) + "\n"


CELL_OFF_SCRIPT = "e\ncell_off\n\n"


@dataclass(frozen=True, slots=True)
class Package:
    """One package: values by the two-letter type of their variables, and the device's status bits for all of them.

    Attributes:
        values: In the unit of the type (Hz, Ω, V, A, s); NaN where the device sent none.
        overloaded, underloaded, late: A range was too small or too large; the timing was not kept.
        warned: An overload is near; the values are good.
    """

    values: Mapping[str, float]
    overloaded: bool = False
    underloaded: bool = False
    late: bool = False
    warned: bool = False


def parse_package(line: str) -> Package:
    """Read ``P<variable>;<variable>...``; raises ReplyError when it is damaged."""
    values: dict[str, float] = {}
    status = 0
    for part in line.removeprefix("P").split(";"):
        body, *metadata = part.split(",")
        match = _VARIABLE.fullmatch(body)
        if match is None:
            raise ReplyError(f"package {line!r} is damaged: {body!r} is no MethodSCRIPT variable")
        if match["nan"]:
            values[match["kind"]] = math.nan
        else:
            values[match["kind"]] = (int(match["raw"], 16) - _OFFSET) * _FACTORS[match["prefix"]]
        for entry in metadata:
            if len(entry) == 2 and entry[0] == "1" and entry[1] in "0123456789ABCDEF":
                status |= int(entry[1], 16)
    return Package(
        values,
        overloaded=bool(status & _OVERLOAD),
        underloaded=bool(status & _UNDERLOAD),
        late=bool(status & _TIMING),
        warned=bool(status & _WARNING),
    )


def refusal(line: str, *, device: str) -> DeviceError | None:
    """The error that ``line`` reports, or None when it reports none."""
    match = ERROR.fullmatch(line)
    if match is None:
        return None
    code = int(match["code"], 16)
    meaning = _MEANING.get(code, "see the error table of the MethodSCRIPT manual")
    what = {"": "broke the script off", "e": "does not take the script"}.get(
        match["command"], f"refused command '{match['command']}'"
    )
    message = f"{device} {what}: error {code:04X}{match['place']} ({meaning})"
    return (DeviceFault if code == _SEVERE_OVERLOAD else DeviceRefused)(message)
