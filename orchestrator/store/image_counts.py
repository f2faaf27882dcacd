"""Image counts and pictures: what a finished trial leaves for the reports, in one file.

    <run_dir>/trials/<trial_id>/images_001.npz   of attempt 1: `counts` (images x classes x 3), the names `classes`, and
                                                 pictures of the test split such as `sheet.png`; some of its images
                                                 each as `compare_0017_image.jpg`, `..._truth.png`, `..._prediction.png`

The counts say what each image of the test split adds to a trial's figures, so that reports can resample the images. The
worker writes the file when the trial is done, and the record of the attempt has its SHA-256 (`AttemptRecord.files`); it
is an archive, which `unzip` and `numpy.load` read. Axes: N images of the test split, C classes, K correct, labelled and
predicted pixels.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from orchestrator.errors import DamagedError
from orchestrator.machine.one_line import in_one_line
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.keys import trial_key
from orchestrator.store.run_directory import RunDirectory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "PICTURE",
    "PICTURE_FOLDER",
    "ImageCounts",
    "image_counts_name",
    "read_compared_images",
    "read_image_counts",
    "read_pictures",
    "write_image_counts",
]

PICTURE_FOLDER = "pictures"
"""In the folder of a trial, where the trainer draws; trials of before have kept it."""
PICTURE = re.compile(r"(?!compare_).+\.png")
COMPARED = re.compile(r"compare_(\d+)_(image|truth|prediction)\.(?:jpg|png)")
"""Names of the files of an image by which trials are compared: its number in the test split, and what it shows."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageCounts:
    """The counts of one trial."""

    count_NCK: NDArray[np.int64]
    classes: tuple[str, ...]
    """Names of the C classes."""


def image_counts_name(attempt: int) -> str:
    """Name of the file in the trial's folder."""
    return f"images_{attempt:03d}.npz"


def write_image_counts(
    directory: RunDirectory,
    trial_id: str,
    attempt: int,
    count_NCK: NDArray[Any] | None,
    classes: Sequence[str],
    pictures: Mapping[str, bytes] | None = None,
) -> dict[str, str]:
    """Write the counts, if there are any, and the files `pictures` of an attempt.

    Returns the SHA-256 by name of the file, for its record; empty if there is nothing to write. Raises StoreError.
    """
    import numpy as np

    buffer = BytesIO()
    if count_NCK is not None:
        np.savez_compressed(buffer, counts=count_NCK.astype(np.uint32), classes=np.array(classes, dtype=np.str_))
    if pictures:
        with ZipFile(buffer, "a") as archive:
            for name, picture in sorted(pictures.items()):
                archive.writestr(ZipInfo(name), picture)  # without the time, so that equal trials have equal files
    content = buffer.getvalue()
    if not content:
        return {}
    directory.files.write(trial_key(trial_id, image_counts_name(attempt)), content)
    return {image_counts_name(attempt): hashlib.sha256(content).hexdigest()}


def read_image_counts(directory: RunDirectory, record: AttemptRecord) -> ImageCounts | None:
    """The counts of the attempt `record`; None if it has none, as in version 0.1.

    Raises DamagedError when the file is missing or not the one that was written.
    """
    import numpy as np

    content = read_verified(directory, record)
    if content is None:
        return None
    with understood(directory, record), np.load(BytesIO(content), allow_pickle=False) as stored:
        if "counts" not in stored.files:
            return None
        return ImageCounts(
            count_NCK=stored["counts"].astype(np.int64), classes=tuple(str(name) for name in stored["classes"])
        )


def read_pictures(directory: RunDirectory, record: AttemptRecord) -> dict[str, bytes]:
    """The PNG files of the attempt `record` by their names, sorted; of a trial of before, those in its folder.

    Raises DamagedError when a file is missing or not the one that was written.
    """
    content = read_verified(directory, record)
    if content is not None:
        with understood(directory, record), ZipFile(BytesIO(content)) as archive:
            found = {name: archive.read(name) for name in sorted(archive.namelist()) if PICTURE.fullmatch(name)}
        if found:
            return found
    folder = trial_key(record.trial_id, PICTURE_FOLDER)
    names = sorted(name for name in directory.files.names(folder) if PICTURE.fullmatch(name))
    pictures = {name: directory.files.read(f"{folder}/{name}") for name in names}
    return {name: picture for name, picture in pictures.items() if picture is not None}


def read_compared_images(directory: RunDirectory, record: AttemptRecord) -> dict[int, dict[str, bytes]]:
    """By number of the test image, its `image` (JPEG), `truth` and `prediction` (PNG); empty if none are kept.

    Raises DamagedError when the file is missing or not the one that was written.
    """
    content = read_verified(directory, record)
    found: dict[int, dict[str, bytes]] = {}
    if content is not None:
        with understood(directory, record), ZipFile(BytesIO(content)) as archive:
            for name in sorted(archive.namelist()):
                if (match := COMPARED.fullmatch(name)) is not None:
                    found.setdefault(int(match[1]), {})[match[2]] = archive.read(name)
    return found


@contextmanager
def understood(directory: RunDirectory, record: AttemptRecord) -> Iterator[None]:
    """Turn what is wrong with the file of an attempt into a DamagedError: that of somebody else may hold anything."""
    try:
        yield
    except (BadZipFile, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
        key = trial_key(record.trial_id, image_counts_name(record.attempt))
        raise DamagedError(f"{directory}/{key}: not what this program writes ({in_one_line(error)})") from error


def read_verified(directory: RunDirectory, record: AttemptRecord) -> bytes | None:
    """The file of the attempt `record`; None if it has none. Raises DamagedError."""
    name = image_counts_name(record.attempt)
    if name not in record.files:
        return None
    key = trial_key(record.trial_id, name)
    content = directory.files.read(key)
    if content is None:
        raise DamagedError(f"{directory}/{key}: missing")
    if hashlib.sha256(content).hexdigest() != record.files[name]:
        raise DamagedError(f"{directory}/{key}: damaged (its content does not match the digest in the record)")
    return content
