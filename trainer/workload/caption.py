"""The sentence of a table's caption that says how its numbers were measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.workload.caption import same_or_varied
from trainer.config import TrainConfig, setting
from trainer.data import UNNAMED
from trainer.data.problems import counted
from trainer.workload.datasets import DataFacts
from trainer.workload.titles import WEIGHT_TITLES, backbone_title, head_title, size_text

__all__ = ["caption_sentence", "images_text"]


def caption_sentence(rows: Sequence[tuple[TrainConfig, DataFacts]], seeds: str, data: str = "") -> str:
    """Data set, split, images, model, base size, crop, batch, steps, seeds and evaluation.

    `varied ...` stands for what differs between the rows. `data` says what the data is, where the file names it.
    """
    configs = [config for config, _ in rows]

    def same(value: Callable[[TrainConfig], str], what: str) -> str:
        return same_or_varied((value(config) for config in configs), what)

    backbone = same(lambda config: backbone_title(config.model), "backbone")
    weights = same(lambda config: WEIGHT_TITLES.get(config.model.weights, "own weights"), "weights")
    head = same(lambda config: head_title(config.model), "head")
    if not data:
        titles = (f"{data_title(facts)}, {config.data.test_split} split" for config, facts in rows)
        data = same_or_varied(titles, "data").replace("varied data", "Varied data") + images_text(rows)
    parts = (
        data,
        f"{backbone} ({weights}) + {head}",
        same(crop_title, "crop"),
        same(lambda config: f"batch {config.schedule.batch_size}", "batch size"),
        same(lambda config: f"{config.schedule.steps} steps", "number of steps"),
        seeds,
        same(evaluation_title, "evaluation"),
    )
    return ", ".join(parts)


def images_text(rows: Sequence[tuple[TrainConfig, DataFacts]]) -> str:
    """` (233 images, trained on 367)`; empty where the numbers differ between the rows."""
    images = {f"{counted(facts.test_images, 'image')}, trained on {facts.train_images}" for _, facts in rows}
    return f" ({images.pop()})" if len(images) == 1 else ""


def data_title(facts: DataFacts) -> str:
    """`CamVid`; the start of their digest tells two sets without a name apart."""
    return f"{facts.title} {facts.digest[:6]}" if facts.title == UNNAMED else facts.title


def crop_title(config: TrainConfig) -> str:
    """`crop 512×512`, after the base size where one is set: `short side 520, crop 512×512`."""
    base, crop = config.data.base_size, f"crop {size_text(config.data.crop)}"
    sides = (f"{name} side {side}" for name, side in (("short", base.short), ("long", base.long)) if side is not None)
    return ", ".join((*sides, crop))


def evaluation_title(config: TrainConfig) -> str:
    """Views of an image that are evaluated: `512×1024-window multi-scale (0.75, 1) evaluation with flip`."""
    evaluation = config.evaluation
    view = "whole-image" if evaluation.window is None else f"{size_text(evaluation.window)}-window"
    scales, flip = setting(evaluation, "scales"), setting(evaluation, "flip")
    size = "single-scale" if scales == (1.0,) else f"multi-scale ({', '.join(f'{scale:g}' for scale in scales)})"
    return f"{view} {size} evaluation{' with flip' if flip else ''}"
