"""RayCluster: a Ray cluster of our own, which is started and stopped here, or one that is joined."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from orchestrator.errors import SweepError
from orchestrator.interrupts import keeping_handlers, sparing_children
from orchestrator.machine.own_folder import temporary_folder
from orchestrator.redaction import one_line
from orchestrator.running.executors.runtime_env import runtime_env_of
from orchestrator.running.executors.session_folder import session_folder

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

from orchestrator.running.executors.ray_daemons import without_daemons  # noqa: E402
from orchestrator.running.executors.ray_isolation import forward_no_secrets, isolated, starting  # noqa: E402

__all__ = ["RayCluster"]

DAEMONS = ("gcs_server", "raylet")
"""Ray's names of the processes without which a cluster does not work."""


class RayCluster:
    """The cluster that this process is connected to: that at `address`, or a private one that is started.

    Only this user can reach a private cluster (`ray_isolation`), and nothing is left of it. A process that is connected
    to a cluster stays connected to it. Raises SweepError when the cluster cannot be started or reached.
    """

    def __init__(self, address: str | None) -> None:
        self.umask: int | None = None
        """That of this process, which is not that of a private cluster's workers; None: workers keep theirs."""
        self.leaving = ExitStack()
        """What is undone at the end, the last first."""
        self.connected_here = not ray.is_initialized()
        if self.connected_here:
            with ExitStack() as undone:
                if address is None:
                    self.umask = start(undone)
                else:
                    join(address, undone)
                self.leaving = undone.pop_all()

    def dead_daemons(self) -> list[str]:
        """Which of DAEMONS have died, of a cluster that was started here.

        Ray itself does not report it, and kills the driver after some seconds.
        """
        node: Any = ray._private.worker._global_node if self.connected_here else None
        dead = node.dead_processes() if node is not None else []
        return [name for name, _ in dead if name in DAEMONS]

    def stop(self) -> None:
        """Disconnect, if this object has connected; a private cluster ends."""
        self.leaving.close()


def start(undone: ExitStack) -> int:
    """Start a private cluster; returns the umask of this process. Raises SweepError."""
    try:
        folder = undone.enter_context(session_folder())
        undone.enter_context(isolated(folder))
        undone.callback(ray.shutdown)
        with starting() as umask, without_daemons():
            connect(
                address="local", include_dashboard=False, job_config=job_of_this_path(), _temp_dir=str(folder / "ray")
            )
    except SweepError:
        raise
    except Exception as error:  # a raylet that dies during its start raises a bare Exception
        raise SweepError(f"cannot start a local Ray cluster ({one_line(error)})") from error
    return umask


def join(address: str, undone: ExitStack) -> None:
    """Connect to the cluster at `address` and send it this source code. Raises SweepError."""
    if "://" in address:
        raise SweepError(
            f"--address {address}: a sweep cannot run through Ray Client; start it on a node of the cluster with "
            "--address auto"
        )
    try:
        with temporary_folder("empty") as empty:
            job = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "")  # Ray sets it for the driver of a Ray job
            undone.callback(ray.shutdown)
            connect(address=address, runtime_env=runtime_env_of(empty, job=job))
    except Exception as error:
        raise SweepError(
            f"--address {address}: cannot connect ({one_line(error)}); check that `ray status` finds the cluster and "
            "that this shell has its token: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH "
            "(deploy/README.md)"
        ) from error


def connect(**options: Any) -> None:
    """Call `ray.init`. Ray sets handlers of SIGTERM that exit at once; ours lets trials stop first."""
    forward_no_secrets()
    with keeping_handlers(), sparing_children():
        ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **options)


def job_of_this_path() -> JobConfig | None:
    """Lets the workers of a local cluster look for modules where this process does; None: Ray's default.

    By default Ray puts the current folder first, where a user's `trainer.py` or `yaml.py` may lie. It does not for the
    jobs of its client, whose server has another current folder.
    """
    if not {"", str(Path.cwd())}.isdisjoint(sys.path):
        return None
    return JobConfig.from_json({"client_job": True})  # a Ray that does not know this name leaves its default
