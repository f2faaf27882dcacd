"""Data sets by name: `open_source(config.data)`. Imports no torch, except in `trainer.data.loading`.

To add a data set, write a class with the methods of `trainer.data.source.Source` (a data set of files derives from
`trainer.data.reading.pairs.PairsOnDisk`), in a plugin (docs/own_method.md) or here with a line in `DATASETS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from trainer.config import DataConfig
from trainer.data.files.ade20k import ADE20K
from trainer.data.files.camvid import CamVid
from trainer.data.files.cityscapes import Cityscapes
from trainer.data.files.coco_stuff import CocoStuff10K, CocoStuff164K
from trainer.data.files.folder import Folder
from trainer.data.files.pascal_context import PascalContext
from trainer.data.source import HELD_OUT, IGNORE_INDEX, UNNAMED, Source, overlap, require_labels
from trainer.data.synthetic.dataset import Synthetic
from trainer.errors import DataError
from trainer.plugins.entry import Entry, chosen

__all__ = [
    "DATASETS",
    "HELD_OUT",
    "IGNORE_INDEX",
    "UNNAMED",
    "Source",
    "open_source",
    "overlap",
    "require_labels",
    "root_of",
]

SourceBuilder: TypeAlias = Callable[[DataConfig], Source]

DATASETS: dict[str, Entry[SourceBuilder]] = {
    "synthetic": Entry(code=lambda config: Synthetic(config.synthetic)),
    "camvid": Entry(code=lambda config: CamVid(root_of(config))),
    "cityscapes": Entry(code=lambda config: Cityscapes(root_of(config))),
    "pascal_context": Entry(code=lambda config: PascalContext(root_of(config))),
    "coco_stuff_10k": Entry(code=lambda config: CocoStuff10K(root_of(config))),
    "coco_stuff_164k": Entry(code=lambda config: CocoStuff164K(root_of(config))),
    "ade20k": Entry(code=lambda config: ADE20K(root_of(config))),
    "folder": Entry(code=lambda config: Folder(root_of(config), description=config.classes)),
}
"""The values of `data.name`."""


def open_source(config: DataConfig) -> Source:
    """The data set of `config`. Raises DataError if its name is unknown or its folder does not exist."""
    if config.plugin is None and config.name not in DATASETS:
        raise DataError(f"data.name: unknown data set {config.name!r}; choose {', '.join(sorted(DATASETS))}")
    return chosen(DATASETS, config.name, config.plugin)(config)


def root_of(config: DataConfig) -> Path:
    """`data.root` as an existing folder."""
    if config.root is None:
        raise DataError(f"data.root: {config.name!r} needs its folder; set `data.root: PATH`")
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set `data.root` to the folder of {config.name!r}")
    return root
