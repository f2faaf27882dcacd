"""Runs the tiny trials with two versions of the trainer, side by side on this machine, and compares their figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.reading.cache import CACHE_FOLDER
from trainer.errors import TrainerError
from trainer.golden.trials import CUT_SHORT, TWO_RANKS, Settings

__all__ = ["Comparison", "compare", "figures_of_both", "with_repeats"]

MEASURE = Path(__file__).parent / "measure.py"
STOPPED_AT = 3
"""Step after whose report a trial is cut short: one after its last checkpoint."""

Figures = Mapping[str, Mapping[str, str]]
"""By trial, its figures as exact texts, or its `error`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What the trials have shown."""

    equal: tuple[str, ...]
    """Trials whose figures are all equal."""
    new: Mapping[str, str]
    """Trials that the earlier code cannot run, with its error; there is nothing to compare."""
    different: Mapping[str, str]
    """Trials that differ, with the first figure that does."""


def with_repeats(trials: Mapping[str, Settings]) -> dict[str, dict[str, Any]]:
    """The trials as `measure` reads them, and those of `CUT_SHORT` and `TWO_RANKS` once more."""
    found = {name: {"settings": dict(trial), "ranks": 1, "stopped_at": None} for name, trial in trials.items()}
    found |= {f"{name}, resumed": {**found[name], "stopped_at": STOPPED_AT} for name in CUT_SHORT if name in trials}
    found |= {f"{name}, two ranks": {**found[name], "ranks": 2} for name in TWO_RANKS if name in trials}
    return found


def figures_of_both(
    trials: Mapping[str, Mapping[str, Any]], packages: tuple[Path, Path], folder: Path
) -> list[Figures]:
    """The figures of `trials` with both packages named `trainer`, which run at a time. Raises TrainerError."""
    (folder / "trials.json").write_text(json.dumps(trials), encoding="utf-8")
    processes = [start(package, folder, folder / str(number)) for number, package in enumerate(packages)]
    found = []
    for number, (process, package) in enumerate(zip(processes, packages, strict=True)):
        _, errors = process.communicate()
        if process.returncode != 0:
            last = errors.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
            raise TrainerError(f"{package}: the trials cannot be run ({last[0]})")
        content = json.loads((folder / str(number) / "figures.json").read_text(encoding="utf-8"))
        if Path(content["package"]) != package:
            raise TrainerError(f"{content['package']} was imported instead of {package}")
        found.append(content["figures"])
    return found


def start(package: Path, folder: Path, workdir: Path) -> subprocess.Popen[bytes]:
    """A process that measures the trials with `package`, in a folder and with a cache of decoded images of its own."""
    workdir.mkdir()
    arguments = [folder / "trials.json", workdir / "figures.json", workdir / "trials"]
    return subprocess.Popen(  # noqa: S603 - this interpreter and our own script
        [sys.executable, "-P", str(MEASURE), *map(str, arguments)],
        cwd=workdir,
        env={
            **os.environ,
            "PYTHONPATH": str(package.parent),
            "OMP_NUM_THREADS": "1",
            CACHE_FOLDER: str(workdir / "decoded"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def compare(earlier: Figures, present: Figures) -> Comparison:
    """Compare the figures of the same trials. Raises TrainerError when no trial can be compared."""
    new = {name: figures["error"] for name, figures in earlier.items() if "error" in figures}
    different = {}
    for name, figures in present.items():
        if "error" in figures and name not in new:
            different[name] = f"fails now: {figures['error']}"
        elif name not in new and figures != earlier[name]:
            different[name] = first_difference(earlier[name], figures)
    equal = tuple(name for name in present if name not in new and name not in different)
    if not equal and not different:
        raise TrainerError(f"no trial could be compared: {next(iter(new.values()), 'there is none')}")
    return Comparison(equal=equal, new=new, different=different)


def first_difference(earlier: Mapping[str, str], present: Mapping[str, str]) -> str:
    """The first figure that differs, with both values."""
    keys = [*earlier, *(key for key in present if key not in earlier)]
    key = next(key for key in keys if earlier.get(key) != present.get(key))
    return f"{key} was {earlier.get(key, 'not reported')}, is {present.get(key, 'not reported')}"
