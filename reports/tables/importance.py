"""What a search tells: which parameters mattered, and which trials nothing beats in every respect."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from orchestrator.store.records import AttemptRecord, State, SweepRecord

__all__ = ["importance", "objective_values", "pareto_front"]

FEWEST_TRIALS = 4
"""Below that, no importance is worth its name."""


def objective_values(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> dict[str, tuple[float, ...]]:
    """Row label -> value of each objective, for finished trials in which all are finite; larger is better.

    Values to be minimised are negated. Stopped trials are left out: their last value is no result.
    """
    objectives = sweep.search.get("objectives") or [{"name": sweep.metric, "goal": sweep.goal}]
    signs = [1.0 if objective["goal"] == "maximize" else -1.0 for objective in objectives]
    found = {}
    for cell in sweep.cells:
        record = outcomes.get(cell.trial_id)
        if record is None or record.state is not State.DONE:
            continue
        values = [record.metrics.get(objective["name"], math.nan) for objective in objectives]
        if all(map(math.isfinite, values)):
            found[cell.row] = tuple(sign * value for sign, value in zip(signs, values, strict=True))
    return found


def pareto_front(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> tuple[str, ...]:
    """Labels of the rows that no other row equals or beats in all objectives and beats in one, in the sweep's order."""
    values = objective_values(sweep, outcomes)
    return tuple(
        label
        for label, mine in values.items()
        if not any(
            other != mine and all(theirs >= ours for theirs, ours in zip(other, mine, strict=True))
            for other in values.values()
        )
    )


def importance(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> dict[str, float]:
    """Share of the variation of the first objective that each parameter explains (fANOVA, Hutter et al. 2014).

    Largest first, the sum is 1; over the finished trials, and the parameters that count in all of them. Empty below
    four trials, or where all came out alike.
    """
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    by_key = {item["key"]: item for item in sweep.search.get("parameters", ())}
    values = objective_values(sweep, outcomes)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for row in sweep.rows:
        drawn = {key: value for key, value in row.factors.items() if key in by_key}
        if row.label in values and drawn:
            distributions = {key: distribution_of(by_key[key]) for key in drawn}
            params = {key: encoded(value) for key, value in drawn.items()}
            value = values[row.label][0]
            study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=value))
    seen = {trial.value for trial in study.trials}
    if len(study.trials) < FEWEST_TRIALS or len(seen) < 2:
        return {}
    return dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)))


def distribution_of(parameter: Mapping[str, Any]) -> Any:
    """Optuna's form of a recorded distribution."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    kind, low, high = parameter["kind"], parameter["low"], parameter["high"]
    if kind == "categorical":
        return CategoricalDistribution([encoded(choice) for choice in parameter["choices"]])
    log = kind.endswith("log_uniform")
    if kind.startswith("int"):
        return IntDistribution(low, high, log=log, step=parameter["step"] or 1)
    return FloatDistribution(low, high, log=log, step=parameter["step"])


def encoded(value: Any) -> Any:
    """A scalar as it is, anything else as JSON: what Optuna can keep."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)
