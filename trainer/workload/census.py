"""The census of a data set while planning: counted once for each content.

It is kept beside the decoded pixels, for all run directories of a user, and where `Remember` keeps it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from orchestrator.machine.atomic_file import replace_file
from orchestrator.machine.own_folder import claim
from orchestrator.machine.sealed_json import canonical_json, seal, unseal
from orchestrator.workload.inputs import Remember
from trainer.config import DataConfig
from trainer.data import Source
from trainer.data.census import Census, take_census
from trainer.data.reading.cache import CACHE_FOLDER, DecodedCache

__all__ = ["read_census"]

CENSUS_VERSION = 3
"""Increased by hand whenever equal data would be counted otherwise, or the file is written otherwise."""


def read_census(source: Source, config: DataConfig, digest: str, remember: Remember) -> Census | None:
    """The census of the data with this digest; None for data without files.

    A file that is missing or damaged is counted again. Raises DataError for a pair that cannot be used.
    """
    if config.name == "synthetic":
        return None
    name = f"census-{CENSUS_VERSION}-{config.name}-{digest[:32]}"

    def count() -> str:
        return canonical_json(count_census(source, f"{name}.json").to_json()).decode("ascii")

    what = f"{config.name}: decoding every image and label, once"
    return Census.from_json(json.loads(remember(name, count, file=f"{name}.json", what=what)))


def count_census(source: Source, name: str) -> Census:
    """The census that is kept in the file `name` beside the decoded pixels, or a new one."""
    folder = kept_folder()
    if folder is not None and (found := load_census(folder / name)) is not None:
        return found
    census = take_census(source)
    if folder is not None:
        with suppress(OSError):  # a census that cannot be kept is counted again
            replace_file(folder / name, seal(census.to_json()), durable=False)
    return census


def kept_folder() -> Path | None:
    """The folder of the decoded pixels; None if it is not this user's."""
    decoded = DecodedCache.default().folder
    if decoded is None:
        return None
    try:
        return claim(decoded, CACHE_FOLDER)
    except OSError:
        return None


def load_census(path: Path) -> Census | None:
    """The census in a file; None if there is none or it is not what was written."""
    try:
        values, verified = unseal(path.read_bytes())
    except (OSError, ValueError):
        return None
    return Census.from_json(values) if verified else None
