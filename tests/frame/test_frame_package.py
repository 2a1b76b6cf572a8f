"""What is installed is all of it: data files, types, the binary and the version."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pressopt
from pressopt import _core

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "python" / "pressopt"


def test_every_file_of_the_package_is_installed() -> None:
    """Catalogue, profiles, schemas, style sheet, stub and py.typed come with the wheel."""
    installed = Path(pressopt.__file__).parent
    ignored = {".pyc", ".so"}
    wanted = {
        path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.is_file() and path.suffix not in ignored
    }
    missing = {str(path) for path in wanted if not (installed / path).is_file()}
    assert len(wanted) > 100
    assert missing == set()


def test_one_version_everywhere() -> None:
    """Package, binary, crates and the newest entry of the changelog carry the same version."""
    crates = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text("utf-8"), re.MULTILINE)
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert crates
    assert newest
    assert {metadata.version("pressopt"), pressopt.__version__, _core.__version__, newest[1]} == {crates[1]}


def test_every_name_at_the_front_door_opens() -> None:
    """Each name of ``pressopt.__all__`` can be imported, and dir() tells them."""
    for name in pressopt.__all__:
        assert getattr(pressopt, name) is not None
    assert set(pressopt.__all__) <= set(dir(pressopt))
