"""Every head of the table against the contract."""

from __future__ import annotations

import pytest

from trainer.build import HEADS
from trainer.testing.head import AUXILIARY, HeadContract


class TestHeads(HeadContract):
    @pytest.fixture(params=HEADS)
    def kind(self, request):
        return request.param


def test_the_table_of_auxiliary_logits_has_every_head():
    assert set(AUXILIARY) == set(HEADS)
