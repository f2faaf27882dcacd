"""Verifier: compares what a disturbed sweep has left with an undisturbed run of the same trials.

It reads files alone (`tests.chaos.evidence`). Every difference is a Finding; `Excuses` names what the job has damaged
itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.evidence import (
    TIMED,
    Key,
    MlflowRun,
    Planned,
    Trial,
    read_mlflow,
    read_plan,
    read_table,
    read_trials,
)

__all__ = ["KINDS", "Excuses", "Finding", "Remains", "verify"]

KINDS = {
    "lost trial": "a planned trial without a record that is done",
    "doubled trial": "a trial that was done twice, or ran again after it was done",
    "open attempt": "an attempt with points and without a record",
    "damaged record": "a record that is not what was written",
    "damaged point": "a line of points that is not what was written",
    "doubled point": "two values of a metric at one step of one attempt, or of one MLflow run",
    "missing point": "a point that the undisturbed run has",
    "extra point": "a point that the undisturbed run does not have",
    "differing bits": "a figure or a tensor that differs from the undisturbed run",
    "missing run": "a planned trial without its MLflow run, or a sweep without its own",
    "doubled run": "two MLflow runs of one trial in one sweep",
    "open run": "an MLflow run that is RUNNING",
    "wrong status": "an MLflow run that is not FINISHED although its trial is done",
    "differing table": "a cell of a table that differs from the undisturbed run, times left out",
    "process left": "a process that outlived its sweep",
    "folder left": "a temporary folder that outlived its sweep",
    "traceback": "a traceback in the output of a command",
    "exit code": "a command that ended otherwise than its fault allows",
    "stuck": "a sweep that did not resume",
}
"""What can be wrong."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    kind: str
    """One of KINDS."""
    text: str

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(kw_only=True)
class Excuses:
    """What the job damaged itself, and which therefore may be missing."""

    steps: set[tuple[str, int]] = field(default_factory=set)
    """Trial and step of the lines of points that were cut or changed."""
    lines: Counter[str] = field(default_factory=Counter)
    """Number of broken lines of points that stay in the files of a trial."""
    records: set[tuple[str, int]] = field(default_factory=set)
    """Trial and number of the attempts whose record was cut."""
    superseded: int = 0
    """Number of MLflow runs that may be superseded, because two drivers may have created one for the same trial."""

    def damaged_record(self, trial_id: str) -> bool:
        """Whether a record of the trial was cut, so that it had to run again."""
        return any(trial_id == trial for trial, _ in self.records)


@dataclass(frozen=True, kw_only=True)
class Remains:
    """Where one sweep has left what."""

    run_dir: Path
    database: Path
    out: Path
    """Folder of the tables of all sweeps."""
    name: str


def verify(disturbed: Remains, undisturbed: Remains, excuses: Excuses | None = None) -> list[Finding]:
    """Everything in which the disturbed sweep is not what an undisturbed one leaves."""
    excuses = excuses or Excuses()
    plan, wanted = read_plan(disturbed.run_dir, disturbed.name), read_plan(undisturbed.run_dir, undisturbed.name)
    findings = []
    if plan != wanted:
        findings.append(Finding("lost trial", f"{len(plan)} planned runs instead of {len(wanted)}, or other ones"))
    trials, references = read_trials(disturbed.run_dir), read_trials(undisturbed.run_dir)
    for trial_id in dict.fromkeys(item.trial_id for item in wanted):
        if trial_id in trials:
            findings += check_trial(trials[trial_id], references[trial_id], excuses)
        else:
            findings.append(Finding("lost trial", f"{trial_id}: no folder"))
    findings += check_mlflow(
        wanted,
        of_sweep(read_mlflow(disturbed.database), disturbed.name),
        of_sweep(read_mlflow(undisturbed.database), undisturbed.name),
        excuses,
    )
    return [*findings, *check_table(disturbed, undisturbed)]


def check_trial(trial: Trial, reference: Trial, excuses: Excuses) -> Iterator[Finding]:
    """Records, points and weights of one trial."""
    yield from check_records(trial, reference, excuses)
    if trial.broken_lines > excuses.lines[trial.trial_id]:
        yield Finding("damaged point", f"{trial.trial_id}: {trial.broken_lines} lines")
    expected = {key: values for of in reference.points.values() for key, values in of.items()}
    held: set[Key] = set()
    for number, points in trial.points.items():
        held.update(points)
        yield from compare_points(f"{trial.trial_id}, attempt {number}", points, expected)
    excused = {step for trial_id, step in excuses.steps if trial_id == trial.trial_id}
    yield from missing_points(trial.trial_id, expected, held, excused)
    if trial.weights != reference.weights:
        yield Finding("differing bits", f"{trial.trial_id}: last.pt {describe_weights(trial, reference)}")


def check_records(trial: Trial, reference: Trial, excuses: Excuses) -> Iterator[Finding]:
    """One record for each attempt, numbered without gaps; the last one alone is done, with equal figures."""
    for attempt in trial.attempts:
        if attempt.state == "damaged" and (trial.trial_id, attempt.number) not in excuses.records:
            yield Finding("damaged record", f"{trial.trial_id}, attempt {attempt.number}")
    numbers = [attempt.number for attempt in trial.attempts]
    for number in sorted({*range(1, max(numbers, default=0) + 1), *trial.points} - set(numbers)):
        yield Finding("open attempt", f"{trial.trial_id}, attempt {number}")
    states = [attempt.state for attempt in trial.attempts]
    if "done" not in states:
        yield Finding("lost trial", f"{trial.trial_id}: {', '.join(states) or 'no record'}")
        return
    if states.count("done") > 1 or states[-1] != "done":
        yield Finding("doubled trial", f"{trial.trial_id}: {', '.join(states)}")
    expected = reference.attempts[-1].metrics
    for attempt in trial.attempts:
        if attempt.state == "done" and attempt.metrics != expected:
            names = sorted(
                key for key in {*expected, *attempt.metrics} if attempt.metrics.get(key) != expected.get(key)
            )
            yield Finding("differing bits", f"{trial.trial_id}, attempt {attempt.number}: {few(names)}")


def compare_points(
    label: str, points: Mapping[Key, Sequence[bytes]], expected: Mapping[Key, Sequence[bytes]]
) -> Iterator[Finding]:
    """Each point once, and equal to the expected one."""
    doubled = [key for key, values in points.items() if len(values) > 1]
    extra = [key for key in points if key not in expected]
    differing = [key for key, values in points.items() if key in expected and {*values} != {*expected[key]}]
    for kind, keys in (("doubled point", doubled), ("extra point", extra), ("differing bits", differing)):
        if keys:
            yield Finding(kind, f"{label}: {few(f'{metric} at step {step}' for metric, step in sorted(keys))}")


def missing_points(
    label: str, expected: Collection[Key], held: Collection[Key], excused: Collection[int]
) -> Iterator[Finding]:
    """Every expected point, unless its line was damaged."""
    missing = sorted(key for key in expected if key not in held and key[1] not in excused)
    if missing:
        yield Finding("missing point", f"{label}: {few(f'{metric} at step {step}' for metric, step in missing)}")


def describe_weights(trial: Trial, reference: Trial) -> str:
    """How many members of the checkpoint differ."""
    if trial.weights is None or reference.weights is None:
        return "is missing or damaged"
    names = {*trial.weights, *reference.weights}
    return f"in {sum(trial.weights.get(name) != reference.weights.get(name) for name in names)} of {len(names)} members"


def of_sweep(runs: Sequence[MlflowRun], name: str) -> list[MlflowRun]:
    """The runs of one sweep."""
    return [run for run in runs if run.sweep == name]


def check_mlflow(
    planned: Sequence[Planned], runs: Sequence[MlflowRun], references: Sequence[MlflowRun], excuses: Excuses
) -> Iterator[Finding]:
    """One FINISHED run for the sweep and for each planned trial, with the points of the undisturbed run."""
    for run in runs:
        if run.status == "RUNNING":
            yield Finding("open run", describe_run(run))
        elif run.status != "FINISHED" and run.role != "superseded":
            yield Finding("wrong status", f"{describe_run(run)}: {run.status}")
    parents = [run for run in runs if run.role == "sweep"]
    if len(parents) != 1:
        yield Finding("doubled run" if parents else "missing run", f"{len(parents)} runs of the sweep")
    others = [run.role for run in runs if run.role not in ("sweep", "trial")]
    if len(others) > excuses.superseded or {*others} - {"superseded"}:
        yield Finding("doubled run", f"{len(others)} runs of another role: {few(others)}")
    children, expected = by_trial(runs), by_trial(references)
    if strangers := children.keys() - {(item.row, item.seed, item.trial_id) for item in planned}:
        yield Finding("doubled run", f"{len(strangers)} runs of trials that are not planned")
    for item in planned:
        key = (item.row, item.seed, item.trial_id)
        label = f"MLflow, {item.row}, seed {item.seed} [{item.trial_id}]"
        found = children.get(key, [])
        if len(found) != 1:
            yield Finding("doubled run" if found else "missing run", f"{label}: {len(found)} runs")
        for run in found:
            yield from check_run(label, run, expected[key][0], excuses)


def describe_run(run: MlflowRun) -> str:
    """The sweep, or a row with its seed."""
    return f"MLflow, {run.row}, seed {run.seed} [{run.trial_id}]" if run.role == "trial" else f"MLflow, {run.role}"


def check_run(label: str, run: MlflowRun, reference: MlflowRun, excuses: Excuses) -> Iterator[Finding]:
    """The points of one run; a trial that ran again because its record was cut has a second value of TIMED."""
    if not excuses.damaged_record(run.trial_id):
        timed = {key: values for key, values in run.points.items() if key[0] in TIMED and len(values) > 1}
        if timed:
            yield Finding(
                "doubled point", f"{label}: {few(f'{metric} at step {step}' for metric, step in sorted(timed))}"
            )
    points, expected = untimed(run.points), untimed(reference.points)
    yield from compare_points(label, points, expected)
    excused = {step for trial_id, step in excuses.steps if trial_id == run.trial_id}
    yield from missing_points(label, expected, points, excused)


def by_trial(runs: Sequence[MlflowRun]) -> dict[tuple[str, int, str], list[MlflowRun]]:
    """The runs of trials, by row, seed and trial."""
    found: dict[tuple[str, int, str], list[MlflowRun]] = {}
    for run in runs:
        if run.role == "trial":
            found.setdefault((run.row, run.seed, run.trial_id), []).append(run)
    return found


def untimed(points: Mapping[Key, Sequence[bytes]]) -> dict[Key, Sequence[bytes]]:
    """The points without those of TIMED."""
    return {key: values for key, values in points.items() if key[0] not in TIMED}


def check_table(disturbed: Remains, undisturbed: Remains) -> Iterator[Finding]:
    """Equal cells, apart from times."""
    folder = disturbed.out / disturbed.name
    try:
        found = read_table(folder)
    except FileNotFoundError as error:
        yield Finding("differing table", f"{error.filename} is missing")
        return
    expected = read_table(undisturbed.out / undisturbed.name)
    if differing := sorted((expected - found) + (found - expected)):
        yield Finding("differing table", few(f"{name}, {label}, {key}" for name, label, key, _ in differing))


def few(items: Iterator[str] | Sequence[str], most: int = 4) -> str:
    """The first of some items, and how many there are."""
    listed = list(dict.fromkeys(items))
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return f"{', '.join(listed[:most])}{more}"
