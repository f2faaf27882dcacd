"""Executors: Ray Tune for real sweeps, and an in-process one for debugging. May import the rest of running/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from orchestrator.running.executors.base import Executor
from orchestrator.spec.blocks import Resources

__all__ = ["open_executor", "resources_on"]


@contextmanager
def open_executor(
    name: str,
    resources: Resources,
    *,
    address: str | None = None,
    max_concurrent: int | None = None,
    environment: Mapping[str, str] | None = None,
    debug: bool = False,
) -> Iterator[Executor]:
    """The executor `ray` or `serial`; a Ray cluster that is started here ends with the body.

    `environment`: variables that workers of a cluster get from this process. `debug` opens the debugger where a trial
    raises, with `serial` only. Raises SweepError when the cluster at `address` cannot be joined.
    """
    if name == "serial":
        from orchestrator.running.executors.serial import Serial
        from orchestrator.running.worker import run_trial

        yield Serial(partial(run_trial, inspect=True) if debug else run_trial, gpus=visible_gpus())
        return
    from orchestrator.running.executors.ray_tune import RayTune

    executor = RayTune(
        address=address, max_concurrent=max_concurrent, processes=resources.processes, environment=environment
    )
    try:
        yield executor
    finally:
        executor.shutdown()


def resources_on(name: str, resources: Resources) -> Resources:
    """What a trial takes on the executor `name`: in this process `auto` is a whole GPU where there is one."""
    if name == "serial" and resources.gpus == "auto":
        return replace(resources, gpus=min(visible_gpus(), 1.0))
    return resources


def visible_gpus() -> float:
    """GPUs that this process sees."""
    import torch

    return float(torch.cuda.device_count())
