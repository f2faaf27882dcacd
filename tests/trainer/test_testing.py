"""The suites of trainer.testing hold for an extension that is in none of the tables, as its package docstring shows."""

from __future__ import annotations

import pytest

from trainer.contrast.mining import MINERS, mine_hardest
from trainer.losses import LOSSES, cross_entropy
from trainer.plugins import Entry
from trainer.testing.loss import LossContract, slow_cross_entropy
from trainer.testing.miner import MinerContract


class TestOwnMiner(MinerContract):
    @pytest.fixture
    def kind(self, monkeypatch):
        monkeypatch.setitem(MINERS, "own", Entry(code=mine_hardest))
        return "own"

    @pytest.fixture
    def pool(self):
        return lambda ranked, count, fraction: ranked[:count]


class TestOwnLoss(LossContract):
    @pytest.fixture
    def kind(self, monkeypatch):
        twice = Entry(code=lambda logits, label, settings: 2 * cross_entropy(logits, label, settings.weight_C))
        monkeypatch.setitem(LOSSES, "own", twice)
        return "own"

    @pytest.fixture
    def oracle(self):
        return lambda logits, label, settings: 2 * slow_cross_entropy(logits, label, settings)
