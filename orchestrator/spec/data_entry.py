"""An entry of `data:`: a data set, a recipe or a folder by name, or a block that says more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orchestrator.spec.settings import SettingsBlock, quoted, read_block
from orchestrator.spec.yaml_document import Block, without

__all__ = ["ENTRY_SCHEMA", "DataEntry", "read_entry"]

OWN_KEYS = {
    "name": "What tables call the data set.",
    "recipe": "Name or path of the recipe of its trials, by default that of the sweep.",
}
"""Keys of a block that are no settings."""
EXAMPLE = "{name: CamVid, recipe: camvid_lite0, data.root: PATH}"
ENTRY_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "object"}]}
"""Completed by `orchestrator.spec.json_schema`, which knows the settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataEntry:
    """One data set as the file or `--data` names it."""

    text: str = ""
    """`camvid`, `camvid=/data/CamVid`, `camvid_lite0` or `./mine`; empty for a block."""
    name: str = ""
    """What tables call it, if the entry says so."""
    recipe: str = ""
    """Name or path of its recipe; empty for that of the sweep."""
    block: SettingsBlock = field(default_factory=SettingsBlock)


def read_entry(value: Any) -> DataEntry:
    """The entry with this value. Raises ValueError for one that is neither a text nor a block, or is empty."""
    if isinstance(value, str) and value.strip():
        return DataEntry(text=value.strip())
    if not isinstance(value, Block) or not value:
        text = "must name a data set, a recipe or a folder, or be a block"
        raise ValueError(f"{text}, not {quoted(value)}; write for example {EXAMPLE}")
    own = {key: value.get(key, "") for key in OWN_KEYS}
    for key, given in own.items():
        if not isinstance(given, str) or (key in value and not given.strip()):
            raise ValueError(f"{key} must be text, not {quoted(given)}; put it in quotes")
    settings = read_block(without(value, {(key,) for key in OWN_KEYS}))
    return DataEntry(name=own["name"].strip(), recipe=own["recipe"].strip(), block=settings)
