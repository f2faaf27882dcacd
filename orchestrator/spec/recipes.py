"""Recipes: where the recipe of a search space is looked up, and the settings in it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import SpecError, shortened
from orchestrator.spec.extends import RECIPE, read_extended
from orchestrator.spec.paths import expanded, is_file
from orchestrator.spec.schema import Recipe, SearchSpace, parse_recipe
from orchestrator.spec.settings import quoted

__all__ = ["name_with_recipe", "read_recipe"]

SUFFIXES = (".yaml", ".yml")
SHARED_RECIPES = Path(__file__).resolve().parents[2] / "search_spaces" / "recipes"
"""Recipes that come with the project, in a checkout and in the wheel."""


def read_recipe(space: SearchSpace, path: Path, recipe: str | None) -> tuple[str, Recipe]:
    """Name and content of `recipe`, or of the one that the search space at `path` names.

    Raises SpecError when there is no such recipe or it cannot be read.
    """
    origin = space.origin("recipe") if recipe is None else f"--recipe {shortened(recipe)}"
    wanted = space.recipe if recipe is None else recipe
    if wanted is None:
        if space.is_complete("recipe"):
            text = f"missing; add `recipe: NAME` or --recipe NAME ({known_recipes(path)})"
            raise SpecError(f"{origin}: recipe: {text}")
        return "", Recipe()
    found = find_recipe(wanted, path)
    if found is None:
        raise SpecError(f"{origin}: recipe: no recipe {quoted(wanted)}; {known_recipes(path)}")
    return recipe_name(found, path), parse_recipe(read_extended(found, RECIPE))


def find_recipe(recipe: str, spec: Path) -> Path | None:
    """File of a recipe: a path from the current directory or the search space's, or a name in a recipe directory.

    A name may have a folder: `released/camvid_hrnet_w48`.
    """
    candidates: list[Path] = []
    if recipe.endswith(SUFFIXES) or "/" in recipe:
        candidates += [expanded(recipe), spec.parent / recipe]
    if not recipe.endswith(SUFFIXES):
        candidates += [directory / f"{recipe}.yaml" for directory in recipe_directories(spec)]
    return next((path for path in candidates if is_file(path)), None)


def recipe_directories(spec: Path) -> tuple[Path, ...]:
    """Where a recipe's name is looked up, first match wins."""
    return (spec.parent / "recipes", Path("search_spaces/recipes"), SHARED_RECIPES)


def known_recipes(spec: Path) -> str:
    """`available: camvid_lite0, released/camvid_hrnet_w48, synthetic`."""
    names = {recipe_name(path, spec) for directory in recipe_directories(spec) for path in directory.rglob("*.yaml")}
    return f"available: {', '.join(sorted(names))}" if names else f"there are none in {spec.parent / 'recipes'}"


def recipe_name(file: Path, spec: Path) -> str:
    """Name of the recipe in `file`: with its folder if it is below a recipe directory, else that of the file."""
    file = file.resolve()
    directories = (directory.resolve() for directory in recipe_directories(spec))
    inside = next((directory for directory in directories if file.is_relative_to(directory)), file.parent)
    return file.relative_to(inside).with_suffix("").as_posix()


def name_with_recipe(name: str, spec: Path, own: str | None, recipe: str | None) -> str:
    """`name`, and `@recipe` when the recipe is not the search space's own; a slash in its name becomes a hyphen."""
    if recipe is None or recipe == own:
        return name
    found, own_file = find_recipe(recipe, spec), find_recipe(own, spec) if own else None
    if found is None:
        return f"{name}@{Path(recipe).stem}"
    if own_file is not None and found.resolve() == own_file.resolve():
        return name
    return f"{name}@{recipe_name(found, spec).replace('/', '-')}"
