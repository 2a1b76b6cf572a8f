"""What can happen in a campaign, as versioned values that are written down before and after every act.

Events are never changed or deleted. A later pressopt that knows more fields reads old events through
:data:`UPCASTS`, so that every journal ever written replays for ever.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

from pressopt.errors import JournalNewer, JournalUnreadable

Json: TypeAlias = dict[str, Any]
#: ``{quantity: (value, standard deviation)}``, both in the quantity's unit.
Outcomes: TypeAlias = Mapping[str, tuple[float, float]]
#: ``{quantity: (median, low, high)}`` of a 95 % interval.
Intervals: TypeAlias = Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Event:
    """Root of all events; ``version`` counts the shapes that a kind has had."""

    version: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class CampaignEvent(Event):
    """Concerns the campaign as a whole."""


@dataclass(frozen=True, slots=True)
class CampaignOpened(CampaignEvent):
    """The first event: the experiment's exact text and what ran it."""

    name: str
    experiment_path: str
    experiment_text: str
    digest: str
    seed: int
    software: Mapping[str, str]
    changes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CampaignPaused(CampaignEvent):
    """Nothing new is proposed; what runs goes on."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class CampaignContinued(CampaignEvent):
    """A paused campaign is open again."""


@dataclass(frozen=True, slots=True)
class CampaignClosed(CampaignEvent):
    """No further trial: budget spent, target reached, or stopped by a person; with the answer."""

    reason: str
    recommendation: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PressEvent(Event):
    """Concerns one press."""

    press: str


@dataclass(frozen=True, slots=True)
class PressMadeSafe(PressEvent):
    """Something failed and the press was brought into its safe state: nothing moves until it is cleared."""

    reason: str


@dataclass(frozen=True, slots=True)
class FaultCleared(PressEvent):
    """A person has looked and allows motion again."""

    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PressLost(PressEvent):
    """The link to the press is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class PressFound(PressEvent):
    """The press answers (again) and is the one that was expected."""

    identity: str


@dataclass(frozen=True, slots=True)
class TrialEvent(Event):
    """Concerns one trial: one cell through one protocol."""

    trial: int


@dataclass(frozen=True, slots=True)
class Proposed(TrialEvent):
    """The next thing to press, inside all limits when it was proposed."""

    settings: Mapping[str, float | int | str]
    reason: str
    strategy: str
    predicted: Intervals = field(default_factory=dict)
    feasibility: float = 1.0


@dataclass(frozen=True, slots=True)
class Loaded(TrialEvent):
    """The cell lies under the press and the trial is approved (``confirm``)."""

    by: str


@dataclass(frozen=True, slots=True)
class TrialRejected(TrialEvent):
    """The trial is given up: before pressing, or with a cell that cannot be measured."""

    reason: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class PressingStarted(TrialEvent):
    """Intent: from here on the ram may have moved."""

    press: str
    protocol: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PersonAsked(TrialEvent):
    """Intent, where a person presses: ``question`` (a :class:`pressopt.pressing.by_hand.Question`) is put now."""

    number: int
    question: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PersonAnswered(TrialEvent):
    """What the person says of question ``number``: see :class:`pressopt.pressing.by_hand.Answer`.

    ``action``: ``done``, or ``abort``: the cell is given up and the press released. ``elapsed_s`` is filled in by
    the runner that timed it.
    """

    number: int
    values: Mapping[str, float] = field(default_factory=dict)
    again: Mapping[str, float] = field(default_factory=dict)
    action: str = "done"
    why: str = ""
    by: str = ""
    elapsed_s: float | None = None


@dataclass(frozen=True, slots=True)
class Attached(TrialEvent):
    """A photograph, file or note that belongs to a trial; its bytes lie in the store under ``data``."""

    name: str = ""
    data: str = ""
    note: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class PressingFinished(TrialEvent):
    """What the cell got; the curves lie in the store under ``record``."""

    record: str
    achieved: Mapping[str, float]
    held_mpa: float
    held_c: float
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Faulted(TrialEvent):
    """Pressing or measuring failed; a person says what becomes of the cell (``resolve``)."""

    reason: str
    record: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted(TrialEvent):
    """The program ended while the ram may have moved; nobody saw how far it came."""

    reason: str


@dataclass(frozen=True, slots=True)
class SpectrumRecorded(TrialEvent):
    """A raw measurement lies in the store under ``measurement``, before anything was made of it."""

    measurement: str
    kind: str  # spectrum | resistance
    attempt: int
    instrument: str


@dataclass(frozen=True, slots=True)
class Measured(TrialEvent):
    """What the measurement says; a failure is an observation of its kind, never a number."""

    outcomes: Outcomes
    verdict: str
    failures: tuple[str, ...] = ()
    blameless: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    analysis: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolved(TrialEvent):
    """What a person found after an interruption or a fault.

    ``action``: ``discard`` the cell, ``measure`` it as it is, or ``done`` by hand (then with ``outcomes`` and
    ``achieved``).
    """

    action: str
    by: str = ""
    note: str = ""
    achieved: Mapping[str, float] = field(default_factory=dict)
    outcomes: Outcomes = field(default_factory=dict)


EVENTS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        CampaignOpened,
        CampaignPaused,
        CampaignContinued,
        CampaignClosed,
        PressMadeSafe,
        FaultCleared,
        PressLost,
        PressFound,
        Proposed,
        Loaded,
        TrialRejected,
        PressingStarted,
        PersonAsked,
        PersonAnswered,
        Attached,
        PressingFinished,
        Faulted,
        Interrupted,
        SpectrumRecorded,
        Measured,
        Resolved,
    )
}

#: (kind, version) -> the body in the shape of version + 1. Empty while every kind is at its first version.
UPCASTS: dict[tuple[str, int], Callable[[Json], Json]] = {}


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON has it; a number that is not finite is refused."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} cannot be written into a journal: only finite numbers can")
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if hasattr(value, "item"):  # a NumPy scalar
        return _plain(value.item())
    raise TypeError(f"{type(value).__name__} cannot be written into a journal")


def to_json(event: Event) -> str:
    """Return the body of an event as canonical JSON (sorted keys, no spaces)."""
    body = {item.name: _plain(getattr(event, item.name)) for item in fields(event)}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def from_json(kind: str, version: int, body: str, known: Mapping[str, type[Event]] = EVENTS) -> Event:
    """Rebuild an event of one of the ``known`` kinds.

    Raises:
        JournalNewer: The kind or its version is unknown: a newer pressopt wrote it.
        JournalUnreadable: The body is not what this kind holds.
    """
    cls = known.get(kind)
    if cls is None or version > cls.version:
        raise JournalNewer(
            f"the journal holds '{kind}' version {version}, this pressopt knows "
            f"{'no such event' if cls is None else f'version {cls.version}'}: update pressopt to read it"
        )
    try:
        values = json.loads(body)
        for old in range(version, cls.version):
            values = UPCASTS[kind, old](values)
        return cls(**{name: _frozen(name, value) for name, value in values.items()})
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise JournalUnreadable(f"the journal holds a '{kind}' that cannot be read: {error}") from error


#: Fields that are mappings of tuples; JSON knows lists only.
_TUPLES = frozenset({"outcomes", "predicted"})


def _frozen(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if name in _TUPLES:
        return {key: tuple(item) for key, item in value.items()}
    return value
