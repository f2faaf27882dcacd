"""import: adds the results of an archive to a run directory, and says what can be typed next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.errors import SpecError, StoreError
from orchestrator.machine.atomic_file import partial_file, publish, write_file
from orchestrator.machine.text_table import Line, Part
from orchestrator.spec.extends import SEARCH_SPACE, own_text, read_extended
from orchestrator.spec.shipped import find_search_space
from orchestrator.spec.yaml_document import Block, parse_yaml
from orchestrator.store.archive.contents import read_contents
from orchestrator.store.archive.importing import Imported, import_sweep
from orchestrator.store.archive.reading import opened
from orchestrator.store.disk_errors import disk_remedy
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["import_archive"]

SWEEP = ("python", "-m", "orchestrator.sweep")
"""What a sweep's command begins with; its search space follows."""


def import_archive(path: Path, run_dir: str, spec: Path | None) -> list[Part]:
    """Add the archive at `path` to a run directory; write its search space to `spec`, if that is given.

    Returns what the terminal shows. Raises StoreError as `opened` and `import_sweep`, and where there is another file
    at `spec`.
    """
    with opened(path) as archive:
        contents = read_contents(archive)
        plan = contents.plan
        if spec is not None:
            write_spec(plan, spec)
        imported = import_sweep(contents, RecordStore(run_dir))
    return [*describe(imported, plan.name, run_dir), *next_commands(plan, path, run_dir, spec)]


def write_spec(plan: SweepRecord, path: Path) -> None:
    """Write the search space of a plan to a new file; nothing if that has its text already. Raises StoreError."""
    content = own_text(plan.spec).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(path) as whole:
            write_file(whole, content, durable=False)
            if not publish(whole, path) and path.read_bytes() != content:
                raise StoreError(f"--spec {path}: there is another file; remove it, or name another one")
    except OSError as error:
        remedy = disk_remedy(error, path) or "name another file"
        raise StoreError(f"--spec {path}: cannot be written ({error.strerror}); {remedy}") from error


def describe(imported: Imported, name: str, run_dir: str) -> Iterator[Part]:
    """What was new in an archive."""
    trials = f"{imported.trials} trial{'s' * (imported.trials != 1)}"
    if not imported.files:
        yield Line(f"{name}: {run_dir} has all of it already: {trials}", "bold")
        return
    plan = "" if imported.plan else "; its plan there is as new or newer, and stays"
    yield Line(f"{name}: {imported.new_trials} of {trials} are new in {run_dir}{plan}", "bold")


def next_commands(plan: SweepRecord, path: Path, run_dir: str, spec: Path | None) -> Iterator[Part]:
    """How its table is written and how it is extended, and what that needs which is not in an archive."""
    yield Line("its table:", command=shlex.join(["python", "-m", "reports", str(path)]))
    stem = plan.name.partition("@")[0].partition("+")[0]
    named, *options = words_after(SWEEP, plan.command) or [f"{stem}.yaml"]
    named = named if spec is None else str(spec)
    words = [*SWEEP, named, *options]
    words += ["--run-dir", run_dir] if run_dir != "runs" else []
    yield Line("extend it by seeds or rows, without training again what is there:", command=shlex.join(words))
    here = text_at(named)
    if here != plan.spec:
        what = "is not here" if here is None else "is not the one of this name here"
        write = ["python", "-m", "orchestrator", "import", str(path), "--spec", f"{stem}.yaml"]
        write += ["--run-dir", run_dir] if run_dir != "runs" else []
        yield Line(f"its search space {what}; write it to a file:", command=shlex.join(write))
    if needed := list(named_files(plan)):
        yield f"what else it needs: {', '.join(needed)}"


def words_after(start: Sequence[str], command: str) -> list[str]:
    """The words of a command after its `start`; none of another command, which nobody should type."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    return words[len(start) :] if tuple(words[: len(start)]) == tuple(start) else []


def text_at(spec: str) -> str | None:
    """Text of the search space `spec`, with that of the files it extends; None if it cannot be read."""
    try:
        return read_extended(find_search_space(Path(spec)), SEARCH_SPACE).text
    except SpecError:
        return None


def named_files(plan: SweepRecord) -> Iterator[str]:
    """The files of its author that a search space names: those it extends, recipe, plugins, what trains."""
    try:
        values = parse_yaml(plan.spec, plan.name).values
    except SpecError:  # made up, or of an earlier version
        return
    extended, recipe, plugins, workload = (values.get(key) for key in ("extends", "recipe", "plugins", "workload"))
    yield from texts_in(extended)
    if isinstance(recipe, str) and ("/" in recipe or recipe.endswith((".yaml", ".yml"))):
        yield recipe
    yield from texts_in(plugins)
    yield from texts_in(workload.get("command") if isinstance(workload, Block) else workload)


def texts_in(value: object) -> Iterator[str]:
    """The texts of a value that is a text, a list of texts, or anything else."""
    items = value if isinstance(value, list) else [value]
    yield from (item for item in items if isinstance(item, str) and item.isprintable())
