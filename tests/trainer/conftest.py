"""What two processes compute together, once for all tests."""

from __future__ import annotations

import pytest
import torch

from tests.conformance import two_ranks as together
from trainer.launch import run_ranks


@pytest.fixture(scope="session")
def two_ranks() -> list[dict[str, together.Fact]]:
    """`tests.conformance.two_ranks.facts` of each of two processes, joined through gloo."""
    facts: list[dict[str, together.Fact]] = run_ranks(together.work, 2, lambda step, metrics: None)
    return facts


@pytest.fixture(scope="session")
def one_rank() -> dict[str, together.Fact]:
    """The same of this process, with the whole of each batch."""
    with torch.random.fork_rng():
        return together.facts()
