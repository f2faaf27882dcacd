"""Sealed JSON: a file with the digest of its own content, so that a reader knows that it reads what was written.

Key `digest` holds `sha256:` and the SHA-256 of the other keys as canonical JSON (keys sorted, no spaces, ASCII). It is
over the values, not over the bytes, so formatting a file again keeps it valid. Files of version 0.1 have no digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.machine.json_text import parse_json

__all__ = ["DIGEST", "Unsealed", "canonical_json", "seal", "unseal"]

DIGEST = "digest"
"""Key of the digest."""

DIGEST_VALUE = re.compile("sha256:[0-9a-f]{64}")

ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


class Unsealed(NamedTuple):
    """The content of a file."""

    values: dict[str, Any]
    """Without the digest."""
    verified: bool
    """Whether the file has a digest; a digest that does not match is an error."""


def canonical_json(values: Mapping[str, Any]) -> bytes:
    """The one text of `values`; infinite numbers and NaN, which a record may hold, are `Infinity` and `NaN`."""
    return ENCODE(values).encode("ascii")


def seal(values: Mapping[str, Any]) -> bytes:
    """A JSON file of `values` with their digest, indented, because people read records too."""
    plain = json.loads(json.dumps(values))  # as it is read back: tuples are lists, keys are texts
    return (json.dumps({**plain, DIGEST: digest_of(plain)}, indent=1, ensure_ascii=False) + "\n").encode()


def unseal(content: bytes | str) -> Unsealed:
    """The values of a JSON file, which are those that were written if it has a digest. Raises ValueError."""
    if not content:
        raise ValueError("empty: the machine crashed while it was written")
    values = parse_json(content)
    if not isinstance(values, dict):
        raise ValueError(f"{type(values).__name__} instead of an object")
    if DIGEST not in values:
        if any(isinstance(value, str) and DIGEST_VALUE.fullmatch(value) for value in values.values()):
            raise ValueError("the name of its digest is damaged")
        return Unsealed(values, verified=False)
    found = values.pop(DIGEST)
    if found != digest_of(values):
        raise ValueError("its content does not match its digest")
    return Unsealed(values, verified=True)


def digest_of(values: Mapping[str, Any]) -> str:
    """The digest of plain JSON values."""
    return f"sha256:{hashlib.sha256(canonical_json(values)).hexdigest()}"
