"""What a campaign works with: a press or laminator, whoever loads it, what measures, and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pressopt.campaign.by_hand import Follower
from pressopt.clock import Clock
from pressopt.impedance.ports import Cycler, ImpedanceAnalyzer, ResistanceMeter
from pressopt.pressing import Laminator, LaminatorCapability, Press, PressCapability, SampleChanger
from pressopt.pressing.by_hand import ForceIndicator, HandPress


@dataclass
class Laboratory:
    """Instruments behind their ports; nothing here tells a twin from a real bench.

    Attributes:
        clock: Laboratory time.
        waiting: The same time for whoever waits beside a loaded press: keeps its heartbeat and watches it.
        press: The press, or None in a rolling laboratory.
        laminator: The laminator, or None in a pressing laboratory.
        changer: Who puts cells under the press by wire; None: a person does and confirms.
        analyzer: Measures impedance spectra, or None.
        meter: Measures four-wire resistance, or None.
        cycler: Cycles the cell after its measurement, or None.
        by_hand: Where a person works the press: how; ``press`` then only says what it can do.
        follower: The virtual press that does what that person says, or None.
        indicator: The load indicator beside that person, or None.
        on_close: Called last, in order (servers of a twin, ...).
    """

    clock: Clock
    waiting: Clock | None = None
    press: Press | None = None
    laminator: Laminator | None = None
    changer: SampleChanger | None = None
    analyzer: ImpedanceAnalyzer | None = None
    meter: ResistanceMeter | None = None
    cycler: Cycler | None = None
    by_hand: HandPress | None = None
    follower: Follower | None = None
    indicator: ForceIndicator | None = None
    on_close: list[Callable[[], None]] = field(default_factory=list)

    @property
    def machine(self) -> Press | Laminator:
        """Whatever works on the cell."""
        machine = self.press or self.laminator
        if machine is None:
            raise ValueError("a laboratory needs a press or a laminator")
        return machine

    @property
    def capability(self) -> PressCapability | LaminatorCapability:
        """What that machine can do."""
        return self.machine.capability

    def make_safe(self) -> None:
        """Bring every instrument into its safe state; the first error is raised after all were tried."""
        try:
            self.machine.make_safe()
        finally:
            self.stop_measuring()

    def stop_measuring(self) -> None:
        """Take the current off the cell: the cycler's, and the analyser's."""
        try:
            if self.cycler is not None:
                self.cycler.make_safe()
        finally:
            if self.analyzer is not None:
                self.analyzer.make_safe()

    def close(self) -> None:
        """Close every line, then what serves them; the first error is raised after all were tried."""
        errors: list[Exception] = []
        parts = (self.press, self.laminator, self.analyzer, self.meter, self.cycler, self.indicator)
        closers = [part.close for part in parts if part is not None]
        for close in (*closers, *self.on_close):
            try:
                close()
            except Exception as error:  # noqa: BLE001 - the next line must be closed all the same
                errors.append(error)
        if errors:
            raise errors[0]
