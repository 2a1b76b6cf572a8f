"""The process that runs one press: takes trials from the service, does them by its own journal, hands that over.

``python -m pressopt.service.press_runner FOLDER``: ``FOLDER/runner.json`` says which press and which service. It
survives restarts of the service: what it has in hands it ends, and it waits to hand over what it wrote down.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pressopt.assembly import changed, open_laboratory, recommender_of, software, surrogate_of
from pressopt.campaign import events as e
from pressopt.campaign.experiment import Experiment
from pressopt.campaign.experiment_file import read_experiment
from pressopt.campaign.laboratory import Laboratory
from pressopt.campaign.lifecycle import ENDED, PressPhase
from pressopt.campaign.measuring import SeparatorResistance
from pressopt.campaign.physics_prior import SurrogatePrior
from pressopt.campaign.replay import CampaignState, check_wish, replay
from pressopt.campaign.runner import Runner
from pressopt.campaign.watching import StopRequest
from pressopt.clock import utc_now, wall_monotonic_s, wall_pause_s
from pressopt.errors import InstrumentError, LifecycleError, NeedsPersonError, PressoptError
from pressopt.optimizer import Recommender
from pressopt.service.client import Client
from pressopt.service.courier import Courier
from pressopt.service.press_plan import PressPlan, plan_from_document
from pressopt.store import SqliteJournal
from pressopt.store.places import JOURNAL, journal_of

_LOG = logging.getLogger("pressopt.runner")
#: A runner without a service and with nothing in hands ends after so long, s of wall time.
LONELY_S = 600.0
#: Pauses, s of wall time: between two looks for work, for a person's word, and after an instrument has failed.
_LOOK_S = 0.3
_AFTER_FAULT_S = 5.0
#: How long a runner waits before it takes new work until what it did is taken over, s of wall time.
_HAND_OVER_S = 5.0


def lock_of(folder: Path) -> Path:
    """The file that a living runner holds locked."""
    return folder / "runner.lock"


def order_of(folder: Path) -> Path:
    """The file that says which press and which service."""
    return folder / "runner.json"


class PressRunner:
    """Runs one press until it is stopped, or has been alone for long."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        order = self._order()
        self._plan: PressPlan = plan_from_document(order["plan"])
        self._stop = StopRequest()
        self._ending = threading.Event()
        self._safe_ordered = threading.Event()
        self._campaign = ""
        self._laboratory: Laboratory | None = None
        self._client: Client | None = None
        self._unsafe = [
            one.parent.name for one in folder.glob(f"*/{JOURNAL}") if self._is_safe_in(one.parent.name)
        ]
        self._courier = Courier(
            self._plan.name,
            self._connect,
            folder,
            on_order=self._on_order,
            who={"pid": os.getpid(), "since": utc_now().isoformat(timespec="seconds")},
        )

    def _order(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(order_of(self._folder).read_text(encoding="utf-8"))
        return found

    def _connect(self) -> Client:
        order = self._order()  # read each time: a restarted service may be elsewhere
        return Client(order["url"], order["token"], timeout_s=60.0)

    def _on_order(self, order: str) -> None:
        """A person ordered something; runs on the courier's thread."""
        if order == "make-safe":
            self._safe_ordered.set()
        self._stop.ask(now=True)

    def end(self, *_: object) -> None:
        """End after what runs; asked twice, break it off."""
        self._ending.set()
        self._stop.ask()

    # ------------------------------------------------------------------ the loop

    def run(self) -> None:
        """Take work and do it."""
        lonely_since_s = wall_monotonic_s()
        try:
            while not self._ending.is_set():
                self._stop = StopRequest()
                if self._safe_ordered.is_set():
                    self._make_safe()
                if self._unsafe:
                    self._wait_for_clear(self._unsafe[0])
                    continue
                work = self._next_work()
                if work is not None:
                    self._do(work)
                    lonely_since_s = wall_monotonic_s()
                    continue
                if self._courier.reachable.is_set():
                    lonely_since_s = wall_monotonic_s()
                elif wall_monotonic_s() - lonely_since_s > LONELY_S:
                    _LOG.warning("press %s: nobody serves it any more", self._plan.name)
                    return
                self._ending.wait(_LOOK_S)
        finally:
            self._leave_campaign()
            self._courier.close()

    def _next_work(self) -> dict[str, Any] | None:
        """Ask for a trial once everything before it has been taken over; None: nothing now, or nobody to ask."""
        if not self._courier.handed_over(_HAND_OVER_S):
            return None
        try:
            if self._client is None:
                self._client = self._connect()
            return self._client.work(self._plan.name)
        except PressoptError as error:
            self._courier.tell(message=f"no work: {error}")
            if self._client is not None:
                self._client.close()
                self._client = None
            return None

    def _make_safe(self) -> None:
        """Make the press safe on request, between two trials."""
        self._safe_ordered.clear()
        if self._laboratory is None or not self._campaign:
            self._courier.tell(message="nothing is connected: the press was not moved by this runner")
            return
        reason = "made safe on request"
        try:
            self._laboratory.make_safe()
        except InstrumentError as error:
            reason = f"{reason}; that failed ({error}): use the emergency stop"
        with contextlib.closing(SqliteJournal.open(journal_of(self._folder / self._campaign))) as journal:
            journal.append(e.PressMadeSafe(self._plan.name, reason), actor="runner")
        self._unsafe.append(self._campaign)

    def _is_safe_in(self, campaign: str) -> bool:
        """Whether the press was made safe in a campaign and nobody has cleared it since."""
        with contextlib.closing(SqliteJournal.read(journal_of(self._folder / campaign))) as journal:
            return replay(journal.entries()).presses.get(self._plan.name) is PressPhase.SAFE

    def _wait_for_clear(self, campaign: str) -> None:
        """Take no work, of whatever campaign, before a person has cleared the press."""
        with contextlib.closing(SqliteJournal.open(journal_of(self._folder / campaign))) as journal:
            reason = replay(journal.entries()).safe_reason.get(self._plan.name, "")
            self._courier.begin(campaign)
            message = f"made safe: {reason}. Look at it, then clear it"
            self._courier.tell(state=PressPhase.SAFE.value, message=message)
            self._hear(journal)
        if not self._is_safe_in(campaign):
            self._unsafe.remove(campaign)
            self._courier.tell(state=PressPhase.IDLE.value, message="")

    # ------------------------------------------------------------------ one trial

    def _do(self, work: Mapping[str, Any]) -> None:
        """Do a trial to its end, over faults and questions."""
        experiment, folder = self._experiment(work)
        if self._campaign != work["campaign"]:
            self._leave_campaign()
        path = journal_of(folder)
        with contextlib.closing(
            SqliteJournal.open(path) if path.exists() else SqliteJournal.create(path)
        ) as journal:
            self._campaign = work["campaign"]
            self._courier.begin(work["campaign"])
            surrogate, recommender = surrogate_of(experiment), recommender_of(experiment)
            least_ohm = SurrogatePrior(experiment, surrogate).separator_ohm
            while not self._ending.is_set() and not self._once(experiment, journal, work, recommender, least_ohm):
                pass

    def _once(
        self,
        experiment: Experiment,
        journal: SqliteJournal,
        work: Mapping[str, Any],
        recommender: Recommender,
        least_ohm: SeparatorResistance,
    ) -> bool:
        """Go on with a trial; return whether the runner is through with it."""
        try:
            if self._laboratory is None:
                self._laboratory = open_laboratory(experiment, journal.path.parent)
            runner = Runner(
                experiment,
                journal,
                self._laboratory,
                recommender=recommender,
                watcher=self._courier,
                stop=self._stop,
                software=software(),
                changes=dict(work["changes"]),
                confirm=(lambda _: work["loaded_by"]) if work["loaded_by"] else None,
                separator_ohm=least_ohm,
                given=lambda state: _proposal(work, state, experiment),
            )
            self._courier.tell(state=PressPhase.BUSY.value, trial=work["trial"], message="")
            state = runner.run()
        except NeedsPersonError as error:
            self._courier.tell(state=self._state(journal), message=str(error))
            while not (self._hear(journal) or self._ending.is_set()):
                pass
            return False
        except InstrumentError as error:
            self._courier.tell(state=self._state(journal), message=str(error))
            self._disconnect()
            self._hear(journal)
            self._ending.wait(_AFTER_FAULT_S)
            return False  # nothing else is taken up before this press is itself again
        except PressoptError as error:  # a wrong profile, a full disk: nothing moves until somebody has mended it
            _LOG.error("press %s: %s", self._plan.name, error)
            self._courier.tell(message=str(error))
            self._disconnect()
            self._ending.wait(_AFTER_FAULT_S)
            return False
        self._courier.tell(state=PressPhase.IDLE.value, trial=None, phase=None, measuring=None)
        if self._stop.now and not self._ending.is_set():
            if self._safe_ordered.is_set():
                self._safe_ordered.clear()
                journal.append(e.PressMadeSafe(self._plan.name, "made safe on request"), actor="runner")
                self._unsafe.append(self._campaign)
            return True
        if not _ended(state, work["trial"]):
            wall_pause_s(_LOOK_S)
        return _ended(state, work["trial"]) or self._stop.requested

    def _state(self, journal: SqliteJournal) -> str:
        """Where the press stands by its journal."""
        return replay(journal.entries()).presses.get(self._plan.name, PressPhase.IDLE).value

    def _hear(self, journal: SqliteJournal) -> bool:
        """Wait a moment for what a person says, and write it down; return whether anything was said."""
        self._ending.wait(_LOOK_S)
        wishes = journal.wishes()
        for wish in wishes:
            try:
                check_wish(replay(journal.entries()), wish.event, actor=wish.actor)
                journal.append(wish.event, actor=wish.actor, settles=(wish.number,))
            except LifecycleError as error:
                self._courier.tell(message=f"not done: {error}")
                journal.append(actor=wish.actor, settles=(wish.number,))
        return bool(wishes)

    def _experiment(self, work: Mapping[str, Any]) -> tuple[Experiment, Path]:
        """Return the experiment of a trial in this press's own laboratory, and the folder of its campaign."""
        folder = self._folder / str(work["campaign"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        parsed = changed(read_experiment(work["experiment"], Path(f"{work['name']}.toml")), work["changes"])
        return replace(parsed, laboratory=self._plan.laboratory(parsed, folder)), folder

    def _disconnect(self) -> None:
        laboratory, self._laboratory = self._laboratory, None
        if laboratory is not None:
            try:
                laboratory.close()
            except InstrumentError as error:
                _LOG.warning("press %s: %s", self._plan.name, error)

    def _leave_campaign(self) -> None:
        self._disconnect()
        self._campaign = ""


def _proposal(work: Mapping[str, Any], state: CampaignState, experiment: Experiment) -> e.Proposed | None:
    """Return the trial that was given, unless it has begun already."""
    if work["trial"] in state.trials:
        return None
    return e.Proposed(
        trial=work["trial"],
        settings=work["settings"],
        reason=work["reason"],
        strategy=experiment.strategy.name,
        predicted={name: tuple(interval) for name, interval in work["predicted"].items()},
        feasibility=work["feasibility"],
    )


def _ended(state: CampaignState, trial: int) -> bool:
    return trial in state.trials and state.trials[trial].phase in ENDED


def main(folder: Path) -> int:
    """Run the press of ``folder``; 75 when another process does already."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    handle = os.open(lock_of(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 75
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    runner = PressRunner(folder)
    signal.signal(signal.SIGTERM, runner.end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever watches the service
    runner.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
