"""A recorded device: answers a driver with the bytes that the real one sent to the same questions.

Each question has its own answers, in the order in which they were recorded; once they are used up the last one
repeats. So a driver that polls a little more often than the recorded one still meets a whole device. Modbus TCP
questions are told apart without their transaction number, which the answer takes over.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Recorded:
    """One line of a recording.

    Attributes:
        answers: Question to its answers; an empty answer is silence.
        unasked: Bytes that came before anything was asked.
    """

    answers: dict[bytes, list[bytes]] = field(default_factory=dict)
    unasked: bytes = b""


def load_recording(path: Path) -> dict[str, Recorded]:
    """The lines of a recording, by name.

    Raises:
        ValueError: The file is no recording; names the row.
    """
    lines: dict[str, Recorded] = {}
    questions: dict[str, bytes] = {}
    with path.open(encoding="utf-8") as rows:
        for number, text in enumerate(rows, start=1):
            try:
                row = json.loads(text)
                if "schema" in row:
                    continue
                name, way, data = str(row["line"]), str(row["way"]), bytes.fromhex(row["hex"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, row {number}: is no recorded piece: {error}") from error
            line = lines.setdefault(name, Recorded())
            if way == "tx":
                questions[name] = _plain(data)
                line.answers.setdefault(questions[name], []).append(b"")
            elif name in questions:
                line.answers[questions[name]][-1] += data
            else:
                line.unasked += data
    return lines


class ReplayDevice:
    """One recorded line; a :class:`~pressopt.twin.wires.Device`.

    Args:
        recorded: What to answer.

    Attributes:
        unknown: What was asked and is not in the recording; left unanswered.
    """

    def __init__(self, recorded: Recorded) -> None:
        self._left = {question: deque(answers) for question, answers in recorded.answers.items()}
        self._longest_first = sorted(self._left, key=len, reverse=True)
        self._lock = threading.Lock()
        self.unknown: list[bytes] = []

    def converse(self, send: Callable[[bytes], None]) -> _ReplayConversation:
        return _ReplayConversation(self, send)

    def stop(self) -> None:
        """Nothing runs here."""

    def take(self, buffer: bytes) -> tuple[int, bytes] | None:
        """Length of the recorded question at the start of ``buffer`` and its next answer; None: not whole yet."""
        if not buffer:
            return None
        asked = _plain(buffer)
        with self._lock:
            for question in self._longest_first:
                if asked.startswith(question):
                    answers = self._left[question]
                    answer = answers.popleft() if len(answers) > 1 else answers[0]
                    return len(question), _answering(buffer, answer)
            if any(question.startswith(asked) for question in self._longest_first):
                return None
            self.unknown.append(buffer)
        return len(buffer), b""


class _ReplayConversation:
    def __init__(self, device: ReplayDevice, send: Callable[[bytes], None]) -> None:
        self._device, self._send = device, send
        self._buffer = b""

    def receive(self, data: bytes) -> None:
        self._buffer += data
        while (taken := self._device.take(self._buffer)) is not None:
            length, answer = taken
            self._buffer = self._buffer[length:]
            if answer:
                self._send(answer)

    def close(self) -> None:
        self._buffer = b""


def _is_modbus_tcp(data: bytes) -> bool:
    return len(data) >= 8 and data[2:4] == b"\0\0" and int.from_bytes(data[4:6], "big") in range(2, 255)


def _plain(data: bytes) -> bytes:
    """A question without its transaction number, where it has one."""
    return b"\0\0" + data[2:] if _is_modbus_tcp(data) else data


def _answering(question: bytes, answer: bytes) -> bytes:
    """The answer with the transaction number of this question."""
    return question[:2] + answer[2:] if _is_modbus_tcp(question) and _is_modbus_tcp(answer) else answer
