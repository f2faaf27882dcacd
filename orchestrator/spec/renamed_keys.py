"""Renamed keys of search spaces and recipes: the old names still read, with a warning."""

from __future__ import annotations

import logging
from functools import cache

from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.workload.fields import renamed_keys

__all__ = ["current_key"]

logger = logging.getLogger(__name__)


def current_key(key: str, origin: str, block: str = "") -> str:
    """The current name of `key`, which is dotted or stands in the block `block`.

    Logs one warning with `origin` (`file:line`) for a renamed key.
    """
    for old, new in renamed_keys(workload_in_use().config_type).items():
        if old in (key, f"{block}.{key}"):
            warn_once(origin, old, new)
            return new if key == old else new.rpartition(".")[2]
    return key


@cache
def warn_once(origin: str, old: str, new: str) -> None:
    """Log the warning; a file is read several times in one process."""
    logger.warning("%s: %s: this key is now called %s and its old name still works", origin, old, new)
