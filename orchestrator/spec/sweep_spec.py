"""Read a search space and its recipe into a `SweepSpec`, or report everything that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.errors import SpecError, SpecErrorCollector, shortened
from orchestrator.plugins.table_style import TableStyle
from orchestrator.spec.ablation import ablation_rows, implied_baseline
from orchestrator.spec.blocks import Until
from orchestrator.spec.data_entry import DataEntry
from orchestrator.spec.data_sets import (
    DataSetSpec,
    data_mistakes,
    data_names,
    given_entries,
    named_recipes,
    override_mistakes,
    read_data_sets,
    row_mistakes,
)
from orchestrator.spec.distributions import Distribution, Search
from orchestrator.spec.extends import SEARCH_SPACE, read_extended
from orchestrator.spec.grid import grid_rows
from orchestrator.spec.parameters import read_parameters
from orchestrator.spec.plugins import load_plugins, plugins_in
from orchestrator.spec.recipes import name_with_recipe, read_recipe, recipe_document
from orchestrator.spec.rows import BASELINE_LABEL, MethodRows, RowSpec, baseline_row, label_mistakes
from orchestrator.spec.schema import Recipe, SearchSpace, parse_search_space
from orchestrator.spec.selection import selection_mistakes
from orchestrator.spec.settings import Setting, SettingsBlock, extended_by, quoted, read_assignment
from orchestrator.spec.shipped import find_search_space
from orchestrator.spec.sweep_names import (
    SweepName,
    changed_settings,
    check_sweep_name,
    data_change,
    name_after,
    seeds_change,
)
from orchestrator.spec.table import table_mistakes
from orchestrator.spec.table_styles import drawn_with, load_styles, styles_in_use
from orchestrator.spec.tracking import tracking_mistakes
from orchestrator.spec.validators import seed_list
from orchestrator.spec.workload_in_use import reading_for, workload_in_use
from orchestrator.spec.workload_key import workload_in
from orchestrator.spec.yaml_document import Document
from orchestrator.store.records import SEARCHES
from orchestrator.workload.extension import Extension
from orchestrator.workload.loaded import LoadedWorkload

__all__ = ["SweepSpec", "plugins_of", "read_spec", "read_sweep_name"]

METHODS_OF_KEY: Mapping[str, tuple[str, ...]] = {
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

MAX_RUNS = 1_000_000
"""More rows times seeds than this are a typo."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec:
    """A checked search space with its recipe; `plan` turns it into trials."""

    space: SearchSpace
    """The file, without mistakes."""
    workload: LoadedWorkload
    """The code that trains, whose keys the settings are."""
    sweep_name: SweepName
    baseline: str | None
    """Label of the row the others are compared with."""
    rows: tuple[RowSpec, ...]
    """In the order of the file. A search has at most its baseline row here: its trials are drawn later."""
    seeds: tuple[int, ...]
    """Exactly one in a search."""
    until: Until | None
    """`seeds: {until: decided}`: rows that are not told apart from the baseline get more seeds than `seeds`."""
    data_sets: tuple[DataSetSpec, ...]
    """On which every row is trained, each with the settings that hold on it: recipe, then `fixed`, then its own, then
    `--set`. Exactly one, without a name, where the file names none."""
    search: Search | None
    """How `random` and `tpe` draw trials; None for the other methods."""
    extension: Extension | None = None
    """What the plugins of the files add to the configuration; None without plugins."""
    styles: Mapping[str, TableStyle] = field(default_factory=dict)
    """Table styles of the plugins, by name."""

    @property
    def name(self) -> str:
        """`ablation_memory@camvid_lite0+steps=60`; `orchestrator.planning.naming` adds data and weights of `--set`."""
        return self.sweep_name.text

    @property
    def recipe(self) -> str:
        """Name of the recipe, or of those of the data sets."""
        return ", ".join(dict.fromkeys(item.recipe for item in self.data_sets))

    @property
    def base(self) -> Mapping[str, Setting]:
        """Settings that hold for every row on every data set, unless the row sets them itself."""
        first, *others = (item.base for item in self.data_sets)
        return {
            key: item
            for key, item in first.items()
            if all(key in other and other[key].value == item.value for other in others)
        }


def read_sweep_name(
    path: Path,
    *,
    recipe: str | None = None,
    data: Sequence[str] = (),
    settings: Sequence[str] = (),
    seeds: str | int | None = None,
    name: str | None = None,
) -> SweepName:
    """Name of the sweep that `path` describes with these options; what does not enter the name may be wrong.

    `path` may be the name of a search space of the project.

    Raises SpecError when the file or its recipe cannot be read, and for a wrong option.
    """
    path = find_search_space(path)
    with opened(path, recipe, data) as (space, _):
        return named(space, path, recipe, data, settings, seeds, name)


def plugins_of(path: Path, *, recipe: str | None = None, data: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """The plugins, with their places, of the search space at `path`, its recipe and its data sets. Raises SpecError."""
    path = find_search_space(path)
    return named_plugins(read_extended(path, SEARCH_SPACE), path, recipe, data)


@contextmanager
def opened(path: Path, recipe: str | None, data: Sequence[str]) -> Iterator[tuple[SearchSpace, Extension | None]]:
    """The search space at `path`, and what its plugins add; in the body its workload and its plugins are in use.

    Raises SpecError.
    """
    document, workload = read_extended(path, SEARCH_SPACE), workload_in_use()
    named_workload = workload_in(document)
    with reading_for(named_workload):
        if named_workload is not workload:
            document = read_extended(path, SEARCH_SPACE)  # renamed keys are those of the workload
        plugins = named_plugins(document, path, recipe, data)
        extension = load_plugins(plugins)
        with extended_by(extension), drawn_with(load_styles(plugins)):
            yield parse_search_space(document), extension


def named_plugins(
    document: Document, path: Path, recipe: str | None, data: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """The plugins of the search space `document` at `path`, its recipe and its data sets, with their places.

    Raises SpecError.
    """
    recipes = [recipe, *named_recipes(data or document.values.get("data"))]
    documents = [recipe_document(document, path, name) for name in recipes]
    return plugins_in(document, *(item for item in documents if item is not None))


def named(
    space: SearchSpace,
    path: Path,
    recipe: str | None,
    data: Sequence[str],
    settings: Sequence[str],
    seeds: str | int | None,
    name: str | None,
) -> SweepName:
    """`read_sweep_name` of a file that is read."""
    base = name_with_recipe(space.name or path.stem, path, space.recipe, recipe)
    given = None if name is None else check_sweep_name(name)
    assigned = read_assignments(settings)
    if assigned.mistakes:
        raise SpecError(*assigned.mistakes)
    files = file_settings(space, path, recipe, data) if settings else []
    seed_change = () if seeds is None else seeds_change(read_seeds(seeds), seeds_of(space))
    changed = changed_settings(assigned.settings, files)
    return name_after(base, changed, (*seed_change, *data_change_of(space, data)), given)


def file_settings(
    space: SearchSpace, path: Path, recipe: str | None, data: Sequence[str]
) -> list[Mapping[str, Setting]]:
    """The settings for all rows without `--set`, on each data set. Raises SpecError."""
    fixed = space.fixed or SettingsBlock()
    blocks = [
        (*content.settings_for(space.method), fixed, own)
        for content, own in ((item.content, item.own) for item in data_sets_of(space, path, recipe, data))
    ]
    return [by_key(*each, SettingsBlock(settings=method_rows(space, by_key(*each)).constants)) for each in blocks]


def data_sets_of(space: SearchSpace, path: Path, recipe: str | None, data: Sequence[str]) -> tuple[DataSetSpec, ...]:
    """The data sets of `--data`, else of the file; without any, one without a name and with the sweep's recipe.

    Raises SpecError.
    """
    entries = data_entries(space, data)
    if entries and recipe is None and space.recipe is None and space.is_complete("recipe"):
        return read_data_sets(path, ("", Recipe()), entries)
    default = read_recipe(space, path, recipe)
    if not entries:
        return (DataSetSpec(name="", recipe=default[0], content=default[1], own=SettingsBlock(), origin=""),)
    return read_data_sets(path, default, entries)


def data_entries(space: SearchSpace, data: Sequence[str]) -> tuple[tuple[str, DataEntry], ...]:
    """Origin and entry of each data set of `--data`, else of the file."""
    own = space.data or ()
    return given_entries(data) or tuple((space.origin("data", place), entry) for place, entry in enumerate(own))


def data_change_of(space: SearchSpace, data: Sequence[str]) -> tuple[str, ...]:
    """What `--data` changes in the name of a sweep."""
    given = data_names([entry for _, entry in given_entries(data)])
    return data_change(given, data_names(space.data or ()))


def seeds_of(space: SearchSpace) -> tuple[int, ...] | None:
    """The seeds of the file; None where they grow until decided."""
    return None if isinstance(space.seeds, Until) else space.seeds


def read_spec(
    path: Path,
    *,
    recipe: str | None = None,
    data: Sequence[str] = (),
    settings: Sequence[str] = (),
    seeds: str | int | None = None,
    name: str | None = None,
) -> SweepSpec:
    """The search space at `path`, or the one of the project with this name, read and checked.

    `recipe` (a name or a path), `data` (`camvid`, `camvid=PATH`, a recipe or a folder), `settings` (`key=value`),
    `seeds` (`5` or `11,12`) and `name` are `--recipe`, `--data`, `--set`, `--seeds` and `--name`. Raises SpecError with
    one line per mistake.
    """
    path = find_search_space(path)
    with opened(path, recipe, data) as (space, extension):
        spec = specified(space, path, recipe, data, settings, seeds, name)
        return replace(spec, extension=extension, styles=styles_in_use())


def specified(
    space: SearchSpace,
    path: Path,
    recipe: str | None,
    data: Sequence[str],
    settings: Sequence[str],
    seeds: str | int | None,
    name: str | None,
) -> SweepSpec:
    """`read_spec` of a file that is read."""
    errors = SpecErrorCollector()
    with errors:
        name = None if name is None else check_sweep_name(name)
    errors.messages.extend((*space.mistakes, *method_mistakes(space)))
    data_sets: tuple[DataSetSpec, ...] = ()
    with errors:
        data_sets = data_sets_of(space, path, recipe, data)
    seed_values = tuple(range(space.seeds.first)) if isinstance(space.seeds, Until) else space.seeds
    if seeds is not None:
        with errors:
            seed_values = read_seeds(seeds)
    fixed, assigned = space.fixed or SettingsBlock(), read_assignments(settings)
    below = [(*item.content.settings_for(space.method), fixed, item.own) for item in data_sets] or [(fixed,)]
    all_rows = [method_rows(space, by_key(*blocks, assigned)) for blocks in below]
    found, constants = all_rows[0], SettingsBlock(settings=all_rows[0].constants)
    of_recipes = (
        mistake for item in data_sets for mistake in (*item.content.settings.mistakes, *item.content.search.mistakes)
    )
    errors.messages.extend((*found.mistakes, *dict.fromkeys(of_recipes), *assigned.mistakes))
    errors.messages.extend(effect_mistakes((fixed, *(item.own for item in data_sets), constants, assigned), found))
    errors.messages.extend(
        (
            *label_mistakes(space, found.rows),
            *table_mistakes(space, found),
            *selection_mistakes(space),
            *tracking_mistakes(space),
        )
    )
    entries = data_entries(space, data)
    place = entries[0][0] if data and entries else space.origin("data")
    until = space.seeds if seeds is None and isinstance(space.seeds, Until) else None
    errors.messages.extend(data_mistakes(space, place, len(entries), until))
    if entries and data_sets:
        errors.messages.extend((*override_mistakes(data_sets, fixed, assigned), *row_mistakes(data_sets, all_rows)))
    origin = space.origin("seeds") if seeds is None else f"--seeds {shortened(str(seeds))}"
    runs_per_seed = len(found.rows) * max(len(data_sets), 1)
    errors.messages.extend(size_mistakes(f"{origin}: seeds", found, seed_values, runs_per_seed))
    baseline = (
        BASELINE_LABEL if isinstance(space.baseline, SettingsBlock) else space.baseline or implied_baseline(space)
    )
    if until is not None and baseline is None and space.is_complete("baseline"):
        errors.messages.append(
            f"{origin}: seeds: until: decided needs a baseline to compare with; add `baseline: LABEL`"
        )
    errors.raise_any()
    base = name_with_recipe(space.name or path.stem, path, space.recipe, recipe)
    changed = changed_settings(assigned.settings, [by_key(*blocks, constants) for blocks in below])
    seed_change = () if seeds is None else seeds_change(seed_values, seeds_of(space))
    return SweepSpec(
        space=space,
        workload=workload_in_use(),
        sweep_name=name_after(base, changed, (*seed_change, *data_change_of(space, data)), name),
        baseline=baseline,
        rows=found.rows,
        seeds=seed_values,
        until=until,
        data_sets=tuple(
            replace(item, base=by_key(*blocks, constants, assigned))
            for item, blocks in zip(data_sets, below, strict=True)
        ),
        search=search_of(space, found.distributions),
    )


def by_key(*blocks: SettingsBlock) -> dict[str, Setting]:
    """The settings by their keys; those of later blocks win."""
    return {item.key: item for block in blocks for item in block.settings}


def method_mistakes(space: SearchSpace) -> Iterator[str]:
    """Keys that the method does not read, those it lacks, and objectives that it cannot have."""
    if not space.is_complete("method"):
        return
    is_search = space.method in SEARCHES
    for key, methods in METHODS_OF_KEY.items():
        if space.has(key) and space.method not in methods:
            yield f"{space.origin(key)}: {key}: needs `method: {' | '.join(methods)}`; remove it or change the method"
    if is_search and space.trials is None and space.is_complete("trials"):
        yield f"{space.origin('trials')}: trials: missing; say how many to draw, for example trials: 40"
    if is_search and isinstance(space.baseline, str):
        text = "a search has no rows to name; write the settings of an extra row, `{key: value}`"
        yield f"{space.origin('baseline')}: baseline: {text}"
    if len(space.metric) > 1 and not is_search:
        text = "only a search has several objectives; name one, and show the others with table.columns"
        yield f"{space.origin('metric')}: metric: {text}"
    if len(space.metric) > 1 and is_search and space.scheduler is not None:
        text = "cannot rank trials by several objectives; remove it, or name one metric"
        yield f"{space.origin('scheduler')}: scheduler: {text}"
    if len({objective.name for objective in space.metric}) < len(space.metric) and space.is_complete("metric"):
        yield f"{space.origin('metric')}: metric: an objective is named twice; remove one"


def method_rows(space: SearchSpace, base: Mapping[str, Setting]) -> MethodRows:
    """Rows, constants and what is drawn, by the file's method; nothing where the method or all parameters are wrong."""
    if not space.is_complete("method"):
        return MethodRows()
    if space.method == "ablation":
        return ablation_rows(space, base)
    if space.parameters is None and not space.is_complete("parameters"):
        return MethodRows()
    return grid_rows(space) if space.method == "grid" else search_rows(space)


def size_mistakes(where: str, found: MethodRows, seeds: Sequence[int], runs: int) -> Iterator[str]:
    """More than one seed in a search, and far too many trials; each message begins with `where`.

    `runs` are those of a seed: rows x data sets.
    """
    if found.distributions and len(seeds) > 1:
        text = f"a search trains each trial with one seed, not {len(seeds)}; write `seeds: 1`"
        yield f"{where}: {text}, and repeat the best rows in an ablation"
    if runs * len(seeds) > MAX_RUNS:
        on_data = "" if runs == len(found.rows) else f" x {runs // len(found.rows)} data sets"
        yield f"{where}: {len(found.rows)} rows{on_data} x {len(seeds)} seeds are more than {MAX_RUNS}; use fewer"


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


def read_seeds(seeds: str | int) -> tuple[int, ...]:
    """The seeds of `--seeds`: a number of repetitions, or a comma-separated list. Raises SpecError."""
    parts = str(seeds).split(",")
    try:
        if not all(part.strip().lstrip("-").isdecimal() for part in parts):
            raise ValueError(
                f"must be a number or comma-separated whole numbers, not {quoted(seeds)}; write for example 3"
            )
        numbers = [int(part) for part in parts]
        return seed_list(numbers[0] if len(numbers) == 1 else numbers)
    except ValueError as error:
        raise SpecError(f"--seeds {shortened(str(seeds))}: seeds: {error}") from error


def search_rows(space: SearchSpace) -> MethodRows:
    """What is drawn, the constants (`value:`), and the `baseline:` block as the only row."""
    parameters = read_parameters(space)
    listed = {
        key: Distribution(
            key=key,
            kind="categorical",
            choices=tuple(item.value for item in levels),
            origin=space.origin("parameters", key),
        )
        for key, levels in parameters.levels.items()
    }
    found = {**listed, **parameters.ranges}
    return MethodRows(
        rows=baseline_row(space),
        constants=tuple(parameters.constants),
        distributions=tuple(replace(found[key], when=parameters.conditions.get(key, {})) for key in parameters.order),
        mistakes=parameters.mistakes,
    )


def search_of(space: SearchSpace, drawn: tuple[Distribution, ...]) -> Search | None:
    """How trials are drawn; None where rows are listed."""
    if space.method == "ablation" or space.method == "grid" or space.trials is None:
        return None
    return Search(sampler=space.method, trials=space.trials, seed=space.search_seed, parameters=drawn)
