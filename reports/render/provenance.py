"""What stands behind a table: its runs, the failures with their tracebacks, figures and pictures.

Gathered from the run directory for the page; nothing of it changes a number of the table.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.store.records import AttemptRecord, State, SweepRecord
from orchestrator.store.run_directory import RunDirectory
from reports.tables.aggregate import aggregate

__all__ = ["Failure", "FigureView", "Picture", "Provenance", "Run", "gather_provenance"]

MOST_RUNS = 300
MOST_FAILURES = 60
MOST_PICTURE_BYTES = 1_500_000
"""Of all pictures of a page together; those beyond it are named, not shown."""
PICTURES = {
    "sheet": "Test images, labels and predictions",
    "confusion": "Confusion matrix",
    "embedding": "Embedding, first two principal components",
}
TITLES = {
    "means": "Means with seeds",
    "differences": "Differences to the baseline",
    "factor": "Over the factor",
    "interaction": "Two factors and their interaction",
    "classes": "Classes that gain and lose",
    "pareto": "Against the cost",
    "importance": "What mattered",
    "curves": "Learning curves",
    "loss": "Training loss",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One trial of the sweep, as a reader may check it."""

    rows: tuple[str, ...]
    seed: int
    trial_id: str
    state: str
    """`not run` where there is no attempt."""
    attempt: int = 0
    commit: str = ""
    diff: str = ""
    data: str = ""
    device: str = ""
    started: str = ""
    """UTC, to the minute."""
    minutes: float | None = None
    tracked: str = ""
    """Id of its MLflow run, where known."""
    address: str = ""
    """Where MLflow shows it; empty where there is no server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """An attempt that did not end as planned."""

    rows: tuple[str, ...]
    seed: int
    trial_id: str
    state: str
    kind: str = ""
    message: str = ""
    signature: str = ""
    traceback: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureView:
    """A figure as SVG, for light and for dark pages."""

    name: str
    title: str
    light: str
    dark: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture of a trial as a data URI."""

    title: str
    row: str
    seed: int
    uri: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """All of it; empty tuples where there is nothing."""

    runs: tuple[Run, ...] = ()
    runs_left_out: int = 0
    failures: tuple[Failure, ...] = ()
    failures_left_out: int = 0
    figures: tuple[FigureView, ...] = ()
    pictures: tuple[Picture, ...] = ()
    pictures_left_out: int = 0


def gather_provenance(
    sweep: SweepRecord,
    outcomes: Mapping[str, AttemptRecord],
    run_dir: Path | str | None = None,
    *,
    figures: Mapping[str, Mapping[str, Path]] | None = None,
    tracked: Mapping[str, tuple[str, str]] | None = None,
) -> Provenance:
    """The provenance of a sweep.

    Runs and failures come from the records, pictures of the best and the baseline row from the local `run_dir`,
    `figures` as `reports.figures.write_figures` wrote them (name -> format -> path, dark ones as
    `<name>-dark`). `tracked` maps trial ids to id and address of their MLflow runs.
    """
    rows: dict[tuple[str, int], list[str]] = {}
    for cell in sweep.cells:
        rows.setdefault((cell.trial_id, cell.seed), []).append(cell.row)
    runs = [
        describe_run(tuple(labels), seed, trial_id, outcomes.get(trial_id), (tracked or {}).get(trial_id, ("", "")))
        for (trial_id, seed), labels in list(rows.items())[:MOST_RUNS]
    ]
    failed = [
        (labels, seed, outcomes[trial_id])
        for (trial_id, seed), labels in rows.items()
        if trial_id in outcomes and outcomes[trial_id].state is not State.DONE
    ]
    pictures, left_out = find_pictures(sweep, outcomes, run_dir) if run_dir is not None else ([], 0)
    return Provenance(
        runs=tuple(runs),
        runs_left_out=max(0, len(rows) - MOST_RUNS),
        failures=tuple(
            describe_failure(tuple(labels), seed, record) for labels, seed, record in failed[:MOST_FAILURES]
        ),
        failures_left_out=max(0, len(failed) - MOST_FAILURES),
        figures=tuple(view_figures(figures or {})),
        pictures=tuple(pictures),
        pictures_left_out=left_out,
    )


def describe_run(
    rows: tuple[str, ...], seed: int, trial_id: str, record: AttemptRecord | None, tracked: tuple[str, str]
) -> Run:
    """One line of the provenance."""
    run_id, address = tracked
    if record is None:
        return Run(rows=rows, seed=seed, trial_id=trial_id, state="not run", tracked=run_id, address=address)
    facts = record.environment
    return Run(
        rows=rows,
        seed=seed,
        trial_id=trial_id,
        state=record.state.value.replace("_", " "),
        attempt=record.attempt,
        commit=facts.get("commit", "")[:10],
        diff=(facts.get("diff") or facts.get("dirty", ""))[:10],
        data=facts.get("data", "")[:10],
        device=facts.get("device", ""),
        started=datetime.fromtimestamp(record.started_at, UTC).strftime("%Y-%m-%d %H:%M"),
        minutes=(record.ended_at - record.started_at) / 60,
        tracked=run_id,
        address=address if re.match(r"https?://", address) else "",
    )


def describe_failure(rows: tuple[str, ...], seed: int, record: AttemptRecord) -> Failure:
    """What is known of an attempt that is no result."""
    error = record.error
    return Failure(
        rows=rows,
        seed=seed,
        trial_id=record.trial_id,
        state=record.state.value.replace("_", " "),
        kind=error.kind if error else "",
        message=error.message if error else "",
        signature=error.signature if error else "",
        traceback=error.traceback if error else "",
    )


def find_pictures(
    sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], run_dir: Path | str
) -> tuple[list[Picture], int]:
    """Pictures of the best row and of the baseline, of their first finished seed; and how many were too large."""
    cells = aggregate(sweep, outcomes, sweep.metric)
    sign = -1.0 if sweep.goal == "minimize" else 1.0
    means = {label: sign * cell.mean for label, cell in cells.items() if cell.mean is not None}
    best = max(means, key=lambda label: means[label], default=None)
    chosen = dict.fromkeys(label for label in (best, sweep.baseline) if label is not None and label in means)
    found: list[Picture] = []
    size, left_out = 0, 0
    for label in chosen:
        seed = min(cells[label].values)
        trial_id = next(cell.trial_id for cell in sweep.cells if (cell.row, cell.seed) == (label, seed))
        for stem, title in PICTURES.items():
            path = RunDirectory(run_dir).trial_folder(trial_id) / "pictures" / f"{stem}.png"
            if not path.is_file():
                continue
            content = path.read_bytes()
            size += len(content)
            if size > MOST_PICTURE_BYTES:
                left_out += 1
                continue
            uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
            found.append(Picture(title=title, row=label, seed=seed, uri=uri))
    return found, left_out


def view_figures(figures: Mapping[str, Mapping[str, Path]]) -> Iterable[FigureView]:
    """The SVG files, with names of their own for what they refer to."""
    for name, paths in figures.items():
        if name.endswith("-dark") or "svg" not in paths:
            continue
        dark = figures.get(f"{name}-dark", paths)["svg"]
        yield FigureView(
            name=name,
            title=TITLES.get(name, name.replace("_", " ").capitalize()),
            light=embeddable(paths["svg"].read_text(encoding="utf-8"), f"{name}-light-"),
            dark=embeddable(dark.read_text(encoding="utf-8"), f"{name}-dark-"),
        )


def embeddable(svg: str, prefix: str) -> str:
    """An SVG file of ours as an element: without prolog and metadata, its ids told from those of other figures."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'((?:xlink:)?href="#)', rf"\g<1>{prefix}", svg)
    return re.sub(r"url\(#", f"url(#{prefix}", svg).strip()
