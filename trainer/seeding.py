"""Named random streams: every use of chance draws from its own, so that switching one off moves no other.

`stream_seed` needs no torch, so that planning and data generation can use it; `generator` imports torch when called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["generator", "seeded", "stream_seed"]


def stream_seed(seed: int, *names: str | int) -> int:
    """Return the 63-bit seed of the stream `names` of `seed`, the same on every machine and Python version.

    `stream_seed(0, "augment", 12)` is unrelated to `stream_seed(0, "augment", 13)` and to `stream_seed(1, ...)`.
    """
    digest = hashlib.sha256(json.dumps([seed, *names]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a fresh generator on `device` at the start of the stream `names` of `seed`."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Run the body with torch's global CPU generator at the start of a stream; put its state back afterwards.

    For code that takes no generator, such as the initialisers of timm.
    """
    import torch

    state = torch.get_rng_state()
    torch.default_generator.manual_seed(stream_seed(seed, *names))
    try:
        yield
    finally:
        torch.set_rng_state(state)
