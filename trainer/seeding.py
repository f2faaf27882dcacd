"""Named random streams: each consumer of random numbers has its own, so switching one off changes no other.

`stream_seed` needs no torch: planning and the synthetic data set use it. The other functions import torch when called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["seeded", "stream_generator", "stream_seed"]


def stream_seed(seed: int, *names: str | int) -> int:
    """Return the 63-bit seed of the stream `names` of `seed`, the same on every machine and Python version.

    `stream_seed(0, "augment", 12)` is unrelated to `stream_seed(0, "augment", 13)` and to `stream_seed(1, ...)`.
    """
    digest = hashlib.sha256(json.dumps([seed, *names]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream_generator(seed: int, *names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a fresh generator on `device` at the start of the stream `names` of `seed`."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Seed torch's global CPU generator with a stream for the body, then restore its state.

    For code that takes no generator argument, such as timm's weight initialisation.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(seed, *names))
        yield
