"""The protocol as a file that a machine can read: everything needed to repeat it, and back again, exactly."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pressopt.campaign.events import Loaded
from pressopt.campaign.experiment import STACK
from pressopt.campaign.journal import Journal
from pressopt.errors import InputError, Violation
from pressopt.export.answer import Answer, Result
from pressopt.export.safety import safety_notes
from pressopt.export.wording import force_tf, oil_bar, quantity_label, quantity_unit, split, unit_of
from pressopt.pressing import Die, PressingProtocol, RollStage, SafeState, Stage

if TYPE_CHECKING:
    from pressopt.campaign.experiment import Experiment
    from pressopt.export.protocol_format import ProtocolFile
    from pressopt.profiles import DeviceProfile

Json = dict[str, Any]
#: Fields of a stage in a file that only explain and are no part of the protocol.
_EXPLAINING = frozenset({"kind", "gauge", "window"})


def protocol_document(answer: Answer, journal: Journal, *, ram_area_cm2: float | None = None) -> Json:
    """Return the protocol file of a campaign, finished or not, as plain JSON.

    Args:
        answer: What the campaign has found.
        journal: Where from; only its dates and its head are read here.
        ram_area_cm2: Area of the press's ram, cm²: then oil pressures are given too.
    """
    from pressopt.export.protocol_format import PROTOCOL_SCHEMA, ProtocolFile

    experiment, recommendation, protocol = answer.experiment, answer.recommendation, answer.protocol
    document: Json = {
        "schema": PROTOCOL_SCHEMA,
        "name": experiment.name,
        "title": experiment.title,
        "complete": answer.complete,
        "incomplete_because": answer.open_because,
        "cell": _cell(answer),
        "stages": [] if protocol is None else [_stage(answer, stage, ram_area_cm2) for stage in protocol.stages],
        "measurement": None if protocol is None else _measurement(answer, protocol, ram_area_cm2),
        "settings": _settings(answer),
        "window_tolerance": None if recommendation is None else recommendation.window_tolerance,
        "feasibility": None if recommendation is None else recommendation.feasibility,
        "expected_gain": None if recommendation is None else recommendation.expected_gain,
        "results": [_result(result) for result in answer.results],
        "predicted_only": list(answer.predicted_only),
        "constraints": [
            {
                "quantity": constraint.quantity,
                "lower": constraint.lower,
                "upper": constraint.upper,
                "source": constraint.source,
                "probability": constraint.probability,
            }
            for constraint in experiment.constraints
        ],
        "limits": asdict(experiment.limits),
        "safety": list(safety_notes(experiment.cell, protocol)),
        "evidence": _evidence(answer),
        "provenance": _provenance(answer, journal),
    }
    # One source of truth: what leaves has the shape of the schema, or does not leave.
    checked: Json = ProtocolFile.model_validate(document).model_dump(mode="json", by_alias=True)
    return checked


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as it lies in a file; the same document gives the same bytes."""
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def document_digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the file in hex: what ``sha256sum`` prints, and what the sheet's QR code holds."""
    return hashlib.sha256(document_bytes(document)).hexdigest()


def read_document(text: str | bytes, *, source: str = "") -> Json:
    """Return the checked content of a protocol file.

    Raises:
        InputError: It is no protocol file; carries every violation, with its key.
    """
    from pydantic import ValidationError

    from pressopt.export.protocol_format import PROTOCOL_SCHEMA, ProtocolFile

    try:
        plain = json.loads(text)
    except ValueError as error:
        raise InputError([Violation("", f"this is no JSON: {error}")], source=source) from error
    if not isinstance(plain, dict) or plain.get("schema") != PROTOCOL_SCHEMA:
        found = plain.get("schema") if isinstance(plain, dict) else type(plain).__name__
        raise InputError(
            [Violation("schema", f"{found!r} is no protocol file of this version: expected {PROTOCOL_SCHEMA!r}")],
            source=source,
        )
    try:
        found_file: ProtocolFile = ProtocolFile.model_validate(plain)
    except ValidationError as error:
        wrong = [Violation(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors()]
        raise InputError(wrong, source=source) from error
    checked: Json = found_file.model_dump(mode="json", by_alias=True)
    return checked


def protocol_from_document(document: Mapping[str, Any]) -> PressingProtocol:
    """Return exactly the protocol that a document describes.

    Raises:
        InputError: The document holds no protocol (nothing valid was measured), or an impossible one.
    """
    measurement = document["measurement"]
    if not document["stages"] or measurement is None:
        raise InputError(f"the file holds no protocol: {document['incomplete_because']}")
    stages: list[Stage | RollStage] = []
    for stage in document["stages"]:
        values = {key: value for key, value in stage.items() if key not in _EXPLAINING}
        if stage["kind"] == "roll":
            stages.append(RollStage(**values))
        else:
            stages.append(Stage(**{**values, "on_abort": SafeState(values["on_abort"])}))
    return PressingProtocol(
        stages=tuple(stages),
        measure_at_mpa=measurement["pressure_mpa"],
        measure_at_c=measurement["temperature_c"],
        settle_s=measurement["settle_s"],
        release_mpa_s=measurement["release_mpa_s"],
    )


def gauge(die: Die, pressure_mpa: float, ram_area_cm2: float | None) -> Json:
    """Return what ``pressure_mpa`` on the sample (MPa) is at the gauge: kN, metric tf and bar of oil."""
    force_kn = die.force_kn(pressure_mpa)
    return {
        "force_kn": round(force_kn, 6),
        "force_tf": round(force_tf(force_kn), 6),
        "oil_bar": None if ram_area_cm2 is None else round(oil_bar(force_kn, ram_area_cm2), 4),
    }


def press_profile(experiment: Experiment) -> DeviceProfile | None:
    """Return the profile of the experiment's press, shipped or a file beside the experiment, or None.

    Raises:
        ProfileError: It cannot be read.
    """
    device = experiment.laboratory.press
    if device is None:
        return None
    from pressopt.profiles import load_profile

    beside = experiment.path.parent / device.profile
    return load_profile(str(beside) if device.profile.endswith(".toml") else device.profile)


def effective_ram_area_cm2(experiment: Experiment) -> float | None:
    """Return the area that turns oil pressure into force at the experiment's press, cm²; None if unknown.

    Raises:
        ProfileError: The press's profile cannot be read.
    """
    profile = press_profile(experiment)
    geometry = None if profile is None else profile.press
    if geometry is None or geometry.ram_diameter_mm is None:
        return None
    return math.pi / 4 * geometry.ram_diameter_mm**2 * geometry.efficiency / 100


def stage_windows(answer: Answer, stage: str) -> dict[str, tuple[float, float]]:
    """Return the process window of each searched setting of one stage, by the name of the variable."""
    if answer.recommendation is None:
        return {}
    return {
        split(name)[1]: window for name, window in answer.recommendation.window.items() if split(name)[0] == stage
    }


def _cell(answer: Answer) -> Json:
    cell = answer.experiment.cell
    return {
        "layers": [{**asdict(layer), "role": layer.role.value} for layer in cell.layers],
        "die_diameter_mm": cell.die.diameter_mm,
        "electrode_diameter_mm": cell.electrode_diameter_mm,
    }


def _ranges(windows: Mapping[str, tuple[float, float]]) -> Json:
    return {name: {"low": low, "high": high} for name, (low, high) in windows.items()}


def _stage(answer: Answer, stage: Stage | RollStage, ram_area_cm2: float | None) -> Json:
    windows = _ranges(stage_windows(answer, stage.name))
    if isinstance(stage, RollStage):
        return {"kind": "roll", **asdict(stage), "window": windows}
    return {
        "kind": "press",
        **asdict(stage),
        "on_abort": stage.on_abort.value,
        "gauge": gauge(answer.experiment.cell.die, stage.pressure_mpa, ram_area_cm2),
        "window": windows,
    }


def _measurement(answer: Answer, protocol: PressingProtocol, ram_area_cm2: float | None) -> Json:
    return {
        "pressure_mpa": protocol.measure_at_mpa,
        "temperature_c": protocol.measure_at_c,
        "settle_s": protocol.settle_s,
        "release_mpa_s": protocol.release_mpa_s,
        "gauge": gauge(answer.experiment.cell.die, protocol.measure_at_mpa, ram_area_cm2),
        "window": _ranges(stage_windows(answer, STACK)),
        "instrument": _instrument(answer),
    }


def _instrument(answer: Answer) -> Json:
    plan, sweep = answer.experiment.measurement, answer.experiment.sweep
    spectrum = plan.kind == "impedance"
    return {
        "kind": plan.kind,
        "high_hz": sweep.high_hz if spectrum else None,
        "low_hz": sweep.low_hz if spectrum else None,
        "points_per_decade": sweep.points_per_decade if spectrum else None,
        "amplitude_mv": sweep.amplitude_mv if spectrum else None,
        "bias_v": sweep.bias_v if spectrum else None,
        "readings": None if spectrum else plan.readings,
    }


def _settings(answer: Answer) -> Json:
    recommendation = answer.recommendation
    if recommendation is None:
        return {}
    found = {}
    for variable in answer.experiment.space.variables:
        window = recommendation.window.get(variable.name)
        found[variable.name] = {
            "value": recommendation.settings[variable.name],
            "unit": variable.unit or unit_of(variable.name),
            "searched": {"low": variable.low, "high": variable.high}
            if variable.numeric
            else list(variable.choices),
            "window": None if window is None else {"low": window[0], "high": window[1]},
            "effect": recommendation.effects.get(variable.name),
            "sensitivity": [
                {"value": value, "expected": asdict(expected)}
                for value, expected in answer.sensitivity.get(variable.name, ())
            ],
        }
    return found


def _result(result: Result) -> Json:
    return {
        "quantity": result.quantity,
        "label": quantity_label(result.quantity),
        "unit": quantity_unit(result.quantity),
        "direction": result.direction,
        "source": result.source,
        "target": result.target,
        "target_met": result.target_met,
        "expected": None if result.expected is None else asdict(result.expected),
        "compared_with": [
            {**asdict(reference), "times_better": result.factor(reference)} for reference in result.references
        ],
    }


def _evidence(answer: Answer) -> Json:
    found = answer.evidence
    return {
        "trials_proposed": found.proposed,
        "cells_pressed": found.pressed,
        "cells_valid": found.valid,
        "cells_failed": dict(found.failed),
        "blameless_failures": list(found.blameless),
        "trials_rejected": found.rejected,
        "replicates": found.replicates,
        "trials_in_flight": list(found.in_flight),
        "readings_set_aside": list(answer.recommendation.set_aside if answer.recommendation is not None else ()),
        "assumed_inputs": list(answer.assumed),
    }


def _provenance(answer: Answer, journal: Journal) -> Json:
    first = last = None
    loaded_by: dict[int, str] = {}
    for entry in journal.entries():
        if entry.seq > answer.state.last_seq:
            break
        first, last = first or entry.at, entry.at
        if isinstance(entry.event, Loaded):
            loaded_by[entry.event.trial] = entry.event.by
    opened = answer.state.opened
    approvals = Counter(by for by in loaded_by.values() if by)
    return {
        "campaign": opened.name if opened is not None else answer.experiment.name,
        "started_at": first,
        "last_entry_at": last,
        "journal_entries": answer.state.last_seq,
        "journal_head_sha256": answer.state.digest,
        "experiment_sha256": answer.experiment.digest,
        "software": dict(opened.software) if opened is not None else {},
        "seed": answer.experiment.seed,
        "strategy": answer.experiment.strategy.name,
        "model": dict(answer.recommendation.model) if answer.recommendation is not None else {},
        "data": [
            {
                "trial": trial.number,
                "verdict": trial.verdict,
                "failures": list(trial.failures),
                "press_record_sha256": trial.record,
                "measurement_sha256": trial.measurements[-1].measurement if trial.measurements else "",
            }
            for trial in answer.state.done
        ],
        "confirmed_by": dict(sorted(approvals.items())),
        "approved_by": answer.approved_by,
    }
