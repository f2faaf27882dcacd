"""`PixelContrast` as the training step uses it."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from trainer.config import AnchorConfig, ContrastConfig, MemoryConfig, MiningConfig
from trainer.contrast import PixelContrast

STATS = {
    "contrast/loss",
    "contrast/anchors",
    "contrast/skipped_share",
    "contrast/anchored_share",
    "contrast/anchors_per_class",
    "contrast/alignment",
    "contrast/uniformity",
    "contrast/positives",
    "contrast/negatives",
    "contrast/positive_similarity",
    "contrast/negative_similarity",
}


def scene(seed: int = 0, device: str = "cpu"):
    """Embedding (3, 8, 6, 7), labels and predictions at 4 times the size, 4 classes."""
    generator = torch.Generator().manual_seed(seed)
    embedding_BDhw = F.normalize(torch.randn(3, 8, 6, 7, generator=generator), dim=1)
    label_BHW = torch.randint(0, 4, (3, 24, 28), generator=generator)
    label_BHW[:, :4] = 255
    prediction_BHW = torch.randint(0, 4, (3, 24, 28), generator=generator)
    return embedding_BDhw.to(device).requires_grad_(), label_BHW.to(device), prediction_BHW.to(device)


def contrast(source: str = "inter_image", memory: str = "pixel_region", mining: str = "semi_hard") -> PixelContrast:
    config = ContrastConfig(
        source=source,
        embedding_dim=8,
        keys_per_class=6,
        anchors=AnchorConfig(per_class=5),
        mining=MiningConfig(kind=mining, positives=4, negatives=7, hard_fraction=0.5),
        memory=MemoryConfig(kind=memory, pixels_per_class=20, regions_per_class=4, pixels_per_image=2),
    )
    return PixelContrast(config, 4)


def with_dtype(dtype: str | None) -> PixelContrast:
    config = contrast(mining="hardest").config
    return PixelContrast(replace(config, memory=replace(config.memory, dtype=dtype)), 4)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("memory", ["none", "pixel", "region", "pixel_region"])
def test_stats_count_what_was_compared(memory):
    module = contrast(memory=memory, mining="hardest")
    embedding_BDhw, label_BHW, prediction_BHW = scene()
    for step in range(3):
        module.push(embedding_BDhw, label_BHW, generator=draw(step))
    output = module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw())
    assert set(output.stats) == STATS
    assert all(value.ndim == 0 and not value.requires_grad for value in output.stats.values())
    assert output.stats["contrast/loss"] == output.loss
    assert output.stats["contrast/anchors"] == 20
    assert output.stats["contrast/anchored_share"] == 1
    assert output.stats["contrast/anchors_per_class"] == 5
    assert output.stats["contrast/alignment"] > 1
    assert output.stats["contrast/uniformity"] < -2
    assert output.stats["contrast/positives"] == 4
    assert output.stats["contrast/negatives"] == 7
    assert output.stats["contrast/positive_similarity"] < output.stats["contrast/negative_similarity"]


@pytest.mark.parametrize("source", ["intra_image", "inter_image"])
@pytest.mark.parametrize("kind", ["random", "hardest", "semi_hard"])
def test_the_mini_batch_alone_offers_what_the_mining_asks_for(source, kind):
    """With 100 keys per class, semi-hard anchors met 10 positives and 20 negatives; with a memory 1,024 and 2,048."""
    config = ContrastConfig(
        source=source,
        embedding_dim=8,
        anchors=AnchorConfig(per_class=3),
        mining=MiningConfig(kind=kind),
        memory=MemoryConfig(kind="none"),
    )
    embedding_BDhw = F.normalize(torch.randn(1, 8, 128, 256, generator=draw()), dim=1).requires_grad_()
    label_BHW, prediction_BHW = torch.randint(0, 3, (2, 1, 512, 1024), generator=draw(1))
    stats = PixelContrast(config, 3)(embedding_BDhw, label_BHW, prediction_BHW, generator=draw()).stats
    assert (stats["contrast/positives"], stats["contrast/negatives"]) == (1024, 2048)


def test_everything_random_comes_from_the_generator():
    embedding_BDhw, label_BHW, prediction_BHW = scene()
    losses = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        module = contrast()
        module.push(embedding_BDhw, label_BHW, generator=draw(5))
        losses.append(module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw(6)).loss)
    assert losses[0] == losses[1]
    assert module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw(7)).loss != losses[0]


def test_diagnostics():
    module = contrast()
    assert module.diagnostics() == {"contrast/bank_fill": 0.0}
    embedding_BDhw, label_BHW, _ = scene()
    module.push(embedding_BDhw, label_BHW, generator=draw())
    assert module.diagnostics() == {"contrast/bank_fill": (6 * 4 + 3 * 4) / (24 * 4), "contrast/purity": 1.0}
    assert contrast(memory="none").diagnostics() == {}


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_a_bank_in_half_precision_is_compared_in_float32(dtype, tolerance):
    full, half, batch = with_dtype(None), with_dtype(dtype), scene()
    for module in (full, half):
        module.push(*batch[:2], generator=draw())
    assert {queue.embedding_CKD.dtype for queue in half.bank.contents()} == {getattr(torch, dtype)}
    losses = [module(*batch, generator=draw(1)).loss for module in (full, half)]
    assert losses[1].dtype == torch.float32
    torch.testing.assert_close(losses[1], losses[0], atol=tolerance, rtol=tolerance)
    for queue in full.bank.contents():  # rounded by hand, the float32 bank gives the very same loss
        queue.embedding_CKD.copy_(queue.embedding_CKD.to(getattr(torch, dtype)))
    assert full(*batch, generator=draw(1)).loss == losses[1]


def test_push_without_a_bank_draws_nothing():
    embedding_BDhw, label_BHW, _ = scene()
    generator = draw()
    before = generator.get_state()
    contrast(source="intra_image").push(embedding_BDhw, label_BHW, generator=generator)
    assert torch.equal(generator.get_state(), before)


def test_bank_travels_in_the_state_dict():
    module, copy = contrast(), contrast()
    embedding_BDhw, label_BHW, prediction_BHW = scene()
    module.push(embedding_BDhw, label_BHW, generator=draw())
    copy.load_state_dict(module.state_dict())
    losses = [item(embedding_BDhw, label_BHW, prediction_BHW, generator=draw(1)).loss for item in (module, copy)]
    assert losses[0] == losses[1]


def test_intra_image_looks_at_one_image_only():
    """Turning the embedding of another image round changes nothing for the anchors of this one."""
    module = contrast(source="intra_image", mining="hardest")
    embedding_BDhw, label_BHW, prediction_BHW = scene()
    label_BHW[1:] = 255
    loss = module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw()).loss
    (grad_BDhw,) = torch.autograd.grad(loss, embedding_BDhw)
    assert grad_BDhw[0].abs().sum() > 0
    assert grad_BDhw[1:].abs().sum() == 0


def test_no_contrast_source_is_refused():
    with pytest.raises(ValueError, match=r"contrast\.source"):
        PixelContrast(ContrastConfig(source="none"), 4)


class NoHostSync(TorchDispatchMode):
    """Refuse the operators that make a GPU wait for its host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "unique"}, name
        if name in {"index", "index_put", "index_put_"}:
            assert all(index is None or index.dtype != torch.bool for index in args[1]), "boolean index"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("source", ["intra_image", "inter_image"])
@pytest.mark.parametrize("mining", ["random", "hardest", "semi_hard"])
def test_defect_14_a_step_needs_no_host_sync(source, mining):
    module = contrast(source=source, mining=mining)
    embedding_BDhw, label_BHW, prediction_BHW = scene()
    with NoHostSync():
        for step in range(2):
            module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw(step)).loss.backward()
            module.push(embedding_BDhw, label_BHW, generator=draw(step))


class OperatorCount(TorchDispatchMode):
    """Count the operators that are run."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("source", ["intra_image", "inter_image"])
def test_defect_14_no_loop_over_classes_or_images(source):
    counts = []
    for classes, images in ((4, 3), (9, 3), (4, 8)):
        module = PixelContrast(contrast(source=source).config, classes)
        embedding_BDhw = torch.randn(images, 8, 8, 9).requires_grad_()
        label_BHW, prediction_BHW = torch.randint(0, classes, (2, images, 32, 36))
        with OperatorCount() as operators:
            module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw()).loss.backward()
            module.push(embedding_BDhw, label_BHW, generator=draw())
        counts.append(operators.calls)
    assert counts[0] == counts[1] == counts[2] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("source", ["intra_image", "inter_image"])
@pytest.mark.parametrize("mining", ["random", "hardest", "semi_hard"])
def test_defect_14_a_step_on_a_gpu_never_waits(source, mining):
    module = contrast(source=source, mining=mining).cuda()
    embedding_BDhw, label_BHW, prediction_BHW = scene(device="cuda")
    generator = torch.Generator("cuda").manual_seed(0)
    embedding_BDhw = embedding_BDhw.detach().requires_grad_()
    module(embedding_BDhw, label_BHW, prediction_BHW, generator=generator).loss.backward()
    with no_synchronisation():
        module(embedding_BDhw, label_BHW, prediction_BHW, generator=generator).loss.backward()
        module.push(embedding_BDhw, label_BHW, generator=generator)


@contextmanager
def no_synchronisation():
    """Raises where the host waits for the GPU. The mode must not outlive an error: every later test would fail."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the mode a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
