"""Syne Tune with its local backend: a script for each trial. Run with `--trial N` it is that script."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from syne_tune import Reporter, StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import randint
from syne_tune.optimizer.baselines import RandomSearch

from benchmarks.peers.work import SLOTS, TRIALS, train


def tune() -> None:
    """Run all trials."""
    os.environ["SYNETUNE_FOLDER"] = str(Path("syne-tune").resolve())
    logging.getLogger().setLevel(logging.WARNING)
    scheduler = RandomSearch(
        {"trial": randint(0, TRIALS - 1)},
        metrics=["score"],
        do_minimize=False,
        points_to_evaluate=[{"trial": number} for number in range(TRIALS)],
    )
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).resolve())),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_started=TRIALS),
        wait_trial_completion_when_stopping=True,
        n_workers=SLOTS,
        print_update_interval=1e9,
    )
    tuner.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trial", type=int)
    given, _ = parser.parse_known_args()
    if given.trial is None:
        tune()
    else:
        reporter = Reporter()
        train(given.trial, lambda step, score: reporter(step=step, score=score))
