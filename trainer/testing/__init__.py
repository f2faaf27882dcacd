"""Conformance suites for extensions of the trainer. Needs pytest; of the trainer only the golden trials import it.

Each suite is a class of tests. Inherit it and provide its fixture; the extension conforms if the subclass passes:

    from trainer.contrast.mining import MINERS
    from trainer.plugins import Entry
    from trainer.testing.miner import MinerContract

    class TestMyMiner(MinerContract):
        @pytest.fixture
        def kind(self, monkeypatch):
            monkeypatch.setitem(MINERS, "mine", Entry(code=my_miner))
            return "mine"

        @pytest.fixture
        def pool(self):  # the candidates that it draws from
            return lambda ranked, count, fraction: ranked[: 2 * count]

`miner.MinerContract`               fixture `kind`, a key of `MINERS`; `pool` for a new one
`anchor_sampler.SamplerContract`    fixture `sample`, the code of an entry of `ANCHOR_SAMPLERS`
`loss.LossContract`                 fixture `kind`, a key of `LOSSES`; `oracle`, a slow reference, for a new one
`head.HeadContract`                 fixture `kind`, a key of `HEADS`; `has_auxiliary` for a new one
`backbone.BackboneContract`         fixture `made`, from `Made.of(name, output_stride)`
`dataset.DatasetContract`           fixture `source`, any `trainer.data.Source`
`dataset.PairsContract`             fixture `tree`, a `look_alikes.LookAlike`: a small tree of files of the data set
`simulated_trial`                   a whole trial on a simulated CUDA device, which needs no GPU
`two_ranks`                         results of two ranks and of one process, to compare
"""

from __future__ import annotations

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
