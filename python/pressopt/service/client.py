"""A typed client of the service: every POST carries an idempotency key, so that it can be asked again."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import httpx

from pressopt import errors
from pressopt.clock import wall_pause_s

#: How often a request is repeated after the connection was lost, and the pause before each, s.
_PAUSES_S = (0.2, 0.5, 1.0, 2.0)
#: A stream says something at least this often, s; silence longer than that is a lost connection.
_SILENCE_S = 40.0
Role = Literal["viewer", "operator", "administrator"]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign as lists show it."""

    id: str
    name: str
    title: str
    phase: str
    budget: int
    done: int
    in_flight: tuple[int, ...]
    asking: tuple[int, ...]
    presses: tuple[str, ...]
    priority: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial to be pressed.

    Attributes:
        campaign: Its campaign's id.
        trial: Its number.
        settings: What is asked, by setting.
        reason: Why this.
        protocol: The whole programme: stages, and the state in which the cell is measured.
        predicted: Median and 95 % interval by quantity, where the model says something.
    """

    campaign: str
    trial: int
    settings: Mapping[str, float | int | str]
    reason: str
    protocol: Mapping[str, Any]
    predicted: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a campaign.

    Attributes:
        number: Among all events of the service: where a stream is taken up again.
        campaign, seq: Of which campaign, and its number there.
        at: Date and time, ISO 8601 UTC.
        actor: Who caused it.
        event, version: Its kind, and which shape of it.
        data: Its content.
    """

    number: int
    campaign: str
    seq: int
    at: str
    actor: str
    event: str
    version: int
    data: Mapping[str, Any]


class Client:
    """Speaks with one service; a context manager.

    Args:
        url: Where it listens: ``http://127.0.0.1:8765``.
        token: Who you are; a service on this machine alone demands none.
        timeout_s: How long an answer is waited for, s.

    Every method raises what the library itself would raise (``InputError``, ``LifecycleError``, ...) where the
    service refused for that reason, and :class:`pressopt.errors.ServiceError` where it cannot be reached or
    refuses otherwise.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout_s: float = 120.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise errors.InputError(
                [errors.Violation("server", f"{url!r} is no address: write http://127.0.0.1:8765")]
            )
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=f"{self.url}/v1", headers=headers, timeout=timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ------------------------------------------------------------------ campaigns

    def campaigns(self, phase: Literal["open", "paused", "closed"] | None = None) -> list[CampaignRow]:
        """All campaigns, the newest first."""
        found = self._get("/campaigns", **({"phase": phase} if phase else {}))
        return [_row(row) for row in found["campaigns"]]

    def create(
        self,
        experiment: Path | str,
        *,
        name: str = "experiment",
        presses: Sequence[str] = (),
        priority: int = 0,
        trials: int | None = None,
        seed: int | None = None,
    ) -> str:
        """Open a campaign from an experiment file (a path, or its text) and return its id.

        Args:
            experiment: The file, or its text with the ``name`` of the file.
            name: Of the file, where only the text is given.
            presses: Presses of the service that may work on it; ``*``: any that suits; none: you ask and tell.
            priority: The higher goes first.
            trials, seed: Instead of the file's.
        """
        text = experiment
        if isinstance(experiment, Path):
            from pressopt.campaign.experiment_file import load_experiment

            text, name = load_experiment(experiment).text, experiment.name
        body = {
            "experiment": text,
            "name": name,
            "presses": list(presses),
            "priority": priority,
            "trials": trials,
            "seed": seed,
        }
        return str(self._post("/campaigns", body)["id"])

    def campaign(self, campaign: str) -> Json:
        """One campaign with a row for each trial."""
        return self._get(f"/campaigns/{_part(campaign)}")

    def pause(self, campaign: str, reason: str = "") -> None:
        """Propose nothing new; what runs goes on."""
        self._post(f"/campaigns/{_part(campaign)}/pause", {"reason": reason})

    def resume(self, campaign: str) -> None:
        """Open a paused campaign again."""
        self._post(f"/campaigns/{_part(campaign)}/resume")

    def stop(self, campaign: str, reason: str = "") -> None:
        """Break off what runs, and pause."""
        self._post(f"/campaigns/{_part(campaign)}/stop", {"reason": reason})

    def close_campaign(self, campaign: str, reason: str = "") -> Json:
        """End a campaign with the answer that the data allow."""
        return self._post(f"/campaigns/{_part(campaign)}/close", {"reason": reason})

    def place(self, campaign: str, *, presses: Sequence[str] | None = None, priority: int | None = None) -> None:
        """Say which presses may work on a campaign, and how urgently."""
        body = {"presses": list(presses) if presses is not None else None, "priority": priority}
        self._send("PATCH", f"/campaigns/{_part(campaign)}", body)

    def recommendation(self, campaign: str) -> Json:
        """The recommended protocol, its window, and what to expect of it."""
        return self._get(f"/campaigns/{_part(campaign)}/recommendation")

    def export(self, campaign: str, kind: Literal["json", "html", "text", "csv"]) -> bytes:
        """A file as ``pressopt export`` writes it."""
        return self._ask("GET", f"/campaigns/{_part(campaign)}/exports/{kind}").content

    def journal(self, campaign: str) -> bytes:
        """The whole campaign as one file, which every ``pressopt`` command reads."""
        return self._ask("GET", f"/campaigns/{_part(campaign)}/journal").content

    def take_in(self, journal: bytes, presses: Sequence[str] = ()) -> str:
        """Take in a campaign from one file and return its id."""
        answer = self._ask("POST", "/journals", content=journal, params={"presses": list(presses)})
        return str(answer.json()["id"])

    # ------------------------------------------------------------------ ask and tell

    def ask(self, campaign: str, count: int = 1) -> list[Asked]:
        """The next trials for your own press or robot."""
        answer = self._post(f"/campaigns/{_part(campaign)}/ask", {"count": count})
        return [
            Asked(campaign, one["trial"], one["settings"], one["reason"], one["protocol"], one["predicted"])
            for one in answer["trials"]
        ]

    def tell(
        self,
        campaign: str,
        trial: int,
        outcomes: Mapping[str, tuple[float, float]],
        *,
        failures: Sequence[str] = (),
        achieved: Mapping[str, float] | None = None,
        press: str = "by hand",
        note: str = "",
    ) -> None:
        """Tell what was measured on a cell (value and standard deviation by quantity), or how it failed."""
        body = {
            "outcomes": {name: {"value": value, "sd": sd} for name, (value, sd) in outcomes.items()},
            "failures": list(failures),
            "achieved": dict(achieved or {}),
            "press": press,
            "note": note,
        }
        self._post(f"/campaigns/{_part(campaign)}/trials/{trial}/tell", body)

    def pressed(
        self, campaign: str, trial: int, *, achieved: Mapping[str, float] | None = None, press: str = "by hand"
    ) -> None:
        """Tell that a cell was pressed; its spectrum follows."""
        body = {"achieved": dict(achieved or {}), "press": press}
        self._post(f"/campaigns/{_part(campaign)}/trials/{trial}/pressed", body)

    def upload_spectrum(self, campaign: str, trial: int, file: Path) -> Json:
        """Upload the spectrum of a pressed cell; the answer says what it means, or ``remeasure``."""
        path = f"/campaigns/{_part(campaign)}/trials/{trial}/spectra"
        answer = self._ask("POST", path, content=file.read_bytes(), params={"name": file.name})
        found: Json = answer.json()
        return found

    def attach(self, campaign: str, trial: int, name: str, data: bytes, *, note: str = "", by: str = "") -> None:
        """Keep a file with a trial."""
        path = f"/campaigns/{_part(campaign)}/trials/{trial}/files"
        self._ask("POST", path, content=data, params={"name": name, "note": note, "person": by})

    # ------------------------------------------------------------------ trials and people

    def trial(self, campaign: str, trial: int) -> Json:
        """One trial in full."""
        return self._get(f"/campaigns/{_part(campaign)}/trials/{trial}")

    def confirm(self, campaign: str, trial: int, *, by: str = "", press: str | None = None) -> None:
        """Say that the cell lies under the press; under which, where several work on the campaign."""
        self._post(f"/campaigns/{_part(campaign)}/trials/{trial}/confirm", {"by": by, "press": press})

    def reject(self, campaign: str, trial: int, *, reason: str = "rejected by a person", by: str = "") -> None:
        """Give a trial up."""
        self._post(f"/campaigns/{_part(campaign)}/trials/{trial}/reject", {"by": by, "reason": reason})

    def resolve(
        self,
        campaign: str,
        trial: int,
        action: Literal["discard", "measure", "done"],
        *,
        note: str = "",
        by: str = "",
        achieved: Mapping[str, float] | None = None,
        outcomes: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        """Say what was found after an interruption or a fault."""
        body = {
            "action": action,
            "note": note,
            "by": by,
            "achieved": dict(achieved or {}),
            "outcomes": {name: {"value": value, "sd": sd} for name, (value, sd) in (outcomes or {}).items()},
        }
        self._post(f"/campaigns/{_part(campaign)}/trials/{trial}/resolve", body)

    def answer(
        self,
        campaign: str,
        trial: int,
        question: int,
        *,
        action: str = "done",
        values: Mapping[str, float] | None = None,
        again: Mapping[str, float] | None = None,
        why: str = "",
        by: str = "",
    ) -> None:
        """Answer the open question of a trial at a manual press; each value is given twice."""
        body = {
            "question": question,
            "action": action,
            "values": dict(values or {}),
            "again": dict(again or {}),
            "why": why,
            "by": by,
        }
        self._post(f"/campaigns/{_part(campaign)}/trials/{trial}/answer", body)

    # ------------------------------------------------------------------ presses

    def presses(self) -> list[Json]:
        """All presses of the service with their state."""
        found: list[Json] = self._get("/presses")["presses"]
        return found

    def clear(self, press: str, *, note: str = "", by: str = "") -> None:
        """Allow motion again after a press was made safe."""
        self._post(f"/presses/{_part(press)}/clear", {"note": note, "by": by})

    def make_safe(self, press: str) -> None:
        """Break off what runs on a press and make it safe."""
        self._post(f"/presses/{_part(press)}/make-safe")

    def work(self, press: str) -> Json | None:
        """For runners: the next trial of a press, or None."""
        found: Json | None = self._post(f"/presses/{_part(press)}/work")["work"]
        return found

    def report(self, press: str, told: Mapping[str, Any]) -> Json:
        """For runners: tell how a press is and hand over its journal."""
        return self._post(f"/presses/{_part(press)}/report", told)

    # ------------------------------------------------------------------ events

    def events(self, campaign: str | None = None, after: int | None = None) -> Iterator[Happened]:
        """Yield events as they happen, over lost connections and restarts of the service; for ever.

        Args:
            campaign: Of this one, from its first event; None: of all, from now.
            after: From the event after this number.
        """
        path = "/events" if campaign is None else f"/campaigns/{_part(campaign)}/events"
        failed = 0
        while True:
            params = {"after": after} if after is not None else {}
            try:
                timeout = httpx.Timeout(_SILENCE_S)
                with self._http.stream("GET", path, params=params, timeout=timeout) as live:
                    if live.status_code != 200:
                        live.read()
                        raise _refusal(live)
                    failed = 0
                    for line in live.iter_lines():
                        if line.startswith("data: "):
                            event = Happened(**json.loads(line.removeprefix("data: ")))
                            yield event
                            after = event.number
            except httpx.TransportError as error:
                if failed >= len(_PAUSES_S):
                    raise self._unreachable(error) from error
                wall_pause_s(_PAUSES_S[failed])
                failed += 1

    # ------------------------------------------------------------------ who may do what

    def tokens(self) -> list[Json]:
        """Who may use the service."""
        found: list[Json] = self._get("/tokens")["tokens"]
        return found

    def create_token(self, name: str, role: Role) -> str:
        """Make a token and return it; it is shown this once."""
        return str(self._post("/tokens", {"name": name, "role": role})["token"])

    def revoke_token(self, name: str) -> None:
        """End a token."""
        self._send("DELETE", f"/tokens/{_part(name)}")

    def about(self) -> Json:
        """Versions, and who you are."""
        return self._get("/about")

    # ------------------------------------------------------------------ the wire

    def _get(self, path: str, **params: Any) -> Json:
        found: Json = self._ask("GET", path, params=params).json()
        return found

    def _post(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        found: Json = self._ask(method, path, **({"json": body} if body is not None else {})).json()
        return found

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request, again with the same key while the connection is lost."""
        headers = {"Idempotency-Key": secrets.token_hex(16)} if method != "GET" else {}
        for pause_s in (*_PAUSES_S, None):
            try:
                answer = self._http.request(method, path, headers=headers, **more)
                break
            except httpx.TransportError as error:
                if pause_s is None or isinstance(error, httpx.TimeoutException):
                    raise self._unreachable(error) from error
                wall_pause_s(pause_s)
        if answer.is_success:
            return answer
        raise _refusal(answer)

    def _unreachable(self, error: Exception) -> errors.ServiceError:
        told = str(error) or type(error).__name__
        return errors.ServiceError(f"the service at {self.url} cannot be reached: {told}")


def _refusal(answer: httpx.Response) -> errors.PressoptError:
    """Return the error that a refusal stands for: that of the library where it has one."""
    try:
        problem = answer.json()
        detail, kind = str(problem["detail"]), str(problem["type"]).rpartition(":")[2]
    except (ValueError, KeyError, TypeError):
        return errors.ServiceError(f"the service answered {answer.status_code}: {answer.text[:200]}")
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, (errors.InputError, errors.LimitError)):
        violations = [errors.Violation(one["where"], one["message"], one["line"]) for one in problem["errors"]]
        return found(violations)
    if isinstance(found, type) and issubclass(found, errors.PressoptError):
        return found(detail)
    if answer.status_code in {404, 422}:
        return errors.InputError(detail)
    return errors.ServiceError(detail)


def _part(name: str) -> str:
    """One part of a path, whatever it holds."""
    return quote(name, safe="")


def _row(row: Mapping[str, Any]) -> CampaignRow:
    return CampaignRow(
        id=row["id"],
        name=row["name"],
        title=row["title"],
        phase=row["phase"],
        budget=row["budget"],
        done=row["done"],
        in_flight=tuple(row["in_flight"]),
        asking=tuple(row["asking"]),
        presses=tuple(row["presses"]),
        priority=row["priority"],
        created_at=row["created_at"],
    )
