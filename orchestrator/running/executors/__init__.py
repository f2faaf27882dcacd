"""Executors: Ray Tune for real sweeps, and an in-process one for debugging. May import the rest of running/."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import SweepError

if TYPE_CHECKING:  # every worker imports this package
    from orchestrator.running.executors.base import Executor
    from orchestrator.running.executors.child import ClusterExecutor
    from orchestrator.spec.blocks import Resources

__all__ = ["address_of_this_process", "on_ray", "open_executor", "resources_on"]

THREADS = "OMP_NUM_THREADS"

DEVICE_FILES = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))
"""What a driver of GPUs provides: NVIDIA's, that of Windows for Linux, and AMD's."""


@contextmanager
def open_executor(
    name: str,
    resources: Resources,
    *,
    address: str | None = None,
    max_concurrent: int | None = None,
    environment: Mapping[str, str] | None = None,
    modules: Sequence[str] = (),
    debug: bool = False,
    preparing: Callable[[str], None] = lambda _: None,
) -> Iterator[Executor]:
    """The executor `ray` or `serial`; a Ray cluster that is started here ends with the body.

    `environment`: variables that workers of a cluster get from this process. `modules`: what the fork server of a node
    imports. `debug` opens the debugger where a trial raises, with `serial` only. `preparing` is told what is being
    started, and gets an empty text once nothing is. Raises SweepError when the cluster at `address` cannot be joined.
    """
    if name == "serial":
        from orchestrator.running.executors.serial import Serial
        from orchestrator.running.worker import run_trial

        yield Serial(partial(run_trial, inspect=True) if debug else run_trial, gpus=visible_gpus())
        return
    from orchestrator.running.executors.preparation import Preparation, imports_of
    from orchestrator.running.executors.session_folder import remove_stale_sessions
    from orchestrator.running.executors.supervisor import Supervisor, SupervisorTimings

    address = address or address_of_this_process()
    make = partial(
        on_ray, address=address, max_concurrent=max_concurrent, environment=environment, modules=tuple(modules)
    )
    with ExitStack() as stack:
        stack.callback(remove_stale_sessions)
        if address is None:
            server = stack.enter_context(fork_server(modules, resources.cpus))
            make = partial(make, server=server)
            preparation = Preparation(preparing, "starting Ray", partial(imports_of, server, modules))
            executor = Supervisor(pickle.dumps(make), private=True, preparation=preparation)
        else:
            executor = Supervisor(
                pickle.dumps(make),
                SupervisorTimings(restarting_seconds=45.0),
                most_restarts=1,
                preparation=Preparation(preparing, f"joining the Ray cluster at {address}"),
            )
        stack.callback(executor.shutdown)
        yield executor


@contextmanager
def fork_server(modules: Sequence[str], cpus: float) -> Iterator[str]:
    """The fork server of a private cluster, whose trials hold `cpus`; yields the path of its socket.

    It has started when Ray has. Numerical libraries decide how many threads they use when they are imported: as many
    as Ray lets a worker use. Raises SweepError.
    """
    from orchestrator.running.executors.session_folder import session_parent
    from orchestrator.running.fork_server.starting import server_of_this_process

    threads = os.environ.get(THREADS, str(max(int(cpus), 1)))
    with ExitStack() as stack:
        try:
            path = stack.enter_context(server_of_this_process(session_parent(), modules, {THREADS: threads}))
        except OSError as error:
            from orchestrator.store.disk_errors import describe_disk_error

            reason = describe_disk_error(error)
            raise SweepError(
                f"cannot start the fork server ({reason}); `python -m orchestrator doctor` looks for the cause"
            ) from error
        yield path


def on_ray(**options: Any) -> ClusterExecutor:
    """The executor on Ray, with the options of `RayTune`. For the child process: the driver does not import Ray."""
    from orchestrator.running.executors.ray_tune import RayTune

    return RayTune(**options)


def address_of_this_process() -> str | None:
    """Address of the Ray cluster that a script or a notebook has connected this process to; None when there is none."""
    ray: Any = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    return str(ray.get_runtime_context().gcs_address)


def resources_on(name: str, resources: Resources) -> Resources:
    """What a trial takes on the executor `name`: in this process `auto` is a whole GPU where there is one."""
    if name == "serial" and resources.gpus == "auto":
        return replace(resources, gpus=min(visible_gpus(), 1.0))
    return resources


def visible_gpus() -> float:
    """GPUs that this process sees. Imports torch only where there may be one: not every workload needs it."""
    if "torch" not in sys.modules and not any(path.exists() for path in DEVICE_FILES):
        return 0.0
    import torch

    return float(torch.cuda.device_count())
