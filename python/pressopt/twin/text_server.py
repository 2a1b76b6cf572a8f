"""Virtual machines that are asked and told in lines of text, as the templates of their profile say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pressopt.profiles import TextLine, line_template, text_line
from pressopt.twin.face import MachineFace, MachineFaults, MachineRefusal, RangeRefusal, Shown

#: What the twin answers to a command that it does not take, where its profile expects an answer.
REFUSED = "ERROR"
_LONGEST = 4096


@dataclass
class TextFaults:
    """What can go wrong with the text; each is left until a test changes it.

    Attributes:
        muted: Nothing is answered.
        says: Answers that replace the right ones, by question (``"4.2 lbF"``).
    """

    muted: bool
    says: dict[str, str]


class TextServer:
    """One machine; a :class:`~pressopt.twin.wires.Device`.

    Args:
        face: What it shows and does.
    """

    def __init__(self, face: MachineFace) -> None:
        link = face.profile.link
        self.face = face
        self.text_faults = TextFaults(muted=False, says={})
        self._memory: dict[str, float] = {}
        self._lock = threading.Lock()
        self._end = (link.reply_terminator or link.terminator).encode("ascii")

    @property
    def faults(self) -> MachineFaults:
        """What can go wrong inside the machine."""
        return self.face.faults

    def converse(self, send: Callable[[bytes], None]) -> LineConversation:
        return LineConversation(self.answer, send, self._end)

    def stop(self) -> None:
        """Nothing runs here."""

    def answer(self, line: str) -> str | None:
        """Answer one line; ``None`` is silence."""
        if self.text_faults.muted or not line:
            return None
        if line in self.text_faults.says:
            return self.text_faults.says[line]
        identity = self.face.profile.identity
        if identity.ask and line == identity.ask:
            model = self.faults.model
            return identity.example if model is None else f"ANOTHER {model}"
        with self._lock:
            looked = self.face.look()
            told = self._signal(line, looked)
            return told if told is not None else self._command(line, looked)

    def _signal(self, line: str, looked: Shown) -> str | None:
        """All signals that ``line`` asks for, on one line; a set point is asked for as it was written."""
        profile = self.face.profile
        for name, action in profile.actions.items():
            at = text_line(action.at)
            if at.ask and line == at.ask and name in self._memory:
                return line_template(at.reply).render(value=self._memory[name])
        for name, signal in profile.signals.items():
            at = text_line(signal.at)
            if line == at.ask:
                if at.words:
                    return line_template(at.reply).render(word=_said(at, looked[name]))
                return line_template(at.reply).render(value=self.face.raw(name, signal, looked))
        return None

    def _command(self, line: str, looked: Shown) -> str | None:
        profile = self.face.profile
        if profile.heartbeat is not None:
            at = text_line(profile.heartbeat.at)
            fields = line_template(at.send).parse(line)
            if fields is not None:
                self.face.beat(round(float(fields["value"])))
                return at.accepted or None
        for name, action in profile.actions.items():
            at = text_line(action.at)
            fields = line_template(at.send).parse(line)
            if fields is None:
                continue
            raw = float(fields.get("value", action.value or 0))
            try:
                self.face.check(name, action, raw, looked)
                self.face.do(name, action, raw)
            except (RangeRefusal, MachineRefusal):
                return REFUSED if at.accepted else None
            if "value" in fields and name not in self.faults.ignored:
                self._memory[name] = raw
            return line_template(at.accepted).render(value=raw) if at.accepted else None
        return None


class LineConversation:
    """Cuts bytes into lines at LF or CR and sends what is answered.

    Args:
        answer: Answers one line; ``None`` is silence.
        send: Sends bytes to the host.
        end: Ends each answer.
    """

    def __init__(self, answer: Callable[[str], str | None], send: Callable[[bytes], None], end: bytes) -> None:
        self._answer, self._send, self._end = answer, send, end
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        self._buffer += data.replace(b"\r", b"\n")
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest[-_LONGEST:])
        for line in lines:
            said = self._answer(line.decode("ascii", errors="replace").strip())
            if said is not None:
                self._send(said.encode("ascii") + self._end)

    def close(self) -> None:
        self._buffer.clear()


def _said(at: TextLine, word: float | str | bool) -> str:
    """The device's own word for ours; for a switch, the one for given or not given."""
    wanted: tuple[str, ...] = (str(word), "hold", "ramp")
    if not isinstance(word, str):
        wanted = ("yes", "closed", "on", "true") if word else ("no", "open", "off", "false")
    for ours in wanted:
        for device, meaning in at.words.items():
            if meaning == ours:
                return device
    return next(iter(at.words))
