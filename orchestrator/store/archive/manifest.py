"""Manifest: what an archive says of itself, with our mark, without which nothing in it is believed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store.typed_values import build

__all__ = ["FORMAT", "Manifest", "Member", "NewerFormatError"]

MADE_BY = "contrast-sweep"
FORMAT = 1
"""Raised when a program of before could not read what is written now."""


class NewerFormatError(ValueError):
    """The archive is of a later version of this program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One file of an archive."""

    size: int
    """Bytes."""
    sha256: str
    """64 hexadecimal digits."""

    @classmethod
    def of(cls, content: bytes) -> Self:
        """That of a file with this content."""
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The content of manifest.json."""

    made_by: str = MADE_BY
    format: int = FORMAT
    sweep: str
    """Name of the sweep."""
    members: Mapping[str, Member] = field(default_factory=dict)
    """By name, every file of the archive but the manifest."""

    def to_bytes(self) -> bytes:
        """A JSON file with a digest of its content."""
        return seal(asdict(self))

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Inverse of `to_bytes`. Raises ValueError, for that of a later version NewerFormatError."""
        values, verified = unseal(content)
        if values.get("made_by") != MADE_BY or not verified:
            raise ValueError("it lacks the mark or the digest of this program")
        found = values.get("format")
        if isinstance(found, int) and found > FORMAT:
            raise NewerFormatError(f"its format is {found}, and this version reads up to {FORMAT}")
        return build(cls, values)
