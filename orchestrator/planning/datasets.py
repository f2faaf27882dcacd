"""Check the data sets of a plan before anything runs; mistakes are reported at the line that named the data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.planning.build_config import ResolvedRow
from orchestrator.planning.census import read_census, require_classes, require_labelled
from orchestrator.planning.digests import data_digest
from trainer.config import DataConfig
from trainer.data import open_source, overlap, require_labels
from trainer.data.census import Census
from trainer.errors import DataError

__all__ = ["SPLITS", "DataFacts", "DataKey", "data_facts", "data_key", "distinct_data_sets"]

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


def distinct_data_sets(rows: Iterable[ResolvedRow]) -> dict[DataKey, ResolvedRow]:
    """The first row that uses each data set, by `data_key`."""
    first: dict[DataKey, ResolvedRow] = {}
    for row in rows:
        first.setdefault(data_key(row.config.data), row)
    return first


def data_facts(row: ResolvedRow, cache_dir: Path | None) -> DataFacts:
    """The facts about a row's data set, after a check of its layout, its splits and its pixels.

    Its digest and its census are remembered in `cache_dir`. Raises SpecError when files are missing, cannot be decoded
    or have illegal ids, when a split does not exist, and for classes without labels.
    """
    config = row.config.data
    checked = "root" if config.classes is None else "classes"
    try:
        source = open_source(config)
        checked = "root"
        source.check_layout()
        for checked in SPLITS:
            source.size(getattr(config, checked))
            require_labels(source, getattr(config, checked))
        checked = "root"
        digest = data_digest(source, config, cache_dir)
        census = read_census(source, config, digest, cache_dir)
        if census is not None:
            require_classes(census, source, config)
            checked = "test_split"
            require_labelled(census, source, config.test_split)
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
        raise row.sources.error(f"data.{checked}", str(error)) from error
