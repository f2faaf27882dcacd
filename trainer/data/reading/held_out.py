"""The splits `search` and `train_without_search` of data sets of files: a part of train that is held out for searches.

A search must not choose on the split that its table reports. Many data sets have only train and val, and report val, so
a search chooses on `search` and trains on `train_without_search`. Everything else trains on all of `train`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from trainer.data.source import SEARCH
from trainer.errors import DataError

__all__ = ["is_held_out"]

SHARE = 0.1
"""Of the training pairs, at least this share is held out."""


def is_held_out(groups: Sequence[str]) -> list[bool]:
    """For each training pair, given the name of its group, whether it belongs to `search`.

    Whole groups are held out, in the order of the SHA-256 of their names, until they have a tenth of the pairs. So the
    choice depends on nothing but names, and images of one place stay on one side. Raises DataError for a single group.
    """
    sizes = Counter(groups)
    if len(sizes) < 2:
        raise DataError(
            f"all {len(groups)} training images belong together ({next(iter(sizes), 'none')}), so none can be held out "
            f"as split {SEARCH!r}; choose another data.val_split"
        )
    ordered = sorted(sizes, key=lambda group: hashlib.sha256(group.encode()).hexdigest())
    chosen: set[str] = set()
    for group in ordered[:-1]:
        if sum(sizes[name] for name in chosen) >= SHARE * len(groups):
            break
        chosen.add(group)
    return [group in chosen for group in groups]
