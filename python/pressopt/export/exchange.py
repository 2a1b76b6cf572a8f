"""Trials to and from other optimizers, in the shapes that their public interfaces take and give.

Ax (1.x): what ``Client.configure_experiment``, ``attach_trial`` and ``complete_trial`` take, and the rows that
``Client.summarize`` gives. BayBE (0.1x): the parameters of its search space as its JSON has them, and the table
that ``Campaign.add_measurements`` takes. scikit-optimize: :mod:`pressopt.optimizer.skopt_exchange`. Neither Ax nor
BayBE is needed to write or read these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pressopt.errors import InputError, Violation
from pressopt.optimizer import DesignSpace, Measurement, Objective, Observation, Variable
from pressopt.optimizer.observation import Value

Row = dict[str, Any]


# ---------------------------------------------------------------------- Ax


class AxClient(Protocol):
    """What is used of ``ax.api.client.Client``."""

    def attach_trial(self, parameters: Mapping[str, Any], arm_name: str | None = None) -> int: ...

    def complete_trial(self, trial_index: int, raw_data: Mapping[str, Any] | None = None) -> Any: ...

    def mark_trial_failed(self, trial_index: int, failed_reason: str | None = None) -> None: ...


def to_ax(space: DesignSpace, history: Sequence[Observation], objectives: Sequence[Objective]) -> dict[str, Any]:
    """Return an experiment in Ax's words: ``parameters``, ``objective`` and ``trials``, plain JSON.

    Each of ``parameters`` holds the arguments of a ``RangeParameterConfig`` or ``ChoiceParameterConfig``;
    ``objective`` is what ``configure_optimization`` takes (a minus minimizes). Values are (mean, standard error).
    """
    return {
        "parameters": [_ax_parameter(one) for one in space.variables],
        "objective": ", ".join(
            f"{'-' if one.direction == 'minimize' else ''}{one.quantity}" for one in objectives
        ),
        "trials": [
            {
                "trial": one.trial,
                "parameters": dict(one.settings),
                "achieved": dict(one.achieved),
                "raw_data": {name: [found.value, found.sd] for name, found in one.outcomes.items()},
                "status": "FAILED" if one.failures else "COMPLETED",
                "failures": sorted(one.failures),
                "blameless": sorted(one.blameless),
            }
            for one in history
        ],
    }


def attach_to_ax(client: AxClient, plain: Mapping[str, Any]) -> list[int]:
    """Tell an Ax client, configured with the same parameters, all trials of :func:`to_ax`; return the indices."""
    indices = []
    for trial in plain["trials"]:
        index = client.attach_trial(trial["parameters"], arm_name=f"cell_{trial['trial']}")
        if trial["status"] == "COMPLETED" and trial["raw_data"]:
            client.complete_trial(index, {name: tuple(pair) for name, pair in trial["raw_data"].items()})
        else:
            client.mark_trial_failed(index, failed_reason=", ".join(trial["failures"]) or "not measured")
        indices.append(index)
    return indices


def from_ax(plain: Mapping[str, Any]) -> tuple[DesignSpace, list[Observation]]:
    """Return space and trials of :func:`to_ax`, exactly; units and steps of variables are not Ax's to keep."""
    space = DesignSpace(tuple(_from_ax_parameter(one) for one in plain["parameters"]))
    return space, [
        Observation(
            trial=one["trial"],
            settings=one["parameters"],
            achieved=one["achieved"],
            outcomes={name: Measurement(*pair) for name, pair in one["raw_data"].items()},
            failures=frozenset(one["failures"]),
            blameless=frozenset(one["blameless"]),
        )
        for one in plain["trials"]
    ]


def from_ax_summary(
    rows: Iterable[Mapping[str, Any]], space: DesignSpace, metrics: Sequence[str]
) -> list[Observation]:
    """Return the trials of ``Client.summarize()`` (``.to_dict("records")`` of its table).

    Trials that are neither completed nor failed are left out; trial 0 of Ax is cell 1 of ours.

    Raises:
        InputError: A parameter of the space has no column; all of them at once.
    """
    found, wrong = [], []
    for row in rows:
        wrong += [
            Violation(name, f"trial {row.get('trial_index')} has no such column")
            for name in space.names
            if name not in row
        ]
        status = str(row.get("trial_status", "")).upper()
        if wrong or not status.endswith(("COMPLETED", "FAILED")):
            continue
        outcomes = {name: Measurement(float(row[name]), 0.0) for name in metrics if _given(row.get(name))}
        failed = status.endswith("FAILED") or not outcomes
        found.append(
            Observation(
                int(row["trial_index"]) + 1,
                {name: row[name] for name in space.names},
                outcomes={} if failed else outcomes,
                failures=frozenset({"failed"}) if failed else frozenset(),
            )
        )
    if wrong:
        raise InputError(wrong)
    return found


def _ax_parameter(one: Variable) -> dict[str, Any]:
    if not one.numeric:
        return {"name": one.name, "values": list(one.choices), "parameter_type": "str", "is_ordered": False}
    whole = one.kind == "integer"
    return {
        "name": one.name,
        "bounds": [int(one.low), int(one.high)] if whole else [one.low, one.high],
        "parameter_type": "int" if whole else "float",
        "scaling": one.scale,
    }


def _from_ax_parameter(plain: Mapping[str, Any]) -> Variable:
    if "values" in plain:
        return Variable(plain["name"], kind="categorical", choices=tuple(plain["values"]))
    low, high = plain["bounds"]
    kind = "integer" if plain["parameter_type"] == "int" else "real"
    scale = "log" if plain["scaling"] == "log" else "linear"
    return Variable(plain["name"], float(low), float(high), scale=scale, kind=kind)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- BayBE


def to_baybe(
    space: DesignSpace, history: Sequence[Observation], objectives: Sequence[Objective]
) -> dict[str, Any]:
    """Return ``parameters`` and ``targets`` as BayBE's JSON has them, and ``measurements``: rows for its table.

    ``Campaign.add_measurements(pandas.DataFrame(plain["measurements"]))`` takes the rows as they are: one per
    valid cell, at what it achieved. Failed cells have no measurement; they and all else stand under ``trials``.
    """
    measured = [one.quantity for one in objectives if one.source == "measured"]
    rows = []
    for one in history:
        if one.feasible and all(name in one.outcomes for name in measured):
            reached = {**one.settings, **{k: v for k, v in one.achieved.items() if k in one.settings}}
            rows.append({**reached, **{name: one.outcomes[name].value for name in measured}})
    return {
        "parameters": [_baybe_parameter(one) for one in space.variables],
        "targets": [
            {
                "type": "NumericalTarget",
                "name": one.quantity,
                "mode": "MIN" if one.direction == "minimize" else "MAX",
            }
            for one in objectives
            if one.source == "measured"
        ],
        "measurements": rows,
        "trials": to_ax(space, history, objectives)["trials"],
    }


def from_baybe(plain: Mapping[str, Any]) -> list[Observation]:
    """Return the trials of :func:`to_baybe` exactly, or those of a campaign of BayBE: rows of ``measurements``.

    Raises:
        InputError: A row lacks a parameter or a target; all of them at once.
    """
    if "trials" in plain:
        return from_ax({"parameters": [], "trials": plain["trials"]})[1]
    parameters = [one["name"] for one in plain["parameters"]]
    targets = [one["name"] for one in plain["targets"]]
    wrong = [
        Violation(name, f"row {number} has no such column")
        for number, row in enumerate(plain["measurements"], 1)
        for name in (*parameters, *targets)
        if name not in row
    ]
    if wrong:
        raise InputError(wrong)
    return [
        Observation(
            number,
            {name: _value(row[name]) for name in parameters},
            outcomes={name: Measurement(float(row[name]), 0.0) for name in targets},
        )
        for number, row in enumerate(plain["measurements"], 1)
    ]


def _baybe_parameter(one: Variable) -> dict[str, Any]:
    if not one.numeric:
        return {"type": "CategoricalParameter", "name": one.name, "values": list(one.choices), "encoding": "OHE"}
    if one.kind == "integer":
        values = [float(value) for value in range(int(one.low), int(one.high) + 1)]
        return {"type": "NumericalDiscreteParameter", "name": one.name, "values": values}
    return {"type": "NumericalContinuousParameter", "name": one.name, "bounds": [one.low, one.high]}


def _given(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _value(value: Any) -> Value:
    return value if isinstance(value, str) else float(value)


# ---------------------------------------------------------------------- PyBaMM


def pybamm_parameters(
    interval_ohm_cm2: tuple[float, float, float], *, area_cm2: float, interfaces: int, source: str
) -> dict[str, Any]:
    """Return the contact resistance of a cell as a PyBaMM parameter, with its spread.

    Args:
        interval_ohm_cm2: Median, low and high of one interface, Ω cm².
        area_cm2: Area of the electrode, cm².
        interfaces: How many of them the current crosses.
        source: Who says so: ``measured`` or ``predicted``.

    Returns:
        ``parameters``: what ``pybamm.ParameterValues.update`` takes (with the model option
        ``{"contact resistance": "true"}``); ``low`` and ``high``: the same at the ends of the interval.
    """
    name = "Contact resistance [Ohm]"
    median, low, high = (value * interfaces / area_cm2 for value in interval_ohm_cm2)
    return {
        "schema": "pressopt/pybamm/1",
        "model_options": {"contact resistance": "true"},
        "parameters": {name: median},
        "low": {name: low},
        "high": {name: high},
        "source": source,
        "interfaces": interfaces,
        "area_cm2": area_cm2,
    }
