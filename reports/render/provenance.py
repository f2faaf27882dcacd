"""What the page shows besides the table: its runs, figures and pictures. None of it changes a number of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.data_set_record import DataSetRecord
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from reports.render.compared_images import ComparedImages
from reports.render.pictures import Picture, find_pictures
from reports.tables.aggregate import Gap
from reports.tables.missing_runs import rows_by_trial
from reports.tables.origin import Origin

__all__ = ["FigureView", "Provenance", "Run", "Tracked", "figure_title", "gather_provenance"]

MOST_RUNS = 300
TITLES = {
    "means": "Means with seeds",
    "differences": "Differences to the baseline",
    "factor": "Over the factor",
    "interaction": "Two factors and their interaction",
    "classes": "Classes that gain and lose",
    "pareto": "Against the cost",
    "parallel": "Parameters of the trials",
    "importance": "What mattered",
    "curves": "Learning curves",
    "loss": "Training loss",
}

Tracked = Mapping[str, tuple[str, str]]
"""By trial id, the id and the URL of its MLflow run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One trial of the sweep, with what a reader needs to check it."""

    rows: tuple[str, ...]
    seed: int
    trial_id: str
    record: AttemptRecord | None
    """The attempt that counts; None before the first."""
    tracked: str
    """Id of its MLflow run, if known."""
    address: str
    """URL where MLflow shows it; empty without a server."""

    @property
    def state(self) -> str:
        """The state in words."""
        return self.record.state.words if self.record is not None else Gap.NOT_RUN

    @property
    def origin(self) -> Origin | None:
        """Its code and data."""
        return Origin.of(self.record) if self.record is not None else None

    @property
    def started(self) -> str:
        """Start of the attempt, UTC, to the minute."""
        return datetime.fromtimestamp(self.record.started_at, UTC).strftime("%Y-%m-%d %H:%M") if self.record else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureView:
    """A figure as SVG, for light and for dark pages."""

    name: str
    title: str
    light: str
    dark: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Runs, figures, images and pictures behind a table."""

    runs: tuple[Run, ...] = ()
    runs_left_out: int = 0
    figures: tuple[FigureView, ...] = ()
    compared: tuple[ComparedImages, ...] = ()
    """Test images of the baseline and the best row, of each data set whose trials keep them."""
    pictures: tuple[Picture, ...] = ()
    pictures_left_out: int = 0


def gather_provenance(
    results: SweepResults,
    directory: RunDirectory | None = None,
    *,
    figures: Mapping[str, Mapping[str, Path]] | None = None,
    tracked: Tracked | None = None,
) -> Provenance:
    """The provenance of a sweep.

    Runs come from the records, pictures of the baseline and the best row from `directory`. `figures` are those that
    `reports.figures.choose.write_figures` wrote (name -> format -> path, dark ones as `<name>-dark`).
    """
    rows = rows_by_trial(results.sweep)
    runs = []
    for (trial_id, seed), labels in list(rows.items())[:MOST_RUNS]:
        run_id, url = (tracked or {}).get(trial_id, ("", ""))
        address = url if re.match(r"https?://", url) else ""
        record = results.outcomes.get(trial_id)
        runs.append(Run(rows=labels, seed=seed, trial_id=trial_id, record=record, tracked=run_id, address=address))
    compared, pictures, left_out = find_pictures(results, directory) if directory is not None else ([], [], 0)
    return Provenance(
        runs=tuple(runs),
        runs_left_out=max(0, len(rows) - MOST_RUNS),
        figures=tuple(view_figures(figures or {}, results.sweep.data_sets)),
        compared=tuple(compared),
        pictures=tuple(pictures),
        pictures_left_out=left_out,
    )


def figure_title(name: str, titles: Mapping[str, str], data_sets: Sequence[DataSetRecord]) -> str:
    """The title of the figure called `name`, after that of its data set where there are several."""
    for data_set in data_sets:
        if (kind := name.removeprefix(f"{data_set.stem}-")) != name and kind in titles:
            return f"{data_set.name}: {titles[kind]}"
    return titles.get(name, name.replace("_", " ").capitalize())


def view_figures(figures: Mapping[str, Mapping[str, Path]], data_sets: Sequence[DataSetRecord]) -> Iterable[FigureView]:
    """The SVG files, with ids that differ between figures."""
    for name, paths in figures.items():
        if name.endswith("-dark") or "svg" not in paths:
            continue
        dark = figures.get(f"{name}-dark", paths)["svg"]
        yield FigureView(
            name=name,
            title=figure_title(name, TITLES, data_sets),
            light=embeddable(paths["svg"].read_text(encoding="utf-8"), f"{name}-light-"),
            dark=embeddable(dark.read_text(encoding="utf-8"), f"{name}-dark-"),
        )


def embeddable(svg: str, prefix: str) -> str:
    """A matplotlib SVG file as an element: without prolog and metadata, its ids prefixed."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'((?:xlink:)?href="#)', rf"\g<1>{prefix}", svg)
    return re.sub(r"url\(#", f"url(#{prefix}", svg).strip()
