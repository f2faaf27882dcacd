"""Digests of JSON values that are ids: of trials, studies and shapes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["DIGITS", "json_digest", "json_text"]

DIGITS = 12
"""Of the digests that are ids."""


def json_digest(content: Mapping[str, Any], separators: tuple[str, str] = (",", ":")) -> str:
    """The first `DIGITS` hexadecimal digits of the SHA-256 of `content` as canonical JSON: ASCII, keys sorted.

    Among 100,000 contents a collision has probability 2e-5. Raises ValueError for a number that is not finite.
    """
    return hashlib.sha256(json_text(content, separators).encode("ascii")).hexdigest()[:DIGITS]


def json_text(content: Any, separators: tuple[str, str] = (",", ":")) -> str:
    """`content` as canonical JSON. Raises ValueError for a number that is not finite."""
    return json.dumps(content, sort_keys=True, separators=separators, ensure_ascii=True, allow_nan=False)
