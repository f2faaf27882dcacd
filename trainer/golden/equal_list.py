"""The list of equal code: which versions of the trainer are proven to give equal figures for this RESULT_VERSION."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["merged", "write_list"]

Groups = Sequence[Sequence[str]]
"""Digests of code; those of a group give equal figures."""

TEMPLATE = '''"""Versions of the trainer's code that give equal figures; written by `python -m trainer.golden`."""

from __future__ import annotations

__all__ = ["EQUAL_CODE", "EQUAL_RESULT_VERSION"]

EQUAL_RESULT_VERSION = {version}
"""The `RESULT_VERSION` that the list is of."""

EQUAL_CODE: tuple[tuple[str, ...], ...] = {groups}
"""Groups of digests (`trainer.code_digest`), oldest first. The first begins with the code that raised the version."""
'''


def merged(groups: Groups, one: str, other: str) -> list[list[str]]:
    """The groups after the digests `one` and `other` turned out to be equal."""
    equal = [group for group in groups if one in group or other in group]
    first = min((groups.index(group) for group in equal), default=len(groups))
    rest = [list(group) for group in groups if group not in equal]
    together = list(dict.fromkeys([*(digest for group in equal for digest in group), one, other]))
    return [*rest[:first], together, *rest[first:]]


def write_list(path: Path, version: int, groups: Groups) -> None:
    """Write the list as the module `path`."""
    path.write_text(TEMPLATE.format(version=version, groups=as_source(groups)), encoding="utf-8")


def as_source(groups: Groups) -> str:
    """The groups in Python, a line per digest, as the formatter writes them."""
    lines = [line for group in groups for line in ("    (", *(f'        "{digest}",' for digest in group), "    ),")]
    return "\n".join(["(", *lines, ")"]) if lines else "()"
