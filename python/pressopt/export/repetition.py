"""A protocol file pressed again: the file as an experiment with nothing searched, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pressopt.campaign.experiment import Device, Experiment, LaboratoryPlan
from pressopt.campaign.replay import CampaignState
from pressopt.errors import InputError, LimitError, Violation
from pressopt.export.document import document_digest, protocol_from_document
from pressopt.export.wording import interval, number, quantity_label, quantity_unit
from pressopt.optimizer import REPEAT, Interval, Objective
from pressopt.optimizer.repeating import mean_interval

#: Name of the protocol file in the folder of its repetition.
REPEATED = "repeated-protocol.json"
#: Name of the file that says what came of it.
COMPARISON = "repetition.json"
#: What a cell is judged by where the file names no measured result.
_BY_KIND = {
    "impedance": "interfacial_resistance_ohm_cm2",
    "four-wire": "contact_resistance_mohm_cm2",
}
_LAYER_KEYS = ("material", "role", "thickness_um", "roughness_um", "relative_density", "powder")
_PRESS_KEYS = ("pressure_mpa", "ramp_mpa_s", "dwell_s", "temperature_c", "on_abort")
_ROLL_KEYS = ("line_force_n_mm", "speed_mm_s", "passes", "temperature_c")
_SWEEP_KEYS = {"amplitude_mv": "amplitude_mv", "bias_v": "bias_v", "points_per_decade": "points_per_decade"}

Verdict = Literal["agrees", "better", "worse", "not measured"]


def experiment_text(
    document: Mapping[str, Any],
    *,
    cells: int = 1,
    laboratory: LaboratoryPlan | None = None,
    materials_file: Path | None = None,
) -> str:
    """Return the experiment file (TOML) that presses exactly the protocol of ``document``.

    Args:
        document: A checked protocol file.
        cells: How many cells are pressed with it.
        laboratory: Where; None: the built-in twin.
        materials_file: Materials of the user beside the catalogue.

    Raises:
        InputError: The file holds no protocol, or does not say by which instrument it is measured.
    """
    protocol_from_document(document)  # refuses what holds no protocol
    measurement, layers = document["measurement"], document["cell"]["layers"]
    instrument = measurement["instrument"]
    if instrument is None:
        raise InputError(
            [Violation("measurement.instrument", "is missing: an older pressopt wrote this file; export it again")]
        )
    blocks = [
        f"# Made from a protocol file; sha256 {document_digest(document)}",
        _table("experiment", {
            "title": f"Repeat: {document['title']}",
            "goal": f"Press the protocol '{document['name']}' again and compare the result with what it promises.",
            "seed": document["provenance"]["seed"],
        }),
        _table("cell", {
            "die_diameter_mm": document["cell"]["die_diameter_mm"],
            "electrode_diameter_mm": document["cell"]["electrode_diameter_mm"],
        }),
        *(_table("[cell.layers]", {key: layer[key] for key in _LAYER_KEYS}) for layer in layers),
        *(_stage(stage) for stage in document["stages"]),
        *(_table("[objectives]", {"quantity": quantity}) for quantity in judged_by(document)),
        _table("measurement", _measurement(measurement, instrument)),
        _table("budget", {"trials": cells}),
        _table("strategy", {"name": REPEAT}),
        _laboratory(laboratory),
        _table("limits", _limits(document)),
    ]  # fmt: skip
    if materials_file is not None:
        blocks.append(_table("materials", {"file": str(materials_file.resolve())}))
    return "\n\n".join(blocks) + "\n"


def judged_by(document: Mapping[str, Any]) -> list[str]:
    """Return the quantities that a repetition measures: those of the file that an instrument has measured."""
    measured = [result["quantity"] for result in document["results"] if result["source"] == "measured"]
    return measured or [_BY_KIND[document["measurement"]["instrument"]["kind"]]]


def check_geometry(document: Mapping[str, Any], other: Experiment) -> None:
    """Refuse a laboratory that is set up for another die, electrode or way of working.

    Raises:
        LimitError: All that differs, at once.
    """
    cell, wrong = document["cell"], []
    if abs(cell["die_diameter_mm"] - other.cell.die.diameter_mm) > 1e-6:
        wrong.append(
            Violation(
                "cell.die_diameter",
                f"the protocol is for a die of {cell['die_diameter_mm']:g} mm, {other.path.name} has "
                f"{other.cell.die.diameter_mm:g} mm: its forces would be other pressures; mount the right die",
            )
        )
    if abs(cell["electrode_diameter_mm"] - other.cell.electrode_diameter_mm) > 1e-6:
        wrong.append(
            Violation(
                "cell.electrode_diameter",
                f"the protocol is for electrodes of {cell['electrode_diameter_mm']:g} mm, {other.path.name} has "
                f"{other.cell.electrode_diameter_mm:g} mm",
            )
        )
    rolled = document["stages"][0]["kind"] == "roll"
    if rolled != other.rolled:
        does, has = ("rolls", "a press") if rolled else ("presses", "a roll laminator")
        wrong.append(Violation("laboratory", f"the protocol {does}, {other.path.name} has {has}"))
    kind = document["measurement"]["instrument"]["kind"]
    if kind != other.measurement.kind:
        wrong.append(
            Violation(
                "measurement.kind", f"the protocol needs {kind}, {other.path.name} has {other.measurement.kind}"
            )
        )
    if wrong:
        raise LimitError(wrong)


# ---------------------------------------------------------------------- what came of it


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity: what the protocol file promised and what the repetition measured.

    Attributes:
        quantity: Its name, unit included.
        expected: As the file says; None: it said nothing.
        found: Mean of the cells with its 95 % interval; None: nothing valid was measured.
        cells: How many cells stand behind it.
        verdict: ``agrees`` where the two intervals overlap.
    """

    quantity: str
    expected: Interval | None
    found: Interval | None
    cells: int
    verdict: Verdict

    def __str__(self) -> str:
        unit = quantity_unit(self.quantity)
        label = quantity_label(self.quantity)
        label = label[:1].upper() + label[1:]
        if self.found is None:
            return f"{label}: no valid measurement."
        found = f"{number(self.found.median)} {unit}".rstrip()
        spread = f"{interval(self.found.low, self.found.high)}, {self.cells} cell{'s' * (self.cells != 1)}"
        if self.expected is None:
            return f"{label}: {found} ({spread}); the protocol file promises nothing."
        promised = f"{number(self.expected.median)} {unit}".rstrip()
        words = {
            "agrees": "agrees with",
            "better": "better than",
            "worse": "worse than",
            "not measured": "instead of",
        }[self.verdict]
        edges = interval(self.expected.low, self.expected.high)
        return f"{label}: {found} ({spread}), {words} the expected {promised} ({edges})."


def compare(document: Mapping[str, Any], experiment: Experiment, state: CampaignState) -> tuple[Comparison, ...]:
    """Compare what a repetition has measured with what its protocol file promised."""
    promised = {result["quantity"]: result for result in document["results"]}
    history = state.observations()
    found = []
    for objective in experiment.objectives:
        plain = promised.get(objective.quantity, {}).get("expected")
        expected = None if plain is None else Interval(**plain)
        direction = promised.get(objective.quantity, {}).get("direction", objective.direction)
        measured = mean_interval(objective, history)
        cells = sum(bool(one.feasible) and objective.quantity in one.outcomes for one in history)
        verdict = _verdict(Objective(objective.quantity, direction), expected, measured)
        found.append(Comparison(objective.quantity, expected, measured, cells, verdict))
    return tuple(found)


def falls_short(compared: Sequence[Comparison]) -> bool:
    """Whether something that was promised was found worse, or not measured at all."""
    return any(one.expected is not None and one.verdict in {"worse", "not measured"} for one in compared)


def comparison_document(
    document: Mapping[str, Any], experiment: Experiment, state: CampaignState
) -> dict[str, Any]:
    """Return the comparison as plain JSON."""
    return {
        "schema": "pressopt/repetition/1",
        "protocol": document["name"],
        "protocol_sha256": document_digest(document),
        "journal_head_sha256": state.digest,
        "cells_pressed": sum(trial.pressings > 0 for trial in state.trials.values()),
        "complete": state.closed is not None,
        "results": [asdict(one) for one in compare(document, experiment, state)],
    }


def repeated_document(folder: Path) -> dict[str, Any] | None:
    """Return the protocol file that the campaign in ``folder`` repeats, or None where it repeats none.

    Raises:
        InputError: The copy in the folder was changed since the repetition began.
    """
    path = folder / REPEATED
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def check_unchanged(document: Mapping[str, Any], experiment: Experiment, folder: Path) -> None:
    """Refuse to compare with a copy of the protocol file that is not the one that was pressed.

    Raises:
        InputError: Its digest is not the one in the journal.
    """
    if document_digest(document) not in experiment.text:
        raise InputError(
            f"{folder / REPEATED} is not the protocol file that this campaign repeats: it was changed or exchanged"
        )


def _verdict(objective: Objective, expected: Interval | None, found: Interval | None) -> Verdict:
    if found is None or expected is None:
        return "not measured"
    if found.low <= expected.high and found.high >= expected.low:
        return "agrees"
    lower = found.high < expected.low
    return "better" if lower == (objective.direction == "minimize") else "worse"


# ---------------------------------------------------------------------- TOML


def _stage(stage: Mapping[str, Any]) -> str:
    if stage["kind"] == "roll":
        rows = {"name": stage["name"], "kind": "roller", **{key: stage[key] for key in _ROLL_KEYS}}
    else:
        rows = {"name": stage["name"], "kind": "platen", **{key: stage[key] for key in _PRESS_KEYS}}
    return _table("[stages]", rows)


def _measurement(measurement: Mapping[str, Any], instrument: Mapping[str, Any]) -> dict[str, Any]:
    held = measurement["pressure_mpa"]
    rows: dict[str, Any] = {
        "kind": instrument["kind"],
        **({"pressure_mpa": held} if held > 0 else {"pressure": "released"}),
        "temperature_c": measurement["temperature_c"],
        "settle_s": measurement["settle_s"],
        "release_rate_mpa_s": measurement["release_mpa_s"],
    }
    if instrument["kind"] == "four-wire":
        return {**rows, "readings": instrument["readings"]}
    rows |= {key: instrument[name] for name, key in _SWEEP_KEYS.items()}
    return {**rows, "band_hz": {"low": instrument["low_hz"], "high": instrument["high_hz"]}}


def _limits(document: Mapping[str, Any]) -> dict[str, Any]:
    """The limits of the file; where it sets none of a kind, what the protocol itself asks is the most."""
    limits = {key: value for key, value in document["limits"].items() if value is not None}
    stages = document["stages"]
    if "temperature_c" not in limits:
        hottest = max(stage["temperature_c"] for stage in stages)
        limits["temperature_c"] = max(hottest, document["measurement"]["temperature_c"])
    if not {"pressure_mpa", "force_kn", "line_force_n_mm"} & limits.keys():
        key = "line_force_n_mm" if stages[0]["kind"] == "roll" else "pressure_mpa"
        limits[key] = max(stage[key] for stage in stages)
    return limits


def _laboratory(plan: LaboratoryPlan | None) -> str:
    if plan is None:
        return _table("laboratory", {"kind": "twin", "seed": 1})
    rows: dict[str, Any] = {"kind": plan.kind, "loading": plan.loading}
    if plan.kind == "twin":
        rows["seed"] = plan.seed
    for role in ("press", "laminator", "analyzer", "meter"):
        device: Device | None = getattr(plan, role)
        if device is not None:
            rows[role] = device.profile if device.url is None else {"profile": device.profile, "url": device.url}
    return _table("laboratory", rows)


def _table(name: str, rows: Mapping[str, Any]) -> str:
    lines = [f"[{name}]"]
    lines += [f"{key} = {_toml(value)}" for key, value in rows.items() if value is not None]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    # A JSON string is a TOML basic string, but for the one character that TOML forbids raw.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
