"""The presses of a service, as its file declares them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pressopt.campaign.experiment import Device, Experiment, LaboratoryPlan
from pressopt.errors import InputError, ProfileError, Violation
from pressopt.instruments.press import press_capability
from pressopt.pressing import PressCapability
from pressopt.profiles import load_profile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_ROLES = ("press", "laminator", "analyzer", "meter")


@dataclass(frozen=True, slots=True)
class PressPlan:
    """One press with what measures its cells.

    Attributes:
        name: Its name in the laboratory.
        kind: ``twin``: the virtual laboratory of each campaign's file; ``bench``: real devices.
        loading: Whether a person confirms each cell, or a changer loads it; for a twin the campaign's file says.
        devices: By role: ``press`` or ``laminator``, ``analyzer`` or ``meter``; none for a twin.
    """

    name: str
    kind: Literal["twin", "bench"] = "twin"
    loading: Literal["automatic", "person"] = "person"
    devices: Mapping[str, Device] = field(default_factory=dict)

    def suits(self, experiment: Experiment) -> bool:
        """Whether campaigns of this experiment can be done on it."""
        if self.kind != experiment.laboratory.kind:
            return False
        if self.kind == "twin":
            return True
        machine = "laminator" if experiment.rolled else "press"
        instrument = "meter" if experiment.measurement.kind == "four-wire" else "analyzer"
        return machine in self.devices and instrument in self.devices

    def by_person(self, experiment: Experiment) -> bool:
        """Whether a person puts the cells of this experiment under it."""
        return (experiment.laboratory.loading if self.kind == "twin" else self.loading) == "person"

    def capability(self, experiment: Experiment) -> PressCapability | None:
        """What its press can do, as its profile says; None: its cells go through rolls.

        For a twin the campaign's file names the profile.
        """
        device = self.devices.get("press") or (None if experiment.rolled else experiment.laboratory.press)
        return None if device is None else _press_capability(device.profile)

    def laboratory(self, experiment: Experiment, folder: Path) -> LaboratoryPlan:
        """Return where this press does a campaign: its own devices under its own name.

        Two presses of one make are told apart by name: the profile is extended by it, in ``folder``.
        """
        wanted = experiment.laboratory
        machine = "laminator" if experiment.rolled else "press"
        device = self.devices.get(machine) or getattr(wanted, machine)
        named = folder / f"{machine}.toml"
        named.write_text(f'extends = "{device.profile}"\nname = "{self.name}"\n', encoding="utf-8")
        devices = {machine: Device(str(named.resolve()), device.url)}
        for role in ("analyzer", "meter"):
            if getattr(wanted, role) is not None:
                devices[role] = self.devices.get(role) or getattr(wanted, role)
        loading: Literal["automatic", "person"] = "person" if self.by_person(experiment) else "automatic"
        return LaboratoryPlan(kind=self.kind, seed=wanted.seed, loading=loading, **devices)


@lru_cache(maxsize=64)
def _press_capability(profile: str) -> PressCapability | None:
    found = load_profile(profile)
    return press_capability(found) if found.press is not None else None


def plan_document(plan: PressPlan) -> dict[str, Any]:
    """Return a plan as plain data, to be handed to its runner."""
    return asdict(plan)


def plan_from_document(plain: Mapping[str, Any]) -> PressPlan:
    """Return the plan that :func:`plan_document` wrote."""
    devices = {role: Device(**one) for role, one in plain["devices"].items()}
    return PressPlan(plain["name"], plain["kind"], plain["loading"], devices)


def read_presses(path: Path) -> tuple[PressPlan, ...]:
    """Read the presses of a laboratory from a TOML file.

    One table for each press: ``[left]``, in it ``press = { profile = "...", url = "..." }`` (or ``laminator``),
    ``analyzer`` (or ``meter``) likewise, ``loading = "person"`` or ``"automatic"``; or just ``kind = "twin"``.

    Raises:
        InputError: Everything that is wrong with it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError([Violation("", f"cannot be read: {error}")], source=str(path)) from error
    wrong: list[Violation] = []
    plans = [_plan(name, table, path.parent, wrong) for name, table in raw.items()]
    if not raw:
        wrong.append(Violation("", "no press is declared: write a table for each, e.g. [left]"))
    if wrong:
        raise InputError(wrong, source=str(path))
    return tuple(plans)


def _plan(name: str, table: Any, folder: Path, wrong: list[Violation]) -> PressPlan:
    if not _NAME.match(name):
        wrong.append(Violation(name, "is no name of a press: use letters, digits, - _ and ."))
    if not isinstance(table, dict):
        wrong.append(Violation(name, "write a table for each press, e.g. [left]"))
        return PressPlan(name)
    known = {"kind", "loading", *_ROLES}
    wrong += [
        Violation(f"{name}.{key}", f"is unknown: use {', '.join(sorted(known))}")
        for key in table
        if key not in known
    ]
    kind, loading = table.get("kind", "bench"), table.get("loading", "person")
    if kind not in {"twin", "bench"}:
        wrong.append(Violation(f"{name}.kind", f"{kind!r} is neither 'bench' nor 'twin'"))
    if loading not in {"person", "automatic"}:
        wrong.append(Violation(f"{name}.loading", f"{loading!r} is neither 'person' nor 'automatic'"))
    devices = {role: _device(f"{name}.{role}", table[role], folder, wrong) for role in _ROLES if role in table}
    if kind == "bench":
        if ("press" in devices) == ("laminator" in devices):
            wrong.append(Violation(name, 'needs a press or a laminator: press = { profile = "...", url = "..." }'))
        if not {"analyzer", "meter"} & devices.keys():
            wrong.append(Violation(name, "needs what measures its cells: analyzer or meter"))
    elif devices:
        wrong.append(Violation(name, "a twin has no devices of its own: the campaign's file says which it plays"))
    return PressPlan(name, kind, loading, devices)


def _device(where: str, table: Any, folder: Path, wrong: list[Violation]) -> Device:
    if not (
        isinstance(table, dict) and isinstance(table.get("profile"), str) and table.keys() <= {"profile", "url"}
    ):
        wrong.append(Violation(where, 'write { profile = "...", url = "..." }'))
        return Device("")
    profile = table["profile"]
    if profile.endswith(".toml"):
        profile = str((folder / profile).resolve())
    try:
        load_profile(profile)
    except ProfileError as error:
        wrong += [Violation(f"{where}.profile", one.message) for one in error.violations]
    return Device(profile, table.get("url"))
