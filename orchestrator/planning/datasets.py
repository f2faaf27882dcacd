"""Check the data sets of a plan before anything runs, and say which line of which file named them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.planning.build_config import origin_of
from orchestrator.planning.digests import recall, source_digest, source_key
from orchestrator.spec.settings import Setting
from trainer.config import DataConfig
from trainer.data import Source, open_source, require_labels
from trainer.errors import DataError

__all__ = [
    "DataFacts",
    "DataKey",
    "DataUse",
    "check_data",
    "check_label_images",
    "data_key",
    "remembered_facts",
]

DataUse: TypeAlias = tuple[DataConfig, Mapping[str, Setting], str]
"""A data config, the settings behind it, and the origin of the row that uses it."""

DataKey: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """What a plan needs to know of a data set."""

    digest: str
    classes: int
    train_images: int
    test_images: int


SPLITS = ("train_split", "val_split", "test_split")


def data_key(config: DataConfig) -> DataKey:
    """The part of a data config that decides which files are read."""
    return (config.name, config.root, *(getattr(config, split) for split in SPLITS), config.synthetic)


@lru_cache(maxsize=64)
def remembered_facts(key: DataKey, cache_dir: Path | None) -> DataFacts | None:
    """What is to know of the data set with this `data_key`; None for one with mistakes.

    The disk is looked at once per process: for the trials of a search, which is planned when it starts.
    """
    name, root, train_split, val_split, test_split, synthetic = key
    splits = {"train_split": train_split, "val_split": val_split, "test_split": test_split}
    config = DataConfig(name=name, root=root, synthetic=synthetic, **splits)
    return check_data([(config, {}, "")], cache_dir, []).get(key)


def check_data(uses: Iterable[DataUse], cache_dir: Path | None, problems: list[str]) -> dict[DataKey, DataFacts]:
    """Open each distinct data set once, check its layout and splits, and return what there is to know by `data_key`.

    Mistakes go to `problems`; a data set with one has no facts.
    """
    facts: dict[DataKey, DataFacts] = {}
    for config, settings, origin in distinct(uses):
        suspect = "root"
        try:
            source = open_source(config)
            source.check_layout()
            for suspect in SPLITS:
                source.size(getattr(config, suspect))
                require_labels(source, getattr(config, suspect))
            facts[data_key(config)] = DataFacts(
                digest=source_digest(source, config, cache_dir),
                classes=len(source.class_names),
                train_images=source.size(config.train_split),
                test_images=source.size(config.test_split),
            )
        except DataError as error:
            problems.append(explain(f"data.{suspect}", error, settings, origin))
    return facts


def check_label_images(uses: Iterable[DataUse], cache_dir: Path | None, problems: list[str]) -> None:
    """Decode all labels of each distinct data set that did not pass before. Mistakes go to `problems`."""
    for config, settings, origin in distinct(uses):
        try:
            source = open_source(config)
            recall(cache_dir, "labels.json", source_key(source, config), partial(check_labels, source))
        except DataError as error:
            problems.append(explain("data.root", error, settings, origin))


def check_labels(source: Source) -> str:
    """What to remember of a data set whose labels are all legal; raises DataError at the first that is not."""
    source.check_labels()
    return "legal"


def distinct(uses: Iterable[DataUse]) -> list[DataUse]:
    """The first use of each data set."""
    first: dict[DataKey, DataUse] = {}
    for use in uses:
        first.setdefault(data_key(use[0]), use)
    return list(first.values())


def explain(key: str, error: DataError, settings: Mapping[str, Setting], origin: str) -> str:
    """The data set's complaint with file, line and key."""
    return f"{origin_of(key, settings, origin)}: {key}: {error}"
