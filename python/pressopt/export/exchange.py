"""Trials to and from other optimizers, in the shapes that their public interfaces take and give.

Ax (1.x): what ``Client.configure_experiment``, ``attach_trial`` and ``complete_trial`` take, and the rows that
``Client.summarize`` gives. BayBE (0.14 and later): the parameters of its search space as its JSON has them, and
the table that ``Campaign.add_measurements`` takes. scikit-optimize: :mod:`pressopt.optimizer.skopt_exchange`.
Neither Ax nor BayBE is needed to write or read these; both run in ``tests/export/test_export_optimizers.py``
(extra ``optimizers``).
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
    ``objective`` is what ``configure_optimization`` takes (a minus minimizes), without the goals that no
    instrument measures. Values are (mean, standard error).
    """
    whole = {one.name for one in space.variables if one.kind == "integer"}
    return {
        "parameters": [_ax_parameter(one) for one in space.variables],
        "objective": ", ".join(
            f"{'-' if one.direction == 'minimize' else ''}{one.quantity}" for one in _measured(objectives)
        ),
        "trials": [
            {
                "trial": one.trial,
                # Ax refuses 2.0 where it asked for a whole number.
                "parameters": {k: int(v) if k in whole else v for k, v in one.settings.items()},
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
    """Tell an Ax client, configured with the same parameters, all trials of :func:`to_ax`; return the indices.

    Cells pressed alike are trials of one arm, named after the first of them: Ax allows an arm one name. Failed
    cells are marked as failed with their kinds; Ax may propose such settings again.
    """
    indices: list[int] = []
    arms: dict[tuple[tuple[str, Value], ...], str] = {}
    for trial in plain["trials"]:
        arm = arms.setdefault(tuple(sorted(trial["parameters"].items())), f"cell_{trial['trial']}")
        index = client.attach_trial(trial["parameters"], arm_name=arm)
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

    Trials that are neither completed nor failed (or abandoned) are left out; trial 0 of Ax is cell 1 of ours.
    The kinds of failure are read from the reason. The summary has means only: standard deviations are 0, not
    known.

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
        if wrong or not status.endswith(("COMPLETED", "FAILED", "ABANDONED")):
            continue
        outcomes = {name: Measurement(float(row[name]), 0.0) for name in metrics if _given(row.get(name))}
        failed = not status.endswith("COMPLETED") or not outcomes
        reason = row.get("status_reason")
        kinds = reason.split(", ") if isinstance(reason, str) and reason else ["failed"]
        found.append(
            Observation(
                int(row["trial_index"]) + 1,
                {name: row[name] for name in space.names},
                outcomes={} if failed else outcomes,
                failures=frozenset(kinds) if failed else frozenset(),
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

    ``Parameter.from_json`` and ``Target.from_json`` of BayBE read each of them. ``Campaign.add_measurements``
    takes ``pandas.DataFrame(plain["measurements"])``: one row per valid cell, at what it achieved, which may lie
    a little beyond the limits of the search (hence ``numerical_measurements_must_be_within_tolerance=False``).
    Failed cells have no measurement; they and all else stand under ``trials``.
    """
    goals = _measured(objectives)
    measured = [one.quantity for one in goals]
    rows = []
    for one in history:
        if one.feasible and all(name in one.outcomes for name in measured):
            reached = {**one.settings, **{k: v for k, v in one.achieved.items() if k in one.settings}}
            rows.append({**reached, **{name: one.outcomes[name].value for name in measured}})
    return {
        "parameters": [_baybe_parameter(one) for one in space.variables],
        "targets": [
            {"type": "NumericalTarget", "name": one.quantity, "minimize": one.direction == "minimize"}
            for one in goals
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


def _measured(objectives: Sequence[Objective]) -> list[Objective]:
    return [one for one in objectives if one.source == "measured"]


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
