"""Ray Tune by itself; restored if an earlier run was interrupted.

By default it reuses its processes and logs nothing. With `--mlflow` it is used as it comes, with a fresh process for
each trial and with the callback that logs to MLflow.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ray
from ray import tune

from benchmarks.peers.work import SLOTS, TRIALS, train


def trainable(config: dict[str, Any]) -> None:
    """One trial."""
    train(config["trial"], lambda _step, score: tune.report({"score": score}))


def tuner(storage: Path, *, with_mlflow: bool) -> tune.Tuner:
    """A new tuner, or the interrupted one."""
    folder = storage / "peers"
    if tune.Tuner.can_restore(str(folder)):
        return tune.Tuner.restore(str(folder), trainable, resume_unfinished=True, restart_errored=True)
    callbacks = []
    if with_mlflow:
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        callbacks = [MLflowLoggerCallback(tracking_uri="sqlite:///mlflow.db", experiment_name="peers")]
    return tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search(list(range(TRIALS)))},
        tune_config=tune.TuneConfig(reuse_actors=not with_mlflow, metric="score", mode="max"),
        run_config=tune.RunConfig(name="peers", storage_path=str(storage), verbose=0, callbacks=callbacks),
    )


if __name__ == "__main__":
    ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    print(tuner(Path("tune").resolve(), with_mlflow="--mlflow" in sys.argv).fit().get_best_result().metrics["score"])
