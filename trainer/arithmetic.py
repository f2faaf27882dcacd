"""How a trial's floating-point numbers are computed: what holds while it runs, and what to write in its record."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from trainer.config import ComputeConfig, TrainConfig, setting

__all__ = ["arithmetic", "describe_arithmetic"]


@contextmanager
def arithmetic(config: ComputeConfig) -> Iterator[None]:
    """Run the body with the deterministic algorithms and the TensorFloat-32 that `config` asks for."""
    with deterministic(bool(setting(config, "deterministic"))), tensor_float_32(config.tf32):
        yield


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Use only deterministic algorithms in the body; torch raises RuntimeError for an operation without one."""
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def tensor_float_32(wanted: bool | None) -> Iterator[None]:
    """Allow or forbid TensorFloat-32 on CUDA in the body: matrix products and convolutions. None changes nothing."""
    if wanted is None:
        yield
        return
    before = [switch.fp32_precision for switch in fp32_switches()]
    set_fp32_precision(["tf32" if wanted else "ieee"] * len(before))
    try:
        yield
    finally:
        set_fp32_precision(before)


def fp32_switches() -> tuple[Any, ...]:
    """Switches of torch: of matrix products, of convolutions and of recurrent layers."""
    cudnn: Any = torch.backends.cudnn
    return torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn


def set_fp32_precision(values: Sequence[str]) -> None:
    """Set the precision of `fp32_switches`: `tf32`, `ieee`, or `none`, which is the one of `torch.backends`.

    torch keeps its older switches beside them, and raises RuntimeError when its compiler reads an older one that
    contradicts a newer one. Setting an older one sets the newer one too, but not the reverse, so both are set.
    """
    products, convolutions, _ = values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions of torch warn that the older switches are old
        torch.backends.cuda.matmul.allow_tf32 = products == "tf32"
        torch.backends.cudnn.allow_tf32 = convolutions == "tf32"
    for switch, value in zip(fp32_switches(), values, strict=True):
        switch.fp32_precision = value


def describe_arithmetic(config: TrainConfig, device: torch.device) -> str:
    """How the steps of `config` are computed on `device`, for example `bfloat16, TF32 convolutions, channels_last`."""
    compute = config.compute
    parts = [
        setting(compute, "precision"),
        *(tf32_in_force(compute.tf32) if device.type == "cuda" else ()),
        "channels_last" if setting(compute, "channels_last") else "contiguous",
        "fused SGD" if setting(config.optim, "fused") else "foreach SGD",
        *(name for name in ("compile", "cuda_graphs", "deterministic") if setting(compute, name)),
    ]
    return ", ".join(parts)


def tf32_in_force(wanted: bool | None) -> tuple[str, ...]:
    """What is computed in TensorFloat-32 during a trial with this `compute.tf32`, according to torch's switches."""
    with tensor_float_32(wanted):
        products, convolutions, _ = fp32_switches()
        names = {"matrix products": products, "convolutions": convolutions}
        found = [name for name, switch in names.items() if switch.fp32_precision == "tf32"]
    return (f"TF32 {' and '.join(found)}" if found else "no TF32",)
