"""Random streams are stable, independent, and do not change the global generator."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from trainer.seeding import seeded, stream_generator, stream_seed


def test_stream_seed_never_changes():
    # Written down once: other values would give every stored trial other numbers without a new RESULT_VERSION.
    assert stream_seed(0, "order", 0) == 1014162656242027106
    assert stream_seed(7) == 3193050612831425908


def test_streams_are_apart():
    names = [("a",), ("b",), ("a", 1), ("a", "1"), ("a", 11), ("a", 1, 1), (), ("a1",)]
    seeds = {stream_seed(seed, *name) for seed in (0, 1) for name in names}
    assert len(seeds) == 2 * len(names)


def test_seeds_fit_every_generator():
    seeds = [stream_seed(0, "x", n) for n in range(1000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(seeds)


def test_generator_is_a_fresh_start_of_the_stream():
    first, second = (torch.rand(4, generator=stream_generator(3, "anchors", 5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.rand(4, generator=stream_generator(3, "anchors", 6)))


def test_seeded_puts_the_global_generator_back():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with seeded(9, "init"):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(9, "init"):
        torch.rand(2).div(1) / (1 // 0)
    assert torch.equal(torch.get_rng_state(), state)
    with seeded(9, "init"):
        assert torch.equal(torch.rand(2), inside)


def test_import_is_torch_free():
    code = "import sys, trainer.seeding; trainer.seeding.stream_seed(0, 'a'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
