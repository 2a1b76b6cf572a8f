"""The virtual potentiostat: a MethodSCRIPT device that measures the impedance of the bench's cell, and cycles it.

It runs scripts on laboratory time: each point is sent once the clock has reached its end. It keeps the
device's habits that bite drivers: a run-time error leaves ``on_finished`` out (and the cell on), it may stream
already when the host connects, and an XON may come at any time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pressopt.clock import Clock
from pressopt.twin import methodscript_language as language
from pressopt.twin.cycler import GalvanostaticCell
from pressopt.twin.methodscript_language import Script, ScriptError, Statement, encode, literal, parse_script

#: Laboratory time of one point: settling and evaluation, and the periods measured (assumed; of the size seen on
#: small potentiostats).
POINT_OVERHEAD_S = 0.05
POINT_PERIODS = 3.0
#: Current ranges in high-speed mode: identifier and full scale in A (EmStat Pico, PalmSens example code).
CURRENT_RANGES_A = (
    (0x80, 100e-9), (0x81, 1e-6), (0x82, 6e-6), (0x83, 13e-6), (0x84, 25e-6), (0x85, 50e-6), (0x86, 100e-6),
    (0x87, 200e-6), (0x88, 1e-3), (0x89, 5e-3), (0x8A, 10e-3),
)  # fmt: skip
_STATUS_OVERLOAD = 2
_ABORT_LOOK_S = 0.02  # wall time between two looks at the abort flag
_HIGH_SPEED, _GALVANOSTAT = 3, 6
_POTENTIAL_V = 2.0  # range of the potentiostat (assumed)


class SeenCell(Protocol):
    """The side of a bench that an analyser sees."""

    def impedance_ohm(self, frequency_hz: float, *, at_s: float) -> complex: ...


@dataclass
class AnalyzerFaults:
    """What can go wrong inside the device; each is left until a test changes it.

    Attributes:
        overload_points, nan_points: Indices of points that are sent overloaded, or as NaN.
        refuse_script: Error code with which the next script is refused, once.
        break_at: Index of the point at which a run-time error (severe overload) ends the script, once.
        abort_at: Index of the point at which the sweep ends by itself, as if someone had pressed abort, once.
        mute_at: Index of the point at which the device hangs until it is aborted.
        open_leads: No current flows when one is asked for.
    """

    overload_points: set[int] = field(default_factory=set)
    nan_points: set[int] = field(default_factory=set)
    refuse_script: int | None = None
    break_at: int | None = None
    abort_at: int | None = None
    mute_at: int | None = None
    open_leads: bool = False


class MethodScriptDevice:
    """One potentiostat with one channel; a :class:`~pressopt.twin.wires.Device`.

    Args:
        cell: What it measures; a :class:`~pressopt.twin.bench.Bench`, or one cell alone.
        clock: Laboratory time.
        low_hz, high_hz: Its band, Hz.
        limit_amplitude_mv: Its highest amplitude, mV rms.
        imaginary_sign: 1: sends Z''; -1: sends -Z'', as some firmware and programs do.
        firmware, serial_number: How it introduces itself.
        greet_with_xon: Send an XON (0x11) when a host connects.
        cycled: The cell under current; None: a device without galvanostat, as EmStat Pico.

    Attributes:
        faults: What can go wrong inside it.
        cell_is_on: Whether the cell is switched on.
        runs: Scripts that ran.
        limit_a: Its highest current as a galvanostat, A.
    """

    def __init__(
        self,
        cell: SeenCell,
        clock: Clock,
        *,
        low_hz: float = 0.016,
        high_hz: float = 1e6,
        limit_amplitude_mv: float = 250.0,
        imaginary_sign: int = 1,
        firmware: str = "es4_lr1401#Jan 01 2024 12:00:00",
        serial_number: str = "TWIN00000001",
        greet_with_xon: bool = False,
        cycled: GalvanostaticCell | None = None,
    ) -> None:
        self._cell, self._clock = cell, clock
        self._low_hz, self._high_hz = low_hz, high_hz
        self._limit_amplitude_v = limit_amplitude_mv / 1000
        self._imaginary_sign = imaginary_sign
        self._firmware, self._serial_number = firmware, serial_number
        self._greet_with_xon = greet_with_xon
        self._cycled = cycled
        self.limit_a = 0.03
        self._lock = threading.RLock()
        self._send: Callable[[bytes], None] | None = None
        self._line = bytearray()
        self._loading: tuple[str, list[str]] | None = None
        self._loaded: Script | None = None
        self._run: _Run | None = None
        self.faults = AnalyzerFaults()
        self.cell_is_on = False
        self.runs = 0

    def converse(self, send: Callable[[bytes], None]) -> MethodScriptDevice:
        with self._lock:
            self._send = send
            self._line.clear()
            if self._greet_with_xon:
                send(b"\x11")
        return self

    def close(self) -> None:
        """The host hung up; a running script goes on, as on the device."""
        with self._lock:
            self._send = None

    def stop(self) -> None:
        run = self._run
        if run is not None:
            run.abort()
            run.join()

    @property
    def is_running(self) -> bool:
        """Whether a script runs."""
        return self._run is not None

    def start_streaming(self, script: str) -> None:
        """Run ``script`` as a host that crashed since would have left it."""
        with self._lock:
            self._start(parse_script(script.splitlines()))

    def receive(self, data: bytes) -> None:
        with self._lock:
            for byte in data:
                if byte == 0x0A:
                    text = self._line.decode("ascii", errors="replace").rstrip("\r")
                    self._line.clear()
                    self._on_line(text)
                elif byte not in (0x11, 0x13):
                    self._line.append(byte)

    # ---- commands

    def _on_line(self, text: str) -> None:
        if self._loading is not None:
            command, lines = self._loading
            if text.strip():
                lines.append(text)
            else:
                self._loading = None
                self._load(command, lines)
            return
        if not text:
            return
        running = self._run is not None
        match text:
            case "t":
                self.say(f"t{self._firmware}", "R*")
            case "Z" if running and self._run is not None:
                self.say("Z")
                self._run.abort()
            case "Z" | "h" | "H" | "Y":
                self.refuse(text, language.NOT_NOW)
            case "i" | "v" | "e" | "l" | "r" if running:
                self.refuse(text, language.NOT_NOW)
            case "i":
                self.say(f"i{self._serial_number}")
            case "v":
                self.say("v01.06.00")
            case "e" | "l":
                self._loading = (text, [])
            case "r":
                if self._loaded is None:
                    self.refuse("r", language.NOT_NOW)
                else:
                    self.say("r")
                    self._start(self._loaded)
            case _:
                self.refuse(text[0], language.UNKNOWN_COMMAND)

    def _load(self, command: str, lines: list[str]) -> None:
        forced, self.faults.refuse_script = self.faults.refuse_script, None
        try:
            if forced is not None:
                raise ScriptError(forced, 1, 1)
            self._loaded = parse_script(lines)
        except ScriptError as error:
            self._loaded = None
            self.say(f"{command}{error}")
            return
        self.say(command)
        if command == "e":
            self._start(self._loaded)

    def _start(self, script: Script) -> None:
        self.runs += 1
        self._run = _Run(self, script, start_s=self._clock.now_s())
        self._run.start()

    def refuse(self, command: str, code: int) -> None:
        """Answer ``command`` with an error code."""
        self.say(f"{command}!{code:04X}")

    def say(self, *lines: str) -> None:
        """Send lines; lost when nobody is connected."""
        with self._lock:
            if self._send is not None:
                for line in lines:
                    self._send(line.encode("ascii") + b"\n")

    def finished(self) -> None:
        """The script is over: its last line is an empty one."""
        with self._lock:
            self._run = None
            self.say("")

    # ---- what scripts do, called by the run's thread

    def reach(self, time_s: float, aborted: threading.Event) -> bool:
        """Wait for laboratory time; False when aborted meanwhile."""
        while not aborted.is_set():
            if self._clock.wait_until_s(time_s, wall_timeout_s=_ABORT_LOOK_S):
                return not aborted.is_set()
        return False

    def check_sweep(self, statement: Statement, *, mode: int, amplitude_v: float, ends_hz: tuple[float, float],
                    bias_v: float) -> None:  # fmt: skip
        """Raise the run-time error that the device would."""
        if mode != _HIGH_SPEED:
            raise ScriptError(language.WRONG_MODE, statement.line)
        if not self.cell_is_on:
            raise ScriptError(language.CELL_NOT_ON, statement.line)
        if any(not 0.999 * self._low_hz <= end_hz <= 1.001 * self._high_hz for end_hz in ends_hz):
            raise ScriptError(language.OUT_OF_RANGE_FREQUENCY, statement.line)
        if not 0 < amplitude_v <= self._limit_amplitude_v:
            raise ScriptError(language.OUT_OF_RANGE_AMPLITUDE, statement.line)
        if abs(bias_v) > _POTENTIAL_V:
            raise ScriptError(language.OUT_OF_RANGE_POTENTIAL, statement.line)

    def check_current(self, statement: Statement, *, mode: int, current_a: float) -> GalvanostaticCell:
        """The cell that takes the current; raises the run-time error that the device would."""
        if mode != _GALVANOSTAT or self._cycled is None:
            raise ScriptError(language.WRONG_MODE, statement.line)
        if not self.cell_is_on:
            raise ScriptError(language.CELL_NOT_ON, statement.line)
        if not abs(current_a) <= self.limit_a * 1.001:
            raise ScriptError(language.BAD_ARGUMENT, statement.line)
        return self._cycled

    def measure(
        self, index: int, frequency_hz: float, *, at_s: float, amplitude_v: float, limit_a: float
    ) -> dict[str, str]:
        """One point as the three variables of a package, by type."""
        impedance_ohm = self._cell.impedance_ohm(frequency_hz, at_s=at_s)
        # A range is good for its full scale in amplitude, not in rms.
        current_a = math.sqrt(2) * amplitude_v / max(abs(impedance_ohm), 1e-12)
        usable = [entry for entry in CURRENT_RANGES_A if entry[1] <= limit_a * 1.001] or [CURRENT_RANGES_A[0]]
        number, full_scale_a = next((entry for entry in usable if entry[1] >= current_a), usable[-1])
        status = 0
        if current_a > full_scale_a or index in self.faults.overload_points:
            status = _STATUS_OVERLOAD
            impedance_ohm *= max(1.0, current_a / full_scale_a)  # the clipped current reads as a larger impedance
        if index in self.faults.nan_points:
            impedance_ohm = complex(math.nan, math.nan)
        return {
            "dc": encode("dc", frequency_hz),
            "cc": encode("cc", impedance_ohm.real, status=status, current_range=number),
            "aa": encode("aa", math.nan),  # a variable that the loop does not fill
            "cd": encode("cd", self._imaginary_sign * impedance_ohm.imag, status=status, current_range=number),
        }


class _Run(threading.Thread):
    """One run of a script."""

    def __init__(self, device: MethodScriptDevice, script: Script, *, start_s: float) -> None:
        super().__init__(name="twin analyser script", daemon=True)
        self._device, self._script = device, script
        self._time_s = start_s
        self._aborted = threading.Event()
        self._mode = 0
        self._limit_a = math.inf

    def abort(self) -> None:
        self._aborted.set()

    def run(self) -> None:
        try:
            self._execute(self._script.body)
            self._execute(self._script.on_finished, also_when_aborted=True)
        except ScriptError as error:  # on_finished is left out, and the cell stays as it is
            self._device.say(str(error))
        self._device.finished()

    def _execute(self, statements: tuple[Statement, ...], *, also_when_aborted: bool = False) -> None:
        position = 0
        while position < len(statements) and (also_when_aborted or not self._aborted.is_set()):
            statement = statements[position]
            position += 1
            match statement.command:
                case "set_pgstat_mode":
                    self._mode = int(statement.arguments[0].rstrip("i"))
                case "set_autoranging" if statement.arguments[0] == "ba":
                    self._limit_a = self._value(statement, 2)
                case "cell_on":
                    self._device.cell_is_on = True
                case "cell_off":
                    self._device.cell_is_on = False
                case "wait":
                    self._time_s += self._value(statement, 0)
                    self._device.reach(self._time_s, self._aborted)
                case "send_string":
                    self._device.say("T" + statement.arguments[0].strip('"'))
                case "meas_loop_eis" | "meas_loop_cp":
                    end = next(i for i in range(position, len(statements)) if statements[i].command == "endloop")
                    run = self._sweep if statement.command == "meas_loop_eis" else self._galvanostat
                    run(statement, statements[position:end])
                    position = end + 1

    def _sweep(self, loop: Statement, body: tuple[Statement, ...]) -> None:
        amplitude_v, first_hz, last_hz, count, bias_v = (self._value(loop, index) for index in range(3, 8))
        self._device.check_sweep(
            loop, mode=self._mode, amplitude_v=amplitude_v, ends_hz=(first_hz, last_hz), bias_v=bias_v
        )
        kinds = dict(zip(loop.arguments[:3], ("dc", "cc", "cd"), strict=True))
        wanted = [kinds.get(entry.arguments[0], "aa") for entry in body if entry.command == "pck_add"]
        self._device.say("M000B")
        for index, frequency_hz in enumerate(np.geomspace(first_hz, last_hz, int(count)).tolist()):
            if not self._reach_point(loop, index, POINT_OVERHEAD_S + POINT_PERIODS / frequency_hz):
                break
            point = self._device.measure(
                index, frequency_hz, at_s=self._time_s, amplitude_v=amplitude_v, limit_a=self._limit_a
            )
            self._device.say("P" + ";".join(point[kind] for kind in wanted))
        self._device.say("*")

    def _galvanostat(self, loop: Statement, body: tuple[Statement, ...]) -> None:
        current_a, interval_s, duration_s = (self._value(loop, index) for index in range(2, 5))
        cell = self._device.check_current(loop, mode=self._mode, current_a=current_a)
        cell.begin(current_a)
        count = math.floor(duration_s / interval_s + 1e-3)
        faults = self._device.faults
        self._device.say("M0005")
        for index in range(count):
            if not self._reach_point(loop, index, interval_s):
                break
            voltage_v = cell.voltage_v(current_a, (index + 1) / count)
            flows_a = 0.0 if faults.open_leads else current_a
            values = dict(zip(loop.arguments[:2], (voltage_v, flows_a), strict=True))
            kinds = dict(zip(loop.arguments[:2], ("ab", "ba"), strict=True))
            status = _STATUS_OVERLOAD if index in faults.overload_points else 0
            wanted = [entry.arguments[0] for entry in body if entry.command == "pck_add"]
            self._device.say("P" + ";".join(encode(kinds[name], values[name], status=status) for name in wanted))
            if _breaks(body, values):
                break
        self._device.say("*")

    def _reach_point(self, loop: Statement, index: int, lasts_s: float) -> bool:
        """Let the time of one point pass, with what was planned to go wrong at it; False when the loop ends."""
        faults = self._device.faults
        self._time_s += lasts_s
        if index == faults.abort_at:
            faults.abort_at = None
            self._aborted.set()
        if not self._device.reach(self._time_s, self._aborted):
            return False
        if index == faults.break_at:
            faults.break_at = None
            raise ScriptError(language.SEVERE_OVERLOAD, loop.line)
        if faults.mute_at is not None and index >= faults.mute_at:
            self._device.reach(math.inf, self._aborted)
            return False
        return True

    @staticmethod
    def _value(statement: Statement, index: int) -> float:
        return literal(statement.arguments[index])


def _breaks(body: tuple[Statement, ...], values: Mapping[str, float]) -> bool:
    """Whether the body of a loop leaves it at these values of its variables: ``if``, ``breakloop``, ``endif``."""
    held = True
    for statement in body:
        if statement.command == "if":
            name, comparison, number = statement.arguments
            held = language.COMPARISONS[comparison](values[name], literal(number))
        elif statement.command == "endif":
            held = True
        elif statement.command == "breakloop" and held:
            return True
    return False
