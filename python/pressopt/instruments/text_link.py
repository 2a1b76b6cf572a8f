"""Lines of text over a link: one question, one answering line, and the rule that no answer is misattributed."""

from __future__ import annotations

from collections.abc import Callable

from pressopt.clock import wall_monotonic_s
from pressopt.errors import LinkTimeout, NoiseError, ShortReply
from pressopt.instruments.link import Link, unexpected
from pressopt.profiles import LinkProfile

_STALE_S = 0.02  # wall time in which a line that is new says what an earlier program did not read
_LONGEST = 65536


class TextLink:
    """Questions and answers of a text protocol.

    Args:
        link: May be shared.
        profile: Terminators and time-out.
        name: What people call the device, for messages.
    """

    def __init__(self, link: Link, profile: LinkProfile, *, name: str) -> None:
        self.link, self.name = link, name
        self._timeout_s = profile.timeout_s
        self._send_end = profile.terminator.encode("ascii")
        self._reply_end = (profile.reply_terminator or profile.terminator).encode("ascii")
        self._fresh_since = -1

    def tell(self, line: str) -> None:
        """Send a line that nothing answers."""
        self.link.exchange(lambda: self._send(line))

    def ask(self, line: str, *, timeout_s: float | None = None, check: Callable[[str], None] | None = None) -> str:
        """Send a line and return the one line that answers it, without its end.

        Args:
            line: The question; it must be harmless when it is repeated.
            timeout_s: Instead of the profile's, wall seconds.
            check: Raises a LinkError for an answer that is damaged, so that the question is repeated.

        Raises:
            LinkTimeout, ShortReply, NoiseError: After the link's retries.
        """

        def attempt() -> str:
            self._send(line)
            said = self._receive(line, self._timeout_s if timeout_s is None else timeout_s)
            if check is not None:
                check(said)
            return said

        return self.link.exchange(attempt)

    def _send(self, line: str) -> None:
        if self._fresh_since != self.link.openings:
            self.link.line.drain(silence_s=_STALE_S, limit_s=max(1.0, 10 * self._timeout_s))
            self._fresh_since = self.link.openings
        self.link.expect_quiet()
        self.link.line.write(line.encode("ascii") + self._send_end)

    def _receive(self, question: str, timeout_s: float) -> str:
        end_s = wall_monotonic_s() + timeout_s
        got = b""
        while self._reply_end not in got:
            left_s = end_s - wall_monotonic_s()
            data = self.link.line.read(4096, timeout_s=left_s) if left_s > 0 else b""
            if not data:
                if got:
                    raise ShortReply(f"{self.name} began to answer {question!r} with {got!r} and did not end it")
                raise LinkTimeout(f"{self.name} did not answer {question!r} within {timeout_s:g} s")
            got += data
            if len(got) > _LONGEST:
                raise unexpected(self.link.line, got, f"an answer to {question!r} without an end")
        text, _, rest = got.partition(self._reply_end)
        if rest.strip():
            raise NoiseError(
                f"{self.name} answered {question!r} with {got!r}: expected one line; is an earlier one late?"
            )
        return text.decode("ascii", errors="replace").strip()
