"""Settings that have less effect than they say: a queue that never fills, a warm-up that never ends, a padded crop.

None of them is an error, but a row with one differs from the others in less, or in more, than its label says. Dry run
and table show them as notes. So they do for a control, whose contrast learns nothing from labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from orchestrator.planning.datasets import DataFacts
from orchestrator.planning.key_forecast import name_rows
from trainer.config import DataConfig, TrainConfig, setting

__all__ = ["idle_notes"]

ImageSize: TypeAlias = tuple[int, int]
"""Height and width, pixels."""


def idle_notes(rows: Iterable[tuple[str, TrainConfig, DataFacts]]) -> tuple[str, ...]:
    """One sentence for each setting with less effect than it says, with the labels of the rows that have it."""
    labels: dict[str, list[str]] = {}
    sizes: dict[tuple[str, str], ImageSize] = {}
    total = 0
    for label, config, facts in rows:
        total += 1
        splits = (config.data.train_split, config.data.test_split)
        for split in splits:
            if (facts.digest, split) not in sizes:  # a grid of 10,000 rows has one data set
                sizes[facts.digest, split] = largest_image(config.data, facts, split)
        train, test = (sizes[facts.digest, split] for split in splits)
        for text in (
            *control_notes(config),
            *memory_notes(config),
            *schedule_notes(config),
            *size_notes(config, train, test),
        ):
            labels.setdefault(text, []).append(label)
    return tuple(
        f"{text} ({'all rows' if len(found) == total else name_rows(found)})." for text, found in labels.items()
    )


def control_notes(config: TrainConfig) -> Iterator[str]:
    """A contrast that does not see the ground truth."""
    if config.contrast.labels == "shuffled":
        yield "contrast.labels is shuffled: the contrastive loss of this control cannot learn from labels"


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


def size_notes(config: TrainConfig, train: ImageSize, test: ImageSize) -> Iterator[str]:
    """A crop or an evaluation window that is larger than the largest image."""
    crop, window = config.data.crop, config.evaluation.window
    if crop[0] > train[0] or crop[1] > train[1]:
        yield (
            f"data.crop is {crop[0]}x{crop[1]}, but no training image exceeds {train[0]}x{train[1]}: crops are padded "
            "with void unless the random resize enlarges the image"
        )
    if window is not None and window[0] >= test[0] and window[1] >= test[1]:
        yield (
            f"evaluation.window is {window[0]}x{window[1]}, but no test image exceeds {test[0]}x{test[1]}: images are "
            "evaluated whole"
        )


def largest_image(config: DataConfig, facts: DataFacts, split: str) -> ImageSize:
    """Largest height and largest width of the images of a split, pixels."""
    if facts.census is None:
        return config.synthetic.height, config.synthetic.width
    sizes = [tuple(map(int, size.split("x"))) for size in facts.census.of(facts.parts[split]).sizes]
    return max(height for _, height in sizes), max(width for width, _ in sizes)
