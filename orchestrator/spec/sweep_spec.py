"""Read a search space and its recipe into a `SweepSpec`, or say everything that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator.errors import SpecError
from orchestrator.spec.ablation import ablation_rows, implied_baseline
from orchestrator.spec.blocks import Budget, Resources, Retries, Scheduler, Until
from orchestrator.spec.distributions import Distribution, Objective, Search
from orchestrator.spec.extends import SEARCH_SPACE, read_extended
from orchestrator.spec.grid import grid_rows
from orchestrator.spec.recipes import name_with_recipe, read_recipe
from orchestrator.spec.rows import BASELINE_LABEL, RowSpec, baseline_row, check_labels
from orchestrator.spec.schema import MetricModel, SpecModel, check_document
from orchestrator.spec.search import read_distributions
from orchestrator.spec.settings import Setting, read_assignment, read_block
from orchestrator.spec.table import check_table, table_of
from orchestrator.spec.validators import METHODS, seed_list, seeds_until
from orchestrator.spec.yaml_document import Document
from orchestrator.store.records import SEARCHES, TableRecord

__all__ = ["Resources", "SweepSpec", "read_spec", "sweep_name"]

OWNERS: Mapping[str, tuple[str, ...]] = {
    "rows": ("ablation",),
    "one_at_a_time": ("ablation",),
    "leave_one_out": ("ablation",),
    "parameters": ("grid", *SEARCHES),
    "zip": ("grid",),
    "skip": ("grid",),
    "when": ("grid", *SEARCHES),
    "trials": SEARCHES,
    "search_seed": SEARCHES,
    "scheduler": SEARCHES,
}
"""Methods that read a key."""

MAX_CELLS = 1_000_000
"""More rows times seeds than this are a slip of the pen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec:
    """A checked question (search space) with its recipe. What the rows make of it is up to `plan`."""

    name: str
    """`ablation_memory`, or `ablation_memory@camvid_lite0` when the recipe is not the search space's own."""
    question: str
    method: str
    recipe: str
    """Name of the recipe."""
    metric: str
    """Final scalar that ranks the rows, `final/miou`: the first of `objectives`."""
    goal: str
    """`maximize` or `minimize`."""
    baseline: str | None
    """Label of the row the others are compared with."""
    rows: tuple[RowSpec, ...]
    """In the order of the file; of a search its baseline row, if it has one: the trials are drawn later."""
    seeds: tuple[int, ...]
    """Of a search exactly one."""
    base: Mapping[str, Setting]
    """What holds for every row unless the row says otherwise: recipe, then `fixed`, then `--set`."""
    table: TableRecord
    resources: Resources
    path: Path
    """The search space file, as the user typed it."""
    text: str
    """Its content, and as comments that of the files it extends."""
    objectives: tuple[Objective, ...] = (Objective(),)
    """Several only in a search."""
    search: Search | None = None
    """How `random` and `tpe` draw trials; None for the other methods."""
    scheduler: Scheduler | None = None
    """None: every trial runs to its end. Never in an ablation or with several objectives."""
    budget: Budget = field(default_factory=Budget)
    retries: Retries = field(default_factory=Retries)
    max_consecutive_failures: int = 3
    """Failures of one kind in a row after which the sweep stops; 0: never."""
    until: Until | None = None
    """`seeds: {until: decided}`: rows get seeds beyond `seeds` as long as they are open."""
    models: str = "none"
    """Checkpoint of each trial that MLflow gets as a model: `best`, `last` or `none`."""


def sweep_name(path: Path, recipe: str | None = None) -> str:
    """Name of the sweep that `path` describes with `recipe` (None: its own), without checking the rest.

    Raises SpecError when the file cannot be read.
    """
    values = read_extended(path, SEARCH_SPACE).values
    return name_with_recipe(str(values.get("name") or path.stem), path, values.get("recipe"), recipe)


def read_spec(
    path: Path, *, recipe: str | None = None, settings: Sequence[str] = (), seeds: str | int | None = None
) -> SweepSpec:
    """The search space at `path`, read and checked.

    `recipe` (a name or a path), `settings` (`key=value`) and `seeds` (`5` or `11,12`) are `--recipe`, `--set` and
    `--seeds`. Raises SpecError with one line per mistake.
    """
    problems: list[str] = []
    document = read_extended(path, SEARCH_SPACE)
    model = check_document(document.values, document.origins, problems)
    check_method(document, model, problems)
    later: list[str] = []  # mistakes of the recipe and of settings for all rows are told after those of the rows
    recipe_name, recipe_settings = read_recipe(document, path, recipe, later)
    fixed = document.values.get("fixed")
    fixed_settings = read_block(fixed, document.origins, ("fixed",), later) if isinstance(fixed, dict) else ()
    assigned = read_assignments(settings, later)
    base = by_key(recipe_settings, fixed_settings, assigned)
    rows, constants, drawn = read_rows(document, base, problems)
    problems += later
    check_effect((*fixed_settings, *constants, *assigned), rows, drawn, problems)
    check_labels(document, rows, problems)
    check_table(document, model, rows, drawn, problems)
    seed_values = read_seeds(seeds, problems) if seeds is not None else (model.seeds if model else (0,))
    check_size(document, rows, drawn, seed_values, seeds, problems)
    until = read_until(document, problems) if seeds is None and model is not None else None
    if model is None or problems:
        raise SpecError(*dict.fromkeys(problems))
    objectives = tuple(Objective(name=metric.name, goal=goal_of(metric)) for metric in model.metric)
    return SweepSpec(
        name=name_with_recipe(model.name or path.stem, path, model.recipe, recipe),
        question=model.question,
        method=model.method,
        recipe=recipe_name,
        metric=objectives[0].name,
        goal=objectives[0].goal,
        baseline=baseline_of(model, document),
        rows=rows,
        seeds=seed_values,
        base=by_key(recipe_settings, fixed_settings, constants, assigned),
        table=table_of(model.table),
        resources=resources_of(model),
        path=path,
        text=document.text,
        objectives=objectives,
        search=search_of(model, drawn),
        scheduler=scheduler_of(model, document),
        budget=Budget(**model.budget.model_dump()),
        retries=Retries(**model.retries.model_dump()),
        max_consecutive_failures=model.max_consecutive_failures,
        until=until,
        models=model.tracking.models,
    )


def by_key(*settings: Sequence[Setting]) -> dict[str, Setting]:
    """The settings by their keys; the later ones win."""
    return {item.key: item for group in settings for item in group}


def check_method(document: Document, model: SpecModel | None, problems: list[str]) -> None:
    """Complain of keys that the method does not read, and of those it misses."""
    values, origins, method = document.values, document.origins, document.values.get("method")
    if method not in METHODS:
        return
    for key, owners in OWNERS.items():
        if key in values and method not in owners:
            text = f"belongs to `method: {' | '.join(owners)}`; remove it or change the method"
            problems.append(f"{origins[key,]}: {key}: {text}")
    if method in SEARCHES and values.get("trials") is None:
        problems.append(f"{origins.nearest('trials')}: trials: missing; say how many to draw, for example trials: 40")
    if method in SEARCHES and isinstance(values.get("baseline"), str):
        text = "a search has no rows that could be named; write the settings of an extra row, `{key: value}`"
        problems.append(f"{origins['baseline',]}: baseline: {text}")
    several = isinstance(values.get("metric"), list) and len(values["metric"]) > 1
    if several and method not in SEARCHES:
        text = "only a search has several objectives; name one, and show the others with table.columns"
        problems.append(f"{origins['metric',]}: metric: {text}")
    if values.get("scheduler") is not None and several and method in SEARCHES:
        text = "with several objectives no trial is plainly worse; remove it, or name one metric"
        problems.append(f"{origins['scheduler',]}: scheduler: {text}")
    if model is not None and len({metric.name for metric in model.metric}) < len(model.metric):
        problems.append(f"{origins['metric',]}: metric: an objective is named twice; remove one")


def read_rows(
    document: Document, base: Mapping[str, Setting], problems: list[str]
) -> tuple[tuple[RowSpec, ...], tuple[Setting, ...], tuple[Distribution, ...]]:
    """Rows, constants and what is drawn, by the file's method; an unknown method has none of them."""
    method = document.values.get("method")
    if method == "ablation":
        return ablation_rows(document, base, problems), (), ()
    if method == "grid":
        return (*grid_rows(document, problems), ())
    if method in SEARCHES:
        drawn, constants = read_distributions(document, problems)
        return baseline_row(document, problems), constants, drawn
    return (), (), ()


def check_size(
    document: Document,
    rows: Sequence[RowSpec],
    drawn: Sequence[Distribution],
    seeds: Sequence[int],
    given: str | int | None,
    problems: list[str],
) -> None:
    """Complain of more than one seed in a search and of far too many cells."""
    origin = f"--seeds {given}" if given is not None else document.origins.nearest("seeds")
    if drawn and len(seeds) > 1:
        text = f"a search trains each trial with one seed, not {len(seeds)}; write `seeds: 1`, and repeat the best rows"
        problems.append(f"{origin}: seeds: {text} in an ablation")
    if len(rows) * len(seeds) > MAX_CELLS:
        text = f"{len(rows)} rows x {len(seeds)} seeds are more than {MAX_CELLS}; take fewer"
        problems.append(f"{origin}: seeds: {text}")


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


def check_effect(
    settings: Sequence[Setting], rows: Sequence[RowSpec], drawn: Sequence[Distribution], problems: list[str]
) -> None:
    """Complain of a setting for all rows that none lets through: each sets the key itself."""
    set_by = [{item.key for item in row.settings} for row in rows]
    if drawn:
        set_by.append({item.key for item in drawn if not item.when})
    in_all = set.intersection(*set_by) if set_by else set()
    problems.extend(
        f"{item.origin}: {item.key}: has no effect, as every row sets this key itself; remove one of the two"
        for item in settings
        if item.key in in_all
    )


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


def read_until(document: Document, problems: list[str]) -> Until | None:
    """The seeds of `{min: 3, max: 10, until: decided}`; None for seeds that are given."""
    given = document.values.get("seeds")
    if not isinstance(given, dict):
        return None
    if implied_baseline(document) is None and document.values.get("baseline") is None:
        text = "until: decided compares rows with a baseline; add `baseline: LABEL`"
        problems.append(f"{document.origins['seeds',]}: seeds: {text}")
    fewest, most = seeds_until(given)
    return Until(first=fewest, last=most)


def goal_of(metric: MetricModel) -> Literal["maximize", "minimize"]:
    """Which way is better, also from Ray's `mode`."""
    return metric.goal or ("minimize" if metric.mode == "min" else "maximize")


def baseline_of(model: SpecModel, document: Document) -> str | None:
    """The label of the row that the others are compared with."""
    if isinstance(model.baseline, dict):
        return BASELINE_LABEL
    label: str | None = model.baseline
    return implied_baseline(document) if label is None else label


def resources_of(model: SpecModel) -> Resources:
    """What a trial takes; ranks by default one per GPU."""
    given = model.resources
    ranks = given.ranks or (int(given.gpus) if given.gpus != "auto" and given.gpus > 1 else 1)
    return Resources(cpus=given.cpus, gpus=given.gpus, processes=given.processes, ranks=ranks)


def search_of(model: SpecModel, drawn: tuple[Distribution, ...]) -> Search | None:
    """How trials are drawn; None where rows are listed."""
    if model.method == "ablation" or model.method == "grid" or model.trials is None:
        return None
    return Search(sampler=model.method, trials=model.trials, seed=model.search_seed, parameters=drawn)


def scheduler_of(model: SpecModel, document: Document) -> Scheduler | None:
    """Which trials are stopped early, and where the file says so."""
    if model.scheduler is None:
        return None
    return Scheduler(**model.scheduler.model_dump(), origin=document.origins.nearest("scheduler", "grace_fraction"))
