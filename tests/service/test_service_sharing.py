"""Several presses and campaigns: who goes first, what each press can do, and a press that drops out."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal

import pytest

from pressopt.campaign.events import PressingStarted
from pressopt.campaign.experiment import Device
from pressopt.campaign.experiment_file import read_experiment
from pressopt.errors import LimitError
from pressopt.profiles import load_profile
from pressopt.service import presses
from pressopt.service.client import Client
from pressopt.service.press_plan import PressPlan
from pressopt.service.watching import Watching
from service_on_a_port import experiment_text, served, wait_for

#: Nobody answers there: nothing moves.
NOWHERE = "tcp://127.0.0.1:9"


@pytest.fixture
def no_runners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presses whose runners the test plays itself: it asks for their work."""

    async def nobody(_: Watching) -> None:
        return

    monkeypatch.setattr(Watching, "run", nobody)


def bench(
    folder: Path, name: str, *, limit_kn: float, loading: Literal["automatic", "person"] = "automatic"
) -> PressPlan:
    """A press of its own make, with a limit and a load cell of its own."""
    profile = folder / f"{name}.toml"
    profile.write_text(
        f'extends = "generic-plc-press-tcp"\nname = "{name}"\n[limits]\nforce_kn = {limit_kn}\n'
        f"[signals.force_kn]\nscale = {1.0 + limit_kn / 100}\n"
    )
    analyzer = Device("generic-methodscript-analyzer", NOWHERE)
    return PressPlan(name, "bench", loading, {"press": Device(str(profile), NOWHERE), "analyzer": analyzer})


def bench_text(folder: Path, *, trials: int = 5) -> str:
    """The shipped argyrodite experiment on a bench."""
    devices = (
        f'kind = "bench"\npress = {{ profile = "generic-plc-press-tcp", url = "{NOWHERE}" }}\n'
        f'analyzer = {{ profile = "generic-methodscript-analyzer", url = "{NOWHERE}" }}\n'
    )
    before, _, after = experiment_text(folder, trials=trials).partition("[laboratory]\n")
    return f"{before}[laboratory]\n{devices}{after[after.index('[limits]') :]}"


@pytest.mark.usefixtures("no_runners")
def test_the_most_urgent_campaign_goes_first(tmp_path: Path) -> None:
    """Of those that wait the highest priority is given first, then the older; a change of mind counts at once."""
    text = experiment_text(tmp_path, trials=2)
    with served(tmp_path / "store", presses=(PressPlan("left"),)) as service, Client(service.url) as client:
        old, new, most = (client.create(text, name=name, presses=["left"]) for name in ("old", "new", "most"))
        urgent = client.create(text, name="urgent", presses=["*"], priority=5)
        client.create(text, name="elsewhere", presses=["right"], priority=1000)
        order = []
        for turn in range(8):
            if turn == 1:  # one trial of the urgent one is done: something still more urgent comes in between
                client.place(most, priority=9)
            work = client.work("left")
            assert work is not None
            order.append(work["campaign"])
            again = client.work("left")
            assert again is not None
            assert (again["campaign"], again["trial"]) == (work["campaign"], work["trial"]), (
                "in hands, not another"
            )
            client.reject(work["campaign"], work["trial"])
            if order.count(work["campaign"]) == 2:
                client.pause(work["campaign"])
        assert order == [urgent, most, most, urgent, old, old, new, new]
        assert client.work("left") is None


@pytest.mark.usefixtures("no_runners")
def test_each_press_gets_what_it_can_do(tmp_path: Path) -> None:
    """Two presses with limits of their own share a campaign; one that can do nothing of it does another."""
    plans = tuple(
        bench(tmp_path, name, limit_kn=limit_kn)
        for name, limit_kn in (("small", 0.9), ("big", 10.0), ("tiny", 0.1))
    )
    text = bench_text(tmp_path)
    gentle = text.replace('low = "1 MPa", high = "100 MPa"', 'low = "0.2 MPa", high = "0.7 MPa"')
    gentle = gentle.replace('pressure = "5 MPa"', 'pressure = "0.2 MPa"')
    with served(tmp_path / "store", presses=plans) as service, Client(service.url) as client:
        easy = client.create(gentle, presses=["tiny"])
        asked: dict[str, list[float]] = {"small": [], "big": []}
        for seed in range(4):
            campaign = client.create(text, presses=["*"], priority=1, seed=seed)
            for name, pressures in asked.items():
                work = client.work(name)
                assert work is not None
                assert work["campaign"] == campaign
                pressures.append(work["settings"]["lamination.pressure_mpa"])
            client.pause(campaign)
            for trial in client.campaign(campaign)["in_flight"]:
                client.reject(campaign, trial)
        client.resume(campaign)
        area_mm2 = read_experiment(text, tmp_path / "x.toml").cell.die.area_cm2 * 100.0
        assert max(asked["small"]) <= 900.0 / area_mm2 < max(asked["big"]) <= 10_000.0 / area_mm2
        work = client.work("tiny")
        assert work is not None
        assert work["campaign"] == easy
        cannot = next(one["cannot"] for one in client.presses() if one["name"] == "tiny")
        assert "press 'tiny' can set" in cannot[campaign]


def test_each_press_is_driven_by_its_own_profile(tmp_path: Path) -> None:
    """On one campaign each press keeps its own load cell's calibration, and its own name in the journal."""
    experiment = read_experiment(bench_text(tmp_path), tmp_path / "x.toml")
    found = []
    for name, limit_kn in (("small", 0.9), ("big", 10.0)):
        (tmp_path / f"runner-{name}").mkdir()
        plan = bench(tmp_path, name, limit_kn=limit_kn).laboratory(experiment, tmp_path / f"runner-{name}")
        assert plan.press is not None
        profile = load_profile(plan.press.profile)
        found.append((profile.name, profile.signals["force_kn"].scale, profile.limits.force_kn))
    assert found == [("small", 1.009, 0.9), ("big", 1.1, 10.0)]


@pytest.mark.usefixtures("no_runners")
def test_a_cell_is_not_confirmed_under_a_press_that_is_too_weak(tmp_path: Path) -> None:
    """What was proposed for the stronger press is refused under the weaker one; where it can be done it is."""
    plans = tuple(
        bench(tmp_path, name, limit_kn=limit_kn, loading="person")
        for name, limit_kn in (("small", 0.9), ("big", 10.0))
    )
    text = bench_text(tmp_path).replace('low = "1 MPa", high = "100 MPa"', 'low = "8 MPa", high = "60 MPa"')
    with served(tmp_path / "store", presses=plans) as service, Client(service.url) as client:
        campaign = client.create(text, presses=["*"])
        assert client.work("big") is None, "it waits for a person, and holds nothing"
        (trial,) = client.campaign(campaign)["in_flight"]
        with pytest.raises(LimitError, match="small"):
            client.confirm(campaign, trial, press="small")
        client.confirm(campaign, trial, press="big")
        work = client.work("big")
        assert work is not None
        assert (work["trial"], work["loaded_by"]) == (trial, "local")


@pytest.mark.long
@pytest.mark.usefixtures("no_runner_stays")
def test_a_press_that_drops_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on; its trial is nobody else's before a person gives it up; then it comes back."""
    monkeypatch.setattr(presses, "GONE_AFTER_S", 3.0)
    plans = (PressPlan("left"), PressPlan("right"))
    with served(tmp_path / "store", presses=plans) as service, Client(service.url) as client:
        campaign = client.create(experiment_text(tmp_path, trials=4), presses=["*"])
        for one in client.events(campaign):
            if one.event == "PressingStarted" and one.data["press"] == "left":
                break
        left = next(press for press in client.presses() if press["name"] == "left")
        os.kill(left["runner"]["pid"], signal.SIGSTOP)

        def stands_still() -> bool:
            now = client.campaign(campaign)
            return bool(now["phase"] == "closed" or (now["done"] == 3 and len(now["in_flight"]) == 1))

        wait_for(stands_still, "the other press to do the rest", within_s=120.0)
        for trial in client.campaign(campaign)["in_flight"]:
            wait_for(lambda: client.presses()[0]["state"] == "gone", "the press to be missed")
            if client.trial(campaign, trial)["phase"] == "pressing":
                client.resolve(campaign, trial, "discard", note="the press is gone, the cell is not")
                assert "does not report" in service.ledger.rows(campaign)[-2].body
            else:
                client.reject(campaign, trial)
        wait_for(lambda: client.campaign(campaign)["phase"] == "closed", "the campaign to end", within_s=120.0)
        os.kill(left["runner"]["pid"], signal.SIGCONT)
        wait_for(lambda: client.presses()[0]["state"] == "idle", "the press to be back")
        rows = [row.entry().event for row in service.ledger.rows(campaign)]
        started = [event.trial for event in rows if isinstance(event, PressingStarted)]
        assert len(set(started)) == len(started), "no cell is pressed twice"
        assert client.campaign(campaign)["done"] == 4
        assert service.ledger.verify()
