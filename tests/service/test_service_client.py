"""The typed client, and every word of the command line said to a service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pressopt.campaign.events import Attached, PressingStarted
from pressopt.cli import main
from pressopt.errors import ExperimentError, InputError, LifecycleError, ServiceError
from pressopt.service.client import Client
from pressopt.service.press_plan import PressPlan
from processes import experiment_file
from service_on_a_port import BY_HAND, QUANTITY, Served, experiment_text, served, wait_for


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def client(service: Served) -> Iterator[Client]:
    with Client(service.url) as one:
        yield one


def pressopt(service: Served, *words: str) -> int:
    """Say something on the command line and return its exit code."""
    with pytest.raises(SystemExit) as left:
        main(["--server", service.url, *words])
    return int(left.value.code or 0)


def test_a_robot_works_in_ten_lines(client: Client, tmp_path: Path) -> None:
    """Create, ask, tell, recommend: what a robot needs is one call each, with values and no JSON."""
    campaign = client.create(experiment_text(tmp_path, trials=3), name="robot.toml")
    for asked in client.ask(campaign, 2):
        pressure = float(asked.settings["lamination.pressure_mpa"])
        client.tell(campaign, asked.trial, {QUANTITY: (100.0 / pressure, 0.5)}, press="robot 7")
    (row,) = [one for one in client.campaigns() if one.id == campaign]
    assert (row.done, row.in_flight, row.budget) == (2, (), 3)
    assert client.recommendation(campaign)["recommendation"]["evidence"] == 2
    assert client.trial(campaign, 1)["press"] == "robot 7"


def test_refusals_are_the_librarys_own_errors(client: Client, tmp_path: Path) -> None:
    """What the library would raise is raised here, with all its mistakes; a service that is not there says so."""
    with pytest.raises(ExperimentError) as refused:
        client.create("[experiment]\ntitle = 3\n")
    assert len(refused.value.violations) > 1
    campaign = client.create(experiment_text(tmp_path))
    (asked,) = client.ask(campaign)
    client.reject(campaign, asked.trial)
    with pytest.raises(LifecycleError, match="rejected"):
        client.confirm(campaign, asked.trial)
    with pytest.raises(InputError, match="no trial 99"):
        client.confirm(campaign, 99)
    with pytest.raises(InputError):
        Client("ftp://nowhere")
    with Client("http://127.0.0.1:9") as lost, pytest.raises(ServiceError, match="cannot be reached"):
        lost.about()


def test_the_command_line_looks_at_a_service(
    service: Served,
    client: Client,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`show`, `plot`, `export` and `verify` with --server do what they do for a campaign on this disk."""
    monkeypatch.chdir(tmp_path)
    campaign = client.create(experiment_text(tmp_path), name="looked-at.toml")
    (asked,) = client.ask(campaign)
    client.tell(campaign, asked.trial, {QUANTITY: (12.0, 0.5)})
    assert pressopt(service, "show", campaign, "--json") == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown["trials"][0]["outcomes"][QUANTITY]["value"] == 12.0
    assert pressopt(service, "show", "looked-at", "1") == 0
    assert "12.0" in capsys.readouterr().out
    assert pressopt(service, "export", campaign, "--format", "csv") == 0
    assert (tmp_path / campaign / "trials.csv").exists()
    assert pressopt(service, "plot", campaign, "--what", "convergence") == 0
    assert (tmp_path / campaign / "convergence.png").exists()
    assert pressopt(service, "verify", campaign, "--json") == 0
    assert '"entries": 6' in capsys.readouterr().out
    assert pressopt(service, "show", "no-such") == 6


def test_people_say_the_same_words_to_a_service(
    service: Served, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`confirm`, `reject`, `pause`, `unpause` and `close` reach the campaign, with who said it."""
    campaign = client.create(experiment_text(tmp_path))
    first, second = client.ask(campaign, 2)
    at = ("--campaign", campaign, "--by", "Grace")
    assert pressopt(service, "confirm", str(first.trial), *at) == 0
    assert pressopt(service, "reject", str(second.trial), *at, "--note", "cracked") == 0
    assert pressopt(service, "pause", *at) == 0
    assert pressopt(service, "unpause", *at) == 0
    assert pressopt(service, "confirm", str(second.trial), *at) == 2
    assert pressopt(service, "close", *at) == 0
    assert client.campaign(campaign)["phase"] == "closed"
    actors = [(one["event"], one.get("by")) for one in client.trial(campaign, first.trial)["events"]]
    assert ("Loaded", "Grace (local)") in actors
    capsys.readouterr()


@pytest.mark.long
@pytest.mark.usefixtures("no_runner_stays")
def test_a_hand_press_is_worked_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`confirm --press`, `answer` and `attach` reach a person's question at a press, and its cell."""
    text = experiment_file(tmp_path, trials=1, changes=BY_HAND).read_text()
    presses = (PressPlan("left"), PressPlan("right"))
    with served(tmp_path / "store", presses=presses) as service, Client(service.url) as client:
        campaign = client.create(text, presses=["*"])
        at = ("--campaign", campaign, "--by", "Grace")
        wait_for(lambda: client.campaign(campaign)["in_flight"], "a proposal")
        assert pressopt(service, "confirm", "1", *at) == 2
        assert "say under which press" in capsys.readouterr().err
        assert pressopt(service, "confirm", "1", "--press", "right", *at) == 0
        wait_for(lambda: client.trial(campaign, 1)["question"], "a question")
        question = client.trial(campaign, 1)["question"]
        capsys.readouterr()
        assert pressopt(service, "answer", "1", *at) == 0
        assert question["title"] in capsys.readouterr().out
        values = [f"{one['name']}={one.get('asked', max(one['low'], 0))}" for one in question["fields"]]
        again = [word for value in values for word in ("--again", value)]
        assert pressopt(service, "answer", "1", *values, *again, "--why", "as read", *at) == 0
        photograph = tmp_path / "cell.png"
        photograph.write_bytes(b"a photograph")
        assert pressopt(service, "attach", "1", str(photograph), *at) == 0

        def told() -> list[str]:
            return [one["event"] for one in client.trial(campaign, 1)["events"]]

        wait_for(lambda: "PersonAnswered" in told() and "Attached" in told(), "both to be written down")
        events = [row.entry().event for row in service.ledger.rows(campaign)]
        assert [one.by for one in events if isinstance(one, Attached)] == ["Grace (local)"]
        assert {one.press for one in events if isinstance(one, PressingStarted)} == {"right"}
