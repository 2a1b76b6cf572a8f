"""The report: one page for two minutes, the rest for a reviewer; open ends are said, nothing is invented."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from export_campaign import CURRENT, RECOMMENDATION, RESISTANCE, pdf_of
from pressopt.assembly import recommender_of
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import replay
from pressopt.export.answer import Answer, gather
from pressopt.export.findings import CellCheck, PhysicsCheck, advice, check_physics, coverage
from pressopt.export.pictures.front import draw_front
from pressopt.export.report import campaign_report
from pressopt.optimizer import Interval, Recommender
from pressopt.store import SqliteJournal

SECTIONS = (
    "What to press", "How sure", "What to try next", "What was asked", "How it was found", "How it converged",
    "What the physics got wrong", "Every trial", "As run", "Where this comes from",
)  # fmt: skip


@pytest.fixture
def engine(experiment: Experiment) -> Recommender:
    """The campaign's own engine, without the goal that only the physics speaks of."""
    return recommender_of(replace(experiment, objectives=experiment.objectives[:1]))


def read(html: str) -> str:
    """What a person reads, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)).split())


def test_every_part_is_there_and_every_trial_with_its_verdict(
    answer: Answer, journal: SqliteJournal, engine: Recommender
) -> None:
    """All sections, the surface, twelve rows, three failures by name, and the page needs no other file."""
    html = campaign_report(answer, journal, recommender=engine)
    text = read(html)
    for section in (*SECTIONS, "What the model expects over the settings", "Physics alone, and measured"):
        assert section in text
    trials = html.split("Every trial")[1].split("As run")[0]
    assert trials.count("<tr>") + trials.count("<tr class") == 13
    assert (trials.count(">shorted<"), trials.count(">spoilt<")) == (2, 1)
    assert "The engine would press next" in text
    assert not re.search(r'(src|href)="(?!data:)|@import|url\(|<script|<link', html)


@pytest.fixture(scope="session")
def html(answer: Answer, journal: SqliteJournal) -> str:
    """The report of the finished campaign without its engine, made once."""
    return campaign_report(answer, journal)


def test_the_same_campaign_gives_the_same_report(answer: Answer, journal: SqliteJournal, html: str) -> None:
    """Byte for byte, pictures included."""
    assert campaign_report(answer, journal) == html


def test_the_first_page_of_the_pdf_answers_a_group_leader(html: str) -> None:
    """Result, interval, factor, protocol and advice stand on page one; the reviewer's part begins on page two."""
    pypdf = pytest.importorskip("pypdf", reason="the test extra is not installed")
    pages = pypdf.PdfReader(io.BytesIO(pdf_of(html))).pages
    assert 4 <= len(pages) <= 8
    first = " ".join(pages[0].extract_text().split())
    for text in ("4.31", "3.92 to 4.74", "48 times", "35 MPa", "40 min", "What to try next", "predicted"):
        assert text in first
    assert "What was asked" in pages[1].extract_text()


@pytest.mark.parametrize(
    ("trials", "closed", "words"),
    [
        (5, False, "the campaign is not finished: 5 of 12 trials are done"),
        (0, True, "No protocol: the campaign ended without a valid measurement"),
        (0, False, "none with a valid measurement"),
    ],
)
def test_unfinished_and_failed_campaigns_say_so(
    experiment: Experiment, fill: Callable[..., SqliteJournal], trials: int, closed: bool, words: str
) -> None:
    """At the head, and without an answer there is none."""
    journal = fill(trials, closed=closed, recommendation=None)
    text = read(campaign_report(gather(experiment, replay(journal.entries())), journal))
    assert words in text
    why = "the engine was not asked" if trials else "nothing valid was measured"
    assert f"There is none: {why}." in text


def test_the_physics_is_judged_by_bias_scatter_and_coverage() -> None:
    """Three cells at 2, 2 and 8 times what the physics said: bias 3.17, one inside, and the third is the worst."""
    cells = tuple(CellCheck(n, Interval(1.0, 0.4, 2.5), value) for n, value in enumerate((2.0, 2.0, 8.0), 1))
    check = PhysicsCheck(RESISTANCE, cells, 0.3)
    assert check.bias == pytest.approx(32 ** (1 / 3))
    assert check.scatter == pytest.approx(1.9223, abs=1e-3)
    assert check.inside == 2
    assert check.worst[0].trial == 3
    first, second, third = check.sentences()
    assert "3.2 times higher than the physics expected" in first
    assert "2 of 3 cells" in second
    assert "less than" in third


def test_physics_is_asked_at_what_the_cells_got(answer: Answer, engine: Recommender) -> None:
    """Nine valid cells are compared; without an engine nobody is."""
    check = check_physics(answer, engine)
    assert check is not None
    assert [one.trial for one in check.cells] == [1, 2, 3, 5, 6, 8, 10, 11, 12]
    assert all(one.predicted.low < one.predicted.median < one.predicted.high for one in check.cells)
    assert check_physics(answer, None) is None


def test_advice_follows_from_what_was_found(answer: Answer) -> None:
    """An optimum at the edge, few replicates, unmeasured goals: each is told with its way out."""
    edge = replace(RECOMMENDATION, settings={**RECOMMENDATION.settings, "lamination.pressure_mpa": 60.0})
    lines = " ".join(advice(replace(answer, recommendation=edge)))
    assert "lamination pressure lies at the upper end" in lines
    assert "two or three more cells (1 cell repeated" in lines
    assert "Measure the critical current density" in lines
    assert "upper end" not in " ".join(advice(answer))


def test_a_failed_campaign_is_told_where_to_look(
    experiment: Experiment, fill: Callable[..., SqliteJournal]
) -> None:
    """Nothing pressed yet: run it."""
    journal = fill(0, closed=False)
    assert advice(gather(experiment, replay(journal.entries()))) == [
        "No cell has been pressed and measured yet: run the campaign."
    ]


def test_the_models_honesty_is_counted(answer: Answer) -> None:
    """Of the trials with an interval beforehand and a valid value, those inside it are counted."""
    inside, told = coverage(answer, RESISTANCE)
    assert told == 6
    assert 0 < inside <= told


def test_two_objectives_have_a_front(answer: Answer) -> None:
    """The front is drawn over both quantities with their units; with one objective there is none to draw."""
    front = tuple(
        (
            RECOMMENDATION.settings,
            {RESISTANCE: Interval(r, 0.9 * r, 1.1 * r), CURRENT: Interval(c, 0.5 * c, 2 * c)},
        )
        for r, c in ((4.0, 0.4), (4.3, 0.8), (6.0, 1.2))
    )
    found = replace(answer, recommendation=replace(RECOMMENDATION, front=front))
    (axes,) = draw_front(found).axes
    assert axes.get_xlabel() == "Interfacial resistance, one interface / Ω cm²"
    assert axes.get_ylabel() == "Critical current density / mA/cm²"


def test_the_untouched_cell_is_the_first_comparison(html: str) -> None:
    """The factor on the first page is that to the untouched cell, with who knows it."""
    assert "48 times than the untouched cell (predicted)" in read(html)


def test_the_style_sheet_ships(tmp_path: Path) -> None:
    """Both style sheets lie beside the code, so that they are in the wheel."""
    from importlib.resources import files

    assert all(files("pressopt.export").joinpath(name).is_file() for name in ("report.css", "sheet.css"))
