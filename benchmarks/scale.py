"""Ten thousand trials: `python -m benchmarks.scale [--json OUT] [--quick] [--large]`.

Measures planning a grid of 1,000 rows with ten seeds (`--large`: 10,648 rows), opening a run directory in which all
of them are done (from their own files, and from the Parquet file that a sweep leaves), and the tables of 20 metrics:
load, aggregate, render in all formats. Each runs three times in a fresh process, imports included, with the files in
the page cache; the fastest counts. Results are checked: the counts, one name, and one cell computed the slow way.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.process import PROJECT, measure_apart
from benchmarks.report import Figure, below, command_line, information, publish
from orchestrator.machine.own_folder import temporary_folder

RECIPE = PROJECT / "search_spaces" / "recipes" / "synthetic.yaml"
SEEDS = 10
ROUNDS = 3
VALUES, QUICK_VALUES, LARGE_VALUES = 10, 2, 22
"""Values of each of three factors."""
METRICS = 20
LIMITS = {"planning": 2.0, "store": 2.0, "compacted": 2.0, "tables": 3.0}
LARGE_LIMITS = {"planning": 2.8, "store": 12.0, "compacted": 4.4, "tables": 7.5}
"""With 106,480 trials: 0.6 of what it took before it was measured at this size."""
NAMES = {
    "planning": "planning {trials:,} trials",
    "store": "opening a store of {trials:,} finished trials",
    "compacted": "the same, compacted",
    "tables": f"tables of {{trials:,}} trials x {METRICS} metrics: load, aggregate, render",
}
KEYS = ("contrast.temperature", "contrast.memory.pixels_per_class", "optim.lr")

Took = dict[str, float]
"""Wall and CPU seconds."""


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__)
    parser.add_argument("--case", nargs=3, metavar=("NAME", "FOLDER", "TRIALS"), help=argparse.SUPPRESS)
    parser.add_argument("--large", action="store_true", help="106,480 trials; takes minutes and 1 GB of disk")
    given = parser.parse_args()
    if given.case:
        name, folder, trials = given.case
        print(json.dumps(CASES[name](Path(folder), int(trials))))
        return 0
    values = QUICK_VALUES if given.quick else LARGE_VALUES if given.large else VALUES
    limits = LARGE_LIMITS if given.large else LIMITS
    trials = values**3 * SEEDS
    figures: list[Figure] = []
    with temporary_folder("benchmark") as folder:
        write_space(folder, values)
        for name in ("planning", "fill", "store", "compact", "compacted", "tables"):
            rounds = ROUNDS if name in limits and not given.quick else 1
            runs: list[Took] = [
                measure_apart("benchmarks.scale", "--case", name, str(folder), trials) for _ in range(rounds)
            ]
            took = min(runs, key=lambda run: run["seconds"])
            print(f"{name}: {took['seconds']:.2f} s, {took['cpu_seconds']:.2f} CPU s", flush=True)
            if name in limits:
                figures += compare(name, trials, limits[name], took, counts=not given.quick)
    return 0 if publish(figures, given.json) else 1


def compare(name: str, trials: int, limit: float, took: Took, *, counts: bool) -> list[Figure]:
    """Wall time with its goal, and CPU time."""
    return [
        below(NAMES[name].format(trials=trials), took["seconds"], limit, counts=counts),
        information("the same, CPU seconds", took["cpu_seconds"]),
    ]


def write_space(folder: Path, values: int) -> None:
    """Write a grid of `values` values of each of three factors."""
    listed = ", ".join(str(number) for number in range(1, values + 1))
    parameters = "".join(f"  {key}: {{values: [{listed}]}}\n" for key in KEYS)
    columns = ", ".join(metric_names())
    (folder / "large.yaml").write_text(
        f"name: large\nquestion: Does it scale?\nrecipe: {RECIPE}\nmethod: grid\n"
        f"metric: {{name: final/miou, goal: maximize}}\nseeds: {SEEDS}\nparameters:\n{parameters}"
        f"table: {{columns: [{columns}]}}\n",
        encoding="utf-8",
    )


def metric_names() -> list[str]:
    """Names of the metrics in each record; few are ranked, and none is of a class."""
    from trainer.figure_names import BANK_FIGURES, CONTRAST_FIGURES, GENERAL_FIGURES

    others = sorted(CONTRAST_FIGURES | BANK_FIGURES) + sorted(GENERAL_FIGURES - {"final/miou"})
    return ["final/miou", *others[: METRICS - 1]]


@contextmanager
def clock(took: Took) -> Iterator[None]:
    """Store the seconds that the body takes in `took`."""
    began, worked = time.perf_counter(), time.process_time()
    yield
    took.update(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - worked)


def plan_of(folder: Path) -> Any:
    """The plan of the large search space."""
    from orchestrator.api import plan

    return plan(folder / "large.yaml", run_dir=folder / "runs")


def planning(folder: Path, trials: int) -> Took:
    """Plan. All names must differ, and the last must be the hash of its whole configuration."""
    took: Took = {}
    with clock(took):
        found = plan_of(folder)
    from orchestrator.planning.identity import canonical, content_id

    last = found.trials[-1]
    assert len({trial.trial_id for trial in found.trials}) == len(found.record.cells) == trials
    assert last.trial_id == content_id(canonical(last.config), last.data_digest)
    return took


def fill(folder: Path, trials: int) -> Took:
    """Write the sweep and a record for each trial as the record store does, but without flushing to the disk."""
    took: Took = {}
    with clock(took):
        found = plan_of(folder)
        from orchestrator.machine.sealed_json import seal
        from orchestrator.store.attempt_record import AttemptRecord, State
        from orchestrator.store.record_files import attempt_name
        from orchestrator.store.record_store import RecordStore
        from orchestrator.store.run_directory import RunDirectory

        RecordStore(folder / "runs").write_sweep(found.record)
        for number, trial in enumerate(found.trials):
            metrics = {name: value_of(number, place) for place, name in enumerate(metric_names())}
            record = AttemptRecord(
                trial_id=trial.trial_id, attempt=1, state=State.DONE, started_at=0.0, ended_at=60.0, metrics=metrics
            )
            home = RunDirectory(folder / "runs").trial_folder(trial.trial_id)
            home.mkdir(parents=True)
            (home / attempt_name(1)).write_bytes(seal(record.to_json()))
    assert number == trials - 1
    return took


def value_of(trial: int, metric: int) -> float:
    """A figure between 0 and 1 that differs between trials."""
    return math.modf((trial * 7919 + metric * 104729) * 0.6180339887)[0]


def store(folder: Path, trials: int) -> Took:
    """Read which trials are done, as a sweep does when it starts. One record is compared with its file."""
    took: Took = {}
    with clock(took):
        from orchestrator.machine.sealed_json import seal
        from orchestrator.store.record_files import attempt_name
        from orchestrator.store.record_store import RecordStore
        from orchestrator.store.run_directory import RunDirectory

        trial_ids = [cell.trial_id for cell in RunDirectory(folder / "runs").sweep("large").cells]
        opened = RecordStore(folder / "runs")
        with opened.lock():
            outcomes = opened.outcomes(trial_ids)
    assert len(outcomes) == trials
    assert all(record.state == "done" for record in outcomes.values())
    some = trial_ids[trials // 2]
    text = (RunDirectory(folder / "runs").trial_folder(some) / attempt_name(1)).read_text(encoding="utf-8")
    assert seal(outcomes[some].to_json()).decode() == text
    return took


def compact(folder: Path, trials: int) -> Took:
    """Compact the records, as the driver does when a sweep ends."""
    from orchestrator.store.record_store import RecordStore

    took: Took = {}
    with clock(took):
        opened = RecordStore(folder / "runs")
        with opened.lock():
            assert opened.compact("large") == trials
    return took


def tables(folder: Path, trials: int) -> Took:
    """Load, aggregate and render in all formats. The mean of one cell is compared with the mean from the files."""
    took: Took = {}
    with clock(took):
        from orchestrator.store.run_directory import RunDirectory
        from reports.sources.run_directory import load_sweep
        from reports.write import make_table, write_reports

        results = load_sweep(RunDirectory(folder / "runs"), "large")
        table = make_table(results)
        files = write_reports(results, folder / "out", table=table)
    sweep = results.sweep
    assert table.runs_done == trials
    row, column = sweep.rows[len(sweep.rows) // 3].label, 7
    total = 0.0
    for cell in sweep.cells:
        if cell.row == row:
            text = (folder / "runs" / "trials" / cell.trial_id / "attempt_001.json").read_text(encoding="utf-8")
            total += json.loads(text)["metrics"][metric_names()[column]]
    assert math.isclose(table.cells[row][column].mean or 0.0, total / SEEDS)
    assert len(files["csv"].read_text(encoding="utf-8").splitlines()) > len(sweep.rows)
    return took


CASES: dict[str, Callable[[Path, int], Took]] = {
    "planning": planning,
    "fill": fill,
    "store": store,
    "compact": compact,
    "compacted": store,
    "tables": tables,
}

if __name__ == "__main__":
    sys.exit(main())
