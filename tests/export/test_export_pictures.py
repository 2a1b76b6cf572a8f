"""Pictures: the same bytes each time, units on their axes, nothing invented where nothing was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from export_campaign import truth
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.replay import replay
from pressopt.errors import InputError
from pressopt.export.answer import Answer, gather
from pressopt.export.pictures import draw_convergence, draw_nyquist_of_trials, draw_surface, picture_bytes
from pressopt.optimizer import DesignSpace, Interval, Settings
from pressopt.store import SqliteJournal


class KnownModel:
    """Stands for the campaign's engine: knows the made-up truth, and forbids what lies above 50 MPa."""

    def expected(self, _: str, settings: Sequence[Settings]) -> list[Interval]:
        return [Interval(truth(one), 0.9 * truth(one), 1.1 * truth(one)) for one in settings]

    def forbidden(self, settings: Sequence[Settings]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.array([float(one["lamination.pressure_mpa"]) > 50 for one in settings])


def test_a_surface_is_the_same_bytes_each_time(answer: Answer) -> None:
    """No date, no random identifier: the journal alone decides. (The others: test_export_tables.py.)"""
    kinds: tuple[Literal["png", "svg"], ...] = ("png", "svg")
    first, second = (draw_surface(answer, KnownModel()) for _ in range(2))
    assert [picture_bytes(first, kind) for kind in kinds] == [picture_bytes(second, kind) for kind in kinds]


def test_convergence_shows_failures_by_kind_and_never_as_numbers(answer: Answer) -> None:
    """Nine cells have a value; three failed and stand in the strip above, two of a kind and one of another."""
    strip, axes = draw_convergence(answer).axes
    assert axes.get_ylabel() == "Interfacial resistance, one interface / Ω cm²"
    assert axes.get_yscale() == "log"
    labels = strip.get_legend_handles_labels()[1]
    assert labels == ["shorted (2)", "spoilt (1)"]
    drawn = [np.asarray(line.get_xdata()).tolist() for line in axes.lines]
    assert next(cells for cells in drawn if len(cells) == 9) == [1, 2, 3, 5, 6, 8, 10, 11, 12]


def test_convergence_of_a_campaign_without_a_result(
    experiment: Experiment, fill: Callable[..., SqliteJournal]
) -> None:
    """An empty campaign is drawn, and says that nothing was measured and that it is not finished."""
    figure = draw_convergence(gather(experiment, replay(fill(0, closed=False).entries())))
    assert "no valid measurement yet" in [text.get_text() for text in figure.axes[1].texts]
    assert "not finished" in [text.get_text() for text in figure.texts]


def test_the_surface_spans_the_two_most_effective_settings(answer: Answer) -> None:
    """Pressure and temperature explain most; dwell is held at the recommendation, and says so."""
    axes = draw_surface(answer, KnownModel()).axes[0]
    assert axes.get_xlabel() == "Lamination pressure / MPa"
    assert axes.get_ylabel() == "Lamination temperature / °C"
    assert "held: lamination dwell 40 min" in axes.get_title(loc="left")


def test_one_numeric_setting_gives_a_slice(answer: Answer) -> None:
    """With one setting there is no map: a line with its band, and the window."""
    space = DesignSpace(answer.experiment.space.variables[:1])
    one = replace(answer, experiment=replace(answer.experiment, space=space))
    axes = draw_surface(one, KnownModel()).axes[0]
    assert axes.get_xlabel() == "Lamination pressure / MPa"
    assert axes.get_ylabel() == "Interfacial resistance, one interface / Ω cm²"


def test_no_surface_without_an_answer(experiment: Experiment, fill: Callable[..., SqliteJournal]) -> None:
    """There is nothing to draw around, and the refusal says why."""
    answer = gather(experiment, replay(fill(0, closed=False).entries()))
    with pytest.raises(InputError, match="no surface to draw: the campaign is not finished"):
        draw_surface(answer, KnownModel())


def test_nyquist_has_equal_axes_and_ohms(answer: Answer, journal: SqliteJournal) -> None:
    """A half circle stays one; both axes are in ohms of the whole cell."""
    axes = draw_nyquist_of_trials(answer, journal, [1, 4]).axes[0]
    assert axes.get_aspect() == 1.0
    assert axes.get_xlabel() == "Re Z / Ω, whole cell"
    labels = axes.get_legend_handles_labels()[1]
    assert labels[0].startswith("cell 1: ")
    assert labels[1].startswith("cell 4: shorted")
