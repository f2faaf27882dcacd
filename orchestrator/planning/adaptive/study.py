"""Study: which values to try next and which trials to stop early; the only orchestrator module that imports optuna.

It uses Optuna's ask-and-tell interface and not Ray Tune's OptunaSearch, which forgets the running trials when the
driver dies, as Tune's schedulers forget their rungs. The study is in memory: `SearchPlan` fills it from the plan and
the records of the run directory, so the same command continues the same study, with any executor.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from orchestrator.planning.adaptive.recorded_study import Suggestion
from orchestrator.spec.blocks import Scheduler
from orchestrator.spec.distributions import Distribution, Objective, Search
from orchestrator.store.attempt_record import AttemptRecord, Point, State

__all__ = ["Study"]

optuna.logging.set_verbosity(optuna.logging.WARNING)

STARTUP_TRIALS = 10
"""Trials that TPE samples at random before it fits its model."""


class Study:
    """The study of one search. Trials have the numbers of their suggestions, which Optuna's differ from."""

    def __init__(
        self, search: Search, objectives: Sequence[Objective], scheduler: Scheduler | None, *, steps: int
    ) -> None:
        """`steps` is the length of a complete trial: the resource of the pruners."""
        self.search = search
        self.objectives = tuple(objectives)
        self.scheduler = scheduler
        self.distributions = {parameter.key: optuna_distribution(parameter) for parameter in search.parameters}
        self.study: OptunaStudy = optuna.create_study(
            study_name="search",
            directions=[objective.goal for objective in objectives],
            pruner=build_pruner(scheduler, steps),
        )
        self.trials: dict[int, Trial] = {}
        """By number, without those whose values the trainer refused before this command."""
        self.drawn = 0
        """Number of draws, which is the number of the next trial."""

    @property
    def exhausted(self) -> bool:
        """Whether all trials of the search have been drawn."""
        return self.drawn >= self.search.trials

    def add_prior(self, values: Mapping[str, Any], record: AttemptRecord, points: Iterable[Point] = ()) -> bool:
        """Let the sampler learn from a finished trial of another study; returns whether it fits this one.

        It fits if its values could be drawn and it has all objectives.
        """
        results = self.results(record)
        if results is None or not self.fits(values):
            return False
        curve = {point.step: point.metrics[self.watched] for point in points if self.watched in point.metrics}
        trial = self.frozen(values, TrialState.COMPLETE, results, curve)
        self.study.add_trial(trial)
        return True

    def restore(self, number: int, values: Mapping[str, Any]) -> None:
        """Add a trial that an earlier command drew, as a running one; its values must fit."""
        self.study.add_trial(self.frozen(values, TrialState.RUNNING))
        self.trials[number] = Trial(self.study, self.study.get_trials(deepcopy=False)[-1]._trial_id)
        self.drawn = max(self.drawn, number + 1)

    def ask(self) -> Suggestion:
        """The next trial.

        Its values depend on the search's seed, the trial's number and the outcomes told before, so an interrupted
        search gets the suggestions that it would have got without the interruption.
        """
        number = self.drawn
        self.study.sampler = build_sampler(self.search, number)
        trial = self.study.ask()
        values: dict[str, Any] = {}
        for parameter in self.search.active(values):
            values[parameter.key] = decoded(parameter, suggest(trial, parameter.key, self.distributions[parameter.key]))
        self.trials[number] = trial
        self.drawn += 1
        return number, values

    def report(self, number: int, point: Point) -> bool:
        """Report a point of a running trial; returns whether the trial should be pruned."""
        value = point.metrics.get(self.watched, math.nan)
        if self.scheduler is None or not math.isfinite(value):
            return False
        trial = self.trials[number]
        if point.step not in self.study.get_trials(deepcopy=False)[trial.number].intermediate_values:
            trial.report(value, point.step)
        return trial.should_prune()

    @property
    def watched(self) -> str:
        """The metric by which trials are stopped: `final/miou` is reported as `val/miou` before the end of training."""
        return self.objectives[0].name.replace("final/", "val/", 1)

    def tell(self, number: int, record: AttemptRecord) -> None:
        """Tell the outcome of a trial, once; a trial that lacks an objective has failed."""
        results = self.results(record)
        if record.state is State.STOPPED:
            self.study.tell(self.trials[number].number, state=TrialState.PRUNED, skip_if_finished=True)
        elif results is not None:
            self.study.tell(self.trials[number].number, results, skip_if_finished=True)
        else:
            self.fail(number)

    def fail(self, number: int) -> None:
        """Tell that a trial gave no values, or could not be built."""
        self.study.tell(self.trials[number].number, state=TrialState.FAIL, skip_if_finished=True)

    def results(self, record: AttemptRecord) -> list[float] | None:
        """The objectives of a finished trial; None if it is not finished or lacks one."""
        values = [record.metrics.get(objective.name, math.nan) for objective in self.objectives]
        return values if record.state is State.DONE and all(map(math.isfinite, values)) else None

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Whether the study could have drawn `values`; those of inactive parameters are ignored."""
        try:
            self.frozen(values, TrialState.RUNNING)
        except (KeyError, ValueError):
            return False
        return True

    def frozen(
        self,
        values: Mapping[str, Any],
        state: TrialState,
        results: Sequence[float] | None = None,
        curve: Mapping[int, float] | None = None,
    ) -> FrozenTrial:
        """A trial with `values`. Raises KeyError or ValueError if they do not fit."""
        params = {key: encoded(value) for key, value in self.search.active_values(values).items()}
        distributions = {key: self.distributions[key] for key in params}
        return create_trial(
            state=state,
            values=results,
            params=params,
            distributions=distributions,
            intermediate_values=dict(curve or {}),
        )


def build_sampler(search: Search, number: int) -> BaseSampler:
    """The sampler for trial `number`."""
    seed = (search.seed * 1_000_003 + number) % 2**32
    if search.sampler == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # constant_liar: for trials that run in parallel
        return TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=True)


def build_pruner(scheduler: Scheduler | None, steps: int) -> BasePruner:
    """Optuna's pruner for a scheduler; the `steps` of a complete trial are its resource."""
    if scheduler is None:
        return NopPruner()
    grace = max(1, math.ceil(scheduler.grace_fraction * steps))
    if scheduler.kind == "median":
        return MedianPruner(n_startup_trials=scheduler.startup_trials, n_warmup_steps=grace)
    if scheduler.kind == "hyperband":
        return HyperbandPruner(min_resource=grace, max_resource=steps, reduction_factor=scheduler.reduction_factor)
    return SuccessiveHalvingPruner(min_resource=grace, reduction_factor=scheduler.reduction_factor)


def optuna_distribution(parameter: Distribution) -> BaseDistribution:
    """Optuna's distribution of one parameter."""
    if parameter.kind == "categorical":
        return CategoricalDistribution([encoded(choice) for choice in parameter.choices])
    low, high, step = cast(float, parameter.low), cast(float, parameter.high), parameter.step
    log = parameter.kind in ("log_uniform", "int_log_uniform")
    if parameter.kind in ("int_uniform", "int_log_uniform"):
        return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return FloatDistribution(low, high, log=log, step=step)


def suggest(trial: Trial, key: str, distribution: BaseDistribution) -> Any:
    """The value that the sampler suggests for one parameter."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(key, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(key, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
    found = cast(FloatDistribution, distribution)
    return trial.suggest_float(key, found.low, found.high, step=found.step, log=found.log)


def encoded(choice: Any) -> bool | int | float | str | None:
    """A choice in a form that Optuna can store: a scalar, or JSON."""
    return choice if choice is None or isinstance(choice, bool | int | float | str) else json.dumps(choice)


def decoded(parameter: Distribution, value: Any) -> Any:
    """Inverse of `encoded`."""
    return next((choice for choice in parameter.choices if encoded(choice) == value), value)
