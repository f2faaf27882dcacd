"""RayCluster: a local Ray cluster that is started and stopped here, or one that is joined."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from orchestrator.errors import SweepError
from orchestrator.interrupts import keeping_handlers, sparing_children
from orchestrator.running.executors.runtime_env import runtime_env_of

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune prints no tables of its own
    "RAY_DEDUP_LOGS": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # CPU trials keep CUDA_VISIBLE_DEVICES as it is
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no five files per trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own snapshots are never read
    "TUNE_MAX_PENDING_TRIALS_PG": "16",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "300",
}
for name, value in QUIET.items():
    os.environ.setdefault(name, value)

import ray  # noqa: E402 - reads its environment while it is imported
from ray.job_config import JobConfig  # noqa: E402

__all__ = ["RayCluster"]

DAEMONS = ("gcs_server", "raylet")
"""Ray's names of the processes without which a cluster does not work."""


class RayCluster:
    """The cluster that this process is connected to: that at `address`, or a local one that is started.

    A process that is connected to a cluster stays connected to it. Raises SweepError when the cluster cannot be
    started or reached.
    """

    def __init__(self, address: str | None) -> None:
        self.connected_here = not ray.is_initialized()
        if self.connected_here:
            connect(address)

    def dead_daemons(self) -> list[str]:
        """Which of DAEMONS have died, of a cluster that was started here.

        Ray itself does not report it, and kills the driver after some seconds.
        """
        node: Any = ray._private.worker._global_node if self.connected_here else None
        dead = node.dead_processes() if node is not None else []
        return [name for name, _ in dead if name in DAEMONS]

    def stop(self) -> None:
        """Disconnect, if this object has connected; a local cluster ends."""
        if self.connected_here:
            ray.shutdown()


def connect(address: str | None) -> None:
    """Start a local cluster, or join the one at `address` and send it this source code. Raises SweepError."""
    if address is not None and "://" in address:
        raise SweepError(
            f"--address {address}: a sweep cannot run through Ray Client; start it on a node of the cluster with "
            "--address auto"
        )
    try:
        # Ray sets handlers of SIGTERM that exit at once; ours lets trials stop first
        with (
            keeping_handlers(),
            sparing_children(),
            tempfile.TemporaryDirectory(prefix="contrast_sweep_empty_") as empty,
        ):
            job = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "")  # Ray sets it for the driver of a Ray job
            runtime_env = runtime_env_of(Path(empty), job=job) if address is not None else None
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
                runtime_env=runtime_env,
                job_config=None if address else job_of_this_path(),  # type: ignore[arg-type] # None is its default
            )
    except Exception as error:  # a raylet that dies during its start raises a bare Exception
        cause = " ".join(str(error).split())
        if address is None:
            raise SweepError(f"cannot start a local Ray cluster ({cause})") from error
        raise SweepError(
            f"--address {address}: cannot connect ({cause}); check that `ray status` finds the cluster and that this "
            "shell has its token: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (deploy/README.md)"
        ) from error


def job_of_this_path() -> JobConfig | None:
    """Lets the workers of a local cluster look for modules where this process does; None: Ray's default.

    By default Ray puts the current folder first, where a user's `trainer.py` or `yaml.py` may lie. It does not for the
    jobs of its client, whose server has another current folder.
    """
    if not {"", str(Path.cwd())}.isdisjoint(sys.path):
        return None
    return JobConfig(_client_job=True)
