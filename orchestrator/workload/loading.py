"""Loads a workload by its name: an installed module, or a Python file beside the search space."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrator.machine.one_line import described
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.local_files import SourceError, texts_of
from orchestrator.workload.source_digest import short, source_digest
from orchestrator.workload.text_modules import TextFinder, run_text

__all__ = [
    "BUILT_IN",
    "OBJECT",
    "WorkloadError",
    "WorkloadSource",
    "built_in",
    "find",
    "load",
    "source_of",
    "workload_of",
]

BUILT_IN = "trainer.workload"
"""The module of the workload that comes with the project."""

OBJECT = "WORKLOAD"
"""Name of the workload in its module."""

DATACLASS = "@dataclass(frozen=True, kw_only=True)"

MEMBERS = ("config_type", "result_version", "metrics", "check", "inputs", "describe", "train")
"""What a workload must have."""


class WorkloadError(Exception):
    """A workload that cannot be used; the message is one line and begins with the place in its source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkloadSource:
    """Where a workload comes from; enough to load it in another process, on a machine without the file."""

    name: str
    """`my_package.my_trainer`, or `my_trainer.py`; part of the id of its trials."""
    path: str = ""
    """Of the file, absolute; empty for an installed module."""
    text: str = ""
    """The source in the file."""
    files: tuple[tuple[str, str], ...] = ()
    """Name, relative to the folder of the file, and text of those beside it that it imports."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WorkloadSource:
        """Inverse of `asdict` after JSON, which knows no tuples."""
        return cls(**{**values, "files": tuple((name, text) for name, text in values["files"])})

    @property
    def module_name(self) -> str:
        """The module under which it is loaded; a file has one of its own for each version."""
        name = re.sub(r"\W+", "_", Path(self.name).stem)  # a dot would name a package
        content = "\0".join([self.text, *(part for file in self.files for part in file)])
        return f"workload_{name}_{short(content)}" if self.path else self.name


BY_CONFIG: dict[type, LoadedWorkload] = {}
"""The workloads that this process has loaded, by the type of their configs."""


LATEST: dict[str, LoadedWorkload] = {}
"""By name, the workload that was asked for last: a file may have several versions."""


@cache
def built_in() -> LoadedWorkload:
    """The workload that comes with the project: the contrastive segmentation trainer."""
    return load(WorkloadSource(name=BUILT_IN))


def workload_of(config: Any) -> LoadedWorkload:
    """The workload that trains `config`: a config exists only where its workload has been loaded."""
    return BY_CONFIG.get(type(config)) or built_in()


def source_of(name: str) -> WorkloadSource:
    """The source of the workload that a plan names; an empty name is the built-in one.

    Raises WorkloadError for a file, or a script, that this process has not read.
    """
    if name in LATEST:
        return LATEST[name].source
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".") if name):
        raise WorkloadError(f"{name}: a file that was not read here; name the search space on the command line")
    return WorkloadSource(name=name or BUILT_IN)


def find(name: str, folder: Path) -> WorkloadSource:
    """The workload `name`: a `.py` file, relative to `folder`, or an installed module. Raises WorkloadError.

    What the file imports from its folder belongs to it.
    """
    if not name.endswith(".py"):
        return WorkloadSource(name=name)
    path = (folder / Path(name).expanduser()).resolve()
    try:
        text = path.read_text(encoding="utf-8")
        files = tuple(sorted((file, content) for file, content in texts_of(path).items() if file != path.name))
        return WorkloadSource(name=path.name, path=str(path), text=text, files=files)
    except SourceError as error:
        raise WorkloadError(str(error)) from error
    except OSError as error:
        raise WorkloadError(f"{path}: cannot be read ({error.strerror}); correct the path") from error
    except ValueError as error:
        raise WorkloadError(f"{path}: is not text in UTF-8; save it as UTF-8") from error


def load(source: WorkloadSource) -> LoadedWorkload:
    """The workload of a source, imported at the first call in this process. Raises WorkloadError."""
    loaded = LATEST[source.name] = loaded_once(source)
    return loaded


@cache
def loaded_once(source: WorkloadSource) -> LoadedWorkload:
    """`load`, once for each source."""
    module = imported(source)
    place = source.path or str(module.__file__)
    workload = getattr(module, OBJECT, None)
    if workload is None:
        raise WorkloadError(f"{place}: has no {OBJECT}; add `{OBJECT} = MyWorkload()` at its end")
    lacking = [name for name in MEMBERS if not hasattr(workload, name)]
    if lacking:
        text = f"{OBJECT} has no {', '.join(lacking)}; `orchestrator.workload.Workload` says what they are"
        raise WorkloadError(f"{place}: {text}")
    require_config_type(workload.config_type, place)
    other = BY_CONFIG.get(workload.config_type)
    if other is not None and other.name != source.name:
        text = f"{workload.config_type.__name__} is that of the workload {other.name}; make a subclass of it"
        raise WorkloadError(f"{place}: config_type: {text}")
    loaded = BY_CONFIG[workload.config_type] = LoadedWorkload(
        name=source.name,
        workload=workload,
        source=source,
        is_built_in=source.name == BUILT_IN,
        module_file=Path(place),
        own_files=lambda: {
            Path(place).name: source_digest(source.text or Path(place).read_text(encoding="utf-8")),
            **{file: source_digest(text) for file, text in source.files},
        },
    )
    return loaded


def imported(source: WorkloadSource) -> ModuleType:
    """The module of a source. Raises WorkloadError."""
    name = source.module_name
    try:
        if not source.path:
            return importlib.import_module(name)
        if name in sys.modules:
            return sys.modules[name]
        module = importlib.util.module_from_spec(ModuleSpec(name, None, origin=source.path))
        module.__file__ = source.path
        sys.modules[name] = module  # before it runs: dataclasses look for it there
        finder = TextFinder(f"{name}_files", Path(source.path), source.files)
        finder.install()
        try:
            run_text(source.text, source.path, module, finder.local, finder.package)
        except BaseException:
            del sys.modules[name]
            raise
        return module
    except Exception as error:
        raise WorkloadError(f"{place_of(error, source)}: {described(error)}; it cannot be imported") from error


def place_of(error: Exception, source: WorkloadSource) -> str:
    """`my_trainer.py:12`, where it raised; without a line if that is not known."""
    path, line = source.path or source.name, None
    folder = Path(source.path).parent
    own = {source.path, *(str(folder / file) for file, _ in source.files)}
    if isinstance(error, SyntaxError) and error.filename == source.path:
        line = error.lineno
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in own:
            path, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return path if line is None else f"{path}:{line}"


def require_config_type(config_type: Any, place: str) -> None:
    """Raise WorkloadError unless `config_type` is a frozen, keyword-only dataclass with defaults and a seed."""
    name = getattr(config_type, "__name__", repr(config_type))
    if not (isinstance(config_type, type) and dataclasses.is_dataclass(config_type)):
        raise WorkloadError(f"{place}: config_type: {name} is not a dataclass; write {DATACLASS}")
    if not config_type.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise WorkloadError(f"{place}: config_type: {name} is not frozen; write {DATACLASS}")
    fields = {item.name: item for item in dataclasses.fields(config_type)}
    if "seed" not in fields:
        raise WorkloadError(f"{place}: config_type: {name} has no field `seed`; add `seed: int = 0`")
    try:
        config_type()
    except (TypeError, ValueError) as error:
        text = f"config_type: {name}() raises {described(error)}; give each field a default"
        raise WorkloadError(f"{place}: {text}") from error
