"""Everything that touches a wire: lines, links, protocol engines, and the drivers behind the ports."""

from __future__ import annotations

from pressopt.instruments.changer import ProfileSampleChanger, connect_changer
from pressopt.instruments.laminator import ProfileLaminator, connect_laminator
from pressopt.instruments.press import ProfilePress, connect_press

__all__ = [
    "ProfileLaminator",
    "ProfilePress",
    "ProfileSampleChanger",
    "connect_changer",
    "connect_laminator",
    "connect_press",
]
