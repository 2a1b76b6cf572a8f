"""Driver of MethodSCRIPT impedance analysers (PalmSens EmStat, Sensit, Nexus) over a serial line.

What it guards against: a device that still streams from an earlier, crashed program; an error that leaves the cell
switched on; a sweep that ended early; an imaginary part with the wrong sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pressopt.clock import Clock
from pressopt.errors import LimitError, ReplyError, Violation
from pressopt.impedance.spectrum import Sweep
from pressopt.instruments.line import Tap
from pressopt.instruments.methodscript_link import MethodScriptLink, open_methodscript
from pressopt.instruments.methodscript_text import parse_package, si_literal, sweep_script
from pressopt.instruments.opening import identified, profile_of_kind
from pressopt.instruments.sweeping import (
    GOOD,
    NOT_FINITE,
    OVERLOAD,
    TIMING,
    UNDERLOAD,
    Point,
    SweepingAnalyzer,
    point_s,
)
from pressopt.profiles import DeviceProfile


class MethodScriptAnalyzer(SweepingAnalyzer):
    """One analyser on one line; an :class:`~pressopt.impedance.ports.ImpedanceAnalyzer`.

    Args:
        link: Where it answers; may be shared with the cycler of the same device.
        clock: Laboratory time: the sweep takes it.
        profile: Its profile, of kind ``impedance-analyzer``.
    """

    def __init__(self, link: MethodScriptLink, clock: Clock, profile: DeviceProfile) -> None:
        super().__init__(clock, profile)
        self.link = link

    @property
    def place(self) -> str:
        return self.link.line.name

    def make_safe(self) -> None:
        """Break off what runs and switch the cell off; twice is harmless. A damaged exchange is repeated."""
        self.link.make_safe()

    def close(self) -> None:
        """Close the line; the cell is off between measurements."""
        self.link.close()

    def _ask_who(self) -> str:
        return self.link.who()

    def _refuse_beyond(self, sweep: Sweep) -> None:
        super()._refuse_beyond(sweep)
        wrong = []
        for name in ("low_hz", "high_hz", "amplitude_mv", "bias_v"):
            try:
                si_literal(getattr(sweep, name))
            except ValueError as error:
                wrong.append(Violation(name, f"{error}: round it"))
        if wrong:
            raise LimitError(wrong)

    def _begin(self, sweep: Sweep) -> None:
        self.link.get_in_step()
        machine = self.machine
        self.link.start(sweep_script(sweep, low_range_a=machine.low_range_a, high_range_a=machine.high_range_a))

    def _points(self, sweep: Sweep, take: Callable[[Point], None]) -> None:
        for line in self.link.packages(
            [point_s(frequency_hz) for frequency_hz in sweep.frequencies_hz().tolist()]
        ):
            take(_point(line))

    def _switch_off(self) -> None:
        self.link.switch_off()


def impedance_point(line: str) -> Point:
    """A package of a sweep as a point; raises ReplyError when it is damaged or lacks Z' or Z''."""
    package = parse_package(line)
    values = package.values
    if "cc" not in values or "cd" not in values:
        raise ReplyError(f"package {line!r} holds no impedance: cc (Z') and cd (Z'') are needed")
    bad = ((package.overloaded, OVERLOAD), (package.underloaded, UNDERLOAD), (package.late, TIMING))
    return Point(
        frequency_hz=values.get("dc", math.nan),
        impedance_ohm=complex(values["cc"], values["cd"]),
        flag=next((flag for is_so, flag in bad if is_so), GOOD),
        warned=package.warned,
    )


def _point(line: str) -> Point:
    """A point; a damaged package is a point that may not be used, so that the others keep their places."""
    try:
        return impedance_point(line)
    except ReplyError:
        return Point(math.nan, complex(math.nan, math.nan), NOT_FINITE)


def connect_methodscript(
    profile: DeviceProfile | str,
    clock: Clock,
    url: str | None = None,
    *,
    tap: Tap | None = None,
    shared: dict[str, MethodScriptLink] | None = None,
) -> MethodScriptAnalyzer:
    """Open the analyser of ``profile`` and check who answers.

    Args:
        profile: A profile, the name of a shipped one, or a path.
        clock: Laboratory time.
        url: Where the device is, instead of the profile's ``link.url``.
        tap: Sees every byte on the wire.
        shared: Links that are open already, by url: the cycler may be the same device.

    Raises:
        ProfileError: The profile is wrong, or of another kind.
        LinkError: The line cannot be opened, or nobody answers.
        WrongDeviceError: Another device answers.
    """
    loaded = profile_of_kind(profile, "impedance-analyzer")
    assert loaded.analyzer is not None  # the profile was checked when it was loaded
    slowest_s = point_s(loaded.analyzer.low_hz)
    link = open_methodscript(loaded, clock, url, slowest_s=slowest_s, tap=tap, shared=shared)
    return identified(MethodScriptAnalyzer(link, clock, loaded))
