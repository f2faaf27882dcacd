"""ScriptWorkload: runs a declared script as the training of a trial."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, fields, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.machine.file_content import content_digest
from orchestrator.workload.caption import describe_settings
from orchestrator.workload.extras import Code, Extras
from orchestrator.workload.inputs import Inputs, Remember
from orchestrator.workload.metric import VALIDATION
from orchestrator.workload.protocol import Workload
from orchestrator.workload.runtime import Runtime
from orchestrator.workload.script.command import SEED, WORKDIR, filled
from orchestrator.workload.script.declaration import FINAL, Declaration
from orchestrator.workload.script.process import LOG, run_script
from orchestrator.workload.source_digest import code_digest, source_digest
from orchestrator.workload.trial_result import Progress, TrialResult

__all__ = ["DivergedError", "ScriptWorkload", "module_text"]

COST = "cost/"

MAX_STEP = 2**53
"""A larger step is no step, nor is infinity."""


class DivergedError(ArithmeticError):
    """A final metric is not a finite number."""


class ScriptChangedError(RuntimeError):
    """The script or its inputs are not those that the trial was planned with."""


class ScriptWorkload(Workload):
    """A script with its settings and metrics."""

    result_version = 1

    def __init__(self, declaration: Declaration, planned: Mapping[str, str], module: str) -> None:
        """`planned` are the digests of the files of the command, `module` is where this object is kept."""
        self.declaration = declaration
        self.planned = planned
        self.metrics = declaration.metrics
        settings = [(key, type(value), field(default=value)) for key, value in declaration.settings.items()]
        self.config_type = make_dataclass(
            "Settings", [*settings, (SEED, int, field(default=0))], frozen=True, kw_only=True, namespace={}, slots=True
        )
        self.config_type.__module__ = module  # where a worker finds it to unpickle a config
        self.config_type.__doc__ = f"Settings of `{declaration.command}`."
        self.extras = Extras(
            inputs_key=lambda _: None,
            steps_key=declaration.steps,
            code=Code(files=self.sources, digests=lambda: (code_digest(self.sources()),)),
        )

    @property
    def folder(self) -> Path:
        """Where the script runs."""
        return Path(self.declaration.folder)

    def check(self, config: Any) -> None:
        """Everything is checked by type: only the script knows its limits."""

    def sources(self) -> dict[str, str]:
        """The digest of each file of the command; of Python without comments and docstrings."""
        return {name: file_digest(self.folder / name) for name in self.declaration.files}

    def inputs(self, config: Any, remember: Remember) -> Inputs:
        """The files of the command, and those that the declaration names. Raises ValueError."""
        del config
        content = self.sources()
        for name in self.declaration.inputs:
            for path in files_below(self.folder / name):
                state = path.stat()
                key = f"{path} {state.st_size} {state.st_mtime_ns}"
                digest = remember(key, partial(content_digest, path), what=f"reading {name}")
                content[os.path.relpath(path, self.folder)] = digest
        return Inputs(digest=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(), facts=content)

    def describe(self, rows: Sequence[tuple[Any, Inputs]], seeds: str, data: str = "") -> str:
        """The script, the settings that all rows share, and the seeds."""
        program = next(iter(self.declaration.files), self.declaration.command.split()[0])
        return ", ".join(filter(None, (program, data, describe_settings([config for config, _ in rows]), seeds)))

    def train(self, config: Any, runtime: Runtime, workdir: Path, progress: Progress) -> TrialResult:
        """Run the script until it ends; an earlier attempt has left its checkpoint in `workdir`."""
        self.require_folder()
        workdir.mkdir(parents=True, exist_ok=True)
        values = {item.name: getattr(config, item.name) for item in fields(config)}
        command = filled(self.declaration.command, {**values, WORKDIR: str(workdir.resolve())})
        environment = {"OMP_NUM_THREADS": str(runtime.threads), **os.environ, "PYTHONUNBUFFERED": "1"}
        final: dict[str, float] = {}

        def on_line(line: str) -> None:
            step, values = read_line(line)
            if step is None:
                final.update({name: value for name, value in values.items() if self.is_final(name)})
            elif values:
                progress(step, values)

        run_script(command, folder=self.folder, environment=environment, log=workdir / LOG, on_line=on_line)
        self.require_metrics(final, workdir / LOG)
        return TrialResult(metrics=final)

    def is_final(self, name: str) -> bool:
        """Whether a value of a line without a step is a result."""
        return name.startswith((FINAL, COST)) or any(metric.covers(name) for metric in self.metrics)

    def require_folder(self) -> None:
        """Raise ScriptChangedError unless the script is the one that the trial is named after."""
        if not self.folder.is_dir():
            text = "no such folder on this node; put it on a file system that all nodes share"
            raise ScriptChangedError(f"{self.folder}: {text}")
        present = self.sources()
        changed = sorted(name for name in {**present, **self.planned} if present.get(name) != self.planned.get(name))
        if changed:
            text = "has changed since this sweep was started; start the same command again to train with it"
            raise ScriptChangedError(f"{self.folder / changed[0]}: {text}")

    def require_metrics(self, final: Mapping[str, float], log: Path) -> None:
        """Raise for a declared final metric that was not printed, or is not a finite number."""
        wanted = [item.name for item in self.metrics if not item.is_family and not item.name.startswith(VALIDATION)]
        lacking = [name for name in wanted if name not in final]
        if lacking:
            example = json.dumps({lacking[0]: 0.93})
            text = f"printed no {', '.join(lacking)}, which the block `workload` declares; print {example} at the end"
            raise ValueError(f"the script {text} ({log})")
        for name, value in final.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} is {value}")


def module_text(declaration: Declaration) -> str:
    """The source of a module with this workload: how it travels to workers, like a workload in a file."""
    digests = {name: file_digest(Path(declaration.folder) / name) for name in declaration.files}
    return (
        "from orchestrator.workload.script.declaration import Declaration\n"
        "from orchestrator.workload.script.workload import ScriptWorkload\n"
        f"WORKLOAD = ScriptWorkload(Declaration.of_text({declaration.as_text()!r}), {digests!r}, __name__)\n"
        "Settings = WORKLOAD.config_type\n"
    )


def read_line(line: str) -> tuple[int | None, dict[str, float]]:
    """Step and numbers of a line of JSON: `{"final": {"loss": 1}}` is `final/loss`. Nothing for any other line."""
    if not line.lstrip().startswith("{"):
        return None, {}
    try:
        content = json.loads(line)
    except ValueError:
        return None, {}
    step = content.pop("step", None)
    is_step = isinstance(step, int | float) and not isinstance(step, bool) and 0 <= step < MAX_STEP
    if step is not None and not is_step:
        return None, {}
    return None if step is None else int(step), dict(numbers(content, ""))


def numbers(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    """The numbers in nested objects, by names with slashes."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key, float(value)


def files_below(path: Path) -> list[Path]:
    """The file itself, or all files in a folder. Raises ValueError when there is none."""
    found = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    if not found:
        raise ValueError(f"workload.inputs: no file at {path}; correct the path")
    return found


def file_digest(path: Path) -> str:
    """Digest of a file of the command. Raises ValueError for one that cannot be read."""
    try:
        return source_digest(path.read_text(encoding="utf-8")) if path.suffix == ".py" else content_digest(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"workload.command: {path} cannot be read ({error}); correct it") from error
