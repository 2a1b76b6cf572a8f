"""Everything that touches a wire: lines, links, protocol engines, and the drivers behind the ports."""

from __future__ import annotations

from pressopt.instruments.analyzer import connect_analyzer
from pressopt.instruments.changer import ProfileSampleChanger, connect_changer
from pressopt.instruments.cycler import FolderCycler, connect_cycler
from pressopt.instruments.indicator import IndicatorReading, LoadIndicator, connect_indicator
from pressopt.instruments.laminator import ProfileLaminator, connect_laminator
from pressopt.instruments.meter import ScpiResistanceMeter, connect_meter
from pressopt.instruments.methodscript import MethodScriptAnalyzer
from pressopt.instruments.person import ManualLaminator, ManualPress, manual
from pressopt.instruments.press import ProfilePress, connect_press

__all__ = [
    "FolderCycler",
    "IndicatorReading",
    "LoadIndicator",
    "ManualLaminator",
    "ManualPress",
    "MethodScriptAnalyzer",
    "ProfileLaminator",
    "ProfilePress",
    "ProfileSampleChanger",
    "ScpiResistanceMeter",
    "connect_analyzer",
    "connect_changer",
    "connect_cycler",
    "connect_indicator",
    "connect_laminator",
    "connect_meter",
    "connect_press",
    "manual",
]
