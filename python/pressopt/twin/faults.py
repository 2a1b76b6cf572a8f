"""Faults on a wire, planned one by one or drawn from a seed: what happens to bytes between device and host."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What can happen to one reply (or, for the last two, to what the host sends)."""

    DROP = "drop"  # the reply is lost
    DELAY = "delay"  # the reply comes late
    CORRUPT = "corrupt"  # one bit of it is flipped
    HALF = "half"  # only its first half comes
    NOISE = "noise"  # random bytes come before it
    TRICKLE = "trickle"  # it comes byte by byte, with gaps
    ECHO = "echo"  # the host hears its own request first (RS-485 adapter)
    DEAF = "deaf"  # the device does not hear the request


_ON_REPLY = (Fault.DROP, Fault.DELAY, Fault.CORRUPT, Fault.HALF, Fault.NOISE, Fault.TRICKLE)
_ON_REQUEST = (Fault.ECHO, Fault.DEAF)


@dataclass(frozen=True, slots=True)
class Incoming:
    """What becomes of bytes from the host: what the device hears, and whether the host hears them too."""

    passed: bytes
    local_echo: bool


class LineFaults:
    """Decides the fate of every chunk on one wire. Planned faults come first, then those drawn at random.

    Args:
        seed: Of everything random here: which bit is flipped, which bytes the noise is, which reply is hit.
        rates: Probability of each fault per reply (or request); the sum over replies is at most 1.
        delay_s: Lateness of a delayed reply, wall seconds.
        gap_s: Gap between the bytes of a trickling reply, wall seconds.

    A chunk is what the device sends in one go: one Modbus reply, one line of an analyser.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        rates: Mapping[Fault, float] | None = None,
        delay_s: float = 0.5,
        gap_s: float = 0.002,
    ) -> None:
        rates = dict(rates or {})
        on_reply = sum(rates.get(fault, 0.0) for fault in _ON_REPLY)
        if not all(math.isfinite(rate) and 0 <= rate <= 1 for rate in rates.values()) or on_reply > 1:
            raise ValueError(f"rates {rates}: give probabilities between 0 and 1 whose sum is at most 1")
        if not (delay_s >= 0 and gap_s >= 0):
            raise ValueError(f"delay_s {delay_s} and gap_s {gap_s} must not be negative")
        self._random = random.Random(seed)
        self._rates = rates
        self._lock = threading.Lock()
        self._planned: list[Fault] = []
        self.delay_s = delay_s
        self.gap_s = gap_s
        self.injected: Counter[Fault] = Counter()

    def plan(self, fault: Fault, *, times: int = 1) -> None:
        """Let ``fault`` hit the next ``times`` chunks that it can hit, after what is planned already."""
        with self._lock:
            self._planned += [fault] * times

    def clear(self) -> None:
        """Forget what is planned and draw nothing more at random."""
        with self._lock:
            self._planned.clear()
            self._rates = {}

    def outgoing(self, data: bytes) -> list[tuple[float, bytes]]:
        """What the host gets of one reply: pieces with their lateness in wall seconds."""
        with self._lock:
            fault = self._draw(_ON_REPLY) if data else None
            if fault is None:
                return [(0.0, data)]
            self.injected[fault] += 1
            match fault:
                case Fault.DROP:
                    pieces: list[tuple[float, bytes]] = []
                case Fault.DELAY:
                    pieces = [(self.delay_s, data)]
                case Fault.CORRUPT:
                    pieces = [(0.0, self._with_one_bit_flipped(data))]
                case Fault.HALF:
                    pieces = [(0.0, data[: len(data) // 2])]
                case Fault.NOISE:
                    pieces = [(0.0, self._random.randbytes(self._random.randint(1, 4)) + data)]
                case _:
                    pieces = [(self.gap_s * index, data[index : index + 1]) for index in range(len(data))]
            return pieces

    def _with_one_bit_flipped(self, data: bytes) -> bytes:
        bit = self._random.randrange(8 * len(data))
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << (bit % 8)
        return bytes(damaged)

    def incoming(self, data: bytes) -> Incoming:
        """What the device gets of bytes from the host."""
        with self._lock:
            fault = self._draw(_ON_REQUEST)
            if fault is None:
                return Incoming(data, local_echo=False)
            self.injected[fault] += 1
            return Incoming(b"" if fault is Fault.DEAF else data, local_echo=fault is Fault.ECHO)

    def _draw(self, kinds: tuple[Fault, ...]) -> Fault | None:
        for index, fault in enumerate(self._planned):
            if fault in kinds:
                return self._planned.pop(index)
        chances = [(fault, self._rates.get(fault, 0.0)) for fault in kinds]
        if not any(rate for _, rate in chances):
            return None
        mark = self._random.random()
        for fault, rate in chances:
            mark -= rate
            if mark < 0:
                return fault
        return None
