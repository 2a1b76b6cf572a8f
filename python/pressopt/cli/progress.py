"""What a running campaign shows: a live table on a terminal, a line per trial in a pipe, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from pressopt.campaign import events as e
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.lifecycle import Phase
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.cli import words
from pressopt.clock import wall_monotonic_s
from pressopt.export import wording
from pressopt.pressing import QUANTITIES, LaminatorReading, PressReading

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

#: Trials shown in the live table; older ones are in `pressopt show`.
ROWS = 10
#: The live picture is drawn anew at most this often, s of wall time.
REDRAW_S = 0.1


def best_trial(experiment: Experiment, state: CampaignState) -> TrialState | None:
    """Return the trial with the best reading of the first measured objective, or None."""
    objective = next((goal for goal in experiment.objectives if goal.source == "measured"), None)
    if objective is None:
        return None
    sign = 1.0 if objective.direction == "minimize" else -1.0
    valid = [trial for trial in state.done if objective.quantity in trial.outcomes and not trial.failures]
    return min(valid, key=lambda trial: sign * trial.outcomes[objective.quantity][0], default=None)


def shown_quantity(experiment: Experiment) -> str:
    """Return the quantity of the progress display: the first measured objective, else the first."""
    measured = [goal.quantity for goal in experiment.objectives if goal.source == "measured"]
    return measured[0] if measured else experiment.objectives[0].quantity


class JsonWatcher:
    """One JSON object per event on standard output."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout

    def on_entry(self, event: e.Event, state: CampaignState) -> None:
        line = {"schema": "pressopt/event/1", "seq": state.last_seq, "event": type(event).__name__}
        self.write({**line, **json.loads(e.to_json(event))})

    def on_reading(self, trial: TrialState, reading: PressReading | LaminatorReading) -> None:
        """Readings are not events; the whole curve is in the journal."""

    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        """Points are not events; the whole spectrum is in the journal."""

    def on_wait(self, message: str) -> None:
        self.write({"schema": "pressopt/event/1", "event": "waiting", "message": message})

    def write(self, line: dict[str, Any]) -> None:
        """Print one object and make it readable at once."""
        print(json.dumps(line, ensure_ascii=False), file=self._stream, flush=True)


class LineWatcher:
    """One line per trial, for pipes and log files."""

    def __init__(self, experiment: Experiment, write: Callable[[str], None]) -> None:
        self._experiment = experiment
        self._write = write
        self._waiting = ""

    def on_entry(self, event: e.Event, state: CampaignState) -> None:
        match event:
            case e.CampaignOpened():
                self._write(f"campaign {event.name}: {self._experiment.title}")
            case e.Measured() | e.TrialRejected() | e.Faulted() | e.Interrupted() | e.Resolved():
                self._write(self._line(state.trial(event.trial), state))
            case e.CampaignPaused() | e.CampaignClosed():
                self._write(f"{state.phase.value}: {event.reason}")
            case _:
                return

    def _line(self, trial: TrialState, state: CampaignState) -> str:
        quantity = shown_quantity(self._experiment)
        best = best_trial(self._experiment, state)
        unit = QUANTITIES[quantity].unit
        text = (
            f"trial {trial.number:3d}/{self._experiment.budget.trials}  "
            f"{words.asked_and_achieved(self._experiment.space, trial.settings, trial.achieved)}  |  "
            f"{words.outcome(trial, quantity)}"
        )
        if trial.phase is Phase.DONE and not trial.failures:
            text += f" {unit}"
        if trial.phase in {Phase.FAULTED, Phase.UNCERTAIN, Phase.REJECTED}:
            text += f": {trial.note}"
        if best is not None:
            text += f"  |  best reading {wording.with_sd(*best.outcomes[quantity])} (trial {best.number})"
        return text

    def on_reading(self, trial: TrialState, reading: PressReading | LaminatorReading) -> None:
        """A pipe gets a line per trial, not per reading."""

    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        """A pipe gets a line per trial, not per point."""

    def on_wait(self, message: str) -> None:
        if message != self._waiting:
            self._waiting = message
            self._write(message)


class LiveWatcher:
    """A live picture on a terminal: what runs now, the last trials, the best so far."""

    def __init__(self, experiment: Experiment, console: Console) -> None:
        from rich.live import Live

        self._experiment = experiment
        self._state: CampaignState | None = None
        self._now = ""
        self._waiting = ""
        self._drawn_s = 0.0
        self._live: Live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> LiveWatcher:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._now = ""
        self._draw(force=True)
        self._live.stop()

    def on_entry(self, event: e.Event, state: CampaignState) -> None:
        self._state = state
        self._waiting = ""
        if isinstance(event, e.TrialEvent):
            self._now = state.trial(event.trial).phase.value
        self._draw(force=not isinstance(event, e.Loaded))

    def on_reading(self, trial: TrialState, reading: PressReading | LaminatorReading) -> None:
        if isinstance(reading, PressReading):
            pressure = self._experiment.cell.die.pressure_mpa(reading.force_kn)
            what = f"{wording.number(pressure)} MPa on the sample"
        else:
            what = f"{wording.number(reading.line_force_n_mm)} N/mm, pass {reading.passes_done}"
        self._now = f"{reading.state.value}: {what}, {reading.temperature_c:.1f} °C"
        self._draw()

    def on_point(self, trial: TrialState, done: int, planned: int) -> None:
        self._now = f"measuring: point {done} of {planned}"
        self._draw()

    def on_wait(self, message: str) -> None:
        self._waiting = message
        self._draw(force=True)

    def _draw(self, *, force: bool = False) -> None:
        now_s = wall_monotonic_s()
        if self._state is None or not (force or now_s - self._drawn_s >= REDRAW_S):
            return
        self._drawn_s = now_s
        self._live.update(self.picture(self._state), refresh=True)

    def picture(self, state: CampaignState) -> RenderableType:
        """Return the whole picture for a state."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        experiment, quantity = self._experiment, shown_quantity(self._experiment)
        unit = QUANTITIES[quantity].unit
        budget = experiment.budget.trials
        head = Table.grid(padding=(0, 1), expand=True)
        head.add_column(ratio=1)
        head.add_column(justify="right")
        head.add_row(Text(experiment.title, style="bold"), f"{len(state.done)} of {budget} trials")
        head.add_row(Text(QUANTITIES[quantity].label, style="dim"), "")
        head.add_row(ProgressBar(total=budget, completed=len(state.done)), state.phase.value)

        table = Table(box=None, padding=(0, 1), expand=True, header_style="dim")
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("asked → achieved", ratio=1)
        table.add_column(f"result, {unit}" if unit else "result", justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        best = best_trial(experiment, state)
        for trial in list(state.trials.values())[-ROWS:]:
            is_best = best is not None and trial.number == best.number
            table.add_row(
                str(trial.number),
                words.asked_and_achieved(experiment.space, trial.settings, trial.achieved),
                words.outcome(trial, quantity),
                trial.verdict or "",
                style="bold green" if is_best else "red" if trial.failures else "",
            )
        lines: list[RenderableType] = [head, table]
        running = state.in_flight
        if running and self._now:
            lines.append(Text(f"now: trial {running[0].number} ({running[0].reason}), {self._now}", style="cyan"))
        if best is not None:
            value = wording.with_sd(*best.outcomes[quantity])
            lines.append(Text(f"best reading so far: {value} {unit} (trial {best.number})"))
        if self._waiting:
            lines.append(Text(self._waiting, style="bold yellow"))
        return Group(*lines)
