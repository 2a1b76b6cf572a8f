"""The presses of the service: who gets which trial, what runners tell, and what people say to them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pressopt.campaign import events as e
from pressopt.campaign.journal import Entry, digest_of
from pressopt.campaign.ledger import Intake
from pressopt.campaign.lifecycle import CampaignPhase, Phase, PressPhase
from pressopt.campaign.replay import CampaignState, TrialState, apply
from pressopt.clock import wall_monotonic_s
from pressopt.errors import InputError, LifecycleError, LimitError, Violation
from pressopt.pressing.execution import check_protocol
from pressopt.service.acts import EntryRefused, Placement, PressOrdered, TrialAssigned, WordSent
from pressopt.service.campaigns import Campaigns, trial_of, trials_left
from pressopt.service.courier import digests_of
from pressopt.service.host import By, Host, NotFound
from pressopt.service.hosted import Hosted
from pressopt.service.press_plan import PressPlan

#: A runner that has not reported for so long counts as gone, s of wall time; it reports several times a second.
GONE_AFTER_S = 15.0
#: Phases in which nothing of a trial has been done yet.
WAITING = frozenset({Phase.PROPOSED, Phase.LOADED})


@dataclass
class PressDesk:
    """What the service knows of a press at the moment; all of it comes again with the next report.

    ``cannot``: campaigns of which this press can do nothing, with the reason.
    """

    plan: PressPlan
    reported_s: float | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    orders: list[tuple[int, str]] = field(default_factory=list)
    cannot: dict[str, str] = field(default_factory=dict)

    def order(self, number: int, order: str) -> None:
        """Leave an order for the runner; it is repeated until the runner says that it has seen its number."""
        last = self.orders[-1][0] if self.orders else 0
        self.orders.append((max(number, last + 1), order))

    @property
    def alive(self) -> bool:
        """Whether its runner has reported lately."""
        return self.reported_s is not None and wall_monotonic_s() - self.reported_s < GONE_AFTER_S


class Presses:
    """Hands trials to runners and takes their journals over; all methods run on the event loop."""

    def __init__(self, host: Host, campaigns: Campaigns, plans: Sequence[PressPlan]) -> None:
        self._host = host
        self._campaigns = campaigns
        self.desks = {plan.name: PressDesk(plan) for plan in plans}

    def desk(self, press: str) -> PressDesk:
        """Return a press; raise NotFound naming those that exist."""
        if press not in self.desks:
            known = ", ".join(self.desks) or "none"
            raise NotFound(f"there is no press {press[:80]!r}: this service has {known}")
        return self.desks[press]

    # ------------------------------------------------------------------ looking

    def documents(self) -> list[dict[str, Any]]:
        """Return all presses as plain data."""
        return [self.document(name) for name in self.desks]

    def document(self, press: str) -> dict[str, Any]:
        """Return one press as plain data: state, what it works on, the last reading, who runs it."""
        desk = self.desk(press)
        report = desk.report
        return {
            "name": press,
            "kind": desk.plan.kind,
            "devices": {role: one.profile for role, one in desk.plan.devices.items()},
            "state": report.get("state", PressPhase.IDLE.value) if desk.alive else PressPhase.GONE.value,
            "campaign": report.get("campaign"),
            "trial": report.get("trial"),
            "phase": report.get("phase"),
            "message": report.get("message", "") if desk.alive else "its runner does not report",
            "reading": report.get("reading"),
            "measuring": report.get("measuring"),
            "runner": report.get("runner"),
            "cannot": dict(desk.cannot),
        }

    # ------------------------------------------------------------------ work for runners

    async def work(self, press: str, by: By) -> dict[str, Any]:
        """Return the next trial for a press, or nothing to do."""
        desk = self.desk(press)
        for campaign in self._candidates(desk):
            hosted = await self._host.hosted(campaign)
            if not desk.plan.suits(hosted.experiment):
                continue
            try:
                async with hosted.lock:
                    found = await self._next_trial(desk, hosted, by)
            except LimitError as error:  # out of its reach: it goes on with another campaign
                desk.cannot[campaign] = str(error)
                continue
            desk.cannot.pop(campaign, None)
            if found is not None:
                return {"work": found}
        return {"work": None}

    def _candidates(self, desk: PressDesk) -> list[str]:
        """Campaigns on which a press may work: those with a trial in its hands first, then by priority and age."""
        name, assigned = desk.plan.name, self._host.state.assigned
        mine = {campaign for (campaign, _), press in assigned.items() if press == name}
        rows = [
            row
            for row in self._host.summaries.values()
            if row["phase"] != CampaignPhase.CLOSED.value
            and (row["id"] in mine or self._host.state.placements.get(row["id"], Placement()).allows(name))
        ]
        rows.sort(
            key=lambda row: (not self._holds(row, name), -row["priority"], row["created_at"], row["id"]),
        )
        return [row["id"] for row in rows]

    def _holds(self, row: Mapping[str, Any], press: str) -> bool:
        assigned = self._host.state.assigned
        return any(assigned.get((row["id"], number)) == press for number in row["in_flight"])

    async def _next_trial(self, desk: PressDesk, hosted: Hosted, by: By) -> dict[str, Any] | None:
        """Return the next trial of a campaign for a press (its lock is held); None: it has nothing for it now."""
        name, state, assigned = desk.plan.name, hosted.decided, self._host.state.assigned
        for trial in state.in_flight:
            if assigned.get((hosted.id, trial.number)) == name:
                return self._work_document(hosted, trial)
        if state.phase is not CampaignPhase.OPEN:
            return None
        left = trials_left(hosted.experiment, state) > 0
        capability = desk.plan.capability(hosted.experiment)
        if desk.plan.by_person(hosted.experiment):
            unassigned = [one for one in state.in_flight if (hosted.id, one.number) not in assigned]
            if not unassigned and left:
                events = await self._campaigns.proposals(hosted, 1, capability)
                wait = await self._host.commit(hosted, events, by, {})
                await wait()
            return None  # it waits for a person, and holds nothing meanwhile
        if not left:
            return None
        events = await self._campaigns.proposals(hosted, 1, capability)
        number = events[0].trial
        wait = await self._host.commit(hosted, events, by, {}, acts=(TrialAssigned(name, hosted.id, number),))
        await wait()
        return self._work_document(hosted, hosted.decided.trial(number))

    def _work_document(self, hosted: Hosted, trial: TrialState) -> dict[str, Any]:
        opened = hosted.decided.opened
        assert opened is not None  # a campaign begins with it
        return {
            "campaign": hosted.id,
            "name": opened.name,
            "experiment": opened.experiment_text,
            "changes": dict(opened.changes),
            "trial": trial.number,
            "phase": trial.phase.value,
            "loaded_by": self._loaded_by(hosted, trial),
            "settings": dict(trial.settings),
            "reason": trial.reason,
            "feasibility": trial.feasibility,
            "predicted": {name: list(interval) for name, interval in trial.predicted.items()},
        }

    def _loaded_by(self, hosted: Hosted, trial: TrialState) -> str | None:
        """Who confirmed that the cell lies under the press; None: nobody yet, or it was not asked."""
        if trial.phase is not Phase.LOADED:
            return None
        events = (row.entry().event for row in self._host.ledger.rows(hosted.id) if row.kind == e.Loaded.__name__)
        names = [one.by for one in events if isinstance(one, e.Loaded) and one.trial == trial.number]
        return names[-1] if names else None

    # ------------------------------------------------------------------ what runners tell

    async def report(self, press: str, told: Mapping[str, Any], by: By) -> dict[str, Any]:
        """Take a runner's report and what it hands over of its journal; return what people said to it."""
        desk = self.desk(press)
        desk.report = {
            key: value for key, value in told.items() if key not in {"journal", "words_after", "orders_seen"}
        }
        desk.reported_s = wall_monotonic_s()
        taken = None
        if told.get("journal") is not None:
            taken = await self._take_over(press, told["journal"], by)
        after = told.get("words_after", 0)
        words = [
            {
                "number": number,
                "actor": actor,
                "campaign": word.campaign,
                "kind": word.kind,
                "version": word.kind_version,
                "body": word.body,
            }
            for number, actor, word in self._host.state.words
            if word.press == press and number > after
        ]
        seen = told.get("orders_seen", 0)
        desk.orders = [one for one in desk.orders if one[0] > seen]
        orders = [{"number": number, "order": order} for number, order in desk.orders]
        return {"taken": taken, "words": words, "orders": orders}

    async def _take_over(self, press: str, journal: Mapping[str, Any], by: By) -> int:
        """Take entries of a runner's journal over into its campaign's, each once; return how far."""
        try:
            campaign = str(journal["campaign"])
            entries = [
                (
                    int(one["seq"]),
                    str(one["at"]),
                    str(one["actor"]),
                    e.from_json(one["kind"], one["version"], one["body"]),
                )
                for one in journal["entries"]
            ]
            blobs = [base64.b64decode(one, validate=True) for one in journal.get("blobs", ())]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError([Violation("journal", f"cannot be read: {error}")]) from error
        hosted = await self._host.hosted(campaign)
        async with hosted.lock:
            taken = self._host.ledger.taken(press, campaign)
            fresh = [one for one in entries if one[0] > taken]
            if not fresh:
                return taken
            if fresh[0][0] != taken + 1:
                raise LifecycleError(f"entry {taken + 1} of press '{press}' is missing: send from there on")
            state, events, origins, refused = hosted.decided, [], [], []
            for seq, at, actor, event in fresh:
                if _known(state, event):
                    continue
                try:
                    self._refuse_foreign(press, hosted, event)
                    state = apply(state, Entry(state.last_seq + 1, at, actor, event, ""))
                except LifecycleError as error:
                    kind, body = type(event).__name__, e.to_json(event)
                    refused.append(EntryRefused(press, campaign, seq, kind, body, str(error)))
                    continue
                events.append(event)
                origins.append((actor if actor != "runner" else f"press {press}", at))
            named = {digest for event in events for digest in digests_of(event)}
            kept = [data for data in blobs if digest_of(data) in named]
            last = fresh[-1][0]
            wait = await self._host.commit(
                hosted,
                events,
                by,
                {},
                blobs=kept,
                intake=Intake(press, campaign, last),
                acts=tuple(refused),
                origins=origins,
            )
            await wait()  # under the lock: the next report asks the store how far it came
        return last

    def _refuse_foreign(self, press: str, hosted: Hosted, event: e.Event) -> None:
        """Refuse what a runner tells of a trial that was never given to its press."""
        if isinstance(event, e.TrialEvent) and self._host.state.assigned.get((hosted.id, event.trial)) != press:
            raise LifecycleError(f"trial {event.trial} was not given to press '{press}'")

    # ------------------------------------------------------------------ what people say

    async def word(
        self, campaign: str, number: int, event: e.TrialEvent, by: By, *, under: str | None = None
    ) -> dict[str, Any]:
        """Write down what a person says of a trial, or send it to the runner that has it in hands.

        ``under``: the press under which the cell lies, where a person confirms one and several could do it.
        """
        hosted = await self._host.hosted(campaign)
        async with hosted.lock:
            trial = trial_of(hosted.decided, number)
            press = self._host.state.assigned.get((campaign, number))
            desk = self.desks.get(press or "")
            alive = desk is not None and desk.alive
            events: tuple[e.TrialEvent, ...] = (event,)
            if press is not None and not alive and isinstance(event, e.Resolved) and trial.phase is Phase.PRESSING:
                gone = f"press '{press}' does not report: nobody saw how its pressing ended"
                events = (e.Interrupted(number, gone), event)
            hosted.decide(events, by.name)  # refuses what is not possible
            acts: tuple[e.Event, ...] = ()
            if press is None and isinstance(event, e.Loaded):
                acts = self._assignment(hosted, trial, under)
            document = {"campaign": campaign, "trial": number, "noted": type(event).__name__, "sent_to": press}
            if desk is not None and alive:
                return await self._host.note((_sent(desk.plan.name, campaign, event),), by, document)
            # Nobody has it in hands, or who had it is gone: what a person says counts at once.
            sent = (_sent(press, campaign, event),) if press is not None else ()
            wait = await self._host.commit(hosted, events, by, document, acts=(*acts, *sent))
        return await wait()

    def _assignment(self, hosted: Hosted, trial: TrialState, under: str | None) -> tuple[TrialAssigned, ...]:
        """Give a trial whose cell a person has loaded to the press that it lies under.

        Raises:
            LifecycleError: Nobody said which of several, it cannot do this campaign, or it has another cell.
            LimitError: What was proposed is out of its reach.
        """
        placement = self._host.state.placements.get(hosted.id, Placement())
        able = [
            name
            for name, desk in self.desks.items()
            if placement.allows(name) and desk.plan.suits(hosted.experiment)
        ]
        if under is None and len(able) > 1:
            raise LifecycleError(f"say under which press the cell of trial {trial.number} lies: {', '.join(able)}")
        if under is not None and under not in able:
            raise LifecycleError(
                f"press '{under}' does not work on this campaign: {', '.join(able) or 'none does'}"
            )
        if not able:
            return ()
        press = under or able[0]
        capability = self.desks[press].plan.capability(hosted.experiment)
        if capability is not None:
            protocol = hosted.experiment.protocol(trial.settings)
            check_protocol(protocol, hosted.experiment.cell, hosted.experiment.limits, capability)
        if self._in_hands(press):
            raise LifecycleError(
                f"trial {trial.number} cannot be loaded: press '{press}' has another cell in hands"
            )
        return (TrialAssigned(press, hosted.id, trial.number),)

    def _in_hands(self, press: str) -> bool:
        """Whether a press has a trial that has not ended."""
        return any(self._holds(row, press) for row in self._host.summaries.values())

    async def stop_campaign(self, campaign: str, reason: str, by: By) -> dict[str, Any]:
        """Pause a campaign, give up what is not pressed yet, and break off what runs."""
        hosted = await self._host.hosted(campaign)
        assigned = self._host.state.assigned
        async with hosted.lock:
            state = hosted.decided
            running: set[str] = set()
            events: list[e.Event] = [e.CampaignPaused(reason)] if state.phase is CampaignPhase.OPEN else []
            acts: list[e.Event] = []
            for trial in state.in_flight:
                press = assigned.get((campaign, trial.number))
                given_up = e.TrialRejected(trial.number, reason, by.name)
                if press is None:
                    events += [given_up] if trial.phase in WAITING else []
                    continue
                running.add(press)
                acts += [_sent(press, campaign, given_up)] if trial.phase in WAITING else []
            acts += [PressOrdered(press, "break-off") for press in sorted(running)]
            document = {"id": campaign, "stopped": sorted(running)}
            wait = await self._host.commit(hosted, events, by, document, acts=acts)
        answer = await wait()
        for press in running & self.desks.keys():
            self.desks[press].order(self._host.state.last_seq, "break-off")
        return answer

    async def order(self, press: str, order: str, by: By) -> dict[str, Any]:
        """Order a press to be made safe."""
        desk = self.desk(press)
        answer = await self._host.note((PressOrdered(press, order),), by, {"press": press, "order": order})
        desk.order(self._host.state.last_seq, order)
        return answer

    async def clear(self, press: str, person: str, note: str, by: By) -> dict[str, Any]:
        """Allow motion again on a press that was made safe.

        Raises:
            LifecycleError: It is not in the safe state.
        """
        desk = self.desk(press)
        campaign = desk.report.get("campaign")
        if desk.report.get("state") not in {PressPhase.SAFE.value, PressPhase.GONE.value} or not campaign:
            raise LifecycleError(f"press '{press}' is not in the safe state: nothing is to be cleared")
        word = _sent(press, str(campaign), e.FaultCleared(press, person, note))
        return await self._host.note((word,), by, {"press": press, "cleared_by": person})


def _sent(press: str | None, campaign: str, event: e.Event) -> WordSent:
    return WordSent(press or "", campaign, type(event).__name__, event.version, e.to_json(event))


def _known(state: CampaignState, event: e.Event) -> bool:
    """Whether the service knew of this before the runner did: it opens campaigns, proposes, and hears people."""
    if isinstance(event, e.CampaignEvent):
        return True
    if isinstance(event, e.Proposed):
        return event.trial in state.trials
    if isinstance(event, e.Loaded):
        return event.trial in state.trials and state.trials[event.trial].phase is Phase.LOADED
    return False
