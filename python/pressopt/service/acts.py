"""What happens to the service itself, as events of a journal of its own: who assigned and allowed what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pressopt.campaign.events import Event, from_json
from pressopt.campaign.ledger import Row

#: The stream of the service's own journal; no campaign can have this id.
SERVICE = "service"
#: Any press that suits.
ANY_PRESS = "*"


@dataclass(frozen=True, slots=True)
class CampaignPlaced(Event):
    """Which presses may work on a campaign (``*``: any; none: people ask and tell), and how urgently."""

    campaign: str
    presses: tuple[str, ...]
    priority: int


@dataclass(frozen=True, slots=True)
class TrialAssigned(Event):
    """A press was given a trial: from now on only its runner, or a person, says what becomes of it."""

    press: str
    campaign: str
    trial: int


@dataclass(frozen=True, slots=True)
class WordSent(Event):
    """What a person says to a press's runner: an event of a campaign, to be applied at the runner's next tick."""

    press: str
    campaign: str
    kind: str
    kind_version: int
    body: str


@dataclass(frozen=True, slots=True)
class EntryRefused(Event):
    """An entry of a runner's journal that the campaign's table does not allow; it is kept here."""

    source: str
    campaign: str
    seq: int
    kind: str
    body: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunnerStarted(Event):
    """The service started the process that runs a press."""

    press: str
    pid: int


@dataclass(frozen=True, slots=True)
class RunnerEnded(Event):
    """That process ended."""

    press: str
    reason: str


@dataclass(frozen=True, slots=True)
class PressOrdered(Event):
    """A person ordered a press to be made safe, or to break off what runs."""

    press: str
    order: str


@dataclass(frozen=True, slots=True)
class TokenCreated(Event):
    """Somebody may use the service; ``digest`` is the SHA-256 of 256 random bits, which nobody can guess back."""

    name: str
    role: str
    digest: str


@dataclass(frozen=True, slots=True)
class TokenRevoked(Event):
    """The token of that name is worth nothing any more."""

    name: str


ACTS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        CampaignPlaced,
        TrialAssigned,
        WordSent,
        EntryRefused,
        RunnerStarted,
        RunnerEnded,
        PressOrdered,
        TokenCreated,
        TokenRevoked,
    )
}


@dataclass(frozen=True, slots=True)
class Placement:
    """Which presses may work on a campaign, and how urgently; the higher number goes first."""

    presses: tuple[str, ...] = ()
    priority: int = 0

    def allows(self, press: str) -> bool:
        """Whether a press may work on it."""
        return ANY_PRESS in self.presses or press in self.presses


@dataclass(frozen=True, slots=True)
class Token:
    """Who may use the service, and how far; the token itself is kept nowhere."""

    name: str
    role: str
    digest: str
    created_at: str
    revoked_at: str = ""


@dataclass(frozen=True)
class ServiceState:
    """The service as its own journal tells it.

    ``assigned``: the press that was given a trial, by (campaign, trial). ``words``: what was said to runners, each
    with its number in the journal and who said it.
    """

    placements: Mapping[str, Placement] = field(default_factory=dict)
    assigned: Mapping[tuple[str, int], str] = field(default_factory=dict)
    tokens: Mapping[str, Token] = field(default_factory=dict)
    words: tuple[tuple[int, str, WordSent], ...] = ()
    last_seq: int = 0
    digest: str = ""


def follow(state: ServiceState, rows: Iterable[Row]) -> ServiceState:
    """Return the state after further entries of the service's journal."""
    placements, assigned, tokens = dict(state.placements), dict(state.assigned), dict(state.tokens)
    words = list(state.words)
    last_seq, digest = state.last_seq, state.digest
    for row in rows:
        match from_json(row.kind, row.version, row.body, ACTS):
            case CampaignPlaced() as placed:
                placements[placed.campaign] = Placement(placed.presses, placed.priority)
            case TrialAssigned() as one:
                assigned[one.campaign, one.trial] = one.press
            case WordSent() as word:
                words.append((row.seq, row.actor, word))
            case TokenCreated() as made:
                tokens[made.name] = Token(made.name, made.role, made.digest, row.at)
            case TokenRevoked() as gone if gone.name in tokens:
                tokens[gone.name] = replace(tokens[gone.name], revoked_at=row.at)
            case _:
                pass
        last_seq, digest = row.seq, row.digest
    return ServiceState(placements, assigned, tokens, tuple(words), last_seq, digest)
