"""The conversation with a MethodSCRIPT device: getting in step, who answers, scripts and their packages.

Analyser and cycler share it: one potentiostat measures impedance and cycles, over one line that one program owns.
A device may still stream for an earlier, crashed program; nothing of that is ever taken for an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pressopt.clock import Clock, wall_monotonic_s
from pressopt.errors import (
    DeviceError,
    LinkError,
    LinkTimeout,
    LinkVanished,
    ReplyError,
)
from pressopt.instruments.line import Line, Tap
from pressopt.instruments.link import line_of
from pressopt.instruments.methodscript_text import CELL_OFF_SCRIPT, refusal
from pressopt.instruments.opening import refuse_stranger
from pressopt.profiles import DeviceProfile

_GUESS_MARGIN_S = 0.001
_SETTLING_POINTS = 3  # a delay before these is taken as the device's start, not as its pace
_MOST_STRETCH = 10.0
_LEAST_MORE_S = 0.05  # laboratory time between two looks for a late package, at least
#: A package may take this many times its first guess and this much more (laboratory s) before it counts as lost.
_PATIENCE, _PATIENCE_S = 10.0, 5.0
_LOOK_S = 1.0  # wall time given to a package that should be there; long, so that a busy computer changes nothing
_AFTER_REFUSAL_S = 0.06  # the device ignores commands for 50 ms after a failed one
_SCRIPT_END_POINTS = 2  # an aborted script still ends the point it is at


class MethodScriptLink:
    """One device on one line; several drivers of it may share the link.

    Args:
        line: Where it answers; opened when first needed.
        clock: Laboratory time: a script takes it.
        profile: Its profile; ``link`` and ``identity`` are used.
        slowest_s: How long the device may take for one point, laboratory s: an aborted script ends it first.
    """

    def __init__(self, line: Line, clock: Clock, profile: DeviceProfile, *, slowest_s: float) -> None:
        self.line, self._clock, self._profile, self._slowest_s = line, clock, profile, slowest_s
        self._buffer = bytearray()
        self._in_step = False
        self._users = 1

    def join(self, *, slowest_s: float) -> None:
        """Let one more driver use the link."""
        self._users += 1
        self._slowest_s = max(self._slowest_s, slowest_s)

    def close(self) -> None:
        """Close the line, once every driver that uses it has closed."""
        self._users = max(0, self._users - 1)
        if not self._users:
            self._in_step = False
            self.line.close()

    @property
    def name(self) -> str:
        """What people call the device, for messages."""
        return f"'{self._profile.name}' on {self.line.name}"

    # ---- commands

    def who(self) -> str:
        """Firmware and serial number; raises WrongDeviceError when they do not fit the profile."""
        self.get_in_step()
        self._write("t\n")
        first, second = self._next_line(), self._next_line()
        if not (first.startswith("t") and second.endswith("*")):
            raise ReplyError(
                f"{self.name} answered 't' with {first!r}, {second!r}: expected 't<firmware>', '...*'"
            )
        self._write("i\n")
        serial = self._next_line()
        if not serial.startswith("i"):
            raise ReplyError(f"{self.name} answered 'i' with {serial!r}: expected 'i<serial number>'")
        said = f"{first[1:]} {second} serial number {serial[1:]}"
        refuse_stranger(self._profile, said, self.line.name)
        return said

    def start(self, script: str) -> None:
        """Load and run a script; one that runs already, or a damaged answer, is broken off first.

        Raises:
            DeviceError: The device does not take it.
            ReplyError: It answers something else, again.
        """
        for again in (True, False):
            self._write(script)
            answer = self._next_line()
            error = refusal(answer, device=self.name)
            if error is not None:
                raise error
            if answer == "e":
                return
            self._in_step = False
            if again:
                self.get_in_step()
        raise ReplyError(f"{self.name} answered a script with {answer!r}: expected 'e'")

    def packages(self, guesses_s: Sequence[float]) -> Iterator[str]:
        """Every package of the script that runs, as its text, letting laboratory time pass for each.

        Args:
            guesses_s: Laboratory time that each planned package is expected to take, s.

        Raises:
            DeviceError: The device broke the script off.
            LinkTimeout: A package did not come.
        """
        start_s = self._clock.now_s()
        pace = _Pace(guesses_s)
        came = 0
        broken: DeviceError | None = None
        while True:
            if came < len(guesses_s) and broken is None:
                line = self._await_package(pace, came, start_s)
            else:
                line = self._next_line()
            if line == "":
                if broken is not None:
                    raise broken
                return
            error = refusal(line, device=self.name)
            if error is not None:
                broken = error  # its empty line follows
            elif line.startswith("P"):
                came += 1
                yield line

    def switch_off(self) -> None:
        """Switch the cell off; nothing may be running."""
        self.start(CELL_OFF_SCRIPT)
        while (line := self._next_line()) != "":
            error = refusal(line, device=self.name)
            if error is not None:
                raise error

    def make_safe(self) -> None:
        """Break off what runs and switch the cell off; twice is harmless. A damaged exchange is repeated."""
        for left in reversed(range(self._profile.link.retries + 2)):
            self._in_step = False
            try:
                self.get_in_step()
                self.switch_off()
            except LinkVanished:
                raise
            except (LinkError, ReplyError):
                if not left:
                    raise
            else:
                return

    def get_in_step(self) -> None:
        """Open the line and make sure that nothing is running and nothing is left to read."""
        if self._in_step and self.line.is_open:
            return
        self.line.open()
        self._buffer.clear()
        link = self._profile.link
        for attempt in range(link.retries + 1):
            # A script that a crashed program was sending ends at the first empty line; then Z aborts what runs.
            self._write("\n")
            self._write("Z\n")
            try:
                self._await_abort()
            except LinkTimeout:
                if attempt == link.retries:
                    raise
                self.line.drain(silence_s=min(link.silence_s, link.timeout_s), limit_s=10 * link.silence_s)
                self._buffer.clear()
            else:
                break
        self._in_step = True

    def _await_abort(self) -> None:
        end_s = wall_monotonic_s() + 30 * self._profile.link.timeout_s
        while not (answer := self._next_line()).startswith("Z"):
            if wall_monotonic_s() > end_s:
                raise LinkTimeout(f"{self.name} streams on and does not answer an abort (Z): switch it off and on")
        if answer == "Z":
            self._await_script_end()
        # Also the pause that the device needs after a refusal (nothing ran); an end that was noise shows here.
        self.line.drain(silence_s=_AFTER_REFUSAL_S, limit_s=10 * self._profile.link.silence_s)
        self._buffer.clear()

    def _await_script_end(self) -> None:
        # It ends the point it is at, runs on_finished, and closes with an empty line.
        for _ in range(_SCRIPT_END_POINTS + 1):
            try:
                while self._next_line(timeout_s=self._profile.link.timeout_s):
                    pass
            except LinkTimeout:
                self._clock.sleep_s(self._slowest_s)
            else:
                return
        raise LinkTimeout(f"{self.name} was aborted and does not end its script: switch it off and on")

    # ---- lines of text

    def _await_package(self, pace: _Pace, index: int, start_s: float) -> str:
        """The next line, once laboratory time has gone on to where the package is due."""
        line = self._line_at_hand()
        if line is not None:
            return line
        guess_s = pace.guesses_s[index]
        waited_s = 0.0
        pause_s = pace.due_s(index) - (self._clock.now_s() - start_s)
        while True:
            if pause_s > 0:
                self._clock.sleep_s(pause_s)
                waited_s += pause_s
            try:
                return self._next_line(timeout_s=_LOOK_S)
            except LinkTimeout:
                if waited_s > _PATIENCE * guess_s + _PATIENCE_S:
                    raise LinkTimeout(
                        f"{self.name} sent nothing for {waited_s:.1f} s of its script (a point takes about "
                        f"{guess_s:.2g} s): is it still connected and powered?"
                    ) from None
                pause_s = pace.late(index, waited_s)

    def _write(self, text: str) -> None:
        self.line.write(text.encode("ascii"))

    def _line_at_hand(self) -> str | None:
        """The next whole line if it has already come."""
        if b"\n" not in self._buffer:
            self._buffer += self.line.read(4096, timeout_s=0.0)
        if b"\n" not in self._buffer:
            return None
        raw, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        # XON and XOFF of a device with flow control are no text.
        return raw.translate(None, b"\x11\x13\r").decode("ascii", errors="replace")

    def _next_line(self, *, timeout_s: float | None = None) -> str:
        """The next line; raises LinkTimeout when none came within the link's time-out (wall time)."""
        patience_s = self._profile.link.timeout_s if timeout_s is None else timeout_s
        end_s = wall_monotonic_s() + patience_s
        while (line := self._line_at_hand()) is None:
            left_s = end_s - wall_monotonic_s()
            if left_s <= 0:
                raise LinkTimeout(f"{self.name} did not answer within {patience_s:g} s")
            self._buffer += self.line.read(4096, timeout_s=left_s)
        return line


class _Pace:
    """When each package is due, in laboratory seconds from the start of its script; learns from late ones."""

    def __init__(self, guesses_s: Sequence[float]) -> None:
        self.guesses_s = guesses_s
        self._stretch = 1.001
        self._due_s = 0.0
        self._counted = -1

    def due_s(self, index: int) -> float:
        """Due time of package ``index``."""
        while self._counted < index:
            self._counted += 1
            self._due_s += self.guesses_s[self._counted] * self._stretch + _GUESS_MARGIN_S
        return self._due_s

    def late(self, index: int, waited_s: float) -> float:
        """Package ``index`` did not come: how much longer to wait, laboratory s; grows with what was waited."""
        more_s = max(self.guesses_s[index] / 2, _LEAST_MORE_S, waited_s)
        self._due_s += more_s
        if index >= _SETTLING_POINTS:
            self._stretch = min(1.25 * self._stretch, _MOST_STRETCH)
        return more_s


def open_methodscript(
    profile: DeviceProfile,
    clock: Clock,
    url: str | None,
    *,
    slowest_s: float,
    tap: Tap | None = None,
    shared: dict[str, MethodScriptLink] | None = None,
) -> MethodScriptLink:
    """The link of ``profile``, its line open, nobody asked yet; drivers of one url share theirs.

    Args:
        profile: Of engine methodscript.
        clock: Laboratory time.
        url: Where it is, instead of ``link.url``.
        slowest_s: As for :class:`MethodScriptLink`.
        tap: Sees every byte.
        shared: Links that are open already, by url.

    Raises:
        LinkRefused: The line cannot be opened.
    """
    links = {} if shared is None else shared
    address = url or profile.link.url
    link = links.get(address)
    if link is None:
        link = MethodScriptLink(line_of(profile.link, address, tap=tap), clock, profile, slowest_s=slowest_s)
        links[address] = link
    else:
        link.join(slowest_s=slowest_s)
    return link
