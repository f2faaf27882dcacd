"""The class of failure of an exception, as PyTorch, CUDA and its libraries raise it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from orchestrator.running.classify import STATE_BY_EXCEPTION, classify, spoils_process
from orchestrator.running.failures import RETRY_POLICIES
from orchestrator.running.worker import describe
from orchestrator.store.attempt_record import State
from trainer.errors import DataError, DeviceBusyError, DivergedError, RankLostError, TrainerError
from trainer.launch import RankInfo, picklable
from trainer.run import exclusive


class UnluckyError(DivergedError):
    """A subclass."""


class DistBackendError(RuntimeError):
    """Named as torch.distributed's, which some builds lack."""


class LocalError(torch.OutOfMemoryError):
    """Cannot be pickled: its constructor takes more than a message."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)


CUDA = "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions."


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (MemoryError(), State.OUT_OF_MEMORY),
        (DivergedError("step 3: the loss is nan"), State.DIVERGED),
        (UnluckyError("step 3"), State.DIVERGED),
        (DataError("a.png: damaged"), State.DATA_ERROR),
        (RankLostError("rank 1 of 2 was killed by SIGKILL"), State.LOST),
        (DeviceBusyError("the GPU has 1.0 of 80.0 GB free"), State.LOST),
        (TrainerError("no such device"), State.USER_ERROR),
        (ZeroDivisionError(), State.USER_ERROR),
    ],
    ids=repr,
)
def test_an_exception_is_classified_by_its_class(failure: Exception, state: State) -> None:
    assert classify(failure) is state
    assert set(STATE_BY_EXCEPTION.values()) <= set(RETRY_POLICIES)


@pytest.mark.parametrize(
    "failure",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        torch.AcceleratorError(f"CUDA error: out of memory\nCUDA kernel errors might be reported elsewhere\n{CUDA}"),
        RuntimeError("CUDA ran out of memory outside PyTorch's allocator. If this workload uses many dynamic shapes, "),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
        RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
        DistBackendError(
            "NCCL error in: ../ProcessGroupNCCL.cpp:2395, unhandled cuda error (run with NCCL_DEBUG=INFO for details), "
            "NCCL version 2.27.5\nncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\n"
            "Cuda failure 2 'out of memory'"
        ),
        DistBackendError("NCCL error in: NCCLUtils.cpp:110, Last error:\nFailed to CUDA calloc async 608 bytes"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:128] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
    ids=lambda failure: str(failure)[:40],
)
def test_memory_that_cuda_or_a_library_could_not_get_is_out_of_memory(failure: Exception) -> None:
    assert classify(failure) is State.OUT_OF_MEMORY
    assert not spoils_process(describe(failure)), "the process can run another trial"


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("the memory bank is out of memory rows"),
        ValueError("CUDA out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
        RuntimeError("CUDA error: invalid device ordinal"),
        RuntimeError("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"),
        DistBackendError("NCCL error in: ProcessGroupNCCL.cpp:2395, invalid usage, NCCL version 2.27.5"),
        torch.AcceleratorError("CUDA error: device-side assert triggered"),
    ],
    ids=lambda failure: str(failure)[:40],
)
def test_other_errors_with_similar_texts_are_errors_of_the_user(failure: Exception) -> None:
    assert classify(failure) is State.USER_ERROR


def raised_from(cause: BaseException) -> BaseException:
    try:
        raise RuntimeError("backend='inductor' raised an error") from cause
    except RuntimeError as error:
        return error


def while_handling(earlier: BaseException) -> BaseException:
    try:
        try:
            raise earlier
        except BaseException:
            raise ValueError("the row is wrong")  # noqa: B904 - that is the point
    except ValueError as error:
        return error


def in_a_thread(failure: BaseException) -> BaseException:
    def work() -> None:
        raise failure

    with ThreadPoolExecutor(1) as pool, pytest.raises(type(failure)) as caught:
        pool.submit(work).result()
    return caught.value


RANK = RankInfo(rank=1, ranks=2, rendezvous=Path("none"))


def of_a_rank(failure: BaseException) -> BaseException:
    assert isinstance(failure, Exception)
    sent: BaseException = pickle.loads(pickle.dumps(picklable(failure, RANK)))  # noqa: S301 - our own bytes
    return sent


@pytest.mark.parametrize(
    "carry",
    [raised_from, in_a_thread, of_a_rank, lambda cause: ExceptionGroup("of two threads", [ValueError(), cause])],
)
@pytest.mark.parametrize(
    "failure",
    [torch.OutOfMemoryError("CUDA out of memory."), LocalError("CUDA out of memory.", 3)],
    ids=lambda failure: type(failure).__name__,
)
def test_out_of_memory_is_recognised_wherever_it_was_raised(
    carry: Callable[[BaseException], BaseException], failure: BaseException
) -> None:
    assert classify(carry(failure)) is State.OUT_OF_MEMORY


def test_a_folder_in_which_another_process_still_trains_makes_the_attempt_a_lost_one(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "lock"),
        pytest.raises(TrainerError) as caught,
        exclusive(tmp_path / "lock", wait_seconds=0),
    ):
        raise AssertionError
    assert classify(caught.value) is State.LOST


def test_what_was_being_handled_is_not_the_cause() -> None:
    assert classify(while_handling(torch.OutOfMemoryError("CUDA out of memory."))) is State.USER_ERROR


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("CUDA error: an illegal memory access was encountered", State.USER_ERROR),
        ("CUDA error: device-side assert triggered", State.USER_ERROR),
        ("CUDA error: unspecified launch failure", State.USER_ERROR),
        ("CUDA error: misaligned address", State.USER_ERROR),
        ("CUDA error: uncorrectable ECC error encountered", State.LOST),
        ("CUDA error: CUDA-capable device(s) is/are busy or unavailable", State.LOST),
        ("CUDA error: unknown error", State.LOST),
    ],
)
def test_some_errors_end_the_use_of_the_gpu_by_the_process(text: str, state: State) -> None:
    failure = torch.AcceleratorError(f"{text}\nSearch for `cudaErrorX' in the documentation.\n{CUDA}")
    assert classify(failure) is state
    assert spoils_process(describe(failure))
    assert spoils_process(describe(raised_from(failure))), "its traceback says so"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "failure", [None, ValueError("a row"), RuntimeError("CUDA error: invalid argument"), DataError("x")]
)
def test_other_errors_leave_the_process_usable(failure: Exception | None) -> None:
    assert not spoils_process(None if failure is None else describe(failure))
