"""Every head of the table against the contract."""

from __future__ import annotations

import pytest

from tests.conformance.head import AUXILIARY, HeadContract
from trainer.build import HEADS


class TestHeads(HeadContract):
    @pytest.fixture(params=HEADS)
    def kind(self, request):
        return request.param


def test_every_head_has_made_its_promise():
    assert set(AUXILIARY) == set(HEADS)
