"""The arithmetic of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.workload.fields import optional, require, setting

__all__ = ["ComputeConfig", "require_compute_fits"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputeConfig:
    """The arithmetic of training. Every field changes at least the rounding, so it is part of a trial's identity.

    Only the network runs at reduced precision: losses, contrast and evaluation are always float32. `tf32` holds for
    everything that a trial computes in float32.
    """

    precision: Literal["float32", "bfloat16", "float16"] | None = optional("float32")
    """Precision of the network's forward and backward pass (autocast); `float16` scales the loss and needs CUDA."""
    compile: bool | None = optional(False)
    """Whether to use torch.compile for the training forward pass; its fused kernels round differently."""
    deterministic: bool | None = optional(False)
    """Whether to use deterministic algorithms only: slower on CUDA, but bit-equal between runs on the same device."""
    tf32: bool | None = None
    """Whether CUDA multiplies float32 matrices and convolves in TensorFloat-32, with a significand of 10 instead of 23
    bits; not set: torch's defaults, which are convolutions in TF32 and matrices in float32. No effect on a CPU."""
    channels_last: bool | None = optional(True)
    """Whether images and weights have the channels-last layout; false to measure what the layout gains."""
    cuda_graphs: bool | None = optional(False)
    """Whether to run the network's forward and backward pass as CUDA graphs instead of launching each kernel; needs
    CUDA, one rank and no gradient accumulation, and takes more memory."""

    def __post_init__(self) -> None:
        require(
            not (self.cuda_graphs and self.compile),
            "compute.cuda_graphs",
            "not together with compute.compile; set one of them to false",
        )


def require_compute_fits(compute: ComputeConfig, *, cuda: bool = True, ranks: int = 1) -> None:
    """Raise ValueError if `compute` needs a CUDA device and there is none, or one rank and there are several."""
    if not cuda:
        half = setting(compute, "precision") == "float16"
        require(not half, "compute.precision", "float16 needs a CUDA device; use bfloat16")
        require(not compute.cuda_graphs, "compute.cuda_graphs", "needs a CUDA device; set it to false")
    if ranks > 1:
        for key in ("compile", "cuda_graphs"):
            require(not getattr(compute, key), f"compute.{key}", "not supported with several ranks; use one rank")
