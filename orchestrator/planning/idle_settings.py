"""Settings that have less effect than they say: a queue that never fills, a padded crop, an option of another head.

None of them is an error, but a row with one differs from the others in less, or in more, than its label says. Dry run
and table show them as notes. So they do for a control, whose contrast learns nothing from labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.planning.build_config import ResolvedRow
from orchestrator.planning.datasets import DataFacts
from orchestrator.planning.key_forecast import name_rows
from trainer.config import BaseSizeConfig, DataConfig, ModelConfig, TrainConfig, ignored_options, implied, setting

__all__ = ["idle_notes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSizes:
    """Sizes of the images of a split at base size."""

    height: int
    """Of the image with the largest height, pixels."""
    width: int
    """Of the image with the largest width, pixels."""
    resized: bool
    """Whether the base size changes the size of any image."""


def idle_notes(rows: Iterable[tuple[str, ResolvedRow, DataFacts]]) -> tuple[str, ...]:
    """One sentence for each setting with less effect than it says, with the labels of the rows that have it."""
    labels: dict[str, list[str]] = {}
    sizes: dict[tuple[str, str, BaseSizeConfig], ImageSizes] = {}
    total = 0
    for label, row, facts in rows:
        config = row.config
        total += 1
        keys = [
            (facts.digest, split, config.data.base_size) for split in (config.data.train_split, config.data.test_split)
        ]
        for key in keys:
            if key not in sizes:  # a grid of 10,000 rows has one data set
                sizes[key] = image_sizes(config.data, facts, key[1])
        train, test = (sizes[key] for key in keys)
        for text in (
            *control_notes(config),
            *data_notes(row),
            *model_notes(row),
            *memory_notes(config),
            *schedule_notes(config),
            *size_notes(config, train, test),
        ):
            labels.setdefault(text, []).append(label)
    return tuple(
        f"{text} ({'all rows' if len(found) == total else name_rows(found)})." for text, found in labels.items()
    )


def model_notes(row: ResolvedRow) -> Iterator[str]:
    """Options that the backbone or the head does not have."""
    for name, reason in ignored_options(row.config.model).items():
        setting_of = row.sources.settings.get(f"model.{name}")
        if setting_of is not None and setting_of.value not in (None, implied(ModelConfig, name)):
            yield f"model.{name}: {setting_of.value} has no effect: {reason}"


def control_notes(config: TrainConfig) -> Iterator[str]:
    """A contrast that does not see the ground truth."""
    if config.contrast.labels == "shuffled":
        yield "contrast.labels is shuffled: the contrastive loss of this control cannot learn from labels"


def data_notes(row: ResolvedRow) -> Iterator[str]:
    """A description of a data set that needs none."""
    if row.config.data.name != "folder" and "data.classes" in row.sources.settings:
        yield f"data.classes has no effect: data.name is {row.config.data.name}, and only folder has a description"


def memory_notes(config: TrainConfig) -> Iterator[str]:
    """Queues with room for more embeddings than training can push."""
    memory, images = config.contrast.memory, config.schedule.steps * config.schedule.batch_size
    if config.contrast.source != "inter_image":
        return
    if memory.kind in ("pixel", "pixel_region") and memory.pixels_per_class > (
        most := images * memory.pixels_per_image
    ):
        yield (
            f"contrast.memory.pixels_per_class is {memory.pixels_per_class:,}, but {config.schedule.steps:,} steps "
            f"push at most {most:,} pixels of a class: the queue never fills"
        )
    if memory.kind in ("region", "pixel_region") and memory.regions_per_class > images:
        yield (
            f"contrast.memory.regions_per_class is {memory.regions_per_class:,}, but {config.schedule.steps:,} steps "
            f"push at most {images:,} regions of a class: the queue never fills"
        )


def schedule_notes(config: TrainConfig) -> Iterator[str]:
    """A warm-up of the learning rate that is longer than the schedule."""
    warmup = setting(config.schedule, "rate_warmup_steps")
    if warmup > config.schedule.steps:
        yield (
            f"schedule.rate_warmup_steps is {warmup:,} of {config.schedule.steps:,} steps: the learning rate never "
            "reaches optim.lr"
        )


def size_notes(config: TrainConfig, train: ImageSizes, test: ImageSizes) -> Iterator[str]:
    """A base size that all images have, and a crop or an evaluation window that is larger than the largest image."""
    crop, window, base = config.data.crop, config.evaluation.window, config.data.base_size
    side = "short" if base.short is not None else "long"
    if base != BaseSizeConfig() and not (train.resized or test.resized):
        yield (
            f"data.base_size.{side} is {getattr(base, side)}, which is the length of that side of every training and "
            "test image: no image is resized"
        )
    at = "" if base == BaseSizeConfig() else f" at data.base_size.{side} {getattr(base, side)}"
    if crop[0] > train.height or crop[1] > train.width:
        yield (
            f"data.crop is {crop[0]}x{crop[1]}, but no training image exceeds {train.height}x{train.width}{at}: crops "
            "are padded with void unless the random resize enlarges the image"
        )
    if window is not None and window[0] >= test.height and window[1] >= test.width:
        yield (
            f"evaluation.window is {window[0]}x{window[1]}, but no test image exceeds {test.height}x{test.width}{at}: "
            "images are evaluated whole"
        )


def image_sizes(config: DataConfig, facts: DataFacts, split: str) -> ImageSizes:
    """Sizes of the images of a split at base size."""
    own = [(config.synthetic.height, config.synthetic.width)]
    if facts.census is not None:
        texts = facts.census.of(facts.parts[split]).sizes
        own = [(int(height), int(width)) for width, _, height in (text.partition("x") for text in texts)]
    resized = [config.base_size.resized(*size) for size in own]
    return ImageSizes(
        height=max(height for height, _ in resized), width=max(width for _, width in resized), resized=resized != own
    )
