"""What the plan of a sweep over several data sets records about each of them: a group of columns of its table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.workload.data_record import DataRecord
from orchestrator.workload.protocol_record import ProtocolRecord

__all__ = ["DataSetRecord", "data_set_stem"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSetRecord:
    """One of the data sets on which every row of a sweep is trained."""

    name: str
    """As tables, figures and messages show it: `CamVid`."""
    recipe: str = ""
    """Recipe of its trials."""
    protocol: str = ""
    """As `SweepRecord.protocol`, of its trials alone."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its trials that do not hold on every data set, by dotted key."""
    val_overlaps_test: bool | None = None
    """Whether the splits of `val/...` and of `final/...` share images."""
    data: tuple[DataRecord, ...] = ()
    """Its census; several where a row uses other splits."""
    protocols: tuple[ProtocolRecord, ...] = ()
    """How its figures are measured."""
    notes: tuple[str, ...] = ()
    """Settings with less effect on it than they say, with their rows."""

    @property
    def stem(self) -> str:
        """The name as part of file names: `camvid`."""
        return data_set_stem(self.name)


def data_set_stem(name: str) -> str:
    """The name of a data set as part of file names, in ASCII letters, digits and hyphens: `own-data`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
