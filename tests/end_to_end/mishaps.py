"""What goes wrong in a trial of test_failures: each mishap marks its trial by a temperature of its own.

`install` writes a sitecustomize.py, which every Python process with its folder in PYTHONPATH runs: the driver's and
the workers'. It wraps `trainer.run.train` as soon as that is imported, shortens the time that the driver waits, and
lets it draw no figures.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

OUT_OF_MEMORY, HANGS, CRAWLS, HELD = 0.11, 0.12, 0.13, 0.14
HOLD = "CONTRAST_SWEEP_TEST_HOLD"
"""Environment variable: a held trial waits from step 60 on, reporting, while `<its steps>` is a file in this folder.

Each further attempt comes ten steps further, so that a sweep that loses it has made progress."""
Patch = Callable[[Any], None]
"""Changes a module that has just been imported."""
HELD_STEP, FURTHER_STEPS = 60, 10
HOG = "hog"
"""A held trial takes memory without end as soon as this is a file in the folder; it removes the file first."""


def install(folder: Path, patches: str = "PATCHES") -> dict[str, str]:
    """Write the hook into `folder`; returns the environment that makes processes run it, `patches` alone."""
    folder.mkdir()
    project = Path(__file__).resolve().parents[2]
    code = f"from tests.end_to_end import mishaps\n\nmishaps.watch_imports(mishaps.{patches})\n"
    (folder / "sitecustomize.py").write_text(code)
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(project), *filter(None, given)]), HOLD: str(folder)}


def watch_imports(patches: Mapping[str, Patch]) -> None:
    """Patch modules when they are imported."""
    sys.meta_path.insert(0, Patching(patches))


class Patching(MetaPathFinder):
    """Finds modules as usual and patches those in `patches` after their execution."""

    def __init__(self, patches: Mapping[str, Patch]) -> None:
        self.patches = patches

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        """The usual spec, its loader wrapped; None for all other modules."""
        if name not in self.patches:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = PatchingLoader(spec.loader, self.patches[name])
        return spec


class PatchingLoader(Loader):
    """Executes a module, then patches it."""

    def __init__(self, loader: Any, patch: Patch) -> None:
        self.loader, self.patch = loader, patch

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As usual."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """As usual, and more."""
        self.loader.exec_module(module)
        self.patch(module)


def shorten_grace(module: Any) -> None:
    """A trial that hangs is killed after a second."""
    module.GRACE_SECONDS = 1.0


def draw_no_figures(module: Any) -> None:
    """Figures take seconds of each command, and no test with this hook looks at one."""
    module.choose = lambda *given, **named: {}


def wrap_train(module: Any) -> None:
    """Put the mishaps into `train`."""
    train = module.train

    def unlucky(config: Any, runtime: Any, workdir: Path, progress: Callable[[int, dict[str, float]], None]) -> Any:
        mark = config.contrast.temperature
        held_step = HELD_STEP + FURTHER_STEPS * len(list(workdir.glob("attempt_*.json")))

        def report(step: int, values: dict[str, float]) -> None:
            progress(step, values)
            if mark == OUT_OF_MEMORY:
                import torch

                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            if mark == CRAWLS:
                time.sleep(0.3)
            while mark == HELD and step >= held_step and Path(os.environ[HOLD], str(config.schedule.steps)).exists():
                time.sleep(0.1)
                progress(step, values)
                if Path(os.environ[HOLD], HOG).exists():
                    take_memory()

        if mark == HANGS:
            time.sleep(3600)
        return train(config, runtime, workdir, report)

    module.train = unlucky


def take_memory() -> None:
    """Take memory until Ray ends this process, unless another trial does so."""
    try:
        Path(os.environ[HOLD], HOG).unlink()
    except FileNotFoundError:
        return
    taken = []
    while True:
        taken.append(b"x" * 100_000_000)
        time.sleep(0.01)


WITHOUT_FIGURES: Mapping[str, Patch] = {"reports.figures.choose": draw_no_figures}
PATCHES: Mapping[str, Patch] = {
    **WITHOUT_FIGURES,
    "trainer.run": wrap_train,
    "orchestrator.running.executors.ray_tune": shorten_grace,
}
