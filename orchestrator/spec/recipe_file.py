"""What a recipe file says: settings, and those of searches on top."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestrator.spec.plugins import PLUGINS_KEY
from orchestrator.spec.settings import SettingsBlock, quoted, read_block
from orchestrator.spec.validators import README
from orchestrator.spec.yaml_document import Block, Document, without
from orchestrator.store.sweep_record import SEARCHES

__all__ = ["SEARCH_BLOCK", "Recipe", "parse_recipe"]

SEARCH_BLOCK = "search"
"""Block of a recipe with the settings of searches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A recipe: what every sweep with it sets."""

    settings: SettingsBlock = field(default_factory=SettingsBlock)
    search: SettingsBlock = field(default_factory=SettingsBlock)
    """What searches set on top, because they must not choose on the split that is reported."""

    def settings_for(self, method: str) -> tuple[SettingsBlock, ...]:
        """The blocks that hold with `method`; later ones win."""
        return (self.settings, self.search) if method in SEARCHES else (self.settings,)


def parse_recipe(document: Document) -> Recipe:
    """The settings of a recipe, and in its block `search` those that only a search has."""
    values = document.values
    searches = values.get(SEARCH_BLOCK)
    settings = read_block(without(values, {(SEARCH_BLOCK,), (PLUGINS_KEY,)}))
    if searches is None or isinstance(searches, Block):
        return Recipe(settings=settings, search=SettingsBlock() if searches is None else read_block(searches))
    text = f"must be a block of `key: value` lines, not {quoted(searches)}; see {README}"
    mistake = f"{document.origin(SEARCH_BLOCK)}: {SEARCH_BLOCK}: {text}"
    return Recipe(settings=replace(settings, mistakes=(*settings.mistakes, mistake)))
