"""The key `workload` of a search space: whose keys its settings are."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.spec.extends import SEARCH_SPACE, read_extended
from orchestrator.spec.shipped import find_search_space
from orchestrator.spec.yaml_document import Block, Document
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import WorkloadError, WorkloadSource, built_in, find, load
from orchestrator.workload.script.declaration import Declaration, DeclarationError
from orchestrator.workload.script.workload import module_text

__all__ = ["workload_in", "workload_of_file"]


def workload_in(document: Document) -> LoadedWorkload:
    """The workload that a search space names, relative to the file that says so. Raises SpecError."""
    name = document.values.get("workload")
    if name is None:
        return built_in()
    origin = document.origin("workload")
    if isinstance(name, Block):
        return script_in(document, name)
    where = f"{origin}: workload"
    if not isinstance(name, str) or not name:
        text = "must name a .py file or an installed module, or be a block with the command of a script"
        raise SpecError(f"{where}: {text}; write for example my_trainer.py")
    try:
        return load(find(name, Path(origin.rpartition(":")[0]).parent))
    except WorkloadError as error:
        raise SpecError(f"{where}: {error}") from error


def workload_of_file(path: Path) -> LoadedWorkload:
    """The workload of the search space at `path`, or of the one of the project with this name. Raises SpecError."""
    return workload_in(read_extended(find_search_space(path), SEARCH_SPACE))


def script_in(document: Document, block: Block) -> LoadedWorkload:
    """The workload that runs the script of a block, relative to the file with its command. Raises SpecError."""
    path = Path(document.origin("workload", "command").rpartition(":")[0])
    try:
        declaration = Declaration.read(block, path.parent.resolve())
        source = WorkloadSource(name=declaration.command, path=str(path.resolve()), text=module_text(declaration))
        return load(source)
    except DeclarationError as error:
        raise SpecError(
            *(
                f"{document.origin('workload', *place)}: {'.'.join(map(str, ('workload', *place)))}: {text}"
                for place, text in error.mistakes
            )
        ) from error
    except (ValueError, WorkloadError) as error:
        raise SpecError(f"{document.origin('workload')}: {error}") from error
