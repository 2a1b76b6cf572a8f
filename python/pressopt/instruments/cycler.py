"""From a profile to its cycler; and one that is driven through a folder, whose table is read when it is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pressopt.clock import Clock, wall_monotonic_s, wall_pause_s
from pressopt.errors import InputError, LinkRefused, LinkTimeout, LinkVanished, ReplyError
from pressopt.impedance.cycling import CyclingPlan, CyclingRecord, cycling_from_bytes, find_end
from pressopt.impedance.ports import Cycler, CyclerCapability
from pressopt.instruments.line import Tap
from pressopt.instruments.methodscript_cycler import LONGEST_INTERVAL_S, MethodScriptCycler, refuse_beyond
from pressopt.instruments.methodscript_link import MethodScriptLink, open_methodscript
from pressopt.instruments.opening import identified, profile_of_kind
from pressopt.profiles import DeviceProfile

#: The file that says what to run, for people and scripts of the other program.
REQUEST = "pressopt-cycling.json"
_SCHEMA = "pressopt/cycling-request/1"
_POLL_S = 5.0  # laboratory time between two looks, at least
_LOOKS = 200  # a plan of days is not looked at more often than this
_REST_S = 0.01  # wall time between two looks
_TAIL = 0.98  # a table that reaches this share of the plan's time covers it: programs differ in their last point


class FolderCycler:
    """Any cycler whose own program saves tables as CSV; a :class:`pressopt.impedance.ports.Cycler`.

    Args:
        folder: Shared with that program.
        clock: Laboratory time.
        name: In messages and journals.
        limit_a, limit_v: The most that may be asked.
        settle_s: How long a file must stay as it is before it counts as whole, wall s.
        wait_s: How long the table may take beyond the plan, laboratory s: a person may have to start it.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        name: str = "folder cycler",
        limit_a: float = 1.0,
        limit_v: float = 5.0,
        settle_s: float = 2.0,
        wait_s: float = 3600.0,
    ) -> None:
        self._folder, self._clock, self._settle_s, self._wait_s = folder, clock, settle_s, wait_s
        self._capability = CyclerCapability(name, limit_a, limit_v)
        self._asked = 0

    @property
    def capability(self) -> CyclerCapability:
        return self._capability

    def identify(self) -> str:
        """The folder; raises LinkRefused when it cannot be read and written."""
        if not self._folder.is_dir() or not os.access(self._folder, os.R_OK | os.W_OK):
            raise LinkRefused(f"{self._folder} cannot be read and written: is the drive mounted?")
        return f"{self._capability.name} ({self._folder})"

    def cycle(self, plan: CyclingPlan, *, on_point: Callable[[int, int], None] | None = None) -> CyclingRecord:
        """Write the plan down, wait for a table that covers it or shows the cell's end, and return it.

        Raises:
            LimitError: The plan is beyond what the cycler may do.
            LinkTimeout: No table came in time.
            ReplyError: A table came that is none, or ends before the plan while the cell still worked.
        """
        refuse_beyond(self._capability, plan)
        self.identify()
        before = self._tables()
        self._ask(plan)
        try:
            return self._await(plan, before, on_point)
        finally:
            self.make_safe()

    def make_safe(self) -> None:
        """Take the request back: the program that owns the current stops on that."""
        try:
            (self._folder / REQUEST).unlink(missing_ok=True)
        except OSError as error:
            raise LinkVanished(f"{self._folder} is out of reach: {error}") from error

    def close(self) -> None:
        """Nothing is open between measurements."""

    def _ask(self, plan: CyclingPlan) -> None:
        """Whole or not at all."""
        self._asked += 1
        request = {"schema": _SCHEMA, "number": self._asked, **asdict(plan)}
        fresh = self._folder / f".{REQUEST}.new"
        try:
            fresh.write_text(json.dumps(request, indent=1) + "\n", encoding="utf-8")
            fresh.replace(self._folder / REQUEST)
        except OSError as error:
            raise LinkVanished(f"{self._folder} is out of reach: {error}") from error

    def _await(
        self, plan: CyclingPlan, before: dict[str, tuple[int, int]], on_point: Callable[[int, int], None] | None
    ) -> CyclingRecord:
        start_s = self._clock.now_s()
        end_s = start_s + plan.duration_s + self._wait_s
        still: dict[str, tuple[tuple[int, int], float]] = {}
        said = ""
        while True:
            wall_s = wall_monotonic_s()
            for name, trace in self._tables().items():
                if before.get(name) == trace:
                    continue
                if name not in still or still[name][0] != trace:
                    still[name] = (trace, wall_s)
                elif wall_s - still[name][1] >= self._settle_s:
                    found = self._read(name, plan)
                    if isinstance(found, CyclingRecord):
                        return found
                    said = found
            late = self._clock.now_s() > end_s
            settling = any(wall_s - since_s < self._settle_s for _, since_s in still.values())
            if late and not settling:
                if said:
                    raise ReplyError(f"'{self._capability.name}': {said}")
                raise LinkTimeout(
                    f"no table came into {self._folder} within {self._wait_s:g} s after the plan's end: "
                    "was it started, and does the program save there?"
                )
            if on_point is not None:
                share = min(1.0, (self._clock.now_s() - start_s) / plan.duration_s)
                on_point(int(share * plan.cycles), plan.cycles)
            if not late:
                self._clock.sleep_s(max(_POLL_S, plan.duration_s / _LOOKS))
            wall_pause_s(_REST_S)

    def _read(self, name: str, plan: CyclingPlan) -> CyclingRecord | str:
        """A table that tells the end of the plan or of the cell; else why it does not."""
        try:
            record = cycling_from_bytes((self._folder / name).read_bytes())
            if (
                not find_end(record, plan).censored
                or record.time_s[-1] - record.time_s[0] >= _TAIL * plan.duration_s
            ):
                return record
            return f"'{name}' ends after {record.time_s[-1]:.0f} s, {plan.duration_s:.0f} s were asked"
        except (InputError, OSError) as error:
            return f"'{name}': {error}"

    def _tables(self) -> dict[str, tuple[int, int]]:
        """Size and time of every CSV file."""
        try:
            states = {
                path.name: path.stat() for path in self._folder.glob("*.csv") if not path.name.startswith(".")
            }
        except OSError as error:
            raise LinkVanished(f"{self._folder} is out of reach: {error}. Is the drive mounted?") from error
        return {name: (state.st_size, state.st_mtime_ns) for name, state in states.items() if state.st_size}


def connect_cycler(
    profile: DeviceProfile | str,
    clock: Clock,
    url: str | None = None,
    *,
    tap: Tap | None = None,
    shared: dict[str, MethodScriptLink] | None = None,
) -> Cycler:
    """The cycler of ``profile``, once its folder is there or its device has answered.

    Args:
        profile: A profile, the name of a shipped one, or a path.
        clock: Laboratory time.
        url: Where it is, instead of the profile's ``link.url``.
        tap: Sees every byte on the wire, where there is one.
        shared: Links that are open already, by url: the analyser may be the same device.

    Raises:
        ProfileError: The profile is wrong, or of another kind.
        LinkError: The folder or line cannot be opened, or nobody answers.
        WrongDeviceError: Another device answers.
    """
    loaded = profile_of_kind(profile, "cycler")
    machine = loaded.cycler
    assert machine is not None  # the profile was checked when it was loaded
    if loaded.link.engine == "methodscript":
        link = open_methodscript(loaded, clock, url, slowest_s=LONGEST_INTERVAL_S, tap=tap, shared=shared)
        return identified(MethodScriptCycler(link, clock, loaded))
    cycler = FolderCycler(
        Path(url or loaded.link.url),
        clock,
        name=loaded.name,
        limit_a=machine.limit_a,
        limit_v=machine.limit_v,
        settle_s=machine.settle_s,
        wait_s=machine.wait_s,
    )
    return identified(cycler)
