"""Tells people when one of them is needed, by e-mail and webhook; a receiver that is down delays nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
import smtplib
import ssl
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from pressopt.campaign import events as e
from pressopt.errors import InputError, Violation
from pressopt.service.acts import Placement
from pressopt.service.host import Host
from pressopt.service.hosted import Hosted
from pressopt.service.press_plan import PressPlan

_LOG = logging.getLogger("pressopt.notices")
#: Pauses before a notice is sent again, s of wall time; after the last one it is given up, and logged.
PAUSES_S = (1.0, 5.0, 30.0, 120.0)
#: How long a receiver may take, s.
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Notice:
    """Why somebody is needed.

    Attributes:
        kind: ``needs-person``, ``press-safe``, ``press-lost``, ``load-cell``, ``closed`` or ``paused``.
        campaign, name: Which campaign, and what its people call it.
        text: What happened, and what to do.
        trial: Which trial, where one is concerned.
        press: Which press, where one is concerned.
    """

    kind: str
    campaign: str
    name: str
    text: str
    trial: int | None = None
    press: str = ""

    def document(self) -> dict[str, Any]:
        """What a webhook is sent."""
        return {
            "schema": "pressopt/notice/1",
            "kind": self.kind,
            "campaign": self.campaign,
            "name": self.name,
            "text": self.text,
            "trial": self.trial,
            "press": self.press,
        }


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who is told.

    Attributes:
        webhooks: Addresses to which each notice is posted as JSON.
        smtp: ``smtp://host:port``, or ``smtps://`` for TLS from the start; empty: no e-mail.
        sender: Address in From.
        to: Addresses in To.
        user, password: Where the mail server wants them.
    """

    webhooks: tuple[str, ...] = ()
    smtp: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    user: str = ""
    password: str = ""


def read_receivers(path: Path) -> Receivers:
    """Read who is told from a TOML file: ``webhooks`` and ``[mail]`` with smtp, sender, to, user, password.

    Raises:
        InputError: Everything that is wrong with it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError([Violation("", f"cannot be read: {error}")], source=str(path)) from error
    wrong = [Violation(key, "is unknown: use webhooks and mail") for key in raw if key not in {"webhooks", "mail"}]
    webhooks, mail = raw.get("webhooks", []), raw.get("mail", {})
    if not (isinstance(webhooks, list) and all(_is_address(one, {"http", "https"}) for one in webhooks)):
        wrong.append(Violation("webhooks", 'write a list of addresses: ["https://host/path"]'))
    known = {"smtp", "sender", "to", "user", "password"}
    wrong += [
        Violation(f"mail.{key}", f"is unknown: use {', '.join(sorted(known))}") for key in mail if key not in known
    ]
    if mail and not _is_address(mail.get("smtp"), {"smtp", "smtps"}):
        wrong.append(Violation("mail.smtp", "write smtp://host:port or smtps://host:port"))
    if mail and not ("@" in str(mail.get("sender", "")) and mail.get("to")):
        wrong.append(Violation("mail", 'needs sender = "press@lab" and to = ["people@lab"]'))
    if wrong:
        raise InputError(wrong, source=str(path))
    texts = {key: str(mail.get(key, "")) for key in ("smtp", "sender", "user", "password")}
    return Receivers(tuple(webhooks), to=tuple(mail.get("to", ())), **texts)


def _is_address(text: object, schemes: set[str]) -> bool:
    if not isinstance(text, str):
        return False
    parts = urlsplit(text)
    return parts.scheme in schemes and bool(parts.hostname)


def notices_of(hosted: Hosted, events: Sequence[e.Event], *, by_person: bool) -> list[Notice]:
    """Return what people are to be told of these events; nothing for most.

    ``by_person``: whether people put the cells of this campaign under its press.
    """
    found = []
    for event in events:
        told = _told(event, by_person=by_person)
        if told is not None:
            kind, text = told
            found.append(
                Notice(
                    kind,
                    hosted.id,
                    hosted.experiment.title,
                    text,
                    trial=event.trial if isinstance(event, e.TrialEvent) else None,
                    press=event.press if isinstance(event, e.PressEvent) else "",
                )
            )
    return found


def _told(event: e.Event, *, by_person: bool) -> tuple[str, str] | None:
    match event:
        case e.Faulted() | e.Interrupted():
            return "needs-person", (
                f"trial {event.trial}: {event.reason}. Look at press and cell, then say what you found (resolve)"
            )
        case e.PressMadeSafe():
            return "press-safe", f"press '{event.press}' was made safe: {event.reason}. Look at it, then clear it"
        case e.PressLost():
            return "press-lost", f"press '{event.press}' does not answer: {event.reason}"
        case e.Proposed() if by_person:
            return "load-cell", f"trial {event.trial} waits: put its cell under the press and confirm"
        case e.PersonAsked() if event.number == 1:
            return "load-cell", f"trial {event.trial} waits for a person at the press"
        case e.CampaignClosed():
            return "closed", f"the campaign has ended: {event.reason}"
        case e.CampaignPaused():
            return "paused", f"the campaign is paused: {event.reason or 'no reason given'}"
        case _:
            return None


class Notices:
    """Sends notices beside the service's own work."""

    def __init__(self, host: Host, receivers: Receivers, plans: Sequence[PressPlan]) -> None:
        self._host = host
        self._plans = plans
        self._receivers = receivers
        host.after_write.append(self._on_write)

    def _on_write(self, hosted: Hosted | None, events: Sequence[e.Event]) -> None:
        if hosted is None:
            return
        placement, experiment = self._host.state.placements.get(hosted.id, Placement()), hosted.experiment
        able = [one for one in self._plans if placement.allows(one.name) and one.suits(experiment)]
        by_person = any(plan.by_person(experiment) for plan in able)
        for notice in notices_of(hosted, events, by_person=by_person):
            for address in self._receivers.webhooks:
                self._host.spawn(self._send(f"webhook {address}", notice, lambda n, a=address: _post(a, n)))
            if self._receivers.smtp:
                self._host.spawn(self._send("e-mail", notice, lambda n: _mail(self._receivers, n)))

    async def _send(self, where: str, notice: Notice, send: Any) -> None:
        """Send one notice, again after a pause where that fails."""
        for pause_s in (*PAUSES_S, None):
            try:
                await asyncio.to_thread(send, notice)
                return
            except (OSError, smtplib.SMTPException, httpx.HTTPError) as error:
                if pause_s is None:
                    _LOG.error("%s: a notice could not be sent (%s): %s", where, error, notice.text)
                    return
                await asyncio.sleep(pause_s)


def _post(address: str, notice: Notice) -> None:
    answer = httpx.post(address, json=notice.document(), timeout=_TIMEOUT_S)
    answer.raise_for_status()


def _mail(receivers: Receivers, notice: Notice) -> None:
    message = EmailMessage()
    message["From"], message["To"] = receivers.sender, ", ".join(receivers.to)
    title = " ".join(f"pressopt: {notice.kind}, {notice.name}".split())  # a header is one line
    message["Subject"] = title[:150]
    message.set_content(
        f"{notice.text}\n\ncampaign: {notice.campaign}\n{json.dumps(notice.document(), indent=1)}\n"
    )
    parts = urlsplit(receivers.smtp)
    tls = parts.scheme == "smtps"
    port = parts.port or (465 if tls else 25)
    if tls:
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            parts.hostname or "", port, timeout=_TIMEOUT_S, context=ssl.create_default_context()
        )
    else:
        server = smtplib.SMTP(parts.hostname or "", port, timeout=_TIMEOUT_S)
    with server:
        if not tls and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
        if receivers.user:
            server.login(receivers.user, receivers.password)
        server.send_message(message)
