"""Ring buffers compared with Python lists."""

from __future__ import annotations

from collections import deque

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contrast.queue import ClassQueue, Rows


def rows_of(value_CR: torch.Tensor, valid_CR: torch.Tensor) -> Rows:
    return Rows(value_CR[..., None].expand(*value_CR.shape, 2), torch.ones_like(value_CR), valid_CR)


def held(queue: ClassQueue, c: int) -> list[float]:
    """Values of class c, oldest first."""
    count, pointer = int(queue.count_C[c]), int(queue.pointer_C[c])
    slots = [(pointer - count + i) % queue.capacity for i in range(count)]
    return [float(queue.embedding_CKD[c, slot, 0]) for slot in slots]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 7), st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 999))
def test_queue_behaves_like_a_deque_per_class(capacity, pushes, seed):
    generator = torch.Generator().manual_seed(seed)
    queue = ClassQueue(3, capacity, 2)
    references = [deque(maxlen=capacity) for _ in range(3)]
    for offered in pushes:
        value_CR = torch.rand(3, offered, generator=generator)
        valid_CR = torch.rand(3, offered, generator=generator) < 0.6
        queue.push(rows_of(value_CR, valid_CR))
        for c in range(3):
            references[c].extend(value_CR[c][valid_CR[c]].tolist())
            assert held(queue, c) == list(references[c])
            assert int(queue.filled[c].sum()) == len(references[c])


def test_state_survives_a_round_trip():
    queue, copy = ClassQueue(2, 4, 2), ClassQueue(2, 4, 2)
    queue.push(rows_of(torch.rand(2, 3), torch.ones(2, 3, dtype=torch.bool)))
    copy.load_state_dict(queue.state_dict())
    assert held(copy, 0) == held(queue, 0) != []
    assert set(queue.state_dict()) == {"embedding_CKD", "purity_CK", "pointer_C", "count_C"}
