"""A link: questions and answers over a line, such that no answer is ever credited to another question.

After any failed exchange the line must be silent, and what still trickled in is thrown away, before the next
question is asked. One link may serve several devices on one RS-485 line: the rule belongs to the line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pressopt.clock import wall_pause_s
from pressopt.errors import DeviceBusy, LinkError, LinkRefused, LinkVanished, NoiseError
from pressopt.instruments.line import Line, Tap, open_line

if TYPE_CHECKING:
    from pressopt.profiles import LinkProfile

Answer = TypeVar("Answer")

_BUSY_TRIES = 6
_BUSY_PAUSE_S = 0.05  # doubled each time: 1.55 s in all
_DRAIN_LIMIT_S = 5.0


@dataclass(slots=True)
class LinkCounters:
    """What happened on a link since it was made; for telemetry."""

    exchanges: int = 0
    failed: int = 0
    repeated: int = 0
    busy: int = 0
    stale: int = 0
    thrown_away_bytes: int = 0


class Link:
    """Retries, back-off and silence around a line.

    Args:
        line: Open or closed; it is opened by :meth:`open`.
        retries: How often a failed exchange is repeated.
        silence_s: How long the line must be silent after a failure, wall seconds.
    """

    def __init__(self, line: Line, *, retries: int, silence_s: float) -> None:
        self.line = line
        self.counters = LinkCounters()
        #: How often the line was opened: who answered before an opening is not known after it.
        self.openings = 0
        #: When the last frame ended, wall seconds; frames of an RTU line keep a distance.
        self.last_s = float("-inf")
        self._retries, self._silence_s = retries, silence_s
        self._users = 1
        self._suspect = False

    def open(self) -> None:
        """Open the line; a line that was opened anew is drained before its first question."""
        if not self.line.is_open:
            self.line.open()
            self.openings += 1
            self._suspect = True

    def join(self, *, silence_s: float) -> None:
        """Let one more device of the same line use the link, with at least its silence after a failure."""
        self._users += 1
        self._silence_s = max(self._silence_s, silence_s)

    def close(self) -> None:
        """Close the line, once every device that uses it has closed."""
        self._users = max(0, self._users - 1)
        if not self._users:
            self.line.close()

    def exchange(self, attempt: Callable[[], Answer]) -> Answer:
        """Return what ``attempt`` (one question, one answer) returns, after retries where it failed.

        ``attempt`` must be harmless when it is repeated.

        Raises:
            LinkError: The last failure; LinkVanished at once.
            DeviceError: The device said no; DeviceBusy after several tries.
        """
        failures = busy = 0
        while True:
            self._settle()
            self.counters.exchanges += 1
            try:
                return attempt()
            except LinkVanished:
                self.counters.failed += 1
                self._suspect = True
                raise
            except LinkError:
                self.counters.failed += 1
                self._suspect = True
                failures += 1
                if failures > self._retries:
                    raise
                self.counters.repeated += 1
            except DeviceBusy:
                self.counters.busy += 1
                busy += 1
                if busy >= _BUSY_TRIES:
                    raise
                wall_pause_s(_BUSY_PAUSE_S * 2 ** (busy - 1))

    def expect_quiet(self) -> None:
        """Throw away bytes that nobody asked for, before a question; they make the line suspect."""
        unasked = self.line.read(4096, timeout_s=0.0)
        if unasked:
            self.counters.thrown_away_bytes += len(unasked)
            self._suspect = True
            self._settle()

    def _settle(self) -> None:
        if not self._suspect:
            return
        thrown = self.line.drain(silence_s=self._silence_s, limit_s=max(_DRAIN_LIMIT_S, 2 * self._silence_s))
        self.counters.thrown_away_bytes += len(thrown)
        self._suspect = False


def line_of(link: LinkProfile, url: str | None = None, *, tap: Tap | None = None) -> Line:
    """Open the line that a profile describes, at ``url`` instead of the profile's when given.

    Raises:
        LinkRefused: It cannot be opened, or no address is known.
    """
    address = url or link.url
    if not address:
        raise LinkRefused("the profile has no link.url and none was given: say where the device is")
    return open_line(address, baud=link.baud, parity=link.parity, stop_bits=link.stop_bits, tap=tap)


def unexpected(line: Line, data: bytes, what: str) -> NoiseError:
    """The error for bytes that are no reply to anything."""
    return NoiseError(f"{line.name}: {what}: {data[:40].hex(' ')}{' …' if len(data) > 40 else ''}")
