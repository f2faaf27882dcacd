"""Recipes: where the recipe of a search space is looked up, and the settings in it."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.errors import SpecError, shortened
from orchestrator.spec.extends import RECIPE, read_extended
from orchestrator.spec.paths import expanded, is_file
from orchestrator.spec.recipe_file import Recipe, parse_recipe
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import quoted
from orchestrator.spec.shipped import SHIPPED_RECIPES, looked_in, shipped_file
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.spec.yaml_document import Document

__all__ = [
    "find_recipe",
    "known_recipes",
    "load_recipe",
    "name_with_recipe",
    "read_recipe",
    "recipe_document",
]

SUFFIXES = (".yaml", ".yml")
OWN_RECIPES = (Path("recipes"), Path("search_spaces/recipes"))
"""Below the current folder."""
METHOD = re.compile(r"^method\s*:", re.MULTILINE)
"""A file with this key is a search space."""


def read_recipe(space: SearchSpace, path: Path, recipe: str | None) -> tuple[str, Recipe]:
    """Name and content of `recipe`, or of the one that the search space at `path` names.

    A trainer of the user's own needs no recipe. Raises SpecError when there is no such recipe or it cannot be read.
    """
    origin = space.origin("recipe") if recipe is None else f"--recipe {shortened(recipe)}"
    wanted = space.recipe if recipe is None else recipe
    if wanted is None:
        if space.is_complete("recipe") and workload_in_use().is_built_in:
            text = f"missing; add `recipe: NAME` or --recipe NAME ({known_recipes(path)})"
            raise SpecError(f"{origin}: recipe: {text}")
        return "", Recipe()
    return load_recipe(wanted, path, f"{origin}: recipe")


def load_recipe(recipe: str, path: Path, where: str) -> tuple[str, Recipe]:
    """Name and content of a recipe for the search space at `path`; the message of a missing one begins with `where`.

    Raises SpecError when there is no such recipe or it cannot be read.
    """
    found = find_recipe(recipe, path)
    if found is None:
        raise SpecError(f"{where}: no recipe {quoted(recipe)}; {known_recipes(path)}")
    return recipe_name(found, path), parse_recipe(read_extended(found, RECIPE))


def recipe_document(document: Document, path: Path, recipe: str | None) -> Document | None:
    """The file of `recipe`, or of the one that the unchecked search space at `path` names.

    None if it cannot be found or read: `read_recipe` says why.
    """
    wanted = document.values.get("recipe") if recipe is None else recipe
    found = find_recipe(wanted, path) if isinstance(wanted, str) else None
    try:
        return None if found is None else read_extended(found, RECIPE)
    except SpecError:
        return None


def find_recipe(recipe: str, spec: Path) -> Path | None:
    """File of a recipe: a path from the current folder or the search space's, or a name.

    A name is looked up in the recipe directories, then beside the search space, then among the recipes of the project.
    It may have a folder: `released/camvid_hrnet_w48`.
    """
    candidates: list[Path] = []
    if recipe.endswith(SUFFIXES) or "/" in recipe:
        candidates += [expanded(recipe), spec.parent / recipe]
    file = recipe if recipe.endswith(SUFFIXES) else f"{recipe}.yaml"
    candidates += [own / file for own in own_directories(spec)]
    if found := next(filter(is_file, candidates), None):
        return found
    beside = (folder / file for folder in (spec.parent, Path()))
    if found := next((path for path in beside if is_file(path) and not METHOD.search(text_of(path))), None):
        return found
    return shipped_file(file.removeprefix("search_spaces/").removeprefix("recipes/"), SHIPPED_RECIPES)


def text_of(path: Path) -> str:
    """Content of a file, in which only ASCII matters; empty if it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def own_directories(spec: Path) -> tuple[Path, ...]:
    """The user's recipe directories: that of the search space, then those below the current folder."""
    shipped = SHIPPED_RECIPES.resolve()
    return tuple(folder for folder in (spec.parent / "recipes", *OWN_RECIPES) if folder.resolve() != shipped)


def recipe_directories(spec: Path) -> tuple[Path, ...]:
    """Where a recipe's name is looked up, first match wins."""
    return (*own_directories(spec), SHIPPED_RECIPES)


def known_recipes(spec: Path) -> str:
    """`available: camvid_lite0, released/camvid_hrnet_w48, synthetic; looked in recipes and ...`."""
    directories = recipe_directories(spec)
    names = {recipe_name(path, spec) for directory in directories for path in directory.rglob("*.yaml")}
    places = looked_in(dict.fromkeys((*(directory for directory in directories if directory.is_dir()), spec.parent)))
    return f"available: {', '.join(sorted(names))}; {places}"


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
