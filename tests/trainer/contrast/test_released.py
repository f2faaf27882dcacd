"""`as_released` reproduces defects 1 to 5 and changes nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from trainer.build import build_contrast
from trainer.config import AnchorConfig, ContrastConfig, MemoryConfig, MiningConfig
from trainer.contrast import PixelContrast, ReleasedContrast
from trainer.contrast.keys import BatchKeys, KeyBlock, Keys, KeySlots
from trainer.contrast.loss import Anchors, mined_info_nce
from trainer.contrast.queue import ClassQueue
from trainer.contrast.released import self_mask, write_rows

CAMVID = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "camvid_small"
EVERYTHING = MiningConfig(kind="hardest", positives=999, negatives=999)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def released(classes: int = 4, kind: str = "pixel_region", **knobs: object) -> ReleasedContrast:
    values = {
        "embedding_dim": 8,
        "anchors": AnchorConfig(per_class=5),
        "mining": EVERYTHING,
        "memory": MemoryConfig(kind=kind, pixels_per_class=20, regions_per_class=4, pixels_per_image=3),
        "as_released": True,
    }
    module = build_contrast(ContrastConfig(**{**values, **knobs}), classes)
    assert isinstance(module, ReleasedContrast)
    return module


def scene(classes: int = 4):
    embedding_BDhw = F.normalize(torch.randn(3, 8, 12, 14, generator=draw(1)), dim=1)
    label_BHW, prediction_BHW = torch.randint(0, classes, (2, 3, 48, 56), generator=draw(2))
    return embedding_BDhw.requires_grad_(), label_BHW, prediction_BHW


@pytest.mark.parametrize("kind", ["pixel", "region"])
def test_defects_1_and_2_leave_a_bank_at_chance(kind):
    """On CamVid about one row in ten belongs to the class it is filed under; of ours, every one."""
    if not CAMVID.is_dir():
        pytest.skip(f"no CamVid at {CAMVID}")
    paths = sorted((CAMVID / "train" / "labels").glob("*.png"))[::3]
    label_BHW = torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in paths])).long()
    embedding_BDhw = F.normalize(torch.randn(len(paths), 8, 45, 60, generator=draw(3)), dim=1)
    memory = MemoryConfig(kind=kind)
    module = released(11, memory=memory)
    module.push(embedding_BDhw, label_BHW, generator=draw())
    assert 0.03 < module.diagnostics()["contrast/purity"] < 0.25
    ours = PixelContrast(ContrastConfig(embedding_dim=8, memory=memory), 11)
    ours.push(embedding_BDhw, label_BHW, generator=draw())
    assert ours.diagnostics()["contrast/purity"] == 1


def test_defect_1_rows_are_the_first_pixels_of_the_map():
    embedding_BDhw, label_BHW, _ = scene()
    label_BHW[:] = 255
    label_BHW[0, -8:, -16:] = 2  # two coarse pixels in the last corner
    module = released(kind="pixel")
    module.push(embedding_BDhw, label_BHW, generator=draw())
    (queue,) = module.bank.contents()
    assert queue.count_C.tolist() == [0, 0, 2, 0]
    first_2D = embedding_BDhw[0].flatten(1)[:, :2].T
    assert {tuple(row) for row in queue.embedding_CKD[2, :2].tolist()} == {tuple(row) for row in first_2D.tolist()}


def test_defect_2_a_region_is_the_mean_at_positions_of_the_coarse_labels():
    embedding_BDhw, label_BHW, _ = scene()
    label_BHW[:] = 255
    label_BHW[1, 8, 16] = 3  # coarse pixel (1, 2) of a map 7 wide
    module = released(kind="region")
    module.push(embedding_BDhw, label_BHW, generator=draw())
    (queue,) = module.bank.contents()
    torch.testing.assert_close(queue.embedding_CKD[3, 0], embedding_BDhw[1].flatten(1)[:, 1 * 7 + 2])


def test_defect_3_the_pointer_moves_by_one_and_the_newest_rows_are_overwritten():
    queue, seen = ClassQueue(1, 6, 1), []
    for step in range(5):
        row_CkD = 10.0 * (step + 1) + torch.arange(3.0).view(1, 3, 1)
        write_rows(queue, row_CkD, torch.ones(1, 3), torch.tensor([3]))
        seen.append((int(queue.pointer_C), int(queue.count_C), queue.embedding_CKD[0, :, 0].tolist()))
    assert seen == [
        (1, 3, [10, 11, 12, 0, 0, 0]),
        (2, 4, [10, 20, 21, 22, 0, 0]),
        (3, 5, [10, 20, 30, 31, 32, 0]),
        (0, 6, [10, 20, 30, 40, 41, 42]),
        (1, 6, [50, 51, 52, 40, 41, 42]),
    ]


def test_rows_that_are_not_valid_are_not_written():
    queue = ClassQueue(2, 4, 1)
    write_rows(queue, torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]]), torch.ones(2, 2), torch.tensor([0, 1]))
    assert queue.embedding_CKD[..., 0].tolist() == [[0, 0, 0, 0], [3, 0, 0, 0]]
    assert (queue.pointer_C.tolist(), queue.count_C.tolist()) == ([0, 1], [0, 1])


def test_defect_4_class_0_is_never_stored_yet_its_zeros_are_positives():
    module, batch = released(), scene()
    module.push(*batch[:2], generator=draw())
    assert all(queue.count_C[0] == 0 and (queue.count_C[1:] > 0).all() for queue in module.bank.contents())
    batch[1][:] = 0
    stats = module(*batch, generator=draw()).stats
    assert stats["contrast/anchors"] == 5
    assert stats["contrast/positives"] == 24, "all slots of both queues"
    assert stats["contrast/positive_similarity"] == 0


def test_defect_5_every_anchor_misses_the_row_of_its_own_number():
    module, batch = released(), scene()
    module.push(*batch[:2], generator=draw())
    label_Nhw = torch.zeros(3, 12, 14, dtype=torch.int64)
    anchors, keys, _ = module.candidates(batch[0], module.context(label_Nhw, label_Nhw, (12, 14), draw()))
    mask_A = self_mask(keys, 4 * 24 + 2)
    assert keys.batch.slots.rows == 0, "the bank alone"
    pixel, region = 0, 4 * 20
    assert mask_A[:5].tolist() == [region + 4, region + 5, region + 6, region + 7, pixel + 20], "class 1, regions first"
    assert mask_A[3 * 24] == region, "class 0 comes last"
    assert mask_A[-2:].tolist() == [-1, -1], "beyond the end"
    assert sorted(mask_A[:-2].tolist()) == list(range(4 * 24))
    assert torch.equal(anchors.excluded_A, mask_A[:20])


def test_defect_5_the_loss_depends_on_the_order_of_the_bank():
    module, batch = released(kind="pixel"), scene()
    for step in range(30):
        module.push(*batch[:2], generator=draw(step))
    before = module(*batch, generator=draw()).loss
    (queue,) = module.bank.contents()
    queue.embedding_CKD.copy_(queue.embedding_CKD.flip(1))
    assert (module(*batch, generator=draw()).loss - before).abs() > 1e-4


@pytest.mark.parametrize("mining", ["random", "hardest", "semi_hard"])
def test_loss_equals_loops_over_the_released_list(mining):
    module, batch = released(mining=MiningConfig(kind=mining, positives=999, negatives=999, hard_fraction=1)), scene()
    for step in range(2):
        module.push(*batch[:2], generator=draw(step))
    output = module(*batch, generator=draw())
    label_Nhw, prediction_Nhw = (item[:, 2::4, 2::4] for item in batch[1:])
    context = module.context(label_Nhw, prediction_Nhw, batch[0].shape[2:], draw())
    anchors, *_ = module.candidates(batch[0], context)
    pixel, region = module.bank.contents()
    listed = []
    for c in (1, 2, 3, 0):
        for queue in (region, pixel):
            listed += [(c, queue.embedding_CKD[c, k], c == 0 or k < queue.count_C[c]) for k in range(queue.capacity)]
    losses = []
    for a in range(20):
        similarity = [(i, c, (anchors.embedding_AD[a] @ row) / 0.1) for i, (c, row, used) in enumerate(listed) if used]
        total = sum(value.exp() for _, c, value in similarity if c != anchors.class_A[a])
        own = [value for i, c, value in similarity if c == anchors.class_A[a] and i != a]
        terms = [-(value.exp() / (value.exp() + total)).log() for value in own]
        losses.append(sum(terms) / len(terms))
    torch.testing.assert_close(output.loss, sum(losses) / len(losses), atol=1e-5, rtol=1e-5)
    output.loss.backward()
    assert batch[0].grad.abs().sum() > 0


def recorded_case() -> tuple[Anchors, Keys]:
    """16 anchors of 4 classes against full queues of 3 regions and 5 pixels per class, in closed form."""

    def unit(*shape: int, phase: float) -> torch.Tensor:
        number = torch.arange(math.prod(shape), dtype=torch.float64).view(shape)
        return F.normalize(torch.sin(1.7 * number + phase) + torch.cos(0.31 * number), dim=-1).float()

    full_CK = (torch.ones(4, 5, dtype=torch.bool), torch.ones(4, 3, dtype=torch.bool))
    pixel_CKD, region_CKD = unit(4, 5, 8, phase=0.2), unit(4, 3, 8, phase=1.1)
    pixel_CKD[0], region_CKD[0] = 0, 0  # defect 4
    none = torch.zeros(1, 4, dtype=torch.int64)
    keys = Keys(
        batch=BatchKeys(torch.empty(0, 8), KeySlots(none[0, :0], none, none, per_class=0)),
        bank=(KeyBlock(pixel_CKD, full_CK[0]), KeyBlock(region_CKD, full_CK[1])),
    )
    class_A = torch.arange(16) // 4
    anchors = Anchors(
        embedding_AD=unit(16, 8, phase=2.3),
        class_A=class_A,
        position_A=torch.arange(16),
        scope_A=torch.zeros_like(class_A),
        valid_A=class_A >= 0,
        excluded_A=self_mask(keys, 16),
    )
    return anchors, keys


def test_the_loss_is_that_recorded_with_the_released_code():
    """Recorded with `_contrastive` of lib/loss/loss_contrast_mem.py (github.com/tfzhou/ContrastiveSeg, commit c5862b9)
    on the CPU: temperature and base temperature 0.07, anchors one by one, queue = cat([regions, pixels], dim=1)."""
    anchors, keys = recorded_case()
    mined = mined_info_nce(anchors, keys, EVERYTHING, 0.07, draw())
    assert mined.loss.item() == pytest.approx(12.951630, rel=1e-6)
    assert mined.negatives == 24, "all rows of the other classes, also those that the self-mask excludes"


def test_the_option_is_refused_where_it_says_nothing():
    with pytest.raises(ValueError, match=r"contrast\.as_released"):
        ContrastConfig(as_released=True, source="intra_image")
    with pytest.raises(ValueError, match=r"contrast\.as_released"):
        ContrastConfig(as_released=True, memory=MemoryConfig(kind="none"))
    with pytest.raises(ValueError, match=r"contrast\.as_released"):
        ReleasedContrast(ContrastConfig(), 4)
    assert type(build_contrast(ContrastConfig(), 4)) is PixelContrast
