"""An impedance analyser that another program drives: its files are waited for, until they are whole, and read.

Nothing here relies on the file system telling of changes: folders on a network do not. A file counts as whole once
its size and time have not changed for the profile's ``settle_s`` and its content can be read as a spectrum.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from pressopt.clock import Clock, utc_now, wall_monotonic_s, wall_pause_s
from pressopt.errors import LinkRefused, LinkTimeout, LinkVanished, ReplyError, SpectrumError
from pressopt.impedance.ports import AnalyzerCapability
from pressopt.impedance.readers import read_spectra
from pressopt.impedance.spectrum import ImpedanceSpectrum, Sweep
from pressopt.instruments.causality import sign_complaint
from pressopt.instruments.sweeping import capability_of, point_s, refuse_beyond
from pressopt.profiles import DeviceProfile

_POLL_S = 1.0  # laboratory time between two looks
_REST_S = 0.02  # wall time between two looks, where laboratory time costs none
_GRACE = 5.0  # a settled file that lacks part of the band may still grow for this many times ``settle_s``
_EDGE = 0.1  # how far the ends of the band may miss what was asked, relative
_UNREACHABLE_S = 60.0  # wall time that a folder may be out of reach: servers restart
_REQUEST_SCHEMA = "pressopt/measurement-request/1"


@dataclass(frozen=True, slots=True)
class _Trace:
    """What tells one state of a file from another."""

    size: int
    time_ns: int


@dataclass(slots=True)
class _Watched:
    """A new file: its state, since when (wall), and what was found in it."""

    trace: _Trace
    since_s: float
    said: str = ""
    spectrum: ImpedanceSpectrum | None = None


class FolderAnalyzer:
    """Spectra dropped into one folder; an :class:`~pressopt.impedance.ports.ImpedanceAnalyzer`.

    Args:
        folder: Where the other program saves.
        clock: Laboratory time.
        profile: Of engine folder.

    Attributes:
        partial: A spectrum that did not cover what was asked, or None.
    """

    def __init__(self, folder: Path, clock: Clock, profile: DeviceProfile) -> None:
        machine = profile.analyzer
        if machine is None or machine.folder is None:
            raise ValueError(f"profile {profile.name!r} has no table [analyzer.folder]")
        self._folder, self._clock, self._profile = folder, clock, profile
        self._machine, self._drop = machine, machine.folder
        self._asked = 0
        self.partial: ImpedanceSpectrum | None = None

    @property
    def capability(self) -> AnalyzerCapability:
        return capability_of(self._profile, self._machine)

    def identify(self) -> str:
        """The folder; raises LinkRefused when it cannot be read and written."""
        if not self._folder.is_dir():
            raise LinkRefused(f"{self._name}: there is no such folder. Is the drive mounted?")
        if not os.access(self._folder, os.R_OK | (os.W_OK if self._drop.request else 0)):
            raise LinkRefused(f"{self._name}: this user may not read and write there")
        return f"{self._profile.name} ({self._folder}, files {self._drop.pattern})"

    def measure(self, sweep: Sweep, *, on_point: Callable[[int, int], None] | None = None) -> ImpedanceSpectrum:
        """Say what is to be measured, wait for the file, and return its last spectrum.

        Args:
            sweep: What to measure; the other program may take other points, over the same band.
            on_point: Called for each point once the file is there.

        Raises:
            LimitError: The sweep is beyond what the profile allows.
            LinkTimeout: No whole file came within the sweep's own time and ``wait_s``.
            LinkVanished: The folder is out of reach.
            ReplyError: The file holds no spectrum, another band, or one with the wrong sign.
        """
        refuse_beyond(self._machine, self._profile.name, sweep)
        self.partial = None
        self.identify()
        before = self._files()
        began = utc_now().isoformat(timespec="seconds")
        self._ask_for(sweep, began)
        try:
            path, spectrum = self._await_file(sweep, before)
        finally:
            self.make_safe()
        self._judge(path, spectrum, sweep)
        for done in range(1, sweep.points + 1) if on_point is not None else ():
            on_point(done, sweep.points)  # type: ignore[misc]
        spectrum.metadata.setdefault("amplitude_mv", sweep.amplitude_mv)
        spectrum.metadata.setdefault("bias_v", sweep.bias_v)
        spectrum.metadata.setdefault("date", began)
        spectrum.metadata.update(
            instrument=self._profile.title, profile=self._profile.name, planned_points=float(sweep.points)
        )
        return spectrum

    def make_safe(self) -> None:
        """Take the request back; what the other program does with the cell is its own."""
        if self._drop.request:
            try:
                (self._folder / self._drop.request).unlink(missing_ok=True)
            except OSError as error:
                raise LinkVanished(f"{self._name} is out of reach: {error}") from error

    def close(self) -> None:
        """Nothing is open between measurements."""

    # ---- asking

    def _ask_for(self, sweep: Sweep, began: str) -> None:
        """Write the request, whole or not at all, for a person or a script of the other program."""
        if not self._drop.request:
            return
        self._asked += 1
        request = {
            "schema": _REQUEST_SCHEMA,
            "number": self._asked,
            "date": began,
            "high_hz": sweep.high_hz,
            "low_hz": sweep.low_hz,
            "points": sweep.points,
            "points_per_decade": sweep.points_per_decade,
            "amplitude_mv": sweep.amplitude_mv,
            "bias_v": sweep.bias_v,
            "save_as": self._drop.pattern,
        }
        fresh = self._folder / f".{self._drop.request}.new"
        try:
            fresh.write_text(json.dumps(request, indent=1) + "\n", encoding="utf-8")
            fresh.replace(self._folder / self._drop.request)
        except OSError as error:
            raise LinkVanished(f"{self._name} is out of reach: {error}") from error

    # ---- waiting

    def _await_file(self, sweep: Sweep, before: dict[str, _Trace]) -> tuple[Path, ImpedanceSpectrum]:
        end_s = self._clock.now_s() + sum(map(point_s, sweep.frequencies_hz().tolist())) + self._drop.wait_s
        watched: dict[str, _Watched] = {}
        reached_s = wall_monotonic_s()
        while True:
            try:
                files = self._files()
                reached_s = wall_monotonic_s()
            except LinkVanished:
                if wall_monotonic_s() - reached_s > _UNREACHABLE_S:
                    raise
                files = {}
            now_s = wall_monotonic_s()
            for name, trace in files.items():
                if before.get(name) == trace:
                    continue
                file = watched.get(name)
                if file is None or file.trace != trace:
                    watched[name] = _Watched(trace, now_s)
                    continue
                still_s = now_s - file.since_s
                if still_s >= self._drop.settle_s and not file.said:
                    self._look_into(name, file)
                if file.spectrum is not None and (
                    _covers(file.spectrum, sweep) or still_s >= _GRACE * self._drop.settle_s
                ):
                    return self._folder / name, file.spectrum
            settling = any(now_s - file.since_s < _GRACE * self._drop.settle_s for file in watched.values())
            late = self._clock.now_s() > end_s
            if late and not settling:
                self._give_up(watched)
            # Laboratory time stands once a file settles at the end: that is a matter of drives, not of the cell.
            if not late:
                self._clock.sleep_s(_POLL_S)
            wall_pause_s(_REST_S)

    def _look_into(self, name: str, file: _Watched) -> None:
        """Read a file that has settled; what is no spectrum is looked at again when it changes."""
        try:
            path = self._folder / name
            file.spectrum = read_spectra(path, negate_imaginary=self._machine.imaginary_sign < 0)[-1]
            file.said = "read"
        except (SpectrumError, OSError) as error:
            file.said = str(error)

    def _give_up(self, watched: Mapping[str, _Watched]) -> None:
        for name, file in watched.items():
            raise ReplyError(f"{self._name}: '{name}' came and is no spectrum: {file.said}")
        raise LinkTimeout(
            f"{self._name}: no new file '{self._drop.pattern}' within {self._drop.wait_s:g} s after the sweep "
            "should have ended: was it started, and does the program save there?"
        )

    def _files(self) -> dict[str, _Trace]:
        """Size and time of every file that fits the pattern."""
        found = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    hidden = entry.name.startswith(".") or entry.name == self._drop.request
                    if hidden or not fnmatch(entry.name, self._drop.pattern):
                        continue
                    try:
                        state = os.stat(entry.path)  # not the entry's own: network drives keep old ones there
                    except FileNotFoundError:
                        continue  # a temporary file that its program has renamed meanwhile
                    if state.st_size and entry.is_file():
                        found[entry.name] = _Trace(state.st_size, state.st_mtime_ns)
        except OSError as error:
            raise LinkVanished(f"{self._name} is out of reach: {error}. Is the drive mounted?") from error
        return found

    # ---- judging

    def _judge(self, path: Path, spectrum: ImpedanceSpectrum, sweep: Sweep) -> None:
        complaint = sign_complaint(spectrum) or ("" if _covers(spectrum, sweep) else self._short(spectrum, sweep))
        if complaint:
            spectrum.metadata["partial"] = complaint
            self.partial = spectrum
            raise ReplyError(f"{self._name}: '{path.name}': {complaint}")

    @staticmethod
    def _short(spectrum: ImpedanceSpectrum, sweep: Sweep) -> str:
        low_hz, high_hz = float(spectrum.frequency_hz.min()), float(spectrum.frequency_hz.max())
        return (
            f"it covers {low_hz:g} to {high_hz:g} Hz, {sweep.low_hz:g} to {sweep.high_hz:g} Hz were asked: set "
            "the other program to this band and measure again"
        )

    @property
    def _name(self) -> str:
        return f"folder {self._folder} of '{self._profile.name}'"


def _covers(spectrum: ImpedanceSpectrum, sweep: Sweep) -> bool:
    """Whether the band that was asked is there."""
    low_hz, high_hz = float(spectrum.frequency_hz.min()), float(spectrum.frequency_hz.max())
    return low_hz <= sweep.low_hz * (1 + _EDGE) and high_hz >= sweep.high_hz * (1 - _EDGE)
