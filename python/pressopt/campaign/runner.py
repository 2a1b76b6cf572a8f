"""The only loop: propose, load, press, measure, learn, until the campaign is closed.

Plain synchronous code on the clock that is handed in. Intent is on disk before an act and outcome after it, so
that a new process goes on where an old one ended; only what may have moved the ram asks for a person.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict

from pressopt.campaign import events as e
from pressopt.campaign.by_hand import AskPerson, ByHand, Told
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.journal import Journal, Wish, digest_of
from pressopt.campaign.laboratory import Laboratory
from pressopt.campaign.lifecycle import CampaignPhase, Phase, PressPhase
from pressopt.campaign.measuring import Measuring, SeparatorResistance
from pressopt.campaign.replay import CampaignState, TrialState, check_wish, on_restart, replay
from pressopt.campaign.watching import GuardedWatcher, StopRequest, Watcher
from pressopt.clock import wall_pause_s
from pressopt.errors import (
    DeviceError,
    InstrumentError,
    InterlockError,
    LifecycleError,
    LimitError,
    LinkError,
    NeedsPersonError,
    PressoptError,
    StageFailedError,
)
from pressopt.optimizer import Recommender
from pressopt.optimizer.observation import Proposal, Recommendation
from pressopt.optimizer.stopping import Budget, SmallGain, StoppingRule, TargetMet, first_reason
from pressopt.pressing import Laminator, LaminatorReading, PressCapability, PressReading, PressRecord, PressState
from pressopt.pressing.allowed import most_kn
from pressopt.pressing.execution import check_protocol, execute, execute_rolling, finish
from pressopt.pressing.record import record_to_bytes
from pressopt.pressing.watch import made_safe

#: Who writes what the runner itself decides.
ACTOR = "runner"
#: How often a waiting runner looks into its inbox, s of wall time.
INBOX_PERIOD_S = 0.5


class _BrokenOff(Exception):  # noqa: N818 - not an error: a person asked for it
    """A measurement was broken off on request."""


class Runner:
    """Runs one campaign on one laboratory.

    Args:
        experiment: What is searched, within which limits.
        journal: Opened for writing; empty, or that of the same experiment.
        laboratory: The wired instruments.
        recommender: Proposes and recommends; a function of the history alone.
        watcher: Is told of everything as it happens.
        stop: Asked before every act.
        software: Versions, written into the first event.
        changes: What was asked on the command line instead of the file's (``trials``, ``seed``).
        confirm: Asks a person at hand whether the cell of a trial is loaded; returns their name, or None: not yet.
        ask: Asks the person who works a manual press what is open; the inbox is heard beside it.
        separator_ohm: The least resistance that an unshorted cell can have, by its settings.
        given: Gives the next trial where somebody else proposes and decides when it is enough (a service), or
            None: nothing more for now.
    """

    def __init__(
        self,
        experiment: Experiment,
        journal: Journal,
        laboratory: Laboratory,
        *,
        recommender: Recommender,
        watcher: Watcher,
        stop: StopRequest | None = None,
        software: Mapping[str, str] | None = None,
        changes: Mapping[str, int] | None = None,
        confirm: Callable[[TrialState], str | None] | None = None,
        ask: AskPerson | None = None,
        separator_ohm: SeparatorResistance | None = None,
        given: Callable[[CampaignState], e.Proposed | None] | None = None,
    ) -> None:
        self.experiment = experiment
        self.journal = journal
        self.laboratory = laboratory
        self.recommender = recommender
        self.stop = stop or StopRequest()
        self.watcher = GuardedWatcher(watcher, self.stop)
        self._software = software or {}
        self._changes = changes or {}
        self._confirm = confirm
        self._ask = ask
        self._given = given
        self._hand = self._person_at_press()
        self._rolls_cool = False  # told to cool since they last worked
        self._seen_loaded: set[int] = set()  # cells whose loading this process was told of
        self.state = replay(journal.entries())
        self._measuring = Measuring(experiment, laboratory, separator_ohm)
        self._stopping = stopping_rules(experiment)
        self._closing: Wish | None = None

    # ------------------------------------------------------------------ the loop

    def run(self) -> CampaignState:
        """Go on until the campaign is closed, paused with nothing in flight, or asked to stop.

        Returns:
            The state in which it ended; ``state.phase`` tells which.

        Raises:
            NeedsPersonError: Something was interrupted or failed and a person must look.
            JournalError: Nothing can be written down; the press has been made safe.
            PressoptError: The optimizer or an instrument failed; the campaign can be resumed.
        """
        self._open()
        try:
            while self._tick():
                pass
            if self.state.phase is not CampaignPhase.CLOSED:
                self._finish_machine()  # whatever is in flight lies before its pressing: nothing stays loaded
        except NeedsPersonError:
            raise  # the press is where its abort action left it
        except InstrumentError as error:
            self._machine_failed(error)
            raise
        except BaseException as leaving:  # a full disk, Ctrl-C without a handler, a mistake of ours
            made_safe(self.laboratory.make_safe, leaving)
            raise
        if self.watcher.error is not None:
            raise self.watcher.error
        return self.state

    def _tick(self) -> bool:
        """Do the next thing; return whether there is another."""
        if self.state.phase is not CampaignPhase.CLOSED:
            self._hear_wishes()
        if self.state.phase is CampaignPhase.CLOSED:
            return False
        self._refuse_if_asking()
        in_flight = self.state.in_flight
        if in_flight:
            waiting = in_flight[0].phase in {Phase.PROPOSED, Phase.LOADED}
            if self.stop.requested and waiting:
                return False
            if self._closing is not None and waiting:
                self._record(e.TrialRejected(in_flight[0].number, "the campaign was closed"))
            else:
                self._advance(in_flight[0])
            return True
        closing = self._closing.event if self._closing is not None else None
        reason = closing.reason if isinstance(closing, e.CampaignClosed) else ""
        if not reason:
            if self.stop.requested or self.state.phase is CampaignPhase.PAUSED:
                return False
            if self._given is not None:
                proposal = self._given(self.state)
                if proposal is not None:
                    self._record(proposal)
                return proposal is not None
            reason = self._why_finished()
        if reason:
            self._finish_machine()
            self._close(reason)
            return False
        self._propose()
        return True

    def _record(
        self,
        *events: e.Event,
        actor: str = ACTOR,
        blobs: tuple[bytes, ...] = (),
        settles: tuple[int, ...] = (),
    ) -> None:
        """Write down, then fold: state changes in no other way. ``settles``: wishes that are done with by that."""
        self.journal.append(*events, actor=actor, blobs=blobs, settles=settles)
        self.state = replay(self.journal.entries(after=self.state.last_seq), self.state)
        for event in events:
            self.watcher.on_entry(event, self.state)

    # ------------------------------------------------------------------ beginning and end

    def _open(self) -> None:
        if self.state.phase is CampaignPhase.CLOSED:
            return
        if self.state.phase is CampaignPhase.NEW:
            self._record(
                e.CampaignOpened(
                    name=self.experiment.name,
                    experiment_path=str(self.experiment.path),
                    experiment_text=self.experiment.text,
                    digest=self.experiment.digest,
                    seed=self.experiment.seed,
                    software=self._software,
                    changes=self._changes,
                )
            )
        interrupted = on_restart(self.state)
        if interrupted:
            self._record(*interrupted)
        self._refuse_if_asking()
        machine = self.laboratory.machine
        try:
            identity = machine.identify()
        except InstrumentError as error:
            self._record(e.PressLost(machine.capability.name, str(error)))
            raise
        name = machine.capability.name
        if self.state.presses.get(name) in {None, PressPhase.GONE}:
            self._record(e.PressFound(name, identity))
        self._clear_machine()

    def _clear_machine(self) -> None:
        """Clear a fault of the machine if a person said so (`clear`); else write it down and ask."""
        machine = self.laboratory.machine
        name = machine.capability.name
        reason = ""
        try:
            reading = machine.read()
            if not (reading.fault or reading.state is PressState.FAULT):
                return
            opened = [interlock for interlock, closed in reading.interlocks.items() if not closed]
            reason = f"it reports a fault: {', '.join([reading.fault or 'no reason given', *opened])}"
            if name in self.state.cleared:
                machine.clear_fault()
                return
        except InstrumentError as error:
            reason = "; ".join([*([reason] if reason else []), str(error)])
        self._record(e.PressMadeSafe(name, reason))
        self._refuse_if_asking()

    def _machine_failed(self, error: InstrumentError) -> None:
        """Make the press safe after a failure between two acts, and write that down; no trial is touched."""
        self._record(self._safe_press(str(error)))

    def _safe_press(self, reason: str, *, machine: bool = True) -> e.PressMadeSafe | e.PressLost:
        """Make every instrument safe; return what is to be written down of the press: safe, or out of reach.

        ``machine=False`` leaves out what presses: its stage has been aborted as the protocol says.
        """
        name = self.laboratory.capability.name
        lost = False
        try:
            if machine:
                self.laboratory.machine.make_safe()
        except InstrumentError as unsafe:
            lost = isinstance(unsafe, LinkError)
            reason += f"; making it safe failed too ({unsafe}): use the emergency stop"
        try:
            self.laboratory.stop_measuring()
        except InstrumentError as unsafe:
            reason += f"; the analyser could not be stopped: {unsafe}"
        return e.PressLost(name, reason) if lost else e.PressMadeSafe(name, reason)

    def _refuse_if_asking(self) -> None:
        asking = self.state.asking
        unsafe = [name for name, phase in self.state.presses.items() if phase is PressPhase.SAFE]
        if not (asking or unsafe):
            return
        lines = [
            f"trial {trial.number} is {trial.phase.value}: {trial.note}. Look at the press and the cell, then "
            f"say what you found: `pressopt resolve {trial.number} discard`, `... measure` or `... done`"
            for trial in asking
        ]
        lines += [
            f"press '{name}' was made safe: {self.state.safe_reason.get(name, '')}. Look at it, then allow motion "
            f"again: `pressopt clear`"
            for name in unsafe
        ]
        raise NeedsPersonError("\n".join(lines))

    def _why_finished(self) -> str:
        """Return why there is no further trial, or an empty string."""
        rejected = sum(trial.phase is Phase.REJECTED for trial in self.state.trials.values())
        if rejected >= 2 * self.experiment.budget.trials:
            return f"{rejected} trials were rejected, twice the budget of {self.experiment.budget.trials}"
        return first_reason(self._stopping, self.recommender, self.state.observations()) or ""

    def _close(self, reason: str) -> None:
        settles = (self._closing.number,) if self._closing is not None else ()
        self._record(e.CampaignClosed(reason, recommendation_to_json(self.recommend())), settles=settles)

    def recommend(self) -> Recommendation | None:
        """Return the answer as far as the data go, or None while nothing valid was measured."""
        history = self.state.observations()
        if not any(observation.outcomes for observation in history):
            return None
        return self.recommender.recommend(history)

    # ------------------------------------------------------------------ people

    def _hear_wishes(self) -> None:
        """Apply what people left in the inbox; what is not possible now is shown and dropped.

        A wish leaves the inbox in the stroke that writes down what became of it, so that no kill loses one.
        """
        for wish in self.journal.wishes():
            try:
                check_wish(self.state, wish.event, actor=wish.actor)
                if isinstance(wish.event, e.CampaignClosed):
                    self._closing = wish  # the trial in flight ends first, and the answer knows of it
                else:
                    self._hear(wish.event, actor=wish.actor, settles=(wish.number,))
            except LifecycleError as error:
                self.watcher.on_wait(f"not done: {error}")
                self._record(settles=(wish.number,))

    def _hear(
        self, event: e.Event, *, actor: str, blobs: tuple[bytes, ...] = (), settles: tuple[int, ...] = ()
    ) -> None:
        """Write down what a person said, with what follows from it."""
        if isinstance(event, e.PersonAnswered):
            trial = self.state.trial(event.trial)
            if self._hand is None or trial.question is None:
                raise LifecycleError(f"trial {trial.number} asks nothing of a person")
            self._take(self._hand.heard(trial, event, self.experiment.protocol(trial.settings)), settles=settles)
            return
        if isinstance(event, e.Loaded):
            self._seen_loaded.add(event.trial)
        self._record(event, actor=actor, blobs=blobs, settles=settles)

    # ------------------------------------------------------------------ one trial

    def _propose(self) -> None:
        number = max(self.state.trials, default=0) + 1
        try:
            (proposal,) = self.recommender.ask(self.state.observations())
            protocol = self.experiment.protocol(proposal.settings)
            check_protocol(protocol, self.experiment.cell, self.experiment.limits, self.laboratory.capability)
        except (PressoptError, ArithmeticError, ValueError) as error:
            self._record(e.CampaignPaused(f"no proposal could be made: {error}"))
            raise
        self._record(proposed(number, proposal, self.experiment.strategy.name))

    def _advance(self, trial: TrialState) -> None:
        match trial.phase:
            case Phase.PROPOSED:
                self._load(trial)
            case Phase.LOADED if self.laboratory.changer is None and trial.number not in self._seen_loaded:
                self._load(trial)  # confirmed to a process that is gone: what lies there now?
            case Phase.LOADED:
                self._press(trial)
            case Phase.PRESSING if self._hand is not None:
                protocol = self.experiment.protocol(trial.settings)
                self._take(self._hand.turn(trial, protocol, ask=self._ask, stop=self.stop.now))
            case Phase.MEASURING:
                self._measure(trial)
            case _:
                raise LifecycleError(f"trial {trial.number} is {trial.phase.value} and cannot go on by itself")

    def _load(self, trial: TrialState) -> None:
        """Approve the trial and put its cell under the press: by wire, or by a person who confirms."""
        try:
            protocol = self.experiment.protocol(trial.settings)
            check_protocol(protocol, self.experiment.cell, self.experiment.limits, self.laboratory.capability)
        except LimitError as error:
            self._record(e.TrialRejected(trial.number, str(error), by="limits"))
            return
        self._finish_machine()
        changer = self.laboratory.changer
        if changer is not None:
            changer.load(trial.number)
            self._record(e.Loaded(trial.number, by="sample changer"))
            return
        # The question stands before an answer counts.
        first = "release the press, " if self._hand is not None else ""
        again = "the program was away since that was confirmed: " if trial.phase is Phase.LOADED else ""
        self.watcher.on_wait(
            f"{again}{first}put cell {trial.number} under the press, then press Enter here or say "
            f"`pressopt confirm {trial.number}` (or `pressopt reject {trial.number}`)"
        )
        answer = self._confirm(trial) if self._confirm is not None else None
        if answer is not None:
            self._hear(e.Loaded(trial.number, by=answer), actor=answer)
            return
        wall_pause_s(INBOX_PERIOD_S)

    def _finish_machine(self) -> None:
        """Open the press after the last cell: what was measured needs it no longer."""
        if self.laboratory.laminator is not None and self.laboratory.changer is None and self._hand is None:
            self._cool_rolls(self.laboratory.laminator)
        press = self.laboratory.press
        if press is not None and self._hand is None:
            rate_kn_s = self.experiment.cell.die.force_kn(self.experiment.measurement.release_mpa_s)
            finish(press, self.laboratory.clock, ramp_kn_s=min(rate_kn_s, press.capability.limit_ramp_kn_s))

    def _cool_rolls(self, laminator: Laminator) -> None:
        """Let the rolls cool while a person has their hands at them; once, where the machine can be told."""
        if not self._rolls_cool:
            with contextlib.suppress(InterlockError, DeviceError):  # an open guard has its heater off by itself
                laminator.warm(temperature_c=laminator.capability.min_c)
            self._rolls_cool = True

    def _press(self, trial: TrialState) -> None:
        protocol = self.experiment.protocol(trial.settings)
        lab, experiment = self.laboratory, self.experiment
        name = lab.capability.name
        try:
            check_protocol(protocol, experiment.cell, experiment.limits, lab.capability)
        except LimitError as error:
            self._record(e.TrialRejected(trial.number, str(error), by="limits"))
            return
        self._finish_machine()  # a person may have confirmed while another cell was still held
        if lab.changer is not None:
            lab.changer.load(trial.number)  # it lies there already, unless the program ended in between
        started = e.PressingStarted(trial.number, name, asdict(protocol))
        if self._hand is not None:
            if self._hand.follower is not None:
                self._hand.follower.place(trial.number)
            self._record(started, self._hand.first(trial.number, protocol))
            return
        self._record(started)
        self._rolls_cool = False

        def on_reading(reading: PressReading | LaminatorReading) -> None:
            self.watcher.on_reading(trial, reading)

        try:
            if lab.laminator is not None:
                record = execute_rolling(
                    lab.laminator,
                    lab.clock,
                    protocol,
                    experiment.cell,
                    experiment.limits,
                    on_reading=on_reading,
                    should_stop=lambda: self.stop.now,
                )
            else:
                assert lab.press is not None  # Laboratory.machine has refused a laboratory with neither
                record = execute(
                    lab.press,
                    lab.clock,
                    protocol,
                    experiment.cell,
                    experiment.limits,
                    on_reading=on_reading,
                    should_stop=lambda: self.stop.now,
                )
        except InstrumentError as error:
            self._fault(trial, error)
            return
        data = record_to_bytes(record)
        self._record(
            e.PressingFinished(
                trial=trial.number,
                record=digest_of(data),
                achieved=experiment.achieved_settings(record, trial.settings),
                held_mpa=record.held_mpa,
                held_c=record.held_c,
                deviations=record.deviations,
            ),
            blobs=(data,),
        )

    def _person_at_press(self) -> ByHand | None:
        """Whoever works the press, where no wire does."""
        lab, experiment = self.laboratory, self.experiment
        if lab.by_hand is None:
            return None
        limit_kn = math.inf
        if isinstance(lab.capability, PressCapability):
            limit_kn = most_kn(lab.capability, experiment.cell.die, experiment.limits)
        return ByHand(
            lab.by_hand,
            lab.clock,
            limit_kn,
            experiment.achieved_settings,
            follower=lab.follower,
            indicator=lab.indicator,
            pause_s=INBOX_PERIOD_S,
        )

    def _take(self, told: Told | None, *, settles: tuple[int, ...] = ()) -> None:
        """Write down what a person at a manual press said, with what follows from it."""
        if told is None:
            if settles:
                self._record(settles=settles)
            return
        if told.notice:  # what the person must do at once is said before anything is written
            self.watcher.on_wait(told.notice)
        self._record(*told.events, actor=told.actor or ACTOR, blobs=told.blobs, settles=settles)

    def _fault(self, trial: TrialState, error: InstrumentError) -> None:
        """Make the press safe, keep what was recorded, and write both down."""
        # Where the stage's own abort action was done (hold and cool, say), the press is left to it.
        aborted = isinstance(error, StageFailedError) and error.aborted
        press = self._safe_press(str(error), machine=not aborted)
        blobs: tuple[bytes, ...] = ()
        if isinstance(error, StageFailedError) and isinstance(error.record, PressRecord):
            blobs = (record_to_bytes(error.record),)
        faulted = e.Faulted(trial.number, press.reason, digest_of(blobs[0]) if blobs else "")
        if self.stop.now and isinstance(error, StageFailedError):
            # Broken off by a person, who knows: the cell is given up, the press has not failed.
            resolved = e.Resolved(trial.number, "discard", by="operator", note="broken off on request")
            self._record(faulted, resolved, blobs=blobs)
            return
        self._record(faulted, press, blobs=blobs)

    def _measure(self, trial: TrialState) -> None:
        """Measure, write the raw data down, judge them; again while the verdict asks for it."""

        def on_point(done: int, planned: int) -> None:
            self.watcher.on_point(trial, done, planned)
            if self.stop.now:
                raise _BrokenOff

        try:
            taken = self._measuring.step(trial, on_point=on_point, blob=self.journal.blob)
        except _BrokenOff:
            # The press is opened, so the cell can no longer be measured as the protocol asks.
            self.laboratory.make_safe()
            self._record(e.TrialRejected(trial.number, "broken off on request", by="operator"))
            return
        except InstrumentError as error:
            self._fault(trial, error)
            return
        if taken.recorded is not None:
            self._record(taken.recorded, blobs=(taken.data,))
        if taken.lost is not None:
            self._fault(self.state.trial(trial.number), taken.lost)
        if taken.measured is not None:
            self._record(taken.measured)
            self._finish_machine()  # nothing stays loaded while the next trial is thought of


def proposed(number: int, proposal: Proposal, strategy: str) -> e.Proposed:
    """Return a proposal as the event that begins trial ``number``."""
    return e.Proposed(
        trial=number,
        settings=proposal.settings,
        reason=proposal.reason,
        strategy=strategy,
        predicted={name: (i.median, i.low, i.high) for name, i in proposal.predicted.items()},
        feasibility=proposal.feasibility,
    )


def stopping_rules(experiment: Experiment) -> tuple[StoppingRule, ...]:
    """Return what ends a campaign, the budget first."""
    plan = experiment.budget.stopping
    rules: list[StoppingRule] = [Budget(experiment.budget.trials)]
    if plan.target_reached:
        rules.append(TargetMet())
    if plan.expected_gain_below is not None:
        rules.append(SmallGain(plan.expected_gain_below))
    return tuple(rules)


def recommendation_to_json(recommendation: Recommendation | None) -> dict[str, object]:
    """Return a recommendation as plain JSON; empty when there is none."""
    return asdict(recommendation) if recommendation is not None else {}
