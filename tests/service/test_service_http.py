"""The HTTP interface: campaigns, ask and tell, files and spectra, events; what is repeated is done once."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pressopt.campaign.journal import digest_of
from pressopt.campaign.replay import CampaignState
from pressopt.export.answer import Answer
from pressopt.service.hosted import Hosted
from pressopt.service.looking import Looking
from pressopt.store import SqliteJournal
from service_on_a_port import QUANTITY, Served, experiment_text, served, told


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service for all tests here; each opens campaigns of its own."""
    with served(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def campaign(service: Served, tmp_path: Path) -> str:
    """A fresh campaign for asking and telling."""
    return opened(service, experiment_text(tmp_path))


def opened(service: Served, text: str, **more: Any) -> str:
    answer = service.http.post("/campaigns", json={"experiment": text, "name": "short.toml", **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ask(service: Served, campaign: str, **headers: str) -> int:
    answer = service.http.post(f"/campaigns/{campaign}/ask", headers=headers)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["trials"][0]["trial"])


def events(service: Served, campaign: str, after: int = 0) -> list[dict[str, Any]]:
    text = service.http.get(f"/campaigns/{campaign}/events", params={"after": after, "follow": False}).text
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


def spectrum_file() -> bytes:
    """A clean spectrum of a cell (bulk 20 Ω, interface 30 Ω) as a table."""
    frequency = np.geomspace(1e6, 1.0, 61)
    z = 20.0 + 30.0 / (1 + 1j * 2 * np.pi * frequency * 30.0 * 2e-6)
    text = io.StringIO()
    text.write("frequency/Hz,Re(Z)/Ohm,Im(Z)/Ohm\n")
    for f, value in zip(frequency, z, strict=True):
        text.write(f"{f:.6g},{value.real:.6g},{value.imag:.6g}\n")
    return text.getvalue().encode()


def test_a_campaign_is_asked_and_told_to_its_end(service: Served, tmp_path: Path) -> None:
    """Ask, press on one's own press, tell; after the budget the campaign closes itself with a recommendation."""
    campaign = opened(service, experiment_text(tmp_path, trials=3))
    for expected in (1, 2, 3):
        number = ask(service, campaign)
        assert number == expected
        answer = service.http.post(f"/campaigns/{campaign}/trials/{number}/tell", json=told(10.0 + number))
        assert answer.status_code == 200
    spent = service.http.post(f"/campaigns/{campaign}/ask")
    assert spent.status_code == 409
    stream = service.http.stream("GET", f"/campaigns/{campaign}/events", timeout=60.0)
    with stream as live:
        assert any(line == "event: CampaignClosed" for line in live.iter_lines())
    document = service.http.get(f"/campaigns/{campaign}").json()
    assert (document["phase"], document["done"], document["complete"]) == ("closed", 3, True)
    found = service.http.get(f"/campaigns/{campaign}/recommendation").json()
    assert found["protocol"]["stages"][0]["name"] == "lamination"


def test_the_same_key_gives_the_same_answer_once(service: Served, campaign: str) -> None:
    """A client that repeats a request after a lost answer gets that answer, and nothing is done twice."""
    first = service.http.post(f"/campaigns/{campaign}/ask", headers={"Idempotency-Key": "lost"})
    again = service.http.post(f"/campaigns/{campaign}/ask", headers={"Idempotency-Key": "lost"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert service.http.get(f"/campaigns/{campaign}").json()["in_flight"] == [1]
    other = service.http.post(f"/campaigns/{campaign}/ask", headers={"Idempotency-Key": "lost"}, json={"count": 2})
    assert other.status_code == 422
    assert "another request" in other.json()["detail"]


def test_a_trial_told_twice_is_one(service: Served, campaign: str) -> None:
    """The same result again changes nothing; another result for the same trial is refused."""
    number = ask(service, campaign)
    path = f"/campaigns/{campaign}/trials/{number}/tell"
    assert service.http.post(path, json=told(12.0)).status_code == 200
    before = events(service, campaign)
    assert service.http.post(path, json=told(12.0)).status_code == 200
    refused = service.http.post(path, json=told(13.0))
    assert refused.status_code == 409
    assert events(service, campaign) == before


def test_all_mistakes_are_told_at_once(service: Served, campaign: str) -> None:
    """A result with several mistakes is refused with every one of them, as problem details."""
    number = ask(service, campaign)
    answer = service.http.post(
        f"/campaigns/{campaign}/trials/{number}/tell",
        json={
            "outcomes": {"colour": {"value": 1, "sd": 1}, QUANTITY: {"value": -3, "sd": 0}},
            "failures": ["boredom"],
            "achieved": {"phase of the moon": 1},
        },
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    where = [one["where"] for one in answer.json()["errors"]]
    expected = ["outcomes.colour", f"outcomes.{QUANTITY}.value", f"outcomes.{QUANTITY}.sd", "failures"]
    assert where == [*expected, "achieved.phase of the moon"]


def test_a_wrong_experiment_names_every_line(service: Served, tmp_path: Path) -> None:
    """The mistakes of an experiment file come with their lines; a file of the server's own disk is never named."""
    text = experiment_text(tmp_path)
    wrong = text.replace('high = "100 MPa"', 'high = "100 bananas"').replace("trials = 5", "trials = -1")
    answer = service.http.post("/experiments/check", json={"experiment": wrong})
    assert answer.status_code == 422
    assert len([one for one in answer.json()["errors"] if one["line"]]) == 2
    theirs = text + '\n[materials]\nfile = "../../secret.toml"\n'
    refused = service.http.post("/campaigns", json={"experiment": theirs})
    assert refused.status_code == 422
    assert "reads no files of its own" in refused.json()["detail"]


def test_an_uploaded_spectrum_ends_a_trial(service: Served, campaign: str) -> None:
    """Pressed by hand, measured anywhere: the spectrum is judged as a runner would, and kept as it came."""
    number = ask(service, campaign)
    base = f"/campaigns/{campaign}/trials/{number}"
    early = service.http.post(f"{base}/spectra", params={"name": "cell.csv"}, content=spectrum_file())
    assert early.status_code == 409
    assert service.http.post(f"{base}/pressed", json={"press": "Anna's press"}).status_code == 200
    answer = service.http.post(f"{base}/spectra", params={"name": "cell.csv"}, content=spectrum_file())
    assert answer.status_code == 201
    assert answer.json()["phase"] == "done"
    resistance = answer.json()["outcomes"][QUANTITY]["value"]
    assert resistance == pytest.approx(30.0 * 1.2668 / 2, rel=0.05)
    (points,) = service.http.get(f"{base}/spectra").json()["spectra"]
    assert points["real_ohm"][-1] == pytest.approx(50.0, rel=0.01)
    (kept,) = service.http.get(f"{base}/files").json()["files"]
    assert kept["sha256"] == digest_of(spectrum_file())
    assert service.http.get(f"{base}/files/{kept['sha256']}").content == spectrum_file()
    assert service.http.get(base).json()["press"] == "Anna's press"


def test_every_format_is_analysed_without_a_campaign(service: Served) -> None:
    """What `pressopt eis` reads can be uploaded for analysis: each file of the readers' own tests."""
    folder = Path(__file__).parents[1] / "impedance" / "data"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".md", ".json"})
    assert files
    for file in files:
        answer = service.http.post("/spectra/analysis", params={"name": file.name}, content=file.read_bytes())
        assert answer.status_code in {200, 422}, (file.name, answer.text)
    read = service.http.post("/spectra/analysis", content=spectrum_file(), params={"area_cm2": 1.0})
    assert read.json()["spectra"][0]["interfacial_resistance_ohm_cm2"] == pytest.approx(15.0, rel=0.05)


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "a/b.csv", "a\\b.csv", "\x00.csv", "x" * 300])
def test_a_path_is_no_name(service: Served, campaign: str, name: str) -> None:
    """A name that could be a path, or is no name at all, is refused."""
    number = ask(service, campaign)
    answer = service.http.post(f"/campaigns/{campaign}/trials/{number}/files", params={"name": name}, content=b"x")
    assert answer.status_code == 422


def test_paused_campaigns_propose_nothing(service: Served, campaign: str) -> None:
    """Pause, resume and close do what they say; pausing twice is harmless."""
    for _ in range(2):
        assert service.http.post(f"/campaigns/{campaign}/pause", json={"reason": "lunch"}).status_code == 200
    assert service.http.post(f"/campaigns/{campaign}/ask").status_code == 409
    assert service.http.post(f"/campaigns/{campaign}/resume").status_code == 200
    ask(service, campaign)
    assert service.http.post(f"/campaigns/{campaign}/close").status_code == 200
    assert service.http.get(f"/campaigns/{campaign}").json()["phase"] == "closed"
    kinds = [one["event"] for one in events(service, campaign)]
    assert kinds == [
        "CampaignOpened",
        "CampaignPaused",
        "CampaignContinued",
        "Proposed",
        "TrialRejected",
        "CampaignClosed",
    ]


def test_a_lost_stream_goes_on_where_it_was(service: Served, campaign: str) -> None:
    """After a lost connection Last-Event-ID brings everything since, nothing twice and nothing missing."""
    number = ask(service, campaign)
    first = events(service, campaign)
    service.http.post(f"/campaigns/{campaign}/trials/{number}/tell", json=told())
    headers = {"Last-Event-ID": str(first[-1]["number"])}
    with service.http.stream("GET", f"/campaigns/{campaign}/events", headers=headers) as live:
        data = (line for line in live.iter_lines() if line.startswith("data: "))
        later = [json.loads(line.removeprefix("data: ")) for line in itertools.islice(data, 4)]
    assert [one["event"] for one in later] == ["Loaded", "PressingStarted", "PressingFinished", "Measured"]
    assert [one["seq"] for one in first + later] == [1, 2, 3, 4, 5, 6]


def test_a_campaign_travels_as_one_file(service: Served, campaign: str, tmp_path: Path) -> None:
    """The downloaded file is a journal that stands by itself; taken in elsewhere it is the same, once."""
    number = ask(service, campaign)
    base = f"/campaigns/{campaign}/trials/{number}"
    service.http.post(f"{base}/files", params={"name": "photo.jpg"}, content=b"a photograph")
    service.http.post(f"{base}/tell", json=told())
    data = service.http.get(f"/campaigns/{campaign}/journal").content
    path = tmp_path / "journal.sqlite"
    path.write_bytes(data)
    journal = SqliteJournal.read(path)
    assert journal.verify() == 7
    assert journal.blob(digest_of(b"a photograph")) == b"a photograph"
    journal.close()
    with served(tmp_path / "elsewhere") as other:
        for _ in range(2):
            answer = other.http.post("/journals", content=data)
            assert answer.status_code == 201
        (row,) = other.http.get("/campaigns").json()["campaigns"]
        assert row["done"] == 1
        there = other.http.get(f"/campaigns/{row['id']}/events", params={"follow": False}).text
        assert there.count("data: ") == 7
        assert other.http.post("/journals", content=data.replace(b"12.0", b"13.0")).status_code == 422


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    """Stopped and started again, the service knows campaigns, trials, keys and events as before."""
    with served(tmp_path / "store") as service:
        campaign = opened(service, experiment_text(tmp_path))
        first = service.http.post(f"/campaigns/{campaign}/ask", headers={"Idempotency-Key": "k"}).json()
        service.http.post(f"/campaigns/{campaign}/trials/1/tell", json=told())
        before = service.http.get(f"/campaigns/{campaign}").json(), events(service, campaign)
    with served(tmp_path / "store") as service:
        assert (service.http.get(f"/campaigns/{campaign}").json(), events(service, campaign)) == before
        again = service.http.post(f"/campaigns/{campaign}/ask", headers={"Idempotency-Key": "k"})
        assert again.json() == first
        assert service.ledger.verify()[campaign] == before[0]["last_seq"]


def test_exports_and_pictures_are_those_of_the_command_line(service: Served, campaign: str) -> None:
    """Protocol, sheet, table and pictures come over HTTP, to be saved, never shown as a page."""
    number = ask(service, campaign)
    empty = service.http.get(f"/campaigns/{campaign}/recommendation")
    assert empty.status_code == 409
    service.http.post(f"/campaigns/{campaign}/trials/{number}/tell", json=told())
    for kind in ("json", "html", "text", "csv"):
        answer = service.http.get(f"/campaigns/{campaign}/exports/{kind}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
    picture = service.http.get(f"/campaigns/{campaign}/pictures/convergence", params={"kind": "png"})
    assert picture.content.startswith(b"\x89PNG")
    assert service.http.get(f"/campaigns/{campaign}/pictures/nyquist").status_code == 409


def test_what_was_thought_once_serves_everybody(
    service: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many watch, the engine is asked once for each state of a campaign, and anew after a result."""
    asked: list[int] = []
    found = Looking._found

    async def counted(looking: Looking, hosted: Hosted, state: CampaignState) -> Answer:
        asked.append(state.last_seq)
        return await found(looking, hosted, state)

    monkeypatch.setattr(Looking, "_found", counted)
    made = opened(service, experiment_text(tmp_path))
    for trial in (1, 2):
        service.http.post(f"/campaigns/{made}/ask")
        service.http.post(f"/campaigns/{made}/trials/{trial}/tell", json=told())
        answers = [service.http.get(f"/campaigns/{made}/recommendation").json() for _ in range(3)]
        assert answers[0]["recommendation"]["evidence"] == trial
        assert answers[1:] == answers[:2]
    assert len(asked) == 2


def test_what_waits_for_a_person_is_listed(service: Served, tmp_path: Path) -> None:
    """Of many campaigns those are told apart in which a cell is to be loaded; confirmed, it waits no more."""
    text = experiment_text(tmp_path)
    robot = opened(service, text)
    by_hand = opened(service, text.replace("[laboratory]", '[laboratory]\nloading = "person"'))
    for campaign in (robot, by_hand):
        assert ask(service, campaign) == 1

    def waiting() -> dict[str, list[int]]:
        rows = service.http.get("/campaigns", params={"waiting": True}).json()["campaigns"]
        return {row["id"]: row["waiting"] for row in rows}

    assert waiting().get(by_hand) == [1]
    assert robot not in waiting()
    service.http.post(f"/campaigns/{by_hand}/trials/1/confirm")
    assert by_hand not in waiting()
