"""From a profile to the driver of its impedance analyser, whatever engine it has."""

from __future__ import annotations

from pathlib import Path

from pressopt.clock import Clock
from pressopt.errors import LinkRefused
from pressopt.impedance.ports import ImpedanceAnalyzer
from pressopt.instruments.folder_analyzer import FolderAnalyzer
from pressopt.instruments.line import Tap
from pressopt.instruments.methodscript import connect_methodscript
from pressopt.instruments.methodscript_link import MethodScriptLink
from pressopt.instruments.opening import identified, open_device, profile_of_kind
from pressopt.instruments.scpi_analyzer import ScpiAnalyzer
from pressopt.instruments.zahner import ZahnerAnalyzer
from pressopt.profiles import DeviceProfile

_KIND = "impedance-analyzer"


def connect_analyzer(
    profile: DeviceProfile | str,
    clock: Clock,
    url: str | None = None,
    *,
    tap: Tap | None = None,
    shared: dict[str, MethodScriptLink] | None = None,
) -> ImpedanceAnalyzer:
    """Open the analyser of ``profile`` and check who answers; arguments and errors as in :func:`open_device`.

    ``shared`` holds MethodSCRIPT links that are open already, by url: the cycler may be the same device.
    """
    loaded = profile_of_kind(profile, _KIND)
    match loaded.link.engine:
        case "methodscript":
            return connect_methodscript(loaded, clock, url, tap=tap, shared=shared)
        case "scpi":
            return open_device(
                lambda found, line: ScpiAnalyzer(line, clock, found), loaded, kind=_KIND, url=url, tap=tap
            )
        case "zahner-remote2":
            return open_device(
                lambda found, line: ZahnerAnalyzer(line, clock, found), loaded, kind=_KIND, url=url, tap=tap
            )
        case _:
            place = url or loaded.link.url
            if not place:
                raise LinkRefused("the profile has no link.url and none was given: say which folder is meant")
            return identified(FolderAnalyzer(Path(place), clock, loaded))
