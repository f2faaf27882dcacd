"""The network of a training step as CUDA graphs, which launch all kernels of a pass with one call.

Axes: B images, H W image, h w embedding map, C classes, D embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainer.errors import TrainerError
from trainer.models.segmentor import Segmentor, SegmentorOutput

__all__ = ["GraphedNetwork", "restored_buffers"]


class GraphedNetwork:
    """A network in training mode whose forward pass is one CUDA graph and whose backward pass is another.

    It computes what the network computes, with these differences for its caller:

    - The images always have the shape, type and device of `example_B3HW`.
    - The next call overwrites the outputs of a call, and the gradients that came from it.
    - Each parameter gets a gradient: zero if the loss does not depend on it. See `TrainStep.backward`.

    Dropout draws from torch's generator as it is when the graph runs, so a seed set before a call counts.
    """

    def __init__(self, network: Segmentor, example_B3HW: Tensor, dtype: torch.dtype | None) -> None:
        """Record the graphs; `dtype` is that of autocast, None for float32.

        Recording runs the network on `example_B3HW` a few times. It restores the statistics of batch norms, but not
        the state of torch's generators. Raises TrainerError for a network that cannot be recorded.
        """
        self.parts = OutputParts(network.train(), dtype)
        with restored_buffers(network), without_stream_warning():
            try:
                self.recorded: Any = torch.cuda.make_graphed_callables(
                    self.parts, (example_B3HW.clone(),), allow_unused_input=True
                )
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                reason = str(error).partition("\n")[0]
                raise TrainerError(
                    f"compute.cuda_graphs: the network cannot be recorded ({reason}); set it to false"
                ) from error

    def __call__(self, image_B3HW: Tensor) -> SegmentorOutput:
        """The output of the network, as a node of the autograd graph."""
        found = iter(self.recorded(image_B3HW))
        parts: list[Any] = [next(found) if present else None for present in self.parts.present]
        return SegmentorOutput(*parts)


class OutputParts(nn.Module):
    """The network as torch's graphs need it: autocast inside and without its cache, and outputs that are tensors."""

    def __init__(self, network: Segmentor, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.network = network
        self.dtype = dtype
        self.present: tuple[bool, ...] = ()
        """Which parts of a `SegmentorOutput` the network has; known after the first call."""

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """The parts of the output that are not None."""
        reduced = self.dtype is not None
        with torch.autocast(image_B3HW.device.type, dtype=self.dtype, enabled=reduced, cache_enabled=False):
            output: SegmentorOutput = self.network(image_B3HW)
        self.present = tuple(part is not None for part in output)
        return tuple(part for part in output if part is not None)


@contextmanager
def without_stream_warning() -> Iterator[None]:
    """Silence torch's warning that a node of the autograd graph belongs to another stream.

    `make_graphed_callables` causes it itself: it warms up in one stream and records in another.
    """
    warn = torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch
    warn(False)
    try:
        yield
    finally:
        warn(True)


@contextmanager
def restored_buffers(network: nn.Module) -> Iterator[None]:
    """Give the buffers of `network` their values back after the body, in place, because graphs keep their addresses."""
    buffers = list(network.buffers())
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
