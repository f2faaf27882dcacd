"""`Tensor.backward` in Python for a simulated device, because torch's engine asks the driver for streams."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.testing.device_fault import DeviceFault, where

__all__ = ["backward"]


@torch.no_grad()
def backward(self: Tensor, gradient: Tensor | None = None, **_: Any) -> None:
    """Add the gradient of `self` to its leaves, as torch does it. Raises DeviceFault."""
    pending: dict[Any, list[Tensor | None]] = defaultdict(list)
    pending[self.grad_fn] = [torch.ones_like(self) if gradient is None else gradient]
    for node in nodes_in_order(self.grad_fn):
        given = pending.pop(node, [])
        if hasattr(node, "variable"):
            accumulate(node.variable, given)
            continue
        run = node.apply if isinstance(node, torch.autograd.function.BackwardCFunction) else node
        results = run(*given, *[None] * (len(node._input_metadata) - len(given)))
        for (following, number), result in zip(node.next_functions, as_tuple(results), strict=False):
            if following is None or result is None:
                continue
            sums = pending[following]
            sums.extend([None] * (number + 1 - len(sums)))
            held, result = sums[number], as_metadata_says(result, following, number)
            sums[number] = result if held is None else held + result


def nodes_in_order(root: Any) -> Iterator[Any]:
    """The nodes of an autograd graph, each after all nodes that send it a gradient."""
    senders: Counter[Any] = Counter()
    seen, waiting = {root}, [root]
    while waiting:
        for following, _ in waiting.pop().next_functions:
            if following is None:
                continue
            senders[following] += 1
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    ready = [root]
    while ready:
        node = ready.pop()
        yield node
        for following, _ in node.next_functions:
            if following is None:
                continue
            senders[following] -= 1
            if senders[following] == 0:
                ready.append(following)


def accumulate(parameter: Tensor, given: Sequence[Tensor | None]) -> None:
    """Add a gradient to a leaf."""
    for gradient in given:
        if gradient is not None:
            parameter.grad = gradient.detach() if parameter.grad is None else parameter.grad + gradient


def as_metadata_says(gradient: Tensor, node: Any, number: int) -> Tensor:
    """A gradient as torch's engine hands it on: of the forward output's type. Raises DeviceFault for another device."""
    metadata = None if hasattr(node, "variable") else node._input_metadata[number]
    like = node.variable if metadata is None else metadata
    if gradient.device != like.device:
        raise DeviceFault(f"{where()}: backward: a gradient on {gradient.device} for a tensor on {like.device}")
    return gradient.to(like.dtype)


def as_tuple(results: Any) -> tuple[Any, ...]:
    """The results of a node of the graph."""
    return results if isinstance(results, tuple) else (results,)
