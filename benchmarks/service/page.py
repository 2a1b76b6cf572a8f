"""The page in Chromium: first plot of 200 cells, an event to the screen, the operator's view.

    python benchmarks/service/page.py
    python benchmarks/service/page.py --shots shots --journal my-campaign/journal.sqlite

With ``--shots`` every view is saved as a picture, light and dark, wide and as a tablet holds it. Journals that are
named are taken in first, so that there are cells with spectra and press curves to be seen.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from load import QUANTITY, fill, free_port, start, text
from playwright.sync_api import Browser, Page, sync_playwright

#: Says when the text of an element last became what was waited for, by the page's own clock.
_SEEN = """([selector, text]) => new Promise((found) => {
  const look = () => {
    if ([...document.querySelectorAll(selector)].some((one) => one.textContent.includes(text))) found(Date.now());
    else requestAnimationFrame(look);
  };
  look();
})"""
SIZES = {"wide": (1500, 1000), "tablet": (820, 1180)}


def call(port: int, method: str, path: str, body: Any = None, data: bytes | None = None) -> Any:
    """Ask the service for something."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1{path}",
        data=data if data is not None else json.dumps(body).encode() if body is not None else None,
        method=method,
        headers={"Content-Type": "application/json"} if data is None else {},
    )
    with urllib.request.urlopen(asked, timeout=120) as answer:
        return json.loads(answer.read())


def first_s(browser: Browser, url: str, selector: str) -> float:
    """Seconds from the address to what is waited for, in a browser that has seen nothing of it yet."""
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    page = context.new_page()
    begin = time.monotonic()
    page.goto(url)
    page.locator(selector).first.wait_for(timeout=120_000)
    taken = time.monotonic() - begin
    context.close()
    return taken


def update_s(page: Page, port: int, campaign: str, row: int) -> float:
    """Seconds from an acknowledged tell to its value on the screen; Chromium and this script share a clock."""
    (trial,) = call(port, "POST", f"/campaigns/{campaign}/ask", {})["trials"]
    value = 1000.0 + row
    seen = page.evaluate_handle(f"([...a]) => ({{ at: ({_SEEN})(...a) }})", [["tbody td", f"{value:.0f}"]])
    body = {"outcomes": {QUANTITY: {"value": value, "sd": 0.5}}}
    call(port, "POST", f"/campaigns/{campaign}/trials/{trial['trial']}/tell", body)
    told = time.time()
    at = page.evaluate("(one) => one.at", seen)
    return at / 1e3 - told


def shoot(browser: Browser, url: str, folder: Path, views: dict[str, str]) -> None:
    """Save every view, light and dark, wide and as a tablet holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            for name, place in views.items():
                page.goto(f"{url}/{place}")
                page.locator("main h1").first.wait_for(timeout=120_000)
                page.wait_for_timeout(1500)
                page.screenshot(path=folder / f"{name}-{scheme}-{size}.png", full_page=True)
            context.close()


def main() -> None:
    """Measure, print, and take pictures where they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shots", type=Path, help="Folder for pictures of every view.")
    parser.add_argument("--journal", type=Path, action="append", default=[], help="Campaign to be taken in first.")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as store, sync_playwright() as playwright:
        (campaign,) = fill(store, 1, 200, "sobol")
        port = free_port()
        process = start(store, port)
        url = f"http://127.0.0.1:{port}"
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            taken_in = [call(port, "POST", "/journals", data=one.read_bytes())["id"] for one in asked.journal]
            by_hand = text("sobol").replace("[laboratory]\n", '[laboratory]\nloading = "person"\n')
            waits = call(port, "POST", "/campaigns", {"experiment": by_hand, "name": "by-hand.toml"})["id"]
            call(port, "POST", f"/campaigns/{waits}/ask", {})
            for what, view, selector in (
                ("200 cells, first plot", f"#/c/{campaign}", "svg.chart"),
                ("operator's view", "#/operator", "main button.huge"),
                ("list of campaigns", "#/", "a.card"),
            ):
                times = [first_s(browser, f"{url}/{view}", selector) for _ in range(asked.repeats)]
                print(f"{what:32} {statistics.median(times):6.2f} s, at most {max(times):.2f} s", flush=True)
            page = browser.new_page()
            page.goto(f"{url}/#/c/{campaign}")
            page.locator("svg.chart").first.wait_for(timeout=120_000)
            times = [update_s(page, port, campaign, row) for row in range(2 * asked.repeats)]
            print(f"{'event to screen':32} {statistics.median(times):6.2f} s, at most {max(times):.2f} s")
            if asked.shots is not None:
                views = {"list": "#/", "new": "#/new", "presses": "#/presses", "operator": "#/operator"}
                views |= {"token": "#/token", "campaign-200": f"#/c/{campaign}"}
                for number, one in enumerate(taken_in):
                    views |= {f"campaign-{number}": f"#/c/{one}", f"cell-{number}": f"#/c/{one}/t/2"}
                shoot(browser, url, asked.shots, views)
        finally:
            browser.close()
            process.terminate()
            process.wait(60)


if __name__ == "__main__":
    main()
