"""CHECKS: what `doctor` looks at, in the order in which it is shown, and which of it a sweep looks at."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.doctor import cluster, experiment, folders, interpreter, machine
from orchestrator.doctor.finding import Check, Question

__all__ = ["CHECKS", "OF_A_PRIVATE_CLUSTER", "OF_A_SWEEP", "checks_for"]

CHECKS: Mapping[str, Check] = {
    "packages": interpreter.check_packages,
    "PYTHONPATH": interpreter.check_python_path,
    "current folder": interpreter.check_current_folder,
    "encoding": interpreter.check_encoding,
    "processors": machine.check_processors,
    "memory": machine.check_memory,
    "shared memory": machine.check_shared_memory,
    "limits": machine.check_limits,
    "GPUs": machine.check_gpus,
    "temporary folder": folders.check_temporary_folder,
    "run directory": folders.check_run_directory,
    "file locks": folders.check_locks,
    "hard links": folders.check_links,
    "clock": folders.check_clock,
    "free space": folders.check_free_space,
    "Ray": cluster.check_ray,
    "Ray's token": cluster.check_ray_token,
    "Ray cluster": cluster.check_ray_address,
    "write-ahead log": folders.check_write_ahead_log,
    "MLflow": experiment.check_mlflow,
    "recipes": experiment.check_recipes,
    "search space": experiment.check_search_space,
}
"""Those of every sweep; `checks_for` adds those of a workload."""

OF_A_SWEEP = ("memory", "run directory", "free space")
"""Checks that each sweep makes before it starts anything: they take milliseconds and import nothing heavy."""
OF_A_PRIVATE_CLUSTER = ("shared memory", "limits", "temporary folder", "Ray")
"""What it checks besides if it starts a Ray cluster of its own."""


def checks_for(question: Question) -> Mapping[str, Check]:
    """All checks, then those of the workload."""
    own = question.workload.extras.checks
    return {**CHECKS, **{name: experiment.check_of_workload(check) for name, check in own.items()}}
