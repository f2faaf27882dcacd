"""Checks the data sets of a plan before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.workload.inputs import Remember
from trainer.config import DataConfig
from trainer.data import Source, open_source, overlap, require_labels
from trainer.data.census import Census
from trainer.data.requirements import require_classes, require_labelled
from trainer.errors import DataError
from trainer.workload.census import read_census

__all__ = ["SPLITS", "DataFacts", "DataKey", "data_digest", "data_facts", "data_key", "source_key"]

DataKey: TypeAlias = tuple[Any, ...]

SPLITS = ("train_split", "val_split", "test_split")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """What a plan needs to know about a data set."""

    title: str
    """In captions."""
    digest: str
    """Of its content."""
    class_names: tuple[str, ...]
    train_images: int
    test_images: int
    val_overlaps_test: bool = False
    """Whether the validation split, on which searches choose, shares images with the reported one."""
    val_overlaps_train: bool = False
    parts: Mapping[str, tuple[str, ...]]
    """Disjoint splits that each split in use consists of."""
    census: Census | None
    """None for data without files."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def data_key(config: DataConfig) -> DataKey:
    """The part of a data config that decides which files are read, and what is refused."""
    splits = (getattr(config, split) for split in SPLITS)
    return (config.name, config.root, config.classes, *splits, config.absent_classes, config.synthetic, config.plugin)


def data_facts(config: DataConfig, remember: Remember) -> DataFacts:
    """The facts about a data set, after a check of its layout, its splits and its pixels.

    `remember` keeps its digest and its census. Raises ValueError `key: message` when files are missing, cannot be
    decoded or have illegal ids, when a split does not exist, and for classes without labels.
    """
    checked = "root" if config.classes is None else "classes"
    try:
        source = open_source(config)
        checked = "root"
        source.check_layout()
        for checked in SPLITS:
            source.size(getattr(config, checked))
            require_labels(source, getattr(config, checked))
        checked = "root"
        digest = data_digest(source, config, remember)
        census = read_census(source, config, digest, remember)
        if census is not None:
            for checked in SPLITS:
                require_labelled(census, source, getattr(config, checked))
            checked = "root"
            if config.absent_classes != "allow":
                require_classes(census, source, config.train_split)
        return DataFacts(
            title=getattr(source, "title", "") or config.name,  # one of a plugin may have none
            digest=digest,
            class_names=source.class_names,
            train_images=source.size(config.train_split),
            test_images=source.size(config.test_split),
            val_overlaps_test=overlap(source, config.val_split, config.test_split),
            val_overlaps_train=overlap(source, config.val_split, config.train_split),
            parts={name: source.parts(name) for name in dict.fromkeys(getattr(config, split) for split in SPLITS)},
            census=census,
        )
    except DataError as error:
        raise ValueError(f"data.{checked}: {error}") from error


def data_digest(source: Source, config: DataConfig, remember: Remember) -> str:
    """Digest of the content of a data set; its location does not count.

    It is remembered under the sizes and modification times of the files, so that a large data set is read once. Raises
    DataError when the data set is missing or incomplete.
    """
    return remember(source_key(source, config), source.digest, what=f"{config.name}: reading every file, once")


def source_key(source: Source, config: DataConfig) -> str:
    """A cache key that changes when the data set moves or one of its files changes; reads no content."""
    root = str(Path(config.root).resolve()) if config.root else ""
    plugin = "" if config.plugin is None else f":{config.plugin.source.digest}:{config.plugin.options}"
    return f"{config.name}:{root}:{source.signature()}{plugin}"
