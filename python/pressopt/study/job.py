"""What a study is made of: a job of numbered blocks, each a pure function to bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pressopt.surrogate import Surrogate

#: Packages on which the last bit of a result depends.
_FINGERPRINT = ("pressopt", "numpy", "scipy", "pyarrow")


class Block(Protocol):
    """A piece of work that can be sent away: picklable, without state, the same bytes wherever it is computed."""

    def __call__(self) -> bytes:
        """Compute the block: the content of one file."""
        ...


class Job(Protocol):
    """Work cut into blocks."""

    @property
    def kind(self) -> str:
        """One word: ``screen``, ``simulate``, ..."""
        ...

    @property
    def unit(self) -> str:
        """What is counted, in the plural: ``protocols``."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that the results depend on, as plain JSON."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """How many units each block holds; as many numbers as blocks."""
        ...

    def block(self, index: int) -> Block:
        """The block with this number, from 0."""
        ...


def fingerprint() -> dict[str, str]:
    """Versions on which the last bit of a result depends."""
    return {name: _version(name) for name in _FINGERPRINT}


@cache  # the headers of a package are read from disk and parsed: milliseconds, for each block
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def digest_of_job(job: Job) -> str:
    """SHA-256 of what a job's results depend on: two jobs with the same digest have the same blocks."""
    told = {"kind": job.kind, "identity": job.identity, "sizes": list(job.sizes), "software": fingerprint()}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def told_of(surrogate: Surrogate) -> dict[str, Any]:
    """Layers and geometry of a cell, and the parameters of its physics with their priors, as plain JSON."""
    parameters = {p.name: [p.nominal, p.scale, p.sd] for p in (*surrogate.parameters, *surrogate.settled)}
    return {"cell": repr(surrogate.cell), "parameters": parameters}


def digest_of_arrays(*arrays: npt.NDArray[np.float64]) -> str:
    """SHA-256 of numbers and shapes, to the bit."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(repr(array.shape).encode())
        found.update(array.tobytes())
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study has come.

    Attributes:
        unit: What is counted.
        done, total: Units, those of earlier runs included.
        fresh: Units that this run has computed.
        blocks_done, blocks: The same in blocks.
        elapsed_s: Wall time of this run, s, from the first block that it began.
    """

    unit: str
    done: int
    total: int
    fresh: int
    blocks_done: int
    blocks: int
    elapsed_s: float

    @property
    def rate(self) -> float:
        """Units per second of this run; 0 before anything is finished."""
        return self.fresh / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Expected time to the end, s; ``None`` before anything is known."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None

    @property
    def finished(self) -> bool:
        """Whether every block is there."""
        return self.blocks_done == self.blocks
