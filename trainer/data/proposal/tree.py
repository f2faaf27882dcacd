"""The files of a data set in groups of one folder and ending, with a guess at which are labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.data.reading.decode import LOSSY_FORMATS, is_array, open_image, pixels_of, raw_array
from trainer.data.reading.path_pattern import IMAGE_ENDINGS
from trainer.errors import DataError

__all__ = ["FileGroup", "file_groups", "label_score", "text_files"]

SAMPLES = 4
"""Files of a group that are decoded to guess what it is."""
SKIPPED = ("__MACOSX",)
LABEL_WORDS = ("label", "mask", "annot", "gt", "seg", "target", "_l.", "machine", "classpng")
OTHER_WORDS = ("instance", "object", "color", "colour", "human", "visual", "viz", "preview", "trainid", "overlay")
TEXT_ENDINGS = (".txt", ".csv", ".json", ".lst")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileGroup:
    """Files of one folder with one ending."""

    folder: tuple[str, ...]
    """Names from the top of the data set."""
    ending: str
    """Lower case, without dot."""
    stems: tuple[str, ...]
    files: tuple[str, ...]
    """Paths from the top, in the order of the stems."""


def file_groups(root: Path) -> list[FileGroup]:
    """All groups below `root`, sorted."""
    found: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for folder, names, files in os.walk(root, followlinks=True):
        place = Path(folder).relative_to(root).parts
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in SKIPPED)
        for file in sorted(files):
            ending = file.rpartition(".")[2].lower()
            if ending in IMAGE_ENDINGS and not file.startswith("."):
                found.setdefault((place, ending), []).append(file)
    return [
        FileGroup(
            folder=place,
            ending=ending,
            stems=tuple(file.rpartition(".")[0] for file in files),
            files=tuple("/".join((*place, file)) for file in files),
        )
        for (place, ending), files in sorted(found.items())
    ]


def text_files(root: Path) -> list[Path]:
    """Lists and tables below `root`, sorted."""
    found = []
    for folder, names, files in os.walk(root, followlinks=True):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found += [Path(folder) / file for file in sorted(files) if file.lower().endswith(TEXT_ENDINGS)]
    return found


def label_score(root: Path, files: Sequence[str]) -> float:
    """How much files look like labels, 0..2: the share of neighbours that are equal, more or less for telling names."""
    chosen = [files[round(place)] for place in np.linspace(0, len(files) - 1, min(SAMPLES, len(files)))]
    shares = [share for share in (equal_share(root / name) for name in chosen) if share is not None]
    if not shares:
        return 0.0
    text = files[0].lower()
    hints = 0.3 * any(word in text for word in LABEL_WORDS) - 0.4 * any(word in text for word in OTHER_WORDS)
    return float(np.mean(shares)) + hints + 0.2 * ("labelid" in text or "machine" in text)


def equal_share(path: Path) -> float | None:
    """Share of horizontal and vertical neighbours that are equal; None for what cannot be a label."""
    try:
        if is_array(path):
            raw = np.asarray(raw_array(path))
            if raw.dtype.kind not in "iub":
                return None
        else:
            with open_image(path) as image:
                if image.format in LOSSY_FORMATS:
                    return None
                plain: Image.Image = pixels_of(image, path)
                raw = np.array(plain)
    except DataError:
        return None
    if raw.ndim not in (2, 3) or 0 in raw.shape:
        return None
    planes = raw if raw.ndim == 3 else raw[..., None]
    across, down = (planes[:, 1:] == planes[:, :-1]).all(-1), (planes[1:] == planes[:-1]).all(-1)
    return float(np.concatenate([across.ravel(), down.ravel()]).mean()) if across.size + down.size else None
