"""Cell and protocol as JSON-LD in terms of EMMO, its battery domain and CHAMEO; the context is in the file.

The IRIs are those of EMMO and domain-battery as BattINFO 0.8 maps them; quantities that the ontologies have no
class for get one of our own namespace and say so by it.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from pressopt.export.answer import Answer, Result
from pressopt.export.document import document_digest
from pressopt.export.wording import quantity_label
from pressopt.pressing import Layer, PressingProtocol, Role, RollStage, Stage

_EMMO = "https://w3id.org/emmo#"
_ELECTROCHEMISTRY = "https://w3id.org/emmo/domain/electrochemistry#"
#: Namespace of what the ontologies have no term for.
OWN = "urn:pressopt:terms:"

#: Term -> IRI. A JSON-LD processor needs nothing from the network.
CONTEXT: dict[str, Any] = {
    "@version": 1.1,
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "pressopt": OWN,
    "name": "schema:name",
    "description": "schema:description",
    "identifier": "schema:identifier",
    "prefLabel": "skos:prefLabel",
    "position": "schema:position",
    "hasProperty": {"@id": f"{_EMMO}EMMO_e1097637_70d2_4895_973f_2396f04fa204", "@type": "@id"},
    "hasNumericalPart": {"@id": f"{_EMMO}EMMO_8ef3cd6d_ae58_4a8d_9fc0_ad8f49015cd0", "@type": "@id"},
    "hasNumberValue": f"{_EMMO}EMMO_faf79f53_749d_40b2_807c_d34244c192f4",
    "hasMeasurementUnit": {"@id": f"{_EMMO}EMMO_bed1d005_b04e_4a90_94cf_02bc678a8569", "@type": "@vocab"},
    "hasConstituent": {"@id": f"{_EMMO}EMMO_dba27ca1_33c9_4443_a912_1519ce4c39ec", "@type": "@id"},
    "hasInput": {"@id": f"{_EMMO}EMMO_36e69413_8c59_4799_946c_10b05d266e22", "@type": "@id"},
    "hasOutput": {"@id": f"{_EMMO}EMMO_c4bace1d_4db0_4cd3_87e9_18122bae2840", "@type": "@id"},
    "hasTask": {"@id": f"{_EMMO}EMMO_70da982d_1810_4b01_9630_a28e216ecd9a", "@type": "@id"},
    "hasNext": {"@id": f"{_EMMO}EMMO_499e24a5_5072_4c83_8625_fe3f96ae4a8d", "@type": "@id"},
    "hasProcessParameter": {"@id": f"{_EMMO}EMMO_08bd340b_9d49_4d60_8ac5_b89f2f442169", "@type": "@id"},
    "RealData": f"{_EMMO}EMMO_18d180e4_5e3e_42f7_820c_e08951223486",
    "ConventionalProperty": f"{_EMMO}EMMO_d8aa8e1f_b650_416d_88a0_5118de945456",
    "MeasuredProperty": f"{_EMMO}EMMO_873b0ab3_88e6_4054_b901_5531e01f14a4",
    "ModelledProperty": f"{_EMMO}EMMO_d0200cf1_e4f4_45ae_873f_b9359daea3cd",
    "Process": f"{_EMMO}EMMO_43e9a05d_98af_41b4_92f6_00f79a09bfce",
    "Manufacturing": f"{_EMMO}EMMO_a4d66059_5dd3_4b90_b4cb_10960559441b",
    "Pressing": f"{_EMMO}EMMO_bbf12904_e25e_4f49_87f3_8bd210a6b535",
    "HotPressing": "https://w3id.org/emmo/domain/manufacturing#manufacturing_c653a52e_344f_4c34_8eb8_30b90f822053",
    "Rolling": f"{_EMMO}EMMO_91c2db4b_83e2_4c36_aadf_453acc72e6d2",
    "ElectrochemicalImpedanceSpectroscopy": (
        "https://w3id.org/emmo/domain/characterisation-methodology/chameo#ElectrochemicalImpedanceSpectroscopy"
    ),
    "ElectrochemicalCell": f"{_ELECTROCHEMISTRY}electrochemistry_6f2c88c9_5c04_4953_a298_032cc3ab9b77",
    "Electrode": f"{_ELECTROCHEMISTRY}electrochemistry_0f007072_a8dd_4798_b865_1bf9363be627",
    "SolidElectrolyte": f"{_ELECTROCHEMISTRY}electrochemistry_0508a114_544a_4f54_a7de_9b947fb4b618",
    "CurrentCollector": f"{_ELECTROCHEMISTRY}electrochemistry_212af058_3bbb_419f_a9c6_90ba9ebb3706",
    "Interphase": f"{_ELECTROCHEMISTRY}electrochemistry_54e0c2bd_1bb2_4f9c_9b55_5b6cc34651ec",
    "Pressure": f"{_EMMO}EMMO_50a44256_9dc5_434b_bad4_74a4d9a29989",
    "Force": f"{_EMMO}EMMO_1f087811_06cb_42d5_90fb_25d0e7e068ef",
    "Duration": f"{_EMMO}EMMO_0adabf6f_7404_44cb_9f65_32d83d8101a3",
    "CelsiusTemperature": f"{_EMMO}EMMO_66bc9029_f473_45ff_bab9_c3509ff37a22",
    "Thickness": f"{_EMMO}EMMO_43003c86_9d15_433b_9789_ee2940920656",
    "Diameter": f"{_EMMO}EMMO_c1c8ac3c_8a1c_4777_8e0b_14c1f9f9b0c6",
    "Velocity": f"{_EMMO}EMMO_0329f1f5_8339_4ce4_8505_a264c6d606ba",
    "MegaPascal": f"{_EMMO}MegaPascal",
    "KiloNewton": f"{_EMMO}KiloNewton",
    "Second": f"{_EMMO}Second",
    "DegreeCelsius": f"{_EMMO}DegreeCelsius",
    "MicroMetre": f"{_EMMO}MicroMetre",
    "MilliMetre": f"{_EMMO}MilliMetre",
    "UnitOne": f"{_EMMO}EMMO_5ebd5e01_0ed3_49a2_a30d_cd05cbe72978",
    "RmsRoughness": "pressopt:RmsRoughness",
    "RelativeDensity": "pressopt:RelativeDensity",
    "RampRate": "pressopt:RampRate",
    "LineForce": "pressopt:LineForce",
    "Passes": "pressopt:Passes",
    "MegaPascalPerSecond": "pressopt:MegaPascalPerSecond",
    "NewtonPerMilliMetre": "pressopt:NewtonPerMilliMetre",
    "MilliMetrePerSecond": "pressopt:MilliMetrePerSecond",
    "lowerBound": "pressopt:lowerBound95",
    "upperBound": "pressopt:upperBound95",
}
_ROLES = {
    Role.COLLECTOR: "CurrentCollector",
    Role.ELECTRODE: "Electrode",
    Role.INTERLAYER: "Interphase",
    Role.ELECTROLYTE: "SolidElectrolyte",
    Role.COMPOSITE: "Electrode",
}
#: Above this, °C, pressing is hot pressing (assumed: clearly warmer than any laboratory).
_HOT_C = 40.0


def linked_data(answer: Answer, document: dict[str, Any]) -> dict[str, Any]:
    """Return cell, protocol and expected result as one JSON-LD document.

    Args:
        answer: What the campaign has found; without a protocol only the cell is told, and why.
        document: The protocol file, whose digest names everything here.
    """
    base = f"urn:sha256:{document_digest(document)}"
    cell = answer.experiment.cell
    graph: list[dict[str, Any]] = [
        {
            "@id": f"{base}#cell",
            "@type": "ElectrochemicalCell",
            "name": answer.experiment.title,
            "hasProperty": [_quantity("Diameter", cell.electrode_diameter_mm, "MilliMetre", "electrode diameter")],
            "hasConstituent": [f"{base}#layer-{place}" for place in range(1, len(cell.layers) + 1)],
        },
        *(_layer(f"{base}#layer-{place}", place, layer) for place, layer in enumerate(cell.layers, 1)),
    ]
    if answer.protocol is not None:
        graph += _protocol(answer, answer.protocol, base)
    else:
        graph[0]["description"] = answer.status
    return {"@context": CONTEXT, "@graph": graph}


def linked_data_bytes(answer: Answer, document: dict[str, Any]) -> bytes:
    """Return :func:`linked_data` as it lies in a file."""
    return (json.dumps(linked_data(answer, document), indent=2, ensure_ascii=False) + "\n").encode()


def _layer(identifier: str, place: int, layer: Layer) -> dict[str, Any]:
    properties = [_quantity("Thickness", layer.thickness_um, "MicroMetre")]
    if layer.roughness_um is not None:
        properties.append(
            _quantity("RmsRoughness", layer.roughness_um, "MicroMetre", "rms roughness of its faces")
        )
    if layer.relative_density is not None:
        properties.append(_quantity("RelativeDensity", layer.relative_density, "UnitOne"))
    return {
        "@id": identifier,
        "@type": _ROLES[layer.role],
        "name": layer.material,
        "position": place,
        "hasProperty": properties,
    }


def _protocol(answer: Answer, protocol: PressingProtocol, base: str) -> list[dict[str, Any]]:
    steps = [_step(f"{base}#stage-{n}", answer, stage) for n, stage in enumerate(protocol.stages, 1)]
    impedance = answer.experiment.measurement.kind == "impedance"
    measurement: dict[str, Any] = {
        "@id": f"{base}#measurement",
        "@type": "ElectrochemicalImpedanceSpectroscopy" if impedance else "Process",
        "name": "measurement",
        "hasProcessParameter": [
            *([] if protocol.rolled else [_quantity("Pressure", protocol.measure_at_mpa, "MegaPascal")]),
            _quantity("CelsiusTemperature", protocol.measure_at_c, "DegreeCelsius"),
            _quantity("Duration", protocol.settle_s, "Second", "settling time"),
        ],
        "hasOutput": [found for result in answer.results if (found := _result(result)) is not None],
    }
    tasks = [*steps, measurement]
    for before, after in itertools.pairwise(tasks):
        before["hasNext"] = after["@id"]
    whole = {
        "@id": f"{base}#protocol",
        "@type": "Manufacturing",
        "name": f"pressing protocol {answer.experiment.name}",
        "identifier": base,
        "description": answer.status or "recommended protocol of a finished campaign",
        "hasInput": f"{base}#cell",
        "hasTask": [task["@id"] for task in tasks],
    }
    return [whole, *tasks]


def _step(identifier: str, answer: Answer, stage: Stage | RollStage) -> dict[str, Any]:
    heat = _quantity("CelsiusTemperature", stage.temperature_c, "DegreeCelsius")
    if isinstance(stage, RollStage):
        kind = "Rolling"
        settings = [
            _quantity("LineForce", stage.line_force_n_mm, "NewtonPerMilliMetre"),
            _quantity("Velocity", stage.speed_mm_s, "MilliMetrePerSecond"),
            _quantity("Passes", stage.passes, "UnitOne"),
        ]
    else:
        kind = "HotPressing" if stage.temperature_c >= _HOT_C else "Pressing"
        force_kn = answer.experiment.cell.die.force_kn(stage.pressure_mpa)
        settings = [
            _quantity("Pressure", stage.pressure_mpa, "MegaPascal", "pressure on the sample"),
            _quantity("Force", force_kn, "KiloNewton"),
            _quantity("Duration", stage.dwell_s, "Second", "dwell"),
            _quantity("RampRate", stage.ramp_mpa_s, "MegaPascalPerSecond"),
        ]
    return {"@id": identifier, "@type": kind, "name": stage.name, "hasProcessParameter": [*settings, heat]}


def _result(result: Result) -> dict[str, Any] | None:
    """The expected value: measured quantities by the campaign's model, others by physics alone."""
    if result.expected is None:
        return None
    return {
        "@type": [f"pressopt:{result.quantity}", "ModelledProperty"],
        "prefLabel": f"expected {quantity_label(result.quantity)}",
        "hasNumericalPart": {"@type": "RealData", "hasNumberValue": result.expected.median},
        "hasMeasurementUnit": f"pressopt:unit-of-{result.quantity}",
        "lowerBound": result.expected.low,
        "upperBound": result.expected.high,
    }


def _quantity(kind: str, value: float, unit: str, label: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {
        "@type": [kind, "ConventionalProperty"],
        "hasNumericalPart": {"@type": "RealData", "hasNumberValue": value},
        "hasMeasurementUnit": unit,
    }
    return {**found, "prefLabel": label} if label else found
