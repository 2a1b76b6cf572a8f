"""What can be done with campaigns and trials: each act checked, written down, and answered once it is on disk."""

from __future__ import annotations

import re
import secrets
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pressopt.assembly import changed, reachable_space, software
from pressopt.campaign import events as e
from pressopt.campaign import own_press
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import read_experiment
from pressopt.campaign.journal import digest_of
from pressopt.campaign.lifecycle import CampaignPhase, Phase
from pressopt.campaign.physics_prior import SurrogatePrior
from pressopt.campaign.replay import CampaignState, TrialState
from pressopt.campaign.runner import proposed, recommendation_to_json, stopping_rules
from pressopt.errors import ExperimentError, InputError, LifecycleError, Violation
from pressopt.impedance import ImpedanceSpectrum, analyse, read_spectra
from pressopt.impedance.summary import summary
from pressopt.optimizer import Proposal
from pressopt.optimizer.stopping import Budget, first_reason
from pressopt.pressing import PressCapability
from pressopt.pressing.execution import check_protocol
from pressopt.service.acts import CampaignPlaced
from pressopt.service.host import By, Host, NotFound
from pressopt.service.hosted import Hosted

#: Trials that can be asked for at once.
MOST_AT_ONCE = 64
#: Names of campaigns, files and presses as they may come from outside.
NAME = re.compile(r"[\w][\w .+()-]{0,99}\Z")


class Campaigns:
    """Acts of people, robots and runners on campaigns; all methods run on the event loop."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.after_write.append(self._close_if_finished)
        self._closing: set[str] = set()

    # ------------------------------------------------------------------ campaigns

    async def create(
        self,
        text: str,
        *,
        by: By,
        name: str = "experiment",
        presses: Sequence[str] = (),
        priority: int = 0,
        changes: Mapping[str, int] | None = None,
    ) -> dict[str, Any]:
        """Open a campaign from the text of an experiment file.

        Raises:
            ExperimentError: Everything that is wrong with it.
        """
        experiment = await self.host.think(checked_experiment, text, name)
        experiment = changed(experiment, changes or {})
        campaign = f"{slug(experiment.name)}-{secrets.token_hex(3)}"
        opened = e.CampaignOpened(
            name=experiment.name,
            experiment_path=f"{experiment.name}.toml",
            experiment_text=text,
            digest=experiment.digest,
            seed=experiment.seed,
            software=software(),
            changes=dict(changes or {}),
        )
        hosted = Hosted(campaign, experiment, CampaignState(), CampaignState())
        placed = CampaignPlaced(campaign, tuple(presses), priority)
        document = {"id": campaign, "name": experiment.name, "title": experiment.title}
        async with hosted.lock:
            wait = await self.host.commit(hosted, (opened,), by, document, status=201, acts=(placed,))
            await wait()
            self.host.keep(hosted)
        return document

    async def say(
        self, campaign: str, word: Callable[[CampaignState], Sequence[e.Event]], by: By
    ) -> dict[str, Any]:
        """Write down what somebody says of a campaign, and return where it stands then."""
        hosted = await self.host.hosted(campaign)
        async with hosted.lock:
            events = word(hosted.decided)
            document = {"id": campaign, "noted": [type(event).__name__ for event in events]}
            wait = await self.host.commit(hosted, events, by, document)
        return await wait()

    async def pause(self, campaign: str, reason: str, by: By) -> dict[str, Any]:
        """Propose nothing new; what runs goes on. Twice is harmless."""
        return await self.say(
            campaign,
            lambda state: () if state.phase is CampaignPhase.PAUSED else (e.CampaignPaused(reason),),
            by,
        )

    async def resume(self, campaign: str, by: By) -> dict[str, Any]:
        """Open a paused campaign again. Twice is harmless."""
        return await self.say(
            campaign, lambda state: () if state.phase is CampaignPhase.OPEN else (e.CampaignContinued(),), by
        )

    async def close(self, campaign: str, reason: str, by: By) -> dict[str, Any]:
        """End a campaign with the answer that the data allow; trials before their pressing are given up.

        Raises:
            LifecycleError: A cell is under a press or being measured, or a person must say what was found.
        """
        hosted = await self.host.hosted(campaign)
        async with hosted.lock:
            state = hosted.decided
            busy = [one for one in state.in_flight if one.phase not in {Phase.PROPOSED, Phase.LOADED}]
            if busy:
                told = ", ".join(f"trial {one.number} is {one.phase.value}" for one in busy)
                raise LifecycleError(f"{told}: let it end or stop it, then close the campaign")
            if state.phase is CampaignPhase.CLOSED:
                raise LifecycleError("the campaign is closed already")
            answer = await self._answer(hosted)
            given_up = [e.TrialRejected(one.number, "the campaign was closed", by.name) for one in state.in_flight]
            document = {"id": campaign, "closed": reason, "recommendation": answer}
            closed = e.CampaignClosed(reason, answer)
            wait = await self.host.commit(hosted, (*given_up, closed), by, document)
        return await wait()

    async def place(
        self, campaign: str, presses: Sequence[str] | None, priority: int | None, by: By
    ) -> dict[str, Any]:
        """Change which presses may work on a campaign, and how urgently."""
        await self.host.hosted(campaign)
        now = self.host.summaries[campaign]
        placed = CampaignPlaced(
            campaign,
            tuple(presses if presses is not None else now["presses"]),
            priority if priority is not None else now["priority"],
        )
        return await self.host.note(
            (placed,), by, {"id": campaign, "presses": list(placed.presses), "priority": placed.priority}
        )

    # ------------------------------------------------------------------ ask

    async def ask(
        self, campaign: str, count: int, by: By, *, capability: PressCapability | None = None
    ) -> dict[str, Any]:
        """Return the next trials, written down as proposed.

        Args:
            campaign: Its id.
            count: How many.
            by: Who asks.
            capability: Of the press that will do them; None: somebody's own.

        Raises:
            LifecycleError: The campaign is paused or closed, or its budget is spent.
        """
        hosted = await self.host.hosted(campaign)
        async with hosted.lock:
            events = await self.proposals(hosted, count, capability)
            document = {
                "campaign": campaign,
                "trials": [trial_document(hosted.experiment, event) for event in events],
            }
            wait = await self.host.commit(hosted, events, by, document, status=201)
        return await wait()

    async def proposals(self, hosted: Hosted, count: int, capability: PressCapability | None) -> list[e.Proposed]:
        """Return the next trials of a campaign (its lock is held); not yet written down.

        Raises:
            LifecycleError: The campaign is paused or closed, or its budget is spent.
        """
        state, experiment = hosted.decided, hosted.experiment
        if state.phase is not CampaignPhase.OPEN:
            raise LifecycleError(f"the campaign is {state.phase.value}: nothing new is proposed")
        left = trials_left(experiment, state)
        if left <= 0:
            raise LifecycleError(
                f"the budget of {experiment.budget.trials} trials is spent or under way: nothing new is proposed"
            )
        _, recommender = await self.host.engine(experiment)
        if capability is not None:
            recommender = replace(recommender, space=reachable_space(experiment, capability))
        pending = [trial.settings for trial in state.in_flight]
        found: list[Proposal] = await self.host.think(
            recommender.ask, state.observations(), pending, min(count, left)
        )
        if capability is not None:
            for proposal in found:
                protocol = experiment.protocol(proposal.settings)
                check_protocol(protocol, experiment.cell, experiment.limits, capability)
        first = max(state.trials, default=0) + 1
        strategy = experiment.strategy.name
        return [proposed(first + place, proposal, strategy) for place, proposal in enumerate(found)]

    # ------------------------------------------------------------------ tell

    async def tell(
        self, campaign: str, number: int, result: own_press.Result, how: own_press.Pressed, by: By
    ) -> dict[str, Any]:
        """Write down what was measured on a cell; told twice is told once.

        Raises:
            InputError: Everything that is wrong with it.
            LifecycleError: The trial cannot be told, or was told with other values.
        """
        hosted = await self.host.hosted(campaign)
        async with hosted.lock:
            trial = self._free_trial(hosted, number)
            events = own_press.told(hosted.experiment, trial, result, how, by=by.name)
            document = {"campaign": campaign, "trial": number, "phase": Phase.DONE.value}
            wait = await self.host.commit(hosted, events, by, document)
        return await wait()

    async def pressed(self, campaign: str, number: int, how: own_press.Pressed, by: By) -> dict[str, Any]:
        """Write down that a cell was pressed on somebody's own press; a spectrum or a result is told next."""
        hosted = await self.host.hosted(campaign)
        async with hosted.lock:
            events = own_press.pressed(hosted.experiment, self._free_trial(hosted, number), how, by=by.name)
            document = {"campaign": campaign, "trial": number, "phase": Phase.MEASURING.value}
            wait = await self.host.commit(hosted, events, by, document)
        return await wait()

    async def spectrum(
        self, campaign: str, number: int, data: bytes, name: str, by: By, *, negate_imaginary: bool = False
    ) -> dict[str, Any]:
        """Judge an uploaded spectrum of a trial that was pressed by hand, and keep the file as it came.

        Raises:
            SpectrumError: The file is no spectrum, or holds several.
            LifecycleError: The cell was not pressed yet, or needs no spectrum.
        """
        spectra = await self.host.think(spectra_of, data, name, negate_imaginary)
        if len(spectra) != 1:
            raise InputError(f"the file holds {len(spectra)} spectra: upload the one of this trial")
        hosted = await self.host.hosted(campaign)
        surrogate, _ = await self.host.engine(hosted.experiment)
        prior = SurrogatePrior(hosted.experiment, surrogate)
        async with hosted.lock:
            trial = self._free_trial(hosted, number)
            if any(one.data == digest_of(data) for one in trial.attached) and trial.measurements:
                return self._spectrum_document(campaign, trial, None)  # uploaded before
            recorded, raw, judged = await self.host.think(
                lambda: own_press.measured(
                    hosted.experiment,
                    trial,
                    spectra[0],
                    instrument=str(spectra[0].metadata.get("format", "uploaded")),
                    least_ohm=prior.separator_ohm(trial.settings),
                )
            )
            attached = e.Attached(number, safe_name(name), digest_of(data), by=by.name)
            events = [attached, recorded, *([judged] if judged is not None else [])]
            document = self._spectrum_document(campaign, trial, judged)
            wait = await self.host.commit(hosted, events, by, document, status=201, blobs=(data, raw))
        return await wait()

    def _spectrum_document(self, campaign: str, trial: TrialState, judged: e.Measured | None) -> dict[str, Any]:
        if judged is None and trial.phase is Phase.MEASURING:
            return {"campaign": campaign, "trial": trial.number, "phase": "measuring", "verdict": "remeasure"}
        found = judged
        return {
            "campaign": campaign,
            "trial": trial.number,
            "phase": Phase.DONE.value,
            "verdict": found.verdict if found is not None else trial.verdict,
            "reasons": list(found.reasons if found is not None else trial.reasons),
            "failures": list(found.failures if found is not None else trial.failures),
            "outcomes": outcomes_document(found.outcomes if found is not None else trial.outcomes),
        }

    async def attach(
        self, campaign: str, number: int, data: bytes, name: str, by: By, *, note: str = "", who: str = ""
    ) -> dict[str, Any]:
        """Keep a file with a trial, from ``who`` (default: who asks); the same file twice is one."""
        hosted = await self.host.hosted(campaign)
        digest = digest_of(data)
        event = e.Attached(number, safe_name(name), digest, note, who or by.name)
        document = {"campaign": campaign, "trial": number, "name": event.name, "sha256": digest, "size": len(data)}
        async with hosted.lock:
            trial = trial_of(hosted.decided, number)
            events = (
                () if any((one.name, one.data) == (event.name, digest) for one in trial.attached) else (event,)
            )
            wait = await self.host.commit(
                hosted, events, by, document, status=201, blobs=(data,) if events else ()
            )
        return await wait()

    async def word(self, campaign: str, number: int, event: e.TrialEvent, by: By) -> dict[str, Any]:
        """Write down what a person says of a trial: confirm, reject, resolve."""
        hosted = await self.host.hosted(campaign)
        async with hosted.lock:
            self._free_trial(hosted, number)
            document = {"campaign": campaign, "trial": number, "noted": type(event).__name__}
            wait = await self.host.commit(hosted, (event,), by, document)
        return await wait()

    def resolved(
        self,
        number: int,
        action: str,
        *,
        by: str,
        note: str,
        achieved: Mapping[str, float],
        outcomes: e.Outcomes,
    ) -> e.Resolved:
        """Return what a person found as an event.

        Raises:
            InputError: All that is wrong with it.
        """
        wrong = []
        if action == "done" and not outcomes:
            wrong.append(Violation("outcomes", "'done' needs at least one value measured by hand"))
        if action != "done" and outcomes:
            wrong.append(Violation("outcomes", f"values go with 'done', not with '{action}'"))
        if outcomes:
            wrong += own_press.Result(outcomes).mistakes()
        if wrong:
            raise InputError(wrong)
        return e.Resolved(number, action, by, note, achieved, outcomes)

    def _free_trial(self, hosted: Hosted, number: int) -> TrialState:
        """Return a trial that no runner works on."""
        trial = trial_of(hosted.decided, number)
        press = self.host.state.assigned.get((hosted.id, number))
        if press is not None and trial.phase not in {Phase.DONE, Phase.REJECTED}:
            raise LifecycleError(f"trial {number} is in the hands of press '{press}': its runner tells of it")
        return trial

    # ------------------------------------------------------------------ the answer

    async def _answer(self, hosted: Hosted) -> dict[str, Any]:
        """Return the recommendation that the data allow; empty while nothing valid was measured."""
        history = hosted.decided.observations()
        if not any(one.outcomes for one in history):
            return {}
        _, recommender = await self.host.engine(hosted.experiment)
        return dict(recommendation_to_json(await self.host.think(recommender.recommend, history)))

    def _close_if_finished(self, hosted: Hosted | None, events: Sequence[e.Event]) -> None:
        """Look, after a trial has ended, whether the campaign has."""
        if hosted is None or hosted.id in self._closing:
            return
        state = hosted.shown
        if state.phase is not CampaignPhase.OPEN or state.in_flight or not state.trials:
            return
        spent = len(state.done) >= hosted.experiment.budget.trials
        if spent or any(not isinstance(rule, Budget) for rule in stopping_rules(hosted.experiment)):
            self._closing.add(hosted.id)
            self.host.spawn(self._finish(hosted))

    async def _finish(self, hosted: Hosted) -> None:
        """Close a campaign whose rules say that it has ended."""
        by = By("service")
        try:
            _, recommender = await self.host.engine(hosted.experiment)
            async with hosted.lock:
                state = hosted.decided
                if state.phase is not CampaignPhase.OPEN or state.in_flight:
                    return
                rules = stopping_rules(hosted.experiment)
                reason = await self.host.think(first_reason, rules, recommender, state.observations())
                if not reason:
                    return
                answer = await self._answer(hosted)
                wait = await self.host.commit(hosted, (e.CampaignClosed(reason, answer),), by, {})
            await wait()
        finally:
            self._closing.discard(hosted.id)


# ---------------------------------------------------------------------- checks and documents


def checked_experiment(text: str, name: str) -> Experiment:
    """Read and check the text of an experiment that came from outside.

    It may not name files: the service would look for them on its own disk.

    Raises:
        ExperimentError: Everything that is wrong with it.
    """
    wrong = _paths_in(text)
    if wrong:
        raise ExperimentError(wrong, source=name)
    return read_experiment(text, Path(f"{safe_name(name).removesuffix('.toml')}.toml"))


def _paths_in(text: str) -> list[Violation]:
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return []  # read_experiment says it better
    wrong = []
    materials = raw.get("materials")
    if isinstance(materials, dict) and "file" in materials:
        wrong.append(
            Violation("materials.file", "a service reads no files of its own: use materials of the catalogue")
        )
    laboratory = raw.get("laboratory")
    for role, device in laboratory.items() if isinstance(laboratory, dict) else ():
        profile = device.get("profile") if isinstance(device, dict) else device
        if role != "kind" and isinstance(profile, str) and ("/" in profile or profile.endswith(".toml")):
            wrong.append(
                Violation(
                    f"laboratory.{role}",
                    "a service reads no files of its own: name a shipped profile; its presses bring theirs",
                )
            )
    return wrong


def safe_name(name: str) -> str:
    """Return the last part of a file's name.

    Raises:
        InputError: Nothing usable is left of it.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    if not NAME.match(last):
        raise InputError(
            [Violation("name", f"{name[:80]!r} is no name of a file: use letters, digits, - _ . ( ) + and spaces")]
        )
    return last


def spectra_of(data: bytes, name: str, negate_imaginary: bool) -> list[ImpedanceSpectrum]:
    """Read every spectrum of an uploaded file, whatever analyser wrote it.

    Raises:
        SpectrumError: It is no spectrum.
    """
    shown = safe_name(name)
    with tempfile.NamedTemporaryFile(prefix="pressopt-upload-") as file:
        file.write(data)
        file.flush()
        try:
            spectra = read_spectra(file.name, negate_imaginary=negate_imaginary)
        except InputError as error:
            raise type(error)(error.violations, source=shown) from error
    for spectrum in spectra:
        spectrum.metadata["source"] = shown
    return spectra


def analysed(
    data: bytes, name: str, *, area_cm2: float | None, interfaces: int, blocking: bool, negate_imaginary: bool
) -> list[dict[str, Any]]:
    """Judge and fit every spectrum of an uploaded file, as ``pressopt eis`` does."""
    found = []
    for spectrum in spectra_of(data, name, negate_imaginary):
        told = spectrum.metadata.get("area_cm2")
        area = area_cm2 or (told if isinstance(told, float) and told > 0 else 1.0)
        layout = "blocking" if blocking else "symmetric"
        found.append(summary(analyse(spectrum, area_cm2=area, interfaces=interfaces, layout=layout)))  # type: ignore[arg-type]
    return found


def trial_of(state: CampaignState, number: int) -> TrialState:
    """Return a trial; raise NotFound naming those that exist."""
    if number not in state.trials:
        known = f"1 to {max(state.trials)}" if state.trials else "none yet"
        raise NotFound(f"there is no trial {number}: the campaign has {known}")
    return state.trials[number]


def trials_left(experiment: Experiment, state: CampaignState) -> int:
    """How many trials may still be proposed: the budget less those done and under way."""
    rejected = sum(trial.phase is Phase.REJECTED for trial in state.trials.values())
    if rejected >= 2 * experiment.budget.trials:
        return 0
    return experiment.budget.trials - (len(state.trials) - rejected)


def trial_document(experiment: Experiment, event: e.Proposed) -> dict[str, Any]:
    """Return a proposal for whoever presses it."""
    return {
        "trial": event.trial,
        "settings": dict(event.settings),
        "reason": event.reason,
        "predicted": {
            name: {"median": median, "low": low, "high": high}
            for name, (median, low, high) in event.predicted.items()
        },
        "feasibility": event.feasibility,
        "protocol": asdict(experiment.protocol(event.settings)),
    }


def outcomes_document(outcomes: e.Outcomes) -> dict[str, dict[str, float]]:
    """Return outcomes as answers write them."""
    return {name: {"value": value, "sd": sd} for name, (value, sd) in outcomes.items()}


def slug(name: str) -> str:
    """Return a name as it can stand in an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "campaign"
