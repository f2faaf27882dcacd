"""SpecOptions: what the command line changes in a search space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.settings import Setting, SettingsBlock, read_assignment

__all__ = ["SpecOptions", "read_assignments"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecOptions:
    """The options as they are given; `sweep_spec` reads and checks them."""

    recipe: str | None = None
    """`--recipe`: a name or a path."""
    data: Sequence[str] = ()
    """Each `--data`: `camvid`, `camvid=PATH`, a recipe or a folder."""
    settings: Sequence[str] = ()
    """Each `--set`: `key=value`."""
    seeds: str | int | None = None
    """`--seeds`: `5` or `11,12`."""
    name: str | None = None
    """`--name`."""


def read_assignments(texts: Sequence[str]) -> SettingsBlock:
    """The settings of all `--set`, each key at most once."""
    found: dict[str, Setting] = {}
    errors = SpecErrorCollector()
    for text in texts:
        with errors:
            setting = read_assignment(text)
            if first := found.get(setting.key):
                raise SpecError(f"{setting.origin}: {setting.key}: given twice ({first.origin}); remove one")
            found[setting.key] = setting
    return SettingsBlock(settings=tuple(found.values()), mistakes=tuple(errors.messages))
