"""The key `workload` of a search space: whose keys its settings are."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.spec.yaml_document import Document
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import WorkloadError, built_in, find, load

__all__ = ["workload_in"]


def workload_in(document: Document) -> LoadedWorkload:
    """The workload that a search space names, relative to the file that says so. Raises SpecError."""
    name = document.values.get("workload")
    if name is None:
        return built_in()
    origin = document.origin("workload")
    where = f"{origin}: workload"
    if not isinstance(name, str) or not name:
        raise SpecError(f"{where}: must name a .py file or an installed module; write for example my_trainer.py")
    try:
        return load(find(name, Path(origin.rpartition(":")[0]).parent))
    except WorkloadError as error:
        raise SpecError(f"{where}: {error}") from error
