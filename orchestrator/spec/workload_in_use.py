"""The workload whose keys are read: a context variable, because validators of single values have no argument for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import built_in

__all__ = ["reading_for", "workload_in_use"]

IN_USE: ContextVar[LoadedWorkload | None] = ContextVar("workload", default=None)


def workload_in_use() -> LoadedWorkload:
    """The workload for which files are read; the built-in one where nothing else is said."""
    return IN_USE.get() or built_in()


@contextmanager
def reading_for(workload: LoadedWorkload) -> Iterator[None]:
    """Read and plan for `workload` in the body."""
    token = IN_USE.set(workload)
    try:
        yield
    finally:
        IN_USE.reset(token)
