"""What makes training slow, counted instead of timed: passes over the bank, waits for the device, decodes, big tensors.

The waits inside the contrast alone, and on a real GPU, are in tests/trainer/contrast/test_module.py (defect 14).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainer.block_size import anchors_at_a_time
from trainer.build import build_segmentor
from trainer.config import (
    AnchorConfig,
    ContrastConfig,
    DataConfig,
    MemoryConfig,
    MiningConfig,
    ModelConfig,
    ScheduleConfig,
    TrainConfig,
)
from trainer.contrast import PixelContrast
from trainer.data.files.camvid import CamVid
from trainer.data.loading.batches import Batch, TrainBatches, evaluation_batches
from trainer.data.reading import decode, pairs
from trainer.data.reading.cache import DecodedCache
from trainer.optim import build_optimizer
from trainer.step import TrainStep

CLASSES, ROWS, PER_CLASS, WIDTH = 10, 4000, 40, 8
ANCHORS, BANK = CLASSES * PER_CLASS, CLASSES * ROWS
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal"}
"""Operators for which a GPU's host waits."""
PRODUCTS = {"mm", "bmm", "addmm", "matmul"}


class Watch(TorchDispatchMode):
    """Counts what is run: elements read of watched tensors by operator, waits, and the largest tensor made."""

    def __init__(self, *watched):
        super().__init__()
        self.storages = {tensor.untyped_storage().data_ptr() for tensor in watched}
        self.read, self.calls, self.largest = Counter(), Counter(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.removesuffix("_")
        self.calls[name] += 1
        if name in {"index", "index_put"} and any(is_mask(index) for index in args[1]):
            self.calls["nonzero"] += 1
        for tensor in tensors((args, kwargs)):
            if tensor.untyped_storage().data_ptr() in self.storages and not func.is_view:
                self.read[name] += tensor.numel()
        made = [tensor for tensor in tensors(result) if tensor.untyped_storage().data_ptr() not in self.storages]
        self.largest = max([self.largest, *(tensor.numel() for tensor in made)])
        return result

    @property
    def waits(self):
        return {name: count for name, count in self.calls.items() if name in WAITS}


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def is_mask(index):
    return index is not None and index.dtype == torch.bool


def contrast_of(mining, positives=64, negatives=128):
    return ContrastConfig(
        embedding_dim=WIDTH,
        warmup_fraction=0.0,
        anchors=AnchorConfig(per_class=PER_CLASS),
        mining=MiningConfig(kind=mining, positives=positives, negatives=negatives),
        memory=MemoryConfig(kind="pixel", pixels_per_class=ROWS),
    )


def full_bank(config):
    module = PixelContrast(config, CLASSES)
    (queue,) = module.bank.contents()
    queue.embedding_CKD.copy_(torch.nn.functional.normalize(torch.randn(queue.embedding_CKD.shape), dim=2))
    queue.count_C.fill_(queue.capacity)
    return module, queue


def scene():
    torch.manual_seed(0)
    return torch.randn(4, WIDTH, 32, 32).requires_grad_(), *torch.randint(0, CLASSES, (2, 4, 128, 128))


@pytest.mark.parametrize("mining", ["random", "hardest", "semi_hard"])
@pytest.mark.parametrize("chosen", [128, 10**6])
def test_every_block_of_anchors_passes_over_the_bank_twice(mining, chosen):
    """Once for the similarities, once for the gradient: chosen rows one by one, or a product with all."""
    module, queue = full_bank(contrast_of(mining, positives=chosen, negatives=chosen))
    with Watch(queue.embedding_CKD) as watch:
        module(*scene(), generator=torch.Generator().manual_seed(0)).loss.backward()
    blocks = -(-ANCHORS // anchors_at_a_time(ANCHORS, BANK, "cpu"))
    assert blocks == 4
    passes = {name: count / queue.embedding_CKD.numel() for name, count in watch.read.items()}
    assert sum(count for name, count in passes.items() if name in PRODUCTS) == (blocks if chosen == 128 else 2 * blocks)
    assert sum(passes.values()) == 2 * blocks


def test_a_push_reads_the_rows_it_replaces_alone():
    module, queue = full_bank(contrast_of("random"))
    embedding, label, _ = scene()
    with Watch(queue.embedding_CKD) as watch:
        module.push(embedding.detach(), label, generator=torch.Generator().manual_seed(0))
    assert set(watch.read) == {"index", "index_put"}
    assert watch.largest < queue.embedding_CKD.numel() / 2


@pytest.mark.parametrize("mining", ["random", "hardest", "semi_hard"])
def test_no_tensor_is_as_large_as_anchors_times_bank(mining):
    module, _ = full_bank(contrast_of(mining))
    embedding, label, prediction = scene()
    with Watch() as watch:
        module(embedding, label, prediction, generator=torch.Generator().manual_seed(0)).loss.backward()
        module.push(embedding.detach(), label, generator=torch.Generator().manual_seed(0))
    block = anchors_at_a_time(ANCHORS, BANK, "cpu")
    assert block * BANK < watch.largest < 1.25 * block * BANK < ANCHORS * BANK / 2


@pytest.mark.parametrize("source", ["none", "intra_image", "inter_image"])
@pytest.mark.parametrize("head", ["hrnet", "deeplabv3", "ocr"])
def test_a_training_step_never_waits(source, head):
    """Nor does it read a number back: the metrics stay on the device until a point is logged."""
    config = TrainConfig(
        model=ModelConfig(backbone="timm/test_resnet", head=head, head_channels=8),
        contrast=replace(contrast_of("semi_hard"), source=source),
        schedule=ScheduleConfig(steps=4, batch_size=2),
    ).normalised()
    module = None if source == "none" else PixelContrast(config.contrast, CLASSES)
    model = build_segmentor(config.model, config.contrast, classes=CLASSES, seed=0).train()
    step = TrainStep(config, model, module, build_optimizer(model, config.optim), torch.device("cpu"))
    batch = Batch(torch.rand(2, 3, 64, 64), torch.randint(0, CLASSES, (2, 64, 64)))
    with Watch() as watch:
        for number in range(2):
            step(batch, number)
    assert watch.calls["convolution"] > 0
    assert watch.waits == {}
    with Watch() as watch:
        batch.image_B3HW.mean().item()
        batch.label_BHW[batch.label_BHW > 3].sum()
    assert watch.waits == {"_local_scalar_dense": 1, "nonzero": 1}


@pytest.fixture
def camvid(tmp_path):
    rng = np.random.default_rng(0)
    for split, images in (("train", 5), ("val", 2), ("test", 3)):
        for number in range(images):
            for kind, shape, ending in (("images", (48, 64, 3), "jpg"), ("labels", (48, 64), "png")):
                path = tmp_path / "camvid" / split / kind / f"{number}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 11, shape, dtype=np.uint8)).save(path)
    return tmp_path / "camvid"


def test_a_file_is_decoded_once_when_the_cache_is_built_and_never_after(camvid, tmp_path, monkeypatch):
    opened = Counter()
    pixels_of = decode.pixels_of

    def counting(image, path):
        opened[path] += 1
        return pixels_of(image, path)

    monkeypatch.setattr(decode, "pixels_of", counting)
    config = DataConfig(name="camvid", root=str(camvid), crop=(32, 48))
    cache = DecodedCache(tmp_path / "cache", 10**9)
    for _ in range(2):  # the second time as a trial that comes later
        source = CamVid(camvid, cache=cache)
        batches = TrainBatches(source, config, batch_size=2, seed=0)
        assert len(list(batches.iterate(0, 8))) == 8  # three epochs
        assert len(list(evaluation_batches(source, "val", 2))) == 1
    parts = [camvid / split / kind for split in ("train", "val") for kind in ("images", "labels")]
    assert opened == {path: 1 for part in parts for path in part.iterdir()}


def test_without_a_cache_every_read_decodes_one_image_and_one_label(camvid, monkeypatch):
    opened = Counter()
    decode_image = pairs.decode_image
    monkeypatch.setattr(pairs, "decode_image", lambda path: opened.update([path.name]) or decode_image(path))
    source = CamVid(camvid, cache=DecodedCache(None, 0))
    for index in range(5):
        source.read("train", index)
    assert opened == {f"{number}.jpg": 1 for number in range(5)}
