"""Keys: the names of files below a run directory.

JSON files have a digest of their content (`sealed_json`), and lines of points a checksum (`point_log`).

<run_dir>/sweeps/<sweep>/sweep.json                the plan: rows, seeds, trial ids, the table
<run_dir>/sweeps/<sweep>/plans/001.json            every plan the sweep has had (`orchestrator.store.kept_plans`)
<run_dir>/sweeps/<sweep>/records.parquet           cache of the finished trials; may be deleted
<run_dir>/trials/<trial_id>/trial.json             the resolved config and what else the id is a function of
<run_dir>/trials/<trial_id>/attempt_001.json       how an attempt ended; written once, at its end
<run_dir>/trials/<trial_id>/points.jsonl           the curves: a line per report, appended during the run;
                                                   in an object store points_001_00001.jsonl and so on
<run_dir>/trials/<trial_id>/images_001.npz         pixel counts per test image, and pictures (`store.image_counts`)
<run_dir>/trials/<trial_id>/last.pt                checkpoint of the built-in trainer; of a finished trial its weights,
                                                   last and best; while it trains also previous.pt, best.pt and lock
<run_dir>/trials/<trial_id>/work/                  what any other trainer writes (`orchestrator.store.work_folder`)
<run_dir>/code/<digest>.json                       digests of the files of the trainer that ran, by their names
<run_dir>/code/<digest>.patch                      uncommitted changes of our packages; only its owner may read it

`run_dir` is a path or a URL that fsspec knows, such as s3://bucket/runs (`orchestrator.store.backends`).
"""

from __future__ import annotations

import re

__all__ = ["WORK", "code_key", "require_folder_name", "sweep_key", "trial_key"]

WORK = "work"
"""Folder in that of a trial, in which a trainer other than the built-in one works."""

FOLDER_NAME = re.compile(r"[^./\\\0][^/\\\0]*")
"""A trial id can be the name of a folder."""


def trial_key(trial_id: str, name: str = "") -> str:
    """A trial's folder below the run directory, or a file in it."""
    return f"trials/{trial_id}/{name}" if name else f"trials/{trial_id}"


def sweep_key(name: str, file: str = "sweep.json") -> str:
    """A file of a sweep below the run directory."""
    return f"sweeps/{name}/{file}"


def code_key(digest: str, suffix: str = ".json") -> str:
    """A file about some code below the run directory."""
    return f"code/{digest}{suffix}"


def require_folder_name(trial_id: str) -> None:
    """Raise ValueError for a text that no trial can have as its id."""
    if FOLDER_NAME.fullmatch(trial_id) is None:
        raise ValueError(f"trial_id: {trial_id!r} is not a trial id")
