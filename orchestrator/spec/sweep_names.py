"""SweepName: the name of a sweep, which is that of its file and of what the command line changes in the question.

ablation_memory                          the file as it is
ablation_memory@camvid_lite0             with another recipe (`--recipe`)
ablation_memory@camvid_lite0+steps=60    with `--set schedule.steps=60`
ablation_memory+seeds=5                  with `--seeds 5`
ablation_memory+data=camvid,mine         with `--data camvid,./mine`

A value that the file has anyway changes nothing. The order of the options does not count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from orchestrator.errors import SpecError, shortened
from orchestrator.spec.settings import Setting, as_yaml, config_leaves, path_keys
from trainer.config import PACKAGED_WEIGHTS, TrainConfig, outside_identity_keys

__all__ = [
    "SweepName",
    "changed_settings",
    "check_sweep_name",
    "data_change",
    "name_after",
    "seeds_change",
    "short_hash",
]

SWEEP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+=,-]{0,99}")
UNSAFE = re.compile(r"[^A-Za-z0-9_.,-]+")
LONGEST_NAME = 80
"""Characters; a longer name has a hash instead of its changes."""
LONGEST_VALUE = 20
"""Characters; of a longer value the name has the start and a hash."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepName:
    """The parts of a sweep's name."""

    base: str
    """`ablation_memory@camvid_lite0`, or what `--name` says."""
    changes: tuple[str, ...] = ()
    """`steps=60` for each change of the command line, sorted."""
    contents: tuple[Setting, ...] = ()
    """Paths given by `--set`; their content decides how they are shown (`orchestrator.planning.naming`)."""
    by_hand: bool = False
    """Given by `--name`: the changes are not shown."""

    @property
    def text(self) -> str:
        """The whole name, which also names a directory."""
        if self.by_hand or not self.changes:
            return self.base
        name = "+".join((self.base, *self.changes))
        if len(name) <= LONGEST_NAME:
            return name
        return f"{self.base}+{len(self.changes)}-changes-{short_hash('+'.join(self.changes))}"

    def with_changes(self, changes: Iterable[str]) -> SweepName:
        """The name with further changes."""
        return replace(self, changes=tuple(sorted((*self.changes, *changes))))


def check_sweep_name(name: str) -> str:
    """The name that `--name` gives. Raises SpecError for one that cannot name a directory."""
    if not SWEEP_NAME.fullmatch(name):
        text = "cannot name a sweep; use at most 100 letters, digits and _ - . @ + = , and begin with a letter or digit"
        raise SpecError(f"--name {shortened(name)}: {text}")
    return name


def name_after(base: str, changed: Iterable[Setting], further: Sequence[str], given: str | None) -> SweepName:
    """The name of a sweep whose file and recipe are called `base`; `given` is `--name`, already checked.

    `further` are the changes of `seeds_change` and `data_change`.
    """
    changed = tuple(changed)
    changes = (*(change_text(item) for item in changed if not is_content(item)), *further)
    contents = tuple(item for item in changed if is_content(item))
    return SweepName(base=given or base, changes=tuple(sorted(changes)), contents=contents, by_hand=given is not None)


def changed_settings(assigned: Iterable[Setting], files: Sequence[Mapping[str, Setting]]) -> tuple[Setting, ...]:
    """The settings of `--set` that may change a trial: those whose value differs from the one in one of `files`.

    `files` are the settings for all rows without `--set`, on each data set. Limits do not count. Paths do: whether
    their content differs is not known here (`is_content`).
    """
    outside = set(outside_identity_keys(TrainConfig)).difference(path_keys())
    return tuple(
        item
        for item in assigned
        if item.key not in outside and any(item.resolved() != value_in(file, item.key) for file in files)
    )


def value_in(file: Mapping[str, Setting], key: str) -> Any:
    """The value of a key in the file, else its default."""
    return file[key].resolved() if key in file else config_leaves()[key].default


def is_content(setting: Setting) -> bool:
    """Whether a setting is a path, whose content counts and not its place."""
    return setting.key in path_keys() and setting.value not in PACKAGED_WEIGHTS


def change_text(setting: Setting) -> str:
    """`steps=60`: a change in a name."""
    return f"{short_keys(tuple(config_leaves()))[setting.key]}={file_safe(setting.value)}"


def seeds_change(given: Sequence[int], file: Sequence[int] | None) -> tuple[str, ...]:
    """`seeds=5` where `--seeds` differs from the seeds of the file; `file` is None where they grow until decided."""
    if file is not None and tuple(given) == tuple(file):
        return ()
    is_count = tuple(given) == tuple(range(len(given)))
    return (f"seeds={len(given) if is_count else file_safe(tuple(given))}",)


def data_change(given: Sequence[str], file: Sequence[str]) -> tuple[str, ...]:
    """`data=camvid,mine` where `--data` names other data sets than the file."""
    return () if not given or tuple(given) == tuple(file) else (f"data={file_safe(tuple(given))}",)


@cache
def short_keys(keys: tuple[str, ...]) -> Mapping[str, str]:
    """For each key its shortest end that no other key has: `steps`, `memory.kind`."""
    ends: dict[str, int] = {}
    for key in keys:
        for end in ends_of(key):
            ends[end] = ends.get(end, 0) + 1
    return {key: next((end for end in ends_of(key) if ends[end] == 1), key) for key in keys}


def ends_of(key: str) -> list[str]:
    """`c`, `b.c` and `a.b.c` of `a.b.c`."""
    parts = key.split(".")
    return [".".join(parts[start:]) for start in reversed(range(len(parts)))]


def file_safe(value: Any) -> str:
    """A value as part of a file name; different values stay different."""
    items = value if isinstance(value, tuple) else (value,)
    text = ",".join(as_yaml(item, quotes=False) for item in items)
    safe = UNSAFE.sub("-", text)
    if safe == text and len(text) <= LONGEST_VALUE:
        return text
    return f"{safe[: LONGEST_VALUE - 8].strip('-.')}-{short_hash(text)}"


def short_hash(text: str) -> str:
    """Six hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]
