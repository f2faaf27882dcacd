"""Study: what to try next, and what is not worth going on with; the only file that imports optuna.

Optuna is asked and told directly, not through Ray Tune's OptunaSearch: that one forgets which of its trials were
running when the driver died, and Tune's schedulers forget their rungs. Here both stand in the journal, so the same
command goes on with the same study, also with the serial executor.
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

__all__ = ["Draw", "Study"]

optuna.logging.set_verbosity(optuna.logging.WARNING)

Draw = tuple[int, Mapping[str, Any]]
"""Number of a trial of the study, from 0, and the values of its parameters by dotted key."""

STARTUP_TRIALS = 10
"""TPE draws so many at random before it has something to learn from."""


class Study:
    """One search, kept in the file `journal`. Raises OSError when it cannot be written."""

    def __init__(
        self,
        search: Search,
        objectives: Sequence[Objective],
        scheduler: Scheduler | None,
        *,
        journal: Path,
        steps: int,
    ) -> None:
        """`steps` is the length of a whole trial, for schedulers that share out steps."""
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
        """Trials that were drawn and never told of: their driver died. They are to be run, not drawn anew."""
        return [trial.number for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]

    def drawn(self) -> list[Draw]:
        """All trials so far, in the order of their numbers."""
        return [(trial.number, self.values(trial.params)) for trial in self.study.get_trials(deepcopy=False)]

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What the journal holds, as values of our knobs."""
        by_key = {parameter.key: parameter for parameter in self.search.parameters}
        return {key: decoded(by_key[key], value) if key in by_key else value for key, value in params.items()}

    @property
    def exhausted(self) -> bool:
        """Whether all trials the search is for are drawn."""
        return len(self.study.get_trials(deepcopy=False)) >= self.search.trials

    def draw(self) -> Draw:
        """The next trial.

        What is drawn depends on the search's seed, the trial's number and the trials told of before, so that a
        search that was interrupted draws what it would have drawn.
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
        """Note a value on the way; returns whether the trial is not worth going on with."""
        trial = self.open.get(number) or self.reopen(number)
        if not math.isfinite(value):
            return False
        trial.report(value, step)
        return trial.should_prune()

    def reopen(self, number: int) -> Trial:
        """A trial that an earlier driver drew."""
        frozen = next(trial for trial in self.study.get_trials(deepcopy=False) if trial.number == number)
        self.open[number] = Trial(self.study, frozen._trial_id)
        return self.open[number]

    def tell(self, number: int, record: AttemptRecord) -> None:
        """A trial is over. One that is told of already, or lacks an objective, changes nothing or counts as failed."""
        self.open.pop(number, None)
        values = [record.metrics.get(objective.name, math.nan) for objective in self.objectives]
        if record.state is State.STOPPED:
            self.study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
        elif record.state is State.DONE and all(map(math.isfinite, values)):
            self.study.tell(number, values, skip_if_finished=True)
        else:
            self.fail(number)

    def fail(self, number: int) -> None:
        """A trial that gave no values, or could not even be built."""
        self.open.pop(number, None)
        self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def build_sampler(search: Search, number: int) -> BaseSampler:
    """The sampler for one draw."""
    seed = (search.seed * 1_000_003 + number) % 2**32
    if search.sampler == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # constant_liar: for trials that run side by side
        return TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=True)


def build_pruner(scheduler: Scheduler | None, steps: int) -> BasePruner:
    """Optuna's name for a scheduler; `steps` of a whole trial are its resource."""
    if scheduler is None:
        return NopPruner()
    grace = max(1, math.ceil(scheduler.grace_fraction * steps))
    if scheduler.kind == "median":
        return MedianPruner(n_startup_trials=scheduler.startup_trials, n_warmup_steps=grace)
    if scheduler.kind == "hyperband":
        return HyperbandPruner(min_resource=grace, max_resource=steps, reduction_factor=scheduler.reduction_factor)
    return SuccessiveHalvingPruner(min_resource=grace, reduction_factor=scheduler.reduction_factor)


def suggest(trial: Trial, parameter: Distribution) -> Any:
    """Draw one parameter; returns its value."""
    key, step = parameter.key, parameter.step
    if parameter.kind == "categorical":
        return decoded(parameter, trial.suggest_categorical(key, [encoded(choice) for choice in parameter.choices]))
    low, high = cast(float, parameter.low), cast(float, parameter.high)
    log = parameter.kind in ("log_uniform", "int_log_uniform")
    if parameter.kind in ("int_uniform", "int_log_uniform"):
        return trial.suggest_int(key, int(low), int(high), step=int(step or 1), log=log)
    return trial.suggest_float(key, low, high, step=step, log=log)


def encoded(choice: Any) -> bool | int | float | str | None:
    """A choice as Optuna can keep it: a scalar, or JSON."""
    return choice if choice is None or isinstance(choice, bool | int | float | str) else json.dumps(choice)


def decoded(parameter: Distribution, value: Any) -> Any:
    """Inverse of `encoded`."""
    return next((choice for choice in parameter.choices if encoded(choice) == value), value)
