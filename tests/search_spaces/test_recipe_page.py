"""docs/recipes.md shows the values of the recipe files: every table with a column for a recipe is compared with it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.spec.extends import RECIPE, read_extended
from orchestrator.spec.recipe_file import parse_recipe
from orchestrator.spec.settings import Setting, as_yaml
from orchestrator.workload.loading import built_in
from trainer.config import AUX_KERNELS, TrainConfig, ignored_options, keys_per_class, setting

PROJECT = Path(__file__).parents[2]
RECIPES = PROJECT / "search_spaces" / "recipes"
WITHOUT_SOURCE = {"synthetic", "camvid_lite0"}
"""Recipes for small budgets, which reproduce nothing published."""


@cache
def read_config(name: str) -> TrainConfig:
    """The configuration of a recipe."""
    recipe = parse_recipe(read_extended(RECIPES / f"{name}.yaml", RECIPE))
    assert recipe.settings.mistakes == recipe.search.mistakes == ()
    settings = {item.key: item for item in recipe.settings.settings}
    settings.setdefault("data.root", Setting(key="data.root", value="somewhere", origin="test"))
    return ConfigBuilder(built_in()).build(settings, name).config


def shown(config: TrainConfig, key: str) -> str:
    """A value as the page shows it: what holds, whether the recipe says it or not; `-` if it has no effect."""
    block, _, name = key.rpartition(".")
    ignored = {f"model.{option}" for option in ignored_options(config.model)}
    without_memory = block == "contrast.memory" and name != "kind" and config.contrast.memory.kind == "none"
    if key in ignored or without_memory or (key == "model.aux_weight" and config.model.head not in AUX_KERNELS):
        return "-"
    value: Any = config
    for part in key.split("."):
        value = setting(value, part)
    if key == "loss.class_weights":
        value = value and "yes"
    if key == "contrast.keys_per_class":
        value = keys_per_class(config.contrast)
    if key == "model.aux_channels" and value is None:
        value = config.model.head_channels
    if key == "model.aux_kernel" and value is None:
        value = AUX_KERNELS[config.model.head]
    if value is None:
        return "no"
    return f"{value:,}" if type(value) is int else as_yaml(value, quotes=False)


def tables() -> list[tuple[list[str], list[list[str]]]]:
    """The tables of the page: names of recipes, and rows of key, paper, and a value for each recipe."""
    found: list[tuple[list[str], list[list[str]]]] = []
    for line in (PROJECT / "docs" / "recipes.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| setting |"):
            found.append(([name.strip("`") for name in cells[2:]], []))
        elif found and line.startswith("| `"):
            found[-1][1].append(cells)
    return found


def test_the_page_shows_what_the_recipes_say():
    found = tables()
    assert len(found) > 5
    for names, rows in found:
        assert len(rows) > 10
        for key, _, *cells in rows:
            assert cells == [shown(read_config(name), key.strip("`")) for name in names], key


def test_every_recipe_with_a_source_is_on_the_page():
    on_page = [name for names, _ in tables() for name in names]
    files = {path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.rglob("*.yaml")}
    assert sorted(on_page) == sorted(files - WITHOUT_SOURCE)
