"""Optuna with a journal: two processes that share a study, as in its tutorial on parallel optimization.

With `--mlflow`, its MLflow callback logs each trial.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import Trial, TrialState

from benchmarks.peers.work import SLOTS, TRIALS, train

STUDY = "peers"
TRACKING_URI = "sqlite:///mlflow.db"


def objective(trial: Trial) -> float:
    """One of the planned trials."""
    number = trial.suggest_int("trial", 0, TRIALS - 1)
    return train(number, lambda step, score: trial.report(score, step))


def optimize(*, with_mlflow: bool) -> None:
    """Run trials until all of the grid have ended, in one process of several."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=STUDY,
        storage=JournalStorage(JournalFileBackend("journal.log")),
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.GridSampler({"trial": list(range(TRIALS))}),
    )
    callbacks: list[Any] = [MaxTrialsCallback(TRIALS, states=(TrialState.COMPLETE,))]
    if with_mlflow:
        from optuna_integration.mlflow import MLflowCallback

        callbacks.append(MLflowCallback(tracking_uri=TRACKING_URI, metric_name="score"))
    study.optimize(objective, callbacks=callbacks)


if __name__ == "__main__":
    if "--worker" in sys.argv:
        optimize(with_mlflow="--mlflow" in sys.argv)
    else:
        if "--mlflow" in sys.argv:  # two processes that create the database at once disturb each other
            import mlflow

            mlflow.set_tracking_uri(TRACKING_URI)
            mlflow.set_experiment(STUDY)
        command = [sys.executable, *sys.orig_argv[1:], "--worker"]
        workers = [subprocess.Popen(command) for _ in range(SLOTS)]  # noqa: S603 - this program
        sys.exit(max(worker.wait() for worker in workers))
