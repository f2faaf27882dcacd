"""The results of two ranks and of one process, computed once for all tests."""

from __future__ import annotations

import pytest
import torch

from trainer.launch import run_ranks
from trainer.testing import two_ranks as shared


@pytest.fixture(scope="session")
def two_ranks() -> list[dict[str, shared.Fact]]:
    """`trainer.testing.two_ranks.facts` of each of two ranks, joined through gloo."""
    facts: list[dict[str, shared.Fact]] = run_ranks(shared.work, 2, lambda step, metrics: None)
    return facts


@pytest.fixture(scope="session")
def one_rank() -> dict[str, shared.Fact]:
    """The same from this process, with the whole of each batch."""
    with torch.random.fork_rng():
        return shared.facts()
