"""The operator's sheet: one page that stands alone, says what to set on this press, and never hides its state."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from export_campaign import RECOMMENDATION, UNTOUCHED, agreed, pdf_of, rolled
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import replay
from pressopt.export.answer import Answer, gather
from pressopt.export.document import document_bytes, protocol_document
from pressopt.export.instructions import gauge_number
from pressopt.export.sheet import operator_sheet, qr_text
from pressopt.export.sheet_drawing import qr_code
from pressopt.export.sheet_layout import unbroken
from pressopt.export.sheet_text import operator_text
from pressopt.pressing import Layer, Role, RollStage
from pressopt.store import SqliteJournal

#: Elements that HTML closes by itself.
VOID = {"meta", "br", "path", "circle", "line", "polygon", "polyline", "rect"}


class Balanced(HTMLParser):
    """Reads a page, and remembers what was never closed and what it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value for name, value in attrs if name in {"src", "href", "xlink:href"} and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def read(html: str) -> str:
    """What a person reads on the page, in one line."""
    body = re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<small>", " ", re.sub(r"<(?!small)[^>]*>", " ", body)).split())


def test_the_page_is_whole_and_needs_no_other_file(answer: Answer, journal: SqliteJournal) -> None:
    """Every element is closed, and nothing is loaded from anywhere."""
    html = operator_sheet(answer, journal)
    page = Balanced()
    page.feed(html)
    assert page.open == []
    assert page.references == []
    assert not re.search(r"@import|url\(|<script|<link", html)


def test_the_qr_code_holds_the_digest_of_the_protocol_file(answer: Answer, journal: SqliteJournal) -> None:
    """What a phone reads is what sha256sum prints for protocol.json, as the QR standard draws it."""
    segno = pytest.importorskip("segno")
    document = protocol_document(answer, journal)
    text = qr_text(document)
    assert text == "sha256:" + hashlib.sha256(document_bytes(document)).hexdigest()
    drawn = qr_code(text)
    assert drawn in operator_sheet(answer, journal)
    # The path of segno's SVG is one run of dark modules after the other: together they are the code's own.
    runs = sum(int(length) for length in re.findall(r"h(\d+)", drawn))
    assert runs == sum(map(sum, segno.make(text, error="m", micro=False).matrix))


def test_the_plain_text_reads_as_it_was_agreed(answer: Answer) -> None:
    """The whole text sheet, word for word; on purpose it changes only together with this file."""
    text = operator_text(answer, ram_area_cm2=20.0)
    text = re.sub(r"head [0-9a-f]{16}", "head <digest>", text)
    agreed("operator-sheet.txt", text)
    assert max(map(len, text.splitlines())) <= 100


def test_gauges_of_the_sheet_are_those_of_the_die(answer: Answer, journal: SqliteJournal) -> None:
    """35 MPa on 10 mm: 2.75 kN, 0.280 tf, and with a ram of 20 cm² 13.7 bar; the window in kN as well."""
    text = read(operator_sheet(answer, journal, ram_area_cm2=20.0))
    for gauge in (
        "2.75 kN",
        "0.280 tf",
        "35.0 MPa on sample",
        "13.7 bar oil",
        "good from 2.28 to 3.18 kN",
        "6.28 kN",
    ):
        assert gauge in text
    assert "bar oil" not in read(operator_sheet(answer, journal))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.28031, "0.280"), (2.7489, "2.75"), (35.0, "35.0"), (104.2, "104"), (1234.5, "1234")],
)
def test_gauge_numbers_keep_three_digits(value: float, text: str) -> None:
    """Three significant digits with their zeros, as a gauge is read."""
    assert gauge_number(value) == text


@pytest.mark.parametrize(
    ("trials", "closed", "words"),
    [
        (5, False, "the campaign is not finished: 5 of 12 trials are done."),
        (0, False, "the campaign is not finished: 0 of 12 trials are done, none with a valid measurement."),
        (0, True, "No protocol: the campaign ended without a valid measurement"),
    ],
)
def test_unfinished_and_failed_campaigns_say_so(
    experiment: Experiment, fill: Callable[..., SqliteJournal], trials: int, closed: bool, words: str
) -> None:
    """Page and text carry the reason at their head; without an answer there are no steps to follow."""
    journal = fill(trials, closed=closed, recommendation=None)
    answer = gather(experiment, replay(journal.entries()))
    html = operator_sheet(answer, journal)
    assert words in html
    assert words in " ".join(operator_text(answer).split())
    assert 'class="steps' not in html
    assert html.count('class="page"') == 1


def test_a_predicted_objective_is_never_passed_off_as_measured(answer: Answer, journal: SqliteJournal) -> None:
    """The critical current density carries its mark in both forms, the measured resistance does not."""
    assert operator_sheet(answer, journal).count('<span class="tag">predicted, not measured</span>') == 1
    assert operator_text(answer).count("PREDICTED, NOT MEASURED") == 1


def test_a_roller_has_line_force_and_speed_instead_of_force_and_time(
    answer: Answer, journal: SqliteJournal
) -> None:
    """Rolled protocols show N/mm, mm/s and passes, and no force of a ram."""
    experiment = rolled(answer.experiment)
    recommendation = replace(
        RECOMMENDATION,
        settings={"roll.line_force_n_mm": 30.0},
        window={"roll.line_force_n_mm": (20.0, 44.0)},
        effects={"roll.line_force_n_mm": 1.0},
    )
    protocol = experiment.protocol(recommendation.settings)
    assert isinstance(protocol.stages[0], RollStage)
    # Earlier cells of this journal were pressed; a sheet for rolls needs none of them.
    state = replace(answer.state, trials={})
    found = replace(answer, experiment=experiment, recommendation=recommendation, protocol=protocol, state=state)
    html = operator_sheet(found, journal)
    for text in ("N/mm", "mm/s", "2 passes", "20 to 44 N/mm", "stop the rolls"):
        assert text in html


@pytest.fixture
def staged(experiment: Experiment, journal: SqliteJournal) -> Callable[[int], Answer]:
    """The campaign's answer for a protocol of so many stages."""

    def make(stages: int) -> Answer:
        more = replace(experiment, stages=experiment.stages[:1] * (stages - 1) + experiment.stages[1:])
        return gather(more, replay(journal.entries()), untouched=UNTOUCHED)

    return make


def crowded(answer: Answer) -> Answer:
    """The same with a long title, a goal of three lines, steel on both sides, and not finished."""
    steel = Layer("steel", Role.COLLECTOR, 10_000.0)
    experiment = answer.experiment
    cell = replace(experiment.cell, layers=(steel, *experiment.cell.layers, steel))
    experiment = replace(
        experiment, title=f"{experiment.title}: {8 * 'long '}", goal=5 * experiment.goal, cell=cell
    )
    return replace(
        answer, experiment=experiment, open_because="the campaign is not finished: 5 of 12 trials are done"
    )


def laid_out(html: str) -> Any:
    """The pages as WeasyPrint lays them out; skips where it is not installed."""
    try:
        weasyprint = pytest.importorskip("weasyprint", reason="the extra pdf is not installed")
    except OSError as missing:
        pytest.skip(f"Pango is not installed: {missing}")
    return weasyprint.HTML(string=html).render()


def gap_mm(page: Any) -> float:
    """Between the lowest line of a page's body and the top of its footer."""
    body, footer = (next(_boxes(page._page_box, name)) for name in ("body", "<footer>"))
    lowest = max(box.position_y + box.height for box in _boxes(body, "") if type(box).__name__ == "TextBox")
    return float(footer.position_y - lowest) / 96 * 25.4


def _boxes(box: Any, name: str) -> Iterator[Any]:
    element = getattr(box, "element", None)
    if not name or (element is not None and name in {element.get("class"), f"<{box.element_tag}>"}):
        yield box
    for child in getattr(box, "children", ()):
        yield from _boxes(child, name)


@pytest.mark.parametrize(("stages", "full"), [(2, True), (3, True), (6, False), (6, True)])
def test_two_pages_are_never_too_full(
    staged: Callable[[int], Answer], journal: SqliteJournal, stages: int, full: bool
) -> None:
    """Whatever the stages, units, title and state: nothing touches the footer, all text stays on its page."""
    answer = crowded(staged(stages)) if full else staged(stages)
    html = operator_sheet(answer, journal, ram_area_cm2=20.0)
    found = laid_out(html).pages
    assert len(found) == 2
    assert min(map(gap_mm, found)) >= 2.0, [round(gap_mm(page), 1) for page in found]
    assert html.count("If something is off") == 1


def test_the_pdf_has_two_a4_pages_and_its_text_can_be_read(
    staged: Callable[[int], Answer], journal: SqliteJournal
) -> None:
    """WeasyPrint makes two pages of A4; a PDF reader finds gauges, timers and digest.

    Two PDFs of one campaign are equal byte for byte: nothing of the day or the machine is in them.
    """
    pypdf = pytest.importorskip("pypdf", reason="the test extra is not installed")
    answer = staged(4)
    html = operator_sheet(answer, journal, ram_area_cm2=20.0)
    data = pdf_of(html)
    assert pdf_of(html) == data
    pages = pypdf.PdfReader(io.BytesIO(data)).pages
    assert len(pages) == 2
    assert [round(float(edge)) for edge in pages[0].mediabox[2:]] == [595, 842]
    first, second = (" ".join(page.extract_text().split()) for page in pages)
    digest = qr_text(protocol_document(answer, journal, ram_area_cm2=20.0))[7:19]
    for text in ("2.75", "0.280 tf", "40 min", "63", "NEVER ABOVE", "Crack, bang", f"{digest[:4]} {digest[4:8]}"):
        assert text in first
    for text in ("4.31", "3.92 to 4.74", "Lowest in hold", "head"):
        assert text in second


def test_no_line_ends_between_a_number_and_its_unit() -> None:
    """Numbers keep their units, in text only: neither style nor drawing is touched."""
    html = '<style>a { margin: 1 mm }</style><p title="3 MPa">35 MPa, 4 Ω cm², 12 min 30 s, 3 minutes</p>'
    kept = html.replace("35 MPa", "35\xa0MPa").replace("4 Ω cm²", "4\xa0Ω\xa0cm²")
    assert unbroken(html) == kept.replace("12 min 30 s", "12\xa0min\xa030\xa0s")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium to print")
def test_a_browser_prints_the_same_two_pages(
    staged: Callable[[int], Answer], journal: SqliteJournal, tmp_path: Path
) -> None:
    """Printed from a browser the sheet has two A4 pages as well."""
    answer = staged(3)
    page, pdf = tmp_path / "sheet.html", tmp_path / "sheet.pdf"
    page.write_text(operator_sheet(answer, journal, ram_area_cm2=20.0), encoding="utf-8")
    subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={pdf}", page.as_uri()],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    data = pdf.read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 2
    assert re.search(rb"/MediaBox\s*\[\s*0 0 59[45][.\d]* 84[12]", data)
