"""Data sets by name: `open_source(config.data)`. Imports no torch; `trainer.data.batches` does.

To add a data set, write a class with the methods of `trainer.data.base.Source` and add its line to `DATASETS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trainer.config import DataConfig
from trainer.data.base import IGNORE_INDEX, Source
from trainer.data.camvid import CamVid
from trainer.data.synthetic import Synthetic
from trainer.errors import DataError

__all__ = ["DATASETS", "IGNORE_INDEX", "Source", "open_source"]

DATASETS: dict[str, Callable[[DataConfig], Source]] = {
    "synthetic": lambda config: Synthetic(config.synthetic),
    "camvid": lambda config: CamVid(folder(config)),
}
"""What `data.name` may say."""


def open_source(config: DataConfig) -> Source:
    """The data set that `config` names. Raises DataError when its name or folder does not exist."""
    if config.name not in DATASETS:
        raise DataError(f"data.name: no data set {config.name!r}; choose {', '.join(sorted(DATASETS))}")
    return DATASETS[config.name](config)


def folder(config: DataConfig) -> Path:
    """`data.root` as an existing folder."""
    if config.root is None:
        raise DataError(f"data.root: {config.name!r} needs its folder; set `data.root: PATH`")
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set `data.root` to where {config.name!r} lies")
    return root
