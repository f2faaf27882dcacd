"""Study: which values to try next and which trials to stop early; the only orchestrator module that imports optuna.

It uses Optuna's ask-and-tell interface and not Ray Tune's OptunaSearch, which forgets the running trials when the
driver dies, as Tune's schedulers forget their rungs. Here the journal keeps both, so the same command continues the
same study, with any executor.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study as OptunaStudy
from optuna.trial import Trial, TrialState

from orchestrator.spec.blocks import Scheduler
from orchestrator.spec.distributions import Distribution, Objective, Search
from orchestrator.store.records import AttemptRecord, State

__all__ = ["Study", "Suggestion"]

optuna.logging.set_verbosity(optuna.logging.WARNING)

Suggestion = tuple[int, Mapping[str, Any]]
"""Number of a trial of the study, from 0, and the values of its parameters by dotted key."""

STARTUP_TRIALS = 10
"""Trials that TPE samples at random before it fits its model."""


class Study:
    """The study of one search, kept in the file `journal`. Raises OSError when the file cannot be written."""

    def __init__(
        self,
        search: Search,
        objectives: Sequence[Objective],
        scheduler: Scheduler | None,
        *,
        journal: Path,
        steps: int,
    ) -> None:
        """`steps` is the length of a complete trial: the resource of the pruners."""
        journal.parent.mkdir(parents=True, exist_ok=True)
        self.search = search
        self.objectives = tuple(objectives)
        self.study: OptunaStudy = optuna.create_study(
            study_name="search",
            storage=JournalStorage(JournalFileBackend(str(journal))),
            directions=[objective.goal for objective in objectives],
            pruner=build_pruner(scheduler, steps),
            load_if_exists=True,
        )
        self.open: dict[int, Trial] = {}

    def unfinished(self) -> list[int]:
        """Numbers of the trials without an outcome: their driver died. They must run, and are not suggested again."""
        return [trial.number for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]

    def suggestions(self) -> list[Suggestion]:
        """All trials so far, in the order of their numbers."""
        by_key = {parameter.key: parameter for parameter in self.search.parameters}
        return [
            (trial.number, {key: decoded(by_key.get(key), value) for key, value in trial.params.items()})
            for trial in self.study.get_trials(deepcopy=False)
        ]

    @property
    def exhausted(self) -> bool:
        """Whether all trials of the search have been suggested."""
        return len(self.study.get_trials(deepcopy=False)) >= self.search.trials

    def ask(self) -> Suggestion:
        """The next trial.

        Its values depend on the search's seed, the trial's number and the outcomes told before, so an interrupted
        search gets the suggestions that it would have got without the interruption.
        """
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = build_sampler(self.search, number)
        trial = self.study.ask()
        values: dict[str, Any] = {}
        for parameter in self.search.active(values):
            values[parameter.key] = suggest(trial, parameter)
        self.open[trial.number] = trial
        return trial.number, values

    def report(self, number: int, step: int, value: float) -> bool:
        """Report an intermediate value; returns whether the trial should be pruned."""
        if number not in self.open:  # an earlier driver asked for it
            frozen = next(trial for trial in self.study.get_trials(deepcopy=False) if trial.number == number)
            self.open[number] = Trial(self.study, frozen._trial_id)
        trial = self.open[number]
        if not math.isfinite(value):
            return False
        trial.report(value, step)
        return trial.should_prune()

    def tell(self, number: int, record: AttemptRecord) -> None:
        """Tell the outcome of a trial, once; a trial that lacks an objective has failed."""
        self.open.pop(number, None)
        values = [record.metrics.get(objective.name, math.nan) for objective in self.objectives]
        if record.state is State.STOPPED:
            self.study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
        elif record.state is State.DONE and all(map(math.isfinite, values)):
            self.study.tell(number, values, skip_if_finished=True)
        else:
            self.fail(number)

    def fail(self, number: int) -> None:
        """Tell that a trial gave no values, or could not be built."""
        self.open.pop(number, None)
        self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


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


def suggest(trial: Trial, parameter: Distribution) -> Any:
    """The suggested value of one parameter."""
    key, step = parameter.key, parameter.step
    if parameter.kind == "categorical":
        return decoded(parameter, trial.suggest_categorical(key, [encoded(choice) for choice in parameter.choices]))
    low, high = cast(float, parameter.low), cast(float, parameter.high)
    log = parameter.kind in ("log_uniform", "int_log_uniform")
    if parameter.kind in ("int_uniform", "int_log_uniform"):
        return trial.suggest_int(key, int(low), int(high), step=int(step or 1), log=log)
    return trial.suggest_float(key, low, high, step=step, log=log)


def encoded(choice: Any) -> bool | int | float | str | None:
    """A choice in a form that Optuna can store: a scalar, or JSON."""
    return choice if choice is None or isinstance(choice, bool | int | float | str) else json.dumps(choice)


def decoded(parameter: Distribution | None, value: Any) -> Any:
    """Inverse of `encoded`; `value` itself where the search has no such parameter any more."""
    choices = parameter.choices if parameter else ()
    return next((choice for choice in choices if encoded(choice) == value), value)
