"""Image counts: what each image of the test split adds to a trial's figures, so that reports can resample the images.

    <run_dir>/trials/<trial_id>/images_001.npz   of attempt 1: `counts` (images x classes x 3) and the names `classes`

The worker writes the file when the trial is done, and the record of the attempt has its SHA-256
(`AttemptRecord.files`). Axes: N images of the test split, C classes, K correct, labelled and predicted pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DamagedError
from orchestrator.store.records import AttemptRecord, trial_key
from orchestrator.store.run_directory import RunDirectory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ImageCounts", "image_counts_name", "read_image_counts", "write_image_counts"]


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
    directory: RunDirectory, trial_id: str, attempt: int, count_NCK: NDArray[Any], classes: Sequence[str]
) -> dict[str, str]:
    """Write the counts of an attempt; returns the SHA-256 by name of the file, for its record. Raises StoreError."""
    import numpy as np

    buffer = BytesIO()
    np.savez_compressed(buffer, counts=count_NCK.astype(np.uint32), classes=np.array(classes, dtype=np.str_))
    content = buffer.getvalue()
    directory.files.write(trial_key(trial_id, image_counts_name(attempt)), content)
    return {image_counts_name(attempt): hashlib.sha256(content).hexdigest()}


def read_image_counts(directory: RunDirectory, record: AttemptRecord) -> ImageCounts | None:
    """The counts of the attempt `record`; None if it has none, as in version 0.1.

    Raises DamagedError when the file is missing or not the one that was written.
    """
    import numpy as np

    name = image_counts_name(record.attempt)
    if name not in record.files:
        return None
    key = trial_key(record.trial_id, name)
    content = directory.files.read(key)
    if content is None:
        raise DamagedError(f"{directory}/{key}: missing")
    if hashlib.sha256(content).hexdigest() != record.files[name]:
        raise DamagedError(f"{directory}/{key}: damaged (its content does not match the digest in the record)")
    with np.load(BytesIO(content), allow_pickle=False) as stored:
        return ImageCounts(
            count_NCK=stored["counts"].astype(np.int64), classes=tuple(str(name) for name in stored["classes"])
        )
