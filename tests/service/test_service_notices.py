"""People are told when one of them is needed: by e-mail and webhook, against receivers on this machine."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest

from pressopt.errors import InputError
from pressopt.service import notices
from pressopt.service.client import Client
from pressopt.service.notices import Receivers, read_receivers
from service_on_a_port import QUANTITY, experiment_text, served, wait_for


class MailSink:
    """A mail server that takes every message and keeps it; speaks as much SMTP as a client needs."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            with line, line.makefile("rw", encoding="utf-8", newline="\r\n") as talk:
                self._talk(talk)

    def _talk(self, talk: Any) -> None:
        def say(text: str) -> None:
            talk.write(text + "\r\n")
            talk.flush()

        say("220 sink")
        while word := talk.readline().strip():
            if word.upper() == "DATA":
                say("354 go on")
                body = []
                while (text := talk.readline().rstrip("\r\n")) != ".":
                    body.append(text)
                self.messages.append("\n".join(body))
            if word.upper() == "QUIT":
                say("221 bye")
                return
            say("250 ok")

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def mail() -> Iterator[MailSink]:
    sink = MailSink()
    yield sink
    sink.close()


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver that refuses the first notice, as one that is being restarted does."""
    got: list[dict[str, Any]] = []
    refused: list[int] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = 204 if refused else 503
            if refused:
                got.append(body)
            refused.append(1)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/notices", got
    server.shutdown()
    server.server_close()


def test_people_are_told_when_one_is_needed(
    tmp_path: Path,
    mail: MailSink,
    webhook: tuple[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pause and the end of a campaign reach mail server and webhook, also one that was down at first."""
    monkeypatch.setattr(notices, "PAUSES_S", (0.1, 0.1, 0.1))
    url, got = webhook
    receivers = Receivers((url,), mail.url, "press@lab.example", ("ada@lab.example", "max@lab.example"))
    with served(tmp_path / "store", receivers=receivers) as service, Client(service.url) as client:
        campaign = client.create(experiment_text(tmp_path))
        (asked,) = client.ask(campaign)
        client.tell(campaign, asked.trial, {QUANTITY: (12.0, 0.5)})
        client.pause(campaign, "the glovebox leaks")
        client.close_campaign(campaign, "enough")
        wait_for(lambda: len(got) == 2 and len(mail.messages) == 2, "two notices by both ways")
    assert {one["kind"] for one in got} == {"paused", "closed"}
    paused = next(one for one in got if one["kind"] == "paused")
    assert (paused["campaign"], paused["text"]) == (campaign, "the campaign is paused: the glovebox leaks")
    letters = [message_from_string(text, policy=policy.default) for text in mail.messages]
    assert {letter["To"] for letter in letters} == {"ada@lab.example, max@lab.example"}
    assert any("paused" in letter["Subject"] for letter in letters)
    assert any("enough" in letter.get_content() for letter in letters)


def test_a_receiver_that_is_gone_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody receives, campaigns go on; the service ends without waiting for it."""
    monkeypatch.setattr(notices, "PAUSES_S", ())
    receivers = Receivers(("http://127.0.0.1:9/",), "smtp://127.0.0.1:9", "a@b", ("c@d",))
    with served(tmp_path / "store", receivers=receivers) as service, Client(service.url) as client:
        campaign = client.create(experiment_text(tmp_path))
        for _ in range(3):
            client.pause(campaign)
            client.resume(campaign)
        assert client.campaign(campaign)["phase"] == "open"


def test_the_file_of_receivers_tells_all_mistakes(tmp_path: Path) -> None:
    """A wrong file is refused with every mistake; a right one is read."""
    file = tmp_path / "notify.toml"
    file.write_text('webhooks = ["nowhere"]\npager = 1\n[mail]\nsmtp = "x"\ncolour = "red"\n')
    with pytest.raises(InputError) as refused:
        read_receivers(file)
    assert {one.where for one in refused.value.violations} == {
        "pager",
        "webhooks",
        "mail.colour",
        "mail.smtp",
        "mail",
    }
    file.write_text(
        'webhooks = ["https://chat.example/x"]\n[mail]\nsmtp = "smtps://mail.example"\n'
        'sender = "press@lab.example"\nto = ["ada@lab.example"]\n'
    )
    found = read_receivers(file)
    assert (found.webhooks, found.to) == (("https://chat.example/x",), ("ada@lab.example",))
