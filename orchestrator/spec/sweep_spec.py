"""Read a search space and its recipe into a `SweepSpec`, or report everything that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.plugins.table_style import TableStyle
from orchestrator.spec.ablation import implied_baseline
from orchestrator.spec.blocks import Until
from orchestrator.spec.data_entry import DataEntry
from orchestrator.spec.data_sets import (
    DataSetSpec,
    data_mistakes,
    data_names,
    given_entries,
    named_recipes,
    read_data_sets,
)
from orchestrator.spec.distributions import Search
from orchestrator.spec.extends import SEARCH_SPACE, read_extended
from orchestrator.spec.methods import method_mistakes, search_of
from orchestrator.spec.named_plugin import NamedPlugin
from orchestrator.spec.parsing import parse_search_space
from orchestrator.spec.plugins import load_plugins, plugins_in
from orchestrator.spec.recipe_file import Recipe
from orchestrator.spec.recipes import name_with_recipe, read_recipe, recipe_document
from orchestrator.spec.rows import BASELINE_LABEL, RowSpec, label_mistakes
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.seeds import SeedChoice, read_seeds, seeds_of, size_mistakes
from orchestrator.spec.selection import selection_mistakes
from orchestrator.spec.settings import Setting, SettingsBlock, extended_by
from orchestrator.spec.shared_settings import SharedSettings
from orchestrator.spec.shipped import find_search_space
from orchestrator.spec.spec_options import SpecOptions, read_assignments
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
from orchestrator.spec.workload_in_use import reading_for, workload_in_use
from orchestrator.spec.workload_key import workload_in
from orchestrator.spec.yaml_document import Document
from orchestrator.workload.extension import Extension
from orchestrator.workload.loaded import LoadedWorkload

__all__ = ["SweepSpec", "plugins_of", "read_spec", "read_sweep_name"]


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
    options = SpecOptions(recipe=recipe, data=data, settings=settings, seeds=seeds, name=name)
    with opened(path, options) as (space, _):
        return named(space, path, options)


def plugins_of(path: Path, *, recipe: str | None = None, data: Sequence[str] = ()) -> tuple[NamedPlugin, ...]:
    """The plugins of the search space at `path`, its recipe and its data sets. Raises SpecError."""
    path = find_search_space(path)
    return named_plugins(read_extended(path, SEARCH_SPACE), path, SpecOptions(recipe=recipe, data=data))


@contextmanager
def opened(path: Path, options: SpecOptions) -> Iterator[tuple[SearchSpace, Extension | None]]:
    """The search space at `path`, and what its plugins add; in the body its workload and its plugins are in use.

    Raises SpecError.
    """
    document, workload = read_extended(path, SEARCH_SPACE), workload_in_use()
    named_workload = workload_in(document)
    with reading_for(named_workload):
        if named_workload is not workload:
            document = read_extended(path, SEARCH_SPACE)  # renamed keys are those of the workload
        plugins = named_plugins(document, path, options)
        extension = load_plugins(plugins)
        with extended_by(extension), drawn_with(load_styles(plugins)):
            yield parse_search_space(document), extension


def named_plugins(document: Document, path: Path, options: SpecOptions) -> tuple[NamedPlugin, ...]:
    """The plugins of the search space `document` at `path`, its recipe and its data sets. Raises SpecError."""
    recipes = [options.recipe, *named_recipes(options.data or document.values.get("data"))]
    documents = [recipe_document(document, path, name) for name in recipes]
    return plugins_in(document, *(item for item in documents if item is not None))


def data_sets_of(space: SearchSpace, path: Path, options: SpecOptions) -> tuple[DataSetSpec, ...]:
    """The data sets of `--data`, else of the file; without any, one without a name and with the sweep's recipe.

    Raises SpecError.
    """
    entries = data_entries(space, options.data)
    if entries and options.recipe is None and space.recipe is None and space.is_complete("recipe"):
        return read_data_sets(path, ("", Recipe()), entries)
    default = read_recipe(space, path, options.recipe)
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
    options = SpecOptions(recipe=recipe, data=data, settings=settings, seeds=seeds, name=name)
    with opened(path, options) as (space, extension):
        return replace(specified(space, path, options), extension=extension, styles=styles_in_use())


def specified(space: SearchSpace, path: Path, options: SpecOptions) -> SweepSpec:
    """`read_spec` of a file that is read."""
    errors = SpecErrorCollector()
    data_sets: tuple[DataSetSpec, ...] = ()
    given: tuple[int, ...] | None = None
    with errors:
        given_name(options)
    errors.messages.extend((*space.mistakes, *method_mistakes(space)))
    with errors:
        data_sets = data_sets_of(space, path, options)
    with errors:
        given = given_seeds(options)
    shared = SharedSettings.of(space, data_sets, read_assignments(options.settings))
    seeds = SeedChoice.of(space, given, options.seeds)
    errors.messages.extend(shared.mistakes())
    errors.messages.extend(mistakes_together(space, shared, seeds, options))
    errors.raise_any()
    return SweepSpec(
        space=space,
        workload=workload_in_use(),
        sweep_name=named(space, path, options, shared.without_assigned()),
        baseline=baseline_label(space),
        rows=shared.rows.rows,
        seeds=seeds.values,
        until=seeds.until,
        data_sets=shared.on_data_sets(),
        search=search_of(space, shared.rows.distributions),
    )


def mistakes_together(
    space: SearchSpace, shared: SharedSettings, seeds: SeedChoice, options: SpecOptions
) -> Iterator[str]:
    """What is wrong with blocks that are right by themselves."""
    yield from label_mistakes(space, shared.rows.rows)
    yield from table_mistakes(space, shared.rows)
    yield from selection_mistakes(space)
    yield from tracking_mistakes(space)
    entries = data_entries(space, options.data)
    place = entries[0][0] if options.data and entries else space.origin("data")
    yield from data_mistakes(space, place, len(entries), seeds.until)
    if entries and shared.data_sets:
        yield from shared.mistakes_between_data_sets()
    runs_per_seed = len(shared.rows.rows) * max(len(shared.data_sets), 1)
    yield from size_mistakes(f"{seeds.origin}: seeds", shared.rows, seeds.values, runs_per_seed)
    yield from seeds.mistakes(space, baseline_label(space))


def baseline_label(space: SearchSpace) -> str | None:
    """Label of the row the others are compared with."""
    return BASELINE_LABEL if isinstance(space.baseline, SettingsBlock) else space.baseline or implied_baseline(space)


def named(
    space: SearchSpace, path: Path, options: SpecOptions, files: Sequence[Mapping[str, Setting]] | None = None
) -> SweepName:
    """The name of the sweep; `files` are the settings for all rows without `--set`, None: they are read.

    Raises SpecError.
    """
    base = name_with_recipe(space.name or path.stem, path, space.recipe, options.recipe)
    name, assigned = given_name(options), read_assignments(options.settings)
    if assigned.mistakes:
        raise SpecError(*assigned.mistakes)
    if files is None:
        files = file_settings(space, path, options) if options.settings else []
    seeds = given_seeds(options)
    further = () if seeds is None else seeds_change(seeds, seeds_of(space))
    changed = changed_settings(assigned.settings, files)
    return name_after(base, changed, (*further, *data_change_of(space, options.data)), name)


def given_name(options: SpecOptions) -> str | None:
    """`--name`, checked. Raises SpecError."""
    return None if options.name is None else check_sweep_name(options.name)


def given_seeds(options: SpecOptions) -> tuple[int, ...] | None:
    """The seeds of `--seeds`; None: it is not given. Raises SpecError."""
    return None if options.seeds is None else read_seeds(options.seeds)


def file_settings(space: SearchSpace, path: Path, options: SpecOptions) -> list[Mapping[str, Setting]]:
    """The settings for all rows without `--set`, on each data set. Raises SpecError."""
    data_sets = data_sets_of(space, path, options)
    return SharedSettings.of(space, data_sets, SettingsBlock()).without_assigned()
