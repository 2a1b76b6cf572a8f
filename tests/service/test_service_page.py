"""The page in a real Chromium: campaigns watched, a cell pressed by hand, a lost line, a fault cleared."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pressopt.campaign import events as e
from pressopt.cli import main
from pressopt.service.press_plan import PressPlan
from processes import experiment_file
from service_on_a_port import BY_HAND, Served, experiment_text, served, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: As long as a busy machine may need, ms.
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or whichever is there."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            flags = ["--no-sandbox", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        except Error as error:
            pytest.skip(f"Chromium does not start here: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that asks nothing of other sites and makes no mistake in its own code."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def asked(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "blob:", "data:")):
            wrong.append(f"asked {url}")

    page.on("request", lambda request: asked(request.url))
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    """A service with one virtual press; its runner ends with it."""
    with served(tmp_path / "store", presses=(PressPlan("left"),)) as service:
        yield service
    for lock in tmp_path.glob("**/runner.lock"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(lock.read_text()), signal.SIGKILL)


def test_a_campaign_is_started_from_the_form_and_watched_to_its_end(
    page: Page, service: Served, tmp_path: Path
) -> None:
    """Mistakes are told with their lines; then cells appear by themselves, each with spectrum and press curve."""
    text = experiment_text(tmp_path, trials=3)
    page.goto(f"{service.url}/#/new")
    page.get_by_label("experiment file").fill(text.replace("12.7 mm", "12.7 furlong"))
    page.get_by_role("button", name="Check").click()
    page.locator(".mistakes", has_text=re.compile(r"line \d+: cell.die_diameter")).wait_for()
    page.get_by_label("experiment file").fill(text)
    page.locator("#name").fill("from the page")
    page.get_by_role("button", name="Start the campaign").click()
    page.get_by_role("heading", name="from the page").wait_for()
    page.locator("h1 .chip", has_text="closed").wait_for()
    assert page.locator("tbody tr").filter(has=page.locator("td a")).count() == 3
    page.locator("svg.chart").first.wait_for()
    page.locator("#log li", has_text="CampaignClosed").wait_for()
    page.locator("tbody td a").first.click()
    page.get_by_text("Nyquist").wait_for()
    page.get_by_text("Pressing", exact=True).wait_for()
    assert page.locator("svg.chart").count() == 3
    page.get_by_role("link", name="Campaigns").click()
    page.locator("a.card", has_text="3 of 3 cells").wait_for()


def test_a_cell_is_pressed_by_hand_over_a_lost_connection(page: Page, service: Served, tmp_path: Path) -> None:
    """What was entered while the connection was lost is kept, told, and sent once when it is back."""
    path = experiment_file(tmp_path, trials=1, changes={**BY_HAND, 'high = "10 min"': 'high = "20 s"'})
    made = service.http.post("/campaigns", json={"experiment": path.read_text(), "presses": ["left"]}).json()
    page.goto(f"{service.url}/#/operator")
    page.locator("#who").fill("the operator")
    page.get_by_role("button", name="Cell is in, hands are clear").click()
    page.locator(".task input[inputmode=decimal]").first.wait_for()
    question = open_question(service, made["id"])
    assert question is not None
    page.context.set_offline(True)
    answer(page, question["fields"])
    page.locator("#outbox", has_text="entry waits").wait_for()
    assert answers(service, made["id"]) == []
    page.context.set_offline(False)
    wait_for(lambda: answers(service, made["id"]), "the kept answer to arrive")
    page.locator("#outbox").wait_for(state="hidden")
    while phase(service, made["id"]) != "closed":
        step(page, service, made["id"])
    numbers = answers(service, made["id"])
    assert numbers == sorted(set(numbers))
    (trial,) = service.http.get(f"/campaigns/{made['id']}").json()["trials"]
    assert trial["phase"] == "done"


def test_what_was_half_entered_stays_on_the_tablet(page: Page, service: Served, tmp_path: Path) -> None:
    """A value typed before the page is loaded again is still there; two different ones are refused in words."""
    path = experiment_file(tmp_path, trials=1, changes=BY_HAND)
    service.http.post("/campaigns", json={"experiment": path.read_text(), "presses": ["left"]})
    page.goto(f"{service.url}/#/operator")
    page.get_by_role("button", name="Cell is in, hands are clear").click()
    entry = page.locator(".task input[inputmode=decimal]")
    entry.first.fill("0.2")
    page.reload()
    entry.first.wait_for()
    assert entry.first.input_value() == "0.2"
    entry.nth(1).fill("0.3")
    page.get_by_role("button", name="Done").click()
    page.locator("#said", has_text="read the gauge again").wait_for()


def test_a_press_is_made_safe_and_cleared(page: Page, service: Served, tmp_path: Path) -> None:
    """Made safe after a question and shown as such with a sign; a person looks at it, and it goes on."""
    text = experiment_text(tmp_path, trials=40)
    campaign = service.http.post("/campaigns", json={"experiment": text, "presses": ["left"]}).json()["id"]
    page.goto(f"{service.url}/#/presses")
    page.locator(".card .chip", has_text="busy").wait_for()
    page.get_by_role("button", name="Make safe").click()
    page.locator("dialog").get_by_role("button", name="Yes").click()
    page.get_by_text("▲ safe", exact=True).wait_for()
    page.get_by_role("link", name=re.compile("Operator")).click()
    page.get_by_role("button", name="I have looked: allow motion").click()
    service.http.post(f"/campaigns/{campaign}/pause", json={})
    page.get_by_role("link", name="Presses").click()
    page.locator(".card .chip", has_text=re.compile("idle|busy")).wait_for()


def test_without_a_token_the_page_asks_for_one(
    page: Page, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that listens elsewhere shows nothing without; with a token it shows its campaigns."""
    store = tmp_path / "store"
    with pytest.raises(SystemExit):
        main(["token", "create", "chemist", "--role", "administrator", "--store", str(store)])
    token = capsys.readouterr().out.split()[0]
    with served(store, host="0.0.0.0") as service:
        page.goto(service.url)
        page.get_by_role("heading", name="Who are you?").wait_for()
        page.locator("#token").fill("not a token")
        page.get_by_role("button", name="Go on").click()
        page.locator("#said", has_text="This token is not known here.").wait_for()
        page.locator("#token").fill(token)
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("No campaign yet.").wait_for()


def test_keyboard_and_narrow_screens(page: Page, service: Served) -> None:
    """The first stop of the tab key skips to the content; nothing is wider than a telephone."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(service.url)
    page.get_by_role("heading", name="Campaigns").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for view in ("#/", "#/operator", "#/presses", "#/new"):
        page.goto(f"{service.url}/{view}")
        page.locator("h1").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def answer(page: Page, fields: list[dict[str, Any]]) -> None:
    """Enter what the open question asks for, each value twice, and send it."""
    entries = page.locator(".entries input")
    for place, field in enumerate(fields):
        for again in (0, 1):
            entries.nth(2 * place + again).fill(str(field.get("asked", max(field["low"], 0))))
    page.get_by_label("why").first.fill("as read")
    page.get_by_role("button", name="Done").click()


def open_question(service: Served, campaign: str) -> dict[str, Any] | None:
    trial: dict[str, Any] = service.http.get(f"/campaigns/{campaign}/trials/1").json()
    question: dict[str, Any] | None = trial["question"]
    return question if question is not None and question["number"] not in answers(service, campaign) else None


def step(page: Page, service: Served, campaign: str) -> None:
    """Answer the open question and wait until its answer has arrived."""
    wait_for(lambda: open_question(service, campaign) or phase(service, campaign) == "closed", "a question")
    question = open_question(service, campaign)
    if question is not None:
        page.locator(".task h2", has_text=question["title"]).wait_for()
        answer(page, question["fields"])
        wait_for(lambda: question["number"] in answers(service, campaign), "the answer to arrive")


def phase(service: Served, campaign: str) -> str:
    return str(service.http.get(f"/campaigns/{campaign}").json()["phase"])


def answers(service: Served, campaign: str) -> list[int]:
    """Numbers of the questions that were answered, in their order."""
    events = [row.entry().event for row in service.ledger.rows(campaign)]
    return [event.number for event in events if isinstance(event, e.PersonAnswered)]
