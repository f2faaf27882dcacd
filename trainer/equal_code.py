"""Versions of the trainer's code that give equal figures; written by `python -m trainer.golden`."""

from __future__ import annotations

__all__ = ["EQUAL_CODE", "EQUAL_RESULT_VERSION"]

EQUAL_RESULT_VERSION = 3
"""The `RESULT_VERSION` that the list is of."""

EQUAL_CODE: tuple[tuple[str, ...], ...] = (
    (
        "29652ded7ebf",
        "dde702d0064a",
        "3c02af8d6d55",
        "5497aeed3a01",
        "d42afc43e90d",
        "29d8f00b4822",
        "a41bc5585a51",
        "a1dda6b56d82",
        "02c1087ce5af",
    ),
)
"""Groups of digests (`trainer.code_digest`), oldest first. The first begins with the code that raised the version."""
