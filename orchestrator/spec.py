"""Read a search space and its recipe into a `SweepSpec`, or say everything that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.errors import SpecError
from orchestrator.records import TableRecord
from orchestrator.rows import BASELINE_LABEL, RowSpec, ablation_rows, grid_rows
from orchestrator.schema import MetricModel, SpecModel, check_document, seed_list
from orchestrator.settings import Setting, closest, read_assignment, read_block
from orchestrator.yaml_reader import Document, read_yaml

__all__ = ["Resources", "SweepSpec", "read_spec", "sweep_name"]

RECIPE_SUFFIXES = (".yaml", ".yml")
SHARED_RECIPES = Path("search_spaces/recipes")
"""Where a recipe's name is looked up after the `recipes` folder beside the search space."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one trial takes of a machine."""

    cpus: float = 1
    """CPU cores."""
    gpus: float | Literal["auto"] = "auto"
    """GPUs, fractions allowed; `auto`: one where there is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec:
    """A checked question (search space) with its recipe. What the rows make of it is up to `orchestrator.plan`."""

    name: str
    """`ablation_memory`, or `ablation_memory@camvid_lite0` when the recipe is not the search space's own."""
    question: str
    method: str
    recipe: str
    """Name of the recipe."""
    metric: str
    """Final scalar that ranks the rows, `final/miou`."""
    goal: str
    """`maximize` or `minimize`."""
    baseline: str | None
    """Label of the row the others are compared with."""
    rows: tuple[RowSpec, ...]
    """In the order of the file."""
    seeds: tuple[int, ...]
    base: Mapping[str, Setting]
    """What holds for every row unless the row says otherwise: recipe, then `fixed`, then `--set`."""
    table: TableRecord
    resources: Resources
    path: Path
    """The search space file, as the user typed it."""
    text: str
    """Its content."""


def sweep_name(path: Path, recipe: str | None = None) -> str:
    """Name of the sweep that `path` describes with `recipe` (None: its own), without checking the rest.

    Raises SpecError when the file cannot be read.
    """
    values = read_yaml(path).values
    return name_with_recipe(str(values.get("name") or path.stem), path, values.get("recipe"), recipe)


def read_spec(
    path: Path, *, recipe: str | None = None, settings: Sequence[str] = (), seeds: str | int | None = None
) -> SweepSpec:
    """The search space at `path`, read and checked.

    `recipe` (a name or a path), `settings` (`key=value`) and `seeds` (`5` or `11,12`) are `--recipe`, `--set` and
    `--seeds`. Raises SpecError with one line per mistake.
    """
    problems: list[str] = []
    document = read_yaml(path)
    model = check_document(document.values, document.origins, problems)
    rows, constants = read_rows(document, problems)
    recipe_name, recipe_settings = read_recipe(document, path, recipe, problems)
    fixed = document.values.get("fixed")
    fixed_settings = (
        *(read_block(fixed, document.origins, ("fixed",), problems) if isinstance(fixed, dict) else ()),
        *constants,
    )
    assigned = read_assignments(settings, problems)
    check_effect((*fixed_settings, *assigned), rows, problems)
    check_labels(document, rows, problems)
    seed_values = read_seeds(seeds, problems) if seeds is not None else (model.seeds if model else ())
    if model is None or problems:
        raise SpecError(*dict.fromkeys(problems))
    return SweepSpec(
        name=name_with_recipe(model.name or path.stem, path, model.recipe, recipe),
        question=model.question,
        method=model.method,
        recipe=recipe_name,
        metric=model.metric.name,
        goal=goal_of(model.metric),
        baseline=BASELINE_LABEL if isinstance(model.baseline, dict) else model.baseline,
        rows=rows,
        seeds=seed_values,
        base={item.key: item for item in (*recipe_settings, *fixed_settings, *assigned)},
        table=table_of(model),
        resources=Resources(cpus=model.resources.cpus, gpus=model.resources.gpus),
        path=path,
        text=document.text,
    )


def read_rows(document: Document, problems: list[str]) -> tuple[tuple[RowSpec, ...], tuple[Setting, ...]]:
    """Rows and constants by the file's method; an unknown method has none."""
    values, origins = document.values, document.origins
    method = values.get("method")
    for key, owner in (("rows", "ablation"), ("parameters", "grid")):
        if key in values and method in ("ablation", "grid") and method != owner:
            problems.append(f"{origins[key,]}: {key}: belongs to `method: {owner}`; remove it or change the method")
    if method == "grid":
        return grid_rows(document, problems)
    return (ablation_rows(document, problems) if method == "ablation" else ()), ()


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
        content = read_yaml(found)
    except SpecError as error:
        problems.extend(error.messages)
        return "", ()
    return recipe_stem(wanted), read_block(content.values, content.origins, (), problems)


def find_recipe(recipe: str, spec: Path) -> Path | None:
    """File of a recipe: a path from here or from the search space's folder, else a name in a recipe folder."""
    if recipe.endswith(RECIPE_SUFFIXES) or "/" in recipe:
        candidates = [Path(recipe).expanduser(), spec.parent / recipe]
    else:
        candidates = [folder / f"{recipe}.yaml" for folder in recipe_folders(spec)]
    return next((path for path in candidates if path.is_file()), None)


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


def read_assignments(texts: Sequence[str], problems: list[str]) -> tuple[Setting, ...]:
    """The settings of all `--set`, each key at most once."""
    found: dict[str, Setting] = {}
    for text in texts:
        setting = read_assignment(text, problems)
        if setting is not None and setting.key in found:
            problems.append(f"{setting.origin}: {setting.key}: given twice ({found[setting.key].origin}); remove one")
        elif setting is not None:
            found[setting.key] = setting
    return tuple(found.values())


def check_effect(settings: Sequence[Setting], rows: Sequence[RowSpec], problems: list[str]) -> None:
    """Complain of a setting for all rows that no row lets through: each sets the key itself."""
    if not rows or not settings:
        return
    in_all = set.intersection(*({item.key for item in row.settings} for row in rows))
    problems.extend(
        f"{item.origin}: {item.key}: has no effect, as every row sets this key itself; remove one of the two"
        for item in settings
        if item.key in in_all
    )


def check_labels(document: Document, rows: Sequence[RowSpec], problems: list[str]) -> None:
    """Complain of an empty label and of a baseline that is no row."""
    labels = [row.label for row in rows]
    problems.extend(f"{row.origin}: rows: a row without label; name it" for row in rows if not row.label.strip())
    baseline = document.values.get("baseline")
    origin = document.origins.nearest("baseline")
    if isinstance(baseline, str) and rows and baseline not in labels:
        problems.append(f"{origin}: baseline: no row {baseline!r}; {closest(baseline, labels)}")
    if isinstance(baseline, dict) and document.values.get("method") == "ablation":
        problems.append(f"{origin}: baseline: an ablation names one of its rows; {closest('', labels)}")


def read_seeds(seeds: str | int, problems: list[str]) -> tuple[int, ...]:
    """The seeds of `--seeds`: a number of repetitions, or seeds with commas."""
    parts = str(seeds).split(",")
    try:
        if not all(part.strip().lstrip("-").isdecimal() for part in parts):
            raise ValueError(f"must be a number or whole numbers with commas, not {seeds!r}; write for example 3")
        numbers = [int(part) for part in parts]
        return seed_list(numbers[0] if len(numbers) == 1 else numbers)
    except ValueError as error:
        problems.append(f"--seeds {seeds}: seeds: {error}")
        return ()


def goal_of(metric: MetricModel) -> str:
    """`maximize` or `minimize`, also from Ray's `mode`."""
    return metric.goal or ("minimize" if metric.mode == "min" else "maximize")


def table_of(model: SpecModel) -> TableRecord:
    """The table asked for; its columns by default those of `TableRecord`."""
    given = model.table.model_dump(exclude_unset=True)
    columns = given.pop("columns", None)
    return TableRecord(**given, columns=tuple(columns)) if columns else TableRecord(**given)
