"""What a fork server imports before it forks: the modules of a workload that take seconds, while that is safe.

A process may be forked while it has no other thread and has not opened a GPU.
"""

from __future__ import annotations

import ast
import importlib
import logging
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.workload.loaded import LoadedWorkload

__all__ = ["modules_of", "preload", "why_unsafe"]

OWN = (
    "encodings.cp437",  # of the names in an archive
    "orchestrator.running.worker",
    "orchestrator.store.checkpoint_sync",
    "orchestrator.store.image_counts",
    "orchestrator.store.run_directory",
)
"""What every trial imports, and ours imports for it."""

KNOWN = frozenset({"PIL", "numpy", "pandas", "scipy", "sklearn", "timm", "torch", "torchvision"})
"""Packages that may be imported before a fork. The workload's own files are not: they may do anything."""

DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dxg")
"""How the files begin that a process has open once it uses a GPU: NVIDIA's, AMD's, and that of Windows for Linux."""

QUESTION_WITHOUT_CUDA = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Lets `torch.cuda.is_available`, which some packages call when they are imported, ask the driver without CUDA."""

logger = logging.getLogger(__name__)


def modules_of(workload: LoadedWorkload) -> tuple[str, ...]:
    """What a server imports for the trials of a workload: what it asks for, else what its source imports of KNOWN."""
    return tuple(workload.extras.preload) or known_imports(workload.texts())


def known_imports(texts: Iterable[str]) -> tuple[str, ...]:
    """The modules of KNOWN packages that Python source imports anywhere, in functions too."""
    found: set[str] = set()
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found.update(name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return tuple(sorted(name for name in found if name.partition(".")[0] in KNOWN))


def preload(modules: Sequence[str]) -> None:
    """Import what can be imported; the trials that need the others say what is wrong."""
    os.environ[QUESTION_WITHOUT_CUDA] = "1"
    for name in (*OWN, *modules):
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module raises
            logger.debug("%s cannot be imported: %s", name, error)
    from orchestrator.store.git_state import code_state

    code_state()  # every trial records of which code it is: of that which was just imported


def why_unsafe() -> str:
    """Why this process must not be forked; empty if it may be."""
    if sys.platform != "linux":
        return "a process with these modules can be forked on Linux only"
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        return f"a module has started the thread {others[0]}"
    devices = [target for target in open_files() if target.startswith(DEVICES)]
    return f"a module has opened {devices[0]}" if devices else ""


def open_files() -> list[str]:
    """What the descriptors of this process are."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:  # the descriptor of this list
            continue
    return found
