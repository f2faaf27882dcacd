"""Check the data sets of a plan before anything runs; mistakes are reported at the line that named the data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.errors import SpecErrorCollector
from orchestrator.planning.build_config import ResolvedRow
from orchestrator.planning.digests import data_digest, recall, source_key
from trainer.config import DataConfig
from trainer.data import Source, open_source, overlap, require_labels
from trainer.errors import DataError

__all__ = ["DataFacts", "DataKey", "check_label_images", "data_facts", "data_key", "distinct_data_sets"]

DataKey: TypeAlias = tuple[Any, ...]

SPLITS = ("train_split", "val_split", "test_split")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """What a plan needs to know about a data set."""

    digest: str
    """Of its content."""
    classes: int
    train_images: int
    test_images: int
    val_overlaps_test: bool = False
    """Whether the validation split, on which searches choose, shares images with the reported one."""
    val_overlaps_train: bool = False


def data_key(config: DataConfig) -> DataKey:
    """The part of a data config that decides which files are read."""
    return (config.name, config.root, *(getattr(config, split) for split in SPLITS), config.synthetic)


def distinct_data_sets(rows: Iterable[ResolvedRow]) -> dict[DataKey, ResolvedRow]:
    """The first row that uses each data set, by `data_key`."""
    first: dict[DataKey, ResolvedRow] = {}
    for row in rows:
        first.setdefault(data_key(row.config.data), row)
    return first


def data_facts(row: ResolvedRow, cache_dir: Path | None) -> DataFacts:
    """The facts about a row's data set, after a check of its layout and splits.

    Its digest is remembered in `cache_dir`. Raises SpecError when files are missing or a split does not exist.
    """
    config = row.config.data
    checked = "root"
    try:
        source = open_source(config)
        source.check_layout()
        for checked in SPLITS:
            source.size(getattr(config, checked))
            require_labels(source, getattr(config, checked))
        return DataFacts(
            digest=data_digest(source, config, cache_dir),
            classes=len(source.class_names),
            train_images=source.size(config.train_split),
            test_images=source.size(config.test_split),
            val_overlaps_test=overlap(source, config.val_split, config.test_split),
            val_overlaps_train=overlap(source, config.val_split, config.train_split),
        )
    except DataError as error:
        raise row.sources.error(f"data.{checked}", str(error)) from error


def check_label_images(rows: Iterable[ResolvedRow], cache_dir: Path | None) -> None:
    """Decode all labels of the data sets of `rows`; a data set that passed before is skipped.

    Raises SpecError, with file and line of `data.root`, for a label that does not decode or has an illegal id.
    """
    errors = SpecErrorCollector()
    for row in distinct_data_sets(rows).values():
        with errors:
            try:
                source = open_source(row.config.data)
                key = source_key(source, row.config.data)
                recall(cache_dir, "labels.json", key, partial(decode_labels, source))
            except DataError as error:
                raise row.sources.error("data.root", str(error)) from error
    errors.raise_any()


def decode_labels(source: Source) -> str:
    """The word to remember for a data set whose labels are all legal; raises DataError at the first illegal one."""
    source.check_labels()
    return "legal"
