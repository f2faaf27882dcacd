"""What a fork server imports before it forks: the modules of a workload that take seconds, while that is safe.

A process may be forked while it has no other thread and has not opened a GPU.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

__all__ = ["preload", "why_unsafe"]

OWN = (
    "orchestrator.running.worker",
    "orchestrator.store.checkpoint_sync",
    "orchestrator.store.image_counts",
    "orchestrator.store.run_directory",
)
"""What every trial imports of ours."""

DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dxg")
"""How the files begin that a process has open once it uses a GPU: NVIDIA's, AMD's, and that of Windows for Linux."""

QUESTION_WITHOUT_CUDA = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Lets `torch.cuda.is_available`, which some packages call when they are imported, ask the driver without CUDA."""

logger = logging.getLogger(__name__)


def preload(modules: Sequence[str]) -> None:
    """Import what can be imported; the trials that need the others say what is wrong."""
    os.environ[QUESTION_WITHOUT_CUDA] = "1"
    for name in (*OWN, *modules):
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module raises
            logger.warning("%s cannot be imported: %s", name, error)
    from orchestrator.store.git_state import code_state

    code_state()  # of the code that was just imported; every trial records it


def why_unsafe() -> str:
    """Why this process must not be forked; empty if it may be."""
    if sys.platform != "linux":
        return "this system does not promise that a forked process works"
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
