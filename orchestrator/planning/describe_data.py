"""What the record of a plan says about a data set: its classes, its census, and what in it may be a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.planning.datasets import SPLITS, DataFacts
from orchestrator.workload.data_record import DataRecord, SplitRecord
from trainer.config import DataConfig
from trainer.data.census import Census, SplitCensus, describe_sizes, findings_in, name_some

__all__ = ["data_record"]


def data_record(config: DataConfig, facts: DataFacts) -> DataRecord:
    """The record of a data set as `config` uses it."""
    roles = {name.removesuffix("_split"): getattr(config, name) for name in SPLITS}
    if facts.census is None:
        return DataRecord(
            title=facts.title, name=config.name, digest=facts.digest, class_names=facts.class_names, roles=roles
        )
    counted = {name: facts.census.parts_of(name, parts) for name, parts in facts.parts.items()}
    used = {part for parts in facts.parts.values() for part in parts}
    return DataRecord(
        title=facts.title,
        name=config.name,
        digest=facts.digest,
        class_names=facts.class_names,
        roles=roles,
        splits=tuple(split_record(name, facts.census.of(parts)) for name, parts in counted.items()),
        findings=tuple(findings_in(facts.census, used)),
        notes=tuple(notes_on(facts.census, roles, facts.parts)),
    )


def split_record(name: str, split: SplitCensus) -> SplitRecord:
    """The record of one split."""
    return SplitRecord(
        name=name,
        images=split.images,
        pixels=split.pixels,
        images_with=split.images_with,
        void=split.void,
        sizes=describe_sizes(split.sizes),
        modes=", ".join(f"{mode} ({count})" for mode, count in split.modes.items()),
    )


def notes_on(census: Census, roles: Mapping[str, str], parts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What bears on the figures: classes that a split lacks, and test images that are trained on.

    `roles` are the splits in use, and `parts` what each of them consists of.
    """
    for role in ("train", "test"):
        if absent := census.absent(census.parts_of(roles[role], parts[roles[role]])):
            yield f"No label of the {role} split shows {name_some(absent)}."
    train, test = set(parts[roles["train"]]), set(parts[roles["test"]])
    for item in census.duplicates:
        first, second = item.splits
        if (first in train and second in test) or (first in test and second in train):
            yield f"The test split holds training images: {item.images} in both {first} and {second}."
    if train & test:
        yield f"The test split holds training images: all of {', '.join(sorted(train & test))}."
