"""What a private Ray cluster does not start: it has one node and nobody looks at it from outside.

An autoscaler, a log monitor (workers' output is not shown) and the server of the dashboard cost a second each, and
workers that are started before they are wanted are in the way of those that are. Ray has no public option against any
of it. A Ray without these names starts what it always does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from orchestrator.running.executors.ray_isolation import environment, private, replaced

__all__ = ["NOT_STARTED", "without_daemons"]

NOT_STARTED = ("start_monitor", "start_log_monitor", "start_api_server")
"""Methods of Ray's `Node`; each starts one process."""

NO_PRESTART = {"RAY_enable_worker_prestart": "0", "RAY_prestart_worker_first_driver": "0"}
"""For the raylet."""


@contextmanager
def without_daemons() -> Iterator[None]:
    """While a cluster starts."""
    node = getattr(private("ray._private.node"), "Node", None)
    with ExitStack() as stack:
        stack.enter_context(environment(NO_PRESTART))
        for name in NOT_STARTED:
            if hasattr(node, name):
                stack.enter_context(replaced(node, name, start_nothing))
        yield


def start_nothing(_node: Any, *_arguments: Any, **_options: Any) -> None:
    """In place of one of NOT_STARTED."""
