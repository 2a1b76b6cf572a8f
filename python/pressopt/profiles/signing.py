"""The signature under a profile that was verified on the real machine: in its file, void when it changes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from pressopt.profiles.loading import load_profile, parse_profile
from pressopt.profiles.profile import DeviceProfile

_SIGNATURE = re.compile(r"^\[bench\][^\n]*\n(?:(?!\[).*\n?)*", re.MULTILINE)
_CLAIM = re.compile(r"^trust\s*=\s*[\"']bench[\"'].*\n", re.MULTILINE)


def sign_profile(path: Path, *, by: str, date: str, device: str, checked: Sequence[str]) -> DeviceProfile:
    """Write the table ``[bench]`` at the end of the file and return the profile, now of trust ``bench``.

    Args:
        path: The profile's file; comments and order are kept.
        by: Who verified it.
        date: Day, ISO 8601.
        device: What answered.
        checked: What was compared, one sentence each.

    Raises:
        ProfileError: The file is no profile.
        OSError: It cannot be written.
    """
    text = unsigned(path.read_text(encoding="utf-8"))
    profile = parse_profile(text, source=str(path), folder=path.parent)
    lines = [
        "[bench]                       # written by `pressopt commission`; any change above voids it",
        f"by = {_quoted(by)}",
        f"date = {_quoted(date)}",
        f"device = {_quoted(device)}",
        f"digest = {_quoted(profile.digest)}",
        "checked = [",
        *(f"  {_quoted(one)}," for one in checked),
        "]",
    ]
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(path)
    return load_profile(path)


def unsigned(text: str) -> str:
    """The text of a profile without its signature."""
    return _CLAIM.sub("", _SIGNATURE.sub("", text))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a basic string of TOML escapes as JSON does
