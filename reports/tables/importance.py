"""Importance of the parameters of a search."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from orchestrator.store.attempt_record import State
from orchestrator.store.sweep_results import SweepResults

__all__ = ["importance"]

FEWEST_TRIALS = 4
"""With fewer finished trials no importance is computed."""


def importance(results: SweepResults) -> dict[str, float]:
    """Share of the variation of the first objective that each parameter explains (fANOVA, Hutter et al. 2014).

    Largest first, summing to 1; over the finished trials with finite objectives, and the parameters that are set in all
    of them. Empty with fewer than four such trials, or if all have the same value.
    """
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    by_key = {item["key"]: item for item in results.sweep.search.get("parameters", ())}
    values = objective_values(results)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for row in results.sweep.rows:
        drawn = {key: value for key, value in row.factors.items() if key in by_key}
        if row.label in values and drawn:
            distributions = {key: distribution_of(by_key[key]) for key in drawn}
            params = {key: encoded(value) for key, value in drawn.items()}
            study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=values[row.label]))
    seen = {trial.value for trial in study.trials}
    if len(study.trials) < FEWEST_TRIALS or len(seen) < 2:
        return {}
    return dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)))


def objective_values(results: SweepResults) -> dict[str, float]:
    """By row label, the first objective of the finished trials in which all objectives are finite; larger is better."""
    sweep = results.sweep
    objectives = sweep.search.get("objectives") or [{"name": sweep.metric, "goal": sweep.goal}]
    sign = 1.0 if objectives[0]["goal"] == "maximize" else -1.0
    found = {}
    for run in sweep.cells:
        if results.state_of(run.trial_id) is State.DONE:
            metrics = results.outcomes[run.trial_id].metrics
            values = [metrics.get(objective["name"], math.nan) for objective in objectives]
            if all(map(math.isfinite, values)):
                found[run.row] = sign * values[0]
    return found


def distribution_of(parameter: Mapping[str, Any]) -> Any:
    """The Optuna distribution of a recorded parameter."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    kind, low, high = parameter["kind"], parameter["low"], parameter["high"]
    if kind == "categorical":
        return CategoricalDistribution([encoded(choice) for choice in parameter["choices"]])
    log = kind.endswith("log_uniform")
    if kind.startswith("int"):
        return IntDistribution(low, high, log=log, step=parameter["step"] or 1)
    return FloatDistribution(low, high, log=log, step=parameter["step"])


def encoded(value: Any) -> Any:
    """A scalar as it is, anything else as JSON: Optuna stores scalars only."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)
