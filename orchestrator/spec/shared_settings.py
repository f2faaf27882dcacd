"""SharedSettings: what holds for all rows on each data set, unless a row sets it itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.spec.data_sets import DataSetSpec, override_mistakes, row_mistakes
from orchestrator.spec.methods import method_rows
from orchestrator.spec.rows import MethodRows
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import Setting, SettingsBlock

__all__ = ["SharedSettings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedSettings:
    """The settings for all rows, and the rows that the method makes on top of them."""

    data_sets: tuple[DataSetSpec, ...]
    """Empty where they could not be read; then everything below is that of the file alone."""
    fixed: SettingsBlock
    assigned: SettingsBlock
    """Those of `--set`."""
    below: tuple[tuple[SettingsBlock, ...], ...]
    """On each data set, the blocks that `--set` overrides; a later block overrides an earlier one."""
    all_rows: tuple[MethodRows, ...]
    """On each data set. Only a generated row may depend on it, which is a mistake."""

    @classmethod
    def of(cls, space: SearchSpace, data_sets: tuple[DataSetSpec, ...], assigned: SettingsBlock) -> SharedSettings:
        """Those of a file on its data sets."""
        fixed = space.fixed or SettingsBlock()
        below = [(*item.content.settings_for(space.method), fixed, item.own) for item in data_sets] or [(fixed,)]
        return cls(
            data_sets=data_sets,
            fixed=fixed,
            assigned=assigned,
            below=tuple(below),
            all_rows=tuple(method_rows(space, by_key(*blocks, assigned)) for blocks in below),
        )

    @property
    def rows(self) -> MethodRows:
        """The rows, which are the same on all data sets."""
        return self.all_rows[0]

    @property
    def constants(self) -> SettingsBlock:
        """Parameters with a single value."""
        return SettingsBlock(settings=self.rows.constants)

    def without_assigned(self) -> list[Mapping[str, Setting]]:
        """The settings on each data set without those of `--set`."""
        return [by_key(*blocks, self.constants) for blocks in self.below]

    def on_data_sets(self) -> tuple[DataSetSpec, ...]:
        """The data sets with the settings that hold on them."""
        return tuple(
            replace(item, base=by_key(*blocks, self.constants, self.assigned))
            for item, blocks in zip(self.data_sets, self.below, strict=True)
        )

    def mistakes(self) -> Iterator[str]:
        """What is wrong with the rows, in the recipes and in `--set`, and settings without an effect."""
        yield from self.rows.mistakes
        contents = [item.content for item in self.data_sets]
        of_recipes = (text for item in contents for text in (*item.settings.mistakes, *item.search.mistakes))
        yield from dict.fromkeys(of_recipes)
        yield from self.assigned.mistakes
        blocks = (self.fixed, *(item.own for item in self.data_sets), self.constants, self.assigned)
        yield from effect_mistakes(blocks, self.rows)

    def mistakes_between_data_sets(self) -> Iterator[str]:
        """Settings that the data sets override, and rows that differ between them."""
        yield from override_mistakes(self.data_sets, self.fixed, self.assigned)
        if self.data_sets:
            yield from row_mistakes(self.data_sets, self.all_rows)


def by_key(*blocks: SettingsBlock) -> dict[str, Setting]:
    """The settings by their keys; those of later blocks win."""
    return {item.key: item for block in blocks for item in block.settings}


def effect_mistakes(blocks: Iterable[SettingsBlock], found: MethodRows) -> Iterator[str]:
    """Settings for all rows that have no effect, because each row sets the key itself."""
    set_by = [{item.key for item in row.settings} for row in found.rows]
    if found.distributions:
        set_by.append({item.key for item in found.distributions if not item.when})
    set_by_all = set.intersection(*set_by) if set_by else set()
    for block in blocks:
        for item in block.settings:
            if item.key in set_by_all:
                yield f"{item.origin}: {item.key}: has no effect, as every row sets this key; remove one of the two"
