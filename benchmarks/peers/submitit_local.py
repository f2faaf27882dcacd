"""submitit on this machine: a process for each trial, as many at once as there are slots."""

from __future__ import annotations

import time
from typing import Any

import submitit

from benchmarks.peers.work import SLOTS, TRIALS, train, unread


def score_of(trial: int) -> float:
    """One trial."""
    return train(trial, unread)


if __name__ == "__main__":
    executor = submitit.AutoExecutor(folder="jobs", cluster="local")
    executor.update_parameters(timeout_min=10)
    waiting, running, scores = list(range(TRIALS)), list[Any](), list[float]()
    while waiting or running:
        while waiting and len(running) < SLOTS:
            running.append(executor.submit(score_of, waiting.pop(0)))
        time.sleep(0.02)
        scores += [job.result() for job in running if job.done()]
        running = [job for job in running if not job.done()]
    print(max(scores))
