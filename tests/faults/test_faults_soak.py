"""C6: a day at the press with random faults, polled as a real press is, and somebody who mends and answers."""

from __future__ import annotations

import json
import random
import resource
from functools import partial
from pathlib import Path

import pytest

from fault_rig import PHASES, LeftError, Rig, hands_off, rig
from pressopt.campaign import events as e
from pressopt.campaign.lifecycle import CampaignPhase, Phase, PressPhase
from pressopt.clock import wall_monotonic_s
from pressopt.pressing.watch import Poll
from pressopt.twin.faults import Fault
from pressopt.twin.modbus import ExceptionCode

DAY_S = 24 * 3600.0
#: What may happen to a trial, how often compared with each other, and how it is mended.
PHYSICS = {
    "guard_open": "guard_closed", "estop": "estop_reset", "remote_off": "remote_on", "leak": "", "overshoot": "",
    "runaway": "", "open_thermocouple": "sensors_good", "stuck_thermocouple": "sensors_good", "heater_stuck": "",
    "frozen_force": "sensors_good", "die_fracture": "", "extrusion": "", "power_fail": "", "panel_setpoint": "",
}  # fmt: skip
VALUES = {"leak": {"per_min": 0.05}, "overshoot": {"rel": 0.2}, "panel_setpoint": {"force_kn": 4.0}}
LINE = (Fault.DROP, Fault.DELAY, Fault.HALF, Fault.NOISE, Fault.TRICKLE, Fault.CORRUPT)


def harm(chance: random.Random) -> tuple[str, str]:
    """What goes wrong in the next trial, and when; often nothing does."""
    at = chance.choice(PHASES)
    kind = chance.choices(("nothing", "physics", "line", "busy", "gone", "killed"), (5, 6, 6, 2, 0.3, 2))[0]
    return at, chance.choice(list(PHYSICS)) if kind == "physics" else kind


def act(of: Rig, what: str, chance: random.Random) -> None:
    press = of.server.ports["press"].faults
    match what:
        case "nothing":
            pass
        case "line":
            press.delay_s = 0.7 * of.share
            press.plan(chance.choice(LINE), times=chance.choice((1, 1, 1, 2)))
        case "busy":
            of.server.slaves["press"].refuse_next(ExceptionCode.DEVICE_BUSY, times=chance.choice((1, 2)))
        case "gone":
            press.plan(Fault.DEAF, times=1000)
            of.give_up_soon()
        case "killed":
            raise LeftError
        case _:
            of.inject(what, **VALUES.get(what, {}))


def mended(of: Rig) -> None:
    """Somebody looks: every sensor, key and guard is put right before the campaign goes on."""
    for mend in sorted({mend for mend in PHYSICS.values() if mend}):
        of.inject(mend)


def answered(of: Rig) -> None:
    """Somebody answers what is asked: the cell is given up, motion is allowed again."""
    state = of.state()
    for trial in state.asking:
        of.say(e.Resolved(trial.number, "discard", by="tester"))
    for press, phase in state.presses.items():
        if phase is PressPhase.SAFE:
            of.say(e.FaultCleared(press, by="tester"))
    if of.state().phase is CampaignPhase.PAUSED:
        of.say(e.CampaignContinued())


@pytest.mark.long
@pytest.mark.parametrize("seed", [1])
def test_a_day_of_random_faults(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """24 simulated hours at 10 Hz and 1 Hz: limits hold, no cell twice, none left on, the journal replays."""
    monkeypatch.setattr(Poll, "on", classmethod(lambda cls, *_: cls()))
    chance = random.Random(seed)
    seen: dict[str, int] = {}
    began_s = wall_monotonic_s()
    with rig(tmp_path, monkeypatch, serial=True, trials=5000, hurry=True) as of:
        limit_kn = of.experiment.cell.die.force_kn(120.0)
        while of.clock.now_s() < DAY_S:
            at, what = harm(chance)
            of.run(at, partial(act, what=what, chance=chance), before=lambda rigged, _: mended(rigged))
            for port in of.server.ports.values():
                port.faults.clear()
            assert all(not analyzer.cell_is_on for analyzer in of.server.analyzers.values()) or what == "killed"
            assert of.clock.highest_kn <= 1.03 * limit_kn + 1.0 * 2.0
            assert all(count <= 1 for count in of.loaded.values()), of.loaded
            seen[what] = seen.get(what, 0) + 1
            mended(of)
            answered(of)
        state = of.state()
        phases = [trial.phase for trial in state.trials.values()]
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            "hours": round(of.clock.now_s() / 3600, 2),
            "processor_s": round(used.ru_utime + used.ru_stime),
            "wall_s": round(wall_monotonic_s() - began_s),
            "trials": len(phases),
            "done": phases.count(Phase.DONE),
            **seen,
        }
        print(json.dumps(told))
        assert phases.count(Phase.DONE) > 20
        assert len(seen) > 10
        assert of.blobs() == sum(len(trial.measurements) for trial in state.trials.values())
        hands_off(of)
