"""Chance that does not depend on who asked first: every draw is a function of its key.

A campaign that was killed and goes on must measure what it would have measured. So nothing here keeps a state:
a draw is the hash of (seed, what, which cell, when or at which frequency).
"""

from __future__ import annotations

import hashlib
import math
import struct


def _words(key: tuple[int | float | str, ...]) -> tuple[int, int]:
    """Two 64-bit words from a key: BLAKE2b of its parts, each with its type."""
    parts = []
    for part in key:
        if isinstance(part, str):
            text = part.encode()
            parts.append(b"s" + struct.pack("<I", len(text)) + text)
        elif isinstance(part, float):
            parts.append(b"f" + struct.pack("<d", part))
        else:
            parts.append(b"i" + struct.pack("<q", part))
    first, second = struct.unpack("<QQ", hashlib.blake2b(b"".join(parts), digest_size=16).digest())
    return first, second


def uniform(*key: int | float | str) -> float:
    """A number in (0, 1), the same for the same key for ever."""
    return (_words(key)[0] + 0.5) / 2.0**64


def normal(*key: int | float | str) -> float:
    """A standard normal number (Box and Muller, Ann. Math. Stat. 29 (1958) 610), the same for the same key."""
    return normal_pair(*key)[0]


def normal_pair(*key: int | float | str) -> tuple[float, float]:
    """Two independent standard normal numbers for one key."""
    first, second = _words(key)
    radius = math.sqrt(-2.0 * math.log((first + 0.5) / 2.0**64))
    angle = 2.0 * math.pi * second / 2.0**64
    return radius * math.cos(angle), radius * math.sin(angle)


def factor(spread: float, *key: int | float | str) -> float:
    """A log-normal factor with median 1; ``spread`` is the standard deviation of its logarithm."""
    return math.exp(spread * normal(*key))
