"""Recipes: where the recipe of a search space is looked up, and the settings in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.spec.extends import RECIPE, read_extended
from orchestrator.spec.paths import expanded, is_file
from orchestrator.spec.settings import Setting, read_block
from orchestrator.spec.yaml_document import Document

__all__ = ["name_with_recipe", "read_recipe"]

RECIPE_SUFFIXES = (".yaml", ".yml")
SHARED_RECIPES = Path(__file__).resolve().parents[2] / "search_spaces" / "recipes"
"""Recipes that come with the project, in a checkout and in the wheel: the second place where a name is looked up."""


def read_recipe(
    document: Document, path: Path, recipe: str | None, problems: list[str]
) -> tuple[str, tuple[Setting, ...]]:
    """Name and settings of the recipe: the command line's, else the file's own."""
    own = document.values.get("recipe")
    origin = document.origins.nearest("recipe") if recipe is None else f"--recipe {recipe}"
    wanted = own if recipe is None else recipe
    if wanted is None:
        problems.append(f"{origin}: recipe: missing; add `recipe: NAME` or --recipe NAME ({known_recipes(path)})")
    if not isinstance(wanted, str):
        return "", ()
    found = find_recipe(wanted, path)
    if found is None:
        problems.append(f"{origin}: recipe: no recipe {wanted!r}; {known_recipes(path)}")
        return "", ()
    try:
        content = read_extended(found, RECIPE)
    except SpecError as error:
        problems.extend(error.messages)
        return "", ()
    return recipe_stem(wanted), read_block(content.values, content.origins, (), problems)


def find_recipe(recipe: str, spec: Path) -> Path | None:
    """File of a recipe: a path from here or from the search space's folder, else a name in a recipe folder."""
    if recipe.endswith(RECIPE_SUFFIXES) or "/" in recipe:
        candidates = [expanded(recipe), spec.parent / recipe]
    else:
        candidates = [folder / f"{recipe}.yaml" for folder in recipe_folders(spec)]
    return next((path for path in candidates if is_file(path)), None)


def recipe_folders(spec: Path) -> tuple[Path, ...]:
    """Where a recipe's name is looked up, first match wins."""
    return (spec.parent / "recipes", SHARED_RECIPES)


def known_recipes(spec: Path) -> str:
    """`there are: camvid_lite0, synthetic`."""
    names = sorted({path.stem for folder in recipe_folders(spec) for path in folder.glob("*.yaml")})
    return f"there are: {', '.join(names)}" if names else f"there are none in {spec.parent / 'recipes'}"


def recipe_stem(recipe: str) -> str:
    """Name of a recipe given by name or path."""
    return Path(recipe).stem if recipe.endswith(RECIPE_SUFFIXES) else Path(recipe).name


def name_with_recipe(name: str, spec: Path, own: Any, recipe: str | None) -> str:
    """`name`, and `@recipe` when the recipe is not the search space's own."""
    if recipe is None or recipe == own:
        return name
    found = find_recipe(recipe, spec)
    own_file = find_recipe(own, spec) if isinstance(own, str) else None
    if found is not None and own_file is not None and found.resolve() == own_file.resolve():
        return name
    return f"{name}@{recipe_stem(recipe)}"
