"""From a profile to a driver whose device has answered: one way for every kind of instrument."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, TypeVar

from pressopt.errors import ProfileError, WrongDeviceError
from pressopt.instruments.line import Line, Tap
from pressopt.instruments.link import line_of
from pressopt.profiles import DeviceProfile, load_profile


class _Driver(Protocol):
    def identify(self) -> str: ...

    def close(self) -> None: ...


DriverT = TypeVar("DriverT", bound=_Driver)


def open_device(
    make: Callable[[DeviceProfile, Line], DriverT],
    profile: DeviceProfile | str,
    *,
    kind: str,
    url: str | None = None,
    tap: Tap | None = None,
) -> DriverT:
    """Open the line of ``profile``, build the driver and check who answers; nothing stays open otherwise.

    Args:
        make: Builds the driver from profile and line.
        profile: A profile, the name of a shipped one, or a path.
        kind: The kind of profile that this driver can drive.
        url: Where the device is, instead of the profile's ``link.url``.
        tap: Sees every byte on the wire.

    Raises:
        ProfileError: The profile is wrong, or of another kind.
        LinkError: The line cannot be opened, or nobody answers.
        WrongDeviceError: Another device answers.
    """
    loaded = profile_of_kind(profile, kind)
    return identified(make(loaded, line_of(loaded.link, url, tap=tap)))


def refuse_stranger(profile: DeviceProfile, said: str, place: str) -> None:
    """Raise WrongDeviceError when ``said`` at ``place`` is not what the device of ``profile`` answers."""
    wanted = profile.identity.answers
    if wanted and re.search(wanted, said) is None:
        raise WrongDeviceError(
            f"{place} answers as {said!r}, profile '{profile.name}' expects {wanted!r}: another device or program "
            "is there, or the profile is the wrong one; nothing was written"
        )


def profile_of_kind(profile: DeviceProfile | str, kind: str) -> DeviceProfile:
    """Load ``profile`` and check its kind; raises ProfileError."""
    loaded = profile if isinstance(profile, DeviceProfile) else load_profile(profile)
    if loaded.kind != kind:
        raise ProfileError(f"'{loaded.name}' is a {loaded.kind}, a {kind} is wanted: name a profile of that kind")
    return loaded


def identified(driver: DriverT) -> DriverT:
    """``driver``, once its device has told who it is; closed when it has not."""
    try:
        driver.identify()
    except BaseException:
        driver.close()
        raise
    return driver
