"""Every way in which pressopt refuses, as one tree.

PressoptError
├── InputError              what a person or file gave is not usable; carries all violations at once
│   ├── UnitError           a quantity without, or with the wrong, unit
│   ├── ExperimentError     an experiment file
│   ├── ProfileError        a device profile
│   ├── MaterialError       a material that is unknown or lacks data
│   └── SpectrumError       a file or array that is no impedance spectrum
├── LimitError              a protocol asks more than press, die or pellet may bear
├── InstrumentError         something on a wire went wrong
│   ├── LinkError           LinkTimeout, ShortReply, ChecksumError, NoiseError, LinkRefused, LinkVanished
│   ├── DeviceError         the device answered, and the answer is no: DeviceRefused, DeviceBusy, DeviceFault
│   ├── ReplyError          the device answered something that its manual does not allow
│   ├── WrongDeviceError    another device sits on this line
│   ├── InterlockError      a guard is open, an emergency stop is pressed, remote control is off
│   └── StageFailedError    a stage left its tolerances; carries what the cell got until then
├── JournalError            JournalUnreadable, JournalNewer, JournalLocked, JournalFull, JournalMissing
├── LifecycleError          an event that the lifecycle table does not allow
├── ServiceError            a service cannot be reached, or refused
├── StudyError              a study's folder or its workers cannot be used; finished blocks are kept
└── NeedsPersonError        nothing may move before a person has looked
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong: what was found, what is allowed, what to do.

    Attributes:
        where: The key (``stages.lamination.pressure``) or field concerned.
        message: One sentence: what was asked, what is allowed, what to do.
        line: Line in the file, from 1; ``None`` when it did not come from a file.
    """

    where: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        return f"{place}{self.where}: {self.message}" if self.where else f"{place}{self.message}"


class PressoptError(Exception):
    """Root of all errors that pressopt raises on purpose."""


class _ViolationsError(PressoptError, ValueError):
    """An error that carries every violation found, not only the first."""

    def __init__(self, violations: Sequence[Violation] | str, *, source: str = "") -> None:
        if isinstance(violations, str):
            violations = (Violation("", violations),)
        super().__init__(tuple(violations), source)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """All that is wrong, in the order of the input."""
        found: tuple[Violation, ...] = self.args[0]
        return found

    @property
    def source(self) -> str:
        """The file concerned, or an empty string."""
        name: str = self.args[1]
        return name

    def __str__(self) -> str:
        head = f"{self.source}:\n  " if self.source else ""
        return head + ("\n  " if head else "\n").join(map(str, self.violations))


class InputError(_ViolationsError):
    """What a person or a file gave is not usable."""


class UnitError(InputError):
    """A quantity without a unit, with an unknown or ambiguous one, or of the wrong dimension."""


class ExperimentError(InputError):
    """An experiment file that cannot be run as it is."""


class ProfileError(InputError):
    """A device profile that cannot be used as it is."""


class MaterialError(InputError):
    """A material that is unknown, or lacks the data that was asked for."""


class SpectrumError(InputError):
    """A file or an array that is not an impedance spectrum."""


class LimitError(_ViolationsError):
    """A protocol asks more than press, die or pellet may bear."""


class InstrumentError(PressoptError):
    """Something on a wire, or behind it, went wrong."""


class LinkError(InstrumentError):
    """An exchange failed on the wire; nothing was learned from it."""


class LinkTimeout(LinkError, TimeoutError):  # noqa: N818 - the field says "a time-out"
    """Nothing came back in time."""


class ShortReply(LinkError):  # noqa: N818
    """A reply began and did not end."""


class ChecksumError(LinkError):
    """A whole reply came, and its checksum is wrong."""


class NoiseError(LinkError):
    """Bytes came that are no reply to anything."""


class LinkRefused(LinkError):  # noqa: N818
    """The line cannot be opened: not there, not permitted, or owned by another process."""


class LinkVanished(LinkError):  # noqa: N818
    """The line was there and is gone (cable pulled, adapter reset, connection closed)."""


class DeviceError(InstrumentError):
    """The device answered, and the answer is no."""


class DeviceRefused(DeviceError):  # noqa: N818
    """The device understood and refused (Modbus exceptions 1 to 3, a script error, ...)."""


class DeviceBusy(DeviceError):  # noqa: N818
    """The device is busy and may be asked again."""


class DeviceFault(DeviceError):  # noqa: N818
    """The device reports that it is broken or tripped; a person must look."""


class ReplyError(InstrumentError):
    """A well-formed reply whose content the manual does not allow."""


class WrongDeviceError(InstrumentError):
    """Another device than the profile's sits on this line."""


class InterlockError(InstrumentError):
    """A guard, an emergency stop or the remote key forbids motion."""


class StageFailedError(InstrumentError):
    """A stage left its tolerances.

    Attributes:
        record: The :class:`pressopt.pressing.PressRecord` up to that moment, or ``None``.
        aborted: Whether the press already is where the stage's abort action or its safe state leads.
    """

    def __init__(self, message: str, record: object | None = None, *, aborted: bool = False) -> None:
        super().__init__(message)
        self.record = record
        self.aborted = aborted


class JournalError(PressoptError):
    """The journal of a campaign cannot be used."""


class JournalMissing(JournalError):  # noqa: N818
    """There is no journal where one was looked for."""


class JournalUnreadable(JournalError):  # noqa: N818
    """The file is no journal, or is damaged in the middle."""


class JournalNewer(JournalError):  # noqa: N818
    """A newer pressopt wrote the journal; this one would misread it."""


class JournalLocked(JournalError):  # noqa: N818
    """Another process is writing this journal."""


class JournalFull(JournalError):  # noqa: N818
    """The event could not be written down (disk full, read-only, I/O error): nothing may move."""


class LifecycleError(PressoptError):
    """An event that the lifecycle table does not allow in this state."""


class StudyError(PressoptError):
    """A study cannot go on: its folder cannot be written or is another study's, or its workers are lost.

    Blocks that were finished are kept; the same command goes on where it stopped.
    """


class NeedsPersonError(PressoptError):
    """Nothing may move before a person has looked and said what was found."""


class ServiceError(PressoptError):
    """A service cannot be reached, or refused."""
