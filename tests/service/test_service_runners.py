"""Runners: one process for each press, several on one campaign, over kills and restarts; nothing pressed twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pressopt.campaign.experiment_file import read_experiment
from pressopt.errors import InputError, LifecycleError
from pressopt.service.client import Client
from pressopt.service.press_plan import PressPlan, read_presses
from service_on_a_port import Served, experiment_text, served, wait_for

TWINS = (PressPlan("left"), PressPlan("right"))
ONE = (PressPlan("left"),)


pytestmark = pytest.mark.usefixtures("no_runner_stays")


def pid_of(client: Client, press: str) -> int | None:
    found = next(one for one in client.presses() if one["name"] == press)
    return found["runner"]["pid"] if found["runner"] and found["state"] != "gone" else None


def kinds(service: Served, campaign: str) -> list[tuple[str, dict[str, Any]]]:
    return [(row.kind, row.entry().event) for row in service.ledger.rows(campaign)]  # type: ignore[misc]


def test_two_presses_share_a_campaign(tmp_path: Path) -> None:
    """Each trial is pressed once, by one of them; while one presses, the other gets another trial."""
    with served(tmp_path / "store", presses=TWINS) as service, Client(service.url) as client:
        campaign = client.create(experiment_text(tmp_path, trials=4), presses=["*"])
        wait_for(lambda: client.campaign(campaign)["phase"] == "closed", "the campaign to end", within_s=120.0)
        trials = client.campaign(campaign)["trials"]
        assert [one["trial"] for one in trials] == [1, 2, 3, 4]
        started = [event for kind, event in kinds(service, campaign) if kind == "PressingStarted"]
        assert len({one.trial for one in started}) == len(started) == 4  # type: ignore[attr-defined]
        assert {one.press for one in started} == {"left", "right"}  # type: ignore[attr-defined]
        settings = [tuple(one["asked"].values()) for one in trials]
        assert len(set(settings)) == 4
        record = service.http.get(f"/campaigns/{campaign}/trials/1/record").json()
        assert max(record["pressure_mpa"]) > 1.0
        assert service.http.get(f"/campaigns/{campaign}/trials/1/spectra").json()["spectra"]
        assert service.ledger.verify()[campaign] == client.campaign(campaign)["last_seq"]


def test_a_killed_runner_is_asked_about(tmp_path: Path) -> None:
    """Killed in the middle of a pressing: the trial is uncertain, a person says what was found, and it goes on."""
    with served(tmp_path / "store", presses=ONE) as service, Client(service.url) as client:
        campaign = client.create(experiment_text(tmp_path, trials=2), presses=["left"])
        for event in client.events(campaign):
            if event.event == "PressingStarted":
                break
        pid = pid_of(client, "left")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: client.campaign(campaign)["asking"] or client.campaign(campaign)["done"], "an answer")
        asking = client.campaign(campaign)["asking"]
        if asking:  # else it had pressed and measured before the signal came
            assert client.trial(campaign, asking[0])["phase"] == "uncertain"
            wait_for(lambda: pid_of(client, "left") not in {None, pid}, "another runner")
            client.resolve(campaign, asking[0], "discard", note="looked at it")
        wait_for(lambda: client.campaign(campaign)["phase"] == "closed", "the campaign to end", within_s=120.0)
        started = [event.trial for kind, event in kinds(service, campaign) if kind == "PressingStarted"]  # type: ignore[attr-defined]
        assert len(set(started)) == len(started)


def test_a_runner_survives_its_service(tmp_path: Path) -> None:
    """The service goes and comes back: the same process runs the press, and everything it did is there once."""
    with served(tmp_path / "store", presses=ONE) as service, Client(service.url) as client:
        campaign = client.create(experiment_text(tmp_path, trials=3), presses=["left"])
        wait_for(lambda: client.campaign(campaign)["done"] >= 1, "a trial")
        pid = pid_of(client, "left")
    with served(tmp_path / "store", presses=ONE) as service, Client(service.url) as client:
        wait_for(lambda: client.campaign(campaign)["phase"] == "closed", "the campaign to end", within_s=120.0)
        assert pid_of(client, "left") == pid
        started = [event.trial for kind, event in kinds(service, campaign) if kind == "PressingStarted"]  # type: ignore[attr-defined]
        assert started == [1, 2, 3]
        assert [one["done"] for one in service.http.get("/campaigns").json()["campaigns"]] == [3]


def test_a_person_is_waited_for_without_holding_the_press(tmp_path: Path) -> None:
    """A campaign that waits for somebody to load a cell lets the press work on another one meanwhile."""
    by_hand = experiment_text(tmp_path, trials=1).replace("[laboratory]", '[laboratory]\nloading = "person"')
    with served(tmp_path / "store", presses=TWINS) as service, Client(service.url) as client:
        waiting = client.create(by_hand, presses=["*"], priority=5)
        wait_for(lambda: client.campaign(waiting)["in_flight"] == [1], "a proposal")
        other = client.create(experiment_text(tmp_path, trials=1), presses=["*"])
        wait_for(lambda: client.campaign(other)["phase"] == "closed", "the other campaign to end", within_s=120.0)
        assert client.trial(waiting, 1)["phase"] == "proposed"
        with pytest.raises(LifecycleError, match="say under which press"):
            client.confirm(waiting, 1, by="Ada")
        client.confirm(waiting, 1, by="Ada", press="right")
        wait_for(lambda: client.campaign(waiting)["phase"] == "closed", "the first one to end", within_s=120.0)
        loaded = [event.by for kind, event in kinds(service, waiting) if kind == "Loaded"]  # type: ignore[attr-defined]
        assert loaded == ["Ada (local)"]
        assert client.trial(waiting, 1)["press"] == "right"
        with pytest.raises(LifecycleError):
            client.confirm(waiting, 1)


def test_the_file_of_presses_tells_all_mistakes(tmp_path: Path) -> None:
    """A file that declares presses wrongly is refused with every mistake; a right one gives their plans."""
    file = tmp_path / "presses.toml"
    file.write_text(
        '["a/b"]\nkind = "twin"\n[left]\npress = { profile = "no-such" }\ncolour = "red"\n'
        '[right]\nkind = "robot"\nloading = "never"\n'
    )
    with pytest.raises(InputError) as refused:
        read_presses(file)
    where = {one.where for one in refused.value.violations}
    assert {"a/b", "left.press.profile", "left.colour", "left", "right.kind", "right.loading"} <= where
    file.write_text(
        '[left]\nloading = "automatic"\n'
        'press = { profile = "generic-plc-press-tcp", url = "tcp://10.0.0.9:502" }\n'
        'analyzer = { profile = "generic-methodscript-analyzer", url = "/dev/ttyACM0" }\n'
        '[virtual]\nkind = "twin"\n'
    )
    left, virtual = read_presses(file)
    by_hand = read_experiment(
        experiment_text(tmp_path).replace("[laboratory]", '[laboratory]\nloading = "person"'), tmp_path / "x.toml"
    )
    assert (left.by_person(by_hand), virtual.by_person(by_hand)) == (False, True)
    assert (left.kind, left.devices["press"].url, virtual.kind) == ("bench", "tcp://10.0.0.9:502", "twin")


def test_a_press_made_safe_takes_nothing_before_it_is_cleared(tmp_path: Path) -> None:
    """Made safe on request, the press works on no campaign at all until a person has cleared it."""
    with served(tmp_path / "store", presses=ONE) as service, Client(service.url) as client:
        first = client.create(experiment_text(tmp_path, trials=1), presses=["left"])
        wait_for(lambda: client.campaign(first)["phase"] == "closed", "a campaign to end", within_s=120.0)
        with pytest.raises(LifecycleError, match="not in the safe state"):
            client.clear("left")
        client.make_safe("left")
        wait_for(lambda: client.presses()[0]["state"] == "safe", "the press to be safe")
        second = client.create(experiment_text(tmp_path, trials=1), presses=["left"])
        client.clear("left", note="looked at it", by="Ada")
        wait_for(lambda: client.campaign(second)["phase"] == "closed", "the other campaign to end", within_s=120.0)
        told = [kind for kind, _ in kinds(service, first)]
        assert told[-2:] == ["PressMadeSafe", "FaultCleared"]
        assert service.ledger.rows(first)[-1].actor == "local"


def test_a_stopped_campaign_gives_up_what_waits(tmp_path: Path) -> None:
    """`stop` pauses, and what is not pressed yet is given up; resumed, it goes on with other trials."""
    by_hand = experiment_text(tmp_path, trials=1).replace("[laboratory]", '[laboratory]\nloading = "person"')
    with served(tmp_path / "store", presses=ONE) as service, Client(service.url) as client:
        campaign = client.create(by_hand, presses=["*"])
        wait_for(lambda: client.campaign(campaign)["in_flight"] == [1], "a proposal")
        client.stop(campaign, "fire drill")
        assert client.campaign(campaign)["phase"] == "paused"
        assert client.campaign(campaign)["in_flight"] == []
        client.resume(campaign)
        wait_for(lambda: client.campaign(campaign)["in_flight"] == [2], "another proposal")
        assert service.ledger.verify()
