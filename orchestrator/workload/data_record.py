"""What the plan of a sweep records about a data set: its classes, and what its splits hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["DataRecord", "SplitRecord"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitRecord:
    """One split."""

    name: str
    images: int
    """Examples; `DataRecord.examples` is what they are called."""
    pixels: tuple[int, ...] = ()
    """Labelled pixels of each class, or whatever `DataRecord.labelled` are; empty: not counted."""
    images_with: tuple[int, ...] = ()
    """Images with each class; empty: not counted."""
    void: int = 0
    """Void pixels, which nothing counts."""
    sizes: str = ""
    """`480x360 (12)`, or the range of many sizes; empty: not shown."""
    modes: str = ""
    """How the images are stored: `RGB (12)`; empty: not shown."""

    @property
    def present(self) -> int:
        """Number of classes that a label shows."""
        return sum(pixels > 0 for pixels in self.pixels)

    def share_of(self, place: int) -> float | None:
        """Share of the class in this place among the labelled pixels; None without labelled pixels."""
        return self.pixels[place] / total if (total := sum(self.pixels)) else None

    @property
    def void_share(self) -> float | None:
        """Share of void among all pixels; None without pixels."""
        return self.void / total if (total := sum(self.pixels) + self.void) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRecord:
    """One data set of a sweep."""

    title: str
    class_names: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    """Split that is used for `train`, `val` and `test`."""
    examples: str = "images"
    """What its examples are called, in the plural: `sentences`."""
    labelled: str = "pixels"
    """What of an example has a class, in the plural: `words`, or the examples themselves."""
    name: str = ""
    """`data.name`; empty in plans of before."""
    digest: str = ""
    """Of its content; empty in plans of before."""
    splits: tuple[SplitRecord, ...] = ()
    """The census of these splits, each once; empty for data without files, which are drawn, not labelled."""
    findings: tuple[str, ...] = ()
    """What may be a mistake although every file decodes, one sentence each."""
    notes: tuple[str, ...] = ()
    """Those of the findings that bear on the figures of a table."""

    @property
    def has_void(self) -> bool:
        """Whether it may have void: labelled pixels, or a split in which some was counted."""
        return self.labelled == "pixels" or any(split.void for split in self.splits)

    def split(self, role: str) -> SplitRecord | None:
        """The split that is used for `role`, if it was counted."""
        return next((split for split in self.splits if split.name == self.roles.get(role)), None)
