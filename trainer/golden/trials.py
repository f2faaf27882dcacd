"""The tiny trials: one for every loss, miner, sampler, memory, head, backbone family, data set reader and precision.

Each is a set of settings by dotted key, so that code that lacks one of them can say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trainer.build import HEADS
from trainer.contrast import ANCHOR_SAMPLERS, MEMORIES, MINERS
from trainer.contrast.memory import DTYPES
from trainer.data.files.folder import DESCRIPTION
from trainer.losses import LOSSES
from trainer.optim import RATE_POLICIES
from trainer.testing.look_alikes import LOOK_ALIKES
from trainer.testing.own_data import OWN_DATA

__all__ = ["CUT_SHORT", "TINY", "TWO_RANKS", "reader_trials", "tiny_trials"]

Settings = Mapping[str, Any]

TINY: Settings = {
    "contrast.anchors.per_class": 6,
    "contrast.embedding_dim": 16,
    "contrast.keys_per_class": 12,
    "contrast.memory.pixels_per_class": 40,
    "contrast.memory.pixels_per_image": 3,
    "contrast.memory.regions_per_class": 10,
    "contrast.mining.negatives": 24,
    "contrast.mining.positives": 8,
    "contrast.warmup_fraction": 0.2,
    "data.crop": (32, 64),
    "data.synthetic.height": 48,
    "data.synthetic.test_images": 2,
    "data.synthetic.train_images": 6,
    "data.synthetic.val_images": 2,
    "data.synthetic.width": 64,
    "model.backbone": "timm/test_resnet",
    "model.head_channels": 16,
    "optim.lr": 0.05,
    "schedule.batch_size": 4,
    "schedule.eval_every_steps": 3,
    "schedule.steps": 5,
}
"""What all of them share unless they say otherwise."""

SINGLE: Mapping[str, Settings] = {
    "default": {},
    "seed": {"seed": 7},
    "accumulation": {"schedule.accumulation_steps": 2},
    "auxiliary loss": {"model.aux_weight": 1.0},
    "base size, long": {"data.base_size.long": 80, "evaluation.preset": "multi_scale_flip"},
    "base size, short": {"data.base_size.short": 32, "evaluation.preset": "single_scale"},
    "batch": {"schedule.batch_size": 2, "schedule.eval_every_steps": 2},
    "class weights": {"loss.class_weights": tuple(0.5 + 0.1 * number for number in range(11))},
    "clipping and average": {"optim.clip_norm": 0.1, "optim.ema_decay": 0.9},
    "contrast weight": {"contrast.weight": 0.5, "contrast.temperature": 0.07},
    "crop larger than the image": {"data.crop": (64, 96), "data.scale": (0.3, 0.6)},
    "dropout": {"model.dropout": 0.0},
    "evaluated window": {
        "evaluation.flip": True,
        "evaluation.scales": (0.75, 1.0),
        "evaluation.stride": (16, 24),
        "evaluation.window": (32, 32),
    },
    "few anchors": {"contrast.anchors.min_pixels": 20},
    "head rate": {"optim.head_lr_multiplier": 10.0, "optim.momentum": 0.5, "optim.weight_decay": 0.01},
    "no decay of norms": {"optim.decay_norms_and_biases": False},
    "no jitter": {"data.color_jitter": 0.0, "data.flip_probability": 1.0},
    "ohem": {"loss.kind": "ohem", "loss.ohem_min_kept": 7, "loss.ohem_threshold": 0.2},
    "lovasz weight": {"loss.kind": "ce_lovasz", "loss.lovasz_weight": 0.3},
    "poly power": {"optim.poly_power": 0.5},
    "projection": {"contrast.projection_channels": 8},
    "rate warm-up": {"schedule.rate_warmup_steps": 3},
    "released": {"contrast.as_released": True},
    "released, pixels": {"contrast.as_released": True, "contrast.memory.kind": "pixel"},
    "shuffled labels": {"contrast.labels": "shuffled"},
    "shuffled labels, own image": {"contrast.labels": "shuffled", "contrast.source": "intra_image"},
    "semi-hard share": {"contrast.mining.kind": "semi_hard", "contrast.mining.hard_fraction": 0.5},
    "splits": {"data.train_split": "val", "data.test_split": "val", "data.val_split": "test"},
    "synthetic": {"data.synthetic.seed": 3},
    "deterministic": {"compute.deterministic": True},
    "precision bfloat16": {"compute.precision": "bfloat16"},
    "head options deeplabv3": {
        "model.align_corners": True,
        "model.aux_channels": 8,
        "model.classifier_relu": False,
        "model.fusion_kernel": 3,
    },
    "head options ocr": {"model.aux_kernel": 3, "model.classifier_bias": False, "model.head": "ocr"},
    "deep stem": {"model.backbone": "resnet50", "model.stem": "deep", "schedule.steps": 2},
    "contiguous layout": {"compute.channels_last": False},
    "fused optimiser": {"optim.fused": True},
    "TF32 on a CPU": {"compute.tf32": True},
    "backbone resnet18": {"model.backbone": "resnet18", "model.output_stride": 8},
    "backbone hrnet_w18": {"model.backbone": "hrnet_w18", "model.head": "hrnet", "schedule.steps": 2},
    "backbone tf_efficientnet_lite0": {"model.backbone": "tf_efficientnet_lite0", "schedule.steps": 3},
}

CUT_SHORT = ("default", "released", "clipping and average", "shuffled labels")
"""Trials that are also stopped and resumed."""

TWO_RANKS = ("default",)
"""Trials that also run with two ranks."""


def tiny_trials() -> dict[str, Settings]:
    """All trials on generated images, by name."""
    found: dict[str, Settings] = {name: {**TINY, **settings} for name, settings in SINGLE.items()}
    everything = {"contrast.mining.positives": 5000, "contrast.mining.negatives": 5000}
    for kind in MINERS:
        mined = {**TINY, "contrast.mining.kind": kind}
        found[f"miner {kind}"] = mined
        found[f"miner {kind}, own image"] = {**mined, "contrast.source": "intra_image"}
        found[f"miner {kind}, all keys"] = {**mined, **everything}
    tables: dict[str, Iterable[str]] = {
        "contrast.anchors.kind": ANCHOR_SAMPLERS,
        "contrast.memory.dtype": DTYPES,
        "contrast.memory.kind": MEMORIES,
        "contrast.source": ("none", "intra_image"),
        "loss.kind": LOSSES,
        "model.head": HEADS,
        "schedule.policy": RATE_POLICIES,
    }
    for key, values in tables.items():
        found |= {f"{key} {value}": {**TINY, key: value} for value in values}
    return found


def reader_trials(folder: Path) -> dict[str, Settings]:
    """A trial of one step for each data set, each layout of its files and each kind of own data.

    The files are written below `folder`.
    """
    found: dict[str, Settings] = {}
    for name, write in LOOK_ALIKES.items():
        tree = write(folder / name)
        evaluated = "val" if "val" in tree.sizes else "test"
        found[f"reader {name}"] = reader_trial(tree.name, tree.root, evaluated)
    for name, write_own in OWN_DATA.items():
        root = folder / "own" / name
        root.mkdir(parents=True)
        (root / DESCRIPTION).write_text(write_own(root), encoding="utf-8")
        found[f"reader folder, {name}"] = reader_trial("folder", root, "val")
    return found


def reader_trial(name: str, root: Path, evaluated: str) -> Settings:
    """A trial on the data set in `root`."""
    return {
        **TINY,
        "contrast.source": "none",
        "data.crop": (32, 32),
        "data.name": name,
        "data.root": str(root),
        "data.test_split": evaluated,
        "data.val_split": evaluated,
        "schedule.batch_size": 2,
        "schedule.steps": 1,
    }
