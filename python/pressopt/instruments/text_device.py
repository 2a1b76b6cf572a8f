"""A machine that is asked and told in lines of text, by the templates of its profile."""

from __future__ import annotations

from pressopt.clock import Clock
from pressopt.errors import DeviceRefused, NoiseError, ReplyError
from pressopt.instruments.link import Link
from pressopt.instruments.machine import Seen, SignalDevice
from pressopt.instruments.opening import refuse_stranger
from pressopt.instruments.text_link import TextLink
from pressopt.profiles import DeviceProfile, TextLine, line_template, text_line


class TextDevice(SignalDevice):
    """Signals and actions of one profile over lines of text. Owned by one thread.

    Text protocols carry no checksum: an answer that does not fit its template is asked for again, and a digit that
    changed on the way cannot be seen. ``valid`` in the profile keeps out what is not believable.

    Args:
        profile: Of engine ascii-line.
        clock: Laboratory time, for confirmations.
        link: Where the device is.
    """

    def __init__(self, profile: DeviceProfile, clock: Clock, link: Link) -> None:
        super().__init__(profile, clock, link)
        self._text = TextLink(link, profile.link, name=f"'{profile.name}' on {link.line.name}")

    def _who(self) -> str:
        identity = self.profile.identity
        if not identity.ask:
            return ""
        said = self._text.ask(identity.ask)
        refuse_stranger(self.profile, said, self._text.name)
        return said

    def _read(self, names: frozenset[str]) -> dict[str, Seen]:
        """Signals that are answered by one line are asked for once."""
        said: dict[str, str] = {}
        seen: dict[str, Seen] = {}
        for name in sorted(names):
            at = text_line(self.profile.signals[name].at)
            if at.ask not in said:
                said[at.ask] = self._ask(at)
            seen[name] = self._understood(name, at, said[at.ask])
        return seen

    def _understood(self, name: str, at: TextLine, answer: str) -> Seen:
        fields = line_template(at.reply).parse(answer)
        if fields is None:  # asked for by a signal with another template for the same line
            raise ReplyError(f"{self._text.name} answered {at.ask!r} with {answer!r}: expected {at.reply!r}")
        if not at.words:
            return self.meaning(name, float(fields["value"]))
        said = str(fields["word"])
        if said not in at.words:
            if name == "fault_code":
                return Seen(0.0, word=f"fault {said}")
            raise ReplyError(f"'{name}' of {self.profile.name} says {said!r}, which its profile does not know")
        word = at.words[said]
        return Seen(float(word not in ("", "open", "no", "off", "false")), word=word)

    def _ask(self, at: TextLine) -> str:
        template = line_template(at.reply)

        def fits(answer: str) -> None:
            if template.parse(answer) is None:
                raise _UnfitError(f"{self._text.name} answered {at.ask!r} with {answer!r}: expected {at.reply!r}")

        try:
            return self._text.ask(at.ask, check=fits)
        except _UnfitError as error:
            raise ReplyError(f"{error}. Is the device set to other units, or is the profile wrong?") from error

    def _write(self, action: str, raw: float) -> float:
        what = self.profile.actions[action]
        at = text_line(what.at)
        command = line_template(at.send).render(value=raw)
        if not at.accepted:
            self._text.tell(command)
        else:
            said = self._text.ask(command)
            if line_template(at.accepted).parse(said) is None:
                raise DeviceRefused(
                    f"{self._text.name} answered {command!r} with {said!r}, expected is {at.accepted!r}: "
                    "look at the device's display"
                )
        if what.readback:
            fields = line_template(at.reply).parse(self._ask(at))
            held = float(fields["value"]) if fields is not None else float("nan")
            if not abs(held - raw) <= 1e-6 * max(1.0, abs(raw)):
                raise self.differs(action, raw, held)
        return raw

    def _send_beat(self, number: int) -> None:
        heart = self.profile.heartbeat
        assert heart is not None
        at = text_line(heart.at)
        command = line_template(at.send).render(value=float(number))
        if at.accepted:
            self._text.ask(command)
        else:
            self._text.tell(command)


class _UnfitError(NoiseError):
    """An answer that does not fit its template: perhaps damaged on the way, so it is asked for again."""
