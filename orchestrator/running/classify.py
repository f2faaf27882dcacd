"""Classifies the exceptions of trials: by their class, and errors of CUDA and its libraries by their text.

PyTorch has a class of its own only for memory that its allocator could not get. What CUDA, cuBLAS, cuDNN and NCCL
report arrives as a RuntimeError, or as a subclass that says no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from orchestrator.store.attempt_record import ErrorRecord, State
from orchestrator.store.disk_errors import disk_error

__all__ = ["STATE_BY_EXCEPTION", "classify", "spoils_process"]

STATE_BY_EXCEPTION: Mapping[str, State] = {
    "OutOfMemoryError": State.OUT_OF_MEMORY,  # torch's
    "MemoryError": State.OUT_OF_MEMORY,
    "DivergedError": State.DIVERGED,
    "DataError": State.DATA_ERROR,
    "RankLostError": State.LOST,
    "ScriptLostError": State.LOST,  # of a script that the system has ended
    "DeviceBusyError": State.LOST,  # retried after a pause, on another node where possible
}
"""Class of failure by the name of the exception's class or of an ancestor; by name, so that classifying imports
nothing heavy. Every other exception is a user error, unless it has one of the texts below."""

OUT_OF_MEMORY = re.compile(
    r"CUDA (ran )?out of memory|CUDA error: out of memory"
    r"|CU(BLAS|SOLVER|SPARSE|DNN)_STATUS_\w*ALLOC\w*FAILED|CUFFT_ALLOC_FAILED"
    r"|CU(BLAS|SOLVER|SPARSE)_STATUS_NOT_INITIALIZED when calling `cu\w+Create"  # its workspace did not fit
    # cuDNN tries one algorithm after another, and none got its workspace
    r"|unable to find an engine to execute this computation|Unable to find a valid cuDNN algorithm"
    r"|Cuda failure (\d+ )?'out of memory'|Failed to CUDA calloc"  # NCCL
    r"|DefaultCPUAllocator: (can't allocate memory|not enough memory)"
)

BROKEN_GPU = re.compile(
    r"uncorrectable (ECC|NVLink) error|hardware stack error|nvlink or a hardware error|GPU is lost"
    r"|CUDA error: (system not yet initialized|CUDA-capable device\(s\) is/are busy or unavailable|unknown error)"
)
"""Errors of the machine, not of the trial."""

FOLDER_IN_USE = re.compile(r"another process is training in this folder")
"""The trial still runs for a driver that has lost the run directory, and ends with it."""

SPOILED = re.compile(
    r"CUDA error: (an illegal (memory access|instruction) was encountered|device-side assert triggered"
    r"|unspecified launch failure|misaligned address|invalid program counter|the launch timed out and was terminated"
    r"|operation not supported on global/shared address space|invalid access of peer GPU memory)",
    re.IGNORECASE,
)
"""Errors after which every call of CUDA in the process fails."""


def classify(failure: BaseException) -> State:
    """The class of failure of an exception that a trial raised, or of the exception that caused it.

    A full or failing disk is no error of the trial: it is lost, and resumes later.
    """
    states = (state_of(error) for error in causes(failure))
    otherwise = State.USER_ERROR if disk_error(failure) is None else State.LOST
    return next((state for state in states if state is not None), otherwise)


def spoils_process(error: ErrorRecord | None) -> bool:
    """Whether the process in which a trial failed cannot use its GPU any more."""
    text = "" if error is None else f"{error.message} {error.traceback}"
    return bool(SPOILED.search(text) or BROKEN_GPU.search(text))


def causes(failure: BaseException) -> Iterator[BaseException]:
    """The exception, those in a group, and those that it was raised from."""
    yield failure
    if isinstance(failure, BaseExceptionGroup):
        for part in failure.exceptions:
            yield from causes(part)
    if failure.__cause__ is not None:
        yield from causes(failure.__cause__)


def state_of(error: BaseException) -> State | None:
    """The class of failure of one exception; None if nothing is known about it."""
    for ancestor in type(error).__mro__:
        if ancestor.__name__ in STATE_BY_EXCEPTION:
            return STATE_BY_EXCEPTION[ancestor.__name__]
    if FOLDER_IN_USE.search(str(error)):
        return State.LOST
    if not isinstance(error, RuntimeError):
        return None
    if OUT_OF_MEMORY.search(str(error)):
        return State.OUT_OF_MEMORY
    return State.LOST if BROKEN_GPU.search(str(error)) else None
