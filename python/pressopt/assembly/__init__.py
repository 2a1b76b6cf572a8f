"""From an experiment to wired objects: the only place that knows both ends of every port."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from pressopt.assembly.laboratory import WIRES, beside, open_laboratory
from pressopt.campaign.by_hand import AskPerson
from pressopt.campaign.experiment import Device, Experiment, LaboratoryPlan
from pressopt.campaign.experiment_file import load_experiment, read_experiment
from pressopt.campaign.laboratory import Laboratory
from pressopt.campaign.lifecycle import CampaignPhase
from pressopt.campaign.physics_prior import SurrogatePrior
from pressopt.campaign.replay import CampaignState, TrialState, replay
from pressopt.campaign.runner import Runner, recommendation_to_json
from pressopt.campaign.trial_cost import TrialCost
from pressopt.campaign.watching import StopRequest, Watcher
from pressopt.clock import Clock
from pressopt.errors import ExperimentError, InputError, JournalError, LimitError
from pressopt.export.document import document_bytes, read_document
from pressopt.export.files import write_file
from pressopt.export.repetition import (
    COMPARISON,
    REPEATED,
    Comparison,
    check_geometry,
    check_unchanged,
    compare,
    comparison_document,
    experiment_text,
    repeated_document,
)
from pressopt.materials import Catalogue
from pressopt.optimizer import DesignSpace, EarlierCampaigns, Recommender
from pressopt.optimizer.observation import Recommendation
from pressopt.pressing import PressCapability
from pressopt.pressing.execution import settable
from pressopt.profiles import load_profile
from pressopt.store import SqliteJournal
from pressopt.store.places import campaign_folder, find_campaign, journal_of
from pressopt.surrogate import Prediction, Surrogate

# ---------------------------------------------------------------------- the engine


def catalogue_of(experiment: Experiment) -> Catalogue:
    """Return the materials that an experiment may use: the catalogue's, and its own where the file names them."""
    return Catalogue.load(experiment.materials_file)


def surrogate_of(experiment: Experiment) -> Surrogate:
    """Return the physics of the experiment's cell, with the user's own materials where the file names them."""
    laminator = experiment.laboratory.laminator
    machine = load_profile(beside(experiment, laminator.profile)).roll if laminator is not None else None
    return Surrogate(
        experiment.cell,
        catalogue_of(experiment),
        roll_radius_mm=machine.roll_radius_mm if machine is not None else None,
    )


def recommender_of(experiment: Experiment, space: DesignSpace | None = None) -> Recommender:
    """Return the engine that the experiment asks for, searching ``space`` (default: the experiment's)."""
    strategy, budget = experiment.strategy, experiment.budget
    physics = SurrogatePrior(experiment, surrogate_of(experiment))
    space = space or experiment.space
    prior = EarlierCampaigns(space, experiment.sources, physics) if experiment.sources else physics
    cost = None
    if budget.cell_cost is not None:
        cost = TrialCost(physics, budget.cell_cost, budget.hour_cost, budget.heating_k_min)
    return Recommender(
        space=space,
        objectives=experiment.objectives,
        constraints=experiment.constraints,
        strategy=strategy.name,
        seed=experiment.seed,
        initial=budget.initial,
        prior=prior,
        replicates=budget.replicates,
        risk=strategy.risk,
        cells_per_batch=strategy.cells_per_batch,
        cost=cost,
    )


def reachable_space(experiment: Experiment, capability: object) -> DesignSpace:
    """Clip what is searched to what this press can do on this die: range and step of every pressure.

    Raises:
        LimitError: Nothing of a searched range is left.
    """
    if not isinstance(capability, PressCapability):
        return experiment.space
    return settable(experiment.space, capability, experiment.cell.die, experiment.limits)


def software() -> dict[str, str]:
    """Versions of what computes, for the first event of a journal."""
    names = ("pressopt", "numpy", "scipy", "scikit-optimize")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


# ---------------------------------------------------------------------- a campaign


class Campaign:
    """One campaign with its journal, laboratory and engine; a context manager.

    Attributes:
        experiment: As the journal has it.
        folder: Where the journal and the results lie.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        journal: SqliteJournal,
        clock: Clock | None = None,
        changes: Mapping[str, int] | None = None,
    ) -> None:
        self.experiment = experiment
        self.folder = folder
        self._journal = journal
        self._changes = dict(changes or {})
        self._ended: CampaignState | None = None
        self._resources = contextlib.ExitStack()
        self._resources.callback(journal.close)
        self._laboratory: Laboratory | None = None
        try:
            if self.state.phase is CampaignPhase.CLOSED:  # nothing is left to do: nothing is connected
                self.recommender = recommender_of(experiment)
                return
            self._laboratory = open_laboratory(experiment, folder, clock=clock)
            self._resources.callback(self._laboratory.close)
            self.recommender = recommender_of(experiment, reachable_space(experiment, self.laboratory.capability))
        except BaseException:
            self._resources.close()
            raise

    @property
    def laboratory(self) -> Laboratory:
        """The wired instruments.

        Raises:
            JournalError: The campaign was closed before, so that nothing was connected.
        """
        if self._laboratory is None:
            raise JournalError(f"the campaign in {self.folder} is closed: its instruments are not connected")
        return self._laboratory

    @property
    def by_hand(self) -> bool:
        """Whether a person works the press (or laminator)."""
        return self._laboratory is not None and self._laboratory.by_hand is not None

    def __enter__(self) -> Campaign:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close lines, twin and journal; what the journal told last can still be asked."""
        if self._ended is None:
            self._ended = replay(self._journal.entries())
        self._resources.close()

    def run(
        self,
        watcher: Watcher | None = None,
        *,
        stop: StopRequest | None = None,
        confirm: Callable[[TrialState], str | None] | None = None,
        ask: AskPerson | None = None,
    ) -> CampaignState:
        """Go on until the budget is spent, a target is reached, or ``stop`` asks; see :meth:`Runner.run`.

        A closed campaign is returned as it is.
        """
        if self._laboratory is None:
            return self.state
        runner = Runner(
            self.experiment,
            self._journal,
            self.laboratory,
            recommender=self.recommender,
            watcher=watcher or SilentWatcher(),
            stop=stop,
            software=software(),
            changes=self._changes,
            confirm=confirm,
            ask=ask,
            separator_ohm=SurrogatePrior(self.experiment, surrogate_of(self.experiment)).separator_ohm,
        )
        return runner.run()

    @property
    def state(self) -> CampaignState:
        """The campaign as the journal tells it now."""
        return self._ended if self._ended is not None else replay(self._journal.entries())

    @property
    def recommendation(self) -> Recommendation:
        """The recommended protocol by the model, as far as the data go.

        Raises:
            ExperimentError: Nothing valid has been measured yet.
        """
        history = self.state.observations()
        if not any(observation.outcomes for observation in history):
            raise ExperimentError("nothing valid has been measured yet: there is nothing to recommend")
        return self.recommender.recommend(history)

    def untouched(self) -> Prediction:
        """What the surrogate expects of the cell at first touch: 1 MPa, 25 °C."""
        return surrogate_of(self.experiment).predict(
            self.experiment.untouched_protocol(), draws=256, seed=self.experiment.seed
        )

    def target_missed(self, state: CampaignState) -> bool:
        """Whether an objective has a target that the recommended protocol is not expected to reach."""
        return target_missed(self.experiment, state)

    def write_results(self) -> list[Path]:
        """Write protocol, operator's sheet, table and pictures into the campaign's folder; return their paths."""
        from pressopt.export import write_all

        written = write_all(
            self.experiment, self._journal, self.folder, untouched=self.untouched(), recommender=self.recommender
        )
        document = repeated_document(self.folder)
        if document is not None:
            check_unchanged(document, self.experiment, self.folder)
            found = comparison_document(document, self.experiment, self.state)
            written.append(write_file(self.folder / COMPARISON, document_bytes(found)))
        return written

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """What a repetition measured beside what its protocol file promised; empty for any other campaign.

        Raises:
            InputError: The copy of the protocol file in the folder was changed.
        """
        document = repeated_document(self.folder)
        if document is None:
            return ()
        check_unchanged(document, self.experiment, self.folder)
        return compare(document, self.experiment, self.state)


def target_missed(experiment: Experiment, state: CampaignState) -> bool:
    """Whether an objective has a target that the recommended protocol is not expected to reach."""
    expected: Mapping[str, Any] = (state.closed.recommendation if state.closed else {}).get("expected", {})
    for goal in experiment.objectives:
        if goal.target is None:
            continue
        if goal.quantity not in expected:
            return True  # nothing valid was measured: nothing is expected to reach it
        median = float(expected[goal.quantity]["median"])
        if median > goal.target if goal.direction == "minimize" else median < goal.target:
            return True
    return False


class SilentWatcher:
    """Watches and says nothing."""

    def on_entry(self, event: object, state: CampaignState) -> None: ...

    def on_reading(self, trial: TrialState, reading: object) -> None: ...

    def on_point(self, trial: TrialState, done: int, planned: int) -> None: ...

    def on_wait(self, message: str) -> None: ...


def begin_campaign(
    experiment: Experiment | Path | str,
    *,
    store: Path | str | None = None,
    new: bool = False,
    trials: int | None = None,
    seed: int | None = None,
    clock: Clock | None = None,
) -> Campaign:
    """Start a campaign in a folder of its own.

    Args:
        experiment: The experiment, or the path of its file.
        store: Folder for journal and results; default: named after the experiment, beside its file. A finished
            campaign there is left alone and the next free number is appended.
        new: Leave an unfinished campaign alone, too.
        trials, seed: Instead of the file's.
        clock: Laboratory time; default: at once on the twin, real on a bench.

    Raises:
        ExperimentError: The file has mistakes; all of them are named.
        JournalError: An unfinished campaign lies there (resume it, or ``new=True``).
    """
    loaded = experiment if isinstance(experiment, Experiment) else load_experiment(Path(experiment))
    changes = {name: value for name, value in (("trials", trials), ("seed", seed)) if value is not None}
    folder = campaign_folder(loaded.path, Path(store) if store is not None else None, unfinished_is_taken=new)
    return Campaign(changed(loaded, changes), folder, SqliteJournal.create(journal_of(folder)), clock, changes)


def begin_repetition(
    protocol: Path | str,
    *,
    store: Path | str | None = None,
    cells: int = 1,
    on: Path | str | None = None,
    press: str | None = None,
    clock: Clock | None = None,
) -> Campaign:
    """Start pressing the protocol of a protocol file again, in a folder and a journal of its own.

    Args:
        protocol: A file that `pressopt export --format json` wrote.
        store: Folder for journal and results; default: ``NAME-repeat`` beside the file.
        cells, on, press: As :func:`repetition_of`.
        clock: Laboratory time.

    Raises:
        InputError: The file is no protocol file, or holds no protocol.
        LimitError: Press, die or limits do not allow it; all reasons at once, before anything is written or moved.
    """
    document, experiment = repetition_of(protocol, cells=cells, on=on, press=press)
    folder = campaign_folder(experiment.path, Path(store) if store is not None else None)
    journal = SqliteJournal.create(journal_of(folder))
    write_file(folder / REPEATED, document_bytes(document))
    return Campaign(experiment, folder, journal, clock)


def repetition_of(
    protocol: Path | str, *, cells: int = 1, on: Path | str | None = None, press: str | None = None
) -> tuple[dict[str, Any], Experiment]:
    """Return a protocol file and the experiment that presses its protocol again and searches nothing.

    Args:
        protocol: A file that `pressopt export --format json` wrote.
        cells: How many cells are pressed with it.
        on: An experiment file whose laboratory and materials are used; None: the built-in twin.
        press: Another press (or laminator) profile than that laboratory's.

    Raises:
        InputError: The file is no protocol file, or holds no protocol.
        LimitError: Press, die or limits do not allow it; all reasons at once.
    """
    path = Path(protocol)
    try:
        document = read_document(path.read_bytes(), source=str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name a protocol file") from error
    other = None if on is None else load_experiment(Path(on))
    if other is not None:
        check_geometry(document, other)
    plan = LaboratoryPlan("twin", 1, "automatic") if other is None else other.laboratory
    if press is not None:
        device = Device(str(Path(press).resolve()) if press.endswith(".toml") else press)
        rolled = bool(document["stages"]) and document["stages"][0]["kind"] == "roll"
        plan = replace(plan, laminator=device) if rolled else replace(plan, press=device)
    name = path.parent.name if path.name == "protocol.json" else path.stem
    beside = path.with_name(f"{name or document['name']}-repeat.toml")
    text = experiment_text(
        document, cells=cells, laboratory=plan, materials_file=None if other is None else other.materials_file
    )
    try:
        return document, read_experiment(text, beside)
    except ExperimentError as refused:
        # Lines of a text that nobody wrote would lead nowhere.
        raise LimitError([replace(one, line=None) for one in refused.violations], source=str(path)) from refused


def changed(experiment: Experiment, changes: Mapping[str, int]) -> Experiment:
    """Return the experiment with another number of ``trials`` or another ``seed`` than its file's."""
    budget = replace(experiment.budget, trials=changes.get("trials", experiment.budget.trials))
    return replace(experiment, budget=budget, seed=changes.get("seed", experiment.seed))


def continue_campaign(campaign: Path | str | None = None, *, clock: Clock | None = None) -> Campaign:
    """Take up a campaign where its journal ends.

    Args:
        campaign: Its folder or experiment file; default: the newest below the working folder.
        clock: Laboratory time; default: at once on the twin, real on a bench.

    Raises:
        JournalError: There is none, it cannot be read, or another process runs it.
    """
    folder = find_campaign(Path(campaign) if campaign is not None else None)
    journal = SqliteJournal.open(journal_of(folder))
    try:
        experiment = experiment_of(journal)
        return Campaign(experiment, folder, journal, clock)
    except BaseException:
        journal.close()
        raise


def experiment_of(journal: SqliteJournal) -> Experiment:
    """Return the experiment that a journal was opened with, from the text in its first event."""
    state = replay(journal.entries())
    if state.opened is None:
        raise JournalError(
            f"{journal.path} holds no campaign: the program ended before it wrote anything, so nothing moved. "
            f"Begin it again with `pressopt run`"
        )
    parsed = read_experiment(state.opened.experiment_text, Path(state.opened.experiment_path))
    return changed(parsed, state.opened.changes)


def answer_of(folder: Path) -> dict[str, object]:
    """Return the recommendation that the data of a campaign allow, as plain JSON; empty when there are none."""
    with contextlib.closing(SqliteJournal.read(journal_of(folder))) as journal:
        experiment = experiment_of(journal)
        history = replay(journal.entries()).observations()
    if not any(observation.outcomes for observation in history):
        return {}
    return recommendation_to_json(recommender_of(experiment).recommend(history))


def run(
    experiment: Experiment | Path | str,
    *,
    store: Path | None = None,
    watcher: Watcher | None = None,
    **changes: Any,
) -> Campaign:
    """Run a campaign to its end and return it, closed: journal, state and recommendation can be read from it."""
    campaign = begin_campaign(experiment, store=store, **changes)
    with campaign:
        campaign.run(watcher)
        campaign.write_results()
    return campaign


__all__ = ["Campaign", "CampaignPhase", "begin_campaign", "continue_campaign", "open_laboratory", "run"]


__all__ = [
    "WIRES",
    "Campaign",
    "SilentWatcher",
    "answer_of",
    "begin_campaign",
    "begin_repetition",
    "catalogue_of",
    "changed",
    "continue_campaign",
    "experiment_of",
    "open_laboratory",
    "reachable_space",
    "recommender_of",
    "repetition_of",
    "run",
    "software",
    "surrogate_of",
    "target_missed",
]
