"""Regression tests of the defects in docs/released_code.md: `test_defect_<number>_...`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import trainer.contrast.memory as memory_module
from trainer.config import AnchorConfig, ContrastConfig, MemoryConfig, MiningConfig
from trainer.contrast import ANCHOR_SAMPLERS, MINERS, PixelContrast
from trainer.contrast.groups import Slots, sample_groups
from trainer.contrast.memory import MemoryBank
from trainer.contrast.pixels import reduce_nearest
from trainer.contrast.queue import ClassQueue, Rows

ROOT = Path(__file__).resolve().parents[3]
CAMVID = ROOT / ".." / "shared" / "data" / "camvid_small"
CLASSES = 11
STRIDE_4 = (45, 60)


@pytest.fixture(scope="module")
def camvid_labels() -> torch.Tensor:
    """Labels of every third training image, (32, 180, 240)."""
    if not CAMVID.is_dir():
        pytest.skip(f"no CamVid at {CAMVID}")
    paths = sorted((CAMVID / "train" / "labels").glob("*.png"))[::3]
    return torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in paths])).long()


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unit_map(images: int, size_hw: tuple[int, int] = STRIDE_4, width: int = 8) -> torch.Tensor:
    return F.normalize(torch.randn(images, width, *size_hw, generator=draw(99)), dim=1)


def purity(label_BHW: torch.Tensor, kind: str) -> float:
    """Measured purity of a bank filled with these images."""
    bank = MemoryBank(MemoryConfig(kind=kind), CLASSES, 8)
    bank.push(unit_map(len(label_BHW)), label_BHW, generator=draw())
    measured = bank.purity()
    assert measured is not None
    return measured


def module_with(classes: int = CLASSES, **knobs: object) -> PixelContrast:
    config = ContrastConfig(
        **{
            "embedding_dim": 8,
            "keys_per_class": 20,
            "anchors": AnchorConfig(per_class=10),
            "mining": MiningConfig(kind="hardest", positives=12, negatives=40),
            "memory": MemoryConfig(pixels_per_class=30, regions_per_class=6),
            **knobs,
        }
    )
    return PixelContrast(config, classes)


def random_batch(classes: int = CLASSES) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    label_BHW, prediction_BHW = torch.randint(0, classes, (2, 3, 48, 40), generator=draw(1))
    return unit_map(3, (12, 10)).requires_grad_(), label_BHW, prediction_BHW


def test_every_defect_has_a_test_that_is_named_after_it():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert {int(number) for number in re.findall(r"^def test_defect_(\d+)_", tests, re.MULTILINE)} == {*range(1, 16)}


def test_the_documented_tests_exist():
    text = (ROOT / "docs" / "released_code.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert {int(number) for number in re.findall(r"^\*\*(\d+)\. ", text, re.MULTILINE)} == {*range(1, 16)}
    assert [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("kind", ["pixel", "region", "pixel_region"])
def test_defect_1_every_stored_row_belongs_to_its_class(camvid_labels, kind):
    assert purity(camvid_labels, kind) == 1.0


def test_defect_1_the_released_indexing_is_measured_at_chance(camvid_labels, monkeypatch):
    """Released: positions drawn below n, the number of the class's pixels, instead of among these pixels."""

    def released(group_P, groups, slots, *, generator):
        drawn = sample_groups(group_P, groups, slots, generator=generator)
        images, pixels = len(camvid_labels), STRIDE_4[0] * STRIDE_4[1]
        for g in range(groups):
            members = max(int((group_P == g).sum()), slots)
            drawn.index_Gk[g] = torch.randperm(members, generator=generator)[:slots] + g % images * pixels
        return Slots(drawn.index_Gk, drawn.valid_Gk)

    monkeypatch.setattr(memory_module, "sample_groups", released)
    assert 0.05 < purity(camvid_labels, "pixel") < 0.15


@pytest.mark.parametrize("kind", ["pixel", "region"])
def test_defect_2_labels_at_another_stride_are_measured_as_impure(camvid_labels, monkeypatch, kind):
    """Released: flat positions in labels at stride 8 index features at stride 4."""

    def released(map_BHW, size_hw):
        coarse_BP = reduce_nearest(map_BHW, (size_hw[0] // 2, size_hw[1] // 2)).flatten(1)
        return F.pad(coarse_BP, (0, size_hw[0] * size_hw[1] - coarse_BP.shape[1]), value=255).view(-1, *size_hw)

    monkeypatch.setattr(memory_module, "reduce_nearest", released)
    assert purity(camvid_labels, kind) < 0.25


@pytest.mark.parametrize("size_hw", [(45, 60), (23, 30), (12, 15)])
def test_defect_2_labels_come_at_the_exact_size_of_the_embedding(camvid_labels, size_hw):
    bank = MemoryBank(MemoryConfig(), CLASSES, 8)
    bank.push(unit_map(len(camvid_labels), size_hw), camvid_labels, generator=draw())
    assert bank.purity() == 1.0


def test_defect_3_wrap_around_overwrites_the_oldest_rows():
    queue = ClassQueue(1, 5, 1)
    for start in (0, 3, 6):
        value_CR = torch.arange(start, start + 3.0)[None]
        queue.push(Rows(value_CR[..., None], torch.ones(1, 3), torch.ones(1, 3, dtype=torch.bool)))
    assert sorted(queue.embedding_CKD.flatten().tolist()) == [4, 5, 6, 7, 8]
    assert queue.pointer_C.tolist() == [9 % 5]


def test_defect_4_class_0_is_stored_and_compared():
    module, (embedding_BDhw, label_BHW, prediction_BHW) = module_with(classes=2), random_batch(classes=2)
    label_BHW[:, :, :20] = 0
    module.push(embedding_BDhw, label_BHW, generator=draw())
    assert all((queue.count_C > 0).all() for queue in module.bank.contents())
    assert all((queue.embedding_CKD[queue.filled].norm(dim=1) > 0.99).all() for queue in module.bank.contents())
    label_BHW[:] = 0
    assert module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw()).stats["contrast/anchors"] == 10


def test_defect_5_the_order_of_the_bank_does_not_matter():
    module, batch = module_with(), random_batch()
    for step in range(5):
        module.push(*batch[:2], generator=draw(step))
    before = module(*batch, generator=draw()).loss
    for queue in module.bank.contents():
        order_K = torch.randperm(queue.capacity, generator=draw(3))
        assert (queue.count_C == queue.capacity).all()
        queue.embedding_CKD.copy_(queue.embedding_CKD[:, order_K])
    torch.testing.assert_close(module(*batch, generator=draw()).loss, before)


def test_defect_5_the_names_of_the_classes_do_not_matter():
    embedding_BDhw, label_BHW, prediction_BHW = random_batch()
    renamed_C = torch.randperm(CLASSES, generator=draw(4))
    losses = []
    for label, prediction in ((label_BHW, prediction_BHW), (renamed_C[label_BHW], renamed_C[prediction_BHW])):
        module = module_with()
        for step in range(3):
            module.push(embedding_BDhw, label, generator=draw(step))
        losses.append(module(embedding_BDhw, label, prediction, generator=draw()).loss)
    torch.testing.assert_close(losses[0], losses[1])


def test_defect_5_more_anchors_than_rows():
    memory = MemoryConfig(kind="pixel", pixels_per_class=2)
    module, batch = module_with(anchors=AnchorConfig(per_class=50), memory=memory), random_batch()
    module.push(*batch[:2], generator=draw())
    assert module(*batch, generator=draw()).loss.isfinite()


@pytest.mark.parametrize("mining", MINERS)
def test_defect_6_an_empty_row_never_takes_part(mining):
    batch = random_batch()
    knobs = {"mining": MiningConfig(kind=mining, positives=500, negatives=500)}
    expected = module_with(memory=MemoryConfig(kind="none"), **knobs)(*batch, generator=draw())
    module = module_with(**knobs)
    for queue in module.bank.contents():
        queue.embedding_CKD.fill_(1e3)
    actual = module(*batch, generator=draw())
    assert actual.stats["contrast/positives"] == expected.stats["contrast/positives"]
    if mining != "random":
        torch.testing.assert_close(actual.loss, expected.loss)
    assert actual.stats["contrast/negative_similarity"] <= 1


@pytest.mark.parametrize("mining", MINERS)
@pytest.mark.parametrize("anchors", ANCHOR_SAMPLERS)
@pytest.mark.parametrize(
    ("source", "memory"),
    [("intra_image", "none"), *[("inter_image", kind) for kind in memory_module.MEMORIES]],
)
def test_defect_8_the_loss_enters_the_gradient_on_every_path(source, memory, anchors, mining):
    module = module_with(
        source=source,
        anchors=AnchorConfig(kind=anchors, per_class=10),
        mining=MiningConfig(kind=mining, positives=5, negatives=9),
        memory=MemoryConfig(kind=memory, pixels_per_class=30, regions_per_class=6),
    )
    embedding_BDhw, label_BHW, prediction_BHW = random_batch()
    module.push(embedding_BDhw, label_BHW, generator=draw())
    loss = module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw()).loss
    (grad_BDhw,) = torch.autograd.grad(loss, embedding_BDhw)
    assert loss > 0
    assert grad_BDhw.isfinite().all()
    assert (grad_BDhw.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_defect_9_harder_mining_is_harder():
    """The miners themselves are tested against a slow oracle in test_mining.py and test_loss.py."""
    batch, losses = random_batch(), {}
    for kind in MINERS:
        module = module_with(mining=MiningConfig(kind=kind, positives=8, negatives=20, hard_fraction=0.5))
        module.push(*batch[:2], generator=draw())
        losses[kind] = module(*batch, generator=draw()).loss.item()
    assert losses["random"] < losses["semi_hard"] < losses["hardest"]


@pytest.mark.parametrize("source", ["intra_image", "inter_image"])
@pytest.mark.parametrize("mining", MINERS)
def test_defect_10_no_qualifying_class_gives_a_differentiable_zero(source, mining):
    module = module_with(source=source, mining=MiningConfig(kind=mining))
    embedding_BDhw, label_BHW, prediction_BHW = random_batch()
    label_BHW = torch.full_like(label_BHW, 255)
    module.push(embedding_BDhw, label_BHW, generator=draw())
    output = module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw())
    output.loss.backward()
    assert output.loss == 0
    assert (embedding_BDhw.grad == 0).all()
    counts = {"contrast/anchors", "contrast/anchored_share"}
    assert all(output.stats[name] == 0 for name in counts)
    assert all(value.isnan() for name, value in output.stats.items() if name not in counts), "nothing to average"
    assert module.diagnostics().get("contrast/purity") is None


def test_defect_10_a_lone_pixel_has_no_positive_and_counts_for_nothing():
    module, (embedding_BDhw, label_BHW, prediction_BHW) = module_with(), random_batch()
    label_BHW[:] = 1
    label_BHW[0, 2, 2] = 5
    output = module(embedding_BDhw, label_BHW, prediction_BHW, generator=draw())
    output.loss.backward()
    assert output.stats["contrast/anchors"] == 10
    assert output.loss.isfinite()
    assert embedding_BDhw.grad.isfinite().all()


def test_defect_10_autocast_changes_neither_precision_nor_value():
    batch, found = random_batch(), []
    for autocast in (False, True):
        module = module_with(mining=MiningConfig())
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            module.push(*batch[:2], generator=draw())
            output = module(*batch, generator=draw(1))
        (grad_BDhw,) = torch.autograd.grad(output.loss, batch[0])
        found.append({**output.stats, "loss": output.loss.detach(), "gradient": grad_BDhw, **module.state_dict()})
    assert found[1]["loss"].dtype == torch.float32
    assert [name for name, value in found[0].items() if not torch.equal(value, found[1][name])] == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_defect_10_half_precision_embeddings(dtype):
    module, (embedding_BDhw, label_BHW, prediction_BHW) = module_with(temperature=0.01), random_batch()
    half_BDhw = embedding_BDhw.detach().to(dtype).requires_grad_()
    module.push(half_BDhw, label_BHW, generator=draw())
    loss = module(half_BDhw, label_BHW, prediction_BHW, generator=draw()).loss
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert half_BDhw.grad.dtype == dtype
    assert half_BDhw.grad.isfinite().all()


def test_defect_13_thin_classes_give_anchors_unless_asked_otherwise(camvid_labels):
    assert AnchorConfig().min_pixels == 1
    label_BHW, embedding_BDhw = camvid_labels[:4], unit_map(4)
    shares = []
    for min_pixels in (1, 101):
        module = module_with(anchors=AnchorConfig(per_class=10, min_pixels=min_pixels))
        output = module(embedding_BDhw, label_BHW, label_BHW, generator=draw())
        shares.append(output.stats["contrast/skipped_share"].item())
    reduced_P = reduce_nearest(label_BHW, STRIDE_4).flatten()
    pixels_C = torch.bincount(reduced_P[reduced_P < CLASSES], minlength=CLASSES)
    thin, present = int(((pixels_C > 0) & (pixels_C < 101)).sum()), int((pixels_C > 0).sum())
    assert thin > 0
    assert shares == [0.0, pytest.approx(thin / present)]
